"""Hashes of what a document holds, equal for equal contents whichever store or file it comes from.

They are exact to the type: ``3``, ``3.0``, ``True`` and ``"3"`` differ, and so do ``0.0`` and ``-0.0``, ``[]`` and no
key at all, ``None`` and no key at all, and the texts ``None`` and ``""``. The order of keys does not count.

A vector is another matter. Stores give it back within a millionth of its single-precision numbers, so two copies of
one vector may have different bytes: they are compared by number (:func:`vector_deviations`), not by hash.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ia_modules.vector_stores.documents import checked_metadata
from ia_modules.vector_stores.models import VectorDocument
from ia_modules.vector_stores.vectors import Vector

__all__ = ["HASH_BYTES", "canonical_metadata", "content_key", "payload_key", "vector_deviations", "vector_key"]

HASH_BYTES = 16
"""Bytes of every hash here (BLAKE2b)."""

_MOST_CONTAINERS = 1_000_000
"""More lists and objects than metadata may have values; one that contains itself has no end of them."""
_LOST = 1e-30
"""A number this much smaller than the vector's largest one may be lost where a database scales vectors."""
_SMALLEST = 3e-45
"""Two steps of the smallest numbers that single precision has."""
_MOST = 2.0
"""The largest deviation, of numbers with opposite signs."""

# A line break, which ends the metadata below, is spelled with a backslash.
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical_metadata(metadata: Mapping[str, Any], document_id: str = "") -> bytes:
    """Metadata as bytes that are equal for equal metadata, and for no other.

    Args:
        metadata: a JSON object.
        document_id: named in errors.

    Raises:
        InvalidDocumentError: something that JSON does not have, such as NaN or a date.
    """
    # Python's floats are spelled with as many digits as tell them apart, so doubles stay exact.
    if type(metadata) is dict and _has_string_keys(metadata):  # the encoder makes strings of other keys
        try:
            return _ENCODER.encode(metadata).encode("utf-8", "surrogatepass")
        except (TypeError, ValueError, RecursionError):
            pass  # numpy's numbers are fine after all; for the rest, the check below says what and where
    return _ENCODER.encode(checked_metadata(metadata, document_id)).encode("utf-8", "surrogatepass")


def _has_string_keys(metadata: dict[Any, Any]) -> bool:
    waiting: list[Any] = [metadata]
    for value in waiting:
        if len(waiting) > _MOST_CONTAINERS:
            return False
        if type(value) is dict:
            for key, item in value.items():
                if type(key) is not str:
                    return False
                if type(item) is dict or type(item) is list:
                    waiting.append(item)
        else:
            waiting.extend(item for item in value if type(item) is dict or type(item) is list)
    return True


def payload_key(document: VectorDocument) -> bytes:
    """Hash of metadata and text, 16 bytes; id and vector don't count.

    Raises:
        InvalidDocumentError: as with :func:`canonical_metadata`.
    """
    text = document.text
    written = b"\n-" if text is None else b"\n=" + text.encode("utf-8", "surrogatepass")
    return blake2b(canonical_metadata(document.metadata, document.id) + written, digest_size=HASH_BYTES).digest()


def vector_key(vector: Vector) -> bytes:
    """Hash of a vector's single-precision numbers, 16 bytes; ``0.0`` and ``-0.0`` are the same number here.

    Equal keys mean equal vectors. Copies in two stores may differ in the last bit, and then have different keys.
    """
    numbers = np.ascontiguousarray(vector.array + np.float32(0.0), dtype="<f4")
    return blake2b(numbers.tobytes(), digest_size=HASH_BYTES).digest()


def content_key(document: VectorDocument) -> bytes:
    """Hash of all that a document holds but its id, 16 bytes.

    Two readings of one document from the same store have equal keys; see :func:`vector_key` for copies in two stores.

    Raises:
        InvalidDocumentError: as with :func:`canonical_metadata`.
    """
    return blake2b(payload_key(document) + vector_key(document.vector), digest_size=HASH_BYTES).digest()


def vector_deviations(expected: NDArray[np.float32], found: NDArray[np.float32]) -> NDArray[np.float64]:
    """How much each number of some vectors deviates, relative to the larger one of the two numbers.

    So one number among hundreds that is off by a thousandth shows as 0.001, however small it is. The last bit of a
    single-precision number is 1.2e-7 of it at most.

    Args:
        expected: shape ``(n, dimension)``.
        found: the same shape.

    Returns:
        Shape ``(n, dimension)``, from 0 to 2; 2 also for what is no number.
    """
    a, b = expected.astype(np.float64), found.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        larger = np.maximum(np.abs(a), np.abs(b))
        difference = np.abs(a - b)
        floor = np.maximum(_LOST * np.abs(a).max(axis=1, keepdims=True, initial=0.0), _SMALLEST)
        deviation = np.where(difference <= floor, 0.0, difference / larger)
    return np.nan_to_num(deviation, nan=_MOST, posinf=_MOST)
