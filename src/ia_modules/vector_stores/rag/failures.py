"""Our errors as the pipeline's own, whose classes decide on its retry and its fallback.

The class counts, not ``error.retryable``: a store has made its own attempts by then, and whoever configures a retry
for the step wants further ones.
"""

from __future__ import annotations

import builtins
from typing import Any

from ia_modules.vector_stores.errors import (
    AuthenticationError,
    IndexAlreadyExistsError,
    IndexMismatchError,
    IndexNotFoundError,
    InvalidDimensionError,
    InvalidDocumentError,
    MissingDependencyError,
    PartialFailureError,
    PoolClosedError,
    RateLimitError,
    StoreLockedError,
    UnsupportedOperationError,
    VectorStoreError,
)
from ia_modules.vector_stores.rag import runtime

__all__ = ["EXPECTED", "as_pipeline_error", "sentence"]

EXPECTED = (VectorStoreError, ValueError, builtins.ConnectionError, builtins.TimeoutError)
"""What stores, embedders and filters raise."""

_CONFIGURATION = (
    AuthenticationError,
    IndexAlreadyExistsError,
    IndexNotFoundError,
    IndexMismatchError,
    MissingDependencyError,
    UnsupportedOperationError,
)
_NAMED_IDS = 20


def as_pipeline_error(error: Exception, step: str, *, timeout: float | None = None) -> runtime.PipelineError:
    """The pipeline's error for one of :data:`EXPECTED`.

    Args:
        error: what was raised; it becomes ``original_exception``.
        step: the step's name.
        timeout: seconds that the call had, for an error that says so.
    """
    provider = getattr(error, "provider", None) or "vector store"
    context: dict[str, Any] = {"error": type(error).__name__}
    for name in ("provider", "operation", "retry_after", "document_id"):
        if (value := getattr(error, name, None)) is not None:
            context[name] = value
    if isinstance(error, PartialFailureError):
        context |= {"succeeded": len(error.succeeded), "failed": list(error.failed)[:_NAMED_IDS]}
    facts: dict[str, Any] = {"step_id": step, "context": context, "original_exception": error}
    message = sentence(error)
    if isinstance(error, builtins.TimeoutError):
        return runtime.TimeoutError(message, timeout_seconds=timeout or 0.0, **facts)
    if isinstance(error, builtins.ConnectionError):
        return runtime.NetworkError(message, **facts)
    if isinstance(error, InvalidDimensionError | InvalidDocumentError):
        return runtime.ValidationError(message, **facts)
    if isinstance(error, _CONFIGURATION):
        return runtime.ConfigurationError(message, **facts)
    if isinstance(error, PoolClosedError):
        return runtime.ResourceError(message, resource_type="connection pool", **facts)
    if isinstance(error, RateLimitError | PartialFailureError | StoreLockedError):
        return runtime.DependencyError(message, service_name=provider, **facts)
    if isinstance(error, VectorStoreError):
        if error.retryable or error.__cause__ is not None:  # something outside has failed
            return runtime.DependencyError(message, service_name=provider, **facts)
        return runtime.LogicError(message, **facts)
    return runtime.ValidationError(message, **facts)


def sentence(error: Exception) -> str:
    """The message; of a pydantic validation error its findings only, without what was handed in."""
    details = getattr(error, "errors", None)
    if not callable(details):
        return str(error)
    found = []
    for detail in details(include_url=False, include_input=False):
        place = ".".join(map(str, detail["loc"]))
        found.append(f"{place}: {detail['msg']}" if place else str(detail["msg"]))
    return "; ".join(found)
