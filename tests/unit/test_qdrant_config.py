"""What the Qdrant provider takes of a config, before anything is connected."""

from __future__ import annotations

from typing import Any

import pytest

from ia_modules.vector_stores import ConnectionError, QdrantVectorStore, UnsupportedOperationError, VectorStoreConfig
from ia_modules.vector_stores.filters import normalize
from ia_modules.vector_stores.filters.nodes import Condition
from ia_modules.vector_stores.providers import packages
from ia_modules.vector_stores.providers.qdrant.filtering import Filters, needs
from ia_modules.vector_stores.providers.qdrant.protobuf import GrpcBackend, _vectors_head
from ia_modules.vector_stores.providers.qdrant.remote import parts
from ia_modules.vector_stores.providers.qdrant.rest import RestBackend


def config(**given: Any) -> VectorStoreConfig:
    return VectorStoreConfig(**({"provider": "qdrant", "index_name": "i"} | given))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"host": "h", "path": "p"}, "either a server .* or a folder"),
        ({"port": 6333}, "a port without a host"),
        ({"options": {"grpc": True}}, "unknown options for qdrant: grpc"),
        ({"host": "h", "options": {"gprc": True}}, "unknown options for qdrant: gprc"),
        ({"index_name": "/" * 100}, "at most 255 bytes"),
        ({"options": {"search_params": {"hnsw_eff": 3}}}, "search_params is a dict with some of .*hnsw_ef"),
        ({"options": {"search_params": [3]}}, "search_params is a dict"),
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        QdrantVectorStore(config(**given))


def test_where_it_runs() -> None:
    assert QdrantVectorStore(config()).capabilities.exact_search
    remote = QdrantVectorStore(config(host="h"))
    assert isinstance(remote._backend, RestBackend)
    assert remote.capabilities.shared_by_processes
    assert isinstance(QdrantVectorStore(config(host="h", options={"grpc": True}))._backend, GrpcBackend)


@pytest.mark.parametrize(
    ("given", "url", "headers"),
    [
        ({"host": "h"}, "http://h:6333", {}),
        ({"host": "https://h:443"}, "https://h:443", {}),
        ({"host": "h", "port": 1, "options": {"prefix": "q"}}, "http://h:1/q", {}),
        ({"host": "h", "api_key": "secret"}, "https://h:6333", {"api-key": "secret"}),
        ({"host": "h", "api_key": "secret", "tls": False}, "http://h:6333", {"api-key": "secret"}),
        ({"host": "h", "options": {"headers": {"X-One": "1"}}}, "http://h:6333", {"x-one": "1"}),
    ],
)
async def test_where_it_connects(given: dict[str, Any], url: str, headers: dict[str, str]) -> None:
    pytest.importorskip("qdrant_client")
    client = RestBackend(config(**given))._make_client()
    try:
        sent = client._client._rest_args["headers"]
        assert client._client.rest_uri == url
        assert {name: sent[name] for name in headers} == headers
        assert sent["accept-encoding"] == "identity"
    finally:
        await client.close()


async def test_a_client_that_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "version", lambda _: "1.19.0")
    for where in ({}, {"host": "127.0.0.1"}):
        with pytest.raises(UnsupportedOperationError, match=r"1\.19\.0 is too old; pip install --upgrade"):
            await QdrantVectorStore(config(**where)).connect()


async def test_a_server_that_is_not_there() -> None:
    for options in ({}, {"grpc": True, "grpc_port": 1}):
        store = QdrantVectorStore(config(host="127.0.0.1", port=1, max_retries=0, timeout=5, options=options))
        with pytest.raises(ConnectionError, match="can't be reached"):
            await store.count()
        await store.disconnect()


def test_a_request_is_cut_before_it_gets_too_large() -> None:
    mega = 2**20
    assert list(parts([{}] * 10, 4)) == [(slice(0, 10), 40)]
    assert list(parts([{}] * 5, 12 * mega)) == [
        (slice(0, 2), 24 * mega),
        (slice(2, 4), 24 * mega),
        (slice(4, 5), 12 * mega),
    ]
    texts = [{"_ia_text": "x" * length} for length in (10 * mega, 10 * mega, 30 * mega, 1, 2)]
    assert [rows for rows, _ in parts(texts, 1)] == [slice(0, 2), slice(2, 3), slice(3, 5)]
    assert list(parts([], 4)) == []


def test_vectors_are_laid_out_as_protobuf_has_them() -> None:
    grpc = pytest.importorskip("qdrant_client").grpc
    for dimension in (1, 3, 31, 32, 384, 5000):
        numbers = [0.5 * i for i in range(dimension)]
        expected = grpc.Vectors(vector=grpc.Vector(dense=grpc.DenseVector(data=numbers)))
        assert expected.SerializeToString().startswith(_vectors_head(dimension))


# Filters


def test_a_filter_always_has_the_namespace() -> None:
    for remote in (True, False):
        for exact in (True, False):
            for node in (
                Condition("a", "eq", 1),
                Condition("a", "eq", "x") | Condition("b", "gt", 2),
                ~Condition("a", "exists", True),
                Condition('quo"te', "eq", 1),
                normalize(None),
            ):
                prepared = Filters(remote=remote).of(normalize(node), "t", exact=exact)
                for native in (prepared.native, *(prepared.split or ())):
                    assert {"key": "_ia_ns", "match": {"value": "/t"}} in native.json["must"]


def test_filters_are_remembered_by_namespace_and_form() -> None:
    filters = Filters(remote=True)
    node = normalize(Condition("a", "eq", 1))
    assert filters.of(node, "x") is filters.of(node, "x")
    assert filters.of(node, "x") is not filters.of(node, "y")
    assert filters.of(node, "x") is not filters.of(node, "x", exact=True)
    assert filters.of(node, "x") is not filters.of(normalize(Condition("a", "eq", True)), "x")
    for i in range(300):
        filters.of(normalize(Condition("a", "eq", i)), "x")
    assert len(filters._known) == 256


def test_what_a_filter_looks_at() -> None:
    node = (
        Condition("lang", "in", ["en", "de"])
        & Condition("year", "gte", 2020)
        & (Condition("on", "eq", True) | ~Condition("lang", "eq", "fr"))
        & Condition("a.b", "exists", True)
    )
    native = Filters(remote=False).of(normalize(node), "").native.json
    assert {path: "|".join(sorted(kinds)) for path, kinds in needs(native).items()} == {
        "_ia_ns": "keyword",
        "lang": "keyword",
        "year": "float",
        "on": "bool",
        '"a.b"': "any",
        "a.b": "any",
        '"_ia_empty:a.b"': "keyword",
        '"_ia_empty:a"': "keyword",
    }


def test_a_field_may_be_compared_in_several_ways() -> None:
    text = "550E8400-E29B-41D4-A716-446655440000"
    node = Condition("a", "in", ["x", text, True, 2]) | Condition("a", "gt", "2024-01-01")
    native = Filters(remote=False).of(normalize(node), "").native.json
    assert needs(native)["a"] == {"keyword", "uuid", "bool", "float", "datetime", "any"}
