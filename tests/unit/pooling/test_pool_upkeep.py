"""What a pool does by itself, and its changes of size."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from ia_modules.vector_stores import ConnectionError, PoolClosedError, VectorStorePool
from pool_fakes import fake, inner, instant, settle

CONFIG = SimpleNamespace()


async def crowd(pool: VectorStorePool[Any], size: int) -> None:
    """Use so many stores at the same time."""
    stores = [await pool.acquire() for _ in range(size)]
    for store in stores:
        await pool.release(store)


@instant
async def test_stores_idle_for_long_are_closed_down_to_min_size() -> None:
    kind = fake()
    async with VectorStorePool(kind, CONFIG, max_size=6, min_size=2, max_idle=100, max_lifetime=None) as pool:
        await crowd(pool, 6)
        await asyncio.sleep(99)
        assert pool.statistics.size == 6
        await asyncio.sleep(2)
        assert (pool.statistics.size, kind.connected_now, pool.statistics.idle_closed) == (2, 2, 4)
        await asyncio.sleep(1000)
        assert (pool.statistics.size, len(kind.made)) == (2, 6)


@instant
async def test_stores_that_are_not_needed_age_while_others_are_used() -> None:
    kind = fake()
    async with VectorStorePool(kind, CONFIG, max_size=4, min_size=0, max_idle=100) as pool:
        await crowd(pool, 4)
        for _ in range(21):
            await asyncio.sleep(10)
            async with pool.connection():
                pass
        assert pool.statistics.size == 1
        await asyncio.sleep(101)
        assert (pool.statistics.size, kind.connected_now) == (0, 0)


@pytest.mark.parametrize("in_use", [False, True])
@instant
async def test_a_store_past_its_lifetime_is_replaced(in_use: bool) -> None:
    kind = fake()
    async with VectorStorePool(kind, CONFIG, max_size=2, min_size=2, max_lifetime=1000) as pool:
        first = list(kind.made)
        held = [await pool.acquire() for _ in range(2 * in_use)]
        await asyncio.sleep(899)
        assert kind.made == first
        await asyncio.sleep(102)
        for store in held:
            assert await store.search(1.0) == [1.0]  # nobody takes it away
            await pool.release(store)
        await settle()
        assert not any(store.connected for store in first)
        assert (pool.statistics.expired, pool.statistics.idle, len(kind.made)) == (2, 2, 4)
    assert kind.peak == 2


@instant
async def test_lifetimes_differ() -> None:
    kind = fake()
    async with VectorStorePool(kind, CONFIG, max_size=20, min_size=20, max_lifetime=1000, max_idle=None) as pool:
        await asyncio.sleep(950)
        assert 20 < len(kind.made) < 40
        assert pool.statistics.size == 20


@instant
async def test_a_store_past_its_lifetime_is_not_handed_out() -> None:
    kind = fake()
    async with VectorStorePool(kind, CONFIG, max_size=1, max_lifetime=10) as pool:
        pool._core.stop_timer()
        await asyncio.sleep(11)
        async with pool.connection():
            assert [store.connected for store in kind.made] == [False, True]


@instant
async def test_the_pool_is_filled_again_with_pauses_that_grow() -> None:
    kind = fake(delay=0.0)
    async with VectorStorePool(kind, CONFIG, max_size=2, min_size=1) as pool:
        kind.failures[:] = [ConnectionError("down")] * 6
        started = asyncio.get_running_loop().time()
        await pool.release(await pool.acquire(), broken=True)
        times = []
        while pool.statistics.size == pool.statistics.idle == 0 or pool.statistics.connecting:
            if len(kind.made) > len(times) + 1:
                times.append(asyncio.get_running_loop().time() - started)
            await asyncio.sleep(0.01)
        assert (pool.statistics.connection_errors, pool.statistics.idle) == (6, 1)
        pauses = [later - earlier for earlier, later in pairwise(times)]
        assert len(pauses) >= 4
        for number, pause in enumerate(pauses):
            assert 0.5 * 2**number - 0.02 <= pause <= 2**number + 0.02


@instant
async def test_whoever_asks_does_not_wait_for_the_pause() -> None:
    kind = fake()
    async with VectorStorePool(kind, CONFIG, max_size=2, min_size=1) as pool:
        kind.failures[:] = [ConnectionError("down")] * 4
        await pool.release(await pool.acquire(), broken=True)
        await asyncio.sleep(4)
        kind.failures.clear()
        started = asyncio.get_running_loop().time()
        async with pool.connection():
            assert asyncio.get_running_loop().time() == started


# Sizes


@instant
async def test_a_larger_pool_serves_those_who_wait() -> None:
    async with VectorStorePool(fake(delay=1.0), CONFIG, max_size=1, min_size=0) as pool:
        held = await pool.acquire()
        users = [asyncio.create_task(pool.acquire()) for _ in range(3)]
        await settle()
        await pool.resize(max_size=3)
        await asyncio.sleep(1.1)
        assert [user.done() for user in users] == [True, True, False]
        await pool.release(held)
        for user in users:
            await pool.release(await user)


@instant
async def test_a_smaller_pool_gives_up_what_it_has_too_many() -> None:
    kind = fake()
    async with VectorStorePool(kind, CONFIG, max_size=5, min_size=0) as pool:
        await crowd(pool, 5)
        held = [await pool.acquire() for _ in range(3)]
        await pool.resize(max_size=2)
        assert (pool.statistics.size, kind.connected_now) == (3, 3)
        user = asyncio.create_task(pool.acquire())
        await settle()
        await pool.release(held.pop())  # too many: not for the one who waits
        await settle()
        assert (kind.connected_now, user.done()) == (2, False)
        await pool.release(held.pop())
        await pool.release(await user)
        await pool.release(held.pop())
        assert pool.statistics.size == 2


@instant
async def test_a_larger_min_size_is_filled() -> None:
    kind = fake()
    async with VectorStorePool(kind, CONFIG, max_size=5, min_size=0) as pool:
        await pool.resize(min_size=4)
        await settle()
        assert (pool.statistics.idle, pool.statistics.min_size) == (4, 4)


@instant
async def test_sizes_that_make_no_sense_change_nothing() -> None:
    async with VectorStorePool(fake(), CONFIG, max_size=5, min_size=3) as pool:
        for wrong in ({"max_size": 2}, {"min_size": 6}, {"max_size": 0}, {"min_size": -1}):
            with pytest.raises(ValueError, match="size"):
                await pool.resize(**wrong)
            assert (pool.statistics.min_size, pool.statistics.max_size) == (3, 5)
        await pool.resize(min_size=7, max_size=8)


@instant
async def test_the_usual_min_size_follows_max_size() -> None:
    pool = VectorStorePool(fake(), CONFIG, max_size=5)
    for largest, smallest in ((1, 1), (4, 2)):
        await pool.resize(max_size=largest)
        assert pool.statistics.min_size == smallest


# Drain


@instant
async def test_drain_replaces_every_store() -> None:
    kind = fake(delay=1.0)
    async with VectorStorePool(kind, CONFIG, max_size=4, min_size=2) as pool:
        held = [await pool.acquire() for _ in range(3)]
        await pool.release(held.pop())
        users = [asyncio.create_task(pool.acquire()) for _ in range(2)]
        await asyncio.sleep(0.5)  # one has taken what was idle; a fourth store is being connected for the other
        held.append(users.pop(0).result())
        old = list(kind.made)
        assert (len(old), pool.statistics.connecting) == (4, 1)
        await pool.drain()
        new = await users[0]
        assert inner(new) not in old
        for store in held:
            assert await store.search(1.0) == [1.0]  # nobody takes it away
            await pool.release(store)
        await asyncio.sleep(5)
        assert not any(store.connected for store in old)
        await pool.release(new)
        assert pool.statistics.idle >= 2
    assert kind.peak <= 4


@instant
async def test_drain_disconnects_what_is_idle_before_it_returns() -> None:
    kind = fake()
    async with VectorStorePool(kind, CONFIG, max_size=2, min_size=2) as pool:
        kind.delay = 1.0
        await pool.drain()
        assert [store.connected for store in kind.made[:2]] == [False, False]
        async with pool.connection() as store:
            assert inner(store) in kind.made[2:]


@instant
async def test_a_pool_that_is_not_open_has_nothing_to_drain() -> None:
    pool = VectorStorePool(fake(), CONFIG)
    await pool.drain()
    await pool.close()
    for call in (pool.drain, pool.resize):
        with pytest.raises(PoolClosedError):
            await call()
