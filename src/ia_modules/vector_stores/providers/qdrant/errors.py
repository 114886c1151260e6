"""Qdrant's errors as ours, whichever way they come: REST, gRPC, or the local engine."""

from __future__ import annotations

import builtins
import json
import re
from typing import Any

from ia_modules.vector_stores.errors import (
    ConnectionError,
    IndexAlreadyExistsError,
    IndexNotFoundError,
    InvalidDimensionError,
    InvalidDocumentError,
    RateLimitError,
    UnsupportedOperationError,
    VectorStoreError,
)
from ia_modules.vector_stores.providers.statuses import LONGEST, Server, retry_after

__all__ = ["map_error"]

_NO_INDEX = re.compile(r"Index required but not found for \"(.+?)\" of one of the following types: \[(.*?)\]")


def map_error(error: Exception) -> VectorStoreError | None:
    """One of our errors for one of the client's, of what it is built on, or of the file system's."""
    text = _text(error)
    package = type(error).__module__.partition(".")[0]
    if package == "qdrant_client":
        return _of_client(error, text)
    if package == "httpx":
        return _SERVER.of_transport(error, text)
    if package == "grpc":
        return _SERVER.of_grpc(error)
    if isinstance(error, PermissionError):
        return VectorStoreError(f"no permission for the Qdrant folder: {text}")
    if isinstance(error, OSError) and not isinstance(error, TimeoutError | builtins.ConnectionError):
        return VectorStoreError(f"the Qdrant folder can't be used: {text}")
    if isinstance(error, ValueError):  # the local engine's, and pydantic's of what the client was given or got
        return _of_message(text) or InvalidDocumentError(f"{type(error).__name__}: {text[:LONGEST]}")
    return None


def _text(error: Exception) -> str:
    try:
        return str(error) or type(error).__name__
    except (AttributeError, TypeError):  # one of the client's that was made without what it wants to tell
        return type(error).__name__


def _of_client(error: Any, text: str) -> VectorStoreError:
    name = type(error).__name__
    if name == "ResourceExhaustedResponse":
        return RateLimitError(text, retry_after=float(getattr(error, "retry_after_s", 0)) or None)
    if name == "ResponseHandlingException":
        source = getattr(error, "source", None)
        if isinstance(source, Exception):
            return _SERVER.of_transport(source, _text(source)) or VectorStoreError(
                f"Qdrant's answer can't be read: {_text(source)[:LONGEST]}"
            )
    if name == "UnexpectedResponse":
        headers = getattr(error, "headers", None) or {}
        status = getattr(error, "status_code", None)
        return _SERVER.of_status(status, _reason(error), retry_after(headers.get("retry-after")))
    return VectorStoreError(f"{name}: {text}")


def _reason(error: Any) -> str:
    """What the server says, without the JSON around it."""
    content = getattr(error, "content", b"")
    try:
        status = json.loads(content)["status"]
        reason = status["error"] if isinstance(status, dict) else status
    except (ValueError, KeyError, TypeError):
        reason = content.decode(errors="replace") if isinstance(content, bytes) else content
    return str(reason)[:LONGEST] or str(getattr(error, "reason_phrase", ""))


def _of_message(text: str) -> VectorStoreError | None:
    """What only the words tell, the same in all three forms."""
    found = _NO_INDEX.search(text)
    if found:
        path, kinds = found.groups()
        return UnsupportedOperationError(
            f"this Qdrant server filters by indexed fields only, and {path!r} has no payload index of type {kinds}; "
            f'declare it in create_index(payload_indexes={{{path!r}: "{kinds.partition(",")[0]}"}}), or leave the '
            "option auto_index on"
        )
    if "payload reached EOF" in text:
        return ConnectionError(f"the request did not reach the Qdrant server whole: {text}")
    if "already exists" in text:
        return IndexAlreadyExistsError(text)
    if "ollection" in text and ("not found" in text or "doesn't exist" in text or "does not exist" in text):
        return IndexNotFoundError(text)
    if "ector dimension error" in text or "expected dim" in text:
        return InvalidDimensionError(text)
    if "Limit exceeded" in text or "strict mode" in text.lower():
        return UnsupportedOperationError(f"the Qdrant server does not allow it: {text}")
    return None


_SERVER = Server("Qdrant", _of_message)
