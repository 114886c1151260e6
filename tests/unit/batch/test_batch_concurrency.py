"""Fewer requests at a time once the database asks to slow down, and more again when it no longer does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from batch_helpers import ScriptedStore, documents, run_jumping
from fakes import FakeStore
from ia_modules.vector_stores import (
    BatchProcessor,
    ConnectionError,
    DistanceMetric,
    OperationEvent,
    PartialFailureError,
    RateLimitError,
    VectorDocument,
)
from ia_modules.vector_stores.batch.concurrency import AdaptiveLimit, Permit, Stopped
from ia_modules.vector_stores.documents import DocumentBatch
from ia_modules.vector_stores.requests import IndexInfo

SLOWLY = RateLimitError("slowly")


async def begun(limit: AdaptiveLimit, count: int) -> list[Permit]:
    return [await limit.acquire(0) for _ in range(count)]


async def test_it_halves_once_for_all_that_were_under_way() -> None:
    limit = AdaptiveLimit(8)
    first = await begun(limit, 8)
    for permit in first[:5]:
        limit.release(SLOWLY, permit)
    assert limit.limit == 4
    second = await begun(limit, 1)
    limit.release(SLOWLY, first[5])
    limit.release(None, first[6])
    assert limit.limit == 4
    limit.release(SLOWLY, second[0])
    assert limit.limit == 2


@pytest.mark.parametrize(("most", "steps"), [(1, [1]), (2, [1]), (5, [2, 1, 1]), (10, [5, 2, 1, 1])])
async def test_never_below_one(most: int, steps: list[int]) -> None:
    limit = AdaptiveLimit(most)
    for expected in steps:
        limit.release(SLOWLY, await limit.acquire(0))
        assert limit.limit == expected


async def test_it_grows_by_one_after_as_many_successes_as_it_is() -> None:
    limit = AdaptiveLimit(4)
    limit.release(SLOWLY, await limit.acquire(0))
    limit.release(SLOWLY, await limit.acquire(0))
    seen = []
    for _ in range(12):
        limit.release(None, await limit.acquire(0))
        seen.append(limit.limit)
    assert seen == [2, 2, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4]


async def test_other_failures_and_successes_of_before_do_not_count() -> None:
    limit = AdaptiveLimit(2)
    early, late = await begun(limit, 2)
    limit.release(SLOWLY, early)
    limit.release(None, late)
    assert limit.limit == 1
    limit.release(ConnectionError("lost"), await limit.acquire(0))
    assert limit.limit == 1
    limit.release(None, await limit.acquire(0))
    assert limit.limit == 2


async def test_a_rate_limit_that_the_store_got_over_counts() -> None:
    limit = AdaptiveLimit(4)
    permit = await limit.acquire(0)
    limit.throttle(permit)
    limit.release(None, permit)
    assert limit.limit == 2
    limit.throttle(None)
    assert limit.limit == 2, "nothing was sent since"
    permit = await limit.acquire(0)
    limit.throttle(None)
    limit.release(None, permit)
    assert limit.limit == 1


async def test_the_parts_of_a_failure_count() -> None:
    limit = AdaptiveLimit(4)
    parts = PartialFailureError("in part", succeeded=[], failed={"a": ConnectionError("lost"), "b": SLOWLY})
    limit.release(parts, await limit.acquire(0))
    assert limit.limit == 2


def test_nobody_begins_before_the_time_that_was_asked_for() -> None:
    async def main() -> None:
        limit = AdaptiveLimit(4)
        one, two = await begun(limit, 2)
        limit.release(RateLimitError("slowly", retry_after=30), one)
        limit.release(RateLimitError("slowly", retry_after=10), two)
        for _ in range(2):
            await limit.acquire(0)
            assert asyncio.get_running_loop().time() == 30

    run_jumping(main())


def test_all_that_waited_for_that_time_begin_then() -> None:
    async def main() -> None:
        limit = AdaptiveLimit(8)
        limit.release(RateLimitError("slowly", retry_after=30), await limit.acquire(0))
        times: list[float] = []

        async def take(rank: int) -> None:
            await limit.acquire(rank)
            times.append(asyncio.get_running_loop().time())

        tasks = [asyncio.create_task(take(rank)) for rank in range(5)]
        await asyncio.sleep(1)
        tasks[0].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert times == [30] * 4

    run_jumping(main())


def test_who_waits_is_stopped() -> None:
    async def main() -> None:
        limit = AdaptiveLimit(1)
        await limit.acquire(0)
        waiting = asyncio.create_task(limit.acquire(0))
        await asyncio.sleep(1)
        limit.stop()
        with pytest.raises(Stopped):
            await waiting
        assert asyncio.get_running_loop().time() == 1
        await limit.pause(100)
        assert asyncio.get_running_loop().time() == 1
        with pytest.raises(Stopped):
            await limit.acquire(0)

    run_jumping(main())


async def test_the_lowest_goes_first() -> None:
    limit = AdaptiveLimit(1)
    first = await limit.acquire(1)
    order: list[int] = []

    async def take(rank: int) -> None:
        permit = await limit.acquire(rank)
        order.append(rank)
        await asyncio.sleep(0)
        limit.release(None, permit)

    tasks = []
    for rank in (7, 3, 9, 5):
        tasks.append(asyncio.create_task(take(rank)))
        await asyncio.sleep(0)
    limit.release(None, first)
    await asyncio.gather(*tasks)
    assert order == [3, 5, 7, 9]


async def test_when_the_lowest_is_cancelled_the_next_one_goes() -> None:
    limit = AdaptiveLimit(1)
    permit = await limit.acquire(0)
    waiting = [asyncio.create_task(limit.acquire(rank)) for rank in (1, 2)]
    await asyncio.sleep(0)
    limit.release(None, permit)
    waiting[0].cancel()
    await waiting[1]
    assert limit.running == 1


async def test_one_that_is_cancelled_makes_room() -> None:
    limit = AdaptiveLimit(1)
    await limit.acquire(0)
    waiting = [asyncio.create_task(limit.acquire(0)) for _ in range(2)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    limit.cancelled()
    await waiting[1]
    assert limit.running == 1


class Busy(ScriptedStore):
    """Answers with a rate limit when more than ``bears`` requests come at the same time."""

    def __init__(self, bears: int, retry_after: float | None = None) -> None:
        super().__init__(delay=1)
        self.bears = bears
        self.refused = 0
        self.retry_after = retry_after

    async def upsert(self, *given: Any, **named: Any) -> Any:
        if self.running >= self.bears:
            self.refused += 1
            raise RateLimitError("too many", retry_after=self.retry_after)
        return await super().upsert(*given, **named)


@pytest.mark.parametrize("bears", [1, 2, 3])
@pytest.mark.parametrize("delay", [0.0, 0.5, 1.0])
def test_a_store_that_bears_less_gets_everything_all_the_same(bears: int, delay: float) -> None:
    store = Busy(bears)
    processor = BatchProcessor(store, batch_size=10, max_concurrent=8, retry_delay=delay)
    result = run_jumping(processor.upsert_large_dataset(documents(2000)))
    assert (result["upserted"], result["errors"]) == (2000, [])
    assert store.refused <= 120, "it is asked too much once per round of growth"
    assert store.peak == bears


def test_a_rate_limit_when_no_fewer_can_be_under_way_is_an_attempt() -> None:
    store = ScriptedStore(lambda *_: SLOWLY)
    result = run_jumping(BatchProcessor(store, max_concurrent=1, max_attempts=4).upsert_large_dataset(documents(3)))
    assert len(store.calls) == 4
    assert (result["failed"], result["errors"][0]["retryable"]) == (3, True)


def test_a_batch_waits_after_a_rate_limit_that_is_no_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", max)
    store = ScriptedStore(lambda number, _: SLOWLY if number == 1 else None)
    processor = BatchProcessor(store, max_concurrent=4, max_attempts=1, retry_delay=5.0)
    assert run_jumping(processor.upsert_large_dataset(documents(3)))["upserted"] == 3
    assert store.begun == [0, 5]


@pytest.mark.parametrize("in_part", [False, True])
def test_a_batch_that_is_refused_every_time_does_not_go_on_for_ever(in_part: bool) -> None:
    def answer(_: int, given: list[VectorDocument]) -> Exception | None:
        if given[0].id != "d0":
            return None
        names = [one.id for one in given]
        return PartialFailureError("?", succeeded=[], failed=dict.fromkeys(names, SLOWLY)) if in_part else SLOWLY

    store = ScriptedStore(answer, delay=0.01)
    processor = BatchProcessor(store, batch_size=1, max_concurrent=8, max_attempts=2, retry_delay=0.1)
    result = run_jumping(processor.upsert_large_dataset(documents(1000)))
    assert (result["upserted"], result["failed"]) == (999, 1)
    assert 2 < store.calls.count(["d0"]) <= 12


def test_all_keep_quiet_for_as_long_as_was_asked() -> None:
    store = ScriptedStore(lambda number, _: RateLimitError("slowly", retry_after=60) if number == 2 else None, delay=1)
    processor = BatchProcessor(store, batch_size=10, max_concurrent=2, retry_delay=0)
    assert run_jumping(processor.upsert_large_dataset(documents(60)))["upserted"] == 60
    assert store.begun[:2] == [0, 0]
    assert store.begun[2] == 61
    assert store.begun[3] == 62, "one at a time after that"


def noted_limits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that gets the limit each time the database asks to slow down."""
    limits: list[int] = []
    original = AdaptiveLimit.throttle

    def noted(self: AdaptiveLimit, *given: Any) -> None:
        original(self, *given)
        limits.append(self.limit)

    monkeypatch.setattr(AdaptiveLimit, "throttle", noted)
    return limits


