"""Filters over a collection's properties and marks, as Weaviate gets them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final

from ia_modules.vector_stores.filters.compilers.base import FilterCompiler, Native, Superset
from ia_modules.vector_stores.filters.compilers.values import LARGE_NUMBER, by_kind, loosened, same_as_double
from ia_modules.vector_stores.filters.nodes import Scalar
from ia_modules.vector_stores.providers.weaviate.layout import (
    LISTED,
    MORE,
    PRESENT,
    date_bound,
    fits_text,
    mark,
    sign,
)
from ia_modules.vector_stores.providers.weaviate.schema import ABSENT, NEVER, UNUSABLE, Schema

__all__ = ["StoredCompiler"]

_RANGES: Final = {"gt": "GreaterThan", "gte": "GreaterThanEqual", "lt": "LessThan", "lte": "LessThanEqual"}
_NOTHING: Final = "!"
"""A mark that no object has."""


class StoredCompiler(FilterCompiler):
    """Compiles for documents as :mod:`.layout` stores them, which makes nearly every filter exact.

    A negated condition is ``Not`` of the plain one rather than one of Weaviate's own complements: objects that are
    older than a property are neither null nor not null there.

    Args:
        schema: of the collection.

    Attributes:
        absent: whether a field was asked for that has no property yet; another process may have added it by now.
    """

    provider: ClassVar[str] = "weaviate"

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self.absent = False

    def all_of(self, parts: list[Native]) -> Native:
        """Every part holds."""
        return {"operator": "And", "operands": parts}

    def any_of(self, parts: list[Native]) -> Native:
        """Some part holds."""
        return parts[0] if len(parts) == 1 else {"operator": "Or", "operands": parts}

    def eq(self, field: str, value: Scalar, *, negated: bool) -> Native | Superset:
        """Equal to a scalar, or to an element of a list."""
        return self.in_(field, (value,), negated=negated)

    def in_(self, field: str, values: tuple[Scalar, ...], *, negated: bool) -> Native | Superset:
        """Equal to one of several scalars, or a list with such an element."""
        strings, booleans, numbers = by_kind(values)
        marks = [mark(field, value, element=True) for value in values]
        groups: list[tuple[str, list[Any], list[Any]]] = [
            ("text", [s for s in strings if fits_text(s)], [s for s in strings if not fits_text(s)]),
            ("boolean", booleans, []),
            (
                "number",
                [float(n) + 0.0 for n in numbers if same_as_double(n)],
                [n for n in numbers if not same_as_double(n)],
            ),
        ]
        parts: list[Native] = []
        for kind, held, marked in groups:
            marks += [mark(field, value, element=False) for value in marked]
            slot = self._slot(field, kind) if held else ABSENT
            if slot == UNUSABLE:
                return Superset(None, f"somebody made a property in the place of {field!r}")
            if not self._schema.automatic:
                marks += [mark(field, value, element=False) for value in held]
            if held and slot not in (ABSENT, NEVER):
                parts.append(_among(slot, kind, held))
        parts.append(_marked("ContainsAny", marks))
        native = self.any_of(parts)
        return _not(native) if negated else native

    def range(self, field: str, operator: str, value: float | str, *, negated: bool) -> Native | Superset:
        """A number or a date beyond a bound; values inside of lists are in no property."""
        kind = "date" if isinstance(value, str) else "number"
        slot = self._slot(field, kind)
        if slot in (UNUSABLE, NEVER):
            return Superset(None, f"there is no property for {field!r}")
        if slot == ABSENT:
            native = _marked("ContainsAny", [_NOTHING])
            return _not(native) if negated else native
        if isinstance(value, str):
            bound = date_bound(value)
            if bound is None:
                return Superset(None, "Weaviate keeps dates of the years 1678 to 2262")
            native = _leaf(_RANGES[operator], slot, "valueDate", bound)
        elif same_as_double(value):
            native = _leaf(_RANGES[operator], slot, "valueNumber", float(value) + 0.0)
        else:
            operator, value = loosened(operator, value)
            return Superset(None if negated else _leaf(_RANGES[operator], slot, "valueNumber", value), LARGE_NUMBER)
        return _not(native) if negated else native

    def contains(self, field: str, value: Scalar, *, negated: bool) -> Native | Superset:
        """A list with an element."""
        return self.contains_any(field, (value,), negated=negated)

    def contains_any(self, field: str, values: tuple[Scalar, ...], *, negated: bool) -> Native | Superset:
        """A list with one of several elements."""
        native = _marked("ContainsAny", [mark(field, value, element=True) for value in values])
        return _not(native) if negated else native

    def contains_all(self, field: str, values: tuple[Scalar, ...], *, negated: bool) -> Native | Superset:
        """A list with all of several elements; with none, any list."""
        marks = [mark(field, value, element=True) for value in values]
        native = _marked("ContainsAll", marks or [sign(LISTED, field)])
        return _not(native) if negated else native

    def exists(self, field: str, *, negated: bool) -> Native | Superset:
        """A value in the field's own property, or the mark of one that lies elsewhere."""
        parts = [_marked("ContainsAny", [sign(PRESENT, field)])]
        plain = self._schema.plain(field)
        if plain == ABSENT:
            self.absent = True
        elif plain != NEVER:
            parts.append(_leaf("IsNull", plain, "valueBoolean", False))
        native = self.any_of(parts)
        return _not(native) if negated else native

    def _slot(self, field: str, kind: str) -> str:
        slot = self._schema.slot(field, kind)
        self.absent = self.absent or slot == ABSENT
        return slot


_VALUE: Final = {"text": "valueText", "boolean": "valueBoolean", "number": "valueNumber"}


def _leaf(operator: str, name: str, key: str, value: Any) -> Native:
    return {"operator": operator, "path": [name], key: value}


def _among(name: str, kind: str, values: Sequence[Any]) -> Native:
    if len(values) == 1:
        return _leaf("Equal", name, _VALUE[kind], values[0])
    return _leaf("ContainsAny", name, f"{_VALUE[kind]}Array", list(values))


def _marked(operator: str, marks: list[str]) -> Native:
    if len(marks) == 1:
        return _leaf("Equal", MORE, "valueText", marks[0])
    return _leaf(operator, MORE, "valueTextArray", list(dict.fromkeys(marks)))


def _not(native: Native) -> Native:
    if native["operator"] == "Not":
        inner: Native = native["operands"][0]
        return inner
    return {"operator": "Not", "operands": [native]}
