"""The Documents API: upsert, search, fetch, update, delete and list of documents with named fields."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ia_modules.vector_stores.emulator.pinecone import limits
from ia_modules.vector_stores.emulator.pinecone.calls import Call
from ia_modules.vector_stores.emulator.pinecone.checks import (
    flag,
    in_range,
    next_page,
    page_after,
    record_id,
    record_ids,
    typed,
)
from ia_modules.vector_stores.emulator.pinecone.document_fields import (
    changes,
    chosen_fields,
    document,
    patch,
    shown,
    wanted_filter,
)
from ia_modules.vector_stores.emulator.pinecone.namespaces import Clear, Delete, Namespace, Upsert
from ia_modules.vector_stores.emulator.pinecone.records import Record, query_vector, sparse_vector
from ia_modules.vector_stores.emulator.pinecone.search import nearest
from ia_modules.vector_stores.emulator.pinecone.wire import Answer, RefusedError

__all__ = ["ROUTES"]

_LATER = {"text": "full text search", "query_string": "full text search"}
_EMBEDDED = ("embed", "sparse_embed")
_UNITS = {"usage": {"read_units": 1}}


def upsert(call: Call, namespace: str) -> Answer:
    """``POST …/documents/upsert``: all documents, or none if one is refused."""
    name = call.name(namespace)
    documents = _documents(call.request.json())
    records = [document(value, call.definition) for value in documents]
    _distinct(record.id for record in records)
    return call.write(name, Upsert(records), {"upserted_count": len(records)}, 202)


def _documents(body: dict[str, Any]) -> list[Any]:
    documents = typed(body, "documents", list)
    if not documents:
        raise RefusedError("documents must be a non-empty list")
    if len(documents) > limits.UPSERT_RECORDS:
        raise RefusedError(f"Too many documents: got {len(documents)}, the limit is {limits.UPSERT_RECORDS}")
    return documents


def _distinct(ids: Iterable[str]) -> None:
    seen: set[str] = set()
    for one in ids:
        if one in seen:
            raise RefusedError(f"Duplicate document ID '{one}' in the request")
        seen.add(one)


def search(call: Call, namespace: str) -> Answer:
    """``POST …/documents/search``: the nearest documents by one of the vector fields."""
    body = call.request.json()
    clause = _clause(body)
    top_k = typed(body, "top_k", int)
    if top_k is None:
        raise RefusedError("top_k is required")
    in_range("top_k", top_k, limits.TOP_K)
    index = call.definition
    dense = sparse = None
    if clause["type"] == "dense_vector":
        _check_field(clause, index.dense, "dense_vector")
        values = typed(clause, "values", list)
        if not values:
            raise RefusedError("dense_vector scoring requires a non-empty 'values' array")
        dense = query_vector(values, index)
    else:
        _check_field(clause, index.sparse, "sparse_vector")
        sparse = sparse_vector(clause.get("sparse_values") or {}, index)
    chosen = chosen_fields(body, default=[])
    seen = call.read(namespace)
    wanted = wanted_filter(body, index)
    rows = seen.matching(wanted) if wanted else np.array(sorted(seen.table.rows.values()), np.int64)
    if dense is not None:
        rows = np.array([row for row in rows.tolist() if seen.table.dense(row) is not None], np.int64)
    metric = "dotproduct" if dense is None else index.metric
    hits = nearest(seen.table, metric, dense, sparse, top_k, rows)
    matches = [{"_score": hit.score} | shown(seen.table.record(hit.row), index, chosen) for hit in hits]
    lsn = str(seen.indexed)
    answer = Answer(
        {"matches": matches, "namespace": seen.name, **_UNITS},
        headers={"x-pinecone-max-indexed-lsn": lsn, "x-pinecone-lsn-reconciled": lsn},
    )
    answer.content = answer.body()
    if len(answer.content) > limits.RESULT_BYTES:
        raise RefusedError(f"Result is too large: {len(answer.content)} bytes, the limit is {limits.RESULT_BYTES}")
    return answer


def _clause(body: dict[str, Any]) -> dict[str, Any]:
    """The one clause that there may be."""
    clauses = typed(body, "score_by", list)
    if not clauses or not all(isinstance(one, dict) for one in clauses):
        raise RefusedError("score_by must be a non-empty array of objects")
    for one in clauses:
        kind = one.get("type")
        if kind in _LATER:
            raise RefusedError(f"The emulator has no {_LATER[kind]}", 501)
        if kind in _EMBEDDED:
            raise RefusedError("The emulator has no integrated embedding", 501)
        if kind not in ("dense_vector", "sparse_vector"):
            raise RefusedError(f"Unknown scoring type {kind!r}")
    if len(clauses) > 1:
        raise RefusedError("A dense_vector or sparse_vector clause can't be combined with other clauses")
    found: dict[str, Any] = clauses[0]
    return found


def _check_field(clause: dict[str, Any], declared: str | None, kind: str) -> None:
    named = typed(clause, "field", str) or next(iter(typed(clause, "fields", list) or ()), None)
    if named is None or named != declared:
        raise RefusedError(f"Field '{named}' is not a {kind} field of this index")


def fetch(call: Call, namespace: str) -> Answer:
    """``POST …/documents/fetch``: documents by id, or a page of those that match a filter."""
    body = call.request.json()
    ids, wanted = typed(body, "ids", list), wanted_filter(body, call.definition)
    if (ids is None) == (wanted is None):
        raise RefusedError("Exactly one of ids or filter must be provided")
    chosen = chosen_fields(body, default=["*"])
    content: dict[str, Any] = {}
    if ids is not None:
        names = record_ids(ids, limits.FETCH_IDS)
        seen = call.read(namespace)
        names = [one for one in dict.fromkeys(names) if one in seen.table.rows]
    else:
        if not wanted:
            raise RefusedError("filter must not be empty")
        limit = typed(body, "limit", int)
        limit = (
            limits.FETCH_BY_METADATA_DEFAULT
            if limit is None
            else in_range("limit", limit, limits.FETCH_BY_METADATA_LIMIT)
        )
        after = page_after(typed(body, "pagination_token", str))
        seen = call.read(namespace)
        found = seen.matching_ids(wanted)
        start = bisect_right(found, after)
        names = found[start : start + limit]
        if start + limit < len(found):
            content["pagination"] = next_page(names[-1])
    documents = {one: shown(_at(seen, one), call.definition, chosen) for one in names}
    return Answer({"documents": documents, "namespace": seen.name, **_UNITS, **content})


def _at(seen: Namespace, name: str) -> Record:
    return seen.table.record(seen.table.rows[name])


def update(call: Call, namespace: str) -> Answer:
    """``POST …/documents/update``: some fields of documents that are named, or of all that match a filter."""
    body = call.request.json()
    name = call.name(namespace)
    documents, wanted = body.get("documents"), wanted_filter(body, call.definition)
    if (documents is None) == (wanted is None):
        raise RefusedError("Exactly one of documents or filter must be provided")
    if wanted is None:
        patches = [patch(value, call.definition) for value in _documents(body)]
        _distinct(one.ids[0] for one in patches)
        answer = Answer({}, 202)
        for one in patches if call.index.writable(name) else ():
            answer = call.write(name, one, {}, 202)
        return answer
    if not wanted:
        raise RefusedError("filter must not be empty")
    fields, removed = typed(body, "set_fields", dict) or {}, typed(body, "remove_fields", list) or []
    if not fields and not removed:
        raise RefusedError("set_fields or remove_fields is required")
    ids = call.index.read(name).matching_ids(wanted)
    change = changes(ids, fields, removed, call.definition)
    content = {"matched_records": len(ids)}
    return call.write(name, change, content, 202) if call.index.writable(name) else Answer(content, 202)


def delete(call: Call, namespace: str) -> Answer:
    """``POST …/documents/delete``: by ids, by a filter, or everything."""
    body = call.request.json()
    name = call.name(namespace)
    ids, wanted, everything = typed(body, "ids", list), wanted_filter(body, call.definition), flag(body, "delete_all")
    if (ids is not None) + (wanted is not None) + everything != 1:
        raise RefusedError("Exactly one of ids, filter or delete_all must be provided")
    if wanted == {}:
        raise RefusedError("filter must not be empty")
    if ids is not None:
        ids = record_ids(ids, limits.DELETE_IDS)
    if not call.index.writable(name):
        raise RefusedError("Namespace not found", 404)
    if everything:
        return call.write(name, Clear(), {}, 202)
    if wanted is not None:
        ids = call.index.read(name).matching_ids(wanted)
        return call.write(name, Delete(ids), {"matched_records": len(ids)}, 202)
    return call.write(name, Delete(ids or []), {}, 202)


def list_ids(call: Call, namespace: str) -> Answer:
    """``POST …/documents/list``: a page of ids, in the order of their bytes."""
    body = call.request.json() if call.request.body else {}
    limit = typed(body, "limit", int)
    limit = limits.LIST_LIMIT if limit is None else in_range("limit", limit, limits.LIST_LIMIT)
    prefix = typed(body, "prefix", str) or ""
    if prefix:
        record_id(prefix, "prefix")
    after = page_after(typed(body, "pagination_token", str))
    seen = call.read(namespace)
    ids = seen.table.sorted_ids()
    start = max(bisect_right(ids, after), bisect_left(ids, prefix))
    end = bisect_left(ids, prefix + "\x80") if prefix else len(ids)
    page = ids[start : min(start + limit, end)]
    content: dict[str, Any] = {"documents": [{"_id": one} for one in page], "namespace": seen.name, **_UNITS}
    if start + limit < end:
        content["pagination"] = next_page(page[-1], prefix or None)
    return Answer(content)


ROUTES: dict[str, Callable[[Call, str], Answer]] = {
    "upsert": upsert,
    "search": search,
    "fetch": fetch,
    "update": update,
    "delete": delete,
    "list": list_ids,
}
"""By the last part of the path."""
