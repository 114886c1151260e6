"""What an export has so far: a small database beside the file that it becomes, which a killed process leaves whole."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ia_modules.vector_stores.errors import StoreLockedError
from ia_modules.vector_stores.migration.formats import FileFormatError

__all__ = ["Row", "Staging"]

_VERSION = 1
# Vectors are a few kilobytes: pages that hold several, and a cache that need not grow with the export.
_SETTINGS = """
PRAGMA page_size = 16384;
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA cache_size = -16384;
"""
_TABLES = """
CREATE TABLE facts (content TEXT NOT NULL);
CREATE TABLE documents (
    number INTEGER PRIMARY KEY,
    namespace TEXT NOT NULL,
    id TEXT NOT NULL,
    vector BLOB NOT NULL,
    text TEXT,
    metadata TEXT NOT NULL,
    UNIQUE (namespace, id)
);
"""
_PUT = """
INSERT INTO documents (namespace, id, vector, text, metadata) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (namespace, id) DO UPDATE SET vector = excluded.vector, text = excluded.text, metadata = excluded.metadata
"""


class Row(NamedTuple):
    """A document as it is kept: the vector as float32 little-endian, the metadata as a JSON object."""

    namespace: str
    id: str
    vector: bytes
    text: str | None
    metadata: str


class Staging:
    """Documents by namespace and id, in the order of their first arrival. To be used by one thread at a time.

    Args:
        path: the database.
        facts: what to keep with the documents, for a new database; None opens the one that is there.

    Attributes:
        facts: JSON values.

    Raises:
        StoreLockedError: another process has it open.
        FileFormatError: what is there is none.
    """

    def __init__(self, path: Path, facts: Mapping[str, Any] | None = None) -> None:
        self._path = path
        if facts is not None and path.exists():
            self._check_unused()
            self._unlink()
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0)
        try:
            self._database.executescript(_SETTINGS)
            if facts is None:
                self.facts = self._kept_facts()
            else:
                self._database.executescript(_TABLES)
                self.facts = {"version": _VERSION} | dict(facts)
                self._database.execute("INSERT INTO facts VALUES (?)", (json.dumps(self.facts),))
        except sqlite3.Error as error:
            self._database.close()
            self._raise_if_busy(error)
            raise FileFormatError(f"{path} is no unfinished export: {error}; delete it and start again") from error
        except BaseException:
            self._database.close()
            raise

    def update_facts(self, **facts: Any) -> None:
        """Keep these, too."""
        self.facts |= facts
        self._database.execute("UPDATE facts SET content = ?", (json.dumps(self.facts),))

    def put(self, rows: Iterable[Row]) -> None:
        """Write, replacing those that are there; durable when it returns."""
        with self._transaction():
            self._database.executemany(_PUT, rows)

    def remove(self, namespace: str, ids: Iterable[str]) -> None:
        """Forget documents; those that don't exist are no error."""
        with self._transaction():
            self._database.executemany(
                "DELETE FROM documents WHERE namespace = ? AND id = ?",
                ((namespace, one) for one in ids if _storable(one)),
            )

    def get(self, namespace: str, ids: Sequence[str]) -> dict[str, Row]:
        """Documents by id."""
        found = {}
        query = "SELECT namespace, id, vector, text, metadata FROM documents WHERE namespace = ? AND id = ?"
        for one in filter(_storable, ids):
            row = self._database.execute(query, (namespace, one)).fetchone()
            if row is not None:
                found[one] = Row._make(row)
        return found

    def count(self) -> int:
        """How many documents there are."""
        counted: int = self._database.execute("SELECT count(*) FROM documents").fetchone()[0]
        return counted

    def rows(self) -> Iterator[Row]:
        """All documents."""
        yield from map(
            Row._make,
            self._database.execute("SELECT namespace, id, vector, text, metadata FROM documents ORDER BY number"),
        )

    def close(self) -> None:
        """Close it and keep the file."""
        self._database.close()

    def discard(self) -> None:
        """Close it and delete the file."""
        self.close()
        self._unlink()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise

    def _check_unused(self) -> None:
        """Raise if another process writes to what is about to be thrown away."""
        database = sqlite3.connect(self._path, isolation_level=None, timeout=0)
        try:
            database.execute("BEGIN EXCLUSIVE")
        except sqlite3.DatabaseError as error:  # anything else that is wrong with it does not matter
            self._raise_if_busy(error)
        finally:
            database.close()

    def _raise_if_busy(self, error: sqlite3.Error) -> None:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
            raise StoreLockedError(f"{self._path} is being written by another process") from error

    def _kept_facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = json.loads(self._database.execute("SELECT content FROM facts").fetchone()[0])
        if facts.get("version") != _VERSION:
            raise FileFormatError(f"{self._path} was begun by another version; delete it and start again")
        return facts

    def _unlink(self) -> None:
        for suffix in ("-wal", "-shm", "-journal", ""):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)


def _storable(document_id: str) -> bool:
    """Whether SQLite can be asked for an id; one with a lone surrogate is in no database."""
    try:
        document_id.encode()
    except UnicodeEncodeError:
        return False
    return True
