"""Filters made to hurt: how deep and how large they may be, and that nothing grows faster than they do."""

from __future__ import annotations

import copy
import itertools
import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from conftest import MakeStore
from ia_modules.vector_stores import SearchFilter, VectorDocument
from ia_modules.vector_stores.filters import (
    MATCH_ALL,
    MATCH_NONE,
    And,
    Condition,
    Node,
    Not,
    Or,
    WhereSyntaxError,
    all_of,
    as_node,
    from_json,
    matches,
    normalize,
    not_,
    parse_where,
    to_json,
    to_where,
)
from ia_modules.vector_stores.filters.compilers import COMPILERS, compiler_for
from ia_modules.vector_stores.filters.nodes import MAX_DEPTH, MAX_NODES, MAX_VALUES, extent
from ia_modules.vector_stores.filters.where import MAX_LENGTH

A, B = Condition("a", "eq", 1), Condition("b", "eq", 2)

GROW: dict[str, Callable[[Node], Node]] = {
    "not": lambda node: ~node,
    "not_": not_,
    "alternating": lambda node: (node & A) | B,
    "all_of": lambda node: all_of(node, A),
    "negated": lambda node: Not(And((node, B))),
    "doubled": lambda node: Or((And((node, node)), B)),
    "itself": lambda node: node | node,
    "filter": lambda node: all_of(SearchFilter(field="a", operator="eq", value=1), node),
}


def deepest(grow: Callable[[Node], Node]) -> Node:
    node: Node = A
    while True:
        try:
            node = grow(node)
        except ValueError:
            return node


@pytest.mark.parametrize("grow", GROW.values(), ids=GROW)
def test_a_loop_of_ten_thousand_meets_a_limit_that_is_named(grow: Callable[[Node], Node]) -> None:

    def loop() -> None:
        node: Node = A
        for _ in range(10_000):
            node = grow(node)

    with pytest.raises(ValueError, match=r"a filter may (nest 100 groups|have 10,000 conditions and groups) at most"):
        loop()


@pytest.mark.parametrize("grow", GROW.values(), ids=GROW)
def test_what_is_just_within_the_limits_can_be_used(grow: Callable[[Node], Node]) -> None:
    node = deepest(grow)
    assert pickle.loads(pickle.dumps(node)) == copy.deepcopy(node) == node
    assert hash(node) == hash(copy.deepcopy(node))
    assert repr(node) == repr(copy.deepcopy(node))
    assert extent(copy.deepcopy(node)) == extent(node)
    normal = normalize(node)
    for metadata in ({}, {"a": 1}, {"b": 2}, {"a": 1, "b": 2}):
        assert matches(normal, metadata) == matches(node, metadata)
    assert from_json(json.loads(json.dumps(to_json(node)))) == node
    for provider in COMPILERS:
        compiler_for(provider).compile(node)
    assert to_where(node)


def test_the_deepest_filters_there_are() -> None:
    assert extent(deepest(GROW["not"])).depth == MAX_DEPTH
    assert extent(deepest(GROW["alternating"])).depth == MAX_DEPTH


@pytest.mark.targets("memory", "chroma-memory", "qdrant-memory", "pinecone-emulator", "weaviate-double")
async def test_stores_answer_the_deepest_filter(make_store: MakeStore) -> None:
    store = make_store(dimension=2)
    await store.create_index(2)
    await store.upsert([VectorDocument(id="x", vector=[1, 2], metadata={"a": 1, "b": 3})])
    for grow in ("alternating", "negated"):
        node = deepest(GROW[grow])
        found = await store.search([1, 2], filters=node)
        assert found.total == matches(node, {"a": 1, "b": 3})
        assert await store.count(filters=node) == found.total


def test_a_group_that_grows_by_operators_stays_flat_and_within_the_limit() -> None:
    node: Node = A
    for number in range(MAX_NODES - 2):
        node = node | Condition("a", "eq", number)
    assert extent(node) == (1, MAX_NODES, 0)
    with pytest.raises(ValueError, match="10,000 conditions and groups"):
        node | B


def test_an_endless_list_of_filters() -> None:
    with pytest.raises(ValueError, match="10,000 conditions and groups"):
        as_node(itertools.repeat(A))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="10,000 conditions and groups"):
        as_node([A] * MAX_NODES)
    assert as_node([A] * (MAX_NODES - 1))


def test_lists_of_values() -> None:
    condition = Condition("a", "in", list(range(MAX_VALUES)))
    for refused in (
        lambda: Condition("a", "in", list(range(MAX_VALUES + 1))),
        lambda: SearchFilter(field="a", operator="nin", value=list(range(MAX_VALUES + 1))),
        lambda: condition & Condition("b", "in", [1]),
        lambda: And((condition, condition)),
        lambda: from_json({"and": [to_json(condition), to_json(condition)]}),
    ):
        with pytest.raises(ValueError, match="10,000 values at most, together"):
            refused()
    assert not matches(condition, {"a": MAX_VALUES})


