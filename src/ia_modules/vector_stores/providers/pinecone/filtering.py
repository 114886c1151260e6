"""Filters for documents as :mod:`.layout` stores them, which makes nearly every one exact."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

from ia_modules.vector_stores.filters import MATCH_ALL, Node, Predicate, predicate
from ia_modules.vector_stores.filters.compilers.base import FilterCompiler, Native, Superset
from ia_modules.vector_stores.filters.compilers.values import LARGE_NUMBER, by_kind, loosened, same_as_double
from ia_modules.vector_stores.filters.nodes import Scalar
from ia_modules.vector_stores.providers.pinecone.layout import (
    LISTED,
    PRESENT,
    WRITTEN,
    big_key,
    date_bound,
    date_key,
    element_key,
    exact_text,
    value_key,
)

__all__ = ["Filters", "Prepared", "StoredCompiler", "written_after"]

_OPPOSITE = {"gt": "lte", "gte": "lt", "lt": "gte", "lte": "gt"}
_REMEMBERED = 256
_LONGEST_KEY = 20_000
"""Longer filters are compiled each time, so that those remembered don't fill the memory."""


class StoredCompiler(FilterCompiler):
    """Compiles for our layout; a negation says every time that a record without the field passes it."""

    provider: ClassVar[str] = "pinecone"

    def all_of(self, parts: list[Native]) -> Native:
        """Every part holds."""
        return parts[0] if len(parts) == 1 else {"$and": parts}

    def any_of(self, parts: list[Native]) -> Native:
        """Some part holds."""
        return parts[0] if len(parts) == 1 else {"$or": parts}

    def eq(self, field: str, value: Scalar, *, negated: bool) -> Native | Superset:
        """Equal to a scalar, or to an element of a list."""
        return self.in_(field, (value,), negated=negated)

    def in_(self, field: str, values: tuple[Scalar, ...], *, negated: bool) -> Native | Superset:
        """Equal to one of several scalars, or a list with such an element."""
        strings, booleans, numbers = by_kind(values)
        key = value_key(field)
        tests: list[tuple[str, Sequence[Any]]] = [
            (key, strings),
            (key, [n for n in numbers if same_as_double(n)]),
            *((key, [flag]) for flag in booleans),
            (big_key(field), [exact_text(n) for n in numbers if not same_as_double(n)]),
            (element_key(field), [_text(n) for n in (*numbers, *booleans)]),
        ]
        return self._among([(name, wanted) for name, wanted in tests if wanted], negated=negated)

    def range(self, field: str, operator: str, value: float | str, *, negated: bool) -> Native | Superset:
        """A number or a date beyond a bound."""
        if isinstance(value, str):
            bound = date_bound(value)
            if bound is None:
                return Superset(None, "dates are kept as doubles, which have microseconds of the years 1684 to 2255")
            key = date_key(field)
            if not negated:
                return _leaf(key, operator, bound)
            return self.any_of([_leaf(key, _OPPOSITE[operator], bound), _leaf(key, "exists", False)])
        if negated:
            return Superset(
                None, "Pinecone has no filter for 'not a number', which the negation of a range lets through"
            )
        if same_as_double(value):
            return _leaf(value_key(field), operator, value)
        return Superset(_leaf(value_key(field), *loosened(operator, value)), LARGE_NUMBER)

    def contains(self, field: str, value: Scalar, *, negated: bool) -> Native | Superset:
        """A list with an element."""
        return self.contains_any(field, (value,), negated=negated)

    def contains_any(self, field: str, values: tuple[Scalar, ...], *, negated: bool) -> Native | Superset:
        """A list with one of several elements."""
        strings, booleans, numbers = by_kind(values)
        others = [_text(n) for n in (*numbers, *booleans)]
        parts: list[Native] = []
        if strings:
            tests = [self._among([(value_key(field), strings)], negated=negated), self._marked(LISTED, field, negated)]
            parts.append(self.any_of(tests) if negated else self.all_of(tests))
        if others:
            parts.append(self._among([(element_key(field), others)], negated=negated))
        return self.all_of(parts) if negated else self.any_of(parts)

    def contains_all(self, field: str, values: tuple[Scalar, ...], *, negated: bool) -> Native | Superset:
        """A list with all of several elements; with none, any list."""
        tests = [
            self._among(
                [(value_key(field), [v]) if isinstance(v, str) else (element_key(field), [_text(v)])], negated=negated
            )
            for v in values
        ]
        tests.append(self._marked(LISTED, field, negated))
        return self.any_of(tests) if negated else self.all_of(tests)

    def exists(self, field: str, *, negated: bool) -> Native | Superset:
        """A value under the field's own name, or the mark of one that stands elsewhere."""
        tests = [_leaf(value_key(field), "exists", not negated), self._marked(PRESENT, field, negated)]
        return self.all_of(tests) if negated else self.any_of(tests)

    def _marked(self, key: str, field: str, negated: bool) -> Native:
        return self._among([(key, [field])], negated=negated)

    def _among(self, tests: Sequence[tuple[str, Sequence[Any]]], *, negated: bool) -> Native:
        """Some field has one of the values given for it; or none of them does."""
        if not negated:
            return self.any_of([_equal(key, values) for key, values in tests])
        # What $ne and $nin do without a value is not documented.
        parts = [self.any_of([_equal(key, values, "ne", "nin"), _leaf(key, "exists", False)]) for key, values in tests]
        return self.all_of(parts)


def _equal(key: str, values: Sequence[Any], one: str = "eq", many: str = "in") -> Native:
    return _leaf(key, one, values[0]) if len(values) == 1 else _leaf(key, many, list(values))


def _text(value: Scalar) -> str:
    assert isinstance(value, int | float)  # the normal form has no None left
    return exact_text(value)


def _leaf(key: str, operator: str, value: object) -> Native:
    return {key: {f"${operator}": value}}


class Prepared(NamedTuple):
    """A filter, ready to be sent.

    Attributes:
        native: what Pinecone gets; None to ask for everything.
        passes: tells which of the records that come are right; None if all are.
    """

    native: Native | None
    passes: Predicate | None


def written_after(stamp: int) -> Prepared:
    """Records that were written later."""
    return Prepared({WRITTEN: {"$gt": stamp}}, None)


class Filters:
    """Compiles filters, and remembers the last ones, since programs ask the same again."""

    def __init__(self) -> None:
        self._compiler = StoredCompiler()
        self._known: OrderedDict[str, Prepared] = OrderedDict()

    def of(self, filters: Node) -> Prepared:
        """The filter; in normal form, not ``MATCH_NONE``."""
        if filters is MATCH_ALL or filters == MATCH_ALL:
            return Prepared(None, None)
        key = repr(filters)
        found = self._known.get(key)
        if found is None:
            compiled = self._compiler.compile(filters)
            found = Prepared(compiled.native, None if compiled.exact else predicate(filters))
            if len(key) <= _LONGEST_KEY:
                self._known[key] = found
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(key)
        return found
