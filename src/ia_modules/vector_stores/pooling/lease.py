"""What ``acquire`` hands out: a stand-in for a store that ends with its release.

The stand-in's class is made once for each store class of a pool. It has the methods of the store class, each of which
looks first whether the lease still runs, so that a method kept from before fails as well. All else is passed on.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from types import FunctionType
from typing import Any, Generic, Protocol, TypeVar

from ia_modules.vector_stores.errors import PoolClosedError, VectorStoreError
from ia_modules.vector_stores.pooling.members import Member

__all__ = ["Lease", "StandIn", "stand_in_class"]

S = TypeVar("S")

_NOT_PASSED_ON = {*dir(object), "__del__", "__getattr__", "__getattribute__", "__getnewargs__", "__getnewargs_ex__"}
_NOT_PASSED_ON |= {"__annotations__", "__abstractmethods__", "__dict__", "__match_args__", "__orig_bases__"}
_NOT_PASSED_ON |= {"__parameters__", "__slots__", "__weakref__", "_abc_impl"}
_NOT_PASSED_ON |= {"__copy__", "__deepcopy__", "__setstate__", "__getstate__", "__await__", "__index__"}
_DISCONNECTING = {"disconnect", "__aexit__"}


class Lender(Protocol):
    """What a lease knows of its pool."""

    @property
    def name(self) -> str: ...

    def abandoned(self, lease: Lease[Any], /) -> None: ...


class Lease(Generic[S]):
    """The time for which one member is out.

    Attributes:
        member: the member, or None once the lease has ended.
        task: the task that has acquired it; weakly, as it may have the stand-in for its result.
        revoked: whether the pool took it back by itself.
        disconnected: whether the user has disconnected the store.
        pool: whose member it is; told if the stand-in vanishes before the lease has ended.
    """

    __slots__ = ("disconnected", "member", "pool", "revoked", "task")

    def __init__(self, member: Member[S], task: asyncio.Task[Any] | None, pool: Lender) -> None:
        self.member: Member[S] | None = member
        self.task = None if task is None else weakref.ref(task)
        self.pool = pool
        self.revoked = False
        self.disconnected = False

    def end(self, *, revoked: bool = False) -> Member[S]:
        """End the lease; returns the member."""
        assert self.member is not None
        member, self.member, self.revoked = self.member, None, revoked
        return member

    def ended(self) -> VectorStoreError:
        """The error for a use after the end."""
        if self.revoked:
            return PoolClosedError(
                f"the pool {self.pool.name} was closed while this store was out; it can't be used again"
            )
        return VectorStoreError(
            f"this store was released to the pool {self.pool.name} and can't be used any more; acquire one again"
        )


class StandIn:
    """Base of the stand-ins; equal only to itself, like any object without a value."""

    __slots__ = ("__weakref__", "_pool_lease")
    _pool_lease: Lease[Any]

    def __init__(self, lease: Lease[Any]) -> None:
        object.__setattr__(self, "_pool_lease", lease)

    def __getattr__(self, name: str) -> Any:
        lease = self._pool_lease
        if lease.member is None:
            raise lease.ended()
        return getattr(lease.member.store, name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(_store(self), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(_store(self), name)

    def __dir__(self) -> list[str]:
        return dir(_store(self))

    def __repr__(self) -> str:
        lease = self._pool_lease
        if lease.member is None:
            state = "closed with" if lease.revoked else "released to"
            return f"<pooled {self.__class__.__name__}, {state} the pool {lease.pool.name}>"
        return f"<pooled {lease.member.store!r}, out of the pool {lease.pool.name}>"

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError("a pooled store can't be copied or pickled")

    def __del__(self) -> None:
        lease = self._pool_lease
        if lease.member is not None:
            lease.pool.abandoned(lease)


def _store(stand_in: StandIn) -> Any:
    lease = stand_in._pool_lease  # noqa: SLF001 - a friend
    if lease.member is None:
        raise lease.ended()
    return lease.member.store


def stand_in_class(store: object) -> type[StandIn]:
    """Make the class of the stand-ins for stores like this one, which passes for their class."""
    kind = type(store)
    body: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        for name, value in vars(base).items():
            if isinstance(value, FunctionType):
                body[name] = _passing_on(name, value)
            else:
                body[name] = _reading(name)
    # Other attributes go by __getattr__, which Python asks last, so that it takes several times as long.
    body |= {name: _reading(name) for name in getattr(store, "__dict__", {})}
    for name in [name for name in body if name in _NOT_PASSED_ON]:
        del body[name]
    return type(
        f"Pooled{kind.__name__}",
        (StandIn,),
        body
        | {"__slots__": (), "__doc__": kind.__doc__, "__module__": kind.__module__}
        | {"__class__": property(lambda _: kind)},
    )


def _reading(name: str) -> property:
    def read(self: StandIn) -> Any:
        member = self._pool_lease.member
        if member is None:
            raise self._pool_lease.ended()
        return getattr(member.store, name)

    return property(read)


def _passing_on(name: str, function: FunctionType) -> Callable[..., Any]:
    """A method that calls the store's, and returns the stand-in where that returns the store."""
    call: Callable[..., Any]
    if inspect.iscoroutinefunction(function):

        async def call(self: StandIn, /, *args: Any, **kwargs: Any) -> Any:
            store = _store(self)
            result = await getattr(store, name)(*args, **kwargs)
            return self if result is store else result

    elif inspect.isasyncgenfunction(function):

        async def call(self: StandIn, /, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            async with aclosing(getattr(_store(self), name)(*args, **kwargs)) as items:
                async for item in items:
                    yield item
                    _store(self)

    else:

        def call(self: StandIn, /, *args: Any, **kwargs: Any) -> Any:
            store = _store(self)
            result = getattr(store, name)(*args, **kwargs)
            return self if result is store else result

    if name in _DISCONNECTING:
        return functools.wraps(function)(_noting_disconnect(call))
    return functools.wraps(function)(call)


def _noting_disconnect(call: Callable[..., Any]) -> Callable[..., Any]:
    async def disconnect(self: StandIn, /, *args: Any, **kwargs: Any) -> Any:
        _store(self)
        self._pool_lease.disconnected = True
        return await call(self, *args, **kwargs)

    return disconnect
