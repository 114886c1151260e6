"""Waiting until Pinecone's index has caught up with what was written.

A write is answered with its position in the namespace's log, a query with the position up to which the index has come
("Check data freshness" in Pinecone's documentation). Reads of other kinds carry none, so before one of them a query is
made, if there is anything to wait for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

__all__ = ["Freshness"]

logger = logging.getLogger("ia_modules.vector_stores")

_WRITTEN = ("x-pinecone-request-lsn", "x-pinecone-lsn-committed")
_INDEXED = ("x-pinecone-max-indexed-lsn", "x-pinecone-lsn-reconciled")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.01, 0.5


class Freshness:
    """What one store has written, and whether it can be read yet.

    Args:
        wait: seconds to wait at most for one write; 0 for not at all.
    """

    def __init__(self, wait: float) -> None:
        self._wait = wait
        self._pending: dict[str, int] = {}
        self._patience: dict[str, float] = {}
        self._told = False
        self._hopeless = False

    def forget(self) -> None:
        """The index is another one, or may be."""
        self._pending.clear()
        self._patience.clear()

    @property
    def unsettled(self) -> list[str]:
        """Namespaces that have something to wait for."""
        return list(self._pending)

    def written(self, namespace: str, headers: Mapping[str, str]) -> None:
        """Take note of the answer to a write."""
        position = _position(headers, _WRITTEN)
        if position is None or not self._wait:
            return
        if position > self._pending.get(namespace, -1):
            self._pending[namespace] = position
            self._patience[namespace] = asyncio.get_running_loop().time() + self._wait

    async def until_fresh(self, namespace: str, ask: Callable[[], Awaitable[Mapping[str, str]]]) -> None:
        """Ask until the answer knows all that had been written before.

        Each caller waits for itself: that another one's answer was fresh says nothing about an answer that is older.

        Args:
            namespace: the namespace.
            ask: makes a query in it and gives the headers of the answer.
        """
        wanted = self._pending.get(namespace)
        if wanted is None:
            return
        end = self._patience[namespace]
        pause = _FIRST_PAUSE
        while not self._is_enough(wanted, _position(await ask(), _INDEXED), end):
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE, pause * 1.5)
        if self._pending.get(namespace) == wanted:  # else more was written meanwhile
            del self._pending[namespace], self._patience[namespace]

    def _is_enough(self, wanted: int, reached: int | None, end: float) -> bool:
        self._told = self._told or reached is not None
        if reached is not None and reached >= wanted:
            return True
        if reached is None and self._hopeless:
            return True
        if asyncio.get_running_loop().time() < end:
            return False
        self._hopeless = not self._told  # a service that has never told its position won't do so the next time
        logger.warning("pinecone: what was written is not indexed after %g s; reading all the same", self._wait)
        return True


def _position(headers: Mapping[str, str], names: tuple[str, ...]) -> int | None:
    for name in names:
        try:
            return int(headers[name])
        except (KeyError, ValueError):
            continue
    return None
