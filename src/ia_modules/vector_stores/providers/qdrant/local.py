"""Qdrant's local mode: the client's own engine in this process, in memory or in a folder.

That engine is plain Python. Its async client is not really asynchronous and its collections break when threads write
at the same time, so one thread owns each engine and does everything that is asked of it in turn. All stores of a
process that use the same folder share one engine; another process is kept out by Qdrant's own lock.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ia_modules.vector_stores.documents import copy_metadata
from ia_modules.vector_stores.errors import StoreLockedError
from ia_modules.vector_stores.providers.folders import private_folder
from ia_modules.vector_stores.providers.qdrant.backend import Backend, NativeFilter, Query, import_qdrant
from ia_modules.vector_stores.providers.qdrant.layout import Point, point
from ia_modules.vector_stores.providers.threads import finished, joined

__all__ = ["LARGE", "LocalBackend"]

T = TypeVar("T")

logger = logging.getLogger("ia_modules.vector_stores")

LARGE = 20_000
"""Points above which Qdrant advises against its local mode; the warning is given once per process."""

_TOMBSTONES = 1_000
_WRITES = frozenset({"upsert", "delete", "set_payload", "create_collection"})
_CHANGES = frozenset({"upsert", "delete", "create_collection", "delete_collection"})
"""Methods after which texts may be others."""


class _Engine:
    """One engine with the thread that owns it."""

    def __init__(self, location: str) -> None:
        self.location = location
        self.users = 0
        self.changes: Counter[str] = Counter()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="qdrant-local")
        self._local: Any = None

    def start(self) -> None:
        """Open the folder; on failure nothing stays open."""
        try:
            self._thread.submit(self._open).result()
        except BaseException:
            self._thread.shutdown(wait=True)
            raise

    def _open(self) -> None:
        import_qdrant()
        from qdrant_client.local.qdrant_local import QdrantLocal

        class Local(QdrantLocal):
            LARGE_DATA_THRESHOLD = sys.maxsize  # we warn ourselves, once, and not for every collection

        if self.location != ":memory:":
            private_folder(Path(self.location), ".lock", "meta.json")
        made = Local.__new__(Local)  # in two steps, to get hold of what a refusal leaves open
        try:
            made.__init__(self.location)  # type: ignore[misc]
            self._local = made
        except RuntimeError as error:
            if "already accessed" not in str(error):
                raise
            lock = getattr(made, "_flock_file", None)
            if lock is not None:
                lock.close()
            raise StoreLockedError(
                f"the Qdrant folder {self.location!r} is open in another process; to share it, run a Qdrant server "
                "and connect to that",
                provider="qdrant",
                operation="connect",
            ) from error
        for name in self._local.collections:
            self._prepare(name)

    def _prepare(self, name: str) -> None:
        """Let a collection on disk write points without waiting for the disk at each one.

        Left to itself it commits every point by a journal that is deleted again, at some 110 points a second. With a
        write-ahead log a commit is cheap, and :meth:`_flush` waits for the disk once for each call.
        """
        collection = self._local.collections[name]
        collection.LARGE_DATA_THRESHOLD = sys.maxsize
        if collection.storage is not None:
            connection = collection.storage.storage
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")

    def _flush(self, name: str) -> None:
        """Wait until what was written is on the disk."""
        collection = self._local.collections.get(name)
        if collection is not None and collection.storage is not None:
            with suppress(FileNotFoundError):  # nothing was written since the log was last emptied
                descriptor = os.open(f"{collection.storage.location}-wal", os.O_RDONLY)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)

    def call(self, method: str, name: str | None = None, *args: Any, **arguments: Any) -> Any:
        """Call a method; in the owner's thread only."""
        given = args if name is None else (name, *args)
        try:
            if name is not None and method in _CHANGES:
                self.changes[name] += 1
            result = getattr(self._local, method)(*given, **arguments)
        finally:
            if name is not None and method in _CHANGES:
                self.changes[name] += 1
        if name is not None and method in _WRITES:
            if method == "create_collection":
                self._prepare(name)
            self._flush(name)
            if method == "upsert":
                self._warn_of_size(name)
            elif method == "delete":
                self._compact(name)
        return result

    def _compact(self, name: str) -> None:
        """Make a collection anew once it holds more deleted points than others.

        The engine only marks them, and goes through them at every search and every filter for as long as it runs.
        """
        old = self._local.collections[name]
        gone = int(np.count_nonzero(old.deleted))
        if gone < _TOMBSTONES or 2 * gone < len(old.ids):
            return
        from qdrant_client import models
        from qdrant_client.local.local_collection import LocalCollection

        if old.storage is not None:  # which has the others only
            old.close()
            self._local.collections[name] = LocalCollection(old.config, self._local._collection_path(name))  # noqa: SLF001
        else:
            made = LocalCollection(old.config)
            points = [
                models.PointStruct.model_construct(id=key, vector=old._get_vectors(row, True), payload=old.payload[row])  # noqa: SLF001
                for key, row in old.ids.items()
                if not old.deleted[row]
            ]
            if points:
                made.upsert(points)
            self._local.collections[name] = made
        self._prepare(name)

    def _warn_of_size(self, name: str) -> None:
        global _warned
        size = len(self._local.collections[name].ids)
        if size > LARGE and not _warned:
            _warned = True
            logger.warning(
                "collection %r has %d points; Qdrant's local mode compares a query with each of them and filters in "
                "Python, so above %d a Qdrant server is the tool (VectorStoreConfig(provider='qdrant', host=...))",
                name,
                size,
                LARGE,
            )

    def read(self, name: str, keys: Sequence[str], *, payload: bool, vector: bool) -> list[Point]:
        """Points by id, straight from where the engine has them; in the owner's thread only.

        The engine would copy payloads with ``deepcopy`` and make a list of each vector.
        """
        collection = self._local._get_collection(name)  # noqa: SLF001 - which also says if there is none
        gone, rows = collection.deleted, {key: collection.ids.get(key) for key in keys}
        return [
            _point(collection, key, row, 0.0, payload=payload, vector=vector)
            for key, row in rows.items()
            if row is not None and not gone[row]
        ]

    def query(self, name: str, query: Query) -> list[list[Point]]:
        """The nearest points to each vector; likewise."""
        from qdrant_client import models

        native = None if query.filter is None else query.filter.model
        collection = self._local._get_collection(name)  # noqa: SLF001
        answers = []
        for vector in query.vectors.tolist():
            found = self._local.query_points(
                name,
                query=models.NearestQuery(nearest=vector),
                query_filter=native,
                limit=query.limit,
                with_payload=False,
                with_vectors=False,
            )
            answers.append(
                [
                    _point(
                        collection,
                        hit.id,
                        collection.ids[hit.id],
                        hit.score,
                        payload=bool(query.payload),
                        vector=query.vector,
                    )
                    for hit in found.points
                ]
            )
        return answers

    async def run(self, work: Callable[[], T]) -> T:
        """Do something in the owner's thread; once begun it is waited for, even if cancelled."""
        return await finished(asyncio.get_running_loop().run_in_executor(self._thread, work))

    def stop(self) -> None:
        """Wait for what is under way, and close the folder."""
        try:
            closed = self._thread.submit(self._local.close)
        except RuntimeError:  # the interpreter is about to end, and has ended the thread already
            self._local.close()
        else:
            closed.result()
        self._thread.shutdown(wait=True)


