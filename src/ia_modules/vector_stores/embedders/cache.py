"""Embeddings that were computed once, kept on disk."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
import time
import zlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from ia_modules.vector_stores.embedders.base import Embedder, Vectors, check_texts, check_vectors
from ia_modules.vector_stores.errors import VectorStoreError

__all__ = ["CacheStatistics", "CachedEmbedder"]

T = TypeVar("T")
_KEYS_PER_QUERY = 500
_BUSY_SECONDS = 60.0


@dataclass
class CacheStatistics:
    """What a cache saved so far.

    Attributes:
        hits: texts answered from disk.
        misses: distinct texts that went to the model.
        corrupt: entries that were found damaged; each is also a miss, and was rewritten.
    """

    hits: int = 0
    misses: int = 0
    corrupt: int = 0


class CachedEmbedder:
    """Wraps an embedder; only texts that it never saw reach the model, each once.

    Entries are float32 blobs with a checksum in an SQLite file, keyed by model, kind (document or question, as some
    models treat them differently) and text. Several processes may share a file.

    Args:
        inner: the embedder that does the work; it is closed together with this one.
        path: the SQLite file; created with its folder at the first call.
    """

    def __init__(self, inner: Embedder, path: str | Path) -> None:
        self._inner = inner
        self._path = Path(path).expanduser()
        self._connection: sqlite3.Connection | None = None
        self._worker: ThreadPoolExecutor | None = None
        self.statistics = CacheStatistics()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._inner!r}, {str(self._path)!r})"

    @property
    def model(self) -> str:
        """The inner embedder's model."""
        return self._inner.model

    @property
    def dimension(self) -> int | None:
        """The inner embedder's dimension, if known."""
        return self._inner.dimension

    async def get_dimension(self) -> int:
        """The inner embedder's dimension."""
        return await self._inner.get_dimension()

    async def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """Embed texts, from disk where possible; see :meth:`Embedder.embed_documents`.

        Raises:
            ValueError: a text is blank.
            VectorStoreError: the cache file can't be used, or the inner embedder failed.
        """
        checked = check_texts(texts)
        if not checked:
            return await self._inner.embed_documents(checked)
        return await self._cached(checked, "document", self._inner.embed_documents)

    async def embed_query(self, text: str) -> Vectors:
        """Embed a question, from disk where possible."""

        async def embed(missing: list[str]) -> Vectors:
            return (await self._inner.embed_query(missing[0])).reshape(1, -1)

        row: Vectors = (await self._cached(check_texts([text]), "query", embed))[0]
        return row

    async def aclose(self) -> None:
        """Close the file and the inner embedder."""
        worker, self._worker = self._worker, None
        if worker is not None:
            await asyncio.get_running_loop().run_in_executor(worker, self._disconnect)
            await asyncio.to_thread(worker.shutdown)
        await self._inner.aclose()

    async def _cached(self, texts: list[str], kind: str, embed: Callable[[list[str]], Awaitable[Vectors]]) -> Vectors:
        keys = [self._key(kind, text) for text in texts]
        found = await self._run(lambda: self._read(set(keys)))
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
        self.statistics.hits += sum(key in found for key in keys)
        self.statistics.misses += len(missing)
        if missing:
            vectors = await embed(list(missing.values()))
            check_vectors(vectors, count=len(missing), dimension=self._inner.dimension, model=self.model)
            fresh = dict(zip(missing, vectors, strict=True))
            await self._run(lambda: self._write(fresh.items()))
            found.update(fresh)
        return np.stack([found[key] for key in keys])

    def _key(self, kind: str, text: str) -> bytes:
        return hashlib.sha256(f"{self.model}\0{kind}\0{text}".encode()).digest()

    async def _run(self, work: Callable[[], T]) -> T:
        if self._worker is None:
            # One thread owns the connection: SQLite objects stay in the thread that made them.
            self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="embedding-cache")
        return await asyncio.get_running_loop().run_in_executor(self._worker, self._guarded, work)

    def _guarded(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except (sqlite3.Error, OSError) as error:
            raise VectorStoreError(
                f"the embedding cache {self._path} can't be used: {error}. It may be deleted at any time."
            ) from error

    def _connect(self) -> sqlite3.Connection:
        if self._connection is None:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self._path.exists():
                self._path.touch(mode=0o600)  # SQLite gives the files beside it the same mode
            connection = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None)
            try:
                _prepare(connection)
            except sqlite3.Error:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _read(self, keys: set[bytes]) -> dict[bytes, Vectors]:
        connection = self._connect()
        wanted = list(keys)
        found: dict[bytes, Vectors] = {}
        for start in range(0, len(wanted), _KEYS_PER_QUERY):
            part = wanted[start : start + _KEYS_PER_QUERY]
            marks = ",".join("?" * len(part))
            query = f"SELECT key, vector, checksum FROM embeddings WHERE key IN ({marks})"
            for key, blob, checksum in connection.execute(query, part):
                vector = self._decode(blob, checksum)
                if vector is None:
                    self.statistics.corrupt += 1
                else:
                    found[key] = vector
        return found

    def _decode(self, blob: object, checksum: object) -> Vectors | None:
        """The vector, or None if the entry is damaged."""
        if not isinstance(blob, bytes) or not blob or len(blob) % 4 or zlib.crc32(blob) != checksum:
            return None
        vector = np.frombuffer(blob, dtype="<f4").astype(np.float32)
        if self._inner.dimension not in (None, len(vector)) or not bool(np.isfinite(vector).all()):
            return None
        return vector

    def _write(self, entries: Iterable[tuple[bytes, Vectors]]) -> None:
        blobs = [(key, np.ascontiguousarray(vector, dtype="<f4").tobytes()) for key, vector in entries]
        connection = self._connect()
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.executemany(
                "INSERT OR REPLACE INTO embeddings (key, vector, checksum) VALUES (?, ?, ?)",
                [(key, blob, zlib.crc32(blob)) for key, blob in blobs],
            )
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise


def _prepare(connection: sqlite3.Connection) -> None:
    """Switch to write-ahead logging and make the table.

    The switch needs the file for itself for a moment and does not honour the busy timeout, so two processes that
    create a cache together have to take turns by hand.
    """
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS embeddings"
                " (key BLOB PRIMARY KEY, vector BLOB NOT NULL, checksum INTEGER NOT NULL) WITHOUT ROWID"
            )
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return
