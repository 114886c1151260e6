"""Chroma behind HTTP.

Chroma's own ``AsyncHttpClient`` keeps one HTTP client per event loop for the whole process, so that a second one
sends the first one's token, checks no certificates and has no timeout. Here each store has an HTTP client of its
own, handed to Chroma's API class before it makes one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from ia_modules.vector_stores.config import VectorStoreConfig
from ia_modules.vector_stores.errors import (
    AuthenticationError,
    ConnectionError,
    OperationTimeoutError,
    RateLimitError,
    VectorStoreError,
)
from ia_modules.vector_stores.parts import part
from ia_modules.vector_stores.providers.chroma.backend import (
    LIST_PAGE,
    Handle,
    MetadataChange,
    Rows,
    holding_lists,
    import_chromadb,
    rewritten,
    settings,
    with_replacements,
)

__all__ = ["RemoteBackend"]

T = TypeVar("T")

_DEFAULT_PORT = 8000
_NUMBERS_AT_ONCE = 256 * 1024


class RemoteBackend:
    """A Chroma server.

    Args:
        config: ``host``, ``port`` (8000), ``tls``, ``api_key`` (sent as ``x-chroma-token``), and the options
            ``tenant``, ``database`` and ``headers``.
    """

    in_memory = False

    def __init__(self, config: VectorStoreConfig) -> None:
        self._config = config
        self._scope = {
            "tenant": config.options.get("tenant", "default_tenant"),
            "database": config.options.get("database", "default_database"),
        }
        self._http: Any = None
        self._server: Any = None
        self._writing: set[str] = set()
        self._written = asyncio.Condition()

    async def open(self) -> None:
        """Connect and make sure that something answers.

        Raises:
            ConnectionError: nothing does.
            AuthenticationError: the server refuses the key.
        """
        await asyncio.to_thread(import_chromadb)
        import httpx
        from chromadb.api.async_fastapi import AsyncFastAPI
        from chromadb.config import System

        config = self._config
        tls = config.tls if config.tls is not None else config.api_key is not None
        headers = {"Content-Type": "application/json", **config.headers}
        if config.secret is not None:
            headers["x-chroma-token"] = config.secret
        system = System(
            settings(
                chroma_api_impl="chromadb.api.async_fastapi.AsyncFastAPI",
                chroma_server_host=config.host,
                chroma_server_http_port=config.port or (443 if tls else _DEFAULT_PORT),
                chroma_server_ssl_enabled=tls,
                chroma_server_ssl_verify=True,
            )
        )
        server = AsyncFastAPI(system)
        # The deadline of the call is ours; the client only keeps a lost peer from holding a connection for ever.
        http = httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(config.timeout, connect=10.0),
            limits=httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=30.0),
            event_hooks={"response": [_raise_for_status]},
        )
        server._clients = {asyncio.get_running_loop().__hash__(): http}  # noqa: SLF001 - see above
        try:
            await server.heartbeat()
            await server.get_database(self._scope["database"], tenant=self._scope["tenant"])
        except BaseException:
            await http.aclose()
            raise
        self._http, self._server = http, server
        # Bound to the event loop that first waits on it, which may not be the one of the last connection.
        self._writing, self._written = set(), asyncio.Condition()

    async def close(self) -> None:
        """Close the connections."""
        http, self._http, self._server = self._http, None, None
        if http is not None:
            await http.aclose()

    async def heartbeat(self) -> None:
        """Ask the server for a sign of life."""
        await self._server.heartbeat()

    async def find(self, name: str) -> Handle | None:
        """A collection by name, or None."""
        from chromadb.errors import NotFoundError

        try:
            return self._handle(await part(lambda: self._server.get_collection(name, **self._scope)))
        except NotFoundError:
            return None

    async def create(
        self, name: str, metadata: dict[str, Any], configuration: dict[str, Any], *, if_missing: bool
    ) -> Handle:
        """Create a collection; an existing one is an error unless ``if_missing``."""
        model = await self._server.create_collection(
            name, metadata=metadata, configuration=configuration, get_or_create=if_missing, **self._scope
        )
        return self._handle(model)

    async def drop(self, handle: Handle) -> None:
        """Delete a collection, and first the rows that would leave something behind."""
        ids: list[str] = []
        page: list[str] | None = None
        seen = 0
        while page is None or len(page) == LIST_PAGE:
            stored = await self.get(handle, include=["metadatas"], limit=LIST_PAGE, offset=seen)
            page = stored["ids"]
            seen += len(page)
            ids += holding_lists(stored)
        for start in range(0, len(ids), LIST_PAGE):
            await self._delete(handle, ids[start : start + LIST_PAGE])
        await self._server.delete_collection(handle.name, **self._scope)

    async def collections(self) -> Sequence[Handle]:
        """All collections."""
        models = await part(lambda: self._server.list_collections(**self._scope))
        return [self._handle(model) for model in models]

    async def count(self, handle: Handle) -> int:
        """Rows of a collection."""
        count: int = await part(handle.count)
        return count

    def changes(self, handle: Handle) -> None:
        """Others may write at any time."""

    async def get(self, handle: Handle, **arguments: Any) -> dict[str, Any]:
        """``AsyncCollection.get``."""
        found: dict[str, Any] = await part(lambda: handle.get(**arguments))
        return found

    async def query(self, handle: Handle, *, read: Callable[[dict[str, Any]], T], **arguments: Any) -> T:
        """``AsyncCollection.query``, and what ``read`` makes of the answer."""
        return read(await part(lambda: handle.query(**arguments)))

    async def replace(self, handle: Handle, rows: Rows) -> None:
        """Write rows; existing ones are replaced whole."""
        # Chroma's client packs a request in one go, on the event loop.
        size = max(1, _NUMBERS_AT_ONCE // rows.embeddings.shape[1])
        async with _Turn(self, rows.ids):
            for start in range(0, len(rows), size):
                piece = rows.part(start, size)
                old = (await self.get(handle, ids=piece.ids, include=[]))["ids"]
                if old:
                    stored = await self.get(handle, ids=old, include=["metadatas", "documents"])
                    piece = with_replacements(piece, stored)
                arguments = piece.arguments()
                await part(lambda given=arguments: handle.upsert(**given))  # type: ignore[misc]

    async def rewrite(self, handle: Handle, document_id: str, change: MetadataChange) -> bool:
        """Change one row's metadata; whether it exists."""
        async with _Turn(self, [document_id]):
            found = await self.get(handle, ids=[document_id], include=["metadatas"])
            if not found["ids"]:
                return False
            metadata = rewritten(found["metadatas"][0], change)
            if metadata:
                await part(lambda: handle.update(ids=[document_id], metadatas=[metadata]))
            return True

    async def delete(self, handle: Handle, ids: list[str]) -> int:
        """Delete rows by id; how many existed."""
        async with _Turn(self, ids):
            there = (await self.get(handle, ids=ids, include=[]))["ids"]
            if there:
                await self._delete(handle, there)
            return len(there)

    async def _delete(self, handle: Handle, ids: list[str]) -> None:
        await part(lambda: handle.delete(ids=ids))

    def _handle(self, model: Any) -> Handle:
        from chromadb.api.models.AsyncCollection import AsyncCollection

        return AsyncCollection(client=self._server, model=model, embedding_function=None, data_loader=None)


