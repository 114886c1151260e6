"""The chroma provider."""

from __future__ import annotations

import asyncio
import dataclasses
import weakref
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, TypeVar

from ia_modules.vector_stores.base import VectorStoreBase
from ia_modules.vector_stores.capabilities import Capabilities
from ia_modules.vector_stores.config import VectorStoreConfig
from ia_modules.vector_stores.documents import DocumentBatch
from ia_modules.vector_stores.errors import (
    IndexAlreadyExistsError,
    IndexNotFoundError,
    VectorStoreError,
)
from ia_modules.vector_stores.filters import MATCH_ALL, Node, predicate
from ia_modules.vector_stores.filters.compilers.chroma import ChromaCompiler
from ia_modules.vector_stores.models import IndexStats, SearchResult, VectorDocument
from ia_modules.vector_stores.providers.chroma.backend import Backend, Handle, Rows
from ia_modules.vector_stores.providers.chroma.embedded import EmbeddedBackend
from ia_modules.vector_stores.providers.chroma.errors import map_error
from ia_modules.vector_stores.providers.chroma.layout import (
    MAX_INDEX_NAME_BYTES,
    OWN,
    WRITTEN,
    collection_name,
    decode,
    decode_text,
    encode,
    namespace_of,
)
from ia_modules.vector_stores.providers.chroma.remote import RemoteBackend
from ia_modules.vector_stores.providers.chroma.searching import SPACES, Searcher, documents_of
from ia_modules.vector_stores.providers.threads import release_later
from ia_modules.vector_stores.requests import IndexInfo, ScanPage, SearchRequest, TextsPage, TextsState
from ia_modules.vector_stores.text_search import COUNTED, stamp

__all__ = ["ChromaVectorStore"]

T = TypeVar("T")

DEFAULT_PATH = "./chroma"
"""Where Chroma's own client keeps its data if it is told nothing."""

_PAGE = 1000
_HNSW_OPTIONS = frozenset(
    {"ef_construction", "ef_search", "max_neighbors", "num_threads", "batch_size", "sync_threshold", "resize_factor"}
)
_METRICS = {space: metric for metric, space in SPACES.items()}

_REMOTE = Capabilities(
    provider="chroma",
    metrics=frozenset(SPACES),
    embedded=True,
    remote=True,
    max_batch_size=5461,
    # Chroma's distances are single precision throughout: beyond this they would be NaN, infinite or 0.
    vector_lengths=(1e-15, 1e15),
    filters={
        "exists": "checked",
        "gt": "checked",
        "gte": "checked",
        "lt": "checked",
        "lte": "checked",
    },
    batch_search=True,
    text_search="index",
)
_EMBEDDED = dataclasses.replace(_REMOTE, shared_by_processes=False, max_event_loop_stall_ms=100.0)


