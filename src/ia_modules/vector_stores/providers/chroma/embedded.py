"""Chroma inside this process.

Chroma's embedded client is synchronous, and its writes hold the interpreter lock. So reads run in a few threads, and
writes in one thread of their own, in pieces that are short enough for the event loop to breathe between them. All
stores of a process that use the same folder share one client. Two processes on one folder would lose vectors for
good, so a lock file keeps the second one out.
"""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

from ia_modules.vector_stores.errors import StoreLockedError
from ia_modules.vector_stores.providers.chroma.backend import (
    LIST_PAGE,
    Handle,
    Rows,
    holding_lists,
    import_chromadb,
    rewritten,
    settings,
    with_replacements,
)
from ia_modules.vector_stores.providers.folders import private_folder
from ia_modules.vector_stores.providers.packages import imported
from ia_modules.vector_stores.providers.threads import finished, joined

__all__ = ["EmbeddedBackend"]

T = TypeVar("T")

_READERS = 4
_PIECE_SECONDS = 0.045
_PIECE_LONGEST = 0.06
_PIECE_MIN = 8
_PIECE_WHOLE = 100
"""Up to so many rows of up to 768 numbers are split only where they take too long: each piece costs a commit."""
LOCK_FILE = ".ia-vectors.lock"


class _Engine:
    """What all stores of this process that use the same folder share.

    Args:
        lock: keeps other processes out; None in memory.
    """

    def __init__(self, lock: Any) -> None:
        self.users = 0
        self.changes: Counter[str] = Counter()
        self.piece = 128
        self.least = _PIECE_WHOLE
        self.readers = ThreadPoolExecutor(_READERS, thread_name_prefix="chroma-read")
        self.writer = ThreadPoolExecutor(1, thread_name_prefix="chroma-write")
        self._lock = lock

    def stop(self) -> None:
        """Wait for what is under way."""
        self.readers.shutdown(wait=True)
        self.writer.shutdown(wait=True)

    def unlock(self) -> None:
        """Let other processes in."""
        if self._lock is not None:
            self._lock.release()


_engines: dict[str, _Engine] = {}
_engines_lock = threading.Lock()


