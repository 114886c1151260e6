"""The table of operators, spelled out: what each holds for and what not. Written from the table, not from the code."""

from __future__ import annotations

from typing import Any

import pytest

from ia_modules.vector_stores.filters import Condition, Not, all_of, any_of, as_node, matches, normalize, not_, resolve

MISSING = object()

# operator, x, values it holds for, values it does not hold for
TABLE: list[tuple[str, Any, list[Any], list[Any]]] = [
    (
        "eq",
        "red",
        ["red", ["red"], ["blue", "red"], [None, "red"]],
        [MISSING, None, "Red", "red ", " red", "réd", "reds", "", True, 1, [], ["Red"], [["red"]], {}, {"red": "red"}],
    ),
    ("eq", "", ["", [""]], [MISSING, None, " ", [], False, 0]),
    ("eq", "1", ["1", ["1"]], [1, 1.0, True, [1]]),
    (
        "eq",
        1,
        [1, 1.0, [1], [1.0, "x"]],
        [MISSING, None, "1", True, [True], 2, 1.1, -1, [], [[1]], {"a": 1}],
    ),
    ("eq", 1.0, [1, 1.0], ["1.0", True]),
    ("eq", 0, [0, 0.0, -0.0], [False, "", None, MISSING, []]),
    ("eq", 2**53 + 1, [2**53 + 1], [2**53, float(2**53), 2**53 + 2]),
    ("eq", True, [True, [True], [1, True]], [MISSING, None, 1, 1.0, "true", "True", False, [1], []]),
    ("eq", False, [False, [False]], [MISSING, None, 0, 0.0, "", [], True]),
    ("eq", None, [MISSING, None], ["", 0, False, [], {}, [None]]),
    ("eq", "2024-05-01", ["2024-05-01"], ["2024-05-01T00:00:00Z", "20240501"]),
    ("ne", "red", [MISSING, None, "Red", 1, True, [], ["blue"], {}], ["red", ["red"], ["blue", "red"]]),
    ("ne", 1, [MISSING, None, "1", True, 2, [2], []], [1, 1.0, [1], [2, 1.0]]),
    ("ne", None, ["", 0, False, [], {}, [None]], [MISSING, None]),
    ("in", [], [], [MISSING, None, "", 0, [], {}]),
    ("in", ["red", 1], ["red", 1, 1.0, ["red"], [0, 1]], [MISSING, None, "1", True, "blue", [], ["1"]]),
    ("in", ["red", None], ["red", MISSING, None], ["blue", [], "", [None]]),
    ("in", [True, "1"], [True, "1"], [1, 1.0, "true", False]),
    ("nin", [], [MISSING, None, "", 0, [], {}], []),
    ("nin", ["red", 1], [MISSING, None, "1", True, "blue", [], ["1"]], ["red", 1, 1.0, ["red"], [0, 1]]),
    ("nin", ["red", None], ["blue", [], ""], ["red", MISSING, None]),
    ("gt", 1, [2, 1.5, 2**63 - 1], [MISSING, None, 1, 1.0, 0, "2", True, [2], [], {}, "2024-05-01"]),
    ("gte", 1, [1, 1.0, 2], [MISSING, None, 0.99, "1", True, [1]]),
    ("lt", 1, [0, 0.99, -5], [MISSING, None, 1, 1.0, False, True, "0", [0], []]),
    ("lte", 1, [1, 1.0, -5], [MISSING, None, 1.01, False, True, "1", [1]]),
    ("gt", 2**53, [2**53 + 1], [2**53, float(2**53)]),
    (
        "gt",
        "2024-05-01",
        ["2024-05-02", "2024-05-01T00:00:01", "2024-05-01T00:00:00.000001Z", "2024-05-01T00:00:00-01:00", "20240502"],
        [
            MISSING,
            None,
            "2024-05-01",
            "2024-05-01T00:00:00Z",
            "2024-05-01T01:00:00+01:00",
            20240502,
            "tomorrow",
            "2024-05-02x10:00",
        ],
    ),
    (
        "gte",
        "2024-05-01T00:00:00Z",
        ["2024-05-01", "2024-05-01T02:00:00+02:00", "2024-05-01 00:00", "2024-W18-3"],
        ["2024-04-30", "2024-05-01T00:00:00+00:01", ["2024-05-02"], True, 2024],
    ),
    ("lt", "2024-05-01", ["2024-04-30T23:59:59.999999Z", "1999-12-31"], ["2024-05-01", 0, "", "2024-5-1", None]),
    ("lte", "2024-05-01", ["2024-05-01", "2024-05-01T00:00:00"], ["2024-05-01T00:00:00.000001"]),
    ("gt", "red", [], ["zebra", "2024-05-01", 1, None, MISSING]),
    (
        "contains",
        "red",
        [["red"], ["blue", "red"]],
        [MISSING, None, "red", "a red one", [], ["Red"], [["red"]], {"red": 1}],
    ),
    ("contains", 1, [[1], [1.0]], [1, ["1"], [True], MISSING]),
    ("contains", True, [[True]], [True, [1], ["true"]]),
    ("contains_any", ["red", 1], [["red"], [1.0, "x"]], [MISSING, None, "red", 1, [], ["1"], [True]]),
    ("contains_any", [], [], [MISSING, None, [], ["red"]]),
    (
        "contains_all",
        ["red", 1],
        [["red", 1], [1.0, "x", "red"]],
        [MISSING, None, "red", ["red"], [1], [], ["red", "1"]],
    ),
    ("contains_all", [], [[], ["red"], [None]], [MISSING, None, "red", {}]),
    ("exists", True, ["", 0, False, [], {}, [None], "x"], [MISSING, None]),
    ("exists", False, [MISSING, None], ["", 0, False, [], {}, [None]]),
]
ROWS = [
    pytest.param(operator, x, v, holds, id=f"{operator} {x!r} | {'missing' if v is MISSING else repr(v)}")
    for operator, x, yes, no in TABLE
    for values, holds in ((yes, True), (no, False))
    for v in values
]


