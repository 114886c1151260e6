"""Pinecone's errors as ours: statuses of its REST API, and what only the words tell."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ia_modules.vector_stores.errors import (
    AuthenticationError,
    ConnectionError,
    InvalidDimensionError,
    InvalidDocumentError,
    OperationTimeoutError,
    UnsupportedOperationError,
    VectorStoreError,
)
from ia_modules.vector_stores.providers.statuses import LONGEST, Server, retry_after

__all__ = ["RefusedError", "is_namespace_missing", "map_error", "status_of"]


class RefusedError(Exception):
    """The answer to a request that Pinecone did not carry out.

    Args:
        status: HTTP status.
        body: of the answer.
        headers: by lower-case names.
    """

    def __init__(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.status = status
        self.headers = headers
        super().__init__(_reason(body))


def _reason(body: bytes) -> str:
    """What Pinecone says, without the JSON around it."""
    try:
        found = json.loads(body)
    except ValueError:
        return body[:LONGEST].decode(errors="replace")
    if isinstance(found, dict):
        inner = found.get("error")
        found = (inner.get("message") if isinstance(inner, dict) else inner) or found.get("message") or found
    return str(found)[:LONGEST]


def map_error(error: Exception) -> VectorStoreError | None:
    """One of our errors for one of the client's, or of what it is built on."""
    if isinstance(error, RefusedError):
        return _of_status(error.status, str(error), error.headers)
    package = type(error).__module__.partition(".")[0]
    text = (str(getattr(error, "message", "") or error) or type(error).__name__)[:LONGEST]
    if package == "httpx":
        return _SERVER.of_transport(error, text)
    if package == "httpcore":
        if type(error).__name__.endswith("Timeout"):
            return OperationTimeoutError(f"the Pinecone server did not answer in time: {text}")
        return ConnectionError(f"the Pinecone server can't be reached: {text}")
    if package in ("orjson", "json", "msgspec"):
        return VectorStoreError(f"Pinecone's answer can't be read: {text}")
    if package != "pinecone":
        return None
    status = status_of(error)
    if status is not None:
        return _of_status(status, text, getattr(error, "headers", None))
    if isinstance(error, TimeoutError):
        return OperationTimeoutError(f"the Pinecone server did not answer in time: {text}")
    if type(error).__name__ == "PineconeConnectionError":
        return ConnectionError(f"the Pinecone server can't be reached: {text}")
    if isinstance(error, ValueError | TypeError):  # what the client refuses by itself
        return UnsupportedOperationError(f"the Pinecone client refuses it: {text}")
    return VectorStoreError(f"{type(error).__name__}: {text}")


def status_of(error: BaseException) -> int | None:
    """The HTTP status that an exception stands for, or None if it stands for none."""
    if isinstance(error, RefusedError):
        return error.status
    status = getattr(error, "status_code", None)
    return status if isinstance(status, int) and type(error).__module__.startswith("pinecone") else None


def is_namespace_missing(error: BaseException) -> bool:
    """Whether a request failed only because its namespace does not exist (yet, or any more)."""
    return status_of(error) == 404 and "namespace" in str(error).lower()


def _of_status(status: int, text: str, headers: Any) -> VectorStoreError:
    lowered = text.lower()
    if status == 403 and "deletion protection" in lowered:
        return UnsupportedOperationError(f"Pinecone does not delete it: {text}")
    if status in (402, 403) and any(word in lowered for word in ("quota", "limit", "plan", "payment")):
        return UnsupportedOperationError(f"the Pinecone project is at a limit ({status}): {text}")
    if status == 402:
        return AuthenticationError(f"Pinecone asks for payment: {text}")
    seconds = retry_after((headers or {}).get("retry-after")) if status == 429 else None
    return _SERVER.of_status(status, text, seconds)


def _of_message(text: str) -> VectorStoreError | None:
    lowered = text.lower()
    if "dimension" in lowered and "match" in lowered:
        return InvalidDimensionError(text)
    if "metadata" in lowered or "vector id" in lowered or "non-zero value" in lowered:
        return InvalidDocumentError(f"Pinecone refuses it: {text}")
    return None


_SERVER = Server("Pinecone", _of_message, refused=UnsupportedOperationError)