class _Turn:
    """Wait until none of the ids is being written by another task of this store.

    Replacing is a read and a write, as Chroma merges; two at once on the same id would mix.
    """

    def __init__(self, backend: RemoteBackend, ids: Sequence[str]) -> None:
        self._writing = backend._writing  # noqa: SLF001 - one class in two parts
        self._written = backend._written  # noqa: SLF001
        self._ids = frozenset(ids)

    async def __aenter__(self) -> None:
        if not self._writing.isdisjoint(self._ids):
            async with self._written:
                await self._written.wait_for(lambda: self._writing.isdisjoint(self._ids))
        self._writing |= self._ids

    async def __aexit__(self, *exception: object) -> None:
        self._writing -= self._ids
        # Waiters can only be told under the lock; taking it must not be cut short by a cancellation.
        await asyncio.shield(self._tell())

    async def _tell(self) -> None:
        async with self._written:
            self._written.notify_all()


async def _raise_for_status(response: Any) -> None:
    """Errors whose status Chroma's client would lose."""
    status = response.status_code
    if status < 400 or status in (400, 404, 405, 409, 413, 422):
        return  # Chroma has classes of its own for these
    await response.aread()
    message = f"HTTP {status}: {response.text[:200]}"
    if status in (401, 403):
        raise AuthenticationError(message)
    if status == 429:
        raise RateLimitError(message, retry_after=_seconds(response.headers.get("Retry-After")))
    if status in (408, 504):
        raise OperationTimeoutError(message)
    if status in (502, 503):
        raise ConnectionError(message)
    raise VectorStoreError(message, retryable=status >= 500)


def _seconds(retry_after: str | None) -> float | None:
    try:
        return max(0.0, float(retry_after)) if retry_after else None
    except ValueError:
        return None  # a date; the usual wait will do
