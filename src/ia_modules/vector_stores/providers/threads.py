"""Work in threads, for the providers whose client is not asynchronous."""

from __future__ import annotations

import _thread
import asyncio
import atexit
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

__all__ = ["finished", "joined", "release_later"]

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


async def joined(join: Callable[[], None], leave: Callable[[], None]) -> None:
    """Join in a thread what several stores share; if cancelled meanwhile, leave it again.

    A folder must not stay locked by a store that nobody waits for any more.
    """
    try:
        await finished(asyncio.to_thread(join))
    except asyncio.CancelledError:
        await finished(asyncio.to_thread(leave))
        raise


_under_way: set[object] = set()
_LONGEST_WAIT = 5.0
_over = False


def release_later(release: Callable[[], None]) -> None:
    """Run ``release`` in a thread of its own; for the finalizer of a store that was dropped without ``disconnect()``.

    Garbage can be collected while any lock is held, so the work is not done there and then, and no lock is taken. When
    the interpreter ends, what was open ends with it.
    """
    if _over or sys.is_finalizing():
        return
    mark = object()

    def work() -> None:
        try:
            release()
        finally:
            _under_way.discard(mark)

    _under_way.add(mark)
    _thread.start_new_thread(work, ())


@atexit.register
def _wait() -> None:
    """Let them end: a thread inside a client's native code crashes an interpreter that goes away below it."""
    global _over
    _over = True
    until = time.monotonic() + _LONGEST_WAIT
    while _under_way and time.monotonic() < until:
        time.sleep(0.005)
