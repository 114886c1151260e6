"""Bulk loads into a Qdrant server, ours and by hand, and searches in what was loaded."""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from statistics import median
from time import perf_counter
from typing import Any
from uuid import uuid4

import numpy as np

from bench.data import Data, documents, make_data, with_uuids
from bench.engines import compare_searches
from bench.measure import Budget, Row, ratio_row
from bench.qdrant import QdrantTarget, Server, create_collection, payload_of
from bench.report import show
from ia_modules.vector_stores import QdrantVectorStore, VectorDocument, create_vector_store

__all__ = ["measure"]

_WARM = 1_000
_RATE = Budget(0.97, 0.92, higher_is_better=True)
_PATIENCE = 600.0
_SEARCHES = 200


@dataclass(frozen=True, slots=True)
class _Load:
    """What is loaded, in the forms that both sides want, and how.

    ``parallel`` is how many batches ours writes at the same time.
    """

    data: Data
    documents: list[VectorDocument]
    payloads: list[dict[str, Any]]
    size: int
    parallel: int

    def first(self, count: int) -> _Load:
        data = self.data
        some = Data(data.ids[:count], data.vectors[:count], data.metadatas[:count], data.texts[:count], data.queries)
        return replace(self, data=some, documents=self.documents[:count], payloads=self.payloads[:count])


_Contestant = Callable[[_Load, Server, str], Awaitable[float]]
"""Loads into a collection that is not there yet; returns the seconds, connecting and creating excluded."""


async def _ours(load: _Load, server: Server, name: str, *, grpc: bool) -> float:
    config = server.config(name, load.data.dimension, grpc=grpc)
    async with await create_vector_store(config, create_if_missing=True) as store:
        began = perf_counter()
        await store.upsert(load.documents, batch_size=load.size)
        return perf_counter() - began


async def _batches(load: _Load, server: Server, name: str, *, grpc: bool) -> float:
    """The asynchronous client, with as many batches at a time as ours."""
    client = server.client(grpc=grpc)
    make = _points if grpc else _batch
    starts = iter(range(0, len(load.data), load.size))

    async def work() -> None:
        for start in starts:
            await client.upsert(name, make(load, slice(start, start + load.size)), wait=True)

    try:
        await create_collection(client, name, load.data.dimension)
        began = perf_counter()
        await asyncio.gather(*(work() for _ in range(load.parallel)))
        return perf_counter() - began
    finally:
        await client.close()


def _points(load: _Load, part: slice) -> Any:
    from qdrant_client import models

    columns = zip(load.data.ids[part], load.data.vectors[part].tolist(), load.payloads[part], strict=True)
    return [models.PointStruct(id=i, vector=vector, payload=payload) for i, vector, payload in columns]


def _batch(load: _Load, part: slice) -> Any:
    from qdrant_client import models

    vectors = load.data.vectors[part].tolist()
    return models.Batch(ids=load.data.ids[part], vectors=vectors, payloads=load.payloads[part])


async def _upload(load: _Load, server: Server, name: str, *, parallel: int, wait: bool) -> float:
    """The client's own uploader.

    By itself it does not wait for the server, so the time goes on until all can be found.
    """
    client = server.blocking_client(grpc=True)
    try:
        create_collection(client, name, load.data.dimension)
        began = perf_counter()
        client.upload_collection(
            name,
            vectors=load.data.vectors,
            payload=load.payloads,
            ids=load.data.ids,
            batch_size=load.size,
            parallel=parallel,
            wait=wait,
        )
        while not wait and client.count(name, exact=True).count < len(load.data):
            if perf_counter() - began > _PATIENCE:
                raise RuntimeError(f"documents are missing after {_PATIENCE:.0f} s")
            time.sleep(0.005)  # noqa: ASYNC251 - nothing else runs meanwhile
        return perf_counter() - began
    finally:
        client.close()


_OURS: dict[str, _Contestant] = {
    "ours, REST": partial(_ours, grpc=False),
    "ours, gRPC": partial(_ours, grpc=True),
}
_RAW: dict[str, _Contestant] = {
    "raw async, REST, Batch": partial(_batches, grpc=False),
    "raw async, gRPC, PointStruct": partial(_batches, grpc=True),
    "raw uploader, gRPC, wait": partial(_upload, parallel=1, wait=True),
    "raw uploader, gRPC, 2 processes, wait": partial(_upload, parallel=2, wait=True),
    "raw uploader, gRPC": partial(_upload, parallel=1, wait=False),
    "raw uploader, gRPC, 2 processes": partial(_upload, parallel=2, wait=False),
}


