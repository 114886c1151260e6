"""A pool of stores of one index."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, cast

from ia_modules.vector_stores.errors import PoolFullError
from ia_modules.vector_stores.pooling.core import PoolCore
from ia_modules.vector_stores.pooling.guard import Guard
from ia_modules.vector_stores.pooling.lease import StandIn
from ia_modules.vector_stores.pooling.members import Connector
from ia_modules.vector_stores.pooling.opening import Closing, Opening
from ia_modules.vector_stores.pooling.settings import (
    FROM_CONFIG_SECONDS,
    FROM_CONFIG_SIZE,
    USUAL_MIN_SIZE,
    make_settings,
)
from ia_modules.vector_stores.pooling.state import PoolState, Waiter
from ia_modules.vector_stores.pooling.statistics import PoolStatistics

if TYPE_CHECKING:
    from ia_modules.vector_stores.base import VectorStoreBase
    from ia_modules.vector_stores.config import VectorStoreConfig

__all__ = ["VectorStorePool"]

S = TypeVar("S")


class VectorStorePool(Generic[S]):
    """Several connected stores of one index, lent to one task each at a time.

    What ``acquire`` returns stands in for a store until it is released: it has all its methods and passes for an
    instance of its class, and every use after the release is an error. A pool belongs to the event loop that it was
    initialized on, and may be used by any number of tasks there.

    Args:
        store_class: called with ``config`` for every store. Stores need the coroutines ``connect()`` and
            ``disconnect()``; ``ping()`` is used where they have it.
        config: handed to ``store_class``.
        max_size: most stores; left out, it is ``config.pool_size`` where the config has that.
        min_size: stores that are kept connected; left out, it is 2, or ``max_size`` if that is smaller.
        max_idle: seconds after which an unused store above ``min_size`` is closed; None for never.
        max_lifetime: seconds after which a store is replaced, for each one up to a tenth less; None for never.
        check_after: seconds of idleness after which a store is pinged before it is handed out; 0 for always, None
            for never.
        max_waiting: tasks that may wait for a store while none is on its way to them; None for any number.
        connect_timeout: seconds that connecting one store may take; None for as long as its ``connect()`` takes.
        check_timeout: seconds that a ping may take.
        disconnect_timeout: seconds that disconnecting a store may take before it is given up.
        name: for messages; left out, the store class and the index.

    Raises:
        ValueError: sizes or times that make no sense, such as ``min_size`` above ``max_size``.
    """

    def __init__(
        self,
        store_class: Callable[[Any], S],
        config: Any,
        max_size: int = FROM_CONFIG_SIZE,
        min_size: int = USUAL_MIN_SIZE,
        *,
        max_idle: float | None = 600.0,
        max_lifetime: float | None = 3600.0,
        check_after: float | None = 30.0,
        max_waiting: int | None = None,
        connect_timeout: float | None = None,
        check_timeout: float = 5.0,
        disconnect_timeout: float = 5.0,
        name: str | None = None,
    ) -> None:
        if name is None:
            parts = (getattr(store_class, "__name__", "stores"), getattr(config, "index_name", None))
            name = "/".join(part for part in parts if isinstance(part, str))
        self._settings = make_settings(
            config,
            max_size,
            min_size,
            name=name,
            max_idle=max_idle,
            max_lifetime=max_lifetime,
            check_after=check_after,
            max_waiting=max_waiting,
            connect_timeout=connect_timeout,
            check_timeout=check_timeout,
            disconnect_timeout=disconnect_timeout,
        )
        provider = getattr(store_class, "provider", None)
        self._provider = provider if isinstance(provider, str) else None
        self._core: PoolCore[S] = PoolCore(
            self._settings, Connector(store_class, config, name, connect_timeout, check_timeout, disconnect_timeout)
        )
        self._guard = Guard(self._core, self._provider)
        self._opening = Opening(self._core)
        self._closing = Closing(self._core, self._opening)

    @staticmethod
    def from_config(config: VectorStoreConfig, **settings: Any) -> VectorStorePool[VectorStoreBase]:
        """A pool of the provider that the config names, with the sizes that it says.

        Args:
            config: where the index is.
            **settings: further arguments of the constructor, such as ``min_size``.

        Raises:
            ValueError: unknown provider, or settings that make no sense.
        """
        from ia_modules.vector_stores.factory import provider_class

        return VectorStorePool(provider_class(config.provider), config, **settings)

    def __repr__(self) -> str:
        core = self._core
        return (
            f"<VectorStorePool {self.name} {core.state}, {core.size} of at most {self._settings.max_size} stores, "
            f"{len(core.leases)} in use, {len(core.waiters)} waiting>"
        )

    @property
    def name(self) -> str:
        """The pool's name in messages."""
        return self._settings.name

    @property
    def closed(self) -> bool:
        """Whether ``close()`` has begun."""
        return self._core.state in (PoolState.CLOSING, PoolState.CLOSED)

    @property
    def stale(self) -> bool:
        """Whether the pool can't be used again: it is closed, or its event loop is."""
        return self.closed or (self._core.loop is not None and self._core.loop.is_closed())

    @property
    def opened(self) -> bool:
        """Whether the pool belongs to an event loop and is not closed."""
        return self._core.state is PoolState.OPEN

    @property
    def statistics(self) -> PoolStatistics:
        """The pool as it is now, and its totals."""
        core = self._core
        return PoolStatistics.of(
            core.counters,
            size=core.size,
            idle=len(core.idle),
            in_use=len(core.leases),
            connecting=core.coming,
            closing=len(core.closing),
            waiting=len(core.waiters),
            min_size=self._settings.min_size,
            max_size=self._settings.max_size,
        )

    # Life

    async def initialize(self) -> None:
        """Connect ``min_size`` stores, all at once; calling it again does nothing.

        If one fails the others are disconnected, and it may be tried again; the same goes for a call that is
        cancelled.

        Raises:
            Exception: what the first store that failed raised; ``ConnectionError``, for example.
            PoolClosedError: the pool is closed, or was closed meanwhile.
        """
        self._guard.check_place()
        await self._opening.run()
        if self.closed:
            raise self._guard.closed()

    async def close(self, timeout: float | None = 5.0) -> None:  # noqa: ASYNC109 - what is out gets that long
        """Close the pool for good; calling it again does nothing, or waits for the end of the first call.

        Whoever waits for a store gets ``PoolClosedError``. Stores that are out are waited for, then taken away: their
        next use raises ``PoolClosedError``. Stores acquired by the task that calls ``close`` are taken away at once, as
        it can't release them meanwhile. In the end every store is disconnected.

        Args:
            timeout: seconds to wait for stores that are out; None for as long as it takes.
        """
        core = self._core
        if core.loop is not None and core.loop is not asyncio.get_running_loop():
            if not core.loop.is_closed():
                raise self._guard.elsewhere()
            core.state = PoolState.CLOSED  # what was open went with its loop
        await self._closing.run(self._settings.seconds(timeout), self._guard.closed)

    async def __aenter__(self) -> Self:
        await self.initialize()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # Stores

    async def acquire(self, timeout: float | None = FROM_CONFIG_SECONDS) -> S:  # noqa: ASYNC109 - the contract
        """Get a store: an idle one, a new one if there is room, else the next that is released.

        A pool that is not initialized begins to connect its stores with the first call.

        Args:
            timeout: seconds for all of it: waiting, connecting, checking. Left out, it is ``config.pool_timeout``
                where the config has that; None for no limit; 0 for what is idle only.

        Returns:
            A stand-in for a store, to be given to :meth:`release`.

        Raises:
            PoolTimeoutError: no store became free in time.
            PoolFullError: more than ``max_waiting`` tasks wait already.
            PoolClosedError: the pool is closed.
            Exception: what ``connect()`` raised, if a store was to be connected for this call.
        """
        core = self._core
        self._guard.check_place()
        if core.state is PoolState.NEW:
            core.state = PoolState.OPEN
        seconds = self._settings.seconds(timeout)
        if not core.waiters and (member := core.take()) is not None:
            _, stand_in = core.lease(member, asyncio.current_task())
        else:
            stand_in = await self._wait(seconds)
        core.counters.acquired += 1
        return cast("S", stand_in)

    async def _wait(self, seconds: float | None) -> StandIn:
        core, loop = self._core, self._core.running
        waiter = Waiter(loop.create_future(), loop.time())
        core.waiters[waiter] = None
        core.serve()
        core.refill()
        limit = self._settings.max_waiting
        if limit is not None and len(core.waiters) - core.expected > limit and not waiter.future.done():
            del core.waiters[waiter]
            core.counters.refused += 1
            raise PoolFullError(
                f"{limit} tasks wait for a store of the pool {self.name} already (max_waiting); raise pool_size, or "
                "release stores sooner",
                provider=self._provider,
                operation="acquire",
            )
        timer = None if seconds is None else loop.call_later(max(0.0, seconds), core.time_out, waiter)
        try:
            _, stand_in = await waiter.future
        except BaseException:
            core.forget(waiter)
            raise
        finally:
            if timer is not None:
                timer.cancel()
        core.counters.waited += 1
        core.counters.wait_ms += (loop.time() - waiter.since) * 1e3
        return stand_in

    async def release(self, store: S, *, broken: bool = False) -> None:
        """Give back a store.

        One that the pool does not keep (it is broken, past its time, or there are too many) is disconnected before this
        returns. A store that the pool took back while it closed may be released; nothing happens.

        Args:
            store: what :meth:`acquire` returned.
            broken: whether it must not be used again.

        Raises:
            VectorStoreError: a store that was released already, or is not of this pool.
        """
        await self._give_back(store, broken=broken)

    async def _give_back(self, store: object, *, broken: bool = False, check: bool = False) -> None:
        lease = self._guard.lease_of(store)
        if lease is not None and (closing := self._core.give_back(lease, broken=broken, check=check)) is not None:
            await asyncio.wait([closing])

    @asynccontextmanager
    async def connection(
        self,
        timeout: float | None = FROM_CONFIG_SECONDS,  # noqa: ASYNC109 - the contract
    ) -> AsyncIterator[S]:
        """Acquire a store for the length of an ``async with``.

        If the block ends with a ``ConnectionError`` or a ``TimeoutError`` (``OperationTimeoutError`` is one), the store
        is pinged before it is used again, and replaced if it does not answer.

        Args:
            timeout: as in :meth:`acquire`.
        """
        store = await self.acquire(timeout)
        try:
            yield store
        except BaseException as error:
            await self._give_back(store, check=_may_be_broken(error))
            raise
        else:
            await self._give_back(store)

    # Changes

    async def resize(self, *, min_size: int | None = None, max_size: int | None = None) -> None:
        """Change the sizes, up or down; None leaves one as it is.

        Stores that are too many are closed: idle ones before this returns, others when they are released.

        Raises:
            ValueError: sizes that make no sense; nothing has changed.
            PoolClosedError: the pool is closed.
        """
        core = self._core
        if core.loop is not None or self.closed:
            self._guard.check_place()
        self._settings.resize(min_size, max_size)
        if core.state is PoolState.OPEN:
            closing = core.shrink(min(len(core.idle), max(0, core.size - self._settings.max_size)))
            core.serve()
            core.tend()
            if closing:
                await asyncio.wait(closing)

    async def drain(self) -> None:
        """Replace every store: idle ones are disconnected before this returns, others when they are released.

        Raises:
            PoolClosedError: the pool is closed.
        """
        if self._core.loop is not None or self.closed:
            self._guard.check_place()
            closing = self._core.drain()
            self._core.serve()
            self._core.refill()
            if closing:
                await asyncio.wait(closing)


def _may_be_broken(error: BaseException) -> bool:
    kinds = (builtins.ConnectionError, TimeoutError)
    if isinstance(error, BaseExceptionGroup):
        return error.subgroup(kinds) is not None
    return isinstance(error, kinds)
