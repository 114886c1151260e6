"""Vectors: what they take, what they refuse, what they equal."""

from __future__ import annotations

import array
import copy
import pickle
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from ia_modules.vector_stores import Vector

VALUES = [1.0, -2.5, 0.0]
SINGLE = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=20)


@pytest.mark.parametrize(
    "given",
    [
        VALUES,
        tuple(VALUES),
        array.array("d", VALUES),
        array.array("f", VALUES),
        range(3),
        [1, 2],
        [1, 2.5],
        [np.float32(1)],
    ],
    ids=repr,
)
def test_sequences(given: Sequence[float]) -> None:
    assert Vector(given).tolist() == [float(x) for x in given]


@pytest.mark.parametrize("kind", ["f2", "f4", "f8", "g", ">f4", ">f8", "i1", "i2", "i4", "i8", "u1", "u8"])
def test_arrays_of_every_real_kind(kind: str) -> None:
    vector = Vector(np.array([1, 2, 3], dtype=kind))
    assert vector.tolist() == [1.0, 2.0, 3.0]
    assert vector.array.dtype == np.float32


def test_arrays_that_are_not_contiguous() -> None:
    matrix = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert Vector(matrix[:, 1]) == [1, 5, 9]
    assert Vector(matrix[0, ::-1]) == [3, 2, 1, 0]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "empty"),
        (np.empty(0), "empty"),
        (np.empty(0, dtype=np.float32), "empty"),
        ([1.0, float("nan")], "NaN"),
        ([float("inf")], "infinite"),
        (np.array([1, -np.inf], dtype=np.float32), "infinite"),
        ([1e300], "single precision"),
        (np.array([1e39]), "single precision"),
        ("123", "text"),
        (b"123", "text"),
        (["1", "2"], "other elements"),
        ([1.0, "2"], "other elements"),
        ([True, False], "other elements"),
        (np.array([True]), "other elements"),
        ([1.0, None], "other elements"),
        ([Decimal(1)], "other elements"),
        ([1j], "other elements"),
        ([10**400], "other elements"),
        (np.array([1, 2], dtype=object), "other elements"),
        (np.array(["2026-01-01"], dtype="M8[D]"), "other elements"),
        ([[1.0, 2.0]], r"shape \(1, 2\)"),
        (np.ones((2, 2), dtype=np.float32), r"shape \(2, 2\)"),
        ([[1.0], [2.0, 3.0]], "flat sequence"),
        (1.0, r"shape \(\)"),
        (None, r"shape \(\)"),
        ({1.0, 2.0}, r"shape \(\)"),
        ({0: 1.0}, r"shape \(\)"),
        (iter([1.0]), r"shape \(\)"),
    ],
    ids=lambda value: repr(value)[:30].partition(" at 0x")[0],
)
def test_what_is_refused(given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Vector(given)


def test_the_largest_numbers_are_kept() -> None:
    largest = float(np.finfo(np.float32).max)
    assert Vector([largest] * 3).tolist() == [largest] * 3


@given(SINGLE)
def test_single_precision_comes_back_exactly(values: list[float]) -> None:
    assert Vector(values).tolist() == values
    assert Vector(Vector(values)) == values


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int64])
def test_the_source_may_be_filled_again(kind: type) -> None:
    buffer = np.array([1, 2, 3], dtype=kind)
    vector = Vector(buffer)
    buffer[:] = 9
    assert vector == [1, 2, 3]


def test_the_array_can_not_be_written_to() -> None:
    vector = Vector(VALUES)
    for view in (vector.array, np.asarray(vector)):
        with pytest.raises(ValueError, match="read-only"):
            view[0] = 9
    np.array(vector)[0] = 9
    assert vector == VALUES


def test_as_an_array() -> None:
    vector = Vector(VALUES)
    assert np.asarray(vector) is vector.array
    assert np.asarray(vector, dtype=np.float64).dtype == np.float64
    assert np.asarray([vector, vector]).shape == (2, 3)


EQUAL: list[Any] = [
    VALUES,
    tuple(VALUES),
    np.array(VALUES),
    np.array(VALUES, dtype=np.float32),
    Vector(VALUES),
    pytest.approx(VALUES),
]


@pytest.mark.parametrize("other", EQUAL, ids=lambda other: type(other).__name__)
def test_what_it_equals(other: Any) -> None:
    assert Vector(VALUES) == other


@pytest.mark.parametrize(
    "other",
    [
        [1.0, -2.5],
        [1.0, -2.5, 0.1],
        [1.0, -2.5, 1e300],
        [1.0, -2.5, None],
        ["a", "b", "c"],
        "abc",
        None,
        3,
    ],
    ids=repr,
)
def test_what_it_does_not_equal(other: Any) -> None:
    assert Vector(VALUES) != other


def test_doubles_are_rounded_before_they_are_compared() -> None:
    assert Vector([0.1, 0.2]) == [0.1, 0.2]
    assert Vector([0.1, 0.2]) == [0.1, 0.2]
    assert Vector([0.1]).tolist() != [0.1]


def test_as_a_sequence() -> None:
    vector = Vector(VALUES)
    assert (len(vector), vector[0], vector[-1], vector[1:]) == (3, 1.0, 0.0, [-2.5, 0.0])
    assert type(vector[0]) is float
    assert list(vector) == VALUES
    assert -2.5 in vector
    with pytest.raises(IndexError):
        vector[3]
    with pytest.raises(TypeError, match="unhashable"):
        hash(vector)


def test_repr_is_short() -> None:
    assert repr(Vector(VALUES)) == "Vector([1, -2.5, 0], dimension=3)"
    assert len(repr(Vector([0.123456789] * 5000))) < 80


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))])
def test_copies(copied: Any) -> None:
    assert copied(Vector(VALUES)) == VALUES


def test_a_pickled_row_does_not_bring_its_matrix() -> None:
    matrix = np.ones((1000, 8), dtype=np.float32)
    matrix.flags.writeable = False
    assert len(pickle.dumps(Vector(matrix[3]))) < 500


def test_in_a_pydantic_model() -> None:
    class Model(BaseModel):
        vector: Vector

    model = Model(vector=VALUES)  # type: ignore[arg-type]
    assert model.model_dump() == {"vector": VALUES}
    assert Model.model_validate_json(model.model_dump_json()) == model
    schema = Model.model_json_schema()["properties"]["vector"]
    assert (schema["type"], schema["items"], schema["minItems"]) == ("array", {"type": "number"}, 1)
