"""The double and a real Weaviate: writing.

What is asserted here was first seen on the real server; much of it is not what one would have guessed.
"""

from __future__ import annotations

import math
import struct
import uuid
import warnings
from collections.abc import Callable
from typing import Any

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    weaviate: Any = pytest.importorskip("weaviate")
    from weaviate.proto.v1 import (
        batch_pb2,
        search_get_pb2,
    )

from weaviate_wire import (
    AVAILABLE,
    DEFINITION,
    GRAPHQL,
    LETTERS,
    LIST,
    MULTI,
    NEAR,
    NONE_ADDED,
    PROPERTIES,
    TYPES,
    Wire,
    joined,
    near,
    number,
    packed,
    where,
)

# Writing


def test_values_come_back_by_their_declared_type(wire: Wire) -> None:
    wire.create(**DEFINITION)
    written = {
        "w": "The Quick",
        "f": " Field ",
        "n": 1.5,
        "i": 3,
        "b": True,
        "d": "2024-01-02T3:04:05.120+00:00",
        "u": number(77).upper(),
        "tags": ["a", "B "],
        "ns": [1.5, -2.5],
        "is": [1, 2**60, 2**53 + 1],
        "bs": [True, False],
        "ds": ["2024-01-02T03:04:05.5+02:00"],
        "us": [number(5)],
        "tw": [],
    }
    assert wire.put(wire.object(1, written, [1, 2, 2])) == {}
    result = wire.search().results[0]
    fields = result.properties.non_ref_props.fields
    assert result.properties.target_collection == wire.name
    assert sorted(fields) == sorted(TYPES)
    kinds = {name: value.WhichOneof("kind") for name, value in fields.items()}
    assert {name for name, kind in kinds.items() if kind == "null_value"} == {
        "lo",
        "ws",
        "search",
        "bare",
        "nr",
        "range",
    }
    assert (fields["w"].text_value, fields["f"].text_value) == ("The Quick", " Field ")
    assert (fields["n"].number_value, fields["i"].int_value, fields["b"].bool_value) == (1.5, 3, True)
    # Dates are spelled anew, UUIDs in small letters; whole numbers above 2**53 were doubles on the way.
    assert fields["d"].date_value == "2024-01-02T03:04:05.12Z"
    assert fields["u"].uuid_value == number(77)
    assert list(fields["tags"].list_value.text_values.values) == ["a", "B "]
    assert fields["ns"].list_value.number_values.values == struct.pack("<2d", 1.5, -2.5)
    assert fields["is"].list_value.int_values.values == struct.pack("<3q", 1, 2**60, 2**53)
    assert list(fields["bs"].list_value.bool_values.values) == [True, False]
    assert list(fields["ds"].list_value.date_values.values) == ["2024-01-02T03:04:05.5+02:00"]
    assert list(fields["us"].list_value.uuid_values.values) == [number(5)]
    assert fields["tw"].list_value.WhichOneof("kind") == "text_values"


def test_what_of_an_object_is_asked_for(wire: Wire) -> None:
    wire.create(**DEFINITION)
    wire.put(wire.object(1, {"w": "a", "n": 1}, [3, 4]))
    request, meta = search_get_pb2.PropertiesRequest, search_get_pb2.MetadataRequest
    nothing = wire.search(properties=request(), metadata=None).results[0]
    assert not nothing.properties.HasField("non_ref_props")
    assert nothing.HasField("metadata")
    assert (nothing.metadata.id, nothing.metadata.vectors) == ("", [])
    some = wire.search(properties=request(non_ref_properties=["W", "ns"]), metadata=meta(uuid=True)).results[0]
    assert sorted(some.properties.non_ref_props.fields) == ["ns", "w"]
    assert some.metadata.id == number(1)
    assert some.metadata.id_as_bytes == uuid.UUID(int=1).bytes
    every = wire.search(properties=request(return_all_nonref_properties=True)).results[0]
    assert sorted(every.properties.non_ref_props.fields) == sorted(TYPES)
    # As given, not normalized, although the distance is cosine.
    for asked in (meta(vector=True), meta(vectors=["default"]), meta(vectors=["default", "other"])):
        metadata = wire.search(metadata=asked).results[0].metadata
        assert [(one.name, one.vector_bytes, one.type) for one in metadata.vectors] == [("default", packed([3, 4]), 1)]
        assert metadata.vector_bytes == b""
    full = meta(
        uuid=True, distance=True, certainty=True, score=True, creation_time_unix=True, last_update_time_unix=True
    )
    listed = wire.search(metadata=full).results[0].metadata
    assert (listed.distance_present, listed.certainty_present, listed.score_present) == (False, False, True)
    assert listed.creation_time_unix_present
    assert listed.creation_time_unix > 1.5e12
    searched = wire.search(metadata=full, near_vector=near([3, 4])).results[0].metadata
    assert (searched.distance_present, searched.certainty_present) == (True, True)
    assert searched.certainty == pytest.approx(1, abs=1e-6)
    absent = wire.search(properties=request(non_ref_properties=["zz"]))
    start = f"extract properties request: get property by name zz for class {wire.name}: "
    assert absent == start + NONE_ADDED.format("zz", wire.name) + AVAILABLE


