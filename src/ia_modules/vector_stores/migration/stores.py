"""Stores as sources and targets of a migration."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

from ia_modules.vector_stores.base import VectorStoreBase
from ia_modules.vector_stores.batch.batching import Batch
from ia_modules.vector_stores.batch.concurrency import AdaptiveLimit
from ia_modules.vector_stores.batch.sending import Sender
from ia_modules.vector_stores.config import VectorStoreConfig
from ia_modules.vector_stores.errors import AuthenticationError, IndexNotFoundError, VectorStoreError
from ia_modules.vector_stores.metrics import DistanceMetric
from ia_modules.vector_stores.migration.contents import same_content
from ia_modules.vector_stores.migration.intent import Intent, examined
from ia_modules.vector_stores.migration.records import Cursor, Page, SourceInfo
from ia_modules.vector_stores.models import VectorDocument
from ia_modules.vector_stores.requests import IndexInfo
from ia_modules.vector_stores.tasks import each, together

__all__ = ["StoreSource", "StoreTarget", "place_of"]

_ATTEMPTS = 2
"""How often a batch is sent, each time with the store's own retries."""
_FETCHED_AT_A_TIME = 500


def place_of(store: VectorStoreBase) -> str:
    """Where a store's index is, as a URL without settings and secrets."""
    config = store.config
    where = {name: getattr(config, name) for name in ("provider", "host", "port", "path", "index_name")}
    return VectorStoreConfig(**where).to_url()


class StoreSource:
    """All namespaces of a store's index. The store is connected if need be, and stays connected at the end.

    Args:
        store: the store.
        vectors: whether documents come with their vector; without, it has length 0.
    """

    def __init__(self, store: VectorStoreBase, *, vectors: bool = True) -> None:
        self.store = store
        self.name = place_of(store)
        self._vectors = vectors

    async def describe(self) -> SourceInfo:
        """Size, metric and namespaces of the index.

        Raises:
            IndexNotFoundError: there is no such index.
        """
        store = self.store
        info = await store._index("migrate")  # noqa: SLF001 - the metric is told nowhere else
        names = await store.list_namespaces()
        counts = await each(names, lambda name: store.count(namespace=name), at_a_time=4)
        return SourceInfo(
            name=self.name,
            kind=store.provider,
            dimension=info.dimension,
            metric=info.metric,
            namespaces=dict(zip(names, counts, strict=True)),
            embedding_model=info.embedding_model,
        )

    async def pages(self, namespace: str, size: int, after: Cursor = None) -> AsyncIterator[Page]:
        """The documents of a namespace; see :class:`~ia_modules.vector_stores.migration.records.Source`."""
        begun = False
        try:
            async with aclosing(self._scan(namespace, size, after)) as pages:
                async for page in pages:
                    begun = True
                    yield page
        except VectorStoreError as error:
            # A place in a list may be good for a while only, and is gone with the index. Then all is read once more.
            if after is None or begun or error.retryable or isinstance(error, AuthenticationError | IndexNotFoundError):
                raise
            async with aclosing(self._scan(namespace, size, None)) as pages:
                async for page in pages:
                    yield page

    async def _scan(self, namespace: str, size: int, after: Cursor) -> AsyncGenerator[Page]:
        async with aclosing(self.store.scan_pages(namespace, None, size, self._vectors, after)) as pages:
            async for page in pages:
                # Others hold a list of all ids, or something of this process.
                portable = isinstance(page.cursor, str | int)
                yield Page(page.documents, page.cursor if portable else None)

    async def present(self, ids: list[str], namespace: str) -> set[str]:
        """Which of the ids are in the namespace now."""
        return {document.id for document in await self.store.fetch(ids, namespace)}

    async def close(self) -> None:
        """Nothing to do: the store belongs to who made it."""


