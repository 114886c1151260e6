"""What the rows of a table become: its key, the id, and which column is text, metadata and namespace."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from ia_modules.vector_stores.errors import UnsupportedOperationError
from ia_modules.vector_stores.migration.sql.database import Database
from ia_modules.vector_stores.migration.sql.detecting import examined
from ia_modules.vector_stores.migration.sql.finding import Candidate, find_vectors, named_column
from ia_modules.vector_stores.migration.sql.keys import key_column
from ia_modules.vector_stores.migration.sql.layout import Layout, Wanted, exactly
from ia_modules.vector_stores.migration.sql.tables import Column, Key, Table, quoted
from ia_modules.vector_stores.migration.sql.values import json_object

__all__ = ["chosen"]

_TEXTS = ("text", "content", "body", "document", "chunk", "passage", "page_content", "chunk_text", "sentence")
_METADATAS = ("metadata", "meta", "metadata_", "cmetadata", "metadatas", "metadata_json", "meta_json", "payload")
_SAMPLE = 100


async def chosen(database: Database, wanted: Wanted) -> Layout:
    """Choose, by what the user named and what there is.

    Raises:
        ValueError: something is not there, or several things are; it says how to name one.
        UnsupportedOperationError: the rows of the table can't be told apart.
    """
    candidate, notes = await find_vectors(database, wanted)
    table = candidate.table
    roles = [wanted.id_column, wanted.vector_column, wanted.text_column, wanted.metadata_column]
    named = [name for name in (*roles, wanted.namespace_column, *wanted.exclude_columns) if isinstance(name, str)]
    if len(set(named)) < len(named):
        raise ValueError("a column is named for two things")
    namespace = named_column(table, wanted.namespace_column, "namespace_column") if wanted.namespace_column else None
    order, loose, ids = await _key(database, table, wanted, notes)
    text = _picked(table, wanted.text_column, "text_column", _TEXTS, {"text", "any", "words"})
    metadata = _picked(table, wanted.metadata_column, "metadata_column", _METADATAS, {"json", "text", "any"})
    for name in wanted.exclude_columns:
        named_column(table, name, "exclude_columns")
    single = ids if len(ids) == 1 else ()
    used = {candidate.column.name, wanted.namespace_column, *single, *wanted.exclude_columns}
    text, metadata = (column if column and column.name not in used else None for column in (text, metadata))
    used |= {column.name for column in (text, metadata) if column}
    extra = tuple(column for column in table.columns if column.name not in used)
    layout = Layout(
        database.backend, table, order, loose, ids, candidate.column, None, None, text, metadata, namespace, extra
    )
    return await _sampled(database, layout, candidate, wanted, notes)


async def _key(
    database: Database, table: Table, wanted: Wanted, notes: list[str]
) -> tuple[tuple[tuple[str, str | None], ...], tuple[str, ...], tuple[str, ...]]:
    """The columns to order by, those of them that may be NULL, and the columns of the id."""
    usable = [key for key in table.keys if all(_ordered(table, name) for name in key.columns)]
    usable.sort(key=lambda key: (not key.primary, bool(key.nullable), len(key.columns)))
    named = named_column(table, wanted.id_column, "id_column") if wanted.id_column else None
    if named:
        ids: tuple[str, ...] = (named.name,)
    elif table.keys:
        best = min(table.keys, key=lambda key: (not key.primary, bool(key.nullable), len(key.columns)))
        ids = tuple(name for name in best.columns if name != wanted.namespace_column) or best.columns
    elif table.rowid:
        ids = (table.rowid,)
        notes.append("the table has no key: ids are SQLite's row numbers, which VACUUM may change")
    else:
        raise UnsupportedOperationError(_no_key(table))
    if usable:
        key = usable[0]
        order = tuple(zip(key.columns, key.collations or (None,) * len(key.columns), strict=True))
        loose = key.nullable
    elif table.rowid:
        order, loose = ((table.rowid, None),), ()
    elif named and named.ordered:
        order = ((named.name, "BINARY" if database.backend == "sqlite" else None),)
        loose = (named.name,)
        # Equal in the database's own comparison, by which the rows are ordered.
        await _refuse_equal(database, table, ids, [key_column(*order[0])])
        notes.append(f"nothing keeps {named.name!r} unique; it was found to be so now")
    else:
        raise UnsupportedOperationError(_no_key(table))
    notes.append(f"rows are read in the order of {_listed([name for name, _ in order])}")
    await _check_unique(database, table, ids, wanted)
    return order, loose, ids


def _ordered(table: Table, name: str) -> bool:
    column = table.column(name)
    return column is not None and column.ordered


def _no_key(table: Table) -> str:
    return (
        f"{table.title!r} has no primary key and no unique column that rows can be read in the order of; "
        "add one, or name a column whose values are all different with id_column="
    )


async def _check_unique(database: Database, table: Table, ids: tuple[str, ...], wanted: Wanted) -> None:
    """Make sure that no two rows become the same document, where no key of the database does."""
    covered = {*ids, wanted.namespace_column}
    kept = any(covered >= set(key.columns) for key in table.keys) or ids == (table.rowid,)
    columns = [column for column in map(table.column, ids) if column]
    if kept and not (database.backend == "sqlite" and await _mixed(database, table, columns)):
        return
    grouped = [_as_id(column, database.backend) for column in columns]
    if wanted.namespace_column:
        grouped.append(exactly(named_column(table, wanted.namespace_column, "namespace_column"), database.backend))
    await _refuse_equal(database, table, ids, grouped)


async def _refuse_equal(
    database: Database, table: Table, ids: tuple[str, ...], grouped: list[sa.ColumnElement[Any]]
) -> None:
    query = sa.select(sa.func.count()).select_from(table.clause())
    query = query.where(*(sa.column(quoted(name)).is_not(None) for name in ids))
    if await database.rows(query.group_by(*grouped).having(sa.func.count() > 1).limit(1)):
        raise ValueError(
            f"several rows of {table.title!r} have the same id in {_listed(ids)}, and only one of them would arrive; "
            "name another column with id_column=, or one that tells them apart with namespace_column="
        )


async def _mixed(database: Database, table: Table, columns: list[Column]) -> bool:
    """Whether a column of SQLite has values of several types, such as 1 and '1', which make the same id."""
    for column in columns:
        kind = sa.func.typeof(sa.column(quoted(column.name)))
        query = sa.select(kind).select_from(table.clause()).where(kind != "null").distinct().limit(2)
        if not _is_number(table, column) and len(await database.rows(query)) > 1:
            return True
    return False


def _is_number(table: Table, column: Column) -> bool:
    """Whether it is another name of SQLite's row number."""
    return column.type.upper() == "INTEGER" and Key((column.name,), True, (), (None,)) in table.keys


