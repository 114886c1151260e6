"""How a pool begins and ends: each in one task, which all who ask for it share."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from ia_modules.vector_stores.errors import PoolClosedError
from ia_modules.vector_stores.pooling.core import PoolCore
from ia_modules.vector_stores.pooling.state import PoolState

__all__ = ["Closing", "Opening"]

logger = logging.getLogger("ia_modules.vector_stores")

S = TypeVar("S")


class Opening(Generic[S]):
    """Connects the first members, all or none."""

    def __init__(self, core: PoolCore[S]) -> None:
        self.task: asyncio.Task[BaseException | None] | None = None
        self._core = core
        self._interested = 0
        self._given_up = False

    async def run(self) -> None:
        """Open the pool, or wait for the opening that is under way; it is given up when all who wait are cancelled.

        Raises:
            Exception: what the first member that did not connect raised.
        """
        while self._core.state is PoolState.NEW or self.task is not None:
            task = self.task or self._begin()
            self._interested += 1
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError:
                if self._interested == 1 and not self._given_up and not task.done():
                    self._given_up = True
                    task.cancel()
                if self._given_up:
                    await asyncio.wait([task])
                raise
            finally:
                self._interested -= 1
            if not task.cancelled():
                if (error := task.result()) is not None:
                    raise error
                return
            # Given up by others, who had asked before; this one still wants it.

    def _begin(self) -> asyncio.Task[BaseException | None]:
        core = self._core
        core.state, core.opening = PoolState.OPEN, True
        self._given_up = False
        tasks = [core.connect() for _ in range(core.settings.min_size)]  # now, so that who acquires counts on them
        self.task = core.running.create_task(self._outcome(tasks), name=f"pool {core.settings.name}: open")
        self.task.add_done_callback(self._finished)
        return self.task

    def _finished(self, task: asyncio.Task[BaseException | None]) -> None:
        self.task, self._core.opening = None, False
        if task.cancelled() or task.result() is not None:
            self._core.reset_if_unused()
        if self._given_up or not task.cancelled():  # else it is cancelled with the whole loop
            self._core.serve()
            self._core.refill()

    async def _outcome(self, tasks: list[asyncio.Task[S]]) -> BaseException | None:
        if not tasks:
            return None
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        except asyncio.CancelledError:
            await self._undo(tasks)
            raise
        errors = [task.exception() for task in tasks if task.done() and not task.cancelled()]
        error = next((error for error in errors if error is not None), None)
        if error is not None:
            await self._undo(tasks)
        return error

    async def _undo(self, tasks: list[asyncio.Task[S]]) -> None:
        """Disconnect what is connected, but for what a task has acquired meanwhile."""
        for task in tasks:
            self._core.give_up(task)
        self._core.serve()
        await asyncio.wait(tasks)
        if closing := self._core.shrink(len(self._core.idle)):
            await asyncio.wait(closing)


class Closing(Generic[S]):
    """Disconnects all members, once nobody uses them or the time is up."""

    def __init__(self, core: PoolCore[S], opening: Opening[S]) -> None:
        self._core = core
        self._opening = opening
        self._task: asyncio.Task[None] | None = None
        self._closers: set[asyncio.Task[Any] | None] = set()
        self._until = math.inf

    async def run(self, seconds: float | None, closed: Callable[[], PoolClosedError]) -> None:
        """Close the pool, or wait for the closing that is under way, which also heeds this call's limit."""
        core = self._core
        if core.state is PoolState.NEW:
            core.state = PoolState.CLOSED
        if core.state is PoolState.CLOSED:
            return
        if core.state is PoolState.OPEN:
            core.state = PoolState.CLOSING
            core.turn_away(closed)
            for task in (*core.connecting, *core.checking):
                task.cancel()
            core.shrink(len(core.idle))
            core.stop_timer()
        if seconds is not None:
            self._until = min(self._until, core.running.time() + max(0.0, seconds))
        me = asyncio.current_task()
        self._closers.add(me)
        core.changed.set()
        if self._task is None or self._task.done():
            self._task = core.running.create_task(self._finish(), name=f"pool {core.settings.name}: close")
        try:
            await asyncio.wait([self._task])
        finally:
            self._closers.discard(me)

    async def _finish(self) -> None:
        core = self._core
        while self._waits():
            core.changed.clear()
            try:
                async with asyncio.timeout_at(self._until if math.isfinite(self._until) else None):
                    await core.changed.wait()
            except TimeoutError:
                break
        if core.leases:
            logger.warning("pool %s: closed with %d of its stores still in use", core.settings.name, len(core.leases))
            for lease in list(core.leases):
                core.revoke(lease)
        while tasks := core.tasks | ({self._opening.task} if self._opening.task else set()):
            await asyncio.wait(tasks)
        core.state = PoolState.CLOSED

    def _waits(self) -> bool:
        """Whether there is something out that can still come back in time."""
        core = self._core
        if core.running.time() >= self._until:
            return False
        return any(lease.task is None or lease.task() not in self._closers for lease in core.leases)
