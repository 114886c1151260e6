"""Cells of a row as values of metadata, each in the type that it has."""

from __future__ import annotations

import datetime
import math
import re
import uuid
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from pydantic_core import from_json

from ia_modules.vector_stores.documents import MAX_METADATA_DEPTH
from ia_modules.vector_stores.migration.sql.tables import Column

__all__ = ["converter", "is_sound", "json_object", "json_value", "text_value"]

_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1
_SPACED = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d")


def json_value(value: Any) -> Any:
    """A cell as JSON has it.

    Dates and times become ISO 8601, UUIDs their text form. A decimal becomes an integer or a float if that has the
    same decimal digits, and otherwise a string; so does an integer beyond 64 bits.

    Raises:
        ValueError: bytes, text that is not UTF-8, or a type that has no form in JSON.
    """
    kind = type(value)
    if kind is str:
        return value if value.isascii() else text_value(value)
    if kind is int:
        return value if _INT64_MIN <= value <= _INT64_MAX else str(value)
    if value is None or kind is bool or kind is float:
        return value
    if isinstance(value, Decimal):
        return _decimal(value)
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return f"PT{_decimal(Decimal(value // datetime.timedelta(microseconds=1)) / 1_000_000)}S"
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, list | tuple):
        return [json_value(item) for item in value]
    if isinstance(value, Mapping):
        return {key: json_value(item) for key, item in value.items()}
    if isinstance(value, bytes | bytearray | memoryview):
        raise ValueError("has bytes, which metadata can't hold")
    raise ValueError(f"has a value of type {kind.__name__}, which JSON does not have")


def is_sound(value: Any, depth: int = 0) -> bool:
    """Whether a value of JSON's types is one that metadata can hold, which is nearly always so.

    What :func:`json_value` and a JSON parser give has no other types and no broken text, so this is much quicker than
    a check of everything; numbers out of range and deep nesting are left to be found.
    """
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return True
    if kind is int:
        return bool(_INT64_MIN <= value <= _INT64_MAX)
    if kind is float:
        return math.isfinite(value)
    if depth >= MAX_METADATA_DEPTH:
        return False
    for item in value.values() if kind is dict else value:
        if type(item) is not str and not is_sound(item, depth + 1):
            return False
    return True


def text_value(value: Any) -> str:
    """Text.

    Raises:
        ValueError: anything else, or text that is not UTF-8.
    """
    if not isinstance(value, str):
        raise ValueError(f"has a value of type {type(value).__name__} where text should be")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("has text that is not UTF-8") from None
    return value


def json_object(value: Any) -> dict[str, Any]:
    """A JSON object of a metadata column; NULL is an empty one.

    Raises:
        ValueError: not JSON, or not an object.
    """
    value = _parsed(value)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError("has JSON that is not an object")
    return value


def converter(column: Column, backend: str) -> Callable[[Any], Any]:
    """What makes JSON values of a column's cells; see :func:`json_value` for what it raises.

    ``0`` and ``1`` in a column declared as boolean become booleans (SQLite and MySQL have no others), text in a column
    declared as JSON is parsed, ``2024-05-01 10:00`` in a date column of SQLite gets the ``T`` of ISO 8601.
    """
    if column.kind == "json":
        return _parsed
    if column.kind == "boolean" and backend != "postgresql":
        return _boolean
    if column.kind == "moment" and backend == "sqlite":
        return _moment
    if column.kind == "timestamp":
        return _instant
    if column.kind == "bits":
        return _one_bit if column.type.lower() == "bit(1)" else _bits
    return json_value


def _parsed(value: Any) -> Any:
    if isinstance(value, str | bytes):
        try:
            return from_json(value)
        except (TypeError, ValueError):  # the former for text with lone surrogates
            raise ValueError("is not valid JSON") from None
    return json_value(value)


def _decimal(value: Decimal) -> int | float | str:
    if not value.is_finite():
        return float(value)  # which no metadata can hold: reported where the document is checked
    if value == value.to_integral_value() and _INT64_MIN <= value <= _INT64_MAX:
        return int(value)
    nearest = float(value)
    return nearest if value in (Decimal(nearest), Decimal(repr(nearest))) else str(value)


def _boolean(value: Any) -> Any:
    return bool(value) if type(value) is int and value in (0, 1) else json_value(value)


def _moment(value: Any) -> Any:
    if isinstance(value, str) and _SPACED.match(value):
        return json_value(value[:10] + "T" + value[11:])
    return json_value(value)


def _instant(value: Any) -> Any:
    if isinstance(value, datetime.datetime) and value.tzinfo is None:
        value = value.replace(tzinfo=datetime.UTC)
    return json_value(value)


def _bits(value: Any) -> Any:
    return json_value(int.from_bytes(value, "big") if isinstance(value, bytes) else value)


def _one_bit(value: Any) -> Any:
    return _boolean(_bits(value))
