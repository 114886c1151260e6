"""A pipeline's step and its errors, for where ``ia_modules`` is not installed.

The same names, arguments and behaviour as ``ia_modules.pipeline.core.Step``, ``.errors`` and ``.retry`` of version
0.2.0, as far as a step is run by itself: retry, then fallback, then continue-on-error.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Mapping
from enum import Enum
from typing import Any

__all__ = [
    "ConfigurationError",
    "DependencyError",
    "ErrorCategory",
    "ErrorSeverity",
    "LogicError",
    "NetworkError",
    "PipelineError",
    "ResourceError",
    "RetryConfig",
    "Step",
    "TimeoutError",
    "ValidationError",
]


class ErrorSeverity(Enum):
    """How bad an error is."""

    CRITICAL = "critical"
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class ErrorCategory(Enum):
    """What kind of error it is."""

    NETWORK = "network"
    VALIDATION = "validation"
    TIMEOUT = "timeout"
    RESOURCE = "resource"
    DEPENDENCY = "dependency"
    LOGIC = "logic"
    CONFIGURATION = "configuration"
    UNKNOWN = "unknown"


class PipelineError(Exception):
    """An error in a step.

    Attributes:
        message: what happened.
        category: its kind.
        severity: how bad it is.
        step_id: the step's name.
        recoverable: whether the step's fallback may be used.
        context: further facts.
        original_exception: what it was before.
    """

    def __init__(
        self,
        message: str,
        category: ErrorCategory = ErrorCategory.UNKNOWN,
        severity: ErrorSeverity = ErrorSeverity.ERROR,
        step_id: str | None = None,
        recoverable: bool = False,
        context: dict[str, Any] | None = None,
        original_exception: Exception | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.category = category
        self.severity = severity
        self.step_id = step_id
        self.recoverable = recoverable
        self.context = {} if context is None else context
        self.original_exception = original_exception

    def __str__(self) -> str:
        step = f"Step '{self.step_id}' " if self.step_id else ""
        return f"[{self.severity.value.upper()}] {step}{self.category.value}: {self.message}"


class NetworkError(PipelineError):
    """The other side can't be reached."""

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message, ErrorCategory.NETWORK, recoverable=True, **facts)


class ValidationError(PipelineError):
    """Data that can't be used."""

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message, ErrorCategory.VALIDATION, **facts)


class TimeoutError(PipelineError):  # noqa: A001 - the name that the pipeline gives it
    """It took too long."""

    def __init__(self, message: str, timeout_seconds: float, **facts: Any) -> None:
        super().__init__(
            f"Timeout after {timeout_seconds}s: {message}", ErrorCategory.TIMEOUT, recoverable=True, **facts
        )
        self.timeout_seconds = timeout_seconds
        self.context["timeout_seconds"] = timeout_seconds


class ResourceError(PipelineError):
    """Something has run out."""

    def __init__(self, message: str, resource_type: str, **facts: Any) -> None:
        super().__init__(
            f"{resource_type} resource error: {message}", ErrorCategory.RESOURCE, ErrorSeverity.CRITICAL, **facts
        )
        self.resource_type = resource_type
        self.context["resource_type"] = resource_type


class DependencyError(PipelineError):
    """A service has failed."""

    def __init__(self, message: str, service_name: str, **facts: Any) -> None:
        super().__init__(f"Dependency '{service_name}': {message}", ErrorCategory.DEPENDENCY, recoverable=True, **facts)
        self.service_name = service_name
        self.context["service_name"] = service_name


class LogicError(PipelineError):
    """A mistake in the program."""

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message, ErrorCategory.LOGIC, **facts)


class ConfigurationError(PipelineError):
    """A mistake in the configuration."""

    def __init__(self, message: str, config_key: str | None = None, **facts: Any) -> None:
        super().__init__(message, ErrorCategory.CONFIGURATION, ErrorSeverity.CRITICAL, **facts)
        self.config_key = config_key
        if config_key:
            self.context["config_key"] = config_key


_RETRYABLE = (NetworkError, TimeoutError, DependencyError)


