"""How fast the Pinecone emulator is, and how much memory it takes.

``python benchmarks/emulator.py`` fills it with 100,000 records of 384 dimensions over HTTP, asks 1,000 questions, plain
and filtered, and prints a table. The emulator runs in a process of its own, the size of which is measured; the client
competes with it for processors. ``--quick`` takes some seconds.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import httpx
import numpy as np
import orjson

_BATCH = 200


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="5,000 records of 128 dimensions, 100 queries")
    parser.add_argument("--count", type=int, help="records (100,000)")
    parser.add_argument("--dimension", type=int, help="numbers per vector (384)")
    parser.add_argument("--queries", type=int, help="queries (1,000)")
    parser.add_argument("--folder", type=Path, help="keep everything there, as --folder of the emulator does")
    given = parser.parse_args()
    given.count = given.count or (5_000 if given.quick else 100_000)
    given.dimension = given.dimension or (128 if given.quick else 384)
    given.queries = given.queries or (100 if given.quick else 1_000)
    if min(given.count, given.dimension, given.queries) < 1:
        parser.error("at least one record, dimension and query")
    return given


def _megabytes(process: int, what: str = "VmRSS") -> float:
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith(what):
            return int(line.split()[1]) / 1024
    raise LookupError(what)


def _batches(given: argparse.Namespace, random: np.random.Generator) -> Iterator[bytes]:
    for first in range(0, given.count, _BATCH):
        rows = random.standard_normal((min(_BATCH, given.count - first), given.dimension), np.float32)
        vectors = [
            {
                "id": f"record-{first + at:07}",
                "values": row,
                "metadata": {"number": first + at, "group": f"g{(first + at) % 100}", "even": (first + at) % 2 == 0},
            }
            for at, row in enumerate(rows)
        ]
        yield orjson.dumps({"vectors": vectors}, option=orjson.OPT_SERIALIZE_NUMPY)


def _asked(client: httpx.Client, given: argparse.Namespace, random: np.random.Generator, **more: object) -> float:
    """Queries per second."""
    taken = 0.0
    for _ in range(given.queries):
        vector = random.standard_normal(given.dimension, np.float32)
        body = orjson.dumps({"vector": vector, "topK": 10, **more}, option=orjson.OPT_SERIALIZE_NUMPY)
        begun = perf_counter()
        client.post("/i/bench/query", content=body).raise_for_status()
        taken += perf_counter() - begun
    return given.queries / taken


def main() -> None:
    given = _arguments()
    command = [sys.executable, "-m", "ia_modules.vector_stores.cli", "emulate", "pinecone", "--port", "0"]
    if given.folder:
        command += ["--folder", str(given.folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            url = process.stdout.readline().strip()
            with httpx.Client(base_url=url, headers={"api-key": "any"}, timeout=60) as client:
                _measure(client, process.pid, given)
        finally:
            process.terminate()


def _measure(client: httpx.Client, process: int, given: argparse.Namespace) -> None:
    schema = {"fields": {"_values": {"type": "dense_vector", "dimension": given.dimension, "metric": "cosine"}}}
    client.post("/indexes", json={"name": "bench", "schema": schema}).raise_for_status()
    random, raw = np.random.default_rng(7), given.count * given.dimension * 4 / 2**20
    empty, taken = _megabytes(process), 0.0
    for body in _batches(given, random):
        begun = perf_counter()
        client.post("/i/bench/vectors/upsert", content=body).raise_for_status()
        taken += perf_counter() - begun
    full = _megabytes(process)
    rows = [("load", f"{given.count / taken:,.0f} records/s")]
    for name, more in (
        ("query", {}),
        ("query, 1 in 2 match", {"filter": {"even": True}}),
        ("query, 1 in 100 match", {"filter": {"group": "g7"}}),
        ("query, with values and metadata", {"includeValues": True, "includeMetadata": True}),
    ):
        rows.append((name, f"{_asked(client, given, random, **more):,.0f} queries/s"))
    after, peak = _megabytes(process), _megabytes(process, "VmHWM")
    rows += [
        ("vectors alone", f"{raw:,.0f} MB"),
        ("process, empty", f"{empty:,.0f} MB"),
        ("grown after load", f"{full - empty:,.0f} MB, {(full - empty) / raw:.2f} x the vectors"),
        ("grown after queries", f"{after - empty:,.0f} MB, {(after - empty) / raw:.2f} x"),
        ("grown at most", f"{peak - empty:,.0f} MB, {(peak - empty) / raw:.2f} x"),
    ]
    print(f"{given.count:,} records of {given.dimension} dimensions, {given.queries:,} queries of each kind, top 10")
    for name, value in rows:
        print(f"  {name:32} {value}")


if __name__ == "__main__":
    main()
