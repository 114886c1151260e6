"""Tokens that retries take: who gets some, who brings some back, and what an outage then costs."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import FakeStore
from ia_modules.vector_stores import ConnectionError, RateLimitError
from ia_modules.vector_stores.budget import RetryBudget
from ia_modules.vector_stores.metrics import DistanceMetric
from ia_modules.vector_stores.requests import IndexInfo


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def budget(capacity: float = 5, **given: float) -> RetryBudget:
    return RetryBudget(capacity, clock=Clock(), **given)


def test_a_budget_is_spent_by_retries() -> None:
    one = budget(3)
    assert [one.take() for _ in range(5)] == [True, True, True, False, False]
    assert one.tokens == 0


def test_a_call_that_succeeds_in_the_end_gives_back_what_it_took() -> None:
    one = budget(3)
    assert one.take()
    assert one.take()
    one.succeeded(2)
    assert one.tokens == 3
    assert not one.short


def test_success_brings_a_little() -> None:
    one = budget(3, per_success=0.5)
    while one.take():
        pass
    one.succeeded()
    assert not one.take()
    one.succeeded()
    assert one.take()


def test_time_brings_some() -> None:
    clock = Clock()
    one = RetryBudget(3, per_second=0.5, clock=clock)
    clock.now += 1000  # time before the first retry counts for nothing, as the budget is full
    while one.take():
        pass
    clock.now += 1
    assert not one.take()
    clock.now += 1
    assert one.take()
    clock.now += 1000
    assert one.tokens == 3


@given(st.lists(st.one_of(st.just("take"), st.integers(0, 5), st.floats(0, 100)), max_size=50))
def test_tokens_stay_within_their_bounds(program: list[str | int | float]) -> None:
    clock = Clock()
    one = RetryBudget(4, clock=clock)
    for step in program:
        if step == "take":
            had = one.tokens
            assert one.take() is (had >= 1)
        elif isinstance(step, int):
            one.succeeded(step)
        else:
            clock.now += float(step)
        assert 0 <= one.tokens <= 4
        assert one.short is (one.tokens < 4)


@pytest.mark.parametrize(
    "wrong", [{"capacity": 0}, {"per_success": -1}, {"per_second": -1}, {"capacity": float("nan")}]
)
def test_what_makes_no_budget(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="capacity of at least 1"):
        RetryBudget(**wrong)


def store(**given: object) -> FakeStore:
    return FakeStore(info=IndexInfo(3, DistanceMetric.COSINE), dimension=3, **given)


async def test_an_outage_is_not_multiplied() -> None:
    one = store(max_retries=3)
    one.share_retry_budget(budget(10, per_second=0))
    await one.count()
    one.failures["count"] = [ConnectionError("down")] * 1000
    one.calls.clear()
    outcomes = await asyncio.gather(*(one.count() for _ in range(100)), return_exceptions=True)
    assert all(isinstance(outcome, ConnectionError) for outcome in outcomes)
    assert len(one.calls) == 100 + 10  # where 100 calls with 3 retries would have been 400
    spent = [outcome for outcome in outcomes if "budget is spent" in "".join(getattr(outcome, "__notes__", []))]
    assert len(spent) >= 90
    assert not any(outcome.retryable for outcome in spent)


async def test_passing_failures_cost_nothing() -> None:
    one = store(max_retries=3)
    shared = budget(2, per_second=0, per_success=0)
    one.share_retry_budget(shared)
    for _ in range(20):
        one.failures["count"] = [ConnectionError("lost"), RateLimitError("slow down")]
        await one.count()
    assert shared.tokens == 2


async def test_success_refills_it() -> None:
    one = store(max_retries=1)
    shared = budget(1, per_second=0, per_success=0.5)
    one.share_retry_budget(shared)
    await one.count()
    one.failures["count"] = [ConnectionError("down")] * 2
    with pytest.raises(ConnectionError):
        await one.count()
    assert shared.tokens == 0
    await one.count()
    await one.count()
    assert shared.tokens == 1


async def test_stores_may_share_one() -> None:
    shared = budget(3, per_second=0)
    stores = [store(max_retries=5) for _ in range(2)]
    for one in stores:
        one.share_retry_budget(shared)
        await one.count()
        one.failures["count"] = [ConnectionError("down")] * 99
        one.calls.clear()
        with pytest.raises(ConnectionError):
            await one.count()
    assert [len(one.calls) for one in stores] == [4, 1]
