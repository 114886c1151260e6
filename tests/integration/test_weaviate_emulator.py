"""The double and a real Weaviate: the real client, failures, and generated questions to both.

What is asserted here was first seen on the real server; much of it is not what one would have guessed.
"""

from __future__ import annotations

import re
import uuid
import warnings
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    weaviate: Any = pytest.importorskip("weaviate")
    import grpc
    from weaviate.proto.v1 import (
        search_get_pb2,
    )

    from emulator.weaviate import Server, serving

from weaviate_wire import DEFINITION, MULTI, REAL, REAL_GRPC, TYPES, Wire, joined, near, number, vectors, where, wire_to

# The real client


def arguments(wire: Wire) -> dict[str, Any]:
    http, rpc = urlsplit(wire.http), urlsplit(f"//{wire.grpc_url}")
    return {
        "http_host": http.hostname,
        "http_port": http.port,
        "http_secure": False,
        "grpc_host": rpc.hostname,
        "grpc_port": rpc.port,
        "grpc_secure": False,
    }


async def test_the_client(wire: Wire) -> None:
    from weaviate.classes.config import Configure, DataType, Property, Tokenization, VectorDistances
    from weaviate.classes.data import DataObject
    from weaviate.classes.query import Filter, MetadataQuery
    from weaviate.classes.tenants import Tenant

    settled = weaviate.classes.init.AdditionalConfig(timeout=weaviate.classes.init.Timeout(init=5))
    async with weaviate.use_async_with_custom(**arguments(wire), additional_config=settled) as client:
        assert await client.is_ready()
        made = await client.collections.create(
            wire.name,
            properties=[
                Property(name="kind", data_type=DataType.TEXT, tokenization=Tokenization.FIELD),
                Property(name="size", data_type=DataType.NUMBER, index_range_filters=True),
            ],
            vector_config=Configure.Vectors.self_provided(
                vector_index_config=Configure.VectorIndex.hnsw(distance_metric=VectorDistances.COSINE)
            ),
            multi_tenancy_config=Configure.multi_tenancy(True, auto_tenant_creation=True),
            inverted_index_config=Configure.inverted_index(index_null_state=True),
        )
        assert await client.collections.exists(wire.name)
        config = await made.config.get()
        assert [one.name for one in config.properties] == ["kind", "size"]
        assert config.vector_config["default"].vector_index_config.distance_metric == "cosine"
        assert config.multi_tenancy_config.auto_tenant_creation
        await made.tenants.create([Tenant(name="a")])
        mine = made.with_tenant("b")
        rows = [
            DataObject({"kind": "x y", "size": at}, uuid=number(at), vector={"default": [1.0, float(at)]})
            for at in range(1, 26)
        ]
        assert not (await mine.data.insert_many(rows)).has_errors
        assert sorted(await made.tenants.get()) == ["a", "b"]
        assert await mine.length() == 25
        assert [int(one.uuid) async for one in mine.iterator()] == [*range(1, 26)]
        few = await mine.query.fetch_objects(
            filters=Filter.by_property("size").greater_than(20) & Filter.by_property("kind").equal("x y"), limit=10
        )
        assert sorted(one.properties["size"] for one in few.objects) == [21, 22, 23, 24, 25]
        named = await mine.query.fetch_objects_by_ids([number(3), number(4)], include_vector=True)
        assert {int(one.uuid): one.vector for one in named.objects} == {3: {"default": [1, 3]}, 4: {"default": [1, 4]}}
        best = await mine.query.near_vector([1.0, 2.0], limit=2, return_metadata=MetadataQuery(distance=True))
        assert int(best.objects[0].uuid) == 2
        assert best.objects[0].metadata.distance == pytest.approx(0, abs=1e-6)
        gone = await mine.data.delete_many(where=Filter.by_property("size").less_than(6), verbose=True)
        assert (gone.matches, gone.successful, len(gone.objects)) == (5, 5, 5)
        counted = await mine.aggregate.over_all(filters=Filter.by_property("size").is_none(False), total_count=True)
        assert counted.total_count == 20
        await made.config.add_property(Property(name="more", data_type=DataType.TEXT))
        assert [one.name for one in (await made.config.get()).properties] == ["kind", "size", "more"]
        await made.tenants.remove(["b"])
        assert not await made.tenants.exists("b")
        await client.collections.delete(wire.name)
        assert not await client.collections.exists(wire.name)


