"""What the base class does for every provider, seen with one whose database is a dictionary."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fakes import FakeStore
from ia_modules.vector_stores import (
    AuthenticationError,
    ConnectionError,
    DistanceMetric,
    IndexNotFoundError,
    OperationEvent,
    PartialFailureError,
    RateLimitError,
    SearchFilter,
    VectorDocument,
    VectorStoreError,
)
from ia_modules.vector_stores.requests import IndexInfo

INFO = IndexInfo(3, DistanceMetric.DOT_PRODUCT)


def documents(count: int) -> list[VectorDocument]:
    return [VectorDocument(id=f"d{i}", vector=[i, 1, 0], metadata={"n": i}) for i in range(count)]


@pytest.fixture
def store() -> FakeStore:
    return FakeStore(dimension=3, info=INFO)


# Batches


@pytest.mark.parametrize(
    ("batch_size", "limit", "sizes"),
    [
        (100, None, [7]),
        (3, None, [3, 3, 1]),
        (7, None, [7]),
        (1, None, [1] * 7),
        (100, 2, [2, 2, 2, 1]),
        (2, 5, [2, 2, 2, 1]),
    ],
)
async def test_batches_keep_to_both_limits(batch_size: int, limit: int | None, sizes: list[int]) -> None:
    store = FakeStore(dimension=3, info=INFO, max_batch_size=limit)
    assert await store.upsert(documents(7), batch_size=batch_size) == {"upserted": 7, "namespace": ""}
    assert [len(ids) for ids in store.batches] == sizes
    assert [name for ids in store.batches for name in ids] == [f"d{i}" for i in range(7)]


async def test_of_equal_ids_one_is_sent(store: FakeStore) -> None:
    twins = [VectorDocument(id=name, vector=[i, 0, 0]) for i, name in enumerate("abca")]
    assert (await store.upsert(twins, batch_size=2))["upserted"] == 3
    assert store.batches == [["a", "b"], ["c"]]
    assert store.data[""]["a"].vector == [3, 0, 0]


async def test_nothing_to_write_asks_nothing_but_whether_the_index_exists(store: FakeStore) -> None:
    assert await store.upsert([]) == {"upserted": 0, "namespace": ""}
    assert store.calls == ["open", "load_index"]
    store.info = None
    await store.disconnect()
    with pytest.raises(IndexNotFoundError):
        await store.upsert([])


@pytest.mark.parametrize("failing", [1, 2, 3])
async def test_a_partial_failure_says_what_is_stored(store: FakeStore, failing: int) -> None:
    reason = AuthenticationError("no more")
    await store.connect()
    store.failures["upsert"] = []

    async def upsert(batch: Any, namespace: str) -> None:
        if len(store.batches) == failing:
            raise reason
        await FakeStore._upsert(store, batch, namespace)

    store._upsert = upsert  # type: ignore[method-assign]
    with pytest.raises(PartialFailureError, match=f"{failing * 2} of 7") as caught:
        await store.upsert(documents(7), batch_size=2)
    error = caught.value
    assert error.succeeded == [f"d{i}" for i in range(failing * 2)] == list(store.data[""])
    assert error.failed == {f"d{i}": reason for i in range(failing * 2, 7)}
    assert error.__cause__ is reason
    assert (error.provider, error.operation, error.retryable) == ("fake", "upsert", False)


async def test_if_the_first_batch_fails_nothing_is_stored(store: FakeStore) -> None:
    store.failures["upsert"] = [AuthenticationError("no")]
    with pytest.raises(AuthenticationError):
        await store.upsert(documents(7), batch_size=2)
    assert store.batches == []


async def test_each_batch_is_retried_by_itself(store: FakeStore) -> None:
    store.failures["upsert"] = [ConnectionError("lost"), RateLimitError("slow")]
    assert (await store.upsert(documents(7), batch_size=2))["upserted"] == 7
    assert store.calls.count("upsert") == 6
    assert len(store.batches) == 4


# Answers


async def test_results_are_ranked_and_cut(store: FakeStore) -> None:
    scores = {"z": 1, "y": 2, "x": 2, "w": 3, "a": 0}
    await store.upsert([VectorDocument(id=name, vector=[x, 0, 0]) for name, x in scores.items()])
    response = await store.search([1, 0, 0], top_k=3)
    assert [result.id for result in response.results] == ["w", "x", "y"]
    assert response.total == 3
    assert response.query_time_ms > 0
    above = await store.search([1, 0, 0], score_threshold=2.0)
    assert [result.id for result in above.results] == ["w", "x", "y"]


async def test_the_top_k_limit_itself_is_allowed() -> None:
    store = FakeStore(dimension=3, info=INFO, max_top_k=100)
    assert (await store.search([1, 0, 0], top_k=100)).results == []


async def test_a_list_of_filters_means_and(store: FakeStore) -> None:
    await store.upsert(documents(9))
    filters = [SearchFilter(field="n", operator="gt", value=3), SearchFilter(field="n", operator="lt", value=6)]
    assert await store.count(filters) == 2
    assert await store.delete(filters=filters) == {"deleted": 2, "namespace": ""}
    assert await store.count([]) == 7


async def test_fetch_keeps_the_order_asked_and_repeats_what_was_repeated(store: FakeStore) -> None:
    await store.upsert(documents(3))
    assert [d.id for d in await store.fetch(["d2", "gone", "d0", "d2"])] == ["d2", "d0", "d2"]


async def test_the_index_is_looked_up_once(store: FakeStore) -> None:
    for _ in range(3):
        await store.count()
        await store.search([1, 0, 0])
    assert store.calls.count("load_index") == 1


async def test_an_index_that_is_gone_is_looked_up_again(store: FakeStore) -> None:
    await store.count()
    store.failures["count"] = [store._index_not_found()]
    with pytest.raises(IndexNotFoundError):
        await store.count()
    store.info = IndexInfo(4, DistanceMetric.COSINE)
    with pytest.raises(VectorStoreError, match="4 dimensions"):
        await store.count()


async def test_index_exists_does_not_take_a_failure_for_no(store: FakeStore) -> None:
    store.failures["load_index"] = [AuthenticationError("no")]
    with pytest.raises(AuthenticationError):
        await store.index_exists()
    assert await store.index_exists()


# Many searches


async def test_search_many_keeps_the_order(store: FakeStore) -> None:
    await store.upsert(documents(2))
    queries = [[float(i), 0, 0] for i in range(40)]
    responses = await store.search_many(iter(queries), top_k=1)
    assert [response.results[0].score for response in responses] == [float(i) for i in range(40)]


async def test_search_many_runs_a_few_at_a_time(store: FakeStore) -> None:
    await store.count()
    store.delay, store.peak = 0.001, 0
    await store.search_many([[1, 0, 0]] * 40)
    assert store.calls.count("search") == 40
    assert store.peak == 8


async def test_search_many_raises_the_error_itself(store: FakeStore) -> None:
    await store.count()
    store.delay = 0.001
    store.failures["search"] = [AuthenticationError("no")] * 8
    with pytest.raises(AuthenticationError) as caught:
        await store.search_many([[1, 0, 0]] * 40)
    assert caught.value.operation == "search_many"
    assert store.running == 0


async def test_search_many_is_retried_as_a_whole(store: FakeStore) -> None:
    store.failures["search"] = [ConnectionError("lost")]
    assert len(await store.search_many([[1, 0, 0]] * 3)) == 3


async def test_search_many_of_nothing(store: FakeStore) -> None:
    assert await store.search_many([]) == []
    assert store.calls == []


# Helpers and events


async def test_retry_operation(store: FakeStore) -> None:
    seen: list[tuple[Any, ...]] = []

    async def _ask(*args: Any, **kwargs: Any) -> str:
        seen.append((args, kwargs))
        if len(seen) < 3:
            raise ConnectionResetError("lost")
        if args == ("fail",):
            raise RuntimeError("a mistake")
        return "answer"

    assert await store._retry_operation(_ask, 1, key="word") == "answer"
    assert seen == [((1,), {"key": "word"})] * 3
    with pytest.raises(VectorStoreError, match=r"fake\.ask: RuntimeError"):
        await store._retry_operation(_ask, "fail")


async def test_timed_operation(store: FakeStore) -> None:
    events: list[OperationEvent] = []
    store.add_telemetry_hook(events.append)
    async with store._timed_operation("warm_up") as elapsed:
        await asyncio.sleep(0.01)
        first = elapsed()
    assert 9 < first <= elapsed()
    with pytest.raises(LookupError):
        async with store._timed_operation("warm_up"):
            raise LookupError
    assert [(event.operation, event.error) for event in events] == [("warm_up", None), ("warm_up", "LookupError")]
    assert events[0].duration_ms > 9


async def test_every_hook_hears_of_every_call(store: FakeStore) -> None:
    first: list[OperationEvent] = []
    second: list[OperationEvent] = []
    store.add_telemetry_hook(first.append)
    store.add_telemetry_hook(second.append)
    await store.count()
    await store.search([1, 0, 0])
    assert first == second
    assert [event.operation for event in first][-1] == "search"
    assert {(event.provider, event.index_name) for event in first} == {("fake", "articles")}


def test_repr_says_where_and_whether_connected(store: FakeStore) -> None:
    assert repr(store) == "<FakeStore fake:///articles?dimension=3&retry_delay=0.0>"
    asyncio.run(store.connect())
    assert repr(store).endswith(" connected>")
