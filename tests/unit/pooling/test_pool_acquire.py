"""Getting a store out of a pool: growth, order, deadlines, cancellation."""

from __future__ import annotations

import asyncio
import inspect
import math
from types import SimpleNamespace
from typing import Any

import pytest

from ia_modules.vector_stores import (
    AuthenticationError,
    ConnectionError,
    PoolFullError,
    PoolTimeoutError,
    VectorStoreConfig,
    VectorStorePool,
)
from pool_fakes import PooledFake, fake, inner, instant, settle

CONFIG = SimpleNamespace()


def now() -> float:
    return asyncio.get_running_loop().time()


@instant
async def test_grows_at_once_up_to_max_size_and_no_further() -> None:
    kind = fake(delay=1.0)
    async with VectorStorePool(kind, CONFIG, max_size=4, min_size=1) as pool:
        started = now()
        stores = await asyncio.gather(*(pool.acquire() for _ in range(4)))
        assert now() - started == pytest.approx(1.0)  # the three that were missing connect at the same time
        assert {inner(store) for store in stores} == set(kind.made)
        waiting = asyncio.create_task(pool.acquire())
        await settle()
        assert (pool.statistics.size, pool.statistics.waiting, kind.peak) == (4, 1, 4)
        await pool.release(stores[0])
        await pool.release(await waiting)
        for store in stores[1:]:
            await pool.release(store)
    assert (len(kind.made), kind.connected_now) == (4, 0)


@instant
async def test_what_is_idle_is_used_again_the_last_one_first() -> None:
    kind = fake()
    async with VectorStorePool(kind, CONFIG, max_size=4, min_size=0) as pool:
        first, second = await pool.acquire(), await pool.acquire()
        first.mark, second.mark = "first", "second"  # type: ignore[attr-defined]
        await pool.release(second)
        await pool.release(first)
        for _ in range(3):
            async with pool.connection() as store:
                assert store.mark == "first"  # type: ignore[attr-defined]
    assert len(kind.made) == 2


@instant
async def test_waiters_are_served_in_the_order_they_came() -> None:
    async with VectorStorePool(fake(), CONFIG, max_size=1) as pool:
        order: list[int] = []
        held = await pool.acquire()

        async def use(number: int) -> None:
            async with pool.connection():
                order.append(number)
                await asyncio.sleep(1)

        users = [asyncio.create_task(use(number)) for number in range(20)]
        await settle()
        await pool.release(held)
        late = asyncio.create_task(use(20))
        await asyncio.gather(*users, late)
        assert order == list(range(21))


@instant
async def test_a_newcomer_does_not_overtake_who_has_waited() -> None:
    async with VectorStorePool(fake(), CONFIG, max_size=1) as pool:
        held = await pool.acquire()
        waiting = asyncio.create_task(pool.acquire())
        await settle()
        await pool.release(held)  # now it belongs to the one who waited, who has not run yet
        with pytest.raises(PoolTimeoutError):
            await pool.acquire(timeout=0)
        await pool.release(await waiting)


@instant
async def test_a_released_store_is_taken_while_a_new_one_connects() -> None:
    kind = fake()
    async with VectorStorePool(kind, CONFIG, max_size=2, min_size=1) as pool:
        held = await pool.acquire()
        kind.delay = 5.0
        waiting = asyncio.create_task(pool.acquire())
        await settle()
        assert pool.statistics.connecting == 1
        started = now()
        await pool.release(held)
        store = await waiting
        assert now() == started
        assert inner(store) is kind.made[0]
        await pool.release(store)
        await asyncio.sleep(6)
        assert pool.statistics.idle == 2


# Deadline


@instant
async def test_the_deadline_holds_and_says_what_was_the_matter() -> None:
    async with VectorStorePool(fake(), CONFIG, max_size=2, name="news") as pool:
        held = [await pool.acquire(), await pool.acquire()]
        other = asyncio.create_task(pool.acquire(timeout=None))
        await settle()
        started = now()
        with pytest.raises(PoolTimeoutError) as caught:
            await pool.acquire(timeout=1.5)
        assert now() - started == pytest.approx(1.5)
        text = str(caught.value)
        for part in ("1.5 s", "pool news has 2 of at most 2", "2 in use", "1 more waiting", "raise pool_size"):
            assert part in text
        assert (caught.value.retryable, pool.statistics.timeouts) == (True, 1)
        await pool.release(held.pop())
        held.append(await other)
        for store in held:
            await pool.release(store)


@instant
async def test_one_deadline_for_connecting_and_checking_too() -> None:
    kind = fake(delay=10.0)
    pool = VectorStorePool(kind, CONFIG, max_size=1, min_size=0, check_after=0, check_timeout=20)
    started = now()
    with pytest.raises(PoolTimeoutError, match="1 connecting"):
        await pool.acquire(timeout=4)
    assert now() - started == pytest.approx(4)
    store = await pool.acquire(timeout=7)  # the same connect went on
    assert len(kind.made) == 1
    await pool.release(store)
    started = now()
    with pytest.raises(PoolTimeoutError):
        await pool.acquire(timeout=4)
    assert now() - started == pytest.approx(4)
    await pool.close()
    assert kind.connected_now == 0


