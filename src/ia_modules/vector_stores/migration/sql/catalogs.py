"""Which tables a database has, asked of its own catalog: no type is unknown here, and no index misunderstood."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import Any, Literal

import sqlalchemy as sa

from ia_modules.vector_stores.migration.sql.tables import Column, Key, Kind, Table

__all__ = ["CATALOGS"]

_POSTGRESQL_COLUMNS = """
SELECT n.nspname, c.relname, a.attname, a.atttypmod, t.typname, coalesce(b.typname, t.typname) AS base,
       e.typname AS element, t.typtype::text AS typtype, c.relkind::text IN ('v', 'm') AS is_view,
       has_table_privilege(c.oid, 'SELECT') AS readable
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_type b ON t.typtype = 'd' AND b.oid = t.typbasetype
LEFT JOIN pg_catalog.pg_type e
    ON e.oid = coalesce(b.typelem, t.typelem) AND coalesce(b.typcategory, t.typcategory) = 'A'
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
  AND n.nspname <> 'information_schema' AND left(n.nspname, 3) <> 'pg_'
ORDER BY n.nspname, c.relname, a.attnum
"""
# An index may compare by another collation than its column; it doesn't tell the rows apart as the column does.
_POSTGRESQL_KEYS = """
SELECT n.nspname, c.relname, i.indexrelid AS key, i.indisprimary AS is_primary, a.attname, NOT a.attnotnull AS nullable
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class c ON c.oid = i.indrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL unnest(i.indkey::int2[], i.indcollation::oid[]) WITH ORDINALITY AS k(attnum, collation_id, place)
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
WHERE i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL AND k.place <= i.indnkeyatts
  AND NOT EXISTS (
    SELECT 1 FROM unnest(i.indkey::int2[], i.indcollation::oid[]) AS o(attnum, collation_id)
    JOIN pg_catalog.pg_attribute x ON x.attrelid = c.oid AND x.attnum = o.attnum
    WHERE o.collation_id <> x.attcollation)
ORDER BY n.nspname, c.relname, i.indisprimary DESC, i.indexrelid, k.place
"""
_MYSQL_COLUMNS = """
SELECT c.table_name AS t, c.column_name AS c, c.data_type AS d, c.column_type AS ct, t.table_type AS tt
FROM information_schema.columns c
JOIN information_schema.tables t ON t.table_schema = c.table_schema AND t.table_name = c.table_name
WHERE c.table_schema = database()
ORDER BY c.table_name, c.ordinal_position
"""
_MYSQL_KEYS = """
SELECT s.table_name AS t, s.index_name AS i, s.column_name AS c, s.nullable AS n
FROM information_schema.statistics s
WHERE s.table_schema = database() AND s.non_unique = 0
ORDER BY s.table_name, s.index_name <> 'PRIMARY', s.index_name, s.seq_in_index
"""

_POSTGRESQL_KINDS: dict[str, tuple[Kind, Literal["plain", "text", "json", "iso"]]] = {
    "bool": ("boolean", "plain"),
    "bytea": ("bytes", "plain"),
    "json": ("json", "text"),
    "jsonb": ("json", "text"),
    # Dates before Christ and infinity have no Python value; their text always comes.
    **dict.fromkeys(("date", "time", "timetz", "timestamp", "timestamptz"), ("moment", "iso")),
    **dict.fromkeys(("int2", "int4", "int8", "float4", "float8", "numeric"), ("number", "plain")),
    **dict.fromkeys(("text", "varchar", "bpchar", "uuid"), ("text", "plain")),
}
_ORDERED = {*_POSTGRESQL_KINDS, "citext"} - {"json", "jsonb", "timetz"}
_NUMBERS = {"int2", "int4", "int8", "float4", "float8", "numeric"}
_VECTORS = {"vector", "halfvec", "sparsevec"}

_MYSQL_KINDS: dict[str, Kind] = {
    "bit": "bits",
    "json": "json",
    "timestamp": "timestamp",
    "vector": "vector",
    **dict.fromkeys(("date", "datetime"), "moment"),
    **dict.fromkeys(("tinyblob", "blob", "mediumblob", "longblob", "binary", "varbinary"), "bytes"),
    **dict.fromkeys(("char", "varchar", "tinytext", "text", "mediumtext", "longtext"), "text"),
    **dict.fromkeys(
        ("tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "float", "double", "year"), "number"
    ),
}
# A float is shown with six digits and compared with more; a set and an enum are ordered by number, compared as text.
_MYSQL_UNORDERED = {"float", "bit", "time", "json", "vector", "enum", "set"}


def _sqlite(connection: sa.Connection) -> list[Table]:
    names = connection.execute(
        sa.text(
            "SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view') "
            "AND substr(name, 1, 7) <> 'sqlite_' AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY name"
        )
    ).all()
    return [_sqlite_table(connection, name, kind == "view") for name, kind in names]


def _sqlite_table(connection: sa.Connection, name: str, is_view: bool) -> Table:
    def pragma(columns: str, function: str, of: str) -> list[Any]:
        return list(connection.execute(sa.text(f"SELECT {columns} FROM {function}(:of)"), {"of": of}))

    declared = pragma('name, type, "notnull", pk', "pragma_table_xinfo", name)
    columns = tuple(Column(row[0], row[1], _sqlite_kind(row[1])) for row in declared)
    loose = {row[0] for row in declared if not row[2]}
    keys = []
    for index, origin, unique, partial in pragma('name, origin, "unique", partial', "pragma_index_list", name):
        parts = [(row[0], row[1]) for row in pragma('name, coll, "key"', "pragma_index_xinfo", index) if row[2]]
        if unique and not partial and all(part is not None for part, _ in parts):
            named = tuple(part for part, _ in parts)
            nullable = tuple(part for part in named if part in loose)
            keys.append(Key(named, origin == "pk", nullable, tuple(collation for _, collation in parts)))
    primary = tuple(row[0] for row in sorted(declared, key=lambda row: int(row[3])) if row[3])
    if primary and not any(key.primary for key in keys):  # another name of the row number, and never NULL
        keys.append(Key(primary, True, (), (None,) * len(primary)))
    taken = {column.name.lower() for column in columns}
    free = [alias for alias in ("rowid", "_rowid_", "oid") if alias not in taken]
    return Table(None, name, columns, tuple(keys), free[0] if free and not is_view else None, view=is_view)


def _sqlite_kind(declared: str) -> Kind:
    """By the words of the type, much as SQLite finds a column's affinity; values may be anything all the same."""
    words = declared.lower()
    for kind, marks in _SQLITE_MARKS:
        if any(mark in words for mark in marks):
            return kind
    return "any"


