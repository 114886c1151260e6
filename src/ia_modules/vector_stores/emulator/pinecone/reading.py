"""The Vectors API's reads: query, fetch, fetch by metadata, list."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ia_modules.vector_stores.emulator.pinecone import limits
from ia_modules.vector_stores.emulator.pinecone.calls import Call
from ia_modules.vector_stores.emulator.pinecone.checks import (
    DEFAULT_NAMESPACE,
    flag,
    in_range,
    next_page,
    page_after,
    record_id,
    record_ids,
    typed,
)
from ia_modules.vector_stores.emulator.pinecone.definitions import Definition
from ia_modules.vector_stores.emulator.pinecone.namespaces import Namespace
from ia_modules.vector_stores.emulator.pinecone.records import Record, Sparse, query_vector, sparse_vector
from ia_modules.vector_stores.emulator.pinecone.search import nearest
from ia_modules.vector_stores.emulator.pinecone.wire import Answer, RefusedError

__all__ = ["fetch", "fetch_by_metadata", "list_ids", "query"]

Query = tuple[NDArray[np.float32] | None, Sparse | None]


def query(call: Call) -> Answer:
    """``POST /query``: the nearest records to a vector, or to a record that is named."""
    body = call.request.json()
    top_k = typed(body, "topK", int)
    if top_k is None:
        raise RefusedError("topK is required")
    in_range("topK", top_k, limits.TOP_K)
    _check_tuning(call.definition, body, top_k)
    with_values, with_metadata = flag(body, "includeValues"), flag(body, "includeMetadata")
    name = None if body.get("id") is None else record_id(body["id"])
    given = _given(call.definition, body, name)
    namespace = call.read(body.get("namespace"))
    wanted = body.get("filter")
    rows = namespace.matching(wanted) if wanted is not None else None
    dense, sparse = given if name is None else _stored(call.definition, namespace, name)
    hits = []
    if dense is not None or sparse is not None:
        hits = nearest(namespace.table, call.definition.metric, dense, sparse, top_k, rows if wanted else None)
    matches = []
    for hit in hits:
        record = namespace.table.record(hit.row)
        match: dict[str, Any] = {"id": record.id, "score": hit.score, "values": []}
        if with_values:
            match |= _vectors(record)
        if with_metadata and record.metadata is not None:
            match["metadata"] = record.metadata
        matches.append(match)
    lsn = str(namespace.indexed)
    answer = Answer(
        {"matches": matches, "namespace": _shown(namespace), "usage": {"readUnits": 1}},
        headers={"x-pinecone-max-indexed-lsn": lsn, "x-pinecone-lsn-reconciled": lsn},
    )
    answer.content = answer.body()
    if len(answer.content) > limits.RESULT_BYTES:
        raise RefusedError(
            f"Query result is too large: {len(answer.content)} bytes, the limit is {limits.RESULT_BYTES}"
        )
    return answer


def _check_tuning(index: Definition, body: dict[str, Any], top_k: int) -> None:
    factor, candidates = body.get("scanFactor"), typed(body, "maxCandidates", int)
    if factor is None and candidates is None:
        return
    if not index.dedicated or index.dimension is None:
        raise RefusedError("scanFactor and maxCandidates are for dense indexes with dedicated read nodes")
    if factor is not None and (type(factor) not in (int, float) or not 0.5 <= factor <= 4):
        raise RefusedError("scanFactor must be a number between 0.5 and 4")
    if candidates is not None and not top_k <= candidates <= 100_000:
        raise RefusedError("maxCandidates must be between topK and 100000")


def _given(index: Definition, body: dict[str, Any], id: str | None) -> Query:
    """The vectors of a query, checked against the index."""
    values = typed(body, "vector", list)
    sparse = body.get("sparseVector")
    if id is not None and (values or sparse is not None):
        other = "vector" if values else "sparse_vector"
        raise RefusedError(f"Cannot provide both 'ID' and '{other}' at the same time")
    if id is None and not values and sparse is None:
        raise RefusedError("At least one of vector, id, or sparse_vector must be provided")
    if sparse is not None and index.metric != "dotproduct":
        raise RefusedError("Index configuration does not support sparse values")
    if sparse is not None and not values and not index.takes_sparse_alone:
        raise RefusedError(f"Vector dimension 0 does not match the dimension of the index {index.dimension}")
    return query_vector(values, index) if values else None, sparse_vector(sparse, index)


def _stored(index: Definition, namespace: Namespace, id: str) -> Query:
    """The vectors of a record, as a query; nothing if there is no such record."""
    row = namespace.table.rows.get(id)
    if row is None:
        return None, None
    record = namespace.table.record(row)
    return record.dense, record.sparse if index.metric == "dotproduct" else None


def fetch(call: Call) -> Answer:
    """``GET /vectors/fetch``: records by their ids; those that are not there are left out."""
    ids = record_ids(list(call.request.query.get("ids", [])), limits.FETCH_IDS)
    namespace = call.read(call.request.one("namespace"))
    return Answer(_records(namespace, [one for one in dict.fromkeys(ids) if one in namespace.table.rows]))


def fetch_by_metadata(call: Call) -> Answer:
    """``POST /vectors/fetch_by_metadata``: a page of the records that match a filter, by id."""
    body = call.request.json()
    wanted = body.get("filter")
    if wanted is None or wanted == {}:
        raise RefusedError("Empty filter provided for fetch by metadata request")
    limit = typed(body, "limit", int)
    limit = (
        limits.FETCH_BY_METADATA_DEFAULT if limit is None else in_range("limit", limit, limits.FETCH_BY_METADATA_LIMIT)
    )
    after = page_after(typed(body, "paginationToken", str))
    namespace = call.read(body.get("namespace"))
    ids = namespace.matching_ids(wanted)
    start = bisect_right(ids, after)
    content = _records(namespace, ids[start : start + limit])
    if start + limit < len(ids):
        content["pagination"] = next_page(ids[start + limit - 1])
    return Answer(content)


def list_ids(call: Call) -> Answer:
    """``GET /vectors/list``: a page of ids, in the order of their bytes."""
    request = call.request
    limit = request.whole("limit")
    limit = limits.LIST_LIMIT if limit is None else in_range("limit", limit, limits.LIST_LIMIT)
    prefix = request.one("prefix") or ""
    if prefix:
        record_id(prefix, "prefix")
    after = page_after(request.one("paginationToken"))
    namespace = call.read(request.one("namespace"))
    ids = namespace.table.sorted_ids()
    start = max(bisect_right(ids, after), bisect_left(ids, prefix))
    # ASCII has no character after DEL: this is where ids with the prefix end.
    end = bisect_left(ids, prefix + "\x80") if prefix else len(ids)
    page = ids[start : min(start + limit, end)]
    content: dict[str, Any] = {
        "vectors": [{"id": one} for one in page],
        "namespace": _shown(namespace),
        "usage": {"readUnits": 1},
    }
    if start + limit < end:
        content["pagination"] = next_page(page[-1], prefix or None)
    return Answer(content)


def _records(namespace: Namespace, ids: list[str]) -> dict[str, Any]:
    vectors = {}
    for name in ids:
        record = namespace.table.record(namespace.table.rows[name])
        vectors[name] = {"id": name} | _vectors(record)
        if record.metadata is not None:
            vectors[name]["metadata"] = record.metadata
    units = max(1, -(-len(ids) // 10))
    return {"vectors": vectors, "namespace": _shown(namespace), "usage": {"readUnits": units}}


def _vectors(record: Record) -> dict[str, Any]:
    shown: dict[str, Any] = {"values": [] if record.dense is None else record.dense}
    if record.sparse is not None:
        shown["sparseValues"] = record.sparse.json()
    return shown


def _shown(namespace: Namespace) -> str:
    """The name in answers: the default namespace has none."""
    return "" if namespace.name == DEFAULT_NAMESPACE else namespace.name
