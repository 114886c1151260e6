"""The beginning and the end of a pool, and the event loop that it belongs to."""

from __future__ import annotations

import asyncio
import gc
import logging
from types import SimpleNamespace
from typing import Any

import pytest

from fakes import FakeStore
from ia_modules.vector_stores import (
    AuthenticationError,
    ConnectionError,
    MemoryVectorStore,
    PoolClosedError,
    PoolTimeoutError,
    VectorDocument,
    VectorStoreConfig,
    VectorStoreError,
    VectorStorePool,
)
from pool_fakes import InstantLoop, fake, inner, instant, settle

CONFIG = SimpleNamespace()


def now() -> float:
    return asyncio.get_running_loop().time()


@instant
async def test_initialize_connects_min_size_at_the_same_time_and_once() -> None:
    kind = fake(delay=1.0)
    pool = VectorStorePool(kind, CONFIG, max_size=5, min_size=3)
    started = now()
    await asyncio.gather(*(pool.initialize() for _ in range(4)))
    await pool.initialize()
    assert now() - started == pytest.approx(1.0)
    assert (len(kind.made), pool.statistics.idle) == (3, 3)
    await pool.close()


@instant
async def test_a_failed_initialize_leaves_nothing_behind_and_can_be_repeated() -> None:
    kind = fake(delay=1.0, failures=[None, AuthenticationError("no"), None])
    pool = VectorStorePool(kind, CONFIG, min_size=3)
    results = await asyncio.gather(pool.initialize(), pool.initialize(), return_exceptions=True)
    assert [type(result) for result in results] == [AuthenticationError] * 2
    assert (kind.connected_now, pool.statistics.size, pool.statistics.closing) == (0, 0, 0)
    assert len(asyncio.all_tasks()) == 1
    await asyncio.sleep(1000)
    assert len(kind.made) == 3
    async with pool:
        assert pool.statistics.idle == 3


@instant
async def test_the_first_failure_does_not_wait_for_the_others() -> None:
    kind = fake(hang={"connect"})

    def make(config: object) -> Any:
        if len(kind.made) == 1:
            raise AuthenticationError("no")
        return kind(config)

    pool: VectorStorePool[Any] = VectorStorePool(make, CONFIG, min_size=2)
    with pytest.raises(AuthenticationError):
        await pool.initialize()
    assert kind.connected_now == 0


@instant
async def test_a_cancelled_initialize_leaves_nothing_behind() -> None:
    kind = fake(delay=1.0)
    pool = VectorStorePool(kind, CONFIG)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await pool.initialize()
    assert (kind.connected_now, len(asyncio.all_tasks())) == (0, 1)
    await pool.initialize()
    assert pool.statistics.idle == 2
    await pool.close()


@instant
async def test_one_of_several_who_initialize_may_be_cancelled() -> None:
    kind = fake(delay=1.0)
    pool = VectorStorePool(kind, CONFIG)
    users = [asyncio.create_task(pool.initialize()) for _ in range(3)]
    await asyncio.sleep(0.5)
    users[0].cancel()
    await asyncio.sleep(0.1)
    users[1].cancel()
    await users[2]
    assert (len(kind.made), pool.statistics.idle) == (2, 2)
    await pool.close()


@instant
async def test_who_initializes_while_another_gives_up_is_served() -> None:
    kind = fake(delay=1.0)
    pool = VectorStorePool(kind, CONFIG)
    first = asyncio.create_task(pool.initialize())
    await asyncio.sleep(0.5)
    first.cancel()
    await settle()
    assert not first.done()  # it disconnects what it had
    await pool.initialize()
    assert (pool.statistics.idle, first.cancelled()) == (2, True)
    await pool.close()


@instant
async def test_acquire_begins_a_pool_that_is_not_initialized() -> None:
    kind = fake(delay=1.0)
    pool = VectorStorePool(kind, CONFIG, max_size=5, min_size=3)
    started = now()
    stores = await asyncio.gather(*(pool.acquire() for _ in range(4)))
    assert now() - started == pytest.approx(1.0)
    assert pool.statistics.size == 4
    for store in stores:
        await pool.release(store)
    await pool.initialize()
    assert len(kind.made) == 4
    await pool.close()


