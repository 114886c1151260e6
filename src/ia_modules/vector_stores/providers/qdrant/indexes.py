"""Payload indexes: which there are, and those that filters turn out to need."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from ia_modules.vector_stores.errors import AuthenticationError
from ia_modules.vector_stores.providers.qdrant.backend import Backend
from ia_modules.vector_stores.providers.qdrant.errors import map_error
from ia_modules.vector_stores.providers.qdrant.layout import NAMESPACE
from ia_modules.vector_stores.providers.qdrant.options import index_schema

__all__ = ["PayloadIndexes"]

logger = logging.getLogger("ia_modules.vector_stores")

_PAYS = 1_000
"""Points from which on an index is made; below, Qdrant looks at every payload in a millisecond or so."""
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
        self._there: set[str] = set()
        self._strict = False
        self._points = 0
        self._missed = 0

    async def load(self, info: Any) -> None:
        """Take note of what the client knows of the collection."""
        self._there = set(info.payload_schema or ())
        strict = getattr(info.config, "strict_mode_config", None)
        self._strict = bool(
            strict is not None
            and strict.enabled
            and False in (strict.unindexed_filtering_retrieve, strict.unindexed_filtering_update)
        )
        self._points = info.points_count or 0
        if NAMESPACE not in self._there and not self._backend.embedded:
            await self.create_tenant()  # whoever made the collection did not come to that

    async def create_tenant(self) -> None:
        """The index on the namespace, by which Qdrant keeps each one's points together."""
        from qdrant_client import models

        schema = models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True)
        await self._backend.create_payload_index(self._collection, NAMESPACE, schema, wait=True)
        self._there.add(NAMESPACE)

    async def create(self, path: str, kind: Any) -> None:
        """A declared index; returns when it can be used."""
        await self._backend.create_payload_index(self._collection, path, index_schema(kind), wait=True)
        self._there.add(path)

    def written(self, points: int) -> None:
        """Take note that points were written."""
        self._points += points

    async def ensure(self, needed: Mapping[str, str]) -> None:
        """Make the indexes that a filter needs, where it pays or where the server demands them.

        Args:
            needed: payload path -> type, as of :func:`~ia_modules.vector_stores.providers.qdrant.filtering.needs`.
        """
        if not self._automatic or self._there.issuperset(needed):
            return
        missing = {path: kind for path, kind in needed.items() if path not in self._there}
        self._missed += 1
        if not self._strict and self._points < _PAYS:
            if self._missed % _LOOK_AGAIN:
                return
            self._points = await self._backend.count(self._collection, None)
            if self._points < _PAYS:
                return
        for path, kind in missing.items():
            self._there.add(path)
            schema = index_schema("keyword" if kind == "any" else kind)
            try:
                # Where an index only makes things faster, nobody has to wait until it is there.
                await self._backend.create_payload_index(self._collection, path, schema, wait=self._strict)
            except Exception as error:
                if not isinstance(map_error(error), AuthenticationError):
                    raise
                # A key that may only read. The filter works without, or fails with a reason of its own.
                logger.warning("these credentials may not make a payload index on %s, which filters would need", path)
