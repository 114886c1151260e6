"""Weaviate's filter language: the ``where`` object of its REST API, the same tree as the client's ``Filter``.

Every property must be declared, with the ``field`` tokenization for text (with any other, Equal compares words) and
with an index of null states. Kinds never mix in one property; a date range needs a property of type ``date``.
"""

from __future__ import annotations

import re
from typing import ClassVar

from ia_modules.vector_stores.filters.compilers.base import FilterCompiler, Native, NotExpressible, Superset
from ia_modules.vector_stores.filters.compilers.values import (
    LARGE_NUMBER,
    by_kind,
    loosened,
    rfc3339,
    same_as_double,
)
from ia_modules.vector_stores.filters.nodes import Scalar

__all__ = ["WeaviateCompiler"]

_RANGES = {"gt": "GreaterThan", "gte": "GreaterThanEqual", "lt": "LessThan", "lte": "LessThanEqual"}
# The server changes an upper-case first letter, and these names and endings mean something else in a filter.
_PROPERTY = re.compile(
    r"(?!(?:id|vector|_id|_additional)\Z)(?!.*(?:_nullState|_propertyLength|_propertyTimestamp)\Z)"
    r"[_a-z][_0-9A-Za-z]{0,230}\Z"
)
_TRIMMED = "Weaviate compares text without the white space around it"
_SCALAR_TOO = "Weaviate compares a single value and a list alike"
_LISTS_TOO = "Weaviate's range holds for a list with such an element"
_EMPTY = "Weaviate takes an empty text and an empty list for no value"


class WeaviateCompiler(FilterCompiler):
    """Compiles to ``where`` JSON, for example ``{"operator": "Equal", "path": ["lang"], "valueText": "en"}``."""

    provider: ClassVar[str] = "weaviate"

    def all_of(self, parts: list[Native]) -> Native:
        """Every part holds."""
        return {"operator": "And", "operands": parts}

    def any_of(self, parts: list[Native]) -> Native:
        """Some part holds."""
        return {"operator": "Or", "operands": parts}

    def eq(self, field: str, value: Scalar, *, negated: bool) -> Native | Superset:
        """``Equal``; ``NotEqual`` is its complement, documents without a value included."""
        if not same_as_double(value):
            return self._large(field, value, negated=negated)
        native = _leaf("NotEqual" if negated else "Equal", field, value)
        return _guarded(native, _TRIMMED, negated=negated) if isinstance(value, str) else native

    def in_(self, field: str, values: tuple[Scalar, ...], *, negated: bool) -> Native | Superset:
        """``ContainsAny``, which holds for a single value too; ``ContainsNone`` is its complement."""
        native = _list_leaf("ContainsNone" if negated else "ContainsAny", field, values)
        return _guarded(native, _TRIMMED, negated=negated) if isinstance(values[0], str) else native

    def range(self, field: str, operator: str, value: float | str, *, negated: bool) -> Native | Superset:
        """``GreaterThan`` and its kind, with a number or an RFC 3339 date."""
        if isinstance(value, str):
            usual = _leaf(_RANGES[operator], field, rfc3339(value), key="valueDate")
            # A stored date may be finer than a microsecond, and ours are cut off there.
            native = _leaf("LessThan", field, rfc3339(value, later=1), key="valueDate") if operator == "lte" else usual
        elif same_as_double(value):
            native = usual = _leaf(_RANGES[operator], field, value)
        else:
            operator, value = loosened(operator, value)
            return Superset(None if negated else _leaf(_RANGES[operator], field, value), LARGE_NUMBER)
        return Superset(None if negated else native, _LISTS_TOO, usual=_not(usual) if negated else usual)

    def contains(self, field: str, value: Scalar, *, negated: bool) -> Native | Superset:
        """``ContainsAny`` of one value."""
        return self.contains_any(field, (value,), negated=negated)

    def contains_any(self, field: str, values: tuple[Scalar, ...], *, negated: bool) -> Native | Superset:
        """``ContainsAny``; negated ``ContainsNone``."""
        native = _list_leaf("ContainsNone" if negated else "ContainsAny", field, values)
        return _guarded(native, _SCALAR_TOO, negated=negated)

    def contains_all(self, field: str, values: tuple[Scalar, ...], *, negated: bool) -> Native | Superset:
        """``ContainsAll``."""
        if not values:
            raise NotExpressible("Weaviate has no filter for 'is a list'")
        native = _list_leaf("ContainsAll", field, values)
        return _guarded(_not(native) if negated else native, _SCALAR_TOO, negated=negated)

    def exists(self, field: str, *, negated: bool) -> Native | Superset:
        """``IsNull``."""
        usual = _leaf("IsNull", field, negated)
        return Superset(usual if negated else None, _EMPTY, usual=usual)

    def _large(self, field: str, value: Scalar, *, negated: bool) -> Superset:
        """Equality with an integer that a double can't hold: the stretch of doubles around it."""
        if negated:
            return Superset(None, LARGE_NUMBER)
        assert isinstance(value, int | float)
        bounds = (loosened("gte", value), loosened("lte", value))
        return Superset(self.all_of([_leaf(_RANGES[op], field, bound) for op, bound in bounds]), LARGE_NUMBER)


def _guarded(native: Native, reason: str, *, negated: bool) -> Superset:
    """A form that selects too much as it stands and would exclude too much when negated."""
    return Superset(None if negated else native, reason, usual=native)


def _not(native: Native) -> Native:
    return {"operator": "Not", "operands": [native]}


def _leaf(operator: str, field: str, value: Scalar, *, key: str | None = None) -> Native:
    return {"operator": operator, "path": [_property(field)], (key or _value_key(value)): value}


def _list_leaf(operator: str, field: str, values: tuple[Scalar, ...]) -> Native:
    strings, booleans, numbers = by_kind(values)
    if not all(map(str.strip, strings)):
        raise NotExpressible(_EMPTY)
    if sum(map(bool, (strings, booleans, numbers))) > 1:
        raise NotExpressible("a Weaviate property has one type, so values of several kinds can't be looked for at once")
    if not all(map(same_as_double, numbers)):
        raise NotExpressible(LARGE_NUMBER)
    items: list[Scalar] = list(values)
    if any(isinstance(number, float) for number in numbers):
        items = [float(number) for number in numbers]
    return {"operator": operator, "path": [_property(field)], f"{_value_key(items[0])}Array": items}


def _value_key(value: Scalar) -> str:
    if isinstance(value, bool):
        return "valueBoolean"
    if isinstance(value, int):
        return "valueInt"
    if isinstance(value, float):
        return "valueNumber"
    assert isinstance(value, str)
    if not value.strip():
        raise NotExpressible(_EMPTY)
    return "valueText"


def _property(field: str) -> str:
    if not _PROPERTY.match(field):
        raise NotExpressible(f"Weaviate can't filter by a property named {field!r}")
    return field
