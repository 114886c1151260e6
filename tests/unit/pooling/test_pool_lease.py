"""The stand-in for a store: what passes through it, and that nothing does after the release."""

from __future__ import annotations

import abc
import asyncio
import copy
import inspect
import pickle
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from ia_modules.vector_stores import MemoryVectorStore, VectorStoreError, VectorStorePool
from pool_fakes import instant


class Base(abc.ABC):
    @abc.abstractmethod
    async def search(self, number: int = 1) -> int: ...


class Store(Base):
    """A store.

    Attributes:
        size: a number.
    """

    kind = "store"

    def __init__(self, config: Any) -> None:
        self.size = 3

    async def connect(self) -> None:
        pass

    async def disconnect(self) -> None:
        pass

    async def search(self, number: int = 1) -> int:
        """Find something."""
        await asyncio.sleep(0)
        return number + self.size

    async def scan(self) -> AsyncIterator[int]:
        for number in range(self.size):
            yield number

    def plain(self) -> Store:
        return self

    async def fluent(self) -> Store:
        return self

    @property
    def double(self) -> int:
        return 2 * self.size

    @staticmethod
    def static() -> str:
        return "static"

    @classmethod
    def made(cls) -> str:
        return cls.__name__

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, key: int) -> int:
        return self.size + key

    def __call__(self) -> str:
        return "called"

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


def pool_of_stores() -> VectorStorePool[Store]:
    return VectorStorePool(Store, SimpleNamespace(), max_size=1, name="news")


@instant
async def test_it_is_like_the_store() -> None:
    async with pool_of_stores() as pool, pool.connection() as store:
        assert isinstance(store, Store)
        assert isinstance(store, Base)
        assert not isinstance(store, MemoryVectorStore)
        assert store.__class__ is Store
        assert await store.search(number=2) == 5
        assert [number async for number in store.scan()] == [0, 1, 2]
        assert (store.double, store.static(), store.made(), store.kind) == (6, "static", "Store", "store")
        assert (len(store), store[1], store()) == (3, 4, "called")
        store.size = 7
        assert await store.search() == 8
        store.extra = 1  # type: ignore[attr-defined]
        assert store.extra == 1  # type: ignore[attr-defined]
        del store.extra  # type: ignore[attr-defined]
        assert not hasattr(store, "extra")
        with pytest.raises(AttributeError, match=r"'Store' object has no attribute 'nothing'"):
            _ = store.nothing  # type: ignore[attr-defined]
        assert {"size", "search", "double"} <= set(dir(store))
        assert inspect.iscoroutinefunction(store.search)
        assert inspect.isasyncgenfunction(store.scan)
        assert str(inspect.signature(store.search)) == "(number: 'int' = 1) -> 'int'"
        assert (store.search.__doc__, store.__doc__) == ("Find something.", Store.__doc__)


@instant
async def test_methods_that_return_the_store_return_the_stand_in() -> None:
    async with pool_of_stores() as pool, pool.connection() as store:
        assert store.plain() is store
        assert await store.fluent() is store


@instant
async def test_it_is_equal_to_itself_only() -> None:
    async with pool_of_stores() as pool:
        async with pool.connection() as first:
            assert first == first
            assert len({first, first}) == 1
        async with pool.connection() as second:
            assert first != second


@instant
async def test_repr_says_what_it_is_and_whether_it_is_out() -> None:
    async with pool_of_stores() as pool:
        async with pool.connection() as store:
            assert "<pooled <" in repr(store)
            assert "out of the pool news" in repr(store)
        assert repr(store) == "<pooled Store, released to the pool news>"
        late = await pool.acquire()
    assert repr(late) == "<pooled Store, closed with the pool news>"


@instant
async def test_it_can_be_neither_copied_nor_pickled() -> None:
    async with pool_of_stores() as pool, pool.connection() as store:
        for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError, match="can't be copied"):
                attempt(store)


@instant
async def test_every_use_after_the_release_is_an_error() -> None:
    async with pool_of_stores() as pool:
        store = await pool.acquire()
        search, plain, scan = store.search, store.plain, store.scan
        begun = store.search()
        items = store.scan()
        assert await anext(items) == 0
        await pool.release(store)
        async with pool.connection():
            released = pytest.raises(VectorStoreError, match="was released to the pool news")
            with released:
                _ = store.size
            with released:
                store.size = 3
            with released:
                await store.search()
            with released:
                await search()
            with released:
                await begun
            with released:
                plain()
            with released:
                await anext(scan())
            with released:
                await anext(items)
            with released:
                len(store)
            with released:
                dir(store)
            with released:
                del store.size
        assert isinstance(store, Store)


@instant
async def test_a_method_that_is_replaced_on_the_store_is_used() -> None:
    async with pool_of_stores() as pool, pool.connection() as store:

        async def search(number: int = 1) -> int:
            return -number

        store.search = search  # type: ignore[method-assign]
        assert await store.search(4) == -4


@instant
async def test_a_subclass_may_turn_a_method_into_something_else() -> None:
    class Odd(Store):
        plain = 5  # type: ignore[assignment]

        @property
        def fluent(self) -> int:  # type: ignore[override]
            return 6

    async with VectorStorePool(Odd, SimpleNamespace(), max_size=1) as pool, pool.connection() as store:
        assert (store.plain, store.fluent) == (5, 6)
