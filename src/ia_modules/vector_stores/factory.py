"""Stores by name: the built-in providers, registered ones, and those of installed packages."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from ia_modules.vector_stores.base import VectorStoreBase
from ia_modules.vector_stores.config import VectorStoreConfig
from ia_modules.vector_stores.errors import IndexAlreadyExistsError

__all__ = ["create_vector_store", "known_providers", "provider_class", "register_provider"]

ENTRY_POINT_GROUP = "ia_modules.vector_stores"

_BUILT_IN = {
    "chroma": "ia_modules.vector_stores.providers.chroma:ChromaVectorStore",
    "memory": "ia_modules.vector_stores.providers.memory:MemoryVectorStore",
    "pinecone": "ia_modules.vector_stores.providers.pinecone:PineconeVectorStore",
    "qdrant": "ia_modules.vector_stores.providers.qdrant:QdrantVectorStore",
    "weaviate": "ia_modules.vector_stores.providers.weaviate:WeaviateVectorStore",
}
_registered: dict[str, str | type[VectorStoreBase]] = {}


def register_provider(name: str, target: str | type[VectorStoreBase]) -> None:
    """Make a provider known in this process.

    A package can do the same for everyone who installs it, with an entry point of the group
    ``ia_modules.vector_stores``.

    Args:
        name: what configs and URLs call it.
        target: the class, or where it is: ``"package.module:Class"``.

    Raises:
        ValueError: the name is taken by another provider, or the target is not of that form.
    """
    if not name or name != name.lower():
        raise ValueError(f"a provider's name is lower case, not {name!r}")
    if isinstance(target, str) and not all(target.partition(":")):
        raise ValueError(f"a provider is given as 'package.module:Class', not {target!r}")
    if name in _BUILT_IN or _registered.get(name, target) != target:
        raise ValueError(f"provider {name!r} is registered already")
    _registered[name] = target


def known_providers() -> list[str]:
    """Names of all providers, sorted."""
    return sorted({*_BUILT_IN, *_registered, *(point.name for point in entry_points(group=ENTRY_POINT_GROUP))})


def provider_class(name: str) -> type[VectorStoreBase]:
    """The class of a provider; its database client is not imported yet.

    Raises:
        ValueError: unknown provider; the message lists the known ones.
    """
    target = _BUILT_IN.get(name) or _registered.get(name)
    if target is None:
        found = list(entry_points(group=ENTRY_POINT_GROUP, name=name))
        if not found:
            raise ValueError(f"unknown provider {name!r}; known: {', '.join(known_providers())}")
        if len({point.value for point in found}) > 1:
            places = ", ".join(sorted(point.value for point in found))
            raise ValueError(f"several installed packages provide {name!r}: {places}")
        target = found[0].value
    if isinstance(target, str):
        module, _, attribute = target.partition(":")
        target = getattr(import_module(module), attribute)
    if not (isinstance(target, type) and issubclass(target, VectorStoreBase)):
        raise ValueError(f"provider {name!r} is not a VectorStoreBase subclass: {target!r}")
    return target


async def create_vector_store(
    source: str | VectorStoreConfig | None = None, /, *, create_if_missing: bool = False, **config: Any
) -> VectorStoreBase:
    """Make a store and connect it.

    Args:
        source: a URL such as ``qdrant://localhost:6333/articles?dimension=384`` or a config; a plain provider name
            works as well. Leave it out to give everything by keyword.
        create_if_missing: create the index, with the config's dimension and metric, if it does not exist. Without,
            nothing is created.
        **config: fields of :class:`~ia_modules.vector_stores.config.VectorStoreConfig`; they win over ``source``.

    Returns:
        The connected store; use it with ``async with``, or call ``disconnect()`` when done.

    Raises:
        ValueError: unknown provider, or a config that makes no sense.
        MissingDependencyError: the provider's client package is not installed.
        ConnectionError, AuthenticationError: the database can't be reached or refuses the credentials.
    """
    store = provider_class(_provider_of(source, config))(_config(source, config))
    if create_if_missing and store.config.dimension is None:
        raise ValueError("create_if_missing needs a dimension")
    try:
        await store.connect()
        if create_if_missing and not await store.index_exists():
            assert store.config.dimension is not None
            with suppress(IndexAlreadyExistsError):  # somebody else was faster
                await store.create_index(store.config.dimension, store.config.metric)
    except BaseException:
        await store.disconnect()
        raise
    return store


def _config(source: str | VectorStoreConfig | None, given: dict[str, Any]) -> VectorStoreConfig:
    if isinstance(source, VectorStoreConfig):
        if not given:
            return source
        return VectorStoreConfig(**{name: getattr(source, name) for name in source.model_fields_set} | given)
    if source is None:
        return VectorStoreConfig(**given)
    if ":" in source:
        return VectorStoreConfig.from_url(source, **given)
    return VectorStoreConfig(**{"provider": source} | given)


def _provider_of(source: str | VectorStoreConfig | None, given: dict[str, Any]) -> str:
    """The provider's name, looked at first so that a misspelt one is what the user hears of."""
    if "provider" in given:
        return str(given["provider"])
    if isinstance(source, VectorStoreConfig):
        return source.provider
    if source is None:
        raise ValueError(f"no provider given; known: {', '.join(known_providers())}")
    return source.partition(":")[0].lower()