def _as_id(column: Column, backend: str) -> sa.ColumnElement[Any]:
    if backend != "sqlite":
        return exactly(column, backend)
    plain: sa.ColumnElement[Any] = sa.column(quoted(column.name))
    text = sa.case((sa.func.typeof(plain) == "blob", sa.func.lower(sa.func.hex(plain))), else_=sa.cast(plain, sa.Text))
    return sa.collate(text, "BINARY")


def _picked(
    table: Table, wanted: str | bool | None, parameter: str, names: tuple[str, ...], kinds: set[str]
) -> Column | None:
    if isinstance(wanted, str):
        return named_column(table, wanted, parameter)
    if wanted is not None:  # False: none
        return None
    by_name = {column.name.lower(): column for column in table.columns if column.kind in kinds}
    return next((by_name[name] for name in names if name in by_name), None)


async def _sampled(
    database: Database, layout: Layout, candidate: Candidate, wanted: Wanted, notes: list[str]
) -> Layout:
    """The layout with what a sample of both ends of the table shows: format, dimension, and what metadata can hold."""
    rows = await database.rows(layout.sample(_SAMPLE, last=False))
    if len(rows) == _SAMPLE:
        rows += await database.rows(layout.sample(_SAMPLE, last=True))
    start = len(layout.key_names())
    columns = list(zip(*rows, strict=True)) or [()] * (start + len(layout.read_columns()))
    cells = dict(zip([column.name for column in layout.read_columns()], columns[start:], strict=True))
    vector = layout.vector
    finding = examined(cells[vector.name], wanted.vector_format, wanted.dimension or vector.dimension)
    if not finding.sampled:  # what there is lies between the ends
        finding = candidate.finding
    # A dimension that the user named is not put to the vote.
    if finding.sampled and not (finding.is_vectors or (wanted.dimension and finding.agreeing)):
        doubt = finding.doubt or "not even half of its values agree on how many numbers they have; say it: dimension="
        raise ValueError(f"the vectors in {layout.table.title!r}, column {vector.name!r}: {doubt}")
    metadata = layout.metadata
    if metadata and wanted.metadata_column is None and not _all_objects(cells[metadata.name]):
        notes.append(f"{metadata.name!r} has other values than JSON objects: it is taken for a plain column")
        metadata = None
    extra = [*layout.extra, *([layout.metadata] if layout.metadata and not metadata else [])]
    kept = [column for column in extra if not _is_left_out(column, cells[column.name])]
    ids = f"ids: {_listed(layout.ids)}" + (", joined with ':'" if len(layout.ids) > 1 else "")
    share = f"{finding.agreeing} of {finding.sampled} that were looked at"
    said = [
        f"table: {layout.table.title!r}",
        ids,
        f"vectors: {vector.name!r} ({finding.form or 'none yet'}, {finding.dimension or '?'} numbers; {share})",
        f"text: {repr(layout.text.name) if layout.text else 'none'}",
        f"metadata: {repr(metadata.name) if metadata else 'no column of JSON objects'}",
        f"further columns as metadata: {_listed([column.name for column in kept])}",
    ]
    if layout.namespace:
        said.append(f"namespaces: {layout.namespace.name!r}")
    if wanted.exclude_columns:
        said.append(f"left out as asked for: {_listed(wanted.exclude_columns)}")
    if len(kept) < len(extra):
        left = [column.name for column in extra if column not in kept]
        said.append(f"left out, as metadata can't hold bytes and further vectors: {_listed(left)}")
    said += _doubtful(kept, cells, metadata)
    return replace(
        layout,
        form=finding.form,
        dimension=finding.dimension,
        metadata=metadata,
        extra=tuple(kept),
        notes=(*said, *notes),
    )


