"""What Chroma leaves behind of deleted collections, and how it compares fractions with integers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ia_modules.vector_stores import Condition, VectorDocument, VectorStoreBase
from ia_modules.vector_stores.filters import Node

pytestmark = pytest.mark.targets("chroma-memory", "chroma-folder", "chroma-server")

MakeStore = Callable[..., VectorStoreBase]


def documents(**metadata: Any) -> list[VectorDocument]:
    return [VectorDocument(id=f"d{i}", vector=[1, i, 0], metadata=metadata) for i in range(50)]


async def assert_clean(store: VectorStoreBase, namespace: str = "") -> None:
    await store.upsert(documents(n=1), namespace=namespace)
    assert {repr(d.metadata) for d in [one async for one in store.scan(namespace)]} == {"{'n': 1}"}
    assert await store.count(Condition("list", "contains", "secret"), namespace) == 0
    assert await store.count(Condition("list", "eq", "secret"), namespace) == 0
    assert await store.count(Condition("list", "ne", "secret"), namespace) == 50


async def test_lists_of_a_deleted_namespace_are_gone(store: VectorStoreBase) -> None:
    await store.upsert(documents(list=["secret", 1]), namespace="first")
    await store.delete_namespace("first")
    await assert_clean(store, "second")


async def test_lists_of_a_deleted_index_are_gone(store: VectorStoreBase) -> None:
    await store.upsert(documents(list=["secret"], n=0.1))
    await store.upsert(documents(list=[]), namespace="n")
    await store.delete_index()
    await store.create_index(3)
    await assert_clean(store)


async def test_lists_of_many_documents_are_gone(store: VectorStoreBase) -> None:
    rows = [VectorDocument(id=f"r{i}", vector=[1, i, 0], metadata={"list": ["secret"]}) for i in range(2_500)]
    await store.upsert(rows, namespace="first", batch_size=2_500)
    assert await store.delete_namespace("first") == {"deleted": 2_500, "namespace": "first"}
    await assert_clean(store)


@pytest.mark.targets("chroma-folder")
async def test_lists_that_another_program_left_are_not_shown(store: VectorStoreBase) -> None:
    await store.upsert(documents(list=["secret"]), namespace="first")
    client: Any = store._backend._client  # type: ignore[attr-defined]
    for collection in client.list_collections():
        if collection.count():
            client.delete_collection(collection.name)
    await store.upsert(documents(n=1), namespace="second")
    assert {repr(one.metadata) for one in await store.fetch(["d0", "d7"], "second")} == {"{'n': 1}"}


@pytest.mark.parametrize("fraction", [0.5, 1.5, -0.5, -1.5, 2.25])
async def test_fractions_and_stored_integers(store: VectorStoreBase, fraction: float) -> None:
    values = [-2, -1.5, -1, -0.5, 0, 0.5, 1, 1.0, 1.5, 2, 2.0, 2.25, 3]
    await store.upsert([VectorDocument(id=str(i), vector=[1, i, 0], metadata={"v": v}) for i, v in enumerate(values)])
    expected: dict[Node, list[float]] = {
        Condition("v", "eq", fraction): [v for v in values if v == fraction],
        Condition("v", "ne", fraction): [v for v in values if v != fraction],
        Condition("v", "in", (fraction, 1, 7.5)): [v for v in values if v in (fraction, 1)],
        Condition("v", "nin", (fraction, 1, 7.5)): [v for v in values if v not in (fraction, 1)],
        Condition("v", "lt", fraction): [v for v in values if v < fraction],
        Condition("v", "lte", fraction): [v for v in values if v <= fraction],
        Condition("v", "gt", fraction): [v for v in values if v > fraction],
        Condition("v", "gte", fraction): [v for v in values if v >= fraction],
    }
    for node, wanted in expected.items():
        assert await store.count(node) == len(wanted), node
        found = [one.metadata["v"] async for one in store.scan(filters=node)]
        assert sorted(found) == sorted(wanted), node


async def test_the_native_form_compares_fractions_rightly(store: VectorStoreBase) -> None:
    """``to_native`` is for people who go on with the raw client."""
    values = [-2, -1.5, -1, 0, 1, 1.0, 1.5, 2]
    await store.upsert([VectorDocument(id=str(i), vector=[1, i, 0], metadata={"v": v}) for i, v in enumerate(values)])
    from ia_modules.vector_stores import SearchFilter

    backend = store._backend  # type: ignore[attr-defined]
    handle = await backend.find(store._collection_name(""))  # type: ignore[attr-defined]
    tests: dict[str, Callable[[float, float], bool]] = {
        "eq": lambda v, x: v == x,
        "ne": lambda v, x: v != x,
        "lt": lambda v, x: v < x,
        "lte": lambda v, x: v <= x,
        "gt": lambda v, x: v > x,
        "gte": lambda v, x: v >= x,
    }
    for operator, test in tests.items():
        for x in (-1.5, -0.5, 0.5, 1.5):
            where = SearchFilter(field="v", operator=operator, value=x).to_native("chroma")
            rows = await backend.get(handle, where=where, include=["metadatas"])
            found = sorted(row["v"] for row in rows["metadatas"])
            assert found == sorted(v for v in values if test(v, x)), (operator, x)
