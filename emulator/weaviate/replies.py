"""Objects as messages: properties by their declared type, vectors, ids and distances."""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np
from weaviate.proto.v1 import base_pb2, properties_pb2, search_get_pb2

from .engine import Collection
from .store import Stored

SINGLE = base_pb2.Vectors.VECTOR_TYPE_SINGLE_FP32
FIELDS = {
    "text": "text_value",
    "number": "number_value",
    "boolean": "bool_value",
    "date": "date_value",
    "uuid": "uuid_value",
}
LISTS = {"text": "text_values", "boolean": "bool_values", "date": "date_values", "uuid": "uuid_values"}


def value_message(kind: str, value: Any) -> properties_pb2.Value:
    out = properties_pb2.Value()
    base = kind.removesuffix("[]")
    if value is None:
        out.null_value = 0
    elif base != kind:
        fields = out.list_value
        if base in ("number", "int"):
            packed = np.array(value, dtype="<f8" if base == "number" else "<i8").tobytes()
            target = fields.number_values if base == "number" else fields.int_values
            target.SetInParent()
            target.values = packed
        else:
            target = getattr(fields, LISTS[base])
            target.SetInParent()
            target.values.extend(value)
    elif base == "int":
        out.int_value = int(value)
    elif base == "blob":
        out.blob_value = value
    else:
        setattr(out, FIELDS[base], value)
    return out


class Replier:
    """What one request asks for, applied to each object."""

    def __init__(self, collection: Collection, request: Any, properties: list[dict[str, Any]], searched: bool) -> None:
        self.collection = collection
        self.properties = [(known["name"], known["dataType"][0]) for known in properties]
        self.meta = request.metadata
        self.searched = searched
        names = collection.vectors
        self.vectors = names if self.meta.vector else [name for name in self.meta.vectors if name in names]
        self.alone = self.meta.vector and not names
        self.certainty = searched and self.meta.certainty

    def __call__(self, one: Stored, distance: float) -> search_get_pb2.SearchResult:
        result = search_get_pb2.SearchResult()
        result.properties.target_collection = self.collection.name
        if self.properties:
            fields = result.properties.non_ref_props.fields
            for name, kind in self.properties:
                fields[name].CopyFrom(value_message(kind, one.properties.get(name)))
        meta, asked = result.metadata, self.meta
        meta.SetInParent()
        if asked.uuid:
            meta.id = one.id
            meta.id_as_bytes = uuid.UUID(one.id).bytes
        for name in self.vectors:
            if len(one.vectors.get(name, ())):
                meta.vectors.add(name=name, vector_bytes=one.vectors[name].tobytes(), type=SINGLE)
        if self.alone and "" in one.vectors:
            meta.vector.extend(one.vectors[""].tolist())
            meta.vector_bytes = one.vectors[""].tobytes()
        if asked.creation_time_unix:
            meta.creation_time_unix, meta.creation_time_unix_present = one.created, True
        if asked.last_update_time_unix:
            meta.last_update_time_unix, meta.last_update_time_unix_present = one.updated, True
        if self.searched and asked.distance:
            meta.distance, meta.distance_present = distance, True
        if self.certainty:
            meta.certainty, meta.certainty_present = 1 - distance / 2, True
        meta.score_present, meta.explain_score_present = asked.score, asked.explain_score
        return result
