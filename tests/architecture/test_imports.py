"""What importing costs, and that the names of the contract are where it says, with its signatures."""

from __future__ import annotations

import importlib
import inspect
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import ia_modules.vector_stores as package
from ia_modules.vector_stores import (
    Capabilities,
    DistanceMetric,
    MemoryVectorStore,
    VectorStoreBase,
    VectorStoreConfig,
    VectorStoreError,
    factory,
)
from processes import run_python

ROOT = Path(str(package.__file__)).parents[3]
CLIENTS = ["chromadb", "qdrant_client", "weaviate", "pinecone", "grpc", "httpx"]
OTHERS = ["openai", "wordllama", "sentence_transformers", "typer", "rich", "bs4", "pyarrow", "sqlalchemy", "hypothesis"]
LOADED = "import sys, {module}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"


def loaded_by(module: str) -> set[str]:
    return set(run_python(LOADED.format(module=module)).split())


@pytest.mark.parametrize(
    "module",
    [
        "ia_modules.vector_stores",
        "ia_modules.vector_stores.models",
        "ia_modules.vector_stores.base",
        "ia_modules.vector_stores.factory",
        "ia_modules.vector_stores.filters",
        "ia_modules.vector_stores.embedders",
        "ia_modules.vector_stores.migration",
        "ia_modules.vector_stores.migration.sql",
        "ia_modules.vector_stores.testing",
        "ia_modules.vector_stores.providers.memory",
        "ia_modules.vector_stores.providers.chroma",
    ],
)
def test_importing_loads_no_client(module: str) -> None:
    loaded = loaded_by(module)
    assert loaded & {*CLIENTS, *OTHERS} == set()
    assert "ia_modules" in loaded


def test_importing_the_package_loads_nothing_of_it() -> None:
    loaded = loaded_by("ia_modules.vector_stores")
    assert loaded & {"numpy", "pydantic", "tenacity"} == set()


def test_every_public_name_can_be_imported() -> None:
    assert list(package.__all__) == sorted(package.__all__)
    for name in package.__all__:
        assert getattr(package, name) is not None
        assert name in dir(package)
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = package.no_such_name


def modules() -> list[str]:
    folder = Path(str(package.__file__)).parent
    names = []
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        if parts[-1] != "__main__":
            names.append(".".join([package.__name__, *(part for part in parts if part != "__init__")]))
    return names


@pytest.mark.parametrize("name", modules())
def test_what_a_module_lists_is_there(name: str) -> None:
    module = importlib.import_module(name)
    listed = getattr(module, "__all__", [])
    assert len(set(listed)) == len(listed)
    assert [entry for entry in listed if not hasattr(module, entry)] == []


CONTRACT = {
    "ia_modules.vector_stores": ["create_vector_store"],
    "ia_modules.vector_stores.models": [
        "DistanceMetric",
        "IndexStats",
        "SearchFilter",
        "SearchResponse",
        "SearchResult",
        "VectorDocument",
        "VectorStoreConfig",
    ],
    "ia_modules.vector_stores.batch": ["BatchProcessor"],
    "ia_modules.vector_stores.migration": ["migrate_embeddings"],
    "ia_modules.vector_stores.hybrid": ["HybridSearchMixin"],
    "ia_modules.vector_stores.pooling": ["VectorStorePool", "VectorStorePoolManager"],
    "ia_modules.vector_stores.base": [
        "AuthenticationError",
        "ConnectionError",
        "IndexAlreadyExistsError",
        "IndexNotFoundError",
        "InvalidDimensionError",
        "InvalidDocumentError",
        "MissingDependencyError",
        "OperationTimeoutError",
        "PartialFailureError",
        "PoolTimeoutError",
        "RateLimitError",
        "UnsupportedOperationError",
        "VectorStoreBase",
        "VectorStoreError",
    ],
    "ia_modules.vector_stores.providers.chroma": ["ChromaVectorStore"],
    "ia_modules.vector_stores.factory": ["create_vector_store", "register_provider"],
}


@pytest.mark.parametrize(("module", "name"), [(module, name) for module, names in CONTRACT.items() for name in names])
def test_the_contract_s_names_are_in_their_places(module: str, name: str) -> None:
    assert getattr(importlib.import_module(module), name).__name__ == name
    home = getattr(package, name)
    assert home is getattr(importlib.import_module(module), name)


def test_the_pipeline_step_is_in_its_place() -> None:
    step = importlib.import_module("ia_modules.pipeline.steps.vector_search").VectorSearchStep
    assert step(vector_store="memory:///a", embedding_model="text-embedding-3-small").name == "vector_search"
    assert step("find", {"store": "memory:///a"}).name == "find"


