"""Documents as Weaviate's messages, and back."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ia_modules.vector_stores.documents import DocumentBatch
from ia_modules.vector_stores.filters.compilers.values import same_as_double
from ia_modules.vector_stores.models import VectorDocument
from ia_modules.vector_stores.providers.fields import named_values
from ia_modules.vector_stores.providers.weaviate.flips import FLIPS, unflipped
from ia_modules.vector_stores.providers.weaviate.layout import (
    FLIP,
    ID,
    LISTED,
    META,
    MORE,
    NAMESPACE,
    PRESENT,
    TEXT,
    WRITTEN,
    date_value,
    fits_text,
    mark,
    namespace_of,
    object_ids,
    plain_name,
    sign,
    tenant_name,
)
from ia_modules.vector_stores.providers.weaviate.schema import ABSENT, NEVER, UNUSABLE, Schema
from ia_modules.vector_stores.text_search import stamp
from ia_modules.vector_stores.vectors import Vector

__all__ = ["Encoder", "Found", "found"]


class Encoder:
    """Makes messages of documents, for one state of a collection's schema.

    Args:
        schema: of the collection.
        collection: its name.

    Attributes:
        missing: fields and kinds of values met that have no property yet.
    """

    def __init__(self, schema: Schema, collection: str) -> None:
        import orjson
        from weaviate.proto.v1 import base_pb2, batch_pb2

        self._schema = schema
        self._collection = collection
        self._names: dict[tuple[str, str], tuple[str, bool]] = {}
        self._object, self._vectors, self._texts = batch_pb2.BatchObject, base_pb2.Vectors, base_pb2.TextArrayProperties
        self._dumps = orjson.dumps
        self.missing: dict[tuple[str, str], None] = {}

    def objects(self, batch: DocumentBatch, namespace: str) -> list[Any]:
        """The documents' messages, in their order; not to be sent if anything is missing."""
        self.missing.clear()
        tenant = tenant_name(namespace)
        kept = None if namespace_of(tenant) is not None else namespace
        flips = ""
        rows = np.ascontiguousarray(batch.vectors, dtype="<f4")
        if self._schema.flips:
            rows, flips = FLIPS.applied(rows)
        written = stamp() if self._schema.stamped else None
        objects = []
        for i, (document_id, metadata, text, key) in enumerate(
            zip(batch.ids, batch.metadatas, batch.texts, object_ids(batch.ids), strict=True)
        ):
            one = self._object(
                uuid=key,
                collection=self._collection,
                tenant=tenant,
                vectors=(self._vectors(name=self._schema.vector, vector_bytes=rows[i].tobytes()),),
            )
            fields = one.properties.non_ref_properties.fields
            fields[ID].string_value = document_id
            if flips:
                fields[FLIP].string_value = flips
            if written is not None:
                fields[WRITTEN].number_value = written
            if text is not None:
                fields[TEXT].string_value = text
            if kept is not None:
                fields[NAMESPACE].string_value = kept
            if metadata:
                fields[META].string_value = self._dumps(metadata).decode()
                if marks := self._write(metadata, fields):
                    one.properties.text_array_properties.append(
                        self._texts(prop_name=MORE, values=list(dict.fromkeys(marks)))
                    )
            objects.append(one)
        return objects

    def _write(self, metadata: dict[str, Any], fields: Any) -> list[str]:
        """Write the metadata's values into properties; the marks of those that have no place there."""
        marks: list[str] = []
        nested = any(type(value) is dict for value in metadata.values())
        seen: set[str] = set()
        for path, value in named_values(metadata) if nested else metadata.items():
            if nested:
                if path in seen:
                    continue  # an outer key spelled like the path comes first
                seen.add(path)
            kind = type(value)
            if kind is str:
                held = fits_text(value)
                if held:
                    name, present = self._place(path, "text")
                    if name is not None:
                        fields[name].string_value = value
                else:
                    name, present = None, False
                if value[:1].isdigit() and (date := date_value(value)) is not None:
                    dated, there = self._place(path, "date")
                    if dated is not None:
                        fields[dated].string_value = date
                    present = present or there
                if name is None:
                    marks.append(mark(path, value, element=False))
                if not present:
                    marks.append(sign(PRESENT, path))
            elif kind is bool:
                name, present = self._place(path, "boolean")
                if name is not None:
                    fields[name].bool_value = value
                self._note(marks, path, value, name, present)
            elif kind is int or kind is float:
                name, present = self._place(path, "number")
                if name is not None:
                    fields[name].number_value = value + 0.0  # so that -0.0, which is equal to 0.0, has its bits
                self._note(marks, path, value, name if same_as_double(value) else None, present)
            elif kind is list:
                marks += [sign(PRESENT, path), sign(LISTED, path)]
                marks += [mark(path, item, element=True) for item in value if isinstance(item, str | int | float)]
            elif kind is dict:
                marks.append(sign(PRESENT, path))
        return marks

    def _note(self, marks: list[str], path: str, value: Any, name: str | None, present: bool) -> None:
        if name is None:
            marks.append(mark(path, value, element=False))
        if not present:
            marks.append(sign(PRESENT, path))

    def _place(self, path: str, kind: str) -> tuple[str | None, bool]:
        """The property for a field's values of one kind, and whether it is the one with the field's own name."""
        place = self._names.get((path, kind))
        if place is None:
            name = self._schema.slot(path, kind)
            if name == ABSENT:
                self.missing[path, kind] = None
                return None, False
            place = self._names[path, kind] = (
                ("", False) if name in (NEVER, UNUSABLE) else (name, name == plain_name(path))
            )
        return place[0] or None, place[1]


class Found(NamedTuple):
    """An object as it was read; what was not asked for is empty.

    Attributes:
        key: Weaviate's own id of it.
        id: the document's id.
        metadata: its metadata.
        text: its text.
        vector: its vector, or None.
        distance: Weaviate's distance, or 0.
        written: when it was written (microseconds since 1970), or None.
    """

    key: str
    id: str
    metadata: dict[str, Any]
    text: str | None
    vector: NDArray[np.float32] | None
    distance: float
    written: int | None = None

    def document(self) -> VectorDocument:
        """It as a document."""
        vector = Vector.none() if self.vector is None else Vector.wrap(self.vector)
        return VectorDocument(id=self.id, vector=vector, metadata=self.metadata, text=self.text)


def found(result: Any, loads: Any) -> Found:
    """One result of a search.

    Args:
        result: the message.
        loads: reads JSON.
    """
    fields = result.properties.non_ref_props.fields
    meta = result.metadata
    stored = fields[META].text_value if META in fields else ""
    held = TEXT in fields and fields[TEXT].WhichOneof("kind") == "text_value"
    vector = None
    if vectors := meta.vectors:
        vector = np.frombuffer(vectors[0].vector_bytes, dtype="<f4").astype(np.float32)
        if FLIP in fields and (flips := fields[FLIP].text_value):
            vector = unflipped(vector, flips)
    return Found(
        meta.id,
        fields[ID].text_value if ID in fields else "",
        loads(stored) if stored else {},
        fields[TEXT].text_value if held else None,
        vector,
        meta.distance,
        int(fields[WRITTEN].number_value) or None if WRITTEN in fields else None,
    )
