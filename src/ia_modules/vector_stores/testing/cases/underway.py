"""Section 8: the event loop, and calls at the same time."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np

from ia_modules.vector_stores.base import VectorStoreBase
from ia_modules.vector_stores.filters import Condition
from ia_modules.vector_stores.tasks import together
from ia_modules.vector_stores.testing.case import Context, case, doc
from ia_modules.vector_stores.testing.cases.filters import refused
from ia_modules.vector_stores.testing.cases.identity import everything
from ia_modules.vector_stores.testing.compare import holds, same, same_document, same_documents, same_ids

__all__ = ["STALL_MS", "longest_stall"]

STALL_MS = 100.0
_TICK = 0.005
_ATTEMPTS = 6
"""A busy machine can hold up any process; only a stall that comes again every time is the provider's."""


@asynccontextmanager
async def longest_stall() -> AsyncIterator[list[float]]:
    """Watch the event loop with a task that wants its turn every 5 ms; yields the longest wait in ms, in a list."""
    longest = [0.0]

    async def tick() -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(_TICK)
            longest[0] = max(longest[0], (time.perf_counter() - before - _TICK) * 1e3)

    ticking = asyncio.create_task(tick())
    await asyncio.sleep(0)
    try:
        yield longest
    finally:
        await asyncio.sleep(2 * _TICK)
        ticking.cancel()
        await asyncio.wait([ticking])


@case("8.1")
async def the_event_loop_goes_on(ctx: Context) -> None:
    """During an upsert of 5,000 x 384 and 200 searches; the best of six attempts counts."""
    random = np.random.default_rng(19)
    rows = random.standard_normal((ctx.scale.documents, 384)).astype(np.float32)
    documents = [doc(f"d{i}", row, {"n": i, "even": i % 2 == 0}, text=f"document {i}") for i, row in enumerate(rows)]
    declared = ctx.capabilities.max_event_loop_stall_ms
    limit = STALL_MS if declared is None else declared
    stalls: list[float] = []
    for _ in range(_ATTEMPTS):
        store = await ctx.store(dimension=384)
        gc.collect()
        gc.disable()  # a collection over the kit's own documents is not the provider's doing
        try:
            async with longest_stall() as longest:
                await store.upsert(documents)
                for i in range(ctx.scale.searches):
                    node = Condition("even", "eq", True) if i % 4 == 0 else None
                    await store.search(rows[i % len(rows)], 10, None if node is None or refused(ctx, node) else node)
        finally:
            gc.enable()
        await store.delete_index()
        stalls.append(longest[0])
        if longest[0] <= min(limit, STALL_MS):
            break
    best = min(stalls)
    holds(
        best <= limit,
        f"the event loop stood still for {best:.0f} ms in each of {len(stalls)} attempts; limit {limit:g}",
    )
    if declared is not None and best > STALL_MS:
        ctx.gap(f"the engine may hold the event loop for up to {declared:g} ms")


@case("8.3")
async def many_tasks_at_once(ctx: Context) -> None:
    """Forty tasks write, read, search and delete their own documents of one store, in shared and own namespaces."""
    store = await ctx.store([doc("mark", (0, 0, 1), {"task": -1})])

    async def one(task: int) -> None:
        namespace = "" if task % 2 else f"n{task % 5}"
        mine = {f"t{task}-{i}": doc(f"t{task}-{i}", (1, task, i), {"task": task, "i": i}) for i in range(10)}
        await store.upsert(list(mine.values()), namespace, batch_size=4)
        same_documents(await store.fetch(list(mine), namespace), mine, f"task {task}: fetch")
        node = Condition("task", "eq", task)
        if not refused(ctx, node):
            same(await store.count(node, namespace), 10, f"task {task}: count")
            found = (await store.search([1, task, 0], 20, node, namespace)).results
            same_ids((result.id for result in found), mine, f"task {task}: search")
        await store.update_metadata(f"t{task}-3", {"i": "changed"}, namespace)
        await store.delete(ids=[f"t{task}-{i}" for i in range(0, 10, 2)], namespace=namespace)
        left = await store.fetch(list(mine), namespace)
        same([d.metadata["i"] for d in left], [1, "changed", 5, 7, 9], f"task {task}: what is left")

    await together(one(task) for task in range(40))
    same((await store.get_stats()).total_vectors, 1 + 40 * 5, "total_vectors after all tasks")
    same(await store.list_namespaces(), ["", "n0", "n1", "n2", "n3", "n4"], "namespaces after all tasks")


@case("8.3")
async def first_use_by_many_tasks(ctx: Context) -> None:
    """A store that is not connected yet may be used by many tasks at once, and by several stores."""
    made = await ctx.store([doc("a")])
    await made.settle()
    store, other = ctx.again(made), ctx.again(made)

    async def use(one: VectorStoreBase, i: int) -> None:
        await one.upsert([doc(f"d{i}", (1, i, 0))], namespace=f"n{i % 3}")
        same(await one.count(namespace=""), 1, "count")

    await together(use(one, i) for i in range(12) for one in (store, other))
    await store.settle()
    await other.settle()
    same((await made.get_stats()).total_vectors, 13, "total_vectors")


@case("8.3")
async def the_same_document_at_once(ctx: Context) -> None:
    """Of several writes of one document at the same time one wins, whole."""
    store = await ctx.store()
    for turn in range(8):
        versions = [
            doc("x", (1, i, turn), {f"k{i}": i, "turn": turn, "who": i}, text=f"t{i}" if i % 2 else None)
            for i in range(6)
        ]
        await asyncio.gather(*(store.upsert([version]) for version in versions))
        (found,) = await store.fetch(["x"])
        same_document(found, versions[found.metadata["who"]], "one of six writes at once")
    await store.upsert([doc("x", metadata={"kept": 1})])
    await asyncio.gather(*(store.update_metadata("x", {f"k{i}": i}) for i in range(8)))
    (found,) = await store.fetch(["x"])
    same(found.metadata, {"kept": 1} | {f"k{i}": i for i in range(8)}, "eight updates of different keys at once")


@case("8.3")
async def a_scan_while_others_write(ctx: Context) -> None:
    """What is there from start to end of a scan comes exactly once."""
    stay = {f"s{i:03}": doc(f"s{i:03}", (1, i, 0)) for i in range(120)}
    go = {f"g{i:03}": doc(f"g{i:03}", (1, 0, i)) for i in range(60)}
    store = await ctx.store([*stay.values(), *go.values()])
    seen: list[str] = []
    async for document in store.scan(batch_size=11):
        seen.append(document.id)
        if len(seen) % 15 == 0:
            step = len(seen) // 15
            await store.delete(ids=[f"g{i:03}" for i in range(step * 10, step * 10 + 10)])
            await store.upsert([doc(f"new{step}-{i}", (0, 1, i)) for i in range(5)])
            await store.upsert([stay[f"s{step:03}"]])
    same(len(seen), len(set(seen)), "distinct documents of the scan")
    holds(set(stay) <= set(seen), f"the scan missed {sorted(set(stay) - set(seen))[:9]}")
    same_ids(set(await everything(store)) & set(stay), stay, "what is there afterwards")
