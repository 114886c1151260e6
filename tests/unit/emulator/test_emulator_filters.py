"""Filters of the emulator, against an evaluator of their own."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ia_modules.vector_stores.emulator.pinecone import filters
from ia_modules.vector_stores.emulator.pinecone.records import metadata
from ia_modules.vector_stores.emulator.pinecone.wire import RefusedError

NUMBERS = st.sampled_from([-1, 0, 1, 2, 1.0, 0.5, 2**53, 2**53 + 1, -0.0])
TEXTS = st.sampled_from(["", "a", "b", "A", "é", "1", "true"])
FIELDS = st.sampled_from(["f", "g", "a.b", "é"])
STORED = st.one_of(NUMBERS, TEXTS, st.booleans(), st.lists(TEXTS, max_size=3))
METADATA = st.dictionaries(FIELDS, STORED, max_size=4)
ONE = st.one_of(NUMBERS, TEXTS, st.booleans())
MANY = st.lists(st.one_of(NUMBERS, TEXTS), min_size=1, max_size=3)
OPERATORS = st.one_of(
    st.tuples(st.sampled_from(["$eq", "$ne"]), ONE),
    st.tuples(st.sampled_from(["$in", "$nin"]), MANY),
    st.tuples(st.sampled_from(["$gt", "$gte", "$lt", "$lte"]), NUMBERS),
    st.tuples(st.just("$exists"), st.booleans()),
)
LEAVES = st.one_of(
    st.builds(lambda field, value: {field: value}, FIELDS, ONE),
    st.builds(lambda field, parts: {field: dict(parts)}, FIELDS, st.lists(OPERATORS, min_size=1, max_size=2)),
    st.builds(lambda one, two: {one: 1, two: {"$exists": True}}, FIELDS, FIELDS),
)
FILTERS = st.recursive(
    LEAVES,
    lambda inner: st.builds(
        lambda operator, parts: {operator: parts},
        st.sampled_from(["$and", "$or"]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=6,
)


def kind(value: Any) -> str:
    return "boolean" if isinstance(value, bool) else "text" if isinstance(value, str) else "number"


def same(stored: Any, operand: Any) -> bool:
    if isinstance(stored, list):
        return any(same(one, operand) for one in stored)
    if kind(stored) != kind(operand):
        return False
    return float(stored) == float(operand) if kind(stored) == "number" else bool(stored == operand)


def holds(filter: dict[str, Any], record: dict[str, Any]) -> bool:
    """What the documentation says, word by word."""
    verdicts = []
    for name, value in filter.items():
        if name == "$and":
            verdicts.append(all(holds(one, record) for one in value))
        elif name == "$or":
            verdicts.append(any(holds(one, record) for one in value))
        else:
            conditions = value if isinstance(value, dict) else {"$eq": value}
            verdicts += [condition(record, name, operator, operand) for operator, operand in conditions.items()]
    return all(verdicts)


def condition(record: dict[str, Any], name: str, operator: str, operand: Any) -> bool:
    if operator == "$exists":
        return (name in record) == operand
    if operator in ("$ne", "$nin"):
        positive = "$eq" if operator == "$ne" else "$in"
        return not condition(record, name, positive, operand)
    if name not in record:
        return False
    stored = record[name]
    if operator == "$eq":
        return same(stored, operand)
    if operator == "$in":
        return any(same(stored, one) for one in operand)
    if isinstance(stored, list) or kind(stored) != "number":
        return False
    left, right = float(stored), float(operand)
    return {"$gt": left > right, "$gte": left >= right, "$lt": left < right, "$lte": left <= right}[operator]


@given(FILTERS, METADATA)
@example({"f": True}, {"f": 1})
@example({"f": {"$in": [1]}}, {"f": True})
@example({"f": {"$ne": "a"}}, {"f": ["a", "b"]})
@example({"f": {"$gte": 2**53}}, {"f": 2**53 + 1})
@example({"f": {"$eq": 2**53}}, {"f": 2**53 + 1})
def test_they_hold_as_documented(filter: dict[str, Any], record: dict[str, Any]) -> None:
    assert filters.compiled(filter)(metadata(record) or {}) == holds(filter, record)


def test_missing_fields_differ_unless_the_constant_says_no(monkeypatch: pytest.MonkeyPatch) -> None:
    assert filters.compiled({"f": {"$ne": 1}})({})
    assert filters.compiled({"f": {"$nin": ["a"]}})({})
    monkeypatch.setattr(filters, "MISSING_DIFFERS", False)
    assert not filters.compiled({"f": {"$ne": 1}})({})
    assert filters.compiled({"f": {"$ne": 1}})({"f": 2.0})


@pytest.mark.parametrize(
    ("filter", "message"),
    [
        ([], "Proto field is not repeating, cannot start list"),
        ("f", "must be an object"),
        ({"$not": {"f": 1}}, r"\$not"),
        ({"$eq": 1}, r"\$eq"),
        ({"$and": []}, "non-empty list"),
        ({"$or": {"f": 1}}, "non-empty list"),
        ({"$and": [{}]}, "non-empty filters"),
        ({"$and": [1]}, "non-empty filters"),
        ({"f": {}}, "no operator"),
        ({"f": None}, "string, number or boolean"),
        ({"f": {"$eq": None}}, "string, number or boolean"),
        ({"f": ["a"]}, "string, number or boolean"),
        ({"f": {"g": 1}}, "'g'"),
        ({"f": {"$regex": "a"}}, "not an operator"),
        ({"f": {"$in": []}}, "non-empty list"),
        ({"f": {"$in": "a"}}, "non-empty list"),
        ({"f": {"$nin": [None]}}, "strings or numbers"),
        ({"f": {"$in": [True]}}, "strings or numbers"),
        ({"f": {"$gt": "a"}}, "a number"),
        ({"f": {"$lte": True}}, "a number"),
        ({"f": {"$exists": 1}}, "a boolean"),
        ({"f": {"$eq": {"$eq": 1}}}, "string, number or boolean"),
    ],
)
def test_what_is_no_filter_is_refused(filter: Any, message: str) -> None:
    with pytest.raises(RefusedError, match=message) as caught:
        filters.compiled(filter)
    assert caught.value.status == 400


def test_nesting_has_an_end() -> None:
    nested: dict[str, Any] = {"f": 1}
    for _ in range(500):
        nested = {"$and": [nested]}
    with pytest.raises(RefusedError, match="nested"):
        filters.compiled(nested)
