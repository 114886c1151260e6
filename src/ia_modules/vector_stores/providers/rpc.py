"""What gRPC needs to get over failures, whatever database is behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Final, TypeVar

__all__ = ["CHANNEL_OPTIONS", "without_frames"]

T = TypeVar("T")

CHANNEL_OPTIONS: Final = {"grpc.initial_reconnect_backoff_ms": 100, "grpc.max_reconnect_backoff_ms": 2_000}
"""How long a channel that could not connect refuses calls before it tries again, at first and at most.

gRPC's own are one second and two minutes: after an outage of half a minute, a store stayed useless for another quarter.
"""


async def without_frames(call: Awaitable[T]) -> T:
    """Await a call of gRPC; what it raises comes without the frames that it has passed.

    They hold the call, and a call holds its connection, closed channel or not. An exception and the frames that it
    passes on its further way often hold each other, so the connection would stay open until garbage is collected.
    """
    try:
        return await call
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - it is raised again
        del call  # this frame holds it, too
        raise error.with_traceback(None)  # noqa: B904 - it is the same one
