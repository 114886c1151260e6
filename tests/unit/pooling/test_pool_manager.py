"""Pools by name."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from ia_modules.vector_stores import AuthenticationError, VectorStoreConfig, VectorStorePool, VectorStorePoolManager
from pool_fakes import fake, instant, settle

CONFIG = VectorStoreConfig(provider="fake", index_name="articles", dimension=3)


@instant
async def test_one_name_is_one_pool_also_when_many_ask_at_once() -> None:
    kind = fake(delay=1.0)
    manager = VectorStorePoolManager()
    pools = await asyncio.gather(*(manager.get_pool("a", kind, CONFIG, max_size=4) for _ in range(10)))
    pools.append(await manager.get_pool("a", kind, CONFIG.model_copy(), max_size=4))
    other = await manager.get_pool("b", kind, CONFIG, max_size=4)
    assert len(set(map(id, pools))) == 1
    assert other is not pools[0]
    assert (pools[0].name, pools[0].statistics.idle, len(kind.made)) == ("a", 2, 4)
    assert set(manager.statistics) == {"a", "b"}
    await manager.close_all()
    assert (kind.connected_now, dict(manager.statistics)) == (0, {})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"store_class": fake()}, "store class"),
        ({"config": CONFIG.model_copy(update={"dimension": 4, "host": "h"})}, r"config \(host, dimension\)"),
        ({"config": SimpleNamespace()}, "config"),
        ({"max_size": 5}, "max_size"),
        ({"min_size": 1}, "min_size"),
        ({"max_idle": 3.0, "max_size": 6}, "max_size and max_idle"),
    ],
)
@instant
async def test_the_same_name_with_something_else_is_an_error(change: dict[str, Any], named: str) -> None:
    given: dict[str, Any] = {"store_class": fake(), "config": CONFIG, "max_size": 4}
    async with VectorStorePoolManager() as manager:
        pool = await manager.get_pool("a", **given)
        with pytest.raises(ValueError, match=f"there is a pool 'a' already, with another {named};"):
            await manager.get_pool("a", **(given | change))
        await pool.resize(max_size=7)
        assert await manager.get_pool("a", **given) is pool


@instant
async def test_a_difference_shows_no_secret() -> None:
    kind = fake()
    async with VectorStorePoolManager() as manager:
        await manager.get_pool("a", kind, CONFIG)
        with pytest.raises(ValueError, match=r"config \(api_key\)") as caught:
            await manager.get_pool("a", kind, VectorStoreConfig(**(CONFIG.model_dump() | {"api_key": "very-secret"})))
        assert "very-secret" not in str(caught.value)


@instant
async def test_a_size_left_out_is_that_of_the_config() -> None:
    config = VectorStoreConfig(provider="fake", index_name="articles", pool_size=6)
    kind = fake()
    async with VectorStorePoolManager() as manager:
        pool = await manager.get_pool("a", kind, config)
        assert pool.statistics.max_size == 6
        assert await manager.get_pool("a", kind, config, max_size=6) is pool
        with pytest.raises(ValueError, match="max_size"):
            await manager.get_pool("a", kind, config, max_size=10)


@pytest.mark.parametrize("end", ["fails", "is cancelled"])
@instant
async def test_what_did_not_begin_leaves_nothing_behind(end: str) -> None:
    kind = fake(delay=1.0, failures=[None, AuthenticationError("no")] if end == "fails" else [])
    manager = VectorStorePoolManager()
    users = [asyncio.create_task(manager.get_pool("a", kind, CONFIG)) for _ in range(2)]
    await asyncio.sleep(0.5)
    if end != "fails":
        for user in users:
            user.cancel()
    results = await asyncio.gather(*users, return_exceptions=True)
    assert {type(result) for result in results} == {AuthenticationError if end == "fails" else asyncio.CancelledError}
    assert (dict(manager.statistics), kind.connected_now) == ({}, 0)
    another = fake()
    await manager.get_pool("a", another, CONFIG)
    await manager.close_all()


@instant
async def test_one_who_gives_up_does_not_take_the_pool_from_the_others() -> None:
    kind = fake(delay=1.0)
    async with VectorStorePoolManager() as manager:
        first, second = (asyncio.create_task(manager.get_pool("a", kind, CONFIG)) for _ in range(2))
        await asyncio.sleep(0.5)
        first.cancel()
        await settle()
        assert await manager.get_pool("a", kind, CONFIG) is await second
        assert len(kind.made) == 2


@instant
async def test_a_pool_that_was_closed_is_made_anew() -> None:
    async with VectorStorePoolManager() as manager:
        pool = await manager.get_pool("a", fake(), CONFIG)
        await pool.close()
        another = await manager.get_pool("a", fake(), CONFIG)
        assert another is not pool
        assert another.statistics.idle == 2


def test_a_pool_whose_loop_is_gone_is_made_anew() -> None:
    manager = VectorStorePoolManager()
    kind = fake()

    async def use() -> VectorStorePool[Any]:
        pool = await manager.get_pool("a", kind, CONFIG)
        async with pool.connection():
            return pool

    assert asyncio.run(use()) is not asyncio.run(use())
    asyncio.run(manager.close_all())


@pytest.mark.parametrize("failing", [1, 2])
@instant
async def test_close_all_closes_all_then_says_what_failed(failing: int, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = fake()
    manager = VectorStorePoolManager()
    pools = [await manager.get_pool(name, kind, CONFIG) for name in "abc"]
    for pool in pools[:failing]:

        async def close(pool: VectorStorePool[Any] = pool) -> None:
            await VectorStorePool.close(pool)
            raise OSError(f"no: {pool.name}")

        monkeypatch.setattr(pool, "close", close)
    with pytest.raises((OSError, ExceptionGroup)) as caught:
        await manager.close_all()
    assert isinstance(caught.value, ExceptionGroup if failing > 1 else OSError)
    if isinstance(caught.value, ExceptionGroup):
        assert [str(error) for error in caught.value.exceptions] == ["no: a", "no: b"]
    assert (kind.connected_now, dict(manager.statistics)) == (0, {})
    await manager.close_all()


@instant
async def test_a_close_all_that_is_cancelled_can_be_finished() -> None:
    kind = fake()
    manager = VectorStorePoolManager()
    pool = await manager.get_pool("a", kind, CONFIG)
    held = await asyncio.create_task(pool.acquire())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await manager.close_all()
    await pool.release(held)
    await manager.close_all()
    assert kind.connected_now == 0
