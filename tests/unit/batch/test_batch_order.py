"""Of documents with equal ids the last one wins, however many batches are under way."""

from __future__ import annotations

from typing import Any

import pytest

from batch_helpers import ScriptedStore, document, documents, run_jumping
from ia_modules.vector_stores import BatchProcessor, ConnectionError, InvalidDocumentError, VectorDocument

LOST = ConnectionError("lost")


def write(store: ScriptedStore, given: Any, **options: Any) -> Any:
    processor = BatchProcessor(store, **({"batch_size": 2, "max_concurrent": 4} | options))
    return run_jumping(processor.upsert_large_dataset(given))


def test_within_a_batch_the_last_one_is_sent_and_the_others_counted() -> None:
    store = ScriptedStore()
    given = [document("a", 1), document("b", 2), document("a", 3), document("a", 4), document("c", 5)]
    result = write(store, given, batch_size=10)
    assert store.calls == [["b", "a", "c"]]
    assert store.stored() == {"a": 4, "b": 2, "c": 5}
    assert (result["total"], result["upserted"], result["replaced"]) == (5, 3, 2)


def test_across_batches_both_are_written_and_counted() -> None:
    store = ScriptedStore()
    result = write(store, [document("a", 1), document("b", 2), document("a", 3)])
    assert store.stored() == {"a": 3, "b": 2}
    assert (result["total"], result["upserted"], result["replaced"]) == (3, 3, 0)


def test_a_batch_waits_for_one_with_an_id_in_common() -> None:
    class Uneven(ScriptedStore):
        async def upsert(self, documents: Any, *given: Any, **named: Any) -> Any:
            self.delay = 10 - documents[0].vector[0]
            return await super().upsert(documents, *given, **named)

    store = Uneven()
    given = [document("a", 1), document("b", 1), document("c", 2), document("a", 3), document("x", 4), document("y", 4)]
    write(store, given)
    assert store.stored()["a"] == 3
    assert store.begun == [0, 9, 9]
    assert store.peak == 2


def test_it_waits_for_its_retries_too() -> None:
    store = ScriptedStore(lambda number, _: LOST if number in (1, 2) else None, delay=0.01)
    given = [document("a", 1), document("b", 1), document("c", 2), document("a", 3)]
    result = write(store, given)
    assert store.stored()["a"] == 3
    assert result["upserted"] == 4


def test_one_that_failed_does_not_hold_up_those_after_it() -> None:
    store = ScriptedStore(lambda _, given: LOST if given[0].vector[0] == 1 else None)
    result = write(store, [document("a", 1), document("b", 1), document("a", 3)])
    assert store.stored() == {"a": 3}
    assert (result["upserted"], result["failed"]) == (1, 2)


@pytest.mark.parametrize("size", [1, 2, 3, 10])
def test_if_the_last_one_is_refused_the_one_before_it_stands(size: int) -> None:
    # The same as if they had been written one after the other, however they fall into batches.
    def answer(_: int, given: list[VectorDocument]) -> Exception | None:
        bad = next((one for one in given if one.vector[0] < 0), None)
        return None if bad is None else InvalidDocumentError("no", document_id=bad.id)

    store = ScriptedStore(answer)
    given = [document("a", 1), document("b", 2), document("a", 3), document("a", -4), document("a", -5)]
    result = write(store, given, batch_size=size)
    assert store.stored() == {"a": 3, "b": 2}
    assert sorted(position for failure in result["errors"] for position in failure["positions"]) == [3, 4]
    assert result["total"] == result["upserted"] + result["replaced"] + result["failed"] == 5


def test_if_the_last_one_is_lost_those_before_it_are_failures_too() -> None:
    store = ScriptedStore(lambda *_: LOST)
    given = [document("a", 1), document("b", 2), document("a", 3), document("a", 4)]
    result = write(store, given, batch_size=10, max_attempts=2)
    assert store.calls == [["b", "a"]] * 2
    assert (result["failed"], result["replaced"]) == (4, 0)
    assert [failure["positions"] for failure in result["errors"]] == [[0, 1, 2, 3]]


def test_distinct_batches_do_not_wait() -> None:
    store = ScriptedStore(delay=1)
    write(store, documents(8))
    assert store.begun == [0, 0, 0, 0]
