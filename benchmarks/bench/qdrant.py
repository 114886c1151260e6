"""Qdrant, in this process or on a server: where it is, and the work done by hand with its own client."""

from __future__ import annotations

import asyncio
import os
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit
from uuid import uuid4

import numpy as np

from bench.contestants import BATCH, PAGE, TOP_K, Contestant, Ours
from bench.data import Data, Filter
from ia_modules.vector_stores import VectorStoreConfig

__all__ = ["QDRANT", "QDRANT_SERVER", "QdrantTarget", "RawQdrant", "Server", "create_collection", "payload_of"]

QDRANT_SERVER = ("qdrant-rest", "qdrant-grpc")
QDRANT = ("qdrant-memory", *QDRANT_SERVER)
_PATIENCE = 1800.0
_QUIET = 3


@dataclass(frozen=True, slots=True)
class Server:
    """Where a Qdrant server listens."""

    host: str
    port: int
    grpc_port: int
    tls: bool

    @classmethod
    def of_environment(cls) -> Server | None:
        """As ``QDRANT_URL`` and ``QDRANT_GRPC_PORT`` say; None without the former."""
        url = os.environ.get("QDRANT_URL")
        if not url:
            return None
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SystemExit("QDRANT_URL must be a URL such as http://127.0.0.1:6333")
        port = parts.port or 6333
        grpc_port = int(os.environ.get("QDRANT_GRPC_PORT") or port + 1)
        return cls(parts.hostname, port, grpc_port, parts.scheme == "https")

    def config(self, name: str, dimension: int, *, grpc: bool) -> VectorStoreConfig:
        """Of ours."""
        options = {"grpc": True, "grpc_port": self.grpc_port} if grpc else {}
        return VectorStoreConfig(
            provider="qdrant",
            host=self.host,
            port=self.port,
            tls=self.tls,
            index_name=name,
            dimension=dimension,
            options=options,
        )

    def client(self, *, grpc: bool) -> Any:
        from qdrant_client import AsyncQdrantClient

        return AsyncQdrantClient(**self._place(), prefer_grpc=grpc)

    def blocking_client(self, *, grpc: bool) -> Any:
        from qdrant_client import QdrantClient

        return QdrantClient(**self._place(), prefer_grpc=grpc)

    def _place(self) -> dict[str, Any]:
        return {
            "host": self.host,
            "port": self.port,
            "grpc_port": self.grpc_port,
            "https": self.tls,
            "timeout": 60,
            "check_compatibility": False,
        }

    def version(self) -> str:
        from qdrant_client.http.exceptions import ResponseHandlingException

        client = self.blocking_client(grpc=False)
        try:
            return str(client.info().version)
        except ResponseHandlingException as error:
            raise SystemExit(f"no Qdrant server answers at {self.host}:{self.port}: {error}") from None
        finally:
            client.close()

    def clean(self, prefix: str) -> None:
        """Delete the collections whose names begin so."""
        client = self.blocking_client(grpc=False)
        try:
            for name in _beginning(prefix, client.get_collections()):
                client.delete_collection(name)
        finally:
            client.close()

    async def settle(self, prefix: str) -> None:
        """Wait until the collections whose names begin so are all indexed."""
        client = self.client(grpc=False)
        deadline = time.monotonic() + _PATIENCE
        quiet = 0
        try:
            # The optimizer starts a moment after the write that gives it work, and pauses between segments.
            while quiet < _QUIET:
                if time.monotonic() > deadline:
                    raise RuntimeError("the Qdrant server is not done with indexing")
                await asyncio.sleep(0.2)
                names = _beginning(prefix, await client.get_collections())
                states = [(await client.get_collection(name)).status for name in names]
                quiet = quiet + 1 if all(state == "green" for state in states) else 0
        finally:
            await client.close()


def _beginning(prefix: str, found: Any) -> list[str]:
    return [collection.name for collection in found.collections if collection.name.startswith(prefix)]


def create_collection(client: Any, name: str, dimension: int) -> Any:
    """What the client's method returns: something to await, of an asynchronous client."""
    from qdrant_client import models

    size = models.VectorParams(size=dimension, distance=models.Distance.COSINE)
    return client.create_collection(name, vectors_config=size)


def payload_of(data: Data, i: int) -> dict[str, Any]:
    return {**data.metadatas[i], "text": data.texts[i]}


