"""What a condition refuses, and what it takes for the same."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pytest

from ia_modules.vector_stores.filters import And, Condition, Node, Not, Or, normalize


@pytest.mark.parametrize(
    ("field", "operator", "value", "message"),
    [
        (1, "eq", 1, "field must be a string, not int"),
        ("a", "like", 1, "unknown filter operator 'like'; known: contains, contains_all"),
        ("a", "EQ", 1, "unknown filter operator 'EQ'"),
        ("a", ["eq"], 1, "unknown filter operator"),
        ("a", "in", 1, "operator 'in' takes a list of values; got int"),
        ("a", "nin", "abc", "operator 'nin' takes a list of values; got str"),
        ("a", "contains_any", {"x": 1}, "takes a list of values; got dict"),
        ("a", "in", [[1]], "takes a string, a number, True, False or None; got list"),
        ("a", "in", [float("nan")], "NaN equals nothing; got float NaN"),
        ("a", "eq", [1], "takes a string, a number, True, False or None; got list"),
        ("a", "eq", {"x": 1}, "got dict"),
        ("a", "eq", b"x", "got bytes"),
        ("a", "eq", float("nan"), "NaN equals nothing"),
        ("a", "eq", date(2024, 5, 1), "the string as it is stored"),
        ("a", "gt", True, "takes a number or an ISO 8601 date; got bool"),
        ("a", "gte", [1], "got list"),
        ("a", "lt", float("nan"), "NaN compares with nothing"),
        ("a", "lte", None, "got NoneType"),
        ("a", "exists", 1, "takes True or False; got int"),
        ("a", "exists", None, "takes True or False"),
        ("a", "contains", None, "takes a value other than None"),
        ("a", "contains_all", ["x", None], "takes a value other than None"),
    ],
)
def test_refused(field: Any, operator: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Condition(field, operator, value)


def test_a_refusal_does_not_repeat_the_value() -> None:
    with pytest.raises(ValueError, match="got list") as refused:
        Condition("a", "eq", ["a secret"])
    assert "a secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("operator", "given", "kept"),
    [
        ("eq", np.int64(3), 3),
        ("eq", np.float32(0.5), 0.5),
        ("eq", np.bool_(True), True),
        ("eq", np.str_("x"), "x"),
        ("in", np.array([1, 2]), (1, 2)),
        ("in", {2}, (2,)),
        ("gt", date(2024, 5, 1), "2024-05-01"),
        ("lt", datetime(2024, 5, 1, tzinfo=UTC), "2024-05-01T00:00:00+00:00"),
        ("exists", np.bool_(False), False),
    ],
)
def test_taken_for_the_same(operator: str, given: Any, kept: Any) -> None:
    value = Condition("a", operator, given).value
    assert value == kept
    assert type(value) is type(kept)


def test_operators_build_groups() -> None:
    a, b = Condition("a", "eq", 1), Condition("b", "eq", 2)
    assert a & b == And((a, b))
    assert a | b == Or((a, b))
    assert ~a == Not(a)
    assert hash(a & b) == hash(And((a, b)))


def test_a_long_loop_of_operators_makes_one_flat_group() -> None:
    conditions = [Condition("a", "eq", i) for i in range(3000)]
    either, both = conditions[0] | conditions[1], conditions[0] & conditions[1]
    for condition in conditions[2:]:
        either, both = either | condition, both & condition
    assert either == Or(tuple(conditions))
    assert both == And(tuple(conditions))
    assert (conditions[0] & (conditions[1] | conditions[2])).children[1] == Or((conditions[1], conditions[2]))


def test_a_bottomless_tree_is_refused_with_a_sentence() -> None:
    node: Node = Condition("a", "eq", 1)
    for _ in range(50):
        node = Not(And((node, Condition("b", "eq", 1))))
    assert normalize(node) != node
    with pytest.raises(ValueError, match="may nest 100 groups at most"):
        Not(node)
