"""Checks of what goes into a store, the same for every provider and before any I/O; and batches of what passed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ia_modules.vector_stores.errors import InvalidDimensionError, InvalidDocumentError
from ia_modules.vector_stores.models import VectorDocument
from ia_modules.vector_stores.vectors import Vector, VectorLike

__all__ = [
    "MAX_ID_BYTES",
    "MAX_METADATA_DEPTH",
    "MAX_METADATA_VALUES",
    "MAX_NAMESPACE_BYTES",
    "CheckedDocuments",
    "DocumentBatch",
    "check_lengths",
    "checked_documents",
    "checked_id",
    "checked_metadata",
    "checked_namespace",
    "checked_query",
    "copy_metadata",
    "wrong_dimension",
]

MAX_ID_BYTES = 512
MAX_NAMESPACE_BYTES = 64
MAX_METADATA_DEPTH = 64
"""How many lists and objects of metadata may lie in one another."""
MAX_METADATA_VALUES = 1_000_000
"""How many values, lists and objects the metadata of a document may have in all."""
_SHOWN = 80
_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1


@dataclass(frozen=True, slots=True)
class DocumentBatch:
    """Documents as columns, which is what the clients want.

    Attributes:
        ids: distinct ids.
        vectors: float32, shape ``(len(ids), dimension)``.
        metadatas: one JSON object each; not to be changed.
        texts: one each, or None.
    """

    ids: list[str]
    vectors: NDArray[np.float32]
    metadatas: list[dict[str, Any]]
    texts: list[str | None]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class CheckedDocuments:
    """What an upsert has to write, as columns: valid, and each id once."""

    ids: list[str]
    arrays: list[NDArray[np.float32]]
    metadatas: list[dict[str, Any]]
    texts: list[str | None]
    dimension: int | None

    def __len__(self) -> int:
        return len(self.ids)

    def batches(self, size: int) -> Iterator[DocumentBatch]:
        """The documents in batches of at most ``size``."""
        for start in range(0, len(self.ids), size):
            part = slice(start, start + size)
            arrays = self.arrays[part]
            # np.stack gives the same at more than twice the price, as it reshapes every array first.
            matrix = np.concatenate(arrays).reshape(len(arrays), -1)
            yield DocumentBatch(self.ids[part], matrix, self.metadatas[part], self.texts[part])


def checked_documents(documents: Iterable[VectorDocument], dimension: int | None) -> CheckedDocuments:
    """Check everything that an upsert was given, before any of it is sent.

    Args:
        documents: what the caller handed in; of equal ids the last one wins.
        dimension: numbers per vector, or None if not known yet (then they must agree with each other).

    Raises:
        InvalidDocumentError: an id, metadata value or text that can't be stored.
        InvalidDimensionError: a vector of another dimension.
        ValueError: something that is not a document.
    """
    ids: list[str] = []
    arrays: list[NDArray[np.float32]] = []
    metadatas: list[dict[str, Any]] = []
    texts: list[str | None] = []
    places: dict[str, int] = {}
    for document in documents:
        if not isinstance(document, VectorDocument) or type(document.vector) is not Vector:  # type: ignore[redundant-expr]
            raise ValueError(f"documents must be VectorDocument objects, not {type(document).__name__}")
        document_id = document.id
        if not (document_id.isascii() and 0 < len(document_id) <= MAX_ID_BYTES):
            checked_id(document_id)
        array = document.vector._array  # noqa: SLF001 - the hot path
        if array.shape[0] != dimension:
            if dimension is not None:
                raise wrong_dimension(document_id, array.shape[0], dimension)
            dimension = array.shape[0]
        text = document.text
        if text is not None and not text.isascii():
            _encodable(text, "text", document_id)
        metadata = checked_metadata(document.metadata, document_id)
        place = places.setdefault(document_id, len(ids))
        if place == len(ids):
            ids.append(document_id)
            arrays.append(array)
            metadatas.append(metadata)
            texts.append(text)
        else:
            arrays[place], metadatas[place], texts[place] = array, metadata, text
    return CheckedDocuments(ids, arrays, metadatas, texts, dimension)


def check_lengths(
    ids: Iterable[str], arrays: Iterable[NDArray[np.float32]], *, zero: bool, lengths: tuple[float, float] | None
) -> None:
    """Refuse vectors that a database can't compare.

    Args:
        ids: the documents' ids.
        arrays: their vectors.
        zero: whether zero vectors are allowed.
        lengths: smallest and largest L2 norm that are allowed, or None.

    Raises:
        InvalidDocumentError: a vector of another length; it names the document.
    """
    least, most = lengths or (0.0, math.inf)
    for document_id, array in zip(ids, arrays, strict=True):
        square = float(np.vdot(array, array))  # vdot, because dot would warn of an overflow
        if square > 0.0 and least * least <= square <= most * most:
            continue
        length = float(np.linalg.norm(array.astype(np.float64)))
        if (length == 0.0 and not zero) or 0.0 < length < least or length > most:
            what = "a zero vector" if length == 0.0 else f"a vector of length {length:.3g}"
            raise InvalidDocumentError(
                f"document {document_id!r} has {what}, which this database can't compare", document_id=document_id
            )


def checked_id(document_id: object) -> str:
    """An id that every provider can keep.

    Raises:
        InvalidDocumentError: not a string, empty, over 512 bytes in UTF-8, or not encodable.
    """
    if not isinstance(document_id, str):
        raise InvalidDocumentError(f"an id is a string, not {type(document_id).__name__}")
    if not document_id:
        raise InvalidDocumentError("an id must not be empty")
    size = len(_encodable(document_id, "id", None))
    if size > MAX_ID_BYTES:
        raise InvalidDocumentError(
            f"id {document_id[:40]!r}… has {size} bytes in UTF-8; at most {MAX_ID_BYTES} are allowed",
            document_id=document_id,
        )
    return document_id


def checked_namespace(namespace: object) -> str:
    """A namespace that every provider can keep; ``""`` is the default one.

    Raises:
        ValueError: not a string, over 64 bytes in UTF-8, not encodable, or with control characters.
    """
    if not isinstance(namespace, str):
        raise ValueError(f"a namespace is a string or None, not {type(namespace).__name__}")
    if namespace.isascii() and namespace.isprintable() and len(namespace) <= MAX_NAMESPACE_BYTES:
        return namespace
    try:
        size = len(namespace.encode())
    except UnicodeEncodeError:
        raise ValueError("a namespace must be encodable in UTF-8; it has a lone surrogate") from None
    if size > MAX_NAMESPACE_BYTES:
        raise ValueError(f"a namespace has at most {MAX_NAMESPACE_BYTES} bytes in UTF-8; this one has {size}")
    if any(character < " " or "\x7f" <= character <= "\x9f" for character in namespace):
        raise ValueError("a namespace must not have control characters")
    return namespace


def checked_query(vector: VectorLike, dimension: int | None) -> NDArray[np.float32]:
    """A query vector as float32 of shape ``(dimension,)``, or of any length if the dimension is not known yet.

    Raises:
        InvalidDimensionError: another number of dimensions.
        InvalidDocumentError: NaN, infinity, or not a flat sequence of numbers.
    """
    try:
        array = Vector(vector)._array  # noqa: SLF001 - the hot path
    except ValueError as error:
        raise InvalidDocumentError(f"query vector: {error}") from None
    if dimension is not None and array.shape[0] != dimension:
        raise InvalidDimensionError(
            f"the query vector has {array.shape[0]} numbers; the index has {dimension}",
            expected=dimension,
            given=array.shape[0],
        )
    return array


def checked_metadata(metadata: Mapping[str, Any], document_id: str) -> dict[str, Any]:
    """The metadata as JSON values; numpy scalars become plain ones, and what is clean is returned as it is.

    Raises:
        InvalidDocumentError: NaN, infinity, an integer beyond 64 bits, a key that is not a string, text that UTF-8
            can't encode, a value that JSON does not have, or more than 64 levels or a million values. The message names
            document and key, not the value.
    """
    if type(metadata) is not dict and not isinstance(metadata, Mapping):
        raise _bad(document_id, None, f"is of type {type(metadata).__name__} where a JSON object should be")
    for key, value in metadata.items():
        kind = type(value)
        if type(key) is str and key.isascii():
            if kind is str:
                if value.isascii():
                    continue
            elif kind is int:
                if _INT64_MIN <= value <= _INT64_MAX:
                    continue
            elif kind is float:
                if math.isfinite(value):
                    continue
            elif kind is bool or value is None:
                continue
        break
    else:
        return metadata if type(metadata) is dict else dict(metadata)
    cleaned: dict[str, Any] = _Cleaner(document_id).cleaned(metadata, None, 0)
    return cleaned


_Path: TypeAlias = tuple[Any, str | int] | None
"""Where a value lies: its parent's path, and a key or a place in a list. Joined only when there is something to say."""