# What only the double has


def test_it_asks_for_the_key() -> None:
    with serving(api_key="secret") as server:
        wire = wire_to(server)
        anonymous = "anonymous access not enabled. Please authenticate through one of the available methods: [API-keys]"
        assert wire.rest("GET", "/v1/meta") == (401, {"code": 401, "message": anonymous})
        assert wire.rest("GET", "/v1/.well-known/live") == (200, None)
        # The server has a status for this, and does not use it.
        assert wire.found() == "extract auth: unauthorized: invalid api key"
        wire.channel.close()
        for key, expected in (("wrong", False), ("secret", True)):
            credentials = weaviate.auth.AuthApiKey(key)
            if expected:
                with weaviate.connect_to_custom(**arguments(wire), auth_credentials=credentials) as client:
                    assert client.collections.list_all() == {}
            else:
                with pytest.raises(weaviate.exceptions.WeaviateBaseError, match="invalid api key"):
                    weaviate.connect_to_custom(**arguments(wire), auth_credentials=credentials)


def test_it_fails_when_it_is_told_to() -> None:
    with serving() as server:
        wire = wire_to(server)
        wire.create(**DEFINITION)
        server.fail_ids({number(2).upper(): "no room"})
        objects = [wire.object(at, {}, [1, 2]) for at in (1, 2, 3)]
        assert wire.put(*objects) == {1: "no room"}
        assert wire.found() == [1, 3]
        server.fail_ids({})
        server.fail_next(2, grpc.StatusCode.UNAVAILABLE, "away")
        for _ in range(2):
            with pytest.raises(grpc.RpcError) as caught:
                wire.stub.Search(search_get_pb2.SearchRequest(collection=wire.name))
            assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.UNAVAILABLE, "away")
        assert wire.put(objects[1]) == {}
        assert (server.calls["BatchObjects"], server.calls["Search"]) == (2, 3)
        server.fail_next_rest(1, 503, "busy")
        assert wire.refused("GET", "/v1/schema") == (503, "busy")
        server.reset()
        assert wire.rest("GET", "/v1/schema") == (200, {"classes": []})
        wire.channel.close()


# Both at once

TEXTS = st.sampled_from(["", " ", "a", "A", "the", "a b", "B a", "x-y", "über", "a*", "*b", "?", "...", " the x "])
NUMBERS = st.sampled_from([-2, -1.5, 0, 0.0, 0.5, 1, 2.0, 3, 1e300, 2**53])
WHOLE = st.sampled_from([-2, -1, 0, 1, 2, 2**53])
DATES = st.sampled_from(
    ["2024-01-02T03:04:05Z", "2024-01-02T05:04:05+02:00", "1960-01-01T00:00:00.5Z", "2030-01-01T00:00:00Z"]
)
UUIDS = st.sampled_from([number(at) for at in range(1, 5)])
BASES: dict[str, st.SearchStrategy[Any]] = {
    "text": TEXTS,
    "number": NUMBERS,
    "int": WHOLE,
    "boolean": st.booleans(),
    "date": DATES,
    "uuid": UUIDS,
}
COMPARISONS = ["EQUAL", "NOT_EQUAL", "GREATER_THAN", "GREATER_THAN_EQUAL", "LESS_THAN", "LESS_THAN_EQUAL"]
CONTAINS = ["CONTAINS_ANY", "CONTAINS_ALL", "CONTAINS_NONE"]


def values(kind: str) -> st.SearchStrategy[Any]:
    base = BASES[kind.removesuffix("[]")]
    return st.lists(base, max_size=3).map(alike) if kind.endswith("[]") else base


def alike(many: list[Any]) -> list[Any]:
    """Lists of numbers travel as one type."""
    mixed = len({type(one) for one in many}) > 1
    return [float(one) for one in many] if mixed else many


