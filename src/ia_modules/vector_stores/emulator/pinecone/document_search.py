"""The Documents API's search: by one of the vector fields."""

from __future__ import annotations

from typing import Any

from ia_modules.vector_stores.emulator.pinecone import limits
from ia_modules.vector_stores.emulator.pinecone.calls import Call
from ia_modules.vector_stores.emulator.pinecone.checks import in_range, typed
from ia_modules.vector_stores.emulator.pinecone.document_fields import chosen_fields, document_namespace, shown
from ia_modules.vector_stores.emulator.pinecone.document_filters import search_filter
from ia_modules.vector_stores.emulator.pinecone.records import query_vector, sparse_vector
from ia_modules.vector_stores.emulator.pinecone.search import nearest
from ia_modules.vector_stores.emulator.pinecone.wire import Answer, RefusedError

__all__ = ["search"]

_TEXT = ("text", "query_string")
_EMBEDDED = ("embed", "sparse_embed")
_VECTORS = ("dense_vector", "sparse_vector")


def search(call: Call, namespace: str) -> Answer:
    """``POST …/documents/search``: the nearest documents; those without the field are not found."""
    body, index = call.request.json(), call.definition
    clause = _clause(body)
    top_k = typed(body, "top_k", int)
    if top_k is None:
        raise RefusedError("top_k is required")
    in_range("top_k", top_k, limits.TOP_K)
    dense = sparse = None
    if clause["type"] == "dense_vector":
        _check_field(clause, index.dense)
        values = typed(clause, "values", list)
        if not values:
            raise RefusedError("dense_vector scoring requires a non-empty 'values' array")
        dense, metric = query_vector(values, index), index.metric
    else:
        _check_field(clause, index.sparse)
        sparse, metric = sparse_vector(clause.get("sparse_values"), index), "dotproduct"
        if sparse is None:
            raise RefusedError("sparse_vector scoring requires 'sparse_values'")
    chosen = chosen_fields(body, nothing=[])
    wanted = search_filter(body, index)
    seen = call.read(document_namespace(namespace))
    hits = nearest(seen.table, metric, dense, sparse, top_k, seen.matching(wanted) if wanted else None)
    matches = []
    for hit in hits:
        document = shown(seen.table.record(hit.row), index, chosen)
        matches.append({"_id": document["_id"], "_score": hit.score} | document)
    lsn = str(seen.indexed)
    answer = Answer(
        {"matches": matches, "namespace": seen.name, "usage": {"read_units": 1}},
        headers={"x-pinecone-max-indexed-lsn": lsn, "x-pinecone-lsn-reconciled": lsn},
    )
    answer.content = answer.body()
    if len(answer.content) > limits.RESULT_BYTES:
        raise RefusedError(f"Result is too large: {len(answer.content)} bytes, the limit is {limits.RESULT_BYTES}")
    return answer


def _clause(body: dict[str, Any]) -> dict[str, Any]:
    """The one clause that there may be: several would be of full text search."""
    clauses = typed(body, "score_by", list)
    if not clauses or not all(isinstance(one, dict) for one in clauses):
        raise RefusedError("score_by must be a non-empty array of objects")
    if len(clauses) > limits.SCORE_CLAUSES:
        raise RefusedError(f"Too many score_by clauses: got {len(clauses)}, the limit is {limits.SCORE_CLAUSES}")
    kinds = [one.get("type") for one in clauses]
    for kind in kinds:
        if kind not in (*_VECTORS, *_TEXT, *_EMBEDDED):
            raise RefusedError(f"Unknown scoring type {str(kind)[:80]!r}")
    if len(kinds) > 1 and (alone := [kind for kind in kinds if kind not in _TEXT]):
        raise RefusedError(f"A score_by clause of type {alone[0]} can't be combined with other clauses")
    if kinds[0] in _TEXT:
        raise RefusedError("The emulator has no full text search", 501)
    if kinds[0] in _EMBEDDED:
        raise RefusedError("The emulator has no integrated embedding", 501)
    found: dict[str, Any] = clauses[0]
    return found


def _check_field(clause: dict[str, Any], declared: str | None) -> None:
    """The field is named once, as ``field`` or as the only one of ``fields``."""
    kind, name, names = clause["type"], typed(clause, "field", str), typed(clause, "fields", list)
    if name is not None and names is not None:
        raise RefusedError(f"{kind} scoring accepts 'field' or 'fields', but not both")
    if names is None:
        names = [] if not name else [name]
    if len(names) != 1:
        raise RefusedError(f"{kind} scoring requires specifying the name of exactly one field")
    if declared is None or names[0] != declared:
        raise RefusedError(f"Field '{str(names[0])[:80]}' is not a {kind} field of this index")
