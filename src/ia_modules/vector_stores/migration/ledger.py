"""Which documents a migration has written, kept in a file, as there may be more of them than fit into memory.

It is needed for two things: a document that is gone from the source may be deleted from the target only if this
migration brought it there, and where two namespaces become one, an id that both have must not be written over.
"""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path

from ia_modules.vector_stores.errors import StoreLockedError

__all__ = ["Ledger"]

_PAGE = 500


class Ledger:
    """A table of ids on disk; use from one thread at a time.

    Args:
        path: the file, of which only one process can have hold; None for a temporary one.
        fresh: whether to begin an empty one.

    Raises:
        StoreLockedError: another migration has it.
        ValueError: it is no ledger.
    """

    def __init__(self, path: Path | None, *, fresh: bool) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="ia-migration-") if path is None else None
        where = Path(self._folder.name, "ids") if self._folder is not None else path
        assert where is not None
        self._database = sqlite3.connect(where, timeout=0, isolation_level=None, check_same_thread=False)
        run = self._database.execute
        try:
            run("PRAGMA locking_mode = EXCLUSIVE")
            run("PRAGMA journal_mode = WAL")
            # What the checkpoint says was done must be known here, also after a power failure.
            run(f"PRAGMA synchronous = {'OFF' if path is None else 'FULL'}")
            run("BEGIN IMMEDIATE")
            if fresh:
                run("DROP TABLE IF EXISTS ids")
            run(
                "CREATE TABLE IF NOT EXISTS ids (place TEXT, id BLOB, origin TEXT, pass INTEGER, "
                "PRIMARY KEY (place, id)) WITHOUT ROWID"
            )
            run("COMMIT")
        except sqlite3.DatabaseError as error:
            self.close()
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
                raise StoreLockedError(f"another migration is under way with {where}") from error
            raise ValueError(f"{where} is no list of migrated ids ({error}); delete it, or name another file") from None

    def taken(self, place: str, ids: list[str], origin: str, number: int) -> dict[str, str]:
        """Ids that a document of another namespace has taken in this pass, and that namespace.

        Args:
            place: namespace of the target.
            ids: what is to be written there.
            origin: namespace of the source that it comes from.
            number: of the pass.
        """
        taken = {}
        for one in ids:
            row = self._database.execute(
                "SELECT origin FROM ids WHERE place = ? AND id = ? AND origin <> ? AND pass >= ?",
                (place, _key(one), origin, number),
            ).fetchone()
            if row is not None:
                taken[one] = str(row[0])
        return taken

    def add(self, place: str, ids: list[str], origin: str, number: int) -> None:
        """Note, before it happens, that documents are written in a pass."""
        self._write(
            "INSERT INTO ids VALUES (?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET origin = excluded.origin, pass = excluded.pass",
            [(place, _key(one), origin, number) for one in ids],
        )

    def met(self, place: str, ids: list[str], number: int) -> None:
        """Note that documents are still in the source in a pass; those that were not written by us stay unknown."""
        self._write("UPDATE ids SET pass = ? WHERE place = ? AND id = ?", [(number, place, _key(one)) for one in ids])

    def forget(self, place: str, ids: list[str]) -> None:
        """Note that documents are not ours."""
        self._write("DELETE FROM ids WHERE place = ? AND id = ?", [(place, _key(one)) for one in ids])

    def gone(self, number: int) -> tuple[str, str, list[str]] | None:
        """Some documents that were not met in a pass: namespace of the target and of the source, and ids."""
        first = self._database.execute("SELECT place, origin FROM ids WHERE pass < ? LIMIT 1", (number,)).fetchone()
        if first is None:
            return None
        rows = self._database.execute(
            "SELECT id FROM ids WHERE pass < ? AND place = ? AND origin = ? LIMIT ?", (number, *first, _PAGE)
        )
        return str(first[0]), str(first[1]), [bytes(row[0]).decode("utf-8", "surrogatepass") for row in rows]

    def count(self) -> int:
        """How many documents are known."""
        return int(self._database.execute("SELECT COUNT(*) FROM ids").fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        self._database.close()
        if self._folder is not None:
            self._folder.cleanup()

    def _write(self, statement: str, rows: list[tuple[object, ...]]) -> None:
        self._database.execute("BEGIN")
        try:
            self._database.executemany(statement, rows)
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")


def _key(document_id: str) -> bytes:
    """An id as SQLite keeps it as it is, whatever it has in it."""
    return document_id.encode("utf-8", "surrogatepass")
