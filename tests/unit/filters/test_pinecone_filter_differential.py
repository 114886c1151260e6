"""The documented meaning of Pinecone's operators, against the evaluator."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from ia_modules.vector_stores.errors import UnsupportedOperationError
from ia_modules.vector_stores.filters import Condition, Node, Not, matches
from ia_modules.vector_stores.filters.compilers import compiler_for
from ia_modules.vector_stores.testing.filter_table import CONDITIONS, DOCUMENTS
from ia_modules.vector_stores.testing.strategies import trees
from pinecone_filters import check, selects

compiler = compiler_for("pinecone")


def storable(value: Any) -> bool:
    return isinstance(value, str | int | float) or (
        isinstance(value, list) and all(isinstance(item, str) for item in value)
    )


CORPUS = [d for d in (*DOCUMENTS, {"a": ["red", "Red"]}, {"a": "x", "a.b": ["1"]}) if all(map(storable, d.values()))]
PAIRS = [(document, document) for document in CORPUS]


@pytest.mark.parametrize("operator", sorted({condition.operator for condition in CONDITIONS}))
def test_no_condition_selects_too_few_and_an_exact_one_none_too_many(operator: str) -> None:
    for condition in CONDITIONS:
        if condition.operator == operator:
            check(compiler, condition, PAIRS)
            check(compiler, Not(condition), PAIRS)


@settings(max_examples=150)
@given(node=trees(CONDITIONS))
def test_nor_does_a_tree(node: Node) -> None:
    check(compiler, node, PAIRS)


REGULAR = [{}, *({"n": v} for v in (1, 1.5, 2)), *({"s": v} for v in ("x", "y")), {"t": ["x"]}, {"t": ["x", "y"]}]


@pytest.mark.parametrize(
    "node",
    [
        *(Condition("n", op, 1.5) for op in ("gt", "gte", "lt", "lte")),
        *(Condition("t", op, ["x", "y"]) for op in ("contains_any", "contains_all")),
        Condition("t", "contains", "y"),
        Condition("s", "in", ["x", 1, True]),
    ],
)
def test_the_usual_form_is_exact_where_fields_keep_to_one_shape(node: Node) -> None:
    for each in (node, Not(node)):
        native = compiler.to_native(each)
        for document in REGULAR:
            assert selects(native, document, negation_needs_value=True) == matches(each, document), (native, document)


def test_dates_are_refused() -> None:
    with pytest.raises(UnsupportedOperationError, match=r"pinecone.*not dates"):
        compiler.to_native(Condition("published", "gt", "2024-05-01"))