def _point(collection: Any, key: str, row: int, score: float, *, payload: bool, vector: bool) -> Point:
    stored = copy_metadata(collection.payload[row]) if payload else {}
    return point(key, stored, collection.vectors[""][row].astype(np.float32) if vector else None, score)


_warned = False
_engines: dict[str, _Engine] = {}
_engines_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class _Scan:
    """The points of a scan, listed once, and where it is."""

    ids: list[str]
    at: int


class LocalBackend(Backend):
    """A folder, or memory.

    Args:
        path: the folder; ``:memory:`` for documents that only one store sees, ``:memory:NAME`` to share them.
    """

    embedded = True

    def __init__(self, path: str) -> None:
        self.in_memory = path.startswith(":memory:")
        if self.in_memory:
            self._key = path if path != ":memory:" else f":memory:{uuid.uuid4().hex}"
        else:
            self._key = str(Path(path).expanduser().resolve())
        self._engine: _Engine | None = None

    async def open(self) -> None:
        """Open the folder, or join the stores of this process that have it open.

        Raises:
            StoreLockedError: another process has it open.
            MissingDependencyError: qdrant-client is not installed.
        """
        if self._engine is None:
            await joined(self._join, self.release)

    def _join(self) -> None:
        with _engines_lock:
            engine = _engines.get(self._key)
            if engine is None:
                engine = _Engine(":memory:" if self.in_memory else self._key)
                engine.start()
                _engines[self._key] = engine
            engine.users += 1
            self._engine = engine

    async def close(self) -> None:
        """Leave; the last store to leave closes the folder."""
        # Documents in memory last as long as the store object, so that it can reconnect.
        if not self.in_memory:
            await finished(asyncio.to_thread(self.release))

    def release(self) -> None:
        """Leave for good, waiting for what is under way."""
        with _engines_lock:
            engine, self._engine = self._engine, None
            if engine is None:
                return
            engine.users -= 1
            if not engine.users:
                del _engines[self._key]
                engine.stop()

    def changes(self, name: str) -> object:
        """Equal to the value before as long as no point of the collection was written or deleted."""
        assert self._engine is not None, "the store is not connected"
        return self._engine.changes[name]

    async def call(self, method: str, *args: Any, **arguments: Any) -> Any:
        """Call a method of the client."""
        assert self._engine is not None, "the store is not connected"
        return await self._engine.run(partial(self._engine.call, method, *args, **arguments))

    async def query(self, name: str, query: Query) -> list[list[Point]]:
        """The nearest points to each vector."""
        assert self._engine is not None, "the store is not connected"
        return await self._engine.run(partial(self._engine.query, name, query))

    async def retrieve(self, name: str, ids: Sequence[str], *, payload: bool, vector: bool) -> list[Point]:
        """Points by id."""
        assert self._engine is not None, "the store is not connected"
        return await self._engine.run(partial(self._engine.read, name, ids, payload=payload, vector=vector))

    async def scroll(
        self, name: str, native: NativeFilter, size: int, cursor: Any, *, payload: bool, vector: bool
    ) -> tuple[list[Point], Any]:
        """A page of points; the ids are listed once, as local mode sorts all of them for every page."""
        if cursor is None:
            records, _ = await self.call(
                "scroll", name, native.model, limit=sys.maxsize - 1, with_payload=False, with_vectors=False
            )
            cursor = _Scan([record.id for record in records], 0)
        end = cursor.at + size
        ids = cursor.ids[cursor.at : end]
        points = await self.retrieve(name, ids, payload=payload, vector=vector) if ids else []
        return points, _Scan(cursor.ids, end) if end < len(cursor.ids) else None

    async def create_payload_index(self, name: str, path: str, schema: Any, *, wait: bool) -> None:
        """Local mode has no payload indexes, and needs none."""