class EmbeddedBackend:
    """A folder on disk, or ``:memory:``.

    Args:
        path: the folder; ``:memory:`` for documents that only one store sees, ``:memory:NAME`` to share them.
    """

    def __init__(self, path: str) -> None:
        self.in_memory = path.startswith(":memory:")
        # Chroma has one in-memory system per process; a database of its own keeps a store's documents apart.
        name = path.removeprefix(":memory:")
        self._private = self.in_memory and not name
        self._database = f"ia-{name or uuid.uuid4().hex}" if self.in_memory else None
        self._path = ":memory:" if self.in_memory else str(Path(path).expanduser().resolve())
        self._client: Any = None
        self._engine: _Engine | None = None

    async def open(self) -> None:
        """Open the folder, or join the stores of this process that have it open.

        Raises:
            StoreLockedError: another process has it open.
            MissingDependencyError: chromadb is not installed.
        """
        if self._client is None:
            await joined(self._join, self.release)

    def _join(self) -> None:
        chromadb = import_chromadb()
        with _engines_lock:
            engine = _engines.get(self._path)
            if engine is None:
                engine = _Engine(None if self.in_memory else _lock(self._path))
            try:
                self._client = self._make_client(chromadb)
            except BaseException:
                if not engine.users:
                    engine.unlock()
                raise
            engine.users += 1
            self._engine = _engines[self._path] = engine

    def _make_client(self, chromadb: Any) -> Any:
        if self._database is None:
            return chromadb.PersistentClient(self._path, settings(is_persistent=True, persist_directory=self._path))
        from chromadb.errors import ChromaError

        admin = chromadb.AdminClient(settings())
        try:
            admin.create_database(self._database)
        except ChromaError as error:
            if "already exists" not in str(error):  # a named one that another store has made
                raise
        return chromadb.EphemeralClient(settings(), database=self._database)

    async def close(self) -> None:
        """Leave; the last store to leave closes the folder and lets other processes in."""
        # Documents in memory last as long as the store object, so that it can reconnect.
        if not self.in_memory:
            await finished(asyncio.to_thread(self.release))

    def release(self) -> None:
        """Leave for good, waiting for what is under way."""
        with _engines_lock:
            client, engine = self._client, self._engine
            self._client = self._engine = None
            if engine is None:
                return
            engine.users -= 1
            if not engine.users:
                del _engines[self._path]
                engine.stop()
            try:
                if self._private:
                    for collection in client.list_collections():
                        _clear_lists(collection, engine.piece)
                    client._admin_client.delete_database(self._database)  # noqa: SLF001 - Chroma has no other handle
                client.close()
            finally:
                if not engine.users:
                    engine.unlock()

    async def heartbeat(self) -> None:
        """Ask the engine for a sign of life."""
        await self._read(lambda: self._client.heartbeat())

    async def find(self, name: str) -> Handle | None:
        """A collection by name."""

        def find() -> Handle | None:
            from chromadb.errors import NotFoundError

            try:
                return self._client.get_collection(name, embedding_function=None)
            except NotFoundError:
                return None

        return await self._read(find)

    async def create(
        self, name: str, metadata: dict[str, Any], configuration: dict[str, Any], *, if_missing: bool
    ) -> Handle:
        """Create a collection; an existing one is an error unless ``if_missing``."""

        def create() -> Handle:
            return self._client.create_collection(
                name,
                metadata=metadata,
                configuration=configuration,
                embedding_function=None,
                get_or_create=if_missing,
            )

        return await self._write(create)

    async def drop(self, handle: Handle) -> None:
        """Delete a collection, and first the rows that would leave something behind."""

        def drop() -> None:
            assert self._engine is not None
            _clear_lists(handle, self._engine.piece)
            self._client.delete_collection(handle.name)

        await self._write(drop)

    async def collections(self) -> list[Handle]:
        """All collections."""
        return await self._read(lambda: list(self._client.list_collections()))

    async def count(self, handle: Handle) -> int:
        """Rows of a collection."""
        return await self._read(handle.count)

    def changes(self, handle: Handle) -> object:
        """Equal to the value before as long as no row of the collection was written or deleted."""
        assert self._engine is not None, "the store is not connected"
        return handle.id, self._engine.changes[str(handle.id)]

    async def get(self, handle: Handle, **arguments: Any) -> dict[str, Any]:
        """``Collection.get``."""
        return await self._read(lambda: handle.get(**arguments))

    async def query(self, handle: Handle, *, read: Callable[[dict[str, Any]], T], **arguments: Any) -> T:
        """``Collection.query``, and what ``read`` makes of the answer."""
        return await self._read(lambda: read(handle.query(**arguments)))

    async def replace(self, handle: Handle, rows: Rows) -> None:
        """Write rows; existing ones are replaced whole."""

        def replace() -> None:
            assert self._engine is not None
            start = 0
            while start < len(rows):
                least = self._engine.least
                least = max(_PIECE_MIN, min(least, least * 768 // rows.embeddings.shape[1]))
                piece = rows.part(start, max(least, self._engine.piece))
                began = perf_counter()
                old = handle.get(ids=piece.ids, include=[])["ids"]
                if old:
                    piece = with_replacements(piece, handle.get(ids=old, include=["metadatas", "documents"]))
                handle.upsert(**piece.arguments())
                start += len(piece)
                self._adapt(len(piece), perf_counter() - began)

        await self._write(self._changing(handle, replace))

    def _adapt(self, rows: int, seconds: float) -> None:
        """Aim at pieces that hold the interpreter for about :data:`_PIECE_SECONDS`."""
        assert self._engine is not None
        if seconds > _PIECE_SECONDS or rows == self._engine.piece:
            wanted = int(rows * _PIECE_SECONDS / max(seconds, 1e-6))
            self._engine.piece = max(_PIECE_MIN, min(wanted, 2 * self._engine.piece, 1024))
        # Whole batches are worth a little more, but not on a machine where they take too long.
        if seconds > _PIECE_LONGEST:
            self._engine.least = max(_PIECE_MIN, int(rows * _PIECE_SECONDS / seconds))
        elif seconds < _PIECE_SECONDS / 2 and rows >= self._engine.least:
            self._engine.least = min(_PIECE_WHOLE, 2 * self._engine.least)

    async def rewrite(
        self, handle: Handle, document_id: str, change: Callable[[dict[str, Any] | None], dict[str, Any] | None]
    ) -> bool:
        """Change one row's metadata; whether it exists."""

        def rewrite() -> bool:
            found = handle.get(ids=[document_id], include=["metadatas"])
            if not found["ids"]:
                return False
            metadata = rewritten(found["metadatas"][0], change)
            if metadata:
                handle.update(ids=[document_id], metadatas=[metadata])
            return True

        return await self._write(rewrite)

    async def delete(self, handle: Handle, ids: list[str]) -> int:
        """Delete rows by id; how many existed."""

        def delete() -> int:
            assert self._engine is not None
            deleted = 0
            for start in range(0, len(ids), self._engine.piece):
                there = handle.get(ids=ids[start : start + self._engine.piece], include=[])["ids"]
                if there:
                    handle.delete(ids=there)
                    deleted += len(there)
            return deleted

        return await self._write(self._changing(handle, delete))

    def _changing(self, handle: Handle, work: Callable[[], T]) -> Callable[[], T]:
        """Work that changes rows of a collection, noted before and after, so that whoever reads meanwhile can tell."""

        def changing() -> T:
            assert self._engine is not None
            changes = self._engine.changes
            changes[str(handle.id)] += 1
            try:
                return work()
            finally:
                changes[str(handle.id)] += 1

        return changing

    async def _read(self, work: Callable[[], T]) -> T:
        assert self._engine is not None, "the store is not connected"
        return await asyncio.get_running_loop().run_in_executor(self._engine.readers, work)

    async def _write(self, work: Callable[[], T]) -> T:
        assert self._engine is not None, "the store is not connected"
        return await finished(asyncio.get_running_loop().run_in_executor(self._engine.writer, work))


def _clear_lists(handle: Handle, piece: int) -> None:
    """Delete the rows that have a list; see :func:`holding_lists`."""
    ids: list[str] = []
    page: list[str] | None = None
    seen = 0
    while page is None or len(page) == LIST_PAGE:
        stored = handle.get(include=["metadatas"], limit=LIST_PAGE, offset=seen)
        page = stored["ids"]
        seen += len(page)
        ids += holding_lists(stored)
    for start in range(0, len(ids), piece):
        handle.delete(ids=ids[start : start + piece])


def _lock(path: str) -> Any:
    private_folder(Path(path), LOCK_FILE)
    filelock = imported("filelock", provider="chroma")
    lock = filelock.FileLock(str(Path(path) / LOCK_FILE), thread_local=False, mode=0o600)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise StoreLockedError(
            f"the Chroma folder {path!r} is open in another process, and a second one would lose vectors; "
            f"to share it, run 'chroma run --path {path}' and connect to that server",
            provider="chroma",
            operation="connect",
        ) from None
    return lock
