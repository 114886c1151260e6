"""The filter tree: frozen nodes, checked when they are made.

A tree is built from :class:`Condition` with ``&``, ``|`` and ``~`` (or :func:`all_of`, :func:`any_of`,
:func:`not_`). What it means is defined by :mod:`ia_modules.vector_stores.filters.evaluate`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypeAlias, cast

__all__ = [
    "LIST_OPERATORS",
    "MATCH_ALL",
    "MATCH_NONE",
    "OPERATORS",
    "RANGE_OPERATORS",
    "And",
    "Condition",
    "FilterLike",
    "Node",
    "Not",
    "Or",
    "Scalar",
    "all_of",
    "any_of",
    "as_node",
    "not_",
    "operators_in",
]

Scalar: TypeAlias = str | bool | int | float | None

RANGE_OPERATORS = frozenset({"gt", "gte", "lt", "lte"})
LIST_OPERATORS = frozenset({"in", "nin", "contains_any", "contains_all"})
OPERATORS = frozenset({"eq", "ne", "exists", "contains"}) | RANGE_OPERATORS | LIST_OPERATORS


class Node:
    """Anything that can stand in a filter; composable with ``&``, ``|`` and ``~``."""

    __slots__ = ()

    def __filter_node__(self) -> Node:
        """The plain tree node behind this object."""
        return self

    def __and__(self, other: Node) -> And:
        return And((*_parts(And, self.__filter_node__()), *_parts(And, as_node(other))))

    def __or__(self, other: Node) -> Or:
        return Or((*_parts(Or, self.__filter_node__()), *_parts(Or, as_node(other))))

    def __invert__(self) -> Not:
        return Not(self.__filter_node__())


FilterLike: TypeAlias = Node | Sequence[Node] | None
"""What calls take as ``filters``: one expression, a list of them (all must hold), or None."""


@dataclass(frozen=True, slots=True)
class Condition(Node):
    """One comparison of a metadata field with a value.

    Args:
        field: metadata key; ``a.b`` reaches into nested objects unless a key ``a.b`` itself exists.
        operator: eq, ne, gt, gte, lt, lte, in, nin, exists, contains, contains_any or contains_all.
        value: a scalar, or a list of scalars for the operators that take one. Dates and datetimes are accepted
            by the range operators and compared as instants.

    Raises:
        ValueError: for an unknown operator, or a value of the wrong kind for the operator.
    """

    field: str
    operator: str
    value: Any

    def __post_init__(self) -> None:
        if not isinstance(self.field, str):
            raise ValueError(f"a filter's field must be a string, not {type(self.field).__name__}")
        if self.operator not in tuple(OPERATORS):  # a tuple, since what is handed in need not be hashable
            raise ValueError(f"unknown filter operator {self.operator!r}; known: {', '.join(sorted(OPERATORS))}")
        object.__setattr__(self, "value", _checked_value(self.field, self.operator, self.value))


@dataclass(frozen=True, slots=True)
class And(Node):
    """Every child holds. Without children it holds for every document."""

    children: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or(Node):
    """Some child holds. Without children it holds for no document."""

    children: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not(Node):
    """The child does not hold (two-valued logic: there is no third outcome)."""

    child: Node


MATCH_ALL = And(())
MATCH_NONE = Or(())


def all_of(*filters: Node) -> And:
    """A filter that holds when every one of ``filters`` holds."""
    return And(tuple(as_node(f) for f in filters))


def any_of(*filters: Node) -> Or:
    """A filter that holds when at least one of ``filters`` holds."""
    return Or(tuple(as_node(f) for f in filters))


def not_(filter: Node) -> Not:
    """A filter that holds when ``filter`` does not."""
    return Not(as_node(filter))


def as_node(filters: FilterLike) -> Node:
    """One plain tree for what a caller handed in as ``filters``.

    Raises:
        ValueError: when something in it is not a filter.
    """
    if filters is None:
        return MATCH_ALL
    if isinstance(filters, Node):
        return filters.__filter_node__()
    if not isinstance(filters, list | tuple) and (
        isinstance(filters, Mapping | str) or not isinstance(filters, Iterable)
    ):
        raise ValueError(
            f"filters must be a SearchFilter, a composed expression or a list of them, not {type(filters).__name__}"
        )
    children = []
    for item in filters:
        if not isinstance(item, Node):
            raise ValueError(f"filters must hold SearchFilter objects or expressions, not {type(item).__name__}")
        children.append(item.__filter_node__())
    return children[0] if len(children) == 1 else And(tuple(children))


def operators_in(node: Node) -> frozenset[str]:
    """The operators that occur in a tree."""
    if isinstance(node, Condition):
        return frozenset({node.operator})
    if isinstance(node, Not):
        return operators_in(node.child)
    if isinstance(node, And | Or):
        return frozenset().union(*map(operators_in, node.children))
    return operators_in(node.__filter_node__())


def _parts(kind: type[And] | type[Or], node: Node) -> tuple[Node, ...]:
    """The children of a group of that kind; a loop of ``&`` or ``|`` grows one group, not a deep tree."""
    return node.children if isinstance(node, And | Or) and isinstance(node, kind) else (node,)


def _checked_value(field: str, operator: str, value: Any) -> Any:
    if operator == "exists":
        value = _plain(value)
        if not isinstance(value, bool):
            raise _wrong(field, operator, "True or False", value)
        return value
    if operator in LIST_OPERATORS:
        if hasattr(value, "tolist"):  # a numpy array
            value = value.tolist()
        if not isinstance(value, list | tuple | set | frozenset):
            raise _wrong(field, operator, "a list of values", value)
        # Sets have no order of their own; sorting by text keeps compiled filters the same from run to run.
        items = sorted(value, key=repr) if isinstance(value, set | frozenset) else value
        return tuple(_checked_scalar(field, operator, item) for item in items)
    if operator in RANGE_OPERATORS:
        value = value.isoformat() if isinstance(value, date | datetime) else _plain(value)
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise _wrong(field, operator, "a number or an ISO 8601 date", value)
        if isinstance(value, float) and math.isnan(value):
            raise _wrong(field, operator, "a number, and NaN compares with nothing", value)
        return value
    return _checked_scalar(field, operator, value)


def _checked_scalar(field: str, operator: str, value: Any) -> Scalar:
    value = _plain(value)
    if value is None:
        if operator.startswith("contains"):
            raise _wrong(field, operator, "a value other than None", value)
        return None
    if isinstance(value, date | datetime):
        raise _wrong(field, operator, "the string as it is stored (only gt, gte, lt and lte compare dates)", value)
    if not isinstance(value, str | bool | int | float):
        raise _wrong(field, operator, "a string, a number, True, False or None", value)
    if isinstance(value, float) and math.isnan(value):
        raise _wrong(field, operator, "a number, and NaN equals nothing", value)
    return cast("Scalar", value)


def _plain(value: Any) -> Any:
    """Numpy scalars and subclasses of the builtin scalars as the builtin itself."""
    kind = type(value)
    if kind in (str, bool, int, float) or value is None:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if kind.__module__ == "numpy" and hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        return value.item()
    return value


def _wrong(field: str, operator: str, expected: str, value: Any) -> ValueError:
    # The value itself stays out of the message: it may be document content.
    return ValueError(
        f"filter on {field!r}: operator {operator!r} takes {expected}; got {type(value).__name__}"
        + (" NaN" if isinstance(value, float) and math.isnan(value) else "")
    )
