"""Stores and embedders that tests of the pipeline steps watch, and a service registry for them."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from ia_modules.vector_stores import MemoryVectorStore, SearchResult, VectorStoreConfig, factory
from ia_modules.vector_stores.documents import DocumentBatch
from ia_modules.vector_stores.requests import SearchRequest

DIMENSION = 64


class WatchedStore(MemoryVectorStore):
    """The memory provider, which notes what is done with it and fails when told to.

    Attributes:
        made: all stores of the class.
        failures: primitive -> errors to raise, one a call, before it does anything.
        delay: seconds that a search takes.
        running, peak: searches under way now, and most at once.
    """

    provider: ClassVar[str] = "watched"
    made: ClassVar[list[WatchedStore]] = []
    failures: ClassVar[dict[str, list[Exception]]] = {}
    delay: ClassVar[float] = 0.0
    running: ClassVar[int] = 0
    peak: ClassVar[int] = 0

    def __init__(self, config: VectorStoreConfig) -> None:
        super().__init__(config)
        self.opened = self.closed = 0
        self.searches: list[int] = []
        WatchedStore.made.append(self)

    def _fail(self, name: str) -> None:
        if WatchedStore.failures.get(name):
            raise WatchedStore.failures[name].pop(0)

    async def _open(self) -> None:
        self._fail("open")
        await super()._open()
        self.opened += 1

    async def _close(self) -> None:
        await super()._close()
        self.closed += 1
        self._fail("close")

    async def _upsert(self, batch: DocumentBatch, namespace: str) -> None:
        self._fail("upsert")
        await super()._upsert(batch, namespace)

    async def _search(self, request: SearchRequest) -> list[SearchResult]:
        WatchedStore.running += 1
        WatchedStore.peak = max(WatchedStore.peak, WatchedStore.running)
        try:
            await asyncio.sleep(self.delay)
            self._fail("search")
            return await super()._search(request)
        finally:
            WatchedStore.running -= 1

    async def _search_many(self, requests: Sequence[SearchRequest]) -> list[list[SearchResult]]:
        self.searches.append(len(requests))
        return await super()._search_many(requests)


def watch(monkeypatch: pytest.MonkeyPatch) -> type[WatchedStore]:
    """The provider ``watched``, known for one test; ``watched:///area/index`` is a URL."""
    monkeypatch.setitem(factory._registered, "watched", WatchedStore)
    WatchedStore.made, WatchedStore.failures = [], {}
    WatchedStore.delay, WatchedStore.running, WatchedStore.peak = 0.0, 0, 0
    return WatchedStore


class WordEmbedder:
    """Each word is a direction of its own; the same text gives the same vector everywhere.

    Attributes:
        calls: texts of each call.
        closed: how often it was closed.
    """

    def __init__(self, model: str = "test/words") -> None:
        self.model = model
        self.calls: list[list[str]] = []
        self.closed = 0

    @property
    def dimension(self) -> int | None:
        return DIMENSION

    async def get_dimension(self) -> int:
        return DIMENSION

    async def embed_documents(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.calls.append(list(texts))
        return np.stack([words(text) for text in texts])

    async def embed_query(self, text: str) -> NDArray[np.float32]:
        self.calls.append([text])
        return words(text)

    async def aclose(self) -> None:
        self.closed += 1


def words(text: str) -> NDArray[np.float32]:
    """The sum of the directions of a text's words."""
    if not text.strip():
        raise ValueError("text 0 is blank: there is nothing to embed")
    vector = np.zeros(DIMENSION, dtype=np.float32)
    for word in text.lower().replace(".", " ").replace("?", " ").split():
        vector[int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big") % DIMENSION] += 1.0
    return vector


class Registry:
    """What steps use of the pipeline's ``ServiceRegistry``, which is tested beside the real package."""

    def __init__(self, **services: Any) -> None:
        self.services = dict(services)

    def register(self, name: str, service: Any) -> None:
        self.services[name] = service

    def get(self, name: str) -> Any:
        return self.services.get(name)

    async def cleanup_all(self) -> None:
        for service in self.services.values():
            if hasattr(service, "cleanup"):
                await service.cleanup()


DOCUMENTS = [
    {"id": "bridge", "text": "The city paid for the bridge.", "metadata": {"source": "bridge.md", "tenant": "acme"}},
    {"id": "tunnel", "text": "The state paid for the tunnel.", "metadata": {"source": "tunnel.md", "tenant": "acme"}},
    {"id": "tower", "text": "Nobody paid for the tower.", "metadata": {"source": "tower.md", "tenant": "other"}},
]
