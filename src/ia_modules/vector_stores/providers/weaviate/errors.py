"""Weaviate's errors as ours: statuses of REST, of gRPC, and what only the words tell."""

from __future__ import annotations

import json
import re
from typing import Any

from ia_modules.vector_stores.errors import (
    AuthenticationError,
    ConnectionError,
    IndexAlreadyExistsError,
    IndexNotFoundError,
    InvalidDimensionError,
    InvalidDocumentError,
    OperationTimeoutError,
    UnsupportedOperationError,
    VectorStoreError,
)
from ia_modules.vector_stores.providers.statuses import LONGEST, Server, retry_after

__all__ = ["RefusedError", "invalid", "map_error", "of_message", "says"]

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
        return str("; ".join(one["message"] for one in found) if isinstance(found, list) else found)[:LONGEST]
    except (ValueError, KeyError, TypeError, AttributeError):
        return body[:LONGEST]


def map_error(error: Exception) -> VectorStoreError | None:
    """One of our errors for one of the client's, or of what it is built on."""
    if isinstance(error, RefusedError):
        return _SERVER.of_status(error.status, str(error), retry_after(error.retry_after))
    package = type(error).__module__.partition(".")[0]
    if package == "grpc":
        return _SERVER.of_grpc(error)
    if package == "httpx":
        return _SERVER.of_transport(error, str(error) or type(error).__name__)
    if package == "weaviate":
        return _of_client(error)
    return None


def _of_client(error: Any) -> VectorStoreError:
    name = type(error).__name__
    status = getattr(error, "status_code", None)
    if isinstance(status, int) and status > 0:
        return _SERVER.of_status(status, str(error)[:LONGEST])
    cause = error.__cause__ or error.__context__
    if isinstance(cause, Exception) and (known := map_error(cause)) is not None:
        return known
    text = f"{name}: {error}"[:LONGEST]
    if name in ("WeaviateStartUpError", "WeaviateConnectionError", "WeaviateGRPCUnavailableError"):
        return ConnectionError(f"the Weaviate server can't be reached: {text}")
    if name == "WeaviateTimeoutError":
        return OperationTimeoutError(f"the Weaviate server did not answer in time: {text}")
    if name in ("AuthenticationFailedError", "InsufficientPermissionsError", "MissingScopeError"):
        return AuthenticationError(f"Weaviate refuses the credentials: {text}")
    if name == "WeaviateClosedClientError":
        return ConnectionError(text)
    return VectorStoreError(text)


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
    return of_message(text) or InvalidDocumentError(f"Weaviate refuses it: {text[:LONGEST]}", document_id=document_id)


# Weaviate's own errors come over gRPC as UNKNOWN, with nothing but words to tell them apart.
_SERVER = Server("Weaviate", of_message, refused=UnsupportedOperationError, transient=("INTERNAL",))
