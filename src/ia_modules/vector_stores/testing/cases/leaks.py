"""Section 8: what is left after disconnect."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import warnings
from pathlib import Path

from ia_modules.vector_stores.errors import IndexAlreadyExistsError, IndexNotFoundError, VectorStoreError
from ia_modules.vector_stores.testing.case import Context, case, doc
from ia_modules.vector_stores.testing.compare import holds, raises
from ia_modules.vector_stores.testing.faults import failing

__all__: list[str] = []

_CYCLES = 6
_SLACK = 2
"""Files that other parts of the process may open meanwhile; a leak grows with every cycle."""


def open_files() -> int | None:
    """Files and sockets that this process has open, or None where the system does not show it."""
    for folder in ("/proc/self/fd", "/dev/fd"):
        if Path(folder).is_dir():
            return len(os.listdir(folder))  # noqa: PTH208 - the entries are not files to look at
    return None


def tasks() -> set[asyncio.Task[object]]:
    """Tasks of this event loop but the one that asks."""
    return asyncio.all_tasks() - {asyncio.current_task()}


async def _cycle(ctx: Context, index_name: str) -> None:
    """A store's life: used, failed on, cancelled in, and disconnected."""
    store = ctx.target.store(index_name, max_retries=0)
    try:
        await store.upsert([doc(f"d{i}", (1, i, 0)) for i in range(30)], namespace="n", batch_size=10)
        await asyncio.gather(*(store.search([1, 0, 0], namespace="n") for _ in range(20)))
        await raises(store.create_index(3, ctx.metric()), IndexAlreadyExistsError, "create_index")
        with failing(store, "_count", RuntimeError("x")):
            await raises(store.count(), VectorStoreError, "a call that fails")
        cancelled = [asyncio.ensure_future(store.search([1, 0, 0], namespace="n")) for _ in range(5)]
        await asyncio.sleep(0)
        for one in cancelled:
            one.cancel()
        await asyncio.wait(cancelled)
        scan = store.scan("n", batch_size=5)
        await anext(scan)
        await scan.aclose()  # type: ignore[attr-defined]
    finally:
        await store.disconnect()


@case("8.2")
async def nothing_is_left_open(ctx: Context) -> None:
    """Stores come and go; tasks, threads, files and sockets don't add up, and nothing warns of being left open."""
    made = await ctx.store()
    index = made.config.index_name
    await made.disconnect()  # a store that stays open may share its connections with those that come and go
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        await _cycle(ctx, index)  # what is made once, such as a thread pool of the event loop, is made now
        await _cycle(ctx, index)
        gc.collect()
        before = tasks(), threading.active_count(), open_files()
        for _ in range(_CYCLES):
            await _cycle(ctx, index)
        gc.collect()
        await asyncio.sleep(0.05)
        left = tasks() - before[0]
        holds(not left, f"tasks are left: {[one.get_name() for one in left]}")
        threads = threading.active_count()
        holds(threads <= before[1] + _SLACK, f"{threads - before[1]} threads are left after {_CYCLES} cycles")
        files = open_files()
        if files is not None and before[2] is not None:
            holds(files <= before[2] + _SLACK, f"{files - before[2]} files or sockets are left after {_CYCLES} cycles")
    leaks = [str(one.message) for one in warned if issubclass(one.category, ResourceWarning)]
    holds(not leaks, f"warnings of what was left open: {leaks[:3]}")


@case("8.2")
async def a_connection_that_fails_leaves_nothing(ctx: Context) -> None:
    """A store whose connection fails half way, or whose index is not there, can be dropped without a trace."""
    missing = ctx.open().config.index_name

    async def cycle() -> None:
        store = ctx.target.store(missing, max_retries=0)
        with failing(store, "_open", RuntimeError("refused")):
            await raises(store.connect(), VectorStoreError, "connect")
        await raises(store.search([1, 0, 0]), IndexNotFoundError, "search")
        await store.disconnect()

    await cycle()
    gc.collect()
    before = tasks(), open_files()
    for _ in range(_CYCLES):
        await cycle()
    gc.collect()
    holds(not tasks() - before[0], "tasks are left")
    files = open_files()
    if files is not None and before[1] is not None:
        holds(files <= before[1] + _SLACK, f"{files - before[1]} files or sockets are left after {_CYCLES} failures")
