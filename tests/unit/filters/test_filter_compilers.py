"""What each database's form of each operator looks like, literally."""

from __future__ import annotations

from typing import Any

import pytest

from ia_modules.vector_stores.errors import UnsupportedOperationError
from ia_modules.vector_stores.filters import MATCH_NONE, Condition, Node, Not
from ia_modules.vector_stores.filters.compilers import compiler_for, to_native

C = Condition
REFUSED = object()


def where(operator: str, field: str, **value: Any) -> dict[str, Any]:
    return {"operator": operator, "path": [field], **value}


# filter -> pinecone, weaviate, qdrant
FORMS: list[tuple[Node, Any, Any, Any]] = [
    (
        C("lang", "eq", "en"),
        {"lang": {"$eq": "en"}},
        where("Equal", "lang", valueText="en"),
        {"must": [{"key": "lang", "match": {"value": "en"}}]},
    ),
    (
        C("year", "eq", 2020),
        {"year": {"$eq": 2020}},
        where("Equal", "year", valueInt=2020),
        {"must": [{"key": "year", "range": {"gte": 2020, "lte": 2020}}]},
    ),
    (
        C("rate", "eq", 0.5),
        {"rate": {"$eq": 0.5}},
        where("Equal", "rate", valueNumber=0.5),
        {"must": [{"key": "rate", "range": {"gte": 0.5, "lte": 0.5}}]},
    ),
    (
        C("draft", "eq", True),
        {"draft": {"$eq": True}},
        where("Equal", "draft", valueBoolean=True),
        {"must": [{"key": "draft", "match": {"value": True}}]},
    ),
    (
        C("lang", "eq", None),
        {"lang": {"$exists": False}},
        where("IsNull", "lang", valueBoolean=True),
        {"must": [{"is_empty": {"key": "lang"}}]},
    ),
    (
        C("lang", "ne", "en"),
        {"$or": [{"lang": {"$ne": "en"}}, {"lang": {"$exists": False}}]},
        where("NotEqual", "lang", valueText="en"),
        {"must_not": [{"key": "lang", "match": {"value": "en"}}]},
    ),
    (
        C("year", "ne", 2020),
        {"$or": [{"year": {"$ne": 2020}}, {"year": {"$exists": False}}]},
        where("NotEqual", "year", valueInt=2020),
        {"must_not": [{"key": "year", "range": {"gte": 2020, "lte": 2020}}]},
    ),
    (
        C("lang", "in", ["en", "de"]),
        {"lang": {"$in": ["en", "de"]}},
        where("ContainsAny", "lang", valueTextArray=["en", "de"]),
        {"must": [{"key": "lang", "match": {"any": ["en", "de"]}}]},
    ),
    (
        C("year", "in", [2020, 2021.5]),
        {"year": {"$in": [2020, 2021.5]}},
        where("ContainsAny", "year", valueNumberArray=[2020.0, 2021.5]),
        {"should": [{"key": "year", "range": {"gte": y, "lte": y}} for y in (2020, 2021.5)]},
    ),
    (
        C("v", "in", ["x", 1, True]),
        {"$or": [{"v": {"$eq": "x"}}, {"v": {"$eq": 1}}, {"v": {"$eq": True}}]},
        REFUSED,
        {
            "should": [
                {"key": "v", "match": {"value": "x"}},
                {"key": "v", "match": {"value": True}},
                {"key": "v", "range": {"gte": 1, "lte": 1}},
            ]
        },
    ),
    (
        C("lang", "nin", ["en", "de"]),
        {"$or": [{"lang": {"$nin": ["en", "de"]}}, {"lang": {"$exists": False}}]},
        where("ContainsNone", "lang", valueTextArray=["en", "de"]),
        {"must_not": [{"key": "lang", "match": {"any": ["en", "de"]}}]},
    ),
    (
        C("v", "nin", ["x", 1]),
        {"$or": [{"$and": [{"v": {"$ne": "x"}}, {"v": {"$ne": 1}}]}, {"v": {"$exists": False}}]},
        REFUSED,
        {"must_not": [{"key": "v", "match": {"value": "x"}}, {"key": "v", "range": {"gte": 1, "lte": 1}}]},
    ),
    (
        C("year", "gt", 2020),
        {"year": {"$gt": 2020}},
        where("GreaterThan", "year", valueInt=2020),
        {"must": [{"key": "year", "range": {"gt": 2020}}]},
    ),
    (
        C("year", "gte", 2020.5),
        {"year": {"$gte": 2020.5}},
        where("GreaterThanEqual", "year", valueNumber=2020.5),
        {"must": [{"key": "year", "range": {"gte": 2020.5}}]},
    ),
    (
        C("year", "lt", 2020),
        {"year": {"$lt": 2020}},
        where("LessThan", "year", valueInt=2020),
        {"must": [{"key": "year", "range": {"lt": 2020}}]},
    ),
    (
        C("year", "lte", 2020),
        {"year": {"$lte": 2020}},
        where("LessThanEqual", "year", valueInt=2020),
        {"must": [{"key": "year", "range": {"lte": 2020}}]},
    ),
    (
        Not(C("year", "gt", 2020)),
        {"$or": [{"year": {"$lte": 2020}}, {"year": {"$exists": False}}]},
        {"operator": "Not", "operands": [where("GreaterThan", "year", valueInt=2020)]},
        {"must_not": [{"key": "year", "range": {"gt": 2020}}]},
    ),
    (
        C("day", "lte", "2024-05-01T02:30+02:00"),
        REFUSED,
        where("LessThanEqual", "day", valueDate="2024-05-01T00:30:00Z"),
        {"must": [{"key": "day", "range": {"lte": "2024-05-01T00:30:00Z"}}]},
    ),
    (
        Not(C("day", "gt", "2024-05-01")),
        REFUSED,
        {"operator": "Not", "operands": [where("GreaterThan", "day", valueDate="2024-05-01T00:00:00Z")]},
        {"must_not": [{"key": "day", "range": {"gt": "2024-05-01T00:00:00Z"}}]},
    ),
    (
        C("tags", "contains", "red"),
        {"tags": {"$eq": "red"}},
        where("ContainsAny", "tags", valueTextArray=["red"]),
        {"must": [{"key": "tags", "match": {"value": "red"}}]},
    ),
    (
        Not(C("tags", "contains", "red")),
        {"$or": [{"tags": {"$ne": "red"}}, {"tags": {"$exists": False}}]},
        where("ContainsNone", "tags", valueTextArray=["red"]),
        {"must_not": [{"key": "tags", "match": {"value": "red"}}]},
    ),
    (
        C("sizes", "contains", 3),
        REFUSED,
        where("ContainsAny", "sizes", valueIntArray=[3]),
        {"must": [{"key": "sizes", "range": {"gte": 3, "lte": 3}}]},
    ),
    (
        C("tags", "contains_any", ["red", "blue"]),
        {"tags": {"$in": ["red", "blue"]}},
        where("ContainsAny", "tags", valueTextArray=["red", "blue"]),
        {"must": [{"key": "tags", "match": {"any": ["red", "blue"]}}]},
    ),
    (
        C("tags", "contains_all", ["red", "blue"]),
        {"$and": [{"tags": {"$eq": "red"}}, {"tags": {"$eq": "blue"}}]},
        where("ContainsAll", "tags", valueTextArray=["red", "blue"]),
        {"must": [{"key": "tags", "match": {"value": "red"}}, {"key": "tags", "match": {"value": "blue"}}]},
    ),
    (
        Not(C("tags", "contains_all", ["red", "blue"])),
        {"$or": [{"tags": {"$ne": "red"}}, {"tags": {"$ne": "blue"}}, {"tags": {"$exists": False}}]},
        {"operator": "Not", "operands": [where("ContainsAll", "tags", valueTextArray=["red", "blue"])]},
        {
            "must_not": [
                {
                    "must": [
                        {"key": "tags", "match": {"value": "red"}},
                        {"key": "tags", "match": {"value": "blue"}},
                    ]
                }
            ]
        },
    ),
    (C("tags", "contains_all", []), REFUSED, REFUSED, REFUSED),
    (
        C("lang", "exists", True),
        {"lang": {"$exists": True}},
        where("IsNull", "lang", valueBoolean=False),
        {"must_not": [{"is_empty": {"key": "lang"}}]},
    ),
    (
        C("meta.lang", "eq", "en"),
        {"meta.lang": {"$eq": "en"}},
        REFUSED,
        {
            "should": [
                {"key": '"meta.lang"', "match": {"value": "en"}},
                {"key": "meta.lang", "match": {"value": "en"}},
            ]
        },
    ),
    (
        C("a.b.c", "ne", "x"),
        {"$or": [{"a.b.c": {"$ne": "x"}}, {"a.b.c": {"$exists": False}}]},
        REFUSED,
        {"must_not": [{"key": k, "match": {"value": "x"}} for k in ('"a.b.c"', 'a."b.c"', "a.b.c")]},
    ),
    (
        C("odd key", "eq", "x"),
        {"odd key": {"$eq": "x"}},
        REFUSED,
        {"must": [{"key": '"odd key"', "match": {"value": "x"}}]},
    ),
    (C("n", "eq", 2**53), REFUSED, REFUSED, REFUSED),
    (C("n", "lt", -(2**53)), REFUSED, REFUSED, REFUSED),
    (
        C("n", "gt", 1e300),
        {"n": {"$gt": 1e300}},
        where("GreaterThan", "n", valueNumber=1e300),
        {"must": [{"key": "n", "range": {"gt": 1e300}}]},
    ),
    (
        C("lang", "eq", "en") & (C("year", "gte", 2020) | C("draft", "eq", True)) & C("v", "ne", 1),
        {
            "$and": [
                {"lang": {"$eq": "en"}},
                {"$or": [{"year": {"$gte": 2020}}, {"draft": {"$eq": True}}]},
                {"$or": [{"v": {"$ne": 1}}, {"v": {"$exists": False}}]},
            ]
        },
        {
            "operator": "And",
            "operands": [
                where("Equal", "lang", valueText="en"),
                {
                    "operator": "Or",
                    "operands": [
                        where("GreaterThanEqual", "year", valueInt=2020),
                        where("Equal", "draft", valueBoolean=True),
                    ],
                },
                where("NotEqual", "v", valueInt=1),
            ],
        },
        {
            "must": [
                {"key": "lang", "match": {"value": "en"}},
                {
                    "should": [
                        {"key": "year", "range": {"gte": 2020}},
                        {"key": "draft", "match": {"value": True}},
                    ]
                },
            ],
            "must_not": [{"key": "v", "range": {"gte": 1, "lte": 1}}],
        },
    ),
]
CASES = [
    pytest.param(node, provider, form, id=f"{provider}: {node!r}")
    for node, *forms in FORMS
    for provider, form in zip(("pinecone", "weaviate", "qdrant"), forms, strict=True)
]


