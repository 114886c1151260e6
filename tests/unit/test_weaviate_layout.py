"""How documents lie in Weaviate: names, ids, marks, properties."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ia_modules.vector_stores.filters.evaluate import instant
from ia_modules.vector_stores.providers.weaviate.layout import (
    collection_name,
    date_bound,
    date_value,
    fits_text,
    mark,
    namespace_of,
    object_ids,
    plain_name,
    reserved_name,
    sign,
    tenant_name,
)

SPACE = uuid.UUID("b6f3f5de-2c0f-53f5-9a0b-0c6f1d8f4e2b")
NAMES = st.text(st.one_of(st.sampled_from("aAbB01_-. é"), st.characters(exclude_categories=["Cs"])), min_size=1)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40))
def test_an_object_s_id_is_a_uuid5_of_the_id(document_id: str) -> None:
    assert object_ids([document_id]) == [str(uuid.uuid5(SPACE, document_id))]


@given(st.lists(NAMES, unique=True, min_size=2, max_size=6))
def test_two_indexes_have_two_collections_whatever_the_case(names: list[str]) -> None:
    collections = [collection_name(name) for name in names]
    assert len({one.lower() for one in collections}) == len(names)
    assert all(re.fullmatch(r"[A-Z][_0-9A-Za-z]*", one) for one in collections)


@pytest.mark.parametrize(
    ("index", "collection"),
    [
        ("articles", "Articles"),
        ("Articles", "Ia_1_articles"),
        ("my-index", "My_02dindex"),
        ("my_index", "My__index"),
        ("myIndex", "My_index"),
        ("2024", "Ia_12024"),
        ("ia_1", "Ia__1"),
        ("é", "Ia_1_0c3_0a9"),
    ],
)
def test_collection_names(index: str, collection: str) -> None:
    assert collection_name(index) == collection


@given(st.lists(st.text(max_size=64), unique=True, min_size=1, max_size=5))
def test_a_namespace_has_a_tenant_of_its_own_and_mostly_comes_back(namespaces: list[str]) -> None:
    namespaces = [one for one in namespaces if len(one.encode(errors="replace")) <= 64 and one.isprintable()]
    tenants = [tenant_name(one) for one in namespaces]
    assert len(set(tenants)) == len(namespaces)
    for namespace, tenant in zip(namespaces, tenants, strict=True):
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", tenant)
        assert namespace_of(tenant) == namespace or tenant.startswith("_h")


@pytest.mark.parametrize(
    ("namespace", "tenant"),
    [
        ("", "_default"),
        ("_default", "_u_5fdefault"),
        ("team-a", "team-a"),
        ("team/a", "_uteam_2fa"),
        ("é" * 12, "_b" + "w6nDqcOp" * 4),
        ("x" * 64, "x" * 64),
    ],
)
def test_tenant_names(namespace: str, tenant: str) -> None:
    assert tenant_name(namespace) == tenant
    assert namespace_of(tenant) == namespace


def test_a_long_namespace_s_tenant_is_a_digest() -> None:
    assert len(tenant_name("é" * 32)) <= 64
    assert tenant_name("é" * 32) != tenant_name("é" * 31 + "e\u0301"[:1])
    assert namespace_of(tenant_name("é" * 32)) is None


@pytest.mark.parametrize("tenant", ["_", "_x", "_u_ff", "_b*", "_hwhatever", "_u_", "_uplain", "_u"])
def test_somebody_else_s_tenant_is_no_namespace(tenant: str) -> None:
    assert namespace_of(tenant) is None


@pytest.mark.parametrize("path", ["lang", "year2", "userId", "a_b", "x" * 200])
def test_fields_with_a_property_of_their_own_name(path: str) -> None:
    assert plain_name(path) == path


@pytest.mark.parametrize(
    "path",
    ["", "Lang", "_x", "_ia_id", "a.b", "a b", "id", "vector", "é", "1a", "x" * 201, "a_nullState", "a_propertyLength"],
)
def test_fields_without(path: str) -> None:
    assert plain_name(path) is None


@given(st.lists(NAMES, unique=True, min_size=2, max_size=6), st.sampled_from(["text", "number"]))
def test_reserved_names_are_distinct_whatever_the_case(fields: list[str], kind: str) -> None:
    names = [reserved_name(path, kind) for path in fields]
    assert len({name.lower() for name in names}) == len(fields)
    assert all(re.fullmatch(r"_ia_[tn]_[_0-9a-z]{0,220}", name) for name in names)


def test_reserved_names() -> None:
    assert reserved_name("a.b", "number") == "_ia_n_a_2eb"
    assert reserved_name("userId", "text") == "_ia_t_user_49d"
    assert len(reserved_name("x" * 5000, "text")) < 231


VALUES = st.one_of(st.text(max_size=8), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False))


@given(st.text(max_size=6), VALUES, st.booleans(), st.text(max_size=6), VALUES, st.booleans())
def test_marks_are_equal_only_for_equal_things(a: str, x: Any, i: bool, b: str, y: Any, j: bool) -> None:
    if any(isinstance(v, float) and v in (float("inf"), float("-inf")) for v in (x, y)):
        return
    same = a == b and i == j and isinstance(x, bool) == isinstance(y, bool) and x == y
    assert (mark(a, x, element=i) == mark(b, y, element=j)) == same
    assert mark(a, x, element=i).strip() == mark(a, x, element=i)
    assert mark(a, x, element=i) not in (sign("?", a), sign("[", a))


def test_long_texts_and_fields_are_marked_by_digest() -> None:
    assert len(mark("f", "x" * 100_000, element=False)) < 100
    assert len(mark("f" * 100_000, "x", element=False)) < 100
    assert mark("f", "x" * 1000, element=False) != mark("f", "x" * 1001, element=False)


@pytest.mark.parametrize(
    ("text", "fits"),
    [("a", True), ("a b", True), ("", False), (" a", False), ("a\n", False), ("x" * 513, False), ("é" * 257, False)],
)
def test_texts_that_weaviate_finds(text: str, fits: bool) -> None:
    assert fits_text(text) is fits


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("2024-05-01", "2024-05-01T00:00:00Z"),
        ("2024-05-01T12:00:00.1234567+02:00", "2024-05-01T10:00:00.123456Z"),
        ("0001-01-01", "1678-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59-12:00", "2262-01-01T00:00:00Z"),
        ("not a date", None),
        ("5", None),
    ],
)
def test_dates(text: str, stored: str | None) -> None:
    assert date_value(text) == stored


@given(st.datetimes(), st.datetimes())
def test_clamped_dates_keep_the_order_that_is_asked_natively(a: Any, b: Any) -> None:
    value, bound = date_value(a.isoformat()), date_bound(b.isoformat())
    if bound is not None:
        assert value is not None
        mine, other = instant(value), instant(bound)
        assert mine is not None
        assert other is not None
        assert (mine < other) == (a < b)
        assert (mine <= other) == (a <= b)
