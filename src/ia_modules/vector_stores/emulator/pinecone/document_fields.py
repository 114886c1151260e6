"""Fields of documents: which may be written, and which are in an answer.

A document is a record whose vectors stand under the names that the schema has for them; its other fields are metadata.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ia_modules.vector_stores.emulator.pinecone import limits
from ia_modules.vector_stores.emulator.pinecone.checks import record_id, typed
from ia_modules.vector_stores.emulator.pinecone.definitions import Definition
from ia_modules.vector_stores.emulator.pinecone.namespaces import Patch
from ia_modules.vector_stores.emulator.pinecone.records import Record, dense_vector, metadata, sparse_vector
from ia_modules.vector_stores.emulator.pinecone.wire import RefusedError

__all__ = ["changes", "chosen_fields", "document", "patch", "shown", "wanted_filter"]

_ALL = "*"


def document(value: Any, index: Definition) -> Record:
    """A document, checked."""
    if not isinstance(value, dict):
        raise RefusedError("documents must hold objects")
    fields = dict(value)
    name = record_id(fields.pop("_id", None), "_id")
    fields = _checked(fields)
    dense = dense_vector(_vector(fields, index.dense), index, name)
    sparse = sparse_vector(_sparse(fields, index.sparse), index)
    if dense is None and sparse is None:
        named = ", ".join(index.fields)
        raise RefusedError(f"Document '{name}' must have at least one field of the schema: {named}")
    return Record(name, dense, sparse, metadata(fields, most=limits.REQUEST_BYTES))


def _checked(fields: dict[str, Any]) -> dict[str, Any]:
    """Fields whose names are allowed and that have a value."""
    for key, value in fields.items():
        if not key or key[0] in "_$":
            raise RefusedError(f"Field names can't be empty or begin with '_' or '$', got '{key[:80]}'")
        if len(key.encode()) > limits.FIELD_NAME_BYTES:
            raise RefusedError(f"Field name '{key[:80]}' is longer than {limits.FIELD_NAME_BYTES} bytes")
        if value is None:
            raise RefusedError(f"Field '{key}' must not be null")
    return fields


def _vector(fields: dict[str, Any], field: str | None) -> list[Any] | None:
    if field is None or field not in fields:
        return None
    values = typed(fields, field, list)
    if not values:
        raise RefusedError(f"{field} must be a non-empty array")
    del fields[field]
    return values


def _sparse(fields: dict[str, Any], field: str | None) -> Any:
    return None if field is None else fields.pop(field, None)


def patch(value: Any, index: Definition) -> Patch:
    """The changes of one document."""
    if not isinstance(value, dict):
        raise RefusedError("documents must hold objects")
    fields = dict(value)
    name = record_id(fields.pop("_id", None), "_id")
    removed = typed(fields, "_remove_fields", list) or []
    fields.pop("_remove_fields", None)
    if not fields and not removed:
        raise RefusedError(f"The update of document '{name}' changes nothing")
    return changes([name], fields, removed, index)


def changes(ids: list[str], fields: dict[str, Any], removed: list[Any], index: Definition) -> Patch:
    """The same changes of several documents.

    Raises:
        RefusedError: a field can't be set to that, or not be removed.
    """
    fields = _checked(dict(fields))
    if not all(isinstance(one, str) for one in removed):
        raise RefusedError("fields to remove must be strings")
    if both := fields.keys() & set(removed):
        raise RefusedError(f"Field '{min(both)}' can't be set and removed at once")
    if vectors := index.fields.keys() & set(removed):
        raise RefusedError(f"The emulator does not remove vector fields such as '{min(vectors)}'", 501)
    dense = dense_vector(_vector(fields, index.dense), index, ids[0] if ids else "")
    sparse = sparse_vector(_sparse(fields, index.sparse), index)
    return Patch(ids, dense, sparse, metadata(fields, most=limits.REQUEST_BYTES), tuple(removed))


def wanted_filter(body: dict[str, Any], index: Definition) -> dict[str, Any] | None:
    """The filter; vector fields can't be compared."""
    wanted = typed(body, "filter", dict)
    _check_fields(wanted, index)
    return wanted


def _check_fields(wanted: Any, index: Definition) -> None:
    if isinstance(wanted, list):
        for one in wanted:
            _check_fields(one, index)
    elif isinstance(wanted, dict):
        for key, value in wanted.items():
            if key in index.fields:
                raise RefusedError(f"Field '{key}' is a vector field, which can't be filtered by")
            if key in ("$match_phrase", "$match_all", "$match_any"):
                raise RefusedError("The emulator has no full text search", 501)
            _check_fields(value, index)


def chosen_fields(body: dict[str, Any], default: list[str]) -> Callable[[str], bool]:
    """Which fields are to be in the answer."""
    given = typed(body, "include_fields", list)
    names = default if given is None else given
    if not all(isinstance(one, str) for one in names):
        raise RefusedError("include_fields must be an array of strings")
    return lambda field: _ALL in names or field in names


def shown(record: Record, index: Definition, chosen: Callable[[str], bool]) -> dict[str, Any]:
    """A document as answers have it."""
    fields: dict[str, Any] = {"_id": record.id}
    if record.dense is not None and index.dense is not None and chosen(index.dense):
        fields[index.dense] = record.dense
    if record.sparse is not None and index.sparse is not None and chosen(index.sparse):
        fields[index.sparse] = record.sparse.json()
    return fields | {key: value for key, value in (record.metadata or {}).items() if chosen(key)}
