"""Giving stores back: misuse, broken stores, checks."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from ia_modules.vector_stores import OperationTimeoutError, VectorStoreError, VectorStorePool, errors
from pool_fakes import PooledFake, fake, inner, instant, settle

CONFIG = SimpleNamespace()


@instant
async def test_double_release_is_an_error_also_when_somebody_else_has_the_store() -> None:
    async with VectorStorePool(fake(), CONFIG, max_size=1, name="news") as pool:
        mine = await pool.acquire()
        await pool.release(mine)
        with pytest.raises(VectorStoreError, match="released to the pool news already"):
            await pool.release(mine)
        others = await pool.acquire()
        with pytest.raises(VectorStoreError, match="released to the pool news already"):
            await pool.release(mine)
        assert pool.statistics.in_use == 1
        assert await others.search(1.0) == [1.0]
        await pool.release(others)
        assert (pool.statistics.idle, pool.statistics.size) == (1, 1)


@instant
async def test_what_the_pool_has_not_handed_out_is_refused() -> None:
    kind = fake()
    async with VectorStorePool(kind, CONFIG) as pool, VectorStorePool(kind, CONFIG) as other:
        theirs = await other.acquire()
        released = await other.acquire()
        await other.release(released)
        for wrong in (theirs, released, kind.made[0], kind(CONFIG), None):
            with pytest.raises(VectorStoreError, match="not a store that the pool Fake handed out"):
                await pool.release(wrong)  # type: ignore[arg-type]
        assert pool.statistics.size == 2
        await other.release(theirs)


@instant
async def test_connection_releases_whatever_happens() -> None:
    kind = fake()
    async with VectorStorePool(kind, CONFIG, max_size=1) as pool:
        with pytest.raises(KeyError):
            async with pool.connection():
                raise KeyError("x")

        async def use() -> None:
            async with pool.connection():
                await asyncio.sleep(10)

        user = asyncio.create_task(use())
        await settle()
        user.cancel()
        with pytest.raises(asyncio.CancelledError):
            await user
        assert pool.statistics.idle == 1
        assert (len(kind.made), kind.made[0].pings) == (1, 0)


@instant
async def test_a_store_released_within_connection_is_a_double_release() -> None:
    async with VectorStorePool(fake(), CONFIG, max_size=1) as pool:
        with pytest.raises(VectorStoreError, match="already"):
            async with pool.connection() as store:
                await pool.release(store)
        assert pool.statistics.idle == 1


# Broken stores


@instant
async def test_a_broken_store_is_disconnected_and_replaced() -> None:
    kind = fake()
    async with VectorStorePool(kind, CONFIG, max_size=2, min_size=2) as pool:
        store = await pool.acquire()
        broken = inner(store)
        await pool.release(store, broken=True)
        assert (broken.connected, pool.statistics.discarded, pool.statistics.closed) == (False, 1, 1)
        await settle()
        assert (pool.statistics.size, pool.statistics.idle, len(kind.made)) == (2, 2, 3)
    assert kind.peak == 2


@instant
async def test_a_broken_store_is_replaced_for_who_waits() -> None:
    kind = fake(delay=1.0)
    async with VectorStorePool(kind, CONFIG, max_size=1) as pool:
        store = await pool.acquire()
        user = asyncio.create_task(pool.acquire())
        await settle()
        await pool.release(store, broken=True)
        await pool.release(await user)
    assert (len(kind.made), kind.peak) == (2, 1)  # not connected before the broken one had gone


@pytest.mark.parametrize("fault", ["raises", "hangs"])
@instant
async def test_a_failing_disconnect_costs_no_slot(fault: str, caplog: pytest.LogCaptureFixture) -> None:
    kind = fake()
    async with VectorStorePool(kind, CONFIG, max_size=1, disconnect_timeout=2) as pool:
        async with pool.connection():
            kind.made[0].broken = fault == "raises"
            kind.hang.update({"disconnect"} if fault == "hangs" else ())
        broken = await pool.acquire()
        with caplog.at_level(logging.WARNING, logger="ia_modules.vector_stores"):
            await pool.release(broken, broken=True)
        assert "failed to disconnect" in caplog.text
        kind.hang.clear()
        async with pool.connection(timeout=1):
            assert pool.statistics.disconnect_errors == 1
    assert len(kind.made) == 2


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError("reset"),
        TimeoutError(),
        errors.ConnectionError("gone"),
        OperationTimeoutError("slow"),
        ExceptionGroup("several", [KeyError("x"), errors.ConnectionError("gone")]),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("dead", [False, True])
@instant
async def test_a_store_under_suspicion_is_checked_before_it_is_used_again(error: Exception, dead: bool) -> None:
    kind = fake()
    async with VectorStorePool(kind, CONFIG, max_size=1) as pool:
        kind.made[0].broken = dead
        with pytest.raises(type(error)):
            async with pool.connection():
                raise error
        async with pool.connection() as store:
            assert await store.search(2.0) == [2.0]
        assert kind.made[0].pings == 1
        assert (len(kind.made), pool.statistics.checks_failed, pool.statistics.checks) == (1 + dead, dead, 1)


@pytest.mark.parametrize("error", [KeyError("x"), errors.IndexNotFoundError("none"), ExceptionGroup("", [OSError()])])
@instant
async def test_errors_of_other_kinds_raise_no_suspicion(error: Exception) -> None:
    kind = fake()
    async with VectorStorePool(kind, CONFIG, max_size=1) as pool:
        with pytest.raises(type(error)):
            async with pool.connection():
                raise error
        assert (pool.statistics.idle, kind.made[0].pings) == (1, 0)


@instant
async def test_a_store_without_ping_under_suspicion_is_replaced() -> None:
    class Silent:
        connected = 0

        def __init__(self, config: object) -> None:
            pass

        async def connect(self) -> None:
            type(self).connected += 1

        async def disconnect(self) -> None:
            type(self).connected -= 1

    async with VectorStorePool(Silent, CONFIG, max_size=1, check_after=0) as pool:
        for _ in range(2):
            async with pool.connection():
                pass
        with pytest.raises(ConnectionResetError):
            async with pool.connection():
                raise ConnectionResetError
        assert (pool.statistics.discarded, pool.statistics.checks) == (1, 0)
        async with pool.connection():
            pass
    assert Silent.connected == 0


@pytest.mark.parametrize("how", ["disconnect", "context"])
@instant
async def test_a_store_that_its_user_disconnected_is_replaced(how: str) -> None:
    class WithContext(fake()):  # type: ignore[misc]
        async def __aenter__(self) -> Any:
            await self.connect()
            return self

        async def __aexit__(self, *error: object) -> None:
            await self.disconnect()

    async with VectorStorePool(WithContext, CONFIG, max_size=1, min_size=0) as pool:
        store = await pool.acquire()
        if how == "disconnect":
            await store.disconnect()
        else:
            async with store as entered:
                assert entered is store
        await pool.release(store)
        assert pool.statistics.discarded == 1
        async with pool.connection() as another:
            assert await another.search(1.0) == [1.0]
    assert len(WithContext.made) == 2


# Checks


@instant
async def test_a_store_idle_for_long_is_pinged_first() -> None:
    kind = fake()
    async with VectorStorePool(kind, CONFIG, max_size=1, check_after=30) as pool:
        store = kind.made[0]
        await asyncio.sleep(29)
        async with pool.connection():
            assert store.pings == 0
        await asyncio.sleep(30)
        async with pool.connection():
            assert store.pings == 1
        async with pool.connection():
            assert store.pings == 1
    assert len(kind.made) == 1


@pytest.mark.parametrize(("after", "pings"), [(0, 3), (None, 0)])
@instant
async def test_checks_always_or_never(after: float | None, pings: int) -> None:
    kind = fake()
    async with VectorStorePool(kind, CONFIG, max_size=1, check_after=after, max_idle=None) as pool:
        for _ in range(3):
            await asyncio.sleep(100)
            async with pool.connection():
                pass
    assert (len(kind.made), kind.made[0].pings) == (1, pings)


@pytest.mark.parametrize("fault", ["dead", "hangs", "cancels"])
@instant
async def test_stores_that_fail_the_check_are_replaced_within_the_same_acquire(fault: str) -> None:
    kind = fake()
    async with VectorStorePool(kind, CONFIG, max_size=3, min_size=3, check_after=10, check_timeout=2) as pool:
        await asyncio.sleep(20)
        for store in kind.made:
            store.broken = fault == "dead"
            if fault == "cancels":
                store.ping = _cancels  # type: ignore[method-assign]
        kind.hang.update({"ping"} if fault == "hangs" else ())
        users = [asyncio.create_task(pool.acquire()) for _ in range(3)]
        for user in users:
            await pool.release(await user)
        assert (pool.statistics.checks_failed, pool.statistics.size, len(kind.made)) == (3, 3, 6)
    assert (kind.peak, kind.connected_now) == (3, 0)


async def _cancels() -> float:
    raise asyncio.CancelledError


@instant
async def test_an_acquire_cancelled_during_the_check_keeps_the_store() -> None:
    kind = fake()
    async with VectorStorePool(kind, CONFIG, max_size=1, check_after=0) as pool:
        kind.delay = 1.0
        user = asyncio.create_task(pool.acquire())
        await asyncio.sleep(0.5)
        user.cancel()
        await asyncio.sleep(1)
        assert (pool.statistics.idle, pool.statistics.size, len(kind.made)) == (1, 1, 1)


@instant
async def test_a_store_that_nobody_fetched_comes_back() -> None:
    async with VectorStorePool(fake(), CONFIG, max_size=1) as pool:
        user = asyncio.create_task(pool.acquire())
        await settle()
        assert (user.done(), pool.statistics.in_use) == (True, 1)
        del user
        await settle()
        assert (pool.statistics.in_use, pool.statistics.abandoned) == (0, 1)


@instant
async def test_a_store_that_was_forgotten_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    kind = fake()
    async with VectorStorePool(kind, CONFIG, max_size=1) as pool:
        store: PooledFake | None = await pool.acquire()
        assert store is not None
        search: Callable[..., Any] | None = store.search
        store = None
        gc.collect()
        await settle()
        assert pool.statistics.in_use == 1  # the method kept it
        search = None
        del search
        gc.collect()
        await settle()
        assert "never released" in caplog.text
        assert (pool.statistics.in_use, pool.statistics.abandoned) == (0, 1)
        async with pool.connection(timeout=1):
            pass
    assert (len(kind.made), kind.made[0].pings) == (1, 1)
