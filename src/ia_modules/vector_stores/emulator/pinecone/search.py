"""Exact search.

A product of float32 finds the candidates. Its error is bounded, so that no record that belongs among the best can be
missed; the candidates are then scored in float64, each row by itself, so that equal vectors have equal scores.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ia_modules.vector_stores.emulator.pinecone.records import Sparse
from ia_modules.vector_stores.emulator.pinecone.table import BLOCK, Table

__all__ = ["Hit", "nearest"]

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

_FEW = 8  # Rows of a block are picked out if they are fewer than one in eight.
_CHUNK = 1_024


@dataclass(frozen=True, slots=True)
class Hit:
    """A result."""

    row: int
    score: float


def nearest(
    table: Table,
    metric: str,
    dense: NDArray[np.float32] | None,
    sparse: Sparse | None,
    top_k: int,
    rows: Rows | None = None,
) -> list[Hit]:
    """The best records, best first, those of equal score by id.

    Args:
        table: where to look.
        metric: "cosine", "dotproduct" or "euclidean"; the score of the last is the squared distance, lower is better.
        dense: the dense part of the query.
        sparse: the sparse part; scores of both parts are added up. Alone, it finds records that share an index.
        top_k: how many at most.
        rows: look at these only, in ascending order.
    """
    if rows is None:
        rows = np.arange(len(table.ids))
    if not len(rows):
        return []
    extra, overlap = np.zeros(len(rows)), np.zeros(len(rows), bool)
    if sparse is not None:
        everywhere, shared = _sparse_scores(table, sparse)
        extra, overlap = everywhere[rows], shared[rows]
    if dense is None:
        return _sorted(table, rows[overlap], extra[overlap], top_k, ascending=False)
    query = dense.astype(np.float64)
    products, norms = _products(table, dense, rows)
    scores, margins = _approximate(metric, query, products, norms)
    chosen = _candidates(scores + extra, margins, (norms > 0) | overlap, top_k)
    exact = _exact(table, metric, query, rows[chosen]) + extra[chosen]
    return _sorted(table, rows[chosen], exact, top_k, ascending=metric == "euclidean")


def _products(table: Table, query: NDArray[np.float32], rows: Rows) -> tuple[Floats, Floats]:
    """The dot product with each of the rows, and the length of each."""
    products, norms = np.zeros(len(rows)), np.zeros(len(rows))
    with np.errstate(all="ignore"):
        for first, block, used in table.stretches():
            start, end = np.searchsorted(rows, (first, first + BLOCK))
            place, picked = slice(start, end), rows[start:end] - first
            norms[place] = block.norms[picked]
            if len(picked) * _FEW < used:
                products[place] = _each_dot(block.vectors[picked], query)
            else:
                products[place] = _each_dot(block.vectors[:used], query)[picked]
    return products, norms


def _each_dot(vectors: NDArray[np.float32], query: NDArray[np.float32]) -> NDArray[np.float32]:
    """In one thread. A product by BLAS takes as long, and many times longer while other processes are busy."""
    products: NDArray[np.float32] = np.einsum("ij,j->i", vectors, query)
    return products


def _approximate(metric: str, query: Floats, products: Floats, norms: Floats) -> tuple[Floats, Floats]:
    """Scores, higher is better, and how far off each may be."""
    length = np.sqrt((query * query).sum())
    # Twice the bound for a sum of float32 products in any order, and what products too small for float32 lose.
    margins = (len(query) + 8) * 2.0**-23 * length * norms + len(query) * 2.0**-125
    if metric == "cosine":
        scale = np.maximum(length * norms, 1e-300)
        scores, margins = products / scale, margins / scale
    elif metric == "euclidean":
        squares = length * length + norms * norms
        scores, margins = 2 * products - squares, 2 * margins + squares * 1e-12
    else:
        scores = products
    # Sums that float32 can't hold say nothing about their row: it is a candidate.
    lost = ~np.isfinite(scores)
    return np.where(lost, 0.0, scores), np.where(lost, np.inf, margins)


def _candidates(scores: Floats, margins: Floats, eligible: NDArray[np.bool_], top_k: int) -> Rows:
    """The places of those that may be among the best."""
    if int(eligible.sum()) <= top_k:
        return np.flatnonzero(eligible)
    least = np.where(eligible, scores - margins, -np.inf)
    at = len(least) - top_k
    return np.flatnonzero(eligible & (scores + margins >= np.partition(least, at)[at]))


def _exact(table: Table, metric: str, query: Floats, rows: Rows) -> Floats:
    scores = np.zeros(len(rows))
    length = np.sqrt((query * query).sum())
    for number, block in enumerate(table.blocks):
        start, end = np.searchsorted(rows, (number * BLOCK, (number + 1) * BLOCK))
        for at in range(start, end, _CHUNK):
            place = slice(at, min(at + _CHUNK, end))
            picked = rows[place] - number * BLOCK
            vectors, norms = block.vectors[picked].astype(np.float64), block.norms[picked]
            if metric == "euclidean":
                scores[place] = np.where(norms > 0, ((vectors - query) ** 2).sum(axis=1), 0.0)
                continue
            products = np.where(norms > 0, (vectors * query).sum(axis=1), 0.0)
            if metric == "cosine":
                lengths = norms * length
                products = np.clip(np.divide(products, lengths, where=lengths > 0, out=np.zeros_like(products)), -1, 1)
            scores[place] = products
    return scores


def _sparse_scores(table: Table, query: Sparse) -> tuple[Floats, NDArray[np.bool_]]:
    """The dot product with each row's sparse vector, and whether they have an index in common."""
    count = len(table.ids)
    if not table.sparse:
        return np.zeros(count), np.zeros(count, bool)
    rows, indices, values = table.sparse_columns()
    at = np.minimum(np.searchsorted(query.indices, indices), len(query.indices) - 1)
    same = query.indices[at] == indices
    rows = rows[same]
    weights = values[same].astype(np.float64) * query.values[at[same]].astype(np.float64)
    scores: Floats = np.bincount(rows, weights, count).astype(np.float64)
    return scores, np.bincount(rows, minlength=count) > 0


def _sorted(table: Table, rows: Rows, scores: Floats, top_k: int, *, ascending: bool) -> list[Hit]:
    keyed = zip((scores if ascending else -scores).tolist(), rows.tolist(), strict=True)
    best = sorted((score, table.ids[row] or "", row) for score, row in keyed)[:top_k]
    # Adding zero turns the -0.0 of a negated zero into 0.0.
    return [Hit(row, (score if ascending else -score) + 0.0) for score, _, row in best]
