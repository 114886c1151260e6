"""Qdrant's local mode: one thread owns the engine, the folder, and what others see in it."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import MakeStore
from ia_modules.vector_stores import Condition, StoreLockedError, VectorDocument, VectorStoreBase, create_vector_store
from ia_modules.vector_stores.providers.qdrant import local, searching

qdrant_client: Any = pytest.importorskip("qdrant_client")

LOCAL = pytest.mark.targets("qdrant-memory", "qdrant-folder")
FOLDER = pytest.mark.targets("qdrant-folder")


def run_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def engine_of(store: VectorStoreBase) -> Any:
    return local._engines[str(Path(store.config.path or "").resolve())]


def documents(count: int, dimension: int = 3) -> list[VectorDocument]:
    rows = np.random.default_rng(3).standard_normal((count, dimension)).astype(np.float32)
    return [
        VectorDocument(id=f"d{i}", vector=row, metadata={"n": i, "even": i % 2 == 0}, text=f"text {i}")
        for i, row in enumerate(rows)
    ]


@LOCAL
async def test_writers_and_readers_at_once_lose_nothing(store: VectorStoreBase, make_store: MakeStore) -> None:
    others = [make_store() for _ in range(3)]

    async def write(i: int) -> None:
        rows = [VectorDocument(id=f"w{i}-{j}", vector=[1, i, j], metadata={"w": i}) for j in range(50)]
        await others[i % 3].upsert(rows, batch_size=7)

    async def read() -> None:
        for _ in range(20):
            await store.search([1, 0, 0], 5)
            await store.count(Condition("w", "gte", 3))

    await asyncio.gather(*(write(i) for i in range(8)), *(read() for _ in range(4)))
    assert await store.count() == 400
    assert (await store.search([1, 0, 0], 500)).total == 400


@LOCAL
async def test_one_thread_does_all_the_work(store: VectorStoreBase, make_store: MakeStore) -> None:
    other = make_store()
    await asyncio.gather(*(other.upsert([VectorDocument(id=f"d{i}", vector=[1, i, 0])]) for i in range(20)))
    await asyncio.gather(*(store.search([1, 0, 0]) for _ in range(20)))
    owners = [thread for thread in threading.enumerate() if thread.name.startswith("qdrant-local")]
    assert len(owners) <= 1 + sum(key.startswith(":memory:") for key in local._engines)


@FOLDER
async def test_another_process_is_kept_out(store: VectorStoreBase, tmp_path: Path) -> None:
    code = f"""
import asyncio
from ia_modules.vector_stores import StoreLockedError, create_vector_store
try:
    asyncio.run(create_vector_store("qdrant", path={store.config.path!r}, index_name="i"))
except StoreLockedError as error:
    print(error)
"""
    assert "is open in another process" in await asyncio.to_thread(run_python, code)


@FOLDER
async def test_a_client_in_this_process_is_kept_out_until_the_last_store_has_gone(
    store: VectorStoreBase, make_store: MakeStore
) -> None:
    other = make_store()
    await other.connect()
    await store.disconnect()
    with pytest.raises(subprocess.CalledProcessError) as refused:
        await asyncio.to_thread(run_python, f"import qdrant_client as q; q.QdrantClient(path={store.config.path!r})")
    assert "already accessed" in refused.value.stderr
    await other.disconnect()
    qdrant_client.QdrantClient(path=store.config.path).close()


@FOLDER
async def test_a_folder_that_another_client_has_open(store: VectorStoreBase) -> None:
    await store.disconnect()
    client = qdrant_client.QdrantClient(path=store.config.path)
    with pytest.raises(StoreLockedError, match="another process"):
        await store.count()
    client.close()
    assert await store.count() == 0


@FOLDER
async def test_a_store_that_is_dropped_lets_the_folder_go(make_store: MakeStore, tmp_path: Path) -> None:
    dropped = await create_vector_store("qdrant", path=str(tmp_path / "dropped"), index_name="i", dimension=3)
    await dropped.create_index(3)
    del dropped
    gc.collect()
    for _ in range(100):
        if not any("dropped" in key for key in local._engines):
            break
        await asyncio.sleep(0.02)
    qdrant_client.QdrantClient(path=str(tmp_path / "dropped")).close()


@FOLDER
async def test_the_client_alone_reads_the_folder(store: VectorStoreBase) -> None:
    await store.upsert(documents(5), namespace="n")
    await store.disconnect()
    client = qdrant_client.QdrantClient(path=store.config.path)
    records, _ = client.scroll(store.config.index_name, limit=10)
    client.close()
    assert sorted(record.payload["_ia_id"] for record in records) == [f"d{i}" for i in range(5)]
    assert {record.payload["_ia_ns"] for record in records} == {"/n"}
    assert all(record.payload["_ia_text"] == f"text {record.payload['n']}" for record in records)


@FOLDER
async def test_writes_wait_for_the_disk_once_for_each_call(
    store: VectorStoreBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[int] = []
    fsync = os.fsync
    monkeypatch.setattr(local.os, "fsync", lambda descriptor: (waited.append(descriptor), fsync(descriptor)))
    await store.upsert(documents(500, 3), batch_size=250)
    assert len(waited) == 2
    engine = engine_of(store)
    connection = engine._local.collections[store.config.index_name].storage.storage

    def journal() -> tuple[str, int]:
        mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
        return mode, connection.execute("PRAGMA synchronous").fetchone()[0]

    assert await engine.run(journal) == ("wal", 1)
    await store.disconnect()
    assert await store.count() == 500
    engine = engine_of(store)
    connection = engine._local.collections[store.config.index_name].storage.storage
    assert await engine.run(journal) == ("wal", 1)


WRITER = """
import asyncio, sys
from ia_modules.vector_stores import VectorDocument, create_vector_store

