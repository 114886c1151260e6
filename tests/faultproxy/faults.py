"""What can happen to a connection, and when."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What can happen to a connection."""

    REFUSE = "refuse"
    """It is reset before anything has been forwarded."""
    CUT = "cut"
    """Both sides are closed at once, and what was on its way is lost."""
    HALF_CLOSE = "half-close"
    """The receiver sees the end of the stream; what would follow in this direction is lost."""
    STALL = "stall"
    """Nothing goes on in either direction for a while; if the client has left by then, nothing of it arrives."""
    DELAY = "delay"
    """What comes in this direction arrives later."""
    RESET = "reset"
    """The client's side is reset (RST), the server's closed."""
    THROTTLE = "throttle"
    """From now on this direction has so many bytes a second."""


class Way(StrEnum):
    """A direction."""

    REQUEST = "request"
    ANSWER = "answer"


@dataclass(frozen=True)
class Fault:
    """One fault of one connection.

    Attributes:
        kind: what happens.
        way: in which direction the traffic has to be for it.
        after: bytes in that direction that pass before.
        seconds: of a stall or delay.
        rate: bytes per second, when throttled.
    """

    kind: Kind
    way: Way = Way.ANSWER
    after: int = 0
    seconds: float = 0.05
    rate: float = 20_000.0


_USUAL: Mapping[Kind, float] = {
    Kind.REFUSE: 1.0,
    Kind.CUT: 4.0,
    Kind.RESET: 3.0,
    Kind.HALF_CLOSE: 2.0,
    Kind.STALL: 2.0,
    Kind.DELAY: 2.0,
    Kind.THROTTLE: 1.0,
}


class Random:
    """Faults at random; the same seed draws the same ones in the same order.

    Args:
        seed: of the generator.
        rate: chance that a piece of traffic is hit; of a new connection to be refused and of an idle one to be closed,
            the same.
        kinds: kind -> weight; the others don't occur.
        seconds: longest stall; delays take up to a tenth of it.
    """

    def __init__(
        self, seed: int | str, rate: float, kinds: Mapping[Kind, float] = _USUAL, seconds: float = 0.3
    ) -> None:
        self._random = random.Random(seed)
        self.rate = rate
        self._refuses = bool(kinds.get(Kind.REFUSE))
        self._kinds = [kind for kind in kinds if kind is not Kind.REFUSE]
        self._weights = [kinds[kind] for kind in self._kinds]
        self._seconds = seconds

    def of_connection(self) -> Fault | None:
        """A refusal, or None."""
        hit = self._random.random() < self.rate
        return Fault(Kind.REFUSE, Way.REQUEST) if hit and self._refuses else None

    def of_piece(self, way: Way, size: int) -> Fault | None:
        """What happens to so many bytes, if anything; ``after`` counts from their first one."""
        if self._random.random() >= self.rate or not self._kinds:
            return None
        (kind,) = self._random.choices(self._kinds, self._weights)
        after = self._random.choice((0, self._random.randrange(size)))
        longest = self._seconds if kind is Kind.STALL else self._seconds / 10
        return Fault(kind, way, after, self._random.uniform(0, longest), self._random.uniform(50_000, 500_000))

    def idle_seconds(self) -> float | None:
        """After which time without traffic a connection is closed, or None."""
        return self._random.uniform(0, 0.5) if self._random.random() < self.rate else None