def test_a_vector_without_a_name(wire: Wire) -> None:
    wire.create(vectorIndexConfig={"distance": "dot"})
    named = wire.object(2, tenant="", vector=[3, 2, 1])
    assert wire.put(wire.object(1, tenant="", vector_bytes=packed([1, 2, 3])), named) == {}
    meta = search_get_pb2.MetadataRequest(vector=True)
    metadata = wire.search(tenant="", metadata=meta).results[0].metadata
    assert (list(metadata.vector), metadata.vector_bytes) == ([1, 2, 3], packed([1, 2, 3]))
    assert not metadata.vectors
    assert wire.found(tenant="", near_vector=near([0, 0, 1])) == [1, 2]
    start = f"extract target vectors: class {wire.name} does not have named vector default configured. "
    told = f"{start}Available named vectors []"
    assert wire.found(tenant="", near_vector=near([0, 0, 1], target_vectors=["default"])) == told
    other = batch_pb2.BatchObject(uuid=number(3), collection=wire.name)
    other.vectors.add(name="foo", vector_bytes=packed([1, 2, 3]))
    assert wire.put(other) == {0: f"collection {wire.name} does not have configuration for vector foo"}
    told = (
        f"Validate vector index for {number(4)}: new node has a vector with length 2. Existing nodes have vectors with "
    )
    short = wire.put(wire.object(4, tenant="", vector_bytes=packed([1, 2])))
    assert short == {0: f"{told}length 3: vector dimensions do not match the index dimensions"}


INVALID = "invalid {} property '{}' on class '{}': "
NEEDS = "requires a string {}, but the given value is '{}'"
UPDATE = "auto-schema: update collection: "


@pytest.mark.parametrize(
    ("name", "value", "kind", "error"),
    [
        ("w", 1, "text", "not a string, but float64"),
        ("w", True, "text", "not a string, but bool"),
        ("w", ["a"], "text", "not a string, but []interface {}"),
        ("n", "x", "number", "requires a float, the given value is 'x'"),
        ("n", True, "number", "requires a float, the given value is 'true'"),
        ("n", math.nan, "number", "requires a float, the given value is 'NaN'"),
        ("n", math.inf, "number", "requires a float, the given value is 'Infinity'"),
        ("i", 1.5, "integer", "requires an integer, the given value is '1.5'"),
        ("i", 1e300, "integer", "requires an integer, the given value is '1e+300'"),
        ("i", "3", "integer", "requires an integer, the given value is '3'"),
        ("i", [1.5, 123456789.0], "integer", "requires an integer, the given value is '[1.5 1.23456789e+08]'"),
        ("b", "true", "boolean", "not a bool, but string"),
        ("d", "2024", "date", NEEDS.format("with a RFC3339 formatted date", "2024")),
        ("d", "2024-02-30T00:00:00Z", "date", NEEDS.format("with a RFC3339 formatted date", "2024-02-30T00:00:00Z")),
        ("u", "x", "uuid", NEEDS.format("of UUID format", "x")),
        ("tags", "a", "text array", "not a text array, but string"),
        ("tags", [True], "text array", "invalid text array value: [%!s(bool=true)]"),
        # Of numbers the server says integers too.
        ("ns", 1, "number array", "not an integer array, but float64"),
        ("ns", ["a"], "number array", "invalid integer array value: [a]"),
        ("is", [1.5], "integer array", "invalid integer array value: [%!s(float64=1.5)]"),
        ("bs", ["a"], "boolean array", "invalid boolean array value: [a]"),
        ("ds", ["z"], "date array", "invalid date array value: [z]"),
        ("us", ["z"], "uuid array", "invalid uuid array value: [z]"),
        ("new-one", 1, None, f"{UPDATE}'new-one' is not a valid property name. {GRAPHQL}"),
        ("id", "x", None, f"{UPDATE}'id' is a reserved property name"),
        ("", 1, None, f"{UPDATE}property must contain name"),
    ],
)
def test_objects_that_are_refused(wire: Wire, name: str, value: Any, kind: str | None, error: str) -> None:
    """By themselves: the one beside it is written."""
    wire.create(**DEFINITION)
    errors = wire.put(wire.object(1, {name: value}, [1, 2]), wire.object(2, {}, [1, 2]))
    assert errors == {0: (INVALID.format(kind, name, wire.name) if kind else "") + error}
    assert wire.found() == [2]


