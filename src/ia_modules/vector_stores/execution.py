"""The path every call takes around a provider's primitive, written once.

From the outside in: telemetry, retry, deadline, error mapping, primitive. Retry is inside telemetry so that one
call is one event; the deadline spans all attempts, so each attempt gets what is left of it. Requests that a primitive
marks as :func:`~ia_modules.vector_stores.parts.part` are tried again by themselves, within the same deadline.
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

from ia_modules.vector_stores.budget import RetryBudget
from ia_modules.vector_stores.errors import ConnectionError, OperationTimeoutError, RateLimitError, VectorStoreError
from ia_modules.vector_stores.parts import CURRENT
from ia_modules.vector_stores.telemetry import OperationEvent, TelemetryHook, emit

__all__ = ["Call", "ErrorMapper", "Execution"]

logger = logging.getLogger("ia_modules.vector_stores")

T = TypeVar("T")
ErrorMapper = Callable[[Exception], VectorStoreError | None]
"""Turns a client's exception into one of ours; None for one that it does not know."""

_LONGEST_WAIT = 30.0
_LONGEST_MESSAGE = 500


class _Stop(stop_base):
    """Stop after so many attempts, when the next wait would outlast the deadline, or when the budget is spent."""

    def __init__(self, attempts: int, call: Call, budget: RetryBudget) -> None:
        self._attempts = attempts
        self._call = call
        self._budget = budget
        self.taken = 0
        self.why: str | None = None

    def __call__(self, retry_state: RetryCallState) -> bool:
        if retry_state.attempt_number >= self._attempts:
            return True
        deadline = self._call.deadline
        if deadline is not None and asyncio.get_running_loop().time() + retry_state.upcoming_sleep >= deadline:
            self.why = "the next wait would outlast the deadline"
            return True
        if not self._budget.take():
            self.why = "the retry budget is spent, as too much has failed for good lately"
            return True
        self.taken += 1
        return False


