"""Which table and column hold the vectors: named, or found by the types, the names and a sample of the values."""

from __future__ import annotations

import re
from dataclasses import dataclass

import sqlalchemy as sa

from ia_modules.vector_stores.errors import UnsupportedOperationError
from ia_modules.vector_stores.migration.sql.catalogs import CATALOGS
from ia_modules.vector_stores.migration.sql.database import Database
from ia_modules.vector_stores.migration.sql.detecting import Finding, examined
from ia_modules.vector_stores.migration.sql.layout import Wanted
from ia_modules.vector_stores.migration.sql.tables import Column, Table, quoted

__all__ = ["Candidate", "find_vectors", "named_column"]

_HINT = re.compile(r"embed|vector|(^|_)(emb|vec)(s|_|$)", re.IGNORECASE)
_LOOKED_AT = 20
_LISTED = 20
_MAY_HOLD = {"any", "array", "bytes", "json", "text", "vector"}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A column that may hold the vectors, and what a few of its values look like."""

    table: Table
    column: Column
    finding: Finding

    @property
    def hinted(self) -> bool:
        """Whether its name or type says so."""
        return self.column.kind == "vector" or _HINT.search(self.column.name) is not None

    @property
    def title(self) -> str:
        """For a list of what was found."""
        finding = self.finding
        seen = f"{finding.form}, {finding.dimension} numbers" if finding.form else finding.doubt or "no values"
        return f"table={self.table.title!r}, vector_column={self.column.name!r} ({self.column.type}: {seen})"


async def find_vectors(database: Database, wanted: Wanted) -> tuple[Candidate, list[str]]:
    """The column of vectors, and notes on how it was chosen.

    Raises:
        ValueError: no such table or column, none that holds vectors, or several; it lists them.
        UnsupportedOperationError: sparse vectors.
    """
    tables = await database.run(CATALOGS[database.backend])
    if wanted.table is not None:
        tables = [_named_table(tables, wanted.table, database.name)]
    found = [one for table in tables for one in await _candidates(database, table, wanted)]
    if wanted.vector_column is not None:
        if not found:
            raise ValueError(f"no table of {database.name} has a column {wanted.vector_column!r}")
        if len(found) > 1:
            raise ValueError(_ambiguous(found, database.name))
        return found[0], []
    # A view shows again what is in a table; a table without rows may be the one, but only if no other is.
    own = [one for one in found if not one.table.view] or found
    good = [one for one in own if one.finding.is_vectors]
    unclear = [one for one in own if one.hinted and not one.finding.is_vectors and _may_be(one)]
    best = [one for one in good if one.hinted] or good
    if len(best) == 1 and not [one for one in unclear if one.finding.sampled and not best[0].hinted]:
        others = [one.title for one in good if one is not best[0]]
        return best[0], [f"passed over, as it is not called a vector or embedding: {other}" for other in others]
    pool = [*best, *(one for one in unclear if one.finding.sampled)] or unclear
    if len(pool) == 1:
        return pool[0], []
    if pool:
        raise ValueError(_ambiguous(pool, database.name))
    sparse = [one for one in found if one.column.type == "sparsevec"]
    if sparse:
        raise UnsupportedOperationError(_SPARSE.format(sparse[0].title))
    raise ValueError(_nothing(tables, wanted, database.name))


def named_column(table: Table, name: str, parameter: str) -> Column:
    """A column that the user named.

    Raises:
        ValueError: the table has none; it lists those that there are.
    """
    column = table.column(name)
    if column is None:
        names = ", ".join(repr(one.name) for one in table.columns)
        raise ValueError(f"table {table.title!r} has no column {name!r} for {parameter}; it has {names}")
    return column


_SPARSE = "{}: sparse vectors have no place in a store of dense ones; cast the column to vector in a view"


def _named_table(tables: list[Table], name: str, database: str) -> Table:
    # A schema may come before the name, and the name itself may have a dot.
    found = [table for table in tables if table.name == name] or [table for table in tables if table.title == name]
    if not found:
        names = ", ".join(repr(table.title) for table in tables[:_LISTED]) or "none"
        raise ValueError(f"{database} has no table {name!r}; it has {names}")
    if len(found) > 1:
        names = ", ".join(repr(table.title) for table in found)
        raise ValueError(f"{database} has several tables {name!r}; name one with its schema: {names}")
    if not found[0].readable:
        raise ValueError(f"the user may not read the table {name!r} of {database}")
    return found[0]


async def _candidates(database: Database, table: Table, wanted: Wanted) -> list[Candidate]:
    if not table.readable:
        return []
    if wanted.vector_column is not None:
        named = table.column(wanted.vector_column)
        if named is None and wanted.table is not None:
            named = named_column(table, wanted.vector_column, "vector_column")
        if named is None:
            return []
        if named.type == "sparsevec":
            raise UnsupportedOperationError(_SPARSE.format(f"{table.title}.{named.name}"))
        columns = [named]
    else:
        taken = {wanted.id_column, wanted.text_column, wanted.metadata_column, wanted.namespace_column}
        taken |= set(wanted.exclude_columns)
        # In SQLite a declared type binds nothing.
        columns = [
            column
            for column in table.columns
            if column.name not in taken and (database.backend == "sqlite" or column.kind in _MAY_HOLD)
        ]
    return [Candidate(table, column, await _look(database, table, column, wanted)) for column in columns]


async def _look(database: Database, table: Table, column: Column, wanted: Wanted) -> Finding:
    plain: sa.ColumnElement[object] = sa.column(quoted(column.name))
    query = sa.select(column.expression().label("v")).select_from(table.clause())
    rows = await database.rows(query.where(plain.is_not(None)).limit(_LOOKED_AT))
    finding = examined([row[0] for row in rows], wanted.vector_format, wanted.dimension or column.dimension)
    if finding.dimension == 1 and wanted.vector_column is None:  # a list of one number is a list of one number
        return Finding(finding.form, None, 0, finding.sampled, "its vectors have one number")
    return finding


def _may_be(one: Candidate) -> bool:
    """Whether a column that is called a vector may be one: nothing in it yet, or bytes of unclear width."""
    if one.column.type == "sparsevec":
        return False
    finding = one.finding
    return not finding.sampled or (finding.form is None and finding.agreeing * 2 > finding.sampled)


def _ambiguous(found: list[Candidate], database: str) -> str:
    lines = "".join(f"\n  {one.title}" for one in found[:_LISTED])
    return f"several columns of {database} may hold the vectors; name one of them:{lines}"


def _nothing(tables: list[Table], wanted: Wanted, database: str) -> str:
    names = ", ".join(repr(table.title) for table in tables[:_LISTED]) or "none"
    where = f"table {wanted.table!r} of {database} has" if wanted.table else f"{database} has"
    hint = "name the column with vector_column= and the format with vector_format= if it has some"
    return f"{where} no column whose values are vectors (tables: {names}); {hint}"
