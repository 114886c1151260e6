"""The proxy: where it listens, and what it counts."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from .faults import Fault, Kind, Random, Way
from .link import Link


class FaultProxy:
    """Forwards connections to a server, with faults.

    Args:
        upstream: the server's host and port; may be changed at any time, for new connections.
        plan: one for each connection, in their order: a fault, or None for none. After the last one, none.
        chances: faults at random, beside the plan.

    Attributes:
        port: where it listens, on 127.0.0.1.
        injected: faults that hit traffic, by kind.
        lost: of those, the ones that ended a stream, by direction: a request or an answer was lost.
        idle_closed: connections that were closed while nothing was under way; not counted as faults.
        accepted: connections so far.
        unreachable: connections that ended since the server was not there.
        forwarded: bytes, by direction.
        links: the connections that are open.
        paused: True for no faults meanwhile; what is stalled or throttled already goes on.
    """

    def __init__(
        self, upstream: tuple[str, int], plan: Iterable[Fault | None] = (), chances: Random | None = None
    ) -> None:
        self.upstream = upstream
        self.plan = deque(plan)
        self.chances = chances
        self.port = 0
        self.injected: Counter[Kind] = Counter()
        self.lost: Counter[Way] = Counter()
        self.forwarded: Counter[Way] = Counter()
        self.accepted = self.unreachable = self.idle_closed = 0
        self.paused = False
        self.links: set[Link] = set()
        self._server: asyncio.Server | None = None
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def open(self) -> int:
        """Connections that are open now, on either side."""
        return len(self.links)

    @property
    def active(self) -> Random | None:
        """The faults at random that apply now."""
        return None if self.paused else self.chances

    async def start(self) -> None:
        """Listen on a free port, which is ``port`` then."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Link(self).client, "127.0.0.1", 0, backlog=256)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close everything, and wait until it is closed."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut()
        await self._empty.wait()
        await asyncio.sleep(0)  # the last socket is closed right after

    def cut(self) -> None:
        """Close all connections at once; what was on its way is lost. Not counted as a fault."""
        for link in list(self.links):
            link.abort()

    def entered(self, link: Link) -> None:
        """A connection has come."""
        self.accepted += 1
        self.links.add(link)
        self._empty.clear()

    def left(self, link: Link) -> None:
        """Both sides of a connection are closed."""
        self.links.discard(link)
        if not self.links:
            self._empty.set()


@asynccontextmanager
async def proxied(
    upstream: tuple[str, int], plan: Iterable[Fault | None] = (), chances: Random | None = None
) -> AsyncIterator[FaultProxy]:
    """A proxy that runs as long as the block does."""
    proxy = FaultProxy(upstream, plan, chances)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()