@instant
async def test_a_timeout_of_the_caller_is_the_callers() -> None:
    async with VectorStorePool(fake(), CONFIG, max_size=1) as pool:
        held = await pool.acquire()
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(1):
                await pool.acquire(timeout=2)
        assert not isinstance(caught.value, PoolTimeoutError)
        assert pool.statistics.waiting == 0
        await pool.release(held)


@pytest.mark.parametrize(
    ("config", "arguments", "expected"),
    [
        (SimpleNamespace(), {}, 30.0),
        (SimpleNamespace(pool_timeout=2.5), {}, 2.5),
        (SimpleNamespace(pool_timeout=2.5), {"timeout": 30.0}, 30.0),
        (SimpleNamespace(pool_timeout=None), {}, 30.0),
        (SimpleNamespace(pool_timeout=2.5), {"timeout": 0}, 0.0),
        (SimpleNamespace(pool_timeout=2.5), {"timeout": -1}, 0.0),
    ],
)
@pytest.mark.parametrize("how", ["acquire", "connection"])
@instant
async def test_timeout_left_out_is_that_of_the_config(
    config: Any, arguments: dict[str, float], expected: float, how: str
) -> None:
    async with VectorStorePool(fake(), config, max_size=1) as pool, pool.connection():
        started = now()
        with pytest.raises(PoolTimeoutError):
            await (pool.acquire(**arguments) if how == "acquire" else pool.connection(**arguments).__aenter__())
        assert now() - started == pytest.approx(expected)


def test_signature_is_that_of_the_contract() -> None:
    parameters = inspect.signature(VectorStorePool).parameters
    assert [p.default for p in parameters.values()][2:4] == [10, 2]
    assert inspect.signature(VectorStorePool.acquire).parameters["timeout"].default == 30.0
    assert inspect.signature(VectorStorePool.connection).parameters["timeout"].default == 30.0


@pytest.mark.parametrize(
    ("config", "sizes", "expected"),
    [
        (SimpleNamespace(), {}, (2, 10)),
        (SimpleNamespace(pool_size=5), {}, (2, 5)),
        (SimpleNamespace(pool_size=5), {"max_size": 10}, (2, 10)),
        (SimpleNamespace(pool_size=1), {}, (1, 1)),
        (SimpleNamespace(pool_size=None), {"max_size": 1}, (1, 1)),
        (VectorStoreConfig(provider="memory", index_name="a", pool_size=7), {"min_size": 7}, (7, 7)),
        ({"pool_size": 5}, {"min_size": 0}, (0, 10)),
    ],
)
def test_sizes_left_out_are_those_of_the_config(config: Any, sizes: dict[str, int], expected: tuple[int, int]) -> None:
    statistics = VectorStorePool(fake(), config, **sizes).statistics  # type: ignore[arg-type]
    assert (statistics.min_size, statistics.max_size) == expected


