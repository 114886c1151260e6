"""Documents that are hard to carry, and helpers to compare what arrived."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import numpy as np

from ia_modules.vector_stores import VectorDocument, VectorStoreBase, VectorStoreConfig
from ia_modules.vector_stores.metrics import DistanceMetric
from ia_modules.vector_stores.migration import Page, SourceInfo, Unreadable
from ia_modules.vector_stores.providers.memory import MemoryVectorStore

DIMENSION = 8
NAMESPACES = ("", "tenant/ü", "$where; --", "日本 語", "x" * 64)
IDS = ("plain", "with space", "quotes \" and '", "../up", "ü€😀", "ia--abc", "0", "x" * 512, "tab\tand\nline", "a:b#c")
METADATA: tuple[dict[str, Any], ...] = (
    {},
    {"n": 3, "x": 3.0, "yes": True, "no": False, "none": None, "text": "t", "id": 7, "vector": [1]},
    {"big": 2**63 - 1, "small": -(2**63), "exact": 2**53 + 1, "tiny": 5e-324, "third": 1 / 3, "minus": -0.0},
    {"list": [1, 1.0, True, None, "1", [], {}], "empty": [], "object": {}, "deep": {"a.b": {"c": [{"d": None}]}}},
    {"a.b": 1, "a": {"b": 2}, "$ne": "x", "_id": "y", "~m": "{}", 'quo"te': "'", "": "no name", "ключ": "значение"},
    {"date": "2024-02-30", "zeros": "007", "long": "é" * 2000},
)
TEXTS = (None, "", "A text.", "Zeilen\nund Tabs\t😀", "x" * 3000)


def documents(namespace: str, count: int = 30, seed: int = 0) -> list[VectorDocument]:
    """Some documents of a namespace, the same each time."""
    random = np.random.default_rng([seed, NAMESPACES.index(namespace) if namespace in NAMESPACES else 99])
    return [
        VectorDocument(
            id=IDS[number] if number < len(IDS) else f"document {number}",
            vector=random.standard_normal(DIMENSION) * 10.0 ** random.integers(-3, 4),
            metadata=METADATA[number % len(METADATA)],
            text=TEXTS[number % len(TEXTS)],
        )
        for number in range(count)
    ]


def memory_store(path: str | None = None, **config: Any) -> MemoryVectorStore:
    """A store in memory."""
    return MemoryVectorStore(VectorStoreConfig(**{"provider": "memory", "index_name": "index", "path": path} | config))


async def filled(store: VectorStoreBase, count: int = 30, metric: str = "cosine") -> VectorStoreBase:
    """A store with the documents in all namespaces."""
    await store.create_index(DIMENSION, metric)
    for namespace in NAMESPACES:
        await store.upsert(documents(namespace, count), namespace)
    return store


def spelled(document: VectorDocument) -> tuple[str, str | None, list[float]]:
    """Metadata with its types, text and vector of a document."""
    return json.dumps(document.metadata, sort_keys=True), document.text, document.vector.tolist()


async def contents(store: VectorStoreBase) -> dict[tuple[str, str], tuple[str, str | None, list[float]]]:
    """All that a store has, by namespace and id."""
    return {
        (name, document.id): spelled(document)
        for name in await store.list_namespaces()
        async for document in store.scan(name)
    }


def assert_same(
    one: Mapping[tuple[str, str], tuple[str, str | None, list[float]]],
    other: Mapping[tuple[str, str], tuple[str, str | None, list[float]]],
) -> None:
    """The same documents, vectors within single precision."""
    assert one.keys() == other.keys()
    for key, (metadata, text, vector) in one.items():
        assert (metadata, text) == other[key][:2], key
        np.testing.assert_allclose(vector, other[key][2], rtol=1e-6, atol=1e-6 * float(np.abs(vector).max()))


class Listed:
    """A source of documents in lists, whose cursor is a position.

    Args:
        documents: by namespace.
        portable: whether it can go on behind a page; 2 for behind every second one.
        unreadable: how many things between the documents are none, by namespace.
    """

    def __init__(
        self,
        documents: Mapping[str, list[VectorDocument]],
        *,
        portable: int = True,
        unreadable: Mapping[str, int] | None = None,
    ) -> None:
        self.documents = {name: list(them) for name, them in documents.items()}
        self.portable = portable
        self.unreadable = dict(unreadable or {})
        self.read: list[str] = []
        self.asked: list[tuple[str, Any]] = []
        self.closed = 0

    async def describe(self) -> SourceInfo:
        counts = {name: len(them) for name, them in self.documents.items()}
        return SourceInfo("listed", "sql", DIMENSION, DistanceMetric.COSINE, counts, notes=("listed for a test",))

    async def pages(self, namespace: str, size: int, after: Any = None) -> AsyncIterator[Page]:
        self.asked.append((namespace, after))
        position = after or 0
        bad = [
            Unreadable(f"row {number}", "no vector", namespace) for number in range(self.unreadable.get(namespace, 0))
        ]
        while position < len(self.documents[namespace]) or bad:
            await asyncio.sleep(0)
            found = self.documents[namespace][position : position + size]
            self.read += [document.id for document in found]
            position += size
            goes_on = self.portable and position // size % self.portable == 0
            yield Page(found, position if goes_on else None, bad)
            bad = []

    async def close(self) -> None:
        self.closed += 1