_SQLITE_MARKS: tuple[tuple[Kind, tuple[str, ...]], ...] = (
    ("json", ("json",)),
    ("boolean", ("bool",)),
    ("moment", ("date", "timestamp")),
    ("number", ("int", "real", "floa", "doub", "num", "dec")),
    ("text", ("char", "clob", "text", "uuid")),
    ("bytes", ("blob", "bytea", "binary")),
)


def _postgresql(connection: sa.Connection) -> list[Table]:
    rows = connection.execute(sa.text(_POSTGRESQL_COLUMNS)).all()
    indexes = connection.execute(sa.text(_POSTGRESQL_KEYS)).all()
    keys: dict[tuple[str, str], list[Key]] = {}
    for (schema, table, _, primary), parts in groupby(indexes, key=lambda row: row[:4]):
        named = list(parts)
        nullable = tuple(row.attname for row in named if row.nullable)
        keys.setdefault((schema, table), []).append(Key(tuple(row.attname for row in named), primary, nullable))
    tables = []
    for (schema, table, readable, view), group in groupby(
        rows, key=lambda row: (row[0], row[1], row.readable, row.is_view)
    ):
        columns = tuple(_postgresql_column(row) for row in group)
        tables.append(Table(schema, table, columns, tuple(keys.get((schema, table), ())), None, readable, view))
    return tables


def _postgresql_column(row: Any) -> Column:
    name, declared, base, element = row.attname, row.typname, row.base, row.element
    if declared in _VECTORS:
        return Column(name, declared, "vector", "text", row.atttypmod if row.atttypmod > 0 else None, False)
    if element is not None:
        title = f"{element}[]"
        if element in _NUMBERS:
            return Column(name, title, "array", ordered=False)
        return Column(name, title, "json", "json", ordered=False)
    kind, read = _POSTGRESQL_KINDS.get(base, ("words", "text"))
    return Column(name, declared, kind, read, None, base in _ORDERED or row.typtype == "e")


def _mysql(connection: sa.Connection) -> list[Table]:
    columns = [[_word(cell) for cell in row] for row in connection.execute(sa.text(_MYSQL_COLUMNS))]
    indexes = [[_word(cell) for cell in row] for row in connection.execute(sa.text(_MYSQL_KEYS))]
    keys: dict[str, list[Key]] = {}
    for (table, index), group in groupby(indexes, key=lambda row: (row[0], row[1])):
        parts = list(group)
        if all(part for _, _, part, _ in parts):  # an index of an expression has no column
            nullable = tuple(part for _, _, part, null in parts if null == "YES")
            key = Key(tuple(part for _, _, part, _ in parts), index == "PRIMARY", nullable)
            keys.setdefault(table, []).append(key)
    return [
        Table(
            None,
            table,
            tuple(_mysql_column(*row[1:4]) for row in group),
            tuple(keys.get(table, ())),
            view=kind != "BASE TABLE",
        )
        for (table, kind), group in groupby(columns, key=lambda row: (row[0], row[4]))
    ]


def _mysql_column(name: str, declared: str, full: str) -> Column:
    declared = declared.lower()
    kind: Kind = "boolean" if full.lower() == "tinyint(1)" else _MYSQL_KINDS.get(declared, "words")
    if "geometry" in declared or declared in {"point", "linestring", "polygon"}:
        kind = "bytes"
    read: Literal["plain", "text"] = "text" if kind == "words" else "plain"
    return Column(name, full, kind, read, ordered=declared not in _MYSQL_UNORDERED)


def _word(cell: Any) -> str:
    """A catalog's word, which some drivers give as bytes."""
    return cell.decode() if isinstance(cell, bytes | bytearray) else "" if cell is None else str(cell)


CATALOGS: dict[str, Callable[[sa.Connection], list[Table]]] = {
    "sqlite": _sqlite,
    "postgresql": _postgresql,
    "mysql": _mysql,
}
"""Per backend: all tables and views that hold a user's data, in the order of their names."""
