"""One connection through the proxy."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from typing import TYPE_CHECKING

from .faults import Fault, Kind, Way

if TYPE_CHECKING:
    from .proxy import FaultProxy

_SLICE_SECONDS = 0.01
_MOST_WAITING = 256 * 1024


class End(asyncio.Protocol):
    """One side of a connection: the client's or the server's.

    Args:
        link: the connection.
        way: of what this side sends.
    """

    def __init__(self, link: Link, way: Way) -> None:
        self.link = link
        self.way = way
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.link.made(self)

    def data_received(self, data: bytes) -> None:
        self.link.pipes[self.way].take(data)

    def eof_received(self) -> bool:
        self.link.pipes[self.way].take_end()
        return True  # the other direction may go on

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self.link.gone(self)

    def pause_writing(self) -> None:
        self.link.pipes[_other(self.way)].block(full=True)

    def resume_writing(self) -> None:
        self.link.pipes[_other(self.way)].block(full=False)

    def reset(self) -> None:
        """Close so that the peer gets an RST."""
        if self.transport is not None:
            sock = self.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()

    def close(self) -> None:
        """Close once all is written."""
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        """Close at once."""
        if self.transport is not None:
            self.transport.abort()


class Link:
    """A client's connection, and the one to the server that belongs to it."""

    def __init__(self, proxy: FaultProxy) -> None:
        self.proxy = proxy
        self.client = End(self, Way.REQUEST)
        self.server = End(self, Way.ANSWER)
        self.pipes = {
            Way.REQUEST: Pipe(self, Way.REQUEST, self.client, self.server),
            Way.ANSWER: Pipe(self, Way.ANSWER, self.server, self.client),
        }
        self.planned: Fault | None = None
        self.stalled = False
        self.ended = False
        self._owed = False
        self._connecting: asyncio.Task[None] | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<Link client={self.client.transport} server={self.server.transport} {self.pipes}>"

    def made(self, end: End) -> None:
        """One side is connected."""
        if end is self.server:
            if self.ended:
                end.abort()
            elif self.client.transport is not None:
                self.client.transport.resume_reading()
            return
        proxy = self.proxy
        proxy.entered(self)
        if proxy.plan and not proxy.paused:
            self.planned = proxy.plan.popleft()
        refused = proxy.active is not None and proxy.active.of_connection() is not None
        if refused or (self.planned is not None and self.planned.kind is Kind.REFUSE):
            proxy.injected[Kind.REFUSE] += 1
            self._finish()
            end.reset()
            return
        assert end.transport is not None
        end.transport.pause_reading()  # what comes is for somebody
        self._connecting = asyncio.get_running_loop().create_task(self._connect())
        self._watch()

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: self.server, *self.proxy.upstream)
        except OSError:
            self.proxy.unreachable += 1
            self._finish()
            self.client.reset()
        finally:
            loop.call_soon(self._connected)  # after what a cancelled attempt still has to close

    def _connected(self) -> None:
        self._connecting = None
        self._settle()

    def gone(self, end: End) -> None:
        """One side has closed: so does the other one, the client's after what is still to be written to it."""
        if self._connecting is not None and end is self.client:
            self._connecting.cancel()
        if end is self.client:
            self._finish()
            self.server.abort()
        else:
            self.pipes[Way.REQUEST].drop()
            if not self.pipes[Way.ANSWER].waiting:
                self.client.close()
        self._settle()

    def _settle(self) -> None:
        if self.client.transport is None and self.server.transport is None and self._connecting is None:
            self._finish()
            self.proxy.left(self)

    def _finish(self) -> None:
        self.ended = True
        for handle in (self._idle, self._stall):
            if handle is not None:
                handle.cancel()
        for pipe in self.pipes.values():
            pipe.drop()

    def abort(self) -> None:
        """Close both sides at once."""
        self._finish()
        if self._connecting is not None:
            self._connecting.cancel()
        self.client.abort()
        self.server.abort()

    def both_shut(self) -> None:
        """Close everything if both streams have ended."""
        if all(pipe.shut for pipe in self.pipes.values()):
            self.client.close()
            self.server.close()

    def moved(self, way: Way) -> None:
        """Bytes have come in one direction."""
        self._owed = way is Way.REQUEST
        self._watch()

    def _watch(self) -> None:
        """Start to wait for idleness anew."""
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if self.proxy.active is not None and not self.ended:
            seconds = self.proxy.active.idle_seconds()
            if seconds is not None:
                self._idle = asyncio.get_running_loop().call_later(seconds, self._close_idle)

    def _close_idle(self) -> None:
        if self.proxy.paused or self.ended:
            return
        if self._owed:
            self.proxy.injected[Kind.CUT] += 1
            self.proxy.lost[Way.ANSWER] += 1
        else:
            self.proxy.idle_closed += 1
        self.abort()

    def strike(self, fault: Fault) -> None:
        """Let a fault happen, now that its bytes have come."""
        proxy = self.proxy
        pipe = self.pipes[fault.way]
        proxy.injected[fault.kind] += 1
        if fault.kind in (Kind.CUT, Kind.RESET, Kind.HALF_CLOSE):
            proxy.lost[fault.way] += 1
        match fault.kind:
            case Kind.CUT | Kind.REFUSE:
                self.abort()
            case Kind.RESET:
                self._finish()
                self.client.reset()
                self.server.abort()
            case Kind.HALF_CLOSE:
                pipe.end()
            case Kind.STALL:
                self.stalled = True
                self._stall = asyncio.get_running_loop().call_later(fault.seconds, self._go_on)
            case Kind.DELAY:
                pipe.hold(fault.seconds)
            case Kind.THROTTLE:
                pipe.rate = fault.rate

    def _go_on(self) -> None:
        self.stalled = False
        for pipe in self.pipes.values():
            pipe.pump()


