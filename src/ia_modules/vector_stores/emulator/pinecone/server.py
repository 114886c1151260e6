"""The server: a socket, a thread with an event loop, and what a test may do to it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import math
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ia_modules.vector_stores.emulator.pinecone.app import TRANSPORT, App
from ia_modules.vector_stores.emulator.pinecone.calls import RateLimit
from ia_modules.vector_stores.emulator.pinecone.engine import Engine
from ia_modules.vector_stores.emulator.pinecone.faults import Fault
from ia_modules.vector_stores.emulator.pinecone.lag import Lag, Reads, parsed_lag

__all__ = ["PineconeEmulator", "serving"]

T = TypeVar("T")

_KEEP_ALIVE = 300  # Longer than clients keep a connection: none ends while a request is on its way.


class _Protocol(HttpToolsProtocol):
    """Tells the application its connection, which faults break."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        cast("dict[str, Any]", self.scope)[TRANSPORT] = self.transport


class _Server(uvicorn.Server):
    """Says when it is up."""

    loop: asyncio.AbstractEventLoop

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.loop = asyncio.get_running_loop()
        self.up.set()


class PineconeEmulator:
    """A running emulator; ``serving`` makes one.

    Attributes:
        url: where it is, such as ``http://127.0.0.1:5080``.
        calls: how often each method and path was asked for, such as ``"POST /query"``; those of the data plane
            without the index.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        api_key: str | None = None,
        folder: Path | str | None = None,
        lag: float | Reads | str = 0,
        rate_limit: float | None = None,
        ready_after: float = 0.0,
    ) -> None:
        first, wait, rate = parsed_lag(lag), _checked_wait(ready_after), _checked_rate(rate_limit)
        if not 0 <= port <= 65535:
            raise ValueError(f"port must be from 0 to 65535, got {port}")
        if api_key == "":
            raise ValueError("api_key must not be empty; leave it out to accept any key")
        self._socket = _listening(host, port)
        try:
            engine = Engine(None if folder is None else Path(folder))
        except BaseException:
            self._socket.close()
            raise
        engine.lag, engine.ready_after = first, wait
        self._app = App(engine, api_key, RateLimit(rate))
        at = self._socket.getsockname()
        self.url = f"http://{f'[{at[0]}]' if ':' in at[0] else at[0]}:{at[1]}"
        self.calls: Counter[str] = self._app.calls
        config = uvicorn.Config(
            self._app,
            http=_Protocol,
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=_KEEP_ALIVE,
        )
        self._server = _Server(config)
        serve = self._server.serve(sockets=[self._socket])
        self._thread = threading.Thread(target=asyncio.run, args=(serve,), name="pinecone-emulator", daemon=True)

    @property
    def lag(self) -> Lag:
        """How late writes are seen: seconds or ``Reads(n)``. It can be set, also to a text such as "200ms"."""
        return self._app.engine.lag

    @lag.setter
    def lag(self, value: float | Reads | str) -> None:
        self._app.engine.lag = parsed_lag(value)

    @property
    def ready_after(self) -> float:
        """Seconds until a new index can be used. It can be set."""
        return self._app.engine.ready_after

    @ready_after.setter
    def ready_after(self, value: float) -> None:
        self._app.engine.ready_after = _checked_wait(value)

    @property
    def rate_limit(self) -> float | None:
        """Requests per second to each namespace, None for no limit. It can be set."""
        return self._app.rate.per_second

    @rate_limit.setter
    def rate_limit(self, value: float | None) -> None:
        self._app.rate.per_second = _checked_rate(value)

    def fail(
        self,
        how: int | str,
        on: str = "*",
        *,
        index: str = "*",
        times: int | None = 1,
        every: int = 1,
        probability: float = 1.0,
        seed: int = 0,
        after: bool = False,
        delay: float = 0.0,
        message: str = "injected by the emulator",
        retry_after: float | str | None = None,
    ) -> None:
        """Let requests fail from now on. May be called from any thread.

        Args:
            how: a status from 400 to 599; "drop", the connection ends without an answer; "cut", it ends in the middle
                of the answer; "slow", the answer is right but late; "half", an upsert stores the first half of its
                records and is then answered with 500.
            on: the requests it is about, such as ``"POST /query"``; ``*`` and ``?`` stand for any characters.
            index: those for this index; the same signs may be used.
            times: how many of them fail; None for all from now on.
            every: only every so-manieth of them.
            probability: with this probability, from 0 to 1.
            seed: of the random numbers for it.
            after: the request is carried out and its answer is lost. By default it is not carried out.
            delay: seconds before the request is looked at, for any kind of fault.
            message: what the error says.
            retry_after: the header of that name: seconds, or "date:SECONDS" for a date so far from now, or any text.

        Raises:
            ValueError: something is out of range.
        """
        self._app.faults.add(Fault(how, on, index, times, every, probability, seed, after, delay, message, retry_after))

    def heal(self) -> None:
        """Fail no more. May be called from any thread."""
        self._app.faults.clear()

    def reset(self) -> None:
        """No indexes, faults and calls; lag and rate limit as in the beginning. May be called from any thread."""
        self._in_loop(self._app.reset)

    def start(self) -> None:
        """Serve, in a thread of its own."""
        self._thread.start()
        while not self._server.up.wait(0.1):
            if not self._thread.is_alive():
                raise RuntimeError("the emulator could not start")

    def stop(self) -> None:
        """Serve no more, and give up port and folder."""
        self._in_loop(self._app.stopping.set)
        self._server.should_exit = self._server.force_exit = True
        self._thread.join()
        self._socket.close()
        self._app.engine.close()

    def _in_loop(self, function: Callable[[], T]) -> T:
        async def call() -> T:
            return function()

        return asyncio.run_coroutine_threadsafe(call(), self._server.loop).result()


def _checked_rate(value: float | None) -> float | None:
    if value is not None and not 0 < value < math.inf:
        raise ValueError(f"rate_limit must be a positive number, or None, got {value}")
    return value


def _checked_wait(value: float) -> float:
    if not 0 <= value < math.inf:
        raise ValueError(f"ready_after must be a number of seconds from 0, got {value}")
    return value


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio turns off Nagle's algorithm; without, each answer waits for some 40 ms.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(128)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise OSError(f"port {port} of {host} is in use") from None
        raise
    return listening


@contextlib.contextmanager
def serving(
    *,
    port: int = 0,
    host: str = "127.0.0.1",
    api_key: str | None = None,
    folder: Path | str | None = None,
    lag: float | Reads | str = 0,
    rate_limit: float | None = None,
    ready_after: float = 0.0,
) -> Iterator[PineconeEmulator]:
    """A Pinecone on this machine.

    Args:
        port: where it listens; 0 for a free port.
        host: the address it listens at. Nothing is encrypted: keep to this machine.
        api_key: the only key it takes; None for any.
        folder: where indexes and records are kept, in a file that is made if need be; None for memory only.
        lag: how late writes are seen by reads: seconds, ``Reads(n)``, or a text such as "200ms" or "3reads".
        rate_limit: requests per second to each namespace, beyond which the answer is 429; None for no limit.
        ready_after: seconds until a new index can be used.

    Raises:
        ValueError: an argument is out of range.
        FolderInUseError: another emulator has the folder.
        OSError: the port is in use, or the folder can't be written to.
    """
    emulator = PineconeEmulator(
        port=port, host=host, api_key=api_key, folder=folder, lag=lag, rate_limit=rate_limit, ready_after=ready_after
    )
    emulator.start()
    try:
        yield emulator
    finally:
        emulator.stop()
