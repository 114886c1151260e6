"""Reading records of one index, all of them or by id, and no earlier than they can be read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from ia_modules.vector_stores.filters import Node, Predicate
from ia_modules.vector_stores.providers.pinecone.connection import Connection
from ia_modules.vector_stores.providers.pinecone.filtering import Filters, Prepared
from ia_modules.vector_stores.providers.pinecone.freshness import Freshness
from ia_modules.vector_stores.providers.pinecone.layout import namespace_name, namespace_of, record_id
from ia_modules.vector_stores.providers.pinecone.records import Record, record
from ia_modules.vector_stores.providers.pinecone.wire import Answer
from ia_modules.vector_stores.tasks import each

__all__ = ["Reader"]

_FETCHED_AT_A_TIME = 100
"""Ids per fetch: they stand in the request's address, whose length servers limit."""
_ADDRESS = 6_000
_REQUESTS = 8
_LISTED_AT_A_TIME = 100
"""Ids per page of a list: Pinecone's documentation, "Limits"."""
_FOUND_AT_A_TIME = 1_000
_ANY = {"$or": [{"~c": {"$exists": False}}, {"~c": {"$exists": True}}]}
"""A filter that every record passes."""


class Reader:
    """Reads from one index.

    Args:
        connection: to the index.
        freshness: what was written.
        dimension: numbers per vector.
    """

    def __init__(self, connection: Connection, freshness: Freshness, dimension: int) -> None:
        self.connection = connection
        self.freshness = freshness
        self.filters = Filters()
        self._probe = [1.0, *([0.0] * (dimension - 1))]
        self.page = max(1, min(_FOUND_AT_A_TIME, 400_000 // dimension))
        """Records with their vectors to ask for at a time, as reading a longer answer would hold up the event loop."""

    async def settled(self, *namespaces: str) -> None:
        """Wait until what was written to the namespaces can be read."""
        for namespace in namespaces:
            if namespace in self.freshness.unsettled:
                body = self.connection.json(
                    {"topK": 1, "vector": self._probe, "namespace": namespace_name(namespace), "includeValues": False}
                )

                async def ask(body: bytes = body) -> Mapping[str, str]:
                    return (await self.connection.post("/query", body)).headers

                await self.freshness.until_fresh(namespace, ask)

    async def query(self, namespace: str, body: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Matches of a query that has seen what was written before."""
        data = self.connection.json(body)
        answer: Answer | None = None

        async def ask() -> Mapping[str, str]:
            nonlocal answer
            answer = await self.connection.post("/query", data)
            return answer.headers

        if namespace in self.freshness.unsettled:
            await self.freshness.until_fresh(namespace, ask)
        if answer is None:
            await ask()
        assert answer is not None
        matches: list[dict[str, Any]] = answer.content.get("matches") or []
        return matches

    async def counts(self) -> dict[str, int]:
        """How many records each namespace has, and for ``""`` and others the same as Pinecone says."""
        await self.settled(*self.freshness.unsettled)
        content = (await self.connection.post("/describe_index_stats", b"{}")).content
        found: dict[str, int] = {}
        for name, summary in (content.get("namespaces") or {}).items():
            key = namespace_of(name)
            found[key] = found.get(key, 0) + int(summary.get("vectorCount") or 0)
        return found

    async def fetch(self, ids: Iterable[str], namespace: str, *, vectors: bool) -> list[Record]:
        """Records by the documents' ids, in any order; missing ones left out."""
        await self.settled(namespace)
        found = await self.by_records([record_id(one) for one in ids], namespace, vectors=vectors)
        return list(found.values())

    async def by_records(self, keys: Sequence[str], namespace: str, *, vectors: bool) -> dict[str, Record]:
        """Records by their own ids; missing ones left out."""
        parts = list(_addresses(keys))
        if len(parts) == 1:
            return await self._fetch(parts[0], namespace, vectors=vectors)
        found = await each(parts, lambda part: self._fetch(part, namespace, vectors=vectors), at_a_time=_REQUESTS)
        return {key: one for part in found for key, one in part.items()}

    async def _fetch(self, keys: Iterable[str], namespace: str, *, vectors: bool) -> dict[str, Record]:
        query = f"{'&'.join(keys)}&namespace={quote(namespace_name(namespace), safe='')}"
        content = (await self.connection.get("/vectors/fetch", query)).content
        return {key: record(one, vectors=vectors) for key, one in (content.get("vectors") or {}).items()}

    async def listed(
        self, namespace: str, size: int, token: str | None, *, vectors: bool
    ) -> tuple[list[Record], str | None]:
        """Up to ``size`` records in the order of their ids from a place on, and the next place; None after the last.

        What a page of the list names is read while the next one is asked for.
        """
        reading: list[asyncio.Task[dict[str, Record]]] = []
        first: Exception | None = None
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    limit = min(_LISTED_AT_A_TIME, size)
                    query = f"namespace={quote(namespace_name(namespace), safe='')}&limit={limit}"
                    if token is not None:
                        query += f"&paginationToken={quote(token, safe='')}"
                    content = (await self.connection.get("/vectors/list", query)).content
                    keys = [one["id"] for one in content.get("vectors") or ()]
                    if keys:
                        reading.append(group.create_task(self.by_records(keys, namespace, vectors=vectors)))
                    token = (content.get("pagination") or {}).get("next") or None
                    size -= len(keys)
                    if token is None or size <= 0:
                        break
        except ExceptionGroup as failed:
            first = failed.exceptions[0]
        if first is not None:
            raise first  # out here, so that its cause and context stay what they are
        return [one for task in reading for one in task.result().values()], token

    async def found(
        self, namespace: str, size: int, prepared: Prepared, token: str | None
    ) -> tuple[list[Record], str | None]:
        """Up to ``size`` records that pass a filter, from a place on, and the next place."""
        body: dict[str, Any] = {"filter": prepared.native, "namespace": namespace_name(namespace), "limit": size}
        if token is not None:
            body["paginationToken"] = token
        content = (await self.connection.post("/vectors/fetch_by_metadata", body)).content
        records = [record(one, vectors=True) for one in (content.get("vectors") or {}).values()]
        return _passing(records, prepared.passes), (content.get("pagination") or {}).get("next") or None

    async def pages(
        self, namespace: str, size: int, filters: Node, token: str | None, *, vectors: bool
    ) -> tuple[list[Record], str | None]:
        """Up to ``size`` records that pass a filter, or all, from a place on, and the next place."""
        if token is None:
            await self.settled(namespace)
        prepared = self.filters.of(filters)
        if prepared.native is not None:
            return await self.found(namespace, size, prepared, token)
        records, following = await self.listed(namespace, size, token, vectors=vectors)
        return _passing(records, prepared.passes), following

    async def walk(self, namespace: str, filters: Node, *, vectors: bool) -> AsyncIterator[list[Record]]:
        """All records that pass a filter, in pages."""
        prepared = self.filters.of(filters)
        if prepared.native is None and prepared.passes is not None:
            prepared = prepared._replace(native=_ANY)  # one request where a list takes two for a hundred records
        token: str | None = None
        await self.settled(namespace)
        while True:
            if prepared.native is None:
                records, token = await self.listed(namespace, self.page, token, vectors=vectors)
            else:
                records, token = await self.found(namespace, self.page, prepared, token)
            yield records
            if token is None:
                return

    async def count(self, namespace: str, prepared: Prepared) -> int:
        """How many records pass a filter that Pinecone can apply alone: what an update that is not made would do."""
        await self.settled(namespace)
        body = {
            "filter": prepared.native,
            "namespace": namespace_name(namespace),
            "setMetadata": {"~c": True},
            "dryRun": True,
        }
        return int((await self.connection.post("/vectors/update", body)).content.get("matchedRecords") or 0)


def _passing(records: list[Record], passes: Predicate | None) -> list[Record]:
    return records if passes is None else [one for one in records if passes(one.metadata)]


def _addresses(keys: Iterable[str]) -> Iterator[list[str]]:
    """Ids as they stand in an address, in parts that fit into one."""
    part: list[str] = []
    length = 0
    for key in keys:
        one = f"ids={quote(key, safe='')}"
        if part and (length + len(one) > _ADDRESS or len(part) == _FETCHED_AT_A_TIME):
            yield part
            part, length = [], 0
        part.append(one)
        length += len(one) + 1
    if part:
        yield part
