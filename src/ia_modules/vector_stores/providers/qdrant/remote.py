"""Qdrant on a server."""

from __future__ import annotations

import asyncio
import math
import socket
import warnings
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from ia_modules.vector_stores.config import VectorStoreConfig
from ia_modules.vector_stores.errors import UnsupportedOperationError
from ia_modules.vector_stores.parts import part
from ia_modules.vector_stores.providers.qdrant.backend import Backend, import_qdrant
from ia_modules.vector_stores.providers.qdrant.layout import TEXT
from ia_modules.vector_stores.providers.rpc import CHANNEL_OPTIONS

__all__ = ["BYTES_PER_POINT", "CONNECTION_OPTIONS", "MAX_REQUEST_BYTES", "ByteBudget", "RemoteBackend", "parts"]

CONNECTION_OPTIONS = frozenset({"grpc", "grpc_port", "prefix", "headers"})

_PORT, _GRPC_PORT = 6333, 6334
_OLDEST = (1, 16)
"""The first server line that keeps metadata of a collection, where the embedding model is recorded."""
_QUICK_ACK: int | None = getattr(socket, "TCP_QUICKACK", None)
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_NO_TIMEOUT = 86_400
_ONCE = frozenset({"create_collection", "delete_collection"})
"""Methods whose second answer is not the first one."""

MAX_REQUEST_BYTES = 24 * 2**20
"""Qdrant refuses a request of more than 32 MiB (``service.max_request_size_mb``)."""

BYTES_PER_POINT = 256
"""Taken for a point's ids and metadata."""

_IN_FLIGHT_BYTES = 64 * 2**20
"""Of all requests that write, so that large batches don't pile up in memory."""

_IDLE_SECONDS = 3.0
"""Qdrant was seen to close an idle connection after 4.7 s; one that we close first is never found closed in use."""


class RemoteBackend(Backend):
    """A server, by way of the client's asynchronous form.

    Args:
        config: host, port, key, and options.
    """

    def __init__(self, config: VectorStoreConfig) -> None:
        self._config = config
        self._client: Any = None
        self._writing = ByteBudget(_IN_FLIGHT_BYTES)
        self.timeout = _NO_TIMEOUT if config.timeout is None else math.ceil(config.timeout)

    async def open(self) -> None:
        """Connect, and see whether the server answers and is not too old.

        Raises:
            UnsupportedOperationError: a server before 1.16.
            MissingDependencyError: qdrant-client is not installed.
        """
        client = self._make_client()
        try:
            version = (await client.info()).version
            if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST:
                raise UnsupportedOperationError(
                    f"the Qdrant server is of version {version}; needed is {'.'.join(map(str, _OLDEST))} or later"
                )
        except BaseException:
            await client.close()
            raise
        self._client = client

    def _make_client(self) -> Any:
        qdrant = import_qdrant()
        import httpx

        config = self._config
        options = config.options
        tls = config.tls if config.tls is not None else config.secret is not None
        with warnings.catch_warnings():
            # A key over an unprotected connection: only if tls=False says so.
            warnings.filterwarnings("ignore", "Api key is used with an insecure connection", UserWarning)
            return qdrant.AsyncQdrantClient(
                host=config.host,
                port=config.port or _PORT,
                grpc_port=options.get("grpc_port", _GRPC_PORT),
                prefer_grpc=bool(options.get("grpc", False)),
                https=tls,
                api_key=config.secret,
                prefix=options.get("prefix"),
                headers=self._headers(),
                grpc_options=dict(CHANNEL_OPTIONS),
                timeout=self.timeout,
                check_compatibility=False,
                limits=httpx.Limits(
                    max_connections=100,
                    max_keepalive_connections=20 if _QUICK_ACK is not None or config.host not in _LOOPBACK else 0,
                    keepalive_expiry=_IDLE_SECONDS,
                ),
                event_hooks={"response": [_acknowledge]},
            )

    def _headers(self) -> dict[str, str]:
        given = {name.lower(): value for name, value in self._config.headers.items()}  # as gRPC wants them
        # To compress vectors that are written as text takes the server longer than to send them.
        return given if self._config.options.get("grpc") else {"accept-encoding": "identity", **given}

    async def close(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def call(self, method: str, *args: Any, **arguments: Any) -> Any:
        """Call a method of the client."""
        assert self._client is not None, "the store is not connected"
        client = self._client
        if method in _ONCE:
            return await getattr(client, method)(*args, **arguments)
        return await part(lambda: getattr(client, method)(*args, **arguments))


async def _acknowledge(response: Any) -> None:
    """Tell the server at once that the head of its answer has come.

    Qdrant sends head and body apart, and its operating system keeps the body back until the head is acknowledged, which
    ours puts off for 40 ms on a connection that is in use for a while: a search took 44 ms instead of 1.
    """
    stream = response.extensions.get("network_stream")
    connection = None if stream is None or _QUICK_ACK is None else stream.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)


def parts(payloads: Sequence[Mapping[str, Any]], size: int) -> Iterator[tuple[slice, int]]:
    """Slices of so many points that a request with them stays below the limit, and the bytes taken for each.

    Args:
        payloads: of the points; only their text is looked at, as metadata is seldom large.
        size: bytes of a point without its text.
    """
    start = taken = 0
    for end, payload in enumerate(payloads):
        own = size + len(payload.get(TEXT) or "")
        if taken and taken + own > MAX_REQUEST_BYTES:
            yield slice(start, end), taken
            start, taken = end, 0
        taken += own
    if taken:
        yield slice(start, len(payloads)), taken


class ByteBudget:
    """Bytes that may be on their way at the same time; who comes first goes first.

    Args:
        limit: bytes. A request with more goes alone.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def room_for(self, size: int) -> AsyncIterator[None]:
        """Wait until so many bytes more may be on their way, and count them as long as the block runs."""
        if self._waiting or not self._fits(size):
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append((size, turn))
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():  # it was our turn at the same moment
                    self._release(size)
                raise
        else:
            self._used += size
        try:
            yield
        finally:
            self._release(size)

    def _fits(self, size: int) -> bool:
        return not self._used or self._used + size <= self._limit

    def _release(self, size: int) -> None:
        self._used -= size
        while self._waiting and (self._waiting[0][1].cancelled() or self._fits(self._waiting[0][0])):
            waited, turn = self._waiting.popleft()
            if not turn.cancelled():
                self._used += waited
                turn.set_result(None)
