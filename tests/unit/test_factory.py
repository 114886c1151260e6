"""Stores by name: built in, registered, or brought by an installed package."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from fakes import FakeStore
from ia_modules.vector_stores import (
    AuthenticationError,
    ChromaVectorStore,
    DistanceMetric,
    IndexAlreadyExistsError,
    IndexMismatchError,
    MemoryVectorStore,
    VectorStoreConfig,
    create_vector_store,
    factory,
    known_providers,
    register_provider,
)
from ia_modules.vector_stores.factory import provider_class
from processes import run_python


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(factory, "_registered", {})
    yield
    sys.modules.pop("some_provider", None)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[EntryPoint]:
    """Entry points of installed packages."""
    points: list[EntryPoint] = []

    def entry_points(*, group: str, name: str | None = None) -> list[EntryPoint]:
        return [point for point in points if point.group == group and name in (None, point.name)]

    monkeypatch.setattr(factory, "entry_points", entry_points)
    return points


# Names


@pytest.mark.parametrize("source", [{"provider": "chrome"}, "chrome", "chrome://h:1/i", "chrome:///i"])
async def test_an_unknown_provider_is_told_the_known_ones(source: Any) -> None:
    given = {"index_name": "i", **source} if isinstance(source, dict) else {}
    with pytest.raises(
        ValueError, match=r"unknown provider 'chrome'; known: .*chroma, memory, .*pinecone, .*qdrant, .*weaviate"
    ):
        await create_vector_store(*[] if given else [source], **given)


async def test_no_provider_is_told_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"no provider given; known: .*chroma"):
        await create_vector_store(index_name="i")


def test_the_built_in_ones() -> None:
    assert known_providers() == ["chroma", "memory", "pinecone", "qdrant", "weaviate"]
    assert provider_class("chroma") is ChromaVectorStore
    assert provider_class("memory") is MemoryVectorStore


@pytest.mark.parametrize("target", [FakeStore, "fakes:FakeStore"])
async def test_a_registered_provider(target: Any) -> None:
    register_provider("fake", target)
    assert known_providers() == ["chroma", "fake", "memory", "pinecone", "qdrant", "weaviate"]
    store = await create_vector_store(provider="fake", index_name="i")
    assert type(store) is FakeStore
    assert store.calls == ["open"]


def test_a_name_is_given_once() -> None:
    register_provider("fake", "fakes:FakeStore")
    register_provider("fake", "fakes:FakeStore")
    for name, target in (("fake", MemoryVectorStore), ("chroma", FakeStore)):
        with pytest.raises(ValueError, match=f"'{name}' is registered already"):
            register_provider(name, target)
    assert provider_class("fake") is FakeStore


@pytest.mark.parametrize("name", ["", "Fake"])
def test_a_name_is_lower_case(name: str) -> None:
    with pytest.raises(ValueError, match="lower case"):
        register_provider(name, FakeStore)


@pytest.mark.parametrize("target", ["fakes", "fakes:", ":FakeStore"])
def test_a_target_has_module_and_class(target: str) -> None:
    with pytest.raises(ValueError, match="module:Class"):
        register_provider("fake", target)


@pytest.mark.parametrize("target", ["fakes:dataclasses", "builtins:dict"])
def test_a_target_is_a_store(target: str) -> None:
    register_provider("fake", target)
    with pytest.raises(ValueError, match="not a VectorStoreBase"):
        provider_class("fake")


async def test_an_installed_package_brings_a_provider(installed: list[EntryPoint]) -> None:
    installed.append(EntryPoint("brought", "fakes:FakeStore", factory.ENTRY_POINT_GROUP))
    installed.append(EntryPoint("other", "fakes:FakeStore", "another.group"))
    assert known_providers() == ["brought", "chroma", "memory", "pinecone", "qdrant", "weaviate"]
    assert type(await create_vector_store("brought:///i")) is FakeStore
    with pytest.raises(ValueError, match="known: brought, chroma, memory"):
        provider_class("other")


def test_two_packages_with_one_name_are_not_chosen_from(installed: list[EntryPoint]) -> None:
    point = EntryPoint("brought", "fakes:FakeStore", factory.ENTRY_POINT_GROUP)
    installed += [point, point]  # one package seen twice on the path is no conflict
    assert provider_class("brought") is FakeStore
    installed.append(EntryPoint("brought", "else:Store", factory.ENTRY_POINT_GROUP))
    with pytest.raises(ValueError, match="else:Store, fakes:FakeStore"):
        provider_class("brought")


def test_an_installed_package_can_not_take_a_built_in_name(installed: list[EntryPoint]) -> None:
    installed.append(EntryPoint("chroma", "fakes:FakeStore", factory.ENTRY_POINT_GROUP))
    assert provider_class("chroma") is ChromaVectorStore


def test_a_name_with_an_underscore_works_in_urls() -> None:
    config = VectorStoreConfig.from_url("my_store://h:1/i")
    assert (config.provider, config.host, config.port, config.index_name) == ("my_store", "h", 1, "i")


# Forms


FULL = {"provider": "memory", "index_name": "i", "dimension": 3, "metric": "euclidean"}


async def test_url_config_and_keywords_mean_the_same() -> None:
    config = VectorStoreConfig(**FULL)
    stores = [
        await create_vector_store(**FULL),
        await create_vector_store(config),
        await create_vector_store("memory:///i?dimension=3&metric=euclidean"),
        await create_vector_store("MEMORY:///i", dimension=3, metric="euclidean"),
        await create_vector_store("memory", index_name="i", dimension=3, metric="euclidean"),
    ]
    assert [store.config for store in stores] == [config] * 5
    assert {type(store) for store in stores} == {MemoryVectorStore}


async def test_keywords_win() -> None:
    assert (await create_vector_store("memory:///i?dimension=3", dimension=4)).config.dimension == 4
    config = VectorStoreConfig(**FULL)
    store = await create_vector_store(config, dimension=4)
    assert store.config == config.model_copy(update={"dimension": 4})
    assert "timeout" not in store.config.model_fields_set


async def test_a_misspelt_setting_is_refused() -> None:
    with pytest.raises(ValueError, match="dimensions"):
        await create_vector_store(provider="memory", index_name="i", dimensions=3)


# Creating


async def test_nothing_is_created_unless_asked() -> None:
    register_provider("fake", FakeStore)
    store = await create_vector_store("fake:///i?dimension=3")
    assert store.calls == ["open"]  # type: ignore[attr-defined]


async def test_create_if_missing() -> None:
    register_provider("fake", FakeStore)
    store = await create_vector_store(
        "fake:///i?dimension=3&metric=euclidean&embedding_model=m", create_if_missing=True
    )
    info = store.info  # type: ignore[attr-defined]
    assert (info.dimension, info.metric, info.embedding_model) == (3, DistanceMetric.EUCLIDEAN, "m")


async def test_create_if_missing_leaves_an_index_alone() -> None:
    first = await create_vector_store("memory://shared-by-factory/i?dimension=3", create_if_missing=True)
    second = await create_vector_store("memory://shared-by-factory/i?dimension=4", create_if_missing=True)
    assert (await first.get_stats()).dimension == 3
    with pytest.raises(IndexMismatchError, match="3 dimensions"):
        await second.get_stats()


async def test_create_if_missing_needs_a_dimension() -> None:
    with pytest.raises(ValueError, match="dimension"):
        await create_vector_store("memory:///i", create_if_missing=True)


async def test_two_may_create_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class Late(FakeStore):
        async def _create_index(self, info: Any, options: dict[str, Any]) -> None:
            self.info = info  # somebody else was faster
            await super()._create_index(info, options)

    register_provider("fake", Late)
    store = await create_vector_store("fake:///i?dimension=3", create_if_missing=True)
    assert await store.count() == 0
    with pytest.raises(IndexAlreadyExistsError):
        await store.create_index(3)


async def test_a_store_that_can_not_create_is_closed_again() -> None:
    made: list[FakeStore] = []

    class Failing(FakeStore):
        def __init__(self, config: VectorStoreConfig) -> None:
            super().__init__(config)
            self.failures["load_index"] = [AuthenticationError("no")]
            made.append(self)

    register_provider("fake", Failing)
    with pytest.raises(AuthenticationError):
        await create_vector_store("fake:///i?dimension=3", create_if_missing=True)
    assert made[0].calls == ["open", "load_index", "close"]


# A client that is not installed


BLOCKED = """
import asyncio, sys
sys.modules[sys.argv[1]] = None
from ia_modules.vector_stores import MissingDependencyError, create_vector_store

