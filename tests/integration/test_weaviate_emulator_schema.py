"""The double and a real Weaviate: classes and tenants.

What is asserted here was first seen on the real server; much of it is not what one would have guessed.
"""

from __future__ import annotations

import warnings
from typing import Any

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    weaviate: Any = pytest.importorskip("weaviate")
    from weaviate.proto.v1 import (
        tenants_pb2,
    )

from weaviate_wire import GRAPHQL, LETTERS, MULTI, Wire, vectors

# Signs of life


def test_it_says_who_it_is(wire: Wire) -> None:
    status, meta = wire.rest("GET", "/v1/meta")
    assert (status, meta["version"], meta["grpcMaxMessageSize"]) == (200, "1.38.11", 104858000)
    assert wire.rest("GET", "/v1/.well-known/ready") == (200, None)
    assert wire.rest("GET", "/v1/.well-known/live") == (200, None)
    assert wire.rest("GET", "/v1/.well-known/openid-configuration") == (404, None)
    assert wire.rest("GET", "/v1/nope") == (404, {"code": 404, "message": "path /v1/nope was not found"})


# Classes


def test_a_class_is_returned_with_what_the_server_adds(wire: Wire) -> None:
    properties = [
        {"name": "Title", "dataType": ["text"]},
        {"name": "n", "dataType": ["number"], "indexRangeFilters": True},
        {"name": "tags", "dataType": ["text[]"], "tokenization": "field", "description": "some"},
    ]
    wire.create(
        description="about",
        properties=properties,
        vectorConfig=vectors("dot"),
        multiTenancyConfig={"enabled": True},
        invertedIndexConfig={"indexNullState": True},
    )
    status, known = wire.rest("GET", f"/v1/schema/{wire.name}")
    assert status == 200
    config = dict(known["vectorConfig"]["default"])
    hnsw = config.pop("vectorIndexConfig")
    assert config == {"vectorIndexType": "hnsw", "vectorizer": {"none": {}}}
    assert (hnsw["distance"], hnsw["ef"], hnsw["efConstruction"], hnsw["maxConnections"]) == ("dot", -1, 128, 32)
    assert known["description"] == "about"
    assert known["properties"] == [
        {
            "dataType": ["text"],
            "indexFilterable": True,
            "indexRangeFilters": False,
            "indexSearchable": True,
            "name": "title",
            "tokenization": "word",
        },
        {
            "dataType": ["number"],
            "indexFilterable": True,
            "indexRangeFilters": True,
            "indexSearchable": False,
            "name": "n",
        },
        {
            "dataType": ["text[]"],
            "description": "some",
            "indexFilterable": True,
            "indexRangeFilters": False,
            "indexSearchable": True,
            "name": "tags",
            "tokenization": "field",
        },
    ]
    assert known["invertedIndexConfig"] == {
        "bm25": {"b": 0.75, "k1": 1.2},
        "cleanupIntervalSeconds": 60,
        "indexNullState": True,
        "stopwords": {"additions": None, "preset": "en", "removals": None},
        "usingBlockMaxWAND": True,
    }
    assert known["multiTenancyConfig"] == {"autoTenantActivation": False, "autoTenantCreation": False, "enabled": True}
    assert known["replicationConfig"] == {"asyncEnabled": False, "deletionStrategy": "TimeBasedResolution", "factor": 1}
    assert known in wire.rest("GET", "/v1/schema")[1]["classes"]


def test_a_class_without_named_vectors_has_the_old_form(wire: Wire) -> None:
    wire.create()
    known = wire.rest("GET", f"/v1/schema/{wire.name}")[1]
    assert known["vectorizer"], known["vectorIndexType"] == ("none", "hnsw")
    assert known["vectorIndexConfig"]["distance"] == "cosine"
    assert known["properties"] is None
    assert "vectorConfig" not in known
    assert "indexNullState" not in known["invertedIndexConfig"]


def test_class_names(wire: Wire) -> None:
    wire.create()
    post = "POST", "/v1/schema"
    assert wire.refused(*post, {"class": wire.name}) == (422, f"class name {wire.name} already exists")
    lower = wire.name[0].lower() + wire.name[1:]
    assert wire.refused(*post, {"class": lower})[1] == f"class name {wire.name} already exists"
    assert wire.rest("GET", f"/v1/schema/{lower}")[1]["class"] == wire.name
    similar = f'class already exists: found similar class "{wire.name}"'
    assert wire.refused(*post, {"class": wire.name.upper()}) == (422, similar)
    for name in ("Emu-A", "", "1Emu"):
        assert wire.refused(*post, {"class": name}) == (422, f"'{name}' is not a valid class name")
    assert wire.rest("GET", "/v1/schema/EmuNowhere") == (404, None)
    assert wire.rest("DELETE", "/v1/schema/EmuNowhere") == (200, None)
    assert wire.rest("DELETE", f"/v1/schema/{wire.name}") == (200, None)
    assert wire.rest("GET", f"/v1/schema/{wire.name}") == (404, None)


