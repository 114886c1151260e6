"""Qdrant's own local engine against the evaluator."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings

from ia_modules.vector_stores.errors import UnsupportedOperationError
from ia_modules.vector_stores.filters import Condition, Node, Not, matches, predicate
from ia_modules.vector_stores.filters.compilers import compiler_for
from ia_modules.vector_stores.testing.filter_table import CONDITIONS, DOCUMENTS
from ia_modules.vector_stores.testing.strategies import trees

qdrant_client = pytest.importorskip("qdrant_client")
from qdrant_client import models  # noqa: E402

compiler = compiler_for("qdrant")


class Engine:
    """A collection of documents that are nothing but metadata."""

    def __init__(self, documents: list[dict[str, Any]]) -> None:
        self.documents = documents
        self.client = qdrant_client.QdrantClient(":memory:")
        self.client.create_collection("c", models.VectorParams(size=1, distance=models.Distance.DOT))
        points = [models.PointStruct(id=i, vector=[1.0], payload=d) for i, d in enumerate(documents)]
        self.client.upsert("c", points)

    def select(self, native: dict[str, Any] | None) -> set[int]:
        """Positions of the documents that the engine selects."""
        query_filter = None if native is None else models.Filter.model_validate(native)
        points, _ = self.client.scroll("c", query_filter, limit=len(self.documents), with_payload=False)
        return {point.id for point in points}

    def holds(self, node: Node) -> set[int]:
        """Positions of the documents that the evaluator selects."""
        return {i for i, document in enumerate(self.documents) if matches(node, document)}


def engine_with(documents: list[dict[str, Any]]) -> Iterator[Engine]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the client says of its own about local mode
        made = Engine(documents)
    yield made
    made.client.close()


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    yield from engine_with(DOCUMENTS)


def check(engine: Engine, node: Node) -> None:
    expected = engine.holds(node)
    compiled = compiler.compile(node)
    if compiled.nothing:
        assert expected == set()
        return
    selected = engine.select(compiled.native)
    missed = [engine.documents[i] for i in expected - selected]
    assert not missed, (node, compiled.native, missed)
    test = predicate(compiled.node)
    assert {i for i in selected if test(engine.documents[i])} == expected
    if compiled.exact:
        extra = [engine.documents[i] for i in selected - expected]
        assert not extra, (node, compiled.native, extra)


@pytest.mark.parametrize("operator", sorted({condition.operator for condition in CONDITIONS}))
def test_no_condition_selects_too_few_and_an_exact_one_none_too_many(engine: Engine, operator: str) -> None:
    for condition in CONDITIONS:
        if condition.operator == operator:
            check(engine, condition)
            check(engine, Not(condition))


@settings(max_examples=150)
@given(node=trees(CONDITIONS))
def test_nor_does_a_tree(engine: Engine, node: Node) -> None:
    check(engine, node)


EXACT = [condition for condition in CONDITIONS if compiler.compile(condition).exact]


@settings(max_examples=150)
@given(node=trees(EXACT))
def test_a_tree_of_exact_conditions_is_exact(engine: Engine, node: Node) -> None:
    assert compiler.compile(node).exact
    check(engine, node)


# Documents whose fields keep to one shape each, in Qdrant's own notation: there ``to_native`` is exact.
REGULAR: list[dict[str, Any]] = [
    {},
    *({"year": v} for v in (2019, 2020, 2020.0, 2021.5)),
    *({"lang": v} for v in ("en", "de", "EN", "2020")),
    *({"tags": v} for v in (["red"], ["red", "blue"], ["blue", "7"], ["green"])),
    *(
        {"published": v}
        for v in ("2024-05-01T00:00:00Z", "2024-05-01T02:00:00+02:00", "2024-05-02", "2023-12-31T23:59:59Z")
    ),
    *({"meta": {"lang": v}} for v in ("en", "de")),
    *({"draft": v} for v in (True, False)),
    {"year": None, "lang": "en", "tags": ["red"], "draft": True, "meta.lang": "en"},
]
USUAL = [
    *(Condition("year", op, x) for op in ("eq", "ne", "gt", "gte", "lt", "lte") for x in (2020, 2020.5)),
    *(Condition("lang", op, x) for op in ("in", "nin") for x in (["en"], ["en", "de"], ["en", 1, True])),
    *(Condition("tags", "contains", x) for x in ("red", "none")),
    *(Condition("tags", op, x) for op in ("contains_any", "contains_all") for x in (["red"], ["red", "blue"])),
    *(Condition("published", op, "2024-05-01") for op in ("gt", "gte", "lt", "lte")),
    *(Condition("meta.lang", op, "en") for op in ("eq", "ne")),
    *(Condition(field, "exists", flag) for field in ("year", "tags", "meta.lang") for flag in (True, False)),
    Condition("draft", "ne", True),
    Condition("year", "eq", None),
]


def test_the_usual_form_is_exact_where_fields_keep_to_one_shape() -> None:
    for engine in engine_with(REGULAR):
        for node in [
            *USUAL,
            *map(Not, USUAL),
            *(a & ~b for a, b in pairwise(USUAL)),
            *(a | ~b for a, b in pairwise(USUAL)),
        ]:
            native = compiler.to_native(node)
            assert engine.select(native) == engine.holds(node), (node, native)


@pytest.mark.parametrize(
    "condition",
    [
        Condition("n", "eq", 2**53 + 1),
        Condition("n", "gt", 2**53),
        Condition("tags", "contains_all", []),
        Condition('quo"te', "eq", 1),
        Condition("a..b", "eq", 1),
        Condition("d", "lt", "0001-01-01T00:00:00+05:00"),
    ],
)
def test_what_qdrant_can_not_say_is_refused_by_name(condition: Condition) -> None:
    with pytest.raises(UnsupportedOperationError) as refused:
        compiler.to_native(condition)
    assert refused.value.provider == "qdrant"
