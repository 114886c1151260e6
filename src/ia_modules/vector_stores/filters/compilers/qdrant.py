"""Qdrant's filter language: ``must``, ``should`` and ``must_not`` over conditions on payload paths.

Qdrant looks into a list wherever it compares, can't tell ``[]`` from no value, and reads fewer date notations than
ISO 8601 has. ``key[]`` names the elements of a list and nothing else, which tells lists from single values.
"""

from __future__ import annotations

import re
from typing import ClassVar, Final

from ia_modules.vector_stores.filters.compilers.base import FilterCompiler, Native, NotExpressible, Superset
from ia_modules.vector_stores.filters.compilers.values import (
    LARGE_NUMBER,
    by_kind,
    is_number,
    loosened,
    rfc3339,
    same_as_double,
    survives,
)
from ia_modules.vector_stores.filters.nodes import And, Condition, Node, Not, Or, Scalar

__all__ = ["EMPTY_LISTS", "ESCAPED", "EXACTLY", "RESERVED", "QdrantCompiler"]

RESERVED: Final = "_ia_"
"""What the keys begin with that our provider keeps for itself."""
ESCAPED: Final = f"{RESERVED}key:"
"""What it puts in front of a user's key that begins like one of its own."""
EMPTY_LISTS: Final = f"{RESERVED}empty:"
"""With a top-level key behind it: where in that key's value there are empty lists, as field names."""
EXACTLY: Final = f"{RESERVED}exact:"
"""With a top-level key behind it: that key's value as JSON text, where a server would change a double's last digits."""

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+\Z")
_NO_PATH = re.compile(r'["\\]|\A\Z')
_DOTTED = "Qdrant can't prefer the key spelled with dots to the nested one where a document has both"
_SCALAR_TOO = "Qdrant compares a single value and a list alike"
_LISTS_TOO = "Qdrant's range holds for a list with such an element"
_NOTATION = "Qdrant reads fewer notations of a date than ISO 8601 has"
_EMPTY = "Qdrant takes an empty list for no value"
_NEAR = 1e-13
"""Relative distance within which two doubles may change places: a server was seen to err by 3 units in the last place,
7e-16, and may err again whenever it reads a payload from disk."""
_MAX_PLACES = 16
"""Places that are looked at natively where a field's name has dots: the filter grows with their number, squared."""
_TINY = 1e-300
_MAX = 1.7976931348623157e308