OTHERS = "For other data types set false or leave empty"


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"name": "a-b"}, f"'a-b' is not a valid property name. {GRAPHQL}"),
        ({"name": ""}, f"'' is not a valid property name. {GRAPHQL}"),
        ({"name": "id"}, "'id' is a reserved property name"),
        ({"name": "_id"}, "'_id' is a reserved property name"),
        (
            {"name": "x_nullState"},
            "'x_nullState' is not a valid property name: suffix '_nullState' is reserved for internal indices",
        ),
        (
            {"name": "y" * 240},
            f"'{'y' * 240}' is not a valid property name. Name should not be longer than 231 characters",
        ),
        ({"dataType": ["nope"]}, "property 'x': invalid dataType: [nope]: unknown primitive data type 'nope'"),
        ({"dataType": []}, "property 'x': invalid dataType: []: dataType must have at least one element"),
        ({"dataType": ["Other"]}, "bad request: reference property to nonexistent class"),
        ({"dataType": ["number"], "tokenization": "field"}, "tokenization is not allowed for data type 'number'"),
        (
            {"dataType": ["number"], "indexSearchable": True},
            f"`indexSearchable` is allowed only for text/text[] data types. {OTHERS}",
        ),
        (
            {"dataType": ["number[]"], "indexRangeFilters": True},
            f"`indexRangeFilters` is allowed only for number/int/date data types. {OTHERS}",
        ),
    ],
)
def test_properties_that_are_refused(wire: Wire, properties: dict[str, Any], message: str) -> None:
    one = {"name": "x", "dataType": ["text"], **properties}
    assert wire.refused("POST", "/v1/schema", {"class": wire.name, "properties": [one]}) == (422, message)


def test_an_unknown_tokenization_is_refused_in_another_form(wire: Wire) -> None:
    one = {"name": "x", "dataType": ["text"], "tokenization": "foo"}
    status, content = wire.rest("POST", "/v1/schema", {"class": wire.name, "properties": [one]})
    allowed = "word lowercase whitespace field trigram gse kagome_kr kagome_ja gse_ch"
    assert (status, content["code"]) == (422, 606)
    assert content["message"] == f"properties.0.tokenization in body should be one of [{allowed}]"


def test_property_names_collide_whatever_their_case(wire: Wire) -> None:
    wire.create(properties=[{"name": "fooBar", "dataType": ["text"]}])
    path = f"/v1/schema/{wire.name}/properties"
    conflict = f'class "{wire.name}": conflict for property "{{}}": already in use or provided multiple times'
    for name in ("fooBar", "FooBar", "foobar"):
        told = conflict.format(name[0].lower() + name[1:])
        assert wire.refused("POST", path, {"name": name, "dataType": ["text"]}) == (422, told)
    status, added = wire.rest("POST", path, {"name": "Extra", "dataType": ["int"]})
    assert (status, added["name"], added["indexFilterable"]) == (200, "extra", True)
    missing = wire.refused("POST", "/v1/schema/EmuNowhere/properties", {"name": "x", "dataType": ["int"]})
    assert missing == (422, 'class "EmuNowhere": not found')
    two = [{"name": "ab", "dataType": ["text"]}, {"name": "aB", "dataType": ["text"]}]
    other = f"{wire.name}x"
    told = f'class "{other}": conflict for property "aB": already in use or provided multiple times'
    assert wire.refused("POST", "/v1/schema", {"class": other, "properties": two}) == (422, told)


METRICS = '["cosine", "dot", "l2-squared", "manhattan","hamming"]'


def test_a_class_with_an_unknown_distance_is_refused_but_stays(wire: Wire) -> None:
    status, told = wire.refused("POST", "/v1/schema", {"class": wire.name, "vectorConfig": vectors("nope")})
    assert status == 422
    assert told.startswith("updating db: TYPE_ADD_CLASS: apply add class: create index: init shard ")
    end = (
        'init shard vectors: cannot create vector index for "default": init vector index: unrecognized distance metric '
    )
    assert told.endswith(f' of index {wire.index}: {end}"nope",choose one of {METRICS}')
    assert wire.refused("POST", "/v1/schema", {"class": wire.name})[1] == f"class name {wire.name} already exists"


def test_with_tenants_an_unknown_distance_is_refused_with_the_first_tenant(wire: Wire) -> None:
    wire.create(vectorConfig=vectors("nope"), multiTenancyConfig={"enabled": True})
    status, told = wire.refused("POST", f"/v1/schema/{wire.name}/tenants", [{"name": "t1"}])
    assert status == 422
    assert told.startswith(f"updating db: TYPE_ADD_TENANT: migrator.new_tenants: init shard t1 of index {wire.index}: ")


