"""Stores, pools and embedders that several steps use, open once for each event loop.

A pipeline makes new step objects for every run and has no hook for its end, so what is open can't belong to a step.
It belongs to those who use it: the pipeline's service registry, or a step that has none. When the last of them lets go
it is closed, and at the end of the event loop whatever is left.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar
from weakref import WeakSet

__all__ = ["PipelineStores", "SharedResources", "close_shared_stores", "owner_for"]

T = TypeVar("T")

SERVICE = "shared_vector_stores"
"""What the owner is called in a pipeline's service registry."""


@dataclass(slots=True)
class _Entry:
    key: object
    value: Any
    close: Callable[[], Awaitable[object]]
    # Weak, as a registry may be dropped without a word; the next run may well come with another one.
    owners: WeakSet[Any] = field(default_factory=WeakSet)
    closing: asyncio.Task[None] | None = None


class SharedResources:
    """What is open on one event loop."""

    def __init__(self) -> None:
        self._entries: list[_Entry] = []
        self._end: AsyncGenerator[None, None] | None = None

    @property
    def size(self) -> int:
        """How many stores, pools and embedders are open."""
        return len(self._entries)

    async def use(
        self, owner: object, key: object, make: Callable[[], T], close: Callable[[T], Awaitable[object]]
    ) -> T:
        """What ``make`` made for that key, the first time it was asked for.

        Args:
            owner: keeps it open until it is released; may be one that has it already.
            key: compared with ``==``.
            make: takes no time; connecting is left to the first call.
            close: called once nobody keeps it open.
        """
        if self._end is None:
            self._end = self._until_the_end()
            await anext(self._end)
        while True:
            entry = next((one for one in self._entries if one.key == key), None)
            if entry is None:
                made = make()
                entry = _Entry(key, made, partial(close, made))
                self._entries.append(entry)
            elif entry.closing is not None:  # a folder that is being closed can't be opened yet
                await asyncio.wait([entry.closing])
                continue
            entry.owners.add(owner)
            found: T = entry.value
            return found

    async def release(self, owner: object) -> None:
        """Close what nobody but ``owner`` keeps open.

        Raises:
            Exception: what closing raised; of several an ``ExceptionGroup``.
        """
        left = []
        for entry in self._entries:
            if owner in entry.owners:
                entry.owners.discard(owner)
                if not entry.owners:
                    left.append(entry)
        await self._close(left)

    async def close_all(self) -> None:
        """Close everything, whoever keeps it open; errors as with :meth:`release`."""
        await self._close(list(self._entries))

    async def _close(self, entries: Iterable[_Entry]) -> None:
        tasks = []
        for entry in entries:
            if entry.closing is None:
                entry.closing = asyncio.create_task(self._finish(entry))
            tasks.append(entry.closing)
        if not tasks:
            return
        await asyncio.wait(tasks)  # who is cancelled here leaves them to their end
        errors = [error for task in tasks if not task.cancelled() and (error := task.exception()) is not None]
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise BaseExceptionGroup("several shared stores could not be closed", errors)

    async def _finish(self, entry: _Entry) -> None:
        try:
            await entry.close()
        finally:
            self._entries.remove(entry)

    async def _until_the_end(self) -> AsyncGenerator[None, None]:
        # An event loop closes the generators that have begun on it before it closes itself (shutdown_asyncgens).
        try:
            yield
        finally:
            try:
                await self.close_all()
            finally:
                _of_loops.pop(asyncio.get_running_loop(), None)


_of_loops: dict[asyncio.AbstractEventLoop, SharedResources] = {}


def shared_resources() -> SharedResources:
    """What is open on the running event loop."""
    loop = asyncio.get_running_loop()
    for other in [one for one in list(_of_loops) if one.is_closed()]:
        _of_loops.pop(other, None)
    return _of_loops.setdefault(loop, SharedResources())


async def close_shared_stores() -> None:
    """Close all stores, pools and embedders that steps have opened on this event loop.

    They are opened again by the next step that needs them. Stores that a step was given as an object are not touched.

    Raises:
        Exception: what closing raised; of several an ``ExceptionGroup``. Everything is closed as far as it can be.
    """
    await shared_resources().close_all()


class PipelineStores:
    """Stands in a pipeline's service registry for what its steps have open; ``cleanup_all()`` closes that."""

    async def cleanup(self) -> None:
        """Called by the registry."""
        await shared_resources().release(self)


def owner_for(step: object, services: Any) -> object:
    """Who keeps open what a step uses: its service registry if it has one, else the step."""
    if services is None or not callable(getattr(services, "register", None)):
        return step
    owner = services.get(SERVICE)
    if not isinstance(owner, PipelineStores):
        owner = PipelineStores()
        services.register(SERVICE, owner)
    return owner
