"""The emulator's control plane, over plain HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from emulator_wire import VERSION, Wire, schema
from ia_modules.vector_stores.emulator.pinecone import PineconeEmulator, serving


@pytest.fixture(scope="module")
def server() -> Iterator[PineconeEmulator]:
    with serving() as emulator:
        yield emulator


@pytest.fixture
def wire(server: PineconeEmulator) -> Iterator[Wire]:
    server.reset()
    with Wire(server) as made:
        yield made


def refused(wire: Wire, body: Any, status: int = 400, code: str = "INVALID_ARGUMENT") -> str:
    answer = wire.http.post("/indexes", json=body)
    return message(answer, status, code)


def message(answer: httpx.Response, status: int, code: str) -> str:
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body) == {"status", "error"}
    assert (body["status"], body["error"]["code"]) == (status, code)
    return str(body["error"]["message"])


def test_an_index_from_birth_to_death(wire: Wire) -> None:
    answer = wire.http.post("/indexes", json={"name": "docs", "schema": schema(8, "EUCLIDEAN"), "tags": {"a": "b"}})
    assert answer.status_code == 201
    made = answer.json()
    assert made == {
        "name": "docs",
        "host": f"{wire.emulator.url}/i/docs",
        "private_host": None,
        "status": {"ready": True, "state": "Ready"},
        "schema": {
            "fields": {"_values": {"type": "dense_vector", "description": None, "dimension": 8, "metric": "euclidean"}}
        },
        "deployment": {"deployment_type": "managed", "cloud": "aws", "region": "us-east-1"},
        "deletion_protection": "disabled",
        "read_capacity": {"mode": "OnDemand", "status": {"state": "Ready"}},
        "tags": {"a": "b"},
        "source_collection": None,
        "source_backup_id": None,
        "cmek_id": None,
    }
    assert wire.http.get("/indexes/docs").json() == made
    assert wire.http.get("/indexes").json() == {"indexes": [made]}
    changed = wire.http.patch("/indexes/docs", json={"tags": {"a": "", "c": "d"}, "deletion_protection": "enabled"})
    assert changed.status_code == 202
    assert changed.json() == made | {"tags": {"c": "d"}, "deletion_protection": "enabled"}
    gone = wire.http.delete("/indexes/docs")
    assert message(gone, 403, "FORBIDDEN").startswith("Deletion protection is enabled")
    wire.http.patch("/indexes/docs", json={"deletion_protection": "disabled", "tags": {"c": ""}})
    assert wire.http.get("/indexes/docs").json()["tags"] is None
    assert wire.http.delete("/indexes/docs").status_code == 202
    for method in ("GET", "DELETE", "PATCH"):
        answer = wire.http.request(method, "/indexes/docs", json={} if method == "PATCH" else None)
        assert message(answer, 404, "NOT_FOUND") == "Index docs not found."
    assert wire.http.get("/indexes").json() == {"indexes": []}


def test_a_name_is_taken_once(wire: Wire) -> None:
    wire.create()
    assert refused(wire, {"name": "docs", "schema": schema()}, 409, "ALREADY_EXISTS") == "Resource already exists."


def test_a_name_is_made_up(wire: Wire) -> None:
    made = wire.http.post("/indexes", json={"schema": schema()}).json()
    assert made["name"].startswith("index-")


@pytest.mark.parametrize("name", ["", "A", "a_b", "-a", "a-", "a" * 46, "é", 1, "a/b"])
def test_names(wire: Wire, name: Any) -> None:
    assert "ame must" in refused(wire, {"name": name, "schema": schema()})


def test_the_longest_name(wire: Wire) -> None:
    assert wire.http.post("/indexes", json={"name": "a" * 45, "schema": schema()}).status_code == 201


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({}, 400, "at least one field"),
        ({"_values": {"type": "dense_vector", "dimension": 0, "metric": "cosine"}}, 400, "between 1 and 20000"),
        ({"_values": {"type": "dense_vector", "dimension": 20_001, "metric": "cosine"}}, 400, "between 1 and 20000"),
        ({"_values": {"type": "dense_vector", "dimension": "8", "metric": "cosine"}}, 400, "must be an integer"),
        ({"_values": {"type": "dense_vector", "dimension": True, "metric": "cosine"}}, 400, "must be an integer"),
        ({"_values": {"type": "dense_vector", "metric": "cosine"}}, 422, "dimension"),
        ({"_values": {"type": "dense_vector", "dimension": 3, "metric": "hamming"}}, 400, "metric"),
        ({"_values": {"type": "sparse_vector"}}, 400, "must be dense_vector"),
        ({"_values": {"dimension": 3}}, 422, "type"),
        ({"_values": schema()["fields"]["_values"], "text": {"type": "sparse_vector"}}, 400, "together"),
        ({"_id": {"type": "sparse_vector"}}, 400, "must not start"),
        ({"$a": {"type": "sparse_vector"}}, 400, "must not start"),
        ({"a" * 65: {"type": "sparse_vector"}}, 400, "64 bytes"),
        ({"a": {"type": "sparse_vector"}, "b": {"type": "sparse_vector"}}, 400, "at most 1"),
        ({"a": {"type": "float"}}, 400, "can't be declared"),
        ({"a": {"type": "integer"}}, 422, "integer"),
        ({"a": {"type": "string"}}, 400, "full_text_search"),
    ],
)
def test_schemas(wire: Wire, fields: Any, status: int, words: str) -> None:
    code = "INVALID_ARGUMENT" if status == 400 else "UNPROCESSABLE_ENTITY"
    assert words in refused(wire, {"name": "docs", "schema": {"fields": fields}}, status, code)
    assert wire.http.get("/indexes").json() == {"indexes": []}


def test_bodies_that_are_none(wire: Wire) -> None:
    assert "not valid JSON" in message(wire.http.post("/indexes", content=b"{"), 400, "INVALID_ARGUMENT")
    assert "schema" in refused(wire, {"name": "docs"}, 422, "UNPROCESSABLE_ENTITY")
    refused(wire, [])
    refused(wire, "docs")


@pytest.mark.parametrize(
    "tags",
    [
        {f"t{number}": "x" for number in range(21)},
        {"a b": "x"},
        {"": "x"},
        {"a" * 81: "x"},
        {"a": "x" * 121},
        {"a": "é"},
        {"a": "x\ny"},
        {"a": 1},
        ["a"],
    ],
)
def test_tags(wire: Wire, tags: Any) -> None:
    refused(wire, {"name": "docs", "schema": schema(), "tags": tags})
    wire.create()
    assert wire.http.patch("/indexes/docs", json={"tags": tags}).status_code == 400


def test_the_limit_of_tags_is_that_of_all_together(wire: Wire) -> None:
    wire.create()
    assert wire.http.patch("/indexes/docs", json={"tags": {f"t{n}": "x" for n in range(20)}}).status_code == 202
    assert wire.http.patch("/indexes/docs", json={"tags": {"one": "x"}}).status_code == 400
    assert wire.http.patch("/indexes/docs", json={"tags": {"one": "x", "t0": ""}}).status_code == 202


def test_what_can_be_configured(wire: Wire) -> None:
    wire.create()
    for body in (
        {"schema": schema()},
        {"deployment": {"replicas": 2}},
        {"deletion_protection": "maybe"},
        {"read_capacity": {"mode": "Fast"}},
    ):
        assert wire.http.patch("/indexes/docs", json=body).status_code == 400
    capacity = {"mode": "Dedicated", "dedicated": {"node_type": "t1", "manual": {"shards": 2, "replicas": 3}}}
    shown = wire.http.patch("/indexes/docs", json={"read_capacity": capacity}).json()["read_capacity"]
    assert shown["dedicated"]["manual"] == {"shards": 2, "replicas": 3}
    assert shown["status"] == {"state": "Ready", "current_shards": 2, "current_replicas": 3}
    pod = {"deployment_type": "pod", "environment": "e", "pod_type": "p1.x1", "replicas": 1, "shards": 1}
    wire.http.post("/indexes", json={"name": "pod", "schema": schema(), "deployment": pod})
    assert wire.http.patch("/indexes/pod", json={"deployment": {"shards": 2}}).status_code == 400
    changed = wire.http.patch("/indexes/pod", json={"deployment": {"replicas": 2}}).json()
    assert changed["deployment"] == pod | {"replicas": 2}


def test_the_older_body_and_the_older_answer(wire: Wire) -> None:
    body = {
        "name": "docs",
        "dimension": 4,
        "metric": "dotproduct",
        "spec": {"serverless": {"cloud": "gcp", "region": "us-central1"}},
    }
    made = wire.http.post("/indexes", json=body, headers={"x-pinecone-api-version": "2025-04"}).json()
    assert made["host"] == f"{wire.emulator.url}/i/docs"
    assert (made["dimension"], made["metric"], made["vector_type"]) == (4, "dotproduct", "dense")
    assert made["spec"]["serverless"]["region"] == "us-central1"
    assert "schema" not in made
    assert "tags" not in made
    now = wire.http.get("/indexes/docs", headers=VERSION).json()
    assert now["schema"]["fields"]["_values"] == {"type": "dense_vector", "dimension": 4, "metric": "dotproduct"}
    assert now["deployment"] == {"deployment_type": "managed", "cloud": "gcp", "region": "us-central1"}
    assert "dimension" not in now
    sparse = {"name": "sparse", "vector_type": "sparse", "metric": "dotproduct", "spec": body["spec"]}
    made = wire.http.post("/indexes", json=sparse, headers={"x-pinecone-api-version": "2025-04"}).json()
    assert made["vector_type"] == "sparse"
    assert "dimension" not in made
    pod = body | {"name": "pod", "spec": {"pod": {"environment": "e", "pod_type": "s1.x1", "replicas": 2}}}
    made = wire.http.post("/indexes", json=pod, headers={"x-pinecone-api-version": "2025-04"}).json()
    assert made["spec"]["pod"] == {"environment": "e", "pod_type": "s1.x1", "replicas": 2, "shards": 1, "pods": 2}


@pytest.mark.parametrize(
    "change",
    [
        {"dimension": None},
        {"metric": "hamming"},
        {"vector_type": "sparse"},
        {"vector_type": "other"},
        {"spec": {}},
        {"spec": {"cloud": {}}},
        {"spec": {"serverless": {"cloud": "aws"}}},
    ],
)
def test_older_bodies_that_are_refused(wire: Wire, change: dict[str, Any]) -> None:
    spec = {"serverless": {"cloud": "aws", "region": "us-east-1"}}
    body = {"name": "docs", "dimension": 4, "metric": "cosine", "spec": spec} | change
    assert wire.http.post("/indexes", json=body).status_code in (400, 422)


def test_an_index_of_documents(wire: Wire) -> None:
    fields = {
        "embedding": {"type": "dense_vector", "dimension": 3, "metric": "cosine"},
        "words": {"type": "sparse_vector"},
        "title": {"type": "string", "full_text_search": {"language": "en"}},
    }
    made = wire.http.post("/indexes", json={"name": "docs", "schema": {"fields": fields}}).json()
    assert made["schema"]["fields"].keys() == fields.keys()
    assert "document" in wire.refused("/vectors/upsert", {"vectors": [{"id": "a", "values": [1, 0, 0]}]})
    assert wire.send("GET", "/vectors/list").status_code == 400
    assert wire.ask("POST", "/describe_index_stats", {})["dimension"] == 3
    assert wire.ask("GET", "/namespaces") == {"namespaces": [], "total_count": 0}
    assert wire.send("GET", "/namespaces/__default__").status_code == 404


@pytest.mark.parametrize("headers", [{}, {"api-key": ""}])
def test_without_a_key_nothing_goes(server: PineconeEmulator, headers: dict[str, str]) -> None:
    for method, path in (("GET", "/indexes"), ("POST", "/i/docs/query"), ("GET", "/nowhere")):
        answer = httpx.request(method, server.url + path, headers=headers)
        assert (answer.status_code, answer.text) == (401, '"Unauthorized"')


def test_one_key_only() -> None:
    with serving(api_key="secret") as emulator:
        assert httpx.get(emulator.url + "/indexes", headers={"api-key": "any"}).status_code == 401
        assert httpx.get(emulator.url + "/indexes", headers={"Api-Key": "secret"}).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/collections"),
        ("POST", "/backups/x/create-index"),
        ("POST", "/indexes/docs/backups"),
        ("POST", "/indexes/create-for-model"),
        ("GET", "/restore-jobs"),
        ("POST", "/embed"),
        ("POST", "/rerank"),
        ("GET", "/assistant/assistants"),
    ],
)
def test_out_of_scope(wire: Wire, method: str, path: str) -> None:
    assert message(wire.http.request(method, path), 501, "UNIMPLEMENTED").startswith("The emulator has no")


@pytest.mark.parametrize("path", ["/bulk/imports", "/records/namespaces/x/upsert"])
def test_out_of_scope_of_an_index(wire: Wire, path: str) -> None:
    wire.create()
    assert wire.refused(path, {}, 501, 12).startswith("The emulator has no")


def test_unknown_paths_and_methods(wire: Wire) -> None:
    assert message(wire.http.get("/nowhere"), 404, "NOT_FOUND")
    assert message(wire.http.get("/"), 404, "NOT_FOUND")
    assert message(wire.http.put("/indexes"), 405, "INVALID_ARGUMENT")
    wire.create()
    wire.refused("/nowhere", {}, 404, 5)
    wire.refused("/vectors/nowhere", {}, 404, 5)
    assert wire.send("GET", "").status_code == 404
    assert wire.send("GET", "/query").status_code == 405


def test_an_index_that_is_not_there(wire: Wire) -> None:
    assert wire.refused("/query", {}, 404, 5) == "Index docs not found."


def test_an_index_takes_its_time(wire: Wire) -> None:
    wire.emulator.ready_after = 3600
    made = wire.http.post("/indexes", json={"name": "docs", "schema": schema()}).json()
    assert made["status"] == {"ready": False, "state": "Initializing"}
    wire.refused("/query", {"topK": 1, "vector": [1, 0, 0]}, 503, 14)
    wire.emulator.ready_after = 0
    assert wire.http.delete("/indexes/docs").status_code == 202
    wire.create()
    assert wire.ids() == []


def test_the_host_is_the_one_that_was_asked(wire: Wire) -> None:
    port = wire.emulator.url.rpartition(":")[2]
    made = wire.http.post("/indexes", json={"name": "docs", "schema": schema()}, headers={"host": f"localhost:{port}"})
    assert made.json()["host"] == f"http://localhost:{port}/i/docs"
