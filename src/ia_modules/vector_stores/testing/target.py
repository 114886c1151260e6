"""What the kit runs against: how to open a store, and how to open it again."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ia_modules.vector_stores.base import VectorStoreBase
from ia_modules.vector_stores.capabilities import Capabilities
from ia_modules.vector_stores.config import VectorStoreConfig
from ia_modules.vector_stores.factory import provider_class

__all__ = ["ConformanceTarget", "Crafted"]

Crafted = Callable[[str, str], Iterable[str]]
"""From index and namespace to strings that could reach it by the provider's own way of writing names."""

# Every case has an index of its own, of a dimension and metric that it chooses.
_CHOSEN = frozenset({"index_name", "namespace", "dimension", "metric", "embedding_model"})


@dataclass(frozen=True)
class ConformanceTarget:
    """A database that the kit may create and delete indexes in.

    Stores that are opened from the same config must see the same documents, as the kit opens an index more than once.

    Attributes:
        config: where it is. The name of its index is what the names of the kit's own indexes begin with.
        store_class: the provider; by default the one that is registered under the config's name.
        options: keyword arguments of every ``create_index``.
        scale: how much of what is generated elsewhere to generate here, for a database that takes long to answer.
        crafted: further names with which to try to reach a foreign namespace.
    """

    config: VectorStoreConfig
    store_class: type[VectorStoreBase] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    scale: float = 1.0
    crafted: Crafted | None = None

    @classmethod
    def of(cls, source: ConformanceTarget | VectorStoreConfig | str) -> ConformanceTarget:
        """A target for what a fixture or a command line gives: a target, a config or a URL.

        Raises:
            ValueError: the URL can't be understood.
            TypeError: something else.
        """
        if isinstance(source, ConformanceTarget):
            return source
        if isinstance(source, VectorStoreConfig):
            return cls(source)
        if isinstance(source, str):
            return cls(VectorStoreConfig.from_url(source))
        raise TypeError(f"a conformance target is a URL, a config or a ConformanceTarget, not {type(source).__name__}")

    def store(self, index_name: str, **given: Any) -> VectorStoreBase:
        """A store on one of the kit's indexes; not connected.

        Args:
            index_name: the index.
            **given: fields of the config that are to be different.
        """
        config = self.config
        kept = {name: getattr(config, name) for name in config.model_fields_set - _CHOSEN}
        kind = self.store_class or provider_class(config.provider)
        return kind(VectorStoreConfig(**(kept | {"index_name": index_name} | given)))

    @property
    def capabilities(self) -> Capabilities:
        """What the provider declares under this config."""
        return self.store(self.config.index_name).capabilities

    def with_config(self, **given: Any) -> ConformanceTarget:
        """The same target with other settings."""
        return dataclasses.replace(self, config=self.config.model_copy(update=given))
