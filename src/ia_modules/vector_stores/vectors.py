"""One embedding, held as single-precision numbers: 4 bytes a dimension, converted once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence, Sized
from typing import Any, TypeAlias, Union, overload

import numpy as np
from numpy.typing import NDArray
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

__all__ = ["MAX_DIMENSION", "FloatArray", "Vector", "VectorLike"]

FloatArray: TypeAlias = NDArray[np.float32]
MAX_DIMENSION = 1_000_000
"""The most numbers that a vector may have; no database takes a tenth of it."""
_FLOAT32 = np.dtype(np.float32)
# Bound once: a document is made from a row in about the time that a few attribute look-ups take.
_vdot = np.vdot
_isfinite = math.isfinite
_new = object.__new__


class Vector(Sequence[float]):
    """A read-only sequence of floats around a float32 array of shape ``(dimension,)``.

    It compares with lists, tuples and arrays after rounding them to single precision, so
    ``Vector([0.1, 0.2]) == [0.1, 0.2]`` holds. ``numpy.asarray(vector)`` gives the array without a copy.

    Args:
        values: floats or integers; a list, a tuple, a numpy array of any real dtype, or anything else that numpy
            can read as one-dimensional. Arrays are copied, unless they are contiguous float32 and marked read-only.

    Raises:
        ValueError: if the values are not numbers, not one-dimensional, empty, NaN, infinite, masked, too large for
            single precision, or more than a million.
    """

    __slots__ = ("_array",)
    __hash__ = None  # type: ignore[assignment]

    _array: FloatArray

    def __init__(self, values: VectorLike) -> None:
        self._array = _checked(values)

    @classmethod
    def wrap(cls, array: FloatArray) -> Vector:
        """Take an array that is known to be finite float32 of shape ``(dimension,)``, without check or copy."""
        vector = cls.__new__(cls)
        vector._array = array  # noqa: SLF001 - this is the class's own constructor
        return vector

    @classmethod
    def none(cls) -> Vector:
        """The placeholder of length 0 in documents that were asked for without their vector."""
        return cls.wrap(np.empty(0, dtype=np.float32))

    @property
    def array(self) -> FloatArray:
        """The numbers as a float32 array of shape ``(dimension,)``, read-only."""
        self._array.flags.writeable = False
        return self._array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if dtype is None or dtype == _FLOAT32:
            return self._array.copy() if copy else self.array
        return self._array.astype(dtype)

    def __len__(self) -> int:
        return self._array.size

    def __iter__(self) -> Iterator[float]:
        return iter(self._array.tolist())

    @overload
    def __getitem__(self, index: int) -> float: ...
    @overload
    def __getitem__(self, index: slice) -> list[float]: ...
    def __getitem__(self, index: int | slice) -> float | list[float]:
        if isinstance(index, slice):
            values: list[float] = self._array[index].tolist()
            return values
        return float(self._array[index])

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Vector):
            return np.array_equal(self._array, other._array)
        if isinstance(other, list | tuple | np.ndarray):
            if len(other) != len(self):
                return False
            try:
                with np.errstate(over="ignore"):
                    return np.array_equal(self._array, np.asarray(other, dtype=np.float32))
            except (TypeError, ValueError):
                return False
        return NotImplemented

    def __repr__(self) -> str:
        shown = ", ".join(f"{x:.6g}" for x in self._array[:4].tolist())
        return f"Vector([{shown}{', …' if len(self) > 4 else ''}], dimension={len(self)})"

    def tolist(self) -> list[float]:
        """The numbers as a list of Python floats."""
        values: list[float] = self._array.tolist()
        return values

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(
            _validate,
            serialization=core_schema.plain_serializer_function_ser_schema(
                cls.tolist, return_schema=core_schema.list_schema(core_schema.float_schema())
            ),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "array", "items": {"type": "number"}, "minItems": 1}


VectorLike: TypeAlias = Union[Vector, Sequence[float], NDArray[Any]]  # noqa: UP007 - Vector is defined above


def _validate(value: Any, info: core_schema.ValidationInfo[Any]) -> Vector:
    if type(value) is Vector:
        return value
    try:
        array = _checked(value)
    except ValueError as error:
        document_id = info.data.get("id") if info.data else None
        raise ValueError(f"document {document_id[:80]!r}: {error}" if document_id else str(error)) from None
    vector = _new(Vector)
    vector._array = array  # noqa: SLF001
    return vector


def _checked(values: Any) -> FloatArray:
    if type(values) is np.ndarray and values.dtype == _FLOAT32 and values.ndim == 1:
        # A buffer that its owner fills again would change every document made from it, hence the copy. And to be sent,
        # numbers have to lie side by side.
        flags = values.flags
        array = values.copy() if flags.writeable or not flags.c_contiguous else values
    elif type(values) is Vector:
        return values._array  # noqa: SLF001
    else:
        array = _converted(values)
    # A sum of squares is finite only if every element is; the slow check tells a mere overflow apart.
    # (vdot, because dot would warn of that overflow.)
    if not _isfinite(_vdot(array, array)) and not np.isfinite(array).all():
        raise ValueError("the vector has NaN or infinite values (in single precision)")
    if not array.size:
        raise ValueError("the vector is empty")
    return array


def _converted(values: Any) -> FloatArray:
    if isinstance(values, str | bytes | bytearray):
        raise ValueError("a vector is a sequence of numbers, not text")
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise ValueError("the vector has masked values")
    try:
        # Before a range of a billion becomes an array.
        if not isinstance(values, np.ndarray) and isinstance(values, Sized) and len(values) > MAX_DIMENSION:
            raise ValueError(f"it has more than {MAX_DIMENSION:,}")
        raw = np.asarray(values)
    except Exception as error:  # noqa: BLE001 - the object's own code, which fails in its own ways
        raise ValueError(f"a vector is a flat sequence of numbers: {error}") from None
    if raw.ndim != 1:
        raise ValueError(f"a vector has one dimension; this has shape {raw.shape}")
    if raw.dtype.kind not in "fiu" and raw.size:
        raise ValueError("a vector is a sequence of real numbers; it has other elements")
    with np.errstate(over="ignore"):
        return raw.astype(np.float32)
