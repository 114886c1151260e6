"""Requests as messages of Weaviate's gRPC interface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ia_modules.vector_stores.filters.compilers.base import Native
from ia_modules.vector_stores.providers.weaviate.layout import FLIP, ID, META, TEXT, WRITTEN

__all__ = ["by_ids", "filter_message", "level", "search_request", "written_after"]


def search_request(
    collection: str,
    tenant: str,
    size: int,
    *,
    message: Any = None,
    vector: NDArray[np.float32] | None = None,
    metadata: bool = True,
    vectors: bool = False,
    vector_name: str = "",
    flips: bool = False,
    after: str | None = None,
    properties: Sequence[str] | None = None,
) -> Any:
    """A request for objects.

    Args:
        collection: its name.
        tenant: its name.
        size: most results.
        message: a filter.
        vector: the nearest ones to it are wanted.
        metadata: whether metadata and text are wanted.
        vectors: whether vectors are wanted.
        vector_name: name of the collection's vector.
        flips: whether the collection tells which bits of a vector are flipped.
        after: those with a greater UUID only, in order; not together with a filter.
        properties: other properties than the usual ones.
    """
    from weaviate.proto.v1 import base_pb2, search_get_pb2

    if properties is None:
        properties = (ID, META, TEXT) if metadata else (ID,)
        if vectors and flips:
            properties = (*properties, FLIP)
    request = search_get_pb2.SearchRequest(
        collection=collection,
        tenant=tenant,
        limit=size,
        uses_123_api=True,
        uses_125_api=True,
        uses_127_api=True,
        metadata=search_get_pb2.MetadataRequest(
            uuid=True, distance=vector is not None, vectors=(vector_name,) if vectors else ()
        ),
        properties=search_get_pb2.PropertiesRequest(non_ref_properties=properties),
    )
    if message is not None:
        request.filters.CopyFrom(message)
    if after is not None:
        request.after = after
    if vector is not None:
        data = np.ascontiguousarray(vector, dtype="<f4").tobytes()
        request.near_vector.targets.target_vectors.append(vector_name)
        request.near_vector.vectors.append(
            base_pb2.Vectors(name=vector_name, vector_bytes=data, type=base_pb2.Vectors.VECTOR_TYPE_SINGLE_FP32)
        )
    return request


def level(name: str) -> Any:
    """A consistency level by its name."""
    from weaviate.proto.v1 import base_pb2

    return base_pb2.ConsistencyLevel.Value(f"CONSISTENCY_LEVEL_{name}")


def by_ids(keys: Sequence[str]) -> Any:
    """A filter that objects with these UUIDs pass."""
    return filter_message({"operator": "ContainsAny", "path": ["_id"], "valueTextArray": list(keys)})


def written_after(stamp: int) -> Any:
    """A filter that objects pass that were written later."""
    return filter_message({"operator": "GreaterThan", "path": [WRITTEN], "valueNumber": stamp})


_OPERATORS: Final = {
    "Equal": 1,
    "GreaterThan": 3,
    "GreaterThanEqual": 4,
    "LessThan": 5,
    "LessThanEqual": 6,
    "And": 7,
    "Or": 8,
    "IsNull": 11,
    "ContainsAny": 12,
    "ContainsAll": 13,
    "Not": 15,
}
"""Numbers of ``Filters.Operator`` in Weaviate's ``v1/base.proto``; older clients have no name for ``Not``."""


def filter_message(native: Native) -> Any:
    """A filter as a message."""
    from weaviate.proto.v1 import base_pb2

    kind: Any = base_pb2.Filters
    operator = _OPERATORS[native["operator"]]
    if "operands" in native:
        return kind(operator=operator, filters=[filter_message(one) for one in native["operands"]])
    message = kind(operator=operator, target=base_pb2.FilterTarget(property=native["path"][0]))
    for key, value in native.items():
        match key:
            case "valueText" | "valueDate":
                message.value_text = value
            case "valueBoolean":
                message.value_boolean = value
            case "valueNumber":
                message.value_number = value
            case "valueTextArray":
                message.value_text_array.values.extend(value)
            case "valueBooleanArray":
                message.value_boolean_array.values.extend(value)
            case "valueNumberArray":
                message.value_number_array.values.extend(value)
    return message
