"""The exact in-memory provider: the reference that every other provider is compared with.

Documents live in this process. A store without ``path`` has them for itself; stores with the same ``path`` (any
name) share them. They outlive ``disconnect()`` and end with the last store that refers to them.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, ClassVar, TypeVar
from weakref import WeakValueDictionary

from ia_modules.vector_stores.base import VectorStoreBase
from ia_modules.vector_stores.capabilities import Capabilities
from ia_modules.vector_stores.config import VectorStoreConfig
from ia_modules.vector_stores.documents import DocumentBatch, copy_metadata
from ia_modules.vector_stores.errors import IndexAlreadyExistsError, VectorStoreError
from ia_modules.vector_stores.filters import MATCH_ALL, Node, predicate
from ia_modules.vector_stores.lexical import WordIndex, analyzer
from ia_modules.vector_stores.models import IndexStats, SearchResult, VectorDocument
from ia_modules.vector_stores.providers.exact import ExactCollection, Record
from ia_modules.vector_stores.requests import IndexInfo, ScanPage, SearchRequest, TextRequest
from ia_modules.vector_stores.vectors import Vector

__all__ = ["MemoryVectorStore"]

T = TypeVar("T")

_INLINE_NUMBERS = 1_000_000
"""Work on more numbers than this (about a millisecond) leaves the event loop for a thread."""

_CAPABILITIES = Capabilities(
    provider="memory",
    embedded=True,
    persistent=False,
    exact_search=True,
    batch_search=False,
    text_search="index",
    shared_by_processes=False,
)


@dataclass(slots=True)
class _Index:
    info: IndexInfo
    namespaces: dict[str, ExactCollection] = field(default_factory=dict)


class _Area:
    """The indexes that stores of one name share; the lock is held for the length of one primitive."""

    __slots__ = ("__weakref__", "indexes", "lock")

    def __init__(self) -> None:
        self.indexes: dict[str, _Index] = {}
        self.lock = threading.Lock()


_areas: WeakValueDictionary[str, _Area] = WeakValueDictionary()
_areas_lock = threading.Lock()


class MemoryVectorStore(VectorStoreBase):
    """Exact search with numpy over documents held in this process.

    Every rule of the portable semantics holds without exception, for all four metrics.
    """

    provider: ClassVar[str] = "memory"
    loop_bound = False

    def __init__(self, config: VectorStoreConfig) -> None:
        super().__init__(config)
        if config.host is not None or config.port is not None:
            raise ValueError("the memory provider has no server; leave out host and port")
        self._area = _Area()
        if config.path:
            with _areas_lock:
                self._area = _areas.setdefault(config.path, self._area)

    @property
    def capabilities(self) -> Capabilities:
        """What this provider can do."""
        return _CAPABILITIES

    def _map_error(self, error: Exception) -> VectorStoreError | None:
        del error  # there is no client whose errors could be meant
        return None

    async def _open(self) -> None:
        pass

    async def _close(self) -> None:
        pass

    async def _ping(self) -> None:
        pass

    async def _create_index(self, info: IndexInfo, options: dict[str, Any]) -> None:
        if options:
            raise self._unsupported("create_index", f"the memory provider has no options: {', '.join(options)}")
        with self._area.lock:
            if self.config.index_name in self._area.indexes:
                raise IndexAlreadyExistsError(f"index {self.config.index_name!r} exists already")
            self._area.indexes[self.config.index_name] = _Index(info)

    async def _drop_index(self) -> None:
        with self._area.lock:
            if self._area.indexes.pop(self.config.index_name, None) is None:
                raise self._index_not_found()

    async def _load_index(self) -> IndexInfo | None:
        index = self._area.indexes.get(self.config.index_name)
        return None if index is None else index.info

    async def _stats(self, info: IndexInfo) -> IndexStats:
        with self._area.lock:
            sizes = [len(collection) for collection in self._index_data().namespaces.values()]
        return IndexStats(total_vectors=sum(sizes), dimension=info.dimension or 0, namespace_count=len(sizes))

    async def _namespaces(self) -> list[str]:
        with self._area.lock:
            return list(self._index_data().namespaces)

    async def _upsert(self, batch: DocumentBatch, namespace: str) -> None:
        def write() -> None:
            index = self._index_data()
            collection = index.namespaces.get(namespace)
            if collection is None:
                collection = index.namespaces[namespace] = ExactCollection(index.info.metric, batch.vectors.shape[1])
            collection.write(batch)

        await self._locked(write, batch.vectors.size)

    async def _update_metadata(self, document_id: str, changes: dict[str, Any], namespace: str) -> bool:
        def update() -> bool:
            collection = self._collection(namespace)
            return collection is not None and collection.update_metadata(document_id, copy_metadata(changes))

        return await self._locked(update, 0)

    async def _delete_ids(self, ids: list[str], namespace: str) -> int:
        def delete() -> int:
            collection = self._collection(namespace)
            return 0 if collection is None else self._remove(ids, namespace, collection)

        return await self._locked(delete, 0)

    async def _delete_where(self, filters: Node, namespace: str) -> int:
        def delete() -> int:
            collection = self._collection(namespace)
            if collection is None:
                return 0
            passes = predicate(filters)
            ids = [record.id for record in collection if passes(record.metadata)]
            return self._remove(ids, namespace, collection)

        return await self._locked(delete, self._size(namespace))

    def _remove(self, ids: list[str], namespace: str, collection: ExactCollection) -> int:
        removed = collection.remove(ids)
        if not len(collection):
            del self._index_data().namespaces[namespace]
        return removed

    async def _empty_namespace(self, namespace: str) -> int:
        with self._area.lock:
            collection = self._index_data().namespaces.pop(namespace, None)
            return 0 if collection is None else len(collection)

    async def _search(self, request: SearchRequest) -> list[SearchResult]:
        def search() -> list[SearchResult]:
            collection = self._collection(request.namespace)
            if collection is None:
                return []
            passes = None if request.filters == MATCH_ALL else predicate(request.filters)
            return [
                SearchResult(
                    id=record.id,
                    score=score,
                    metadata=copy_metadata(record.metadata) if request.include_metadata else {},
                    text=record.text if request.include_metadata else None,
                    vector=collection.vector(record) if request.include_vectors else None,
                )
                for record, score in collection.nearest(request.vector, request.top_k, passes)
            ]

        return await self._locked(search, self._size(request.namespace))

    async def _search_text(self, request: TextRequest) -> dict[str, float]:
        def find(words: WordIndex, passing: Callable[[str], bool]) -> dict[str, float]:
            matches = words.matches(request.text)
            if request.filters == MATCH_ALL:
                found = matches.best(request.top_k)
            else:
                found = dict(islice((one for one in matches.ranked(request.top_k) if passing(one[0])), request.top_k))
            return found | matches.of(request.also)

        def known() -> dict[str, float] | tuple[list[Record], dict[str, WordIndex]]:
            collection = self._collection(request.namespace)
            if collection is None:
                return {}
            words = collection.words.get(request.language)
            if words is None:
                return list(collection), collection.words
            by_id = collection.get
            return find(words, lambda one: (record := by_id(one)) is not None and passes(record.metadata))

        def read() -> dict[str, float]:
            words = WordIndex([one.id for one in records], [one.text for one in records], analyzer(request.language))
            places = words.places
            kept[request.language] = words  # into the dict that belongs to these very texts
            return find(words, lambda one: passes(records[places[one]].metadata))

        passes = predicate(request.filters)
        found = await self._locked(known, self._size(request.namespace))
        if isinstance(found, dict):
            return found
        records, kept = found
        return await asyncio.to_thread(read)  # and without the lock, as to go through the texts may take long

    async def _fetch(self, ids: list[str], namespace: str) -> dict[str, VectorDocument]:
        def fetch() -> dict[str, VectorDocument]:
            collection = self._collection(namespace)
            if collection is None:
                return {}
            records = filter(None, map(collection.get, ids))
            return {record.id: _document(collection, record, include_vector=True) for record in records}

        return await self._locked(fetch, 0)

    async def _count(self, filters: Node, namespace: str) -> int:
        def count() -> int:
            collection = self._collection(namespace)
            if collection is None or filters == MATCH_ALL:
                return 0 if collection is None else len(collection)
            passes = predicate(filters)
            return sum(passes(record.metadata) for record in collection)

        return await self._locked(count, self._size(namespace))

    async def _scan_page(
        self, namespace: str, filters: Node, size: int, include_vectors: bool, cursor: object | None
    ) -> ScanPage:
        def scan() -> ScanPage:
            collection = self._collection(namespace)
            ids: Iterator[str] = iter(())
            if isinstance(cursor, Iterator):
                ids = cursor
            elif collection is not None:
                ids = iter([record.id for record in collection])
            passes = predicate(filters)
            documents: list[VectorDocument] = []
            for document_id in ids:
                record = None if collection is None else collection.get(document_id)
                if collection is not None and record is not None and passes(record.metadata):
                    documents.append(_document(collection, record, include_vector=include_vectors))
                    if len(documents) == size:
                        return ScanPage(documents, ids)
            return ScanPage(documents, None)

        return await self._locked(scan, 0)

    def _index_data(self) -> _Index:
        index = self._area.indexes.get(self.config.index_name)
        if index is None:
            raise self._index_not_found()
        return index

    def _collection(self, namespace: str) -> ExactCollection | None:
        return self._index_data().namespaces.get(namespace)

    def _size(self, namespace: str) -> int:
        """About how many numbers a pass over a namespace touches."""
        index = self._area.indexes.get(self.config.index_name)
        collection = None if index is None else index.namespaces.get(namespace)
        return 0 if collection is None else len(collection) * collection.dimension

    async def _locked(self, work: Callable[[], T], numbers: int) -> T:
        """Run ``work`` under the lock: here if it is small and nobody holds the lock, else in a thread."""
        lock = self._area.lock
        if numbers <= _INLINE_NUMBERS and lock.acquire(blocking=False):
            try:
                return work()
            finally:
                lock.release()

        def locked() -> T:
            with lock:
                return work()

        return await asyncio.to_thread(locked)


def _document(collection: ExactCollection, record: Record, *, include_vector: bool) -> VectorDocument:
    return VectorDocument(
        id=record.id,
        vector=collection.vector(record) if include_vector else Vector.none(),
        metadata=copy_metadata(record.metadata),
        text=record.text,
    )
