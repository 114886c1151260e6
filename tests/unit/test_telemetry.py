"""One event for each call, whatever becomes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from ia_modules.vector_stores import AuthenticationError, ConnectionError, OperationEvent, OperationTimeoutError
from ia_modules.vector_stores.execution import Execution


def execution(timeout: float = 20.0) -> Execution:
    return Execution(
        provider="fake",
        index_name="articles",
        map_error=lambda _: None,
        timeout=timeout,
        max_retries=3,
        retry_delay=0.0,
    )


class Flaky:
    """A primitive that raises what it is given, in turn, and then succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    async def __call__(self) -> str:
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def watched(runner: Execution) -> list[OperationEvent]:
    events: list[OperationEvent] = []
    runner.hooks = (events.append,)
    return events


@pytest.mark.parametrize(
    ("errors", "attempts", "name"),
    [
        ([], 1, None),
        ([ConnectionError("lost")], 2, None),
        ([ConnectionError("lost")] * 9, 4, "ConnectionError"),
        ([AuthenticationError("no")], 1, "AuthenticationError"),
        ([RuntimeError("a mistake")], 1, "VectorStoreError"),
    ],
)
async def test_one_event_for_each_call(errors: list[Exception], attempts: int, name: str | None) -> None:
    runner = execution()
    events = watched(runner)
    await asyncio.gather(runner.run("search", Flaky(*errors)), return_exceptions=True)
    (event,) = events
    assert event.duration_ms > 0
    assert (event.provider, event.operation, event.index_name) == ("fake", "search", "articles")
    assert (event.attempts, event.error) == (attempts, name)


async def test_the_event_of_a_deadline_and_of_a_cancelled_call() -> None:
    runner = execution(timeout=0.02)
    events = watched(runner)

    def hang() -> Awaitable[Any]:
        return asyncio.Event().wait()

    with pytest.raises(OperationTimeoutError):
        await runner.run("search", hang)
    task = asyncio.create_task(runner.run("search", hang))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert [event.error for event in events] == ["OperationTimeoutError", "CancelledError"]


async def test_a_failing_hook_does_not_disturb_the_call(caplog: pytest.LogCaptureFixture) -> None:
    runner = execution()
    events: list[OperationEvent] = []

    def broken(event: OperationEvent) -> None:
        raise RuntimeError("the hook's own trouble")

    hooks: tuple[Callable[[OperationEvent], None], ...] = (broken, events.append)
    runner.hooks = hooks
    assert await runner.run("search", Flaky()) == "done"
    assert len(events) == 1
    assert "the hook's own trouble" in caplog.text
