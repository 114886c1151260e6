"""How documents lie in Qdrant.

A collection is an index. Metadata lies in the payload under its own keys, so that it is filtered natively and reads
well in Qdrant's dashboard. Beside it, under keys that begin with ``_ia_``, lie the id, the namespace, the text, the
length of a vector that was not a unit vector, on a server the time when the document was written, and what a payload
can't say by itself: which keys are None after an update (Qdrant's merge removes a key that is set to null), where empty
lists are (``is_empty`` takes them for no value), and doubles as text, if a server would change their last digits.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from hashlib import sha1
from typing import Any, Final, NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from ia_modules.vector_stores.filters.compilers.qdrant import EMPTY_LISTS, ESCAPED, EXACTLY, RESERVED
from ia_modules.vector_stores.filters.compilers.values import survives
from ia_modules.vector_stores.metrics import DistanceMetric

__all__ = [
    "ID",
    "LENGTH",
    "MAX_COLLECTION_NAME",
    "NAMESPACE",
    "TEXT",
    "WRITTEN",
    "Point",
    "changed",
    "collection_name",
    "encode",
    "namespace_of",
    "namespace_value",
    "point",
    "point_id",
    "point_ids",
    "query_vectors",
    "to_unit",
]

ID: Final = f"{RESERVED}id"
NAMESPACE: Final = f"{RESERVED}ns"
TEXT: Final = f"{RESERVED}text"
LENGTH: Final = f"{RESERVED}norm"
WRITTEN: Final = f"{RESERVED}at"
_NONE: Final = f"{RESERVED}null:"

MAX_COLLECTION_NAME: Final = 255
"""Bytes; Qdrant makes a folder of that name."""

_FORBIDDEN = re.compile(r'[<>:"/\\|?*%\x00-\x1f\x7f]')
_UUID_SPACE: Final = UUID("6d2a4a52-5b5e-5c0e-9f0e-0f4bb5b3c7a1").bytes


def collection_name(index: str) -> str:
    """The index's collection: its own name, with the characters that Qdrant forbids percent-encoded."""
    if index in (".", ".."):
        return index.replace(".", "%2E")
    return _FORBIDDEN.sub(lambda found: f"%{ord(found.group()):02X}", index)


def point_id(namespace: str, document_id: str) -> str:
    """The document's id in Qdrant, which knows numbers and UUIDs only: a UUIDv5 of namespace and id."""
    return point_ids(namespace, [document_id])[0]


