"""What comes in, how it is cut, and what is counted when nothing goes wrong."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
import pytest

from batch_helpers import AsyncTape, ScriptedStore, Tape, document, documents, run_jumping
from fakes import FakeStore
from ia_modules.vector_stores import BatchProcessor, DistanceMetric, VectorDocument
from ia_modules.vector_stores.batch.batching import Cutter
from ia_modules.vector_stores.requests import IndexInfo


def generated(count: int) -> Iterator[VectorDocument]:
    yield from documents(count)


async def generated_later(count: int) -> AsyncIterator[VectorDocument]:
    for one in documents(count):
        await asyncio.sleep(0)
        yield one


SOURCES = {
    "list": documents,
    "tuple": lambda count: tuple(documents(count)),
    "dict values": lambda count: {one.id: one for one in documents(count)}.values(),
    "generator": generated,
    "async generator": generated_later,
    "iterator": lambda count: Tape(documents(count)),
    "async iterator": lambda count: AsyncTape(documents(count)),
    "mappings": lambda count: [one.model_dump() for one in documents(count)],
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 57])
async def test_every_kind_of_source(source: str, count: int) -> None:
    store = ScriptedStore()
    result = await BatchProcessor(store, batch_size=10).upsert_large_dataset(SOURCES[source](count))
    batches = -(-count // 10)
    assert result == {
        "total": count,
        "upserted": count,
        "replaced": 0,
        "failed": 0,
        "skipped": 0,
        "batches": batches,
        "errors": [],
    }
    assert store.stored() == {f"d{i}": float(i) for i in range(count)}
    assert [len(ids) for ids in store.calls] == [10] * (count // 10) + [count % 10] * (count % 10 > 0)


async def test_the_source_s_iterator_is_closed_at_the_end() -> None:
    for tape in (Tape(documents(25)), AsyncTape(documents(25))):
        await BatchProcessor(ScriptedStore(), batch_size=10).upsert_large_dataset(tape)
        assert tape.closed


async def test_a_real_store() -> None:
    store = FakeStore(dimension=3, info=IndexInfo(3, DistanceMetric.DOT_PRODUCT), namespace="usual")
    processor = BatchProcessor(store, batch_size=10, max_concurrent=3)
    assert (await processor.upsert_large_dataset(documents(95)))["upserted"] == 95
    assert (await processor.upsert_large_dataset(documents(5), "other"))["upserted"] == 5
    assert len(store.data["usual"]) == 95
    assert len(store.data["other"]) == 5
    assert max(map(len, store.batches)) == 10


async def test_the_store_is_told_namespace_and_size() -> None:
    class Told(ScriptedStore):
        async def upsert(self, documents: Any, namespace: str | None = None, batch_size: int = 100) -> dict[str, Any]:
            told.append((len(documents), namespace, batch_size))
            return await super().upsert(documents, namespace, batch_size)

    told: list[tuple[int, str | None, int]] = []
    await BatchProcessor(Told(), batch_size=200).upsert_large_dataset(documents(250), namespace="n")
    await BatchProcessor(Told(), batch_size=200).upsert_large_dataset(documents(3))
    assert told == [(200, "n", 200), (50, "n", 50), (3, None, 3)]


@pytest.mark.parametrize(
    "wrong", [None, 5, "text", b"bytes", {"id": "a"}, document(1), object()], ids=lambda wrong: type(wrong).__name__
)
async def test_what_is_no_collection(wrong: Any) -> None:
    with pytest.raises(ValueError, match=f"must be an iterable .* not {type(wrong).__name__}"):
        await BatchProcessor(ScriptedStore()).upsert_large_dataset(wrong)


@pytest.mark.parametrize("wrong", ["a\n", "x" * 65, 5])
async def test_a_namespace_that_is_none(wrong: Any) -> None:
    store, tape = ScriptedStore(), Tape(documents(3))
    with pytest.raises(ValueError, match="namespace"):
        await BatchProcessor(store).upsert_large_dataset(tape, namespace=wrong)
    assert store.calls == []
    assert tape.read == 0


@pytest.mark.parametrize(
    ("name", "least"),
    [("batch_size", 1), ("max_concurrent", 1), ("max_batch_bytes", 1), ("max_attempts", 1), ("max_errors", 0)],
)
def test_numbers_out_of_range(name: str, least: int) -> None:
    for wrong in (least - 1, -5, 2.0, True, "7", None):
        with pytest.raises(ValueError, match=f"{name} must be an integer of at least {least}"):
            BatchProcessor(ScriptedStore(), **{name: wrong})  # type: ignore[arg-type]
    BatchProcessor(ScriptedStore(), **{name: least})  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [-1.0, float("nan")])
def test_a_delay_out_of_range(wrong: float) -> None:
    with pytest.raises(ValueError, match="retry_delay must be at least 0"):
        BatchProcessor(ScriptedStore(), retry_delay=wrong)


def test_the_delay_is_that_of_the_store() -> None:
    assert BatchProcessor(FakeStore(retry_delay=0.25)).retry_delay == 0.25
    assert BatchProcessor(FakeStore(retry_delay=0.25), retry_delay=3).retry_delay == 3
    assert BatchProcessor(ScriptedStore()).retry_delay == 1.0


def big(name: str, numbers: int = 1, text: str | None = None, metadata: dict[str, Any] | None = None) -> VectorDocument:
    return VectorDocument(id=name, vector=np.ones(numbers, np.float32), text=text, metadata=metadata or {})


@pytest.mark.parametrize(
    "make",
    [
        lambda name: big(name, numbers=250),
        lambda name: big(name, text="x" * 1000),
        lambda name: big(name, metadata={"key": "x" * 1000}),
        lambda name: big(name, metadata={"k" * 1000: 1}),
        lambda name: big(name, metadata={"key": {"deep": ["x" * 500, {"y" * 500: None}]}}),
        lambda name: big(name, metadata={"key": list(range(125))}),
    ],
    ids=["vector", "text", "value", "key", "nested", "numbers"],
)
async def test_batches_are_bounded_by_bytes(make: Any) -> None:
    store = ScriptedStore()
    processor = BatchProcessor(store, batch_size=100, max_batch_bytes=4500)
    result = await processor.upsert_large_dataset([make(f"{i:02}") for i in range(10)])
    assert [len(ids) for ids in store.calls] == [4, 4, 2]
    assert (result["batches"], result["upserted"]) == (3, 10)


async def test_a_document_above_the_bound_goes_alone() -> None:
    store = ScriptedStore()
    given = [document("a"), big("b", text="x" * 10_000), document("c"), document("d")]
    await BatchProcessor(store, max_batch_bytes=5000).upsert_large_dataset(given)
    assert store.calls == [["a"], ["b"], ["c", "d"]]


async def test_a_large_document_at_the_beginning() -> None:
    store = ScriptedStore()
    given = [big("a", text="x" * 10_000), document("b")]
    result = await BatchProcessor(store, max_batch_bytes=5000).upsert_large_dataset(given)
    assert store.calls == [["a"], ["b"]]
    assert result["batches"] == 2


async def test_batches_of_one() -> None:
    store = ScriptedStore()
    result = await BatchProcessor(store, batch_size=1, max_batch_bytes=1).upsert_large_dataset(documents(3))
    assert store.calls == [["d0"], ["d1"], ["d2"]]
    assert result["batches"] == 3


def test_the_cutter_loses_nothing() -> None:
    cutter = Cutter(most=3, most_bytes=400, start=2)
    items: list[Any] = [
        "passed",
        "over",
        document(0),
        big("wide", text="x" * 500),
        5,
        document(1),
        document(2),
        document(3),
    ]
    batches = [batch for item in items if (batch := cutter.add(item)) is not None]
    assert cutter.rest() is None
    assert cutter.add(document(4)) is None
    last = cutter.rest()
    assert last is not None
    assert cutter.rest() is None
    batches.append(last)
    assert [(batch.number, batch.start, batch.positions) for batch in batches] == [
        (1, 2, [2]),
        (2, 3, [3]),
        (3, 5, [5, 6, 7]),
        (4, 8, [8]),
    ]
    assert [[failure.position for failure in batch.rejected] for batch in batches] == [[], [4], [], []]


@pytest.mark.parametrize("parallel", [1, 3])
async def test_so_many_at_a_time(parallel: int) -> None:
    store = ScriptedStore(delay=0.001)
    await BatchProcessor(store, batch_size=5, max_concurrent=parallel).upsert_large_dataset(documents(100))
    assert store.peak == parallel


@pytest.mark.parametrize("kind", [Tape, AsyncTape])
def test_the_source_is_not_read_ahead(kind: type[Tape]) -> None:
    async def main() -> None:
        def never_ending() -> Iterator[VectorDocument]:
            number = 0
            while True:
                yield document(number)
                number += 1

        tape, going = kind(never_ending()), asyncio.Event()

        class Stuck(ScriptedStore):
            async def upsert(self, *given: Any, **named: Any) -> Any:
                self.running += 1
                await going.wait()

        store = Stuck()
        writing = asyncio.create_task(BatchProcessor(store, batch_size=10, max_concurrent=3).upsert_large_dataset(tape))
        await asyncio.sleep(1000)
        assert store.running == 3
        assert tape.read == 40, "three batches under way and the next one ready"
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        assert tape.closed

    run_jumping(main())


async def test_a_slow_source_lets_others_have_their_turn() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    seen = []

    def slow() -> Iterator[VectorDocument]:
        for one in documents(20):
            time.sleep(0.011)
            seen.append(turns)
            yield one

    task = asyncio.create_task(other())
    await BatchProcessor(ScriptedStore(), batch_size=1000).upsert_large_dataset(slow())
    task.cancel()
    assert len(set(seen)) > 15, "though they all are in one batch"


async def test_a_fast_source_lets_others_have_their_turn_after_each_batch() -> None:
    turns = 0
    seen = []

    async def other() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    class AtOnce(ScriptedStore):
        async def upsert(self, *given: Any, **named: Any) -> Any:
            seen.append(turns)

    task = asyncio.create_task(other())
    await BatchProcessor(AtOnce(), batch_size=1).upsert_large_dataset(documents(100))
    task.cancel()
    assert len(set(seen)) == 100


async def test_what_the_source_raises_comes_out_after_what_it_gave_before() -> None:
    error = OSError("the disk is gone")

    def breaking() -> Iterator[VectorDocument]:
        yield from documents(25)
        raise error

    store = ScriptedStore()
    with pytest.raises(OSError, match="the disk is gone") as caught:
        await BatchProcessor(store, batch_size=10).upsert_large_dataset(breaking())
    assert caught.value is error
    assert len(store.stored()) == 25
    assert caught.value.__notes__ == ["25 documents were upserted before; 0 failed"]


@pytest.mark.parametrize("item", [None, 5, "text", [1.0, 2.0], {}, {"id": "x"}, {"id": "", "vector": [1, 2, 3]}])
async def test_items_that_are_no_documents(item: Any) -> None:
    store = ScriptedStore()
    given = [document("a"), item, document("b")]
    result = await BatchProcessor(store).upsert_large_dataset(given)
    assert (result["total"], result["upserted"], result["failed"]) == (3, 2, 1)
    (failure,) = result["errors"]
    assert failure["positions"] == [1]
    assert failure["ids"] == ([item["id"]] if isinstance(item, dict) and "id" in item else [])
    assert failure["message"].startswith("item 1 of the source is no document: ")
    assert failure["retryable"] is False
    assert sorted(store.stored()) == ["a", "b"]


async def test_contents_are_not_in_the_error() -> None:
    item = {"id": "x", "vector": ["secret"], "text": 42.125, "other": "hidden"}
    (failure,) = (await BatchProcessor(ScriptedStore()).upsert_large_dataset([item]))["errors"]
    text = f"{failure['message']} {failure['error']!r}"
    assert "secret" not in text
    assert "hidden" not in text
    assert "42" not in text
    assert "\n" not in failure["message"]
    assert failure["error"].__cause__ is None
    assert failure["error"].__context__ is None


async def test_a_batch_of_nothing_but_wrong_items_is_not_sent() -> None:
    store = ScriptedStore()
    result = await BatchProcessor(store, batch_size=2).upsert_large_dataset([1, 2, document("a")])  # type: ignore[list-item]
    assert store.calls == [["a"]]
    assert (result["batches"], result["failed"], result["upserted"]) == (2, 2, 1)


async def test_a_document_made_without_checks() -> None:
    wild = VectorDocument.model_construct(id="w", vector=[1.0, 2.0, 3.0], metadata={}, text=None)
    worse = VectorDocument.model_construct(id=7, vector=[1.0], metadata={}, text=None)
    store = ScriptedStore()
    result = await BatchProcessor(store).upsert_large_dataset([wild, worse, document("a")])
    assert sorted(store.stored()) == ["a", "w"]
    assert [failure["positions"] for failure in result["errors"]] == [[1]]


async def test_the_source_may_be_used_by_two_runs() -> None:
    store, processor_tape = ScriptedStore(delay=0.001), Tape(documents(100))
    processor = BatchProcessor(store, batch_size=10)
    results = await asyncio.gather(*(processor.upsert_large_dataset(processor_tape) for _ in range(2)))
    assert sum(result["upserted"] for result in results) == 100
    assert len(store.stored()) == 100
