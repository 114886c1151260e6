"""Upserts of which several batches are written at the same time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fakes import FakeStore
from ia_modules.vector_stores import (
    AuthenticationError,
    DistanceMetric,
    InvalidDocumentError,
    PartialFailureError,
    VectorDocument,
)
from ia_modules.vector_stores.documents import DocumentBatch
from ia_modules.vector_stores.requests import IndexInfo

INFO = IndexInfo(3, DistanceMetric.DOT_PRODUCT)
NO = AuthenticationError("no")


def documents(count: int) -> list[VectorDocument]:
    return [VectorDocument(id=f"d{i:02}", vector=[i, 1, 0]) for i in range(count)]


def failing_on(store: FakeStore, *ids: str, error: BaseException = NO) -> None:
    """Batches with one of these ids fail after a turn of the event loop; the others take three."""

    async def upsert(batch: DocumentBatch, namespace: str) -> None:
        await asyncio.sleep(0)
        if set(ids) & set(batch.ids):
            raise error
        await asyncio.sleep(0)
        await FakeStore._upsert(store, batch, namespace)

    store._upsert = upsert  # type: ignore[method-assign]


@pytest.mark.parametrize(("parallel", "count", "peak"), [(1, 20, 1), (3, 20, 3), (3, 2, 1), (8, 6, 3), (3, 3, 2)])
async def test_so_many_at_a_time(parallel: int, count: int, peak: int) -> None:
    store = FakeStore(dimension=3, info=INFO, parallel_batches=parallel)
    store.delay = 0.001
    assert (await store.upsert(documents(count), batch_size=2))["upserted"] == count
    assert store.peak == peak
    assert sorted(store.data[""]) == [f"d{i:02}" for i in range(count)]


async def test_what_is_under_way_is_finished_and_nothing_else_begun() -> None:
    store = FakeStore(dimension=3, info=INFO, parallel_batches=3)
    failing_on(store, "d02")
    with pytest.raises(PartialFailureError, match="4 of 20") as caught:
        await store.upsert(documents(20), batch_size=2)
    error = caught.value
    assert error.succeeded == ["d00", "d01", "d04", "d05"]
    assert sorted(error.failed) == sorted({f"d{i:02}" for i in range(20)} - set(error.succeeded))
    assert set(error.failed.values()) == {NO}
    assert sorted(store.data[""]) == error.succeeded


@pytest.mark.parametrize("refused", [["d03"], ["d02", "d03"], [f"d{i:02}" for i in range(4)]])
async def test_a_database_that_takes_a_part_of_a_batch(refused: list[str]) -> None:
    store = FakeStore(dimension=3, info=INFO)
    errors = {name: InvalidDocumentError(f"not {name}", document_id=name) for name in refused}

    async def upsert(batch: DocumentBatch, namespace: str) -> None:
        mine = {name: errors[name] for name in batch.ids if name in errors}
        if mine:
            taken = [name for name in batch.ids if name not in mine]
            raise PartialFailureError("some were refused", succeeded=taken, failed=mine)

    store._upsert = upsert  # type: ignore[method-assign]
    with pytest.raises(PartialFailureError) as caught:
        await store.upsert(documents(4), batch_size=4)
    assert caught.value.succeeded == [f"d{i:02}" for i in range(4) if f"d{i:02}" not in refused]
    assert caught.value.failed == errors
    with pytest.raises(PartialFailureError) as caught:
        await store.upsert(documents(8), batch_size=4)
    assert set(caught.value.failed) == {*refused, "d04", "d05", "d06", "d07"}, "the second batch was not begun"
    assert all(caught.value.failed[name] is errors[name] for name in refused)


async def test_each_has_its_own_cause() -> None:
    store = FakeStore(dimension=3, info=INFO, parallel_batches=4)
    other = AuthenticationError("neither")

    async def upsert(batch: DocumentBatch, namespace: str) -> None:
        await asyncio.sleep(0)
        if batch.ids[0] in ("d02", "d04"):
            raise NO if batch.ids[0] == "d02" else other
        await FakeStore._upsert(store, batch, namespace)

    store._upsert = upsert  # type: ignore[method-assign]
    with pytest.raises(PartialFailureError) as caught:
        await store.upsert(documents(8), batch_size=2)
    assert caught.value.succeeded == ["d00", "d01", "d06", "d07"]
    assert caught.value.failed == {"d02": NO, "d03": NO, "d04": other, "d05": other}


async def test_if_nothing_was_written_it_is_the_error_itself() -> None:
    store = FakeStore(dimension=3, info=INFO, parallel_batches=4)
    failing_on(store, *(f"d{i:02}" for i in range(8)))
    with pytest.raises(AuthenticationError):
        await store.upsert(documents(8), batch_size=2)
    assert store.data == {}


async def test_a_cancelled_one_leaves_no_task() -> None:
    store = FakeStore(dimension=3, info=INFO, parallel_batches=4)
    begun: list[Any] = []
    all_begun = asyncio.Event()

    async def upsert(batch: DocumentBatch, namespace: str) -> None:
        begun.append(batch)
        if len(begun) == 4:
            all_begun.set()
        await asyncio.sleep(10)

    store._upsert = upsert  # type: ignore[method-assign]
    writing = asyncio.ensure_future(store.upsert(documents(20), batch_size=2))
    await all_begun.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert len(begun) == 4
    assert asyncio.all_tasks() == {asyncio.current_task()}
