"""A provider whose database is a dictionary, which notes what it is asked and fails when told to."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterable
from typing import Any, ClassVar

from ia_modules.vector_stores import (
    Capabilities,
    IndexAlreadyExistsError,
    IndexStats,
    SearchResult,
    VectorDocument,
    VectorStoreBase,
    VectorStoreConfig,
    VectorStoreError,
)
from ia_modules.vector_stores.documents import DocumentBatch
from ia_modules.vector_stores.filters import Node, predicate
from ia_modules.vector_stores.requests import IndexInfo, ScanPage, SearchRequest


class FakeStore(VectorStoreBase):
    """Keeps documents in ``data``.

    Attributes:
        calls: primitives in the order they were begun.
        batches: ids of each batch that was written.
        failures: primitive -> errors to raise, one a call, before it does anything.
        delay: seconds that every primitive takes.
        running, peak: primitives under way now, and most at once.
    """

    provider: ClassVar[str] = "fake"

    def __init__(self, config: VectorStoreConfig | None = None, *, info: IndexInfo | None = None, **given: Any) -> None:
        capabilities = {name: given.pop(name) for name in list(given) if name in _CAPABILITY_NAMES}
        self._declared = Capabilities(provider="fake", **capabilities)
        if config is None:
            config = VectorStoreConfig(**{"provider": "fake", "index_name": "articles", "retry_delay": 0.0} | given)
        super().__init__(config)
        self.info = info
        self.data: dict[str, dict[str, VectorDocument]] = {}
        self.calls: list[str] = []
        self.batches: list[list[str]] = []
        self.failures: dict[str, list[Exception]] = {}
        self.delay = 0.0
        self.running = self.peak = 0

    @property
    def capabilities(self) -> Capabilities:
        return self._declared

    async def _called(self, name: str) -> None:
        self.calls.append(name)
        self.running += 1
        self.peak = max(self.peak, self.running)
        try:
            await asyncio.sleep(self.delay)
            if self.failures.get(name):
                raise self.failures[name].pop(0)
        finally:
            self.running -= 1

    def _map_error(self, error: Exception) -> VectorStoreError | None:
        return None

    async def _open(self) -> None:
        await self._called("open")

    async def _close(self) -> None:
        await self._called("close")

    async def _ping(self) -> None:
        await self._called("ping")

    async def _create_index(self, info: IndexInfo, options: dict[str, Any]) -> None:
        await self._called("create_index")
        if self.info is not None:
            raise IndexAlreadyExistsError("it exists")
        self.info = info

    async def _drop_index(self) -> None:
        await self._called("drop_index")
        if self.info is None:
            raise self._index_not_found()
        self.info = None

    async def _load_index(self) -> IndexInfo | None:
        await self._called("load_index")
        return self.info

    async def _stats(self, info: IndexInfo) -> IndexStats:
        await self._called("stats")
        return IndexStats(total_vectors=sum(map(len, self.data.values())), dimension=info.dimension or 0)

    async def _namespaces(self) -> list[str]:
        await self._called("namespaces")
        return [name for name, documents in self.data.items() if documents]

    async def _upsert(self, batch: DocumentBatch, namespace: str) -> None:
        await self._called("upsert")
        self.batches.append(batch.ids)
        for document_id, vector, metadata, text in zip(
            batch.ids, batch.vectors, batch.metadatas, batch.texts, strict=True
        ):
            document = VectorDocument(id=document_id, vector=vector, metadata=metadata, text=text)
            self.data.setdefault(namespace, {})[document_id] = document

    async def _update_metadata(self, document_id: str, changes: dict[str, Any], namespace: str) -> bool:
        await self._called("update_metadata")
        document = self.data.get(namespace, {}).get(document_id)
        if document is not None:
            document.metadata.update(changes)
        return document is not None

    async def _delete_ids(self, ids: list[str], namespace: str) -> int | None:
        await self._called("delete_ids")
        return self._remove(ids, namespace)

    async def _delete_where(self, filters: Node, namespace: str) -> int | None:
        await self._called("delete_where")
        return self._remove([document.id for document in self._passing(filters, namespace)], namespace)

    async def _empty_namespace(self, namespace: str) -> int | None:
        await self._called("empty_namespace")
        return self._remove(list(self.data.get(namespace, {})), namespace)

    def _remove(self, ids: Iterable[str], namespace: str) -> int:
        documents = self.data.get(namespace, {})
        return sum(documents.pop(document_id, None) is not None for document_id in ids)

    def _passing(self, filters: Node, namespace: str) -> list[VectorDocument]:
        passes = predicate(filters)
        return [document for document in self.data.get(namespace, {}).values() if passes(document.metadata)]

    async def _search(self, request: SearchRequest) -> list[SearchResult]:
        """Everything that passes, by the dot product, unsorted and more than asked for."""
        await self._called("search")
        return [
            SearchResult(id=document.id, score=float(document.vector.array @ request.vector))
            for document in self._passing(request.filters, request.namespace)
        ]

    async def _fetch(self, ids: list[str], namespace: str) -> dict[str, VectorDocument]:
        await self._called("fetch")
        documents = self.data.get(namespace, {})
        return {document_id: documents[document_id] for document_id in ids if document_id in documents}

    async def _count(self, filters: Node, namespace: str) -> int:
        await self._called("count")
        return len(self._passing(filters, namespace))

    async def _scan_page(
        self,
        namespace: str,
        filters: Node,
        size: int,
        include_vectors: bool,
        cursor: object | None,
    ) -> ScanPage:
        await self._called("scan_page")
        documents = self._passing(filters, namespace)
        start = cursor if isinstance(cursor, int) else 0
        end = start + size
        return ScanPage(documents[start:end], end if end < len(documents) else None)


_CAPABILITY_NAMES = {field.name for field in dataclasses.fields(Capabilities)} - {"provider"}
