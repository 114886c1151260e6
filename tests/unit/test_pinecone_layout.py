"""How documents lie in Pinecone: names, ids, metadata, and the filters for it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ia_modules.vector_stores.filters import And, Condition, Node, Not, Or
from ia_modules.vector_stores.providers.pinecone.filtering import StoredCompiler
from ia_modules.vector_stores.providers.pinecone.layout import (
    MAX_METADATA_BYTES,
    date_bound,
    decode,
    document_id,
    encode,
    index_name,
    is_hashed,
    namespace_name,
    namespace_of,
    record_id,
    size_bound,
)
from ia_modules.vector_stores.testing.filter_table import CONDITIONS, DOCUMENTS
from ia_modules.vector_stores.testing.strategies import metadata as metadatas
from ia_modules.vector_stores.testing.strategies import trees
from pinecone_filters import check

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
compiler = StoredCompiler()


def kept(native: dict[str, Any]) -> dict[str, Any]:
    """Metadata as Pinecone gives it back: numbers are doubles, and nothing is null."""
    found = json.loads(json.dumps(native))
    for value in found.values():
        assert isinstance(value, str | bool | int | float) or all(isinstance(item, str) for item in value)
    return {k: float(v) if isinstance(v, int | float) and not isinstance(v, bool) else v for k, v in found.items()}


def exactly(value: Any) -> str:
    return repr(sorted(value.items())) if isinstance(value, dict) else repr(value)


@given(metadatas(), st.none() | TEXTS)
def test_metadata_and_text_come_back_with_their_types(metadata: dict[str, Any], text: str | None) -> None:
    found, found_text = decode(kept(encode("a", metadata, text)))
    assert exactly(found) == exactly(metadata)
    assert found_text == text


ODD = [
    {},
    {"n": 3, "x": 3.0, "b": True},
    {"n": -0.0},
    {"n": 2**53},
    {"n": 2**53 + 1, "x": float(2**53)},
    {"n": -(2**63), "m": 1e300, "t": 5e-324},
    {"none": None, "also": None, "x": 1.0},
    {"list": []},
    {"list": ["a"]},
    {"list": ["a", 1, True, None, 1.0, [2]]},
    {"o": {}},
    {"o": {"p": {"q": [1]}}, "o.p": "first"},
    {"~t": "mine", "~m": "{}", "~f": ["x"], "~e:x": "1", "~": "", "$and": 1, "": 0},
    {"text": "t", "id": "i", "vector": [1], "namespace": "n", "_values": 1},
]


@pytest.mark.parametrize("metadata", ODD)
def test_odd_metadata_comes_back(metadata: dict[str, Any]) -> None:
    assert exactly(decode(kept(encode("a", metadata, None)))[0]) == exactly(metadata)


def test_usual_metadata_lies_in_pinecone_as_anyone_would_put_it() -> None:
    metadata = {"title": "x", "year": 2024, "score": 0.5, "new": True, "tags": ["a", "b"]}
    assert encode("a", metadata, "words") == metadata | {"~l": ["tags"], "~t": "words"}


def test_somebody_else_s_metadata_is_read_as_it_is() -> None:
    theirs = {"genre": "drama", "year": 2020.0, "rating": 4.5, "tags": ["a"], "~x": 1.0}
    assert decode(theirs) == ({"genre": "drama", "year": 2020, "rating": 4.5, "tags": ["a"], "~x": 1}, None)
    assert decode(None) == ({}, None)


@given(st.lists(TEXTS.filter(bool), unique=True, min_size=2, max_size=6))
def test_every_id_has_a_record_of_its_own(ids: list[str]) -> None:
    records = [record_id(one) for one in ids]
    assert len(set(records)) == len(ids)
    for one, record in zip(ids, records, strict=True):
        assert re.fullmatch(r"[\x01-\x7f]{1,512}", record)
        assert document_id(record, encode(one, {}, None)) == one
        assert is_hashed(record) or document_id(record, None) == one


@pytest.mark.parametrize(
    ("given", "record"),
    [
        ("article-1", "article-1"),
        ("a b/c?d#e&f", "a b/c?d#e&f"),
        ("é", "ia--w6k"),
        ("a\0b", "ia--YQBi"),
        ("ia--w6k", "ia--aWEtLXc2aw"),
        ("ia--#", "ia--aWEtLSM"),
    ],
)
def test_records_of_ids(given: str, record: str) -> None:
    assert record_id(given) == record
    assert document_id(record, None) == given


def test_long_ids_are_hashed() -> None:
    for one in ("é" * 256, "ia--" + "x" * 508):
        assert len(record_id(one)) < 100
        assert is_hashed(record_id(one))
        assert document_id(record_id(one), encode(one, {}, None)) == one
    assert record_id("x" * 512) == "x" * 512


@pytest.mark.parametrize("record", ["ia--", "ia--*", "ia--#", "ia--#abc", "ia--_w", "ia--YQ"])
def test_somebody_else_s_record_has_the_id_that_it_has(record: str) -> None:
    assert document_id(record, {}) == record
    assert document_id(record, {"~i": "other"}) == record


@given(st.lists(TEXTS.filter(lambda t: len(t.encode()) <= 64), unique=True, min_size=2, max_size=6))
def test_every_namespace_has_one_of_its_own(namespaces: list[str]) -> None:
    names = [namespace_name(one) for one in namespaces]
    assert len(set(names)) == len(names)
    for namespace, name in zip(namespaces, names, strict=True):
        assert name.isascii()
        assert namespace_of(name) == namespace


@pytest.mark.parametrize(
    ("namespace", "name"),
    [("", ""), ("team a/b", "team a/b"), ("__default__", "ia--X19kZWZhdWx0X18"), ("é", "ia--w6k"), (" x", "ia--IHg")],
)
def test_names_of_namespaces(namespace: str, name: str) -> None:
    assert namespace_name(namespace) == name
    assert namespace_of(name) == namespace


def test_the_default_namespace_has_two_names() -> None:
    assert namespace_of("__default__") == ""


@given(st.lists(TEXTS.filter(bool), unique=True, min_size=2, max_size=6))
def test_every_index_has_a_name_of_its_own(names: list[str]) -> None:
    indexes = [index_name(name) for name in names]
    assert len(set(indexes)) == len(names)
    assert all(len(one) <= 45 and re.fullmatch(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?", one) for one in indexes)


def test_names_of_indexes() -> None:
    assert index_name("articles-2024") == "articles-2024"
    assert re.fullmatch(r"ia--my-articles-[a-z2-7]{20}", index_name("My Articles"))
    assert re.fullmatch(r"ia--[a-z2-7]{20}", index_name("é"))
    assert index_name(index_name("é")) != index_name("é")


@given(metadatas(), st.none() | TEXTS)
def test_the_bound_of_the_size_is_one(metadata: dict[str, Any], text: str | None) -> None:
    data = json.dumps(encode("é" * 256, metadata, text), ensure_ascii=False, separators=(",", ":"))
    assert len(data.encode()) <= size_bound(metadata, text)


def test_the_bound_lets_usual_documents_pass() -> None:
    assert size_bound({"title": "x" * 100, "year": 2024}, "y" * 2000) < MAX_METADATA_BYTES


CORPUS = [*DOCUMENTS, *ODD]
PAIRS = [(document, kept(encode("a", document, None))) for document in CORPUS]


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


@pytest.mark.parametrize(
    "node",
    [
        Condition("lang", "eq", "en"),
        Not(Condition("year", "in", [2020, 2021, True, "x"])),
        Condition("n", "eq", 2**53 + 1),
        Condition("year", "gte", 2020),
        Condition("published", "lt", "2024-05-01"),
        Not(Condition("published", "lt", "2024-05-01T12:00:00+02:00")),
        Condition("tags", "contains_any", ["a", 1, False]),
        Not(Condition("tags", "contains_all", ["a", 1])),
        Condition("a.b", "exists", False),
        Not(Or((Condition("a", "eq", 1), And((Condition("$b", "contains", "x"), Condition("~c", "ne", None)))))),
    ],
)
def test_what_pinecone_filters_alone(node: Node) -> None:
    compiled = compiler.compile(node)
    assert compiled.exact
    assert compiled.native is not None


@pytest.mark.parametrize(
    "node",
    [
        Not(Condition("year", "gte", 2020)),
        Condition("n", "lt", 2**53 + 1),
        Condition("published", "gt", "1600-01-01"),
        Condition("published", "gt", "2300-01-01"),
    ],
)
def test_what_is_checked_here(node: Node) -> None:
    assert not compiler.compile(node).exact


def test_dates_are_microseconds() -> None:
    assert date_bound("1970-01-01") == 0
    assert date_bound("1970-01-01T00:00:00.000001Z") == 1
    assert encode("a", {"d": "1969-12-31T23:59:59Z", "e": "1970", "f": "x"}, None)["~d:d"] == -1_000_000
    assert encode("a", {"d": "0001-01-01", "e": "9999-01-01"}, None)["~d:e"] == 2**53
