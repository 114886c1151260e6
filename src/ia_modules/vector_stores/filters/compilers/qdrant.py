"""Qdrant's filter language: ``must``, ``should`` and ``must_not`` over conditions on payload paths.

Qdrant looks into a list wherever it compares, can't tell ``[]`` from no value, and reads fewer date notations than
ISO 8601 has. ``key[]`` names the elements of a list and nothing else, which tells lists from single values.
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

__all__ = ["QdrantCompiler"]

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+\Z")
_DOTTED = "Qdrant can't prefer the key spelled with dots to the nested one where a document has both"
_SCALAR_TOO = "Qdrant compares a single value and a list alike"
_LISTS_TOO = "Qdrant's range holds for a list with such an element"
_NOTATION = "Qdrant reads fewer notations of a date than ISO 8601 has"
_EMPTY = "Qdrant takes an empty list for no value"


class QdrantCompiler(FilterCompiler):
    """Compiles to a whole filter: ``{"must": [{"key": "category", "match": {"value": "tech"}}]}``."""

    provider: ClassVar[str] = "qdrant"

    def all_of(self, parts: list[Native]) -> Native:
        """Every part holds: what must and what must not are gathered in one filter."""
        must: list[Native] = []
        must_not: list[Native] = []
        for part in parts:
            if "should" in part:
                must.append(part)
            else:
                must += part.get("must", [])
                must_not += part.get("must_not", [])
        return {clause: found for clause, found in (("must", must), ("must_not", must_not)) if found}

    def any_of(self, parts: list[Native]) -> Native:
        """Some part holds."""
        conditions: list[Native] = []
        for part in parts:
            conditions += part["should"] if "should" in part else [_one(part)]
        return _should(conditions)

    def eq(self, field: str, value: Scalar, *, negated: bool) -> Native | Superset:
        """A match; for a number, a closed range, which holds for 1 and 1.0 alike."""
        return self.in_(field, (value,), negated=negated)

    def in_(self, field: str, values: tuple[Scalar, ...], *, negated: bool) -> Native | Superset:
        """A match with any of the strings, or with a boolean or number; ``must_not`` of all of them when negated."""
        paths = _paths(field)
        conditions = [condition for path in paths for condition in _members(path, values)]
        native = {"must_not": conditions} if negated else _should(conditions)
        if not all(map(same_as_double, values)):
            return Superset(None if negated else native, LARGE_NUMBER)
        if len(paths) > 1:
            return Superset(None if negated else native, _DOTTED, usual=native)
        return native

    def range(self, field: str, operator: str, value: float | str, *, negated: bool) -> Native | Superset:
        """A range of numbers, or of moments."""
        if isinstance(value, str):
            return self._dates(field, operator, value, negated=negated)
        paths = _paths(field)
        if not same_as_double(value):
            loose, bound = loosened(operator, value)
            return Superset(None if negated else _should([_range(p, loose, bound) for p in paths]), LARGE_NUMBER)
        conditions = [_range(path, operator, value) for path in paths]
        return _also_lists(conditions, [_range(f"{p}[]", operator, value) for p in paths], _LISTS_TOO, negated=negated)

    def contains(self, field: str, value: Scalar, *, negated: bool) -> Native | Superset:
        """A match, which holds for a list with such an element."""
        return self.contains_any(field, (value,), negated=negated)

    def contains_any(self, field: str, values: tuple[Scalar, ...], *, negated: bool) -> Native | Superset:
        """A match with any of the values."""
        return self._contains(field, [values], negated=negated)

    def contains_all(self, field: str, values: tuple[Scalar, ...], *, negated: bool) -> Native | Superset:
        """A match for each of the values."""
        if not values:
            raise NotExpressible("Qdrant has no filter for 'is a list'")
        return self._contains(field, [(value,) for value in values], negated=negated)

    def exists(self, field: str, *, negated: bool) -> Native | Superset:
        """``is_empty``, which holds for a missing value, null and ``[]``."""
        conditions = [{"is_empty": {"key": path}} for path in _paths(field)]
        if not negated:
            usual = (
                {"must_not": conditions} if len(conditions) == 1 else _should([{"must_not": [c]} for c in conditions])
            )
            return Superset(None, _EMPTY, usual=usual)
        return Superset(_must(conditions) if len(conditions) == 1 else None, _EMPTY, usual=_must(conditions))

    def _contains(self, field: str, groups: list[tuple[Scalar, ...]], *, negated: bool) -> Superset:
        """A list with an element out of each group."""
        if not all(same_as_double(value) for group in groups for value in group):
            raise NotExpressible(LARGE_NUMBER)
        paths = _paths(field)
        conditions = [_one(_must([_one(_should(_members(path, group))) for group in groups])) for path in paths]
        elements = [_one(_must([_one(_should(_members(f"{p}[]", group))) for group in groups])) for p in paths]
        if not negated:
            return Superset(_should(conditions), _SCALAR_TOO, usual=_should(conditions))
        complement = _should([{"must_not": conditions}, {"must_not": elements}])
        return Superset(complement if len(paths) == 1 else None, _SCALAR_TOO, usual={"must_not": conditions})

    def _dates(self, field: str, operator: str, value: str, *, negated: bool) -> Superset:
        usual = [_range(path, operator, rfc3339(value)) for path in _paths(field)]
        if negated or len(usual) > 1:
            return Superset(None, _NOTATION, usual={"must_not": usual} if negated else _should(usual))
        # What Qdrant knows to lie on the other side is out; what it can't read stays in. Ours are cut off at
        # microseconds, its are not, hence the later bound.
        later = 1 if operator in ("gt", "lte") else 0
        opposite = "lt" if operator in ("gt", "gte") else "gte"
        (path,) = _paths(field)
        outside = [_range(path, opposite, rfc3339(value, later=later)), {"is_empty": {"key": path}}]
        return Superset({"must_not": outside}, _NOTATION, usual=_must(usual))


def _also_lists(conditions: list[Native], elements: list[Native], reason: str, *, negated: bool) -> Superset:
    """Conditions on single values, which the database applies to the elements of a list as well."""
    if not negated:
        return Superset(_should(conditions), reason, usual=_should(conditions))
    complement = _should([{"must_not": conditions}, *elements])
    return Superset(complement if len(conditions) == 1 else None, reason, usual={"must_not": conditions})


def _members(path: str, values: tuple[Scalar, ...]) -> list[Native]:
    """Conditions of which one holds where the value is among those given."""
    strings, booleans, numbers = by_kind(values)
    conditions: list[Native] = []
    if strings:
        conditions.append({"key": path, "match": {"value": strings[0]} if len(strings) == 1 else {"any": strings}})
    conditions += [{"key": path, "match": {"value": flag}} for flag in booleans]
    for number in numbers:
        low, high = (number, number) if same_as_double(number) else (loosened(op, number)[1] for op in ("gte", "lte"))
        conditions.append({"key": path, "range": {"gte": low, "lte": high}})
    return conditions


def _range(path: str, operator: str, bound: float | str) -> Native:
    return {"key": path, "range": {operator: bound}}


def _paths(field: str) -> list[str]:
    """Every place that the field may name, in the order in which they are looked up: ``"a.b"``, then ``a.b``."""
    parts = field.split(".")
    return [".".join([*map(_quoted, parts[:i]), _quoted(".".join(parts[i:]))]) for i in range(len(parts))]


def _quoted(key: str) -> str:
    if '"' in key or not key:
        raise NotExpressible("Qdrant can't filter by a key that is empty or has a double quote in it")
    return key if _PLAIN_KEY.match(key) else f'"{key}"'


def _must(conditions: list[Native]) -> Native:
    return {"must": conditions}


def _should(conditions: list[Native]) -> Native:
    if len(conditions) > 1:
        return {"should": conditions}
    (only,) = conditions
    return only if "must" in only or "should" in only else _must(conditions)


def _one(native: Native) -> Native:
    """A filter as a condition: its only condition where that says the same, else the filter itself."""
    return native["must"][0] if list(native) == ["must"] and len(native["must"]) == 1 else native
