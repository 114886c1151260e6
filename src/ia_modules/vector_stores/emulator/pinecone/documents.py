"""The Documents API: upsert, fetch, update, delete and list of documents with named fields; for search see there."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from typing import Any

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
    check_sizes,
    chosen_fields,
    document,
    document_namespace,
    patch,
    shown,
)
from ia_modules.vector_stores.emulator.pinecone.document_filters import selecting_filter
from ia_modules.vector_stores.emulator.pinecone.document_search import search
from ia_modules.vector_stores.emulator.pinecone.namespaces import Clear, Delete, Patches, Upsert
from ia_modules.vector_stores.emulator.pinecone.wire import Answer, RefusedError

__all__ = ["ROUTES"]

_UNITS = {"usage": {"read_units": 1}}


def upsert(call: Call, namespace: str) -> Answer:
    """``POST …/documents/upsert``: all documents, or none if one is refused."""
    name = call.name(document_namespace(namespace))
    records = [document(value, call.definition) for value in _documents(call.request.json())]
    _check_distinct(record.id for record in records)
    return call.write(name, Upsert(records), {"upserted_count": len(records)}, 202)


def _documents(body: dict[str, Any]) -> list[Any]:
    documents = typed(body, "documents", list)
    if not documents:
        raise RefusedError("documents must be a non-empty list")
    if len(documents) > limits.UPSERT_RECORDS:
        raise RefusedError(f"Too many documents: got {len(documents)}, the limit is {limits.UPSERT_RECORDS}")
    return documents


def _check_distinct(ids: Iterable[str]) -> None:
    seen: set[str] = set()
    for one in ids:
        if one in seen:
            raise RefusedError(f"Duplicate document ID '{one}' in the request")
        seen.add(one)


def fetch(call: Call, namespace: str) -> Answer:
    """``POST …/documents/fetch``: documents by id, or a page of those that match a filter."""
    body = call.request.json()
    ids, wanted = typed(body, "ids", list), selecting_filter(body, call.definition)
    token = typed(body, "pagination_token", str)
    if bool(ids) == (wanted is not None):
        raise RefusedError("Exactly one of ids or filter must be provided")
    if token is not None and wanted is None:
        raise RefusedError("pagination_token is only valid together with filter")
    chosen = chosen_fields(body, nothing=["*"])
    name = document_namespace(namespace)
    more: dict[str, Any] = {}
    if wanted is None:
        given = record_ids(ids or [], limits.FETCH_IDS)
        seen = call.read(name)
        found = [one for one in dict.fromkeys(given) if one in seen.table.rows]
    else:
        limit = typed(body, "limit", int)
        limit = limits.FETCH_BY_METADATA_DEFAULT if limit is None else limit
        in_range("limit", limit, limits.FETCH_BY_METADATA_LIMIT)
        after = page_after(token)
        seen = call.read(name)
        matching = seen.matching_ids(wanted)
        start = bisect_right(matching, after)
        found = matching[start : start + limit]
        if start + limit < len(matching):
            more["pagination"] = next_page(found[-1])
    records = (seen.table.record(seen.table.rows[one]) for one in found)
    documents = {record.id: shown(record, call.definition, chosen) for record in records}
    return Answer({"documents": documents, "namespace": seen.name, **_UNITS, **more})


def update(call: Call, namespace: str) -> Answer:
    """``POST …/documents/update``: some fields of documents that are named, or of all that match a filter."""
    body = call.request.json()
    name = call.name(document_namespace(namespace))
    wanted = selecting_filter(body, call.definition, writing=True)
    fields, removed = typed(body, "set_fields", dict) or {}, typed(body, "remove_fields", list) or []
    if (body.get("documents") is None) == (wanted is None):
        raise RefusedError("Exactly one of documents or filter must be provided")
    content: dict[str, Any] = {}
    if wanted is None:
        if fields or removed:
            raise RefusedError("set_fields and remove_fields are only valid together with filter")
        patches = [patch(value, call.definition) for value in _documents(body)]
        _check_distinct(one.ids[0] for one in patches)
    else:
        if not fields and not removed:
            raise RefusedError("set_fields or remove_fields is required")
        ids = call.index.read(name).matching_ids(wanted)
        patches = [changes(ids, fields, removed, call.definition)]
        content = {"matched_records": len(ids)}
    if not call.index.writable(name):
        return Answer(content, 202)
    for one in patches:
        check_sizes(call.index.namespace(name), one)
    return call.write(name, Patches(patches), content, 202)


def delete(call: Call, namespace: str) -> Answer:
    """``POST …/documents/delete``: by ids, by a filter, or everything."""
    body = call.request.json()
    name = call.name(document_namespace(namespace))
    ids, everything = typed(body, "ids", list), flag(body, "delete_all")
    wanted = selecting_filter(body, call.definition, writing=True)
    if bool(ids) + (wanted is not None) + everything != 1:
        raise RefusedError("Exactly one of ids, filter or delete_all must be provided")
    ids = record_ids(ids, limits.DELETE_IDS) if ids else []
    if not call.index.writable(name):
        raise RefusedError("Namespace not found", 404)
    if everything:
        return call.write(name, Clear(), {}, 202)
    if wanted is None:
        return call.write(name, Delete(ids), {}, 202)
    ids = call.index.read(name).matching_ids(wanted)
    return call.write(name, Delete(ids), {"matched_records": len(ids)}, 202)


def list_ids(call: Call, namespace: str) -> Answer:
    """``POST …/documents/list``: a page of ids, in the order of their bytes."""
    body = call.request.json() if call.request.body else {}
    limit = typed(body, "limit", int)
    limit = limits.LIST_LIMIT if limit is None else in_range("limit", limit, limits.LIST_LIMIT)
    prefix = typed(body, "prefix", str) or ""
    if prefix:
        record_id(prefix, "prefix")
    after = page_after(typed(body, "pagination_token", str))
    seen = call.read(document_namespace(namespace))
    ids = seen.table.sorted_ids()
    start = max(bisect_right(ids, after), bisect_left(ids, prefix))
    # ASCII has no character after DEL: this is where ids with the prefix end.
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
