"""Chroma's ``where`` form.

Chroma never matches a list by ``$eq`` or ``$in``, compares no strings by order, can't test for presence and has no
NOT, and its lists hold one kind of value. So the provider keeps list elements in a companion key of their own
(:func:`list_key`), and what is left over is checked by the evaluator.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

from ia_modules.vector_stores.filters.compilers.base import FilterCompiler, Native, NotExpressible, Superset
from ia_modules.vector_stores.filters.nodes import Scalar

__all__ = ["ChromaCompiler", "list_element", "list_key", "scalar_key"]

_EXACT_DOUBLE = 2**53
"""Chroma compares integers with doubles as doubles; beyond this, neighbours are the same to it."""


def scalar_key(field: str) -> str:
    """The Chroma key for a metadata key; others than plain ones are escaped, as Chroma forbids or hides them."""
    if not field or field[0] in "$#~" or field.startswith("chroma:"):
        return "~k:" + field
    return field


def list_key(field: str) -> str:
    """The Chroma key with the elements of a list."""
    return "~l:" + field


def list_element(value: Scalar) -> str:
    """A list element as text: the same for equal values, and for no others."""
    if isinstance(value, str):
        return "s:" + value
    if isinstance(value, bool):
        return "b:true" if value else "b:false"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return f"n:{value!r}"


class ChromaCompiler(FilterCompiler):
    """Compiles to Chroma's ``where``.

    Args:
        companions: whether list elements are in companion keys, as our provider keeps them; without, lists are
            plain Chroma lists, which only the ``contains`` operators match.
    """

    provider: ClassVar[str] = "chroma"

    def __init__(self, *, companions: bool = False) -> None:
        self._companions = companions

    def all_of(self, parts: list[Native]) -> Native:
        """Every part holds."""
        return {"$and": parts}

    def any_of(self, parts: list[Native]) -> Native:
        """Some part holds."""
        return {"$or": parts}

    def eq(self, field: str, value: Scalar, *, negated: bool) -> Native | Superset:
        """``$eq`` or ``$ne`` on the scalar, and the same on the companion list."""
        return self._scalar(field, {"$ne" if negated else "$eq": value}, (value,), negated=negated)

    def in_(self, field: str, values: tuple[Scalar, ...], *, negated: bool) -> Native | Superset:
        """``$in`` or ``$nin``, once for each kind of value."""
        groups: dict[type, list[Any]] = {}
        for value in values:
            kind = float if isinstance(value, int | float) and not isinstance(value, bool) else type(value)
            groups.setdefault(kind, []).append(value)
        parts: list[Native] = []
        superset = False
        for kind, group in groups.items():
            listed = [float(v) for v in group] if kind is float and any(type(v) is float for v in group) else group
            part = self._scalar(field, {"$nin" if negated else "$in": listed}, tuple(group), negated=negated)
            superset = superset or isinstance(part, Superset)
            parts.append(part.native if isinstance(part, Superset) else part)
        joined = parts[0] if len(parts) == 1 else self.all_of(parts) if negated else self.any_of(parts)
        return Superset(joined, _LARGE) if superset else joined

    def range(self, field: str, operator: str, value: float | str, *, negated: bool) -> Native | Superset:
        """``$gt`` and its kin, on numbers only."""
        if isinstance(value, str):
            raise NotExpressible("Chroma compares no dates")
        if negated:
            raise NotExpressible("Chroma has no form of 'not greater, or not a number'")
        if abs(value) < _EXACT_DOUBLE:
            return {scalar_key(field): {f"${operator}": value}}
        outwards = -math.inf if operator in ("gt", "gte") else math.inf
        inclusive = "$gte" if operator in ("gt", "gte") else "$lte"
        return Superset({scalar_key(field): {inclusive: math.nextafter(float(value), outwards)}}, _LARGE)

    def contains(self, field: str, value: Scalar, *, negated: bool) -> Native:
        """``$contains`` or ``$not_contains``."""
        operator = "$not_contains" if negated else "$contains"
        if self._companions:
            return {list_key(field): {operator: list_element(value)}}
        # Plain lists are of one kind, and a list of integers does not contain a double.
        forms: list[Scalar] = [value]
        if isinstance(value, int | float) and not isinstance(value, bool) and float(value).is_integer():
            forms = [int(value), float(value)]
        parts: list[Native] = [{self._plain(field): {operator: form}} for form in forms]
        return parts[0] if len(parts) == 1 else self.all_of(parts) if negated else self.any_of(parts)

    def contains_any(self, field: str, values: tuple[Scalar, ...], *, negated: bool) -> Native:
        """One ``contains`` for each value."""
        parts = [self.contains(field, value, negated=negated) for value in values]
        return self.all_of(parts) if negated else self.any_of(parts)

    def contains_all(self, field: str, values: tuple[Scalar, ...], *, negated: bool) -> Native:
        """One ``contains`` for each value."""
        if not values:
            raise NotExpressible("Chroma can't ask whether a value is a list")
        parts = [self.contains(field, value, negated=negated) for value in values]
        return self.any_of(parts) if negated else self.all_of(parts)

    def exists(self, field: str, *, negated: bool) -> Native:
        """Not expressible."""
        raise NotExpressible("Chroma can't ask whether a field is present")

    def _scalar(self, field: str, condition: Native, values: tuple[Scalar, ...], *, negated: bool) -> Native | Superset:
        """A condition on the scalar joined with the same one on the companion list."""
        large = any(isinstance(v, int | float) and abs(v) >= _EXACT_DOUBLE for v in values)
        if large and negated:
            raise NotExpressible(_LARGE)  # the native form would leave out neighbours, which are not equal
        if not self._companions:
            native: Native = {self._plain(field): condition}
        else:
            parts: list[Native] = [{scalar_key(field): condition}]
            parts += [self.contains(field, value, negated=negated) for value in values]
            native = self.all_of(parts) if negated else self.any_of(parts)
        return Superset(native, _LARGE) if large else native

    def _plain(self, field: str) -> str:
        if scalar_key(field) != field:
            raise NotExpressible(f"Chroma can't store or show a key spelled {field!r}")
        return field


_LARGE = "Chroma compares numbers beyond 2**53 as doubles"
