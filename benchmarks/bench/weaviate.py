"""Weaviate on a server: where it is, and the work done by hand with its own client."""

from __future__ import annotations

import asyncio
import os
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Self
from urllib.parse import urlsplit
from uuid import uuid4

import numpy as np

from bench.contestants import BATCH, PAGE, TOP_K, Contestant, Ours
from bench.data import Data, Filter, metadata_of
from ia_modules.vector_stores import VectorStoreConfig
from ia_modules.vector_stores.providers.weaviate.layout import ID, META, TEXT, collection_name, tenant_name

__all__ = ["WEAVIATE", "RawWeaviate", "WeaviateServer", "WeaviateTarget"]

WEAVIATE = ("weaviate",)
_TENANT = "everyone"
_PARALLEL_SEARCHES = 8
"""As many as ours makes at the same time."""
_PATIENCE = 1800.0
_QUIET = 3


def _weaviate() -> ModuleType:
    with warnings.catch_warnings():  # importing it changes the program's own filters
        import weaviate

        return weaviate


@dataclass(frozen=True, slots=True)
class WeaviateServer:
    """Where a Weaviate server listens."""

    host: str
    port: int
    grpc_host: str
    grpc_port: int
    tls: bool

    @classmethod
    def of_environment(cls) -> WeaviateServer | None:
        """As ``WEAVIATE_URL`` and ``WEAVIATE_GRPC_URL`` say; None without the former."""
        url = os.environ.get("WEAVIATE_URL")
        if not url:
            return None
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SystemExit("WEAVIATE_URL must be a URL such as http://127.0.0.1:8080")
        tls = parts.scheme == "https"
        grpc = urlsplit(f"//{os.environ.get('WEAVIATE_GRPC_URL', '').rpartition('://')[2]}")
        port = parts.port or (443 if tls else 8080)
        return cls(parts.hostname, port, grpc.hostname or parts.hostname, grpc.port or 50051, tls)

    def config(self, name: str, dimension: int) -> VectorStoreConfig:
        """Of ours."""
        return VectorStoreConfig(
            provider="weaviate",
            host=self.host,
            port=self.port,
            tls=self.tls,
            index_name=name,
            dimension=dimension,
            options={"grpc_host": self.grpc_host, "grpc_port": self.grpc_port},
        )

    def client(self) -> Any:
        """An asynchronous one, to be connected."""
        return _weaviate().use_async_with_custom(**self._place())

    def blocking_client(self) -> Any:
        """A connected one."""
        return _weaviate().connect_to_custom(**self._place())

    def _place(self) -> dict[str, Any]:
        return {
            "http_host": self.host,
            "http_port": self.port,
            "http_secure": self.tls,
            "grpc_host": self.grpc_host,
            "grpc_port": self.grpc_port,
            "grpc_secure": self.tls,
            "skip_init_checks": True,
        }

    def version(self) -> str:
        from weaviate.exceptions import WeaviateBaseError

        try:
            with self.blocking_client() as client:
                return str(client.get_meta()["version"])
        except WeaviateBaseError as error:
            raise SystemExit(f"no Weaviate server answers at {self.host}:{self.port}: {error}") from None

    def clean(self, prefix: str) -> None:
        """Delete the collections whose names begin so."""
        with self.blocking_client() as client:
            for name in _beginning(prefix, client.collections.list_all()):
                client.collections.delete(name)

    async def settle(self, prefix: str) -> None:
        """Wait until the collections whose names begin so are all indexed, which some servers do later."""
        deadline = time.monotonic() + _PATIENCE
        quiet = 0
        async with self.client() as client:
            while quiet < _QUIET:
                if time.monotonic() > deadline:
                    raise RuntimeError("the Weaviate server is not done with indexing")
                await asyncio.sleep(0.1)
                names = _beginning(prefix, await client.collections.list_all())
                found = [await client.cluster.nodes(name, output="verbose") for name in names]
                shards = [shard for nodes in found for node in nodes for shard in node.shards]
                quiet = 0 if any(shard.vector_queue_length for shard in shards) else quiet + 1


def _beginning(prefix: str, names: Sequence[str]) -> list[str]:
    return [name for name in names if name.startswith(prefix)]


async def _create_collection(client: Any, name: str) -> None:
    """For several tenants, with properties for all that the documents have, indexed as the filters need it."""
    from weaviate.classes.config import Configure, DataType, Property, Tokenization, VectorDistances

    kinds = {str: DataType.TEXT, bool: DataType.BOOL, int: DataType.INT, float: DataType.NUMBER}
    properties = [
        Property(name="text", data_type=DataType.TEXT, tokenization=Tokenization.WORD, index_filterable=False)
    ]
    for field, value in metadata_of(0).items():
        how: dict[str, Any] = {"index_searchable": False}  # no words are looked for in it
        if isinstance(value, str):
            how["tokenization"] = Tokenization.FIELD
        elif not isinstance(value, bool):
            how["index_range_filters"] = True
        properties.append(Property(name=field, data_type=kinds[type(value)], index_filterable=True, **how))
    await client.collections.create(
        name,
        properties=properties,
        vector_config=Configure.Vectors.self_provided(
            vector_index_config=Configure.VectorIndex.hnsw(distance_metric=VectorDistances.COSINE),
            # Without being told, some servers quantize by themselves, which ours does not let them.
            quantizer=Configure.VectorIndex.Quantizer.none(),
        ),
        inverted_index_config=Configure.inverted_index(index_null_state=True),
        multi_tenancy_config=Configure.multi_tenancy(
            enabled=True, auto_tenant_creation=True, auto_tenant_activation=True
        ),
    )