class Pipe:
    """One direction of a connection.

    What comes is read even while nothing goes on, so that a client that leaves meanwhile is noticed.
    """

    def __init__(self, link: Link, way: Way, source: End, target: End) -> None:
        self.waiting: deque[bytes | None] = deque()
        self.rate = 0.0
        self.shut = False
        self._link = link
        self._way = way
        self._source = source
        self._target = target
        self._passed = 0
        self._timer: asyncio.TimerHandle | None = None
        self._full = False
        self._ended = False

    def __repr__(self) -> str:
        return f"<{len(self.waiting)} waiting, passed={self._passed} shut={self.shut} ended={self._ended}>"

    def take(self, data: bytes) -> None:
        """Bytes that have come."""
        link = self._link
        if link.ended or self.shut:
            return
        link.moved(self._way)
        fault, place = self._fault(len(data))
        self._passed += len(data)
        if fault is not None:
            if place:
                self.waiting.append(data[:place])
                self.pump()
            link.strike(fault)
            if link.ended or self.shut:
                return
        self.waiting.append(data[place:])
        self.pump()
        self._check_backlog()

    def take_end(self) -> None:
        """The sender has ended its stream."""
        if self._ended or self._link.ended:
            return
        self._ended = True
        if self.shut or (self._way is Way.REQUEST and self._link.stalled):
            self._link.abort()  # nobody is there any more for whom something could go on
            return
        self.waiting.append(None)
        self.pump()

    def _fault(self, size: int) -> tuple[Fault | None, int]:
        """The fault that the next bytes meet, and at which of them."""
        link = self._link
        planned = link.planned
        if link.proxy.paused or link.stalled:
            return None, 0
        if planned is not None and planned.way is self._way and self._passed + size > planned.after:
            link.planned = None
            return planned, max(0, planned.after - self._passed)
        fault = None if link.proxy.active is None else link.proxy.active.of_piece(self._way, size)
        return fault, fault.after if fault else 0

    def hold(self, seconds: float) -> None:
        """Let nothing pass for a while."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._release)

    def _release(self) -> None:
        self._timer = None
        self.pump()
        self._check_backlog()

    def pump(self) -> None:
        """Write what may be written now."""
        target = self._target.transport
        if target is None or target.is_closing():
            return
        while self.waiting and self._timer is None and not self._link.stalled and not self._full:
            data = self.waiting.popleft()
            if data is None:
                self.end()
                return
            size = max(1, int(self.rate * _SLICE_SECONDS)) if self.rate else len(data)
            if len(data) > size:
                self.waiting.appendleft(data[size:])
                data = data[:size]
            if self.rate:
                self.hold(len(data) / self.rate)
            self._link.proxy.forwarded[self._way] += len(data)
            target.write(data)
        if not self.waiting and self._source.transport is None:
            target.close()

    def end(self) -> None:
        """End the stream for the receiver; what comes later is lost."""
        self.shut = True
        self.waiting.clear()
        target = self._target.transport
        if target is not None and not target.is_closing():
            if self._source.transport is None:
                target.close()
            else:
                try:
                    target.write_eof()
                except OSError:  # it was reset, which goes unnoticed once its own stream has ended
                    self._link.abort()
        self._link.both_shut()

    def drop(self) -> None:
        """Forget what has not been written."""
        self.waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def block(self, *, full: bool) -> None:
        """The receiver takes no more, or does again."""
        self._full = full
        self.pump()
        self._check_backlog()

    def _check_backlog(self) -> None:
        """Read no more for the time being if too much waits."""
        source = self._source.transport
        if source is None or source.is_closing() or self._ended:
            return
        much = sum(len(data or b"") for data in self.waiting) > _MOST_WAITING
        if much and source.is_reading():
            source.pause_reading()
        elif not much and not source.is_reading():
            source.resume_reading()


def _other(way: Way) -> Way:
    return Way.ANSWER if way is Way.REQUEST else Way.REQUEST
