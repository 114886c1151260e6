"""Requests to one index, over connections that are kept.

This is what the HTTP library of Pinecone's client is itself built on: a request costs less there, and is made once.
"""

from __future__ import annotations

import socket
import ssl
import zlib
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from ia_modules.vector_stores.providers.packages import imported
from ia_modules.vector_stores.providers.pinecone.errors import RefusedError

__all__ = ["Answer", "Wire"]

_API_VERSION = b"2026-07"
_CONNECTIONS = 20
"""At a time, as many as the client has. Looking for a free one takes the longer the more there are."""
_IDLE = 30.0
"""Seconds that a connection is kept without being used."""
_OPTIONS = ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1))
_GZIP = 16 + zlib.MAX_WBITS


class Answer(NamedTuple):
    """What a request was answered.

    Attributes:
        content: the JSON, read.
        headers: by lower-case names.
    """

    content: Any
    headers: Mapping[str, str]


class Wire:
    """Connections to one index.

    Args:
        host: of the index, as Pinecone gives it; without a scheme it is https.
        key: API key.
        headers: further ones for every request.
        tls: whom to trust.
        timeout: seconds.
        proxy: URL of a proxy, or None.
    """

    def __init__(
        self,
        host: str,
        key: str,
        headers: Mapping[str, str],
        tls: ssl.SSLContext,
        timeout: float,
        proxy: str | None,
    ) -> None:
        httpcore = imported("httpcore", provider="pinecone")
        self.host = host
        parts = urlsplit(host if "://" in host else f"https://{host}")
        hostname = (parts.hostname or "").encode("idna")
        self._place = {"scheme": parts.scheme.encode(), "host": hostname, "port": parts.port}
        self._prefix = parts.path.rstrip("/").encode()
        agent = f"ia-modules-vector-stores/{version('ia-modules-vector-stores')}"
        fixed = {
            b"host": parts.netloc.rpartition("@")[2].encode(),
            b"api-key": key.encode(),
            b"x-pinecone-api-version": _API_VERSION,
            b"user-agent": agent.encode(),
            b"accept-encoding": b"gzip",
        }
        fixed |= {name.lower().encode(): value.encode() for name, value in headers.items()}
        self._headers = list(fixed.items())
        self._json = [*self._headers, (b"content-type", b"application/json")]
        self._extensions = {"timeout": dict.fromkeys(("connect", "read", "write", "pool"), timeout)}
        self._loads = imported("orjson", provider="pinecone").loads
        self._url, self._request = httpcore.URL, httpcore.Request
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=_CONNECTIONS,
            max_keepalive_connections=_CONNECTIONS,
            keepalive_expiry=_IDLE,
            socket_options=_OPTIONS,
            proxy=None if proxy is None else httpcore.Proxy(proxy),
        )

    async def post(self, path: str, content: bytes) -> Answer:
        """POST with JSON."""
        headers = [*self._json, (b"content-length", str(len(content)).encode())]
        return await self._ask(b"POST", path.encode(), headers, content)

    async def get(self, path: str, query: str) -> Answer:
        """GET; ``query`` as it stands in the address."""
        return await self._ask(b"GET", f"{path}?{query}".encode(), self._headers, None)

    async def _ask(
        self, method: bytes, target: bytes, headers: list[tuple[bytes, bytes]], content: bytes | None
    ) -> Answer:
        url = self._url(**self._place, target=self._prefix + target)
        request = self._request(method, url, headers=headers, content=content, extensions=self._extensions)
        response = await self._pool.handle_async_request(request)
        try:
            body: bytes = await response.aread()
        finally:
            await response.aclose()
        found = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
        if found.get("content-encoding") == "gzip":
            body = zlib.decompress(body, _GZIP)
        if response.status != 200:
            raise RefusedError(response.status, body, found)
        return Answer(self._loads(body), found)

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.aclose()
