"""Programs nobody would write: whatever happens, in whatever order, the pool keeps its promises.

Every rule begins something and lets the event loop turn a few times, so that the next rule comes upon a pool in the
middle of what it does. The invariants hold between any two turns.
"""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ia_modules.vector_stores import (
    ConnectionError,
    OperationTimeoutError,
    PoolClosedError,
    PoolTimeoutError,
    VectorStorePool,
)
from pool_fakes import InstantLoop, PooledFake, fake, inner

turns = st.integers(0, 4)
delays = st.sampled_from([0.0, 0.0, 0.5, 1.5, 3.0])
EXPECTED = (PoolTimeoutError, PoolClosedError, ConnectionError, OperationTimeoutError)


class User:
    """A task that acquires, with its number in the order of coming."""

    def __init__(self, number: int, task: asyncio.Task[Any]) -> None:
        self.number = number
        self.task = task
        self.gone = False  # cancelled, or its store released

    @property
    def store(self) -> Any:
        if self.gone or not self.task.done() or self.task.cancelled() or self.task.exception():
            return None
        return self.task.result()


class PoolMachine(RuleBasedStateMachine):
    pool: VectorStorePool[PooledFake]

    def __init__(self) -> None:
        super().__init__()
        self.loop = InstantLoop()
        self.kind = fake()
        self.users: list[User] = []
        self.others: list[asyncio.Task[Any]] = []
        self.limit = 0

    @initialize(
        sizes=st.tuples(st.integers(0, 3), st.integers(1, 4)).filter(lambda sizes: sizes[0] <= sizes[1]),
        check_after=st.sampled_from([0, 2.0, None]),
        max_waiting=st.sampled_from([None, None, 2]),
    )
    def make(self, sizes: tuple[int, int], check_after: float | None, max_waiting: int | None) -> None:
        self.pool = VectorStorePool(
            self.kind,
            SimpleNamespace(),
            max_size=sizes[1],
            min_size=sizes[0],
            check_after=check_after,
            max_waiting=max_waiting,
            max_idle=20.0,
            max_lifetime=50.0,
            check_timeout=2.0,
            connect_timeout=2.0,
            disconnect_timeout=2.0,
        )
        self.limit = sizes[1]

    # What may happen

    def turn(self, times: int) -> None:
        for _ in range(times):
            self.loop.call_soon(self.loop.stop)
            self.loop.run_forever()
            self.promises()

    def begin(self, coroutine: Any) -> asyncio.Task[Any]:
        task = self.loop.create_task(coroutine)
        self.others.append(task)
        return task

    @rule(timeout=st.sampled_from([0, 1.0, 10.0, None]), count=st.integers(1, 6), after=turns)
    def acquire(self, timeout: float | None, count: int, after: int) -> None:
        for _ in range(count):
            if len(self.users) < 50:
                self.users.append(User(len(self.users), self.loop.create_task(self.pool.acquire(timeout))))
        self.turn(after)

    @rule(choice=st.integers(0), after=turns)
    def cancel(self, choice: int, after: int) -> None:
        waiting = [user for user in self.users if not user.task.done()]
        if waiting:
            user = waiting[choice % len(waiting)]
            user.gone = True
            user.task.cancel()
        self.turn(after)

    @rule(choice=st.integers(0), how=st.sampled_from(["", "", "broken", "check", "drop"]), after=turns)
    def release(self, choice: int, how: str, after: int) -> None:
        having = [user for user in self.users if user.store is not None]
        if having:
            user = having[choice % len(having)]
            store, user.gone = user.store, True
            if how == "drop":
                user.task = self.loop.create_future()  # type: ignore[assignment]
                user.task.cancel()
            elif how == "check":
                self.begin(self.pool._give_back(store, check=True))
            else:
                self.begin(self.pool.release(store, broken=how == "broken"))
        self.turn(after)

    @rule(choice=st.integers(0), after=turns)
    def break_one(self, choice: int, after: int) -> None:
        connected = [store for store in self.kind.made if store.connected]
        if connected:
            connected[choice % len(connected)].broken = True
        self.turn(after)

    @rule(failures=st.lists(st.booleans(), max_size=4))
    def next_connects(self, failures: list[bool]) -> None:
        self.kind.failures[:] = [ConnectionError("down") if fails else None for fails in failures]

    @rule(delay=delays)
    def slower(self, delay: float) -> None:
        self.kind.delay = delay

    @rule(seconds=st.sampled_from([0.25, 1.0, 2.5, 30.0]))
    def pass_time(self, seconds: float) -> None:
        self.begin(asyncio.sleep(seconds))
        while not self.others[-1].done():
            self.turn(1)
            self.loop.skip()

    @rule(sizes=st.tuples(st.integers(0, 3), st.integers(1, 4)).filter(lambda sizes: sizes[0] <= sizes[1]), after=turns)
    def resize(self, sizes: tuple[int, int], after: int) -> None:
        self.begin(self.pool.resize(min_size=sizes[0], max_size=sizes[1]))
        self.turn(1 + after)  # so that no size passes unseen

    @rule(after=turns)
    def drain(self, after: int) -> None:
        self.begin(self.pool.drain())
        self.turn(after)

    @rule(after=turns, cancelled=st.booleans())
    def initialize_pool(self, after: int, cancelled: bool) -> None:
        task = self.begin(self.pool.initialize())
        self.turn(after)
        if cancelled:
            task.cancel()

    @precondition(lambda self: len(self.users) > 10)
    @rule(seconds=st.sampled_from([0, 1.0]), after=turns, cancelled=st.booleans())
    def close(self, seconds: float, after: int, cancelled: bool) -> None:
        task = self.begin(self.pool.close(seconds))
        self.turn(after)
        if cancelled:
            task.cancel()

    # What must hold

    @invariant()
    def promises(self) -> None:
        pool, core, now = self.pool, self.pool._core, self.pool.statistics
        assert now.size == now.idle + now.in_use + now.connecting
        # Never more than max_size; only what was out or under way when it was lowered may last.
        self.limit = max(now.max_size, min(self.limit, now.size + now.closing))
        assert now.size + now.closing <= self.limit
        assert self.kind.connected_now <= now.size + now.closing
        # Idle and used stores are connected; each is in one place.
        kept = [member.store for member in core.idle]
        out = [lease.member.store for lease in core.leases if lease.member is not None]
        assert len({*map(id, kept), *map(id, out)}) == now.idle + now.in_use
        assert all(store.connected for store in [*kept, *out])
        # What is out is what was acquired and not released, or is about to arrive.
        held = [inner(user.store) for user in self.users if user.store is not None and not self.revoked(user)]
        assert set(map(id, held)) <= set(map(id, out))
        assert len(set(map(id, held))) == len(held)
        # First come, first served.
        numbers = {user.task: user.number for user in self.users}
        waiting = [numbers[waiter.task] for waiter in core.waiters if not waiter.future.done()]  # type: ignore[index]
        assert waiting == sorted(waiting)
        served = [user.number for user in self.users if user.store is not None]
        assert not waiting or not served or max(served) < waiting[0]
        # Nobody waits for nothing.
        if waiting and pool.opened:
            assert not now.idle or len(core.checking) >= len(waiting)
            assert now.connecting >= len(waiting) or now.size + now.closing >= now.max_size
        if core.state == "closed":
            assert (self.kind.connected_now, now.size, now.closing, now.waiting) == (0, 0, 0, 0)

    @staticmethod
    def revoked(user: User) -> bool:
        return user.store._pool_lease.member is None

    def teardown(self) -> None:
        try:
            if hasattr(self, "pool"):
                self.finish()
        finally:
            self.loop.close()

    def finish(self) -> None:
        pool = self.pool
        # In good times everybody is served in the end, and the pool is as full as it should be.
        self.kind.failures.clear()
        for store in self.kind.made:
            store.broken = False
        for _ in range(200):
            for user in self.users:
                if user.store is not None:
                    store, user.gone = user.store, True
                    self.begin(pool.release(store))
            self.pass_time(2.5)
            if all(user.task.done() for user in self.users) and not any(user.store for user in self.users):
                break
        assert all(user.task.done() for user in self.users)
        self.kind.delay = 0.0
        self.pass_time(100.0)
        self.turn(10)
        now = pool.statistics
        if pool.opened:
            assert (now.idle, now.closing, now.waiting) == (now.size, 0, 0)
            assert now.min_size <= now.size <= now.max_size
            assert self.kind.connected_now == now.size
        self.begin(pool.close())
        self.pass_time(30.0)
        assert self.kind.connected_now == 0
        assert not asyncio.all_tasks(self.loop)
        now = pool.statistics
        assert (now.size, now.closing, now.waiting, now.connections_made) == (0, 0, 0, now.closed)
        for task in [*self.others, *(user.task for user in self.users)]:
            error = None if task.cancelled() else task.exception()
            assert error is None or isinstance(error, EXPECTED), repr(error)
        assert self.loop.unhandled == []


PoolMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40)
TestPoolMachine = PoolMachine.TestCase
