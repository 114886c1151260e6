"""How documents lie in Qdrant: ids, names, payloads, vectors."""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ia_modules.vector_stores.metrics import DistanceMetric
from ia_modules.vector_stores.providers.qdrant.layout import (
    MAX_COLLECTION_NAME,
    changed,
    collection_name,
    encode,
    namespace_of,
    namespace_value,
    point,
    point_id,
    point_ids,
    to_unit,
)
from ia_modules.vector_stores.testing.strategies import metadata as metadatas

SPACE = uuid.UUID("6d2a4a52-5b5e-5c0e-9f0e-0f4bb5b3c7a1")


@given(namespace=st.text(max_size=20), document_id=st.text(min_size=1, max_size=40))
def test_a_point_s_id_is_a_uuid5_of_namespace_and_id(namespace: str, document_id: str) -> None:
    assert point_id(namespace, document_id) == str(uuid.uuid5(SPACE, f"{namespace}\0{document_id}"))


def test_ids_do_not_meet_across_namespaces() -> None:
    pairs = [
        ("", "a"),
        ("a", ""),
        ("a", "b"),
        ("ab", "c"),
        ("a", "bc"),
        ("", "/a"),
        ("/", "a"),
        ("\u00e9", "a"),
        ("e\u0301", "a"),
    ]
    assert len({point_id(*pair) for pair in pairs}) == len(pairs)
    assert point_ids("n", ["a", "b"]) == [point_id("n", "a"), point_id("n", "b")]


@given(st.text(min_size=1, max_size=60))
def test_a_collection_name_has_nothing_that_qdrant_forbids_and_leads_back(name: str) -> None:
    collection = collection_name(name)
    assert not set(collection) & set('<>:"/\\|?*\0\x1f')
    assert collection not in (".", "..")
    assert unquote(collection) == name


@pytest.mark.parametrize("name", ["articles", "My docs", "päivä", "a.b-c_d", "日本", "#1 & more"])
def test_a_usual_name_is_kept_so_that_existing_collections_open(name: str) -> None:
    assert collection_name(name) == name


def test_a_long_name_is_known_to_be_too_long() -> None:
    assert len(collection_name("a" * 255).encode()) == MAX_COLLECTION_NAME


def test_a_namespace_is_never_taken_for_a_uuid() -> None:
    text = "550E8400E29B41D4A716446655440000"
    with pytest.raises(ValueError, match="badly formed"):
        uuid.UUID(namespace_value(text))
    assert namespace_of(namespace_value(text)) == text


def roundtrip(metadata: dict[str, Any], text: str | None = None) -> tuple[str, dict[str, Any], str | None]:
    found = point("key", encode("id", "/", metadata, text, 0.0), None)
    assert found.namespace == "/"
    return found.id, found.metadata, found.text


@given(metadata=metadatas(), text=st.none() | st.text(max_size=5))
def test_what_is_encoded_is_decoded(metadata: dict[str, Any], text: str | None) -> None:
    document_id, found, found_text = roundtrip(metadata, text)
    assert repr(sorted(found.items())) == repr(sorted(metadata.items()))
    assert (document_id, found_text) == ("id", text)


@given(old=metadatas(), changes=metadatas())
def test_a_merge_of_changes_is_an_update(old: dict[str, Any], changes: dict[str, Any]) -> None:
    payload = encode("id", "/", old, None, 0.0)
    for key, value in changed(changes).items():  # as Qdrant merges: a null removes the key
        if value is None:
            payload.pop(key, None)
        else:
            payload[key] = value
    found = point("key", payload, None).metadata
    assert repr(sorted(found.items())) == repr(sorted((old | changes).items()))


@pytest.mark.parametrize(
    "key", ["_ia_id", "_ia_ns", "_ia_text", "_ia_norm", "_ia_null:x", "_ia_key:x", "_ia_exact:x", "_ia_"]
)
def test_a_key_like_one_of_ours_is_the_user_s(key: str) -> None:
    metadata = {key: 1.1, "x": [], "other": None}
    assert roundtrip(metadata) == ("id", metadata, None)
    payload = encode("id", "/", {}, None, 0.0) | {k: v for k, v in changed({key: None}).items() if v is not None}
    assert point("key", payload, None).metadata == {key: None}


def test_the_payload_reads_as_the_metadata() -> None:
    payload = encode("doc1", "/news", {"category": "tech", "year": 2020, "tags": ["a"]}, "Text", 0.0)
    assert payload == {
        "_ia_id": "doc1",
        "_ia_ns": "/news",
        "_ia_text": "Text",
        "category": "tech",
        "year": 2020,
        "tags": ["a"],
    }


def test_what_a_payload_can_not_say_is_noted_beside_it() -> None:
    payload = encode("d", "/", {"a": [], "b": {"c": {"d": []}, "e": [[]]}, "f": 0.1 + 0.2, "g": [0.1, 1e22]}, None, 2.0)
    noted = {key: value for key, value in payload.items() if key.startswith("_ia_")}
    assert noted == {
        "_ia_id": "d",
        "_ia_ns": "/",
        "_ia_norm": 2.0,
        "_ia_empty:a": ["a"],
        "_ia_empty:b": ["b.c.d"],
        "_ia_exact:f": "0.30000000000000004",
        "_ia_exact:g": "[0.1, 1e+22]",
    }


# Vectors


def test_only_cosine_needs_unit_vectors() -> None:
    vectors = np.array([[3, 4]], dtype=np.float32)
    for metric in set(DistanceMetric) - {DistanceMetric.COSINE}:
        assert to_unit(vectors, metric) == (vectors, None)


def test_unit_vectors_are_stored_as_they_are() -> None:
    random = np.random.default_rng(1).standard_normal((50, 384))
    vectors = (random / np.linalg.norm(random, axis=1, keepdims=True)).astype(np.float32)
    stored, lengths = to_unit(vectors, DistanceMetric.COSINE)
    assert stored is vectors
    assert lengths is None


@pytest.mark.parametrize("length", [1e-15, 3e-4, 0.5, 2.0, 1e4, 1e15])
def test_other_vectors_become_unit_vectors_and_come_back(length: float) -> None:
    random = np.random.default_rng(2).standard_normal((20, 96))
    vectors = (length * random / np.linalg.norm(random, axis=1, keepdims=True)).astype(np.float32)
    stored, lengths = to_unit(vectors, DistanceMetric.COSINE)
    assert lengths is not None
    np.testing.assert_allclose(np.linalg.norm(stored, axis=1), 1.0, atol=5e-7)
    for row, unit, kept in zip(vectors, stored, lengths.tolist(), strict=True):
        back = point("key", encode("d", "/", {}, None, kept), unit).vector
        np.testing.assert_allclose(back, row, rtol=3e-7, atol=1e-7 * length)


def test_a_zero_vector_and_a_unit_vector_among_others_keep_their_numbers() -> None:
    vectors = np.array([[0, 0], [0, 1], [3, 4]], dtype=np.float32)
    stored, lengths = to_unit(vectors, DistanceMetric.COSINE)
    assert lengths is not None
    assert lengths.tolist() == [0.0, 0.0, 5.0]
    np.testing.assert_array_equal(stored[:2], vectors[:2])
