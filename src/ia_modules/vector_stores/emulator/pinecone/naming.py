"""Namespaces by themselves, and the counts of an index; for indexes of either kind."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

from ia_modules.vector_stores.emulator.pinecone import limits
from ia_modules.vector_stores.emulator.pinecone.calls import Call
from ia_modules.vector_stores.emulator.pinecone.checks import (
    DEFAULT_NAMESPACE,
    in_range,
    namespace_name,
    next_page,
    page_after,
    typed,
)
from ia_modules.vector_stores.emulator.pinecone.namespaces import Create, Drop, Namespace
from ia_modules.vector_stores.emulator.pinecone.wire import Answer, RefusedError

__all__ = ["create_namespace", "delete_namespace", "describe_namespace", "list_namespaces", "stats"]


def stats(call: Call) -> Answer:
    """``POST /describe_index_stats``: how many records each namespace has."""
    wanted = typed(call.request.json(), "filter", dict) if call.request.body else None
    if wanted:
        raise RefusedError(
            "Serverless and Starter indexes do not support describing index stats with metadata filtering"
        )
    counts = {one.name: len(one.table) for one in call.index.visible()}
    content: dict[str, Any] = {
        "namespaces": {name: {"vectorCount": count} for name, count in counts.items()},
        "indexFullness": 0.0,
        "totalVectorCount": sum(counts.values()),
        "metric": call.definition.metric,
        "vectorType": call.definition.vector_type,
        "memory_fullness": 0.0,
        "storage_fullness": 0.0,
    }
    if call.definition.dimension is not None:
        content["dimension"] = call.definition.dimension
    return Answer(content)


def create_namespace(call: Call) -> Answer:
    """``POST /namespaces``."""
    body = call.request.json()
    name = namespace_name(body.get("name"))
    if name == DEFAULT_NAMESPACE:
        raise RefusedError(f"A namespace needs a name other than {DEFAULT_NAMESPACE}, which is reserved")
    schema = typed(body, "schema", dict)
    fields = None if schema is None else typed(schema, "fields", dict)
    if schema is not None and fields is None:
        raise RefusedError("schema must have fields")
    for field, config in (fields or {}).items():
        if not isinstance(config, dict) or config.get("filterable") is not True:
            raise RefusedError(
                f"Field '{field}' is set to filterable: false. Only filterable: true is supported. "
                "To avoid indexing the field, omit it from the list of fields."
            )
    if call.index.writable(name):
        raise RefusedError(f"Namespace {name} already exists", 409)
    answer = call.write(name, Create(schema), None)
    made = Namespace(name, call.definition.dimension)
    made.schema = schema
    answer.content = _described(made)
    return answer


def list_namespaces(call: Call) -> Answer:
    """``GET /namespaces``: a page of them, by name."""
    request = call.request
    limit = request.whole("limit")
    limit = limits.NAMESPACES_LIMIT if limit is None else in_range("limit", limit, limits.NAMESPACES_LIMIT)
    after, prefix = page_after(request.one("paginationToken")), request.one("prefix") or ""
    found = [one for one in call.index.visible() if one.name.startswith(prefix)]
    start = bisect_right([one.name for one in found], after)
    page = found[start : start + limit]
    content: dict[str, Any] = {"namespaces": [_described(one) for one in page], "total_count": len(found)}
    if start + limit < len(found):
        content["pagination"] = next_page(page[-1].name, prefix or None)
    return Answer(content)


def describe_namespace(call: Call, name: str) -> Answer:
    """``GET /namespaces/{name}``."""
    namespace = call.index.read(namespace_name(name))
    if not namespace.found:
        raise RefusedError("Namespace not found", 404)
    return Answer(_described(namespace))


def delete_namespace(call: Call, name: str) -> Answer:
    """``DELETE /namespaces/{name}``."""
    name = namespace_name(name)
    if not call.index.writable(name):
        raise RefusedError("Namespace not found", 404)
    return call.write(name, Drop(), {})


def _described(namespace: Namespace) -> dict[str, Any]:
    size = len(namespace.table) * 4 * namespace.table.dimension
    # Numbers of 64 bits are strings in the JSON of gRPC.
    described: dict[str, Any] = {
        "name": namespace.name,
        "record_count": str(len(namespace.table)),
        "size_bytes": str(size),
    }
    if namespace.schema is not None:
        described["schema"] = namespace.schema
        described["indexed_fields"] = {"fields": sorted(namespace.schema.get("fields") or {})}
    return described
