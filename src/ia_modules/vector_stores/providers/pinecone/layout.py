"""How documents lie in Pinecone.

An index is an index, a namespace a namespace, a record a document; names that Pinecone would refuse are encoded. Keys
of the metadata are fields of the record's metadata as far as Pinecone can hold their values, and so are those inside of
nested objects (``a.b``), so that filters reach them. What it can't hold stands beside them, in fields that begin with
``~``; a user's key that does is kept under another name, so the two never meet:

=========== =========================================================================================
``~t``      the text
``~w``      when the document was written, as microseconds since 1970
``~m``      the metadata as JSON, if the fields do not tell all of it
``~f``      keys whose number is a float although it is a whole one (Pinecone has one kind of numbers)
``~n``      keys whose value is None
``~l``      fields that are lists
``~p``      fields that have a value which does not stand under their own name
``~i``      the id, if it is too long to be encoded
``~e:KEY``  the elements of a list that are numbers or booleans, as text (Pinecone's lists hold strings)
``~b:KEY``  a number that a double can't tell from its neighbours, as text
``~d:KEY``  a date, as microseconds since 1970
``~k:KEY``  a value whose key Pinecone would refuse, or that begins with ``~``
=========== =========================================================================================
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from ia_modules.vector_stores.filters.compilers.values import same_as_double
from ia_modules.vector_stores.filters.evaluate import instant
from ia_modules.vector_stores.providers.fields import named_values

__all__ = [
    "LISTED",
    "MAX_METADATA_BYTES",
    "PRESENT",
    "WRITTEN",
    "big_key",
    "date_bound",
    "date_key",
    "decode",
    "document_id",
    "element_key",
    "encode",
    "exact_text",
    "index_name",
    "is_hashed",
    "namespace_name",
    "namespace_of",
    "record_id",
    "size_bound",
    "value_key",
]

MAX_METADATA_BYTES: Final = 40_960
"""40 KB of metadata per record: Pinecone's documentation, "Limits"."""
LISTED: Final = "~l"
PRESENT: Final = "~p"

WRITTEN: Final = "~w"
_TEXT, _WHOLE, _FLOATS, _NONES, _ID = "~t", "~m", "~f", "~n", "~i"
_OURS: Final = frozenset({WRITTEN, _TEXT, _WHOLE, _FLOATS, _NONES, _ID, LISTED, PRESENT})
_PREFIXES: Final = ("~e:", "~b:", "~d:", "~k:")
_ENCODED: Final = "ia--"
_HASHED: Final = "ia--#"
_MAX_ID = 512
_MAX_INDEX_NAME = 45
_INDEX_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_NOT_ALLOWED: Final = re.compile(r"[^a-z0-9]+")
_DEFAULT: Final = "__default__"
_EXACT: Final = 2**53
_EPOCH: Final = 62_135_596_800_000_000
"""Microseconds from the year 1, which :func:`instant` counts from, to 1970."""


# Names


def index_name(name: str) -> str:
    """The index in Pinecone, whose names have 1 to 45 lower-case letters, digits and hyphens.

    Any other name becomes a readable part of it and 100 bits of its SHA-256.
    """
    if len(name) <= _MAX_INDEX_NAME and _INDEX_NAME.fullmatch(name) and not name.startswith(_ENCODED):
        return name
    readable = _NOT_ALLOWED.sub("-", name.lower())[:16].strip("-")
    digest = base64.b32encode(sha256(name.encode()).digest()).decode().lower()[:20]
    return f"{_ENCODED}{readable}-{digest}" if readable else _ENCODED + digest


def namespace_name(namespace: str) -> str:
    """The namespace in Pinecone; ``""`` is its default one, which it also calls ``__default__``."""
    plain = namespace.isascii() and namespace.strip() == namespace and namespace != _DEFAULT
    return namespace if plain and not namespace.startswith(_ENCODED) else _ENCODED + _base64(namespace)


def namespace_of(name: str) -> str:
    """The namespace that one of Pinecone's is."""
    if name == _DEFAULT:
        return ""
    found = _decoded(name)
    return found if found is not None and namespace_name(found) == name else name


def record_id(document_id: str) -> str:
    """The record of a document: Pinecone's ids are ASCII of at most 512 characters, without NUL."""
    if document_id.isascii() and not document_id.startswith(_ENCODED) and "\0" not in document_id:
        return document_id
    encoded = _ENCODED + _base64(document_id)
    return encoded if len(encoded) <= _MAX_ID else _HASHED + sha256(document_id.encode()).hexdigest()


def is_hashed(record: str) -> bool:
    """Whether only the record's metadata tells which document it is."""
    return record.startswith(_HASHED)


def document_id(record: str, native: Mapping[str, Any] | None) -> str:
    """The id of the document that a record is."""
    if not record.startswith(_ENCODED):
        return record
    found = str((native or {}).get(_ID, record)) if is_hashed(record) else _decoded(record)
    return found if found is not None and record_id(found) == record else record