class Telling(FakeStore):
    """Gets over a rate limit by itself, now and then."""

    def __init__(self, throttled: Callable[[int], int], **given: Any) -> None:
        super().__init__(dimension=3, info=IndexInfo(3, DistanceMetric.DOT_PRODUCT), **given)
        self.delay = 1.0
        self.hooks: list[Any] = []
        self.throttled = throttled
        self.upserts = 0

    def add_telemetry_hook(self, hook: Any) -> None:
        self.hooks.append(hook)

    def remove_telemetry_hook(self, hook: Any) -> None:
        self.hooks.remove(hook)

    async def upsert(self, *given: Any, **named: Any) -> Any:
        self.upserts += 1
        number = self.upserts
        result = await super().upsert(*given, **named)

        async def tell() -> None:  # in a task of its own, as when batches are written several at a time
            for hook in self.hooks:
                hook(OperationEvent("fake", "upsert", "articles", 1.0, 2, None, self.throttled(number)))

        await asyncio.create_task(tell())
        return result


def test_rate_limits_that_the_store_got_over_slow_down_as_well() -> None:
    store = Telling(lambda number: int(number <= 4))
    processor = BatchProcessor(store, batch_size=1, max_concurrent=4)

    async def main() -> list[int]:
        running: list[int] = []

        async def watch() -> None:
            while True:
                running.append(store.running)
                await asyncio.sleep(1)

        store.delay = 0.0
        await store.count()  # so that it is connected
        store.delay = 1.0
        watching = asyncio.create_task(watch())
        await asyncio.sleep(0.5)
        await processor.upsert_large_dataset(documents(20))
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        return running

    # Four at once, all of them throttled: two at a time; then one more after as many successes as there may be.
    assert run_jumping(main()) == [0, 4, 2, 3, 4, 4, 3]
    assert store.hooks == []


