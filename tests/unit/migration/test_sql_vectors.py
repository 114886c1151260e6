"""Vectors in each form that an SQL column can have, and which form it is."""

from __future__ import annotations

import io
import json
import pickle
import random
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ia_modules.vector_stores.migration.sql.detecting import examined
from ia_modules.vector_stores.migration.sql.vectors import decode, matrix
from sql_sources import f32, vectors


def npy(array: Any, **how: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **how)
    return stream.getvalue()


WRITERS: dict[str, Any] = {
    "json": lambda row: json.dumps(row.tolist()),
    "array": lambda row: row.tolist(),
    "float32": lambda row: row.astype("<f4").tobytes(),
    "float64": lambda row: row.astype("<f8").tobytes(),
    "npy": npy,
}
rows = st.integers(1, 9).flatmap(
    lambda width: arrays.arrays(
        np.float32, (3, width), elements=st.floats(width=32, allow_nan=False, allow_infinity=False)
    )
)


@pytest.mark.parametrize("form", WRITERS)
@given(table=rows)
@settings(max_examples=60, deadline=None)
def test_every_float32_comes_back(form: str, table: np.ndarray[Any, Any]) -> None:
    result, causes = matrix([WRITERS[form](row) for row in table], form, table.shape[1])
    assert causes == [None] * 3
    assert result.dtype == np.float32
    assert result.shape == table.shape
    assert (result == table).all()
    assert not result.flags.writeable


@given(row=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=9))
def test_doubles_are_read_exactly(row: list[float]) -> None:
    assert decode(json.dumps(row), "json").tolist() == row
    assert decode(np.array(row, "<f8").tobytes(), "float64").tolist() == row


@pytest.mark.parametrize(
    ("form", "value", "cause"),
    [
        ("json", None, "NULL"),
        ("json", "[1, 2", "not valid JSON"),
        ("json", '{"a": 1}', "not an array but an object"),
        ("json", "[]", "empty"),
        ("json", "[1, true]", "other elements than numbers: bool"),
        ("json", '[1, "2"]', "other elements than numbers: str"),
        ("json", "[1, null]", "other elements than numbers: NULL"),
        ("json", "[[1, 2]]", "other elements than numbers: list"),
        ("json", "[1, NaN]", "NaN or infinite"),
        ("json", "[1, 1e39]", "too large"),
        ("json", "[1, 1" + "0" * 400 + "]", "too large"),
        ("json", "[1, 2, 3]", "3 numbers; the others have 2"),
        ("json", "[1, \udcff]", "not valid JSON"),
        ("array", [1.0, None], "NULL"),
        ("array", [float("inf"), 1.0], "NaN or infinite"),
        ("float32", None, "NULL"),
        ("float32", "text", "not bytes but text"),
        ("float32", b"1234567", "7 bytes; 2 numbers of float32 have 8"),
        ("float32", b"", "0 bytes"),
        ("float32", f32(1, 2, 3), "3 numbers; the others have 2"),
        ("float32", f32(1, float("nan")), "NaN or infinite"),
        ("float64", np.array([1, 1e39]).tobytes(), "too large"),
        ("npy", npy(np.array([1, None], object), allow_pickle=True), "pickled objects"),
        ("npy", npy(np.array([1j, 2])), "complex128 values"),
        ("npy", npy(np.ones((2, 2))), r"shape \(2, 2\)"),
        ("npy", npy(np.ones(0)), r"shape \(0,\)"),
        ("npy", npy(np.ones(2))[:-1], "more or fewer"),
        ("npy", npy(np.ones(2))[:20], "damaged"),
        ("npy", npy(np.ones(2)).replace(b"'descr'", b"'dascr'"), "damaged"),
        ("npy", pickle.dumps([1.0, 2.0]), "would run code"),
        ("npy", b"something", "not in numpy's file format"),
    ],
)
def test_what_is_no_vector_has_a_cause_and_disturbs_no_other(form: str, value: Any, cause: str) -> None:
    good = WRITERS[form](np.array([1.5, -2], np.float32))
    result, causes = matrix([good, value, good], form, 2)
    assert (causes[0], causes[2]) == (None, None)
    assert result[[0, 2]].tolist() == [[1.5, -2], [1.5, -2]]
    with pytest.raises(ValueError, match=cause):
        raise ValueError(causes[1])
    assert "text" not in (causes[1] or "").replace("but text", "")


@pytest.mark.parametrize("kind", ["<f2", "<f4", ">f4", "<f8", ">f8", "<i4", "u1"])
@pytest.mark.parametrize("shape", [(3,), (1, 3)])
def test_numpy_files_of_any_real_type(kind: str, shape: tuple[int, ...]) -> None:
    result, causes = matrix([npy(np.array([1, 2, 100]).astype(kind).reshape(shape))], "npy", 3)
    assert (result.tolist(), causes) == ([[1, 2, 100]], [None])


def test_decimals_and_other_buffers() -> None:
    assert decode([Decimal("0.1"), Decimal(2)], "array").tolist() == [0.1, 2.0]
    assert matrix([memoryview(f32(1, 2)), bytearray(f32(3, 4))], "float32", 2)[0].tolist() == [[1, 2], [3, 4]]
    assert decode(b"[1, 2]", "json").tolist() == [1, 2]


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("scale", [0.05, 1.0, 30.0])
@pytest.mark.parametrize("doubles", [False, True])
def test_the_form_is_found(form: str, scale: float, doubles: bool) -> None:
    """Whether numbers have the digits of a double or were single once, scaled or not."""
    table = np.random.default_rng(3).standard_normal((20, 64)) * scale
    table = table if doubles else table.astype(np.float32).astype(np.float64)
    finding = examined([WRITERS[form](row) for row in table], None, None)
    assert (finding.form, finding.dimension, finding.agreeing, finding.sampled) == (form, 64, 20, 20)


def test_one_bad_vector_does_not_hide_the_form() -> None:
    table = vectors(5, 64)
    table[2] = np.nan
    for form in ("float32", "float64"):
        assert examined([WRITERS[form](row) for row in table], None, None).form == form


@pytest.mark.parametrize(
    "values",
    [
        [f32(1, 2)],
        [np.array([1.0, 2.0]).tobytes()],
        [bytes(64)] * 20,
        [f32(*[1.0] * 16)] * 20,
        [np.arange(1.0, 9.0).tobytes()] * 20,
    ],
)
def test_bytes_that_can_be_either_have_to_be_named(values: list[bytes]) -> None:
    finding = examined(values, None, None)
    assert finding.form is None
    assert "vector_format=" in (finding.doubt or "")
    assert examined(values, "float32", None).dimension == len(values[0]) // 4
    assert examined(values, None, len(values[0]) // 8).form == "float64"
    assert examined(values, None, len(values[0]) // 4).form == "float32"
    assert examined(values, None, 5).form is None


@pytest.mark.parametrize(
    "values",
    [
        ["a", "b"],
        ["[1, 2", "[x"],
        [b"abc"],
        [random.Random(1).randbytes(400), random.Random(2).randbytes(800)],
        [pickle.dumps([1.0])],
        [1, 2],
        [b""],
    ],
)
def test_other_values_are_no_vectors(values: list[Any]) -> None:
    finding = examined(values, None, None)
    assert not finding.is_vectors
    assert finding.doubt


def test_most_values_decide() -> None:
    finding = examined(["[1, 2]", None, "[1, 2, 3]", "[3, 4]", "x"], None, None)
    assert (finding.form, finding.dimension, finding.agreeing, finding.sampled) == ("json", 2, 2, 4)
    assert not finding.is_vectors
