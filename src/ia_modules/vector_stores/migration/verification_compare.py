"""Comparing a document with its copy: what differs, and where, without contents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ia_modules.vector_stores.errors import InvalidDocumentError
from ia_modules.vector_stores.migration.hashing import HASH_BYTES, payload_key, vector_deviations
from ia_modules.vector_stores.migration.verification_report import FindingKind
from ia_modules.vector_stores.models import VectorDocument

__all__ = ["Compared", "Outcome", "compare_documents", "payload_differences", "sum_of_hashes"]

Difference: TypeAlias = tuple[FindingKind, str]
"""What kind of difference, and its description."""

_SHOWN = 3
"""Differences that the description of a document's metadata names."""
_LONGEST_PATH = 100
_NO_HASH = bytes(HASH_BYTES)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What comparing one document came to.

    Attributes:
        id: the document's id.
        differences: what differs; nothing if it arrived as it is.
        expected: hash of its metadata and text in the source.
        found: that of its copy; zeros if there is none.
    """

    id: str
    differences: tuple[Difference, ...]
    expected: bytes = _NO_HASH
    found: bytes = _NO_HASH


@dataclass(slots=True)
class Compared:
    """What comparing some documents came to.

    Attributes:
        outcomes: one for each document, in order.
        deviations: the largest deviation of each vector that was compared, 0 to 2.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    deviations: list[float] = field(default_factory=list)


def compare_documents(
    documents: Sequence[VectorDocument], copies: Mapping[str, VectorDocument], tolerance: float
) -> Compared:
    """Compare documents with their copies.

    Args:
        documents: of the source.
        copies: of the target, by id.
        tolerance: largest deviation of a number in a vector, relative to it.
    """
    compared = Compared()
    found = _vectors(documents, copies, tolerance, compared)
    for document in documents:
        copy = copies.get(document.id)
        if copy is None:
            outcome = Outcome(document.id, (("missing", "not in the target"),), _hash(document))
        else:
            ours, theirs = _hash(document), _hash(copy)
            differences = list(found.get(id(document), ()))
            if ours != theirs or ours == _NO_HASH:
                differences += payload_differences(document, copy)
            outcome = Outcome(document.id, tuple(differences), ours, theirs)
        compared.outcomes.append(outcome)
    return compared


def sum_of_hashes(total: int, added: bytes, removed: bytes = _NO_HASH) -> int:
    """Add a hash to a sum of hashes, which does not depend on the order, and take another one out of it."""
    change = int.from_bytes(added, "big") - int.from_bytes(removed, "big")
    return (total + change) % (1 << 8 * HASH_BYTES)


def _hash(document: VectorDocument) -> bytes:
    try:
        return payload_key(document)
    except InvalidDocumentError:  # what no store takes; the differences say where
        return _NO_HASH


def _vectors(
    documents: Sequence[VectorDocument],
    copies: Mapping[str, VectorDocument],
    tolerance: float,
    compared: Compared,
) -> dict[int, list[Difference]]:
    """What is wrong with vectors, by identity of the source's document (an id may come twice)."""
    wrong: dict[int, list[Difference]] = {}
    pairs: list[tuple[VectorDocument, NDArray[np.float32], NDArray[np.float32]]] = []
    for document in documents:
        copy = copies.get(document.id)
        if copy is None:
            continue
        a, b = document.vector.array, copy.vector.array
        if a.shape != b.shape:
            text = f"{a.size} numbers in the source, {b.size} in the target"
            wrong[id(document)] = [("dimension", text)]
        elif np.array_equal(a, b):
            compared.deviations.append(0.0)
        else:
            pairs.append((document, a, b))
    for document, a, b in pairs:
        deviations = vector_deviations(a[None], b[None])[0]
        worst = int(deviations.argmax())
        largest = float(deviations[worst])
        compared.deviations.append(largest)
        if largest > tolerance:
            beyond = int((deviations > tolerance).sum())
            text = f"{beyond} of {a.size} numbers differ, number {worst} most, by {largest:.1e} of it"
            wrong[id(document)] = [("vector", text + _scaled(a, b, tolerance))]
    return wrong


