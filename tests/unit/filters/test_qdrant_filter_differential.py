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
from ia_modules.vector_stores.filters.compilers.base import FilterCompiler
from ia_modules.vector_stores.filters.compilers.qdrant import QdrantCompiler
from ia_modules.vector_stores.providers.qdrant.layout import encode
from ia_modules.vector_stores.testing.filter_table import CONDITIONS, DOCUMENTS
from ia_modules.vector_stores.testing.strategies import trees

qdrant_client = pytest.importorskip("qdrant_client")
from qdrant_client import models  # noqa: E402

compiler = compiler_for("qdrant")


class Engine:
    """A collection of documents that are nothing but metadata, as payloads or as our provider stores them."""

    def __init__(self, documents: list[dict[str, Any]], *, stored: bool = False) -> None:
        self.documents = documents
        self.stored = stored
        self.client = qdrant_client.QdrantClient(":memory:")
        self.client.create_collection("c", models.VectorParams(size=1, distance=models.Distance.DOT))
        payloads = [encode("d", "/", d, None, 0.0) for d in documents] if stored else documents
        points = [models.PointStruct(id=i, vector=[1.0], payload=d) for i, d in enumerate(payloads)]
        self.client.upsert("c", points)

    def select(self, native: dict[str, Any] | None) -> set[int]:
        """Positions of the documents that the engine selects."""
        query_filter = None if native is None else models.Filter.model_validate(native)
        points, _ = self.client.scroll("c", query_filter, limit=len(self.documents), with_payload=False)
        return {point.id for point in points}

    def holds(self, node: Node) -> set[int]:
        """Positions of the documents that the evaluator selects."""
        return {i for i, document in enumerate(self.documents) if matches(node, document)}


def engine_with(documents: list[dict[str, Any]], *, stored: bool = False) -> Iterator[Engine]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the client says of its own about local mode
        made = Engine(documents, stored=stored)
    yield made
    made.client.close()


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    yield from engine_with(DOCUMENTS)


# Keys that our provider keeps for itself, used by the user; empty lists in many places.
OURS: list[dict[str, Any]] = [
    {"_ia_id": 1, "_ia_ns": "/", "_ia_empty:n": ["n"], "n": 1},
    {"_ia_key:n": [], "_ia_x": {"y": []}, "n": {"y": []}},
    {"n": {"y": None}, "n.y": []},
    {"n": {"y": []}, "n.y": None},
]


@pytest.fixture(scope="module")
def stored() -> Iterator[Engine]:
    yield from engine_with([*DOCUMENTS, *OURS], stored=True)


def check(engine: Engine, node: Node, compiler: FilterCompiler = compiler) -> None:
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


@pytest.mark.parametrize("prefer_exact", [True, False])
@pytest.mark.parametrize("operator", sorted({condition.operator for condition in CONDITIONS}))
def test_nor_does_a_condition_on_what_our_provider_stores(stored: Engine, operator: str, *, prefer_exact: bool) -> None:
    ours = QdrantCompiler(stored=True, prefer_exact=prefer_exact)
    for condition in CONDITIONS:
        if condition.operator == operator:
            check(stored, condition, ours)
            check(stored, Not(condition), ours)


@pytest.mark.parametrize("field", ["_ia_id", "_ia_ns", "_ia_x", "_ia_x.y", "_ia_key:n", "_ia_empty:n", "n.y", "n"])
def test_nor_does_one_on_keys_like_its_own(stored: Engine, field: str) -> None:
    for value in (1, "/", "n"):
        for condition in (
            Condition(field, "eq", value),
            Condition(field, "exists", True),
            Condition(field, "contains", value),
        ):
            for prefer_exact in (True, False):
                check(stored, condition, QdrantCompiler(stored=True, prefer_exact=prefer_exact))
                check(stored, Not(condition), QdrantCompiler(stored=True, prefer_exact=prefer_exact))


@settings(max_examples=150)
@given(node=trees(CONDITIONS))
def test_nor_does_a_tree_on_what_it_stores(stored: Engine, node: Node) -> None:
    check(stored, node, QdrantCompiler(stored=True, prefer_exact=True))


@pytest.mark.parametrize("operator", ["eq", "in", "gt", "lte", "contains", "contains_any", "contains_all", "exists"])
def test_on_a_plain_field_every_operator_has_an_exact_form(operator: str) -> None:
    value: Any = {"in": [1, "a"], "contains_any": [1, "a"], "contains_all": [1, "a"], "exists": True}.get(operator, 1)
    condition = Condition("n", operator, value)
    ours = QdrantCompiler(stored=True, prefer_exact=True)
    assert ours.compile(condition).exact
    assert ours.compile(Not(condition)).exact


def test_where_a_server_may_be_wrong_about_doubles() -> None:
    ours = QdrantCompiler(stored=True)
    assert ours.doubts(Condition("lang", "eq", "en") & ~Condition("n", "exists", True)) == []
    (doubt,) = ours.doubts(Condition("n", "gt", 2020))
    near = doubt["must"][0]["range"]
    assert near["gte"] < 2020 < near["lte"]
    assert near["lte"] - near["gte"] < 1e-9
    assert doubt["must_not"] == [{"is_empty": {"key": '"_ia_exact:n"'}}]
    (doubt,) = ours.doubts(Condition("n", "eq", 0.1 + 0.2))
    assert "must_not" not in doubt  # the server misreads the filter's own number as well
    assert len(ours.doubts(Condition("a.b", "in", [1, 2.5, "x"]))) == 4


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
