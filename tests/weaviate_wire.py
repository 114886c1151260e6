"""Requests to a Weaviate server as they are on the wire, for the tests of our double of one."""

from __future__ import annotations

import json
import os
import struct
import urllib.error
import urllib.request
import uuid
import warnings
from typing import Any

import numpy as np
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    weaviate: Any = pytest.importorskip("weaviate")
    import grpc
    from weaviate.proto.v1 import (
        aggregate_pb2,
        base_pb2,
        base_search_pb2,
        batch_delete_pb2,
        batch_pb2,
        search_get_pb2,
        weaviate_pb2_grpc,
    )

    from emulator.weaviate import Server

REAL = os.environ.get("WEAVIATE_URL")
REAL_GRPC = os.environ.get("WEAVIATE_GRPC_URL", "127.0.0.1:50051")
LIST = "explorer: list class: search: "
NEAR = "explorer: get class: concurrentTargetVectorSearch): explorer: get class: vector search: "
ONLY_STOPWORDS = (
    "invalid search term, only stopwords provided. Stopwords can be configured in class.invertedIndexConfig.stopwords"
)
OPERATORS = base_pb2.Filters.Operator


def number(value: int) -> str:
    return str(uuid.UUID(int=value))


def packed(vector: list[float]) -> bytes:
    return np.asarray(vector, dtype="<f4").tobytes()


