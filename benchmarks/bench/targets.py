"""Places to run in: each opens a fresh pair of contestants, and a raw one that reads what ours has written."""

# ruff: noqa: ARG002 - the signatures are given

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from bench.contestants import SPARE, Contestant, NumpyByHand, Ours, RawChroma
from bench.data import Data
from bench.pinecone import PINECONE, PineconeTarget
from bench.qdrant import QDRANT, QdrantTarget
from bench.weaviate import WEAVIATE, WeaviateTarget
from ia_modules.vector_stores import VectorStoreConfig

__all__ = ["CHROMA", "Target", "open_target"]

CHROMA = ("chroma-memory", "chroma-folder", "chroma-server")
_HNSW = {"hnsw": {"space": "cosine"}}
_PATIENCE = 60.0


class Target(Protocol):
    """One backend."""

    name: str
    uuids: bool
    """Whether the database takes no other text for ids."""

    async def ours(self, data: Data, label: str) -> Ours: ...

    async def raw(self, data: Data, label: str) -> Contestant: ...

    def same(self, ours: Ours) -> Contestant | None: ...

    async def settle(self) -> None:
        """Wait until the database is done with what it does by itself after writing."""

    def blocking_client(self) -> Any: ...


class MemoryTarget:
    name = "memory"
    uuids = False

    async def ours(self, data: Data, label: str) -> Ours:
        return await Ours.open(VectorStoreConfig(provider="memory", index_name=label, dimension=data.dimension))

    async def raw(self, data: Data, label: str) -> Contestant:
        return NumpyByHand(len(data) + SPARE, data.dimension)

    def same(self, ours: Ours) -> Contestant | None:
        return None

    async def settle(self) -> None:
        pass

    def blocking_client(self) -> Any:
        return None


class ChromaTarget:
    """Embedded in memory or in a folder, or a server.

    Args:
        name: one of :data:`CHROMA`.
        place: a folder of our own.
        port: where the server listens.
    """

    uuids = False

    def __init__(self, name: str, place: Path, port: int | None) -> None:
        self.name = name
        self._place = place
        self._port = port
        self._client: Any = None

    async def ours(self, data: Data, label: str) -> Ours:
        where: dict[str, Any] = {"path": ":memory:"}
        if self.name == "chroma-folder":
            where = {"path": str(self._place / "ours")}
        elif self.name == "chroma-server":
            where = {"host": "127.0.0.1", "port": self._port, "tls": False}
        return await Ours.open(
            VectorStoreConfig(provider="chroma", index_name=f"ours-{label}", dimension=data.dimension, **where)
        )

    async def raw(self, data: Data, label: str) -> Contestant:
        client, name = await self._raw_client(), f"raw-{label}"
        made = client.create_collection(name, configuration=_HNSW, embedding_function=None)
        collection = await made if self.name == "chroma-server" else made
        return RawChroma(collection, lambda: client.delete_collection(name))

    async def _raw_client(self) -> Any:
        if self._client is None:
            import chromadb

            # Chroma has one system in memory per process, and it insists on equal settings.
            from ia_modules.vector_stores.providers.chroma.backend import settings

            if self.name == "chroma-server":
                self._client = await chromadb.AsyncHttpClient("127.0.0.1", self._port)
            elif self.name == "chroma-folder":
                self._client = await asyncio.to_thread(chromadb.PersistentClient, str(self._place / "raw"))
            else:
                self._client = await asyncio.to_thread(chromadb.EphemeralClient, settings())
        return self._client

    def same(self, ours: Ours) -> Contestant | None:
        # Two graphs of the same data differ a little, as several threads build each. What the layer adds to a
        # search shows only on one and the same graph.
        return RawChroma(ours.store._handles[""], lambda: None)

    async def settle(self) -> None:
        pass

    def blocking_client(self) -> Any:
        """What the other frameworks take; of a server, they have no asynchronous form."""
        if self.name != "chroma-server":
            return self._client
        import chromadb

        return chromadb.HttpClient("127.0.0.1", self._port)


@contextmanager
def open_target(name: str) -> Iterator[Target]:
    """A target with what it needs, a server included; nothing of it is left afterwards."""
    if name == "memory":
        yield MemoryTarget()
        return
    if name in QDRANT:
        with QdrantTarget(name) as target:
            yield target
        return
    if name in PINECONE:
        with PineconeTarget() as target:
            yield target
        return
    if name in WEAVIATE:
        with WeaviateTarget() as target:
            yield target
        return
    with tempfile.TemporaryDirectory(prefix="overhead-", ignore_cleanup_errors=True) as folder:
        if name != "chroma-server":
            yield ChromaTarget(name, Path(folder), None)
            return
        with _server(folder) as port:
            yield ChromaTarget(name, Path(folder), port)


@contextmanager
def _server(folder: str) -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    beside = Path(sys.executable).with_name("chroma")
    program = str(beside) if beside.exists() else shutil.which("chroma")
    if program is None:
        raise RuntimeError("the program chroma is not there; it comes with the package chromadb")
    process = subprocess.Popen(
        [program, "run", "--path", folder, "--host", "127.0.0.1", "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + _PATIENCE
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("chroma run did not start")
            time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
