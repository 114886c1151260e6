"""How documents lie in Weaviate.

A collection is an index, a tenant a namespace, an object a document. Scalars of the metadata lie in properties, one
for each field and kind of value, and that is what filters look at. What a property can't hold so that it is found
again (elements of lists, integers that a double can't tell apart, text that begins or ends with white space) stands in
the property ``_ia_more`` as *marks*: texts that say field, kind and value. The metadata as a whole lies in ``_ia_meta``
as JSON, and that is what comes back, so that nothing depends on what a property makes of a value.

Names that begin with ``_ia_`` are ours; a metadata key that does gets a property of another name.
"""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime, timedelta
from hashlib import sha1, sha256
from typing import Any, Final
from uuid import UUID

from ia_modules.vector_stores.filters.evaluate import instant

__all__ = [
    "FLIP",
    "ID",
    "KINDS",
    "LISTED",
    "MAX_COLLECTION_NAME",
    "META",
    "MORE",
    "NAMESPACE",
    "PRESENT",
    "TEXT",
    "WRITTEN",
    "collection_name",
    "date_bound",
    "date_value",
    "fits_text",
    "mark",
    "namespace_of",
    "object_ids",
    "plain_name",
    "reserved_name",
    "sign",
    "tenant_name",
]

ID: Final = "_ia_id"
META: Final = "_ia_meta"
MORE: Final = "_ia_more"
TEXT: Final = "_ia_text"
NAMESPACE: Final = "_ia_ns"
FLIP: Final = "_ia_flip"
WRITTEN: Final = "_ia_at"

KINDS: Final = {"text": "t", "number": "n", "boolean": "b", "date": "d"}
"""Kinds of properties for metadata, which are Weaviate's data types, and the letters that stand for them in names."""

PRESENT: Final = "?"
LISTED: Final = "["

MAX_COLLECTION_NAME: Final = 255
_MAX_TENANT: Final = 64
_MAX_PROPERTY: Final = 200
_LONGEST_TEXT: Final = 512
"""Bytes of a text that lies in a property; a longer one is found by its digest."""

_UUID_SPACE: Final = UUID("b6f3f5de-2c0f-53f5-9a0b-0c6f1d8f4e2b").bytes
_PLAIN_PROPERTY = re.compile(
    r"(?!(?:id|vector)\Z)(?!.*(?:_nullState|_propertyLength|_propertyTimestamp|__meta_count)\Z)[a-z][_0-9A-Za-z]*\Z",
    re.ASCII,
)
_PLAIN_TENANT = re.compile(r"[A-Za-z0-9-]{1,64}\Z")
_DEFAULT_TENANT: Final = "_default"

# Weaviate keeps dates as nanoseconds in 64 bits, which are the years 1678 to 2262.
_FIRST_DATE: Final = instant("1678-01-01") or 0
_LAST_DATE: Final = instant("2262-01-01") or 0


def collection_name(index: str) -> str:
    """The index's collection; no two indexes share one, although Weaviate does not tell upper from lower case.

    ``articles`` is ``Articles``. Further on in a name, an upper-case letter becomes ``_`` and the lower-case one, and
    other characters become ``_0`` and two hexadecimal digits a byte.
    """
    if re.match(r"[a-z]", index):
        return index[0].upper() + "".join(map(_for_collection, index[1:]))
    return "Ia_1" + "".join(map(_for_collection, index))


def _for_collection(character: str) -> str:
    if character.isascii() and (character.islower() or character.isdigit()):
        return character
    if character.isascii() and character.isupper():
        return f"_{character.lower()}"
    return "__" if character == "_" else "".join(f"_0{byte:02x}" for byte in character.encode())


def tenant_name(namespace: str) -> str:
    """The namespace's tenant: its own name where Weaviate allows that, else an encoded one.

    A tenant's name has 64 characters at most, and a namespace may need more; then the tenant is named by a digest, and
    the namespace's own name lies in each of its objects.
    """
    if not namespace:
        return _DEFAULT_TENANT
    if _PLAIN_TENANT.match(namespace):
        return namespace
    readable = "".join(
        character if _PLAIN_TENANT.match(character) else "".join(f"_{byte:02x}" for byte in character.encode())
        for character in namespace
    )
    if len(readable) <= _MAX_TENANT - 2:
        return f"_u{readable}"
    dense = f"_b{_base64(namespace.encode())}"
    return dense if len(dense) <= _MAX_TENANT else f"_h{_base64(sha256(namespace.encode()).digest())}"