@pytest.mark.parametrize(("operator", "x", "v", "holds"), ROWS)
def test_operator(operator: str, x: Any, v: Any, holds: bool) -> None:
    document = {} if v is MISSING else {"f": v}
    condition = Condition("f", operator, x)
    assert matches(condition, document) is holds
    assert matches(Not(condition), document) is not holds
    assert matches(normalize(condition), document) is holds


@pytest.mark.parametrize(
    ("metadata", "field", "value"),
    [
        ({"a": 1}, "a", 1),
        ({}, "a", None),
        ({"a": {"b": 1}}, "a.b", 1),
        ({"a": {"b": {"c": 1}}}, "a.b.c", 1),
        ({"a.b": 1, "a": {"b": 2}}, "a.b", 1),
        ({"a.b": None, "a": {"b": 2}}, "a.b", None),
        ({"a": {"b.c": 1, "b": {"c": 2}}}, "a.b.c", 1),
        ({"a.b": {"c": 1}}, "a.b.c", None),
        ({"a": {"b": 1}}, "a.b.c", None),
        ({"a": [{"b": 1}]}, "a.b", None),
        ({"a": {"": 1}}, "a.", 1),
        ({"": {"b": 1}}, ".b", 1),
        ({"": 1}, "", 1),
        ({"$or": 1}, "$or", 1),
    ],
)
def test_a_field_names_a_key_first_and_a_nested_one_next(metadata: dict[str, Any], field: str, value: Any) -> None:
    assert resolve(metadata, field) == value


def test_groups() -> None:
    red, big = Condition("color", "eq", "red"), Condition("size", "gt", 1)
    both, one, none = {"color": "red", "size": 2}, {"color": "red"}, {"color": "blue"}
    assert [matches(red & big, d) for d in (both, one, none)] == [True, False, False]
    assert [matches(red | big, d) for d in (both, one, none)] == [True, True, False]
    assert [matches(~(red & big), d) for d in (both, one, none)] == [False, True, True]
    assert [matches(~(red | big), d) for d in (both, one, none)] == [False, False, True]
    assert [matches([red, big], d) for d in (both, one, none)] == [True, False, False]
    assert matches(None, {})
    assert matches([], {})
    assert matches(all_of(), {})
    assert not matches(any_of(), {})
    assert not matches(not_(all_of()), {})


def test_what_is_not_a_filter_is_refused() -> None:
    for wrong in ({"a": 1}, "a = 1", 3, [{"a": 1}], [None]):
        with pytest.raises(ValueError, match="filters must"):
            as_node(wrong)  # type: ignore[arg-type]
