"""Whether a pool may be used as it is: open, on its own event loop, with stores that are its own."""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

from ia_modules.vector_stores.errors import PoolClosedError, VectorStoreError
from ia_modules.vector_stores.pooling.core import PoolCore
from ia_modules.vector_stores.pooling.lease import Lease, StandIn
from ia_modules.vector_stores.pooling.state import PoolState

__all__ = ["Guard"]

S = TypeVar("S")


class Guard(Generic[S]):
    """Tells misuse of one pool."""

    def __init__(self, core: PoolCore[S], provider: str | None) -> None:
        self._core = core
        self._provider = provider

    def check_place(self) -> None:
        """The pool must be open, and on its own event loop, which the first call decides.

        Raises:
            PoolClosedError: it is closed.
            VectorStoreError: another event loop runs.
        """
        core = self._core
        if core.state in (PoolState.CLOSING, PoolState.CLOSED):
            raise self.closed()
        loop = asyncio.get_running_loop()
        if core.loop is not loop:
            if core.loop is not None:
                raise self.elsewhere()
            core.loop = loop

    def lease_of(self, store: object) -> Lease[S] | None:
        """The lease of a stand-in; None if the pool has ended it by itself.

        Raises:
            VectorStoreError: it is none of this pool, or was released already.
        """
        core = self._core
        lease = store._pool_lease if isinstance(store, StandIn) else None  # noqa: SLF001 - ours
        if lease is None or lease.pool is not core:
            raise VectorStoreError(
                f"this {type(store).__name__} is not a store that the pool {core.name} handed out",
                provider=self._provider,
                operation="release",
            )
        if lease.member is None:
            if lease.revoked:
                return None
            raise VectorStoreError(
                f"this store was released to the pool {core.name} already",
                provider=self._provider,
                operation="release",
            )
        if core.loop is not asyncio.get_running_loop():
            raise self.elsewhere()
        return lease

    def closed(self) -> PoolClosedError:
        """The error for a use after ``close()``."""
        return PoolClosedError(f"the pool {self._core.name} is closed; make a new one", provider=self._provider)

    def elsewhere(self) -> VectorStoreError:
        """The error for a use on another event loop."""
        gone = self._core.loop is not None and self._core.loop.is_closed()
        return VectorStoreError(
            f"the pool {self._core.name} belongs to another event loop{', which is closed' if gone else ''}; make one "
            "pool for each loop",
            provider=self._provider,
        )
