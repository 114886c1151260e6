"""The connection to Pinecone: its asynchronous client for indexes, and our own requests for records.

The client's ``AsyncIndex`` is passed by. Its ``delete`` does not give the headers that say when it can be read; it
tries every request four times, with a budget of retries that one failing index uses up for the whole process, and can't
be told not to; it drops connections that were idle for five seconds; and it does more around a request than ours.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ia_modules.vector_stores.config import VectorStoreConfig
from ia_modules.vector_stores.errors import (
    AuthenticationError,
    ConnectionError,
    IndexNotFoundError,
    UnsupportedOperationError,
)
from ia_modules.vector_stores.parts import part
from ia_modules.vector_stores.providers.packages import imported, require
from ia_modules.vector_stores.providers.pinecone.errors import is_namespace_missing, status_of
from ia_modules.vector_stores.providers.pinecone.wire import Answer, Wire
from ia_modules.vector_stores.providers.threads import finished

__all__ = ["CONNECTION_OPTIONS", "Connection"]

CONNECTION_OPTIONS = frozenset({"headers", "proxy_url", "ssl_ca_certs"})

_OLDEST_CLIENT = (10, 0)
_NO_TIMEOUT = 86_400.0
_LOOPBACK = ("127.", "::1")


class Connection:
    """One index of Pinecone, by way of its client.

    Args:
        config: host, key and options.
        name: the index's name in Pinecone.
        gone: called when the index turns out to be gone, or another one than it was.
    """

    def __init__(self, config: VectorStoreConfig, name: str, gone: Callable[[], None] = lambda: None) -> None:
        self._config = config
        self._name = name
        self._gone = gone
        self._client: Any = None
        self._index: Wire | None = None
        self._timeout = _NO_TIMEOUT if config.timeout is None else config.timeout
        self._key = config.secret or "none"  # what stands in for Pinecone may not ask for one
        self._trust: ssl.SSLContext | None = None
        self._dumps: Any = None
        self._numpy: int = 0

    async def open(self) -> None:
        """Make the client, and see whether Pinecone answers and knows the key.

        Raises:
            AuthenticationError: there is no key, or it is not accepted.
            ConnectionError: there is no answer.
            MissingDependencyError: the client is not installed.
        """
        pinecone = imported("pinecone", provider="pinecone")
        require("pinecone", _OLDEST_CLIENT, provider="pinecone")
        orjson = imported("orjson", provider="pinecone")
        self._dumps, self._numpy = orjson.dumps, orjson.OPT_SERIALIZE_NUMPY
        config = self._config
        if config.secret is None and config.host is None:
            raise AuthenticationError("Pinecone needs an api_key; pass api_key= or set IA_VECTORS_API_KEY")
        host = self._control_host()
        self._client = pinecone.AsyncPinecone(
            api_key=self._key,
            host=host,
            additional_headers=dict(config.headers),
            timeout=self._timeout,
            proxy_url=config.proxy,
            ssl_verify=await self._tls(host),
            retry_config=pinecone.RetryConfig(max_retries=0),
        )
        try:
            await self.describe()
        except BaseException:
            await self.close()
            raise

    def _control_host(self) -> str | None:
        config = self._config
        if config.host is None:
            return None
        tls = config.tls
        if tls is None:
            tls = config.secret is not None and config.host != "localhost" and not config.host.startswith(_LOOPBACK)
        host = f"[{config.host}]" if ":" in config.host else config.host
        return f"{'https' if tls else 'http'}://{host}{'' if config.port is None else f':{config.port}'}"

    async def _tls(self, host: str | None) -> ssl.SSLContext:
        """What the client connects with; it would read all certificates by itself, each time and on the event loop."""
        if host is not None and host.startswith("http://"):
            return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # for nothing; it trusts nobody
        if self._trust is None:
            self._trust = await asyncio.to_thread(_trusting, self._config.options.get("ssl_ca_certs"))
        return self._trust

    async def close(self) -> None:
        """Close all connections."""
        both = self._index, self._client
        self._client = self._index = None
        await finished(_closed(both))

    # Indexes

    async def describe(self) -> Any:
        """The client's model of the index, or None if there is none."""
        try:
            return await self._client.indexes.describe(self._name)
        except Exception as error:
            if status_of(error) == 404:
                return None
            raise

    async def create(self, **arguments: Any) -> None:
        """Create the index, without waiting until it is ready."""
        await self._client.indexes.create(name=self._name, timeout=-1, **arguments)

    async def delete(self) -> None:
        """Delete the index, without waiting until it is gone."""
        await self._client.indexes.delete(self._name, timeout=-1)

    async def forget(self) -> None:
        """Close the connection to the index, which may be another one the next time."""
        index, self._index = self._index, None
        if index is not None:
            await finished(index.close())

    # Records

    def json(self, value: Any) -> bytes:
        """A value as JSON; arrays have to be contiguous float32."""
        data: bytes = self._dumps(value, option=self._numpy)
        return data

    async def post(self, path: str, body: Mapping[str, Any] | bytes) -> Answer:
        """POST to the index."""
        content = body if isinstance(body, bytes) else self.json(body)
        return await part(lambda: self._ask(lambda wire: wire.post(path, content)))

    async def get(self, path: str, query: str) -> Answer:
        """GET from the index; ``query`` as it stands in the address."""
        return await part(lambda: self._ask(lambda wire: wire.get(path, query)))

    async def _ask(self, request: Callable[[Wire], Awaitable[Answer]]) -> Answer:
        """The answer; an empty one if the namespace does not exist, as an empty one need not."""
        index = self._index or await self._open_index()
        try:
            return await request(index)
        except Exception as error:
            if is_namespace_missing(error):
                return Answer({}, {})
            if status_of(error) == 404 or _is_name_unknown(error):
                await self._look_again(index, error)
            raise

    async def _open_index(self) -> Wire:
        model = await self.describe()
        if model is None or not model.host:
            raise IndexNotFoundError(f"index {self._name!r} does not exist")
        tls = await self._tls(model.host)
        if self._index is None:  # another task may have come first
            config = self._config
            self._index = Wire(model.host, self._key, config.headers, tls, self._timeout, config.proxy)
        return self._index

    async def _look_again(self, index: Wire, error: Exception) -> None:
        """What it means that the index does not answer where it was."""
        model = await self.describe()
        if model is None:
            self._gone()
            raise IndexNotFoundError(f"index {self._name!r} does not exist") from error
        if model.host != index.host:
            self._gone()
            if self._index is index:
                await self.forget()
            raise ConnectionError(f"index {self._name!r} has moved to another host") from error


def _trusting(certificates: Any) -> ssl.SSLContext:
    """Whom to trust: those in a file or a folder, or those that the client's packages bring."""
    import httpx

    if certificates is None:
        return httpx.create_ssl_context()
    path = Path(certificates)
    if not path.exists():
        raise UnsupportedOperationError(f"ssl_ca_certs={str(path)!r} does not exist")
    return ssl.create_default_context(capath=path) if path.is_dir() else ssl.create_default_context(cafile=path)


async def _closed(clients: Sequence[Any]) -> None:
    for client in clients:
        if client is not None:
            await client.close()


def _is_name_unknown(error: BaseException) -> bool:
    """Whether a host's name could not be resolved, which is how an index that is gone looks."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        if isinstance(link, socket.gaierror):
            return True
        link = link.__cause__ or link.__context__
    return False
