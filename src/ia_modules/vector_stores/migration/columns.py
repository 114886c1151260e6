"""Columns of Parquet files: which of them is what, and rows as documents."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from ia_modules.vector_stores.documents import checked_metadata
from ia_modules.vector_stores.errors import InvalidDocumentError
from ia_modules.vector_stores.migration.files import add_further, reason
from ia_modules.vector_stores.migration.records import Unreadable
from ia_modules.vector_stores.models import VectorDocument
from ia_modules.vector_stores.vectors import Vector

if TYPE_CHECKING:
    import pyarrow

__all__ = ["Columns", "found_columns", "rows_as_documents"]

Array: TypeAlias = Any
"""pyarrow has no types."""

_IDS = ("id", "_id", "doc_id", "document_id", "chunk_id", "uuid", "key")
_VECTORS = ("vector", "embedding", "embeddings", "values", "emb")
_TEXTS = ("text", "content", "document", "chunk", "passage")


@dataclass(frozen=True, slots=True)
class Columns:
    """What is where.

    Attributes:
        id: strings or integers.
        vector: lists of numbers.
        text: strings, or None.
        metadata: JSON objects as text, or structs, or None.
        namespace: strings, or None where all is in the default one.
        others: further columns, which become metadata under their names.
        notes: what was found, for the user.
    """

    id: str
    vector: str
    text: str | None
    metadata: str | None
    namespace: str | None
    others: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def all(self) -> list[str]:
        """What has to be read."""
        named = (self.id, self.vector, self.text, self.metadata, self.namespace)
        return [*(name for name in named if name is not None), *self.others]


def found_columns(
    schema: pyarrow.Schema, named: Mapping[str, str | Literal[False] | None], exclude: Sequence[str]
) -> Columns:
    """Find out which column is what.

    Args:
        schema: of the file.
        named: by role (id, vector, text, metadata, namespace), the columns that the user has named; False for none.
        exclude: columns that shall not become metadata.

    Raises:
        ValueError: a named column is missing or of the wrong type, or none could be found; the message lists them.
    """
    types = {field.name: field.type for field in schema}
    if len(types) < len(schema):
        raise ValueError("two columns have the same name")
    for name in [*named.values(), *exclude]:
        if isinstance(name, str) and name not in types:
            raise ValueError(f"no column {name!r}; there are: {_listed(types)}")

    def pick(role: str, usual: Sequence[str], fits: Any) -> str | None:
        name = named.get(role)
        if name is False:
            return None
        if name is not None:
            if not fits(types[name]):
                raise ValueError(f"column {name!r} is of the type {types[name]}, which is no {role}")
            return name
        return next((one for one in usual if one in types and one not in exclude and fits(types[one])), None)

    vector = pick("vector", _VECTORS, _is_vector)
    if vector is None:
        lists = [name for name, kind in types.items() if _is_vector(kind)]
        vector = lists[0] if len(lists) == 1 else None
    document_id = pick("id", _IDS, lambda kind: _is_text(kind) or _is_integer(kind))
    if document_id is None or vector is None:
        missing = "id" if document_id is None else "vector"
        raise ValueError(f"no column for the {missing} was found among: {_listed(types)}; name it")
    text, namespace = pick("text", _TEXTS, _is_text), pick("namespace", ("namespace",), _is_text)
    metadata = pick("metadata", ("metadata",), _is_metadata)
    used = {document_id, vector, text, namespace, metadata}
    left = [name for name in types if name not in used and name not in exclude]
    others = [name for name in left if not _is_bytes(types[name])]
    left_out = [name for name in types if name not in used and name not in others]
    roles = {"id": document_id, "vector": vector, "text": text, "metadata": metadata, "namespace": namespace}
    notes = ["columns: " + ", ".join(f"{role} from {name!r}" for role, name in roles.items() if name is not None)]
    if others:
        notes.append(f"metadata from the columns: {_listed(others)}")
    if left_out:
        notes.append(f"left out: the columns {_listed(left_out)}")
    if str(types[vector]).count("double"):
        notes.append("vectors are in double precision there and are rounded to single precision")
    return Columns(document_id, vector, text, metadata, namespace, tuple(others), tuple(notes))


def rows_as_documents(
    batch: pyarrow.RecordBatch, columns: Columns, namespace: str, names: Sequence[str]
) -> tuple[list[VectorDocument], list[Unreadable]]:
    """Documents of the rows, and what is none.

    Args:
        batch: rows of one namespace.
        columns: what is where.
        namespace: that one.
        names: what to call each row in reports.
    """
    ids = batch.column(columns.id).to_pylist()
    vectors = _vectors(batch.column(columns.vector))
    nothing: list[Any] = [None] * len(ids)
    texts = nothing if columns.text is None else batch.column(columns.text).to_pylist()
    metadatas = nothing if columns.metadata is None else batch.column(columns.metadata).to_pylist()
    others = {name: batch.column(name).to_pylist() for name in columns.others}
    documents: list[VectorDocument] = []
    unreadable: list[Unreadable] = []
    for place, (document_id, vector, text, metadata) in enumerate(zip(ids, vectors, texts, metadatas, strict=True)):
        try:
            if document_id is None:
                raise ValueError("no id")
            if vector is None:
                raise ValueError("no vector, or one with a missing number")
            known = _metadata(metadata, str(document_id))
            for name, values in others.items():
                add_further(known, name, _plain(values[place]))
            if others:
                known = checked_metadata(known, str(document_id))
            documents.append(VectorDocument(id=str(document_id), vector=vector, metadata=known, text=text))
        except InvalidDocumentError as error:
            unreadable.append(Unreadable(names[place], error.message, namespace))
        except (ValueError, RecursionError) as error:
            cause = reason(error) if isinstance(error, ValueError) else "metadata is nested too deep"
            unreadable.append(Unreadable(names[place], cause, namespace))
    return documents, unreadable


def _vectors(column: Array) -> list[Any]:
    """For each row float32 of shape ``(dimension,)``; None where one or a number of it is missing."""
    from pyarrow import compute

    values = column.flatten()
    lengths = compute.list_value_length(column).to_numpy(zero_copy_only=False) if column.null_count == 0 else None
    if values.null_count == 0 and lengths is not None and lengths.size and lengths[0] and (lengths == lengths[0]).all():
        with np.errstate(over="ignore"):
            matrix = values.to_numpy(zero_copy_only=False).astype(np.float32, copy=False).reshape(lengths.size, -1)
        if np.isfinite(matrix).all():
            matrix.flags.writeable = False
            return [Vector.wrap(row) for row in matrix]
        return list(matrix)
    rows: list[Any] = []
    for row in column.to_pylist():  # one by one, as something is missing, or lengths differ
        rows.append(None if row is None or None in row else row)  # noqa: PERF401
    return rows


def _metadata(value: Any, document_id: str) -> dict[str, Any]:
    if value is None:
        return {}
    if isinstance(value, str):
        try:
            value = json.loads(value, parse_constant=_refused)
        except json.JSONDecodeError as error:
            raise ValueError(f"metadata is not JSON: {error.msg} (column {error.colno})") from None
        if not isinstance(value, dict):
            raise ValueError("metadata is JSON, but no object")
        return value
    if isinstance(value, list):  # a map, as pairs
        value = dict(value)
    return checked_metadata(_plain(value), document_id)


def _plain(value: Any) -> Any:
    """What Arrow gives as JSON has it: dates and times in ISO 8601, decimals as numbers if digits allow it."""
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return _decimal(value)
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _decimal(value: Decimal) -> int | float | str:
    if value.is_finite() and value.as_tuple().exponent == 0:
        return int(value)
    number = float(value)
    return number if Decimal(repr(number)) == value else str(value)


def _refused(constant: str) -> None:
    raise ValueError(f"metadata is not JSON: {constant}")


def _is_text(kind: Array) -> bool:
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _is_integer(kind: Array) -> bool:
    from pyarrow import types

    return bool(types.is_integer(kind))


def _is_vector(kind: Array) -> bool:
    from pyarrow import types

    lists = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return bool(lists and (types.is_floating(kind.value_type) or types.is_integer(kind.value_type)))


def _is_bytes(kind: Array) -> bool:
    from pyarrow import types

    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind))


def _is_metadata(kind: Array) -> bool:
    from pyarrow import types

    return bool(_is_text(kind) or types.is_struct(kind) or types.is_map(kind))


def _listed(names: Sequence[str] | dict[str, Any]) -> str:
    shown = list(names)
    return ", ".join(map(str, shown[:20])) + (", …" if len(shown) > 20 else "")
