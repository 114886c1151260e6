"""Qdrant's errors as ours, whichever way they come: REST, gRPC, or the local engine."""

from __future__ import annotations

import builtins
import json
import re
import sys
from typing import Any

from ia_modules.vector_stores.errors import (
    AuthenticationError,
    ConnectionError,
    IndexAlreadyExistsError,
    IndexNotFoundError,
    InvalidDimensionError,
    InvalidDocumentError,
    OperationTimeoutError,
    RateLimitError,
    UnsupportedOperationError,
    VectorStoreError,
)

__all__ = ["map_error"]

_NO_INDEX = re.compile(r"Index required but not found for \"(.+?)\" of one of the following types: \[(.*?)\]")
_LONGEST = 300


def map_error(error: Exception) -> VectorStoreError | None:
    """One of our errors for one of the client's, of what it is built on, or of the file system's."""
    text = _text(error)
    package = type(error).__module__.partition(".")[0]
    if package == "qdrant_client":
        return _of_client(error, text)
    if package == "httpx":
        return _of_transport(error, text)
    if package == "grpc":
        return _of_grpc(error, text)
    if isinstance(error, PermissionError):
        return VectorStoreError(f"no permission for the Qdrant folder: {text}")
    if isinstance(error, OSError) and not isinstance(error, TimeoutError | builtins.ConnectionError):
        return VectorStoreError(f"the Qdrant folder can't be used: {text}")
    if isinstance(error, ValueError):  # the local engine's, and pydantic's of what the client was given or got
        return _of_message(text) or InvalidDocumentError(f"{type(error).__name__}: {text[:_LONGEST]}")
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
            return _of_transport(source, _text(source)) or VectorStoreError(
                f"Qdrant's answer can't be read: {_text(source)[:_LONGEST]}"
            )
    if name == "UnexpectedResponse":
        return _of_status(getattr(error, "status_code", None), _reason(error), getattr(error, "headers", None))
    return VectorStoreError(f"{name}: {text}")


def _reason(error: Any) -> str:
    """What the server says, without the JSON around it."""
    content = getattr(error, "content", b"")
    try:
        status = json.loads(content)["status"]
        reason = status["error"] if isinstance(status, dict) else status
    except (ValueError, KeyError, TypeError):
        reason = content.decode(errors="replace") if isinstance(content, bytes) else content
    return str(reason)[:_LONGEST] or str(getattr(error, "reason_phrase", ""))


def _of_status(status: int | None, text: str, headers: Any) -> VectorStoreError:
    if status in (401, 403):
        return AuthenticationError(f"Qdrant refuses the credentials ({status}): {text}")
    if status == 429:
        return RateLimitError(text, retry_after=_seconds(headers))
    if status == 408 or status == 504:
        return OperationTimeoutError(text)
    if status == 413:
        return UnsupportedOperationError(f"the request is too large for this Qdrant server: {text}")
    known = _of_message(text)
    if known is not None:
        return known
    if status == 404:
        return IndexNotFoundError(text)
    if status == 409:
        return IndexAlreadyExistsError(text)
    if status in (400, 422):
        return InvalidDocumentError(f"Qdrant refuses the request ({status}): {text}")
    return VectorStoreError(f"Qdrant answers {status}: {text}", retryable=isinstance(status, int) and status >= 500)


def _seconds(headers: Any) -> float | None:
    try:
        return float(headers["retry-after"])
    except (KeyError, TypeError, ValueError):
        return None


def _of_transport(error: Exception, text: str) -> VectorStoreError | None:
    """An error of the HTTP client, or None if it is none."""
    httpx = sys.modules.get("httpx")
    if httpx is not None:
        if isinstance(error, httpx.TimeoutException):
            return OperationTimeoutError(f"the Qdrant server did not answer in time: {text}")
        if isinstance(error, httpx.TransportError):
            return ConnectionError(f"the Qdrant server can't be reached: {text}")
    return VectorStoreError(f"{type(error).__name__}: {text}") if type(error).__module__.startswith("httpx") else None


def _of_grpc(error: Any, text: str) -> VectorStoreError:
    code = error.code() if callable(getattr(error, "code", None)) else None
    details = error.details() if callable(getattr(error, "details", None)) else None
    text = str(details or text)[:_LONGEST]
    match getattr(code, "name", None):
        case "UNAVAILABLE" | "ABORTED" | "CANCELLED":
            return ConnectionError(f"the Qdrant server can't be reached: {text}")
        case "DEADLINE_EXCEEDED":
            return OperationTimeoutError(f"the Qdrant server did not answer in time: {text}")
        case "UNAUTHENTICATED" | "PERMISSION_DENIED":
            return AuthenticationError(f"Qdrant refuses the credentials: {text}")
        case "RESOURCE_EXHAUSTED":
            return RateLimitError(text)
        case "NOT_FOUND":
            return _of_message(text) or IndexNotFoundError(text)
        case "ALREADY_EXISTS":
            return IndexAlreadyExistsError(text)
        case "INVALID_ARGUMENT" | "FAILED_PRECONDITION" | "OUT_OF_RANGE":
            return _of_message(text) or InvalidDocumentError(f"Qdrant refuses the request: {text}")
        case "UNIMPLEMENTED":
            return UnsupportedOperationError(f"this Qdrant server has no such call: {text}")
        case None:
            return VectorStoreError(f"{type(error).__name__}: {text}")
        case other:
            return VectorStoreError(f"Qdrant answers {other}: {text}", retryable=other in ("INTERNAL", "UNKNOWN"))


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
    if "already exists" in text:
        return IndexAlreadyExistsError(text)
    if "ollection" in text and ("not found" in text or "doesn't exist" in text or "does not exist" in text):
        return IndexNotFoundError(text)
    if "ector dimension error" in text or "expected dim" in text:
        return InvalidDimensionError(text)
    if "Limit exceeded" in text or "strict mode" in text.lower():
        return UnsupportedOperationError(f"the Qdrant server does not allow it: {text}")
    return None