def _base64(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decoded(name: str) -> str | None:
    code = name.removeprefix(_ENCODED)
    if code == name:
        return None
    try:
        return base64.urlsafe_b64decode(code + "=" * (-len(code) % 4)).decode()
    except ValueError:
        return None


# Names of fields


def value_key(path: str) -> str:
    """Where a string, a number, a boolean, or the strings of a list stand."""
    return path if path and path[0] not in "~$" else f"~k:{path}"


def element_key(path: str) -> str:
    """Where the other elements of a list stand."""
    return f"~e:{path}"


def big_key(path: str) -> str:
    """Where a number stands as text that a double can't tell from its neighbours."""
    return f"~b:{path}"


def date_key(path: str) -> str:
    """Where a date stands as a number."""
    return f"~d:{path}"


def exact_text(value: float) -> str:
    """A number, or a boolean, as text that is the same for equal ones."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if value == int(value) else repr(value)


def date_bound(text: str) -> int | None:
    """A valid date as microseconds since 1970, or None if a double can't hold them (years 1684 and 2255)."""
    moment = instant(text)
    assert moment is not None
    return moment - _EPOCH if abs(moment - _EPOCH) < _EXACT else None


# Documents


def encode(
    document_id: str, metadata: Mapping[str, Any], text: str | None, written: int | None = None
) -> dict[str, Any]:
    """A record's metadata; ``written`` is the time when it is written, None for "not known"."""
    native: dict[str, Any] = {} if written is None else {WRITTEN: written}
    floats: list[str] = []
    nones: list[str] = []
    listed: list[str] = []
    present: list[str] = []
    whole = False
    nested = any(isinstance(value, dict) for value in metadata.values())
    seen: set[str] = set()
    for path, value in named_values(metadata) if nested else metadata.items():
        if nested:
            if path in seen:
                continue
            seen.add(path)
        key = value_key(path)
        whole = whole or key is not path
        kind = type(value)
        if kind is str:
            native[key] = value
            if value[:1].isdigit() and (moment := instant(value)) is not None:
                native[date_key(path)] = max(-_EXACT, min(_EXACT, moment - _EPOCH))
        elif kind is float or kind is int:
            native[key] = value
            if not same_as_double(value):
                native[big_key(path)] = exact_text(value)
            if kind is int:
                whole = whole or abs(value) > _EXACT
            elif value.is_integer() and abs(value) <= _EXACT:
                floats.append(path)
                whole = whole or math.copysign(1.0, value) < 0.0 == value  # -0.0
        elif kind is bool:
            native[key] = value
        elif value is None:
            nones.append(path)
        elif kind is list:
            whole = _list(native, path, value) or whole
            listed.append(path)
        if key not in native and value is not None:
            present.append(path)
            whole = True
    if whole or nested:
        native[_WHOLE] = json.dumps(metadata, ensure_ascii=False, separators=(",", ":"))
    else:
        native.update({name: value for name, value in ((_FLOATS, floats), (_NONES, nones)) if value})
    native.update({name: value for name, value in ((LISTED, listed), (PRESENT, present)) if value})
    if text is not None:
        native[_TEXT] = text
    if is_hashed(record_id(document_id)):
        native[_ID] = document_id
    return native


def _list(native: dict[str, Any], path: str, value: list[Any]) -> bool:
    """Put in the elements of a list; whether that does not tell all of it."""
    strings = [item for item in value if isinstance(item, str)]
    others = dict.fromkeys(exact_text(item) for item in value if isinstance(item, int | float))
    if strings:
        native[value_key(path)] = strings
    if others:
        native[element_key(path)] = list(others)
    return len(strings) != len(value) or not value


def decode(native: Mapping[str, Any] | None) -> tuple[dict[str, Any], str | None]:
    """Metadata and text as they were given."""
    if not native:
        return {}, None
    text = native.get(_TEXT)
    whole = native.get(_WHOLE)
    if isinstance(whole, str):
        metadata: dict[str, Any] = json.loads(whole)
        return metadata, text
    metadata = {}
    for key, value in native.items():
        if key[:1] == "~" and (key in _OURS or key.startswith(_PREFIXES)):
            continue
        if type(value) is float and value.is_integer() and abs(value) <= _EXACT:
            value = int(value)
        metadata[key] = value
    for key in native.get(_FLOATS, ()):
        metadata[key] = float(metadata[key])
    for key in native.get(_NONES, ()):
        metadata[key] = None
    return metadata, text


def size_bound(metadata: Mapping[str, Any], text: str | None) -> int:
    """At least as many bytes as :func:`encode` makes of a document, roughly and at little expense."""
    size = 1_024 if text is None else 1_024 + 6 * len(text)
    for key, value in metadata.items():
        size += 12 * len(key) + 80
        if type(value) is str:
            size += 14 * len(value)
        elif isinstance(value, list | dict):
            size += 30 * len(json.dumps(value))
    return size
