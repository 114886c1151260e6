"""Checks that several requests share: types of fields, names, ids."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any, TypeVar

import orjson

from ia_modules.vector_stores.emulator.pinecone import limits
from ia_modules.vector_stores.emulator.pinecone.wire import RefusedError

__all__ = [
    "DEFAULT_NAMESPACE",
    "flag",
    "in_range",
    "index_name",
    "namespace_name",
    "next_page",
    "page_after",
    "record_id",
    "record_ids",
    "tags",
    "typed",
]

T = TypeVar("T")

DEFAULT_NAMESPACE = "__default__"

_KINDS: dict[type, str] = {str: "a string", list: "an array", dict: "an object", int: "an integer", bool: "a boolean"}
_INDEX_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", re.ASCII)
_TAG_KEY = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


def typed(body: Mapping[str, Any], name: str, kind: type[T]) -> T | None:
    """A field of that type; None if it is missing or null.

    Raises:
        RefusedError: it has another type. True is no integer.
    """
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise RefusedError(f"{name} must be {_KINDS[kind]}")
    return value


def flag(body: Mapping[str, Any], name: str) -> bool:
    """A boolean field, false if it is missing."""
    return bool(typed(body, name, bool))


def in_range(name: str, value: int, most: int) -> int:
    """The value, if it is from 1 to the most."""
    if not 1 <= value <= most:
        raise RefusedError(f"{name} must be between 1 and {most}, got {value}")
    return value


def record_id(value: Any, what: str = "Vector ID") -> str:
    """The id, if it is one.

    Raises:
        RefusedError: it is no string of 1 to 512 ASCII characters without NUL.
    """
    if not isinstance(value, str) or not value:
        raise RefusedError(f"{what} must be a non-empty string")
    if len(value) > limits.ID_LENGTH:
        raise RefusedError(f"{what} is too long: {len(value)} characters, the limit is {limits.ID_LENGTH}")
    if not value.isascii():
        raise RefusedError(f"{what} must be ASCII, but got '{value[:80]}'")
    if "\x00" in value:
        raise RefusedError(f"{what} must not contain the null character")
    return value


def record_ids(values: list[Any], most: int) -> list[str]:
    """The ids, if there are some and not too many."""
    if not values:
        raise RefusedError("At least one ID is required")
    if len(values) > most:
        raise RefusedError(f"Too many IDs: got {len(values)}, the limit is {most}")
    return [record_id(value) for value in values]


def namespace_name(value: Any) -> str:
    """The namespace's own name: a missing and an empty one are the default namespace.

    Raises:
        RefusedError: it is no string of at most 512 ASCII characters without NUL.
    """
    if value is None or value == "":
        return DEFAULT_NAMESPACE
    if not isinstance(value, str):
        raise RefusedError("namespace must be a string")
    if len(value) > limits.NAMESPACE_LENGTH:
        raise RefusedError(f"namespace is too long: {len(value)} characters, the limit is {limits.NAMESPACE_LENGTH}")
    if not value.isascii() or "\x00" in value:
        raise RefusedError("namespace must be ASCII without the null character")
    return value


def index_name(value: Any) -> str:
    """The name, if an index may have it."""
    if not isinstance(value, str) or not _INDEX_NAME.fullmatch(value):
        raise RefusedError(
            "Name must consist of lower case alphanumeric characters or '-', "
            "and must start and end with an alphanumeric character"
        )
    if len(value) > limits.INDEX_NAME_LENGTH:
        raise RefusedError(f"Name must be at most {limits.INDEX_NAME_LENGTH} characters, got {len(value)}")
    return value


def tags(value: Any, before: Mapping[str, str] | None = None) -> dict[str, str]:
    """Tags that were there, with these set; an empty value removes one.

    Raises:
        RefusedError: a key or value is not allowed, or there are too many in the end.
    """
    merged = dict(before or {})
    if value is None:
        return merged
    if not isinstance(value, dict):
        raise RefusedError("tags must be an object")
    for key, text in value.items():
        if not _TAG_KEY.fullmatch(key) or len(key) > limits.TAG_KEY_LENGTH:
            raise RefusedError(
                f"Tag key '{key[:100]}' must be 1 to {limits.TAG_KEY_LENGTH} characters, alphanumeric, '_' or '-'"
            )
        if (
            not isinstance(text, str)
            or len(text) > limits.TAG_VALUE_LENGTH
            or not (text.isascii() and text.isprintable())
        ):
            raise RefusedError(
                f"Tag value of '{key}' must be a string of at most {limits.TAG_VALUE_LENGTH} printable ASCII characters"
            )
        if text:
            merged[key] = text
        else:
            merged.pop(key, None)
    if len(merged) > limits.TAGS:
        raise RefusedError(f"An index can have at most {limits.TAGS} tags, got {len(merged)}")
    return merged


def next_page(after: str, prefix: str | None = None) -> dict[str, str]:
    """Where the page after this one begins, as the service's tokens look."""
    return {"next": base64.b64encode(orjson.dumps({"skip_past": after, "prefix": prefix})).decode()}


def page_after(token: str | None) -> str:
    """The name that the page comes after; an empty string for the first page.

    Raises:
        RefusedError: the token is none of ours.
    """
    if not token:
        return ""
    try:
        value = orjson.loads(base64.b64decode(token, validate=True))["skip_past"]
    except (binascii.Error, ValueError, KeyError, TypeError):
        value = None
    if not isinstance(value, str):
        raise RefusedError("Invalid pagination token")
    return value
