"""What a pool tells about itself."""

from __future__ import annotations

from dataclasses import dataclass, fields

__all__ = ["Counters", "PoolStatistics"]


@dataclass(slots=True)
class Counters:
    """Totals since the pool was made; see :class:`PoolStatistics` for their meaning."""

    acquired: int = 0
    waited: int = 0
    wait_ms: float = 0.0
    timeouts: int = 0
    refused: int = 0
    connections_made: int = 0
    connection_errors: int = 0
    checks: int = 0
    checks_failed: int = 0
    discarded: int = 0
    expired: int = 0
    idle_closed: int = 0
    abandoned: int = 0
    closed: int = 0
    disconnect_errors: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolStatistics:
    """A pool at one moment, and its totals up to then.

    ``size == idle + in_use + connecting`` always.

    Attributes:
        size: stores in the pool, those included that are being connected.
        idle: stores that wait to be used.
        in_use: stores that are out.
        connecting: stores that are being connected, or checked before they are handed out.
        closing: stores that have left the pool and are being disconnected; until then they take up room.
        waiting: tasks that wait for a store.
        min_size: stores that are kept at least.
        max_size: most stores.
        acquired: stores handed out.
        waited: those of them that somebody had to wait for.
        wait_ms: milliseconds waited in all, by those who got a store.
        timeouts: waits that ended without a store (``PoolTimeoutError``).
        refused: acquires turned away because too many waited already (``PoolFullError``).
        connections_made: stores connected.
        connection_errors: attempts to connect that failed.
        checks: pings before a store was handed out again.
        checks_failed: those that failed.
        discarded: stores closed because they were broken, or disconnected by their user.
        expired: stores closed because of ``max_lifetime`` or ``drain()``.
        idle_closed: stores closed because of ``max_idle``, or because the pool had become too large.
        abandoned: stores that nobody released and that were garbage collected; a mistake of the program.
        closed: stores disconnected, for whatever reason.
        disconnect_errors: disconnects that failed or took too long.
    """

    size: int
    idle: int
    in_use: int
    connecting: int
    closing: int
    waiting: int
    min_size: int
    max_size: int
    acquired: int
    waited: int
    wait_ms: float
    timeouts: int
    refused: int
    connections_made: int
    connection_errors: int
    checks: int
    checks_failed: int
    discarded: int
    expired: int
    idle_closed: int
    abandoned: int
    closed: int
    disconnect_errors: int

    @classmethod
    def of(cls, counters: Counters, **now: int) -> PoolStatistics:
        """Put together what is counted and what is now."""
        totals = {field.name: getattr(counters, field.name) for field in fields(counters)}
        return cls(**totals, **now)
