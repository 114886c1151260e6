"""The JSON form of filters."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings

from ia_modules.vector_stores.filters import And, Condition, Node, Not, Or, from_json, to_json
from ia_modules.vector_stores.testing.strategies import filters

C = Condition


@pytest.mark.parametrize(
    ("node", "obj"),
    [
        (C("a", "eq", 1), {"field": "a", "operator": "eq", "value": 1}),
        (C("a", "eq", None), {"field": "a", "operator": "eq", "value": None}),
        (C("a", "in", ["x", 1, True]), {"field": "a", "operator": "in", "value": ["x", 1, True]}),
        (C("a", "contains_all", []), {"field": "a", "operator": "contains_all", "value": []}),
        (
            C("a", "eq", 1) & ~(C("b", "exists", True) | C("c", "gt", 1.5)),
            {
                "and": [
                    {"field": "a", "operator": "eq", "value": 1},
                    {
                        "not": {
                            "or": [
                                {"field": "b", "operator": "exists", "value": True},
                                {"field": "c", "operator": "gt", "value": 1.5},
                            ]
                        }
                    },
                ]
            },
        ),
        (And(()), {"and": []}),
        (Or(()), {"or": []}),
    ],
)
def test_form(node: Node, obj: dict[str, Any]) -> None:
    assert to_json(node) == obj
    assert repr(from_json(json.loads(json.dumps(obj)))) == repr(node)


def test_a_list_means_all_of_it() -> None:
    leaf = {"field": "a", "operator": "eq", "value": 1}
    assert from_json([leaf, leaf]) == And((C("a", "eq", 1), C("a", "eq", 1)))
    assert to_json([C("a", "eq", 1), Not(C("b", "eq", 1))]) == {"and": [leaf, {"not": {**leaf, "field": "b"}}]}


@settings(max_examples=200)
@given(node=filters(4))
def test_the_same_filter_comes_back(node: Node) -> None:
    try:
        obj = to_json(node)
    except ValueError as refused:
        assert "infinity has no JSON form" in str(refused)  # noqa: PT017 - the other outcome is checked below
        assert "inf" in repr(node)
        return
    assert repr(from_json(json.loads(json.dumps(obj, allow_nan=False)))) == repr(node)


@pytest.mark.parametrize(
    ("obj", "message"),
    [
        (None, r"\$: a filter is a JSON object, not null"),
        ("a = 1", r"\$: a filter is a JSON object, not a string"),
        ({}, r"\$: 'field' is missing"),
        ({"field": "a", "value": 1}, r"\$: 'operator' is missing"),
        ({"field": "a", "operator": "eq"}, r"\$: 'value' is missing"),
        ({"field": "a", "operator": "eq", "value": 1, "x": 2}, r"\$: unknown key 'x'; a condition has"),
        ({"field": "a", "operator": "like", "value": 1}, r"\$\.operator: unknown filter operator 'like'"),
        ({"field": "a", "operator": 1, "value": 1}, r"\$\.operator: must be a string, not a number"),
        ({"field": "a", "operator": ["eq"], "value": 1}, r"\$\.operator: must be a string, not a list"),
        ({"field": 1, "operator": "eq", "value": 1}, r"\$\.field: .*must be a string, not int"),
        ({"field": "a", "operator": "in", "value": 1}, r"\$\.value: .*takes a list of values"),
        ({"field": "unknown", "operator": "in", "value": 1}, r"\$\.value: .*takes a list of values"),
        ({"and": {}}, r"\$\.and: takes a list of filters, not an object"),
        ({"and": [], "or": []}, r"\$: 'and' must be the only key"),
        ({"not": {"and": []}, "field": "a"}, r"\$: 'not' must be the only key"),
        ({"not": [1]}, r"\$\.not: a filter is a JSON object, not a list"),
        (
            {"and": [{"not": {"or": [{"or": []}, {"field": "a", "operator": "gt", "value": True}]}}]},
            r"\$\.and\[0\]\.not\.or\[1\]\.value: .*got bool",
        ),
        ([{"AND": []}], r"\$\.and\[0\]: unknown key 'AND'"),
    ],
)
def test_refused_with_the_place(obj: Any, message: str) -> None:
    with pytest.raises(ValueError, match="^" + message):
        from_json(obj)


def test_deep_nesting_is_refused_with_a_sentence() -> None:
    obj: Any = {"field": "a", "operator": "eq", "value": 1}
    for _ in range(99):
        obj = {"not": obj}
    assert isinstance(from_json(obj), Not)
    for _ in range(5000):
        obj = {"not": obj}
    with pytest.raises(ValueError, match="100 levels deep at most"):
        from_json(obj)
