"""Who competes: our layer, and the same work done by hand with numpy or with Chroma's own client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from bench.data import Data, Filter, documents
from ia_modules.vector_stores import VectorStoreConfig, create_vector_store
from ia_modules.vector_stores.base import VectorStoreBase

__all__ = ["BATCH", "PAGE", "SPARE", "TOP_K", "Contestant", "NumpyByHand", "Ours", "RawChroma"]

BATCH, TOP_K, PAGE = 100, 10, 500
SPARE = 10_000
"""Room for what is written after the bulk upsert."""
_ALL = ["embeddings", "metadatas", "documents"]
_BIG = 1_000_000


class Contestant(Protocol):
    """The work of every row of the table."""

    async def write(self, data: Data, start: int, stop: int) -> None: ...

    async def search(self, query: np.ndarray, chosen: Filter | None = None) -> list[str]: ...

    async def search_many(self, queries: np.ndarray) -> None: ...

    async def fetch(self, ids: list[str]) -> None: ...

    async def scan(self) -> int: ...

    async def drop(self) -> None: ...


class Ours:
    """This library. Making the documents from rows of a matrix is part of what is timed."""

    def __init__(self, store: VectorStoreBase) -> None:
        self.store = store

    @classmethod
    async def open(cls, config: VectorStoreConfig) -> Ours:
        return cls(await create_vector_store(config, create_if_missing=True))

    async def write(self, data: Data, start: int, stop: int) -> None:
        await self.store.upsert(documents(data, start, stop), batch_size=BATCH)

    async def search(self, query: np.ndarray, chosen: Filter | None = None) -> list[str]:
        found = await self.store.search(query, TOP_K, None if chosen is None else chosen.ours)
        return [result.id for result in found.results]

    async def search_many(self, queries: np.ndarray) -> None:
        await self.store.search_many(queries, TOP_K)

    async def fetch(self, ids: list[str]) -> None:
        await self.store.fetch(ids)

    async def scan(self) -> int:
        count = 0
        async for _ in self.store.scan(batch_size=PAGE):
            count += 1
        return count

    async def drop(self) -> None:
        await self.store.delete_index()
        await self.store.disconnect()


class RawChroma:
    """Chroma's own client, used as its documentation says.

    Args:
        collection: a ``Collection`` or, of a server, an ``AsyncCollection``.
        drop: deletes it.
    """

    def __init__(self, collection: Any, drop: Callable[[], Any]) -> None:
        self._collection = collection
        self._drop = drop
        self._async = asyncio.iscoroutinefunction(collection.query)

    async def _call(self, method: Callable[..., Any], **arguments: Any) -> Any:
        # The embedded client would block the event loop, so an application needs this hop as well.
        return await (method(**arguments) if self._async else asyncio.to_thread(method, **arguments))

    async def write(self, data: Data, start: int, stop: int) -> None:
        stop = min(stop, len(data))
        for i in range(start, stop, BATCH):
            part = slice(i, min(i + BATCH, stop))
            await self._call(
                self._collection.upsert,
                ids=data.ids[part],
                embeddings=data.vectors[part],
                metadatas=data.metadatas[part],
                documents=data.texts[part],
            )

    async def search(self, query: np.ndarray, chosen: Filter | None = None) -> list[str]:
        where = {} if chosen is None else {"where": chosen.chroma}
        found = await self._call(
            self._collection.query,
            query_embeddings=[query],
            n_results=TOP_K,
            include=["distances", "metadatas", "documents"],
            **where,
        )
        return found["ids"][0]

    async def search_many(self, queries: np.ndarray) -> None:
        await self._call(
            self._collection.query,
            query_embeddings=queries,
            n_results=TOP_K,
            include=["distances", "metadatas", "documents"],
        )

    async def fetch(self, ids: list[str]) -> None:
        await self._call(self._collection.get, ids=ids, include=_ALL)

    async def scan(self) -> int:
        count = 0
        while page := (await self._call(self._collection.get, limit=PAGE, offset=count, include=_ALL))["ids"]:
            count += len(page)
        return count

    async def drop(self) -> None:
        dropped = self._drop()
        if asyncio.iscoroutine(dropped):
            await dropped


class NumpyByHand:
    """A matrix, a dict and a few lines of numpy; big scans go to a thread, as they should in any async program."""

    def __init__(self, capacity: int, dimension: int) -> None:
        self._matrix = np.empty((capacity, dimension), dtype=np.float32)
        self._places: dict[str, int] = {}
        self._ids: list[str] = []
        self._metadatas: list[dict[str, Any]] = []
        self._texts: list[str] = []

    async def write(self, data: Data, start: int, stop: int) -> None:
        for i in range(start, min(stop, len(data)), BATCH):
            rows = range(i, min(i + BATCH, stop, len(data)))
            places = []
            for row in rows:
                place = self._places.setdefault(data.ids[row], len(self._ids))
                if place == len(self._ids):
                    self._ids.append(data.ids[row])
                    self._metadatas.append(dict(data.metadatas[row]))
                    self._texts.append(data.texts[row])
                else:
                    self._metadatas[place], self._texts[place] = dict(data.metadatas[row]), data.texts[row]
                places.append(place)
            self._matrix[places] = data.vectors[rows.start : rows.stop]

    async def search(self, query: np.ndarray, chosen: Filter | None = None) -> list[str]:
        return [found[0] for found in await self._away(lambda: self._nearest(query, chosen))]

    async def search_many(self, queries: np.ndarray) -> None:
        await self._away(lambda: [self._nearest(query, None) for query in queries])

    async def _away(self, work: Callable[[], Any]) -> Any:
        big = len(self._ids) * self._matrix.shape[1] > _BIG
        return await asyncio.to_thread(work) if big else work()

    def _nearest(self, query: np.ndarray, chosen: Filter | None) -> list[tuple[Any, ...]]:
        matrix = self._matrix[: len(self._ids)]
        rows = None
        if chosen is not None:
            rows = np.array([i for i, metadata in enumerate(self._metadatas) if chosen.passes(metadata)])
            matrix = matrix[rows]
        scores = matrix @ query / (np.sqrt(np.einsum("ij,ij->i", matrix, matrix)) * np.linalg.norm(query))
        best = np.argpartition(-scores, min(TOP_K, len(scores) - 1))[:TOP_K]
        best = best[np.argsort(-scores[best])]
        found = zip(best if rows is None else rows[best], scores[best].tolist(), strict=True)
        return [(self._ids[i], score, dict(self._metadatas[i]), self._texts[i]) for i, score in found]

    async def fetch(self, ids: list[str]) -> None:
        places = [self._places[document_id] for document_id in ids]
        vectors = self._matrix[places]
        _ = [(self._ids[p], v, dict(self._metadatas[p]), self._texts[p]) for p, v in zip(places, vectors, strict=True)]

    async def scan(self) -> int:
        for start in range(0, len(self._ids), PAGE):
            await self.fetch(self._ids[start : start + PAGE])
        return len(self._ids)

    async def drop(self) -> None:
        self._ids, self._places, self._metadatas, self._texts = [], {}, [], []
