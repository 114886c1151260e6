"""The conformance kit on every provider that can run here."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from ia_modules.vector_stores import VectorStoreConfig
from ia_modules.vector_stores.providers.chroma.layout import collection_name
from ia_modules.vector_stores.testing import ConformanceTarget
from ia_modules.vector_stores.testing.suite import *  # noqa: F403 - as any provider's author does it

pytestmark = pytest.mark.timeout(1800)


def chroma_names(index: str, namespace: str) -> Iterable[str]:
    """Collection names, whole and in parts."""
    name = collection_name(index, namespace)
    return [name, name.partition(".")[2], f".{name.partition('.')[2]}", f"x.{name.partition('.')[2]}"]


@pytest.fixture(params=["memory", "chroma-folder", "chroma-server"])
def conformance_target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ConformanceTarget:
    if request.param == "memory":
        return ConformanceTarget(VectorStoreConfig(provider="memory", path="kit", index_name="kit"))
    if request.param == "chroma-folder":
        folder = tmp_path_factory.getbasetemp() / "conformance-chroma"
        config = VectorStoreConfig(provider="chroma", path=str(folder), index_name="kit")
    else:
        host, _, port = request.getfixturevalue("chroma_server").partition(":")
        config = VectorStoreConfig(provider="chroma", host=host, port=int(port), index_name="kit")
    assert Path.cwd() not in Path(config.path or "/").parents
    return ConformanceTarget(config, crafted=chroma_names)
