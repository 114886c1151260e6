"""Batches of which the store wrote a part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from batch_helpers import ScriptedStore, documents, run_jumping
from ia_modules.vector_stores import (
    AuthenticationError,
    BatchProcessor,
    ConnectionError,
    InvalidDocumentError,
    PartialFailureError,
    UnsupportedOperationError,
    VectorDocument,
)
from ia_modules.vector_stores.batch import BatchResult

LOST = ConnectionError("lost")


def write(store: ScriptedStore, given: Any) -> BatchResult:
    """Run without waiting."""
    return run_jumping(BatchProcessor(store, batch_size=10, max_concurrent=1).upsert_large_dataset(given))


def partly(failed: Callable[[str], Exception | None]) -> Callable[[int, list[VectorDocument]], Exception | None]:
    """A store that writes what it can, and says what it could not."""

    def answer(_: int, given: list[VectorDocument]) -> Exception | None:
        errors = {one.id: error for one in given if (error := failed(one.id)) is not None}
        if not errors:
            return None
        return PartialFailureError(
            "in part", succeeded=[one.id for one in given if one.id not in errors], failed=errors
        )

    return answer


def test_of_a_partial_failure_only_what_failed_is_sent_again() -> None:
    left = {"d3": 2, "d7": 1}

    def failed(name: str) -> Exception | None:
        left[name] = left.get(name, 0) - 1
        return LOST if left[name] >= 0 else None

    store = ScriptedStore(partly(failed))
    result = write(store, documents(10))
    assert [sorted(ids) for ids in store.calls][1:] == [["d3", "d7"], ["d3"]]
    assert (result["upserted"], result["errors"]) == (10, [])


def test_each_document_of_a_partial_failure_has_its_own_end() -> None:
    errors: dict[str, Exception] = {
        "d1": InvalidDocumentError("bad", document_id="d1"),
        "d2": UnsupportedOperationError("never"),
        "d3": LOST,
        "d4": LOST,
        "d5": InvalidDocumentError("bad as well"),
    }
    store = ScriptedStore(partly(errors.get))
    result = write(store, documents(10))
    assert [sorted(ids) for ids in store.calls][1:] == [["d3", "d4"]] * 2
    assert (result["upserted"], result["failed"]) == (5, 5)
    ends = {tuple(failure["ids"]): (failure["error"], failure["retryable"]) for failure in result["errors"]}
    assert ends == {
        ("d1",): (errors["d1"], False),
        ("d2",): (errors["d2"], False),
        ("d3", "d4"): (LOST, True),
        ("d5",): (errors["d5"], False),
    }


def test_one_document_blamed_for_all_that_came_after_it() -> None:
    # As the base class says it, when a batch of a batch failed and the others were not begun.
    blamed = InvalidDocumentError("no", document_id="d4")

    def answer(_: int, given: list[VectorDocument]) -> Exception | None:
        names = [one.id for one in given]
        if "d4" not in names:
            return None
        at = names.index("d4")
        return PartialFailureError("in part", succeeded=names[:at], failed=dict.fromkeys(names[at:], blamed))

    store = ScriptedStore(answer)
    result = write(store, documents(10))
    assert (result["upserted"], result["failed"]) == (9, 1)
    assert result["errors"][0]["ids"] == ["d4"]
    assert len(store.calls) == 2


def test_documents_that_a_partial_failure_does_not_mention_are_sent_again() -> None:
    store = ScriptedStore(
        lambda number, _: PartialFailureError("?", succeeded=["d0"], failed={}) if number == 1 else None
    )
    result = write(store, documents(3))
    assert store.calls == [["d0", "d1", "d2"], ["d1", "d2"]]
    assert result["upserted"] == 3


def test_a_document_said_to_have_both_ends_is_sent_again() -> None:
    both = PartialFailureError("?", succeeded=["d0", "d1"], failed={"d1": LOST})
    store = ScriptedStore(lambda number, _: both if number == 1 else None)
    assert write(store, documents(2))["upserted"] == 2
    assert store.calls == [["d0", "d1"], ["d1"]]


def test_a_fatal_part_ends_the_run_and_the_other_is_counted() -> None:
    store = ScriptedStore(partly(lambda name: AuthenticationError("no") if name == "d5" else None))
    with pytest.raises(AuthenticationError) as caught:
        write(store, documents(10))
    assert caught.value.__notes__ == ["9 documents were upserted before; 0 failed"]