@instant
async def test_who_acquires_right_after_initialize_has_begun_counts_on_its_stores() -> None:
    kind = fake(delay=1.0)
    pool = VectorStorePool(kind, CONFIG, max_size=2, min_size=2)
    opening = asyncio.create_task(pool.initialize())
    users = [asyncio.create_task(pool.acquire()) for _ in range(2)]
    await asyncio.gather(opening, *users)
    assert (len(kind.made), kind.peak) == (2, 2)
    for user in users:
        await pool.release(user.result())
    await pool.close()


@instant
async def test_an_initialize_that_fails_spares_what_is_in_use() -> None:
    kind = fake(delay=1.0, failures=[None, ConnectionError("down"), None, None])
    pool = VectorStorePool(kind, CONFIG, min_size=2, max_size=3)
    opening = asyncio.create_task(pool.initialize())
    await settle()
    user = asyncio.create_task(pool.acquire())
    with pytest.raises(ConnectionError, match="down"):
        await opening
    store = await user
    assert await store.search(1.0) == [1.0]
    await pool.release(store)
    await asyncio.sleep(10)
    assert pool.statistics.size == 2
    await pool.close()
    assert kind.connected_now == 0


@instant
async def test_who_acquires_does_not_wait_for_an_initialize_that_was_given_up() -> None:
    kind = fake(delay=1.0)
    pool = VectorStorePool(kind, CONFIG, min_size=2, max_size=2)
    opening = asyncio.create_task(pool.initialize())
    await settle()
    user = asyncio.create_task(pool.acquire())
    await settle()
    kind.delay, kind.made[1].delay = 0.0, 3.0  # type: ignore[misc]
    opening.cancel()
    started = now()
    store = await user  # as soon as the first one has made room, while the other still disconnects
    assert (now(), opening.done(), len(kind.made)) == (started, False, 3)
    await pool.release(store)
    await asyncio.wait([opening])
    await pool.close()
    assert kind.connected_now == 0


# Close


@instant
async def test_close_waits_for_what_is_out() -> None:
    kind = fake()
    pool = VectorStorePool(kind, CONFIG, max_size=2)
    done: list[float] = []

    async def use() -> None:
        async with pool.connection() as store:
            await asyncio.sleep(3)
            done.append((await store.search(1.0))[0])

    users = [asyncio.create_task(use()) for _ in range(2)]
    await settle()
    started = now()
    await pool.close()
    assert now() - started == pytest.approx(3)
    assert (done, kind.connected_now) == ([1.0, 1.0], 0)
    await asyncio.gather(*users)


@instant
async def test_close_turns_away_who_waits_and_who_comes() -> None:
    pool = VectorStorePool(fake(), CONFIG, max_size=1, name="news")
    held = await pool.acquire()
    waiting = asyncio.create_task(pool.acquire())
    await settle()
    closing = asyncio.create_task(pool.close())
    await settle()
    for call in (lambda: waiting, pool.acquire, pool.initialize):
        with pytest.raises(PoolClosedError, match="the pool news is closed"):
            await call()
    await pool.release(held)
    await closing
    for call in (pool.acquire, pool.initialize):
        with pytest.raises(PoolClosedError):
            await call()
    await pool.close()


@instant
async def test_close_takes_away_what_does_not_come_back(caplog: pytest.LogCaptureFixture) -> None:
    kind = fake()
    pool = VectorStorePool(kind, CONFIG, max_size=3)
    seen: list[Exception] = []

    async def use() -> None:
        async with pool.connection() as store:
            try:
                while True:
                    await store.search(1.0)
                    await asyncio.sleep(1)
            except VectorStoreError as error:
                seen.append(error)

    users = [asyncio.create_task(use()) for _ in range(2)]
    await settle()
    started = now()
    with caplog.at_level(logging.WARNING, logger="ia_modules.vector_stores"):
        await pool.close()
    assert now() - started == pytest.approx(5)
    assert kind.connected_now == 0
    assert "closed with 2 of its stores still in use" in caplog.text
    await asyncio.gather(*users)  # their release is no error
    assert [type(error) for error in seen] == [PoolClosedError] * 2