class StoreTarget:
    """A store's index, made if it is missing. The store is connected if need be, and stays connected at the end.

    Args:
        store: the store.
        create_missing: whether to create a missing index; without, it is an error.
        change_metric: whether the index may have another metric than the source: searches then rank otherwise.
        metric: of an index to be created; None for that of the config if it states one, else that of the source.
        index_options: further options of ``create_index``.

    Attributes:
        name: where the index is.
        notes: what a user should know.
    """

    def __init__(
        self,
        store: VectorStoreBase,
        create_missing: bool = True,
        *,
        change_metric: bool = False,
        metric: DistanceMetric | str | None = None,
        index_options: Mapping[str, Any] | None = None,
    ) -> None:
        self.store = store
        self.name = place_of(store)
        self.notes: list[str] = []
        self._create_missing = create_missing
        self._change_metric = change_metric
        self._metric = None if metric is None else DistanceMetric(metric)
        self._options = dict(index_options or {})
        self._pending: IndexInfo | None = None

    async def examine(self, info: SourceInfo) -> Intent:
        """What :meth:`prepare` would do for a source; changes nothing."""
        return await examined(
            self.store,
            info,
            create_missing=self._create_missing,
            change_metric=self._change_metric,
            metric=self._metric,
        )

    async def prepare(self, info: SourceInfo, namespaces: Mapping[str, str], *, resumed: bool) -> None:
        """Create the index if it is missing, with the source's dimension and metric.

        Raises:
            InvalidDimensionError: the index has vectors of another size.
            IndexMismatchError: it has another metric or embedding model.
            IndexNotFoundError: it is missing, and not to be created.
            UnsupportedOperationError: the database does not have the metric or so many dimensions.
        """
        del namespaces
        intent = await self.examine(info)
        if intent.errors:
            raise intent.errors[0]
        if not resumed:
            self.notes += intent.notes
        if not intent.exists:
            if intent.index.dimension is None:
                self._pending = intent.index
            else:
                await self._create(intent.index, intent.index.dimension)

    async def write(self, documents: list[VectorDocument], namespace: str) -> Mapping[str, str]:
        """Write documents, several batches at a time where the database likes that; of equal ids the last one wins.

        Raises:
            VectorStoreError: what is not the fault of single documents, such as a lost connection.
        """
        distinct = list({document.id: document for document in documents}.values())
        if not distinct:
            return {}
        if self._pending is not None:
            await self._create(self._pending, len(distinct[0].vector))
            self._pending = None
        store = self.store
        parallel = max(1, store.capabilities.parallel_batches)
        sender = Sender(store, namespace, AdaptiveLimit(parallel), _ATTEMPTS, store.config.retry_delay)
        size = -(-len(distinct) // parallel)
        parts = [distinct[at : at + size] for at in range(0, len(distinct), size)]
        refused: dict[str, str] = {}

        async def send(number: int, part: list[VectorDocument]) -> None:
            outcome = await sender.send(Batch(number, 0, part, list(range(len(part)))))
            if outcome.fatal is not None:
                raise outcome.fatal
            for failure in outcome.failures:
                if failure.retryable or failure.id is None:
                    raise failure.error
                refused[failure.id] = getattr(failure.error, "message", str(failure.error))

        await together(send(number, part) for number, part in enumerate(parts, 1))
        return refused

    async def differing(self, documents: list[VectorDocument], namespace: str) -> list[VectorDocument]:
        """Those of the documents that are not in the namespace as they are given."""
        return await self._differing(documents, namespace, vectors=True)

    async def _differing(
        self, documents: list[VectorDocument], namespace: str, *, vectors: bool
    ) -> list[VectorDocument]:
        distinct = {document.id: document for document in documents}
        if self._pending is not None or not distinct:
            return list(distinct.values())
        ids = list(distinct)
        different: list[VectorDocument] = []
        for at in range(0, len(ids), _FETCHED_AT_A_TIME):
            part = ids[at : at + _FETCHED_AT_A_TIME]
            stored = {document.id: document for document in await self.store.fetch(part, namespace)}

            def compare(part: list[str] = part, stored: dict[str, VectorDocument] = stored) -> list[VectorDocument]:
                return [
                    distinct[one]
                    for one in part
                    if one not in stored or not same_content(distinct[one], stored[one], vectors=vectors)
                ]

            different += await asyncio.to_thread(compare)
        return different

    async def remove(self, ids: list[str], namespace: str) -> None:
        """Delete documents; those that don't exist are no error."""
        if ids:
            await self.store.delete(ids, namespace=namespace)

    async def finish(self) -> None:
        """Wait until others can read what was written."""
        await self.store.settle()

    async def close(self) -> None:
        """Nothing to do: the store belongs to who made it."""

    async def _create(self, index: IndexInfo, dimension: int) -> None:
        options = dict(self._options)
        if index.embedding_model is not None:
            options["embedding_model"] = index.embedding_model
        await self.store.create_index(dimension, index.metric, **options)
        if index.dimension is None:
            self.notes.append(f"the index {self.store.config.index_name!r} was created with {dimension} dimensions")
