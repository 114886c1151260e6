"""The stores of a pool, and what is done with one: connect, check, disconnect."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from ia_modules.vector_stores.budget import RetryBudget
from ia_modules.vector_stores.errors import ConnectionError, OperationTimeoutError, VectorStoreError
from ia_modules.vector_stores.tasks import is_being_cancelled

__all__ = ["Connector", "Member", "described"]

logger = logging.getLogger("ia_modules.vector_stores")

S = TypeVar("S")


class Member(Generic[S]):
    """One connected store.

    Attributes:
        store: the store.
        generation: how often the pool had been drained when it began to connect.
        expires_at: when it is to be replaced, in the loop's time.
        idle_since: when it was last put aside, in the loop's time.
    """

    __slots__ = ("expires_at", "generation", "idle_since", "store")

    def __init__(self, store: S, generation: int, expires_at: float) -> None:
        self.store = store
        self.generation = generation
        self.expires_at = expires_at
        self.idle_since = 0.0


class Connector(Generic[S]):
    """Makes the stores of one pool. They share one retry budget, as they have one database.

    Args:
        make: called with the config for each store.
        config: where the index is.
        pool: name for messages.
        connect_timeout: seconds for each connect, or None.
        check_timeout: seconds for each ping.
        disconnect_timeout: seconds for each disconnect.
    """

    def __init__(
        self,
        make: Callable[[Any], S],
        config: Any,
        pool: str,
        connect_timeout: float | None,
        check_timeout: float,
        disconnect_timeout: float,
    ) -> None:
        self._make = make
        self._config = config
        self._pool = pool
        self._connect_timeout = connect_timeout
        self._check_timeout = check_timeout
        self._disconnect_timeout = disconnect_timeout
        self._budget = RetryBudget()

    async def connect(self) -> S:
        """Make a store and connect it; one that does not connect is disconnected again.

        Raises:
            Exception: what its constructor or ``connect()`` raises.
            OperationTimeoutError: it took longer than ``connect_timeout``.
        """
        store: Any = self._make(self._config)
        share = getattr(store, "share_retry_budget", None)
        if share is not None:
            share(self._budget)
        limit = asyncio.timeout(self._connect_timeout)
        try:
            async with limit:
                await store.connect()
        except BaseException as error:
            await self._disconnect(store, "that did not connect")
            if isinstance(error, TimeoutError) and limit.expired():
                raise OperationTimeoutError(
                    f"not connected within {self._connect_timeout:g} s (connect_timeout of the pool)",
                    provider=getattr(store, "provider", None),
                    operation="connect",
                ) from error
            if isinstance(error, asyncio.CancelledError) and not is_being_cancelled():
                raise ConnectionError("connect() was cancelled from within", operation="connect") from error
            raise
        connected: S = store
        return connected

    async def check(self, store: Any) -> bool:
        """Whether the store answers a ping in time."""
        try:
            async with asyncio.timeout(self._check_timeout):
                await store.ping()
        except asyncio.CancelledError:
            if is_being_cancelled():
                raise
            return False
        except Exception as error:  # noqa: BLE001 - the store is replaced, whatever it was
            logger.info("pool %s: a store failed its check: %s", self._pool, described(error))
            return False
        return True

    async def disconnect(self, store: Any) -> bool:
        """Disconnect a store; whether that went well. It never raises, and always ends."""
        return await self._disconnect(store, "that is no longer needed")

    async def _disconnect(self, store: Any, which: str) -> bool:
        try:
            async with asyncio.timeout(self._disconnect_timeout):
                await store.disconnect()
        except asyncio.CancelledError:
            if is_being_cancelled():
                raise
            return False
        except Exception as error:  # noqa: BLE001 - the store is given up, whatever it was
            logger.warning("pool %s: a store %s failed to disconnect: %s", self._pool, which, described(error))
            return False
        return True


def described(error: BaseException) -> str:
    """An error for the log. Only messages of ours are known to hold no secret."""
    return f"{type(error).__name__}: {error}" if isinstance(error, VectorStoreError) else type(error).__name__
