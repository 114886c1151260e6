"""Fields of documents: which may be written, and which are in an answer.

A document is a record whose vectors stand under the names that the schema has for them; its other fields are metadata.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ia_modules.vector_stores.emulator.pinecone import limits
from ia_modules.vector_stores.emulator.pinecone.checks import record_id, typed
from ia_modules.vector_stores.emulator.pinecone.definitions import Definition
from ia_modules.vector_stores.emulator.pinecone.namespaces import Namespace, Patch
from ia_modules.vector_stores.emulator.pinecone.records import Record, dense_vector, metadata, sparse_vector
from ia_modules.vector_stores.emulator.pinecone.wire import RefusedError

__all__ = ["changes", "check_sizes", "chosen_fields", "document", "document_namespace", "patch", "shown"]

_ALL = "*"


def document_namespace(name: str) -> str:
    """The name, if it says something: here no namespace is meant when none is named."""
    if not name:
        raise RefusedError("namespace must be a non-empty string")
    return name


def document(value: Any, index: Definition) -> Record:
    """A document of an upsert.

    Raises:
        RefusedError: it can't be stored in this index.
    """
    name, fields = _named(value)
    _check_names(fields)
    dense, sparse = _vectors(fields, index, name)
    if dense is None and sparse is None and not fields.keys() & index.texts:
        raise RefusedError(f"Document '{name}' must have at least one field of the schema: {', '.join(index.fields)}")
    return Record(name, dense, sparse, metadata(fields, most=limits.DOCUMENT_BYTES))


def patch(value: Any, index: Definition) -> Patch:
    """The changes of one document of an update.

    Raises:
        RefusedError: there are none, or they can't be made.
    """
    name, fields = _named(value)
    removed = typed(fields, "_remove_fields", list) or []
    fields.pop("_remove_fields", None)
    if not fields and not removed:
        raise RefusedError(f"The update of document '{name}' changes nothing")
    return changes([name], fields, removed, index)


def changes(ids: list[str], given: dict[str, Any], removed: list[Any], index: Definition) -> Patch:
    """Changes that are the same for all these documents.

    Raises:
        RefusedError: they can't be made.
    """
    fields = dict(given)
    if not all(isinstance(one, str) for one in removed):
        raise RefusedError("fields to remove must be strings")
    _check_names(fields | dict.fromkeys(removed, ""))
    if both := fields.keys() & set(removed):
        raise RefusedError(f"Field '{min(both)}' can't be set and removed at once")
    if declared := index.fields.keys() & set(removed):
        raise RefusedError(f"The emulator does not remove fields of the schema, such as '{min(declared)}'", 501)
    dense, sparse = _vectors(fields, index, ids[0] if ids else "")
    return Patch(ids, dense, sparse, metadata(fields, most=limits.DOCUMENT_BYTES), tuple(removed))


def check_sizes(namespace: Namespace, change: Patch) -> None:
    """Refuse changes that would make a document too large.

    Raises:
        RefusedError: one would be.
    """
    namespace.settle()
    table = namespace.table
    for one in change.ids if change.metadata else ():
        if one in table.rows:
            before = table.metadata[table.rows[one]] or {}
            kept = {key: value for key, value in before.items() if key not in change.removed}
            metadata(change.metadata, kept, limits.DOCUMENT_BYTES)


def _named(value: Any) -> tuple[str, dict[str, Any]]:
    if not isinstance(value, dict):
        raise RefusedError("documents must hold objects")
    fields = dict(value)
    return record_id(fields.pop("_id", None), "_id"), fields


def _check_names(fields: dict[str, Any]) -> None:
    """Names are allowed, and each field has a value."""
    for key, value in fields.items():
        if not key or key[0] in "_$":
            raise RefusedError(f"Field names can't be empty or begin with '_' or '$', got '{key[:80]}'")
        if len(key.encode()) > limits.FIELD_NAME_BYTES:
            raise RefusedError(f"Field name '{key[:80]}' is longer than {limits.FIELD_NAME_BYTES} bytes")
        if value is None:
            raise RefusedError(f"Field '{key}' must not be null")


def _vectors(fields: dict[str, Any], index: Definition, name: str) -> tuple[Any, Any]:
    """The vectors, which are taken out of the fields; text is text."""
    dense = sparse = None
    if index.dense in fields:
        values = typed(fields, index.dense, list)
        if not values:
            raise RefusedError(f"{index.dense} must be a non-empty array")
        dense = dense_vector(values, index, name)
    if index.sparse in fields:
        sparse = sparse_vector(fields[index.sparse], index)
    for one in (index.dense, index.sparse):
        fields.pop(one or "", None)
    for text in fields.keys() & index.texts:
        typed(fields, text, str)
    return dense, sparse


def chosen_fields(body: dict[str, Any], nothing: list[str]) -> Callable[[str], bool]:
    """Which fields are to be in the answer.

    Args:
        body: the request.
        nothing: what it means if none are named.

    Raises:
        RefusedError: names are no strings.
    """
    names = typed(body, "include_fields", list) or nothing
    if not all(isinstance(one, str) for one in names):
        raise RefusedError("include_fields must be an array of strings")
    return lambda field: _ALL in names or field in names


def shown(record: Record, index: Definition, chosen: Callable[[str], bool]) -> dict[str, Any]:
    """A document as it is in answers."""
    fields: dict[str, Any] = {"_id": record.id}
    if record.dense is not None and index.dense is not None and chosen(index.dense):
        fields[index.dense] = record.dense
    if record.sparse is not None and index.sparse is not None and chosen(index.sparse):
        fields[index.sparse] = record.sparse.json()
    return fields | {key: value for key, value in (record.metadata or {}).items() if chosen(key)}
