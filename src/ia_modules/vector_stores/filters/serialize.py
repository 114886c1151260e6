"""Filters as JSON: ``{"field", "operator", "value"}``, ``{"and": [...]}``, ``{"or": [...]}`` and ``{"not": {...}}``."""

from __future__ import annotations

import math
from typing import Any

from ia_modules.vector_stores.filters.nodes import (
    MAX_DEPTH,
    OPERATORS,
    And,
    Condition,
    FilterLike,
    Node,
    Not,
    Or,
    as_node,
)

__all__ = ["from_json", "to_json"]

_LEAF = {"field", "operator", "value"}


def from_json(obj: Any) -> Node:
    """The filter behind a decoded JSON value; a list at the top means that all of it must hold.

    Raises:
        ValueError: for unknown or missing keys, an unknown operator, a value of the wrong kind, or nesting deeper
            than 100; the message names the place, as in ``$.and[1].operator``.
    """
    return _read({"and": obj} if isinstance(obj, list) else obj, "$", MAX_DEPTH + 1)


def to_json(filters: FilterLike) -> dict[str, Any]:
    """The JSON form of a filter; :func:`from_json` gives the same filter back.

    Raises:
        ValueError: for an infinite number, which JSON does not have.
    """
    return _write(as_node(filters))


def _read(obj: Any, path: str, depth: int) -> Node:
    if depth == 0:
        raise ValueError(f"{path}: a filter may nest {MAX_DEPTH} levels deep at most")
    if not isinstance(obj, dict):
        raise ValueError(f"{path}: a filter is a JSON object, not {_kind(obj)}")
    keys = set(obj)
    if keys == {"not"}:
        return Not(_read(obj["not"], f"{path}.not", depth - 1))
    if keys in ({"and"}, {"or"}):
        (key,) = keys
        if not isinstance(obj[key], list):
            raise ValueError(f"{path}.{key}: takes a list of filters, not {_kind(obj[key])}")
        children = tuple(_read(item, f"{path}.{key}[{i}]", depth - 1) for i, item in enumerate(obj[key]))
        return And(children) if key == "and" else Or(children)
    return _read_leaf(obj, path)


def _read_leaf(obj: dict[Any, Any], path: str) -> Condition:
    groups = sorted(set(obj) & {"and", "or", "not"})
    if groups:
        raise ValueError(f"{path}: {groups[0]!r} must be the only key of its object")
    unknown = sorted(map(_shown, set(obj) - _LEAF))
    if unknown:
        raise ValueError(f"{path}: unknown key {unknown[0]}; a condition has 'field', 'operator' and 'value'")
    missing = [key for key in ("field", "operator", "value") if key not in obj]
    if missing:
        raise ValueError(f"{path}: {missing[0]!r} is missing")
    if not isinstance(obj["operator"], str):
        raise ValueError(f"{path}.operator: must be a string, not {_kind(obj['operator'])}")
    try:
        return Condition(obj["field"], obj["operator"], obj["value"])
    except ValueError as error:
        at = (
            "field"
            if not isinstance(obj["field"], str)
            else "operator"
            if obj["operator"] not in OPERATORS
            else "value"
        )
        raise ValueError(f"{path}.{at}: {error}") from None


def _write(node: Node) -> dict[str, Any]:
    if isinstance(node, And):
        return {"and": [_write(child) for child in node.children]}
    if isinstance(node, Or):
        return {"or": [_write(child) for child in node.children]}
    if isinstance(node, Not):
        return {"not": _write(node.child)}
    if not isinstance(node, Condition):
        raise TypeError(f"not a filter node: {type(node).__name__}")
    values = node.value if isinstance(node.value, tuple) else (node.value,)
    if any(isinstance(value, float) and math.isinf(value) for value in values):
        raise ValueError(f"filter on {_shown(node.field)}: infinity has no JSON form")
    return {
        "field": node.field,
        "operator": node.operator,
        "value": list(node.value) if isinstance(node.value, tuple) else node.value,
    }


def _shown(key: Any) -> str:
    """A key for a message; it may be of any kind and length."""
    if not isinstance(key, str):
        return f"of type {type(key).__name__}"
    return repr(key if len(key) <= 80 else key[:80] + "…")


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    return {dict: "an object", list: "a list", str: "a string", bool: "true or false"}.get(type(value), "a number")
