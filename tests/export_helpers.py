"""Documents written to files and read back, for the tests of the formats."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ia_modules.vector_stores.metrics import DistanceMetric
from ia_modules.vector_stores.migration import (
    JsonLinesSource,
    JsonLinesTarget,
    ParquetSource,
    ParquetTarget,
    Unreadable,
)
from ia_modules.vector_stores.migration.exporting import FileTarget
from ia_modules.vector_stores.migration.formats import file_format
from ia_modules.vector_stores.migration.records import SourceInfo
from ia_modules.vector_stores.models import VectorDocument

NAMES = ("out.parquet", "out.jsonl", "out.jsonl.gz")


def source_of(path: Path, **options: Any) -> ParquetSource | JsonLinesSource:
    return (ParquetSource if file_format(path) == "parquet" else JsonLinesSource)(path, **options)


def target_of(path: Path, **options: Any) -> FileTarget:
    return (ParquetTarget if file_format(path) == "parquet" else JsonLinesTarget)(path, **options)


def source_info(dimension: int | None = 3, **changes: Any) -> SourceInfo:
    fields: dict[str, Any] = {
        "name": "somewhere",
        "kind": "memory",
        "dimension": dimension,
        "metric": DistanceMetric.EUCLIDEAN,
        "namespaces": {"": None},
        "embedding_model": "words/3",
    }
    return SourceInfo(**fields | changes)


async def write_file(
    path: Path, documents: Mapping[str, Sequence[VectorDocument]], info: SourceInfo | None = None, size: int = 100
) -> dict[str, str]:
    """A finished export of documents by namespace; returns what was refused."""
    target = target_of(path)
    refused: dict[str, str] = {}
    try:
        await target.prepare(info or source_info(None), {name: name for name in documents}, resumed=False)
        for namespace, them in documents.items():
            for at in range(0, len(them), size):
                refused |= await target.write(list(them[at : at + size]), namespace)
        await target.finish()
    finally:
        await target.close()
    return refused


async def read_file(
    path: Path, size: int = 100, **options: Any
) -> tuple[SourceInfo, dict[str, list[VectorDocument]], list[Unreadable]]:
    """All of a file: what it says of itself, documents by namespace, and what can't be read."""
    source = source_of(path, **options)
    info = await source.describe()
    found: dict[str, list[VectorDocument]] = {}
    unreadable: list[Unreadable] = []
    for namespace in info.namespaces:
        found[namespace] = []
        async for page in source.pages(namespace, size):
            assert len(page.documents) + len(page.unreadable) <= size
            found[namespace] += page.documents
            unreadable += page.unreadable
    await source.close()
    return info, found, unreadable


def exact(document: VectorDocument) -> tuple[str, bytes, str | None, str]:
    """A document so that equal means equal: each bit of the vector, and 3 is not 3.0."""
    return document.id, document.vector.array.tobytes(), document.text, json.dumps(document.metadata)


def some_documents(count: int = 20, dimension: int = 3, seed: int = 0) -> list[VectorDocument]:
    vectors = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
    return [
        VectorDocument(
            id=f"d{number}",
            vector=vector,
            metadata={"n": number, "f": float(number), "tags": ["x", None], "deep": {"yes": True}},
            text=None if number % 3 == 0 else f"text {number}",
        )
        for number, vector in enumerate(vectors)
    ]