class ChromaVectorStore(VectorStoreBase):
    """An index in Chroma: on a server if ``host`` is given, else in a folder of this machine.

    Without ``host``, ``path`` is the folder (``./chroma`` if not given), or ``:memory:``. A folder can be open in one
    process at a time; ``chroma run --path FOLDER`` serves several. Options of ``create_index``: ``hnsw``, a dict of
    Chroma's HNSW settings such as ``{"ef_search": 200}``. Config options: ``tenant``, ``database`` and ``headers``
    for a server.

    Several processes that replace the same document on a server at the same moment may mix its metadata keys, since
    Chroma has no atomic replace; within one store that can't happen.
    """

    provider: ClassVar[str] = "chroma"
    client_packages: ClassVar[tuple[str, ...]] = ("chromadb", "httpx")

    def __init__(self, config: VectorStoreConfig) -> None:
        super().__init__(config)
        known = {"tenant", "database", "headers"} if config.host is not None else set()
        if unknown := set(config.options) - known:
            raise ValueError(f"unknown options for chroma: {', '.join(sorted(unknown))}")
        if config.host is not None and config.path is not None:
            raise ValueError("chroma is either a server (host) or a folder (path), not both")
        if config.host is None and config.port is not None:
            raise ValueError("a port without a host; give host= for a server, or path= for a folder")
        if len(config.index_name.encode()) > MAX_INDEX_NAME_BYTES:
            raise ValueError(f"an index name has at most {MAX_INDEX_NAME_BYTES} bytes on chroma")
        self._backend: Backend
        if config.host is not None:
            self._backend = RemoteBackend(config)
        else:
            backend = EmbeddedBackend(config.path or DEFAULT_PATH)
            self._backend = backend
            self.loop_bound = False
            # A store that is dropped without disconnect() must not keep the folder locked.
            weakref.finalize(self, release_later, backend.release).atexit = False
        self._compiler = ChromaCompiler(companions=True)
        self._searcher = Searcher(self._backend, self._compiler)
        self._handles: dict[str, Handle] = {}

    @property
    def capabilities(self) -> Capabilities:
        """What this provider can do."""
        return _EMBEDDED if self.config.host is None else _REMOTE

    def _map_error(self, error: Exception) -> VectorStoreError | None:
        return map_error(error)

    async def _open(self) -> None:
        self._handles.clear()  # they hold on to the connection that they were found with
        await self._backend.open()

    async def _close(self) -> None:
        self._handles.clear()
        await self._backend.close()

    async def _ping(self) -> None:
        await self._backend.heartbeat()

    # Index

    async def _create_index(self, info: IndexInfo, options: dict[str, Any]) -> None:
        hnsw = dict(options.pop("hnsw", None) or {})
        if options or not _HNSW_OPTIONS.issuperset(hnsw):
            unknown = ", ".join(sorted([*options, *(set(hnsw) - _HNSW_OPTIONS)]))
            raise self._unsupported("create_index", f"chroma has no option {unknown}; known: hnsw, a dict of settings")
        metadata = {"ia:index": self.config.index_name, "ia:dimension": info.dimension}
        if info.embedding_model is not None:
            metadata["ia:embedding_model"] = info.embedding_model
        name = self._collection_name("")
        if await self._backend.find(name) is not None:
            raise IndexAlreadyExistsError(f"index {self.config.index_name!r} exists already")
        configuration = {"hnsw": {"space": SPACES[info.metric], **hnsw}}
        self._handles.clear()
        self._handles[""] = await self._backend.create(name, metadata, configuration, if_missing=False)

    async def _drop_index(self) -> None:
        self._handles.clear()
        if await self._backend.find(self._collection_name("")) is None:
            raise self._index_not_found()
        # The default namespace's collection is what makes the index exist, so it goes last: cut short in between,
        # the index is still there to be deleted again, and nothing can come back to life in a new one.
        collections = await self._collections()
        for namespace in sorted(collections, reverse=True):
            await self._backend.drop(collections[namespace])

    async def _load_index(self) -> IndexInfo | None:
        handle = await self._backend.find(self._collection_name(""))
        if handle is None:
            return None
        self._handles[""] = handle
        metadata = handle.metadata or {}
        space = (handle.configuration_json.get("hnsw") or handle.configuration_json.get("spann") or {}).get("space")
        if space not in _METRICS:
            raise self._unsupported("open", f"collection {handle.name!r} has the space {space!r}, which is unknown")
        dimension = metadata.get("ia:dimension") or handle._model.dimension  # noqa: SLF001 - not public elsewhere
        return IndexInfo(dimension, _METRICS[space], metadata.get("ia:embedding_model"))

    async def _collections(self) -> dict[str, Handle]:
        """The index's collections by namespace."""
        found: dict[str, Handle] = {}
        for handle in await self._backend.collections():
            namespace = namespace_of(self.config.index_name, handle.name)
            if namespace is not None:
                found[namespace] = handle
        if "" not in found:
            raise self._index_not_found()
        return found

    async def _sizes(self) -> dict[str, int]:
        collections = await self._collections()
        sizes = await asyncio.gather(*(self._backend.count(handle) for handle in collections.values()))
        return {namespace: size for namespace, size in zip(collections, sizes, strict=True) if size}

    async def _stats(self, info: IndexInfo) -> IndexStats:
        sizes = await self._sizes()
        return IndexStats(total_vectors=sum(sizes.values()), dimension=info.dimension or 0, namespace_count=len(sizes))

    async def _namespaces(self) -> list[str]:
        return list(await self._sizes())

    # Writing

    async def _upsert(self, batch: DocumentBatch, namespace: str) -> None:
        metadatas = [encode(metadata) for metadata in batch.metadatas]
        if self.config.host is not None:
            written = {WRITTEN: stamp()}
            metadatas = [written if metadata is None else metadata | written for metadata in metadatas]
        rows = Rows(batch.ids, batch.vectors, metadatas, batch.texts)
        await self._on(namespace, lambda handle: self._backend.replace(handle, rows), None, make=True)

    async def _update_metadata(self, document_id: str, changes: dict[str, Any], namespace: str) -> bool:
        def change(native: dict[str, Any] | None) -> dict[str, Any] | None:
            changed = encode(decode(native) | changes)
            kept = {key: value for key, value in (native or {}).items() if key in OWN}
            return (changed or {}) | kept if kept else changed

        return await self._on(namespace, lambda handle: self._backend.rewrite(handle, document_id, change), False)

    async def _delete_ids(self, ids: list[str], namespace: str) -> int:
        return await self._on(namespace, lambda handle: self._delete_pages(handle, ids), 0)

    async def _delete_where(self, filters: Node, namespace: str) -> int:
        async def delete(handle: Handle) -> int:
            return await self._delete_pages(handle, await self._searcher.matching_ids(handle, filters))

        return await self._on(namespace, delete, 0)

    async def _empty_namespace(self, namespace: str) -> int:
        async def drop(handle: Handle) -> int:
            count = await self._backend.count(handle)
            await self._backend.drop(handle)
            self._handles.pop(namespace, None)
            return count

        async def empty(handle: Handle) -> int:
            # This collection is also the record of the index, so it stays.
            return await self._delete_pages(handle, (await self._backend.get(handle, include=[]))["ids"])

        return await self._on(namespace, drop if namespace else empty, 0)

    async def _delete_pages(self, handle: Handle, ids: list[str]) -> int:
        deleted = 0
        for start in range(0, len(ids), _PAGE):
            deleted += await self._backend.delete(handle, ids[start : start + _PAGE])
        return deleted

    # Reading

    async def _search(self, request: SearchRequest) -> list[SearchResult]:
        return (await self._search_many([request]))[0]

    async def _search_many(self, requests: list[SearchRequest]) -> list[list[SearchResult]]:
        nothing: list[list[SearchResult]] = [[] for _ in requests]
        return await self._on(requests[0].namespace, lambda handle: self._searcher.search(handle, requests), nothing)

    async def _texts_state(self, namespace: str, since: tuple[int, ...]) -> TextsState:
        async def state(handle: Handle) -> TextsState:
            changes = self._backend.changes(handle)
            if changes is not None:
                return TextsState(changes)
            # COUNTED and one more, so that what was counted to the end can be told from what was not.
            newer = [
                await self._backend.get(handle, where={WRITTEN: {"$gt": one}}, limit=COUNTED + 1, include=[])
                for one in since
            ]
            documents = await self._backend.count(handle)
            return TextsState(documents=documents, newer=tuple(len(found["ids"]) for found in newer))

        return await self._on(namespace, state, TextsState("none"))

    async def _texts_page(self, namespace: str, since: int | None, size: int, cursor: object | None) -> TextsPage:
        async def read(handle: Handle) -> TextsPage:
            ids: list[str]
            if isinstance(cursor, tuple):
                ids, start = cursor
            else:
                later = {} if since is None else {"where": {WRITTEN: {"$gt": since}}}
                ids, start = (await self._backend.get(handle, include=[], **later))["ids"], 0
            end = start + size
            if not ids:
                return TextsPage([], [], [], None)
            rows = await self._backend.get(handle, ids=ids[start:end], include=["metadatas", "documents"])
            natives = rows["metadatas"]
            texts = [decode_text(native, text) for native, text in zip(natives, rows["documents"], strict=True)]
            stamps = [(native or {}).get(WRITTEN) for native in natives]
            return TextsPage(rows["ids"], texts, stamps, (ids, end) if end < len(ids) else None)

        return await self._on(namespace, read, TextsPage([], [], [], None))

    async def _fetch(self, ids: list[str], namespace: str) -> dict[str, VectorDocument]:
        async def fetch(handle: Handle) -> dict[str, VectorDocument]:
            found: dict[str, VectorDocument] = {}
            for start in range(0, len(ids), _PAGE):
                rows = await self._backend.get(
                    handle, ids=ids[start : start + _PAGE], include=["embeddings", "metadatas", "documents"]
                )
                found.update((document.id, document) for document in documents_of(rows))
            return found

        return await self._on(namespace, fetch, {})

    async def _count(self, filters: Node, namespace: str) -> int:
        async def count(handle: Handle) -> int:
            if filters == MATCH_ALL:
                return await self._backend.count(handle)
            return len(await self._searcher.matching_ids(handle, filters))

        return await self._on(namespace, count, 0)

    async def _scan_page(
        self, namespace: str, filters: Node, size: int, include_vectors: bool, cursor: object | None
    ) -> ScanPage:
        async def scan(handle: Handle) -> ScanPage:
            # The ids are listed once: pages by offset would skip rows when others are deleted meanwhile.
            ids: list[str]
            if isinstance(cursor, tuple):
                ids, start = cursor
            else:
                ids, start = await self._searcher.matching_ids(handle, filters), 0
            end = start + size
            include = ["metadatas", "documents"] + (["embeddings"] if include_vectors else [])
            documents: list[VectorDocument] = []
            if ids:
                rows = await self._backend.get(handle, ids=ids[start:end], include=include)
                documents = documents_of(rows)
                if filters != MATCH_ALL:  # one may have changed since the ids were listed
                    passes = predicate(filters)
                    documents = [document for document in documents if passes(document.metadata)]
            return ScanPage(documents, (ids, end) if end < len(ids) else None)

        return await self._on(namespace, scan, ScanPage([], None))

    # Collections

    def _collection_name(self, namespace: str) -> str:
        return collection_name(self.config.index_name, namespace)

    async def _on(self, namespace: str, work: Callable[[Handle], Awaitable[T]], absent: T, *, make: bool = False) -> T:
        """Run ``work`` on a namespace's collection; ``absent`` if there is none.

        A handle holds Chroma's own id of the collection, so one that was deleted and made again elsewhere is looked
        up once more.
        """
        from chromadb.errors import NotFoundError

        while True:
            cached = self._handles.get(namespace)
            handle = cached if cached is not None else await self._find(namespace, make=make)
            if handle is None:
                return absent
            try:
                return await work(handle)
            except NotFoundError:
                self._handles.pop(namespace, None)
                if cached is None:
                    raise

    async def _find(self, namespace: str, *, make: bool) -> Handle | None:
        handle = await self._backend.find(self._collection_name(namespace))
        if handle is None:
            base = handle if not namespace else await self._backend.find(self._collection_name(""))
            if base is None:
                raise IndexNotFoundError(f"index {self.config.index_name!r} does not exist")
            if not make:
                return None
            metadata = {"ia:index": self.config.index_name, "ia:namespace": namespace}
            stated = base.configuration_json.get("hnsw") or {}
            hnsw = {key: value for key, value in stated.items() if value is not None}
            handle = await self._backend.create(
                self._collection_name(namespace), metadata, {"hnsw": hnsw}, if_missing=True
            )
        self._handles[namespace] = handle
        return handle
