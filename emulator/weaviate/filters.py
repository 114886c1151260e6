"""Filters: read from the message, and checked against the schema.

The server reads a whole filter, then checks it, then builds, then resolves it (``lookup``): which error comes first
depends on the step, not on the place in the filter.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from .engine import Collection
from .values import RefusedError, go_float

NAMES = {
    1: "Equal",
    2: "NotEqual",
    3: "GreaterThan",
    4: "GreaterThanEqual",
    5: "LessThan",
    6: "LessThanEqual",
    7: "And",
    8: "Or",
    9: "WithinGeoRange",
    10: "Like",
    11: "IsNull",
    12: "ContainsAny",
    13: "ContainsAll",
    14: "ContainsNone",
    15: "Not",
}
COMPARISONS = ("GreaterThan", "GreaterThanEqual", "LessThan", "LessThanEqual")
GO_TYPES = {
    "value_text": "string",
    "value_int": "int",
    "value_boolean": "bool",
    "value_number": "float64",
    "value_text_array": "[]string",
    "value_int_array": "[]int",
    "value_boolean_array": "[]bool",
    "value_number_array": "[]float64",
    "value_geo": "filters.GeoRange",
}
TIMES = ("_creationTimeUnix", "_lastUpdateTimeUnix")
NUMBER = re.compile(r"[+-]?(inf(inity)?|nan|(\d+(_\d+)*\.?\d*|\.\d+)(e[+-]?\d+)?)", re.IGNORECASE | re.ASCII)
LENGTH = re.compile(r"len\((.+)\)")


@dataclass
class Clause:
    operator: str
    operands: list[Clause] | None = None
    name: str = ""
    value: Any = None
    go: str = ""
    kind: str = ""


# -- reading


def read(message: Any, collection: Collection) -> Clause:
    operator = NAMES.get(message.operator, "")
    if operator in ("And", "Or", "Not"):
        return Clause(operator, [read(one, collection) for one in message.filters])
    targeted = message.HasField("target")
    if not targeted and len(message.on) % 2 != 1:
        raise RefusedError(
            "paths needs to have a uneven number of components: property, class, property, ...., "
            f"got [{' '.join(message.on)}]"
        )
    if not operator:
        raise RefusedError("unknown filter operator OPERATOR_UNSPECIFIED")
    if targeted and message.target.WhichOneof("target") != "property":
        raise RefusedError(f"the emulator has no references: {message.target}")
    name = message.target.property if targeted else message.on[-1]
    kind = value_kind(name, operator, collection)
    which = message.WhichOneof("test_value")
    if which is None:
        raise RefusedError("unknown value type <nil>")
    value = getattr(message, which)
    value = list(value.values) if which.endswith("_array") else value
    value, go = converted(value, GO_TYPES[which], kind, operator.startswith("Contains"))
    return Clause(operator, None, name, value, go, "text" if kind == "uuid" else kind)


def value_kind(name: str, operator: str, collection: Collection) -> str:
    if name == "_id":
        return "text"
    if name in TIMES:
        return "date"
    if operator == "IsNull":
        return "boolean"
    if LENGTH.fullmatch(name):
        return "int"
    kind: str = collection.property(name)["dataType"][0]
    return kind.removesuffix("[]")


def parse_float(text: str, wanted: str, short: str) -> float:
    start = f"expected {wanted} value, but could not parse string '{text}' as {short}: strconv.ParseFloat: parsing "
    if not NUMBER.fullmatch(text):
        raise RefusedError(f'{start}"{text}": invalid syntax')
    value = float(text)
    if math.isinf(value) and text.lstrip("+-")[0] not in "iI":
        raise RefusedError(f'{start}"{text}": value out of range')
    return value


def to_int(value: float) -> int:
    prefix = "filtering for integer, but received a"
    if not math.isfinite(value):
        raise RefusedError(f"{prefix} non-finite number {go_float(value)}")
    if not -(2.0**63) <= value < 2.0**63:
        raise RefusedError(f"{prefix} value out of range {go_float(value)}")
    if value != math.trunc(value):
        raise RefusedError(f"{prefix} floating point number {go_float(value)}")
    return int(value)


def converted(value: Any, go: str, kind: str, contains: bool) -> tuple[Any, str]:
    """Numbers may be asked for as whole numbers and texts, and the other way round."""
    if kind == "number":
        if go == "int":
            return float(value), "float64"
        if go == "string":
            return parse_float(value, "a number", "float"), "float64"
        if go == "[]int" and contains:
            return [float(one) for one in value], "[]float64"
    elif kind == "int":
        if go == "float64":
            return to_int(value), "int"
        if go == "string":
            return to_int(parse_float(value, "an integer", "int")), "int"
        if go == "[]float64" and contains:
            return [to_int(one) for one in value], "[]int"
    return value, go


# -- checking


def check(clause: Clause, collection: Collection) -> None:
    if clause.operands is not None:
        errors = []
        for at, child in enumerate(clause.operands):
            try:
                check(child, collection)
            except RefusedError as error:
                errors.append(f"child operand at position {at}: {error.message}")
        if errors:
            raise RefusedError(", ".join(errors))
        return
    if clause.name in ("id", "_id"):
        if clause.kind != "text":
            raise RefusedError('using ["_id"] to filter by uuid: must use "valueText" to specify the id')
        return
    if clause.name in TIMES:
        return
    length = LENGTH.fullmatch(clause.name)
    known = collection.property(length[1] if length else clause.name)
    if clause.operator == "IsNull":
        return
    if length:
        if clause.operator not in ("Equal", "NotEqual", *COMPARISONS):
            raise RefusedError(
                "Filtering for property length supports operators (not) equal and greater/less than (equal), "
                f"got {clause.operator} instead"
            )
        if isinstance(clause.value, int) and clause.value < 0:
            raise RefusedError(f"Can only filter for positive property length got {clause.value} instead")
        return
    if known["dataType"][0] in ("uuid", "uuid[]") and clause.operator in ("Like", "WithinGeoRange"):
        raise RefusedError(f'operator "{clause.operator}" cannot be used on uuid/uuid[] props')
