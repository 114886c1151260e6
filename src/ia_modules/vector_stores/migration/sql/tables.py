"""What tables and columns look like to the reader, whatever database they are in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import sqlalchemy as sa
from sqlalchemy.sql.elements import quoted_name

__all__ = ["Column", "Key", "Kind", "Table", "quoted"]

Kind: TypeAlias = Literal[
    "any", "array", "bits", "boolean", "bytes", "json", "moment", "number", "text", "timestamp", "vector", "words"
]
"""What a column holds, by its declared type.

``any``: says nothing; ``array``: of numbers; ``bits``: MySQL's bit; ``moment``: a date, a time or both;
``timestamp``: MySQL's, which is an instant in UTC; ``vector``: of a vector type; ``words``: read in its text form.
"""


def quoted(name: str) -> quoted_name:
    """A name that is quoted in SQL, whatever it looks like."""
    return quoted_name(name, quote=True)


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        name: as it is.
        type: as declared, for messages.
        kind: what it holds.
        read: how it is selected: as it is, cast to text, or (PostgreSQL) by ``to_jsonb`` as ``json`` or ``iso`` text.
        dimension: numbers per vector, where the type says.
        ordered: whether the database orders and compares its values in one and the same way, and they come back exact.
    """

    name: str
    type: str
    kind: Kind
    read: Literal["plain", "text", "json", "iso"] = "plain"
    dimension: int | None = None
    ordered: bool = True

    def expression(self) -> sa.ColumnElement[Any]:
        """What is selected."""
        column: sa.ColumnElement[Any] = sa.column(quoted(self.name))
        if self.read == "text":
            return sa.cast(column, sa.Text)
        if self.read == "json":
            return sa.cast(sa.func.to_jsonb(column), sa.Text)
        if self.read == "iso":
            return sa.func.to_jsonb(column).op("#>>")(sa.literal_column("'{}'"))
        return column


@dataclass(frozen=True, slots=True)
class Key:
    """Columns that tell every row apart, in the order of their index.

    Attributes:
        columns: names.
        primary: whether it is the primary key.
        nullable: those that may be NULL, so that such rows are not told apart.
        collations: the index's own, per column, where a query has to name it (SQLite).
    """

    columns: tuple[str, ...]
    primary: bool = False
    nullable: tuple[str, ...] = ()
    collations: tuple[str | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A table or view.

    Attributes:
        schema: its schema, where the database has them.
        name: as it is.
        columns: in their order.
        keys: that the database enforces.
        rowid: name under which SQLite's row number is reached, or None.
        readable: whether the user may read it.
        view: whether it is a view.
    """

    schema: str | None
    name: str
    columns: tuple[Column, ...]
    keys: tuple[Key, ...] = ()
    rowid: str | None = None
    readable: bool = True
    view: bool = False

    @property
    def title(self) -> str:
        """Its name for people, and as ``table=`` takes it."""
        return f"{self.schema}.{self.name}" if self.schema else self.name

    def column(self, name: str) -> Column | None:
        """A column by its name."""
        return next((column for column in self.columns if column.name == name), None)

    def clause(self) -> sa.TableClause:
        """What stands behind FROM."""
        schema = quoted(self.schema) if self.schema else None
        return sa.table(quoted(self.name), schema=schema)
