"""What only a real Qdrant server shows, over REST and gRPC; needs ``QDRANT_URL``."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from conftest import QDRANT_URL, MakeStore
from ia_modules.vector_stores import (
    Condition,
    DistanceMetric,
    InvalidDimensionError,
    UnsupportedOperationError,
    VectorDocument,
    VectorStoreBase,
)
from ia_modules.vector_stores.filters import predicate
from ia_modules.vector_stores.providers.qdrant import indexes
from ia_modules.vector_stores.providers.qdrant.layout import point_id

if not QDRANT_URL:
    pytest.skip("QDRANT_URL is not set; it names a Qdrant server to test with", allow_module_level=True)

pytestmark = pytest.mark.targets("qdrant-server", "qdrant-grpc")

models: Any = pytest.importorskip("qdrant_client.models")


@pytest.fixture
async def raw(store: VectorStoreBase) -> AsyncIterator[Any]:
    """The client itself."""
    from qdrant_client import AsyncQdrantClient

    client = AsyncQdrantClient(url=QDRANT_URL, check_compatibility=False)
    yield client
    await client.close()


def documents(count: int, **metadata: Any) -> list[VectorDocument]:
    return [VectorDocument(id=f"d{i}", vector=[1, i, 0], metadata={"n": i, **metadata}) for i in range(count)]


async def payload_schema(raw: Any, store: VectorStoreBase) -> dict[str, str]:
    info = await raw.get_collection(store.config.index_name)
    return {path: index.data_type.value for path, index in info.payload_schema.items()}


async def demand_indexes(raw: Any, store: VectorStoreBase) -> None:
    """As managed clusters do."""
    strict = models.StrictModeConfig(enabled=True, unindexed_filtering_retrieve=False, unindexed_filtering_update=False)
    await raw.update_collection(store.config.index_name, strict_mode_config=strict)
    await store.disconnect()  # a collection's settings are read when it is opened


# Payload indexes


async def test_the_namespace_is_indexed_as_a_tenant(store: VectorStoreBase, raw: Any) -> None:
    info = await raw.get_collection(store.config.index_name)
    assert info.payload_schema["_ia_ns"].params.is_tenant is True


async def test_a_collection_without_the_namespace_s_index_gets_it(store: VectorStoreBase, raw: Any) -> None:
    await raw.delete_payload_index(store.config.index_name, "_ia_ns")
    await store.disconnect()
    await store.upsert(documents(3), namespace="t")
    assert await store.list_namespaces() == ["t"]


async def test_declared_indexes(make_store: MakeStore, store: VectorStoreBase, raw: Any) -> None:
    await store.delete_index()
    declared = {
        "category": "keyword",
        "year": "integer",
        "meta.lang": {"type": "keyword", "on_disk": True},
        "_ia_id": "bool",
        "published": "datetime",
    }
    await store.create_index(3, payload_indexes=declared)
    assert await payload_schema(raw, store) == {
        "_ia_ns": "keyword",
        "category": "keyword",
        "year": "float",
        '"meta.lang"': "keyword",
        "meta.lang": "keyword",
        '"_ia_key:_ia_id"': "bool",
        "published": "datetime",
    }
    await store.upsert(
        [
            VectorDocument(id="a", vector=[1, 0, 0], metadata={"year": 2020, "meta": {"lang": "en"}, "category": "x"}),
            VectorDocument(id="b", vector=[1, 0, 0], metadata={"year": 2020.5, "meta": {"lang": "de"}}),
            VectorDocument(id="c", vector=[1, 0, 0], metadata={"year": 2020.0, "category": ["x", "y"]}),
        ]
    )
    assert await store.count(Condition("year", "eq", 2020)) == 2
    assert await store.count(Condition("year", "gt", 2020)) == 1
    assert await store.count(Condition("category", "ne", "x")) == 1
    found = await store.search([1, 0, 0], filters=Condition("meta.lang", "ne", "de"))
    assert [result.id for result in found.results] == ["a", "c"]


@pytest.mark.parametrize("kind", ["uuid", "int", {"type": "text", "tokeniser": "word"}, 7])
async def test_an_index_of_no_known_type_is_refused(make_store: MakeStore, store: VectorStoreBase, kind: Any) -> None:
    await store.delete_index()
    with pytest.raises(UnsupportedOperationError):
        await store.create_index(3, payload_indexes={"x": kind})
    assert not await store.index_exists()


async def test_fields_that_are_filtered_on_get_an_index_once_there_are_many_points(
    store: VectorStoreBase, raw: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexes, "_PAYS", 20)
    await store.upsert(documents(10, lang="en"))
    await store.search([1, 0, 0], filters=Condition("lang", "eq", "en"))
    assert await payload_schema(raw, store) == {"_ia_ns": "keyword"}
    await store.upsert(documents(30, lang="en"))
    await store.search([1, 0, 0], filters=Condition("lang", "eq", "en") & Condition("n", "gt", 3))
    await asyncio.sleep(0.5)
    made = await payload_schema(raw, store)
    assert (made["lang"], made["n"]) == ("keyword", "float")
    assert (await store.search([1, 0, 0], 100, filters=Condition("n", "gte", 3))).total == 27


async def test_auto_index_can_be_turned_off(
    make_store: MakeStore, store: VectorStoreBase, raw: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexes, "_PAYS", 1)
    plain = make_store(options={**store.config.options, "auto_index": False})
    await plain.upsert(documents(30, lang="en"))
    await plain.search([1, 0, 0], filters=Condition("lang", "eq", "en"))
    assert await payload_schema(raw, store) == {"_ia_ns": "keyword"}


MIXED: list[Any] = [
    *(1, 1.0, 2, 2.5, "1", "2.5", True, None, [1], [1.0, "x"], [], {"b": 1}, 1714521600, 1714521600000000),
    *("2024-05-01", ["2024-05-01", 3], "no date", "x y"),
    *("550e8400-e29b-41d4-a716-446655440000", "550E8400-E29B-41D4-A716-446655440000"),
]
COMPARED = [
    *(Condition("a", op, x) for op in ("gt", "lte") for x in (1.5, 2, "2024-01-01", "2024-05-01T05:00:00Z")),
    *(Condition("a", "eq", x) for x in (1, 2.5, True, "x y", "1", "550e8400-e29b-41d4-a716-446655440000")),
    Condition("a", "in", ["x y", "550E8400-E29B-41D4-A716-446655440000", 2]),
    Condition("a", "contains", 1),
    Condition("a", "contains", "2024-05-01"),
    Condition("a", "exists", True),
]


async def check_all(store: VectorStoreBase, what: object) -> None:
    for condition in (*COMPARED, *(~one for one in COMPARED)):
        passes = predicate(condition)
        expected = {f"d{i}" for i, value in enumerate(MIXED) if passes({"a": value})}
        found = {result.id for result in (await store.search([1, 0, 0], 50, filters=condition)).results}
        assert found == expected, (what, condition)
        assert await store.count(condition) == len(expected), (what, condition)
        assert {d.id async for d in store.scan(filters=condition)} == expected, (what, condition)


@pytest.mark.parametrize("kind", ["keyword", "integer", "float", "bool", "datetime", "text"])
async def test_an_index_of_any_type_changes_no_answer(make_store: MakeStore, store: VectorStoreBase, kind: str) -> None:
    await store.delete_index()
    await store.create_index(3, payload_indexes={"a": kind})
    await store.upsert([VectorDocument(id=f"d{i}", vector=[1, i, 0], metadata={"a": a}) for i, a in enumerate(MIXED)])
    await check_all(store, kind)
    await check_all(make_store(), kind)


@pytest.mark.parametrize("kind", ["integer", "datetime", "uuid"])
async def test_nor_does_one_that_another_program_made(
    store: VectorStoreBase, raw: Any, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.upsert([VectorDocument(id=f"d{i}", vector=[1, i, 0], metadata={"a": a}) for i, a in enumerate(MIXED)])
    await check_all(store, "no index")
    await raw.create_payload_index(store.config.index_name, "a", kind)
    monkeypatch.setattr(indexes, "_STALE_SECONDS", 0.0)
    await check_all(store, kind)


# Servers that filter by indexed fields only


async def test_where_the_server_demands_indexes_they_are_made(store: VectorStoreBase, raw: Any) -> None:
    await store.upsert(documents(20, lang="en", tags=["a"], on=True, day="2024-05-01", none=[]))
    await demand_indexes(raw, store)
    for condition, expected in (
        (Condition("lang", "eq", "en"), 20),
        (Condition("n", "gte", 5), 15),
        (~Condition("n", "gte", 5), 5),
        (Condition("tags", "contains", "a"), 20),
        (Condition("on", "eq", True), 20),
        (Condition("day", "gt", "2024-01-01"), 20),
        (Condition("none", "exists", True), 20),
        (Condition("missing", "exists", True), 0),
    ):
        assert await store.count(condition) == expected, condition
        assert (await store.search([1, 0, 0], 30, filters=condition)).total == expected, condition
    assert (await store.delete(filters=Condition("n", "lt", 5)))["deleted"] == 5


async def test_or_the_error_names_the_field_and_the_option(
    make_store: MakeStore, store: VectorStoreBase, raw: Any
) -> None:
    await store.upsert(documents(3, lang="en"))
    await demand_indexes(raw, store)
    plain = make_store(options={**store.config.options, "auto_index": False}, max_retries=0)
    with pytest.raises(UnsupportedOperationError, match=r"'lang' has no payload index.*payload_indexes.*auto_index"):
        await plain.search([1, 0, 0], filters=Condition("lang", "eq", "en"))
    assert (await plain.search([1, 0, 0])).total == 3


# Options


async def test_options_of_the_collection(store: VectorStoreBase, raw: Any) -> None:
    await store.delete_index()
    await store.create_index(
        3,
        "euclidean",
        embedding_model="m",
        on_disk=True,
        on_disk_payload=False,
        hnsw_config={"m": 32, "ef_construct": 50},
        optimizers_config={"indexing_threshold": 5000},
        quantization={"scalar": {"always_ram": True}},
        shard_number=2,
        replication_factor=1,
        sparse=True,
    )
    config = (await raw.get_collection(store.config.index_name)).config
    assert config.params.vectors.on_disk is True
    assert config.params.on_disk_payload is False
    assert (config.hnsw_config.m, config.hnsw_config.ef_construct) == (32, 50)
    assert config.optimizer_config.indexing_threshold == 5000
    assert config.quantization_config.scalar.always_ram is True
    assert config.params.shard_number == 2
    assert set(config.params.sparse_vectors) == {"sparse"}
    assert await store.get_embedding_model() == "m"
    await store.upsert(documents(5))
    (found,) = await store.fetch(["d2"])
    assert found.vector.tolist() == [1, 2, 0]
    assert (await store.search([1, 2, 0], 1, include_vectors=True)).results[0].vector == [1, 2, 0]


@pytest.mark.parametrize("quantization", ["scalar", "binary", "product", {"product": {"compression": "x32"}}])
async def test_every_quantization(make_store: MakeStore, store: VectorStoreBase, raw: Any, quantization: Any) -> None:
    await store.delete_index()
    await make_store().create_index(8, quantization=quantization)
    made = (await raw.get_collection(store.config.index_name)).config.quantization_config
    name = quantization if isinstance(quantization, str) else "product"
    assert hasattr(made, name)


@pytest.mark.parametrize(
    "option",
    [
        {"hnsw_config": {"M": 3}},
        {"hnsw_config": 3},
        {"quantization": "half"},
        {"quantization": {"scalar": {"quantil": 0.9}}},
        {"quantization": {"scalar": {"quantile": "many"}}},
        {"sparse": {"": {}}},
        {"payload_indexes": ["year"]},
        {"shards": 2},
    ],
)
async def test_a_misspelt_option_is_refused_and_nothing_made(store: VectorStoreBase, option: dict[str, Any]) -> None:
    await store.delete_index()
    with pytest.raises(UnsupportedOperationError):
        await store.create_index(3, **option)
    assert not await store.index_exists()


async def test_search_params_reach_the_server(make_store: MakeStore, store: VectorStoreBase) -> None:
    tuned = make_store(options={**store.config.options, "search_params": {"hnsw_ef": 64, "exact": True}})
    await tuned.upsert(documents(30))
    assert (await tuned.search([1, 2, 0], 5)).total == 5
    assert [r.total for r in await tuned.search_many([[1, 2, 0], [1, 0, 0]], 5)] == [5, 5]


# Amounts


async def test_more_than_a_request_can_hold(make_store: MakeStore, store: VectorStoreBase) -> None:
    await store.delete_index()
    store = make_store()
    await store.create_index(1536)
    rows = np.random.default_rng(1).standard_normal((3_000, 1536)).astype(np.float32)
    written = await store.upsert(
        [VectorDocument(id=f"d{i}", vector=row, text="x" * 1000) for i, row in enumerate(rows)], batch_size=3_000
    )
    assert written["upserted"] == await store.count() == 3_000
    (found,) = await store.fetch(["d2999"])
    np.testing.assert_allclose(found.vector.array, rows[2999], rtol=1e-6)


async def test_documents_of_many_megabytes(store: VectorStoreBase) -> None:
    large = [VectorDocument(id=f"d{i}", vector=[1, i, 0], text="x" * 6_000_000) for i in range(8)]
    await store.upsert(large)
    assert [len(d.text or "") for d in await store.fetch(["d0", "d7"])] == [6_000_000, 6_000_000]


async def test_a_document_larger_than_a_request_is_refused_or_stored(store: VectorStoreBase) -> None:
    document = VectorDocument(id="d", vector=[1, 0, 0], text="x" * 40_000_000)
    if store.config.options.get("grpc"):
        await store.upsert([document])
        assert await store.count() == 1
    else:
        with pytest.raises(UnsupportedOperationError, match=r"of 40 MB.*max_request_size_mb"):
            await store.upsert([document])
        assert await store.count() == 0


# Doubles


@pytest.mark.parametrize("metric", [DistanceMetric.COSINE])
async def test_doubles_come_back_and_compare_to_the_last_digit(store: VectorStoreBase, metric: DistanceMetric) -> None:
    chance = random.Random(5)
    values = [chance.random() for _ in range(300)] + [0.5, 0.1, 0.1 + 2**-56, 0.30000000000000004, 1e22, 5.7e48, -0.0]
    await store.upsert([VectorDocument(id=f"d{i}", vector=[1, i, 0], metadata={"v": v}) for i, v in enumerate(values)])
    found = await store.fetch([f"d{i}" for i in range(len(values))])
    assert [document.metadata["v"] for document in found] == values
    for bound in (*values[::9], 0.5, 0.1, 0.30000000000000004):
        for operator in ("eq", "gt", "gte", "lt", "lte"):
            condition = Condition("v", operator, bound)
            expected = sum(map(predicate(condition), ({"v": v} for v in values)))
            assert await store.count(condition) == expected, condition
            assert await store.count(~condition) == len(values) - expected, condition
    assert (await store.delete(filters=Condition("v", "gte", values[17])))["deleted"] == sum(
        v >= values[17] for v in values
    )


# Another dimension than the index was made with, found by the server


async def test_a_vector_of_another_dimension_that_only_the_server_can_know(
    make_store: MakeStore, store: VectorStoreBase, raw: Any
) -> None:
    await store.upsert(documents(1))
    await raw.delete_collection(store.config.index_name)
    await raw.create_collection(store.config.index_name, models.VectorParams(size=4, distance=models.Distance.COSINE))
    with pytest.raises(InvalidDimensionError):
        await store.upsert(documents(1))


async def test_a_point_written_by_another_program_is_not_ours(store: VectorStoreBase, raw: Any) -> None:
    await store.upsert(documents(2))
    await raw.upsert(store.config.index_name, [models.PointStruct(id=1, vector=[1, 0, 0], payload={"n": 1})])
    assert await store.count() == 2
    assert {result.id for result in (await store.search([1, 0, 0], 10)).results} == {"d0", "d1"}
    assert await store.list_namespaces() == [""]
    assert (await store.delete(delete_all=True))["deleted"] == 2
    assert (await raw.count(store.config.index_name)).count == 1


async def test_an_id_is_found_by_others_too(store: VectorStoreBase, raw: Any) -> None:
    await store.upsert(documents(1), namespace="n")
    (record,) = await raw.retrieve(store.config.index_name, [point_id("n", "d0")])
    assert record.payload == {"_ia_id": "d0", "_ia_ns": "/n", "n": 0}
