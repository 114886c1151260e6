"""Arguments are checked before the database hears of the call."""

from __future__ import annotations

import datetime
import math
from collections.abc import Awaitable, Callable, Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from fakes import FakeStore
from ia_modules.vector_stores import (
    DistanceMetric,
    IndexMismatchError,
    InvalidDimensionError,
    InvalidDocumentError,
    SearchFilter,
    UnsupportedOperationError,
    VectorDocument,
)
from ia_modules.vector_stores.requests import IndexInfo

Call = Callable[[FakeStore], Awaitable[Any]]
GOOD = VectorDocument(id="good", vector=[1, 0, 0])


def document(**given: Any) -> VectorDocument:
    return VectorDocument(**{"id": "bad", "vector": [1, 0, 0]} | given)


async def drained(documents: Any) -> None:
    async for _ in documents:
        pass


BAD_NAMESPACES = ["x" * 65, "é" * 33, "a\nb", "\x00", "\x7f", "\x85", "\ud800", 3, b"x"]
WITH_NAMESPACE: list[Call] = [
    lambda store: store.upsert([GOOD], namespace=store.bad),  # type: ignore[attr-defined]
    lambda store: store.search([1, 0, 0], namespace=store.bad),  # type: ignore[attr-defined]
    lambda store: store.search_many([[1, 0, 0]], namespace=store.bad),  # type: ignore[attr-defined]
    lambda store: store.fetch(["a"], namespace=store.bad),  # type: ignore[attr-defined]
    lambda store: store.delete(ids=["a"], namespace=store.bad),  # type: ignore[attr-defined]
    lambda store: store.delete_namespace(store.bad),  # type: ignore[attr-defined]
    lambda store: store.count(namespace=store.bad),  # type: ignore[attr-defined]
    lambda store: store.update_metadata("a", {}, namespace=store.bad),  # type: ignore[attr-defined]
    lambda store: drained(store.scan(store.bad)),  # type: ignore[attr-defined]
]


@pytest.mark.parametrize("call", WITH_NAMESPACE)
@pytest.mark.parametrize("name", BAD_NAMESPACES, ids=ascii)
async def test_namespaces(call: Call, name: Any) -> None:
    store = FakeStore(dimension=3)
    store.bad = name  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="namespace"):
        await call(store)
    assert store.calls == []


@pytest.mark.parametrize("name", BAD_NAMESPACES[:-2], ids=ascii)
def test_the_namespace_of_the_config(name: str) -> None:
    with pytest.raises(ValueError, match=r"namespace|string"):
        FakeStore(namespace=name)


WRONG: dict[str, tuple[Call, type[Exception], str]] = {
    "top_k 0": (lambda s: s.search([1, 0, 0], top_k=0), ValueError, "top_k"),
    "top_k bool": (lambda s: s.search([1, 0, 0], top_k=True), ValueError, "top_k"),
    "top_k float": (lambda s: s.search([1, 0, 0], top_k=2.0), ValueError, "top_k"),  # type: ignore[arg-type]
    "top_k many": (lambda s: s.search_many([[1, 0, 0]], top_k=-1), ValueError, "top_k"),
    "batch_size 0": (lambda s: s.upsert([GOOD], batch_size=0), ValueError, "batch_size"),
    "batch_size scan": (lambda s: drained(s.scan(batch_size=0)), ValueError, "batch_size"),
    "dimension 0": (lambda s: s.create_index(0), ValueError, "dimension"),
    "metric": (lambda s: s.create_index(3, "hamming"), ValueError, "hamming.*cosine"),
    "no ids": (lambda s: s.fetch([]), ValueError, "ids"),
    "ids text": (lambda s: s.fetch("abc"), ValueError, "ids"),
    "ids delete": (lambda s: s.delete(ids=[]), ValueError, "ids"),
    "id empty": (lambda s: s.fetch(["a", ""]), InvalidDocumentError, "empty"),
    "id number": (lambda s: s.fetch([3]), InvalidDocumentError, "string"),  # type: ignore[list-item]
    "id long": (lambda s: s.delete(ids=["é" * 257]), InvalidDocumentError, "514 bytes"),
    "id surrogate": (lambda s: s.update_metadata("\udcff", {}), InvalidDocumentError, "surrogate"),
    "delete nothing": (lambda s: s.delete(), ValueError, "exactly one"),
    "delete twice": (lambda s: s.delete(ids=["a"], delete_all=True), ValueError, "exactly one"),
    "delete no filter": (lambda s: s.delete(filters=[]), ValueError, "delete_all"),
    "filter": (lambda s: s.search([1, 0, 0], filters="year > 3"), (ValueError, TypeError), "filter"),  # type: ignore[arg-type,dict-item]
    "document": (lambda s: s.upsert(["a"]), ValueError, "VectorDocument"),  # type: ignore[list-item]
    "one document": (lambda s: s.upsert(GOOD), ValueError, "VectorDocument"),  # type: ignore[arg-type]
    "document id": (lambda s: s.upsert([GOOD, document(id="x" * 513)]), InvalidDocumentError, "513 bytes"),
    "text": (lambda s: s.upsert([GOOD, document(text="a\ud800")]), InvalidDocumentError, "'bad'.*surrogate"),
    "query long": (lambda s: s.search([1, 0, 0, 0]), InvalidDimensionError, "4 numbers; the index has 3"),
    "query nan": (lambda s: s.search([1, math.nan, 0]), InvalidDocumentError, "query.*NaN"),
    "query empty": (lambda s: s.search([]), InvalidDocumentError, "query.*empty"),
    "query text": (lambda s: s.search("abc"), InvalidDocumentError, "query.*text"),  # type: ignore[arg-type]
    "query matrix": (lambda s: s.search(np.ones((1, 3))), InvalidDocumentError, r"query.*\(1, 3\)"),
    "query number": (lambda s: s.search(5), InvalidDocumentError, "query"),  # type: ignore[arg-type]
    "queries long": (lambda s: s.search_many([[1, 0, 0], [1, 0]]), InvalidDimensionError, "2 numbers; the index has 3"),
    "queries inf": (lambda s: s.search_many([[1, 0, math.inf]]), InvalidDocumentError, "query"),
    "queries flat": (lambda s: s.search_many([1.0, 0.0, 0.0]), InvalidDocumentError, "query"),  # type: ignore[list-item]
}


