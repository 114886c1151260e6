"""The double and a real Weaviate: reading, searching, deleting.

What is asserted here was first seen on the real server; much of it is not what one would have guessed.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    weaviate: Any = pytest.importorskip("weaviate")
    from weaviate.proto.v1 import (
        search_get_pb2,
    )

from weaviate_wire import (
    AVAILABLE,
    DEFINITION,
    LIST,
    MULTI,
    NEAR,
    NONE_ADDED,
    Wire,
    ident,
    near,
    number,
    packed,
    vectors,
    where,
)

# Reading


def filled(wire: Wire) -> None:
    wire.create(**DEFINITION)
    assert wire.put(*(wire.object(at, {"i": at, "n": at % 3}, [at, 1, 0]) for at in range(1, 13))) == {}


def test_pages(wire: Wire) -> None:
    filled(wire)
    assert wire.found(limit=3, offset=2) == [3, 4, 5]
    assert wire.found(limit=0) == [*range(1, 11)]
    assert wire.found(limit=3, after=number(4)) == [5, 6, 7]
    assert wire.found(limit=3, after=number(11).upper()) == [12]
    assert wire.found(limit=10000) == [*range(1, 13)]
    told = (
        "invalid pagination params: query maximum results exceeded: the total limit calculated from the provided "
        "offset '{}' and limit '{}' exceeds the configured value for QUERY_MAXIMUM_RESULTS '10000'. "
        "If you've supplied a negative offset or limit, this may be an underflow error"
    )
    assert wire.found(limit=10001) == LIST + told.format(0, 10001)
    assert wire.found(limit=10000, offset=1) == LIST + told.format(1, 10000)
    assert wire.found(limit=10001, near_vector=near([1, 0, 0])) == NEAR + told.format(0, 10001)
    start = "cursor api: invalid 'after' parameter: "
    after = {"after": number(4)}
    told = f"{start}after parameter 'x' is not a valid uuid: invalid UUID length: 1"
    assert wire.found(after="x") == told
    assert wire.found(**after, offset=1) == f"{start}offset cannot be set with after and limit parameters"
    chosen = where("i", "EQUAL", 1)
    assert wire.found(**after, filters=chosen) == f"{start}where cannot be set with after and limit parameters"
    searched = wire.found(**after, near_vector=near([1, 0, 0]))
    assert searched == f"{start}other params cannot be set with after and limit parameters"


def test_sorted_what_has_no_value_is_the_least(wire: Wire) -> None:
    wire.create(**DEFINITION)
    wire.put(*(wire.object(at, one) for at, one in enumerate([{"n": 3}, {}, {"n": -1}, {"n": 2}], 1)))
    assert wire.found(sort_by=[{"ascending": True, "path": ["n"]}]) == [2, 3, 4, 1]
    assert wire.found(sort_by=[{"ascending": False, "path": ["n"]}]) == [1, 4, 3, 2]
    assert wire.found(sort_by=[{"ascending": False, "path": ["_id"]}], limit=2) == [4, 3]
    told = f"invalid 'sort' parameter: sort parameter at position 0: {NONE_ADDED.format('zz', wire.name)}{AVAILABLE}"
    assert wire.found(sort_by=[{"ascending": True, "path": ["zz"]}]) == told
    told = "sorting cannot be combined with search"
    assert wire.found(sort_by=[{"ascending": True, "path": ["n"]}], near_vector=near([1])) == told


def test_what_does_not_exist(wire: Wire) -> None:
    missing = "could not find class EmuNowhere in schema"
    other = {"collection": "EmuNowhere"}
    assert wire.found(**other) == missing
    assert wire.found(collection="") == "could not find class  in schema"
    assert wire.count(**other) == f"parse params: {missing}"
    assert wire.delete(where("i", "EQUAL", 1), **other) == f"batch delete params: {missing}"


def test_names_of_classes_may_begin_in_small_letters(wire: Wire) -> None:
    filled(wire)
    lower = {"collection": wire.name[0].lower() + wire.name[1:]}
    assert wire.found(**lower, limit=1) == [1]
    assert wire.count(**lower) == 12
    assert wire.delete(where("i", "EQUAL", 1), **lower).successful == 1


QUERY = packed([1, 0, 1])
TARGET = {"targets": {"target_vectors": ["default"]}}


@pytest.mark.parametrize(
    "asked",
    [
        {"vector_bytes": QUERY},
        {"vector": [1, 0, 1]},
        {"vectors": [{"vector_bytes": QUERY, "type": 1}]},
        {"vectors": [{"name": "default", "vector_bytes": QUERY}]},
        {"vector_bytes": QUERY, "target_vectors": ["default"]},
        {"vector_bytes": QUERY, **TARGET},
        {"vector_for_targets": [{"name": "default", "vector_bytes": QUERY}], **TARGET},
        {"vector_for_targets": [{"name": "default", "vectors": [{"vector_bytes": QUERY, "type": 1}]}], **TARGET},
        {"vector_for_targets": [{"name": "default", "vector_bytes": QUERY}]},
        {"vector_per_target": {"default": QUERY}, "target_vectors": ["default"]},
    ],
)
def test_all_the_ways_to_send_a_vector(wire: Wire, asked: dict[str, Any]) -> None:
    wire.create(**DEFINITION)
    wire.put(wire.object(1, {}, [1, 0, 1]), wire.object(2, {}, [0, 1, 0]), wire.object(3, {}, [1, 1, 1]))
    assert wire.found(near_vector=asked) == [1, 3, 2]


def test_searches_that_are_refused(wire: Wire) -> None:
    filled(wire)
    start = f"extract target vectors: class {wire.name} "
    told = f"{start}does not have named vector foo configured. Available named vectors [default]"
    assert wire.found(near_vector=near([1, 0, 1], target_vectors=["foo"])) == told
    told = "near_vector: vector for target default is required. All target vectors: [default] "
    told += "all vectors for targets [foo]"
    other = {"vector_for_targets": [{"name": "foo", "vector_bytes": QUERY}]}
    assert wire.found(near_vector={**other, **TARGET}) == told
    assert wire.found(near_vector={}) == "near_vector: vector is required"
    told = "near_vector: cannot provide distance and certainty"
    assert wire.found(near_vector=near([1, 0, 1], distance=1, certainty=1)) == told
    shard = f"{NEAR}object vector search at index {wire.index}: shard {wire.index}_t1: vector search: "
    told = "knn search: distance between entrypoint and query node: 3 vs 2: vector lengths don't match"
    assert wire.found(near_vector=near([1, 0])) == shard + told
    told = "3 vs 2: vector lengths don't match"
    assert wire.found(near_vector=near([1, 0]), filters=where("i", "EQUAL", 1)) == shard + told
    # Nothing to compare with, nothing to complain of.
    assert wire.found(near_vector=near([1, 0]), filters=where("i", "EQUAL", 99)) == []
    wire.rest("POST", f"/v1/schema/{wire.name}/tenants", [{"name": "t2"}])
    assert wire.found(near_vector=near([1, 0]), tenant="t2") == []


def test_several_vectors(wire: Wire) -> None:
    wire.create(vectorConfig={**vectors("dot"), "b": vectors("cosine")["default"]})
    second = wire.object(2, tenant="")
    second.vectors.add(name="b", vector_bytes=packed([1, 2]))
    third = wire.object(3, tenant="", vector_bytes=packed([1, 2]))
    errors = wire.put(wire.object(1, {}, [1, 2], tenant=""), second, third)
    assert errors == {2: f"collection {wire.name} configuration does not have single vector index"}
    told = f"extract target vectors: class {wire.name} has multiple vectors, but no target vectors were provided"
    assert wire.found(tenant="", near_vector=near([1, 2])) == told
    assert wire.found(tenant="", near_vector=near([1, 2], target_vectors=["b"])) == [2]
    meta = search_get_pb2.MetadataRequest(vectors=["b"])
    assert [len(one.metadata.vectors) for one in wire.search(tenant="", metadata=meta).results] == [0, 1]


@pytest.mark.parametrize(
    ("distance", "query", "expected"),
    [
        ("cosine", [1, 2, 3], {1: 0, 2: 1.353919267654419, 3: 1, 4: 1, 5: 1}),
        ("cosine", [0, 0, 0], {1: 1, 2: 1, 3: 1, 4: 1, 5: 1}),
        ("dot", [1, 2, 3], {4: -3.000000060122632e20, 1: -14, 5: -1.0000000031710769e-30, 3: 0, 2: 5.5}),
        ("l2-squared", [1, 2, 3], {1: 0, 3: 14, 5: 14, 2: 42.25, 4: math.inf}),
        ("manhattan", [1, 2, 3], {1: 0, 3: 6, 5: 6, 2: 6.5, 4: 2.0000000400817547e20}),
        ("hamming", [1, 2, 3], {1: 0, 2: 1, 3: 3, 4: 3, 5: 3}),
        ("hamming", [0, 0, 0], {3: 0, 5: 1, 4: 2, 1: 3, 2: 3}),
    ],
)
def test_distances(wire: Wire, distance: str, query: list[float], expected: dict[int, float]) -> None:
    """In float32: of the last two, one is too large to be squared, the other too small."""
    wire.create(vectorConfig=vectors(distance), multiTenancyConfig=MULTI)
    rows: list[list[float]] = [[1, 2, 3], [1, 2, -3.5], [0, 0, 0], [1e20, 1e20, 0], [1e-30, 0, 0]]
    assert wire.put(*(wire.object(at, {}, row) for at, row in enumerate(rows, 1))) == {}
    results = wire.search(near_vector=near(query)).results
    found = {ident(one): one.metadata.distance for one in results}
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-6)
    assert [*found.values()] == sorted(found.values())
    assert all(one.metadata.distance_present for one in results)


def test_vectors_that_are_no_numbers_are_kept_and_found(wire: Wire) -> None:
    wire.create(**DEFINITION)
    assert (
        wire.put(wire.object(1, {}, [1, 2]), wire.object(2, {}, [math.nan, 1]), wire.object(3, {}, [math.inf, 1])) == {}
    )
    found = {ident(one): one.metadata.distance for one in wire.search(near_vector=near([1, 2])).results}
    assert sorted(found) == [1, 2, 3]
    assert math.isnan(found[2])
    assert math.isnan(found[3])
    # No threshold keeps them out.
    assert sorted(wire.found(near_vector=near([1, 2], distance=0.5))) == [1, 2, 3]


def test_thresholds(wire: Wire) -> None:
    wire.create(**DEFINITION)
    wire.put(wire.object(1, {}, [1, 0]), wire.object(2, {}, [1, 1]), wire.object(3, {}, [0, 1]))
    assert wire.found(near_vector=near([1, 0], distance=0.5)) == [1, 2]
    assert wire.found(near_vector=near([1, 0], certainty=0.8)) == [1, 2]
    assert wire.found(near_vector=near([1, 0], distance=1)) == [1, 2, 3]
    assert wire.found(near_vector=near([1, 0], distance=1), limit=1, offset=1) == [2]


def test_certainty_is_for_cosine_only(wire: Wire) -> None:
    wire.create(vectorConfig=vectors("dot"), multiTenancyConfig=MULTI)
    wire.put(wire.object(1, {}, [1, 0]))
    told = "can't compute and return certainty when vector index is configured with dot distance"
    assert wire.found(near_vector=near([1, 0], certainty=0.5)) == told


def test_counts_and_deletions(wire: Wire) -> None:
    filled(wire)
    third = where("n", "EQUAL", 1)
    assert (wire.count(), wire.count(filters=third), wire.count(objects_count=False)) == (12, 4, 0)
    dry = wire.delete(third, dry_run=True, verbose=True)
    assert (dry.matches, dry.successful, dry.failed, wire.count()) == (4, 4, 0, 12)
    assert sorted(int.from_bytes(one.uuid, "big") for one in dry.objects) == [1, 4, 7, 10]
    assert {(one.successful, one.HasField("error"), one.error) for one in dry.objects} == {(True, True, "")}
    done = wire.delete(third)
    assert (done.matches, done.successful, done.failed, len(done.objects), wire.count()) == (4, 4, 0, 0, 8)
    again = wire.delete(third)
    assert (again.matches, again.successful) == (0, 0)
    assert sorted(wire.found(near_vector=near([1, 0, 0]))) == [2, 3, 5, 6, 8, 9, 11, 12]
    told = "batch delete params: no filters in batch delete request"
    assert wire.delete(None) == told
    unknown = NONE_ADDED.format("zz", wire.name) + AVAILABLE
    assert wire.delete(where("zz", "EQUAL", 1)) == f"batch delete params: {unknown}"
    assert wire.count(filters=where("zz", "EQUAL", 1)) == f"parse params: extract filters: {unknown}"


def test_ten_thousand_are_deleted_at_a_time(wire: Wire) -> None:
    wire.create(**DEFINITION)
    for start in (0, 5000):
        assert wire.put(*(wire.object(at, {"b": True}) for at in range(start, start + 5050))) == {}
    every = where("b", "EQUAL", True)
    assert wire.count() == 10050
    reply = wire.delete(every)
    assert (reply.matches, reply.successful, wire.count()) == (10050, 10000, 50)
    reply = wire.delete(every)
    assert (reply.matches, reply.successful, wire.count()) == (50, 50, 0)