@instant
async def test_close_does_not_wait_for_the_one_who_closes() -> None:
    kind = fake()
    pool = VectorStorePool(kind, CONFIG, max_size=2)
    started = now()
    async with pool.connection() as store:
        await pool.close()
        with pytest.raises(PoolClosedError):
            await store.search(1.0)
    assert (now(), kind.connected_now) == (started, 0)


@instant
async def test_close_ends_what_is_being_connected_and_checked() -> None:
    kind = fake(delay=100.0)
    pool = VectorStorePool(kind, CONFIG, max_size=2, min_size=0, check_after=0, disconnect_timeout=200)
    user = asyncio.create_task(pool.acquire(timeout=None))
    await asyncio.sleep(101)
    await pool.release(await user)
    users = [asyncio.create_task(pool.acquire()) for _ in range(2)]
    await settle()
    assert pool.statistics.connecting == 2
    started = now()
    await pool.close()
    assert now() - started == pytest.approx(100)  # the disconnects, at the same time
    assert kind.connected_now == 0
    results = await asyncio.gather(*users, return_exceptions=True)
    assert [type(result) for result in results] == [PoolClosedError] * 2


@instant
async def test_close_during_initialize() -> None:
    kind = fake(delay=1.0)
    pool = VectorStorePool(kind, CONFIG)
    opening = asyncio.create_task(pool.initialize())
    await asyncio.sleep(0.5)
    await pool.close()
    assert kind.connected_now == 0
    with pytest.raises(PoolClosedError):
        await opening


@instant
async def test_a_close_that_is_cancelled_goes_on() -> None:
    kind = fake()
    pool = VectorStorePool(kind, CONFIG, max_size=2)
    users = [asyncio.create_task(pool.acquire()) for _ in range(2)]
    held = await asyncio.gather(*users)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await pool.close()
    assert pool.closed
    await pool.release(held[0])
    started = now()
    await asyncio.gather(pool.close(timeout=1), pool.close())  # the shorter one counts
    assert now() - started == pytest.approx(1)
    assert (kind.connected_now, len(asyncio.all_tasks())) == (0, 1)


@instant
async def test_close_before_anything_else() -> None:
    kind = fake()
    pool = VectorStorePool(kind, CONFIG)
    await pool.close()
    with pytest.raises(PoolClosedError):
        await pool.acquire()
    assert kind.made == []


@instant
async def test_stores_that_fail_or_hang_do_not_keep_close_from_the_others() -> None:
    kind = fake()
    pool = VectorStorePool(kind, CONFIG, min_size=4)
    await pool.initialize()
    kind.made[0].broken = True
    kind.hang.add("disconnect")
    started = now()
    await pool.close()
    assert now() - started == pytest.approx(5)
    assert (kind.connected_now, pool.statistics.disconnect_errors) == (0, 4)


@instant
async def test_the_block_of_a_pool_ends_with_close() -> None:
    kind = fake()
    with pytest.raises(KeyError):
        async with VectorStorePool(kind, CONFIG) as pool:
            raise KeyError("x")
    assert (pool.closed, kind.connected_now) == (True, 0)


def test_repr() -> None:
    pool = VectorStorePool(fake(), SimpleNamespace(index_name="news"), max_size=3)
    assert repr(pool) == "<VectorStorePool Fake/news new, 0 of at most 3 stores, 0 in use, 0 waiting>"


# Event loops


def test_a_pool_belongs_to_one_event_loop() -> None:
    kind = fake()
    pool = VectorStorePool(kind, CONFIG, name="news")
    with asyncio.Runner(loop_factory=InstantLoop) as one:
        store = one.run(pool.acquire())
        with asyncio.Runner(loop_factory=InstantLoop) as other:
            for call in (pool.acquire, pool.initialize, pool.close, pool.drain, lambda: pool.release(store)):
                with pytest.raises(VectorStoreError, match="the pool news belongs to another event loop; make one"):
                    other.run(call())
        one.run(pool.release(store))
        one.run(pool.close())
    assert kind.connected_now == 0


