"""What a pool consists of, and how its members move. Everything here but the tasks at the end happens at once.

A member is idle, out (it has a lease), being connected or checked (a task of the pool, whose end says what comes of
it), or being disconnected. Whoever waits is a future in a queue. No change of state has an ``await`` in its middle, so
none can be cancelled half-way: a waiter that is cancelled either is still in the queue or has a lease to give back.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections.abc import Callable
from itertools import islice
from typing import Any, TypeVar

from ia_modules.vector_stores.errors import PoolTimeoutError, VectorStoreError
from ia_modules.vector_stores.pooling.lease import Lease, StandIn, stand_in_class
from ia_modules.vector_stores.pooling.members import Connector, Member, described
from ia_modules.vector_stores.pooling.settings import PoolSettings
from ia_modules.vector_stores.pooling.state import PoolMembers, PoolState, Waiter

__all__ = ["PoolCore"]

logger = logging.getLogger("ia_modules.vector_stores")

S = TypeVar("S")

_LIFETIME_SPREAD = 0.1
"""Lifetimes are up to this part shorter, so that members made together are not replaced together."""
_LONGEST_BACKOFF = 60.0


class PoolCore(PoolMembers[S]):
    """Moves the members of one pool."""

    def __init__(self, settings: PoolSettings, connector: Connector[S]) -> None:
        super().__init__(settings, connector)
        self._stand_ins: dict[type, type[StandIn]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._backoff = 0.0
        self._refill_at = -math.inf

    # Handing out

    def take(self) -> Member[S] | None:
        """The idle member used last, if it may be handed out as it is; those past their time are closed on the way."""
        now = self.running.time()
        while self.idle:
            member = self.idle[-1]
            if member.expires_at > now:
                if self._due_for_check(member, now):
                    return None  # so are all below it, which have been idle for longer
                return self.idle.pop()
            self.idle.pop()
            self.counters.expired += 1
            self.close_member(member)
        return None

    def _due_for_check(self, member: Member[S], now: float) -> bool:
        after = self.settings.check_after
        return after is not None and now - member.idle_since >= after and hasattr(member.store, "ping")

    def lease(self, member: Member[S], task: asyncio.Task[Any] | None) -> tuple[Lease[S], StandIn]:
        """Let a member out."""
        kind = type(member.store)
        make = self._stand_ins.get(kind)
        if make is None:
            make = self._stand_ins[kind] = stand_in_class(member.store)
        lease = Lease(member, task, self)
        self.leases.add(lease)
        return lease, make(lease)

    def serve(self) -> None:
        """Give those who wait what there is, and start what they lack."""
        if self.state is not PoolState.OPEN:
            return
        while self.waiters and (member := self.take()) is not None:
            self._arrived(member)
        waiting = len(self.waiters)
        while self.idle and len(self.checking) < waiting:
            self.check(self.idle.pop())
        while self.expected < waiting and self.room:
            self.connect()

    def _arrived(self, member: Member[S]) -> None:
        """A member of ours is free: to whoever waits first, or aside."""
        while self.waiters:
            waiter, _ = self.waiters.popitem(last=False)
            if not waiter.future.done():  # else it was cancelled, and its task has not run yet
                waiter.future.set_result(self.lease(member, waiter.task))
                return
        member.idle_since = self.running.time()
        self.idle.append(member)
        self._wake_for(member)

    def deliver(self, member: Member[S]) -> asyncio.Task[bool] | None:
        """Take in a member that is connected, checked or given back; returns the task that closes it, if any."""
        if self.state is not PoolState.OPEN:
            return self.close_member(member)
        if member.generation != self.generation or member.expires_at <= self.running.time():
            self.counters.expired += 1
            return self.close_member(member)
        if self.size >= self.settings.max_size:
            self.counters.idle_closed += 1
            return self.close_member(member)
        self._arrived(member)
        return None

    def give_back(self, lease: Lease[S], *, broken: bool = False, check: bool = False) -> asyncio.Task[bool] | None:
        """End a lease; returns the task that closes its member, if it is not kept."""
        self.leases.remove(lease)
        member = lease.end()
        self.changed.set()
        checkable = hasattr(member.store, "ping")
        if broken or lease.disconnected or (check and not checkable):
            self.counters.discarded += 1
            return self.close_member(member)
        if check and self.state is PoolState.OPEN:
            self.check(member)
            return None
        return self.deliver(member)

    def forget(self, waiter: Waiter) -> None:
        """A waiter has gone away: out of the queue, and back with what it was handed."""
        self.waiters.pop(waiter, None)
        future = waiter.future
        if future.done() and not future.cancelled() and future.exception() is None:
            lease, _ = future.result()
            if lease.member is not None:
                self.give_back(lease)

    def time_out(self, waiter: Waiter) -> None:
        """The deadline of a waiter has come."""
        if not waiter.future.done():
            self.waiters.pop(waiter, None)
            self.counters.timeouts += 1
            waiter.future.set_exception(self._timed_out(self.running.time() - waiter.since))

    def _timed_out(self, waited: float) -> PoolTimeoutError:
        return PoolTimeoutError(
            f"no store became free within {waited:.3g} s: the pool {self.settings.name} has {self.size} of at most "
            f"{self.settings.max_size} stores, {len(self.leases)} in use and {self.coming} connecting, with "
            f"{len(self.waiters)} more waiting; raise pool_size, or release stores sooner",
            operation="acquire",
        )

    def turn_away(self, reason: Callable[[], VectorStoreError]) -> None:
        """End all waiting with an error."""
        while self.waiters:
            waiter, _ = self.waiters.popitem(last=False)
            if not waiter.future.done():
                waiter.future.set_exception(reason())

    def revoke(self, lease: Lease[S]) -> None:
        """Take a member away from whoever has it."""
        self.leases.remove(lease)
        self.close_member(lease.end(revoked=True))

    def abandoned(self, lease: Lease[S]) -> None:
        """A stand-in was garbage collected, by whatever thread."""
        if self.loop is not None and not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self._reclaim, lease)

    def _reclaim(self, lease: Lease[S]) -> None:
        if lease.member is not None:
            self.counters.abandoned += 1
            logger.warning("pool %s: a store was never released; use connection(), which releases", self.settings.name)
            self.give_back(lease, check=True)

    # Keeping

    def reset_if_unused(self) -> None:
        """Become as new after a beginning that failed."""
        if self.state is PoolState.OPEN and not (self.size or self.waiters or self.closing):
            self.state = PoolState.NEW
            self.stop_timer()
            self._backoff, self._refill_at = 0.0, -math.inf

    def refill(self) -> None:
        """Connect what is missing to ``min_size``, unless that has just failed."""
        if self.state is not PoolState.OPEN or self.opening:
            return
        while self.size < self.settings.min_size and self.room:
            if self._refill_at > self.running.time():
                self._wake_at(self._refill_at)
                return
            self.connect()

    def tend(self) -> None:
        """Close what is past its time, connect what is missing, and come back when there is more to do."""
        self.stop_timer()
        if self.state is not PoolState.OPEN:
            return
        now = self.running.time()
        for member in [member for member in self.idle if member.expires_at <= now]:
            self.idle.remove(member)
            self.counters.expired += 1
            self.close_member(member)
        self.shrink(self._idle_too_long(now))
        self.refill()
        for member in self.idle:
            self._wake_for(member)

    def _idle_too_long(self, now: float) -> int:
        limit = self.settings.max_idle
        if limit is None:
            return 0
        surplus = max(0, self.size - self.settings.min_size)
        return sum(member.idle_since + limit <= now for member in self.idle[:surplus])

    def shrink(self, count: int) -> list[asyncio.Task[bool]]:
        """Close so many members of those that have been idle for longest."""
        surplus, self.idle[:count] = self.idle[:count], []
        self.counters.idle_closed += len(surplus)
        return [self.close_member(member) for member in surplus]

    def drain(self) -> list[asyncio.Task[bool]]:
        """Replace all members: those idle now, the others when they come back."""
        self.generation += 1
        idle, self.idle = self.idle, []
        self.counters.expired += len(idle)
        return [self.close_member(member) for member in idle]

    def _wake_for(self, member: Member[S]) -> None:
        self._wake_at(member.expires_at)
        if self.settings.max_idle is not None and self.size > self.settings.min_size:
            self._wake_at(self.idle[0].idle_since + self.settings.max_idle)

    def _wake_at(self, when: float) -> None:
        if math.isfinite(when) and (self._timer is None or when < self._timer.when()):
            self.stop_timer()
            self._timer = self.running.call_at(when, self.tend)

    def stop_timer(self) -> None:
        """Leave no timer behind."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # Tasks. What they come to is decided when they have ended, so also for one that was cancelled before it began.

    def connect(self) -> asyncio.Task[S]:
        """Begin to connect one more member."""
        task = self.running.create_task(self.connector.connect(), name=f"pool {self.settings.name}: connect")
        self.connecting[task] = self.generation
        task.add_done_callback(self._connected)
        return task

    def give_up(self, task: asyncio.Task[S]) -> None:
        """Cancel a connect."""
        if not task.done():
            self.given_up.add(task)
            task.cancel()

    def _connected(self, task: asyncio.Task[S]) -> None:
        generation = self.connecting.pop(task)
        self.changed.set()
        given_up = task in self.given_up
        self.given_up.discard(task)
        if task.cancelled():
            if given_up:
                self.serve()
            return  # else by close, or with the whole loop: not the time to begin anything
        error = task.exception()
        self.counters.connections_made += error is None
        if error is None:
            self._backoff, self._refill_at = 0.0, -math.inf
            self.deliver(Member(task.result(), generation, self._expiry()))
        else:
            self._connect_failed(error)
            if not self.counters.connections_made and not self.opening:
                self.reset_if_unused()
        self.serve()
        self.refill()

    def _expiry(self) -> float:
        lifetime = self.settings.max_lifetime
        if lifetime is None:
            return math.inf
        return self.running.time() + lifetime * (1 - random.uniform(0, _LIFETIME_SPREAD))

    def _connect_failed(self, error: BaseException) -> None:
        """Tell the first waiter for whom nothing else is on its way; the others have what comes."""
        self.counters.connection_errors += 1
        self._backoff = min(max(1.0, 2 * self._backoff), _LONGEST_BACKOFF)
        self._refill_at = self.running.time() + self._backoff * random.uniform(0.5, 1)
        waiting = (waiter for waiter in self.waiters if not waiter.future.done())
        waiter = next(islice(waiting, self.expected, None), None)
        if waiter is not None:
            del self.waiters[waiter]
            waiter.future.set_exception(error)
        else:
            logger.warning("pool %s: a store did not connect: %s", self.settings.name, described(error))

    def check(self, member: Member[S]) -> None:
        """Begin to check a member."""
        self.counters.checks += 1
        task = self.running.create_task(self.connector.check(member.store), name=f"pool {self.settings.name}: check")
        self.checking[task] = member
        task.add_done_callback(self._checked)

    def _checked(self, task: asyncio.Task[bool]) -> None:
        member = self.checking.pop(task)
        self.changed.set()
        if task.cancelled() or (task.exception() is None and task.result()):
            self.deliver(member)
        else:
            self.counters.checks_failed += 1
            self.counters.discarded += 1
            self.close_member(member)
        if not task.cancelled():
            self.serve()

    def close_member(self, member: Member[S]) -> asyncio.Task[bool]:
        """Begin to disconnect a member that is in no list any more."""
        task = self.running.create_task(
            self.connector.disconnect(member.store), name=f"pool {self.settings.name}: disconnect"
        )
        self.closing.add(task)
        task.add_done_callback(self._disconnected)
        return task

    def _disconnected(self, task: asyncio.Task[bool]) -> None:
        self.closing.discard(task)
        self.changed.set()
        self.counters.closed += 1
        if task.cancelled():
            return
        self.counters.disconnect_errors += not task.result()
        self.serve()
        self.refill()
