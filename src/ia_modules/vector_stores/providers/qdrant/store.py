"""The Qdrant provider."""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from ia_modules.vector_stores.base import VectorStoreBase
from ia_modules.vector_stores.capabilities import Capabilities
from ia_modules.vector_stores.config import VectorStoreConfig
from ia_modules.vector_stores.documents import DocumentBatch
from ia_modules.vector_stores.errors import IndexAlreadyExistsError, VectorStoreError
from ia_modules.vector_stores.filters import MATCH_ALL, Node
from ia_modules.vector_stores.metrics import DistanceMetric
from ia_modules.vector_stores.models import IndexStats, SearchResult, VectorDocument
from ia_modules.vector_stores.parts import CURRENT, Call
from ia_modules.vector_stores.providers.qdrant.backend import Backend, NativeFilter
from ia_modules.vector_stores.providers.qdrant.errors import map_error
from ia_modules.vector_stores.providers.qdrant.filtering import Filters
from ia_modules.vector_stores.providers.qdrant.indexes import PayloadIndexes
from ia_modules.vector_stores.providers.qdrant.layout import (
    MAX_COLLECTION_NAME,
    NAMESPACE,
    WRITTEN,
    changed,
    collection_name,
    encode,
    namespace_of,
    namespace_value,
    point_id,
    point_ids,
    to_unit,
)
from ia_modules.vector_stores.providers.qdrant.local import LocalBackend
from ia_modules.vector_stores.providers.qdrant.options import DISTANCES, MODEL, collection_arguments, payload_indexes
from ia_modules.vector_stores.providers.qdrant.protobuf import GrpcBackend
from ia_modules.vector_stores.providers.qdrant.remote import CONNECTION_OPTIONS
from ia_modules.vector_stores.providers.qdrant.rest import RestBackend
from ia_modules.vector_stores.providers.qdrant.searching import Searcher, document_of
from ia_modules.vector_stores.providers.threads import release_later
from ia_modules.vector_stores.requests import IndexInfo, ScanPage, SearchRequest, TextsPage, TextsState
from ia_modules.vector_stores.tasks import together
from ia_modules.vector_stores.text_search import stamp

__all__ = ["QdrantVectorStore"]

_PAGE = 1_000
_PAGE_NUMBERS = 400_000
"""Numbers of vectors in one answer at most, as reading a longer one would hold up the event loop."""
_ALL_NAMESPACES = 1_000_000
_METRICS = {distance: metric for metric, distance in DISTANCES.items()}
_STORE_OPTIONS = frozenset({"auto_index", "search_params"})
_SEARCH_PARAMS = frozenset({"hnsw_ef", "exact", "quantization", "indexed_only", "acorn"})

_LISTS = ("gt", "gte", "lt", "lte", "contains", "contains_any", "contains_all")

_REMOTE = Capabilities(
    provider="qdrant",
    metrics=frozenset(DISTANCES),
    embedded=True,
    remote=True,
    max_dimension=65_536,
    # Qdrant's distances are single precision throughout: beyond this they would be NaN, infinite or 0.
    vector_lengths=(1e-15, 1e15),
    # What only lists and single values tell apart, and next to a double with many digits every comparison of numbers.
    filters=dict.fromkeys(("eq", "in", *_LISTS), "checked"),
    batch_search=True,
    text_search="index",
    parallel_batches=8,
)
_LOCAL = dataclasses.replace(
    _REMOTE,
    filters=dict.fromkeys(_LISTS, "checked"),
    exact_search=True,
    shared_by_processes=False,
    parallel_batches=1,
)


