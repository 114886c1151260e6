"""Search requests: what they ask for, and what is found."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from weaviate.proto.v1 import search_get_pb2

from . import filters, lookup, schema
from .batch import floats
from .engine import Collection
from .replies import Replier
from .store import Stored
from .values import RefusedError, float_key, parse_date, parse_uuid

MAXIMUM = 10_000
DEFAULT_LIMIT = 10
LIST = "explorer: list class: search: "
NEAR = "explorer: get class: concurrentTargetVectorSearch): explorer: get class: vector search: "
ABSENT = ("hybrid_search", "bm25_search", "near_object", "near_text", "near_image", "group_by", "rerank")


def answer(request: Any, collection: Collection) -> Any:
    near = request.near_vector if request.HasField("near_vector") else None
    for other in ABSENT:
        if request.HasField(other):
            raise RefusedError(f"the emulator has no {other}")
    target = target_of(near, collection) if near is not None else ""
    properties = wanted_properties(request, collection)
    query, farthest = None, None
    if near is not None:
        query, farthest = query_vector(near, target), farthest_of(near, target, collection)
    clause = None
    if request.HasField("filters"):
        clause = filters.read(request.filters, collection)
        filters.check(clause, collection)
    if near is not None and request.sort_by:
        raise RefusedError("sorting cannot be combined with search")
    check_sorts(request, collection)
    limit, offset = request.limit or DEFAULT_LIMIT, request.offset
    if request.after:
        check_cursor(request, near is not None)
    if limit + offset > MAXIMUM:
        raise RefusedError(
            f"{LIST if near is None else NEAR}invalid pagination params: query maximum results exceeded: the total "
            f"limit calculated from the provided offset '{offset}' and limit '{limit}' exceeds the configured value "
            f"for QUERY_MAXIMUM_RESULTS '{MAXIMUM}'. If you've supplied a negative offset or limit, this may be an "
            "underflow error"
        )
    if query is None:
        found = [(one, 0.0) for one in listed(request, collection, clause)[: offset + limit]]
    else:
        found = nearest(request.tenant, collection, clause, target, query, farthest, offset + limit)
    reply = Replier(collection, request, properties, near is not None)
    results = [reply(one, distance) for one, distance in found[offset:]]
    return search_get_pb2.SearchReply(results=results, generative_grouped_result="")


def listed(request: Any, collection: Collection, clause: filters.Clause | None) -> list[Stored]:
    """In the order of UUIDs; with a filter, in the order of the numbers in the index."""
    prefix = f"{LIST}object search at index {collection.index}: "
    try:
        shard = collection.shard(request.tenant)
    except RefusedError as error:
        raise RefusedError(prefix + error.message) from None
    if clause is None:
        ids = shard.by_uuid()
        if request.after:
            after = str(parse_uuid(request.after))
            ids = [one for one in ids if one > after]
        chosen = [shard.objects[one] for one in ids]
    else:
        prefix += f"local shard object search {collection.index}_{shard.name}: "
        try:
            docs = lookup.matching(clause, collection, shard)
        except lookup.MissingIndexError:
            raise
        except RefusedError as error:
            raise RefusedError(prefix + error.message) from None
        chosen = [shard.docs[doc] for doc in sorted(docs)]
    for sort in reversed(request.sort_by):
        chosen.sort(key=partial(sort_key, collection, sort.path[0]), reverse=not sort.ascending)
    return chosen


def nearest(
    tenant: str,
    collection: Collection,
    clause: filters.Clause | None,
    target: str,
    query: np.ndarray,
    farthest: float | None,
    count: int,
) -> list[tuple[Stored, float]]:
    prefix = f"{NEAR}object vector search at index {collection.index}: "
    try:
        shard = collection.shard(tenant)
        prefix += f"shard {collection.index}_{shard.name}: "
        allowed = None
        if clause is not None:
            try:
                allowed = lookup.matching(clause, collection, shard)
            except RefusedError as error:
                raise RefusedError(f"build inverted filter allow list: {error.message}") from None
        return shard.near(target, query, allowed, count, farthest)
    except RefusedError as error:
        raise RefusedError(prefix + error.message) from None


def check_cursor(request: Any, searched: bool) -> None:
    start = "cursor api: invalid 'after' parameter: "
    if searched:
        raise RefusedError(f"{start}other params cannot be set with after and limit parameters")
    given = [
        name
        for name, there in (
            ("offset", request.offset > 0),
            ("where", request.HasField("filters")),
            ("sort", bool(request.sort_by)),
        )
        if there
    ]
    if given:
        raise RefusedError(f"{start}{','.join(given)} cannot be set with after and limit parameters")
    try:
        parse_uuid(request.after)
    except RefusedError as error:
        raise RefusedError(f"{start}after parameter '{request.after}' is not a valid uuid: {error.message}") from None


def wanted_properties(request: Any, collection: Collection) -> list[dict[str, Any]]:
    known: list[dict[str, Any]] = collection.definition["properties"] or []
    asked = request.properties
    if not request.HasField("properties") or asked.return_all_nonref_properties:
        return [one for one in known if one["dataType"][0] != "blob"]
    out = []
    for name in map(schema.lower_first, asked.non_ref_properties):
        try:
            out.append(collection.property(name))
        except RefusedError as error:
            raise RefusedError(
                f"extract properties request: get property by name {name} for class {request.collection}: "
                f"{error.message}"
            ) from None
    return out


def target_of(near: Any, collection: Collection) -> str:
    """The name of the vector that is searched; empty for the one without a name."""
    names = list(near.targets.target_vectors if near.HasField("targets") else near.target_vectors)
    known = collection.vectors
    if not names and known:
        if len(known) > 1:
            raise RefusedError(
                f"extract target vectors: class {collection.name} has multiple vectors, "
                "but no target vectors were provided"
            )
        return known[0]
    for name in names:
        if name not in known:
            raise RefusedError(
                f"extract target vectors: class {collection.name} does not have named vector {name} configured. "
                f"Available named vectors [{' '.join(known)}]"
            )
    if len(set(names)) > 1:
        raise RefusedError("the emulator searches one vector at a time")
    return names[0] if names else ""


def query_vector(near: Any, target: str) -> np.ndarray:
    if near.vectors:
        if len(near.vectors) > 1:
            raise RefusedError(f"near_vector: only 1 vector supported, found {len(near.vectors)} vectors")
        return floats(near.vectors[0].vector_bytes)
    if near.vector_bytes:
        return floats(near.vector_bytes)
    if near.vector:
        return np.array(near.vector, dtype=np.float32)
    if near.vector_for_targets:
        given = near.vector_for_targets
        if len(given) != 1:
            raise RefusedError("near_vector: vector for target must have the same lengths as target vectors")
        if given[0].name != target:
            raise RefusedError(missing_target(target, [one.name for one in given]))
        return floats(given[0].vectors[0].vector_bytes if given[0].vectors else given[0].vector_bytes)
    if near.vector_per_target:
        if len(near.vector_per_target) != 1:
            raise RefusedError("near_vector: vector per target must be provided for all targets")
        if target not in near.vector_per_target:
            raise RefusedError(missing_target(target, [*near.vector_per_target]))
        return floats(near.vector_per_target[target])
    raise RefusedError("near_vector: vector is required")


def missing_target(target: str, given: list[str]) -> str:
    return (
        f"near_vector: vector for target {target} is required. "
        f"All target vectors: [{target}] all vectors for targets [{' '.join(given)}]"
    )


def farthest_of(near: Any, target: str, collection: Collection) -> float | None:
    distance, certain = near.HasField("distance"), near.HasField("certainty")
    if distance and certain:
        raise RefusedError("near_vector: cannot provide distance and certainty")
    if certain:
        config = collection.definition["vectorConfig"][target] if target else collection.definition
        metric = config["vectorIndexConfig"]["distance"]
        if metric != "cosine":
            raise RefusedError(
                f"can't compute and return certainty when vector index is configured with {metric} distance"
            )
        return float((1 - near.certainty) * 2)
    return float(near.distance) if distance else None


def check_sorts(request: Any, collection: Collection) -> None:
    for at, sort in enumerate(request.sort_by):
        try:
            if sort.path[0] != "_id":
                collection.property(sort.path[0])
        except RefusedError as error:
            raise RefusedError(f"invalid 'sort' parameter: sort parameter at position {at}: {error.message}") from None


def sort_key(collection: Collection, name: str, one: Stored) -> Any:
    """What has no value comes first."""
    if name == "_id":
        return one.id
    value = one.properties.get(name)
    if value is None:
        return (0, 0)
    kind = collection.property(name)["dataType"][0]
    if kind == "date":
        return (1, (parse_date(value) or (0, ""))[0])
    return (1, float_key(value) if kind == "number" else value)
