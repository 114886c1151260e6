"""Records as they come in: vectors, sparse vectors and metadata, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from ia_modules.vector_stores.emulator.pinecone import limits
from ia_modules.vector_stores.emulator.pinecone.checks import record_id, typed
from ia_modules.vector_stores.emulator.pinecone.definitions import Definition
from ia_modules.vector_stores.emulator.pinecone.wire import RefusedError

__all__ = ["Metadata", "Record", "Sparse", "dense_vector", "metadata", "query_vector", "record", "sparse_vector"]

Metadata = dict[str, Any]
"""Strings, floats, booleans and lists of strings by key."""

_NUMBERS = {int, float}
_SHOWN_BYTES = 16


@dataclass(frozen=True, slots=True, eq=False)
class Sparse:
    """A sparse vector, in the order of its indices."""

    indices: NDArray[np.uint32]
    values: NDArray[np.float32]

    def json(self) -> dict[str, Any]:
        """The form it has in answers."""
        return {"indices": self.indices, "values": self.values}


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """A record as it is written; ``metadata`` is None for none."""

    id: str
    dense: NDArray[np.float32] | None
    sparse: Sparse | None
    metadata: Metadata | None


def record(value: Any, index: Definition) -> Record:
    """One vector of an upsert.

    Raises:
        RefusedError: it can't be stored in this index.
    """
    if not isinstance(value, dict):
        raise RefusedError("vectors must hold objects")
    name = record_id(value.get("id"))
    dense = dense_vector(typed(value, "values", list), index, name)
    sparse = sparse_vector(value.get("sparseValues"), index)
    if dense is None and sparse is None:
        raise RefusedError("Vector must have at least one of non-empty dense values or sparse values")
    if dense is None and not index.takes_sparse_alone:
        raise RefusedError(f"Vector dimension 0 does not match the dimension of the index {index.dimension}")
    return Record(name, dense, sparse, metadata(value.get("metadata")))


def dense_vector(values: list[Any] | None, index: Definition, id: str) -> NDArray[np.float32] | None:
    """Dense values to store; None for none.

    Raises:
        RefusedError: the index takes none, or not these; all are zero.
    """
    if not values:
        return None
    array = query_vector(values, index)
    if not array.any():
        raise RefusedError(
            f"Dense vectors must contain at least one non-zero value. Vector ID '{id}' contains only zeros"
        )
    return array


def query_vector(values: list[Any], index: Definition) -> NDArray[np.float32]:
    """Dense values to search with; all may be zero."""
    if index.dimension is None:
        raise RefusedError("Index configuration does not support dense values")
    if len(values) != index.dimension:
        raise RefusedError(
            f"Vector dimension {len(values)} does not match the dimension of the index {index.dimension}"
        )
    return _floats(values, "values")


def sparse_vector(value: Any, index: Definition) -> Sparse | None:
    """Sparse values; None for none.

    Raises:
        RefusedError: the index takes none, or not these.
    """
    if value is None:
        return None
    if not isinstance(value, dict):
        raise RefusedError("sparse values must be an object with indices and values")
    indices, values = typed(value, "indices", list) or [], typed(value, "values", list) or []
    if len(indices) != len(values):
        raise RefusedError(f"Sparse indices and values must have the same length, got {len(indices)} and {len(values)}")
    if not indices:
        raise RefusedError("Sparse vector must contain at least one value")
    if not index.takes_sparse:
        raise RefusedError("Index configuration does not support sparse values")
    if len(indices) > limits.SPARSE_VALUES:
        raise RefusedError(f"Sparse vector has {len(indices)} values, the limit is {limits.SPARSE_VALUES}")
    if set(map(type, indices)) != {int} or not (min(indices) >= 0 and max(indices) < 2**32):
        raise RefusedError("Sparse indices must be integers from 0 to 4294967295")
    if len(set(indices)) != len(indices):
        raise RefusedError("Sparse indices must be unique")
    numbers = np.array(indices, np.uint32)
    order = np.argsort(numbers)
    return Sparse(numbers[order], _floats(values, "sparse values")[order])


def _floats(values: list[Any], what: str) -> NDArray[np.float32]:
    if not set(map(type, values)) <= _NUMBERS:
        raise RefusedError(f"{what} must be numbers")
    with np.errstate(over="ignore"):
        array = np.array(values, np.float32)
    if not np.isfinite(array).all():
        raise RefusedError(f"{what} must be finite 32-bit floating point numbers")
    return array


def metadata(value: Any, before: Mapping[str, Any] | None = None, most: int = limits.METADATA_BYTES) -> Metadata | None:
    """Metadata as it is stored: numbers are floats, nulls are gone; None if nothing is left.

    Args:
        value: what was sent; None for nothing.
        before: the metadata it is merged into.
        most: bytes that there may be.

    Raises:
        RefusedError: a value can't be stored, or all of it is too large.
    """
    if value is None:
        return dict(before) if before else None
    if not isinstance(value, dict):
        raise RefusedError("metadata must be an object")
    merged = dict(before or {})
    for key, item in value.items():
        if key.startswith("$"):
            raise RefusedError(f"Metadata keys cannot start with a dollar sign, got '{key[:80]}'")
        kind = type(item)
        if kind is str or kind is float or kind is bool:
            merged[key] = item
        elif kind is int:
            merged[key] = float(item)
        elif kind is list and set(map(type, item)) <= {str}:
            merged[key] = item
        elif item is not None:
            raise RefusedError(
                "Metadata value must be a string, number, boolean or list of strings, "
                f"got '{_shown(item)}' for field '{key}'"
            )
    # Counted as it was sent: a stored number has a decimal point more.
    size = len(orjson.dumps({**(before or {}), **{key: item for key, item in value.items() if item is not None}}))
    if size > most:
        raise RefusedError(f"metadata size is {size} bytes, which exceeds the limit of {most} bytes per vector")
    return merged or None


def _shown(value: Any) -> str:
    text = orjson.dumps(_with_floats(value))
    return text.decode() if len(text) <= _SHOWN_BYTES else text[:_SHOWN_BYTES].decode(errors="ignore") + "..."


def _with_floats(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_floats(item) for item in value]
    return float(value) if type(value) is int else value
