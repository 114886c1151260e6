"""Many searches at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any
from unittest.mock import AsyncMock

import numpy as np
import pytest

from batch_helpers import ScriptedStore, run_jumping
from fakes import FakeStore
from ia_modules.vector_stores import (
    BatchProcessor,
    ConnectionError,
    DistanceMetric,
    InvalidDocumentError,
    SearchResponse,
    VectorStoreError,
    create_vector_store,
)
from ia_modules.vector_stores.requests import IndexInfo


class Searching(ScriptedStore):
    """Later vectors are answered earlier; it notes what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[float, int, dict[str, Any]]] = []
        self.fails: dict[float, Exception] = {}

    async def search(self, query_vector: Any, top_k: int = 10, **options: Any) -> SearchResponse:
        number = float(query_vector[0])
        self.asked.append((number, top_k, options))
        self.running += 1
        self.peak = max(self.peak, self.running)
        try:
            await asyncio.sleep(100 - number)
            if number in self.fails:
                raise self.fails[number]
            return await super().search(query_vector, top_k, **options)
        finally:
            self.running -= 1


class Together(Searching):
    """Takes several vectors at once."""

    def __init__(self) -> None:
        super().__init__()
        self.portions: list[int] = []

    async def search_many(self, query_vectors: list[Any], top_k: int = 10, **options: Any) -> list[SearchResponse]:
        self.portions.append(len(query_vectors))
        return list(await asyncio.gather(*(self.search(vector, top_k, **options) for vector in query_vectors)))


def vectors(count: int) -> list[list[float]]:
    return [[float(i), 1.0, 0.0] for i in range(count)]


def ids(responses: list[SearchResponse]) -> list[str]:
    return [response.results[0].id for response in responses]


INPUTS = {
    "list": vectors,
    "matrix": lambda count: np.array(vectors(count), np.float32).reshape(count, 3),
    "iterator": lambda count: iter(vectors(count)),
    "generator": lambda count: (vector for vector in vectors(count)),
    "tuple of arrays": lambda count: tuple(map(np.array, vectors(count))),
}


@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.parametrize("count", [0, 1, 7, 50])
@pytest.mark.parametrize("store_type", [Searching, Together])
def test_in_the_order_asked(kind: str, count: int, store_type: type[Searching]) -> None:
    store = store_type()
    processor = BatchProcessor(store, batch_size=4, max_concurrent=3)
    found = run_jumping(processor.parallel_search(INPUTS[kind](count)))
    assert ids(found) == [f"{i}" for i in range(count)]
    assert len(store.asked) == count


def test_arguments_are_handed_on() -> None:
    for store in (Searching(), Together()):
        found = run_jumping(BatchProcessor(store).parallel_search(vectors(2), 3, filters=[], namespace="n"))
        assert [response.total for response in found] == [3, 3]
        assert [(top_k, options) for _, top_k, options in store.asked] == [(3, {"filters": [], "namespace": "n"})] * 2


@pytest.mark.parametrize("parallel", [1, 3])
def test_so_many_at_a_time(parallel: int) -> None:
    store = Searching()
    run_jumping(BatchProcessor(store, max_concurrent=parallel).parallel_search(vectors(20)))
    assert store.peak == parallel


def test_several_in_a_request_where_that_can_be() -> None:
    store = Together()
    run_jumping(BatchProcessor(store, batch_size=4, max_concurrent=2).parallel_search(vectors(22)))
    assert sorted(store.portions) == [2, 4, 4, 4, 4, 4]
    assert store.peak == 8


def test_vectors_are_read_as_the_searches_go_on() -> None:
    read = 0

    def source() -> Iterator[list[float]]:
        nonlocal read
        for vector in vectors(50):
            read += 1
            yield vector

    async def main() -> None:
        searching = asyncio.create_task(BatchProcessor(Searching(), max_concurrent=3).parallel_search(source()))
        await asyncio.sleep(1)
        assert read == 3
        searching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await searching

    run_jumping(main())


def test_the_first_failure_cancels_the_others_and_comes_out_as_it_is() -> None:
    cause = LookupError("behind it")
    error = ConnectionError("lost")
    error.__cause__ = cause
    closed = False

    def source() -> Iterator[list[float]]:
        nonlocal closed
        try:
            yield from vectors(50)
        finally:
            closed = True

    async def main() -> None:
        store = Searching()
        store.fails = {1.0: error}
        with pytest.raises(ConnectionError) as caught:
            await BatchProcessor(store, max_concurrent=3).parallel_search(source())
        assert caught.value is error
        assert error.__cause__ is cause
        assert asyncio.get_running_loop().time() == 99
        assert store.running == 0

    run_jumping(main())
    assert closed


def test_an_iterator_that_fails() -> None:
    def source() -> Iterator[list[float]]:
        yield from vectors(2)
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        run_jumping(BatchProcessor(Searching()).parallel_search(source()))


def test_a_response_too_few() -> None:
    class Short(Together):
        async def search_many(self, query_vectors: list[Any], top_k: int = 10, **options: Any) -> list[SearchResponse]:
            return (await super().search_many(query_vectors, top_k, **options))[1:]

    with pytest.raises(VectorStoreError, match="gave 2 responses to 3 vectors"):
        run_jumping(BatchProcessor(Short()).parallel_search(vectors(3)))


@pytest.mark.parametrize(("batch_search", "calls"), [(True, 3), (False, 10)])
async def test_what_a_real_store_declares(batch_search: bool, calls: int) -> None:
    store = FakeStore(dimension=3, info=IndexInfo(3, DistanceMetric.DOT_PRODUCT), batch_search=batch_search)
    await store.count()  # so that it is connected
    operations: list[str] = []
    store.add_telemetry_hook(lambda event: operations.append(event.operation))
    found = await BatchProcessor(store, batch_size=4).parallel_search(vectors(10), 2)
    assert len(found) == 10
    assert operations.count("search_many" if batch_search else "search") == calls


async def test_the_same_as_one_by_one() -> None:
    store = await create_vector_store(provider="memory", index_name="s", dimension=3, create_if_missing=True)
    await BatchProcessor(store).upsert_large_dataset({"id": f"d{i}", "vector": v} for i, v in enumerate(vectors(50)))
    found = await BatchProcessor(store).parallel_search(vectors(50), top_k=3, include_vectors=True)
    for vector, response in zip(vectors(50), found, strict=True):
        assert response.results == (await store.search(vector, 3, include_vectors=True)).results
    with pytest.raises(InvalidDocumentError):
        await BatchProcessor(store).parallel_search([[float("nan")] * 3])


async def test_others_have_their_turn_while_a_store_in_this_process_searches() -> None:
    store = await create_vector_store(provider="memory", index_name="t", dimension=3, create_if_missing=True)
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    task = asyncio.create_task(other())
    await BatchProcessor(store, max_concurrent=1).parallel_search(vectors(100))
    task.cancel()
    assert turns >= 100


async def test_a_mock_will_do() -> None:
    store = AsyncMock()
    store.search.return_value = SearchResponse(results=[], total=0, query_time_ms=1.0)
    processor = BatchProcessor(store, batch_size=2)
    assert len(await processor.parallel_search(vectors(3))) == 3
    assert store.search.await_count == 3
    result = await processor.upsert_large_dataset([{"id": "a", "vector": [1.0]}])
    assert result["upserted"] == 1
    store.upsert.assert_awaited_once()
