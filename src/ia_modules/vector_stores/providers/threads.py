"""Work in threads, for the providers whose client is not asynchronous."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import TypeVar

__all__ = ["finished"]

T = TypeVar("T")


async def finished(work: Awaitable[T]) -> T:
    """Await work in a thread; if cancelled meanwhile, wait for its end all the same.

    A thread can't be stopped, so going on early would leave a write under way that nobody knows of.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with suppress(asyncio.CancelledError):  # cancelled once more
                await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # looked at, so that it is not reported as never retrieved
        raise
