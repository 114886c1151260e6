"""What is kept in a folder: an SQLite file with all indexes and records.

A write is one transaction, made before it is acknowledged; whether it can be seen yet does not matter here. So nothing
that was acknowledged is lost when the process is killed.
"""

from __future__ import annotations

import dataclasses
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from ia_modules.vector_stores.emulator.pinecone.definitions import Definition
from ia_modules.vector_stores.emulator.pinecone.namespaces import (
    Change,
    Clear,
    Create,
    Delete,
    Drop,
    Namespace,
    Patch,
    Patches,
    Upsert,
)
from ia_modules.vector_stores.emulator.pinecone.records import Record, Sparse

__all__ = ["FolderInUseError", "Storage"]

_FILE = "pinecone.sqlite3"
_TABLES = """
CREATE TABLE IF NOT EXISTS indexes (name TEXT PRIMARY KEY, definition BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS namespaces (
    number INTEGER PRIMARY KEY, owner TEXT NOT NULL, name TEXT NOT NULL, lsn INTEGER NOT NULL,
    here INTEGER NOT NULL, schema BLOB, UNIQUE (owner, name)
);
CREATE TABLE IF NOT EXISTS records (
    namespace INTEGER NOT NULL, id TEXT NOT NULL, dense BLOB, sparse BLOB, metadata BLOB,
    UNIQUE (namespace, id)
);
"""
_PUT = """
INSERT INTO records (namespace, id, dense, sparse, metadata) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (namespace, id) DO UPDATE
SET dense = excluded.dense, sparse = excluded.sparse, metadata = excluded.metadata
"""


class FolderInUseError(OSError):
    """Another emulator keeps its data in this folder."""


