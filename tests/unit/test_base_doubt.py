"""What a write says that was done twice, because the answer to the first attempt got lost."""

from __future__ import annotations

from typing import Any

import pytest

from fakes import FakeStore
from ia_modules.vector_stores import (
    Condition,
    ConnectionError,
    IndexAlreadyExistsError,
    IndexNotFoundError,
    RateLimitError,
    VectorDocument,
)
from ia_modules.vector_stores.metrics import DistanceMetric
from ia_modules.vector_stores.requests import IndexInfo
from ia_modules.vector_stores.testing.faults import failing

INFO = IndexInfo(2, DistanceMetric.COSINE)
LOST = ConnectionError("the answer was lost")


async def filled(**given: Any) -> FakeStore:
    store = FakeStore(info=INFO, **given)
    await store.upsert([VectorDocument(id=name, vector=[1, 0], metadata={"n": 1}) for name in "abc"])
    return store


DELETES: dict[str, dict[str, Any]] = {
    "_delete_ids": {"ids": ["a", "b"]},
    "_delete_where": {"filters": Condition("n", "eq", 1)},
    "_empty_namespace": {"delete_all": True},
}


@pytest.mark.parametrize("primitive", DELETES)
async def test_a_delete_whose_answer_got_lost_counts_nothing(primitive: str) -> None:
    store = await filled()
    with failing(store, primitive, LOST, lost_answer=True) as calls:
        result = await store.delete(**DELETES[primitive])
    assert (len(calls), result["deleted"]) == (2, None)


@pytest.mark.parametrize("primitive", DELETES)
async def test_one_that_was_told_to_wait_counts(primitive: str) -> None:
    store = await filled()
    with failing(store, primitive, RateLimitError("slow down")) as calls:
        result = await store.delete(**DELETES[primitive])
    assert (len(calls), result["deleted"]) == (2, 2 if primitive == "_delete_ids" else 3)


async def test_an_index_made_by_an_attempt_whose_answer_got_lost() -> None:
    store = FakeStore()
    with failing(store, "_create_index", LOST, lost_answer=True) as calls:
        await store.create_index(2)
    assert len(calls) == 2
    assert store.info == INFO


async def test_an_index_that_was_there_is_an_error_all_the_same() -> None:
    store = FakeStore(info=INFO)
    with failing(store, "_create_index", RateLimitError("slow down")), pytest.raises(IndexAlreadyExistsError):
        await store.create_index(2)


async def test_an_index_of_another_kind_is_not_the_one_that_was_made() -> None:
    store = FakeStore(info=IndexInfo(5, DistanceMetric.COSINE))
    with failing(store, "_create_index", LOST), pytest.raises(IndexAlreadyExistsError):
        await store.create_index(2)


async def test_options_survive_a_second_attempt() -> None:
    store, seen = FakeStore(), []

    async def create(info: IndexInfo, options: dict[str, Any]) -> None:
        seen.append(options.pop("shards"))
        if len(seen) == 1:
            raise LOST

    store._create_index = create  # type: ignore[method-assign]
    await store.create_index(2, shards=3)
    assert seen == [3, 3]


async def test_an_index_deleted_by_an_attempt_whose_answer_got_lost() -> None:
    store = FakeStore(info=INFO)
    with failing(store, "_drop_index", LOST, lost_answer=True) as calls:
        await store.delete_index()
    assert len(calls) == 2
    with failing(store, "_drop_index", RateLimitError("slow down")), pytest.raises(IndexNotFoundError):
        await store.delete_index()
