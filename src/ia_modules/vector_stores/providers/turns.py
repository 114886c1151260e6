"""Turns of writers: many at a time that replace or delete documents whole, or one that changes a part of one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

__all__ = ["Turns"]


class Turns:
    """Keeps apart those who write what they have from one who reads, changes and writes back.

    Without it a document that is replaced or deleted between the reading and the writing back would return.
    """

    def __init__(self) -> None:
        self._sharing = 0
        self._alone = asyncio.Lock()
        self._idle = asyncio.Event()
        self._idle.set()

    @asynccontextmanager
    async def shared(self) -> AsyncIterator[None]:
        """A turn together with others of this kind."""
        if self._alone.locked():
            async with self._alone:
                self._begin()
        else:
            self._begin()
        try:
            yield
        finally:
            self._sharing -= 1
            if not self._sharing:
                self._idle.set()

    def _begin(self) -> None:
        self._sharing += 1
        self._idle.clear()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """A turn with nobody else; it waits for those who have begun, and those who come later wait for it."""
        async with self._alone:
            await self._idle.wait()
            yield
