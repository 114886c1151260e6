"""Where the members of a pool are, and who waits for them."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from enum import StrEnum
from typing import Any, Generic, TypeVar

from ia_modules.vector_stores.pooling.lease import Lease, StandIn
from ia_modules.vector_stores.pooling.members import Connector, Member
from ia_modules.vector_stores.pooling.settings import PoolSettings
from ia_modules.vector_stores.pooling.statistics import Counters

__all__ = ["PoolMembers", "PoolState", "Waiter"]

S = TypeVar("S")


class PoolState(StrEnum):
    """Where a pool is in its life."""

    NEW = "new"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


class Waiter:
    """A task in the queue."""

    __slots__ = ("future", "since", "task")

    def __init__(self, future: asyncio.Future[tuple[Lease[Any], StandIn]], since: float) -> None:
        self.future = future
        self.since = since
        self.task = asyncio.current_task()


class PoolMembers(Generic[S]):
    """The members of one pool and those who wait for them, as they are now.

    Attributes:
        idle: by how long they have been idle, the longest first; the last one is handed out first.
        leases: what is out.
        connecting, checking, closing: tasks of the pool; checks with their member.
        given_up: those connects that were cancelled and have not ended yet.
        waiters: first come, first served.
        generation: how often the pool was drained.
        changed: set whenever a member has left; ``close`` waits for that.
        opening: whether the first members are being connected, so that nothing else is to refill the pool.
    """

    def __init__(self, settings: PoolSettings, connector: Connector[S]) -> None:
        self.settings = settings
        self.connector = connector
        self.counters = Counters()
        self.state = PoolState.NEW
        self.loop: asyncio.AbstractEventLoop | None = None
        self.idle: list[Member[S]] = []
        self.leases: set[Lease[S]] = set()
        self.connecting: dict[asyncio.Task[S], int] = {}
        self.checking: dict[asyncio.Task[bool], Member[S]] = {}
        self.given_up: set[asyncio.Task[S]] = set()
        self.closing: set[asyncio.Task[bool]] = set()
        self.waiters: OrderedDict[Waiter, None] = OrderedDict()
        self.generation = 0
        self.changed = asyncio.Event()
        self.opening = False

    @property
    def running(self) -> asyncio.AbstractEventLoop:
        """The loop that the pool belongs to."""
        assert self.loop is not None
        return self.loop

    @property
    def coming(self) -> int:
        """Members that are being connected or checked."""
        return len(self.connecting) + len(self.checking)

    @property
    def expected(self) -> int:
        """Those of them that whoever waits may count on."""
        return self.coming - len(self.given_up)

    @property
    def size(self) -> int:
        """Members, those being connected included."""
        return len(self.idle) + len(self.leases) + self.coming

    @property
    def tasks(self) -> set[asyncio.Task[Any]]:
        """What the pool is doing with its members now."""
        return {*self.connecting, *self.checking, *self.closing}

    @property
    def name(self) -> str:
        """For messages."""
        return self.settings.name

    @property
    def room(self) -> bool:
        """Whether one more may be connected; what is being disconnected still takes up room."""
        return self.size + len(self.closing) < self.settings.max_size
