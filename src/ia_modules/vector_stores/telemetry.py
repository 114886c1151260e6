"""One event per call, for whoever wants to count, log or trace them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["OperationEvent", "TelemetryHook", "emit"]

logger = logging.getLogger("ia_modules.vector_stores")


@dataclass(frozen=True, slots=True)
class OperationEvent:
    """A finished call; holds neither documents nor secrets.

    Attributes:
        provider: for example ``"chroma"``.
        operation: for example ``"search"``.
        index_name: the index worked on.
        duration_ms: milliseconds from start to end, retries and waits included.
        attempts: how often the primitive was tried, or requests of it that are tried again by themselves.
        error: class name of the error that the caller gets, or None.
        throttled: how many of the attempts the database answered with a rate limit.
    """

    provider: str
    operation: str
    index_name: str
    duration_ms: float
    attempts: int
    error: str | None
    throttled: int = 0


TelemetryHook: TypeAlias = Callable[[OperationEvent], None]


def emit(hooks: tuple[TelemetryHook, ...], event: OperationEvent) -> None:
    """Hand the event to every hook; one that fails is logged and does not disturb the call."""
    for hook in hooks:
        try:
            hook(event)
        except Exception:
            logger.exception("telemetry hook %r failed", hook)
