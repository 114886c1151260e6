"""Chroma's ``where`` form.

Chroma never matches a list by ``$eq`` or ``$in``, compares no strings by order, can't test for presence and has no
NOT, its lists hold one kind of value, and of doubles with many digits it keeps only an approximation. So the provider
keeps list elements and such doubles in companion keys, and what is left over is checked by the evaluator.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from ia_modules.vector_stores.filters.compilers.base import FilterCompiler, Native, NotExpressible, Superset
from ia_modules.vector_stores.filters.compilers.values import survives
from ia_modules.vector_stores.filters.nodes import Scalar

__all__ = [
    "ChromaCompiler",
    "double_key",
    "list_element",
    "list_key",
    "near_key",
    "rounded",
    "scalar_key",
]

_NEAR = 1e-11
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


def double_key(field: str) -> str:
    """The Chroma key with a double that Chroma would change, as text."""
    return "~f:" + field


def near_key(field: str) -> str:
    """The Chroma key with an approximation of such a double, for ranges."""
    return "~n:" + field


def rounded(value: float) -> float:
    """An approximation of a double, off by less than :data:`_NEAR` of it however Chroma reads it."""
    return float(f"{value:.13g}")


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
        """``$eq`` or ``$ne`` on the scalar, and the same on the companions."""
        return self._scalar(field, (value,), negated=negated)

    def in_(self, field: str, values: tuple[Scalar, ...], *, negated: bool) -> Native | Superset:
        """``$in`` or ``$nin``, once for each kind of value."""
        groups: dict[type, list[Scalar]] = {}
        for value in values:
            kind = float if isinstance(value, int | float) and not isinstance(value, bool) else type(value)
            groups.setdefault(kind, []).append(value)
        parts = [self._scalar(field, tuple(group), negated=negated) for group in groups.values()]
        natives = [part.native if isinstance(part, Superset) else part for part in parts]
        native = self._joined([part for part in natives if part is not None], conjunction=negated)
        return Superset(native, _LARGE) if any(isinstance(part, Superset) for part in parts) else native

    def range(self, field: str, operator: str, value: float | str, *, negated: bool) -> Native | Superset:
        """``$gt`` and its kin, on numbers only."""
        if isinstance(value, str):
            raise NotExpressible("Chroma compares no dates")
        if negated:
            raise NotExpressible("Chroma has no form of 'not greater, or not a number'")
        key = self._key(field)
        upwards = operator in ("gt", "gte")
        inclusive = "$gte" if upwards else "$lte"
        near = _moved(value, abs(value) * _NEAR, downwards=upwards)
        exact = abs(value) < _EXACT_DOUBLE and (isinstance(value, int) or survives(value))
        native: Native = _comparison(key, operator, value) if exact else {key: {inclusive: near}}
        if not self._companions:
            return native if exact else Superset(native, _LARGE)
        return Superset({"$or": [native, {near_key(field): {inclusive: near}}]}, "Chroma keeps some doubles inexactly")

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
        del field, negated
        raise NotExpressible("Chroma can't ask whether a field is present")

    def _scalar(self, field: str, values: tuple[Scalar, ...], *, negated: bool) -> Native | Superset:
        """Equality with one of several values of one kind: on the scalar, and on the companions."""
        large = any(isinstance(v, int | float) and abs(v) >= _EXACT_DOUBLE for v in values)
        numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
        inexact = [float(v) for v in numbers if float(v) == v and not survives(float(v))]
        if large and negated:
            raise NotExpressible(_LARGE)  # the native form would leave out neighbours, which are not equal
        parts: list[Native] = []
        # What is stored under the key itself are doubles that survive, and integers.
        plain = [v for v in values if not self._companions or not _only_inexact(v)]
        if plain:
            parts.append(_equality(self._key(field), plain, negated=negated))
        if self._companions:
            if inexact:
                parts.append(_equality(double_key(field), [repr(v) for v in inexact], negated=negated))
            parts += [self.contains(field, value, negated=negated) for value in values]
        native = self._joined(parts, conjunction=negated)
        return Superset(native, _LARGE) if large else native

    def _joined(self, parts: list[Native], *, conjunction: bool) -> Native:
        if len(parts) == 1:
            return parts[0]
        return self.all_of(parts) if conjunction else self.any_of(parts)

    def _key(self, field: str) -> str:
        return scalar_key(field) if self._companions else self._plain(field)

    def _plain(self, field: str) -> str:
        if scalar_key(field) != field:
            raise NotExpressible(f"Chroma can't store or show a key spelled {field!r}")
        return field


def _equality(key: str, values: Sequence[Scalar], *, negated: bool) -> Native:
    # To compare a stored integer with a fraction, Chroma cuts the fraction off: 1 would equal 1.5.
    fractions = [v for v in values if isinstance(v, float) and not v.is_integer()]
    parts: list[Native] = []
    if whole := [v for v in values if not isinstance(v, float) or v.is_integer()]:
        if any(type(v) is float for v in whole):  # a list is of one kind
            whole = [float(v) for v in whole if isinstance(v, int | float)]
        listed: Native = {key: {"$nin" if negated else "$in": whole}}
        parts.append({key: {"$ne" if negated else "$eq": whole[0]}} if len(whole) == 1 else listed)
    for value in fractions:
        if negated:
            parts.append({"$or": [{key: {"$ne": value}}, {key: {"$eq": math.trunc(value)}}]})
        else:
            parts.append({"$and": [{key: {"$eq": value}}, {key: {"$ne": math.trunc(value)}}]})
    return parts[0] if len(parts) == 1 else {"$and" if negated else "$or": parts}


def _comparison(key: str, operator: str, value: float) -> Native:
    """A range that is right for stored integers too, with which Chroma compares a fraction without its decimals."""
    native: Native = {key: {f"${operator}": value}}
    whole = math.trunc(value)
    if whole == value:
        return native
    if operator == "lt" and value > 0:
        return {"$or": [native, {key: {"$lte": whole}}]}
    if operator == "gt" and value < 0:
        return {"$or": [native, {key: {"$gte": whole}}]}
    if (operator == "lte" and value < 0) or (operator == "gte" and value > 0):
        return {"$and": [native, {key: {"$ne": whole}}]}
    return native


def _only_inexact(value: Scalar) -> bool:
    """Whether nothing under the key itself can be equal to the value."""
    return isinstance(value, float) and not value.is_integer() and not survives(value)


def _moved(value: float, by: float, *, downwards: bool) -> float:
    """``value`` moved outwards by at least ``by``, but not beyond what is finite."""
    towards = -math.inf if downwards else math.inf
    moved = math.nextafter(float(value) + (-by if downwards else by), towards)
    return moved if math.isfinite(moved) else float(value)


_LARGE = "Chroma compares numbers beyond 2**53 as doubles"
