"""A provider whose primitives return at once: what is left is the layer itself."""

# ruff: noqa: ARG002 - the signatures are given

from __future__ import annotations

from typing import Any, ClassVar

from ia_modules.vector_stores import Capabilities, IndexStats, SearchResult, VectorDocument, VectorStoreConfig
from ia_modules.vector_stores.base import VectorStoreBase
from ia_modules.vector_stores.documents import DocumentBatch
from ia_modules.vector_stores.filters import Node
from ia_modules.vector_stores.requests import IndexInfo, ScanPage, SearchRequest

__all__ = ["NullStore", "null_store"]

_CAPABILITIES = Capabilities(provider="null")


class NullStore(VectorStoreBase):
    """Swallows what it is given and finds what it was prepared with."""

    provider: ClassVar[str] = "null"

    def __init__(self, config: VectorStoreConfig, found: list[SearchResult]) -> None:
        super().__init__(config)
        self._found = found

    @property
    def capabilities(self) -> Capabilities:
        return _CAPABILITIES

    def _map_error(self, error: Exception) -> None:
        return None

    async def _open(self) -> None:
        pass

    async def _close(self) -> None:
        pass

    async def _ping(self) -> None:
        pass

    async def _create_index(self, info: IndexInfo, options: dict[str, Any]) -> None:
        pass

    async def _drop_index(self) -> None:
        pass

    async def _load_index(self) -> IndexInfo | None:
        return IndexInfo(self.config.dimension, self.config.metric)

    async def _stats(self, info: IndexInfo) -> IndexStats:
        return IndexStats()

    async def _namespaces(self) -> list[str]:
        return []

    async def _upsert(self, batch: DocumentBatch, namespace: str) -> None:
        pass

    async def _update_metadata(self, document_id: str, changes: dict[str, Any], namespace: str) -> bool:
        return True

    async def _delete_ids(self, ids: list[str], namespace: str) -> int:
        return len(ids)

    async def _delete_where(self, filters: Node, namespace: str) -> int:
        return 0

    async def _empty_namespace(self, namespace: str) -> int:
        return 0

    async def _search(self, request: SearchRequest) -> list[SearchResult]:
        return self._found.copy()  # the base class sorts and cuts what it gets

    async def _fetch(self, ids: list[str], namespace: str) -> dict[str, VectorDocument]:
        return {}

    async def _count(self, filters: Node, namespace: str) -> int:
        return 0

    async def _scan_page(
        self, namespace: str, filters: Node, size: int, include_vectors: bool, cursor: object | None
    ) -> ScanPage:
        return ScanPage([], None)


async def null_store(dimension: int) -> NullStore:
    """A connected one that finds ten results with small metadata."""
    found = [
        SearchResult(id=f"doc-{i}", score=1.0 - i / 100, metadata={"n": i, "day": "2024-01-01"}, text="a passage")
        for i in range(10)
    ]
    store = NullStore(VectorStoreConfig(provider="null", index_name="bench", dimension=dimension), found)
    await store.connect()
    return store
