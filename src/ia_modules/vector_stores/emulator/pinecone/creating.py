"""New indexes: what a create request may ask for."""

from __future__ import annotations

import secrets
from typing import Any

from ia_modules.vector_stores.emulator.pinecone import limits
from ia_modules.vector_stores.emulator.pinecone.checks import in_range, index_name, tags, typed
from ia_modules.vector_stores.emulator.pinecone.definitions import (
    DENSE_FIELD,
    SPARSE_FIELD,
    Definition,
    capacity_of,
    protection_of,
)
from ia_modules.vector_stores.emulator.pinecone.wire import RefusedError

__all__ = ["created"]

_METRICS = ("cosine", "dotproduct", "euclidean")


def created(body: dict[str, Any]) -> Definition:
    """The index that a create request asks for.

    Raises:
        RefusedError: the body is not understood, or asks for what is not allowed or not emulated.
    """
    name = body.get("name")
    name = f"index-{secrets.token_hex(4)}" if name is None else index_name(name)
    for unsupported in ("source_collection", "source_backup_id"):
        if body.get(unsupported) is not None:
            raise RefusedError("The emulator has no backups and collections", 501)
    old = body.get("schema") is None
    if old:
        spec = typed(body, "spec", dict)
        if spec is None:
            raise RefusedError("Failed to deserialize the JSON body into the target type: missing field `schema`", 422)
        fields, deployment = _old_fields(body), _old_deployment(spec)
        inner = next(iter(spec.values()))
        if inner.get("source_collection") is not None:
            raise RefusedError("The emulator has no collections", 501)
        capacity = typed(inner, "read_capacity", dict)
    else:
        fields = _fields(typed(body, "schema", dict) or {})
        deployment = _deployment(typed(body, "deployment", dict))
        capacity = typed(body, "read_capacity", dict)
    return Definition(
        name,
        fields,
        deployment,
        capacity_of(capacity),
        protection_of(body, "disabled"),
        tags(body.get("tags")),
        typed(body, "cmek_id", str),
        old,
    )


def _fields(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    given = typed(schema, "fields", dict)
    if not given:
        raise RefusedError("schema must declare at least one field")
    fields = {name: _field(name, value) for name, value in given.items()}
    reserved = fields.keys() & {DENSE_FIELD, SPARSE_FIELD}
    if reserved and len(reserved) != len(fields):
        raise RefusedError(f"{DENSE_FIELD} and {SPARSE_FIELD} can't be declared together with other fields")
    kinds = [one["type"] for one in fields.values()]
    for kind, most in (("dense_vector", 1), ("sparse_vector", 1), ("string", limits.TEXT_FIELDS)):
        if kinds.count(kind) > most:
            raise RefusedError(f"schema can declare at most {most} {kind} field{'s' if most > 1 else ''}")
    return fields


def _field(name: str, value: Any) -> dict[str, Any]:
    where = f"schema.fields.{name}"
    if not 1 <= len(name.encode()) <= limits.FIELD_NAME_BYTES:
        raise RefusedError(f"Field names must be 1 to {limits.FIELD_NAME_BYTES} bytes, got '{name[:80]}'")
    if name.startswith(("_", "$")) and name not in (DENSE_FIELD, SPARSE_FIELD):
        raise RefusedError(f"Field name '{name}' must not start with '_' or '$'")
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        raise RefusedError(f"{where}.type is missing", 422)
    kind = value["type"]
    wanted = {DENSE_FIELD: "dense_vector", SPARSE_FIELD: "sparse_vector"}.get(name, kind)
    if kind != wanted:
        raise RefusedError(f"{where}.type must be {wanted}")
    shown = {"type": kind, "description": typed(value, "description", str)}
    if kind == "dense_vector":
        return shown | _dense(typed(value, "dimension", int), value.get("metric"))
    if kind == "sparse_vector":
        return shown
    if kind == "string":
        if value.get("embed") is not None or value.get("sparse_embed") is not None:
            raise RefusedError("The emulator has no integrated embedding", 501)
        search = typed(value, "full_text_search", dict)
        if search is None:
            raise RefusedError(f"{where} must have full_text_search, embed or sparse_embed")
        return shown | {"filterable": False, "full_text_search": search, "store_text": True}
    if kind == "integer":
        raise RefusedError(f"{where}.type: unknown variant `integer`", 422)
    raise RefusedError(f"{where}.type '{kind}' can't be declared")


def _dense(dimension: int | None, metric: Any) -> dict[str, Any]:
    if dimension is None:
        raise RefusedError("Failed to deserialize the JSON body into the target type: missing field `dimension`", 422)
    metric = metric.lower() if isinstance(metric, str) else metric
    if metric not in _METRICS:
        raise RefusedError(f"metric must be one of {', '.join(_METRICS)}")
    return {"dimension": in_range("dimension", dimension, limits.DIMENSION), "metric": metric}


def _old_fields(body: dict[str, Any]) -> dict[str, dict[str, Any]]:
    kind = typed(body, "vector_type", str) or "dense"
    dimension, metric = typed(body, "dimension", int), body.get("metric")
    if kind == "dense":
        return {DENSE_FIELD: {"type": "dense_vector", **_dense(dimension, "cosine" if metric is None else metric)}}
    if kind != "sparse":
        raise RefusedError("vector_type must be dense or sparse")
    if dimension is not None:
        raise RefusedError("dimension must not be given for a sparse index")
    if metric not in (None, "dotproduct"):
        raise RefusedError("The metric of a sparse index must be dotproduct")
    return {SPARSE_FIELD: {"type": "sparse_vector"}}


def _old_deployment(spec: dict[str, Any]) -> dict[str, Any]:
    kinds = {"serverless": "managed", "pod": "pod", "byoc": "byoc"}
    if len(spec) != 1 or (kind := next(iter(spec))) not in kinds:
        raise RefusedError("spec must have one of serverless, pod and byoc")
    inner = typed(spec, kind, dict) or {}
    names = ("cloud", "region", "environment", "pod_type", "replicas", "shards")
    kept = {name: inner[name] for name in names if inner.get(name) is not None}
    if kind == "pod":
        kept = {"pod_type": "p1.x1", "replicas": 1, "shards": 1} | kept
    return _deployment({"deployment_type": kinds[kind]} | kept)


def _deployment(value: dict[str, Any] | None) -> dict[str, Any]:
    value = value or {"deployment_type": "managed", "cloud": "aws", "region": "us-east-1"}
    kind = typed(value, "deployment_type", str)
    needed: dict[str, type[str | int]] = {"environment": str}
    if kind == "managed":
        needed = {"cloud": str, "region": str}
    elif kind == "pod":
        needed |= {"pod_type": str, "replicas": int, "shards": int}
    elif kind != "byoc":
        raise RefusedError("deployment_type must be managed, pod or byoc")
    shown: dict[str, Any] = {"deployment_type": kind}
    for name, wanted in needed.items():
        shown[name] = typed(value, name, wanted)
        if shown[name] is None:
            raise RefusedError(f"Failed to deserialize the JSON body into the target type: missing field `{name}`", 422)
    return shown
