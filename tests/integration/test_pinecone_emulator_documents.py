"""The emulator's Documents API, on the wire and with Pinecone's SDK."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator_wire import Wire
from ia_modules.vector_stores.emulator.pinecone import PineconeEmulator, Reads, serving

FIELDS = {
    "embedding": {"type": "dense_vector", "dimension": 2, "metric": "cosine"},
    "words": {"type": "sparse_vector"},
}
SPARSE = {"indices": [3, 1], "values": [0.5, 2.0]}


@pytest.fixture(scope="module")
def server() -> Iterator[PineconeEmulator]:
    with serving() as emulator:
        yield emulator


@pytest.fixture
def wire(server: PineconeEmulator) -> Iterator[Wire]:
    server.reset()
    with Wire(server) as made:
        create(made)
        yield made


def create(wire: Wire, fields: dict[str, Any] | None = None, name: str = "docs") -> None:
    answer = wire.http.post("/indexes", json={"name": name, "schema": {"fields": fields or FIELDS}})
    assert answer.status_code == 201, answer.text


def ask(wire: Wire, verb: str, body: dict[str, Any], status: int = 200, namespace: str = "n") -> Any:
    answer = wire.send("POST", f"/namespaces/{namespace}/documents/{verb}", body)
    assert answer.status_code == status, answer.text
    return answer.json()


def upsert(wire: Wire, *documents: dict[str, Any], namespace: str = "n") -> Any:
    return ask(wire, "upsert", {"documents": list(documents)}, 202, namespace)


def doc(name: str, *vector: float, **fields: Any) -> dict[str, Any]:
    return {"_id": name, "embedding": list(vector or (1.0, 0.0)), **fields}


def by_vector(*values: float, **more: Any) -> dict[str, Any]:
    return {
        "score_by": [{"type": "dense_vector", "field": "embedding", "values": list(values)}],
        "top_k": 10,
        "include_fields": [],
        **more,
    }


def by_words(indices: list[int], values: list[float], **more: Any) -> dict[str, Any]:
    clause = {"type": "sparse_vector", "field": "words", "sparse_values": {"indices": indices, "values": values}}
    return {"score_by": [clause], "top_k": 10, **more}


def found(answer: dict[str, Any]) -> list[str]:
    return [one["_id"] for one in answer["matches"]]


def test_documents_are_written_and_read(wire: Wire) -> None:
    answer = wire.send("POST", "/namespaces/n/documents/upsert", {"documents": [doc("a", 1, 0, year=2020, tags=["x"])]})
    assert answer.status_code == 202
    assert answer.json() == {"upserted_count": 1}
    assert answer.headers["x-pinecone-request-lsn"] == "1"
    upsert(wire, {"_id": "b", "words": SPARSE, "note": "é"})
    assert ask(wire, "fetch", {"ids": ["b", "a", "gone"]}) == {
        "documents": {
            "b": {"_id": "b", "words": {"indices": [1, 3], "values": [2.0, 0.5]}, "note": "é"},
            "a": {"_id": "a", "embedding": [1.0, 0.0], "year": 2020.0, "tags": ["x"]},
        },
        "namespace": "n",
        "usage": {"read_units": 1},
    }
    some = ask(wire, "fetch", {"ids": ["a"], "include_fields": ["year", "words"]})
    assert some["documents"] == {"a": {"_id": "a", "year": 2020.0}}
    whole = ask(wire, "fetch", {"ids": ["a"]})
    for every in ([], ["*"], ["year", "*"]):
        assert ask(wire, "fetch", {"ids": ["a"], "include_fields": every}) == whole


def test_a_document_is_replaced_whole(wire: Wire) -> None:
    upsert(wire, doc("a", 1, 0, old=1, words=SPARSE))
    upsert(wire, doc("a", 0, 1))
    assert ask(wire, "fetch", {"ids": ["a"]})["documents"] == {"a": {"_id": "a", "embedding": [0.0, 1.0]}}


def test_a_search_by_the_dense_field(wire: Wire) -> None:
    upsert(wire, doc("a", 1, 0, n=1), doc("b", 1, 1, n=2), doc("c", -1, 0, n=3), {"_id": "d", "words": SPARSE})
    answer = wire.send("POST", "/namespaces/n/documents/search", by_vector(1, 0))
    assert answer.headers["x-pinecone-max-indexed-lsn"] == "1"
    matches = answer.json()["matches"]
    assert [set(one) for one in matches] == [{"_id", "_score"}] * 3, "without the field a document is not found"
    assert [(one["_id"], round(one["_score"], 4)) for one in matches] == [("a", 1.0), ("b", 0.7071), ("c", -1.0)]
    filtered = ask(wire, "search", by_vector(1, 0, filter={"n": {"$gte": 2}}, include_fields=["n"], top_k=1))
    assert filtered["matches"][0] == {"_score": pytest.approx(0.7071, abs=1e-4), "_id": "b", "n": 2.0}
    whole = ask(wire, "search", by_vector(1, 0, include_fields=["*"], top_k=1))["matches"]
    assert whole == [{"_score": 1.0, "_id": "a", "embedding": [1.0, 0.0], "n": 1.0}]


def test_a_search_by_the_sparse_field(wire: Wire) -> None:
    upsert(wire, {"_id": "a", "words": SPARSE}, {"_id": "b", "words": {"indices": [9], "values": [1]}}, doc("c"))
    answer = ask(wire, "search", by_words([3, 4], [2.0, 1.0]))
    assert [(one["_id"], one["_score"]) for one in answer["matches"]] == [("a", 1.0)]


@pytest.mark.parametrize(
    ("metric", "scores"),
    [("cosine", {"b": 1.0, "a": 0.6}), ("dotproduct", {"b": 10.0, "a": 3.0}), ("euclidean", {"b": 4.0, "a": 20.0})],
)
def test_metrics(wire: Wire, metric: str, scores: dict[str, float]) -> None:
    create(wire, {"v": {"type": "dense_vector", "dimension": 2, "metric": metric}}, "other")
    wire.index = "other"
    upsert(
        wire,
        {"_id": "a", "v": [3, -4]},
        {"_id": "b", "v": [3, 0]} if metric == "euclidean" else {"_id": "b", "v": [10, 0]},
    )
    clause = {"type": "dense_vector", "fields": ["v"], "values": [1, 0]}
    matches = ask(wire, "search", {"score_by": [clause], "top_k": 5})["matches"]
    assert [(one["_id"], pytest.approx(one["_score"])) for one in matches] == list(scores.items())


def test_an_index_with_a_sparse_field_only(wire: Wire) -> None:
    create(wire, {"words": {"type": "sparse_vector"}}, "other")
    wire.index = "other"
    upsert(wire, {"_id": "a", "words": SPARSE, "n": 1}, {"_id": "b", "words": {"indices": [3], "values": [2]}, "n": 2})
    assert found(ask(wire, "search", by_words([3], [1.0]))) == ["b", "a"]
    assert found(ask(wire, "search", by_words([3], [1.0], filter={"n": 1}))) == ["a"]
    stats = wire.ask("POST", "/describe_index_stats", {})
    assert (stats["vectorType"], stats["totalVectorCount"], "dimension" in stats) == ("sparse", 2, False)
    # Here the dense vector's name is that of a metadata field, and a list of numbers is none.
    ask(wire, "upsert", {"documents": [{"_id": "c", "words": SPARSE, "embedding": [1, 0]}]}, 400)
    ask(wire, "search", by_vector(1, 0), 400)


def test_fields_for_full_text_search_are_kept_and_not_searched(wire: Wire) -> None:
    create(wire, {**FIELDS, "body": {"type": "string", "full_text_search": {}}}, "other")
    wire.index = "other"
    upsert(wire, {"_id": "a", "body": "some words"}, doc("b", body="more"))
    assert ask(wire, "fetch", {"ids": ["a"]})["documents"] == {"a": {"_id": "a", "body": "some words"}}
    assert found(ask(wire, "search", by_vector(1, 0))) == ["b"]
    for verb, body, status, message in (
        ("upsert", {"documents": [{"_id": "c", "body": 1}]}, 400, "body must be a string"),
        ("fetch", {"filter": {"body": {"$match_all": "words"}}}, 501, "no full text search"),
        ("fetch", {"filter": {"$and": [{"body": "more"}]}}, 400, "can't be compared"),
        ("delete", {"filter": {"body": {"$match_all": "words"}}}, 400, "can't select documents to write"),
        ("update", {"documents": [{"_id": "a", "_remove_fields": ["body"]}]}, 501, "fields of the schema"),
    ):
        assert message in ask(wire, verb, body, status)["error"]["message"]
    assert len(ask(wire, "list", {})["documents"]) == 2


def test_the_schema_is_fixed(wire: Wire) -> None:
    more = {"schema": {"fields": {**FIELDS, "more": {"type": "sparse_vector"}}}}
    assert wire.http.patch("/indexes/docs", json=more).status_code == 400
    fields = wire.http.get("/indexes/docs").json()["schema"]["fields"]
    assert {name: one["type"] for name, one in fields.items()} == {name: one["type"] for name, one in FIELDS.items()}


def test_reads_of_an_unknown_namespace_are_empty(wire: Wire) -> None:
    for verb, body in (
        ("search", by_vector(1, 0)),
        ("search", by_words([1], [1])),
        ("fetch", {"ids": ["a"]}),
        ("list", {}),
    ):
        answer = ask(wire, verb, body)
        assert (answer["namespace"], answer.get("matches") or answer.get("documents") or []) == ("n", [])
    assert ask(wire, "update", {"documents": [{"_id": "a", "n": 1}]}, 202) == {}
    assert ask(wire, "update", {"filter": {"n": 1}, "set_fields": {"n": 2}}, 202) == {"matched_records": 0}
    assert wire.ask("GET", "/namespaces")["namespaces"] == []


def test_an_update_is_one_write(wire: Wire) -> None:
    upsert(wire, doc("a", n=1), doc("b", n=1))
    patches = [{"_id": "a", "n": 2}, {"_id": "b", "embedding": [0, 1]}, {"_id": "gone", "n": 2}]
    answer = wire.send("POST", "/namespaces/n/documents/update", {"documents": patches})
    assert (answer.headers["x-pinecone-request-lsn"], answer.headers["x-pinecone-lsn-committed"]) == ("2", "2")
    ask(wire, "update", {"documents": [{"_id": "a", "n": 3}, {"_id": "b", "embedding": [1]}]}, 400)
    assert ask(wire, "fetch", {"ids": ["a", "b"]})["documents"] == {
        "a": doc("a", 1.0, 0.0, n=2.0),
        "b": doc("b", 0.0, 1.0, n=1.0),
    }


def test_a_document_has_two_megabytes(wire: Wire) -> None:
    half = "x" * 1_200_000
    upsert(wire, doc("a", n=1, one=half))
    message = ask(wire, "update", {"documents": [{"_id": "a", "two": half}]}, 400)["error"]["message"]
    assert "exceeds the limit of 2097152 bytes" in message
    ask(wire, "update", {"filter": {"n": 1}, "set_fields": {"two": half}}, 400)
    ask(wire, "update", {"documents": [{"_id": "a", "two": half, "_remove_fields": ["one"]}]}, 202)
    error = ask(wire, "upsert", {"documents": [doc("a", one=half), doc("b", one=half)]}, 413)
    assert (error["status"], error["error"]["code"]) == (413, "RESOURCE_EXHAUSTED")


def test_updates(wire: Wire) -> None:
    upsert(wire, doc("a", 1, 0, n=1, old="x"), doc("b", 1, 0, n=2, old="x"))
    body = {"documents": [{"_id": "a", "n": 5, "_remove_fields": ["old"]}, {"_id": "gone", "n": 1}]}
    assert ask(wire, "update", body, 202) == {}
    documents = ask(wire, "fetch", {"ids": ["a", "b", "gone"], "include_fields": ["n", "old"]})["documents"]
    assert documents == {"a": {"_id": "a", "n": 5.0}, "b": {"_id": "b", "n": 2.0, "old": "x"}}
    body = {"filter": {"n": {"$gt": 1}}, "set_fields": {"embedding": [0, 1]}, "remove_fields": ["old"]}
    assert ask(wire, "update", body, 202) == {"matched_records": 2}
    assert ask(wire, "fetch", {"ids": ["b"]})["documents"] == {"b": {"_id": "b", "embedding": [0.0, 1.0], "n": 2.0}}


def test_deletes(wire: Wire) -> None:
    upsert(wire, *(doc(f"d{i}", 1, i, n=i) for i in range(6)))
    assert ask(wire, "delete", {"ids": ["d0", "gone"]}, 202) == {}
    assert ask(wire, "delete", {"filter": {"n": {"$lt": 3}}}, 202) == {"matched_records": 2}
    assert found(ask(wire, "search", by_vector(1, 0))) == ["d3", "d4", "d5"]
    assert ask(wire, "delete", {"delete_all": True}, 202) == {}
    assert ask(wire, "list", {})["documents"] == []


def test_lists_and_pages(wire: Wire) -> None:
    upsert(wire, *(doc(f"{'ab'[i % 2]}{i:03}", 1, 0, n=i % 2) for i in range(250)))
    ids: list[str] = []
    token = None
    while True:
        page = ask(wire, "list", {"prefix": "b", "limit": 100, **({"pagination_token": token} if token else {})})
        ids += [one["_id"] for one in page["documents"]]
        token = page.get("pagination", {}).get("next")
        if token is None:
            break
    assert ids == [f"b{i:03}" for i in range(250) if i % 2]
    first = ask(wire, "fetch", {"filter": {"n": 0}, "limit": 120, "include_fields": ["n"]})
    rest = ask(wire, "fetch", {"filter": {"n": 0}, "limit": 120, "pagination_token": first["pagination"]["next"]})
    assert (len(first["documents"]), len(rest["documents"]), "pagination" in rest) == (120, 5, False)


def test_namespaces_are_apart_and_none_is_the_default(wire: Wire) -> None:
    upsert(wire, doc("a", n=1))
    upsert(wire, doc("a", n=2), namespace="a%2Fb")
    upsert(wire, doc("a", n=3), namespace="__default__")
    for namespace, n in (("n", 1), ("a%2Fb", 2), ("__default__", 3)):
        documents = ask(wire, "fetch", {"ids": ["a"]}, namespace=namespace)["documents"]
        assert documents["a"]["n"] == n
    names = [one["name"] for one in wire.ask("GET", "/namespaces")["namespaces"]]
    assert names == ["__default__", "a/b", "n"]
    assert wire.ask("POST", "/describe_index_stats", {})["totalVectorCount"] == 3


@pytest.mark.parametrize(
    ("verb", "body", "status", "message"),
    [
        ("upsert", {"documents": []}, 400, "non-empty"),
        ("upsert", {"documents": ["a"]}, 400, "must hold objects"),
        ("upsert", {"documents": [doc("a" * 513)]}, 400, "_id is too long"),
        ("upsert", {"documents": [doc("é")]}, 400, "must be ASCII"),
        ("upsert", {"documents": [doc("a", embedding=[])]}, 400, "embedding must be a non-empty array"),
        ("upsert", {"documents": [doc("a", words=[1.0])]}, 400, "must be an object with indices and values"),
        ("upsert", {"documents": [doc("a", _remove_fields=["n"])]}, 400, "begin with"),
        ("upsert", {"documents": [{"embedding": [1, 0]}]}, 400, "_id must be"),
        ("upsert", {"documents": [doc("a"), doc("a")]}, 400, "Duplicate document ID 'a'"),
        ("upsert", {"documents": [{"_id": "a", "n": 1}]}, 400, "at least one field of the schema: embedding, words"),
        ("upsert", {"documents": [doc("a", _x=1)]}, 400, "begin with '_' or '\\$'"),
        ("upsert", {"documents": [doc("a", **{"$x": 1})]}, 400, "begin with '_' or '\\$'"),
        ("upsert", {"documents": [doc("a", **{"é" * 33: 1})]}, 400, "longer than 64 bytes"),
        ("upsert", {"documents": [doc("a", n=None)]}, 400, "'n' must not be null"),
        ("upsert", {"documents": [doc("a", n={"x": 1})]}, 400, "Metadata value must be"),
        ("upsert", {"documents": [doc("a", 1, 2, 3)]}, 400, "dimension 3 does not match"),
        ("upsert", {"documents": [doc("a", 0, 0)]}, 400, "non-zero"),
        ("upsert", {"documents": [doc(str(i)) for i in range(1001)]}, 400, "the limit is 1000"),
        ("search", by_vector(1, 0, top_k=0), 400, "top_k must be between"),
        ("search", by_vector(1, 0, filter={"embedding": {"$gt": 1}}), 400, "can't be filtered by"),
        ("search", by_vector(1, 0, filter={"$or": [{"n": 1}, {"words": {"$exists": True}}]}), 400, "can't be filtered"),
        ("search", by_vector(1, 0, filter={"n": {"$match_all": "x"}}), 400, "is no full text field"),
        ("search", by_vector(1, 0, filter={"n": {"$like": "x"}}), 400, "is not an operator"),
        ("search", by_vector(1, 0, filter=[]), 400, "filter must be an object"),
        ("search", by_vector(1, 0, top_k=10_001), 400, "top_k must be between"),
        ("search", by_vector(1, 0, top_k=None), 400, "top_k is required"),
        ("search", by_vector(1, 0, include_fields=[1]), 400, "array of strings"),
        ("search", by_vector(), 400, "non-empty 'values'"),
        ("search", by_vector(1), 400, "dimension 1 does not match"),
        ("search", {"top_k": 1, "score_by": [{"type": "sparse_vector", "field": "words"}]}, 400, "'sparse_values'"),
        ("search", {"top_k": 1, "score_by": [{"type": ["text"]}]}, 400, "Unknown scoring type"),
        ("search", {"top_k": 1, "score_by": [{"type": "text", "query": "x"}] * 101}, 400, "the limit is 100"),
        ("search", {"top_k": 1, "score_by": [{"type": "query_string", "query": "x"}] * 2}, 501, "no full text search"),
        ("search", {"top_k": 1, "score_by": [{"type": "sparse_embed", "query": "x"}]}, 501, "no integrated embedding"),
        ("search", {"top_k": 1, "score_by": [{"type": "text"}, {"type": "embed"}]}, 400, "can't be combined"),
        ("search", {"top_k": 1, "score_by": [{"type": "dense_vector", "values": [1, 0]}]}, 400, "exactly one field"),
        (
            "search",
            {"top_k": 1, "score_by": [{"type": "dense_vector", "fields": ["embedding", "b"], "values": [1, 0]}]},
            400,
            "exactly one field",
        ),
        (
            "search",
            {"top_k": 1, "score_by": [{**by_vector(1, 0)["score_by"][0], "fields": ["embedding"]}]},
            400,
            "but not both",
        ),
        ("search", {"top_k": 1, "score_by": []}, 400, "non-empty"),
        ("search", {"top_k": 1, "score_by": [{"type": "text", "query": "x"}]}, 501, "no full text search"),
        ("search", {"top_k": 1, "score_by": [{"type": "embed", "query": "x"}]}, 501, "no integrated embedding"),
        ("search", {"top_k": 1, "score_by": [{"type": "magic"}]}, 400, "Unknown scoring type"),
        ("search", {**by_words([1], [1]), "score_by": by_words([1], [1])["score_by"] * 2}, 400, "can't be combined"),
        (
            "search",
            {"top_k": 1, "score_by": [{"type": "dense_vector", "field": "words", "values": [1, 0]}]},
            400,
            "not a dense_vector field",
        ),
        ("fetch", {}, 400, "Exactly one of ids or filter"),
        ("fetch", {"filter": {}}, 400, "must not be empty"),
        ("fetch", {"ids": []}, 400, "Exactly one of ids or filter"),
        ("fetch", {"ids": ["a"], "filter": {"n": 1}}, 400, "Exactly one of ids or filter"),
        ("fetch", {"ids": ["a"], "pagination_token": "x"}, 400, "only valid together with filter"),
        ("fetch", {"filter": {"n": 1}, "pagination_token": "x"}, 400, "Invalid pagination token"),
        ("fetch", {"filter": {"n": 1}, "limit": 10_001}, 400, "limit must be between"),
        ("fetch", {"ids": [str(i) for i in range(1001)]}, 400, "the limit is 1000"),
        ("update", {}, 400, "Exactly one of documents or filter"),
        ("update", {"documents": [{"_id": "a", "n": 1}], "set_fields": {"m": 1}}, 400, "together with filter"),
        ("update", {"documents": [{"_id": "a", "n": 1}] * 2}, 400, "Duplicate document ID"),
        ("update", {"documents": [{"_id": "a", "n": None}]}, 400, "must not be null"),
        ("update", {"documents": [{"_id": "a", "_remove_fields": ["_id"]}]}, 400, "begin with"),
        ("update", {"filter": {}, "set_fields": {"n": 1}}, 400, "must not be empty"),
        ("update", {"documents": [{"_id": "a"}]}, 400, "changes nothing"),
        ("update", {"documents": [{"_id": "a", "n": 1, "_remove_fields": ["n"]}]}, 400, "set and removed"),
        ("update", {"filter": {"n": 1}}, 400, "set_fields or remove_fields is"),
        ("update", {"filter": {"n": 1}, "remove_fields": ["words"]}, 501, "does not remove fields of the schema"),
        ("delete", {"ids": ["a"], "delete_all": True}, 400, "Exactly one of"),
        ("delete", {}, 400, "Exactly one of"),
        ("delete", {"filter": {}}, 400, "must not be empty"),
        ("delete", {"ids": [str(i) for i in range(1001)]}, 400, "the limit is 1000"),
        ("delete", {"delete_all": True}, 404, "Namespace not found"),
        ("list", {"limit": 101}, 400, "between 1 and 100"),
        ("list", {"pagination_token": "x"}, 400, "Invalid pagination token"),
    ],
)
def test_what_is_refused(wire: Wire, verb: str, body: dict[str, Any], status: int, message: str) -> None:
    error = ask(wire, verb, body, status)
    assert set(error) == {"status", "error"}
    assert error["status"] == status
    assert set(error["error"]) == {"code", "message"}
    assert error["error"]["code"] == {400: "INVALID_ARGUMENT", 404: "NOT_FOUND", 501: "UNIMPLEMENTED"}[status]
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(error["error"]["message"])


@pytest.mark.parametrize("verb", ["upsert", "search", "fetch", "update", "delete", "list"])
def test_a_namespace_must_be_named(wire: Wire, verb: str) -> None:
    clause = by_vector(1, 0)
    bodies = {"upsert": {"documents": [doc("a")]}, "search": clause, "update": {"documents": [{"_id": "a", "n": 1}]}}
    error = ask(wire, verb, bodies.get(verb, {"ids": ["a"]}), 400, namespace="")
    assert error["error"]["message"] == "namespace must be a non-empty string"
    assert wire.ask("GET", "/namespaces")["namespaces"] == []


def test_paths_that_are_not_there(wire: Wire) -> None:
    assert ask(wire, "count", {}, 404)["error"]["code"] == "NOT_FOUND"
    assert wire.send("GET", "/namespaces/n/documents/list").status_code == 405
    wire.index = "gone"
    assert ask(wire, "list", {}, 404)["error"] == {"code": "NOT_FOUND", "message": "Index gone not found."}


def test_one_bad_document_fails_the_request(wire: Wire) -> None:
    ask(wire, "upsert", {"documents": [doc("a"), doc("b", 1)]}, 400)
    assert ask(wire, "list", {})["documents"] == []


def test_each_api_is_refused_by_the_other_s_indexes(wire: Wire) -> None:
    assert "Documents API serves" in wire.refused("/vectors/upsert", {"vectors": [{"id": "a", "values": [1, 0]}]})
    create(wire, {"_values": {"type": "dense_vector", "dimension": 2, "metric": "cosine"}}, "vectors")
    answer = wire.http.post("/i/vectors/namespaces/n/documents/upsert", json={"documents": [doc("a")]})
    assert answer.status_code == 400
    assert "the Vectors API serves it" in answer.json()["error"]["message"]


def test_writes_can_be_seen_later(wire: Wire) -> None:
    wire.emulator.lag = 0.2
    upsert(wire, doc("a"))
    assert ask(wire, "list", {})["documents"] == []
    answer = wire.send("POST", "/namespaces/n/documents/search", by_vector(1, 0))
    assert (answer.json()["matches"], answer.headers["x-pinecone-max-indexed-lsn"]) == ([], "0")
    wire.emulator.lag = 0


def test_writes_are_seen_in_order_after_a_number_of_reads(wire: Wire) -> None:
    wire.emulator.lag = Reads(2)
    upsert(wire, doc("a", n=1))
    ask(wire, "update", {"documents": [{"_id": "a", "n": 2}, {"_id": "gone", "n": 2}]}, 202)
    seen = []
    for _ in range(3):
        answer = wire.send("POST", "/namespaces/n/documents/search", by_vector(1, 0, include_fields=["n"]))
        number = answer.headers["x-pinecone-max-indexed-lsn"]
        assert answer.headers["x-pinecone-lsn-reconciled"] == number
        seen.append((number, [one["n"] for one in answer.json()["matches"]]))
    assert seen == [("0", []), ("0", []), ("2", [2.0])]
    assert "x-pinecone-max-indexed-lsn" not in wire.send("POST", "/namespaces/n/documents/list", {}).headers


def test_the_rate_limit(wire: Wire) -> None:
    wire.emulator.rate_limit = 1
    upsert(wire, doc("a"))
    error = ask(wire, "search", by_vector(1, 0), 429)
    assert error["error"]["code"] == "RESOURCE_EXHAUSTED"
    ask(wire, "list", {}, namespace="m")


def test_failures(wire: Wire) -> None:
    wire.emulator.fail(429, "POST /namespaces/n/documents/search", retry_after=1)
    answer = wire.send("POST", "/namespaces/n/documents/search", by_vector(1, 0))
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    wire.emulator.fail("half", "POST /namespaces/n/documents/upsert")
    body = {"documents": [doc("a"), doc("b")]}
    assert wire.send("POST", "/namespaces/n/documents/upsert", body).status_code == 500
    assert ask(wire, "list", {})["documents"] == [{"_id": "a"}]


def test_a_folder_keeps_documents(tmp_path: Path) -> None:
    with serving(folder=tmp_path) as emulator, Wire(emulator) as wire:
        create(wire)
        upsert(wire, doc("a", 1, 0, n=1, old=2), {"_id": "b", "words": SPARSE})
        patches = [
            {"_id": "a", "n": 3, "_remove_fields": ["old"]},
            {"_id": "b", "words": {"indices": [1], "values": [4]}},
        ]
        ask(wire, "update", {"documents": patches}, 202)
        upsert(wire, doc("c", gone=1))
        ask(wire, "delete", {"filter": {"gone": 1}}, 202)
        before = ask(wire, "fetch", {"ids": ["a", "b"]})
    with serving(folder=tmp_path) as emulator, Wire(emulator) as wire:
        assert ask(wire, "fetch", {"ids": ["a", "b"]}) == before
        assert before["documents"]["a"] == {"_id": "a", "embedding": [1.0, 0.0], "n": 3.0}
        assert [one["_id"] for one in ask(wire, "list", {})["documents"]] == ["a", "b"]
        (match,) = ask(wire, "search", by_words([1], [1.0]))["matches"]
        assert match == {"_id": "b", "_score": 4.0}
        answer = wire.send("POST", "/namespaces/n/documents/upsert", {"documents": [doc("d")]})
        assert answer.headers["x-pinecone-request-lsn"] == "5"
        assert wire.refused("/vectors/upsert", {"vectors": [{"id": "a", "values": [1, 0]}]})


# Random programs

IDS = st.sampled_from(["a", "b", "c", "d"])
VECTORS = st.sampled_from([(1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (-1.0, 0.5)])
STEPS = st.one_of(
    st.tuples(st.just("upsert"), IDS, VECTORS, st.integers(0, 3)),
    st.tuples(st.just("update"), IDS, st.integers(0, 3), st.booleans()),
    st.tuples(st.just("delete"), IDS),
    st.tuples(st.just("delete_where"), st.integers(0, 3)),
    st.tuples(st.just("upsert_sparse"), IDS, st.integers(0, 2), st.integers(0, 3)),
    st.tuples(st.just("update_where"), st.integers(0, 3), st.integers(0, 3), VECTORS),
    st.tuples(st.just("clear")),
)


@settings(max_examples=40)
@given(st.lists(STEPS, max_size=12))
def test_it_is_a_dictionary(server: PineconeEmulator, steps: list[tuple[Any, ...]]) -> None:
    server.reset()
    model: dict[str, dict[str, Any]] = {}
    with Wire(server) as wire:
        create(wire)
        upsert(wire, doc("z"))
        ask(wire, "delete", {"ids": ["z"]}, 202)
        for step in steps:
            match step:
                case ("upsert", name, vector, n):
                    model[name] = {"_id": name, "embedding": list(vector), "n": float(n)}
                    upsert(wire, doc(name, *vector, n=n))
                case ("update", name, n, remove):
                    patch = {"_id": name, "m": n, **({"_remove_fields": ["n"]} if remove else {})}
                    ask(wire, "update", {"documents": [patch]}, 202)
                    if name in model:
                        model[name]["m"] = float(n)
                        if remove:
                            model[name].pop("n", None)
                case ("delete", name):
                    model.pop(name, None)
                    ask(wire, "delete", {"ids": [name]}, 202)
                case ("upsert_sparse", name, index, n):
                    words = {"indices": [index], "values": [1.0 + n]}
                    model[name] = {"_id": name, "words": words, "n": float(n)}
                    upsert(wire, {"_id": name, "words": words, "n": n})
                case ("update_where", n, m, vector):
                    body = {"filter": {"n": {"$gte": n}}, "set_fields": {"m": m, "embedding": vector}}
                    same = [one for one in model.values() if one.get("n", -1) >= n]
                    assert ask(wire, "update", body, 202) == {"matched_records": len(same)}
                    for one in same:
                        one.update(m=float(m), embedding=list(vector))
                case ("clear",):
                    model.clear()
                    ask(wire, "delete", {"delete_all": True}, 202)
                case ("delete_where", n):
                    gone = [name for name, one in model.items() if one.get("n") == n]
                    assert ask(wire, "delete", {"filter": {"n": n}}, 202) == {"matched_records": len(gone)}
                    for name in gone:
                        del model[name]
        assert ask(wire, "fetch", {"ids": ["a", "b", "c", "d"]})["documents"] == model
        assert [one["_id"] for one in ask(wire, "list", {})["documents"]] == sorted(model)
        query = np.array([1.0, 0.25])
        vectors = {name: np.array(one["embedding"]) for name, one in model.items() if "embedding" in one}
        scores = {
            name: -float(v @ query) / float(np.linalg.norm(v) * np.linalg.norm(query)) for name, v in vectors.items()
        }
        matches = found(ask(wire, "search", by_vector(*query.tolist())))
        assert matches == sorted(scores, key=lambda name: (round(scores[name], 9), name))
        wanted = [name for name in matches if model[name].get("n", 0) >= 2]
        assert found(ask(wire, "search", by_vector(*query.tolist(), filter={"n": {"$gte": 2}}))) == wanted
        weights = {name: one["words"]["values"][0] for name, one in model.items() if "words" in one}
        weights = {name: weight for name, weight in weights.items() if model[name]["words"]["indices"] == [1]}
        words = found(ask(wire, "search", by_words([1], [1.0])))
        assert words == sorted(weights, key=lambda name: (-weights[name], name))


# With the SDK


def test_the_sdk(server: PineconeEmulator) -> None:
    pinecone: Any = pytest.importorskip("pinecone")
    server.reset()
    with pinecone.Pinecone(host=server.url, api_key="any") as client:
        client.indexes.create(name="docs", schema={"fields": FIELDS})
        with client.index(name="docs") as index:
            written = index.documents.upsert(namespace="n", documents=[doc("a", 1, 0, n=1), doc("b", 0, 1, n=2)])
            assert (written.upserted_count, written.response_info.lsn_committed) == (2, 1)
            index.documents.batch_upsert(
                namespace="n",
                documents=[{"_id": f"s{i}", "words": {"indices": [i], "values": [1.0]}} for i in range(5)],
            )
            clause = pinecone.DenseVectorQuery(field="embedding", values=[1.0, 0.0])
            answer = index.documents.search(namespace="n", score_by=[clause], top_k=2, include_fields=["n"])
            assert [(one.id, one.score, one.to_dict().get("n")) for one in answer.matches] == [
                ("a", 1.0, 1.0),
                ("b", 0.0, 2.0),
            ]
            assert answer.response_info.is_reconciled(1)
            sparse = pinecone.SparseVectorQuery(
                field="words", sparse_values=pinecone.SparseValues(indices=[3], values=[2.0])
            )
            assert [one.id for one in index.documents.search(namespace="n", score_by=[sparse], top_k=2).matches] == [
                "s3"
            ]
            index.documents.update(namespace="n", documents=[{"_id": "a", "n": 7}])
            assert index.documents.update(namespace="n", filter={"n": 2}, set_fields={"m": 1}).matched_records == 1
            fetched = index.documents.fetch(namespace="n", ids=["a", "b"]).documents
            assert (fetched["a"].to_dict()["n"], fetched["b"].to_dict()["m"]) == (7.0, 1.0)
            assert [one.id for one in index.documents.list(namespace="n", prefix="s")] == [f"s{i}" for i in range(5)]
            assert index.documents.delete(namespace="n", filter={"n": 7}).matched_records == 1
            index.documents.delete(namespace="n", delete_all=True)
            assert list(index.documents.list(namespace="n")) == []


def test_the_asynchronous_sdk(server: PineconeEmulator) -> None:
    pinecone: Any = pytest.importorskip("pinecone")
    server.reset()
    schema = (
        pinecone.SchemaBuilder()
        .add_dense_vector_field("embedding", dimension=2, metric="cosine")
        .add_sparse_vector_field("words")
        .build()
    )

    async def program() -> None:
        async with pinecone.AsyncPinecone(host=server.url, api_key="any") as client:
            await client.indexes.create(name="docs", schema=schema)
            async with await client.index(name="docs") as index:
                documents = index.documents
                await documents.upsert(namespace="n", documents=[doc("a", 1, 0), doc("b", 1, 1, n=2)])
                clause = {"type": "dense_vector", "field": "embedding", "values": [1.0, 1.0]}
                answer = await documents.search(namespace="n", score_by=[clause], top_k=2)
                assert [one.to_dict().keys() for one in answer.matches] == [{"_id", "_score"}] * 2
                assert [one.id for one in answer.matches] == ["b", "a"]
                assert answer.usage.read_units == 1
                matched = await documents.fetch(namespace="n", filter={"n": {"$gt": 1}})
                assert matched.documents["b"].embedding == [1.0, 1.0]
                many = [{"_id": f"s{i:03}", "words": {"indices": [i], "values": [1.0]}} for i in range(230)]
                written = await documents.batch_upsert(
                    namespace="many", documents=many, batch_size=100, show_progress=False
                )
                assert (written.successful_item_count, written.has_errors) == (230, False)
                pages = [len(page.items) async for page in documents.list(namespace="many", limit=100).pages()]
                assert pages == [100, 100, 30]
                names = [one.id async for one in documents.list(namespace="many", prefix="s11", limit=4)]
                assert names == [f"s{i}" for i in range(110, 120)]
                with pytest.raises(pinecone.ApiError, match="at least one field of the schema") as refused:
                    await documents.upsert(namespace="n", documents=[{"_id": "c", "n": 1}])
                assert (refused.value.status_code, refused.value.error_code) == (400, "INVALID_ARGUMENT")
                with pytest.raises(pinecone.ApiError, match="which the Documents API serves"):
                    await index.query(vector=[1.0, 0.0], top_k=1)
                with pytest.raises(pinecone.NotFoundError, match="Namespace not found"):
                    await documents.delete(namespace="gone", delete_all=True)

    asyncio.run(program())


def test_the_sdk_halves_batches_that_are_too_large(server: PineconeEmulator) -> None:
    pinecone: Any = pytest.importorskip("pinecone")
    server.reset()
    with pinecone.Pinecone(host=server.url, api_key="any") as client:
        client.indexes.create(name="docs", schema={"fields": FIELDS})
        with client.index(name="docs") as index:
            documents = [doc(f"d{i}", text="x" * 600_000) for i in range(6)]
            written = index.documents.batch_upsert(namespace="n", documents=documents, show_progress=False)
            assert (written.successful_item_count, written.has_errors) == (6, False)
            assert len(list(index.documents.list(namespace="n"))) == 6
