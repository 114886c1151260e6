"""How documents lie in Chroma.

One collection per namespace. The default namespace's collection carries the index's own name where Chroma allows it,
and the record of what the index is; the others have encoded names. Scalars of the metadata are Chroma metadata under
their own keys, also those inside nested objects (``a.b``), so that filters reach them. List elements stand in a
companion key, and so do doubles of which Chroma keeps only an approximation. What Chroma would lose (None, lists,
objects, odd keys, such doubles) makes a document carry its whole metadata as JSON beside them, and that is what comes
back.

Reserved keys start with ``~``; a user's key that does is escaped, so the two never meet:

=========== =======================================================================
``~m``      the metadata as JSON, if Chroma can't hold it as it is
``~w``      when the document was written (microseconds since 1970), on a server
``~t``      present (false) if the text is None although Chroma holds an empty one
``~k:KEY``  a scalar whose key Chroma would refuse or hide
``~l:PATH`` the elements of a list, as text
``~f:PATH`` a double that Chroma would change, as text
``~n:PATH`` an approximation of it
=========== =======================================================================
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import Any

from ia_modules.vector_stores.filters.compilers.chroma import (
    double_key,
    list_element,
    list_key,
    near_key,
    rounded,
    scalar_key,
)
from ia_modules.vector_stores.filters.compilers.values import survives
from ia_modules.vector_stores.providers.fields import named_values

__all__ = [
    "MAX_INDEX_NAME_BYTES",
    "OWN",
    "WRITTEN",
    "collection_name",
    "decode",
    "decode_text",
    "encode",
    "namespace_of",
    "replacement",
]

_JSON = "~m"
_NO_TEXT = "~t"
WRITTEN = "~w"
OWN = frozenset({_NO_TEXT, WRITTEN})
"""Keys that do not come from the metadata."""
_LIST = list_key("")
_ENCODED = "ia--"
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*")
_IPV4 = re.compile(r"[0-9]+(?:\.[0-9]+){3}")

MAX_INDEX_NAME_BYTES = 240
"""So that the encoded name of index and namespace fits into Chroma's 512 characters."""


def collection_name(index: str, namespace: str) -> str:
    """The Chroma collection of one namespace; no two pairs share one."""
    if namespace:
        return f"{_ENCODED}{_base32(index)}.{_base32(namespace)}"
    plain = (
        3 <= len(index) <= 128
        and _PLAIN_NAME.fullmatch(index)
        and index[-1].isalnum()
        and not _IPV4.fullmatch(index)
        and not index.startswith(_ENCODED)
    )
    return index if plain else _ENCODED + _base32(index)


def namespace_of(index: str, collection: str) -> str | None:
    """The namespace that a collection holds, or None if it is not one of the index's."""
    if collection == collection_name(index, ""):
        return ""
    prefix = f"{_ENCODED}{_base32(index)}."
    if not collection.startswith(prefix):
        return None
    code = collection[len(prefix) :].upper()
    return base64.b32decode(code + "=" * (-len(code) % 8)).decode()


def encode(metadata: Mapping[str, Any]) -> dict[str, Any] | None:
    """Metadata as Chroma can hold it; None if there is nothing to hold."""
    for key, value in metadata.items():
        kind = type(value)
        if kind is float:
            if not survives(value):
                break
        elif kind is not str and kind is not int and kind is not bool:
            break
        if scalar_key(key) != key:
            break
    else:
        return dict(metadata) or None
    native: dict[str, Any] = {_JSON: json.dumps(metadata, ensure_ascii=False, separators=(",", ":"))}
    seen: set[str] = set()
    for path, value in named_values(metadata):
        if path in seen:
            continue  # an outer key spelled like the path comes first
        seen.add(path)
        if isinstance(value, list):
            elements = {list_element(item): None for item in value if isinstance(item, str | int | float)}
            if elements:
                native[list_key(path)] = list(elements)
        elif isinstance(value, float) and not survives(value):
            native[double_key(path)] = repr(value)
            native[near_key(path)] = rounded(value)
        elif value is not None and not isinstance(value, dict):
            native[scalar_key(path)] = value
    return native


def decode(native: Mapping[str, Any] | None) -> dict[str, Any]:
    """The metadata as it was given."""
    if not native:
        return {}
    text = native.get(_JSON)
    if isinstance(text, str):
        metadata: dict[str, Any] = json.loads(text)
        return metadata
    metadata = dict(native)
    metadata.pop(_NO_TEXT, None)
    metadata.pop(WRITTEN, None)
    for key, value in native.items():
        if type(value) is list and key.startswith(_LIST):  # left by a deleted row of a program that is not ours
            del metadata[key]
    return metadata


def decode_text(native: Mapping[str, Any] | None, document: str | None) -> str | None:
    """The text as it was given."""
    return None if native and _NO_TEXT in native else document


def replacement(
    old: Mapping[str, Any] | None, old_text: str | None, new: dict[str, Any] | None, text: str | None
) -> tuple[dict[str, Any] | None, str | None]:
    """What to send so that a stored document becomes exactly the new one, since Chroma merges.

    Keys that the new one lacks are sent as None, which removes them. A text can't be removed, so it is emptied and
    marked as None.
    """
    merged = dict.fromkeys(old or (), None) | (new or {})
    if text is None and old_text is not None:
        return merged | {_NO_TEXT: False}, ""
    return merged or None, text


def _base32(text: str) -> str:
    return base64.b32encode(text.encode()).decode().rstrip("=").lower()
