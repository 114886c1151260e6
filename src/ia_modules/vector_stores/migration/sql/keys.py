"""Values of keys: in a cursor, in a document's id, and in a query that goes on behind them."""

from __future__ import annotations

import base64
import datetime
import uuid
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from ia_modules.vector_stores.migration.sql.tables import quoted

__all__ = [
    "KeyValueError",
    "behind",
    "bound_value",
    "decoded",
    "encoded",
    "id_text",
    "joined_id",
    "key_column",
    "plain",
]


class KeyValueError(ValueError):
    """A value that no cursor can keep exactly."""


_TAGS: tuple[tuple[str, type, Callable[[Any], str], Callable[[str], Any]], ...] = (
    # A bool is an int, and a datetime a date, so they come first.
    ("bool", bool, lambda value: "1" if value else "0", lambda text: text == "1"),
    ("int", int, str, int),
    ("float", float, float.hex, float.fromhex),
    ("decimal", Decimal, str, Decimal),
    ("uuid", uuid.UUID, str, uuid.UUID),
    ("bytes", bytes, lambda value: base64.b64encode(value).decode(), base64.b64decode),
    ("datetime", datetime.datetime, datetime.datetime.isoformat, datetime.datetime.fromisoformat),
    ("date", datetime.date, datetime.date.isoformat, datetime.date.fromisoformat),
    ("time", datetime.time, datetime.time.isoformat, datetime.time.fromisoformat),
)
_DECODERS = {tag: decode for tag, _, _, decode in _TAGS}


def plain(value: Any) -> Any:
    """A driver's value without the driver's wrapping."""
    return bytes(value) if isinstance(value, memoryview | bytearray) else value


def encoded(value: Any) -> list[str]:
    """A key's value with its type, as JSON values.

    Raises:
        KeyValueError: for a type that it does not know.
    """
    value = plain(value)
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:  # text of SQLite that is not UTF-8
            raw = value.encode("utf-8", "surrogateescape")
            return ["raw", base64.b64encode(raw).decode()]
        return ["str", value]
    for tag, kind, encode, _ in _TAGS:
        if isinstance(value, kind):
            return [tag, encode(value)]
    raise KeyValueError(f"a key of type {type(value).__name__}")


def decoded(pair: Any) -> Any:
    """The value of :func:`encoded`; text that is not UTF-8 comes as an expression of SQLite.

    Raises:
        ValueError: for anything else.
    """
    if not isinstance(pair, list | tuple) or len(pair) != 2 or not all(isinstance(part, str) for part in pair):
        raise ValueError("this is no cursor of an SQL source")
    tag, text = pair
    if tag == "str":
        return text
    if tag == "raw":
        return sa.cast(sa.literal(base64.b64decode(text), sa.LargeBinary), sa.Text)
    if tag not in _DECODERS:
        raise ValueError("this is no cursor of an SQL source")
    return _DECODERS[tag](text)


def id_text(value: Any) -> str:
    """A value as (a part of) an id: numbers in decimals, bytes in hexadecimals, dates in ISO 8601.

    Raises:
        ValueError: NULL.
    """
    if type(value) is str:
        return value
    if type(value) is int:
        return str(value)
    value = plain(value)
    if value is None:
        raise ValueError("the id is NULL")
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return str(value)


def joined_id(parts: Sequence[str]) -> str:
    """One id of several, joined by colons; a backslash stands before each colon and backslash of a part."""
    return ":".join(part.replace("\\", "\\\\").replace(":", "\\:") for part in parts)


def key_column(name: str, collation: str | None) -> sa.ColumnElement[Any]:
    """A key's column as it is compared and ordered: in the database's own way, by the collation of the index."""
    column: sa.ColumnElement[Any] = sa.column(quoted(name))
    return sa.collate(column, collation) if collation else column


def bound_value(value: Any, backend: str) -> sa.ColumnElement[Any]:
    """A value as a parameter, whose type the database finds by what it is compared with."""
    if isinstance(value, sa.ColumnElement):
        return value
    if isinstance(value, bytes) and backend == "mysql":
        return sa.func.unhex(value.hex())  # not every driver passes bytes on
    return sa.bindparam("value", value, type_=sa.types.NullType(), unique=True)


def behind(columns: Sequence[sa.ColumnElement[Any]], values: Sequence[Any], backend: str) -> sa.ColumnElement[bool]:
    """The condition that a row comes behind a key.

    MySQL reads the whole index for a comparison of rows, so it gets one that starts with the first column.
    """
    bound = [bound_value(value, backend) for value in values]
    if len(columns) == 1:
        return columns[0] > bound[0]
    if backend != "mysql":
        return sa.tuple_(*columns) > sa.tuple_(*bound)
    condition: sa.ColumnElement[bool] = columns[-1] > bound[-1]
    for column, value in zip(reversed(columns[:-1]), reversed(bound[:-1]), strict=True):
        condition = sa.or_(column > value, sa.and_(column == value, condition))
    return sa.and_(columns[0] >= bound[0], condition)