def test_a_property_in_another_case_is_neither_known_nor_new(wire: Wire) -> None:
    wire.create(**DEFINITION)
    assert wire.put(wire.object(1, {"tAgs": ["a"]})) == {0: NONE_ADDED.format("tAgs", wire.name) + AVAILABLE}
    assert wire.put(wire.object(1, {"Tags": ["a"]})) == {}
    # Of two new ones, both are made.
    assert wire.put(wire.object(2, {"aB": 1, "ab": 2, "Zed": 3})) == {}
    names = {one["name"] for one in wire.rest("GET", f"/v1/schema/{wire.name}")[1]["properties"]}
    assert {"aB", "ab", "zed"} < names


def test_numbers_that_are_no_json(wire: Wire) -> None:
    wire.create(**DEFINITION)
    told = f"marshal object {number(1)} to binary: json: unsupported value: NaN"
    assert wire.put(wire.object(1, {"ns": [1.0, math.nan]})) == {0: told}


def test_ids(wire: Wire) -> None:
    wire.create(**DEFINITION)
    spelled = [
        "{00000000-0000-0000-0000-0000000000FF}",
        "0" * 30 + "FE",
        f"urn:uuid:{number(253)}",
        number(252).upper(),
    ]
    assert wire.put(*(wire.object(0, uuid=one) for one in spelled)) == {}
    assert wire.found() == [252, 253, 254, 255]
    assert wire.put(wire.object(0, uuid="nope"), wire.object(0, uuid=""), wire.object(0, uuid="g" * 36)) == {
        0: "invalid UUID length: 4",
        1: "invalid UUID length: 0",
        2: "invalid UUID format",
    }


def test_properties_that_nobody_declared(wire: Wire) -> None:
    lower = wire.name[0].lower() + wire.name[1:]
    properties = {
        "s": "abc",
        "Cap": "x",
        "num": 1,
        "bo": True,
        "da": "2024-01-02T03:04:05Z",
        "uu": number(4),
        "no": None,
        "texts": ["a"],
        "none": [],
        "mixed": [number(4), "2024-01-02T03:04:05Z"],
        "ints": [1],
        "numbers": [1.5],
    }
    assert wire.put(wire.object(1, properties, [1, 2], collection=lower, tenant="")) == {}
    status, known = wire.rest("GET", f"/v1/schema/{wire.name}")
    assert status == 200
    assert "feature on" in known["description"]
    assert {one["name"]: (one["dataType"][0], one.get("tokenization")) for one in known["properties"]} == {
        "s": ("text", "word"),
        "cap": ("text", "word"),
        "num": ("number", None),
        "bo": ("boolean", None),
        "da": ("date", None),
        "uu": ("uuid", None),
        "no": ("text", "word"),
        "texts": ("text[]", "word"),
        "none": ("text[]", "word"),
        "mixed": ("text[]", "word"),
        "ints": ("int[]", None),
        "numbers": ("number[]", None),
    }
    # The class has one vector, without a name; the one that was sent as "default" is it.
    assert known["vectorizer"] == "none"
    assert wire.found(tenant="", near_vector=near([1, 2])) == [1]
    told = f"class {wire.name} has multi-tenancy disabled, but request was with tenant"
    assert wire.put(wire.object(2, {"later": 1})) == {0: told}
    names = {one["name"] for one in wire.rest("GET", f"/v1/schema/{wire.name}")[1]["properties"]}
    assert "later" in names  # declared, although the object was refused