class RawWeaviate:
    """Weaviate's own asynchronous client, used as its documentation says.

    Args:
        client: connected.
        name: the collection.
        tenant: the one in it that everything is in.
        parallel: batches to write at the same time.
        properties: those to read, which the client wants in a list; None for all.
    """

    def __init__(self, client: Any, name: str, tenant: str, parallel: int, properties: list[str] | None = None) -> None:
        from weaviate.classes.query import MetadataQuery

        self._client = client
        self._name = name
        self._collection = client.collections.use(name).with_tenant(tenant)
        self._parallel = parallel
        self._properties = properties
        self._metadata = MetadataQuery(distance=True)
        self._filters: dict[str, Any] = {}

    async def write(self, data: Data, start: int, stop: int) -> None:
        stop = min(stop, len(data))
        starts = iter(range(start, stop, BATCH))

        async def work() -> None:
            for i in starts:
                await self._insert(data, range(i, min(i + BATCH, stop)))

        await asyncio.gather(*(work() for _ in range(self._parallel)))

    async def _insert(self, data: Data, part: range) -> None:
        from weaviate.classes.data import DataObject

        # Lists of numbers are what the client makes of any other vectors.
        vectors = data.vectors[part.start : part.stop].tolist()
        done = await self._collection.data.insert_many(
            [
                DataObject(uuid=data.ids[i], properties={**data.metadatas[i], "text": data.texts[i]}, vector=vector)
                for i, vector in zip(part, vectors, strict=True)
            ]
        )
        if done.has_errors:
            raise RuntimeError(f"Weaviate did not take everything: {next(iter(done.errors.values())).message}")

    async def search(self, query: np.ndarray, chosen: Filter | None = None) -> list[str]:
        native = None if chosen is None else self._native(chosen)
        return [str(one.uuid) for one in (await self._near(query, native)).objects]

    async def _near(self, query: np.ndarray, native: Any) -> Any:
        return await self._collection.query.near_vector(
            query.tolist(),
            limit=TOP_K,
            filters=native,
            return_metadata=self._metadata,
            return_properties=self._properties,
        )

    def _native(self, chosen: Filter) -> Any:
        from weaviate.classes.query import Filter as Native

        if chosen.what not in self._filters:
            name, operator, value = chosen.weaviate
            self._filters[chosen.what] = getattr(Native.by_property(name), operator)(value)
        return self._filters[chosen.what]

    async def search_many(self, queries: np.ndarray) -> None:
        # There is no request for several searches.
        waiting = iter(queries)

        async def work() -> list[Any]:
            return [await self._near(query, None) for query in waiting]

        await asyncio.gather(*(work() for _ in range(_PARALLEL_SEARCHES)))

    async def fetch(self, ids: list[str]) -> None:
        await self._collection.query.fetch_objects_by_ids(ids, limit=len(ids), include_vector=True)

    async def scan(self) -> int:
        count = 0
        async for _ in self._collection.iterator(include_vector=True, cache_size=PAGE):
            count += 1
        return count

    async def drop(self) -> None:
        await self._client.collections.delete(self._name)
        await self._client.close()


class WeaviateTarget:
    """A Weaviate server; the collections are deleted on leaving.

    Args:
        prefix: of the indexes' names, in lower-case letters and digits.
    """

    name = "weaviate"
    uuids = True

    def __init__(self, prefix: str | None = None) -> None:
        self.prefix = prefix or f"bench{uuid4().hex[:8]}"
        self._server = WeaviateServer.of_environment()
        if self._server is None:
            raise RuntimeError("WEAVIATE_URL does not say where the Weaviate server is")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.clean(collection_name(self.prefix))

    async def ours(self, data: Data, label: str) -> Ours:
        return await Ours.open(self._server.config(f"{self.prefix}ours{label}", data.dimension))

    async def raw(self, data: Data, label: str) -> Contestant:  # noqa: ARG002 - the signature is given
        client, name = self._server.client(), collection_name(f"{self.prefix}raw{label}")
        await client.connect()
        if not await client.collections.exists(name):
            await _create_collection(client, name)
        return RawWeaviate(client, name, _TENANT, self.parallel)

    @property
    def parallel(self) -> int:
        """How many batches the layer writes at the same time; so shall the raw client."""
        from ia_modules.vector_stores import WeaviateVectorStore

        return WeaviateVectorStore(self._server.config(self.prefix, 1)).capabilities.parallel_batches

    def same(self, ours: Ours) -> Contestant | None:
        # The client that is in ours, with what it brings back of our documents.
        client, name = ours.store._connection._client, ours.store._collection.name
        return RawWeaviate(client, name, tenant_name(""), self.parallel, [ID, META, TEXT])

    async def settle(self) -> None:
        await self._server.settle(collection_name(self.prefix))

    def blocking_client(self) -> Any:
        return None
