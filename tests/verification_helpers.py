"""Two stores that hold the same, and what can go wrong with one of them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import Any

import numpy as np

from ia_modules.vector_stores import (
    DistanceMetric,
    MemoryVectorStore,
    VectorDocument,
    VectorStoreBase,
    VectorStoreConfig,
)
from ia_modules.vector_stores.migration.records import Cursor, Page, SourceInfo, Unreadable
from ia_modules.vector_stores.migration.verification_report import FindingKind, VerificationReport

AWKWARD: list[dict[str, Any]] = [
    {},
    {"n": 3, "x": 3.0, "yes": True, "s": "3"},
    {"empty": [], "object": {}, "none": None, "nested": {"a": [1, 2.0, None, {"b": False}]}},
    {"big": 2**63 - 1, "small": -(2**63), "zero": -0.0, "tiny": 5e-324, "huge": 1.7976931348623157e308},
    {"text": "a", "id": "b", "namespace": "c", "vector": [1.0], "$set": 1, "_id": 2, "a.b": 3, 'quo"te': 4, "": 5},
    {"emoji": "🦔", "combining": "é", "right-to-left": "שלום", "null": "\x00\x1f"},
]
IDS = ["plain", "a/b", "../x", "ø ü 🦔", "'; DROP TABLE--", "<script>alert(1)</script>", "%41", "A" * 512]


def documents(dimension: int = 4, count: int = 12) -> list[VectorDocument]:
    """Awkward ones, all different."""
    random = np.random.default_rng(3)
    return [
        VectorDocument(
            id=IDS[n] if n < len(IDS) else f"d{n}",
            vector=random.standard_normal(dimension) * 3,
            metadata=AWKWARD[n % len(AWKWARD)],
            text=(None, "", "some text", "Zeilen\nund \U0001f9a6")[n % 4],
        )
        for n in range(count)
    ]


def memory_store(name: str = "i") -> MemoryVectorStore:
    """One without an index."""
    return MemoryVectorStore(VectorStoreConfig(provider="memory", index_name=name))


async def filled(
    store: VectorStoreBase,
    contents: Mapping[str, Sequence[VectorDocument]],
    metric: DistanceMetric | str = "cosine",
    dimension: int = 4,
) -> VectorStoreBase:
    """The store with a new index that has documents by namespace."""
    await store.create_index(dimension, metric)
    for namespace, them in contents.items():
        if them:
            await store.upsert(them, namespace=namespace)
    return store


def changed(document: VectorDocument, **changes: Any) -> VectorDocument:
    """The document with other fields."""
    fields = {"id": document.id, "vector": document.vector, "metadata": document.metadata, "text": document.text}
    return VectorDocument(**(fields | changes))


def found(report: VerificationReport) -> list[tuple[FindingKind, str | None, str | None]]:
    """Kind, namespace and id of all findings, after a look at whether the report contradicts itself."""
    assert sum(report.counts.values()) == len(report.findings)
    for kind, count in report.counts.items():
        assert sum(one.kind == kind for one in report.findings) == count
    assert report.ok == (not report.findings)
    return [(one.kind, one.namespace, one.id) for one in report.findings]


class ListSource:
    """A source made of a list, in which an id may come twice, as in a file.

    Args:
        contents: documents by namespace.
        unreadable: what is between the documents of the first namespace.
        counts: what it says that it has; None for the truth.
        metric: what it was made for.
        kind: of source.
    """

    def __init__(
        self,
        contents: Mapping[str, Sequence[VectorDocument]],
        unreadable: Sequence[Unreadable] = (),
        counts: Mapping[str, int | None] | None = None,
        metric: DistanceMetric | None = None,
        kind: str = "jsonl",
    ) -> None:
        self.contents = contents
        self.unreadable = list(unreadable)
        self.counts = {name: len(them) for name, them in contents.items()} if counts is None else counts
        self.metric = metric
        self.kind = kind
        self.closed = 0
        self.open_pages = 0
        self.iterators: list[AsyncIterator[Page]] = []

    async def describe(self) -> SourceInfo:
        return SourceInfo("a list", self.kind, None, self.metric, self.counts)

    def pages(self, namespace: str, size: int, after: Cursor = None) -> AsyncIterator[Page]:
        assert after is None
        self.iterators.append(self.read(namespace, size))  # kept, so that none is closed by being forgotten
        return self.iterators[-1]

    async def read(self, namespace: str, size: int) -> AsyncGenerator[Page]:
        self.open_pages += 1
        try:
            them = self.contents.get(namespace, ())
            lost = self.unreadable if namespace == next(iter(self.contents)) else []
            if lost:
                yield Page([], None, lost)
            for at in range(0, len(them), size):
                yield Page(list(them[at : at + size]), at)
        finally:
            self.open_pages -= 1

    async def close(self) -> None:
        self.closed += 1