def test_a_class_that_cannot_be_made(wire: Wire) -> None:
    told = "auto-schema: create collection: 'Emu-C' is not a valid class name"
    assert wire.put(wire.object(1, collection="Emu-C", tenant="")) == {0: told}


def test_an_object_that_is_written_again_is_replaced(wire: Wire) -> None:
    wire.create(**DEFINITION)
    assert wire.put(wire.object(1, {"w": "one", "n": 1}, [1, 2]), wire.object(1, {"w": "two"}, [2, 1])) == {}
    fields = wire.search().results[0].properties.non_ref_props.fields
    assert fields["n"].WhichOneof("kind") == "null_value" or fields["w"].text_value == "one"
    wire.put(wire.object(1, {"f": "three"}, [2, 1]))
    result = wire.search().results[0]
    assert result.properties.non_ref_props.fields["f"].text_value == "three"
    assert result.properties.non_ref_props.fields["w"].WhichOneof("kind") == "null_value"
    assert wire.count() == 1
    assert wire.filtered(where("w", "EQUAL", "one")) == []


def test_filtered_results_are_in_the_order_of_writing_and_a_new_vector_writes_anew(wire: Wire) -> None:
    wire.create(**DEFINITION)
    for at in (9, 5, 7):
        wire.put(wire.object(at, {"b": True}, [at, 1]))
    chosen = {"filters": where("b", "EQUAL", True)}
    assert wire.found() == [5, 7, 9]
    assert wire.found(**chosen) == [9, 5, 7]
    wire.put(wire.object(9, {"b": True, "w": "other"}, [9, 1]))
    assert wire.found(**chosen) == [9, 5, 7]
    wire.put(wire.object(9, {"b": True}, [9, 2]))
    assert wire.found(**chosen) == [5, 7, 9]
    assert wire.found(**chosen, offset=1, limit=1) == [7]


def test_properties_that_were_added_later_are_null_only_for_newer_objects(wire: Wire) -> None:
    wire.create(**DEFINITION)
    wire.put(wire.object(1, {}, [1, 2]))
    wire.put(wire.object(2, {"late": "x"}, [1, 2]), wire.object(3, {}, [1, 2]))
    wire.put(wire.object(3, {}, [3, 1]))
    null, there = where("late", "IS_NULL", True), where("late", "IS_NULL", False)
    assert wire.filtered(null) == [3]
    assert wire.filtered(there) == [2]
    assert wire.filtered(joined("NOT", there)) == [1, 3]
    assert wire.filtered(where("late", "NOT_EQUAL", "x")) == [1, 3]
    # Written again with the same vector, it keeps its number, and what did not change is not indexed.
    wire.put(wire.object(1, {"w": "new"}, [1, 2]))
    assert wire.filtered(null) == [3]
    wire.put(wire.object(1, {}, [9, 2]))
    assert wire.filtered(null) == [1, 3]


def test_properties_that_begin_with_an_underscore_are_never_known_to_have_a_value(wire: Wire) -> None:
    text = {"dataType": ["text"], "tokenization": "field"}
    wire.create(
        properties=[{"name": "_x", **text}, {"name": "x", **text}],
        multiTenancyConfig=MULTI,
        invertedIndexConfig={"indexNullState": True},
    )
    wire.put(wire.object(1, {"_x": "a", "x": "a"}), wire.object(2, {}))
    for name, present in (("x", [1]), ("_x", [])):
        assert wire.filtered(where(name, "EQUAL", "a")) == [1]
        assert wire.filtered(where(name, "IS_NULL", False)) == present
        assert wire.filtered(where(name, "IS_NULL", True)) == [2]


LENGTHS = "vector dimensions do not match the index dimensions"


