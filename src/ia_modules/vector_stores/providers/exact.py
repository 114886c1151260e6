"""Exact nearest neighbours over a growing matrix: what the memory provider is made of."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ia_modules.vector_stores.documents import DocumentBatch, copy_metadata
from ia_modules.vector_stores.filters import Predicate
from ia_modules.vector_stores.lexical import WordIndex
from ia_modules.vector_stores.metrics import DistanceMetric, exact_scores
from ia_modules.vector_stores.vectors import Vector

__all__ = ["ExactCollection", "Record"]

_FIRST_LOOK = 64
"""Documents that a filtered search looks at first; four times as many each further time."""

_TINY, _HUGE = 1e-25, 1e30
"""Squared lengths in between leave room for products and differences in single precision."""

_MANHATTAN_ROWS = 1024
"""Rows at a time, so that the differences stay in the cache."""


@dataclass(slots=True)
class Record:
    """A document without its vector, which is row ``row`` of the matrix."""

    id: str
    row: int
    metadata: dict[str, Any]
    text: str | None


class ExactCollection:
    """The documents of one namespace. Not safe for threads; the owner locks.

    Args:
        metric: what :meth:`nearest` ranks by.
        dimension: numbers per vector.

    Attributes:
        words: an index of the texts for each language asked for, in the order of the documents; another dict after
            each change of texts or of their order.
    """

    def __init__(self, metric: DistanceMetric, dimension: int) -> None:
        self.metric = metric
        self.dimension = dimension
        self._records: list[Record] = []
        self._by_id: dict[str, Record] = {}
        self._matrix = np.empty((0, dimension), dtype=np.float32)
        self._square_lengths = np.empty(0, dtype=np.float32)
        self._delicate = False
        self.words: dict[str, WordIndex] = {}

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self._records)

    def get(self, document_id: str) -> Record | None:
        """The document, if it is there."""
        return self._by_id.get(document_id)

    def vector(self, record: Record) -> Vector:
        """A copy of a document's vector."""
        return Vector.wrap(self._matrix[record.row].copy())

    def write(self, batch: DocumentBatch) -> None:
        """Add documents; those whose id exists are replaced whole."""
        self.words = {}
        self._reserve(len(self) + len(batch))
        rows = np.empty(len(batch), dtype=np.intp)
        for i, (document_id, metadata, text) in enumerate(zip(batch.ids, batch.metadatas, batch.texts, strict=True)):
            record = self._by_id.get(document_id)
            if record is None:
                record = Record(document_id, len(self._records), copy_metadata(metadata), text)
                self._records.append(record)
                self._by_id[document_id] = record
            else:
                record.metadata, record.text = copy_metadata(metadata), text
            rows[i] = record.row
        self._matrix[rows] = batch.vectors
        with np.errstate(over="ignore", under="ignore"):
            squares = np.einsum("ij,ij->i", batch.vectors, batch.vectors)
        self._square_lengths[rows] = squares
        if not self._delicate and _is_delicate(squares):
            self._delicate = bool((~np.isfinite(squares) | batch.vectors.any(axis=1) & (squares < _TINY)).any())

    def update_metadata(self, document_id: str, changes: dict[str, Any]) -> bool:
        """Merge top-level keys into a document's metadata; whether it exists."""
        record = self._by_id.get(document_id)
        if record is None:
            return False
        record.metadata = record.metadata | changes
        return True

    def remove(self, ids: Iterable[str]) -> int:
        """Delete documents; how many existed."""
        removed = 0
        for document_id in ids:
            record = self._by_id.pop(document_id, None)
            if record is None:
                continue
            self.words = {}
            removed += 1
            last = self._records.pop()
            if last is not record:  # the last one moves into the gap
                self._matrix[record.row] = self._matrix[last.row]
                self._square_lengths[record.row] = self._square_lengths[last.row]
                last.row = record.row
                self._records[last.row] = last
        return removed

    def nearest(self, query: NDArray[np.float32], top_k: int, passes: Predicate | None) -> list[tuple[Record, float]]:
        """The best documents with their scores, by score and then by id.

        A fast pass in single precision finds who can be among them, and only those are scored exactly: fast
        kernels round equal rows differently depending on where they stand, which would disturb ties.
        """
        rows = self._candidates(query, top_k, passes)
        scores = exact_scores(self.metric, self._matrix[rows], query).tolist()
        records = self._records
        ranked = sorted(
            ((-score, records[row].id, records[row]) for row, score in zip(rows.tolist(), scores, strict=True)),
            key=lambda item: item[:2],
        )
        return [(record, -score) for score, _, record in ranked[:top_k]]

    def _candidates(self, query: NDArray[np.float32], top_k: int, passes: Predicate | None) -> NDArray[np.intp]:
        """Rows that include the best ``top_k`` of those that pass."""
        count = len(self)
        if passes is None and top_k >= count:
            return np.arange(count)
        if self._delicate or _is_delicate(np.vdot(query, query)):
            # Too large or too small to be squared in single precision: every row is scored exactly.
            return np.array([record.row for record in self if passes is None or passes(record.metadata)], np.intp)
        distances, margin = self._rough_distances(query)
        if passes is None:
            return _within(distances, top_k, margin)
        records = self._records
        look = max(_FIRST_LOOK, 4 * top_k)
        while look < count:
            near = np.argpartition(distances, look)[: look + 1]
            passing = [row for row in near.tolist() if passes(records[row].metadata)]
            if len(passing) >= top_k:
                rows = np.array(passing)
                limit = np.partition(distances[rows], top_k - 1)[top_k - 1] + margin
                if limit < distances[near].max():  # nothing outside the look can be as near
                    return np.asarray(rows[distances[rows] <= limit])
            look *= 4
        rows = np.array([record.row for record in records if passes(record.metadata)], dtype=np.intp)
        return rows if len(rows) <= top_k else np.asarray(rows[_within(distances[rows], top_k, margin)])

    def _rough_distances(self, query: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
        """Numbers that rank like the distance, and by how much rounding may have moved each."""
        count = len(self)
        matrix, squares = self._matrix[:count], self._square_lengths[:count]
        # Rounding of a sum of products is bounded by a small multiple of the product of the lengths.
        unit = 4e-7 * max(8.0, math.sqrt(self.dimension))
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            if self.metric is DistanceMetric.MANHATTAN:
                rough = np.empty(count, dtype=np.float32)
                for start in range(0, count, _MANHATTAN_ROWS):
                    rows = slice(start, start + _MANHATTAN_ROWS)
                    rough[rows] = np.abs(matrix[rows] - query).sum(axis=1)
                return rough, unit * float(rough.max())
            products = matrix @ query
            own = float(np.vdot(query, query))
            if self.metric is DistanceMetric.DOT_PRODUCT:
                return -products, unit * math.sqrt(own * float(squares.max()))
            if self.metric is DistanceMetric.COSINE:
                lengths = np.sqrt(squares * np.float32(own))
                return np.where(lengths > 0, -products / lengths, np.float32(0.0)), unit
            return squares - 2 * products, unit * (own + float(squares.max()))

    def _reserve(self, count: int) -> None:
        capacity = len(self._matrix)
        if count > capacity:
            capacity = max(count, 16, capacity + capacity // 2)
            matrix = np.empty((capacity, self.dimension), dtype=np.float32)
            matrix[: len(self)] = self._matrix[: len(self)]
            squares = np.empty(capacity, dtype=np.float32)
            squares[: len(self)] = self._square_lengths[: len(self)]
            self._matrix, self._square_lengths = matrix, squares


def _within(distances: NDArray[np.float32], top_k: int, margin: float) -> NDArray[np.intp]:
    """Where the distances are that may belong to the ``top_k`` smallest."""
    limit = np.partition(distances, top_k - 1)[top_k - 1] + margin
    return np.asarray(np.flatnonzero(distances <= limit))


def _is_delicate(squares: NDArray[np.float32] | np.float32) -> bool:
    """Whether a squared length has overflowed, or is so small that it may have lost digits."""
    return not (np.max(squares) < _HUGE and np.min(squares) > _TINY)