def _scaled(a: NDArray[np.float32], b: NDArray[np.float32], tolerance: float) -> str:
    """What to add where a vector lost its length only, as in stores that normalise."""
    lengths = [float(np.linalg.norm(x.astype(np.float64))) for x in (a, b)]
    if not all(0.0 < length < np.inf for length in lengths):
        return ""
    factor = lengths[1] / lengths[0]
    rescaled = (b.astype(np.float64) / factor).astype(np.float32)
    if float(vector_deviations(a[None], rescaled[None]).max()) > tolerance:
        return ""
    return f"; same direction, length times {factor:.3g}"


def payload_differences(expected: VectorDocument, found: VectorDocument) -> list[Difference]:
    """What differs in metadata and text, one difference for each kind; key paths and types, no values."""
    collected: dict[FindingKind, list[str]] = {}
    numbers: dict[FindingKind, int] = {}
    for kind, description in _walk(expected.metadata, found.metadata, ""):
        numbers[kind] = numbers.get(kind, 0) + 1
        if numbers[kind] <= _SHOWN:
            collected.setdefault(kind, []).append(description)
    differences: list[Difference] = []
    for kind, descriptions in collected.items():
        more = numbers[kind] - len(descriptions)
        differences.append((kind, "; ".join(descriptions) + (f"; and {more:,} more" if more else "")))
    if expected.text != found.text:
        differences.append(("text", f"{_text(expected.text)} in the source, {_text(found.text)} in the target"))
    return differences


def _text(text: str | None) -> str:
    if text is None:
        return "no text"
    return f"a text of length {len(text):,}" if text else "an empty text"


def _walk(expected: Any, found: Any, path: str) -> Iterator[Difference]:
    expected, found = _plain(expected), _plain(found)
    kinds = _kind(expected), _kind(found)
    if kinds[0] != kinds[1]:
        yield "metadata_type", f"{_spelled(path)}: {kinds[0]} in the source, {kinds[1]} in the target"
    elif kinds[0] == "object":
        for key in [*expected, *(key for key in found if key not in expected)]:
            inner = f"{path}.{key}" if path else str(key)
            if key not in found:
                yield "metadata", f"{_spelled(inner)}: missing in the target"
            elif key not in expected:
                yield "metadata", f"{_spelled(inner)}: in the target only"
            else:
                yield from _walk(expected[key], found[key], inner)
    elif kinds[0] == "list":
        if len(expected) != len(found):
            sizes = f"{len(expected):,} elements in the source, {len(found):,} in the target"
            yield "metadata", f"{_spelled(path)}: {sizes}"
        else:
            for place, (one, other) in enumerate(zip(expected, found, strict=True)):
                yield from _walk(one, other, f"{path}[{place}]")
    elif kinds[0] not in _KINDS.values():
        yield "metadata", f"{_spelled(path)}: {kinds[0]}, which JSON does not have"
    elif float.__repr__(expected) != float.__repr__(found) if kinds[0] == "float" else expected != found:
        yield "metadata", f"{_spelled(path)}: another {kinds[0]}"


_KINDS: Mapping[type, str] = {
    bool: "bool",
    int: "int",
    float: "float",
    str: "string",
    type(None): "null",
    list: "list",
    dict: "object",
}


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value  # it is stored as the plain type


def _kind(value: Any) -> str:
    for kind, name in _KINDS.items():
        if isinstance(value, kind):
            return name
    if isinstance(value, tuple):
        return "list"
    return "object" if isinstance(value, Mapping) else f"a {type(value).__name__}"


def _spelled(path: str) -> str:
    """A key's path for a description; its end, should it be long."""
    return repr(path if len(path) <= _LONGEST_PATH else "…" + path[-_LONGEST_PATH:])
