"""The emulator's Vectors API, over plain HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson
import pytest

from emulator_wire import Wire
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


# -- writing and fetching


def test_what_is_stored_comes_back(wire: Wire) -> None:
    wire.create()
    metadata = {"text": "é", "int": 3, "float": 0.5, "flag": True, "list": ["a", "b"], "none": None, "empty": []}
    answer = wire.upsert({"id": "a", "values": [0.1, -2, 1e-3], "metadata": metadata}, {"id": "b", "metadata": {}})
    assert answer.json() == {"upsertedCount": 2}
    body = wire.send("GET", "/vectors/fetch", ids=["a", "b", "nowhere", "a"]).text
    assert orjson.loads(body) == {
        "vectors": {
            "a": {
                "id": "a",
                "values": [0.1, -2.0, 0.001],
                "metadata": {"text": "é", "int": 3.0, "float": 0.5, "flag": True, "list": ["a", "b"], "empty": []},
            },
            "b": {"id": "b", "values": [1.0, 0.0, 0.0]},
        },
        "namespace": "",
        "usage": {"readUnits": 1},
    }
    assert '"int":3.0' in body


def test_numbers_are_doubles_and_values_are_floats(wire: Wire) -> None:
    wire.create()
    wire.upsert({"id": "a", "values": [1 / 3, 16_777_217, 1e-46], "metadata": {"n": 2**53 + 1, "m": 2**63}})
    got = wire.fetched("a")["a"]
    assert got["values"] == [float(str(np.float32(1 / 3))), 16_777_216.0, 0.0]
    assert got["metadata"] == {"n": 2.0**53, "m": 2.0**63}


def test_an_upsert_replaces_and_the_last_of_a_request_counts(wire: Wire) -> None:
    wire.create()
    wire.upsert({"id": "a", "metadata": {"x": 1, "y": 1}})
    answer = wire.upsert({"id": "a", "metadata": {"x": 2}}, {"id": "a", "metadata": {"x": 3}})
    assert answer.json() == {"upsertedCount": 2}
    assert wire.fetched("a")["a"]["metadata"] == {"x": 3.0}


@pytest.mark.parametrize(
    ("vector", "words"),
    [
        ({}, "non-empty string"),
        ({"id": ""}, "non-empty string"),
        ({"id": 1}, "non-empty string"),
        ({"id": "é"}, "ASCII"),
        ({"id": "a\x00b"}, "null character"),
        ({"id": "a" * 513}, "512"),
        ({"id": "a", "values": [1, 0]}, "Vector dimension 2 does not match the dimension of the index 3"),
        ({"id": "a", "values": []}, "at least one of"),
        ({"id": "a", "values": [0, 0, 0.0]}, "Dense vectors must contain at least one non-zero value. Vector ID 'a'"),
        ({"id": "a", "values": [1e-60, 0, 0]}, "non-zero"),
        ({"id": "a", "values": [1, 0, "x"]}, "numbers"),
        ({"id": "a", "values": [1, 0, True]}, "numbers"),
        ({"id": "a", "values": [1, 0, None]}, "numbers"),
        ({"id": "a", "values": [1, 0, 1e39]}, "finite"),
        ({"id": "a", "values": "x"}, "array"),
        ({"id": "a", "values": [1, 0, 0], "sparseValues": {"indices": [1], "values": [1]}}, "not support sparse"),
        ({"id": "a", "values": [1, 0, 0], "metadata": []}, "object"),
        ({"id": "a", "values": [1, 0, 0], "metadata": {"$a": 1}}, "dollar"),
        ("a", "objects"),
    ],
)
def test_one_bad_vector_fails_the_request(wire: Wire, vector: Any, words: str) -> None:
    wire.create()
    body = {"vectors": [{"id": "good", "values": [1, 0, 0]}, vector]}
    assert words in wire.refused("/vectors/upsert", body)
    assert wire.fetched("good") == {}
    assert wire.counts() == {}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"a": 10}, '{"a":10.0}'),
        ([1, 2], "[1.0,2.0]"),
        (["a", 1], '["a",1.0]'),
        ([None], "[null]"),
        ([1758694138, 0, 5], "[1758694138.0,0...."),
    ],
)
def test_metadata_that_is_refused(wire: Wire, value: Any, shown: str) -> None:
    wire.create()
    body = {"vectors": [{"id": "a", "values": [1, 0, 0], "metadata": {"field": value}}]}
    assert wire.refused("/vectors/upsert", body) == (
        f"Metadata value must be a string, number, boolean or list of strings, got '{shown}' for field 'field'"
    )


def test_the_size_of_metadata(wire: Wire) -> None:
    wire.create()
    most = 40_960 - len('{"k":""}')
    wire.upsert({"id": "a", "metadata": {"k": "x" * most}})
    body = {"vectors": [{"id": "b", "values": [1, 0, 0], "metadata": {"k": "x" * (most + 1)}}]}
    assert wire.refused("/vectors/upsert", body) == (
        "metadata size is 40961 bytes, which exceeds the limit of 40960 bytes per vector"
    )
    assert "metadata size" in wire.refused("/vectors/update", {"id": "a", "setMetadata": {"l": "x"}})
    assert "metadata size" in wire.refused(
        "/vectors/update", {"filter": {"k": {"$exists": True}}, "setMetadata": {"l": 1}}
    )
    assert wire.fetched("a")["a"]["metadata"].keys() == {"k"}


def test_how_much_an_upsert_takes(wire: Wire) -> None:
    wire.create()
    many = [{"id": str(number), "values": [1, 0, 0]} for number in range(1_001)]
    assert wire.send("POST", "/vectors/upsert", {"vectors": many[:1_000]}).json() == {"upsertedCount": 1_000}
    assert "1001" in wire.refused("/vectors/upsert", {"vectors": many})
    wire.refused("/vectors/upsert", {"vectors": []})
    wire.refused("/vectors/upsert", {})
    body = orjson.dumps({"vectors": many[:1]})
    padded = body[:-1] + b" " * (2 * 1024 * 1024 - len(body)) + b"}"
    assert wire.http.post("/i/docs/vectors/upsert", content=padded).status_code == 200
    answer = wire.http.post("/i/docs/vectors/upsert", content=padded + b" ")
    assert answer.status_code == 413
    assert answer.json()["message"] == ("message length too large: found 2097153 bytes, the limit is: 2097152 bytes")


def test_updates_by_id(wire: Wire) -> None:
    wire.create()
    wire.upsert({"id": "a", "metadata": {"x": 1, "y": "z"}})
    assert wire.ask("POST", "/vectors/update", {"id": "a", "values": [0, 1, 0]}) == {}
    assert wire.ask("POST", "/vectors/update", {"id": "a", "setMetadata": {"x": 2, "w": True, "y": None}}) == {}
    assert wire.fetched("a")["a"] == {
        "id": "a",
        "values": [0.0, 1.0, 0.0],
        "metadata": {"x": 2.0, "y": "z", "w": True},
    }
    assert wire.ask("POST", "/vectors/update", {"id": "nowhere", "setMetadata": {"x": 2}}) == {}
    assert wire.ask("POST", "/vectors/update", {"id": "a", "setMetadata": {"x": 2}, "namespace": "nowhere"}) == {}
    assert wire.listed() == ["a"]
    assert wire.counts() == {"__default__": 1}
    for body in (
        {"setMetadata": {"x": 1}},
        {"id": "a", "filter": {"x": 1}, "setMetadata": {"x": 1}},
        {"id": "a"},
        {"id": "a", "values": [0, 0, 0]},
        {"id": "a", "values": [1]},
        {"id": "a", "setMetadata": {"x": {}}},
        {"id": "é", "setMetadata": {"x": 1}},
    ):
        wire.refused("/vectors/update", body)


def test_updates_by_filter(wire: Wire) -> None:
    wire.create()
    wire.upsert({"id": "a", "metadata": {"x": 1}}, {"id": "b", "metadata": {"x": 1}}, {"id": "c", "metadata": {"x": 2}})
    body = {"filter": {"x": 1}, "setMetadata": {"y": "new"}}
    dry = wire.send("POST", "/vectors/update", body | {"dryRun": True})
    assert dry.json() == {"matchedRecords": 2}
    assert "x-pinecone-request-lsn" not in dry.headers
    assert "y" not in wire.fetched("a")["a"]["metadata"]
    assert wire.ask("POST", "/vectors/update", body) == {"matchedRecords": 2}
    assert wire.ids({"y": "new"}) == ["a", "b"]
    assert wire.fetched("b")["b"]["metadata"] == {"x": 1.0, "y": "new"}
    assert wire.ask("POST", "/vectors/update", body | {"namespace": "nowhere"}) == {"matchedRecords": 0}
    assert "empty metadata filter" in wire.refused("/vectors/update", {"filter": {}, "setMetadata": {"y": 1}})
    assert "vector values" in wire.refused("/vectors/update", {"filter": {"x": 1}, "values": [1, 0, 0]})
    wire.refused("/vectors/update", {"filter": {"x": 1}})


def test_deletes(wire: Wire) -> None:
    wire.create()
    wire.upsert(*({"id": f"r{number}", "metadata": {"n": number}} for number in range(10)))
    assert wire.ask("POST", "/vectors/delete", {"ids": ["r0", "r1", "nowhere"]}) == {}
    assert wire.ask("POST", "/vectors/delete", {"filter": {"n": {"$lt": 4}}}) == {}
    assert wire.listed() == [f"r{number}" for number in range(4, 10)]
    # Ids beside a filter are not looked at.
    assert wire.ask("POST", "/vectors/delete", {"ids": ["r9"], "filter": {"n": 4}}) == {}
    assert wire.listed() == [f"r{number}" for number in range(5, 10)]
    assert wire.ask("POST", "/vectors/delete", {"deleteAll": True}) == {}
    assert wire.listed() == []
    assert wire.counts() == {"__default__": 0}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "At least one ID"),
        ({"ids": []}, "At least one ID"),
        ({"ids": ["é"]}, "ASCII"),
        ({"ids": ["a"], "deleteAll": True}, "No explicit IDs allowed when delete_all=true"),
        ({"filter": {"a": 1}, "deleteAll": True}, "No filter allowed when delete_all=true"),
        ({"filter": {}}, "Delete with empty metadata filter is not allowed"),
        ({"filter": []}, "Proto field is not repeating, cannot start list"),
        ({"filter": {"a": {"$foo": 1}}}, "not an operator"),
        ({"deleteAll": "yes"}, "boolean"),
        ({"ids": [str(number) for number in range(1_001)]}, "1001"),
    ],
)
def test_deletes_that_are_refused(wire: Wire, body: Any, words: str) -> None:
    wire.create().upsert({"id": "a"})
    assert words in wire.refused("/vectors/delete", body)
    assert wire.listed() == ["a"]


def test_a_thousand_ids(wire: Wire) -> None:
    wire.create().upsert({"id": "0"})
    ids = [str(number) for number in range(1_001)]
    assert wire.ask("GET", "/vectors/fetch", ids=ids[:1_000])["usage"] == {"readUnits": 1}
    assert "1001" in wire.send("GET", "/vectors/fetch", ids=ids).json()["message"]
    assert wire.ask("POST", "/vectors/delete", {"ids": ids[:1_000]}) == {}


def test_a_long_url(wire: Wire) -> None:
    wire.create()
    answer = wire.send("GET", "/vectors/fetch", ids=["x" * 500] * 40)
    assert answer.status_code == 414
    wire.fetched("x" * 500)
    assert wire.send("GET", "/vectors/fetch").status_code == 400


# -- queries


def test_the_answer_to_a_query(wire: Wire) -> None:
    wire.create()
    wire.upsert({"id": "a", "metadata": {"x": 1}}, {"id": "b", "values": [1, 1, 0]}, {"id": "c", "values": [-1, 0, 0]})
    plain = wire.send("POST", "/query", {"topK": 2, "vector": [2, 0, 0]})
    assert plain.json() == {
        "matches": [
            {"id": "a", "score": 1.0, "values": []},
            {"id": "b", "score": pytest.approx(0.5**0.5, rel=1e-15), "values": []},
        ],
        "namespace": "",
        "usage": {"readUnits": 1},
    }
    body = {"topK": 1, "vector": [2, 0, 0], "includeValues": True, "includeMetadata": True}
    assert wire.ask("POST", "/query", body)["matches"] == [
        {"id": "a", "score": 1.0, "values": [1.0, 0.0, 0.0], "metadata": {"x": 1.0}}
    ]


@pytest.mark.parametrize(
    ("metric", "scores"),
    [
        ("cosine", {"a": 1.0, "b": 0.6, "c": -1.0}),
        ("dotproduct", {"b": 6.0, "a": 2.0, "c": -2.0}),
        ("euclidean", {"a": 1.0, "c": 9.0, "b": 17.0}),
    ],
)
def test_scores(wire: Wire, metric: str, scores: dict[str, float]) -> None:
    wire.create(3, metric)
    wire.upsert({"id": "a"}, {"id": "b", "values": [3, 4, 0]}, {"id": "c", "values": [-1, 0, 0]})
    matches = wire.ask("POST", "/query", {"topK": 10, "vector": [2, 0, 0]})["matches"]
    assert [(one["id"], one["score"]) for one in matches] == [(name, pytest.approx(s)) for name, s in scores.items()]


def test_a_query_by_id(wire: Wire) -> None:
    wire.create()
    wire.upsert({"id": "a"}, {"id": "b", "values": [0, 1, 0]})
    assert [one["id"] for one in wire.ask("POST", "/query", {"topK": 5, "id": "b"})["matches"]] == ["b", "a"]
    assert wire.ask("POST", "/query", {"topK": 5, "id": "nowhere"})["matches"] == []
    assert wire.ask("POST", "/query", {"topK": 5, "id": "b", "filter": {"x": 1}})["matches"] == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"vector": [1, 0, 0]}, "topK"),
        ({"topK": 0, "vector": [1, 0, 0]}, "between 1 and 10000"),
        ({"topK": 10_001, "vector": [1, 0, 0]}, "between 1 and 10000"),
        ({"topK": "3", "vector": [1, 0, 0]}, "integer"),
        ({"topK": 3.0, "vector": [1, 0, 0]}, "integer"),
        ({"topK": True, "vector": [1, 0, 0]}, "integer"),
        ({"topK": 3}, "At least one of"),
        ({"topK": 3, "vector": [1, 0]}, "Vector dimension 2 does not match the dimension of the index 3"),
        ({"topK": 3, "vector": [1, 0, 1e60]}, "finite"),
        ({"topK": 3, "vector": [1, 0, 0], "id": "a"}, "at the same time"),
        ({"topK": 3, "sparseVector": {"indices": [1], "values": [1]}}, "does not support sparse values"),
        ({"topK": 3, "vector": [1, 0, 0], "filter": []}, "cannot start list"),
        ({"topK": 3, "vector": [1, 0, 0], "filter": {"$not": {}}}, r"$not"),
        ({"topK": 3, "vector": [1, 0, 0], "filter": {"a": None}}, "string, number or boolean"),
        ({"topK": 3, "vector": [1, 0, 0], "includeValues": 1}, "boolean"),
        ({"topK": 3, "vector": [1, 0, 0], "namespace": "é"}, "ASCII"),
        ({"topK": 3, "vector": [1, 0, 0], "namespace": "n" * 513}, "512"),
        ({"topK": 3, "vector": [1, 0, 0], "scanFactor": 2}, "dedicated"),
        ({"topK": 3, "vector": [1, 0, 0], "maxCandidates": 10}, "dedicated"),
    ],
)
def test_queries_that_are_refused(wire: Wire, body: Any, words: str) -> None:
    wire.create().upsert({"id": "a"})
    assert words in wire.refused("/query", body)


def test_tuning_of_dedicated_nodes(wire: Wire) -> None:
    wire.create().upsert({"id": "a"})
    wire.http.patch("/indexes/docs", json={"read_capacity": {"mode": "Dedicated"}})
    body = {"topK": 3, "vector": [1, 0, 0]}
    assert len(wire.ask("POST", "/query", body | {"scanFactor": 2.5, "maxCandidates": 100})["matches"]) == 1
    for tuning in ({"scanFactor": 5}, {"scanFactor": "x"}, {"maxCandidates": 2}, {"maxCandidates": 100_001}):
        wire.refused("/query", body | tuning)


def test_a_result_that_is_too_large(wire: Wire) -> None:
    wire.create()
    for start in range(0, 120, 40):
        wire.upsert(*({"id": f"r{n:03}", "metadata": {"k": "x" * 40_000}} for n in range(start, start + 40)))
    body = {"topK": 104, "vector": [1, 0, 0], "includeMetadata": True}
    assert len(wire.ask("POST", "/query", body)["matches"]) == 104
    assert "too large" in wire.refused("/query", body | {"topK": 105})
    assert len(wire.ids()) == 120


def test_sparse_indexes(wire: Wire) -> None:
    wire.create(None, sparse=True)
    wire.upsert({"id": "a", "values": [], "sparseValues": {"indices": [7, 3], "values": [0.5, 1]}})
    wire.upsert({"id": "b", "values": None, "sparseValues": {"indices": [4_294_967_295], "values": [2]}})
    assert wire.fetched("a")["a"] == {
        "id": "a",
        "values": [],
        "sparseValues": {"indices": [3, 7], "values": [1.0, 0.5]},
    }
    query = {"topK": 5, "sparseVector": {"indices": [3, 4_294_967_295], "values": [3, 0.5]}, "includeValues": True}
    matches = wire.ask("POST", "/query", query)["matches"]
    assert [(one["id"], one["score"]) for one in matches] == [("a", 3.0), ("b", 1.0)]
    assert matches[0]["sparseValues"] == {"indices": [3, 7], "values": [1.0, 0.5]}
    assert [one["id"] for one in wire.ask("POST", "/query", {"topK": 5, "id": "a"})["matches"]] == ["a"]
    assert "dimension" not in wire.ask("POST", "/describe_index_stats", {})
    assert "dense" in wire.refused("/query", {"topK": 1, "vector": [1]})
    assert "dense" in wire.refused("/vectors/upsert", {"vectors": [{"id": "a", "values": [1]}]})
    for sparse in (
        {"indices": [1], "values": []},
        {"indices": [], "values": []},
        {"indices": [1, 1], "values": [1, 1]},
        {"indices": [-1], "values": [1]},
        {"indices": [2**32], "values": [1]},
        {"indices": [1.0], "values": [1]},
        {"indices": [True], "values": [1]},
        {"indices": [1], "values": ["x"]},
        {"indices": list(range(2_049)), "values": [1] * 2_049},
        [],
    ):
        wire.refused("/vectors/upsert", {"vectors": [{"id": "x", "sparseValues": sparse}]})


def test_dense_and_sparse_together(wire: Wire) -> None:
    wire.create(3, "dotproduct", sparse=True)
    one = {"indices": [1], "values": [1]}
    wire.upsert({"id": "a"}, {"id": "b", "sparseValues": {"indices": [1], "values": [5]}})
    both = {"topK": 5, "vector": [1, 0, 0], "sparseVector": one}
    assert [(m["id"], m["score"]) for m in wire.ask("POST", "/query", both)["matches"]] == [("b", 6.0), ("a", 1.0)]
    alone = {"topK": 5, "sparseVector": one}
    assert [(m["id"], m["score"]) for m in wire.ask("POST", "/query", alone)["matches"]] == [("b", 5.0)]
    assert wire.ids() == ["a", "b"]
    wire.ask("POST", "/vectors/update", {"id": "a", "sparseValues": {"indices": [1], "values": [9]}})
    assert [m["id"] for m in wire.ask("POST", "/query", both)["matches"]] == ["a", "b"]


def test_sparse_values_need_the_dot_product(wire: Wire) -> None:
    wire.create(3, "cosine", sparse=True)
    one = {"indices": [1], "values": [1]}
    wire.upsert({"id": "a", "sparseValues": one})
    body = {"topK": 5, "vector": [1, 0, 0], "sparseVector": one}
    assert wire.refused("/query", body) == "Index configuration does not support sparse values"
    assert wire.ids() == ["a"]


def test_an_index_made_the_older_way_takes_sparse_values(wire: Wire) -> None:
    spec = {"serverless": {"cloud": "aws", "region": "us-east-1"}}
    wire.http.post("/indexes", json={"name": "docs", "dimension": 3, "metric": "dotproduct", "spec": spec})
    one = {"indices": [1], "values": [1]}
    wire.upsert({"id": "a", "sparseValues": one})
    assert (
        wire.ask("POST", "/query", {"topK": 1, "vector": [1, 0, 0], "sparseVector": one})["matches"][0]["score"] == 2.0
    )
    wire.refused("/query", {"topK": 1, "sparseVector": one})


# -- filters, over the wire


def test_filters_follow_writes(wire: Wire) -> None:
    wire.create()
    wire.upsert({"id": "a", "metadata": {"x": 1}}, {"id": "b", "metadata": {"x": 2}}, {"id": "c"})
    assert wire.ids({"x": 1}) == ["a"]
    assert wire.ids({"x": {"$ne": 1}}) == ["b", "c"]
    wire.ask("POST", "/vectors/update", {"id": "b", "setMetadata": {"x": 1}})
    assert wire.ids({"x": 1}) == ["a", "b"]
    wire.ask("POST", "/vectors/delete", {"ids": ["a"]})
    assert wire.ids({"x": 1}) == ["b"]
    assert wire.ids({}) == ["b", "c"]


def test_fetch_by_metadata(wire: Wire) -> None:
    wire.create()
    wire.upsert(*({"id": f"r{number:03}", "metadata": {"even": number % 2 == 0}} for number in range(250)))
    body = {"filter": {"even": True}}
    first = wire.ask("POST", "/vectors/fetch_by_metadata", body)
    assert list(first["vectors"]) == [f"r{number:03}" for number in range(0, 200, 2)]
    assert first["vectors"]["r000"] == {"id": "r000", "values": [1.0, 0.0, 0.0], "metadata": {"even": True}}
    assert first["usage"] == {"readUnits": 10}
    second = wire.ask("POST", "/vectors/fetch_by_metadata", body | {"paginationToken": first["pagination"]["next"]})
    assert list(second["vectors"]) == [f"r{number:03}" for number in range(200, 250, 2)]
    assert "pagination" not in second
    assert len(wire.ask("POST", "/vectors/fetch_by_metadata", body | {"limit": 10_000})["vectors"]) == 125
    for wrong in ({"filter": {}}, {}, {"filter": {"a": {"$x": 1}}}, body | {"limit": 0}, body | {"limit": 10_001}):
        wire.refused("/vectors/fetch_by_metadata", wrong)
    assert "Empty filter" in wire.refused("/vectors/fetch_by_metadata", {"filter": {}})
    wire.refused("/vectors/fetch_by_metadata", body | {"paginationToken": "?"})


# -- lists and namespaces


def test_lists_are_in_the_order_of_bytes(wire: Wire) -> None:
    wire.create()
    names = ["b", "a", "B", "a-1", "a/1", "~", " ", "a1", "10", "9"]
    wire.upsert(*({"id": name} for name in names))
    assert wire.listed() == sorted(names, key=str.encode)
    assert wire.ask("GET", "/vectors/list") == {
        "vectors": [{"id": name} for name in sorted(names)],
        "namespace": "",
        "usage": {"readUnits": 1},
    }


def test_pages(wire: Wire) -> None:
    wire.create()
    wire.upsert(*({"id": f"a{number:03}"} for number in range(205)), *({"id": f"b{number}"} for number in range(3)))
    pages, token = [], None
    while True:
        page = wire.ask("GET", "/vectors/list", prefix="a", **({"paginationToken": token} if token else {}))
        pages.append([one["id"] for one in page["vectors"]])
        if "pagination" not in page:
            break
        token = page["pagination"]["next"]
    assert [len(page) for page in pages] == [100, 100, 5]
    assert [name for page in pages for name in page] == [f"a{number:03}" for number in range(205)]
    assert len(wire.ask("GET", "/vectors/list", limit=7)["vectors"]) == 7
    assert "pagination" not in wire.ask("GET", "/vectors/list", limit=3, prefix="b")
    assert wire.ask("GET", "/vectors/list", prefix="zz")["vectors"] == []
    for wrong in ({"limit": 0}, {"limit": 101}, {"limit": "x"}, {"paginationToken": "?"}, {"prefix": "é"}):
        assert wire.send("GET", "/vectors/list", **wrong).status_code == 400


def test_namespaces_are_apart(wire: Wire) -> None:
    wire.create()
    wire.upsert({"id": "a", "metadata": {"x": 1}}, namespace="one")
    wire.upsert({"id": "a"}, {"id": "b"})
    assert wire.ids({"x": 1}) == []
    assert wire.ids(namespace="one") == ["a"]
    assert wire.ids(namespace="__default__") == wire.ids(namespace="") == ["a", "b"]
    assert wire.ask("POST", "/query", {"topK": 1, "vector": [1, 0, 0], "namespace": "one"})["namespace"] == "one"
    assert wire.ask("POST", "/describe_index_stats", {}) == {
        "namespaces": {"__default__": {"vectorCount": 2}, "one": {"vectorCount": 1}},
        "dimension": 3,
        "indexFullness": 0.0,
        "totalVectorCount": 3,
        "metric": "cosine",
        "vectorType": "dense",
        "memory_fullness": 0.0,
        "storage_fullness": 0.0,
    }
    assert "metadata filtering" in wire.refused("/describe_index_stats", {"filter": {"x": 1}})
    wire.ask("POST", "/describe_index_stats", {"filter": {}})
    assert wire.send("POST", "/describe_index_stats").status_code == 200


def test_an_unknown_namespace_is_empty_for_reads_and_unknown_for_deletes(wire: Wire) -> None:
    wire.create()
    assert wire.ids(namespace="nowhere") == []
    assert wire.fetched("a", namespace="nowhere") == {}
    assert wire.listed("nowhere") == []
    assert wire.ask("POST", "/vectors/fetch_by_metadata", {"filter": {"a": 1}, "namespace": "nowhere"})["vectors"] == {}
    for body in ({"ids": ["a"]}, {"deleteAll": True}, {"filter": {"a": 1}}):
        assert wire.refused("/vectors/delete", body | {"namespace": "nowhere"}, 404, 5) == "Namespace not found"
        assert wire.ask("POST", "/vectors/delete", body) == {}
    assert wire.send("GET", "/namespaces/nowhere").status_code == 404
    assert wire.send("DELETE", "/namespaces/nowhere").status_code == 404
    assert wire.counts() == {"__default__": 0} or wire.counts() == {}


def test_namespaces_by_themselves(wire: Wire) -> None:
    wire.create()
    assert wire.ask("GET", "/namespaces/__default__")["record_count"] == "0"
    assert wire.ask("GET", "/namespaces") == {"namespaces": [], "total_count": 0}
    schema = {"fields": {"genre": {"filterable": True}}}
    made = wire.ask("POST", "/namespaces", {"name": "films/é".encode("ascii", "ignore").decode(), "schema": schema})
    assert made == {
        "name": "films/",
        "record_count": "0",
        "size_bytes": "0",
        "schema": schema,
        "indexed_fields": {"fields": ["genre"]},
    }
    assert wire.ask("GET", "/namespaces/films%2F") == made
    wire.upsert({"id": "a"}, {"id": "b"}, namespace="films/")
    assert wire.ask("GET", "/namespaces/films%2F")["record_count"] == "2"
    assert "already exists" in wire.refused("/namespaces", {"name": "films/"}, 409, 6)
    assert "reserved" in wire.refused("/namespaces", {"name": "__default__"})
    assert "reserved" in wire.refused("/namespaces", {})
    wire.refused("/namespaces", {"name": "é"})
    assert "filterable" in wire.refused(
        "/namespaces", {"name": "x", "schema": {"fields": {"a": {"filterable": False}}}}
    )
    assert wire.ask("DELETE", "/namespaces/films%2F") == {}
    assert wire.send("GET", "/namespaces/films%2F").status_code == 404
    assert wire.ids(namespace="films/") == []
    wire.upsert({"id": "c"}, namespace="films/")
    assert wire.listed("films/") == ["c"]
    assert "schema" not in wire.ask("GET", "/namespaces/films%2F")


def test_pages_of_namespaces(wire: Wire) -> None:
    wire.create()
    for number in range(5):
        wire.upsert({"id": "a"}, namespace=f"n{number}")
    wire.upsert({"id": "a"}, namespace="other")
    first = wire.ask("GET", "/namespaces", limit=3, prefix="n")
    assert [one["name"] for one in first["namespaces"]] == ["n0", "n1", "n2"]
    assert first["total_count"] == 5
    second = wire.ask("GET", "/namespaces", prefix="n", paginationToken=first["pagination"]["next"])
    assert [one["name"] for one in second["namespaces"]] == ["n3", "n4"]
    assert "pagination" not in second
    assert wire.send("GET", "/namespaces", limit=101).status_code == 400


def test_a_new_index_of_the_same_name_is_empty(wire: Wire) -> None:
    wire.create().upsert({"id": "a"})
    wire.http.delete("/indexes/docs")
    wire.create()
    assert wire.listed() == []
    assert wire.upsert({"id": "a"}).headers["x-pinecone-request-lsn"] == "1"