def test_what_the_store_says_of_earlier_requests_does_not_halve_again(monkeypatch: pytest.MonkeyPatch) -> None:
    class Uneven(Telling):
        async def _upsert(self, batch: DocumentBatch, namespace: str) -> None:
            self.delay = {"d0": 1.0, "d1": 2.0, "d2": 3.0, "d3": 4.0}.get(batch.ids[0], 0.5)
            await super()._upsert(batch, namespace)

    limits = noted_limits(monkeypatch)
    store = Uneven(lambda number: int(number <= 4))
    run_jumping(BatchProcessor(store, batch_size=1, max_concurrent=4).upsert_large_dataset(documents(10)))
    assert limits == [2, 2, 2, 2]


def test_a_hook_that_can_t_be_removed_does_nothing_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    class Keeping(Telling):
        remove_telemetry_hook = None  # type: ignore[assignment]

    limits = noted_limits(monkeypatch)
    store = Keeping(lambda _: 1)
    run_jumping(BatchProcessor(store, batch_size=1).upsert_large_dataset(documents(3)))
    assert len(limits) == 3
    (hook,) = store.hooks
    hook(OperationEvent("fake", "upsert", "articles", 1.0, 2, None, 1))
    assert len(limits) == 3


def test_the_hook_is_removed_after_a_failure() -> None:
    store = Telling(lambda _: 0)
    store.failures["upsert"] = [RuntimeError("x")]
    with pytest.raises(ZeroDivisionError):
        run_jumping(BatchProcessor(store).upsert_large_dataset(documents(3), progress_callback=lambda *_: 1 // 0))
    assert store.hooks == []


async def test_a_real_store_s_rate_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    store = FakeStore(dimension=3, info=IndexInfo(3, DistanceMetric.DOT_PRODUCT), max_retries=2)
    store.failures["upsert"] = [RateLimitError("slowly") for _ in range(2)]
    limits = noted_limits(monkeypatch)
    result = await BatchProcessor(store, max_concurrent=4).upsert_large_dataset(documents(3))
    assert (result["upserted"], limits) == (3, [2])
    assert store._execution.hooks == ()