class RawQdrant:
    """Qdrant's own client, used as its documentation says.

    Args:
        client: a ``QdrantClient`` in local mode, or an ``AsyncQdrantClient`` of a server.
        name: the collection.
        parallel: batches to write at the same time.
    """

    def __init__(self, client: Any, name: str, parallel: int) -> None:
        from qdrant_client import QdrantClient

        self._client = client
        self._name = name
        self._parallel = parallel
        self._filters: dict[str, Any] = {}
        # The embedded client would block the event loop, and its collections bear one thread at a time.
        self._thread = ThreadPoolExecutor(1) if isinstance(client, QdrantClient) else None

    async def _run(self, work: Callable[[], Any]) -> Any:
        if self._thread is None:
            return await work()
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def write(self, data: Data, start: int, stop: int) -> None:
        stop = min(stop, len(data))
        starts = iter(range(start, stop, BATCH))

        async def work() -> None:
            for i in starts:
                part = range(i, min(i + BATCH, stop))
                await self._run(lambda part=part: self._upsert(data, part))

        await asyncio.gather(*(work() for _ in range(self._parallel)))

    def _upsert(self, data: Data, part: range) -> Any:
        from qdrant_client import models

        # Of all the forms that the client takes, none is faster than this one.
        batch = models.Batch(
            ids=data.ids[part.start : part.stop],
            vectors=data.vectors[part.start : part.stop].tolist(),
            payloads=[payload_of(data, i) for i in part],
        )
        return self._client.upsert(self._name, batch, wait=True)

    async def search(self, query: np.ndarray, chosen: Filter | None = None) -> list[str]:
        native = None if chosen is None else self._filters.get(chosen.what) or await self._prepare(chosen)
        found = await self._run(
            lambda: self._client.query_points(
                self._name, query=query, query_filter=native, limit=TOP_K, with_payload=True
            )
        )
        return [point.id for point in found.points]

    async def _prepare(self, chosen: Filter) -> Any:
        """The filter, with the payload index that it needs; made as late as ours are, so that writing is alike."""
        from qdrant_client import models

        if self._thread is None:  # local mode has no indexes
            await self._client.create_payload_index(self._name, chosen.qdrant["key"], chosen.schema, wait=True)
        native = models.Filter.model_validate({"must": [chosen.qdrant]})
        self._filters[chosen.what] = native
        return native

    async def search_many(self, queries: np.ndarray) -> None:
        from qdrant_client import models

        def work() -> Any:
            requests = [models.QueryRequest(query=query, limit=TOP_K, with_payload=True) for query in queries.tolist()]
            return self._client.query_batch_points(self._name, requests)

        await self._run(work)

    async def fetch(self, ids: list[str]) -> None:
        await self._run(lambda: self._client.retrieve(self._name, ids, with_payload=True, with_vectors=True))

    async def scan(self) -> int:
        count, following = 0, None
        while True:
            page, following = await self._run(
                lambda offset=following: self._client.scroll(
                    self._name, limit=PAGE, offset=offset, with_payload=True, with_vectors=True
                )
            )
            count += len(page)
            if following is None:
                return count

    async def drop(self) -> None:
        await self._run(lambda: self._client.delete_collection(self._name))


class QdrantTarget:
    """Qdrant in memory, or a server over REST or gRPC; its collections are deleted on leaving.

    Args:
        name: one of :data:`QDRANT`.
        prefix: of the collections' names; two targets with the same one see the same collections of a server.
    """

    uuids = True

    def __init__(self, name: str, prefix: str | None = None) -> None:
        self.name = name
        self.prefix = prefix or f"bench-{uuid4().hex[:8]}"
        self._grpc = name == "qdrant-grpc"
        self._server = None if name not in QDRANT_SERVER else Server.of_environment()
        if name in QDRANT_SERVER and self._server is None:
            raise RuntimeError("QDRANT_URL does not say where the Qdrant server is")
        self._client: Any = None

    def __enter__(self) -> Self:
        # Said once more at every new collection.
        warnings.filterwarnings("ignore", "Local mode is not recommended", UserWarning)
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.clean(self.prefix)

    def _config(self, label: str, dimension: int) -> VectorStoreConfig:
        name = f"{self.prefix}-ours-{label}"
        if self._server is not None:
            return self._server.config(name, dimension, grpc=self._grpc)
        return VectorStoreConfig(provider="qdrant", path=f":memory:{name}", index_name=name, dimension=dimension)

    async def ours(self, data: Data, label: str) -> Ours:
        return await Ours.open(self._config(label, data.dimension))

    async def raw(self, data: Data, label: str) -> Contestant:
        client, name = self._raw_client(), f"{self.prefix}-raw-{label}"
        if self._server is None:
            create_collection(client, name, data.dimension)
        elif not await client.collection_exists(name):
            await create_collection(client, name, data.dimension)
        return RawQdrant(client, name, self.parallel)

    @property
    def parallel(self) -> int:
        """How many batches the layer writes at the same time; so shall the raw client."""
        from ia_modules.vector_stores import QdrantVectorStore

        return QdrantVectorStore(self._config("", 1)).capabilities.parallel_batches

    def _raw_client(self) -> Any:
        if self._client is None:
            from qdrant_client import QdrantClient

            self._client = QdrantClient(":memory:") if self._server is None else self._server.client(grpc=self._grpc)
        return self._client

    def same(self, ours: Ours) -> Contestant | None:
        client, name = self._raw_client(), ours.store._collection
        if self._server is None:
            # Two engines can share a collection as long as they take turns.
            client._client.collections[name] = ours.store._backend._engine._local.collections[name]
        return RawQdrant(client, name, self.parallel)

    async def settle(self) -> None:
        if self._server is not None:
            await self._server.settle(self.prefix)

    def blocking_client(self) -> Any:
        return None
