"""Chroma in this process: its folder, its environment, its threads, and what cancelling leaves behind."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ia_modules.vector_stores import ChromaVectorStore, StoreLockedError, VectorDocument, VectorStoreError
from ia_modules.vector_stores.providers.chroma import embedded
from processes import environment, run_python

pytestmark = pytest.mark.targets("chroma-folder")

MakeStore = Callable[..., ChromaVectorStore]
DOCUMENT = VectorDocument(id="a", vector=[1, 0, 0], metadata={"n": 1}, text="A text that could be embedded.")

COUNT = """
import asyncio, sys
from ia_modules.vector_stores import create_vector_store

async def main():
    async with await create_vector_store(sys.argv[1]) as store:
        print(await store.count())

asyncio.run(main())
"""

HOLD = """
import asyncio, sys
from ia_modules.vector_stores import create_vector_store

async def main():
    async with await create_vector_store(sys.argv[1], create_if_missing=True):
        print("open", flush=True)
        sys.stdin.readline()

asyncio.run(main())
"""


@pytest.fixture
def holder(store_config: Callable[..., Any]) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the folder open until it reads a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, store_config(dimension=3).to_url()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    yield process
    process.kill()
    process.communicate(timeout=30)


async def test_a_second_process_is_kept_out_until_the_first_is_done(
    make_store: MakeStore, holder: subprocess.Popen[str]
) -> None:
    store = make_store(dimension=3)
    with pytest.raises(StoreLockedError, match="chroma run --path") as caught:
        await store.count()
    assert (caught.value.provider, caught.value.operation) == ("chroma", "connect")
    assert not caught.value.retryable
    holder.communicate("\n", timeout=30)
    assert await store.count() == 0


async def test_the_folder_is_free_after_disconnect(store: ChromaVectorStore) -> None:
    await store.upsert([DOCUMENT])
    with pytest.raises(AssertionError, match="StoreLockedError"):
        run_python(COUNT, store.config.to_url())
    await store.disconnect()
    assert run_python(COUNT, store.config.to_url()) == "1"


async def test_stores_of_one_process_share_a_folder(store: ChromaVectorStore, make_store: MakeStore) -> None:
    other, another_index = make_store(), make_store(index_name="another", dimension=2)
    await another_index.create_index(2)
    await store.upsert([DOCUMENT])
    assert await other.fetch(["a"]) == [DOCUMENT]
    assert await another_index.count() == 0
    await store.disconnect()
    assert await other.count() == 1


async def test_one_folder_has_one_engine_however_it_is_spelled(
    store: ChromaVectorStore, make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(str(store.config.path))
    monkeypatch.chdir(folder.parent)
    other = make_store(path=f"./{folder.name}/../{folder.name}/")
    await other.upsert([DOCUMENT])
    assert await store.count() == 1


async def test_a_store_dropped_without_disconnect_frees_the_folder(store_config: Callable[..., Any]) -> None:
    store: ChromaVectorStore | None = ChromaVectorStore(store_config(dimension=3))
    assert store is not None
    await store.create_index(3)
    url, path = store.config.to_url(), str(store.config.path)
    assert path in embedded._engines
    store = None
    for _ in range(200):
        gc.collect()
        if path not in embedded._engines:
            break
        await asyncio.sleep(0.02)
    assert run_python(COUNT, url) == "0"


async def test_the_folder_is_left_before_others_are_let_in(
    store: ChromaVectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = embedded._engines[str(store.config.path)]
    lock = engine._lock
    held = []
    client = store._backend._client  # type: ignore[attr-defined]
    close = client.close
    monkeypatch.setattr(client, "close", lambda: (held.append(lock.is_locked), close()))
    await store.disconnect()
    assert held == [True]
    assert not lock.is_locked


async def test_a_connect_cancelled_half_way_leaves_the_folder_free(
    store_config: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ChromaVectorStore(store_config(dimension=3))
    entered, proceed = threading.Event(), threading.Event()
    make_client = store._backend._make_client  # type: ignore[attr-defined]

    def slow(chromadb: Any) -> Any:
        entered.set()
        proceed.wait(10)
        return make_client(chromadb)

    monkeypatch.setattr(store._backend, "_make_client", slow)
    connecting = asyncio.create_task(store.connect())
    await asyncio.to_thread(entered.wait, 10)
    connecting.cancel()
    proceed.set()
    with pytest.raises(asyncio.CancelledError):
        await connecting
    assert str(store.config.path) not in embedded._engines
    await store.create_index(3)
    assert await store.count() == 0
    await store.disconnect()


async def test_a_folder_that_can_not_be_one(store_config: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        store = ChromaVectorStore(store_config(path=str(path)))
        with pytest.raises(VectorStoreError, match="file") as caught:
            await store.connect()
        assert isinstance(caught.value.__cause__, OSError)
        assert not caught.value.retryable
    assert (tmp_path / "file").read_text() == "not a folder"


async def test_a_folder_that_is_broken(store_config: Callable[..., Any], tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "chroma.sqlite3").write_bytes(b"this is no database" * 100)
    store = ChromaVectorStore(store_config(path=str(folder)))
    with pytest.raises(VectorStoreError):
        await store.connect()
    assert str(folder) not in embedded._engines


async def test_nothing_is_left_after_disconnect(store: ChromaVectorStore, recwarn: pytest.WarningsRecorder) -> None:
    await asyncio.gather(*(store.upsert([DOCUMENT], namespace=f"n{i}") for i in range(8)))
    await asyncio.gather(*(store.search([1, 0, 0], namespace=f"n{i}") for i in range(8)))
    names = {thread.name.rpartition("_")[0] for thread in threading.enumerate()}
    assert {"chroma-read", "chroma-write"} <= names
    await store.disconnect()
    gc.collect()
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("chroma-")] == []
    assert [str(warning.message) for warning in recwarn] == []


async def test_the_event_loop_keeps_going_during_a_large_upsert(make_store: MakeStore) -> None:
    store = make_store(dimension=384)
    await store.create_index(384)
    vectors = np.random.default_rng(1).standard_normal((3000, 384), dtype=np.float32)
    documents = [VectorDocument(id=f"d{i}", vector=vector, metadata={"n": i}) for i, vector in enumerate(vectors)]
    gaps = []

    async def tick() -> None:
        while True:
            wall, busy = time.perf_counter(), time.process_time()
            await asyncio.sleep(0.002)
            # Time that another process had is not a stall of ours.
            gaps.append(min(time.perf_counter() - wall, time.process_time() - busy))

    ticking = asyncio.create_task(tick())
    await store.upsert(documents, batch_size=1000)
    ticking.cancel()
    assert max(gaps) < 0.25
    assert await store.count() == 3000


async def test_a_cancelled_upsert_leaves_a_usable_store(make_store: MakeStore) -> None:
    store = make_store(dimension=64)
    await store.create_index(64)
    vectors = np.random.default_rng(1).standard_normal((1000, 64), dtype=np.float32)
    documents = [VectorDocument(id=f"d{i:04}", vector=vector) for i, vector in enumerate(vectors)]
    for delay in (0.0, 0.01, 0.05):
        writing = asyncio.create_task(store.upsert(documents, batch_size=50))
        await asyncio.sleep(delay)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        # A thread that wrote on would be seen here.
        count = await store.count()
        await asyncio.sleep(0.05)
        assert await store.count() == count < 1000
    await store.upsert(documents)
    assert await store.count() == 1000
    assert (await store.search(vectors[7], top_k=1)).results[0].id == "d0007"


async def test_a_write_cancelled_again_and_again_is_still_waited_for(store: ChromaVectorStore) -> None:
    started, proceed, done = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        started.set()
        proceed.wait(10)
        done.set()

    writing = asyncio.create_task(store._backend._write(work))  # type: ignore[attr-defined]
    await asyncio.to_thread(started.wait, 10)
    for _ in range(3):
        writing.cancel()
        await asyncio.sleep(0.01)
        assert not writing.done()
    proceed.set()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert done.is_set()


async def test_a_cancelled_search_leaves_a_usable_store(store: ChromaVectorStore) -> None:
    await store.upsert([DOCUMENT])
    searches = [asyncio.create_task(store.search([1, 0, 0])) for _ in range(20)]
    await asyncio.sleep(0)
    for search in searches[::2]:
        search.cancel()
    done = await asyncio.gather(*searches, return_exceptions=True)
    assert {type(outcome) for outcome in done[::2]} == {asyncio.CancelledError}
    assert [response.total for response in done[1::2]] == [1] * 10  # type: ignore[union-attr]


def test_a_folder_is_used_from_two_loops_at_once(store_config: Callable[..., Any]) -> None:
    def run(namespace: str) -> int:
        async def use() -> int:
            async with ChromaVectorStore(store_config(dimension=3)) as store:
                for i in range(20):
                    await store.upsert([VectorDocument(id=str(i), vector=[1, i, 0])], namespace=namespace)
                    await store.search([1, 0, 0], namespace=namespace)
                return await store.count(namespace=namespace)

        return asyncio.run(use())

    async def create() -> None:
        async with ChromaVectorStore(store_config(dimension=3)) as store:
            await store.create_index(3)

    asyncio.run(create())
    counts: list[int] = []
    threads = [threading.Thread(target=lambda name=name: counts.append(run(name))) for name in ("x", "y", "")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [20, 20, 20]


def test_an_embedded_store_moves_to_a_second_loop(store_config: Callable[..., Any]) -> None:
    store = ChromaVectorStore(store_config(dimension=3))
    asyncio.run(store.create_index(3))
    asyncio.run(store.upsert([DOCUMENT]))
    assert asyncio.run(store.count()) == 1
    asyncio.run(store.disconnect())
