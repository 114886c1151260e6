"""One order out of two: what vectors say and what words say.

``weighted``
    ``w_v * n(vector score) + w_t * n(text score)`` with weights that sum to 1. ``n`` brings a score from between its
    least and the best one found to between 0 and 1. The least is the theoretical one where there is one: -1 for cosine,
    0 for euclidean and manhattan scores and for BM25; for dot products it is that of the candidates. (Bruch, Gai and
    Ingber 2023, "An Analysis of Fusion Functions for Hybrid Retrieval", call it TMM, and find it better than the least
    of the candidates, which turns small differences between vectors into large ones.)

``rrf``
    ``w_v / (k + vector rank) + w_t / (k + text rank)``, ranks from 1: reciprocal rank fusion (Cormack, Clarke and
    Büttcher 2009). Who is not among the candidates of a side gets nothing from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ia_modules.vector_stores.metrics import DistanceMetric

__all__ = ["FUSIONS", "RRF_K", "fused", "least_score", "ranked", "weights_of"]

FUSIONS: Final = ("weighted", "rrf")
RRF_K: Final = 60


def weights_of(vector_weight: float, text_weight: float) -> tuple[float, float]:
    """Weights that sum to 1.

    Raises:
        ValueError: one is negative or no finite number, or both are 0.
    """
    total = vector_weight + text_weight
    if not (vector_weight >= 0 and text_weight >= 0 and 0 < total < float("inf")):
        raise ValueError(
            f"vector_weight and text_weight are at least 0 and not both 0, not {vector_weight!r} and {text_weight!r}"
        )
    return vector_weight / total, text_weight / total


def least_score(metric: DistanceMetric) -> float | None:
    """The least score of a metric, or None if there is none."""
    if metric is DistanceMetric.COSINE:
        return -1.0
    return None if metric is DistanceMetric.DOT_PRODUCT else 0.0


def ranked(scores: Mapping[str, float]) -> list[str]:
    """Ids by score, the best first, equal ones by id."""
    return sorted(scores, key=lambda one: (-scores[one], one))


def fused(
    fusion: str,
    vector: Mapping[str, float],
    text: Mapping[str, float],
    weights: tuple[float, float],
    *,
    least: float | None,
    rrf_k: float = RRF_K,
    ranks: tuple[Mapping[str, int], Mapping[str, int]] = ({}, {}),
) -> dict[str, float]:
    """Scores of all candidates.

    Args:
        fusion: ``"weighted"`` or ``"rrf"``.
        vector: each candidate's score by its vector.
        text: each candidate's score by its words; 0 where it has none of them.
        weights: of both, with a sum of 1.
        least: theoretical least of vector scores, or None.
        rrf_k: the constant of ``rrf``.
        ranks: of both legs, for ``rrf``.
    """
    candidates = vector.keys() | text.keys()
    if fusion == "rrf":
        parts = [(weight, rank) for weight, rank in zip(weights, ranks, strict=True) if weight]
        return {one: sum(weight / (rrf_k + rank[one]) for weight, rank in parts if one in rank) for one in candidates}
    by_vector, by_text = _scaled(vector, least), _scaled(text, 0.0)
    return {one: weights[0] * by_vector.get(one, 0.0) + weights[1] * by_text.get(one, 0.0) for one in candidates}


def _scaled(scores: Mapping[str, float], least: float | None) -> dict[str, float]:
    """Scores brought to between 0 and 1."""
    if not scores:
        return {}
    low = min(scores.values()) if least is None else least
    span = max(scores.values()) - low
    if span <= 0:  # all are the same: the best there is, unless that is nothing
        return dict.fromkeys(scores, 0.0 if least is not None else 1.0)
    return {one: (score - low) / span for one, score in scores.items()}