def namespace_of(tenant: str) -> str | None:
    """The way back of :func:`tenant_name`; None if the name is a digest, or not one of ours."""
    name = _decoded(tenant)
    return name if name is not None and tenant_name(name) == tenant else None


def _decoded(tenant: str) -> str | None:
    if not tenant.startswith("_"):
        return tenant
    if tenant == _DEFAULT_TENANT:
        return ""
    try:
        if tenant.startswith("_u"):
            parts = re.split(r"_([0-9a-f]{2})", tenant[2:])
            return b"".join(bytes.fromhex(p) if i % 2 else p.encode() for i, p in enumerate(parts)).decode()
        if tenant.startswith("_b"):
            return base64.urlsafe_b64decode(tenant[2:] + "=" * (-(len(tenant) - 2) % 4)).decode()
    except ValueError:
        pass
    return None


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def object_ids(document_ids: list[str]) -> list[str]:
    """The documents' ids in Weaviate, which knows UUIDs only: UUIDv5 (RFC 4122, section 4.3) of the ids."""
    ids = []
    for document_id in document_ids:
        text = sha1(_UUID_SPACE + document_id.encode(), usedforsecurity=False).hexdigest()
        variant = "89ab"[int(text[16], 16) & 3]
        ids.append(f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{variant}{text[17:20]}-{text[20:32]}")
    return ids


def plain_name(path: str) -> str | None:
    """The property that has a field's own name, or None if Weaviate can't have one of that name.

    The server changes an upper-case first letter, keeps no null states of names that begin with ``_``, and some names
    and endings mean something else in a filter.
    """
    return path if len(path) <= _MAX_PROPERTY and _PLAIN_PROPERTY.match(path) else None


def reserved_name(path: str, kind: str) -> str:
    """The property for values of one kind, where the plain one is taken by another kind or can't be.

    Without upper-case letters, since Weaviate takes names for equal that differ in case only.
    """
    escaped = "".join(
        c if c.isascii() and (c.islower() or c.isdigit()) else "".join(f"_{byte:02x}" for byte in c.encode())
        for c in path
    )
    if len(escaped) > _MAX_PROPERTY:
        escaped = f"_{sha256(path.encode()).hexdigest()}"
    return f"_ia_{KINDS[kind]}_{escaped}"


def fits_text(value: str) -> bool:
    """Whether Weaviate finds a text by equality: it trims white space, and keeps no null state of an empty one."""
    return 0 < len(value) <= _LONGEST_TEXT and value.strip() == value and len(value.encode()) <= _LONGEST_TEXT


def mark(path: str, value: Any, *, element: bool) -> str:
    """The text that says in ``_ia_more`` that a field has a scalar value, or a list with such an element.

    The length in front of the path keeps two marks apart whatever is in path and value; the end keeps white space.
    """
    if isinstance(value, bool):
        kind, text = "b", str(value)
    elif isinstance(value, int | float):
        kind, text = "n", str(int(value)) if value == int(value) else repr(value)
    else:
        kind, text = "s", value
        if len(text) > _LONGEST_TEXT or len(text.encode()) > _LONGEST_TEXT:
            kind, text = "h", sha256(text.encode()).hexdigest()
    return _mark(kind.upper() if element else kind, path, text)


def sign(what: str, path: str) -> str:
    """The text that says that a field is :data:`PRESENT` in no property of its own name, or a list (:data:`LISTED`)."""
    return _mark(what, path, "")


def _mark(kind: str, path: str, text: str) -> str:
    if len(path) > _LONGEST_TEXT:
        path = f"\0{sha256(path.encode()).hexdigest()}"
    return f"{kind}{len(path)}:{path}={text};"


def date_value(text: str) -> str | None:
    """An ISO 8601 date as Weaviate takes it; None if the text is none.

    Moments outside of what Weaviate can compare are moved to the ends of that, as all of them are outside of what is
    asked natively.
    """
    moment = instant(text)
    if moment is None:
        return None
    return _rfc3339(max(_FIRST_DATE, min(_LAST_DATE, moment)))


def date_bound(text: str) -> str | None:
    """A valid date to compare with natively, or None if Weaviate can't."""
    moment = instant(text)
    assert moment is not None
    return _rfc3339(moment) if _FIRST_DATE < moment < _LAST_DATE else None


def _rfc3339(microseconds: int) -> str:
    moment = datetime(1, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    return moment.isoformat().removesuffix("+00:00") + "Z"
