"""A process that writes to an embedded store is killed; the next one finds all that was acknowledged, and goes on."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from chaos_ledger import Ledger, State, state_of, vector_of
from killed_writer import BATCH, NAMESPACES, batch_of, config_of

from ia_modules.vector_stores.factory import provider_class
from processes import environment

SEED = int(os.environ.get("IA_CHAOS_SEED", "20"))
BATCHES = 24
KILLS = 4
_HERE = Path(__file__).parent


class Writer:
    """The process, and what it has said."""

    def __init__(self, provider: str, folder: Path, version: int, ledger: Ledger) -> None:
        self._state = State(version)
        self._ledger = ledger
        paths = [_HERE.parents[1] / "src", _HERE.parent, _HERE]
        self._process = subprocess.Popen(
            [sys.executable, str(_HERE / "killed_writer.py"), provider, str(folder), str(version), str(BATCHES)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment(PYTHONPATH=os.pathsep.join(map(str, paths))),
        )

    def run(self, lines: int | None, wait: float) -> str:
        """Note what it says; kill it so many seconds after so many lines. What it said last."""
        said = 0
        last = ""
        assert self._process.stdout is not None
        with self._process:
            for line in self._process.stdout:
                last = line.strip()
                self._note(last)
                said += 1
                if said == lines:
                    time.sleep(wait)
                    self._process.kill()  # what it has said meanwhile is still read
        return last

    def _note(self, line: str) -> None:
        what, _, number = line.partition(" ")
        if what not in ("sending", "sent", "deleting", "deleted"):
            assert line in ("open", "end"), f"the writer failed: {line}"
            return
        namespace, ids = batch_of(int(number))
        match what:
            case "sending":
                self._ledger.unsure(namespace, ids, self._state)
            case "sent":
                self._ledger.done(namespace, ids, self._state)
            case "deleting":
                self._ledger.unsure(namespace, ids[:5], None)
            case "deleted":
                self._ledger.done(namespace, ids[:5], None)


async def look(provider: str, folder: Path, ledger: Ledger, chance: random.Random) -> dict[tuple[str, str], State]:
    """Open the folder in this process; all that is known is there, and everything that is there is whole."""
    found: dict[tuple[str, str], State] = {}
    async with provider_class(provider)(config_of(provider, str(folder))) as store:
        for namespace in NAMESPACES:
            seen = [one async for one in store.scan(namespace)]
            assert len({one.id for one in seen}) == len(seen) == await store.count(namespace=namespace)
            here = {(namespace, one.id): state_of(namespace, one) for one in seen}
            found |= here
            for key in chance.sample(sorted(here), min(10, len(here))):
                answer = await store.search(vector_of(*key, here[key].version), top_k=3, namespace=namespace)
                assert answer.results[0].id == key[1]
                assert answer.results[0].metadata["version"] == here[key].version
        assert await store.list_namespaces() == sorted({namespace for namespace, _ in found})
    for key, states in ledger.states.items():
        assert found.get(key) in states, f"{key} is {found.get(key)}; it was left as {states}"
    assert found.keys() <= ledger.states.keys()
    return found


@pytest.mark.timeout(120)
@pytest.mark.parametrize("provider", ["chroma", "qdrant"])
async def test_what_was_acknowledged_outlives_killed_writers(provider: str, tmp_path: Path) -> None:
    print(f"IA_CHAOS_SEED={SEED}")
    chance = random.Random(f"{SEED}/{provider}")
    ledger = Ledger()
    for kill in range(KILLS):
        writer = Writer(provider, tmp_path / "folder", kill + 1, ledger)
        # After a first line ("open") come two for a batch, four for every third one.
        last = await asyncio.to_thread(writer.run, chance.randint(3, 50), chance.uniform(0.0, 0.03))
        assert last != "end", "it was not killed in time"
        await look(provider, tmp_path / "folder", ledger, chance)
    assert any(len(states) == 1 for states in ledger.states.values()), "nothing was acknowledged"
    writer = Writer(provider, tmp_path / "folder", KILLS + 1, ledger)
    assert await asyncio.to_thread(writer.run, None, 0.0) == "end"
    found = await look(provider, tmp_path / "folder", ledger, chance)
    assert set(found.values()) == {State(KILLS + 1)}
    assert len(found) == BATCHES * BATCH - 5 * len(range(0, BATCHES, 3))
