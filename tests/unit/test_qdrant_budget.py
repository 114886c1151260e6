"""How many bytes are on their way to Qdrant at the same time."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from ia_modules.vector_stores.providers.qdrant.remote import ByteBudget


async def hold(budget: ByteBudget, size: int, log: list[str], name: str, until: asyncio.Event) -> None:
    async with budget.room_for(size):
        log.append(name)
        await until.wait()


async def test_what_fits_goes_at_once_and_the_rest_in_turn() -> None:
    budget, log, first, second = ByteBudget(10), list[str](), asyncio.Event(), asyncio.Event()
    tasks = [
        asyncio.ensure_future(hold(budget, size, log, name, until))
        for name, size, until in (("a", 6, first), ("b", 4, second), ("c", 5, second), ("d", 1, second))
    ]
    await asyncio.sleep(0)
    assert log == ["a", "b"]  # d would fit after none of them, but c comes first
    first.set()
    await asyncio.sleep(0.01)
    assert log == ["a", "b", "c", "d"]
    second.set()
    await asyncio.gather(*tasks)
    assert budget._used == 0


async def test_a_large_one_goes_alone() -> None:
    budget, log, until = ByteBudget(10), list[str](), asyncio.Event()
    tasks = [asyncio.ensure_future(hold(budget, size, log, str(size), until)) for size in (3, 50, 2)]
    await asyncio.sleep(0)
    assert log == ["3"]
    until.set()
    await asyncio.gather(*tasks)
    assert log == ["3", "50", "2"]


@given(sizes=st.lists(st.integers(1, 12), max_size=8), cancelled=st.sets(st.integers(0, 7)), turns=st.integers(0, 4))
def test_whoever_is_cancelled_nothing_stays_counted(sizes: list[int], cancelled: set[int], turns: int) -> None:
    async def check() -> None:
        budget = ByteBudget(10)

        async def use(size: int) -> None:
            async with budget.room_for(size):
                await asyncio.sleep(0)
                assert budget._used <= max(10, size)

        tasks = [asyncio.ensure_future(use(size)) for size in sizes]
        for _ in range(turns):
            await asyncio.sleep(0)
        for i in cancelled & set(range(len(tasks))):
            tasks[i].cancel()
        found = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
        assert all(one is None or isinstance(one, asyncio.CancelledError) for one in found)
        assert budget._used == 0
        async with budget.room_for(10):
            pass

    asyncio.run(check())
