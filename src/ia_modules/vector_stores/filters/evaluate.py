"""What a filter means, in plain Python: the definition that every provider is compared with.

The table of ``docs/semantics.md`` and this file say the same; where they differ, this file is right.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

from ia_modules.vector_stores.filters.nodes import And, Condition, FilterLike, Node, Not, Or, Scalar, as_node

__all__ = ["Predicate", "equal", "instant", "matches", "predicate", "resolve"]

Predicate = Callable[[Mapping[str, Any]], bool]

_NOTHING = object()
_ISO_8601 = re.compile(r"[0-9][0-9TtZzWw:.,+\- ]*\Z")


def matches(filters: FilterLike, metadata: Mapping[str, Any]) -> bool:
    """Whether a document with this metadata passes the filter."""
    return predicate(as_node(filters))(metadata)


def predicate(node: Node) -> Predicate:
    """The filter as a function of one document's metadata; build it once, call it for many documents."""
    if isinstance(node, And):
        parts = [predicate(child) for child in node.children]
        if len(parts) == 1:
            return parts[0]
        return lambda metadata: all(part(metadata) for part in parts)
    if isinstance(node, Or):
        parts = [predicate(child) for child in node.children]
        return lambda metadata: any(part(metadata) for part in parts)
    if isinstance(node, Not):
        inner = predicate(node.child)
        return lambda metadata: not inner(metadata)
    if isinstance(node, Condition):
        test = _test(node.operator, node.value)
        field = node.field
        return lambda metadata: test(resolve(metadata, field))
    raise TypeError(f"not a filter node: {type(node).__name__}")


def resolve(metadata: Mapping[str, Any], field: str) -> Any:
    """The value that ``field`` names, or None if there is none.

    A key spelled exactly like the field comes first; else the part before the first dot names a nested object,
    in which the rest is looked up by the same rule.
    """
    while True:
        if field in metadata:
            return metadata[field]
        head, dot, rest = field.partition(".")
        inner = metadata.get(head) if dot else None
        if not isinstance(inner, Mapping):
            return None
        metadata, field = inner, rest


def equal(a: Any, b: Any) -> bool:
    """Whether two scalars are equal: numbers as numbers, bool only with bool, strings exactly; never across kinds."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, str):
        return isinstance(b, str) and a == b
    if isinstance(a, int | float):
        return isinstance(b, int | float) and a == b
    return False


def instant(text: str) -> int | None:
    """Microseconds of an ISO 8601 date or datetime since 0001-01-01 UTC; None if the text is neither.

    A date is its first instant, and a missing zone is UTC. Digits beyond microseconds are cut off.
    """
    if not _ISO_8601.match(text):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    offset = moment.utcoffset()
    # Counted by hand: near year 1 and year 9999 a conversion to UTC would overflow.
    seconds = (moment.toordinal() - 1) * 86_400 + moment.hour * 3_600 + moment.minute * 60 + moment.second
    shift = 0 if offset is None else offset.days * 86_400_000_000 + offset.seconds * 1_000_000 + offset.microseconds
    return seconds * 1_000_000 + moment.microsecond - shift


def _test(operator: str, x: Any) -> Callable[[Any], bool]:
    """The operator as a function of the value found (None: no value)."""
    if operator == "exists":
        return (lambda v: v is not None) if x else (lambda v: v is None)
    if operator == "eq":
        return _eq(x)
    if operator == "ne":
        eq = _eq(x)
        return lambda v: not eq(v)
    if operator in ("in", "nin"):
        among = _member(x)
        return among if operator == "in" else lambda v: not among(v)
    if operator == "contains":
        return lambda v: isinstance(v, list | tuple) and _among(x, v)
    if operator == "contains_any":
        wanted = frozenset(map(_identity, x))
        return lambda v: isinstance(v, list | tuple) and not wanted.isdisjoint(map(_identity, v))
    if operator == "contains_all":
        needed = frozenset(map(_identity, x))
        return lambda v: isinstance(v, list | tuple) and needed.issubset(map(_identity, v))
    return _range(operator, x)


def _eq(x: Scalar) -> Callable[[Any], bool]:
    if x is None:
        return lambda v: v is None
    return lambda v: _among(x, v) if isinstance(v, list | tuple) else equal(v, x)


def _member(values: tuple[Scalar, ...]) -> Callable[[Any], bool]:
    """``in``: one look-up for each value found, however many there are to compare with."""
    wanted = frozenset(_identity(x) for x in values if x is not None)
    none = None in values

    def among(v: Any) -> bool:
        if v is None:
            return none
        if isinstance(v, list | tuple):
            return not wanted.isdisjoint(map(_identity, v))
        return _identity(v) in wanted

    return among


def _identity(value: Any) -> object:
    """The same for equal scalars (see :func:`equal`) and for no others; what is no scalar equals nothing."""
    if isinstance(value, bool):
        return (value,)
    if isinstance(value, str | int | float):
        return value
    return _NOTHING


def _among(x: Scalar, elements: Any) -> bool:
    return any(equal(element, x) for element in elements)


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
}


def _range(operator: str, x: Any) -> Callable[[Any], bool]:
    compare = _COMPARE[operator]
    if isinstance(x, date):
        x = x.isoformat()
    if isinstance(x, str):
        bound = instant(x)
        if bound is None:
            return lambda _: False

        def dated(v: Any) -> bool:
            found = instant(v) if isinstance(v, str) else None
            return found is not None and compare(found, bound)

        return dated
    return lambda v: isinstance(v, int | float) and not isinstance(v, bool) and compare(v, x)
