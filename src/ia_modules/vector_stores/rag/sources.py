"""Where a step's store and its embedder come from."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from ia_modules.vector_stores.base import VectorStoreBase
from ia_modules.vector_stores.config import VectorStoreConfig
from ia_modules.vector_stores.embedders import Embedder, create_embedder
from ia_modules.vector_stores.errors import IndexMismatchError, PoolTimeoutError
from ia_modules.vector_stores.factory import provider_class
from ia_modules.vector_stores.pooling import VectorStorePool
from ia_modules.vector_stores.rag.failures import sentence
from ia_modules.vector_stores.rag.options import MISSING, Options, kind_of
from ia_modules.vector_stores.rag.runtime import StepConfigurationError
from ia_modules.vector_stores.rag.shared import owner_for, shared_resources

__all__ = ["EmbedderSource", "StoreSource", "check_model"]

DEFAULT_SERVICE = "vector_store"
"""The service that a step uses whose config names no store."""


class StoreSource:
    """A store that was handed in, one to be opened from a config, or a service's name.

    Args:
        options: ``store`` (or ``vector_store``), ``pool``, ``namespace`` and ``api_key_env`` are taken from it.

    Attributes:
        config: of the store to be opened; None if it is not ours to open.
        namespace: to be handed to every call.
    """

    def __init__(self, options: Options) -> None:
        given = options.take("store")
        other = options.take("vector_store")
        if given is not MISSING and other is not MISSING:
            options.fail("store", "give store or vector_store, not both")
        given = other if given is MISSING else given
        key = options.optional_text("api_key_env")
        pool = options.take("pool", False)
        self.namespace = options.optional_text("namespace")
        self.config: VectorStoreConfig | None = None
        self._given: Any = None
        self._service = DEFAULT_SERVICE
        self._pool: dict[str, Any] | None = None
        if isinstance(given, str | Mapping | VectorStoreConfig) and not _is_name(given):
            config = _read_config(options, given, key)
            self.namespace = config.namespace if self.namespace is None else self.namespace
            # The namespace goes with the call, so that steps on several namespaces share one connection.
            self.config = config.model_copy(update={"namespace": None})
            self._pool = _read_pool(options, self.config, pool)
            return
        if pool is not False or key is not None:
            options.fail(
                "pool" if key is None else "api_key_env", "pool and api_key_env go with a store's URL or config"
            )
        if isinstance(given, str):
            self._service = given
        elif given is not MISSING:
            if not _is_store(given):
                options.fail(
                    "store", f"store must be a URL, a config, a service's name, or a store, not {kind_of(given)}"
                )
            self._given = given

    @asynccontextmanager
    async def lease(self, step: Any) -> AsyncIterator[VectorStoreBase]:
        """The store, for the length of one run; from a pool it is given back at the end.

        Raises:
            StepConfigurationError: there is no service of that name.
        """
        target = await self._target(step)
        if isinstance(target, VectorStorePool):
            async with target.connection() as store:
                yield store
        else:
            yield target

    def timeout_of(self, error: Exception) -> float | None:
        """Seconds that the call had which failed, if that is known."""
        config = self.config or getattr(self._given, "config", None)
        if not isinstance(config, VectorStoreConfig):
            return None
        return config.pool_timeout if isinstance(error, PoolTimeoutError) else config.timeout

    async def _target(self, step: Any) -> Any:
        if self._given is not None:
            return self._given
        config = self.config
        if config is None:
            found = None if step.services is None else step.services.get(self._service)
            if isinstance(found, VectorStoreConfig):
                config = found
            elif found is not None and _is_store(found):
                return found
            else:
                is_ = "is not registered" if found is None else f"is {kind_of(found)}, not a store, a pool or a config"
                raise StepConfigurationError(
                    f"the service {self._service!r} {is_}; name one, or give the store's URL as 'store'",
                    config_key="store",
                    step_id=step.name,
                )
        owner, resources = owner_for(step, step.services), shared_resources()
        stated = "metric" in config.model_fields_set  # an index with another one is refused only then
        if self._pool is None:
            return await resources.use(
                owner,
                ("store", config, stated),
                lambda: provider_class(config.provider)(config),
                VectorStoreBase.disconnect,
            )
        settings = self._pool
        return await resources.use(
            owner,
            ("pool", config, stated, settings),
            lambda: VectorStorePool.from_config(config, **settings),
            VectorStorePool.close,
        )


class EmbedderSource:
    """An embedder that was handed in, or one by name.

    Args:
        options: ``embedding_model`` is taken from it.
    """

    def __init__(self, options: Options) -> None:
        self._given = options.take("embedding_model", None)
        if self._given is None or _is_embedder(self._given):
            return
        if not isinstance(self._given, str) or not self._given:
            options.fail(
                "embedding_model", f"embedding_model must be a name or an embedder, not {kind_of(self._given)}"
            )

    @property
    def given(self) -> bool:
        """Whether there is one."""
        return self._given is not None

    async def get(self, step: Any) -> Embedder:
        """The embedder; one by name is shared by all steps that name it.

        Raises:
            StepConfigurationError: none was given, or the name is unknown.
        """
        found = self._given
        if isinstance(found, str) and step.services is not None:
            service = step.services.get(found)
            found = service if _is_embedder(service) else found
        if not isinstance(found, str | None):
            embedder: Embedder = found
            return embedder
        try:
            if found is None:
                raise ValueError("embedding a text needs 'embedding_model'; without it, give vectors")
            spec = _spec(found)
            return await shared_resources().use(
                owner_for(step, step.services),
                ("embedder", spec),
                lambda: create_embedder(spec),
                lambda embedder: embedder.aclose(),
            )
        except ValueError as error:
            raise StepConfigurationError(str(error), config_key="embedding_model", step_id=step.name) from error


async def check_model(store: object, embedder: Embedder) -> None:
    """Make sure that an index holds vectors of the embedder's model, as far as it says.

    Raises:
        IndexMismatchError: it holds those of another one, with which they don't compare.
    """
    if not isinstance(store, VectorStoreBase):
        return
    model = await store.get_embedding_model()
    if model is not None and model != embedder.model:
        raise IndexMismatchError(
            f"index {store.config.index_name!r} holds vectors of the model {model!r}; vectors of {embedder.model!r} do "
            "not compare with them",
            provider=store.provider,
            operation="get_embedding_model",
        )


def _is_name(given: object) -> bool:
    return isinstance(given, str) and ":" not in given and bool(given)


def _is_store(given: object) -> bool:
    return isinstance(given, VectorStoreBase | VectorStorePool) or callable(getattr(type(given), "search", None))


def _is_embedder(given: object) -> bool:
    return callable(getattr(type(given), "embed_documents", None)) and callable(
        getattr(type(given), "embed_query", None)
    )


def _spec(name: str) -> str:
    """What ``create_embedder`` takes: also for a bare OpenAI model, and for the full name that an index records."""
    if name.startswith("text-embedding-"):
        return f"openai:{name}"
    vendor, slash, model = name.partition("/")
    if slash and vendor == "wordllama":
        return f"wordllama:{model.rpartition('-')[2]}"
    return f"{vendor}:{model}" if slash and vendor in ("openai", "sentence-transformers") else name


def _read_config(
    options: Options, given: str | Mapping[str, Any] | VectorStoreConfig, key: str | None
) -> VectorStoreConfig:
    secret: dict[str, str] = {}
    if key is not None:
        value = os.environ.get(key)
        if not value:
            options.fail("api_key_env", f"the environment variable {key!r}, which should hold the API key, is not set")
        secret["api_key"] = value
    try:
        if isinstance(given, VectorStoreConfig):
            fields = {name: getattr(given, name) for name in given.model_fields_set}
            config = given if not secret else VectorStoreConfig(**{**fields, **secret})
        elif isinstance(given, str):
            config = VectorStoreConfig.from_url(given, **secret)
        else:
            config = VectorStoreConfig(**{**given, **secret})
        provider_class(config.provider)
    except (ValueError, TypeError) as error:
        options.fail("store", f"store: {sentence(error)}")
    return config


def _read_pool(options: Options, config: VectorStoreConfig, pool: object) -> dict[str, Any] | None:
    if pool is False:
        return None
    if pool is not True and not isinstance(pool, Mapping):
        options.fail("pool", f"pool must be true, false or an object of the pool's settings, not {kind_of(pool)}")
    unnamed = config.path is None and config.provider in ("memory", "qdrant")
    if config.host is None and (unnamed or config.path == ":memory:"):
        options.fail(
            "pool",
            "pool: each store of it would have documents of its own in memory; give the memory a name that they "
            "share, as in memory://NAME/index or chroma:///:memory:NAME/index",
        )
    settings = dict(pool) if isinstance(pool, Mapping) else {}
    try:
        VectorStorePool.from_config(config, **settings)  # opens nothing; it is the pool that checks them
    except (TypeError, ValueError) as error:
        options.fail("pool", f"pool: {error}")
    return settings
