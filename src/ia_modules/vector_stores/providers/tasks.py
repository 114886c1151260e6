"""The same work for many things, a few of them at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

__all__ = ["each"]

T = TypeVar("T")
R = TypeVar("R")


async def each(items: Iterable[T], work: Callable[[T], Awaitable[R]], *, at_a_time: int) -> list[R]:
    """What ``work`` gives for each item, in order; if one fails, the others are cancelled and its error is raised."""
    places = asyncio.Semaphore(at_a_time)

    async def one(item: T) -> R:
        async with places:
            return await work(item)

    first: Exception | None = None
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(item)) for item in items]
    except ExceptionGroup as failed:
        first = failed.exceptions[0]
    if first is not None:
        raise first  # out here, so that its cause and context stay what they are
    return [task.result() for task in tasks]