class Storage:
    """An open folder.

    Raises:
        FolderInUseError: another process, or another emulator of this one, has it open.
        OSError: it can't be made or written to.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (folder / _FILE).exists():
            (folder / _FILE).touch(mode=0o600)  # SQLite gives the files beside it the same mode
        self._numbers: dict[tuple[str, str], int] = {}
        self._file = sqlite3.connect(folder / _FILE, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            # Exclusive: the lock is held until the file is closed, or the process is gone.
            self._file.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._file.execute("PRAGMA journal_mode=WAL")
            self._file.execute("PRAGMA synchronous=NORMAL")
            self._file.executescript(f"BEGIN IMMEDIATE; {_TABLES} COMMIT;")
        except sqlite3.Error as error:
            self._file.close()
            if "locked" in str(error):
                raise FolderInUseError(f"another Pinecone emulator keeps its data in {folder}") from error
            raise OSError(f"{folder / _FILE}: {error}") from error

    def close(self) -> None:
        """Give the folder up."""
        self._file.close()

    def load(self) -> list[tuple[Definition, list[Namespace]]]:
        """Everything that is kept."""
        loaded = []
        for (definition,) in self._file.execute("SELECT definition FROM indexes ORDER BY name").fetchall():
            index = Definition(**orjson.loads(definition))
            loaded.append((index, [self._namespace(index, *row) for row in self._rows_of(index.name)]))
        return loaded

    def save_index(self, index: Definition) -> None:
        """Keep an index, or what changed of it."""
        value = orjson.dumps(dataclasses.asdict(index))
        self._file.execute("INSERT OR REPLACE INTO indexes (name, definition) VALUES (?, ?)", (index.name, value))

    def drop_index(self, name: str) -> None:
        """Forget an index with all records."""
        with self._transaction():
            owned = "(SELECT number FROM namespaces WHERE owner = ?)"
            self._file.execute(f"DELETE FROM records WHERE namespace IN {owned}", (name,))
            self._file.execute("DELETE FROM namespaces WHERE owner = ?", (name,))
            self._file.execute("DELETE FROM indexes WHERE name = ?", (name,))
        self._numbers = {key: number for key, number in self._numbers.items() if key[0] != name}

    def clear(self) -> None:
        """Forget everything."""
        with self._transaction():
            for table in ("records", "namespaces", "indexes"):
                self._file.execute(f"DELETE FROM {table}")
        self._numbers.clear()

    def write(self, index: str, namespace: str, lsn: int, change: Change) -> None:
        """Keep a change, the ``lsn``-th of its namespace."""
        with self._transaction():
            number = self._number(index, namespace)
            self._file.execute("UPDATE namespaces SET lsn = ? WHERE number = ?", (lsn, number))
            match change:
                case Upsert(records):
                    self._here(number, here=True)
                    self._file.executemany(_PUT, ((number, *_columns(record)) for record in records))
                case Patch():
                    self._patch_all(number, change)
                case Patches(patches):
                    for patch in patches:
                        self._patch_all(number, patch)
                case Delete(ids):
                    self._file.executemany(
                        "DELETE FROM records WHERE namespace = ? AND id = ?", ((number, one) for one in ids)
                    )
                case Clear():
                    self._file.execute("DELETE FROM records WHERE namespace = ?", (number,))
                case Create(schema):
                    self._here(number, here=True)
                    self._file.execute(
                        "UPDATE namespaces SET schema = ? WHERE number = ?", (orjson.dumps(schema), number)
                    )
                case Drop():
                    self._here(number, here=False)
                    self._file.execute("UPDATE namespaces SET schema = NULL WHERE number = ?", (number,))
                    self._file.execute("DELETE FROM records WHERE namespace = ?", (number,))

    def _transaction(self) -> sqlite3.Connection:
        self._file.execute("BEGIN IMMEDIATE")
        return self._file

    def _rows_of(self, index: str) -> list[tuple[int, str, int, int, bytes | None]]:
        rows = "SELECT number, name, lsn, here, schema FROM namespaces WHERE owner = ?"
        return self._file.execute(rows, (index,)).fetchall()

    def _namespace(
        self, index: Definition, number: int, name: str, lsn: int, here: int, schema: bytes | None
    ) -> Namespace:
        namespace = Namespace(name, index.dimension, lsn, exists=bool(here), permanent=index.permanent(name))
        namespace.schema = orjson.loads(schema) if schema else None
        self._numbers[index.name, name] = number
        rows = "SELECT id, dense, sparse, metadata FROM records WHERE namespace = ? ORDER BY rowid"
        for row in self._file.execute(rows, (number,)):
            namespace.table.put(_record(*row))
        return namespace

    def _number(self, index: str, namespace: str) -> int:
        key = (index, namespace)
        if key not in self._numbers:
            made = self._file.execute(
                "INSERT INTO namespaces (owner, name, lsn, here) VALUES (?, ?, 0, 0) "
                "ON CONFLICT (owner, name) DO UPDATE SET name = name RETURNING number",
                key,
            )
            self._numbers[key] = made.fetchone()[0]
        return self._numbers[key]

    def _here(self, number: int, *, here: bool) -> None:
        self._file.execute("UPDATE namespaces SET here = ? WHERE number = ?", (here, number))

    def _patch_all(self, number: int, change: Patch) -> None:
        for one in change.ids:
            self._patch(number, one, change)

    def _patch(self, number: int, id: str, change: Patch) -> None:
        rows = "SELECT id, dense, sparse, metadata FROM records WHERE namespace = ? AND id = ?"
        row = self._file.execute(rows, (number, id)).fetchone()
        if row is None:
            return
        before = _record(*row)
        merged = {**(before.metadata or {}), **(change.metadata or {})}
        after = Record(
            id,
            before.dense if change.dense is None else change.dense,
            before.sparse if change.sparse is None else change.sparse,
            {key: value for key, value in merged.items() if key not in change.removed} or None,
        )
        self._file.execute(_PUT, (number, *_columns(after)))


def _columns(record: Record) -> tuple[str, bytes | None, bytes | None, bytes | None]:
    sparse = record.sparse
    return (
        record.id,
        None if record.dense is None else record.dense.tobytes(),
        None if sparse is None else sparse.indices.tobytes() + sparse.values.tobytes(),
        None if record.metadata is None else orjson.dumps(record.metadata),
    )


def _record(id: str, dense: bytes | None, sparse: bytes | None, metadata: bytes | None) -> Record:
    half = len(sparse or b"") // 2
    found: Any = None if metadata is None else orjson.loads(metadata)
    return Record(
        id,
        None if dense is None else np.frombuffer(dense, np.float32),
        None
        if sparse is None
        else Sparse(np.frombuffer(sparse[:half], np.uint32), np.frombuffer(sparse[half:], np.float32)),
        found,
    )
