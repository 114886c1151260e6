"""Vectors out of what an SQL column can hold, a page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from io import BytesIO
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic_core import from_json

from ia_modules.vector_stores.vectors import MAX_DIMENSION, FloatArray

__all__ = ["VECTOR_FORMATS", "VectorFormat", "decode", "matrix", "numbers", "shape_of"]

VectorFormat: TypeAlias = Literal["json", "array", "float32", "float64", "npy"]
"""How a vector is written in its column.

- ``json``: text (or UTF-8 bytes) that is a JSON array of numbers, ``[0.25, -1, 2e-3]``. This is also the text form of
  pgvector's ``vector`` and ``halfvec``.
- ``array``: an array of the database, ``float4[]``, ``float8[]``, ``numeric[]`` or of integers, one-dimensional and
  without NULL.
- ``float32``, ``float64``: 4 or 8 bytes a number, IEEE 754, little-endian, nothing before or behind them. MySQL's
  ``vector`` is ``float32``.
- ``npy``: a file of numpy (version 1.0 to 3.0) with an array of real numbers of shape ``(dimension,)`` or
  ``(1, dimension)``. Pickled objects are refused, never loaded.
"""
VECTOR_FORMATS: tuple[str, ...] = get_args(VectorFormat)

_RAW: dict[str, np.dtype[Any]] = {"float32": np.dtype("<f4"), "float64": np.dtype("<f8")}
_MAGIC = b"\x93NUMPY"
_NUMERIC = {int, float, Decimal}


def matrix(values: Sequence[Any], form: str, dimension: int) -> tuple[FloatArray, list[str | None]]:
    """The vectors of a page.

    Args:
        values: one per row, as the driver gave them.
        form: a :data:`VectorFormat`.
        dimension: numbers that each has to have.

    Returns:
        float32 of shape ``(len(values), dimension)``, read-only, with zeros where there is no vector; and per row why
        there is none, or None.
    """
    causes: list[str | None] = [None] * len(values)
    if form in _RAW:
        table = _raw_matrix(values, _RAW[form], dimension, causes)
    else:
        table = np.zeros((len(values), dimension))
        for place, value in enumerate(values):
            try:
                row = decode(value, form)
                if row.size != dimension:
                    raise ValueError(_other_dimension(row.size, dimension))
                table[place] = row
            except ValueError as error:
                causes[place] = str(error)
    with np.errstate(over="ignore", invalid="ignore"):
        result = np.ascontiguousarray(table, dtype=np.float32)
    finite = np.isfinite(result).all(axis=1)
    for place in np.flatnonzero(~finite).tolist():
        overflow = bool(np.isfinite(table[place]).all())
        causes[place] = "the vector has numbers too large for single precision" if overflow else _NOT_FINITE
    result.flags.writeable = False
    return result, causes


_NOT_FINITE = "the vector has NaN or infinite values"


def _raw_matrix(
    values: Sequence[Any], kind: np.dtype[Any], dimension: int, causes: list[str | None]
) -> NDArray[np.floating[Any]]:
    width = kind.itemsize * dimension
    if not all(type(value) is bytes and len(value) == width for value in values):
        replaced = []
        for place, value in enumerate(values):
            try:
                raw = _bytes(value)
                if len(raw) != width:
                    raise ValueError(_other_size(len(raw), kind, dimension))
            except ValueError as error:
                causes[place] = str(error)
                raw = bytes(width)
            replaced.append(raw)
        values = replaced
    return np.frombuffer(b"".join(values), dtype=kind).reshape(len(values), dimension)


def decode(value: Any, form: str) -> NDArray[Any]:
    """One vector in the precision that it has, of shape ``(dimension,)``.

    Raises:
        ValueError: it is none, and why; without contents.
    """
    if form in _RAW:
        raw, kind = _bytes(value), _RAW[form]
        if len(raw) % kind.itemsize or not raw:
            raise ValueError(f"{len(raw)} bytes are no vector of {form}")
        return np.frombuffer(raw, dtype=kind)
    if form == "npy":
        return _npy(_bytes(value))
    return numbers(value)


def numbers(value: Any) -> NDArray[np.float64]:
    """A vector of JSON text or of an array, of shape ``(dimension,)``.

    Raises:
        ValueError: it is none.
    """
    if value is None:
        raise ValueError("the vector is NULL")
    if isinstance(value, str | bytes | bytearray | memoryview):
        text = value if isinstance(value, str) else bytes(value)
        try:
            value = from_json(text)
        except (TypeError, ValueError):  # the former for text with lone surrogates
            raise ValueError("the vector is not valid JSON") from None
    if not isinstance(value, list | tuple):
        raise ValueError(f"the vector is not an array but {_kind(value)}")
    if not value:
        raise ValueError("the vector is empty")
    strange = set(map(type, value)) - _NUMERIC
    if strange:
        raise ValueError(f"the vector has other elements than numbers: {', '.join(sorted(map(_named, strange)))}")
    try:
        return np.array(value, dtype=np.float64)
    except OverflowError:
        raise ValueError("the vector has numbers too large for single precision") from None


def shape_of(value: Any, form: str) -> int:
    """How many numbers a vector has.

    Raises:
        ValueError: it is none.
    """
    size = int(decode(value, form).size)
    if size > MAX_DIMENSION:
        raise ValueError(f"the vector has more than {MAX_DIMENSION:,} numbers")
    return size


def _bytes(value: Any) -> bytes:
    if type(value) is bytes:
        return value
    if value is None:
        raise ValueError("the vector is NULL")
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    raise ValueError(f"the vector is not bytes but {_kind(value)}")


def _npy(raw: bytes) -> NDArray[Any]:
    if not raw.startswith(_MAGIC):
        pickled = " but a pickle, which is not read as that would run code" if raw[:1] == b"\x80" else ""
        raise ValueError(f"the vector is not in numpy's file format{pickled}")
    start = 10 if raw[6:7] == b"\x01" else 12
    length = start + int.from_bytes(raw[8:start], "little")
    if length > min(len(raw), 4096):  # the header of a vector has 118 bytes
        raise ValueError("the vector's numpy header is damaged")
    kind, size = _npy_header(raw[:length])
    if len(raw) - length != kind.itemsize * size:
        raise ValueError("the vector's numpy file has more or fewer numbers than it says")
    return np.frombuffer(raw, dtype=kind, offset=length)


@lru_cache(maxsize=64)
def _npy_header(header: bytes) -> tuple[np.dtype[Any], int]:
    """Type and size by a header, which a million rows have in common."""
    stream = BytesIO(header)
    try:
        version = np.lib.format.read_magic(stream)
        reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, kind = reader(stream)
    except ValueError:
        raise ValueError("the vector's numpy header is damaged") from None
    if kind.kind not in "fiu":
        what = "pickled objects, which are not read as that would run code" if kind.hasobject else f"{kind} values"
        raise ValueError(f"the vector's numpy file has {what}")
    if not (len(shape) == 1 or (len(shape) == 2 and shape[0] == 1)) or not shape[-1]:
        raise ValueError(f"the vector's numpy file has an array of shape {shape}")
    return kind, int(shape[-1])


def _other_dimension(given: int, expected: int) -> str:
    return f"the vector has {given} numbers; the others have {expected}"


def _other_size(given: int, kind: np.dtype[Any], dimension: int) -> str:
    if given and given % kind.itemsize == 0:
        return _other_dimension(given // kind.itemsize, dimension)
    return f"the vector has {given} bytes; {dimension} numbers of {kind.name} have {dimension * kind.itemsize}"


def _kind(value: Any) -> str:
    names = {str: "text", bytes: "bytes", dict: "an object", bool: "a boolean", int: "a number", float: "a number"}
    return names.get(type(value), type(value).__name__)


def _named(kind: type) -> str:
    return "NULL" if kind is type(None) else kind.__name__