@st.composite
def leaves(draw: st.DrawFn) -> Any:
    name = draw(st.sampled_from([*TYPES, "_id"]))
    kind = TYPES[name][0] if name in TYPES else "uuid"
    base = kind.removesuffix("[]")
    operators = COMPARISONS + CONTAINS + (["LIKE"] if base == "text" else []) + (["IS_NULL"] if name in TYPES else [])
    operator = draw(st.sampled_from(operators))
    if operator == "IS_NULL":
        return where(name, operator, draw(st.booleans()))
    if operator in CONTAINS:
        return where(name, operator, alike(draw(st.lists(BASES[base], min_size=1, max_size=3))))
    return where(name, operator, draw(BASES[base]))


def branches(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(children, min_size=1, max_size=3)
    operators = st.sampled_from(["AND", "OR"])
    return st.builds(lambda operator, many: joined(operator, *many), operators, several) | st.builds(
        lambda one: joined("NOT", one), children
    )


FILTERS = st.recursive(leaves(), branches, max_leaves=6)
ROWS = st.lists(
    st.fixed_dictionaries({}, optional={name: values(kind) for name, (kind, _) in TYPES.items()}),
    min_size=1,
    max_size=6,
)
VECTORS = st.lists(st.sampled_from([-2.0, -1.0, 0.0, 0.5, 1.0, 3.0]), min_size=3, max_size=3)


@pytest.fixture(scope="module")
def both(double: Server) -> Iterator[list[Wire]]:
    if not REAL:
        pytest.skip("WEAVIATE_URL is not set; it names a Weaviate server to test with")
    wires = [wire_to(double), Wire(str(REAL), REAL_GRPC)]
    wires[1].name, wires[1].index = wires[0].name, wires[0].index
    wires[1].made = [*wires[0].made]
    for wire in wires:
        wire.create(**DEFINITION)
    yield wires
    for wire in wires:
        wire.close()


def told(found: Any) -> Any:
    """Which of several faults is told is the server's chance."""
    return re.sub(r"clause at pos \d", "clause", found) if isinstance(found, str) else found


@settings(max_examples=60)
@given(rows=ROWS, chosen=st.lists(FILTERS, min_size=3, max_size=6), single=st.lists(leaves(), min_size=5, max_size=10))
def test_both_find_the_same(both: list[Wire], rows: list[Any], chosen: list[Any], single: list[Any]) -> None:
    tenant = uuid.uuid4().hex
    written = [wire.put(*(wire.object(at, row, tenant=tenant) for at, row in enumerate(rows, 1))) for wire in both]
    assert written[0] == written[1]
    for one in chosen:
        found = [wire.filtered(one, tenant=tenant) for wire in both]
        if isinstance(found[1], str):
            # Which of several faults is told is the server's chance.
            assert isinstance(found[0], str), (one, found)
        else:
            assert found[0] == found[1], one
    for one in single:
        found = [wire.filtered(one, tenant=tenant) for wire in both]
        assert told(found[0]) == told(found[1]), one
    for wire in both:
        wire.rest("DELETE", f"/v1/schema/{wire.name}/tenants", [tenant])


@settings(max_examples=30)
@given(rows=st.lists(VECTORS, min_size=1, max_size=8), query=VECTORS, limit=st.integers(1, 8))
@pytest.mark.parametrize("distance", ["cosine", "dot", "l2-squared", "manhattan", "hamming"])
def test_both_are_as_far(both: list[Wire], distance: str, rows: list[Any], query: list[float], limit: int) -> None:
    tenant = uuid.uuid4().hex
    name = f"{both[0].name}{distance.replace('-', '')}"
    found = []
    for wire in both:
        if name not in wire.made:
            wire.made.append(name)
            config = {"vectorConfig": vectors(distance), "multiTenancyConfig": MULTI}
            assert wire.rest("POST", "/v1/schema", {"class": name, **config})[0] == 200
        given = {"collection": name, "tenant": tenant}
        assert wire.put(*(wire.object(at, {}, row, **given) for at, row in enumerate(rows, 1))) == {}
        reply = wire.search(near_vector=near(query), **given, limit=limit)
        found.append([one.metadata.distance for one in reply.results])
        wire.rest("DELETE", f"/v1/schema/{name}/tenants", [tenant])
    assert found[0] == pytest.approx(found[1], abs=1e-6, rel=1e-6)
