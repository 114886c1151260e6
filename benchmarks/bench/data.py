"""The documents and queries that every contestant gets."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import numpy as np
from numpy.typing import NDArray

from ia_modules.vector_stores import SearchFilter, VectorDocument

__all__ = ["FILTERS", "Data", "Filter", "documents", "make_data", "metadata_of", "stream", "text_of", "with_uuids"]

_CLUSTERS = 100
_DAYS = 33
_WORDS = (
    "the",
    "layer",
    "must",
    "cost",
    "almost",
    "nothing",
    "beside",
    "the",
    "database",
    "that",
    "it",
    "serves",
    "and",
)
_FIRST_DAY = datetime.date(2024, 1, 1)


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter in the forms that the contestants need."""

    what: str
    ours: SearchFilter
    chroma: dict[str, Any]
    qdrant: dict[str, Any]
    passes: Callable[[dict[str, Any]], bool]
    schema: str
    """Of the payload index that Qdrant's documentation wants for the field."""
    weaviate: tuple[str, str, Any]
    """A property, the method of the client's filter for it, and what that takes."""


def _equal(what: str, key: str, value: str | int) -> Filter:
    return Filter(
        what,
        SearchFilter(field=key, operator="eq", value=value),
        {key: value},
        {"key": key, "match": {"value": value}},
        lambda found: found[key] == value,
        "keyword" if isinstance(value, str) else "integer",
        (key, "equal", value),
    )


FILTERS = {
    "tenth": _equal("filter, 10 % pass", "n", 3),
    "few": _equal("filter, 3 % pass", "day", (_FIRST_DAY + datetime.timedelta(days=7)).isoformat()),
    "rare": _equal("filter, 0.1 % pass", "code", "c7"),
    "range": Filter(
        "range filter, 10 % pass",
        SearchFilter(field="price", operator="lt", value=10.0),
        {"price": {"$lt": 10.0}},
        {"key": "price", "range": {"lt": 10.0}},
        lambda found: found["price"] < 10.0,
        "float",
        ("price", "less_than", 10.0),
    ),
}


@dataclass(frozen=True, slots=True)
class Data:
    """Documents as columns, as the raw clients want them, and queries."""

    ids: list[str]
    vectors: NDArray[np.float32]
    metadatas: list[dict[str, Any]]
    texts: list[str]
    queries: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def dimension(self) -> int:
        return self.vectors.shape[1]

    def nearest(self, query: NDArray[np.float32], top_k: int, chosen: Filter | None) -> set[str]:
        """The exact answer by cosine, against which the recall of both sides is stated."""
        rows = np.array([i for i, found in enumerate(self.metadatas) if chosen is None or chosen.passes(found)])
        near = self.vectors[rows] @ query / np.linalg.norm(self.vectors[rows], axis=1)
        return {self.ids[rows[i]] for i in np.argsort(-near)[:top_k].tolist()}


def metadata_of(i: int) -> dict[str, Any]:
    """Five flat keys; the strides keep one filter from implying another."""
    return {
        "n": i % 10,
        "code": f"c{i * 7 % 1000}",
        "price": round(i * 0.37 % 100, 2),
        "fresh": i % 3 == 0,
        "day": (_FIRST_DAY + datetime.timedelta(days=i % _DAYS)).isoformat(),
    }


def text_of(i: int) -> str:
    """About a hundred characters, each text different."""
    return f"passage {i}: " + " ".join(_WORDS[(i + k) % len(_WORDS)] for k in range(18))


def _vectors(count: int, centres: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Points around the centres: embeddings cluster, and a graph index behaves otherwise on pure noise."""
    noise = rng.standard_normal((count, centres.shape[1]), dtype=np.float32)
    return np.asarray(centres[rng.integers(0, len(centres), count)] + noise * np.float32(0.7))


def make_data(count: int, dimension: int, queries: int = 200, seed: int = 7) -> Data:
    """The same data for the same arguments."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((_CLUSTERS, dimension), dtype=np.float32)
    return Data(
        [f"doc-{i}" for i in range(count)],
        _vectors(count, centres, rng),
        [metadata_of(i) for i in range(count)],
        [text_of(i) for i in range(count)],
        _vectors(queries, centres, rng),
    )


def with_uuids(data: Data) -> Data:
    """The same, with ids for a database that takes no other text."""
    return replace(data, ids=[str(uuid5(NAMESPACE_OID, name)) for name in data.ids])


def documents(data: Data, start: int, stop: int) -> list[VectorDocument]:
    """Some of the data as our documents, made from rows of the matrix."""
    return [
        VectorDocument(id=data.ids[i], vector=data.vectors[i], metadata=data.metadatas[i], text=data.texts[i])
        for i in range(start, min(stop, len(data)))
    ]


def stream(count: int, dimension: int, size: int) -> Iterator[list[VectorDocument]]:
    """Documents made only when they are asked for, in slices."""
    rng = np.random.default_rng(7)
    centres = rng.standard_normal((_CLUSTERS, dimension), dtype=np.float32)
    for start in range(0, count, size):
        rows = _vectors(min(size, count - start), centres, rng)
        yield [
            VectorDocument(id=f"doc-{i}", vector=row, metadata=metadata_of(i), text=text_of(i))
            for i, row in enumerate(rows, start)
        ]