@pytest.mark.parametrize("name", WRONG)
async def test_nothing_is_asked_of_the_database(name: str) -> None:
    call, kind, message = WRONG[name]
    store = FakeStore(dimension=3)
    with pytest.raises(kind, match=message):
        await call(store)
    assert store.calls == []


@pytest.mark.parametrize("name", [name for name in WRONG if name.startswith("quer") and "long" not in name])
async def test_queries_are_looked_at_first_even_if_the_dimension_is_not_known(name: str) -> None:
    call, kind, message = WRONG[name]
    store = FakeStore()
    with pytest.raises(kind, match=message):
        await call(store)
    assert store.calls == []


async def test_a_dimension_names_document_and_numbers() -> None:
    store = FakeStore(dimension=3)
    with pytest.raises(InvalidDimensionError, match="'bad' has a vector of 2 numbers; the index has 3") as caught:
        await store.upsert([GOOD, document(vector=[1, 2])])
    assert (caught.value.document_id, caught.value.given, caught.value.expected) == ("bad", 2, 3)
    assert store.calls == []


async def test_documents_must_agree_even_if_the_dimension_is_not_known() -> None:
    store = FakeStore()
    with pytest.raises(InvalidDimensionError, match="'bad'"):
        await store.upsert([GOOD, document(vector=[1, 2])])
    assert store.calls == []


@pytest.mark.parametrize("given", [list, iter], ids=["list", "iterator"])
async def test_the_dimension_of_the_index_counts(given: Callable[[Any], Any]) -> None:
    store = FakeStore(info=IndexInfo(4, DistanceMetric.COSINE))
    with pytest.raises(InvalidDimensionError, match="'good' has a vector of 3 numbers; the index has 4") as caught:
        await store.upsert(given([GOOD, document()]))
    assert (caught.value.document_id, caught.value.given, caught.value.expected) == ("good", 3, 4)
    assert "upsert" not in store.calls
    with pytest.raises(InvalidDimensionError, match="3 numbers; the index has 4"):
        await store.search([1, 0, 0])
    with pytest.raises(InvalidDimensionError, match="3 numbers; the index has 4"):
        await store.search_many([[1, 0, 0]])
    assert "search" not in store.calls


async def test_a_document_without_its_vector_can_not_be_written() -> None:
    store = FakeStore(info=IndexInfo(3, DistanceMetric.COSINE))
    await store.upsert([GOOD])
    from ia_modules.vector_stores.vectors import Vector

    light = VectorDocument(id="light", vector=Vector.none())
    with pytest.raises(InvalidDimensionError, match="'light' has a vector of 0 numbers"):
        await store.upsert([light])


async def test_limits_of_the_provider() -> None:
    store = FakeStore(
        dimension=3, max_top_k=100, max_dimension=10, metrics=frozenset({DistanceMetric.COSINE}), info=None
    )
    for call in (store.search([1, 0, 0], top_k=101), store.search_many([[1, 0, 0]], top_k=101)):
        with pytest.raises(UnsupportedOperationError, match=r"101 .*limit of fake, 100") as caught:
            await call
        assert caught.value.provider == "fake"
    with pytest.raises(UnsupportedOperationError, match="'manhattan'; it has cosine"):
        await store.create_index(3, DistanceMetric.MANHATTAN)
    with pytest.raises(UnsupportedOperationError, match="10 dimensions"):
        await FakeStore(max_dimension=10).create_index(11)
    assert store.calls == []


