"""Peak memory of a bulk upsert, each in a process of its own; ``python -m bench.peak`` is that process."""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import subprocess
import sys
from pathlib import Path
from statistics import median

from bench.contestants import Ours
from bench.data import Data, documents, make_data, stream, with_uuids
from bench.layer import child_environment
from bench.measure import Budget, Row, ratio_row
from bench.null import null_store
from bench.pinecone import PINECONE
from bench.qdrant import QDRANT
from bench.targets import CHROMA, Target, open_target
from bench.weaviate import WEAVIATE

__all__ = ["peaks", "streaming"]

_SLICE = 1000
_LEAST = 10


def _peak() -> float:
    """MiB that this process has held at most so far."""
    status = Path("/proc/self/status")
    if status.exists():
        # Linux carries ru_maxrss over from the process that started this one, which is much larger.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


async def _child(target_name: str, way: str, count: int, dimension: int) -> float:
    """MiB by which a bulk upsert, its input included, raises the peak of a process that is warm."""
    small = make_data(200, dimension, 1)
    if target_name == "null":
        ours = Ours(await null_store(dimension))
        await ours.write(small, 0, len(small))
        before = _peak()
        for part in stream(count, dimension, _SLICE):
            await ours.store.upsert(part)
        return _peak() - before
    with open_target(target_name) as target:
        small = _fitting(target, small)
        warm = await (target.raw if way == "raw" else target.ours)(small, "warm")
        await warm.write(small, 0, len(small))
        before = _peak()
        if way == "raw":
            raw = await target.raw(small, "full")
            data = _fitting(target, make_data(count, dimension, 1))
            await raw.write(data, 0, count)
            return _peak() - before
        ours = await target.ours(small, "full")
        if way == "list":
            # What the matrix takes is the raw client's input, not ours: it goes as soon as the list is there.
            data = _fitting(target, make_data(count, dimension, 1))
            given = documents(data, 0, count)
            del data
            gc.collect()
            await ours.store.upsert(given)
        else:
            for part in stream(count, dimension, _SLICE):
                await ours.store.upsert(part)
        return _peak() - before


def _fitting(target: Target, data: Data) -> Data:
    return with_uuids(data) if target.uuids else data


def _run(target_name: str, way: str, count: int, dimension: int) -> float:
    done = subprocess.run(
        [sys.executable, "-m", "bench.peak", target_name, way, str(count), str(dimension)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env=child_environment(),
    )
    return float(json.loads(done.stdout.splitlines()[-1]))


def peaks(target_name: str, count: int, dimension: int, rounds: int = 1) -> list[Row]:
    """A bulk upsert against the raw client; the server's own memory is not counted. One round does: this is steady."""
    if target_name not in (*CHROMA, *QDRANT, *WEAVIATE, *PINECONE):
        return []
    taken: dict[str, list[float]] = {"raw": [], "list": [], "stream": []}
    for _ in range(rounds):
        for way, values in taken.items():
            values.append(_run(target_name, way, count, dimension))
    raw = median(taken["raw"])
    if min(taken["raw"]) < _LEAST:
        return []  # so little is lost among what the imports have left free
    rows = []
    for way, what in (("list", "peak memory, from a list"), ("stream", f"peak memory, slices of {_SLICE:,}")):
        ratios = [mine / its for mine, its in zip(taken[way], taken["raw"], strict=True)]
        detail = f"{median(taken[way]):.0f} MiB, raw {raw:.0f} MiB"
        rows.append(ratio_row(target_name, what, ratios, Budget(1.10), detail))
    return rows


def streaming(count: int, dimension: int) -> Row:
    """Whether the layer holds on to anything while documents stream through it."""
    less, more = _run("null", "stream", count, dimension), _run("null", "stream", 5 * count, dimension)
    return Row(
        "null",
        "growth, memory while streaming",
        more - less,
        "MiB",
        Budget(5),  # a slice or so more is a matter of when the interpreter lets go
        f"peak +{less:.1f} MiB with {count:,} documents, +{more:.1f} MiB with {5 * count:,}",
    )


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_child(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))))