@pytest.mark.parametrize(("node", "provider", "form"), CASES)
def test_native_form(node: Node, provider: str, form: Any) -> None:
    if form is REFUSED:
        with pytest.raises(UnsupportedOperationError) as refused:
            to_native(node, provider)
        assert refused.value.provider == provider
        return
    native = to_native(node, provider)
    assert native == form
    assert repr(native) == repr(form), "2020 is not 2020.0, and True is not 1"


@pytest.mark.parametrize("provider", ["pinecone", "weaviate", "qdrant"])
def test_no_filter_and_an_impossible_one(provider: str) -> None:
    assert to_native([], provider) == {}
    assert compiler_for(provider).compile([]).native is None
    assert compiler_for(provider).compile(MATCH_NONE).nothing
    with pytest.raises(UnsupportedOperationError, match="holds for no document"):
        to_native(MATCH_NONE, provider)


def test_an_unknown_provider_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'nosuch'; known: chroma, pinecone, qdrant, weaviate"):
        to_native([], "nosuch")


@pytest.mark.parametrize(
    ("provider", "node"),
    [
        ("pinecone", C("$year", "eq", 1)),
        ("pinecone", C("$year", "exists", True)),
        *(("weaviate", C(field, "eq", 1)) for field in ("Year", "id", "vector", "_id", "a-b", "1a", "x_nullState", "")),
        *(("weaviate", C("a", op, x)) for op, x in (("eq", ""), ("eq", " "), ("in", ["x", "\n"]))),
        ("weaviate", C("day", "gt", "9999-12-31T23:59:59-05:00")),
    ],
)
def test_what_a_database_can_not_say_is_refused_and_never_excludes(provider: str, node: Node) -> None:
    with pytest.raises(UnsupportedOperationError):
        to_native(node, provider)
    for filters in (node, Not(node)):
        compiled = compiler_for(provider).compile(filters)
        assert compiled.native is None
        assert not compiled.exact


def test_one_branch_without_a_native_form_opens_the_whole_or_and_leaves_the_and() -> None:
    day, lang = C("day", "gt", "2024-05-01"), C("lang", "eq", "en")
    compiler = compiler_for("pinecone")
    assert compiler.compile(day | lang).native is None
    assert compiler.compile(day & lang).native == {"lang": {"$eq": "en"}}
    assert not compiler.compile(day & lang).exact
