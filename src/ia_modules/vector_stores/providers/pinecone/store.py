"""The Pinecone provider."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from ia_modules.vector_stores.base import VectorStoreBase
from ia_modules.vector_stores.capabilities import Capabilities
from ia_modules.vector_stores.config import VectorStoreConfig
from ia_modules.vector_stores.documents import CheckedDocuments, DocumentBatch
from ia_modules.vector_stores.errors import IndexAlreadyExistsError, VectorStoreError
from ia_modules.vector_stores.filters import MATCH_ALL, Node
from ia_modules.vector_stores.models import IndexStats, SearchResult, VectorDocument
from ia_modules.vector_stores.providers.pinecone.connection import CONNECTION_OPTIONS, Connection
from ia_modules.vector_stores.providers.pinecone.errors import map_error, status_of
from ia_modules.vector_stores.providers.pinecone.filtering import written_after
from ia_modules.vector_stores.providers.pinecone.freshness import Freshness
from ia_modules.vector_stores.providers.pinecone.layout import (
    MAX_METADATA_BYTES,
    encode,
    index_name,
    namespace_name,
    record_id,
)
from ia_modules.vector_stores.providers.pinecone.options import METRICS, index_arguments, index_info
from ia_modules.vector_stores.providers.pinecone.reading import Reader
from ia_modules.vector_stores.providers.pinecone.records import (
    MAX_RECORDS,
    Portion,
    check_size,
    check_sizes,
    portions,
    upsert_body,
)
from ia_modules.vector_stores.providers.pinecone.searching import search
from ia_modules.vector_stores.providers.turns import Turns
from ia_modules.vector_stores.requests import IndexInfo, ScanPage, SearchRequest, TextsPage, TextsState
from ia_modules.vector_stores.tasks import together

__all__ = ["PineconeVectorStore"]

_FRESHNESS_WAIT = 10.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0

_CAPABILITIES = Capabilities(
    provider="pinecone",
    metrics=frozenset(METRICS),
    remote=True,
    max_top_k=10_000,
    max_batch_size=MAX_RECORDS,
    max_dimension=20_000,
    zero_vectors=False,
    # Pinecone keeps single precision: beyond this, squares would be 0 or infinite.
    vector_lengths=(1e-15, 1e15),
    max_document_bytes=MAX_METADATA_BYTES,
    # Bounds beyond 2**53, dates outside of 1684 to 2255, and ranges that are negated.
    filters=dict.fromkeys(("gt", "gte", "lt", "lte"), "checked"),
    parallel_batches=4,
    text_search="index",
)
_UNCOUNTED = dataclasses.replace(_CAPABILITIES, deletes_counted=False)


class PineconeVectorStore(VectorStoreBase):
    """An index of Pinecone's Vectors API.

    ``api_key`` is enough for Pinecone's cloud. ``host`` is another control plane, such as the emulator's
    ``http://127.0.0.1:5080``; where the index itself is, that one says. Index names, namespaces and ids that Pinecone
    does not allow are encoded.

    Config options: ``freshness_wait``, seconds that a read waits at most until it sees what this store has written to
    the namespace (10; 0 for not at all); ``count_deletes`` (True): whether ``delete`` by ids looks first which of them
    exist, which costs a fetch; ``headers``; ``proxy_url``; ``ssl_ca_certs``, a file or folder of certificates.

    Options of ``create_index``: ``cloud`` (``"aws"``) and ``region`` (``"us-east-1"``) of a serverless index, or
    ``environment`` for the caller's own cloud, or that with ``pod_type``, ``replicas`` and ``shards`` for pods; or the
    client's own ``spec`` or ``deployment``; ``read_capacity``, ``deletion_protection``, ``tags``, ``cmek_id``, and
    ``sparse`` (True for sparse vectors beside the dense ones, under dot_product).

    ``update_metadata`` reads a document and writes what changes. Calls of one store wait for each other where they
    would interfere; another process that replaces the same document at that moment may find a part of it undone.
    """

    provider: ClassVar[str] = "pinecone"
    client_packages: ClassVar[tuple[str, ...]] = ("pinecone", "httpx", "httpcore", "orjson", "msgspec")
    splits_batches: ClassVar[bool] = True

    def __init__(self, config: VectorStoreConfig) -> None:
        super().__init__(config)
        known = CONNECTION_OPTIONS | {"freshness_wait", "count_deletes"}
        if unknown := set(config.options) - known:
            raise ValueError(f"unknown options for pinecone: {', '.join(sorted(unknown))}; known: {sorted(known)}")
        wait = config.options.get("freshness_wait", _FRESHNESS_WAIT)
        if isinstance(wait, bool) or not isinstance(wait, int | float) or not wait >= 0:
            raise ValueError(f"freshness_wait is a number of seconds, 0 for not waiting; not {wait!r}")
        self._counting = config.options.get("count_deletes", True)
        if not isinstance(self._counting, bool):
            raise ValueError("count_deletes is True or False")
        if config.path is not None:
            raise ValueError("pinecone is a service (api_key, host); it has no embedded form with a path")
        self._freshness = Freshness(float(wait))
        self._connection = Connection(config, index_name(config.index_name), self._freshness.forget)
        self._turns = Turns()
        self._reader: Reader | None = None

    @property
    def capabilities(self) -> Capabilities:
        """What this provider can do."""
        return _CAPABILITIES if self._counting else _UNCOUNTED

    def _map_error(self, error: Exception) -> VectorStoreError | None:
        return map_error(error)

    async def _open(self) -> None:
        self._turns = Turns()
        self._reader = None
        await self._connection.open()

    async def _close(self) -> None:
        await self._connection.close()

    # Index

    async def _create_index(self, info: IndexInfo, options: dict[str, Any]) -> None:
        arguments = index_arguments(info, options)
        if await self._connection.describe() is not None:
            raise IndexAlreadyExistsError(f"index {self.config.index_name!r} exists already")
        await self._forget()
        await self._connection.create(**arguments)
        await self._load_ready(created=True)

    async def _drop_index(self) -> None:
        await self._forget()
        try:
            await self._connection.delete()
        except Exception as error:
            if status_of(error) == 404:
                raise self._index_not_found() from error
            raise
        pause = _FIRST_PAUSE
        while await self._connection.describe() is not None:
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE, pause * 1.5)

    async def _forget(self) -> None:
        self._freshness.forget()
        self._reader = None
        await self._connection.forget()

    async def _load_index(self) -> IndexInfo | None:
        model = await self._load_ready()
        if model is None:
            await self._forget()
            return None
        info = index_info(self.config.index_name, model)
        self._reader = None
        return info

    async def _load_ready(self, *, created: bool = False) -> Any:
        """The client's model of the index once it can be used; None if there is none, or it is about to go.

        An index that was just created need not be listed at once.
        """
        pause = _FIRST_PAUSE
        while True:
            model = await self._connection.describe()
            if model is None:
                if not created:
                    return None
            elif model.status.ready:
                return model
            elif model.status.state == "Terminating":
                return None
            elif model.status.state == "InitializationFailed":
                raise VectorStoreError(f"Pinecone could not create index {self.config.index_name!r}")
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE, pause * 1.5)

    async def _read(self) -> Reader:
        if self._reader is None:
            info = self._info or await self._load_index()
            if info is None:
                raise self._index_not_found()
            assert info.dimension is not None
            self._reader = Reader(self._connection, self._freshness, info.dimension)
        return self._reader

    async def _stats(self, info: IndexInfo) -> IndexStats:
        counts = (await (await self._read()).counts()).values()
        return IndexStats(
            total_vectors=sum(counts), dimension=info.dimension or 0, namespace_count=sum(1 for n in counts if n)
        )

    async def _namespaces(self) -> list[str]:
        return [name for name, count in (await (await self._read()).counts()).items() if count]

    # Writing

    def _check_documents(self, documents: CheckedDocuments) -> None:
        check_sizes(documents, self._connection.json)

    def _portions(self, batch: DocumentBatch) -> Iterator[DocumentBatch]:
        return portions(batch, self._connection.json)

    async def _upsert(self, batch: DocumentBatch, namespace: str) -> None:
        assert isinstance(batch, Portion)
        async with self._turns.shared():
            await self._put(batch.records, namespace)

    async def _put(self, records: Sequence[bytes], namespace: str) -> None:
        body = upsert_body(records, self._connection.json(namespace_name(namespace)))
        try:
            answer = await self._connection.post("/vectors/upsert", body)
        except Exception as error:
            if status_of(error) != 413 or len(records) == 1:
                raise
            half = len(records) // 2  # as the client does: what is too much for Pinecone is for Pinecone to say
            await self._put(records[:half], namespace)
            await self._put(records[half:], namespace)
            return
        self._freshness.written(namespace, answer.headers)

    async def _update_metadata(self, document_id: str, changes: dict[str, Any], namespace: str) -> bool:
        async with self._turns.alone():
            found = await (await self._read()).fetch([document_id], namespace, vectors=True)
            if not found:
                return False
            (old,) = found
            metadata = old.metadata | changes
            native = encode(document_id, metadata, old.text, old.written)
            check_size(document_id, native, self._connection.json)
            if old.native.keys() <= native.keys():
                different = {key: value for key, value in native.items() if not _is_same(old.native.get(key), value)}
                body = {"id": record_id(document_id), "namespace": namespace_name(namespace), "setMetadata": different}
                if different:
                    answer = await self._connection.post("/vectors/update", body)
                    self._freshness.written(namespace, answer.headers)
                return True
            # Pinecone can set fields, not remove them, so the record is written whole, with all that it has.
            vectors = {
                name: value
                for name, value in (("values", old.vector), ("sparseValues", old.sparse))
                if value is not None
            }
            whole = {"id": record_id(document_id), **vectors, "metadata": native}
            await self._put([self._connection.json(whole)], namespace)
        return True

    async def _delete_ids(self, ids: list[str], namespace: str) -> int | None:
        async with self._turns.shared():
            if not self._counting:
                await self._delete_records([record_id(one) for one in ids], namespace)
                return None
            reader = await self._read()
            there = [record_id(one.id) for one in await reader.fetch(ids, namespace, vectors=False)]
            await self._delete_records(there, namespace)
            return len(there)

    async def _delete_records(self, keys: Sequence[str], namespace: str) -> None:
        for start in range(0, len(keys), MAX_RECORDS):
            await self._erase(namespace, {"ids": list(keys[start : start + MAX_RECORDS])})

    async def _erase(self, namespace: str, what: dict[str, Any]) -> None:
        answer = await self._connection.post("/vectors/delete", {"namespace": namespace_name(namespace), **what})
        self._freshness.written(namespace, answer.headers)

    async def _delete_where(self, filters: Node, namespace: str) -> int | None:
        reader = await self._read()
        prepared = reader.filters.of(filters)
        async with self._turns.shared():
            if prepared.native is not None and prepared.passes is None:
                count = await reader.count(namespace, prepared)
                if count:
                    await self._erase(namespace, {"filter": prepared.native})
                return count
            found = [record_id(one.id) async for page in reader.walk(namespace, filters, vectors=False) for one in page]
            await self._delete_records(found, namespace)
            return len(found)

    async def _empty_namespace(self, namespace: str) -> int:
        async with self._turns.shared():
            count = (await (await self._read()).counts()).get(namespace, 0)
            await self._erase(namespace, {"deleteAll": True})
            return count

    async def _settle(self) -> None:
        if self._freshness.unsettled:
            await (await self._read()).settled(*self._freshness.unsettled)

    # Reading

    async def _search(self, request: SearchRequest) -> list[SearchResult]:
        return await search(await self._read(), request)

    async def _fetch(self, ids: list[str], namespace: str) -> dict[str, VectorDocument]:
        found = await (await self._read()).fetch(ids, namespace, vectors=True)
        return {one.id: one.document() for one in found}

    async def _count(self, filters: Node, namespace: str) -> int:
        reader = await self._read()
        if filters == MATCH_ALL:
            return (await reader.counts()).get(namespace, 0)
        prepared = reader.filters.of(filters)
        if prepared.native is not None and prepared.passes is None:
            return await reader.count(namespace, prepared)
        return sum([len(page) async for page in reader.walk(namespace, filters, vectors=False)])

    async def _texts_state(self, namespace: str, since: tuple[int, ...]) -> TextsState:
        reader = await self._read()
        newer = await together(reader.count(namespace, written_after(one)) for one in since)
        return TextsState(documents=(await reader.counts()).get(namespace, 0), newer=tuple(newer))

    async def _texts_page(self, namespace: str, since: int | None, size: int, cursor: object | None) -> TextsPage:
        reader = await self._read()
        token = cursor if isinstance(cursor, str) else None
        size = min(size, reader.page)
        if since is None:
            records, following = await reader.pages(namespace, size, MATCH_ALL, token, vectors=False)
        else:
            records, following = await reader.found(namespace, size, written_after(since), token)
        return TextsPage(
            [one.id for one in records], [one.text for one in records], [one.written for one in records], following
        )

    async def _scan_page(
        self, namespace: str, filters: Node, size: int, include_vectors: bool, cursor: object | None
    ) -> ScanPage:
        reader = await self._read()
        token = cursor if isinstance(cursor, str) else None
        size = min(size, reader.page)
        records, following = await reader.pages(namespace, size, filters, token, vectors=include_vectors)
        documents = [one.document() if include_vectors else one._replace(vector=None).document() for one in records]
        return ScanPage(documents, following)


def _is_same(old: Any, new: Any) -> bool:
    """Whether two values of a field are; True equals 1 in Python, and is another value in Pinecone."""
    return bool(old == new) and isinstance(old, bool) is isinstance(new, bool)