class Wire:
    """A server, as it is on the wire, and a collection's name that no other test uses."""

    def __init__(self, http: str, grpc_url: str) -> None:
        self.http = http
        self.grpc_url = grpc_url
        self.channel = grpc.insecure_channel(grpc_url)
        self.stub = weaviate_pb2_grpc.WeaviateStub(self.channel)  # type: ignore[no-untyped-call]
        self.name = f"Emu{uuid.uuid4().hex[:10]}"
        self.index = self.name.lower()
        self.made: list[str] = [self.name]

    def rest(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.http + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request) as answer:
                status, text = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                status, text = error.code, error.read()
        return status, json.loads(text) if text else None

    def refused(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        status, content = self.rest(method, path, body)
        return status, content["error"][0]["message"]

    def call(self, method: str, request: Any) -> Any:
        """The reply, or the status and the words of a refusal."""
        try:
            return getattr(self.stub, method)(request, timeout=30)
        except grpc.RpcError as error:
            # The server has no other status for these.
            return error.details() if error.code() is grpc.StatusCode.UNKNOWN else error

    def create(self, **definition: Any) -> None:
        assert self.rest("POST", "/v1/schema", {"class": self.name, **definition})[0] == 200

    def put(self, *objects: Any) -> Any:
        reply = self.call("BatchObjects", batch_pb2.BatchObjectsRequest(objects=objects))
        return reply if isinstance(reply, str) else {one.index: one.error for one in reply.errors}

    def object(
        self, at: int, properties: dict[str, Any] | None = None, vector: list[float] | None = None, **given: Any
    ) -> Any:
        given = {"uuid": number(at), "collection": self.name, "tenant": "t1", **given}
        made = batch_pb2.BatchObject(**given)
        for key, value in (properties or {}).items():
            add_property(made.properties, key, value)
        if vector is not None:
            made.vectors.add(name="default", vector_bytes=packed(vector))
        return made

    def search(self, **asked: Any) -> Any:
        metadata = search_get_pb2.MetadataRequest(uuid=True, distance=True)
        given = {"collection": self.name, "tenant": "t1", "limit": 100, "uses_127_api": True, "metadata": metadata}
        return self.call("Search", search_get_pb2.SearchRequest(**{**given, **asked}))

    def found(self, **asked: Any) -> Any:
        reply = self.search(**asked)
        return reply if isinstance(reply, str) else [ident(one) for one in reply.results]

    def filtered(self, filters: Any, **asked: Any) -> Any:
        """Sorted: objects of one batch get their numbers in any order."""
        found = self.found(filters=filters, **asked)
        return found if isinstance(found, str) else sorted(found)

    def delete(self, filters: Any, **asked: Any) -> Any:
        given = {"collection": self.name, "tenant": "t1", "filters": filters, **asked}
        return self.call("BatchDelete", batch_delete_pb2.BatchDeleteRequest(**given))

    def count(self, **asked: Any) -> Any:
        given = {"collection": self.name, "tenant": "t1", "objects_count": True, **asked}
        reply = self.call("Aggregate", aggregate_pb2.AggregateRequest(**given))
        return reply if isinstance(reply, str) else reply.single_result.objects_count

    def in_shard(self, error: str) -> str:
        return f"{LIST}object search at index {self.index}: local shard object search {self.index}_t1: {error}"

    def close(self) -> None:
        for name in self.made:
            self.rest("DELETE", f"/v1/schema/{name}")
        self.channel.close()


def ident(result: Any) -> int:
    return int.from_bytes(result.metadata.id_as_bytes, "big")


def add_property(message: Any, key: str, value: Any) -> None:
    if not isinstance(value, list):
        message.non_ref_properties.update({key: value})
    elif not value:
        message.empty_list_props.append(key)
    elif isinstance(value[0], bool):
        message.boolean_array_properties.add(prop_name=key, values=value)
    elif isinstance(value[0], int):
        message.int_array_properties.add(prop_name=key, values=value)
    elif isinstance(value[0], float):
        message.number_array_properties.add(prop_name=key, values_bytes=struct.pack(f"<{len(value)}d", *value))
    else:
        message.text_array_properties.add(prop_name=key, values=value)


def where(name: str, operator: str, value: Any) -> Any:
    made = base_pb2.Filters(operator=OPERATORS.Value(f"OPERATOR_{operator}"))
    made.target.property = name
    kinds: list[tuple[type, str]] = [(bool, "boolean"), (int, "int"), (float, "number"), (str, "text")]
    first = value[0] if isinstance(value, list) and value else "" if isinstance(value, list) else value
    kind = next(name for kind, name in kinds if isinstance(first, kind))
    if isinstance(value, list):
        field = getattr(made, f"value_{kind}_array")
        field.SetInParent()
        field.values.extend(value)
    else:
        setattr(made, f"value_{kind}", value)
    return made


def joined(operator: str, *filters: Any) -> Any:
    return base_pb2.Filters(operator=OPERATORS.Value(f"OPERATOR_{operator}"), filters=filters)


def vectors(distance: str = "cosine") -> dict[str, Any]:
    config = {"distance": distance}
    return {"default": {"vectorizer": {"none": {}}, "vectorIndexType": "hnsw", "vectorIndexConfig": config}}


def near(vector: list[float], **given: Any) -> Any:
    return base_search_pb2.NearVector(vector_bytes=packed(vector), **given)


MULTI = {"enabled": True, "autoTenantCreation": True}


def wire_named(name: str, double: Server) -> Wire:
    return wire_to(double) if name == "double" else Wire(str(REAL), REAL_GRPC)


def wire_to(server: Server) -> Wire:
    return Wire(f"http://127.0.0.1:{server.http_port}", f"127.0.0.1:{server.grpc_port}")


TYPES: dict[str, tuple[str, dict[str, Any]]] = {
    "w": ("text", {}),
    "f": ("text", {"tokenization": "field"}),
    "lo": ("text", {"tokenization": "lowercase"}),
    "ws": ("text", {"tokenization": "whitespace"}),
    "search": ("text", {"indexFilterable": False}),
    "bare": ("text", {"indexFilterable": False, "indexSearchable": False}),
    "n": ("number", {}),
    "nr": ("number", {"indexRangeFilters": True}),
    "range": ("number", {"indexRangeFilters": True, "indexFilterable": False}),
    "i": ("int", {}),
    "b": ("boolean", {}),
    "d": ("date", {}),
    "u": ("uuid", {}),
    "tags": ("text[]", {"tokenization": "field"}),
    "tw": ("text[]", {}),
    "ns": ("number[]", {}),
    "is": ("int[]", {}),
    "bs": ("boolean[]", {}),
    "ds": ("date[]", {}),
    "us": ("uuid[]", {}),
}
PROPERTIES = [{"name": name, "dataType": [kind], **more} for name, (kind, more) in TYPES.items()]
DEFINITION = {
    "properties": PROPERTIES,
    "vectorConfig": vectors(),
    "multiTenancyConfig": MULTI,
    "invertedIndexConfig": {"indexNullState": True, "indexTimestamps": True, "indexPropertyLength": True},
}
NONE_ADDED = "no such prop with name '{}' found in class '{}' in the schema. "
AVAILABLE = "Check your schema files for which properties in this class are available"
GRAPHQL = (
    "Property names in Weaviate are restricted to valid GraphQL names, which must be “/[_A-Za-z][_0-9A-Za-z]{0,230}/”"
)
LETTERS = (
    "is not a valid tenant name. should only contain alphanumeric characters (a-z, A-Z, 0-9), underscore (_), and "
    "hyphen (-), with a length between 1 and 64 characters"
)