def _all_objects(cells: tuple[Any, ...]) -> bool:
    try:
        for cell in cells:
            json_object(cell)
    except ValueError:
        return False
    return True


def _is_left_out(column: Column, cells: tuple[Any, ...]) -> bool:
    kinds = {type(cell) for cell in cells if cell is not None}
    if column.kind == "bits":
        return False
    return column.kind == "vector" or (kinds <= {bytes, bytearray, memoryview} if kinds else column.kind == "bytes")


def _doubtful(kept: list[Column], cells: dict[str, tuple[Any, ...]], metadata: Column | None) -> list[str]:
    """Notes on values that can't be carried over as they are."""
    notes = []
    exact = [column.name for column in kept if column.type.lower().startswith(("numeric", "decimal"))]
    if exact:
        notes.append(f"{_listed(exact)}: numbers that neither an integer nor a float holds exactly become text")
    if metadata:
        keys = {key for cell in cells[metadata.name] for key in _keys(cell)}
        both = [column.name for column in kept if column.name in keys]
        if both:
            notes.append(
                f"{_listed(both)}: columns, and also keys in {metadata.name!r}; rows where they differ can't be read "
                "unless the columns are left out with exclude_columns="
            )
    return notes


def _keys(cell: Any) -> list[str]:
    try:
        return list(json_object(cell))
    except ValueError:  # its row will be reported
        return []


def _listed(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(map(repr, names)) or "none"