REQUIRED = inspect.Parameter.empty
SIGNATURES: dict[str, dict[str, Any]] = {
    "connect": {},
    "disconnect": {},
    "create_index": {"dimension": REQUIRED, "metric": DistanceMetric.COSINE, "kwargs": REQUIRED},
    "delete_index": {},
    "index_exists": {},
    "upsert": {"documents": REQUIRED, "namespace": None, "batch_size": 100},
    "search": {
        "query_vector": REQUIRED,
        "top_k": 10,
        "filters": None,
        "namespace": None,
        "include_metadata": True,
        "include_vectors": False,
    },
    "fetch": {"ids": REQUIRED, "namespace": None},
    "delete": {"ids": None, "filters": None, "namespace": None, "delete_all": False},
    "get_stats": {},
    "list_namespaces": {},
    "count": {"filters": None, "namespace": None},
    "update_metadata": {"id": REQUIRED, "changes": REQUIRED, "namespace": None},
    "delete_namespace": {"namespace": REQUIRED},
    "ping": {},
}


@pytest.mark.parametrize("name", SIGNATURES)
@pytest.mark.parametrize("store", [VectorStoreBase, package.ChromaVectorStore, MemoryVectorStore])
def test_signatures(store: type[VectorStoreBase], name: str) -> None:
    method = getattr(store, name)
    assert inspect.iscoroutinefunction(method)
    parameters = list(inspect.signature(method).parameters.values())[1:]
    positional = [p for p in parameters if p.kind is not inspect.Parameter.KEYWORD_ONLY]
    assert {p.name: p.default for p in positional} == SIGNATURES[name]
    assert [p.name for p in positional] == list(SIGNATURES[name])
    assert all(p.default is not REQUIRED for p in parameters if p not in positional)
    assert method.__doc__


def test_the_other_methods() -> None:
    assert inspect.isasyncgenfunction(VectorStoreBase.scan)
    scan = inspect.signature(VectorStoreBase.scan).parameters
    assert {name: scan[name].default for name in ("namespace", "filters", "include_vectors")} == {
        "namespace": None,
        "filters": None,
        "include_vectors": True,
    }
    assert list(inspect.signature(VectorStoreBase.search_many).parameters)[1] == "query_vectors"
    assert list(inspect.signature(VectorStoreBase._retry_operation).parameters) == [
        "self",
        "operation",
        "args",
        "kwargs",
    ]
    assert list(inspect.signature(VectorStoreBase._timed_operation).parameters) == ["self", "name"]
    assert list(inspect.signature(VectorStoreBase).parameters) == ["config"]


def test_the_fields_of_the_config() -> None:
    fields = VectorStoreConfig.model_fields
    assert {name: fields[name].default for name in ("pool_size", "pool_timeout", "max_retries", "retry_delay")} == {
        "pool_size": 10,
        "pool_timeout": 30.0,
        "max_retries": 3,
        "retry_delay": 1.0,
    }
    required = {name for name, field in fields.items() if field.is_required()}
    assert required == {"provider", "index_name"}


def test_create_vector_store() -> None:
    parameters = inspect.signature(factory.create_vector_store).parameters
    assert inspect.iscoroutinefunction(factory.create_vector_store)
    assert parameters["create_if_missing"].default is False
    assert parameters["config"].kind is inspect.Parameter.VAR_KEYWORD


def test_errors_of_the_contract_derive_from_one() -> None:
    base = importlib.import_module("ia_modules.vector_stores.base")
    for name in CONTRACT["ia_modules.vector_stores.base"]:
        if name.endswith("Error"):
            assert issubclass(getattr(base, name), VectorStoreError)


@pytest.mark.parametrize("name", factory.known_providers())
def test_every_provider_declares_what_it_can_do(name: str) -> None:
    kind = factory.provider_class(name)
    store = kind(VectorStoreConfig(provider=name, index_name="i"))
    assert type(store.capabilities) is Capabilities
    assert store.capabilities.provider == kind.provider == name
    assert store.capabilities.metrics


@pytest.mark.parametrize("folder", ["src/ia_modules", "src/ia_modules/pipeline", "src/ia_modules/pipeline/steps"])
def test_the_namespace_belongs_to_another_package(folder: str) -> None:
    assert not (ROOT / folder / "__init__.py").exists()


def test_no_source_file_is_ignored() -> None:
    # What git ignores, linters skip, and builds leave out.
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    command = ["git", "ls-files", "--others", "--ignored", "--exclude-standard", "src", "tests", "emulator"]
    ignored = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [name for name in ignored if name.endswith((".py", ".typed"))] == []


def test_the_doubles_share_no_code_with_the_providers() -> None:
    for path in (ROOT / "emulator").rglob("*.py"):
        assert "ia_modules" not in path.read_text(), f"{path.name} would share the providers' mistakes"
    for path in (ROOT / "src").rglob("*.py"):
        assert "import emulator" not in path.read_text()
        assert "from emulator" not in path.read_text()
