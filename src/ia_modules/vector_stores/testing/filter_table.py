"""Every operator against every kind of value: the documents and conditions at which databases differ, spelled out.

Small enough to try each condition on each document, on any engine.
"""

from __future__ import annotations

from typing import Any

from ia_modules.vector_stores.filters import Condition

__all__ = ["CONDITIONS", "DATES", "DOCUMENTS", "NUMBERS", "STRINGS", "conditions_on"]

NUMBERS = (
    *(0, 1, 1.0, 1.5, -2, 1e300),
    *(2**53 - 1, 2**53, 2**53 + 1, 2**53 + 2, 2.0**53, 2.0**53 + 2, -(2**53) - 1),
    *(2**63 - 1, 2**63 - 2, 2.0**63, -(2**63), 2.0**64, -(2.0**64)),
)
DATES = (
    "2024-05-01",
    "20240501",
    "2024-W18-3",
    "2024-05-01T00:00:00.000001Z",
    "2024-05-01T00:00:00.0000019Z",
    "2024-05-01 02:00:00+02:00",
    "2024-05-02T10:00",
    "0001-01-01T00:00:00+05:00",
)
STRINGS = ("", " ", "red", "Red", "red ", "réd", "1", "true", "2024", "2024-5-1", " 2024-05-01", "2024-13-01")

_VALUES: tuple[Any, ...] = (None, True, False, *NUMBERS, *DATES, *STRINGS)
_SHAPES: tuple[Any, ...] = (
    [],
    {},
    [None],
    [None, "red", 1],
    ["red", "Red"],
    [1, True],
    [{"b": 1}],
    {"b": []},
    {"b": {}},
)

_KEYS_WITH_DOT: tuple[Any, ...] = (None, [], 1, "red", "2024-05-01")
_OBJECTS: tuple[Any, ...] = (None, [], ["red"], 1, 2, "2024-05-02")

DOCUMENTS: list[dict[str, Any]] = [
    {},
    {"other": 1},
    *({"a": v} for v in (*_VALUES, *_SHAPES)),
    *({"a": [v]} for v in _VALUES),
    *({"a": [v, "x", 7]} for v in _VALUES),
    *({"a": [[v]]} for v in (1, "red", "2024-05-01", True)),
    *({"a": {"b": v}} for v in _VALUES),
    *({"a": {"b": [v]}} for v in (1, "red", "2024-05-01", True)),
    *({"a.b": v} for v in (*_VALUES, [], ["red"], [1])),
    # Both spellings at once: the key with the dot decides, even if it holds nothing.
    *({"a.b": v, "a": {"b": w}} for v in _KEYS_WITH_DOT for w in _OBJECTS),
]

_BEYOND = (2**63, 2**64 + 1, 2**64 - 1, -(2**64) - 1, -(2**64) + 1)
_ASKED = (True, False, *NUMBERS, *_BEYOND, 10**400, float("inf"), *STRINGS, *DATES[:3])
_PAIRS = (
    (1, 1.5),
    (1, True),
    ("red", "Red"),
    ("red", 1),
    ("red", 1, False, 2**53),
    (2**53 + 1, 2**63 - 1),
    (1, 10**400),
)


def conditions_on(field: str) -> list[Condition]:
    """Every operator with every kind of value it takes."""
    return [
        *(Condition(field, op, x) for op in ("eq", "ne") for x in (None, *_ASKED)),
        *(Condition(field, op, p) for op in ("in", "nin") for p in ((), (None,), ("red",), *_PAIRS, ("red", None))),
        *(
            Condition(field, op, x)
            for op in ("gt", "gte", "lt", "lte")
            for x in (*NUMBERS, *_BEYOND, -(10**400), float("inf"), float("-inf"), *DATES, "red", "")
        ),
        *(Condition(field, "contains", x) for x in _ASKED),
        *(Condition(field, op, p) for op in ("contains_any", "contains_all") for p in ((), ("red",), *_PAIRS)),
        *(Condition(field, "exists", flag) for flag in (True, False)),
    ]


CONDITIONS = [*conditions_on("a"), *conditions_on("a.b")]
