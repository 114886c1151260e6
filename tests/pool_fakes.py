"""Stores to pool, and an event loop on which waiting takes no time."""

from __future__ import annotations

import asyncio
import functools
import inspect
import selectors
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, ClassVar, TypeVar

T = TypeVar("T")


class PooledFake:
    """Notes what is done with it; its class attributes, of a class made by :func:`fake`, say what to do.

    Attributes:
        made: all stores of the class, in the order they were made.
        connected_now, peak: stores connected (from the begin of ``connect`` to the end of ``disconnect``), now and
            at most.
        delay: seconds that each of connect, ping and disconnect takes.
        failures: what the next connects raise; None for one that succeeds.
        dead: makes every ping fail.
        hang: names of methods that don't end.
    """

    provider = "fake"
    made: ClassVar[list[PooledFake]]
    connected_now: ClassVar[int]
    peak: ClassVar[int]
    delay: ClassVar[float]
    failures: ClassVar[list[BaseException | None]]
    dead: ClassVar[bool]
    hang: ClassVar[set[str]]

    def __init__(self, config: Any) -> None:
        self.config = config
        self.made.append(self)
        self.connected = False
        self.calls: list[str] = []
        self.pings = 0
        self.disconnects = 0
        self.broken = False

    async def _takes_time(self, name: str) -> None:
        self.calls.append(name)
        if name in self.hang:
            await asyncio.get_running_loop().create_future()
        await asyncio.sleep(self.delay)

    async def connect(self) -> None:
        kind = type(self)
        kind.connected_now += 1
        kind.peak = max(kind.peak, kind.connected_now)
        try:
            await self._takes_time("connect")
            if self.failures and (error := self.failures.pop(0)) is not None:
                raise error
        except BaseException:
            kind.connected_now -= 1
            raise
        self.connected = True

    async def disconnect(self) -> None:
        try:
            await self._takes_time("disconnect")
            if self.broken:
                raise OSError("the line is gone")
        finally:
            if self.connected:
                self.connected = False
                type(self).connected_now -= 1
                self.disconnects += 1

    async def ping(self) -> float:
        self.pings += 1
        await self._takes_time("ping")
        if self.dead or self.broken:
            raise ConnectionError("no answer")
        return 1.0

    async def search(self, *numbers: float) -> list[float]:
        assert self.connected
        await asyncio.sleep(0)
        return [*numbers]


def fake(**attributes: Any) -> type[PooledFake]:
    """A class of fakes with counts of its own."""
    blank: dict[str, Any] = {"made": [], "connected_now": 0, "peak": 0, "delay": 0.0, "failures": [], "dead": False}
    return type("Fake", (PooledFake,), blank | {"hang": set()} | attributes)


class _NoWait(selectors.SelectSelector):
    """A selector that asks its loop to move its clock instead of waiting."""

    loop: InstantLoop

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("everything waits, and nothing will ever happen")
        if not ready and timeout is not None and timeout > 0:
            self.loop.now += timeout
        return ready


class InstantLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes as soon as nothing else is to be done; a deadlock is an error."""

    def __init__(self) -> None:
        self.now = 1000.0
        selector = _NoWait()
        selector.loop = self
        super().__init__(selector)
        self.unhandled: list[dict[str, Any]] = []
        self.set_exception_handler(lambda _, context: self.unhandled.append(context))

    def time(self) -> float:
        return self.now

    def timers(self) -> list[float]:
        """When something is to happen."""
        return [timer.when() for timer in self._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]

    def skip(self) -> None:
        """Move the clock to the next timer, if there is nothing to do before; for a loop that is turned by hand."""
        timers = self.timers()
        if timers and not self._ready:  # type: ignore[attr-defined]
            self.now = max(self.now, min(timers))


def instantly(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run on an :class:`InstantLoop`; no task or timer may be left, and no exception unnoticed."""

    async def watched() -> T:
        result = await main()
        await asyncio.sleep(0)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left
        return result

    with asyncio.Runner(loop_factory=InstantLoop) as runner:
        result = runner.run(watched())
        loop = runner.get_loop()
        assert isinstance(loop, InstantLoop)
        assert loop.timers() == []
    assert loop.unhandled == []
    return result


def instant(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Make a coroutine function a test that runs on an :class:`InstantLoop`."""

    @functools.wraps(test)
    def run(**arguments: Any) -> None:
        async def main() -> None:
            await test(**arguments)

        instantly(main)

    # The name of what is wrapped would lead pytest-asyncio to it.
    del run.__wrapped__  # type: ignore[attr-defined]
    run.__signature__ = inspect.signature(test)  # type: ignore[attr-defined]
    return run


async def settle(turns: int = 20) -> None:
    """Let everything happen that needs no time."""
    for _ in range(turns):
        await asyncio.sleep(0)


def inner(store: Any) -> PooledFake:
    """The store that a stand-in stands for."""
    found: PooledFake = store._pool_lease.member.store
    return found
