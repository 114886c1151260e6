"""Pools by name."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from ia_modules.vector_stores.pooling.pool import VectorStorePool
from ia_modules.vector_stores.pooling.settings import FROM_CONFIG_SIZE
from ia_modules.vector_stores.pooling.statistics import PoolStatistics

__all__ = ["VectorStorePoolManager"]

S = TypeVar("S")


@dataclass(slots=True)
class _Entry:
    pool: VectorStorePool[Any]
    store_class: object
    config: Any
    settings: dict[str, Any]
    max_size: int


class VectorStorePoolManager:
    """Makes each pool once, for all who ask for it by the same name."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}

    async def get_pool(
        self,
        name: str,
        store_class: Callable[[Any], S],
        config: Any,
        max_size: int = FROM_CONFIG_SIZE,
        **settings: Any,
    ) -> VectorStorePool[S]:
        """The pool of that name; made and initialized if there is none, or if it has been closed.

        Args:
            name: what the pool is called.
            store_class: as in :class:`~ia_modules.vector_stores.pooling.VectorStorePool`.
            config: likewise.
            max_size: likewise.
            **settings: further arguments of the pool, such as ``min_size``.

        Raises:
            ValueError: there is one of that name for another class or config, or with other settings; or the settings
                make no sense.
            Exception: what its ``initialize()`` raised; nothing is left behind.
        """
        pool = VectorStorePool(store_class, config, max_size, **({"name": name} | settings))
        asked = _Entry(pool, store_class, config, settings, pool.statistics.max_size)
        entry = self._entries.get(name)
        if entry is None or entry.pool.stale:
            entry = self._entries[name] = asked
        elif differences := _differences(entry, asked):
            raise ValueError(
                f"there is a pool {name!r} already, with another {' and '.join(differences)}; use another name, or "
                "close that one first"
            )
        try:
            await entry.pool.initialize()
        except BaseException:
            if not entry.pool.opened and self._entries.get(name) is entry:
                del self._entries[name]
            raise
        return cast("VectorStorePool[S]", entry.pool)

    @property
    def statistics(self) -> Mapping[str, PoolStatistics]:
        """Those of every pool, by name."""
        return {name: entry.pool.statistics for name, entry in self._entries.items()}

    async def close_all(self) -> None:
        """Close all pools, all at once, and forget them; also those after one that fails.

        Raises:
            Exception: what closing a pool raised; of several pools an ``ExceptionGroup``.
        """
        entries = list(self._entries.items())
        closed = await asyncio.gather(*(entry.pool.close() for _, entry in entries), return_exceptions=True)
        errors: list[BaseException] = []
        for (name, entry), result in zip(entries, closed, strict=True):
            if self._entries.get(name) is entry:
                del self._entries[name]
            if result is not None:
                errors.append(result)
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise BaseExceptionGroup("several pools failed to close", errors)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close_all()


def _differences(one: _Entry, other: _Entry) -> list[str]:
    """What two requests for one pool differ in, by name: values may be secret."""
    found = []
    if one.store_class is not other.store_class:
        found.append("store class")
    if one.config != other.config:
        fields = getattr(type(one.config), "model_fields", {}) if type(one.config) is type(other.config) else {}
        names = [field for field in fields if getattr(one.config, field) != getattr(other.config, field)]
        found.append(f"config ({', '.join(names)})" if names else "config")
    if one.max_size != other.max_size:
        found.append("max_size")
    keys = {*one.settings, *other.settings}
    found += sorted(key for key in keys if one.settings.get(key) != other.settings.get(key))
    return found