async def measure(server: Server, given: argparse.Namespace) -> None:
    """Print what the loads and the searches took."""
    prefix = f"bench-bulk-{uuid4().hex[:8]}"
    load = _prepared(given, _parallel(server))
    print(
        f"{given.count:,} documents of {given.dimension} dimensions, {given.batch_size} per request, {given.rounds} "
        f"rounds, Qdrant {server.version()}",
        end="\n\n",
        flush=True,
    )
    try:
        taken = await _turns(load, server, prefix, given.rounds, given.pause)
        print(show(_rates(taken, len(load.data))), end="\n\n", flush=True)
        rows = await _searches(load, prefix, given)
    finally:
        server.clean(prefix)
    print(show(rows))


def _parallel(server: Server) -> int:
    return QdrantVectorStore(server.config("bench", 1, grpc=True)).capabilities.parallel_batches


def _prepared(given: argparse.Namespace, parallel: int) -> _Load:
    data = with_uuids(make_data(given.count, given.dimension))
    if given.unit:
        data.vectors[:] = data.vectors / np.linalg.norm(data.vectors, axis=1, keepdims=True)
    payloads = [payload_of(data, i) for i in range(len(data))]
    load = _Load(data, documents(data, 0, len(data)), payloads, given.batch_size, parallel)
    # All of it is there for the whole run; looking through it again and again is nobody's work.
    gc.collect()
    gc.freeze()
    return load


async def _turns(load: _Load, server: Server, prefix: str, rounds: int, pause: float) -> dict[str, list[float]]:
    """Seconds of each contestant, by rounds; who begins rotates."""
    contestants = {**_OURS, **_RAW}
    names = list(contestants)
    few = load.first(_WARM)
    for contestant in contestants.values():
        await _once(contestant, few, server, prefix)
    taken: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        first = number * len(names) // rounds
        for name in names[first:] + names[:first]:
            gc.collect()
            await asyncio.sleep(pause)  # a deleted collection's optimizer needs a moment to stop
            seconds = await _once(contestants[name], load, server, prefix)
            taken[name].append(seconds)
            print(f"round {number + 1}: {name}: {seconds:.1f} s", file=sys.stderr, flush=True)
    return taken


async def _once(contestant: _Contestant, load: _Load, server: Server, prefix: str) -> float:
    """One load into a collection of its own, which is gone afterwards, so that no index is built behind the next."""
    name = f"{prefix}-{uuid4().hex[:8]}"
    try:
        seconds = await contestant(load, server, name)
        client = server.client(grpc=False)
        try:
            there = (await client.count(name, exact=True)).count
        finally:
            await client.close()
        if there != len(load.data):
            raise RuntimeError(f"{there:,} documents of {len(load.data):,} have arrived")
        return seconds
    finally:
        server.clean(name)


def _rates(taken: Mapping[str, list[float]], count: int) -> list[Row]:
    """What everybody reached, and how ours compares with the best of the others."""
    rows = []
    for name, seconds in taken.items():
        rates = [count / each for each in seconds]
        row = Row("load", name, median(rates), "docs/s", None, "", (min(rates), max(rates)))
        row.detail = f"{median(seconds) / count * 1e6:.1f} µs per document"
        rows.append(row)
    asking = [name for name in _RAW if "uploader" not in name or "wait" in name]
    for what, among in (("the best raw", list(_RAW)), ("the best raw that waits", asking)):
        best = min(among, key=lambda name: median(taken[name]))
        for name in _OURS:
            ratios = [its / mine for mine, its in zip(taken[name], taken[best], strict=True)]
            rows.append(ratio_row("load", f"{name}, against {what}", ratios, _RATE, best))
    return rows


async def _searches(load: _Load, prefix: str, given: argparse.Namespace) -> list[Row]:
    """REST against REST and gRPC against gRPC, in one collection of each side."""
    rest, grpc = (QdrantTarget(f"qdrant-{name}", f"{prefix}-search") for name in ("rest", "grpc"))
    ours, raw = await grpc.ours(load.data, "loaded"), await grpc.raw(load.data, "loaded")
    await ours.store.upsert(load.documents)
    await raw.write(load.data, 0, len(load.data))
    print("waiting for the indexes", file=sys.stderr, flush=True)
    await grpc.settle()
    rows = []
    for target in (rest, grpc):
        mine, its = await target.ours(load.data, "loaded"), await target.raw(load.data, "loaded")
        count = 60 if given.quick else _SEARCHES
        rows += await compare_searches(target, mine, its, load.data, given.rounds, count)
        await mine.store.disconnect()
    await ours.drop()
    await raw.drop()
    return rows