class RetryConfig:
    """When a step is tried again.

    Args:
        max_attempts: attempts in all.
        initial_delay: seconds before the second attempt.
        max_delay: most seconds between two attempts.
        exponential_base: each delay is so many times the last one.
        jitter: whether up to half a delay is added at random.

    Raises:
        ValueError: numbers that make no sense.
    """

    def __init__(
        self,
        max_attempts: int = 3,
        initial_delay: float = 1.0,
        max_delay: float = 60.0,
        exponential_base: float = 2.0,
        jitter: bool = True,
    ) -> None:
        if max_attempts < 1 or initial_delay <= 0 or max_delay < initial_delay or exponential_base <= 1:
            raise ValueError(
                "retry needs max_attempts >= 1, initial_delay > 0, max_delay >= initial_delay, exponential_base > 1"
            )
        self.max_attempts = max_attempts
        self.initial_delay = initial_delay
        self.max_delay = max_delay
        self.exponential_base = exponential_base
        self.jitter = jitter

    def delay(self, attempt: int) -> float:
        """Seconds to wait after a failed attempt, the first of which is 1."""
        delay = min(self.initial_delay * self.exponential_base ** (attempt - 1), self.max_delay)
        return delay * random.uniform(1.0, 1.5) if self.jitter else delay


class Step:
    """A step of a pipeline.

    Args:
        name: what the pipeline calls it.
        config: its settings; ``error_handling`` says what happens when :meth:`run` fails.
    """

    def __init__(self, name: str, config: dict[str, Any]) -> None:
        self.name = name
        self.config = config
        self.logger = logging.getLogger(f"Step.{name}")
        self.error_config: Mapping[str, Any] = config.get("error_handling", {})
        self.continue_on_error = bool(self.error_config.get("continue_on_error", False))
        self.enable_fallback = bool(self.error_config.get("enable_fallback", False))
        retry = self.error_config.get("retry")
        self.retry_config = RetryConfig(**retry) if retry else None
        self.services: Any = None

    async def run(self, data: dict[str, Any]) -> dict[str, Any]:
        """What the step does; subclasses say."""
        raise NotImplementedError(f"{type(self).__name__} has no run()")

    async def fallback(self, data: dict[str, Any], error: PipelineError) -> dict[str, Any]:  # noqa: ARG002
        """What stands for the result of a step that failed; without one, the error is raised again."""
        raise error

    async def execute_with_error_handling(self, data: dict[str, Any]) -> dict[str, Any]:
        """Run the step as ``error_handling`` says.

        Raises:
            PipelineError: it failed, and nothing stands in for it.
        """
        try:
            return await self._run_with_retry(data)
        except PipelineError as error:
            return await self._handled(error, data)
        except Exception as error:  # noqa: BLE001 - whatever a step raises becomes a pipeline's error
            failed = PipelineError(
                str(error), step_id=self.name, context={"original_type": type(error).__name__}, original_exception=error
            )
            failed.__cause__ = error
            return await self._handled(failed, data)

    async def _run_with_retry(self, data: dict[str, Any]) -> dict[str, Any]:
        attempt = 1
        while True:
            try:
                return await self.run(data)
            except _RETRYABLE as error:
                if self.retry_config is None or attempt >= self.retry_config.max_attempts:
                    raise
                delay = self.retry_config.delay(attempt)
                error.context |= {"retry_attempt": attempt, "retry_delay": delay}
                self.logger.warning("attempt %d failed: %s; retrying in %.2f s", attempt, error, delay)
            await asyncio.sleep(delay)
            attempt += 1

    async def _handled(self, error: PipelineError, data: dict[str, Any]) -> dict[str, Any]:
        self.logger.error("error in step %r: %s", self.name, error)
        if self.enable_fallback and error.recoverable:
            try:
                return await self.fallback(data, error)
            except Exception as failed:  # noqa: BLE001 - the error itself is handled below
                self.logger.error("fallback of step %r failed: %s", self.name, failed)
        if self.continue_on_error:
            return {
                "step_error": True,
                "error_message": str(error),
                "error_category": error.category.value,
                "error_severity": error.severity.value,
                "step_name": self.name,
                "original_data": data,
                "context": error.context,
            }
        raise error
