"""The two sides of a verification: one is read from start to end, the other is asked for the same ids."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Protocol, TypeAlias, cast

from ia_modules.vector_stores.base import VectorStoreBase
from ia_modules.vector_stores.migration.records import Page, Source, SourceInfo
from ia_modules.vector_stores.migration.stores import StoreSource
from ia_modules.vector_stores.migration.verification_ledger import Spill
from ia_modules.vector_stores.migration.verification_tally import Tally
from ia_modules.vector_stores.models import VectorDocument

__all__ = ["Side", "SourceSide", "SpilledSide", "StoreSide", "TargetSide", "open_target", "pages_of"]

Side: TypeAlias = Source | VectorStoreBase


class SourceSide:
    """The side that is read.

    Args:
        side: a source or a store.

    Raises:
        ValueError: neither of them.
    """

    def __init__(self, side: Side) -> None:
        self.source = _as_source(side)
        self.store = store_of(side)

    async def pages(self, namespace: str, size: int, ids: Sequence[str] | None) -> AsyncGenerator[Page]:
        """The documents of a namespace, or those with some ids only."""
        if ids is not None and self.store is not None:
            for at in range(0, len(ids), size):
                yield Page(await self.store.fetch(ids[at : at + size], namespace), None)
            return
        wanted = None if ids is None else frozenset(ids)
        async with aclosing(pages_of(self.source, namespace, size)) as pages:
            async for page in pages:
                if wanted is None:
                    yield page
                else:
                    yield Page([one for one in page.documents if one.id in wanted], None)


class TargetSide(Protocol):
    """The side that is asked."""

    store: VectorStoreBase | None
    info: SourceInfo

    async def fetch(self, ids: Sequence[str], namespace: str) -> dict[str, VectorDocument]:
        """Documents by id; those that don't exist are left out."""

    async def count(self, namespace: str) -> int:
        """How many documents a namespace has."""

    async def namespaces(self) -> list[str]:
        """Those that have documents."""

    def id_pages(self, namespace: str, size: int) -> AsyncGenerator[list[str]]:
        """All ids of a namespace."""

    async def close(self) -> None:
        """Free what was opened."""


class StoreSide:
    """A store as the side that is asked."""

    def __init__(self, store: VectorStoreBase, info: SourceInfo) -> None:
        self.store: VectorStoreBase | None = store
        self.info = info
        self._store = store

    async def fetch(self, ids: Sequence[str], namespace: str) -> dict[str, VectorDocument]:
        """Documents by id."""
        return {document.id: document for document in await self._store.fetch(ids, namespace)}

    async def count(self, namespace: str) -> int:
        """How many documents a namespace has."""
        return await self._store.count(namespace=namespace)

    async def namespaces(self) -> list[str]:
        """Those that have documents."""
        return await self._store.list_namespaces()

    async def id_pages(self, namespace: str, size: int) -> AsyncGenerator[list[str]]:
        """All ids of a namespace."""
        scan = self._store.scan_pages(namespace, batch_size=size, include_vectors=False)
        async with aclosing(scan) as pages:
            async for page in pages:
                yield [document.id for document in page.documents]

    async def close(self) -> None:
        """Nothing to do: the store belongs to who made it."""


class SpilledSide:
    """A source that can't be asked for ids, such as a file, copied to a temporary file that can."""

    store: VectorStoreBase | None = None

    def __init__(self, spill: Spill, info: SourceInfo) -> None:
        self.info = info
        self._spill = spill

    async def read(self, source: Source, size: int, tally: Tally, namespaces: Collection[str] | None) -> None:
        """Copy some namespaces of a source or all; ids that come twice, and what can't be read, are findings."""
        dimension = self.info.dimension
        for namespace in self.info.namespaces:
            if namespaces is not None and namespace not in namespaces:
                continue
            async with aclosing(pages_of(source, namespace, size)) as pages:
                async for page in pages:
                    repeated = await asyncio.to_thread(self._spill.put, namespace, page.documents)
                    for one in repeated:
                        tally.add("duplicate", namespace, one, "more than once in the target")
                    for lost in page.unreadable:
                        tally.add("unreadable", namespace, lost.key, f"in the target: {lost.cause}")
                    if dimension is None and page.documents:
                        dimension = len(page.documents[0].vector)
        self.info = replace(self.info, dimension=dimension)

    async def fetch(self, ids: Sequence[str], namespace: str) -> dict[str, VectorDocument]:
        """Documents by id."""
        return await asyncio.to_thread(self._spill.fetch, namespace, ids)

    async def count(self, namespace: str) -> int:
        """How many documents a namespace has."""
        return await asyncio.to_thread(self._spill.count, namespace)

    async def namespaces(self) -> list[str]:
        """Those that have documents."""
        return await asyncio.to_thread(self._spill.namespaces)

    async def id_pages(self, namespace: str, size: int) -> AsyncGenerator[list[str]]:
        """All ids of a namespace."""
        last: str | None = None
        while ids := await asyncio.to_thread(self._spill.ids, namespace, last, size):
            yield ids
            last = ids[-1]

    async def close(self) -> None:
        """Delete the temporary file."""
        await asyncio.to_thread(self._spill.close)


async def open_target(side: Side, size: int, tally: Tally, namespaces: Collection[str] | None) -> TargetSide:
    """The side that is asked; a source is read for that.

    Args:
        side: a store or a source.
        size: documents per page.
        tally: gets what is wrong with a source by itself.
        namespaces: those that matter; None for all.
    """
    source, store = _as_source(side), store_of(side)
    info = await source.describe()
    if store is not None:
        return StoreSide(store, info)
    spilled = SpilledSide(Spill(), info)
    try:
        await spilled.read(source, size, tally, namespaces)
    except BaseException:
        await spilled.close()
        raise
    finally:
        await source.close()
    return spilled


async def pages_of(source: Source, namespace: str, size: int) -> AsyncGenerator[Page]:
    """The pages of a source, closed with this iterator."""
    pages = source.pages(namespace, size)
    try:
        async for page in pages:
            yield page
    finally:
        if hasattr(pages, "aclose"):
            await cast("AsyncGenerator[Page]", pages).aclose()


def store_of(side: Side) -> VectorStoreBase | None:
    """The store that a side is, or is made of."""
    if isinstance(side, VectorStoreBase):
        return side
    return side.store if isinstance(side, StoreSource) else None


def _as_source(side: Side) -> Source:
    if isinstance(side, VectorStoreBase):
        return StoreSource(side)
    if not isinstance(side, Source):
        raise ValueError(f"a side is a store, or has describe(), pages() and close(); {type(side).__name__} has not")
    return side
