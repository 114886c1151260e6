"""What a provider declares as impossible is refused by the base class, before any I/O."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest

from fakes import FakeStore
from ia_modules.vector_stores import (
    Condition,
    DistanceMetric,
    InvalidDocumentError,
    UnsupportedOperationError,
    VectorDocument,
)
from ia_modules.vector_stores.filters import MATCH_ALL, operators_in
from ia_modules.vector_stores.requests import IndexInfo, SearchRequest

INFO = IndexInfo(3, DistanceMetric.EUCLIDEAN)
TAGS = Condition("tags", "contains", "x")
CALLS: list[Callable[[FakeStore, Any], Awaitable[Any]]] = [
    lambda s, node: s.search([1, 0, 0], filters=node),
    lambda s, node: s.search_many([[1, 0, 0]], filters=node),
    lambda s, node: s.count(node),
    lambda s, node: s.delete(filters=node),
    lambda s, node: anext(s.scan(filters=node)),  # type: ignore[arg-type]
]


def document(vector: Any) -> VectorDocument:
    return VectorDocument(id="a", vector=vector)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("node", [TAGS, ~TAGS, [TAGS], Condition("n", "eq", 1) | (TAGS & Condition("m", "eq", 2))])
async def test_refused_operators(call: Callable[[FakeStore, Any], Awaitable[Any]], node: Any) -> None:
    store = FakeStore(dimension=3, info=INFO, filters={"contains": "refused", "gt": "checked"})
    with pytest.raises(UnsupportedOperationError, match="contains") as refused:
        await call(store, node)
    assert refused.value.provider == "fake"
    assert store.calls == []


async def test_other_operators_pass() -> None:
    store = FakeStore(dimension=3, info=INFO, filters={"contains": "refused", "gt": "checked"})
    assert await store.count(Condition("n", "gt", 1)) == 0
    # Folded away before anybody has to answer it.
    assert await store.count(Condition("n", "in", [])) == 0


def test_operators_of_a_tree() -> None:
    assert operators_in(~(TAGS | Condition("n", "gt", 1)) & Condition("m", "ne", None)) == {"contains", "gt", "ne"}
    assert operators_in(MATCH_ALL) == frozenset()


async def test_zero_vectors() -> None:
    store = FakeStore(dimension=3, info=INFO, zero_vectors=False)
    with pytest.raises(InvalidDocumentError, match="'a' has a zero vector") as refused:
        await store.upsert([VectorDocument(id="b", vector=[1, 0, 0]), document([0, 0, 0])])
    assert (refused.value.document_id, refused.value.provider, refused.value.operation) == ("a", "fake", "upsert")
    for call in (store.search([0, 0, 0]), store.search_many([[1, 0, 0], [0, 0, 0]])):
        with pytest.raises(InvalidDocumentError, match="zero vector"):
            await call
    assert store.batches == []
    assert "search" not in store.calls
    await store.upsert([document([1e-30, 0, 0])])


@pytest.mark.parametrize("length", [1e-30, 9e-4, 1.1e3, 1e30])
async def test_vector_lengths(length: float) -> None:
    store = FakeStore(dimension=3, info=INFO, vector_lengths=(1e-3, 1e3))
    with pytest.raises(InvalidDocumentError, match="'a' has a vector of length"):
        await store.upsert([document([length, 0, 0])])
    assert store.batches == []
    if length > 1:
        with pytest.raises(InvalidDocumentError, match="a query vector of length"):
            await store.search([length, 0, 0])
    else:
        await store.search([length, 0, 0])


async def test_vector_lengths_that_are_allowed() -> None:
    store = FakeStore(dimension=3, info=INFO, vector_lengths=(1e-3, 1e3))
    for vector in ([0, 0, 0], [1.1e-3, 0, 0], [900, 0, 0], [3, 4, 0]):
        await store.upsert([document(vector)])
    cosine = FakeStore(dimension=3, info=IndexInfo(3, DistanceMetric.COSINE), vector_lengths=(1e-3, 1e3))
    await cosine.search([1e20, 0, 0])


def test_a_result_has_what_was_asked_for() -> None:
    found = VectorDocument(id="a", vector=[1, 0], metadata={"n": 1}, text="t")
    vector = np.zeros(2, dtype=np.float32)
    for metadata in (True, False):
        for vectors in (True, False):
            request = SearchRequest(vector, 1, MATCH_ALL, "", DistanceMetric.COSINE, metadata, vectors)
            result = request.result(found, 0.5)
            assert (result.id, result.score) == ("a", 0.5)
            assert (result.metadata, result.text) == (({"n": 1}, "t") if metadata else ({}, None))
            assert (result.vector is not None) is vectors
