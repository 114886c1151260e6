"""Chroma's errors as ours."""

from __future__ import annotations

import builtins
import sys

from ia_modules.vector_stores.errors import (
    AuthenticationError,
    ConnectionError,
    IndexAlreadyExistsError,
    IndexNotFoundError,
    InvalidDocumentError,
    RateLimitError,
    UnsupportedOperationError,
    VectorStoreError,
)
from ia_modules.vector_stores.providers.statuses import Server

__all__ = ["map_error"]

_SERVER = Server("Chroma", lambda _: None)  # it has classes for what other servers put in words


def map_error(error: Exception) -> VectorStoreError | None:
    """One of our errors for one of Chroma's, of its HTTP client's, or of the file system's."""
    text = str(error) or type(error).__name__
    if isinstance(error, PermissionError):
        return VectorStoreError(f"no permission for the Chroma folder: {text}")
    if isinstance(error, OSError) and not isinstance(error, TimeoutError | builtins.ConnectionError):
        return VectorStoreError(f"the Chroma folder can't be used: {text}")
    of_transport = _SERVER.of_transport(error, text)
    if of_transport is not None:
        return of_transport
    if "the request body" in text and "buffer" in text:  # it was told as the request's fault, or without any class
        return ConnectionError(f"the request did not reach the Chroma server whole: {text}")
    # If the package is not loaded, the error is not its own.
    chroma = sys.modules.get("chromadb.errors")
    if chroma is None or not isinstance(error, chroma.ChromaError):
        theirs = type(error).__module__.partition(".")[0] == "chromadb"
        return VectorStoreError(f"{type(error).__name__}: {text}") if theirs else None
    if "already exists" in text or isinstance(error, chroma.UniqueConstraintError):
        return IndexAlreadyExistsError(text)
    if isinstance(error, chroma.NotFoundError):
        return IndexNotFoundError(text)
    if isinstance(error, chroma.ChromaAuthError | chroma.AuthorizationError):
        return AuthenticationError(text)
    if isinstance(error, chroma.RateLimitError):
        return RateLimitError(text)
    if isinstance(error, chroma.BatchSizeExceededError | chroma.QuotaError):
        return UnsupportedOperationError(text)
    if "where clause" in text:
        return UnsupportedOperationError(f"Chroma refused the filter: {text}")
    if isinstance(error, chroma.InvalidDimensionException | chroma.InvalidArgumentError | chroma.DuplicateIDError):
        return InvalidDocumentError(text)
    return VectorStoreError(text)
