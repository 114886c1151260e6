"""Migrating from an SQLite file into a store: documents per second, and the memory that the process takes at most.

``python benchmarks/migration.py --documents 200000 --store qdrant:///tmp/somewhere/articles`` makes an SQLite file with
so many vectors of 384 dimensions (float32 bytes), texts and metadata in a temporary folder, migrates it in a process of
its own, and prints one line of JSON. ``--store`` may be repeated. ``--once`` leaves out the second pass. The store
``null`` keeps nothing, so what it shows is the migration alone; embedded databases hold vectors in the same process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import AsyncExitStack, closing
from pathlib import Path

import numpy as np

_SLICE = 5000


def fill(path: Path, count: int, dimension: int) -> None:
    """Write the table that is migrated."""
    random = np.random.default_rng(1)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE embeddings (id TEXT PRIMARY KEY, embedding BLOB, text TEXT, metadata TEXT)")
        for at in range(0, count, _SLICE):
            vectors = random.standard_normal((min(_SLICE, count - at), dimension), dtype=np.float32)
            connection.executemany(
                "INSERT INTO embeddings VALUES (?, ?, ?, ?)",
                [
                    (
                        f"document-{n:08}",
                        vector.tobytes(),
                        f"Text of document {n}. " * 10,
                        json.dumps({"n": n, "p": 0.5}),
                    )
                    for n, vector in enumerate(vectors, at)
                ],
            )
            connection.commit()


def peak() -> float:
    """MiB that this process has held at most."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


class Null:
    """A target that says yes."""

    name = "null"

    async def prepare(self, info: object, namespaces: object, *, resumed: bool) -> None:
        pass

    async def write(self, documents: object, namespace: str) -> dict[str, str]:  # noqa: ARG002
        return {}

    async def finish(self) -> None:
        pass

    async def close(self) -> None:
        pass


async def migrated(database: str, url: str, checkpoint: str, *, second_pass: bool) -> None:
    from ia_modules.vector_stores import create_vector_store
    from ia_modules.vector_stores.migration import SqlSource, migrate

    async with AsyncExitStack() as stack:
        target = Null() if url == "null" else await stack.enter_async_context(await create_vector_store(url))
        before = peak()
        source = SqlSource(f"sqlite:///{database}")
        report = await migrate(source, target, batch_size=1000, checkpoint=checkpoint, second_pass=second_pass)
        assert report.complete, report.to_json()
        line = {
            "store": url.partition("?")[0],
            "documents": report.written,
            "seconds": round(report.seconds, 1),
            "per second": round(report.written / report.seconds),
            "second pass": second_pass and url != "null",
            "peak MiB": round(peak()),
            "before MiB": round(before),
        }
        print(json.dumps(line), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=200_000)
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--store", action="append", required=True, help="URL of a store without index")
    parser.add_argument("--once", action="store_true", help="no second pass")
    parser.add_argument("--database", help=argparse.SUPPRESS)  # of the process that migrates
    given = parser.parse_args()
    if given.database:
        mark = str(Path(given.database).with_suffix(".checkpoint"))
        asyncio.run(migrated(given.database, given.store[0], mark, second_pass=not given.once))
        return
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "embeddings.db"
        fill(database, given.documents, given.dimension)
        for url in given.store:
            command = [sys.executable, __file__, "--store", url, "--database", str(database)]
            subprocess.run([*command, *(["--once"] if given.once else [])], check=True)
            for left in Path(folder).glob("embeddings.checkpoint*"):
                left.unlink()


if __name__ == "__main__":
    main()
