"""Connecting, disconnecting, and event loops that come and go."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from fakes import FakeStore
from ia_modules.vector_stores import AuthenticationError, DistanceMetric, VectorStoreError
from ia_modules.vector_stores.requests import IndexInfo

INFO = IndexInfo(3, DistanceMetric.DOT_PRODUCT)


@pytest.fixture
def store() -> FakeStore:
    return FakeStore(dimension=3, info=INFO)


async def test_a_call_connects_by_itself_and_once(store: FakeStore) -> None:
    store.delay = 0.005
    await asyncio.gather(*(store.count() for _ in range(10)), *(store.connect() for _ in range(10)))
    assert store.calls.count("open") == 1


async def test_connect_and_disconnect_can_be_repeated(store: FakeStore) -> None:
    for _ in range(2):
        await store.connect()
    for _ in range(2):
        await store.disconnect()
    assert store.calls == ["open", "close"]


async def test_a_call_after_disconnect_connects_again(store: FakeStore) -> None:
    async with store:
        assert await store.count() == 0
    assert await store.count() == 0
    assert store.calls == ["open", "load_index", "count", "close", "open", "load_index", "count"]


async def test_a_failed_connect_leaves_the_store_as_it_was(store: FakeStore) -> None:
    store.failures["open"] = [AuthenticationError("no"), AuthenticationError("no")]
    for call in (store.connect, store.count):
        with pytest.raises(AuthenticationError) as caught:
            await call()  # type: ignore[operator]
        assert caught.value.operation == "connect"
    await store.disconnect()
    assert "close" not in store.calls
    assert await store.count() == 0


async def test_a_cancelled_connect_does_not_stand_in_the_way(store: FakeStore) -> None:
    store.delay = 10.0
    connecting = asyncio.create_task(store.connect())
    waiting = asyncio.create_task(store.count())
    await asyncio.sleep(0.01)
    store.delay = 0.0
    connecting.cancel()
    assert await waiting == 0


async def test_a_failed_disconnect_is_a_disconnect(store: FakeStore) -> None:
    store.failures["close"] = [AuthenticationError("no")]
    await store.connect()
    with pytest.raises(AuthenticationError):
        await store.disconnect()
    await store.disconnect()
    assert await store.count() == 0
    assert store.calls.count("open") == 2


# Event loops


def test_a_store_made_outside_a_loop_works_in_one() -> None:
    store = FakeStore(dimension=3, info=INFO)
    assert asyncio.run(store.count()) == 0


def test_a_loop_that_is_gone_took_its_connection_along(store: FakeStore) -> None:
    async def crowd() -> None:
        store.delay = 0.001
        await asyncio.gather(*(store.count() for _ in range(5)))

    asyncio.run(crowd())
    asyncio.run(crowd())
    assert (store.calls.count("open"), store.calls.count("close")) == (2, 0)
    asyncio.run(store.disconnect())
    asyncio.run(store.disconnect())
    assert store.calls.count("close") == 0


@pytest.mark.parametrize("call", [lambda s: s.count(), lambda s: s.connect(), lambda s: s.disconnect()])
async def test_a_loop_that_still_runs_keeps_its_connection(
    store: FakeStore, call: Callable[[FakeStore], Awaitable[Any]]
) -> None:
    await store.connect()

    def elsewhere() -> None:
        async def use() -> None:
            await call(store)

        with pytest.raises(VectorStoreError, match="another event loop"):
            asyncio.run(use())

    await asyncio.to_thread(elsewhere)
    assert await store.count() == 0
    await store.disconnect()
    assert store.calls.count("close") == 1


async def test_a_store_bound_to_no_loop_is_used_in_several(store: FakeStore) -> None:
    store.loop_bound = False
    await store.count()
    counts: list[int] = []
    thread = threading.Thread(target=lambda: counts.append(asyncio.run(store.count())))
    thread.start()
    await asyncio.to_thread(thread.join)
    assert counts == [0]
    assert store.calls.count("open") == 1