try:
    asyncio.run(create_vector_store(sys.argv[2]))
except MissingDependencyError as error:
    assert isinstance(error, ImportError)
    assert not error.retryable
    assert error.__cause__ is not None
    print(error.package, error.extra, error)
"""


@pytest.mark.parametrize(
    ("package", "url"),
    [
        ("chromadb", "chroma:folder/i"),
        ("chromadb", "chroma://127.0.0.1:1/i"),
        ("filelock", "chroma:folder/i"),
        ("qdrant_client", "qdrant:folder/i"),
        ("qdrant_client", "qdrant://127.0.0.1:1/i"),
        ("orjson", "qdrant://127.0.0.1:1/i"),
        ("weaviate", "weaviate://127.0.0.1:1/i"),
        ("orjson", "weaviate://127.0.0.1:1/i"),
        ("pinecone", "pinecone://127.0.0.1:1/i"),
        ("orjson", "pinecone://127.0.0.1:1/i"),
    ],
)
def test_a_missing_client_is_named_with_the_line_that_installs_it(package: str, url: str, tmp_path: Any) -> None:
    printed = run_python(BLOCKED, package, url, cwd=tmp_path)
    extra = url.partition(":")[0]
    name = {"weaviate": "weaviate-client"}.get(package, package.replace("_", "-"))
    assert printed.startswith(f"{name} {extra} {extra}.connect: ")
    assert f'pip install "ia-modules-vector-stores[{extra}]"' in printed


def test_without_any_client_the_package_can_be_imported_and_memory_used() -> None:
    code = """
import asyncio, sys
for name in ("chromadb", "qdrant_client", "weaviate", "pinecone", "openai", "wordllama", "typer", "filelock"):
    sys.modules[name] = None
from ia_modules.vector_stores import create_vector_store
print(type(asyncio.run(create_vector_store("memory:///i"))).__name__)
"""
    assert run_python(code) == "MemoryVectorStore"


def test_a_store_can_be_made_outside_a_loop() -> None:
    store = provider_class("memory")(VectorStoreConfig(**FULL))
    asyncio.run(store.connect())
