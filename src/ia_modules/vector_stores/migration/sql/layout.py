"""What was chosen of a database: the table, its key, and what each column becomes; and the queries that read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ia_modules.vector_stores.migration.sql.keys import behind, bound_value, key_column
from ia_modules.vector_stores.migration.sql.tables import Column, Table, quoted

__all__ = ["Layout", "Wanted", "exactly"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the user named; see :class:`~ia_modules.vector_stores.migration.sql.SqlSource`."""

    table: str | None = None
    id_column: str | None = None
    vector_column: str | None = None
    text_column: str | bool | None = None
    metadata_column: str | bool | None = None
    namespace_column: str | None = None
    exclude_columns: tuple[str, ...] = ()
    vector_format: str | None = None
    dimension: int | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """How rows become documents.

    Attributes:
        backend: of the database.
        table: where they are.
        order: names of the columns whose values tell rows apart, and their collations if they have to be named.
        loose: those of them that may be NULL.
        ids: names of the columns that make the id.
        vector: the column of vectors.
        form: their format.
        dimension: numbers per vector; None only if the table has none.
        text: the column of texts.
        metadata: the column of JSON objects.
        namespace: the column of namespaces.
        extra: columns that become metadata beside it.
        notes: what a user should know.
    """

    backend: str
    table: Table
    order: tuple[tuple[str, str | None], ...]
    loose: tuple[str, ...]
    ids: tuple[str, ...]
    vector: Column
    form: str | None
    dimension: int | None
    text: Column | None
    metadata: Column | None
    namespace: Column | None
    extra: tuple[Column, ...]
    notes: tuple[str, ...] = ()

    def ordered(self) -> list[sa.ColumnElement[Any]]:
        """The key's columns, as they are compared and ordered."""
        return [key_column(name, collation) for name, collation in self.order]

    def page(self, namespaces: list[Any] | None, after: list[Any] | None, size: int) -> sa.Select[Any]:
        """The query of a page: the key, the parts of the id, the vector, text, metadata and further columns.

        Args:
            namespaces: values of the namespace column that are meant; None for every row.
            after: the key behind which it begins; None for the first.
            size: rows at most.
        """
        columns = self.ordered()
        query = self._selected().limit(size).order_by(*columns)
        query = query.where(*(sa.column(quoted(name)).is_not(None) for name in self.loose))
        if namespaces is not None:
            query = query.where(self.within(namespaces))
        return query if after is None else query.where(behind(columns, after, self.backend))

    def sample(self, size: int, *, last: bool) -> sa.Select[Any]:
        """Rows of either end, as :meth:`page` gives them."""
        columns = self.ordered()
        return self._selected().limit(size).order_by(*([column.desc() for column in columns] if last else columns))

    def _selected(self) -> sa.Select[Any]:
        cells: list[sa.ColumnElement[Any]] = [sa.column(quoted(name)) for name in self.key_names()]
        cells += [column.expression() for column in self.read_columns()]
        return sa.select(*(cell.label(f"c{place}") for place, cell in enumerate(cells))).select_from(
            self.table.clause()
        )

    def key_names(self) -> list[str]:
        """What is selected first: the key, and what of the id is not in it."""
        order = [name for name, _ in self.order]
        return order + [name for name in self.ids if name not in order]

    def read_columns(self) -> list[Column]:
        """What is selected behind the key and the id."""
        return [self.vector, *(column for column in (self.text, self.metadata) if column), *self.extra]

    def without_key(self, namespaces: list[Any] | None) -> sa.Select[Any]:
        """The query of how many rows have NULL in their key."""
        query = sa.select(sa.func.count()).select_from(self.table.clause())
        query = query.where(sa.or_(*(sa.column(quoted(name)).is_(None) for name in self.loose)))
        return query if namespaces is None else query.where(self.within(namespaces))

    def counts(self) -> sa.Select[Any]:
        """The query of how many rows each value of the namespace column has; of one number without such a column."""
        number = sa.func.count().label("n")
        if self.namespace is None:
            return sa.select(number).select_from(self.table.clause())
        value = exactly(self.namespace, self.backend)
        return sa.select(value.label("value"), number).select_from(self.table.clause()).group_by(value)

    def within(self, namespaces: list[Any]) -> sa.ColumnElement[bool]:
        """The condition that a row is of one of these values of the namespace column."""
        if self.namespace is None:
            raise RuntimeError("there is no namespace column")
        column = exactly(self.namespace, self.backend)
        return sa.or_(
            *(column.is_(None) if value is None else column == bound_value(value, self.backend) for value in namespaces)
        )


def exactly(column: Column, backend: str) -> sa.ColumnElement[Any]:
    """A column in a form in which equal is the same: a collation may hold ``A`` and ``a`` for equal.

    In MySQL, text becomes its bytes in UTF-8.
    """
    plain: sa.ColumnElement[Any] = sa.column(quoted(column.name))
    if backend == "sqlite":
        return sa.collate(plain, "BINARY")
    if column.kind == "words":
        return sa.cast(plain, sa.Text)
    if column.kind != "text" or column.type == "uuid":
        return plain
    if backend == "postgresql":
        return sa.collate(plain, "C")
    return sa.cast(sa.func.convert(plain.op("USING")(sa.literal_column("utf8mb4"))), sa.LargeBinary)
