"""Results that are near to the query, and not all the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["checked_diversity", "diversified"]


def checked_diversity(diversity: float | None) -> float | None:
    """What was given.

    Raises:
        ValueError: it is not between 0 and 1.
    """
    if diversity is not None and not 0 <= diversity <= 1:
        raise ValueError(f"diversity must be between 0 and 1, not {diversity!r}")
    return diversity


def diversified(
    ranked: Sequence[str],
    scores: Mapping[str, float],
    vectors: Mapping[str, NDArray[np.float32]],
    top_k: int,
    diversity: float,
) -> list[str]:
    """Ids by maximal marginal relevance (Carbonell and Goldstein 1998).

    The next one is always that with the greatest ``(1 - diversity) * relevance - diversity * likeness``. Relevance is
    the score, scaled so that the candidates' lie between 0 and 1; likeness the greatest cosine similarity to one chosen
    before.

    Args:
        ranked: candidates, the best first; of equals the first one is taken.
        scores: of each.
        vectors: of each.
        top_k: most of them to choose.
        diversity: 0 for the order of the scores, 1 for nothing but difference after the first.
    """
    if not ranked:
        return []
    relevance = np.array([scores[one] for one in ranked], dtype=np.float64)
    span = relevance[0] - relevance.min()
    relevance = (relevance - relevance.min()) / span if span > 0 else np.ones(len(ranked))
    rows = np.stack([vectors[one] for one in ranked]).astype(np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    rows = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    likeness = np.full(len(ranked), -np.inf)
    left = np.ones(len(ranked), dtype=bool)
    chosen: list[str] = []
    while len(chosen) < min(top_k, len(ranked)):
        gain = (1 - diversity) * relevance
        if chosen:
            gain = gain - diversity * likeness
        best = int(np.argmax(np.where(left, gain, -np.inf)))
        chosen.append(ranked[best])
        left[best] = False
        likeness = np.maximum(likeness, rows @ rows[best])
    return chosen
