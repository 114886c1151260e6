"""The path every call takes around a provider's primitive, written once.

From the outside in: telemetry, retry, deadline, error mapping, primitive. Retry is inside telemetry so that one
call is one event; the deadline spans all attempts, so each attempt gets what is left of it.
"""

from __future__ import annotations

import asyncio
import builtins
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import perf_counter
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_random_exponential
from tenacity.stop import stop_base

from ia_modules.vector_stores.errors import ConnectionError, OperationTimeoutError, RateLimitError, VectorStoreError
from ia_modules.vector_stores.telemetry import OperationEvent, TelemetryHook, emit

__all__ = ["ErrorMapper", "Execution"]

logger = logging.getLogger("ia_modules.vector_stores")

T = TypeVar("T")
ErrorMapper = Callable[[Exception], VectorStoreError | None]
"""Turns a client's exception into one of ours; None for one that it does not know."""

_LONGEST_WAIT = 30.0
_LONGEST_MESSAGE = 500


class _Stop(stop_base):
    """Stop after so many attempts, or when the next wait would outlast the deadline."""

    def __init__(self, attempts: int, deadline: float | None, loop: asyncio.AbstractEventLoop) -> None:
        self._attempts = attempts
        self._deadline = deadline
        self._loop = loop

    def __call__(self, retry_state: RetryCallState) -> bool:
        if retry_state.attempt_number >= self._attempts:
            return True
        return self._deadline is not None and self._loop.time() + retry_state.upcoming_sleep >= self._deadline


class _Attempts:
    __slots__ = ("made",)

    def __init__(self) -> None:
        self.made = 1


class Execution:
    """Runs primitives of one store.

    Args:
        provider: name for errors and events.
        index_name: name for events.
        map_error: the provider's error table.
        timeout: seconds a call may take in all, or None.
        max_retries: attempts after the first.
        retry_delay: seconds; upper bound of the first wait, doubled for each further one (full jitter).
        secrets: what must not show up in a message, such as an API key.
    """

    def __init__(
        self,
        *,
        provider: str,
        index_name: str,
        map_error: ErrorMapper,
        timeout: float | None,
        max_retries: int,
        retry_delay: float,
        secrets: tuple[str, ...] = (),
    ) -> None:
        self.provider = provider
        self.index_name = index_name
        self.hooks: tuple[TelemetryHook, ...] = ()
        self._map_error = map_error
        self._timeout = timeout
        self._max_retries = max_retries
        self._secrets = secrets
        self._jitter = wait_random_exponential(multiplier=retry_delay, max=_LONGEST_WAIT)

    async def run(self, operation: str, primitive: Callable[[], Awaitable[T]]) -> T:
        """Run the primitive, again where that can help, and raise only errors of this library.

        Raises:
            VectorStoreError: located (provider and operation), with the client's exception as its cause.
        """
        started = perf_counter()
        attempts = _Attempts()
        failure: str | None = None
        try:
            async with asyncio.timeout(self._timeout) as deadline:
                try:
                    return await primitive()
                except Exception as raised:  # noqa: BLE001 - every one is mapped and raised again
                    error = self._mapped(raised, operation)
                    if not error.retryable or not self._max_retries:
                        raise error from _cause(error, raised)
                return await self._again(operation, primitive, error, attempts, deadline.when())
        except VectorStoreError as error:
            failure = type(error).__name__
            raise
        except TimeoutError as error:
            failure = OperationTimeoutError.__name__
            raise OperationTimeoutError(
                f"not finished within {self._timeout or 0:g} s (config.timeout), attempts: {attempts.made}",
                provider=self.provider,
                operation=operation,
            ) from error
        except BaseException as error:
            failure = type(error).__name__
            raise
        finally:
            if self.hooks:
                elapsed = (perf_counter() - started) * 1e3
                emit(
                    self.hooks,
                    OperationEvent(self.provider, operation, self.index_name, elapsed, attempts.made, failure),
                )

    @asynccontextmanager
    async def timed(self, operation: str) -> AsyncIterator[None]:
        """Report a block of code as one event, without retries or a deadline of its own."""
        started = perf_counter()
        failure: str | None = None
        try:
            yield
        except BaseException as error:
            failure = type(error).__name__
            raise
        finally:
            elapsed = (perf_counter() - started) * 1e3
            emit(self.hooks, OperationEvent(self.provider, operation, self.index_name, elapsed, 1, failure))

    async def _again(
        self,
        operation: str,
        primitive: Callable[[], Awaitable[T]],
        first: VectorStoreError,
        attempts: _Attempts,
        deadline: float | None,
    ) -> T:
        """Retry after a first failure; kept out of :meth:`run` so that calls that succeed don't pay for it."""
        loop = asyncio.get_running_loop()
        failed: list[VectorStoreError] = [first]

        async def attempt() -> T:
            if failed:
                raise failed.pop()  # tenacity's first attempt is the one that has failed already
            attempts.made += 1
            try:
                return await primitive()
            except Exception as raised:  # noqa: BLE001 - likewise
                error = self._mapped(raised, operation)
                raise error from _cause(error, raised)

        retrying = AsyncRetrying(
            retry=retry_if_exception(lambda error: isinstance(error, VectorStoreError) and error.retryable),
            stop=_Stop(1 + self._max_retries, deadline, loop),
            wait=self._wait,
            before_sleep=self._log_retry,
            reraise=True,
        )
        try:
            return await retrying(attempt)
        except VectorStoreError as error:
            error.retryable = False  # spent
            error.add_note(f"given up after {attempts.made} attempts")
            raise

    def _wait(self, state: RetryCallState) -> float:
        """Full jitter, but never earlier than the database asked for."""
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after if isinstance(error, RateLimitError) else None
        return max(asked or 0.0, self._jitter(state))

    def _log_retry(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        logger.info(
            "%s: attempt %d failed with %s; next in %.2f s",
            self.provider,
            state.attempt_number,
            type(error).__name__,
            state.upcoming_sleep,
        )

    def _mapped(self, raised: Exception, operation: str) -> VectorStoreError:
        if self._secrets:
            self._redact(raised)
        if isinstance(raised, VectorStoreError):
            return raised.located(self.provider, operation)
        error = self._map_error(raised)
        if error is None and isinstance(raised, builtins.ConnectionError):
            error = ConnectionError(f"{type(raised).__name__}: {raised}")
        if error is None and isinstance(raised, TimeoutError):
            error = OperationTimeoutError(f"timed out: {raised}")
        if error is None:
            error = VectorStoreError(f"{type(raised).__name__}: {raised}")
        error.message = self._fit(error.message)
        error.args = (error.message,)
        return error.located(self.provider, operation)

    def _redact(self, error: BaseException | None) -> None:
        """Blank out secrets in an exception and in those behind it, which a traceback would show."""
        seen: set[int] = set()
        while error is not None and id(error) not in seen:
            seen.add(id(error))
            error.args = tuple(self._blanked(a) if isinstance(a, str) else a for a in error.args)
            if isinstance(error, VectorStoreError):
                error.message = self._blanked(error.message)
            error = error.__cause__ or error.__context__

    def _blanked(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    def _fit(self, message: str) -> str:
        message = self._blanked(message)
        return message if len(message) <= _LONGEST_MESSAGE else message[:_LONGEST_MESSAGE] + "…"


def _cause(error: VectorStoreError, raised: Exception) -> BaseException | None:
    """The client's exception; none of its own where the primitive raised one of ours."""
    return error.__cause__ if error is raised else raised