def test_a_pool_whose_loop_is_gone_can_only_be_closed() -> None:
    pool = VectorStorePool(fake(), CONFIG)

    async def use() -> None:
        async with pool.connection():
            pass

    asyncio.run(use())
    with pytest.raises(VectorStoreError, match="another event loop, which is closed"):
        asyncio.run(use())
    asyncio.run(pool.close())
    with pytest.raises(PoolClosedError):
        asyncio.run(use())


def test_event_loops_in_turn_have_a_pool_each() -> None:
    config = VectorStoreConfig(provider="memory", index_name="a", dimension=2, path="loops-in-turn")
    kept = MemoryVectorStore(config)  # the documents last as long as a store that refers to them
    for number in range(3):

        async def use(number: int = number) -> int:
            async with VectorStorePool(MemoryVectorStore, config) as pool, pool.connection() as store:
                if not number:
                    await store.create_index(2)
                await store.upsert([VectorDocument(id=str(number), vector=[1.0, 2.0])])
                return await store.count()

        assert asyncio.run(use()) == number + 1
    del kept


def test_a_loop_that_ends_with_the_pool_open_ends_quietly(caplog: pytest.LogCaptureFixture) -> None:
    kind = fake(delay=0.001, hang={"ping"})

    async def leave() -> None:
        pool = VectorStorePool(kind, CONFIG, max_size=3, check_after=0)
        await pool.release(await pool.acquire())
        for _ in range(3):
            asyncio.get_running_loop().create_task(pool.acquire())
        await asyncio.sleep(0)

    asyncio.run(leave())
    gc.collect()
    assert caplog.records == []


# Real stores


async def test_the_memory_provider_in_a_pool() -> None:
    config = VectorStoreConfig(provider="memory", index_name="a", dimension=2, path="pooled", pool_size=4)
    async with VectorStorePool.from_config(config, min_size=1) as pool:
        assert (pool.statistics.min_size, pool.statistics.max_size, pool.name) == (1, 4, "MemoryVectorStore/a")
        async with pool.connection() as store:
            assert isinstance(store, MemoryVectorStore)
            await store.create_index(2)

        async def write(number: int) -> None:
            async with pool.connection() as store:
                await store.upsert([VectorDocument(id=str(number), vector=[1.0, number])])
                await store.ping()

        await asyncio.gather(*(write(number) for number in range(40)))
        async with pool.connection() as store:
            assert await store.count() == 40
            assert len([document async for document in store.scan(batch_size=7)]) == 40
            assert (await store.search([1.0, 0.0], top_k=1)).results[0].id == "0"
            with pytest.raises(AttributeError):
                _ = store.no_such_thing
    assert pool.statistics.connections_made <= 4
    with pytest.raises(ValueError, match="unknown provider 'nothing'"):
        VectorStorePool.from_config(VectorStoreConfig(provider="nothing", index_name="a"))


async def test_the_stores_of_a_pool_share_one_retry_budget() -> None:
    async with VectorStorePool(FakeStore, VectorStoreConfig(provider="fake", index_name="a"), min_size=3) as pool:
        held = [await pool.acquire() for _ in range(3)]
        assert len({id(store._execution.budget) for store in held}) == 1
        async with (
            VectorStorePool(FakeStore, VectorStoreConfig(provider="fake", index_name="a")) as other,
            other.connection() as store,
        ):
            assert store._execution.budget is not held[0]._execution.budget
        for store in held:
            await pool.release(store)


async def test_on_a_real_loop_the_deadline_holds_as_well() -> None:
    async with VectorStorePool(fake(), CONFIG, max_size=1) as pool:
        held = await pool.acquire()
        with pytest.raises(PoolTimeoutError):
            await pool.acquire(timeout=0.01)
        user = asyncio.create_task(pool.acquire())
        await asyncio.sleep(0.01)
        original = inner(held)
        await pool.release(held)
        store = await user
        assert inner(store) is original
        await pool.release(store)