class _Cleaner:
    """Makes a copy of one document's metadata with nothing but JSON's own types in it."""

    def __init__(self, document_id: str) -> None:
        self._id = document_id
        self._values = 0

    def cleaned(self, value: Any, path: _Path, depth: int) -> Any:
        """The copy of a value."""
        self._values += 1
        if depth > MAX_METADATA_DEPTH:
            raise self._bad(path, f"is nested more than {MAX_METADATA_DEPTH} levels deep")
        if self._values > MAX_METADATA_VALUES:
            raise self._bad(None, f"has more than {MAX_METADATA_VALUES:,} values")
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            text = str.__str__(value)
            if not text.isascii():
                _encodable(text, f"metadata {_spelled(path)}", self._id)
            return text
        if isinstance(value, int):
            if not _INT64_MIN <= value <= _INT64_MAX:
                raise self._bad(path, "is an integer beyond 64 bits")
            return int(value)
        if isinstance(value, float):
            if not math.isfinite(value):
                raise self._bad(path, "is NaN or infinite")
            return float(value)
        if isinstance(value, np.generic):
            plain = value.item()
            if not isinstance(plain, np.generic):  # a long double stays one
                return self.cleaned(plain, path, depth)
        if isinstance(value, Mapping):
            return self._object(value, path, depth)
        if isinstance(value, list | tuple):
            return [self.cleaned(item, (path, i), depth + 1) for i, item in enumerate(value)]
        hint = "; pass value.isoformat()" if hasattr(value, "isoformat") else ""
        raise self._bad(path, f"is of type {type(value).__name__}, which JSON does not have{hint}")

    def _object(self, value: Mapping[Any, Any], path: _Path, depth: int) -> dict[str, Any]:
        result = {}
        for key, item in value.items():
            if not isinstance(key, str):
                raise self._bad(path, f"has a key of type {type(key).__name__}; JSON keys are strings")
            name = str.__str__(key)
            _encodable(name, "metadata key", self._id)
            result[name] = self.cleaned(item, (path, name), depth + 1)
        return result

    def _bad(self, path: _Path, what: str) -> InvalidDocumentError:
        return _bad(self._id, path, what)


