"""Pinecone's filter language: MongoDB-like operators, with negation at the leaves only.

Pinecone stores strings, booleans, doubles and lists of strings; ``null`` is dropped, and nothing nests, so a dot in a
field is part of the key. What ``$ne`` does without a value is not documented: ``$exists`` says it every time.
"""

from __future__ import annotations

from typing import ClassVar

from ia_modules.vector_stores.filters.compilers.base import FilterCompiler, Native, NotExpressible, Superset
from ia_modules.vector_stores.filters.compilers.values import LARGE_NUMBER, by_kind, loosened, same_as_double
from ia_modules.vector_stores.filters.nodes import Scalar

__all__ = ["PineconeCompiler"]

_SCALAR_TOO = "Pinecone compares a single string and a list of strings alike"
_NO_COMPLEMENT = "Pinecone has no filter for 'not a number', which the negation of a range lets through"


class PineconeCompiler(FilterCompiler):
    """Compiles to Pinecone's JSON, for example ``{"category": {"$eq": "tech"}}``."""

    provider: ClassVar[str] = "pinecone"

    def all_of(self, parts: list[Native]) -> Native:
        """Every part holds."""
        return {"$and": parts}

    def any_of(self, parts: list[Native]) -> Native:
        """Some part holds."""
        return {"$or": parts}

    def eq(self, field: str, value: Scalar, *, negated: bool) -> Native | Superset:
        """``$eq``; negated ``$ne``, or no value."""
        return self.in_(field, (value,), negated=negated)

    def in_(self, field: str, values: tuple[Scalar, ...], *, negated: bool) -> Native | Superset:
        """``$eq`` or ``$in``; negated ``$ne`` or ``$nin``, or no value. Kinds are kept apart."""
        if not all(map(same_as_double, values)):
            return self._large(field, values, negated=negated)
        strings, booleans, numbers = by_kind(values)
        groups: list[list[str] | list[bool] | list[int | float]] = [strings, numbers, *([flag] for flag in booleans)]
        one, many = ("$ne", "$nin") if negated else ("$eq", "$in")
        parts = [_leaf(field, many, g) if len(g) > 1 else _leaf(field, one, g[0]) for g in groups if g]
        if not negated:
            return parts[0] if len(parts) == 1 else self.any_of(parts)
        return self.any_of([parts[0] if len(parts) == 1 else self.all_of(parts), _leaf(field, "$exists", False)])

    def range(self, field: str, operator: str, value: float | str, *, negated: bool) -> Native | Superset:
        """``$gt``, ``$gte``, ``$lt`` or ``$lte`` with a number."""
        if isinstance(value, str):
            raise NotExpressible("Pinecone compares numbers only, not dates")
        if not same_as_double(value):
            operator, value = loosened(operator, value)
            return Superset(None if negated else _leaf(field, f"${operator}", value), LARGE_NUMBER)
        if not negated:
            return _leaf(field, f"${operator}", value)
        opposite = _leaf(field, {"gt": "$lte", "gte": "$lt", "lt": "$gte", "lte": "$gt"}[operator], value)
        return Superset(None, _NO_COMPLEMENT, usual=self.any_of([opposite, _leaf(field, "$exists", False)]))

    def contains(self, field: str, value: Scalar, *, negated: bool) -> Native | Superset:
        """``$eq``, which holds for a list with such an element."""
        return self.contains_any(field, (value,), negated=negated)

    def contains_any(self, field: str, values: tuple[Scalar, ...], *, negated: bool) -> Native | Superset:
        """``$in``, which holds for a list with such an element."""
        native = self.in_(field, _strings(values), negated=negated)
        assert isinstance(native, dict)
        return Superset(None if negated else native, _SCALAR_TOO, usual=native)

    def contains_all(self, field: str, values: tuple[Scalar, ...], *, negated: bool) -> Native | Superset:
        """``$and`` of ``$eq``."""
        if not values:
            raise NotExpressible("Pinecone has no filter for 'is a list'")
        parts = [_leaf(field, "$ne" if negated else "$eq", value) for value in _strings(values)]
        if negated:
            return Superset(None, _SCALAR_TOO, usual=self.any_of([*parts, _leaf(field, "$exists", False)]))
        native = self.all_of(parts)
        return Superset(native, _SCALAR_TOO, usual=native)

    def exists(self, field: str, *, negated: bool) -> Native | Superset:
        """``$exists``."""
        return _leaf(field, "$exists", not negated)

    def _large(self, field: str, values: tuple[Scalar, ...], *, negated: bool) -> Superset:
        """Equality with integers that a double can't hold: the stretch of doubles around each."""
        if negated:
            return Superset(None, LARGE_NUMBER)
        parts = [self._near(field, value) for value in values]
        return Superset(parts[0] if len(parts) == 1 else self.any_of(parts), LARGE_NUMBER)

    def _near(self, field: str, value: Scalar) -> Native:
        if same_as_double(value):
            return _leaf(field, "$eq", value)
        assert isinstance(value, int | float)
        bounds = (loosened("gte", value), loosened("lte", value))
        return self.all_of([_leaf(field, f"${operator}", bound) for operator, bound in bounds])


def _leaf(field: str, operator: str, value: object) -> Native:
    if field.startswith("$"):
        raise NotExpressible("Pinecone takes a key that begins with '$' for an operator")
    return {field: {operator: value}}


def _strings(values: tuple[Scalar, ...]) -> tuple[Scalar, ...]:
    if not all(isinstance(value, str) for value in values):
        raise NotExpressible("Pinecone's lists hold strings only")
    return values
