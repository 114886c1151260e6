"""Several coroutines at the same time, and what it means to be cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeVar

__all__ = ["each", "is_being_cancelled", "together"]

T = TypeVar("T")
R = TypeVar("R")


async def together(work: Iterable[Coroutine[Any, Any, R]]) -> list[R]:
    """What each coroutine gives, in order; if one raises, the others are cancelled and its exception is raised."""
    first: BaseException | None = None
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in work]
    except BaseExceptionGroup as failed:
        first = failed.exceptions[0]  # the others failed likewise
    if first is not None:
        raise first  # out here, so that its cause and context stay what they are
    return [task.result() for task in tasks]


async def each(items: Iterable[T], work: Callable[[T], Awaitable[R]], *, at_a_time: int) -> list[R]:
    """What ``work`` gives for each item, in order; failures as with :func:`together`."""
    places = asyncio.Semaphore(at_a_time)

    async def one(item: T) -> R:
        async with places:
            return await work(item)

    return await together(one(item) for item in items)


def is_being_cancelled() -> bool:
    """Whether somebody cancels the task that runs; otherwise a ``CancelledError`` came out of what it called."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