@pytest.mark.parametrize(
    "wrong",
    [
        {"min_size": 3, "max_size": 2},
        {"min_size": 2, "max_size": 1},
        {"min_size": -1},
        {"max_size": 0},
        {"max_size": 2.5},
        {"max_size": True},
        {"max_idle": -1},
        {"max_lifetime": math.nan},
        {"check_after": -0.5},
        {"check_timeout": None},
        {"disconnect_timeout": -1},
        {"max_waiting": -1},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        VectorStorePool(fake(), CONFIG, **wrong)


@instant
async def test_a_timeout_that_is_no_number_is_refused() -> None:
    async with VectorStorePool(fake(), CONFIG) as pool:
        with pytest.raises(ValueError, match="nan"):
            await pool.acquire(timeout=math.nan)


# Waiting no more


@instant
async def test_too_many_who_wait_are_turned_away_at_once() -> None:
    kind = fake(delay=1.0)
    async with VectorStorePool(kind, CONFIG, max_size=2, min_size=0, max_waiting=1) as pool:
        users = [asyncio.create_task(pool.acquire()) for _ in range(3)]  # two have a store coming, one waits
        await settle()
        started = now()
        with pytest.raises(PoolFullError, match="max_waiting"):
            await pool.acquire()
        assert (now(), pool.statistics.refused, pool.statistics.waiting) == (started, 1, 3)
        await asyncio.sleep(2)
        await pool.release(users[0].result())
        for user in users[1:]:
            await pool.release(await user)


@pytest.mark.parametrize("handed_over", [False, True])
@instant
async def test_a_cancelled_waiter_loses_nothing(handed_over: bool) -> None:
    kind = fake()
    async with VectorStorePool(kind, CONFIG, max_size=1) as pool:
        held = await pool.acquire()
        first, second = asyncio.create_task(pool.acquire()), asyncio.create_task(pool.acquire())
        await settle()
        if handed_over:
            await pool.release(held)
            first.cancel()
        else:
            first.cancel()
            await pool.release(held)
        with pytest.raises(asyncio.CancelledError):
            await first
        await pool.release(await second)
        statistics = pool.statistics
        assert (statistics.idle, statistics.size, statistics.abandoned) == (1, 1, 0)
    assert len(kind.made) == 1


@instant
async def test_a_cancelled_waiter_leaves_its_connect_to_others() -> None:
    kind = fake(delay=2.0)
    async with VectorStorePool(kind, CONFIG, max_size=1, min_size=0) as pool:
        for _ in range(3):
            user = asyncio.create_task(pool.acquire())
            await asyncio.sleep(0.5)
            user.cancel()
        started = now()
        async with pool.connection():
            assert now() - started == pytest.approx(0.5)
    assert (len(kind.made), kind.peak) == (1, 1)


@instant
async def test_a_deadline_that_meets_a_release_wastes_nothing() -> None:
    async with VectorStorePool(fake(), CONFIG, max_size=1) as pool:
        for lead in (-1e-6, 0.0, 1e-6):
            held = await pool.acquire()
            user = asyncio.create_task(pool.acquire(timeout=1))
            await asyncio.sleep(1 + lead)
            await pool.release(held)
            try:
                await pool.release(await user)
            except PoolTimeoutError:
                assert lead >= 0
            assert (pool.statistics.idle, pool.statistics.waiting) == (1, 0)


# Connects that fail


@instant
async def test_a_failed_connect_fails_whoever_has_nothing_else_coming() -> None:
    kind = fake(delay=0.5, failures=[AuthenticationError("no")])
    async with VectorStorePool(kind, CONFIG, max_size=3, min_size=0) as pool:
        users = [asyncio.create_task(pool.acquire())]
        await settle()
        kind.delay = 2.0
        users += [asyncio.create_task(pool.acquire()) for _ in range(2)]
        await settle()
        kind.delay = 0.0
        results = await asyncio.gather(*users, return_exceptions=True)
        # Two come, for the two who have waited for longest.
        assert [isinstance(result, AuthenticationError) for result in results] == [False, False, True]
        for store in results[:2]:
            await pool.release(store)  # type: ignore[arg-type]
        assert (pool.statistics.connection_errors, pool.statistics.connections_made) == (1, 2)
        assert kind.made[0].calls == ["connect", "disconnect"]
        async with pool.connection():
            pass


@instant
async def test_nobody_waits_for_a_database_that_is_down() -> None:
    kind = fake(failures=[ConnectionError("down")] * 100, delay=0.1)
    async with VectorStorePool(kind, CONFIG, max_size=2, min_size=0) as pool:
        started = now()
        results = await asyncio.gather(*(pool.acquire() for _ in range(10)), return_exceptions=True)
        assert all(isinstance(result, ConnectionError) for result in results)
        assert now() - started < 10 * 0.21
        assert pool.statistics.size == 0
    assert kind.connected_now == 0


@instant
async def test_a_failed_connect_leaves_those_who_wait_for_a_release_alone() -> None:
    kind = fake()
    async with VectorStorePool(kind, CONFIG, max_size=2, min_size=1) as pool:
        held = await pool.acquire()
        kind.failures[:] = [ConnectionError("down"), None]
        first, second = asyncio.create_task(pool.acquire()), asyncio.create_task(pool.acquire())
        await settle()
        with pytest.raises(ConnectionError, match="down"):
            await first
        await pool.release(await second)  # for whom another was connected
        await pool.release(held)
        assert pool.statistics.size == 2


@instant
async def test_a_constructor_that_raises_is_a_failed_connect() -> None:
    def make(config: object) -> PooledFake:
        raise TypeError("no such option")

    pool = VectorStorePool(make, CONFIG)
    for call in (pool.acquire, pool.initialize):
        with pytest.raises(TypeError, match="no such option"):
            await call()
        await settle()
    assert pool.statistics.size == 0
    await pool.close()


@instant
async def test_a_connect_that_hangs_does_not_take_the_slot_for_ever() -> None:
    kind = fake(hang={"connect"})
    async with VectorStorePool(kind, CONFIG, max_size=1, min_size=0, connect_timeout=3) as pool:
        with pytest.raises(TimeoutError, match="connect_timeout"):
            await pool.acquire()
        kind.hang.clear()
        async with pool.connection():
            pass
    assert kind.connected_now == 0


@instant
async def test_statistics_count_waits() -> None:
    async with VectorStorePool(fake(), CONFIG, max_size=1) as pool:
        held = await pool.acquire()
        user = asyncio.create_task(pool.acquire())
        await asyncio.sleep(2)
        await pool.release(held)
        await pool.release(await user)
        statistics = pool.statistics
        assert (statistics.acquired, statistics.waited, round(statistics.wait_ms)) == (2, 1, 2000)
        with pytest.raises(AttributeError):
            statistics.size = 3  # type: ignore[misc]