async def test_create_index_may_not_contradict_the_config() -> None:
    store = FakeStore(dimension=3, metric="euclidean", embedding_model="a")
    with pytest.raises(InvalidDimensionError, match=r"4 dimensions.*says 3"):
        await store.create_index(4, "euclidean")
    with pytest.raises(IndexMismatchError, match=r"cosine.*euclidean"):
        await store.create_index(3)
    with pytest.raises(IndexMismatchError, match=r"'b'.*'a'"):
        await store.create_index(3, "euclidean", embedding_model="b")
    assert store.calls == []


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"k": value}
    return value


def cyclic() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["k"] = value
    return value


class Lazy:
    def __iter__(self) -> Iterator[int]:
        return iter([1])


BAD_METADATA: dict[str, tuple[Any, str]] = {
    "nan": (math.nan, "'key' is NaN"),
    "inf": (-math.inf, "'key' is NaN or infinite"),
    "numpy nan": (np.float32("nan"), "'key' is NaN"),
    "2**63": (2**63, "'key' is an integer beyond 64 bits"),
    "-2**63-1": (-(2**63) - 1, "beyond 64 bits"),
    "uint64": (np.uint64(2**64 - 1), "beyond 64 bits"),
    "surrogate": ("secret\ud800", "'key' has a lone surrogate"),
    "bytes": (b"secret", "type bytes"),
    "set": ({"secret"}, "type set"),
    "object": (Lazy(), "type Lazy"),
    "decimal": (Decimal("1.5"), "type Decimal"),
    "complex": (1j, "type complex"),
    "array": (np.ones(3), "type ndarray"),
    "datetime": (datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), r"type datetime.*isoformat\(\)"),
    "date": (datetime.date(2026, 1, 1), r"type date.*isoformat\(\)"),
    "datetime64": (np.datetime64("2026-01-01"), r"isoformat\(\)"),
    "in list": (["fine", [1, math.nan]], r"'key\[1\]\[1\]' is NaN"),
    "in object": ({"a": {"b": b"secret"}}, r"'key\.a\.b' is of type bytes"),
    "key": ({1: "secret"}, "'key' has a key of type int"),
    "key surrogate": ({"\ud800": 1}, "surrogate"),
    "deep": (nested(70), "64 levels"),
    "cyclic": (cyclic(), "64 levels"),
}


@pytest.mark.parametrize("name", BAD_METADATA)
async def test_metadata_that_json_does_not_have(name: str) -> None:
    value, message = BAD_METADATA[name]
    store = FakeStore(dimension=3)
    for call in (
        store.upsert([GOOD, document(metadata={"fine": 1, "key": value})]),
        store.update_metadata("bad", {"fine": 1, "key": value}),
    ):
        with pytest.raises(InvalidDocumentError, match=message) as caught:
            await call
        assert "'bad'" in str(caught.value)
        assert "secret" not in str(caught.value)
        assert caught.value.document_id == "bad"
    assert store.calls == []


async def test_metadata_keys_are_strings() -> None:
    store = FakeStore(dimension=3)
    with pytest.raises(InvalidDocumentError, match="'bad': metadata has a key of type int"):
        await store.update_metadata("bad", {1: 2})  # type: ignore[dict-item]


async def test_numpy_scalars_become_plain_ones() -> None:
    given = {
        "i": np.int32(3),
        "u": np.uint8(4),
        "f": np.float32(0.5),
        "d": np.float64(0.1),
        "b": np.bool_(True),
        "s": np.str_("x"),
        "t": (1, 2),
        "n": {"x": [np.int64(2**62)]},
    }
    store = FakeStore(dimension=3, info=IndexInfo(3, DistanceMetric.COSINE))
    await store.upsert([document(metadata=given)])
    kept = store.data[""]["bad"].metadata
    assert kept == {"i": 3, "u": 4, "f": 0.5, "d": 0.1, "b": True, "s": "x", "t": [1, 2], "n": {"x": [2**62]}}
    kinds = {key: type(value) for key, value in kept.items()}
    assert kinds == {"i": int, "u": int, "f": float, "d": float, "b": bool, "s": str, "t": list, "n": dict}


async def test_metadata_may_be_nested_64_levels() -> None:
    store = FakeStore(dimension=3, info=IndexInfo(3, DistanceMetric.COSINE))
    await store.upsert([document(metadata=nested(64))])
    assert store.data[""]["bad"].metadata == nested(64)


async def test_a_filter_that_holds_for_nothing_asks_nothing() -> None:
    store = FakeStore(dimension=3, info=IndexInfo(3, DistanceMetric.COSINE))
    await store.connect()
    nothing = SearchFilter(field="x", operator="in", value=[])
    assert await store.count(nothing) == 0
    assert (await store.search([1, 0, 0], filters=nothing)).results == []
    assert [r.results for r in await store.search_many([[1, 0, 0]], filters=nothing)] == [[]]
    assert (await store.delete(filters=nothing))["deleted"] == 0
    assert [d async for d in store.scan(filters=nothing)] == []
    assert set(store.calls) == {"open", "load_index"}
