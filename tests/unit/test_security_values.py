"""Documents made to hurt: what is refused is refused at once, in a sentence that names the document."""

from __future__ import annotations

import array
import math
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import FakeStore
from ia_modules.vector_stores import InvalidDocumentError, VectorDocument
from ia_modules.vector_stores.documents import MAX_METADATA_VALUES, checked_id, checked_metadata, checked_namespace
from ia_modules.vector_stores.vectors import MAX_DIMENSION, Vector

HUGE = "k" * 10_000_000


class Mine(dict[str, Any]):
    """A dict that is not quite one."""


class Failing:
    def __len__(self) -> int:
        return 2

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        raise RuntimeError("Can't call numpy() on a tensor that requires grad")


def tower(levels: int, key: str = "k") -> Any:
    value: Any = {}
    for _ in range(levels):
        value = {key: value}
    return value


def shared(levels: int) -> Any:
    """A few lists that are a billion billion when they are written out."""
    value: Any = [1]
    for _ in range(levels):
        value = [value, value]
    return value


def cyclic() -> Any:
    value: list[Any] = []
    value.append({"again": value})
    return value


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (shared(60), f"metadata has more than {MAX_METADATA_VALUES:,} values"),
        ([None] * (MAX_METADATA_VALUES + 1), "more than 1,000,000 values"),
        (cyclic(), "more than 64 levels"),
        (tower(70, HUGE), "more than 64 levels"),
        (10**5000, "'key' is an integer beyond 64 bits"),
        ({"a": [{"b": math.nan}]}, r"'key\.a\[0\]\.b' is NaN"),
        ({HUGE: math.nan}, "is NaN"),
        (np.longdouble(1), "'key' is of type longdouble"),
        (np.ma.masked, "'key' is of type"),
        ({"a\ud800": 1}, "surrogate"),
    ],
    ids=lambda value: str(type(value).__name__),
)
async def test_metadata_that_is_refused(value: Any, message: str) -> None:
    store = FakeStore(dimension=1)
    document = VectorDocument(id="doc-7", vector=[1.0], metadata={"key": value})
    with pytest.raises(InvalidDocumentError, match=message) as caught:
        await store.upsert([document])
    assert "'doc-7'" in str(caught.value)
    assert len(str(caught.value)) < 300
    assert store.calls == []


@pytest.mark.timeout(60)
def test_metadata_that_is_taken() -> None:
    given_metadata = {
        "text": "x" * 10_000_000,
        "mine": Mine(a=Mine(b=1)),
        "proxy": MappingProxyType({"a": 1}),
        "zero": "a\0b",
        "tower": tower(63, "k" * 1000),
        "list": list(range(100_000)),
        "emoji": "\N{GRINNING FACE}",
    }
    clean = checked_metadata(given_metadata, "a")
    assert clean == {**given_metadata, "proxy": {"a": 1}}
    assert type(clean["mine"]) is dict
    assert type(clean["mine"]["a"]) is dict


@pytest.mark.timeout(60)
def test_long_keys_do_not_add_up() -> None:
    """A path of 60 keys of ten megabytes would be twenty gigabytes if it were spelled at every level."""
    assert checked_metadata(tower(60, HUGE), "a")


@pytest.mark.parametrize("metadata", [None, "text", 3, [("a", 1)]])
async def test_changes_that_are_no_object(metadata: Any) -> None:
    store = FakeStore(dimension=1)
    with pytest.raises(InvalidDocumentError, match=r"'a': metadata is of type .* where a JSON object should"):
        await store.update_metadata("a", metadata)
    assert store.calls == []


def frozen(numbers: Any) -> Any:
    numbers.setflags(write=False)
    return numbers


REFUSED: dict[str, Callable[[], Any]] = {
    "objects": lambda: np.array([1, 2], object),
    "texts": lambda: ["1", "2"],
    "bytearray": lambda: bytearray(b"ab"),
    "nested": lambda: [[1.0, 2.0]],
    "ragged": lambda: [[1.0], [1.0, 2.0]],
    "0-d": lambda: np.array(3.0),
    "range": lambda: range(10**9),
    "complex": lambda: [1j],
    "booleans": lambda: np.array([True, False]),
    "masked": lambda: np.ma.array([1.0, 2.0], mask=[False, True]),
    "generator": lambda: (number for number in [1.0]),
    "failing": Failing,
    "too large": lambda: [1e39],
    "integer": lambda: [10**400],
    "None": lambda: [None, 1.0],
    "dates": lambda: np.array(["2020-01-01"], "datetime64[D]"),
    "records": lambda: np.zeros(2, [("a", "f4")]),
}


@pytest.mark.timeout(30)
@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED)
def test_vectors_that_are_refused(make: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match="document 'doc-7'"):
        VectorDocument(id="doc-7", vector=make())


TAKEN: dict[str, Callable[[], Any]] = {
    "big-endian": lambda: np.array([1, 2, 3], ">f4"),
    "half": lambda: np.array([1, 2, 3], np.float16),
    "long": lambda: np.array([1, 2, 3], np.longdouble),
    "integers": lambda: np.array([1, 2, 3], np.uint64),
    "read-only": lambda: frozen(np.array([1, 2, 3], np.float32)),
    "every other": lambda: frozen(np.array([1, 0, 2, 0, 3, 0], np.float32)[::2]),
    "backwards": lambda: np.array([3, 2, 1], np.float32)[::-1],
    "column": lambda: frozen(np.array([[1, 0], [2, 0], [3, 0]], np.float32))[:, 0],
    "nothing masked": lambda: np.ma.array([1.0, 2.0, 3.0]),
    "array": lambda: array.array("d", [1, 2, 3]),
    "buffer": lambda: memoryview(array.array("f", [1, 2, 3])),
}


@pytest.mark.parametrize("make", TAKEN.values(), ids=TAKEN)
def test_vectors_that_are_taken(make: Callable[[], Any]) -> None:
    vector = VectorDocument(id="a", vector=make()).vector
    assert vector == [1.0, 2.0, 3.0]
    assert vector.array.flags.c_contiguous  # or it could not be sent
    assert vector.array.dtype == np.dtype("=f4")


def test_the_longest_vector() -> None:
    assert len(Vector(range(MAX_DIMENSION))) == MAX_DIMENSION
    with pytest.raises(ValueError, match="more than 1,000,000"):
        Vector(range(MAX_DIMENSION + 1))


def test_a_long_id_is_not_spelled_out() -> None:
    with pytest.raises(ValueError, match="NaN") as caught:
        VectorDocument(id=HUGE, vector=[math.nan])
    assert len(str(caught.value)) < 400


@given(st.text(st.characters(), max_size=200))
def test_any_id_and_namespace_is_taken_as_it_is_or_refused_in_a_sentence(text: str) -> None:
    """Surrogates, control characters, joiners and private use included."""
    try:
        assert checked_id(text) == text
        assert 0 < len(text.encode()) <= 512
    except InvalidDocumentError as error:
        str(error).encode()
    try:
        assert checked_namespace(text) == text
        assert len(text.encode()) <= 64
    except ValueError as error:
        str(error).encode()