VECTOR_NAMES = (
    "in Weaviate target vector names are restricted to valid GraphQL names, which must be "
    "“/[_A-Za-z][_0-9A-Za-z]{0,229}/”."
)


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        (
            {"vectorConfig": {"de-fault": vectors()["default"]}},
            f'class.VectorConfig target vector name "de-fault" is not valid, {VECTOR_NAMES}',
        ),
        (
            {"vectorConfig": {"default": {"vectorizer": {"foo": {}}, "vectorIndexType": "hnsw"}}},
            'target vector "default": vectorizer: no module with name "foo" present',
        ),
        (
            {"vectorConfig": {"default": {"vectorizer": {"none": {}}, "vectorIndexType": "foo"}}},
            'target vector "default": unrecognized or unsupported vectorIndexType "foo"',
        ),
        (
            {"vectorConfig": {"default": {"vectorIndexType": "hnsw"}}},
            "class.VectorConfig.Vectorizer must be an object, got <nil>",
        ),
        (
            {"vectorConfig": vectors(), "vectorIndexType": "hnsw"},
            "creating a class with both a class level vector index and named vectors is forbidden",
        ),
        (
            {"multiTenancyConfig": {"enabled": False, "autoTenantCreation": True}},
            "can't enable autoTenantCreation on a non-multi-tenant class",
        ),
    ],
)
def test_definitions_that_are_refused(wire: Wire, definition: dict[str, Any], message: str) -> None:
    assert wire.refused("POST", "/v1/schema", {"class": wire.name, **definition}) == (422, message)


def test_what_of_a_class_can_be_changed(wire: Wire) -> None:
    path = f"/v1/schema/{wire.name}"
    wire.create(
        vectorConfig=vectors("dot"),
        multiTenancyConfig=MULTI,
        invertedIndexConfig={"indexNullState": True},
        description="a",
    )
    known = wire.rest("GET", path)[1]
    known["description"] = "b"
    known["multiTenancyConfig"]["autoTenantActivation"] = True
    assert wire.rest("PUT", path, known)[0] == 200
    assert wire.rest("GET", path)[1] == known
    start = "updating schema: TYPE_UPDATE_CLASS: bad request :parse class update: "

    def changed(**changes: Any) -> tuple[int, str]:
        return wire.refused("PUT", path, {**known, **changes})

    inverted = {**known["invertedIndexConfig"], "indexNullState": False}
    told = '"indexNullState" setting is immutable. Value changed from "true" to "false"'
    assert changed(invertedIndexConfig=inverted) == (422, told)
    told = 'invalid update for vector "default": distance is immutable: attempted change from "dot" to "cosine"'
    assert changed(vectorConfig=vectors("cosine")) == (422, start + told)
    other = {**known["vectorConfig"]["default"], "vectorIndexConfig": {"distance": "dot", "efConstruction": 99}}
    told = 'invalid update for vector "default": efConstruction is immutable: attempted change from "128" to "99"'
    assert changed(vectorConfig={"default": other}) == (422, start + told)
    told = f'class name is immutable: attempted change from "{wire.name}" to "EmuOther"'
    assert changed(**{"class": "EmuOther"}) == (422, told)
    told = f"{start}inverted index config: stopwordPreset 'zz' does not exist"
    assert changed(invertedIndexConfig={"indexNullState": True, "stopwords": {"preset": "zz"}}) == (422, told)
    told = "parse sharding config: sharding only supported on key '_id' for now, got: "
    assert changed(multiTenancyConfig={"enabled": False}) == (422, told)
    status, told = changed(properties=[{"name": "x", "dataType": ["text"]}])
    assert (status, told[: len(start) + 15]) == (422, f"{start}property fields")
    assert wire.rest("PUT", "/v1/schema/EmuNowhere", known) == (404, None)


def test_of_a_property_only_the_description_can_be_changed(wire: Wire) -> None:
    path = f"/v1/schema/{wire.name}"
    wire.create(properties=[{"name": "x", "dataType": ["text"]}])
    known = wire.rest("GET", path)[1]
    known["properties"][0]["description"] = "words"
    assert wire.rest("PUT", path, known)[0] == 200
    assert wire.rest("GET", path)[1] == known
    known["properties"][0]["dataType"] = ["int"]
    del known["properties"][0]["tokenization"]
    known["properties"][0]["indexSearchable"] = False
    start = (
        'updating schema: TYPE_UPDATE_CLASS: bad request :parse class update: property "x": property fields other than'
    )
    status, told = wire.refused("PUT", path, known)
    assert (status, told[: len(start)]) == (422, start)


