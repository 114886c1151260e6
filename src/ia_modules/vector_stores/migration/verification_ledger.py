"""What was compared so far, on disk, so that a verification needs the same memory for any number of documents."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from contextlib import closing
from hashlib import blake2b
from typing import Any, TypeAlias

import numpy as np

from ia_modules.vector_stores.documents import checked_metadata
from ia_modules.vector_stores.migration.hashing import HASH_BYTES
from ia_modules.vector_stores.models import VectorDocument
from ia_modules.vector_stores.vectors import Vector

__all__ = ["Entry", "Ledger", "Spill", "record_keys"]

Entry: TypeAlias = tuple[int, bytes, bytes, bytes]
"""Of one document: the kinds of its findings as bits, the hashes of metadata and text in the source and the target, and
that of the vector in the source."""

_AT_A_TIME = 500
_CACHE_KIB = 32_000


class _Scratch:
    """A database in a temporary file without a name, gone when it is closed. Threads may use it, one at a time."""

    def __init__(self, table: str) -> None:
        self._lock = threading.Lock()
        self._database = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        for statement in ("PRAGMA journal_mode=OFF", "PRAGMA synchronous=OFF", f"PRAGMA cache_size=-{_CACHE_KIB}"):
            self._database.execute(statement)
        self._database.execute(table)

    def close(self) -> None:
        """Delete it. May be called twice."""
        with self._lock:
            self._database.close()

    def _rows(self, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        with closing(self._database.execute(sql, values)) as cursor:
            return cursor.fetchall()


def record_keys(namespace: str, ids: Iterable[str], seed: int = 0) -> list[bytes]:
    """16 bytes for each document, as good as unique, and in an order that only ``seed`` decides."""
    name = _blob(namespace)
    start = blake2b(digest_size=HASH_BYTES, key=blake2b(str(seed).encode()).digest())
    start.update(len(name).to_bytes(4, "big") + name)
    keys = []
    for one in ids:
        state = start.copy()
        state.update(one.encode("utf-8", "surrogatepass"))
        keys.append(state.digest())
    return keys


class Ledger(_Scratch):
    """What came of each document of the source."""

    def __init__(self) -> None:
        super().__init__(
            "CREATE TABLE seen (key BLOB PRIMARY KEY, bits INT, ours BLOB, theirs BLOB, vector BLOB) WITHOUT ROWID"
        )

    def find(self, keys: Sequence[bytes]) -> dict[bytes, Entry]:
        """The entries of those that were seen, by key."""
        with self._lock:
            return self._find(keys)

    def _find(self, keys: Sequence[bytes]) -> dict[bytes, Entry]:
        found: dict[bytes, Entry] = {}
        for at in range(0, len(keys), _AT_A_TIME):
            some = keys[at : at + _AT_A_TIME]
            marks = ",".join("?" * len(some))
            rows = self._rows(f"SELECT * FROM seen WHERE key IN ({marks})", some)
            found.update((row[0], (row[1], row[2], row[3], row[4])) for row in rows)
        return found

    def put(self, entries: dict[bytes, Entry]) -> None:
        """Add entries, replacing those of the same key."""
        with self._lock:
            self._database.execute("BEGIN")
            self._database.executemany(
                "INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?, ?)", ((key, *entry) for key, entry in entries.items())
            )
            self._database.execute("COMMIT")


class Spill(_Scratch):
    """Documents of a source that can only be read from start to end, to be looked up by id."""

    def __init__(self) -> None:
        super().__init__("CREATE TABLE spill (namespace BLOB, id BLOB, body TEXT, vector BLOB, UNIQUE (namespace, id))")

    def put(self, namespace: str, documents: Sequence[VectorDocument]) -> list[str]:
        """Keep documents; of equal ids the last one. The ids that were there before."""
        repeated: list[str] = []
        place = _blob(namespace)
        with self._lock:
            self._database.execute("BEGIN")
            for document in documents:
                key = _blob(document.id)
                body = json.dumps([document.text, checked_metadata(document.metadata, document.id)])
                if self._rows("SELECT 1 FROM spill WHERE namespace = ? AND id = ?", (place, key)):
                    repeated.append(document.id)
                self._database.execute(
                    "INSERT OR REPLACE INTO spill VALUES (?, ?, ?, ?)",
                    (place, key, body, document.vector.array.astype("<f4").tobytes()),
                )
            self._database.execute("COMMIT")
        return repeated

    def fetch(self, namespace: str, ids: Sequence[str]) -> dict[str, VectorDocument]:
        """Documents by id."""
        found: dict[str, VectorDocument] = {}
        with self._lock:
            for at in range(0, len(ids), _AT_A_TIME):
                some = ids[at : at + _AT_A_TIME]
                sql = f"SELECT id, body, vector FROM spill WHERE namespace = ? AND id IN ({','.join('?' * len(some))})"
                for key, body, vector in self._rows(sql, (_blob(namespace), *map(_blob, some))):
                    text, metadata = json.loads(body)
                    numbers = np.frombuffer(vector, dtype="<f4").astype(np.float32)
                    name = _id(key)
                    found[name] = VectorDocument(id=name, vector=Vector.wrap(numbers), metadata=metadata, text=text)
        return found

    def count(self, namespace: str) -> int:
        """How many documents a namespace has."""
        with self._lock:
            return int(self._rows("SELECT count(*) FROM spill WHERE namespace = ?", (_blob(namespace),))[0][0])

    def namespaces(self) -> list[str]:
        """The namespaces that have documents."""
        with self._lock:
            return [_id(name) for (name,) in self._rows("SELECT DISTINCT namespace FROM spill", ())]

    def ids(self, namespace: str, after: str | None, size: int) -> list[str]:
        """Some ids in order, from behind one of them."""
        with self._lock:
            sql = "SELECT id FROM spill WHERE namespace = ? AND id > ? ORDER BY id LIMIT ?"
            values = (_blob(namespace), b"" if after is None else _blob(after), size)
            return [_id(key) for (key,) in self._rows(sql, values)]


def _blob(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _id(key: bytes) -> str:
    return key.decode("utf-8", "surrogatepass")
