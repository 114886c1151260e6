"""What the statuses of HTTP and of gRPC mean, the same for every server; the words are each provider's own affair."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from ia_modules.vector_stores.errors import (
    AuthenticationError,
    ConnectionError,
    IndexAlreadyExistsError,
    IndexNotFoundError,
    InvalidDocumentError,
    OperationTimeoutError,
    RateLimitError,
    UnsupportedOperationError,
    VectorStoreError,
)

__all__ = ["LONGEST", "Server", "retry_after"]

LONGEST = 300
"""Characters of a server's message that are passed on."""


class Server:
    """Maps what one kind of server answers.

    Args:
        name: of the database, for messages.
        of_message: the error that a message stands for, where only the words tell; None if they don't.
        refused: the error for a request that the server calls wrong (HTTP 400 and 422) without saying more.
        transient: gRPC statuses beside the usual ones after which another attempt may succeed.
    """

    def __init__(
        self,
        name: str,
        of_message: Callable[[str], VectorStoreError | None],
        *,
        refused: type[VectorStoreError] = InvalidDocumentError,
        transient: tuple[str, ...] = ("INTERNAL", "UNKNOWN"),
    ) -> None:
        self._name = name
        self._of_message = of_message
        self._refused = refused
        self._transient = transient

    def of_status(self, status: int | None, text: str, seconds: float | None = None) -> VectorStoreError:
        """The error for an HTTP status; ``seconds`` as of :func:`retry_after`."""
        if status in (401, 403):
            return AuthenticationError(f"{self._name} refuses the credentials ({status}): {text}")
        if status == 429:
            return RateLimitError(text, retry_after=seconds)
        if status in (408, 504):
            return OperationTimeoutError(text)
        if status == 413:
            return UnsupportedOperationError(f"the request is too large for this {self._name} server: {text}")
        known = self._of_message(text)
        if known is not None:
            return known
        if status == 404:
            return IndexNotFoundError(text)
        if status == 409:
            return IndexAlreadyExistsError(text)
        if status in (400, 422):
            return self._refused(f"{self._name} refuses the request ({status}): {text}")
        retryable = isinstance(status, int) and status >= 500
        return VectorStoreError(f"{self._name} answers {status}: {text}", retryable=retryable)

    def of_transport(self, error: Exception, text: str) -> VectorStoreError | None:
        """The error for one of httpx's, or None if it is none."""
        httpx = sys.modules.get("httpx")
        if httpx is not None:
            if isinstance(error, httpx.TimeoutException):
                return OperationTimeoutError(f"the {self._name} server did not answer in time: {text}")
            if isinstance(error, httpx.TransportError):
                return ConnectionError(f"the {self._name} server can't be reached: {text}")
        if type(error).__module__.startswith("httpx"):
            return VectorStoreError(f"{type(error).__name__}: {text}")
        return None

    def of_grpc(self, error: Any) -> VectorStoreError:
        """The error for one of gRPC's."""
        code = error.code() if callable(getattr(error, "code", None)) else None
        details = error.details() if callable(getattr(error, "details", None)) else None
        text = str(details or error or type(error).__name__)[:LONGEST]
        match getattr(code, "name", None):
            case "UNAVAILABLE" | "ABORTED" | "CANCELLED":
                return ConnectionError(f"the {self._name} server can't be reached: {text}")
            case "DEADLINE_EXCEEDED":
                return OperationTimeoutError(f"the {self._name} server did not answer in time: {text}")
            case "UNAUTHENTICATED" | "PERMISSION_DENIED":
                return AuthenticationError(f"{self._name} refuses the credentials: {text}")
            case "RESOURCE_EXHAUSTED":
                if "larger than max" in text:
                    return UnsupportedOperationError(f"the message is too large for this {self._name} server: {text}")
                return RateLimitError(text)
            case "NOT_FOUND":
                return self._of_message(text) or IndexNotFoundError(text)
            case "ALREADY_EXISTS":
                return IndexAlreadyExistsError(text)
            case "INVALID_ARGUMENT" | "FAILED_PRECONDITION" | "OUT_OF_RANGE":
                return self._of_message(text) or self._refused(f"{self._name} refuses the request: {text}")
            case "UNIMPLEMENTED":
                return UnsupportedOperationError(f"this {self._name} server has no such call: {text}")
            case None:
                return VectorStoreError(f"{type(error).__name__}: {text}")
            case other:
                known = self._of_message(text)
                retryable = other in self._transient
                return known or VectorStoreError(f"{self._name} answers {other}: {text}", retryable=retryable)


def retry_after(text: Any) -> float | None:
    """The seconds of a ``Retry-After`` header; None without one, or for a date."""
    try:
        return None if text is None else float(text)
    except (TypeError, ValueError):
        return None