async def main():
    store = await create_vector_store("qdrant", path=sys.argv[1], index_name="i", dimension=3, create_if_missing=True)
    for i in range(100_000):
        await store.upsert([VectorDocument(id=f"d{i}-{j}", vector=[1, i, j], metadata={"i": i}) for j in range(10)])
        print(i, flush=True)

asyncio.run(main())
"""


def kill_while_writing(folder: Path) -> int:
    """Start a writer and kill it in the midst of it; the last batch that it was told is stored."""
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) == 30:
            break
    process.send_signal(signal.SIGKILL)
    rest = process.stdout.read().split("\n")[:-1]  # of the last line it may have written a part only
    process.wait()
    process.stdout.close()
    return max([30, *map(int, filter(None, rest))])


async def test_what_was_acknowledged_outlives_a_killed_process(tmp_path: Path) -> None:
    acknowledged = await asyncio.to_thread(kill_while_writing, tmp_path / "f")
    async with await create_vector_store("qdrant", path=str(tmp_path / "f"), index_name="i") as store:
        assert await store.count(Condition("i", "lte", acknowledged)) == 10 * (acknowledged + 1)


@LOCAL
async def test_size_is_warned_of_once(
    store: VectorStoreBase, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(local, "LARGE", 20)
    monkeypatch.setattr(local, "_warned", False)
    with caplog.at_level(logging.WARNING, "ia_modules.vector_stores"):
        await store.upsert(documents(20))
        assert caplog.messages == []
        await store.upsert(documents(21))
        await store.upsert(documents(30))
    assert len(caplog.messages) == 1
    assert "a Qdrant server is the tool" in caplog.messages[0]


@LOCAL
async def test_a_cancelled_write_is_whole_or_not_there(store: VectorStoreBase) -> None:
    for delay in (0.0, 0.001, 0.01):
        writing = asyncio.ensure_future(store.upsert(documents(300), batch_size=300))
        await asyncio.sleep(delay)
        writing.cancel()
        await asyncio.wait([writing])
        assert await store.count() in (0, 300)
        await store.delete(delete_all=True)


@LOCAL
async def test_a_scan_lists_the_points_once(store: VectorStoreBase, monkeypatch: pytest.MonkeyPatch) -> None:
    await store.upsert(documents(40))
    calls: list[str] = []
    call = local._Engine.call

    def spy(self: Any, method: str, *args: Any, **given: Any) -> Any:
        calls.append(method)
        return call(self, method, *args, **given)

    monkeypatch.setattr(local._Engine, "call", spy)
    assert len([document async for document in store.scan(batch_size=10)]) == 40
    assert calls.count("scroll") == 1


@LOCAL
async def test_a_filter_that_lets_many_pass_is_not_evaluated_on_every_point(
    store: VectorStoreBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.upsert(documents(600))
    seen: list[Any] = []
    query = local._Engine.query

    def spy(self: Any, name: str, asked: Any) -> Any:
        seen.append(asked.filter)
        return query(self, name, asked)

    monkeypatch.setattr(local._Engine, "query", spy)
    expected = sorted(
        (d for d in documents(600) if d.metadata["even"]), key=lambda d: -d.vector[0] / np.linalg.norm(d.vector.array)
    )
    found = (await store.search([1, 0, 0], 10, filters=Condition("even", "eq", True))).results
    assert [result.id for result in found] == [d.id for d in expected[:10]]
    assert seen == [None]
    monkeypatch.setattr(searching, "_LOOK_MOST", 200)
    found = (await store.search([1, 0, 0], 10, filters=Condition("n", "lt", 3))).results
    assert {result.id for result in found} == {"d0", "d1", "d2"}
    assert [one is None for one in seen] == [True, True, False]


@LOCAL
async def test_the_event_loop_goes_on_while_the_engine_works(store: VectorStoreBase) -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.001)
            ticks += 1

    ticking = asyncio.ensure_future(tick())
    started = time.perf_counter()
    await store.upsert(documents(3_000), batch_size=1_000)
    elapsed = time.perf_counter() - started
    ticking.cancel()
    assert ticks > 10, f"{ticks} turns in {elapsed:.2f} s"


@LOCAL
async def test_deleted_points_do_not_pile_up(store: VectorStoreBase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_TOMBSTONES", 30)
    engine = next(engine for engine in local._engines.values() if store.config.index_name in engine._local.collections)
    await store.upsert([VectorDocument(id="stays", vector=[1, 2, 2], metadata={"n": [], "x": 0.1 + 0.2}, text="t")])
    for turn in range(20):
        rows = [VectorDocument(id=f"t{turn}-{i}", vector=[1, i, turn]) for i in range(10)]
        await store.upsert(rows, namespace=f"n{turn % 3}")
        await store.delete(ids=[row.id for row in rows[1:]], namespace=f"n{turn % 3}")
    held = len(engine._local.collections[store.config.index_name].ids)
    assert held <= 21 + 60
    assert (await store.get_stats()).total_vectors == 21
    (found,) = await store.fetch(["stays"])
    assert (found.metadata, found.text, found.vector.tolist()) == ({"n": [], "x": 0.1 + 0.2}, "t", [1, 2, 2])
    assert [result.id for result in (await store.search([1, 2, 2], 5)).results] == ["stays"]
    await store.disconnect()
    assert (await store.get_stats()).total_vectors == 21
