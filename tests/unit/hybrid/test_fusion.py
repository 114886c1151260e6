"""How two orders become one."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ia_modules.vector_stores.hybrid.fusion import fused, least_score, ranked, weights_of
from ia_modules.vector_stores.metrics import DistanceMetric

SCORES = st.dictionaries(st.sampled_from("abcdefgh"), st.floats(-1, 1), max_size=8)


def test_weights_sum_to_one() -> None:
    assert weights_of(0.7, 0.3) == (0.7, 0.3)
    assert weights_of(3, 1) == (0.75, 0.25)
    assert weights_of(0, 2) == (0, 1)


@pytest.mark.parametrize("wrong", [(0, 0), (-1, 2), (1, -0.1), (math.nan, 1), (1, math.inf)])
def test_weights_that_make_no_sense(wrong: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="at least 0 and not both 0"):
        weights_of(*wrong)


def test_weighted_goes_from_the_least_there_can_be() -> None:
    scores = fused("weighted", {"a": 0.5, "b": 0.2}, {"a": 0.0, "b": 4.0}, (0.7, 0.3), least=-1.0)
    assert scores == pytest.approx({"a": 0.7, "b": 0.7 * 1.2 / 1.5 + 0.3})


def test_without_a_least_it_is_that_of_the_candidates() -> None:
    scores = fused("weighted", {"a": 30.0, "b": -10.0, "c": 10.0}, {}, (1.0, 0.0), least=None)
    assert scores == pytest.approx({"a": 1.0, "b": 0.0, "c": 0.5})


def test_rrf_is_a_sum_over_ranks() -> None:
    ranks = ({"a": 1, "b": 2}, {"b": 1})
    scores = fused("rrf", {"a": 0.9, "b": 0.1, "c": 0.0}, {"b": 3.0}, (0.5, 0.5), least=-1.0, rrf_k=10, ranks=ranks)
    assert scores == pytest.approx({"a": 0.5 / 11, "b": 0.5 / 12 + 0.5 / 11, "c": 0})


@given(SCORES, SCORES, st.floats(0, 1))
def test_weighted_scores_lie_between_nothing_and_one(a: dict[str, float], b: dict[str, float], w: float) -> None:
    text = {one: abs(score) for one, score in b.items()}
    scores = fused("weighted", a, text, (w, 1 - w), least=-1.0)
    assert scores.keys() == a.keys() | b.keys()
    assert all(-1e-9 <= score <= 1 + 1e-9 for score in scores.values())


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.integers(-10, 10).map(lambda n: n / 10), min_size=1))
def test_one_side_alone_keeps_its_order(a: dict[str, float]) -> None:
    assert ranked(fused("weighted", a, {}, (1.0, 0.0), least=-1.0)) == ranked(a)


def test_least_scores() -> None:
    assert [least_score(metric) for metric in DistanceMetric] == [-1.0, 0.0, None, 0.0]
