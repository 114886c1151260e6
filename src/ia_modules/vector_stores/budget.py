"""How much may be tried again while little succeeds, so that an outage is not multiplied by retries."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["RetryBudget"]


class RetryBudget:
    """Tokens that retries take, and that success brings back.

    A retry takes one token. If the call succeeds in the end, it gives back all that it took; a call that succeeds at
    once brings a little. So a database that fails now and then costs nothing, while one that is down uses the tokens
    up: from then on most calls are tried once. The scheme is that of the standard retry mode of the AWS SDKs; the
    tokens that come with time are ours, so that a store that is seldom used recovers as well.

    A budget may be shared by the stores of one database, as those of a pool do.

    Args:
        capacity: tokens in the beginning, and most of them.
        per_success: tokens that a call brings that succeeds at once.
        per_second: tokens that come with time.
        clock: seconds, never going back.

    Raises:
        ValueError: a capacity below 1, or a rate below 0.
    """

    __slots__ = ("_at", "_clock", "_tokens", "capacity", "per_second", "per_success", "short")

    def __init__(
        self,
        capacity: float = 100.0,
        *,
        per_success: float = 0.2,
        per_second: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not capacity >= 1 or not per_success >= 0 or not per_second >= 0:
            raise ValueError("a retry budget needs a capacity of at least 1 and rates of at least 0")
        self.capacity = capacity
        self.per_success = per_success
        self.per_second = per_second
        self.short = False
        """Whether tokens are missing; while none is, success need not be told."""
        self._tokens = capacity
        self._clock = clock
        self._at = 0.0

    @property
    def tokens(self) -> float:
        """Retries that may still be made, were nothing to succeed meanwhile."""
        self._refill()
        return self._tokens

    def take(self) -> bool:
        """Take a token for a retry; False if there is none."""
        if not self.short:
            self.short, self._at = True, self._clock()
        self._refill()
        if self._tokens < 1:
            return False
        self._tokens -= 1
        self.short = True
        return True

    def succeeded(self, taken: int = 0) -> None:
        """A call has succeeded, after so many retries."""
        if self.short:
            self._add(float(taken) if taken else self.per_success)

    def _refill(self) -> None:
        if self.short:
            now = self._clock()
            earned, self._at = (now - self._at) * self.per_second, now
            self._add(earned)

    def _add(self, tokens: float) -> None:
        self._tokens = min(self.capacity, self._tokens + tokens)
        self.short = self._tokens < self.capacity
