"""Requests that are tried again by themselves, in primitives that make several of them.

A primitive that makes a hundred requests, each of which fails once in ten times, hardly ever comes to its end if it
begins anew each time. What its retries would have been is spent on the one request that failed instead.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Protocol, TypeVar

__all__ = ["CURRENT", "Call", "part"]

T = TypeVar("T")


class Call(Protocol):
    """A call of the store's interface that is under way."""

    async def again(self, request: Callable[[], Awaitable[T]], raised: Exception) -> T:
        """Make a failed request again, as often and as late as this call's retries and deadline allow."""
        ...


CURRENT: ContextVar[Call | None] = ContextVar("ia_modules.vector_stores.call", default=None)


async def part(request: Callable[[], Awaitable[T]]) -> T:
    """Make one request of a primitive; if it fails with what a retry can cure, make it again, and not the others.

    Only for requests that leave the same state when they are made twice, and whose second answer is as good as the
    first. Not for creating and deleting an index: there the second answer is that it exists, or does not.

    Raises:
        VectorStoreError: it failed each time; retries are spent.
        Exception: what the client raised, unchanged, where a retry can't help.
    """
    try:
        return await request()
    except Exception as raised:
        call = CURRENT.get()
        if call is None:
            raise
        return await call.again(request, raised)
