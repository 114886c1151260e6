"""How many requests go out at the same time, and when: fewer once the database asks to slow down."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from contextvars import ContextVar

from ia_modules.vector_stores.errors import PartialFailureError, RateLimitError
from ia_modules.vector_stores.telemetry import OperationEvent

__all__ = ["AdaptiveLimit", "Permit", "Stopped", "ThrottleHook"]


class Stopped(Exception):  # noqa: N818 - a signal inside this package
    """The run ends; nothing new is to be sent."""


class Permit:
    """Leave to send one request.

    Attributes:
        number: how many were given up to it.
        alone: whether no other was to be had at that time.
    """

    __slots__ = ("alone", "number")

    def __init__(self, number: int, *, alone: bool) -> None:
        self.number = number
        self.alone = alone


_permit: ContextVar[Permit | None] = ContextVar("ia_modules_vector_stores_batch_permit", default=None)


class AdaptiveLimit:
    """Gives leave to send, to at most ``limit`` requests at the same time: additive increase, multiplicative decrease.

    The limit begins at ``most``. When the database asks to slow down it is halved, once for all requests that were
    under way at that time; after as many successes in a row as it says it grows by one.

    Args:
        most: highest limit.

    Attributes:
        limit: requests that may be under way now.
        running: requests that are.
    """

    def __init__(self, most: int) -> None:
        self.limit = most
        self.running = 0
        self._most = most
        self._given = 0
        self._halved_at = 0
        self._successes = 0
        self._not_before = 0.0
        self._waiting: list[int] = []
        self._wake = asyncio.Event()
        self._stopped = asyncio.Event()

    async def acquire(self, rank: int) -> Permit:
        """Wait for leave to send one request; :meth:`release` or :meth:`cancelled` must follow.

        Args:
            rank: of those that wait, the lowest goes first. So what was refused and is older does not meet the same
                again and again, as it might at the end of the queue.

        Raises:
            Stopped: nothing new is to be sent.
        """
        loop = asyncio.get_running_loop()
        self._waiting.append(rank)
        try:
            while not self._stopped.is_set():
                if self.running >= self.limit or min(self._waiting) < rank:
                    await self._wake.wait()
                elif (wait := self._not_before - loop.time()) > 0:
                    await self.pause(wait)
                else:
                    self.running += 1
                    self._given += 1
                    permit = Permit(self._given, alone=self.limit == 1)
                    _permit.set(permit)
                    return permit
        finally:
            self._waiting.remove(rank)
            self._changed()
        raise Stopped

    def release(self, error: Exception | None, permit: Permit) -> None:
        """Take a permit back.

        Args:
            error: what the request ended with, or None.
            permit: what :meth:`acquire` gave.
        """
        self.running -= 1
        _permit.set(None)
        asked = _rate_limits(error)
        if asked:
            self.throttle(permit, max(one.retry_after or 0.0 for one in asked))
        elif error is None and permit.number > self._halved_at:
            self._successes += 1
            if self._successes >= self.limit and self.limit < self._most:
                self.limit += 1
                self._successes = 0
        self._changed()

    def cancelled(self) -> None:
        """Take back the permit of a request that was cancelled."""
        self.running -= 1
        _permit.set(None)
        self._changed()

    def throttle(self, permit: Permit | None, retry_after: float = 0.0) -> None:
        """Note that the database asked to slow down.

        Args:
            permit: of the request that it answered; None if it was not one of ours.
            retry_after: seconds in which nothing may be sent.
        """
        if (self._given if permit is None else permit.number) > self._halved_at:
            self._halved_at = self._given
            self._successes = 0
            self.limit = max(1, self.limit // 2)
        if retry_after > 0:
            self._not_before = max(self._not_before, asyncio.get_running_loop().time() + retry_after)

    async def pause(self, seconds: float) -> None:
        """Sleep, but no longer than until :meth:`stop`."""
        if seconds > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._stopped.wait()

    def stop(self) -> None:
        """Give no more leave; who waits for it gets :class:`Stopped`."""
        self._stopped.set()
        self._changed()

    def _changed(self) -> None:
        if self._waiting:
            wake, self._wake = self._wake, asyncio.Event()
            wake.set()


class ThrottleHook:
    """A telemetry hook that tells a limit of rate limits which the store got over by itself."""

    def __init__(self, limit: AdaptiveLimit) -> None:
        self._limit: AdaptiveLimit | None = limit

    def __call__(self, event: OperationEvent) -> None:
        """Take in one event."""
        if self._limit is not None and getattr(event, "throttled", 0) > 0:
            self._limit.throttle(_permit.get())

    def detach(self) -> None:
        """Do nothing from now on, for stores that can't remove a hook."""
        self._limit = None


def _rate_limits(error: Exception | None) -> list[RateLimitError]:
    if isinstance(error, PartialFailureError):
        return [one for one in error.failed.values() if isinstance(one, RateLimitError)]
    return [error] if isinstance(error, RateLimitError) else []