class QdrantCompiler(FilterCompiler):
    """Compiles to a whole filter: ``{"must": [{"key": "category", "match": {"value": "tech"}}]}``.

    Args:
        stored: whether payloads are those of our provider, with notes beside the metadata; without, they are plain.
        prefer_exact: whether to tell lists from single values natively where a payload index on the field can't help
            with that; without, such a condition selects too much.
    """

    provider: ClassVar[str] = "qdrant"

    def __init__(self, *, stored: bool = False, prefer_exact: bool = False) -> None:
        self._stored = stored
        self._prefer_exact = prefer_exact

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
        paths = self.paths(field)
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
        paths = self.paths(field)
        if not same_as_double(value):
            loose, bound = loosened(operator, value)
            return Superset(None if negated else _should([_range(p, loose, bound) for p in paths]), LARGE_NUMBER)
        conditions = [_range(path, operator, value) for path in paths]
        elements = [_range(f"{path}[]", operator, value) for path in paths]
        complement = _should([{"must_not": conditions}, *elements])
        if self._prefer_exact and len(paths) == 1:
            return complement if negated else {"must": conditions, "must_not": elements}
        if not negated:
            return Superset(_should(conditions), _LISTS_TOO, usual=_should(conditions))
        return Superset(complement if len(paths) == 1 else None, _LISTS_TOO, usual={"must_not": conditions})

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
        """``is_empty``, which holds for a missing value, null and ``[]``; where the last are is noted."""
        conditions = [{"is_empty": {"key": path}} for path in self.paths(field)]
        present: list[Native] = [{"must_not": [condition]} for condition in conditions]
        usual = _must(conditions) if negated else present[0] if len(present) == 1 else _should(present)
        if not self._stored:
            return Superset(usual if negated and len(present) == 1 else None, _EMPTY, usual=usual)
        markers = [
            {"key": _quoted(f"{EMPTY_LISTS}{top}"), "match": {"value": name}} for top, name in _tops(field, stored=True)
        ]
        if len(present) > 1:
            # Of two places the first one decides, even if it holds None.
            return Superset(_must(conditions[:1]) if negated else _should([*present, *markers]), _DOTTED)
        return {"must": conditions, "must_not": markers} if negated else _should([*present, *markers])

    def paths(self, field: str) -> list[str]:
        """Every place that the field may name, in the order in which they are looked up: ``"a.b"``, then ``a.b``."""
        parts = field.split(".")
        if len(parts) > _MAX_PLACES:
            raise NotExpressible(f"Qdrant would have to look at each of {len(parts)} places that this field may name")
        if self._stored and field.startswith(RESERVED):
            parts[0] = ESCAPED + parts[0]
        return [".".join([*map(_quoted, parts[:i]), _quoted(".".join(parts[i:]))]) for i in range(len(parts))]

    def doubts(self, node: Node) -> list[Native]:
        """Where a server's answer to the compiled filter may be wrong, as each of these filters.

        A server changes the last digits of doubles, those of the filter as well as those of the payload. Payloads with
        such a double are marked.

        Args:
            node: the filter in normal form.
        """
        if isinstance(node, And | Or):
            return [doubt for child in node.children for doubt in self.doubts(child)]
        condition = node.child if isinstance(node, Not) else node
        assert isinstance(condition, Condition)
        given = condition.value if isinstance(condition.value, tuple) else (condition.value,)
        numbers = [] if condition.operator == "exists" else [value for value in given if is_number(value)]
        if not numbers:
            return []
        try:
            paths = self.paths(condition.field)
            marks = [_quoted(EXACTLY + top) for top, _ in _tops(condition.field, stored=self._stored)]
        except NotExpressible:
            return []  # then no part of the filter is native
        found: list[Native] = []
        for number in numbers:
            for path, mark in zip(paths, [marks[0], *[marks[-1]] * (len(paths) - 1)], strict=True):
                near: Native = {"must": [_near(path, number)]}
                if isinstance(number, int) or survives(number):
                    near["must_not"] = [{"is_empty": {"key": mark}}]
                found.append(near)
        return found

    def _contains(self, field: str, groups: list[tuple[Scalar, ...]], *, negated: bool) -> Native | Superset:
        """A list with an element out of each group."""
        if not all(same_as_double(value) for group in groups for value in group):
            raise NotExpressible(LARGE_NUMBER)
        paths = self.paths(field)
        conditions = [_one(_must([_one(_should(_members(path, group))) for group in groups])) for path in paths]
        elements = [_one(_must([_one(_should(_members(f"{p}[]", group))) for group in groups])) for p in paths]
        complement = _should([{"must_not": conditions}, {"must_not": elements}])
        if self._prefer_exact and len(paths) == 1:
            return complement if negated else _must([*conditions, *elements])
        if not negated:
            return Superset(_should(conditions), _SCALAR_TOO, usual=_should(conditions))
        return Superset(complement if len(paths) == 1 else None, _SCALAR_TOO, usual={"must_not": conditions})

    def _dates(self, field: str, operator: str, value: str, *, negated: bool) -> Superset:
        usual = [_range(path, operator, rfc3339(value)) for path in self.paths(field)]
        if negated or len(usual) > 1:
            return Superset(None, _NOTATION, usual={"must_not": usual} if negated else _should(usual))
        # What Qdrant knows to lie on the other side is out; what it can't read stays in. Ours are cut off at
        # microseconds, its are not, hence the later bound.
        later = 1 if operator in ("gt", "lte") else 0
        opposite = "lt" if operator in ("gt", "gte") else "gte"
        (path,) = self.paths(field)
        outside = [_range(path, opposite, rfc3339(value, later=later)), {"is_empty": {"key": path}}]
        return Superset({"must_not": outside}, _NOTATION, usual=_must(usual))


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


def _near(path: str, number: float) -> Native:
    """Everything that a number may have been mistaken for."""
    distance = max(abs(number) * _NEAR, _TINY)
    return {"key": path, "range": {"gte": max(number - distance, -_MAX), "lte": min(number + distance, _MAX)}}


def _range(path: str, operator: str, bound: float | str) -> Native:
    return {"key": path, "range": {operator: bound}}


def _tops(field: str, *, stored: bool) -> list[tuple[str, str]]:
    """The top-level keys under which the field may lie, each with the field's name below it, escaped where need be."""
    head = field.partition(".")[0]
    escape = ESCAPED if stored and field.startswith(RESERVED) else ""
    return [(escape + top, escape + field) for top in dict.fromkeys((field, head))]


def _quoted(key: str) -> str:
    if _NO_PATH.search(key):
        raise NotExpressible("Qdrant can't filter by a key that is empty, or has a double quote or a backslash in it")
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