KINDS: dict[str, list[Any]] = {
    "integers": list(range(MAX_VALUES)),
    "doubles": [number / 7 for number in range(MAX_VALUES)],
    "texts": [f"é{number}" for number in range(MAX_VALUES)],
    "large": [2**60 + number for number in range(MAX_VALUES)],
    "mixed": [(number, number / 7, str(number), True, None)[number % 5] for number in range(MAX_VALUES)],
}


@pytest.mark.timeout(60)  # what grew with the square of the list took minutes
@pytest.mark.parametrize("kind", KINDS)
def test_the_longest_lists_are_compiled_and_compared(kind: str) -> None:
    values = KINDS[kind]
    for operator in ("in", "nin") if kind == "mixed" else ("in", "nin", "contains_any", "contains_all"):
        node = Condition("a", operator, values)
        for provider in COMPILERS:
            compiler_for(provider).compile(node)
        # A list in a document, as long as that of the filter.
        assert matches(node, {"a": values}) == (operator != "nin")
        assert matches(node, {"a": ["none of them"] * MAX_VALUES}) == (operator == "nin")


@pytest.mark.timeout(60)
def test_a_field_of_ten_thousand_dots() -> None:
    field = "a." * 10_000 + "b"
    some = list(range(1000))
    for node in (Condition(field, "eq", 1), Condition(field, "in", some), Condition(field, "exists", False)):
        for provider in COMPILERS:
            assert compiler_for(provider).compile(node).node == normalize(node)
    assert matches(Condition(field, "eq", 1), {field: 1})
    assert not matches(Condition(field, "eq", 1), {"a": {"a": 1}})


@pytest.mark.timeout(60)
def test_deep_and_wide_is_normalised_in_one_pass() -> None:
    node: Node = A
    for level in range(MAX_DEPTH):
        some = [Condition(f"f{level}", "gt", number) for number in range(90)]
        node = And((node, *some)) if level % 2 else Or((node, *some))
    assert extent(normalize(node)).nodes == extent(node).nodes


def test_a_tree_that_shares_its_parts_is_counted_as_a_whole() -> None:
    shared: Any = {"field": "a", "operator": "eq", "value": 1}
    for _ in range(60):
        shared = {"and": [shared, shared]}
    with pytest.raises(ValueError, match="10,000 conditions and groups"):
        from_json(shared)
    cyclic: dict[str, Any] = {}
    cyclic["or"] = [cyclic, cyclic]
    with pytest.raises(ValueError, match="100 levels deep"):
        from_json(cyclic)


def test_texts_that_utf8_can_not_hold_are_in_no_document() -> None:
    odd = "\ud800"
    assert normalize(Condition("a", "eq", odd)) == MATCH_NONE
    assert normalize(Condition("a", "ne", odd)) == MATCH_ALL
    assert normalize(Condition("a", "in", [odd, "x"])) == Condition("a", "eq", "x")
    assert normalize(Condition("a", "contains_all", [odd, "x"])) == MATCH_NONE
    assert normalize(Condition(odd, "gt", 1)) == MATCH_NONE
    assert normalize(Condition(odd, "exists", False)) == MATCH_ALL
    assert normalize(Condition(odd, "nin", [1])) == MATCH_ALL


def test_text_of_a_filter() -> None:
    with pytest.raises(WhereSyntaxError, match="65,536 characters at most"):
        parse_where("a = 1 or " * MAX_LENGTH)
    # Each pair of parentheses holds an and inside of an or.
    with pytest.raises(WhereSyntaxError, match="may nest 100 groups at most"):
        parse_where("(a = 1 or b = 2 and " * 60 + "c = 3" + ")" * 60)


def test_parts_are_checked_when_a_group_is_made() -> None:
    for made in (lambda: And(("a = 1",)), lambda: Or([A, None]), lambda: Not({"field": "a"})):  # type: ignore[arg-type,list-item]
        with pytest.raises(ValueError, match="made of filters, not of"):
            made()
    assert And([A, SearchFilter(field="b", operator="eq", value=2)]) == And((A, B))  # type: ignore[arg-type]


@pytest.mark.parametrize("operator", ["x" * 10**6, ["secret"], {"secret": 1}, None, 3.0], ids=lambda one: str(one)[:9])
def test_an_odd_operator_is_not_spelled_out(operator: Any) -> None:
    with pytest.raises(ValueError, match="unknown filter operator") as caught:
        Condition("f" * 10**6, operator, "secret")
    assert len(str(caught.value)) < 400
    assert "secret" not in str(caught.value)


def test_a_long_field_is_not_spelled_out() -> None:
    for refused in (
        lambda: Condition("f" * 10**6, "in", "secret"),
        lambda: from_json({"f" * 10**6: 1}),
        lambda: from_json({("secret",) * 1000: 1}),
        lambda: to_json(Condition("f" * 10**6, "eq", float("inf"))),
    ):
        with pytest.raises(ValueError, match=r"filter on|unknown key") as caught:
            refused()
        assert len(str(caught.value)) < 400
        assert "secret" not in str(caught.value)
