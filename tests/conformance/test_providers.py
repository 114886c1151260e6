"""The conformance kit on every provider that can run here."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

import pytest

from conftest import QDRANT_URL, WEAVIATE_URL, qdrant_server, weaviate_server
from ia_modules.vector_stores import VectorStoreConfig
from ia_modules.vector_stores.providers.chroma.layout import collection_name
from ia_modules.vector_stores.providers.pinecone.layout import namespace_name, record_id
from ia_modules.vector_stores.providers.qdrant.layout import namespace_value, point_id
from ia_modules.vector_stores.providers.weaviate.layout import mark, tenant_name
from ia_modules.vector_stores.testing import ConformanceTarget
from ia_modules.vector_stores.testing.suite import *  # noqa: F403 - as any provider's author does it

pytestmark = pytest.mark.timeout(1800)


def chroma_names(index: str, namespace: str) -> Iterable[str]:
    """Collection names, whole and in parts."""
    name = collection_name(index, namespace)
    return [name, name.partition(".")[2], f".{name.partition('.')[2]}", f"x.{name.partition('.')[2]}"]


def qdrant_names(index: str, namespace: str) -> Iterable[str]:
    """The namespace as it lies in the payload, and what a filter or an id could be mistaken for."""
    value = namespace_value(namespace)
    return [value, f"/{value}", point_id(namespace, "a"), f'_ia_ns = "{value}"']


def weaviate_names(index: str, namespace: str) -> Iterable[str]:
    """The namespace as a tenant, and what a filter could be mistaken for."""
    tenant = tenant_name(namespace)
    return [tenant, f"_u{tenant}", tenant.upper(), mark("_ia_ns", namespace, element=False)]


def pinecone_names(index: str, namespace: str) -> Iterable[str]:
    """The namespace as Pinecone has it, and what a record, a field or a filter could be mistaken for."""
    name = namespace_name(namespace)
    return [name, f"ia--{name}", record_id(name), namespace_name(name), f'{{"~t": "{name}"}}']


# How much is generated for all but memory in the usual run, which is to end within minutes on two cores. It is ten
# times as much in `make conformance-long`, and servers that the environment names have all of it.
SCALE = 0.05

PARAMS = ["memory", "chroma-folder", "chroma-server", "qdrant-memory", "qdrant-folder", "weaviate-double"]
PARAMS += ["pinecone-emulator"]
LIVE = ["qdrant-server", "qdrant-grpc"] if QDRANT_URL else []
LIVE += ["weaviate-server"] if WEAVIATE_URL else []
PARAMS += LIVE


@pytest.fixture(params=PARAMS)
def conformance_target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ConformanceTarget:
    target = target_named(request, tmp_path_factory)
    return dataclasses.replace(target, scale=1.0 if request.param in [*LIVE, "memory"] else SCALE)


def target_named(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ConformanceTarget:
    if request.param == "memory":
        return ConformanceTarget(VectorStoreConfig(provider="memory", path="kit", index_name="kit"))
    if request.param.startswith("pinecone-"):
        emulator = request.getfixturevalue("pinecone_server")
        config = VectorStoreConfig(provider="pinecone", host=emulator.url, index_name="kit")
        return ConformanceTarget(config, crafted=pinecone_names)
    if request.param.startswith("weaviate-"):
        where = weaviate_server() if request.param == "weaviate-server" else request.getfixturevalue("weaviate_double")
        return ConformanceTarget(VectorStoreConfig(**where, index_name="kit"), crafted=weaviate_names)
    if request.param.startswith("qdrant-"):
        if request.param == "qdrant-memory":
            config = VectorStoreConfig(provider="qdrant", path=":memory:kit", index_name="kit")
        elif request.param == "qdrant-folder":
            folder = tmp_path_factory.getbasetemp() / "conformance-qdrant"
            config = VectorStoreConfig(provider="qdrant", path=str(folder), index_name="kit")
        else:
            config = VectorStoreConfig(**qdrant_server(request.param), index_name="kit")
        return ConformanceTarget(config, crafted=qdrant_names)
    if request.param == "chroma-folder":
        folder = tmp_path_factory.getbasetemp() / "conformance-chroma"
        config = VectorStoreConfig(provider="chroma", path=str(folder), index_name="kit")
    else:
        host, _, port = request.getfixturevalue("chroma_server").partition(":")
        config = VectorStoreConfig(provider="chroma", host=host, port=int(port), index_name="kit")
    assert Path.cwd() not in Path(config.path or "/").parents
    return ConformanceTarget(config, crafted=chroma_names)
