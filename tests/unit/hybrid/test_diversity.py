"""Results that differ from each other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ia_modules.vector_stores.hybrid.diversity import checked_diversity, diversified

VECTORS = {
    "a": np.array([1, 0, 0], dtype=np.float32),
    "b": np.array([1, 0.01, 0], dtype=np.float32),
    "c": np.array([0.7, 0.7, 0], dtype=np.float32),
    "d": np.array([0, 0, 5], dtype=np.float32),
}
SCORES = {"a": 1.0, "b": 0.99, "c": 0.7, "d": 0.0}
RANKED = ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("diversity", "order"), [(0, "abcd"), (0.1, "abcd"), (0.5, "adcb"), (1, "adcb")], ids=lambda value: str(value)
)
def test_the_more_the_less_alike(diversity: float, order: str) -> None:
    assert "".join(diversified(RANKED, SCORES, VECTORS, 4, diversity)) == order


def by_hand(ranked: list[str], scores: dict[str, float], top_k: int, diversity: float) -> list[str]:
    low, high = min(scores.values()), max(scores.values())

    def cosine(one: str, other: str) -> float:
        a, b = VECTORS[one].astype(float), VECTORS[other].astype(float)
        return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))

    chosen: list[str] = []
    while len(chosen) < min(top_k, len(ranked)):
        gains = {}
        for one in ranked:
            if one not in chosen:
                relevance = (scores[one] - low) / (high - low) if high > low else 1.0
                likeness = max((cosine(one, other) for other in chosen), default=0.0)
                gains[one] = round((1 - diversity) * relevance - diversity * likeness, 9)
        chosen.append(max(gains, key=lambda one: (gains[one], -ranked.index(one))))
    return chosen


@given(
    st.lists(st.sampled_from("abcd"), unique=True, min_size=1),
    st.lists(st.integers(0, 10), min_size=4, max_size=4),
    st.integers(1, 5),
    st.sampled_from([0.0, 0.3, 0.7, 1.0]),
)
def test_it_is_the_formula(ids: list[str], values: list[int], top_k: int, diversity: float) -> None:
    scores = {one: values[number] / 10 for number, one in enumerate(ids)}
    ranked = sorted(ids, key=lambda one: (-scores[one], one))
    assert diversified(ranked, scores, VECTORS, top_k, diversity) == by_hand(ranked, scores, top_k, diversity)


def test_zero_vectors_are_like_nothing() -> None:
    vectors = {"a": np.zeros(2, dtype=np.float32), "b": np.zeros(2, dtype=np.float32)}
    assert diversified(["a", "b"], {"a": 1.0, "b": 1.0}, vectors, 2, 0.5) == ["a", "b"]
    assert diversified([], {}, {}, 2, 0.5) == []


@pytest.mark.parametrize("wrong", [-0.1, 1.1, float("nan")])
def test_what_is_no_diversity(wrong: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        checked_diversity(wrong)
