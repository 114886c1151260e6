"""What the Pinecone provider takes of a config and of ``create_index``, before anything is connected."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ia_modules.vector_stores import (
    AuthenticationError,
    DistanceMetric,
    PineconeVectorStore,
    UnsupportedOperationError,
    VectorStoreConfig,
)
from ia_modules.vector_stores.providers import packages
from ia_modules.vector_stores.providers.pinecone.connection import Connection
from ia_modules.vector_stores.providers.pinecone.options import index_arguments, index_info
from ia_modules.vector_stores.requests import IndexInfo

INFO = IndexInfo(3, DistanceMetric.COSINE)
DENSE = {"_values": {"type": "dense_vector", "dimension": 3, "metric": "cosine"}}
MANAGED = {"deployment_type": "managed", "cloud": "aws", "region": "us-east-1"}


def config(**given: Any) -> VectorStoreConfig:
    return VectorStoreConfig(**({"provider": "pinecone", "index_name": "i"} | given))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"path": "folder"}, "it has no embedded form"),
        ({"options": {"grpc": True}}, "unknown options for pinecone: grpc"),
        ({"options": {"freshness_wait": -1}}, "freshness_wait is a number of seconds"),
        ({"options": {"freshness_wait": True}}, "freshness_wait is a number of seconds"),
        ({"options": {"count_deletes": 1}}, "count_deletes is True or False"),
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PineconeVectorStore(config(**given))


@pytest.mark.parametrize(
    ("given", "host"),
    [
        ({}, None),
        ({"host": "127.0.0.1", "port": 5080}, "http://127.0.0.1:5080"),
        ({"host": "127.0.0.1", "port": 5080, "api_key": "k"}, "http://127.0.0.1:5080"),
        ({"host": "localhost", "api_key": "k"}, "http://localhost"),
        ({"host": "http://[::1]:5080", "api_key": "k"}, "http://[::1]:5080"),
        ({"host": "proxy.example.org", "api_key": "k"}, "https://proxy.example.org"),
        ({"host": "proxy.example.org", "api_key": "k", "tls": False}, "http://proxy.example.org"),
        ({"host": "https://127.0.0.1:1"}, "https://127.0.0.1:1"),
    ],
)
def test_where_it_connects(given: dict[str, Any], host: str | None) -> None:
    assert Connection(config(**given), "i")._control_host() == host


async def test_pinecone_s_cloud_needs_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pinecone")
    monkeypatch.delenv("PINECONE_API_KEY", raising=False)
    with pytest.raises(AuthenticationError, match="IA_VECTORS_API_KEY"):
        await PineconeVectorStore(config()).connect()


async def test_an_old_client_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pinecone")
    monkeypatch.setattr(packages, "version", lambda _: "9.1.0")
    with pytest.raises(UnsupportedOperationError, match=r"pinecone 9.1.0 is too old; pip install --upgrade"):
        await PineconeVectorStore(config(api_key="key")).connect()


@pytest.mark.parametrize("counting", [True, False])
def test_whether_deletes_are_counted_is_declared(counting: bool) -> None:
    store = PineconeVectorStore(config(options={"count_deletes": counting}))
    assert store.capabilities.deletes_counted is counting


# create_index


@pytest.mark.parametrize(
    ("options", "deployment"),
    [
        ({}, MANAGED),
        ({"cloud": "gcp", "region": "europe-west4"}, MANAGED | {"cloud": "gcp", "region": "europe-west4"}),
        ({"environment": "aws-x-1"}, {"deployment_type": "byoc", "environment": "aws-x-1"}),
        (
            {"environment": "us-east1-gcp", "pod_type": "p1.x2", "replicas": 2},
            {
                "deployment_type": "pod",
                "environment": "us-east1-gcp",
                "pod_type": "p1.x2",
                "replicas": 2,
                "shards": 1,
            },
        ),
        ({"deployment": {"deployment_type": "managed"}}, {"deployment_type": "managed"}),
    ],
)
def test_where_the_index_runs(options: dict[str, Any], deployment: dict[str, Any]) -> None:
    assert index_arguments(INFO, options) == {"schema": {"fields": DENSE}, "deployment": deployment}


def test_the_other_options() -> None:
    info = IndexInfo(3, DistanceMetric.DOT_PRODUCT, "acme/model-1")
    dotproduct = DENSE["_values"] | {"metric": "dotproduct"}
    options = {"sparse": True, "deletion_protection": True, "tags": {"team": "a"}, "spec": {"serverless": {}}}
    assert index_arguments(info, options) == {
        "schema": {"fields": {"_values": dotproduct, "_sparse_values": {"type": "sparse_vector"}}},
        "spec": {"serverless": {}},
        "deletion_protection": "enabled",
        "tags": {"team": "a", "ia_embedding_model": "acme/model-1"},
    }
    assert index_arguments(INFO, {"deletion_protection": False})["deletion_protection"] == "disabled"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clowd": "aws"}, "no option clowd; known: cloud"),
        ({"sparse": True}, "under dot_product only"),
        ({"sparse": 1}, "sparse is True or False"),
        ({"replicas": 2}, "pods need an environment"),
        ({"environment": "e", "cloud": "aws"}, "exclude each other"),
        ({"spec": {}, "region": "r"}, "region can't be combined"),
        ({"deletion_protection": "on"}, "deletion_protection is True or False"),
        ({"tags": ["a"]}, "tags is a dict"),
        ({"tags": {"a": 1}}, "tags is a dict"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UnsupportedOperationError, match=message):
        index_arguments(INFO, options)


@pytest.mark.parametrize("model", ["x" * 121, "modèle", "a\tb"])
def test_a_model_s_name_that_does_not_fit_into_a_tag_is_refused(model: str) -> None:
    with pytest.raises(UnsupportedOperationError, match="120 printable ASCII"):
        index_arguments(IndexInfo(3, DistanceMetric.COSINE, model), {})


# Indexes that are there


def described(tags: Any = None, **fields: Any) -> Any:
    return SimpleNamespace(schema=SimpleNamespace(fields=fields), tags=tags)


def dense(metric: str = "cosine") -> Any:
    return SimpleNamespace(dimension=3, metric=metric)


def test_an_index_of_dense_vectors() -> None:
    assert index_info("i", described(_values=dense())) == INFO
    with_sparse = described({"ia_embedding_model": "m"}, _values=dense("dotproduct"), _sparse_values=SimpleNamespace())
    assert index_info("i", with_sparse) == IndexInfo(3, DistanceMetric.DOT_PRODUCT, "m")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (described(_sparse_values=SimpleNamespace()), "sparse vectors only"),
        (described(body=SimpleNamespace(), embedding=dense()), r"a document index \(fields body, embedding\)"),
        (described(_values=dense(), body=SimpleNamespace()), "a document index"),
        (described(), r"fields none"),
        (described(text=type("SemanticTextField", (), {})()), "integrated embedding"),
        (described(_values=dense("hamming")), "metric 'hamming', which is not known"),
    ],
)
def test_an_index_of_another_kind_is_refused_by_name(model: Any, message: str) -> None:
    with pytest.raises(UnsupportedOperationError, match=f"index 'i' (is|has the).*{message}|{message}"):
        index_info("i", model)
