"""The Vectors API's writes: upsert, update, delete."""

from __future__ import annotations

from typing import Any

from ia_modules.vector_stores.emulator.pinecone import limits
from ia_modules.vector_stores.emulator.pinecone.calls import Call
from ia_modules.vector_stores.emulator.pinecone.checks import flag, record_id, record_ids, typed
from ia_modules.vector_stores.emulator.pinecone.namespaces import Clear, Delete, Patch, Upsert
from ia_modules.vector_stores.emulator.pinecone.records import dense_vector, metadata, record, sparse_vector
from ia_modules.vector_stores.emulator.pinecone.wire import Answer, RefusedError

__all__ = ["delete", "update", "upsert"]


def upsert(call: Call) -> Answer:
    """``POST /vectors/upsert``: all records, or none if one is refused. Of two with the same id the last counts."""
    body = call.request.json()
    name = call.name(body.get("namespace"))
    vectors = typed(body, "vectors", list)
    if not vectors:
        raise RefusedError("vectors must hold at least one vector")
    if len(vectors) > limits.UPSERT_RECORDS:
        raise RefusedError(f"Too many vectors: got {len(vectors)}, the limit is {limits.UPSERT_RECORDS}")
    records = [record(value, call.definition) for value in vectors]
    return call.write(name, Upsert(records), {"upsertedCount": len(records)})


def update(call: Call) -> Answer:
    """``POST /vectors/update``: one record by its id, or the metadata of all that match a filter."""
    body = call.request.json()
    name = call.name(body.get("namespace"))
    wanted = body.get("filter")
    if (body.get("id") is None) == (wanted is None):
        raise RefusedError("Exactly one of id or filter must be provided")
    given = typed(body, "setMetadata", dict)
    changes = metadata(given)
    values = typed(body, "values", list)
    sparse = sparse_vector(body.get("sparseValues"), call.definition)
    if wanted is not None:
        return _update_matching(call, name, body, changed=bool(values or sparse))
    target = record_id(body["id"])
    dense = dense_vector(values, call.definition, target)
    if dense is None and sparse is None and given is None:
        raise RefusedError("Update must have values, sparseValues or setMetadata")
    if not call.index.writable(name):
        return Answer({})
    _check_size(call, name, [target], given)
    return call.write(name, Patch([target], dense, sparse, changes), {})


def _update_matching(call: Call, name: str, body: dict[str, Any], *, changed: bool) -> Answer:
    given = typed(body, "setMetadata", dict)
    if body["filter"] == {}:
        raise RefusedError("Update with empty metadata filter is not allowed")
    if changed:
        raise RefusedError("Update by metadata request does not support updating vector values.")
    dry = flag(body, "dryRun")
    if given is None and not dry:
        raise RefusedError("Update by metadata must have setMetadata")
    ids = call.index.read(name).matching_ids(body["filter"])
    content = {"matchedRecords": len(ids)}
    if dry or not call.index.writable(name):
        return Answer(content)
    _check_size(call, name, ids, given)
    return call.write(name, Patch(ids, None, None, metadata(given)), content)


def _check_size(call: Call, name: str, ids: list[str], given: dict[str, Any] | None) -> None:
    """Refuse metadata that would be too large once it is merged into what can be seen."""
    namespace = call.index.namespace(name)
    namespace.settle()
    table = namespace.table
    for one in ids if given else []:
        if one in table.rows:
            metadata(given, table.metadata[table.rows[one]])


def delete(call: Call) -> Answer:
    """``POST /vectors/delete``: by ids, by a filter (which makes the service ignore ids), or everything."""
    body = call.request.json()
    name = call.name(body.get("namespace"))
    ids, wanted = typed(body, "ids", list), body.get("filter")
    everything = flag(body, "deleteAll")
    if everything and ids:
        raise RefusedError("No explicit IDs allowed when delete_all=true")
    if everything and wanted:
        raise RefusedError("No filter allowed when delete_all=true")
    if wanted == {}:
        raise RefusedError("Delete with empty metadata filter is not allowed")
    if not everything and wanted is None:
        ids = record_ids(ids or [], limits.DELETE_IDS)
    if not call.index.writable(name):
        raise RefusedError("Namespace not found", 404)
    if everything:
        return call.write(name, Clear(), {})
    if wanted is not None:
        ids = call.index.read(name).matching_ids(wanted)
    return call.write(name, Delete(ids or []), {})