def test_vectors_of_other_lengths(wire: Wire) -> None:
    wire.create(**DEFINITION)
    wire.put(wire.object(1, {}, [1, 2, 3]))
    told = f"Validate vector index default for target vector {number(2)}: new node has a vector with length {{}}. "
    told += f"Existing nodes have vectors with length 3: {LENGTHS}"
    assert wire.put(wire.object(2, {}, [1, 2]), wire.object(3)) == {0: told.format(2)}
    assert wire.put(wire.object(2, {}, [])) == {0: told.format(0)}
    assert wire.found() == [1, 3]
    # The length stays known when no vector is left; another tenant has its own.
    assert wire.delete(where("_id", "NOT_EQUAL", "x")).successful == 2
    assert wire.put(wire.object(2, {}, [1, 2])) == {0: told.format(2)}
    assert wire.put(wire.object(2, {}, [1, 2], tenant="t2")) == {}
    assert wire.rest("DELETE", f"/v1/schema/{wire.name}/tenants", ["t1"])[0] == 200
    assert wire.put(wire.object(2, {}, [1, 2])) == {}
    other = wire.object(4, {}, None)
    other.vectors.add(name="foo", vector_bytes=packed([1, 2]))
    assert wire.put(other) == {0: f"collection {wire.name} does not have configuration for vector foo"}
    # Without a name, it is the only one there is.
    assert wire.put(wire.object(5, vector_bytes=packed([1, 2]))) == {}


def test_lengths_that_differ_in_the_first_batch_are_an_error_but_the_objects_stay(wire: Wire) -> None:
    wire.create(**DEFINITION)
    errors = wire.put(wire.object(1, {}, [1, 2]), wire.object(2, {}, [1, 2, 3]))
    assert len(errors) == 1
    assert next(iter(errors.values())).endswith("vector lengths don't match")
    assert wire.found() == [1, 2]
    empty = wire.put(wire.object(1, {}, [], tenant="t2"))
    end = "to vector index for target vector default: insert called with nil-vector"
    assert empty == {0: f"insert to vector index: insert doc id 0 {end}"}
    assert wire.found(tenant="t2") == [1]


def test_tenants_of_objects(wire: Wire) -> None:
    wire.create(multiTenancyConfig={"enabled": True}, properties=PROPERTIES)
    path = f"/v1/schema/{wire.name}/tenants"
    wire.rest("POST", path, [{"name": "t1"}, {"name": "cold", "activityStatus": "COLD"}])
    told = {
        0: 'tenant not found: "nope"',
        1: f"class {wire.name} has multi-tenancy enabled, but request was without tenant",
        2: "tenant not active: 'cold'",
    }
    objects = [wire.object(at, {}, tenant=tenant) for at, tenant in enumerate(("nope", "", "cold", "t1"), 1)]
    assert wire.put(*objects) == told
    start = f"object search at index {wire.index}: "
    every = where("_id", "NOT_EQUAL", "x")
    for at, tenant in enumerate(("nope", "", "cold")):
        assert wire.found(tenant=tenant) == LIST + start + told[at]
        assert (
            wire.found(tenant=tenant, near_vector=near([1]))
            == f"{NEAR}object vector search at index {wire.index}: {told[at]}"
        )
        assert wire.count(tenant=tenant) == f"aggregate: {told[at]}"
        assert wire.delete(every, tenant=tenant) == f"batch delete: cannot find objects: {told[at]}"
    assert wire.count() == 1


def test_tenants_are_made_and_woken_when_the_class_says_so(wire: Wire) -> None:
    wire.create(multiTenancyConfig={**MULTI, "autoTenantActivation": True}, properties=PROPERTIES)
    path = f"/v1/schema/{wire.name}/tenants"
    start = f'auto create tenants: auto-tenant: add tenants to collection "{wire.name}": tenant name at index'
    good = wire.object(1, {"b": True})
    # The names are looked at in any order.
    assert wire.put(wire.object(2, tenant="a b"), good) in {f"{start} {at}:  'a b' {LETTERS}" for at in (0, 1)}
    assert wire.put(good, wire.object(2, tenant="")) in {f"{start} {at}: empty tenant name" for at in (0, 1)}
    assert wire.rest("GET", path) == (200, [])
    assert wire.put(good) == {}
    every = where("b", "EQUAL", True)
    works: list[Callable[[], Any]] = [wire.found, wire.count, lambda: wire.delete(every), lambda: wire.put(good)]
    for work in works:
        wire.rest("PUT", path, [{"name": "t1", "activityStatus": "COLD"}])
        assert not isinstance(work(), str)
        assert wire.rest("GET", path) == (200, [{"activityStatus": "HOT", "name": "t1"}])
    told = f'{LIST}object search at index {wire.index}: tenant not found: "t2"'
    assert wire.found(tenant="t2") == told
