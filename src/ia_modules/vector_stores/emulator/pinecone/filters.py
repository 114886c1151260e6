"""Metadata filters: checked, and made functions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ia_modules.vector_stores.emulator.pinecone import limits
from ia_modules.vector_stores.emulator.pinecone.records import Metadata
from ia_modules.vector_stores.emulator.pinecone.wire import RefusedError

__all__ = ["MISSING_DIFFERS", "Predicate", "compiled"]

Predicate = Callable[[Metadata], bool]

MISSING_DIFFERS = True
"""``$ne`` and ``$nin`` hold for records without the field. An assumption: the service's documents don't say."""


def compiled(value: Any) -> Predicate:
    """The function that says whether metadata matches; an empty filter matches everything.

    Raises:
        RefusedError: the filter is not valid.
    """
    return _all_of(value, 0)


def _all_of(value: Any, depth: int) -> Predicate:
    if isinstance(value, list):
        raise RefusedError("Proto field is not repeating, cannot start list")
    if not isinstance(value, dict):
        raise RefusedError("filter must be an object")
    if depth > limits.FILTER_DEPTH:
        raise RefusedError(f"filter is nested too deeply, the limit is {limits.FILTER_DEPTH}")
    parts: list[Predicate] = []
    for key, operand in value.items():
        if key in ("$and", "$or"):
            parts.append(_joined(key, operand, depth))
        elif key.startswith("$"):
            raise RefusedError(f"Invalid filter: operator '{key}' is not allowed here, only $and, $or and fields are")
        elif isinstance(operand, dict):
            if not operand:
                raise RefusedError(f"Invalid filter: no operator for field '{key}'")
            parts += [_leaf(key, operator, one) for operator, one in operand.items()]
        else:
            parts.append(_leaf(key, "$eq", operand))
    return _and(parts)


def _joined(operator: str, operands: Any, depth: int) -> Predicate:
    if not isinstance(operands, list) or not operands:
        raise RefusedError(f"Invalid filter: {operator} takes a non-empty list of filters")
    for one in operands:
        if not isinstance(one, dict) or not one:
            raise RefusedError(f"Invalid filter: {operator} takes a list of non-empty filters")
    parts = [_all_of(one, depth + 1) for one in operands]
    return _and(parts) if operator == "$and" else _or(parts)


def _and(parts: list[Predicate]) -> Predicate:
    if len(parts) == 1:
        return parts[0]
    return lambda metadata: all(part(metadata) for part in parts)


def _or(parts: list[Predicate]) -> Predicate:
    if len(parts) == 1:
        return parts[0]
    return lambda metadata: any(part(metadata) for part in parts)


def _leaf(field: str, operator: str, operand: Any) -> Predicate:
    match operator:
        case "$eq" | "$ne":
            if not isinstance(operand, str | bool | int | float):
                raise RefusedError(f"Invalid filter: {operator} of field '{field}' takes a string, number or boolean")
            return _equal(field, operand) if operator == "$eq" else _other(field, _equal(field, operand))
        case "$in" | "$nin":
            if not isinstance(operand, list) or not operand or not set(map(type, operand)) <= {str, int, float}:
                raise RefusedError(
                    f"Invalid filter: {operator} of field '{field}' takes a non-empty list of strings or numbers"
                )
            return _among(field, operand) if operator == "$in" else _other(field, _among(field, operand))
        case "$gt" | "$gte" | "$lt" | "$lte":
            if isinstance(operand, bool) or not isinstance(operand, int | float):
                raise RefusedError(f"Invalid filter: {operator} of field '{field}' takes a number")
            return _compared(field, operator, float(operand))
        case "$exists":
            if not isinstance(operand, bool):
                raise RefusedError(f"Invalid filter: $exists of field '{field}' takes a boolean")
            return lambda metadata: (field in metadata) is operand
    raise RefusedError(f"Invalid filter: '{operator}' of field '{field}' is not an operator")


def _equal(field: str, operand: str | bool | float) -> Predicate:
    """A list matches if one of its strings does. True is not 1."""
    if isinstance(operand, bool):
        return lambda metadata: metadata.get(field) is operand
    if isinstance(operand, str):

        def text(metadata: Metadata) -> bool:
            stored = metadata.get(field)
            return bool(stored == operand) or (type(stored) is list and operand in stored)

        return text
    number = float(operand)

    def same(metadata: Metadata) -> bool:
        stored = metadata.get(field)
        return type(stored) is float and stored == number

    return same


def _among(field: str, operands: list[Any]) -> Predicate:
    strings = {one for one in operands if isinstance(one, str)}
    numbers = {float(one) for one in operands if not isinstance(one, str)}

    def test(metadata: Metadata) -> bool:
        stored = metadata.get(field)
        kind = type(stored)
        if kind is str:
            return stored in strings
        if kind is float:
            return stored in numbers
        return kind is list and stored is not None and not strings.isdisjoint(stored)

    return test


def _other(field: str, predicate: Predicate) -> Predicate:
    if MISSING_DIFFERS:
        return lambda metadata: not predicate(metadata)
    return lambda metadata: field in metadata and not predicate(metadata)


def _compared(field: str, operator: str, operand: float) -> Predicate:
    """Only numbers compare: nothing else is in the interval."""
    inclusive = operator.endswith("e")
    low, high = (operand, math.inf) if operator.startswith("$g") else (-math.inf, operand)

    def test(metadata: Metadata) -> bool:
        stored = metadata.get(field)
        return type(stored) is float and low <= stored <= high and (inclusive or stored != operand)

    return test
