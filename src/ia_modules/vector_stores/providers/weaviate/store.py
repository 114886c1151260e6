"""The Weaviate provider."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from typing import Any, ClassVar

from ia_modules.vector_stores.base import VectorStoreBase
from ia_modules.vector_stores.capabilities import Capabilities
from ia_modules.vector_stores.config import VectorStoreConfig
from ia_modules.vector_stores.documents import DocumentBatch
from ia_modules.vector_stores.errors import (
    IndexAlreadyExistsError,
    PartialFailureError,
    VectorStoreError,
)
from ia_modules.vector_stores.filters import MATCH_ALL, Node, predicate
from ia_modules.vector_stores.models import IndexStats, SearchResult, VectorDocument
from ia_modules.vector_stores.providers.weaviate.collection import FIRST, Collection, Prepared
from ia_modules.vector_stores.providers.weaviate.connection import CONNECTION_OPTIONS, Connection
from ia_modules.vector_stores.providers.weaviate.errors import invalid, map_error
from ia_modules.vector_stores.providers.weaviate.layout import MAX_COLLECTION_NAME, collection_name, object_ids
from ia_modules.vector_stores.providers.weaviate.messages import by_ids
from ia_modules.vector_stores.providers.weaviate.objects import Found
from ia_modules.vector_stores.providers.weaviate.options import collection_definition
from ia_modules.vector_stores.providers.weaviate.schema import DISTANCES
from ia_modules.vector_stores.providers.weaviate.searching import PAGE, matching, search
from ia_modules.vector_stores.providers.weaviate.turns import Turns
from ia_modules.vector_stores.requests import IndexInfo, ScanPage, SearchRequest

__all__ = ["WeaviateVectorStore"]

Turn = Callable[[], AbstractAsyncContextManager[None]]

_LEVELS = ("ONE", "QUORUM", "ALL")
_FRESHNESS_WAIT = 10.0
_NO_VECTOR = "does not have configuration for vector"
_TENANTS_AT_A_TIME = 16
_PAGE_NUMBERS = 400_000
"""Numbers of vectors in one answer at most, as reading a longer one would hold up the event loop."""
_DELETED_AT_A_TIME = 1_000

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
)


class WeaviateVectorStore(VectorStoreBase):
    """An index on a Weaviate server, or in its cloud.

    ``host`` is the server (``localhost`` if not given), or a cluster of Weaviate Cloud such as
    ``https://name.c0.region.gcp.weaviate.cloud``, with ``api_key``. A namespace is a tenant, which is made by the first
    document written to it.

    Config options: ``grpc_port`` (50051; 443 in the cloud), ``grpc_host`` and ``grpc_tls`` where they differ from those
    of REST, ``headers``, ``consistency_level`` (``"ONE"``, ``"QUORUM"`` or ``"ALL"``), and ``freshness_wait``: seconds that
    a search waits at most until what this store has written to the namespace is indexed, on servers that do that later
    (10; 0 for not at all).

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
        self._turns = Turns()

    @property
    def capabilities(self) -> Capabilities:
        """What this provider can do."""
        return _CAPABILITIES

    def _map_error(self, error: Exception) -> VectorStoreError | None:
        return map_error(error)

    async def _open(self) -> None:
        self._collection = self._new_collection()
        self._turns = Turns()
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
        counts = await self._each(names, lambda name: self._collection.count(name, None))
        return IndexStats(total_vectors=sum(counts), dimension=info.dimension or 0, namespace_count=len(names))

    async def _namespaces(self) -> list[str]:
        found = await self._each(await self._collection.tenants(), self._collection.inhabitant)
        return [name for name in found if name is not None]

    async def _each(self, items: Sequence[str], ask: Any) -> list[Any]:
        """What ``ask`` says of each, a few at a time."""
        places = asyncio.Semaphore(_TENANTS_AT_A_TIME)

        async def one(item: str) -> Any:
            async with places:
                return await ask(item)

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(item)) for item in items]
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return [task.result() for task in tasks]

    # Writing

    async def _upsert(self, batch: DocumentBatch, namespace: str) -> None:
        # Properties are made alone, as objects that are being written meanwhile would be refused.
        await self._until_written(batch, namespace, self._turns.shared, self._turns.alone)

    async def _until_written(self, batch: DocumentBatch, namespace: str, writing: Turn, adding: Turn) -> None:
        """Write documents; once more if the collection was made again meanwhile, and with properties for all fields."""
        again = False
        while True:
            async with writing():
                encoder = await self._collection.encoder()
                objects = encoder.objects(batch, namespace)
                missing = list(encoder.missing)
                failed = {} if missing else await self._put(objects)
            if missing:
                async with adding():
                    await self._collection.add_properties(missing)
            elif not failed:
                return
            elif again or not any(_NO_VECTOR in text for text in failed.values()):
                await self._refused(batch.ids, failed)
            else:
                again = True
                self._collection.forget()

    async def _put(self, objects: list[Any]) -> dict[int, str]:
        failed: dict[int, str] = {}
        for start, part in self._parts(objects):
            refused = await self._collection.write(part)
            failed |= {start + place: text for place, text in refused.items()}
        return failed

    def _parts(self, objects: list[Any]) -> Iterator[tuple[int, list[Any]]]:
        """The objects in parts that fit into messages, each with the place of its first."""
        limit = int(0.9 * self._connection.message_bytes)
        start = size = 0
        for end, one in enumerate(objects):
            own = one.ByteSize() + 8
            if size and size + own > limit:
                yield start, objects[start:end]
                start, size = end, 0
            size += own
        yield start, objects[start:]

    async def _refused(self, ids: list[str], failed: dict[int, str]) -> None:
        """Raise what it means that the server did not take some documents."""
        if any("multi-tenancy disabled" in text or "not found in schema" in text for text in failed.values()):
            # The index was gone, and Weaviate made a collection by itself.
            gone = await self._collection.vacate()
            self._collection.forget()
            if gone:
                raise self._index_not_found()
        errors = {place: invalid(text, ids[place]) for place, text in failed.items()}
        first = next(iter(errors.values()))
        self._collection.forget()  # the collection may be another one than it was
        if len(errors) == len(ids) and len({(type(e), e.message) for e in errors.values()}) == 1:
            raise first
        raise PartialFailureError(
            f"{len(errors)} of {len(ids)} documents were not written: {first.message}",
            succeeded=[document_id for place, document_id in enumerate(ids) if place not in errors],
            failed={ids[place]: error for place, error in errors.items()},
            retryable=all(error.retryable for error in errors.values()),
        )

    async def _update_metadata(self, document_id: str, changes: dict[str, Any], namespace: str) -> bool:
        async with self._turns.alone():
            found = (await self._fetch([document_id], namespace)).get(document_id)
            if found is None:
                return False
            vectors = found.vector.array[None, :]
            batch = DocumentBatch([document_id], vectors, [found.metadata | changes], [found.text])
            await self._until_written(batch, namespace, nullcontext, nullcontext)
        return True

    async def _delete_ids(self, ids: list[str], namespace: str) -> int:
        deleted = 0
        keys = object_ids(ids)
        async with self._turns.shared():
            for start in range(0, len(keys), _DELETED_AT_A_TIME):
                part = keys[start : start + _DELETED_AT_A_TIME]
                _, gone, failed = await self._collection.erase(namespace, by_ids(part))
                deleted += gone
                if failed:
                    names = dict(zip(part, ids[start : start + _DELETED_AT_A_TIME], strict=True))
                    self._not_deleted({names[key]: text for key, text in failed.items()}, deleted)
        return deleted

    async def _delete_where(self, filters: Node, namespace: str) -> int:
        async def ask(prepared: Prepared) -> int:
            if prepared.passes is None:
                return await self._erase_all(namespace, prepared.message)
            deleted = 0
            keys = await matching(self._collection, namespace, filters)
            for start in range(0, len(keys), _DELETED_AT_A_TIME):
                deleted += await self._erase_all(namespace, by_ids(keys[start : start + _DELETED_AT_A_TIME]))
            return deleted

        async with self._turns.shared():
            return await self._collection.with_filter(filters, ask)

    async def _erase_all(self, namespace: str, message: Any) -> int:
        """Delete what passes a filter; the server deletes up to a limit at a time, which only it knows."""
        deleted = 0
        while True:
            matches, gone, failed = await self._collection.erase(namespace, message)
            deleted += gone
            if failed:
                objects = await self._collection.read(namespace, len(failed), message=by_ids(list(failed)))
                self._not_deleted({one.id: failed[one.key] for one in objects} or failed, deleted)
            if not matches:
                return deleted

    def _not_deleted(self, failed: dict[str, str], deleted: int) -> None:
        errors = {document_id: invalid(text, document_id) for document_id, text in failed.items()}
        raise PartialFailureError(
            f"{len(errors)} documents were not deleted, {deleted} were: {next(iter(failed.values()))}",
            succeeded=[],
            failed=errors,
            retryable=all(error.retryable for error in errors.values()),
        )

    async def _empty_namespace(self, namespace: str) -> int:
        async with self._turns.shared():
            count = await self._collection.count(namespace, None)
            await self._collection.remove_tenant(namespace)
        return count

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
            part = keys[start : start + size]
            # Without a limit the server gives as many as it thinks fit, which is 10.
            objects += await self._collection.read(namespace, len(part), message=by_ids(part), vectors=vectors)
        return objects

    async def _count(self, filters: Node, namespace: str) -> int:
        async def ask(prepared: Prepared) -> int:
            if prepared.passes is None:
                return await self._collection.count(namespace, prepared.message)
            return len(await matching(self._collection, namespace, filters))

        return await self._collection.with_filter(filters, ask)

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
        objects = await self._collection.read(namespace, size, after=after, vectors=include_vectors)
        return ScanPage([one.document() for one in objects], objects[-1].key if len(objects) == size else None)

    def _page(self, size: int) -> int:
        """How many documents with their vectors to ask for at a time."""
        dimension = self._info.dimension if self._info is not None else None
        return min(size, max(1, _PAGE_NUMBERS // (dimension or 1)))
