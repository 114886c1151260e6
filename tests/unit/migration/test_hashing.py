"""Hashes are equal for equal contents only, types included."""

from __future__ import annotations

import json
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ia_modules.vector_stores import InvalidDocumentError, VectorDocument
from ia_modules.vector_stores.migration.hashing import (
    HASH_BYTES,
    canonical_metadata,
    content_key,
    payload_key,
    vector_deviations,
    vector_key,
)
from ia_modules.vector_stores.vectors import Vector

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from([0, 0.0, -0.0, 1, 1.0, True, False, "1", "true", "null", "", [], {}])
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)
METADATA = st.dictionaries(st.text(max_size=3), VALUES, max_size=3)


def document(metadata: dict[str, Any] | None = None, text: str | None = None, vector: Any = (1.0,)) -> VectorDocument:
    return VectorDocument(id="a", vector=vector, metadata=metadata or {}, text=text)


def exact(value: Any) -> Any:
    """Something that is equal for the same value of the same type only; written otherwise than what is tested."""
    if isinstance(value, dict):
        return {"object": {key: exact(item) for key, item in value.items()}}
    if isinstance(value, list):
        return [exact(item) for item in value]
    return (type(value), value.hex() if isinstance(value, float) else value)


DIFFERENT: list[dict[str, Any]] = [
    {},
    *({"a": value} for value in (3, 3.0, "3", 1, True, 1.0, 0, False, 0.0, -0.0, None, "", [], {}, "null", "None")),
    *({"a": value} for value in ([3], [3.0], [None], [[]], {"b": None}, {"b": []}, 2**53, 2**53 + 1, float(2**53))),
    *({"a": value} for value in (2**63 - 1, float(2**63), 0.1, 0.1 + 2**-56, 5e-324, "é", "e\u0301", "\\u00e9")),
    *({"a": value} for value in (2**63, 2**64, -(2**63) - 1, "\ud83d\ude00", "😀", "\n", "\\n")),
    {"a.b": 1},
    {"a": {"b": 1}},
    {"a": 3, "b": None},
    {"A": 3},
]


def test_what_differs_in_value_or_type_differs_in_hash() -> None:
    keys = [payload_key(document(metadata)) for metadata in DIFFERENT]
    for (one, metadata), (other, different) in combinations(zip(keys, DIFFERENT, strict=True), 2):
        assert one != other, (metadata, different)


def test_text_and_its_absence_differ() -> None:
    texts = [None, "", "-", "=", "\n", "\n-", "a", "\ud800"]
    metadata: list[dict[str, Any]] = [{}, {"a": "\n-"}, {"a": "-"}]
    keys = {payload_key(VectorDocument.model_construct(id="a", metadata=m, text=t)) for t in texts for m in metadata}
    assert len(keys) == len(texts) * len(metadata)


@given(METADATA, METADATA)
def test_hashes_are_equal_exactly_if_contents_are(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert (canonical_metadata(one) == canonical_metadata(other)) == (exact(one) == exact(other))


@given(METADATA)
def test_the_order_of_keys_and_a_way_through_json_change_nothing(metadata: dict[str, Any]) -> None:
    def turned(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: turned(value[key]) for key in reversed(value)}
        return [turned(item) for item in value] if isinstance(value, list) else value

    assert payload_key(document(turned(metadata))) == payload_key(document(metadata))
    assert payload_key(document(json.loads(json.dumps(metadata)))) == payload_key(document(metadata))


def test_metadata_that_contains_itself_is_an_error() -> None:
    endless: dict[str, Any] = {}
    endless["k"] = {"again": [endless]}
    with pytest.raises(InvalidDocumentError, match="nested more than 64 levels"):
        canonical_metadata(endless, "a")


def test_numpy_scalars_and_tuples_count_as_what_is_stored() -> None:
    given = {"i": np.int64(3), "f": np.float64(0.1), "b": np.bool_(True), "l": (1, 2)}
    assert payload_key(document(given)) == payload_key(document({"i": 3, "f": 0.1, "b": True, "l": [1, 2]}))
    assert payload_key(document({"f": np.float32(0.1)})) == payload_key(document({"f": float(np.float32(0.1))}))


@pytest.mark.parametrize("value", [float("nan"), [float("inf")], {1: 2}, [{"a": {None: 2}}], object(), b"x"])
def test_what_metadata_cannot_have_is_an_error_that_shows_no_value(value: Any) -> None:
    with pytest.raises(InvalidDocumentError, match="document 'a': metadata 'k"):
        payload_key(document({"k": value}))


def test_id_and_vector_are_no_part_of_the_payload() -> None:
    one, other = document({"a": 1}, "t", [1.0, 2.0]), document({"a": 1}, "t", [1.0, 2.5])
    assert payload_key(one) == payload_key(other)
    assert content_key(one) != content_key(other)
    assert content_key(one) == content_key(VectorDocument(id="b", vector=[1.0, 2.0], metadata={"a": 1}, text="t"))
    assert content_key(one) != content_key(document({"a": 1.0}, "t", [1.0, 2.0]))
    assert len(content_key(one)) == len(payload_key(one)) == len(vector_key(one.vector)) == HASH_BYTES


def test_vectors_hash_by_their_single_precision_numbers() -> None:
    assert vector_key(Vector([0.1, 0.0])) == vector_key(Vector(np.asarray([np.float32(0.1), -0.0], dtype=np.float64)))
    next_one = np.nextafter(np.float32(0.1), np.float32(1))
    assert vector_key(Vector([0.1])) != vector_key(Vector([next_one]))
    strided = Vector.wrap(np.arange(8, dtype=np.float32)[::2])
    assert vector_key(strided) == vector_key(Vector([0, 2, 4, 6]))


def test_a_last_bit_is_less_than_a_millionth_and_a_change_is_found_however_small_the_number() -> None:
    vector = np.asarray([[3.0, 1e-7, -2.0, 0.0]], dtype=np.float32)
    assert vector_deviations(vector, np.nextafter(vector, np.float32(9)))[0, :3].max() < 2e-7
    for place in range(3):
        other = vector.copy()
        other[0, place] *= np.float32(1.001)
        deviations = vector_deviations(vector, other)[0]
        assert deviations.argmax() == place
        assert deviations[place] == pytest.approx(1e-3, rel=1e-2)
        assert np.count_nonzero(deviations) == 1


def test_deviations_at_the_ends_of_single_precision() -> None:
    def deviation(a: float, b: float, beside: float = 0.0) -> float:
        return float(vector_deviations(np.float32([[a, beside]]), np.float32([[b, beside]]))[0, 0])

    assert deviation(0.0, -0.0) == 0.0
    assert deviation(1.0, -1.0) == 2.0
    assert deviation(1.0, 0.0) == deviation(0.0, 1.0) == 1.0
    assert deviation(3e38, -3e38) == 2.0
    assert deviation(1.0, float("nan")) == deviation(1.0, float("inf")) == 2.0
    assert deviation(1e-45, 0.0, beside=1.0) == 0.0  # lost where vectors are scaled
    assert deviation(1e-40, 1.1e-40) > 0.05  # but not where all is that small
