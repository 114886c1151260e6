"""One line of JSON as a document."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ia_modules.vector_stores.documents import checked_metadata
from ia_modules.vector_stores.errors import InvalidDocumentError, MissingDependencyError
from ia_modules.vector_stores.migration.files import add_further, reason
from ia_modules.vector_stores.models import VectorDocument

__all__ = ["LineReader", "load_orjson"]

_BEYOND = 2.0**63
_ROLES = ("id", "vector", "text", "metadata", "namespace")
_VECTOR = b',"vector":['


def load_orjson() -> Any:
    """The package.

    Raises:
        MissingDependencyError: it is not installed.
    """
    try:
        import orjson
    except ImportError as error:
        raise MissingDependencyError("orjson", extra="migration", needed_for="JSON lines") from error
    return orjson


class LineReader:
    """Reads lines whose fields have certain names.

    Args:
        names: by role (id, vector, text, metadata, namespace), the name of its field where it is not the role's own;
            False for none.
        exclude: fields that shall not become metadata, as all others do.
    """

    def __init__(self, names: Mapping[str, str | Literal[False] | None], exclude: Sequence[str]) -> None:
        roles = {role: role if names.get(role) is None else names[role] or None for role in _ROLES}
        self._id, self._vector, self._text, self._metadata, self._namespace = roles.values()
        self._known = {name for name in roles.values() if name is not None} | set(exclude)
        self._usual = list(roles.values()) == list(_ROLES)
        self._loads = load_orjson().loads

    def namespace(self, line: bytes) -> str | None:
        """The namespace of a line; None if that can't be read."""
        at = line.find(_VECTOR) if self._usual else -1
        if at > 0 and line.find(b'"namespace"', at) < 0:  # as we write it: the numbers need not be read for this
            try:
                return self._namespace_in(self._loads(line[:at] + b"}"))
            except ValueError:
                pass
        try:
            return self._namespace_in(self._loads(line))
        except ValueError:
            return None

    def document(self, line: bytes) -> VectorDocument:
        """The document of a line.

        Raises:
            ValueError: there is none; the message has the cause and no contents.
        """
        try:
            fields = self._loads(line)
            if isinstance(fields, dict) and _maybe_rounded(
                {name: value for name, value in fields.items() if name != self._vector}
            ):
                fields = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(_syntax(error)) from None
        if not isinstance(fields, dict):
            raise ValueError(f"a JSON {type(fields).__name__} where an object should be")
        document_id, vector = fields.get(self._id), fields.get(self._vector)
        if type(document_id) is int:
            document_id = str(document_id)
        if not isinstance(document_id, str):
            raise ValueError("no id" if document_id is None else "the id is neither a string nor an integer")
        if not isinstance(vector, list):
            raise ValueError("no vector" if vector is None else "the vector is no list of numbers")
        text, metadata = fields.get(self._text), fields.get(self._metadata)
        if not isinstance(fields.get(self._namespace), str | None):
            raise ValueError("the namespace is no string")
        if text is not None and not isinstance(text, str):
            raise ValueError("the text is no string")
        if metadata is not None and not isinstance(metadata, dict):
            raise ValueError("the metadata is no object")
        known = metadata or {}
        for name in fields:
            if name not in self._known:
                add_further(known, name, fields[name])
        try:
            checked_metadata(known, document_id)
            return VectorDocument(id=document_id, vector=vector, metadata=known, text=text)
        except InvalidDocumentError as error:
            raise ValueError(error.message) from None
        except ValueError as error:
            raise ValueError(reason(error)) from None

    def _namespace_in(self, fields: Any) -> str | None:
        name = fields.get(self._namespace) if isinstance(fields, dict) else None
        if name is None and isinstance(fields, dict):
            return ""
        return name if isinstance(name, str) else None


def _maybe_rounded(value: Any) -> bool:
    """Whether there is a number that may have been an integer beyond 64 bits, which orjson rounds."""
    if isinstance(value, float):
        return abs(value) >= _BEYOND
    if isinstance(value, dict):
        return any(map(_maybe_rounded, value.values()))
    return isinstance(value, list) and any(map(_maybe_rounded, value))


def _syntax(error: Exception) -> str:
    """What is wrong with JSON; the message of a ValueError that is no syntax error may have contents in it."""
    if isinstance(error, json.JSONDecodeError):  # orjson's is one, too
        return f"not valid JSON: {error.msg} (column {error.colno})"
    return "JSON that can't be read: nested too deep, or a number too long"
