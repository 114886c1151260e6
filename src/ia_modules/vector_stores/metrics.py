"""Distance metrics, and the one score that each of them gives on every provider.

======================  ===========================================  ==================
metric                  score                                        range
======================  ===========================================  ==================
``cosine``              ``a·b / (|a| |b|)``, 0 for a zero vector     -1 … 1
``dot_product``         ``a·b``                                      any
``euclidean``           ``1 / (1 + d)``, ``d`` the L2 distance       0 … 1
``manhattan``           ``1 / (1 + d)``, ``d`` the L1 distance       0 … 1
======================  ===========================================  ==================
"""

from __future__ import annotations

import math
from enum import Enum

import numpy as np
from numpy.typing import NDArray

__all__ = ["DistanceMetric", "clamp_cosine", "distance_score", "exact_scores"]


class DistanceMetric(str, Enum):  # noqa: UP042 - the contract says (str, Enum)
    """How near two vectors are."""

    COSINE = "cosine"
    EUCLIDEAN = "euclidean"
    DOT_PRODUCT = "dot_product"
    MANHATTAN = "manhattan"


def clamp_cosine(value: float) -> float:
    """A cosine similarity without the rounding noise beyond [-1, 1]."""
    return max(-1.0, min(1.0, value))


def distance_score(distance: float) -> float:
    """The score of a distance (not squared): ``1 / (1 + d)``."""
    return 1.0 / (1.0 + max(0.0, distance))


def exact_scores(metric: DistanceMetric, rows: NDArray[np.float32], query: NDArray[np.float32]) -> NDArray[np.float64]:
    """Scores of each row, computed in double precision and row by row, so that equal rows get equal scores.

    Args:
        metric: the metric.
        rows: shape ``(n, dimension)``.
        query: shape ``(dimension,)``.

    Returns:
        Shape ``(n,)``.
    """
    a = rows.astype(np.float64)
    q = query.astype(np.float64)
    if metric is DistanceMetric.DOT_PRODUCT:
        products: NDArray[np.float64] = np.einsum("ij,j->i", a, q)
        return products
    if metric is DistanceMetric.COSINE:
        lengths = np.sqrt(np.einsum("ij,ij->i", a, a)) * math.sqrt(float(np.einsum("j,j->", q, q)))
        with np.errstate(divide="ignore", invalid="ignore"):
            cosines = np.where(lengths > 0.0, np.einsum("ij,j->i", a, q) / lengths, 0.0)
        return np.asarray(np.clip(cosines, -1.0, 1.0))
    difference = a - q
    if metric is DistanceMetric.EUCLIDEAN:
        return np.asarray(1.0 / (1.0 + np.sqrt(np.einsum("ij,ij->i", difference, difference))))
    if metric is DistanceMetric.MANHATTAN:
        return np.asarray(1.0 / (1.0 + np.abs(difference).sum(axis=1)))
    raise ValueError(f"unknown metric {metric!r}")