# Tenants


def test_tenants(wire: Wire) -> None:
    wire.create(multiTenancyConfig={"enabled": True})
    path = f"/v1/schema/{wire.name}/tenants"
    given = [{"name": "t1"}, {"name": "t2", "activityStatus": "COLD"}]
    assert wire.rest("POST", path, given) == (200, given)
    # The old names come back, whatever was sent; a tenant that is there is passed over.
    again = [{"name": "t1", "activityStatus": "INACTIVE"}, {"name": "t3", "activityStatus": "ACTIVE"}]
    told = [{"name": "t1", "activityStatus": "COLD"}, {"name": "t3", "activityStatus": "HOT"}]
    assert wire.rest("POST", path, again) == (200, told)
    states = {"t1": "HOT", "t2": "COLD", "t3": "HOT"}
    assert {one["name"]: one["activityStatus"] for one in wire.rest("GET", path)[1]} == states
    assert wire.rest("GET", f"{path}/t2") == (200, {"activityStatus": "COLD", "name": "t2"})
    assert wire.rest("HEAD", f"{path}/t1") == (200, None)
    assert wire.rest("GET", f"{path}/t4") == (404, None)
    assert wire.rest("HEAD", f"{path}/t4") == (404, None)
    changed = [{"activityStatus": "COLD", "name": "t1"}]
    assert wire.rest("PUT", path, [{"name": "t1", "activityStatus": "INACTIVE"}]) == (200, changed)
    assert wire.rest("DELETE", path, ["t3", "nope"]) == (200, None)
    cold = tenants_pb2.TENANT_ACTIVITY_STATUS_COLD

    def listed(**asked: Any) -> Any:
        reply = wire.call("TenantsGet", tenants_pb2.TenantsGetRequest(**{"collection": wire.name, **asked}))
        return reply if isinstance(reply, str) else {one.name: one.activity_status for one in reply.tenants}

    assert listed() == {"t1": cold, "t2": cold}
    assert listed(names={"values": ["t2", "nope"]}) == {"t2": cold}
    assert listed(names={"values": []}) == "get tenants: must specify at least one tenant name"
    assert listed(collection="") == "get tenants: missing collection "


def test_tenants_that_are_refused(wire: Wire) -> None:
    wire.create(multiTenancyConfig={"enabled": True})
    path = f"/v1/schema/{wire.name}/tenants"

    def told(method: str, *given: dict[str, Any]) -> str:
        status, message = wire.refused(method, path, [*given])
        assert status == 422
        return message

    assert told("POST", {"name": "a"}, {"name": "a"}) == "tenant name a existed multiple times"
    assert told("POST", {"name": "a b"}) == f"tenant name at index 0:  'a b' {LETTERS}"
    assert told("POST", {"name": ""}) == "tenant name at index 0: empty tenant name"
    assert told("POST", {"name": "x" * 65}) == f"tenant name at index 0:  '{'x' * 65}' {LETTERS}"
    offload = "can't offload tenants, because offload-s3 module is not enabled"
    assert told("POST", {"name": "a", "activityStatus": "OFFLOADED"}) == offload
    absent = "updating schema: TYPE_UPDATE_TENANT: shard not found: a"
    assert told("PUT", {"name": "a", "activityStatus": "HOT"}) == absent
    assert told("PUT", {"name": "a"}) == "invalid activity status '' for tenant \"a\""
    assert wire.refused("DELETE", path, [""]) == (422, "empty tenant name at index 0")
    status, content = wire.rest("POST", path, [{"name": "a", "activityStatus": "foo"}])
    assert (status, content["code"]) == (422, 606)


def test_tenants_of_what_has_none(wire: Wire) -> None:
    wire.create()
    query = "failed to execute query: could not get tenants: could not get tenants: "
    for name, words in (
        (wire.name, f'multi-tenancy is not enabled for class "{wire.name}"'),
        ("EmuNowhere", "class not found"),
    ):
        path = f"/v1/schema/{name}/tenants"
        assert wire.refused("GET", path) == (422, query + words)
        assert wire.refused("GET", f"{path}/a") == (422, query + words)
        assert wire.rest("HEAD", f"{path}/a") == (422, None)
        start = "updating schema: TYPE_{}_TENANT: "
        assert wire.refused("POST", path, [{"name": "a"}]) == (422, start.format("ADD") + words)
        put = wire.refused("PUT", path, [{"name": "a", "activityStatus": "HOT"}])
        assert put == (422, start.format("UPDATE") + words)
        assert wire.refused("DELETE", path, ["a"]) == (422, start.format("DELETE") + words)
        asked = tenants_pb2.TenantsGetRequest(collection=name)
        assert wire.call("TenantsGet", asked) == f"get tenants: {query}{words}"