def _spelled(path: _Path) -> str:
    """A path for a message, as in ``'a.b[0]'``; its end, should it be long."""
    text = ""
    while path is not None and len(text) <= _SHOWN:
        path, part = path
        dot = "." if text[:1] not in ("", "[") else ""
        text = f"[{part}]{dot}{text}" if isinstance(part, int) else f"{part[-_SHOWN - 1 :]}{dot}{text}"
    return repr(text if len(text) <= _SHOWN else "…" + text[-_SHOWN:])


def copy_metadata(metadata: dict[str, Any]) -> dict[str, Any]:
    """A copy that shares no list or object with the original."""
    copied = metadata.copy()
    for key, value in metadata.items():
        if isinstance(value, dict | list):
            copied[key] = _copy_value(value)
    return copied


def _copy_value(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy_value(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copy_value(item) for item in value]
    return value


def _encodable(text: str, what: str, document_id: str | None) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        where = f"document {document_id!r}: " if document_id else ""
        raise InvalidDocumentError(
            f"{where}{what} has a lone surrogate, which UTF-8 can't encode", document_id=document_id
        ) from None


def _bad(document_id: str, path: _Path, what: str) -> InvalidDocumentError:
    where = "metadata" if path is None else f"metadata {_spelled(path)}"
    return InvalidDocumentError(f"document {document_id!r}: {where} {what}", document_id=document_id)


def wrong_dimension(document_id: str, given: int, expected: int) -> InvalidDimensionError:
    """The error for a document whose vector does not fit the index."""
    return InvalidDimensionError(
        f"document {document_id!r} has a vector of {given} numbers; the index has {expected}",
        expected=expected,
        given=given,
        document_id=document_id,
    )
