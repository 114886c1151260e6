"""The path around a primitive: what is tried again, for how long, and what the caller hears of it."""

from __future__ import annotations

import asyncio
import logging
import threading
import traceback
from typing import Any

import pytest

from ia_modules.vector_stores import (
    AuthenticationError,
    ConnectionError,
    InvalidDocumentError,
    OperationTimeoutError,
    RateLimitError,
    VectorStoreError,
)
from ia_modules.vector_stores.execution import Execution

SECRET = "sk-very-secret-token"


class ClientError(Exception):
    """What some client raises."""


def map_error(error: Exception) -> VectorStoreError | None:
    return ConnectionError(str(error)) if isinstance(error, ClientError) else None


def execution(**given: Any) -> Execution:
    fields: dict[str, Any] = {
        "provider": "fake",
        "index_name": "articles",
        "map_error": map_error,
        "timeout": 20.0,
        "max_retries": 3,
        "retry_delay": 0.001,
        "secrets": (SECRET,),
    }
    return Execution(**fields | given)


class Flaky:
    """A primitive that raises what it is given, in turn, and then succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


@pytest.fixture
def sleeps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits asked for; none is waited."""
    asked: list[float] = []
    sleep, ours = asyncio.sleep, threading.get_ident()

    async def noted(seconds: float) -> None:
        if threading.get_ident() != ours:  # a server that another test has started goes on in a thread of its own
            await sleep(seconds)
            return
        asked.append(seconds)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", noted)
    return asked


RETRYABLE = [
    ConnectionError("lost"),
    RateLimitError("slow down"),
    OperationTimeoutError("late"),
    VectorStoreError("passing", retryable=True),
    ClientError("lost"),
    ConnectionResetError("lost"),
    TimeoutError("late"),
]
LASTING = [
    AuthenticationError("no"),
    InvalidDocumentError("bad"),
    VectorStoreError("broken"),
    ConnectionError("refused for good", retryable=False),
    RuntimeError("a mistake"),
    ValueError("a mistake"),
]


@pytest.mark.parametrize("error", RETRYABLE, ids=repr)
async def test_what_a_retry_can_cure_is_tried_again(error: Exception) -> None:
    primitive = Flaky(error, error)
    assert await execution().run("search", primitive) == "done"
    assert primitive.calls == 3


@pytest.mark.parametrize("error", LASTING, ids=repr)
async def test_nothing_else_is(error: Exception) -> None:
    primitive = Flaky(error)
    with pytest.raises(VectorStoreError):
        await execution().run("search", primitive)
    assert primitive.calls == 1


async def test_a_lasting_error_ends_the_retries() -> None:
    primitive = Flaky(ConnectionError("lost"), AuthenticationError("no"))
    with pytest.raises(AuthenticationError):
        await execution().run("search", primitive)
    assert primitive.calls == 2


@pytest.mark.parametrize("retries", [0, 1, 4])
async def test_attempts_are_counted(retries: int) -> None:
    primitive = Flaky(*(ConnectionError(f"lost {i}") for i in range(9)))
    with pytest.raises(ConnectionError, match=f"lost {retries}"):
        await execution(max_retries=retries).run("search", primitive)
    assert primitive.calls == retries + 1


async def test_a_spent_retry_is_not_retryable() -> None:
    with pytest.raises(ConnectionError) as caught:
        await execution().run("search", Flaky(*[ClientError("lost")] * 9))
    assert not caught.value.retryable
    assert caught.value.__notes__ == ["given up after 4 attempts"]


async def test_without_retries_it_is_left_to_the_caller() -> None:
    with pytest.raises(ConnectionError) as caught:
        await execution(max_retries=0).run("search", Flaky(ClientError("lost")))
    assert caught.value.retryable


async def test_waits_grow_and_are_random(sleeps: list[float]) -> None:
    for _ in range(40):
        with pytest.raises(ConnectionError):
            await execution(max_retries=4, retry_delay=1.0, timeout=None).run("search", Flaky(*[ClientError("x")] * 9))
    for i, bound in enumerate((1.0, 2.0, 4.0, 8.0)):
        waits = sleeps[i::4]
        assert 0.0 <= min(waits) < bound / 2 < max(waits) <= bound


async def test_a_wait_has_an_upper_bound(sleeps: list[float]) -> None:
    with pytest.raises(ConnectionError):
        await execution(max_retries=15, retry_delay=20.0, timeout=None).run("search", Flaky(*[ClientError("x")] * 99))
    assert max(sleeps) <= 30.0


