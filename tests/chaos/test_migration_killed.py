"""A migration is killed again and again, while its source changes; in the end the target is what the source is."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from killed_migration import config_of, source_of

from ia_modules.vector_stores.factory import provider_class
from ia_modules.vector_stores.migration import migrate
from migrating import assert_same, contents, memory_store
from processes import environment

SEED = int(os.environ.get("IA_CHAOS_SEED", "20"))
DOCUMENTS = 1600
KILLS = 10
DIMENSION = 16
TENANTS = ("", "a/b", "ü")
_HERE = Path(__file__).parent


def write(database: Path, rows: list[int], version: int) -> None:
    """Write rows of a version, replacing those that are there."""
    made = np.random.default_rng([SEED, version]).standard_normal((len(rows), DIMENSION), dtype=np.float32)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS documents "
            "(name TEXT PRIMARY KEY, tenant TEXT NOT NULL, embedding BLOB NOT NULL, text TEXT, metadata TEXT)"
        )
        connection.executemany(
            "INSERT OR REPLACE INTO documents VALUES (?, ?, ?, ?, ?)",
            [
                (
                    f"document {row:05} é",
                    TENANTS[row % len(TENANTS)],
                    vector.tobytes(),
                    None if row % 7 == 0 else f"text {row} {version}",
                    json.dumps({"row": row, "half": row / 2, "version": version, "tags": [row % 3, None]}),
                )
                for row, vector in zip(rows, made, strict=True)
            ],
        )


def delete(database: Path, rows: list[int]) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.executemany("DELETE FROM documents WHERE name = ?", [(f"document {row:05} é",) for row in rows])


class Runner:
    """Starts processes that migrate, and kills them."""

    def __init__(self, provider: str, folder: Path) -> None:
        paths = [_HERE.parents[1] / "src", _HERE.parent, _HERE]
        command = [sys.executable, str(_HERE / "killed_migration.py"), str(folder / "source.db"), provider]
        self._process = subprocess.Popen(
            [*command, str(folder / "target"), str(folder / "checkpoint")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(PYTHONPATH=os.pathsep.join(map(str, paths)), PYTHONWARNINGS="default"),
        )
        assert self._line() == "ready"

    def run(self, pages: int | None, wait: float) -> list[str]:
        """Start one and kill it so many seconds after so many pages; what it said."""
        assert self._process.stdin is not None
        self._process.stdin.write("run\n")
        self._process.stdin.flush()
        number = None
        said: list[str] = []
        while (line := self._line()) != "over":
            if line.isdecimal():
                number = int(line)
            else:
                said.append(line)
            if pages is not None and len(said) >= pages and number is not None:
                pages = None
                time.sleep(wait)
                os.kill(number, signal.SIGKILL)
        return said

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        with self._process:
            assert self._process.wait(timeout=20) == 0

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the process has ended"
        return line.strip()


@pytest.mark.timeout(240)
@pytest.mark.parametrize("provider", ["chroma", "qdrant"])
async def test_a_killed_migration_goes_on_and_loses_nothing(provider: str, tmp_path: Path) -> None:
    print(f"IA_CHAOS_SEED={SEED}")
    chance = random.Random(f"{SEED}/{provider}")
    database = tmp_path / "source.db"
    await asyncio.to_thread(write, database, list(range(DOCUMENTS)), 0)
    runner = await asyncio.to_thread(Runner, provider, tmp_path)
    further: list[int] = []
    for kill in range(KILLS):
        said = await asyncio.to_thread(runner.run, chance.randint(1, 12), chance.uniform(0.0, 0.05))
        phases = ("copy", "second pass")
        assert said, "it failed at once"
        assert said[-1].rpartition(" ")[0] in phases, f"it was not killed in time, or failed: {said[-20:]}"
        further.append(int(said[0].rpartition(" ")[2]))
        # Meanwhile the source changes, before and behind the place where it is.
        await asyncio.to_thread(write, database, chance.sample(range(DOCUMENTS + 50), 20), kill + 1)
        await asyncio.to_thread(delete, database, chance.sample(range(DOCUMENTS), 10))
    assert max(further) > 200, f"it began at the start each time: {further}"
    said = await asyncio.to_thread(runner.run, None, 0.0)
    assert said[-1].startswith("end True"), said[-20:]
    await asyncio.to_thread(runner.close)
    expected = memory_store()
    assert (await migrate(source_of(str(database)), expected)).complete
    async with provider_class(provider)(config_of(provider, str(tmp_path / "target"))) as store:
        found = await contents(store)
        assert sum([await store.count(namespace=name) for name in TENANTS]) == len(found)
    assert_same(await contents(expected), found)
