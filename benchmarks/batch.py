"""What ``BatchProcessor`` costs and holds.

``python benchmarks/batch.py`` streams 10,000, 100,000 and 1,000,000 documents into a store that swallows them, each in
a process of its own, and prints by how much the peak of its memory rises; then it compares with a plain loop of
``store.upsert``, on a store that does nothing, on the memory provider, and on a store that answers after ten
milliseconds. ``--quick`` takes a few seconds.

Timings on shared machines drift, so both take turns on the same documents, and a figure is the median of the ratios of
several rounds; where nothing is waited for, it is processor time.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import resource
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np

from bench.data import documents, make_data
from bench.null import NullStore, null_store
from ia_modules.vector_stores import BatchProcessor, MemoryVectorStore, VectorDocument, VectorStoreConfig

_BATCH = 100
_WARM_UP = 5_000


def _stream(count: int, dimension: int) -> Iterator[VectorDocument]:
    """Documents that exist nowhere else."""
    rng = np.random.default_rng(7)
    for start in range(0, count, 1000):
        rows = rng.standard_normal((min(1000, count - start), dimension), dtype=np.float32)
        for i, row in enumerate(rows, start):
            yield VectorDocument(id=f"doc-{i}", vector=row, metadata={"n": i}, text=f"passage {i}")


def _peak() -> float:
    """MiB of memory that this process had at most."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


async def _child(count: int, dimension: int) -> dict[str, float]:
    store = await null_store(dimension)
    processor = BatchProcessor(store, batch_size=_BATCH)
    await processor.upsert_large_dataset(_stream(_WARM_UP, dimension))
    before, began = _peak(), perf_counter()
    result = await processor.upsert_large_dataset(_stream(count, dimension))
    assert result["upserted"] == count
    return {"grown": _peak() - before, "seconds": perf_counter() - began}


def memory(counts: Sequence[int], dimension: int) -> None:
    print(f"Memory while streaming, {dimension} dimensions, batches of {_BATCH}")
    print("| documents | peak above that of 5,000 | documents as numbers alone | seconds |")
    print("| ---: | ---: | ---: | ---: |")
    for count in counts:
        command = [sys.executable, str(Path(__file__)), "--child", str(count), "--dimension", str(dimension)]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        whole = count * dimension * 4 / 2**20
        print(f"| {count:,} | {found['grown']:.1f} MiB | {whole:,.0f} MiB | {found['seconds']:.1f} |")


class _Distant(NullStore):
    """Answers after ten milliseconds."""

    async def _upsert(self, batch: Any, namespace: str) -> None:  # noqa: ARG002
        await asyncio.sleep(0.01)


async def _memory_store(dimension: int) -> MemoryVectorStore:
    store = MemoryVectorStore(VectorStoreConfig(provider="memory", index_name="bench", dimension=dimension))
    await store.create_index(dimension)
    return store


async def _distant_store(dimension: int) -> NullStore:
    return _Distant(VectorStoreConfig(provider="null", index_name="bench", dimension=dimension), [])


async def throughput(count: int, dimension: int, rounds: int) -> None:
    given = documents(make_data(count, dimension, 1), 0, count)

    async def plain(store: Any) -> None:
        for start in range(0, count, _BATCH):
            await store.upsert(given[start : start + _BATCH])

    async def ours(store: Any) -> None:
        await BatchProcessor(store, batch_size=_BATCH).upsert_large_dataset(given)

    makers: dict[str, tuple[Callable[[int], Awaitable[Any]], Callable[[], float]]] = {
        "nothing but the layer": (null_store, process_time),
        "memory": (_memory_store, process_time),
        "ten milliseconds away": (_distant_store, perf_counter),
    }
    what = f"{count:,} documents, {dimension} dimensions, batches of {_BATCH}, 5 at a time"
    print(f"\nTime against a loop of upsert, {what}")
    print("| store | ratio | loop, µs per document | BatchProcessor, µs per document |")
    print("| --- | ---: | ---: | ---: |")
    for name, (make, clock) in makers.items():
        taken: dict[str, list[float]] = {"plain": [], "ours": []}
        for number in range(rounds + 1):
            ways: list[tuple[str, Callable[[Any], Awaitable[None]]]] = [("plain", plain), ("ours", ours)]
            for way, write in ways if number % 2 else ways[::-1]:
                store = await make(dimension)
                gc.collect()
                began = clock()
                await write(store)
                if number:  # the first one warms up
                    taken[way].append((clock() - began) / count * 1e6)
                await store.disconnect()
        ratios = [mine / its for mine, its in zip(taken["ours"], taken["plain"], strict=True)]
        spread = f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        print(f"| {name} | {spread} | {median(taken['plain']):.2f} | {median(taken['ours']):.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the documents")
    parser.add_argument("--dimension", type=int, default=384, help="numbers per vector (384)")
    parser.add_argument("--rounds", type=int, default=7, help="rounds (7)")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child is not None:
        print(json.dumps(asyncio.run(_child(given.child, given.dimension))))
        return
    counts = (10_000, 100_000) if given.quick else (10_000, 100_000, 1_000_000)
    memory(counts, given.dimension)
    asyncio.run(throughput(2_000 if given.quick else 20_000, given.dimension, given.rounds))


if __name__ == "__main__":
    main()
