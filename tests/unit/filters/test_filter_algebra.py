"""Laws that hold for every filter and every document."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ia_modules.vector_stores.filters import (
    MATCH_ALL,
    MATCH_NONE,
    And,
    Condition,
    Node,
    Not,
    Or,
    matches,
    normalize,
    predicate,
)
from ia_modules.vector_stores.testing.filter_table import CONDITIONS, DOCUMENTS
from ia_modules.vector_stores.testing.strategies import filters, metadata

DOCUMENT_LISTS = st.lists(metadata(), min_size=1, max_size=4)


@pytest.mark.parametrize("operator", sorted({condition.operator for condition in CONDITIONS}))
def test_the_normal_form_of_a_condition_means_the_same(operator: str) -> None:
    for condition in CONDITIONS:
        if condition.operator == operator:
            for node in (condition, Not(condition)):
                raw, normal = predicate(node), predicate(normalize(node))
                differing = [d for d in DOCUMENTS if raw(d) != normal(d)]
                assert not differing, (node, normalize(node), differing)


@settings(max_examples=300)
@given(node=filters(4), documents=DOCUMENT_LISTS)
def test_the_normal_form_of_a_tree_means_the_same(node: Node, documents: list[dict[str, Any]]) -> None:
    normal = normalize(node)
    for document in documents:
        assert matches(normal, document) == matches(node, document)


@settings(max_examples=100)
@given(x=filters(2), y=filters(2), documents=DOCUMENT_LISTS)
def test_two_valued_logic(x: Node, y: Node, documents: list[dict[str, Any]]) -> None:
    for document in documents:
        assert matches(~(x & y), document) == matches(~x | ~y, document)
        assert matches(~(x | y), document) == matches(~x & ~y, document)
        assert matches(~~x, document) == matches(x, document)
        assert matches(x | ~x, document)
        assert not matches(x & ~x, document)
        assert matches([x, y], document) == (matches(x, document) and matches(y, document))


@settings(max_examples=100)
@given(x=filters(3))
def test_negating_twice_gives_the_same_normal_form(x: Node) -> None:
    assert normalize(~~x) == normalize(x)
    assert normalize(normalize(x)) == normalize(x)


LITERALS = {"eq", "in", "gt", "gte", "lt", "lte", "contains", "contains_any", "contains_all", "exists"}


@settings(max_examples=300)
@given(node=filters(4))
def test_the_normal_form_has_the_shape_that_compilers_rely_on(node: Node) -> None:
    normal = normalize(node)
    if normal not in (MATCH_ALL, MATCH_NONE):
        check_shape(normal, inside=None)


@pytest.mark.parametrize("node", CONDITIONS, ids=repr)
def test_so_has_that_of_every_condition(node: Node) -> None:
    for normal in (normalize(node), normalize(Not(node))):
        if normal not in (MATCH_ALL, MATCH_NONE):
            check_shape(normal, inside=None)


def check_shape(node: Node, *, inside: type[Node] | None) -> None:
    if isinstance(node, And | Or):
        assert type(node) is not inside, "groups of one kind are flat"
        assert len(node.children) >= 2
        for child in node.children:
            check_shape(child, inside=type(node))
        return
    condition = node.child if isinstance(node, Not) else node
    assert isinstance(condition, Condition)
    assert condition.operator in LITERALS
    values = condition.value if isinstance(condition.value, tuple) else (condition.value,)
    for value in values:
        assert value is not None
        if isinstance(value, int):
            assert -(2**63) <= value < 2**63
        elif isinstance(value, float):
            assert math.isfinite(value)
    if condition.operator in ("in", "contains_any"):
        assert len(values) >= 2
    if condition.operator == "exists":
        assert condition.value is True


@pytest.mark.parametrize(
    ("node", "normal"),
    [
        (Condition("a", "ne", 1), Not(Condition("a", "eq", 1))),
        (Condition("a", "in", [1, 1.0, None]), Or((Condition("a", "eq", 1), Not(Condition("a", "exists", True))))),
        (Condition("a", "nin", []), MATCH_ALL),
        (Condition("a", "in", []), MATCH_NONE),
        (Condition("a", "eq", float("inf")), MATCH_NONE),
        (Condition("a", "gt", 10**400), MATCH_NONE),
        (Condition("a", "lt", "red"), MATCH_NONE),
        (Condition("a", "contains_any", ["x"]), Condition("a", "contains", "x")),
        (Condition("a", "contains_all", ["x", float("inf")]), MATCH_NONE),
        (Not(And((Condition("a", "eq", 1), Condition("b", "ne", 2)))),
         Or((Not(Condition("a", "eq", 1)), Condition("b", "eq", 2)))),
        (And((Condition("a", "eq", 1), And((Condition("b", "eq", 2), Condition("a", "eq", 1))))),
         And((Condition("a", "eq", 1), Condition("b", "eq", 2)))),
        (Or((Condition("a", "in", []), Condition("b", "eq", 2))), Condition("b", "eq", 2)),
        (And((Condition("a", "eq", True), Condition("a", "eq", 1))),
         And((Condition("a", "eq", True), Condition("a", "eq", 1)))),
    ],
)  # fmt: skip
def test_normal_forms(node: Node, normal: Node) -> None:
    assert repr(normalize(node)) == repr(normal)
