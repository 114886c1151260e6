"""What is tried again, what is reported, and what ends the run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from batch_helpers import ScriptedStore, Tape, document, documents, run_jumping
from fakes import FakeStore
from ia_modules.vector_stores import (
    AuthenticationError,
    BatchProcessor,
    ConnectionError,
    DistanceMetric,
    IndexMismatchError,
    IndexNotFoundError,
    InvalidDimensionError,
    InvalidDocumentError,
    MissingDependencyError,
    OperationTimeoutError,
    PoolClosedError,
    RateLimitError,
    StoreLockedError,
    UnsupportedOperationError,
    VectorDocument,
    VectorStoreConfig,
    VectorStoreError,
    create_vector_store,
)
from ia_modules.vector_stores.batch import BatchResult
from ia_modules.vector_stores.requests import IndexInfo

LOST = ConnectionError("lost")


def balanced(result: BatchResult) -> bool:
    return result["total"] == sum(result[name] for name in ("upserted", "replaced", "failed", "skipped"))


def write(store: ScriptedStore, given: Any, **options: Any) -> BatchResult:
    """Run without waiting."""
    options = {"batch_size": 10, "max_concurrent": 1} | options
    result = run_jumping(BatchProcessor(store, **options).upsert_large_dataset(given))
    assert balanced(result)
    return result


@pytest.mark.parametrize(
    "error",
    [
        LOST,
        OperationTimeoutError("late"),
        RateLimitError("slowly"),
        VectorStoreError("given up", retryable=False),
        RuntimeError("of a client"),
        ValueError("of a client"),
        OSError("of the system"),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("attempts", [1, 2, 3])
def test_a_batch_that_fails_is_sent_again(error: Exception, attempts: int) -> None:
    store = ScriptedStore(lambda number, _: error if number < attempts else None)
    result = write(store, documents(10), max_attempts=attempts)
    assert len(store.calls) == attempts
    assert (result["upserted"], result["failed"], result["errors"], result["batches"]) == (10, 0, [], 1)


@pytest.mark.parametrize("attempts", [1, 2, 5])
def test_a_batch_that_fails_for_good_is_reported_and_the_rest_goes_on(attempts: int) -> None:
    store = ScriptedStore(lambda _, given: LOST if given[0].id == "d10" else None)
    result = write(store, documents(35), max_attempts=attempts)
    assert [ids[0] for ids in store.calls] == ["d0", *["d10"] * attempts, "d20", "d30"]
    assert (result["total"], result["upserted"], result["failed"], result["batches"]) == (35, 25, 10, 4)
    (failure,) = result["errors"]
    assert failure["batch"] == 2
    assert failure["ids"] == [f"d{i}" for i in range(10, 20)]
    assert failure["positions"] == list(range(10, 20))
    assert failure["error"] is LOST
    assert failure["message"] == "lost"
    assert failure["retryable"] is True
    assert sorted(store.stored().values()) == [float(i) for i in range(35) if not 10 <= i < 20]


def test_the_delays_are_random_up_to_a_bound_that_doubles(monkeypatch: pytest.MonkeyPatch) -> None:
    bounds: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        bounds.append((low, high))
        return high

    monkeypatch.setattr("random.uniform", uniform)
    store = ScriptedStore(lambda *_: LOST)
    write(store, documents(1), max_attempts=7, retry_delay=1.5)
    assert bounds == [(0, 1.5), (0, 3), (0, 6), (0, 12), (0, 24), (0, 30)]
    assert store.begun == [0, 1.5, 4.5, 10.5, 22.5, 46.5, 76.5]


def test_waiting_for_a_retry_does_not_keep_others_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", max)
    store = ScriptedStore(lambda number, given: LOST if given[0].id == "d0" and number == 1 else None, delay=1)
    write(store, documents(100), max_concurrent=2, retry_delay=30)
    assert [ids[0] for ids in store.calls][-1] == "d0"


@pytest.mark.parametrize(
    "error", [UnsupportedOperationError("never"), InvalidDocumentError("wrong")], ids=lambda error: type(error).__name__
)
def test_what_no_retry_can_cure_is_not_tried_again(error: Exception) -> None:
    store = ScriptedStore(lambda _, given: error if given[0].id == "d1" else None)
    result = write(store, documents(3), batch_size=1)
    assert store.calls == [["d0"], ["d1"], ["d2"]]
    assert [failure["error"] for failure in result["errors"]] == [error]
    assert result["errors"][0]["retryable"] is False


FATAL = [
    AuthenticationError("no"),
    IndexNotFoundError("none"),
    IndexMismatchError("another metric"),
    InvalidDimensionError("another index", expected=3, given=4),
    MissingDependencyError("x", extra="x", needed_for="x"),
    StoreLockedError("locked"),
    PoolClosedError("closed"),
]


@pytest.mark.parametrize("error", FATAL, ids=lambda error: type(error).__name__)
def test_what_every_batch_would_meet_ends_the_run(error: VectorStoreError) -> None:
    store = ScriptedStore(lambda number, _: error if number == 3 else None)
    tape = Tape(documents(1000))
    with pytest.raises(type(error)) as caught:
        write(store, tape)
    assert caught.value is error
    assert len(store.calls) == 3
    assert tape.read <= 40
    assert tape.closed
    assert caught.value.__notes__[-1] == "20 documents were upserted before; 0 failed"
    del error.__notes__


def test_what_is_under_way_is_waited_for_and_nothing_else_begun() -> None:
    class Uneven(ScriptedStore):
        async def upsert(self, documents: Any, *given: Any, **named: Any) -> Any:
            self.delay = {"d10": 1.0, "d20": 3.0}.get(documents[0].id, 5.0)
            return await super().upsert(documents, *given, **named)

    store = Uneven(lambda _, given: {"d10": AuthenticationError("no"), "d20": LOST}.get(given[0].id))
    with pytest.raises(AuthenticationError) as caught:
        write(store, documents(1000), max_concurrent=3)
    assert [ids[0] for ids in store.calls] == ["d0", "d10", "d20"], "the one that was lost is not sent again"
    assert len(store.stored()) == 10
    assert store.running == 0
    assert caught.value.__notes__ == ["10 documents were upserted before; 0 failed"]


def test_a_source_that_waits_does_not_keep_the_error() -> None:
    closed = False

    async def waiting() -> Any:
        nonlocal closed
        try:
            for one in documents(10):
                yield one
            await asyncio.Event().wait()
        finally:
            closed = True

    store = ScriptedStore(lambda *_: AuthenticationError("no"))
    with pytest.raises(AuthenticationError):
        write(store, waiting())
    assert closed


@pytest.mark.parametrize("parallel", [1, 4])
@pytest.mark.parametrize("bad", [[0], [9], [3, 4, 8], list(range(10)), list(range(1, 10))])
@pytest.mark.parametrize("named", [True, False])
def test_a_document_that_is_refused_does_not_take_its_batch_with_it(bad: list[int], parallel: int, named: bool) -> None:
    def answer(_: int, given: list[VectorDocument]) -> Exception | None:
        for one in given:
            if one.id in refused:
                return InvalidDocumentError(f"not {one.id}", document_id=one.id if named else None)
        return None

    refused = {f"d{i}" for i in bad}
    store = ScriptedStore(answer)
    result = write(store, documents(30), max_concurrent=parallel)
    assert result["upserted"] == 30 - len(bad)
    assert len(store.stored()) == 30 - len(bad)
    assert [failure["positions"] for failure in result["errors"]] == [[place] for place in bad]
    assert [failure["message"] for failure in result["errors"]] == [f"not d{place}" for place in bad]
    assert not any(failure["retryable"] for failure in result["errors"])


@pytest.mark.parametrize("named", [True, False])
def test_many_that_are_refused_take_work_in_proportion(named: bool) -> None:
    def answer(_: int, given: list[VectorDocument]) -> Exception | None:
        return InvalidDocumentError("no", document_id=given[-1].id if named else None)

    store = ScriptedStore(answer)
    result = write(store, documents(1000), batch_size=1000)
    assert result["failed"] == 1000
    assert sum(map(len, store.calls)) <= 1000 * 12, "n log n, not n squared"


def test_one_that_is_refused_costs_one_more_request() -> None:
    def answer(_: int, given: list[VectorDocument]) -> Exception | None:
        return InvalidDocumentError("no", document_id="d5") if any(one.id == "d5" for one in given) else None

    store = ScriptedStore(answer)
    write(store, documents(10))
    assert list(map(len, store.calls)) == [10, 9]


def test_a_name_that_is_not_in_the_batch() -> None:
    store = ScriptedStore(lambda *_: InvalidDocumentError("no", document_id="someone else"))
    result = write(store, documents(10))
    assert result["failed"] == 10


async def test_all_that_a_check_can_find_are_found_at_once() -> None:
    store = FakeStore(dimension=3, info=IndexInfo(3, DistanceMetric.DOT_PRODUCT))
    given = documents(100)
    for place in range(0, 100, 2):
        given[place].metadata["day"] = object()
    upserts = 0

    async def counted(*given: Any, **named: Any) -> Any:
        nonlocal upserts
        upserts += 1
        return await FakeStore.upsert(store, *given, **named)

    store.upsert = counted  # type: ignore[method-assign]
    result = await BatchProcessor(store).upsert_large_dataset(given)
    assert (result["upserted"], result["failed"], upserts) == (50, 50, 2)
    assert [failure["ids"] for failure in result["errors"]] == [[f"d{i}"] for i in range(0, 100, 2)]
    assert all(failure["ids"][0] in failure["message"] for failure in result["errors"])


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("wrong", [[0], [5], [0, 1, 7], list(range(9))])
async def test_wrong_dimensions_are_found_even_if_the_store_blames_the_others(known: bool, wrong: list[int]) -> None:
    # Until the dimension of the index is known, a store compares documents with the first one.
    index = "d"
    config = VectorStoreConfig(provider="memory", index_name=index, dimension=3 if known else None)
    store = await create_vector_store(
        config.model_copy(update={"dimension": 3, "path": f"{known}{wrong}"}), create_if_missing=True
    )
    other = await create_vector_store(config.model_copy(update={"path": f"{known}{wrong}"}))
    given = [VectorDocument(id=f"d{i}", vector=[1.0] * (4 if i in wrong else 3)) for i in range(10)]
    result = await BatchProcessor(other).upsert_large_dataset(given)
    assert result["upserted"] == 10 - len(wrong)
    assert [failure["positions"] for failure in result["errors"]] == [[place] for place in wrong]
    assert all(isinstance(failure["error"], InvalidDimensionError) for failure in result["errors"])
    assert all(f"'{failure['ids'][0]}'" in failure["message"] for failure in result["errors"])
    assert await store.count() == 10 - len(wrong)


def test_the_list_of_errors_is_bounded_and_the_count_is_not() -> None:
    store = ScriptedStore(lambda *_: LOST)
    result = write(store, documents(100), max_errors=3, max_attempts=1)
    assert [failure["batch"] for failure in result["errors"]] == [1, 2, 3]
    assert result["failed"] == 100
    assert write(ScriptedStore(lambda *_: LOST), documents(100), max_errors=0)["errors"] == []


def test_errors_do_not_keep_the_documents() -> None:
    def deep() -> Exception:
        try:
            try:
                raise LookupError
            except LookupError as error:
                raise RuntimeError("again") from error
        except RuntimeError as error:
            return error

    store = ScriptedStore(lambda *_: deep())
    (failure,) = write(store, documents(3))["errors"]
    assert failure["error"].__traceback__ is None
    assert isinstance(failure["error"].__cause__, LookupError)
    assert failure["error"].__cause__.__traceback__ is None


def test_an_error_without_a_text() -> None:
    (failure,) = write(ScriptedStore(lambda *_: TimeoutError()), documents(1))["errors"]
    assert failure["message"] == "TimeoutError"


def test_a_store_that_is_cancelled_from_inside_is_a_failure_like_others() -> None:
    class Odd(ScriptedStore):
        async def upsert(self, *given: Any, **named: Any) -> Any:
            if not self.calls:
                self.calls.append([])
                raise asyncio.CancelledError
            return await super().upsert(*given, **named)

    assert write(Odd(), documents(3))["upserted"] == 3


async def test_a_real_store_retries_within_each_attempt() -> None:
    store = FakeStore(dimension=3, info=IndexInfo(3, DistanceMetric.DOT_PRODUCT), max_retries=1)
    store.failures["upsert"] = [ConnectionError("lost") for _ in range(5)]
    result = await BatchProcessor(store, max_attempts=3).upsert_large_dataset(documents(3))
    assert (result["upserted"], store.calls.count("upsert")) == (3, 6)
    store.failures["upsert"] = [ConnectionError("lost") for _ in range(6)]
    (failure,) = (await BatchProcessor(store, max_attempts=3).upsert_large_dataset(documents(3)))["errors"]
    assert isinstance(failure["error"], ConnectionError)
    assert failure["retryable"] is True, "though the error says that its own retries are spent"


async def test_a_real_store_without_its_index() -> None:
    store = FakeStore(dimension=3)
    with pytest.raises(IndexNotFoundError):
        await BatchProcessor(store).upsert_large_dataset(documents(1000))


def test_failures_come_in_the_order_of_the_source() -> None:
    def given() -> Iterator[Any]:
        yield document("a")
        yield 1
        yield document("b")
        yield 2

    store = ScriptedStore(lambda *_: InvalidDocumentError("no"))
    result = write(store, given())
    assert [failure["positions"] for failure in result["errors"]] == [[0], [1], [2], [3]]