class QdrantVectorStore(VectorStoreBase):
    """An index in Qdrant: on a server if ``host`` is given, else in this process.

    Without ``host``, ``path`` is a folder, and documents are in memory if there is none. A folder can be open in one
    process at a time. Local mode is the client's own engine: exact, and slow above some 20,000 documents.

    Config options for a server: ``grpc`` (True to use gRPC, which is faster for bulk loads), ``grpc_port`` (6334),
    ``prefix`` (a path in front of Qdrant's own), ``headers``. For all: ``search_params``, a dict of Qdrant's search
    parameters such as ``{"hnsw_ef": 256}``, and ``auto_index`` (True): whether to make payload indexes for fields that
    filters look at, once there are 1,000 documents or where the server demands it.

    Options of ``create_index``: ``on_disk``, ``on_disk_payload``, ``hnsw_config``, ``optimizers_config``,
    ``quantization`` (``"scalar"``, ``"binary"``, ``"product"``, or a dict with settings), ``shard_number``,
    ``replication_factor``, ``write_consistency_factor``, ``sparse`` (True, or names with settings, of sparse vectors
    beside the dense one) and ``payload_indexes``, a dict from field names to ``keyword``, ``integer``, ``float``,
    ``bool``, ``datetime`` or ``text``.
    """

    provider: ClassVar[str] = "qdrant"
    client_packages: ClassVar[tuple[str, ...]] = ("qdrant_client", "httpx", "grpc")

    def __init__(self, config: VectorStoreConfig) -> None:
        super().__init__(config)
        known = _STORE_OPTIONS | (CONNECTION_OPTIONS if config.host is not None else frozenset())
        if unknown := set(config.options) - known:
            raise ValueError(f"unknown options for qdrant: {', '.join(sorted(unknown))}; known: {sorted(known)}")
        params = config.options.get("search_params") or {}
        if not isinstance(params, Mapping) or not _SEARCH_PARAMS.issuperset(params):
            raise ValueError(f"search_params is a dict with some of {', '.join(sorted(_SEARCH_PARAMS))}")
        if config.host is not None and config.path is not None:
            raise ValueError("qdrant is either a server (host) or a folder (path), not both")
        if config.host is None and config.port is not None:
            raise ValueError("a port without a host; give host= for a server, or path= for a folder")
        self._creating: Call | None = None
        self._collection = collection_name(config.index_name)
        if len(self._collection.encode()) > MAX_COLLECTION_NAME:
            raise ValueError(f"an index name has at most {MAX_COLLECTION_NAME} bytes on qdrant")
        self._backend: Backend
        if config.host is not None:
            kind = GrpcBackend if config.options.get("grpc") else RestBackend
            self._backend = kind(config)
        else:
            local = LocalBackend(config.path or ":memory:")
            self._backend = local
            self.loop_bound = False
            # A store that is dropped without disconnect() must not keep the folder locked.
            weakref.finalize(self, release_later, local.release).atexit = False
        self._filters = Filters(remote=config.host is not None)
        self._forget()

    @property
    def capabilities(self) -> Capabilities:
        """What this provider can do."""
        return _LOCAL if self.config.host is None else _REMOTE

    def _forget(self) -> None:
        """What was learned of a collection goes with it."""
        options = self.config.options
        automatic = options.get("auto_index", True)
        self._indexes = PayloadIndexes(self._backend, self._collection, automatic=automatic)
        params = options.get("search_params")
        self._searcher = Searcher(self._backend, self._collection, self._filters, self._indexes, params)

    def _map_error(self, error: Exception) -> VectorStoreError | None:
        return map_error(error)

    async def _open(self) -> None:
        self._forget()
        await self._backend.open()

    async def _close(self) -> None:
        await self._backend.close()

    async def _ping(self) -> None:
        await self._backend.call("collection_exists", self._collection)

    # Index

    async def _create_index(self, info: IndexInfo, options: dict[str, Any]) -> None:
        arguments = collection_arguments(info, options)
        declared = payload_indexes(options)
        there = await self._backend.call("collection_exists", self._collection)
        if there and (self._creating is None or self._creating is not CURRENT.get()):
            raise IndexAlreadyExistsError(f"index {self.config.index_name!r} exists already")
        self._forget()
        self._creating = CURRENT.get()
        if not there:  # else an attempt of this call has made it, whose answer got lost
            await self._backend.call("create_collection", self._collection, **arguments)
        try:
            if not self._backend.embedded:
                await self._indexes.create_tenant()
            for field, kind in declared.items():
                for path in self._filters.compiler.paths(field):
                    await self._indexes.create(path, kind)
        except BaseException:  # cancelled as well: half an index would be found to exist
            await self._backend.call("delete_collection", self._collection)
            raise

    async def _drop_index(self) -> None:
        self._forget()
        if not await self._backend.call("delete_collection", self._collection):
            raise self._index_not_found()

    async def _load_index(self) -> IndexInfo | None:
        info = await self._backend.info(self._collection)
        if info is None:
            return None
        params = info.config.params.vectors
        if not hasattr(params, "size"):
            raise self._unsupported(
                "open", f"collection {self._collection!r} has named vectors only; an index has one without a name"
            )
        await self._indexes.load(info)
        metadata = getattr(info.config, "metadata", None) or {}
        return IndexInfo(params.size, _METRICS[params.distance.value], metadata.get(MODEL))

    async def _stats(self, info: IndexInfo) -> IndexStats:
        total = await self._backend.count(self._collection, None)
        names = await self._namespaces() if total else []
        return IndexStats(total_vectors=total, dimension=info.dimension or 0, namespace_count=len(names))

    async def _namespaces(self) -> list[str]:
        values = await self._backend.facet(self._collection, NAMESPACE, _ALL_NAMESPACES)
        return [namespace_of(value) for value in values]

    # Writing

    async def _upsert(self, batch: DocumentBatch, namespace: str) -> None:
        vectors, lengths = to_unit(batch.vectors, await self._metric())
        kept = np.zeros(len(batch)) if lengths is None else lengths
        value = namespace_value(namespace)
        written = None if self._backend.embedded else stamp()
        payloads = [
            encode(document_id, value, metadata, text, length, written)
            for document_id, metadata, text, length in zip(
                batch.ids, batch.metadatas, batch.texts, kept.tolist(), strict=True
            )
        ]
        await self._backend.upsert(self._collection, point_ids(namespace, batch.ids), vectors, payloads)
        self._indexes.written(len(batch))

    async def _metric(self) -> DistanceMetric:
        info = self._info or await self._load_index()
        if info is None:
            raise self._index_not_found()
        return info.metric

    async def _update_metadata(self, document_id: str, changes: dict[str, Any], namespace: str) -> bool:
        key = point_id(namespace, document_id)
        if not await self._backend.retrieve(self._collection, [key], payload=False, vector=False):
            return False
        # By filter, as Qdrant takes an id that has gone meanwhile for an error.
        await self._backend.merge_payload(
            self._collection, NativeFilter({"must": [{"has_id": [key]}]}), changed(changes)
        )
        return True

    async def _delete_ids(self, ids: list[str], namespace: str) -> int:
        return await self._delete_pages(point_ids(namespace, ids))

    async def _delete_where(self, filters: Node, namespace: str) -> int:
        native, further = await self._searcher.matching(filters, namespace)
        count = 0
        if native is not None and (count := await self._backend.count(self._collection, native)):
            await self._backend.delete_where(self._collection, native)
        return count + await self._delete_pages(further)

    async def _delete_pages(self, ids: list[str]) -> int:
        deleted = 0
        for start in range(0, len(ids), _PAGE):
            page = ids[start : start + _PAGE]
            there = await self._backend.retrieve(self._collection, page, payload=False, vector=False)
            if there:
                await self._backend.delete_ids(self._collection, [point.key for point in there])
                deleted += len(there)
        return deleted

    # Reading

    async def _search(self, request: SearchRequest) -> list[SearchResult]:
        return (await self._searcher.search([request]))[0]

    async def _search_many(self, requests: list[SearchRequest]) -> list[list[SearchResult]]:
        return await self._searcher.search(requests)

    async def _texts_state(self, namespace: str, since: tuple[int, ...]) -> TextsState:
        changes = self._backend.changes(self._collection)
        if changes is not None:
            return TextsState(changes)
        await self._indexes.usable({WRITTEN: frozenset({"float"})})
        filters = [self._filters.written(namespace, one) for one in (None, *since)]
        documents, *newer = await together(self._backend.count(self._collection, one) for one in filters)
        return TextsState(documents=documents, newer=tuple(newer))

    async def _texts_page(self, namespace: str, since: int | None, size: int, cursor: object | None) -> TextsPage:
        native = self._filters.written(namespace, since)
        points, following = await self._backend.scroll(
            self._collection, native, size, cursor, payload=True, vector=False
        )
        stamps = [point.written for point in points]
        return TextsPage([point.id for point in points], [point.text for point in points], stamps, following)

    async def _fetch(self, ids: list[str], namespace: str) -> dict[str, VectorDocument]:
        found: dict[str, VectorDocument] = {}
        keys = point_ids(namespace, ids)
        size = self._page(_PAGE)
        for start in range(0, len(keys), size):
            page = keys[start : start + size]
            for point in await self._backend.retrieve(self._collection, page, payload=True, vector=True):
                document = document_of(point)
                found[document.id] = document
        return found

    async def _count(self, filters: Node, namespace: str) -> int:
        if filters == MATCH_ALL:
            return await self._backend.count(self._collection, self._filters.of(filters, namespace).native)
        native, further = await self._searcher.matching(filters, namespace)
        return len(further) + (0 if native is None else await self._backend.count(self._collection, native))

    async def _scan_page(
        self, namespace: str, filters: Node, size: int, include_vectors: bool, cursor: object | None
    ) -> ScanPage:
        prepared = await self._searcher.prepared(filters, namespace)
        size = self._page(size) if include_vectors else size
        points, following = await self._backend.scroll(
            self._collection, prepared.native, size, cursor, payload=True, vector=include_vectors
        )
        documents = [document_of(point) for point in points]
        if prepared.passes is not None:
            documents = [document for document in documents if prepared.passes(document.metadata)]
        return ScanPage(documents, following)

    def _page(self, size: int) -> int:
        """How many points with their vectors to ask for at a time."""
        dimension = self._info.dimension if self._info is not None else None
        return min(size, max(1, _PAGE_NUMBERS // (dimension or 1)))
