"""Records as Pinecone takes and gives them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from struct import Struct
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ia_modules.vector_stores.documents import CheckedDocuments, DocumentBatch
from ia_modules.vector_stores.errors import InvalidDocumentError
from ia_modules.vector_stores.models import VectorDocument
from ia_modules.vector_stores.providers.pinecone.layout import (
    MAX_METADATA_BYTES,
    WRITTEN,
    decode,
    document_id,
    encode,
    record_id,
    size_bound,
)
from ia_modules.vector_stores.text_search import stamp
from ia_modules.vector_stores.vectors import Vector

__all__ = ["MAX_RECORDS", "Portion", "Record", "check_size", "check_sizes", "portions", "record", "upsert_body"]

MAX_RECORDS = 1_000
"""Records per upsert, ids per fetch and per delete: Pinecone's documentation, "Limits"."""
_MAX_BYTES = 2_000_000 - 1_000
"""2 MB per upsert, less what stands around the records."""


@dataclass(frozen=True, slots=True)
class Portion(DocumentBatch):
    """Documents that go into one request.

    Attributes:
        records: each as JSON.
    """

    records: list[bytes]


class Record(NamedTuple):
    """A record as it was read.

    Attributes:
        id: the document's id.
        metadata: its metadata.
        text: its text.
        vector: its vector, or None.
        native: the metadata as Pinecone has it.
        sparse: a sparse vector beside the other one, as Pinecone has it, or None.
    """

    id: str
    metadata: dict[str, Any]
    text: str | None
    vector: NDArray[np.float32] | None
    native: Mapping[str, Any]
    sparse: Any = None

    @property
    def written(self) -> int | None:
        """When it was written, if it says so."""
        return None if (found := self.native.get(WRITTEN)) is None else int(found)

    def document(self) -> VectorDocument:
        """The document, with a vector of length 0 if it was not asked for."""
        vector = Vector.none() if self.vector is None else Vector.wrap(self.vector)
        return VectorDocument(id=self.id, vector=vector, metadata=self.metadata, text=self.text)


def record(given: Mapping[str, Any], *, vectors: bool) -> Record:
    """A record from JSON."""
    native = given.get("metadata") or {}
    metadata, text = decode(native)
    vector = _array(given["values"]) if vectors and given.get("values") else None
    return Record(document_id(given["id"], native), metadata, text, vector, native, given.get("sparseValues"))


def _array(values: list[float]) -> NDArray[np.float32]:
    """Numbers as an array, at half the price of ``np.array``."""
    return np.frombuffer(_packer(len(values)).pack(*values), np.float32)


@lru_cache(maxsize=16)
def _packer(count: int) -> Struct:
    return Struct(f"={count}f")


def portions(batch: DocumentBatch, dumps: Callable[[Any], bytes]) -> Iterator[Portion]:
    """A batch in portions that Pinecone takes in one request, made as they are asked for."""
    vectors = np.ascontiguousarray(batch.vectors)
    records: list[bytes] = []
    start = size = 0
    written = stamp()
    for end, (key, metadata, text) in enumerate(zip(batch.ids, batch.metadatas, batch.texts, strict=True)):
        native = encode(key, metadata, text, written)
        one: dict[str, Any] = {"id": record_id(key), "values": vectors[end]}
        if native:
            one["metadata"] = native
        data = dumps(one)
        if records and (size + len(data) > _MAX_BYTES or len(records) == MAX_RECORDS):
            yield _portion(batch, start, end, records)
            records, start, size = [], end, 0
        records.append(data)
        size += len(data) + 1
    yield _portion(batch, start, len(batch), records)


def _portion(batch: DocumentBatch, start: int, end: int, records: list[bytes]) -> Portion:
    part = slice(start, end)
    return Portion(batch.ids[part], batch.vectors[part], batch.metadatas[part], batch.texts[part], records)


def upsert_body(records: Sequence[bytes], namespace: bytes) -> bytes:
    """The body of an upsert; ``namespace`` as JSON."""
    return b'{"vectors":[' + b",".join(records) + b'],"namespace":' + namespace + b"}"


def check_sizes(documents: CheckedDocuments, dumps: Callable[[Any], bytes]) -> None:
    """Refuse documents whose metadata and text Pinecone can't hold.

    Raises:
        InvalidDocumentError: it names the document.
    """
    for key, metadata, text in zip(documents.ids, documents.metadatas, documents.texts, strict=True):
        if size_bound(metadata, text) > MAX_METADATA_BYTES:
            check_size(key, encode(key, metadata, text, stamp()), dumps)


def check_size(key: str, native: Mapping[str, Any], dumps: Callable[[Any], bytes]) -> None:
    """Refuse metadata that Pinecone can't hold."""
    size = len(dumps(native))
    if size > MAX_METADATA_BYTES:
        raise InvalidDocumentError(
            f"document {key!r} has metadata and text of {size:,} bytes as they are stored; "
            f"Pinecone holds {MAX_METADATA_BYTES:,} per record",
            document_id=key,
        )