async def test_retry_after_is_the_least_wait(sleeps: list[float]) -> None:
    await execution(timeout=None).run("search", Flaky(RateLimitError("slow", retry_after=45.0), ClientError("lost")))
    assert sleeps[0] == 45.0
    assert sleeps[1] < 1.0


async def test_a_wait_beyond_the_deadline_is_not_begun(sleeps: list[float]) -> None:
    primitive = Flaky(RateLimitError("slow", retry_after=45.0))
    with pytest.raises(RateLimitError) as caught:
        await execution(timeout=40.0).run("search", primitive)
    assert (primitive.calls, sleeps) == (1, [])
    assert caught.value.retry_after == 45.0


async def test_the_deadline_spans_all_attempts() -> None:
    calls = 0

    async def slow() -> None:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0.15)
        raise ClientError("lost")

    with pytest.raises(OperationTimeoutError, match=r"0\.4 s .*attempts: [23]"):
        await execution(timeout=0.4, max_retries=99, retry_delay=0.0).run("search", slow)
    begun = calls
    assert begun in (2, 3)
    await asyncio.sleep(0.2)
    assert calls == begun


async def test_a_primitive_that_hangs_is_cut_off() -> None:
    cancelled = asyncio.Event()

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    with pytest.raises(OperationTimeoutError) as caught:
        await execution(timeout=0.05).run("search", hang)
    assert cancelled.is_set()
    assert isinstance(caught.value, TimeoutError)
    assert (caught.value.provider, caught.value.operation) == ("fake", "search")


async def test_cancelling_passes_through_and_is_not_retried() -> None:
    calls = 0

    async def hang() -> None:
        nonlocal calls
        calls += 1
        await asyncio.Event().wait()

    task = asyncio.create_task(execution().run("search", hang))
    await asyncio.sleep(0.01)
    task.cancel("enough")
    with pytest.raises(asyncio.CancelledError, match="enough"):
        await task
    assert calls == 1


async def test_cancelling_ends_a_wait() -> None:
    primitive = Flaky(RateLimitError("slow", retry_after=15.0))
    task = asyncio.create_task(execution().run("search", primitive))
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert primitive.calls == 1


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
async def test_what_is_no_exception_passes_through(kind: type[BaseException]) -> None:
    async def leave() -> None:
        raise kind

    # A task would hand these to the event loop, so the coroutine is driven by hand.
    running = execution(timeout=None).run("search", leave)
    with pytest.raises(kind):
        running.send(None)  # type: ignore[attr-defined]


@pytest.mark.parametrize("retries", [0, 2])
async def test_the_cause_is_kept(retries: int) -> None:
    raised = [ClientError("first"), ClientError("second"), ClientError("third")]
    with pytest.raises(ConnectionError) as caught:
        await execution(max_retries=retries).run("search", Flaky(*raised))
    assert caught.value.__cause__ is raised[retries]
    assert (caught.value.provider, caught.value.operation) == ("fake", "search")


async def test_an_error_of_ours_keeps_its_own_cause() -> None:
    reason = ClientError("deep down")

    async def fail() -> None:
        raise AuthenticationError("no", provider="else") from reason

    with pytest.raises(AuthenticationError) as caught:
        await execution().run("search", fail)
    assert caught.value.__cause__ is reason
    assert (caught.value.provider, caught.value.operation) == ("else", "search")


async def test_an_unknown_exception_is_wrapped() -> None:
    raised = RuntimeError("a mistake")
    with pytest.raises(VectorStoreError, match=r"fake\.search: RuntimeError: a mistake") as caught:
        await execution().run("search", Flaky(raised))
    assert type(caught.value) is VectorStoreError
    assert caught.value.__cause__ is raised


@pytest.mark.parametrize(
    "raised",
    [
        ClientError(f"key {SECRET} refused"),
        RuntimeError(f"key {SECRET} refused"),
        AuthenticationError(f"key {SECRET} refused"),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("retries", [0, 2])
async def test_the_key_is_blanked_out(raised: Exception, retries: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def fail() -> None:
        try:
            raise LookupError(f"{SECRET} not found")
        except LookupError:
            raise raised from None

    with pytest.raises(VectorStoreError, match=r"key \*\*\* refused") as caught:
        await execution(max_retries=retries).run("search", fail)
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + caplog.text
    assert SECRET not in shown
    error: BaseException | None = caught.value
    while error is not None:
        assert SECRET not in str(error)
        error = error.__cause__ or error.__context__


async def test_long_messages_are_cut() -> None:
    with pytest.raises(ConnectionError) as caught:
        await execution().run("search", Flaky(*[ClientError("x" * 10_000)] * 9))
    assert len(str(caught.value)) < 600
    assert str(caught.value).endswith("x…")
