"""The ``doctor`` command: what is installed, what can be reached, what each provider can do."""

from __future__ import annotations

import platform
from contextlib import aclosing
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import typer

from ia_modules.vector_stores.cli.session import open_store, store_config
from ia_modules.vector_stores.config import VectorStoreConfig
from ia_modules.vector_stores.embedders import create_embedder
from ia_modules.vector_stores.errors import VectorStoreError
from ia_modules.vector_stores.factory import known_providers, provider_class

__all__ = ["examine", "show"]

_PACKAGES = {
    "numpy": None,
    "pydantic": None,
    "chromadb": "chroma",
    "qdrant-client": "qdrant",
    "weaviate-client": "weaviate",
    "pinecone": "pinecone",
    "wordllama": "wordllama",
    "openai": "openai",
    "sentence-transformers": "sentence-transformers",
    "semantic-text-splitter": "ingest",
    "beautifulsoup4": "ingest",
    "charset-normalizer": "ingest",
    "pyarrow": "parquet",
    "typer": "cli",
    "rich": "cli",
    "lark": "cli",
}


async def examine(store_url: str | None, embedder_spec: str | None) -> dict[str, Any]:
    """Everything the command shows, as JSON values.

    ``healthy`` is False if the store or the embedder that was named does not work. Without a store named there is
    none to reach, which is not an illness.
    """
    findings: dict[str, Any] = {
        "python": platform.python_version(),
        "ia-modules-vector-stores": _version("ia-modules-vector-stores"),
        "packages": {name: {"version": _version(name), "extra": extra} for name, extra in _PACKAGES.items()},
        "providers": {name: _provider(name) for name in known_providers()},
        "embedder": await _embedder(embedder_spec),
    }
    if store_url is not None:
        findings["store"] = await _store(store_url)
    findings["healthy"] = all(findings.get(name, {}).get("error") is None for name in ("embedder", "store"))
    return findings


def show(findings: dict[str, Any]) -> None:
    """Write the findings as tables."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    installed = Table("package", "version", "extra", title="Installed", title_justify="left", box=None)
    for name in ("python", "ia-modules-vector-stores"):
        installed.add_row(name, findings[name] or "-", "")
    for name, package in findings["packages"].items():
        installed.add_row(name, package["version"] or "-", package["extra"])
    console.print(installed)
    if not all(package["version"] for package in findings["packages"].values()):
        typer.echo('What is missing (-) comes with its extra: pip install "ia-modules-vector-stores[EXTRA]"')

    names = list(findings["providers"])
    able = Table("", *names, title="What each provider can do", title_justify="left", box=None)
    rows = dict.fromkeys(row for provider in findings["providers"].values() for row in provider)
    for row in rows:
        able.add_row(row, *(_cell(findings["providers"][name].get(row)) for name in names))
    console.print()
    console.print(able)
    console.print()
    for part in ("embedder", "store"):
        if part in findings:
            fields = ", ".join(f"{name}: {value}" for name, value in findings[part].items() if value is not None)
            typer.echo(f"{part}  {fields}")
    if "store" not in findings:
        typer.echo("store  none named: give --store URL or set IA_VECTORS_STORE")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _provider(name: str) -> dict[str, Any]:
    try:
        able = provider_class(name)(VectorStoreConfig(provider=name, index_name="doctor")).capabilities
    except (VectorStoreError, ValueError, ImportError, AttributeError) as error:
        # A provider of another package may be broken in its own ways; the others are still of interest.
        return {"error": str(error)}
    return {field: _json(getattr(able, field)) for field in able.__dataclass_fields__ if field != "provider"}


def _json(value: Any) -> Any:
    if isinstance(value, frozenset | set):
        return sorted(str(getattr(item, "value", item)) for item in value)
    if hasattr(value, "items"):
        return {str(key): _json(item) for key, item in value.items()}
    return value


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(value)
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items()) or "all native"
    return "-" if value is None else str(value)


async def _embedder(spec: str | None) -> dict[str, Any]:
    try:
        async with aclosing(create_embedder(spec)) as embedder:
            vector = await embedder.embed_query("a word")
            return {"model": embedder.model, "dimension": len(vector), "error": None}
    except (VectorStoreError, ValueError) as error:
        return {"model": spec, "dimension": None, "error": str(error)}


async def _store(url: str) -> dict[str, Any]:
    found: dict[str, Any] = {"url": None, "reachable": False, "error": None}
    try:
        config = store_config(url)
        found["url"] = config.to_url()
        async with open_store(config) as store:
            found["ping_ms"] = round(await store.ping(), 2)
            found["reachable"] = True
            found["index_exists"] = await store.index_exists()
            if found["index_exists"]:
                counted = await store.get_stats()
                found |= {"total_vectors": counted.total_vectors, "dimension": counted.dimension}
                found["embedding_model"] = await store.get_embedding_model()
    except (VectorStoreError, ValueError, OSError) as error:
        found["error"] = str(error)
    return found
