"""The filter tree: frozen nodes, checked when they are made.

A tree is built from :class:`Condition` with ``&``, ``|`` and ``~`` (or :func:`all_of`, :func:`any_of`,
:func:`not_`). What it means is defined by :mod:`ia_modules.vector_stores.filters.evaluate`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, NamedTuple, TypeAlias, cast

__all__ = [
    "LIST_OPERATORS",
    "MATCH_ALL",
    "MATCH_NONE",
    "MAX_DEPTH",
    "MAX_NODES",
    "MAX_VALUES",
    "OPERATORS",
    "RANGE_OPERATORS",
    "And",
    "Condition",
    "Extent",
    "FilterLike",
    "Node",
    "Not",
    "Or",
    "Scalar",
    "all_of",
    "any_of",
    "as_node",
    "extent",
    "group",
    "not_",
    "operators_in",
]

Scalar: TypeAlias = str | bool | int | float | None

RANGE_OPERATORS = frozenset({"gt", "gte", "lt", "lte"})
LIST_OPERATORS = frozenset({"in", "nin", "contains_any", "contains_all"})
OPERATORS = frozenset({"eq", "ne", "exists", "contains"}) | RANGE_OPERATORS | LIST_OPERATORS

MAX_DEPTH = 100
"""How many groups (and, or, not) a filter may nest: far beyond any real one, and safe to recurse through."""

MAX_NODES = 10_000
"""How many conditions and groups a filter may have in all; one that is used twice counts twice."""

MAX_VALUES = 10_000
"""How many values the lists of a filter may have in all; it is what Pinecone takes in one list."""


class Extent(NamedTuple):
    """The size of a filter: groups nested, conditions and groups in all, values in lists."""

    depth: int
    nodes: int
    values: int


_SINGLE = Extent(0, 1, 0)


class Node:
    """Anything that can stand in a filter; composable with ``&``, ``|`` and ``~``."""

    __slots__ = ()

    def __filter_node__(self) -> Node:
        """The plain tree node behind this object."""
        return self

    def __and__(self, other: Node) -> And:
        return cast("And", _merged(And, self.__filter_node__(), as_node(other)))

    def __or__(self, other: Node) -> Or:
        return cast("Or", _merged(Or, self.__filter_node__(), as_node(other)))

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
        ValueError: for an unknown operator, a value of the wrong kind for the operator, or a list of more than
            10,000 values.
    """

    field: str
    operator: str
    value: Any

    def __post_init__(self) -> None:
        if not isinstance(self.field, str):
            raise ValueError(f"a filter's field must be a string, not {type(self.field).__name__}")
        operator: object = self.operator
        if not isinstance(operator, str) or operator not in OPERATORS:
            given = _shown(operator) if isinstance(operator, str) else f"of type {type(operator).__name__}"
            raise ValueError(f"unknown filter operator {given}; known: {', '.join(sorted(OPERATORS))}")
        object.__setattr__(self, "value", _checked_value(self.field, self.operator, self.value))


@dataclass(frozen=True, slots=True)
class And(Node):
    """Every child holds. Without children it holds for every document.

    Raises:
        ValueError: for a child that is no filter; beyond 100 nested groups, 10,000 conditions and groups, or 10,000
            listed values.
    """

    children: tuple[Node, ...]
    _extent: Extent = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _take_in(self, self.children)


@dataclass(frozen=True, slots=True)
class Or(Node):
    """Some child holds. Without children it holds for no document.

    Raises:
        ValueError: as for :class:`And`.
    """

    children: tuple[Node, ...]
    _extent: Extent = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _take_in(self, self.children)


@dataclass(frozen=True, slots=True)
class Not(Node):
    """The child does not hold (two-valued logic: there is no third outcome).

    Raises:
        ValueError: as for :class:`And`.
    """

    child: Node
    _extent: Extent = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        child = _checked_child(self.child)
        object.__setattr__(self, "child", child)
        object.__setattr__(self, "_extent", _within(_around([extent(child)])))


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
        ValueError: when something in it is not a filter, or there are more than 10,000 conditions.
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
        if len(children) >= MAX_NODES:  # of what may be endless
            _within(Extent(1, 1 + len(children), 0))
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


def extent(node: Node) -> Extent:
    """The size of a tree, without going through it."""
    if isinstance(node, And | Or | Not):
        return node._extent  # noqa: SLF001 - measured when it was made
    value = node.value if isinstance(node, Condition) else None
    return Extent(0, 1, len(value)) if isinstance(value, tuple) else _SINGLE


def group(kind: type[And] | type[Or], children: Sequence[Node]) -> And | Or:
    """A group of plain nodes that is held to no limit: for forms made of a filter that was, with little to add."""
    made = object.__new__(kind)
    object.__setattr__(made, "children", tuple(children))
    object.__setattr__(made, "_extent", _around(map(extent, children)))
    return made


def _merged(kind: type[And] | type[Or], left: Node, right: Node) -> Node:
    """Both in one group: a loop of ``&`` or ``|`` grows one group, not a deep tree, and measures each part once."""
    depth, nodes, values = 0, 1, 0
    for node in (left, right):
        own, same = extent(node), isinstance(node, kind)
        depth, nodes, values = max(depth, own.depth + (not same)), nodes + own.nodes - same, values + own.values
    made = object.__new__(kind)
    object.__setattr__(made, "_extent", _within(Extent(depth, nodes, values)))
    parts = [node.children if isinstance(node, kind) else (node,) for node in (left, right)]
    object.__setattr__(made, "children", (*parts[0], *parts[1]))
    return made


def _take_in(made: And | Or, children: Iterable[Node]) -> None:
    checked = tuple(map(_checked_child, children))
    object.__setattr__(made, "children", checked)
    object.__setattr__(made, "_extent", _within(_around(map(extent, checked))))


def _checked_child(child: Node) -> Node:
    if not isinstance(child, Node):
        raise ValueError(f"a filter is made of filters, not of {type(child).__name__}")
    return child.__filter_node__()


def _around(extents: Iterable[Extent]) -> Extent:
    """The size of a group with these children."""
    depth, nodes, values = 0, 1, 0
    for child in extents:
        depth, nodes, values = max(depth, child.depth), nodes + child.nodes, values + child.values
    return Extent(depth + 1, nodes, values)


def _within(found: Extent) -> Extent:
    if found.depth > MAX_DEPTH:
        raise ValueError(f"a filter may nest {MAX_DEPTH} groups at most")
    if found.nodes > MAX_NODES:
        raise ValueError(f"a filter may have {MAX_NODES:,} conditions and groups at most; 'in' takes many values")
    if found.values > MAX_VALUES:
        raise ValueError(f"the lists of a filter may have {MAX_VALUES:,} values at most, together")
    return found


def _shown(text: str) -> str:
    """A field or an operator for a message; they may be of any length."""
    return repr(text if len(text) <= 80 else text[:80] + "…")


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
        if len(value) > MAX_VALUES:
            _within(Extent(0, 1, len(value)))
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
        f"filter on {_shown(field)}: operator {operator!r} takes {expected}; got {type(value).__name__}"
        + (" NaN" if isinstance(value, float) and math.isnan(value) else "")
    )


MATCH_ALL = And(())
MATCH_NONE = Or(())