class Call:
    """One call of the interface that is under way.

    Attributes:
        operation: its name.
        attempts: how often a primitive, or a request of one, was tried.
        throttled: how many of the attempts the database answered with a rate limit.
        in_doubt: whether an attempt of the primitive failed that may have done its work all the same.
        deadline: the event loop's time by which it has to be done, or None.
    """

    __slots__ = ("_execution", "attempts", "deadline", "in_doubt", "operation", "throttled")

    def __init__(self, execution: Execution, operation: str) -> None:
        self._execution: Execution | None = execution
        self.operation = operation
        self.attempts = 1
        self.throttled = 0
        self.in_doubt = False
        self.deadline: float | None = None

    async def again(self, request: Callable[[], Awaitable[T]], raised: Exception) -> T:
        """Make a failed request of a primitive again; what a retry can't cure is raised as it is."""
        execution = self._execution
        if execution is None or not execution.max_retries:
            raise raised
        error = execution.mapped(raised, self)
        if not error.retryable:
            raise raised
        return await execution.retry(self, request, error, raised)

    def end(self) -> None:
        """Let go of the store: timers that were cancelled keep the context that they were made in, and so this."""
        self._execution = None


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
        self.budget = RetryBudget()
        self.max_retries = max_retries
        self._map_error = map_error
        self._timeout = timeout
        self._secrets = secrets
        self._jitter = wait_random_exponential(multiplier=retry_delay, max=_LONGEST_WAIT)

    async def run(self, operation: str, primitive: Callable[[], Awaitable[T]], call: Call | None = None) -> T:
        """Run the primitive, again where that can help, and raise only errors of this library.

        Args:
            operation: name of the call.
            primitive: what to run.
            call: made for this run, where the caller wants to know about it afterwards.

        Raises:
            VectorStoreError: located (provider and operation), with the client's exception as its cause.
        """
        started = perf_counter()
        call = call or Call(self, operation)
        failure: str | None = None
        token = CURRENT.set(call)
        try:
            async with asyncio.timeout(self._timeout) as deadline:
                call.deadline = deadline.when()
                try:
                    result = await primitive()
                except Exception as raised:  # noqa: BLE001 - every one is mapped and raised again
                    error = self.mapped(raised, call)
                    call.in_doubt = _is_doubtful(error)
                    if not error.retryable or not self.max_retries:
                        raise error from _cause(error, raised)
                    result = await self.retry(call, primitive, error, raised, whole=True)
            if self.budget.short:
                self.budget.succeeded()
            return result
        except VectorStoreError as error:
            failure = type(error).__name__
            raise
        except TimeoutError as error:
            failure = OperationTimeoutError.__name__
            raise OperationTimeoutError(
                f"not finished within {self._timeout or 0:g} s (config.timeout), attempts: {call.attempts}",
                provider=self.provider,
                operation=operation,
            ) from error
        except BaseException as error:
            failure = type(error).__name__
            raise
        finally:
            CURRENT.reset(token)
            call.end()
            if self.hooks:
                self._tell(operation, started, failure, call.attempts, call.throttled)

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
            self._tell(operation, started, failure, 1, 0)

    def _tell(self, operation: str, started: float, failure: str | None, attempts: int, throttled: int) -> None:
        elapsed = (perf_counter() - started) * 1e3
        event = OperationEvent(self.provider, operation, self.index_name, elapsed, attempts, failure, throttled)
        emit(self.hooks, event)

    async def retry(
        self,
        call: Call,
        work: Callable[[], Awaitable[T]],
        first: VectorStoreError,
        raised: Exception,
        *,
        whole: bool = False,
    ) -> T:
        """Retry after a first failure; kept out of :meth:`run` so that calls that succeed don't pay for it.

        Args:
            call: the call that this belongs to.
            work: a primitive, or one of its requests.
            first: what the first attempt failed with.
            raised: the exception behind it.
            whole: whether it is the primitive.
        """
        failed: VectorStoreError | None = first
        made, last = 1, raised

        async def attempt() -> T:
            nonlocal failed, made, last
            if failed is not None:  # tenacity's first attempt is the one that has failed already
                error, failed = failed, None
                raise error from _cause(error, raised)
            made += 1
            call.attempts += 1
            try:
                return await work()
            except Exception as behind:  # noqa: BLE001 - likewise
                error, last = self.mapped(behind, call), behind
                call.in_doubt |= whole and _is_doubtful(error)
                raise error from _cause(error, behind)

        stop = _Stop(1 + self.max_retries, call, self.budget)
        retrying = AsyncRetrying(
            retry=retry_if_exception(lambda error: isinstance(error, VectorStoreError) and error.retryable),
            stop=stop,
            wait=self._wait,
            before_sleep=self._log_retry,
            reraise=True,
        )
        try:
            result: T = await retrying(attempt)
        except VectorStoreError as error:
            if error.retryable:
                error.retryable = False  # spent
                error.add_note(f"given up after {made} attempts{f': {stop.why}' if stop.why else ''}")
            elif not whole:
                raise last from last.__cause__  # it is for the primitive to say what it means
            raise
        self.budget.succeeded(stop.taken)
        return result

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

    def mapped(self, raised: Exception, call: Call) -> VectorStoreError:
        """An exception as one of ours, located and without secrets; counts rate limits."""
        if self._secrets:
            self._redact(raised)
        if isinstance(raised, VectorStoreError):
            error: VectorStoreError = raised
        else:
            error = self._translated(raised)
        if isinstance(error, RateLimitError) and error.retryable:
            call.throttled += 1
        return error.located(self.provider, call.operation)

    def _translated(self, raised: Exception) -> VectorStoreError:
        error = self._map_error(raised)
        if error is None and isinstance(raised, builtins.ConnectionError):
            error = ConnectionError(f"{type(raised).__name__}: {raised}")
        if error is None and isinstance(raised, TimeoutError):
            error = OperationTimeoutError(f"timed out: {raised}")
        if error is None:
            error = VectorStoreError(f"{type(raised).__name__}: {raised}")
        error.message = self._fit(error.message)
        error.args = (error.message,)
        return error

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


def _is_doubtful(error: VectorStoreError) -> bool:
    """Whether the work may have been done although this came back; one that is told to wait has not begun."""
    return error.retryable and not isinstance(error, RateLimitError)


def _cause(error: VectorStoreError, raised: Exception) -> BaseException | None:
    """The client's exception; none of its own where the primitive raised one of ours."""
    return error.__cause__ if error is raised else raised