def point_ids(namespace: str, document_ids: list[str]) -> list[str]:
    """The same for several documents; a namespace has no control character, so that a NUL ends it."""
    start = sha1(_UUID_SPACE + namespace.encode() + b"\0", usedforsecurity=False)
    ids = []
    for document_id in document_ids:
        digest = start.copy()
        digest.update(document_id.encode())
        # RFC 4122, section 4.3: the first 16 bytes, with the version and the variant written over six bits.
        text = digest.hexdigest()
        variant = "89ab"[int(text[16], 16) & 3]
        ids.append(f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{variant}{text[17:20]}-{text[20:32]}")
    return ids


def namespace_value(namespace: str) -> str:
    """The namespace as it lies in the payload.

    With a mark in front, since Qdrant's local facet writes what looks like a UUID in another notation.
    """
    return f"/{namespace}"


def namespace_of(value: str) -> str:
    """The way back of :func:`namespace_value`."""
    return value[1:]


def to_unit(
    vectors: NDArray[np.float32], metric: DistanceMetric
) -> tuple[NDArray[np.float32], NDArray[np.float64] | None]:
    """The vectors as Qdrant should store them, and their lengths where those would be lost.

    For cosine Qdrant keeps unit vectors only. It takes a squared length within 1e-6 of 1 for 1 and stores such a vector
    as it is; and one below 1.2e-7 for 0, which it doesn't scale at all. So all but the former are scaled here.

    Returns:
        float32 vectors, shape ``(n, dimension)``; lengths, shape ``(n,)``, 0 for "stored as given"; None if all are.
    """
    if metric is not DistanceMetric.COSINE:
        return vectors, None
    squares = np.einsum("ij,ij->i", vectors, vectors)
    if (np.abs(squares - 1.0) <= 5e-7).all():
        return vectors, None
    wide = vectors.astype(np.float64)
    lengths = np.sqrt(np.einsum("ij,ij->i", wide, wide))
    lengths[(np.abs(squares - 1.0) <= 5e-7) | (lengths == 0.0)] = 0.0
    scaled = np.where(lengths > 0.0, lengths, 1.0)
    return np.asarray(wide / scaled[:, None], dtype=np.float32), lengths


def query_vectors(vectors: NDArray[np.float32], metric: DistanceMetric) -> NDArray[np.float32]:
    """Queries, shape ``(n, dimension)``, as Qdrant can take them; it scales all but the shortest and longest."""
    if metric is not DistanceMetric.COSINE:
        return vectors
    for vector in vectors:
        if not 1e-6 < np.vdot(vector, vector) < 1e30:
            return to_unit(vectors, metric)[0]
    return vectors


class Point(NamedTuple):
    """A point as it was read; what was not asked for is empty.

    Attributes:
        key: Qdrant's own id of it.
        id: the document's id.
        namespace: its namespace, as of :func:`namespace_value`.
        metadata: its metadata.
        text: its text.
        vector: its vector as it was given, or None.
        score: Qdrant's score, or 0.
        written: when it was written (microseconds since 1970), on a server.
    """

    key: str
    id: str
    namespace: str | None
    metadata: dict[str, Any]
    text: str | None
    vector: NDArray[np.float32] | None
    score: float
    written: int | None = None


def point(key: str, payload: dict[str, Any], vector: NDArray[np.float32] | None, score: float = 0.0) -> Point:
    """A point that was read; the payload becomes its metadata and must not be used any more."""
    document_id = payload.pop(ID, "")
    namespace = payload.pop(NAMESPACE, None)
    text = payload.pop(TEXT, None)
    length = payload.pop(LENGTH, None)
    written = payload.pop(WRITTEN, None)
    if vector is not None and length is not None:
        vector = np.asarray(vector * np.float64(length), dtype=np.float32)
    for name in payload:
        if name[:4] == RESERVED:
            _undo(payload)
            break
    return Point(key, document_id, namespace, payload, text, vector, score, written)


def _undo(payload: dict[str, Any]) -> None:
    """Make a payload, without the keys that every one has, the metadata that it was made of."""
    noted = [(name, payload.pop(name)) for name in [name for name in payload if name[:4] == RESERVED]]
    for name, value in noted:
        if name.startswith(ESCAPED):
            payload[name.removeprefix(ESCAPED)] = value
        elif name.startswith(_NONE):
            payload[name.removeprefix(_NONE).removeprefix(ESCAPED)] = None
    for name, value in noted:
        if name.startswith(EXACTLY):
            exact = json.loads(value) if value[0] in "[{" else float(value)
            payload[name.removeprefix(EXACTLY).removeprefix(ESCAPED)] = exact


def encode(
    document_id: str,
    namespace: str,
    metadata: dict[str, Any],
    text: str | None,
    length: float,
    written: int | None = None,
) -> dict[str, Any]:
    """A document's payload.

    Args:
        document_id: its id.
        namespace: its namespace, as of :func:`namespace_value`.
        metadata: its metadata.
        text: its text.
        length: its vector's length, or 0 if it need not be kept.
        written: when it is written, if that is to be kept.
    """
    payload: dict[str, Any] = {ID: document_id, NAMESPACE: namespace}
    if written is not None:
        payload[WRITTEN] = written
    if text is not None:
        payload[TEXT] = text
    if length:
        payload[LENGTH] = length
    for key, value in metadata.items():
        if key.startswith(RESERVED):
            key = ESCAPED + key
        payload[key] = value
        kind = type(value)
        if kind is float:
            if not survives(value):
                payload[EXACTLY + key] = repr(value)
        elif kind is list or kind is dict:
            if places := list(_empty_lists(value, key)):
                payload[EMPTY_LISTS + key] = places
            if not _all_survive(value):
                payload[EXACTLY + key] = json.dumps(value, ensure_ascii=False)
    return payload


def changed(changes: dict[str, Any]) -> dict[str, Any]:
    """What to merge into a payload so that its metadata becomes ``metadata | changes``.

    A null removes a key, so that one merge sets a value together with all that is noted about it.
    """
    payload: dict[str, Any] = {}
    for key, value in changes.items():
        if key.startswith(RESERVED):
            key = ESCAPED + key
        payload[key] = value
        payload[_NONE + key] = True if value is None else None
        payload[EMPTY_LISTS + key] = list(_empty_lists(value, key)) or None
        payload[EXACTLY + key] = None if _all_survive(value) else json.dumps(value, ensure_ascii=False)
    return payload


def _all_survive(value: Any) -> bool:
    """Whether a server keeps every double in a value."""
    if isinstance(value, float):
        return survives(value)
    if isinstance(value, dict):
        return all(map(_all_survive, value.values()))
    return not isinstance(value, list) or all(map(_all_survive, value))


def _empty_lists(value: Any, path: str) -> Iterator[str]:
    """Field names of the empty lists in a value; those inside of lists have none."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _empty_lists(item, f"{path}.{key}")
    elif isinstance(value, list) and not value:
        yield path
