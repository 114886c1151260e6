"""Reading a little ahead of what is being written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

from ia_modules.vector_stores.errors import VectorStoreError
from ia_modules.vector_stores.tasks import is_being_cancelled

__all__ = ["closing", "reading_ahead"]

T = TypeVar("T")


@asynccontextmanager
async def closing(items: AsyncIterator[T]) -> AsyncGenerator[AsyncIterator[T]]:
    """Close an iterator at the end, if it is one that can be."""
    try:
        yield items
    finally:
        if (close := getattr(items, "aclose", None)) is not None:
            await close()


@asynccontextmanager
async def reading_ahead(items: AsyncIterator[T], most: int = 2) -> AsyncGenerator[AsyncIterator[T]]:
    """Read items in a task of its own, so that the next ones come while these are worked on.

    However the block ends, the task is over by then and the iterator closed.

    Args:
        items: what to read.
        most: how many may wait to be worked on.
    """
    queue: asyncio.Queue[tuple[T] | BaseException | None] = asyncio.Queue(most)

    async def read() -> None:
        try:
            async with closing(items):
                async for item in items:
                    await queue.put((item,))
            await queue.put(None)
        except asyncio.CancelledError:
            if is_being_cancelled():
                raise
            await queue.put(VectorStoreError("reading the source was cancelled, but not by its caller"))
        except Exception as error:  # noqa: BLE001 - raised where the items are taken
            await queue.put(error)

    async def taken() -> AsyncGenerator[T]:
        while (found := await queue.get()) is not None:
            if isinstance(found, BaseException):
                raise found
            yield found[0]

    reader = asyncio.create_task(read())
    try:
        yield taken()
    finally:
        reader.cancel()
        await asyncio.wait([reader])
