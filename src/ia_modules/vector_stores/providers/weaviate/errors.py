"""Weaviate's errors as ours: statuses of REST, of gRPC, and what only the words tell."""

from __future__ import annotations

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

__all__ = ["RefusedError", "invalid", "map_error", "of_message", "says"]

_LONGEST = 300
_BUSY = (
    "read-only",
    "not enough memory",
    "memory pressure",
    "shutting down",
    "context deadline",
    "context canceled",
    "shard not found",
    "not ready",
    "leader not found",
    "cannot achieve consistency",
    "no such host",
    "connection refused",
    "too many requests",
    "no bucket for prop",  # a property is just being added, and the shard has no room for it yet
)
"""Parts of messages of what will be over in a while."""

_NO_INDEX = re.compile(r"could not find class|class not found|class \S+: not found|class \S+ not found", re.IGNORECASE)


class RefusedError(Exception):
    """The server's answer to a REST request that it did not carry out.

    Args:
        status: HTTP status.
        body: of the answer.
        retry_after: that header, if there was one.
    """

    def __init__(self, status: int, body: str, retry_after: str | None) -> None:
        self.status = status
        self.retry_after = retry_after
        super().__init__(_reason(body))


def _reason(body: str) -> str:
    """What the server says, without the JSON around it."""
    try:
        content = json.loads(body)
        found = content.get("error", content.get("message"))
        return str("; ".join(one["message"] for one in found) if isinstance(found, list) else found)[:_LONGEST]
    except (ValueError, KeyError, TypeError, AttributeError):
        return body[:_LONGEST]


def map_error(error: Exception) -> VectorStoreError | None:
    """One of our errors for one of the client's, or of what it is built on."""
    if isinstance(error, RefusedError):
        return _of_status(error.status, str(error), error.retry_after)
    package = type(error).__module__.partition(".")[0]
    if package == "grpc":
        return _of_grpc(error)
    if package == "httpx":
        return _of_transport(error)
    if package == "weaviate":
        return _of_client(error)
    return None


def _of_client(error: Any) -> VectorStoreError:
    name = type(error).__name__
    status = getattr(error, "status_code", None)
    if isinstance(status, int) and status > 0:
        return _of_status(status, str(error)[:_LONGEST], None)
    cause = error.__cause__ or error.__context__
    if isinstance(cause, Exception) and (known := map_error(cause)) is not None:
        return known
    text = f"{name}: {error}"[:_LONGEST]
    if name in ("WeaviateStartUpError", "WeaviateConnectionError", "WeaviateGRPCUnavailableError"):
        return ConnectionError(f"the Weaviate server can't be reached: {text}")
    if name == "WeaviateTimeoutError":
        return OperationTimeoutError(f"the Weaviate server did not answer in time: {text}")
    if name in ("AuthenticationFailedError", "InsufficientPermissionsError", "MissingScopeError"):
        return AuthenticationError(f"Weaviate refuses the credentials: {text}")
    if name == "WeaviateClosedClientError":
        return ConnectionError(text)
    return VectorStoreError(text)


def _of_status(status: int, text: str, retry_after: str | None) -> VectorStoreError:
    if status in (401, 403):
        return AuthenticationError(f"Weaviate refuses the credentials ({status}): {text}")
    if status == 429:
        return RateLimitError(text, retry_after=_seconds(retry_after))
    if status in (408, 504):
        return OperationTimeoutError(text)
    if status == 413:
        return UnsupportedOperationError(f"the request is too large for this Weaviate server: {text}")
    known = of_message(text)
    if known is not None:
        return known
    if status == 404:
        return IndexNotFoundError(text)
    if status in (400, 422):
        return UnsupportedOperationError(f"Weaviate refuses the request ({status}): {text}")
    return VectorStoreError(f"Weaviate answers {status}: {text}", retryable=status >= 500)


def _seconds(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _of_transport(error: Exception) -> VectorStoreError:
    httpx = sys.modules["httpx"]
    text = str(error) or type(error).__name__
    if isinstance(error, httpx.TimeoutException):
        return OperationTimeoutError(f"the Weaviate server did not answer in time: {text}")
    if isinstance(error, httpx.TransportError):
        return ConnectionError(f"the Weaviate server can't be reached: {text}")
    return VectorStoreError(f"{type(error).__name__}: {text}")


def _of_grpc(error: Any) -> VectorStoreError:
    code = error.code() if callable(getattr(error, "code", None)) else None
    details = error.details() if callable(getattr(error, "details", None)) else None
    text = str(details or error)[:_LONGEST]
    match getattr(code, "name", None):
        case "UNAVAILABLE" | "ABORTED" | "CANCELLED":
            return ConnectionError(f"the Weaviate server can't be reached: {text}")
        case "DEADLINE_EXCEEDED":
            return OperationTimeoutError(f"the Weaviate server did not answer in time: {text}")
        case "UNAUTHENTICATED" | "PERMISSION_DENIED":
            return AuthenticationError(f"Weaviate refuses the credentials: {text}")
        case "RESOURCE_EXHAUSTED":
            if "larger than max" in text:
                return UnsupportedOperationError(f"the message is too large for this Weaviate server: {text}")
            return RateLimitError(text)
        case "UNIMPLEMENTED":
            return UnsupportedOperationError(f"this Weaviate server has no such call: {text}")
        case None:
            return VectorStoreError(f"{type(error).__name__}: {text}")
        case other:
            # Weaviate's own errors come as UNKNOWN, with nothing but words to tell them apart.
            return of_message(text) or VectorStoreError(f"Weaviate answers {other}: {text}")


def of_message(text: str) -> VectorStoreError | None:
    """What only the words tell."""
    lowered = text.lower()
    if _NO_INDEX.search(text):
        return IndexNotFoundError(text)
    if ("class name" in lowered and "already exists" in lowered) or "found similar class" in lowered:
        return IndexAlreadyExistsError(text)
    if "vector dimensions do not match" in lowered or "vector with length" in lowered or "vector lengths" in lowered:
        return InvalidDimensionError(text)
    if "query maximum results exceeded" in lowered:
        return UnsupportedOperationError(text)
    if "unauthorized" in lowered or "forbidden" in lowered or "anonymous access not enabled" in lowered:
        return AuthenticationError(f"Weaviate refuses the credentials: {text}")
    if any(words in lowered for words in _BUSY):
        return VectorStoreError(f"Weaviate can't do it now: {text}", retryable=True)
    return None


def says(error: BaseException, *words: str) -> bool:
    """Whether an error of gRPC has one of these in its message."""
    details = getattr(error, "details", None)
    text = str(details() if callable(details) else error)
    return any(part in text for part in words)


def invalid(text: str, document_id: str) -> VectorStoreError:
    """The error for one document that the server did not take."""
    return of_message(text) or InvalidDocumentError(f"Weaviate refuses it: {text[:_LONGEST]}", document_id=document_id)
