"""The Weaviate provider."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

from ia_modules.vector_stores.base import VectorStoreBase
from ia_modules.vector_stores.capabilities import Capabilities
from ia_modules.vector_stores.config import VectorStoreConfig
from ia_modules.vector_stores.documents import DocumentBatch
from ia_modules.vector_stores.errors import IndexAlreadyExistsError, VectorStoreError
from ia_modules.vector_stores.filters import MATCH_ALL, Node, predicate
from ia_modules.vector_stores.models import IndexStats, SearchResult, VectorDocument
from ia_modules.vector_stores.providers.weaviate.collection import FIRST, MAX_RESULTS, Collection, Prepared
from ia_modules.vector_stores.providers.weaviate.connection import CONNECTION_OPTIONS, Connection
from ia_modules.vector_stores.providers.weaviate.errors import map_error
from ia_modules.vector_stores.providers.weaviate.layout import (
    ID,
    MAX_COLLECTION_NAME,
    TEXT,
    WRITTEN,
    collection_name,
    object_ids,
)
from ia_modules.vector_stores.providers.weaviate.messages import written_after
from ia_modules.vector_stores.providers.weaviate.objects import Found
from ia_modules.vector_stores.providers.weaviate.options import collection_definition
from ia_modules.vector_stores.providers.weaviate.schema import DISTANCES
from ia_modules.vector_stores.providers.weaviate.searching import PAGE, by_keys, matching, page_after, search
from ia_modules.vector_stores.providers.weaviate.writing import Writer
from ia_modules.vector_stores.requests import IndexInfo, ScanPage, SearchRequest, TextsPage, TextsState
from ia_modules.vector_stores.tasks import each, together

__all__ = ["WeaviateVectorStore"]

_LEVELS = ("ONE", "QUORUM", "ALL")
_FRESHNESS_WAIT = 10.0
_TENANTS_AT_A_TIME = 16
_PAGE_NUMBERS = 400_000
"""Numbers of vectors in one answer at most, as reading a longer one would hold up the event loop."""

_CAPABILITIES = Capabilities(
    provider="weaviate",
    metrics=frozenset(DISTANCES),
    remote=True,
    max_top_k=10_000,
    max_dimension=65_535,
    # Weaviate computes in single precision: beyond this, squares would be 0 or infinite.
    vector_lengths=(1e-15, 1e15),
    # Numbers beyond 2**53, dates outside of 1678 to 2262, and fields without a property.
    filters=dict.fromkeys(("gt", "gte", "lt", "lte"), "checked"),
    parallel_batches=4,
    text_search="index",
)


class WeaviateVectorStore(VectorStoreBase):
    """An index on a Weaviate server, or in its cloud.

    ``host`` is the server (``localhost`` if not given), or a cluster of Weaviate Cloud such as
    ``https://name.c0.region.gcp.weaviate.cloud``, with ``api_key``. A namespace is a tenant, which is made by the first
    document written to it.

    Config options: ``grpc_port`` (50051; 443 in the cloud), ``grpc_host`` and ``grpc_tls`` where they differ from those
    of REST, ``headers``, ``trust_env`` (True to use the environment's proxies and certificates, which are
    ``SSL_CERT_FILE`` for REST and ``GRPC_DEFAULT_SSL_ROOTS_FILE_PATH`` for gRPC), ``consistency_level`` (``"ONE"``,
    ``"QUORUM"`` or ``"ALL"``), and ``freshness_wait``: seconds that a search waits at most until what this store has
    written to the namespace is indexed, on servers that do that later (10; 0 for not at all).

    Options of ``create_index``: ``properties``, a list such as ``[{"name": "year", "type": "int"}]`` with ``text``,
    ``number``, ``int``, ``boolean`` or ``date``; ``auto_properties`` (True), whether fields that are not declared get
    properties when they are first written (without one, equality and ``exists`` are still native, ranges are checked
    here); ``vector_index`` (``"hnsw"``, ``"flat"``, ``"dynamic"``), ``hnsw_config``, ``dynamic_threshold``,
    ``quantization`` (``"rq"``, ``"bq"``, ``"sq"``, ``"pq"``, or a dict with settings) and ``replication_factor``.

    ``update_metadata`` reads a document and writes it back. Calls of one store wait for each other where they would
    interfere; another process that replaces the same document at that moment may find its document undone.
    """

    provider: ClassVar[str] = "weaviate"
    client_packages: ClassVar[tuple[str, ...]] = ("weaviate", "httpx", "grpc")

    def __init__(self, config: VectorStoreConfig) -> None:
        super().__init__(config)
        known = CONNECTION_OPTIONS | {"consistency_level", "freshness_wait"}
        if unknown := set(config.options) - known:
            raise ValueError(f"unknown options for weaviate: {', '.join(sorted(unknown))}; known: {sorted(known)}")
        level = config.options.get("consistency_level")
        if level is not None and level not in _LEVELS:
            raise ValueError(f"consistency_level is one of {', '.join(_LEVELS)}, not {level!r}")
        wait = config.options.get("freshness_wait", _FRESHNESS_WAIT)
        if isinstance(wait, bool) or not isinstance(wait, int | float) or not wait >= 0:
            raise ValueError(f"freshness_wait is a number of seconds, 0 for not waiting; not {wait!r}")
        if config.path is not None:
            raise ValueError("weaviate is a server (host); it has no embedded form with a path")
        name = collection_name(config.index_name)
        if len(name) > MAX_COLLECTION_NAME:
            raise ValueError(
                f"the index name is too long for weaviate: as a collection's name it has {len(name)} characters, "
                f"{MAX_COLLECTION_NAME} are allowed"
            )
        self._connection = Connection(config)
        self._new_collection = partial(Collection, self._connection, name, level, float(wait))
        self._collection = self._new_collection()
        self._writer = Writer(self._collection)

    @property
    def capabilities(self) -> Capabilities:
        """What this provider can do."""
        return _CAPABILITIES

    def _map_error(self, error: Exception) -> VectorStoreError | None:
        return map_error(error)

    async def _open(self) -> None:
        self._collection = self._new_collection()
        self._writer = Writer(self._collection)
        await self._connection.open()

    async def _close(self) -> None:
        await self._connection.close()

    async def _ping(self) -> None:
        await self._connection.ping()

    # Index

    async def _create_index(self, info: IndexInfo, options: dict[str, Any]) -> None:
        definition = collection_definition(self._collection.name, info, options)
        self._collection.forget()
        if not await self._collection.vacate():
            raise IndexAlreadyExistsError(f"index {self.config.index_name!r} exists already")
        await self._connection.post("/schema", definition)

    async def _drop_index(self) -> None:
        self._collection.forget()
        name = self._collection.name
        if await self._connection.get(f"/schema/{name}") is None:
            raise self._index_not_found()
        await self._connection.delete(f"/schema/{name}")

    async def _load_index(self) -> IndexInfo | None:
        schema = await self._collection.load()
        return None if schema is None else schema.info

    async def _stats(self, info: IndexInfo) -> IndexStats:
        names = await self._namespaces()
        counts = await each(names, lambda name: self._collection.count(name, None), at_a_time=_TENANTS_AT_A_TIME)
        return IndexStats(total_vectors=sum(counts), dimension=info.dimension or 0, namespace_count=len(names))

    async def _namespaces(self) -> list[str]:
        tenants = await self._collection.tenants()
        found = await each(tenants, self._collection.inhabitant, at_a_time=_TENANTS_AT_A_TIME)
        return [name for name in found if name is not None]

    # Writing

    async def _upsert(self, batch: DocumentBatch, namespace: str) -> None:
        await self._writer.upsert(batch, namespace)

    async def _update_metadata(self, document_id: str, changes: dict[str, Any], namespace: str) -> bool:
        return await self._writer.update_metadata(document_id, changes, namespace)

    async def _delete_ids(self, ids: list[str], namespace: str) -> int:
        return await self._writer.delete_ids(ids, namespace)

    async def _delete_where(self, filters: Node, namespace: str) -> int:
        return await self._writer.delete_where(filters, namespace)

    async def _empty_namespace(self, namespace: str) -> int:
        return await self._writer.empty(namespace)

    async def _settle(self) -> None:
        await self._collection.all_settled()

    # Reading

    async def _search(self, request: SearchRequest) -> list[SearchResult]:
        return await search(self._collection, request)

    async def _fetch(self, ids: list[str], namespace: str) -> dict[str, VectorDocument]:
        documents: dict[str, VectorDocument] = {}
        keys = object_ids(ids)
        for one in await self._by_keys(keys, namespace, vectors=True):
            documents[one.id] = one.document()
        return documents

    async def _by_keys(self, keys: Sequence[str], namespace: str, *, vectors: bool) -> list[Found]:
        objects: list[Found] = []
        size = self._page(PAGE) if vectors else PAGE
        for start in range(0, len(keys), size):
            objects += await by_keys(self._collection, namespace, keys[start : start + size], vectors=vectors)
        return objects

    async def _count(self, filters: Node, namespace: str) -> int:
        async def ask(prepared: Prepared) -> int:
            if prepared.passes is None:
                return await self._collection.count(namespace, prepared.message)
            return len(await matching(self._collection, namespace, filters))

        return await self._collection.with_filter(filters, ask)

    async def _texts_state(self, namespace: str, since: tuple[int, ...]) -> TextsState | None:
        if not (await self._collection.schema()).stamped:
            return None
        filters = [None, *(written_after(one) for one in since)]
        documents, *newer = await together(self._collection.count(namespace, one) for one in filters)
        return TextsState(documents=documents, newer=tuple(newer))

    async def _texts_page(self, namespace: str, since: int | None, size: int, cursor: object | None) -> TextsPage:
        wanted = {"properties": (ID, TEXT, WRITTEN)} if (await self._collection.schema()).stamped else {}
        if since is None:
            after = cursor if isinstance(cursor, str) else FIRST
            objects, following = await page_after(self._collection, namespace, size, after, **wanted)
            return _texts(objects, following)
        keys = cursor
        if not isinstance(keys, list):
            written = written_after(since)
            found = await self._collection.read(namespace, MAX_RESULTS, message=written, properties=(ID,))
            keys = [one.key for one in found]
        page, rest = keys[:size], keys[size:]
        return _texts(await by_keys(self._collection, namespace, page, **wanted), rest or None)

    async def _scan_page(
        self, namespace: str, filters: Node, size: int, include_vectors: bool, cursor: object | None
    ) -> ScanPage:
        size = self._page(size) if include_vectors else min(size, PAGE)
        if filters != MATCH_ALL:
            keys = cursor if isinstance(cursor, list) else await matching(self._collection, namespace, filters)
            page, rest = keys[:size], keys[size:]
            objects = await self._by_keys(page, namespace, vectors=include_vectors)
            passes = predicate(filters)  # they may have been replaced since
            return ScanPage([one.document() for one in objects if passes(one.metadata)], rest or None)
        after = cursor if isinstance(cursor, str) else FIRST
        objects, following = await page_after(self._collection, namespace, size, after, vectors=include_vectors)
        return ScanPage([one.document() for one in objects], following)

    def _page(self, size: int) -> int:
        """How many documents with their vectors to ask for at a time."""
        dimension = self._info.dimension if self._info is not None else None
        return min(size, max(1, _PAGE_NUMBERS // (dimension or 1)))


def _texts(objects: list[Found], cursor: object | None) -> TextsPage:
    return TextsPage(
        [one.id for one in objects], [one.text for one in objects], [one.written for one in objects], cursor
    )
