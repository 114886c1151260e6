"""The models that go in and come out."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ia_modules.vector_stores import (
    DistanceMetric,
    IndexStats,
    SearchFilter,
    SearchResponse,
    SearchResult,
    UnsupportedOperationError,
    Vector,
    VectorDocument,
)
from ia_modules.vector_stores.filters import OPERATORS, matches
from ia_modules.vector_stores.testing.strategies import metadata

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VECTORS = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=5)
DOCUMENTS = st.builds(VectorDocument, id=TEXT.filter(bool), vector=VECTORS, metadata=metadata(), text=st.none() | TEXT)
COPIES = [
    copy.deepcopy,
    lambda model: pickle.loads(pickle.dumps(model)),
    lambda model: type(model).model_validate_json(model.model_dump_json()),
    lambda model: type(model).model_validate(model.model_dump()),
    lambda model: model.model_copy(deep=True),
]


def test_a_document() -> None:
    document = VectorDocument(id="a", vector=[1, 2])
    assert (document.id, document.vector, document.metadata, document.text) == ("a", [1, 2], {}, None)
    assert type(document.vector) is Vector


@pytest.mark.parametrize(
    "vector",
    [[], [float("nan")], [float("inf")], [1e300], "abc", ["1"], [True], [[1.0]], None, 3, np.ones((2, 2)), {"a": 1}],
    ids=lambda vector: repr(vector)[:20],
)
def test_a_bad_vector_is_refused_naming_the_document(vector: Any) -> None:
    with pytest.raises(ValidationError, match="document 'doc-7'") as caught:
        VectorDocument(id="doc-7", vector=vector)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("document_id", ["", None, 3, b"a"])
def test_a_bad_id_is_refused(document_id: Any) -> None:
    with pytest.raises(ValidationError, match="id"):
        VectorDocument(id=document_id, vector=[1])


@pytest.mark.parametrize(
    "given",
    [
        {"metadata": [1]},
        {"metadata": None},
        {"metadata": {1: 2}},
        {"metadata": {b"k": 2}},
        {"text": 3},
        {"text": b"x"},
        {"embedding": [1]},
    ],
    ids=str,
)
def test_other_fields_are_checked(given: Any) -> None:
    with pytest.raises(ValidationError, match=next(iter(given))):
        VectorDocument(id="a", vector=[1], **given)


def test_assignments_are_checked() -> None:
    document = VectorDocument(id="a", vector=[1])
    document.vector = [2, 3]  # type: ignore[assignment]
    assert document.vector == [2, 3]
    with pytest.raises(ValidationError, match="document 'a'"):
        document.vector = []  # type: ignore[assignment]
    with pytest.raises(ValidationError):
        document.id = ""
    assert (document.id, document.vector) == ("a", [2, 3])


def test_two_documents_share_no_default() -> None:
    first, second = VectorDocument(id="a", vector=[1]), VectorDocument(id="b", vector=[1])
    first.metadata["k"] = 1
    assert second.metadata == {}


def test_a_buffer_may_be_filled_again() -> None:
    buffer = np.zeros(3, dtype=np.float32)
    documents = []
    for i in range(3):
        buffer[:] = i
        documents.append(VectorDocument(id=str(i), vector=buffer))
    assert [document.vector for document in documents] == [[0] * 3, [1] * 3, [2] * 3]


@pytest.mark.parametrize("copied", COPIES)
@given(document=DOCUMENTS)
def test_copies_of_documents(copied: Any, document: VectorDocument) -> None:
    twin = copied(document)
    assert twin == document
    assert repr(twin.metadata) == repr(document.metadata)
    assert twin.metadata is not document.metadata


@pytest.mark.parametrize("vector", [None, [0.1, 2]])
@pytest.mark.parametrize("copied", COPIES)
def test_copies_of_results(copied: Any, vector: Any) -> None:
    result = SearchResult(id="a", score=0.5, metadata={"n": [1]}, text="t", vector=vector)
    response = SearchResponse(results=[result], total=1, query_time_ms=0.25)
    assert copied(result) == result
    assert copied(response) == response


def test_documents_are_plain_json() -> None:
    document = VectorDocument(id="a", vector=[0.5, 1], metadata={"n": 1})
    assert json.loads(document.model_dump_json()) == {
        "id": "a",
        "vector": [0.5, 1.0],
        "metadata": {"n": 1},
        "text": None,
    }
    schema = VectorDocument.model_json_schema()
    assert schema["properties"]["vector"]["type"] == "array"
    assert schema["required"] == ["id", "vector"]


def test_defaults_of_the_other_models() -> None:
    result = SearchResult(id="a", score=1)
    assert (result.metadata, result.text, result.vector) == ({}, None, None)
    stats = IndexStats()
    assert (stats.total_vectors, stats.dimension, stats.index_fullness, stats.namespace_count) == (0, 0, 0.0, None)
    with pytest.raises(ValidationError):
        IndexStats(total_vectors=-1)


def test_metrics_are_strings() -> None:
    assert {metric: metric.value for metric in DistanceMetric} == {
        DistanceMetric.COSINE: "cosine",
        DistanceMetric.EUCLIDEAN: "euclidean",
        DistanceMetric.DOT_PRODUCT: "dot_product",
        DistanceMetric.MANHATTAN: "manhattan",
    }
    assert DistanceMetric.COSINE == "cosine"


# Filters

GOOD_VALUES: dict[str, list[Any]] = {
    "eq": ["x", 1, 1.5, True, None],
    "ne": ["x", 0, False, None],
    "gt": [1, 1.5, float("inf"), "2026-01-01"],
    "gte": [0],
    "lt": [-1],
    "lte": [2**64],
    "in": [[], ["x", 1, None]],
    "nin": [[], [True]],
    "exists": [True, False],
    "contains": ["x", 1],
    "contains_any": [[], ["x"]],
    "contains_all": [[], ["x", 2]],
}
BAD_VALUES: dict[str, list[Any]] = {
    "eq": [["x"], {"a": 1}, float("nan"), object(), b"x"],
    "ne": [["x"], float("nan")],
    "gt": [True, [1], float("nan"), None],
    "gte": [False, {}],
    "lt": [[], float("nan")],
    "lte": [None],
    "in": ["abc", 3, None, {"a": 1}, [["x"]], [float("nan")]],
    "nin": ["abc", [[]]],
    "exists": [1, "yes", None],
    "contains": [["x"], None],
    "contains_any": ["x", None],
    "contains_all": ["x", 3],
}


def test_the_tables_below_cover_every_operator() -> None:
    assert set(GOOD_VALUES) == set(BAD_VALUES) == set(OPERATORS)


@pytest.mark.parametrize(
    ("operator", "value"),
    [(o, v) for o, values in GOOD_VALUES.items() for v in values],
    ids=lambda value: repr(value).partition(" at 0x")[0],
)
def test_filters(operator: str, value: Any) -> None:
    made = SearchFilter(field="f", operator=operator, value=value)
    assert (made.field, made.operator, made.value) == ("f", operator, value)


@pytest.mark.parametrize(
    ("operator", "value"),
    [(o, v) for o, values in BAD_VALUES.items() for v in values],
    ids=lambda value: repr(value).partition(" at 0x")[0],
)
def test_filters_with_a_value_of_the_wrong_kind(operator: str, value: Any) -> None:
    with pytest.raises(ValueError, match=operator):
        SearchFilter(field="f", operator=operator, value=value)


@pytest.mark.parametrize("given", [{"operator": "like"}, {"operator": "EQ"}, {"field": 3}, {"more": 1}], ids=str)
def test_other_filters_are_refused(given: Any) -> None:
    with pytest.raises(ValueError, match=str(next(iter(given)))):
        SearchFilter(**{"field": "f", "operator": "eq", "value": 1} | given)


def test_a_filter_is_a_value() -> None:
    one, same, other = (SearchFilter(field="f", operator="eq", value=v) for v in (1, 1, 2))
    assert one == same != other
    assert len({one, same, other}) == 2
    with pytest.raises(ValidationError, match="frozen"):
        one.value = 3
    assert SearchFilter.model_validate_json(one.model_dump_json()) == one


def test_filters_combine() -> None:
    red, big = SearchFilter(field="c", operator="eq", value="red"), SearchFilter(field="n", operator="gt", value=3)
    assert matches(red & big, {"c": "red", "n": 4})
    assert matches(red | ~big, {"n": 1})
    assert not matches(~(red | big), {"n": 4})


def test_native_forms() -> None:
    made = SearchFilter(field="year", operator="gte", value=2020)
    assert made.to_native("chroma") == {"year": {"$gte": 2020}}
    assert made.to_native("pinecone") == {"year": {"$gte": 2020}}
    with pytest.raises(ValueError, match=r"oracle.*chroma"):
        made.to_native("oracle")
    with pytest.raises(UnsupportedOperationError):
        SearchFilter(field="f", operator="exists", value=True).to_native("chroma")
