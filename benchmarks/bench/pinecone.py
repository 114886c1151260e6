"""Pinecone, which is our emulator in a process of its own, and the work done by hand with its own client."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from typing import Any, Self
from uuid import uuid4

import numpy as np

from bench.contestants import BATCH, PAGE, TOP_K, Contestant, Ours
from bench.data import Data, Filter
from ia_modules.vector_stores import VectorStoreConfig

__all__ = ["PINECONE", "PineconeTarget", "RawPinecone"]

PINECONE = ("pinecone",)
_PARALLEL_SEARCHES = 8
"""As many as ours makes at the same time."""
_LISTED = 100
_PATIENCE = 30.0


class RawPinecone:
    """Pinecone's own asynchronous client, used as its documentation says; the text lies in the metadata.

    Args:
        client: for the index's end.
        index: an ``AsyncIndex``.
        name: of the index.
        parallel: batches to write at the same time.
    """

    def __init__(self, client: Any, index: Any, name: str, parallel: int) -> None:
        self._client = client
        self._index = index
        self._name = name
        self._parallel = parallel

    async def write(self, data: Data, start: int, stop: int) -> None:
        stop = min(stop, len(data))
        starts = iter(range(start, stop, BATCH))

        async def work() -> None:
            for i in starts:
                part = slice(i, min(i + BATCH, stop))
                vectors = data.vectors[part].tolist()
                metadatas = [
                    {**metadata, "text": text}
                    for metadata, text in zip(data.metadatas[part], data.texts[part], strict=True)
                ]
                await self._index.upsert(vectors=list(zip(data.ids[part], vectors, metadatas, strict=True)))

        await asyncio.gather(*(work() for _ in range(self._parallel)))

    async def search(self, query: np.ndarray, chosen: Filter | None = None) -> list[str]:
        # Chroma's form of these filters is Pinecone's as well.
        return [one.id for one in (await self._near(query, None if chosen is None else chosen.chroma)).matches]

    async def _near(self, query: np.ndarray, native: Any) -> Any:
        return await self._index.query(vector=query.tolist(), top_k=TOP_K, filter=native, include_metadata=True)

    async def search_many(self, queries: np.ndarray) -> None:
        # There is no request for several searches.
        waiting = iter(queries)

        async def work() -> list[Any]:
            return [await self._near(query, None) for query in waiting]

        await asyncio.gather(*(work() for _ in range(_PARALLEL_SEARCHES)))

    async def fetch(self, ids: list[str]) -> None:
        await self._index.fetch(ids=ids)

    async def scan(self) -> int:
        count = 0
        token = None
        ids: list[str] = []
        while True:
            page = await self._index.list_paginated(limit=_LISTED, pagination_token=token)
            ids += [one.id for one in page.vectors]
            token = page.pagination.next if page.pagination else None
            if len(ids) >= PAGE or token is None:
                parts = [ids[i : i + _LISTED] for i in range(0, len(ids), _LISTED)]
                found = await asyncio.gather(*(self._index.fetch(ids=part) for part in parts))
                count += sum(len(one.vectors) for one in found)
                ids = []
            if token is None:
                return count

    async def drop(self) -> None:
        await self._client.indexes.delete(self._name, timeout=-1)
        await self._index.close()
        await self._client.close()


class PineconeTarget:
    """The emulator; it ends with everything in it."""

    name = "pinecone"
    uuids = False

    def __init__(self) -> None:
        self.prefix = f"bench-{uuid4().hex[:8]}"

    def __enter__(self) -> Self:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        command = [sys.executable, "-m", "ia_modules.vector_stores.cli", "emulate", "pinecone", "--port"]
        self._process = subprocess.Popen(
            [*command, str(self._port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + _PATIENCE
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self._port)) == 0:
                    return self
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the emulator did not start; it needs the extra `emulator`")
            time.sleep(0.05)

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(10)

    async def ours(self, data: Data, label: str) -> Ours:
        return await Ours.open(self._config(f"{self.prefix}-ours-{label}".lower(), data.dimension))

    def _config(self, name: str, dimension: int) -> VectorStoreConfig:
        return VectorStoreConfig(
            provider="pinecone", host="127.0.0.1", port=self._port, index_name=name, dimension=dimension
        )

    async def raw(self, data: Data, label: str) -> Contestant:
        from pinecone import AsyncPinecone, ServerlessSpec

        name = f"{self.prefix}-raw-{label}".lower()
        client = AsyncPinecone(api_key="any", host=f"http://127.0.0.1:{self._port}")
        if not await client.indexes.exists(name):
            spec = ServerlessSpec(cloud="aws", region="us-east-1")
            await client.indexes.create(name=name, dimension=data.dimension, metric="cosine", spec=spec)
        return RawPinecone(client, await client.index(name), name, self.parallel)

    @property
    def parallel(self) -> int:
        """How many batches the layer writes at the same time; so shall the raw client."""
        from ia_modules.vector_stores import PineconeVectorStore

        return PineconeVectorStore(self._config(self.prefix, 1)).capabilities.parallel_batches

    def same(self, ours: Ours) -> Contestant | None:  # noqa: ARG002 - the signature is given
        # Searches are exact, so two indexes of the same data are as good as one.
        return None

    async def settle(self) -> None:
        pass

    def blocking_client(self) -> Any:
        return None
