"""Payload indexes: which there are, and those that filters turn out to need."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from time import monotonic
from typing import Any

from ia_modules.vector_stores.errors import AuthenticationError
from ia_modules.vector_stores.providers.qdrant.backend import Backend
from ia_modules.vector_stores.providers.qdrant.errors import map_error
from ia_modules.vector_stores.providers.qdrant.layout import NAMESPACE
from ia_modules.vector_stores.providers.qdrant.options import index_schema

__all__ = ["PayloadIndexes"]

logger = logging.getLogger("ia_modules.vector_stores")

_PAYS = 1_000
"""Points from which on an index is made. Of 3,000 points a filter took 3 ms without an index and 1 ms with one."""
_STALE_SECONDS = 30.0
"""After which it is asked again which indexes there are, as other programs may make some."""
_NONE: frozenset[str] = frozenset()
_MISLED = {
    "float": frozenset({"datetime", "uuid"}),
    "integer": frozenset({"float", "datetime", "uuid"}),
    "datetime": frozenset({"float", "uuid"}),
    "uuid": frozenset({"uuid"}),
}
"""Type of an index -> what Qdrant 1.18.3 answers from it wrongly (measured, each type against each comparison)."""
_LOOK_AGAIN = 256
"""Filters with a field that has no index after which the number of points is asked for again."""


class PayloadIndexes:
    """The payload indexes of one collection on a server.

    Args:
        backend: Qdrant.
        collection: the collection's name.
        automatic: whether to make those that filters need. Qdrant takes one index for a field, so a field that has one
            is left alone.
    """

    def __init__(self, backend: Backend, collection: str, *, automatic: bool) -> None:
        self._backend = backend
        self._collection = collection
        self._automatic = automatic and not backend.embedded
        self._types: dict[str, str] = {}
        self._made: dict[str, str] = {}
        self._making = asyncio.Lock()
        self._loaded = 0.0
        self._strict = False
        self._points = 0
        self._missed = 0

    async def load(self, info: Any) -> None:
        """Take note of what the client knows of the collection."""
        listed = {path: str(index.data_type.value) for path, index in (info.payload_schema or {}).items()}
        self._types = self._made | listed  # one that is still being made is not listed yet
        self._loaded = monotonic()
        strict = getattr(info.config, "strict_mode_config", None)
        self._strict = bool(
            strict is not None
            and strict.enabled
            and False in (strict.unindexed_filtering_retrieve, strict.unindexed_filtering_update)
        )
        self._points = info.points_count or 0
        if NAMESPACE not in self._types and not self._backend.embedded:
            await self.create_tenant()  # whoever made the collection did not come to that

    async def create_tenant(self) -> None:
        """The index on the namespace, by which Qdrant keeps each one's points together."""
        from qdrant_client import models

        schema = models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True)
        await self._backend.create_payload_index(self._collection, NAMESPACE, schema, wait=True)
        self._types[NAMESPACE] = "keyword"

    async def create(self, path: str, kind: Any) -> None:
        """A declared index; returns when it can be used."""
        schema = index_schema(kind)
        await self._backend.create_payload_index(self._collection, path, schema, wait=True)
        self._types[path] = str(schema.type.value)

    def written(self, points: int) -> None:
        """Take note that points were written."""
        self._points += points

    async def usable(self, needed: Mapping[str, frozenset[str]]) -> bool:
        """Whether Qdrant's answer to a filter can be relied on; makes indexes that it needs, where that pays.

        Qdrant answers from a field's index even what the index does not know: from one on numbers a range of dates, and
        the other way round, taking dates for microseconds since 1970; a fraction from one on integers; a string that
        looks like a UUID from any of them. Nothing tells that the answer is wrong.

        Args:
            needed: as of :func:`~ia_modules.vector_stores.providers.qdrant.filtering.needs`.
        """
        if self._backend.embedded or not needed:
            return True
        unknown = not self._types.keys() >= needed.keys()
        if unknown and self._automatic:
            await self._make(needed)
        if monotonic() - self._loaded > _STALE_SECONDS:
            await self._refresh()
        return not any(kinds & _MISLED.get(self._types.get(path, ""), _NONE) for path, kinds in needed.items())

    async def _make(self, needed: Mapping[str, frozenset[str]]) -> None:
        self._missed += 1
        if not self._strict and self._points < _PAYS:
            if self._missed % _LOOK_AGAIN:
                return
            self._points = await self._backend.count(self._collection, None)
            if self._points < _PAYS:
                return
        async with self._making:  # of two filters that need different types of one field, the first one wins
            await self._refresh()  # another program may have made one, and a second type would replace it
            for path in [path for path in needed if path not in self._types]:
                await self._make_one(path, needed[path])

    async def _make_one(self, path: str, kinds: frozenset[str]) -> None:
        if not self._automatic:
            return
        kind = next((kind for kind in ("float", "datetime", "bool") if kind in kinds), "keyword")
        self._types[path] = self._made[path] = kind
        try:
            # Where an index only makes things faster, nobody has to wait until it is there.
            await self._backend.create_payload_index(self._collection, path, index_schema(kind), wait=self._strict)
        except Exception as error:
            if not isinstance(map_error(error), AuthenticationError):
                raise
            # A key that may only read. The filter works without, or fails with a reason of its own.
            del self._types[path], self._made[path]
            self._automatic = False
            logger.warning("these credentials may not make a payload index on %s, which filters would need", path)

    async def _refresh(self) -> None:
        info = await self._backend.info(self._collection)
        if info is not None:
            await self.load(info)
