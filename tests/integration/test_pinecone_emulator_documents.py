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
from ia_modules.vector_stores.emulator.pinecone import PineconeEmulator, serving

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
    first = ask(wire, "fetch", {"filter": {"n": 0}, "limit": 120, "include_fields": []})
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
        ("search", by_vector(1), 400, "dimension 1 does not match"),
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
        ("update", {}, 400, "Exactly one of documents or filter"),
        ("update", {"documents": [{"_id": "a"}]}, 400, "changes nothing"),
        ("update", {"documents": [{"_id": "a", "n": 1, "_remove_fields": ["n"]}]}, 400, "set and removed"),
        ("update", {"filter": {"n": 1}}, 400, "set_fields or remove_fields"),
        ("update", {"filter": {"n": 1}, "remove_fields": ["words"]}, 501, "does not remove vector fields"),
        ("delete", {"ids": ["a"], "delete_all": True}, 400, "Exactly one of"),
        ("delete", {"delete_all": True}, 404, "Namespace not found"),
        ("list", {"limit": 101}, 400, "between 1 and 100"),
    ],
)
def test_what_is_refused(wire: Wire, verb: str, body: dict[str, Any], status: int, message: str) -> None:
    error = ask(wire, verb, body, status)
    assert set(error) == {"status", "error"}
    assert error["status"] == status
    assert set(error["error"]) == {"code", "message"}
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(error["error"]["message"])


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
        ask(wire, "update", {"documents": [{"_id": "a", "n": 3, "_remove_fields": ["old"]}]}, 202)
        before = ask(wire, "fetch", {"ids": ["a", "b"]})
    with serving(folder=tmp_path) as emulator, Wire(emulator) as wire:
        assert ask(wire, "fetch", {"ids": ["a", "b"]}) == before
        assert before["documents"]["a"] == {"_id": "a", "embedding": [1.0, 0.0], "n": 3.0}
        assert found(ask(wire, "search", by_words([1], [1.0]))) == ["b"]


# Random programs

IDS = st.sampled_from(["a", "b", "c", "d"])
VECTORS = st.sampled_from([(1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (-1.0, 0.5)])
STEPS = st.one_of(
    st.tuples(st.just("upsert"), IDS, VECTORS, st.integers(0, 3)),
    st.tuples(st.just("update"), IDS, st.integers(0, 3), st.booleans()),
    st.tuples(st.just("delete"), IDS),
    st.tuples(st.just("delete_where"), st.integers(0, 3)),
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
                case ("delete_where", n):
                    gone = [name for name, one in model.items() if one.get("n") == n]
                    assert ask(wire, "delete", {"filter": {"n": n}}, 202) == {"matched_records": len(gone)}
                    for name in gone:
                        del model[name]
        assert ask(wire, "fetch", {"ids": ["a", "b", "c", "d"]})["documents"] == model
        assert [one["_id"] for one in ask(wire, "list", {})["documents"]] == sorted(model)
        query = np.array([1.0, 0.25])
        vectors = {name: np.array(one["embedding"]) for name, one in model.items()}
        scores = {
            name: -float(v @ query) / float(np.linalg.norm(v) * np.linalg.norm(query)) for name, v in vectors.items()
        }
        matches = found(ask(wire, "search", by_vector(*query.tolist())))
        assert matches == sorted(scores, key=lambda name: (round(scores[name], 9), name))


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

    async def program() -> list[str]:
        async with pinecone.AsyncPinecone(host=server.url, api_key="any") as client:
            await client.indexes.create(name="docs", schema={"fields": FIELDS})
            async with await client.index(name="docs") as index:
                await index.documents.upsert(namespace="n", documents=[doc("a", 1, 0), doc("b", 1, 1)])
                clause = {"type": "dense_vector", "field": "embedding", "values": [1.0, 1.0]}
                answer = await index.documents.search(namespace="n", score_by=[clause], top_k=2)
                return [one.id for one in answer.matches]

    assert asyncio.run(program()) == ["b", "a"]
