"""What Chroma would change, hide or mix up, and must come back and be found as it was given."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest

from ia_modules.vector_stores import (
    ChromaVectorStore,
    InvalidDocumentError,
    SearchFilter,
    UnsupportedOperationError,
    VectorDocument,
    VectorStoreBase,
    VectorStoreConfig,
    VectorStoreError,
)

pytestmark = pytest.mark.targets("chroma-memory", "chroma-server")

MakeStore = Callable[..., VectorStoreBase]


def condition(field: str, operator: str, value: object) -> SearchFilter:
    return SearchFilter(field=field, operator=operator, value=value)


def odd_doubles() -> list[float]:
    random = np.random.default_rng(7)
    anywhere = [struct.unpack("<d", random.bytes(8))[0] for _ in range(300)]
    near_one = random.random(300).tolist()
    corners = [0.1 + 0.2, 1 / 3, math.pi, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, -1e-7, 1e22, 1e23]
    corners += [math.nextafter(1.0, 2.0), float(2**53), float(2**53 + 2), 123456789.123456789]
    return [x for x in [*corners, *near_one, *anywhere] if math.isfinite(x)]


@pytest.fixture
async def doubles(store: VectorStoreBase) -> tuple[VectorStoreBase, dict[str, float]]:
    values = {f"d{i:03}": value for i, value in enumerate(odd_doubles())}
    await store.upsert(
        [VectorDocument(id=name, vector=[1, 0, 0], metadata={"x": value}) for name, value in values.items()],
        batch_size=1000,
    )
    return store, values


async def test_doubles_come_back_exactly(doubles: tuple[VectorStoreBase, dict[str, float]]) -> None:
    store, values = doubles
    assert {document.id: document.metadata["x"] async for document in store.scan()} == values


async def test_doubles_are_found_by_equality(doubles: tuple[VectorStoreBase, dict[str, float]]) -> None:
    store, values = doubles
    for name, value in list(values.items())[:40]:
        assert [d.id async for d in store.scan(filters=condition("x", "eq", value))] == [name]
        assert await store.count(condition("x", "ne", value)) == len(values) - 1
        neighbour = math.nextafter(value, 0.0)
        assert await store.count(condition("x", "eq", neighbour)) == (neighbour in values.values())
    some = list(values.values())[::7]
    assert await store.count(condition("x", "in", some)) == len(some)
    assert await store.count(condition("x", "nin", some)) == len(values) - len(some)


async def test_doubles_are_found_by_ranges(doubles: tuple[VectorStoreBase, dict[str, float]]) -> None:
    store, values = doubles
    for limit in list(values.values())[:40]:
        for operator, expected in (
            ("gt", {name for name, value in values.items() if value > limit}),
            ("gte", {name for name, value in values.items() if value >= limit}),
            ("lt", {name for name, value in values.items() if value < limit}),
            ("lte", {name for name, value in values.items() if value <= limit}),
        ):
            assert await store.count(condition("x", operator, limit)) == len(expected), (operator, limit)


ODD_NAMES = [
    "",
    "a",
    "A",
    "á",
    "a\u0301",
    "ia--",
    "ia--me",
    "ia--me.me",
    "ia--ia--",
    ".",
    "..",
    "../up",
    "a/b",
    "a.b",
    "~m",
    "127.0.0.1",
    "it's",
    '"; DROP TABLE collections; --',
    "%00",
    "%",
    "_",
    "\U0001f600" * 16,
    "x" * 64,
    "y" * 63,
    "  ",
]


async def test_crafted_namespaces_stay_apart(store: VectorStoreBase) -> None:
    for i, name in enumerate(ODD_NAMES):
        await store.upsert([VectorDocument(id="same", vector=[1, 0, 0], metadata={"i": i})], namespace=name)
    assert await store.list_namespaces() == sorted(ODD_NAMES)
    for i, name in enumerate(ODD_NAMES):
        (document,) = await store.fetch(["same"], namespace=name)
        assert document.metadata == {"i": i}
    await store.delete_namespace(ODD_NAMES[5])
    assert await store.list_namespaces() == sorted({*ODD_NAMES} - {ODD_NAMES[5]})


async def test_crafted_ids_stay_apart(store: VectorStoreBase) -> None:
    ids = [*ODD_NAMES[1:], "é" * 256, "\n", "\x00", "null", "[]", "0", "\ufeff"]
    await store.upsert([VectorDocument(id=name, vector=[1, i, 0], text=name) for i, name in enumerate(ids)])
    assert [document.id for document in await store.fetch(ids)] == ids
    assert {document.id: document.text async for document in store.scan()} == dict(zip(ids, ids, strict=True))
    assert (await store.delete(ids=["~m", "_", "%"]))["deleted"] == 3
    assert await store.count() == len(ids) - 3


@pytest.mark.targets("chroma-memory", "chroma-folder", "chroma-server")
async def test_crafted_index_names_stay_apart(make_store: MakeStore) -> None:
    # One of them encoded is what another one is called.
    mine = "crafted"
    names = [mine, f"{mine}/", f"ia--{mine}", f"{mine}.x", "ab", "a b", "127.0.0.1", "ß" * 120, "..", '"']
    stores = [make_store(index_name=name, dimension=3) for name in names]
    try:
        for store, name in zip(stores, names, strict=True):
            assert not await store.index_exists(), name
            await store.create_index(3)
            for namespace in ("", "n", "ia--"):
                await store.upsert([VectorDocument(id=name, vector=[1, 0, 0])], namespace=namespace)
        for store, name in zip(stores, names, strict=True):
            assert await store.list_namespaces() == ["", "ia--", "n"]
            assert [document.id async for document in store.scan("n")] == [name]
            assert (await store.get_stats()).total_vectors == 3
        await stores[0].delete_index()
        assert [await store.index_exists() for store in stores] == [False, *[True] * (len(stores) - 1)]
    finally:
        for store in stores[1:]:
            await store.delete_index()


async def test_an_index_named_like_the_collection_of_a_namespace(make_store: MakeStore) -> None:
    from ia_modules.vector_stores.providers.chroma.layout import collection_name

    mine = make_store(dimension=3)
    await mine.create_index(3)
    await mine.upsert([VectorDocument(id="secret", vector=[1, 0, 0])], namespace="n")
    look_alike = make_store(index_name=collection_name(mine.config.index_name, "n"))
    assert not await look_alike.index_exists()


def test_an_index_name_has_a_limit() -> None:
    with pytest.raises(ValueError, match="240 bytes"):
        ChromaVectorStore(VectorStoreConfig(provider="chroma", index_name="é" * 121))


ODD_KEYS = ["~m", "~t", "~k:x", "~l:x", "~f:x", "~n:x", "~", "chroma:document", "chroma:", "$x", "$eq", "#x", "", " "]
ODD_KEYS += ["_id", "id", "text", "vector", "namespace", "a.b", "'", '"', "ia:index", "x" * 300, "ключ", "\x00"]


@pytest.mark.parametrize("value", ["word", 3, 0.1 + 0.2, True, ["one", 2], None, {"in": 1}], ids=repr)
async def test_odd_keys_come_back_and_can_be_filtered(store: VectorStoreBase, value: Any) -> None:
    documents = [VectorDocument(id=f"d{i}", vector=[1, 0, 0], metadata={k: value}) for i, k in enumerate(ODD_KEYS)]
    everything = VectorDocument(id="all", vector=[1, 0, 0], metadata=dict.fromkeys(ODD_KEYS, value))
    await store.upsert([*documents, everything])
    assert await store.fetch([d.id for d in documents] + ["all"]) == [*documents, everything]
    for key, document in zip(ODD_KEYS, documents, strict=True):
        if value is None:
            wanted, operator, asked = set[str](), "exists", True
        elif isinstance(value, list):
            wanted, operator, asked = {document.id, "all"}, "contains", value[1]
        elif isinstance(value, dict):
            wanted, operator, asked = {document.id, "all"}, "exists", True
        else:
            wanted, operator, asked = {document.id, "all"}, "eq", value
        node = condition(key, operator, asked)
        assert {d.id async for d in store.scan(filters=node)} == wanted, key
        assert {r.id for r in (await store.search([1, 0, 0], filters=node)).results} == wanted, key


async def test_a_look_alike_of_our_own_encoding_is_data(store: VectorStoreBase) -> None:
    lies = {"~m": '{"admin":true}', "~t": False, "~l:tags": ["s:x"], "~f:x": "0.5", "~n:x": 0.5}
    truth = {"m": '{"admin":true}', "tags": ["y"], "x": 1 / 3}
    documents = [
        VectorDocument(id="lies", vector=[1, 0, 0], metadata=lies, text="here"),
        VectorDocument(id="truth", vector=[1, 0, 0], metadata=truth, text=None),
        VectorDocument(id="both", vector=[1, 0, 0], metadata=lies | truth, text=""),
    ]
    await store.upsert(documents)
    assert await store.fetch(["lies", "truth", "both"]) == documents
    assert await store.count(condition("admin", "exists", True)) == 0
    assert await store.count(condition("tags", "contains", "x")) == 0
    assert await store.count(condition("x", "eq", 0.5)) == 0
    assert await store.count(condition("x", "gt", 0)) == 2
    assert await store.count(condition("~n:x", "eq", 0.5)) == 2


@pytest.mark.parametrize(("old", "new"), [*product([None, "", "text"], repeat=2)])
async def test_texts_are_replaced_and_removed(store: VectorStoreBase, old: str | None, new: str | None) -> None:
    for text, metadata in ((old, {}), (new, {}), (old, {"k": 1}), (new, {}), (new, {"k": 2})):
        document = VectorDocument(id="a", vector=[1, 0, 0], text=text, metadata=metadata)
        await store.upsert([document])
        assert await store.fetch(["a"]) == [document]
        await store.update_metadata("a", {"more": 1})
        (found,) = await store.fetch(["a"])
        assert (found.text, found.metadata) == (text, {**metadata, "more": 1})


async def test_a_batch_may_mix_what_chroma_keeps_apart(store: VectorStoreBase) -> None:
    documents = [
        VectorDocument(id="bare", vector=[1, 0, 0]),
        VectorDocument(id="text", vector=[1, 0, 0], text="t"),
        VectorDocument(id="empty", vector=[1, 0, 0], text="", metadata={}),
        VectorDocument(id="lists", vector=[1, 0, 0], metadata={"l": [], "m": [1, "1", 1.5, None, [True]]}),
        VectorDocument(id="types", vector=[1, 0, 0], metadata={"i": 2**63 - 1, "f": 3.0, "b": True, "n": None}),
    ]
    await store.upsert(documents)
    found = await store.fetch([document.id for document in documents])
    assert found == documents
    assert [repr(document.metadata) for document in found] == [repr(document.metadata) for document in documents]


@pytest.mark.parametrize("vector", [[1e20, 0, 0], [1e-20, 0, 0], [3e38, 3e38, 3e38]], ids=str)
async def test_lengths_that_chroma_can_not_compare_are_refused(store: VectorStoreBase, vector: list[float]) -> None:
    good = VectorDocument(id="good", vector=[1, 0, 0])
    with pytest.raises(InvalidDocumentError, match="'far'"):
        await store.upsert([good, VectorDocument(id="far", vector=vector)])
    assert await store.count() == 0


async def test_a_query_of_any_length_has_a_direction(store: VectorStoreBase) -> None:
    await store.upsert([VectorDocument(id="x", vector=[1, 0, 0]), VectorDocument(id="y", vector=[0, 1, 0])])
    for length in (1e-30, 1e-20, 1.0, 1e20, 1e38):
        best = (await store.search([0, length, 0])).results[0]
        assert (best.id, best.score) == ("y", pytest.approx(1.0, abs=1e-5))


async def test_unknown_options_are_refused(make_store: MakeStore) -> None:
    store = make_store()
    with pytest.raises(UnsupportedOperationError, match="on_disk"):
        await store.create_index(3, on_disk=True)
    with pytest.raises(UnsupportedOperationError, match="space"):
        await store.create_index(3, hnsw={"space": "l2"})
    assert not await store.index_exists()
    await store.create_index(3, hnsw={"ef_search": 200})
    with pytest.raises(ValueError, match="options"):
        make_store(options={"no_such": 1})
    with pytest.raises(VectorStoreError):
        await make_store(index_name="other").create_index(3, hnsw={"ef_search": "many"})
