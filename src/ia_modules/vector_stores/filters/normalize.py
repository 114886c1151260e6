"""One normal form for all providers, so that each compiles few shapes and none invents a meaning.

The result is built of :class:`And` and :class:`Or` over *literals* only: a :class:`Condition` with one of the
operators ``eq in gt gte lt lte contains contains_any contains_all exists``, or a :class:`Not` around such a
condition. ``ne`` and ``nin`` are gone, ``None`` and empty lists are folded away, every number fits a signed 64-bit
integer or a finite double, every text fits UTF-8, nested groups are flat, and a filter that holds for everything or for
nothing is exactly ``MATCH_ALL`` or ``MATCH_NONE``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from ia_modules.vector_stores.filters.evaluate import instant, matches
from ia_modules.vector_stores.filters.nodes import (
    MATCH_ALL,
    MATCH_NONE,
    RANGE_OPERATORS,
    And,
    Condition,
    FilterLike,
    Node,
    Not,
    Or,
    Scalar,
    as_node,
    group,
)

__all__ = ["normalize"]

_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1
_FLOAT_MAX = 1.7976931348623157e308


def normalize(filters: FilterLike) -> Node:
    """The normal form of what a caller handed in as ``filters``; means the same for every document.

    Raises:
        ValueError: for something that is not a filter, or that has too many parts.
    """
    return _normal(as_node(filters), _Identities(), negated=False)


def _normal(node: Node, known: _Identities, *, negated: bool) -> Node:
    if isinstance(node, Not):
        return _normal(node.child, known, negated=not negated)
    if isinstance(node, And | Or):
        children = [_normal(child, known, negated=negated) for child in node.children]
        # De Morgan: the negation of an And is the Or of the negations, and the other way round.
        return _join(And if isinstance(node, And) != negated else Or, children, known)
    if isinstance(node, Condition):
        return _literal(node, negated=negated)
    raise TypeError(f"not a filter node: {type(node).__name__}")


def _join(kind: type[And] | type[Or], children: Iterable[Node], known: _Identities) -> Node:
    """Flatten, drop what changes nothing, drop repetitions, and stop at what decides alone."""
    neutral, decisive = (MATCH_ALL, MATCH_NONE) if kind is And else (MATCH_NONE, MATCH_ALL)
    flat: dict[int, Node] = {}
    for child in children:
        if child == decisive:
            return decisive
        for part in child.children if isinstance(child, kind) else (child,):
            flat.setdefault(known.of(part), part)
    if not flat:
        return neutral
    parts = tuple(flat.values())
    return parts[0] if len(parts) == 1 else group(kind, parts)


class _Identities:
    """Numbers that are the same for the same trees; ``1``, ``1.0`` and ``True`` differ, which they don't for ``==``.

    Each node is looked into once, however deep it lies.
    """

    def __init__(self) -> None:
        self._numbers: dict[tuple[object, ...], int] = {}
        self._seen: dict[int, tuple[Node, int]] = {}  # with the nodes, so that no other takes their place in memory

    def of(self, node: Node) -> int:
        """The number of a tree."""
        seen = self._seen.get(id(node))
        if seen is None:
            number = self._numbers.setdefault(self._form(node), len(self._numbers))
            seen = self._seen[id(node)] = node, number
        return seen[1]

    def _form(self, node: Node) -> tuple[object, ...]:
        if isinstance(node, Condition):
            values = node.value if isinstance(node.value, tuple) else (node.value,)
            return (node.field, node.operator, *((type(v), v) for v in values))
        if isinstance(node, Not):
            return ("not", self.of(node.child))
        assert isinstance(node, And | Or)
        return (type(node), *map(self.of, node.children))


def _literal(condition: Condition, *, negated: bool) -> Node:
    field, operator, value = condition.field, condition.operator, condition.value
    if operator in ("ne", "nin"):
        negated, operator = not negated, "eq" if operator == "ne" else "in"
    positive = _positive(field, operator, value)
    if not negated:
        return positive
    if isinstance(positive, Condition):
        return Not(positive)
    return _normal(positive, _Identities(), negated=True)


def _positive(field: str, operator: str, value: object) -> Node:
    if not _encodable(field):  # then no document has it
        return MATCH_ALL if matches(Condition(field, operator, value), {}) else MATCH_NONE
    if operator == "exists":
        present = Condition(field, "exists", True)
        return present if value else Not(present)
    if operator == "eq":
        return _membership(field, (value,))  # type: ignore[arg-type]
    if operator == "in":
        return _membership(field, value)  # type: ignore[arg-type]
    if operator in RANGE_OPERATORS:
        return _range(field, operator, value)
    values = value if isinstance(value, tuple) else (value,)
    fitting = [item for item in map(_storable, _distinct(values)) if item is not None]
    if operator == "contains_all":
        if len(fitting) < len(_distinct(values)):  # a number that no document can hold is asked for
            return MATCH_NONE
        if not fitting:
            return Condition(field, "contains_all", ())
    if not fitting:
        return MATCH_NONE
    if len(fitting) == 1:
        return Condition(field, "contains", fitting[0])
    return Condition(field, operator, tuple(fitting))


def _membership(field: str, values: tuple[Scalar, ...]) -> Node:
    """``eq`` and ``in``: equal to one of the values, None standing for "no value"."""
    wanted = [item for item in map(_storable, _distinct(v for v in values if v is not None)) if item is not None]
    parts: list[Node] = []
    if len(wanted) == 1:
        parts.append(Condition(field, "eq", wanted[0]))
    elif wanted:
        parts.append(Condition(field, "in", tuple(wanted)))
    if any(v is None for v in values):
        parts.append(Not(Condition(field, "exists", True)))
    return _join(Or, parts, _Identities())


def _distinct(values: Iterable[Scalar]) -> list[Scalar]:
    """Each value once; ``1`` and ``1.0`` are one value, ``1`` and ``True`` are two."""
    seen: dict[tuple[bool, Scalar], Scalar] = {}
    for value in values:
        seen.setdefault((isinstance(value, bool), value), value)
    return list(seen.values())


def _storable(value: Scalar) -> Scalar:
    """The value as a number that a document may hold, or None if no document can hold an equal one."""
    if isinstance(value, str):
        return value if _encodable(value) else None
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if _INT64_MIN <= value <= _INT64_MAX:
        return value
    try:
        nearest = float(value)
    except OverflowError:
        return None
    return nearest if nearest == value else None


def _range(field: str, operator: str, value: object) -> Node:
    if isinstance(value, str):
        # Any other string compares with nothing.
        return MATCH_NONE if instant(value) is None else Condition(field, operator, value)
    assert isinstance(value, int | float)
    if isinstance(value, int) and _INT64_MIN <= value <= _INT64_MAX:
        return Condition(field, operator, value)
    upwards = operator in ("gt", "gte")
    try:
        bound = float(value)
    except OverflowError:
        bound = math.inf if value > 0 else -math.inf
    if math.isinf(bound):
        # Beyond every number on one side; on the other, every number passes.
        if (bound > 0) == upwards:
            return MATCH_NONE
        return Condition(field, "gte", -_FLOAT_MAX)
    if bound == value:
        return Condition(field, operator, bound)
    # A large integer between two doubles: every stored number lies on either side of the nearest double.
    if upwards:
        return Condition(field, "gte" if bound > value else "gt", bound)
    return Condition(field, "lte" if bound < value else "lt", bound)


def _encodable(text: str) -> bool:
    """Whether UTF-8 can hold the text; a document's keys and values it can."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
