"""Cancelled at any step: it stops at once, and nothing stays behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from batch_helpers import AsyncTape, ScriptedStore, Tape, document, documents, run_jumping
from ia_modules.vector_stores import BatchProcessor, ConnectionError, RateLimitError, VectorDocument, VectorStoreError
from ia_modules.vector_stores.batch import read_dead_letters

LOST = ConnectionError("lost")


async def cancelled_after(seconds: float, turns: int, work: Any, times: int = 1) -> bool:
    """Cancel after that time and so many turns of the event loop; whether that came before the end."""
    task = asyncio.create_task(work)
    await asyncio.sleep(seconds)
    for _ in range(turns):
        await asyncio.sleep(0)
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
    try:
        await task
    except asyncio.CancelledError:
        return True
    return False


def restless(number: int, given: list[VectorDocument]) -> Exception | None:
    if given[0].id == "d3":
        return LOST
    return RateLimitError("slowly", retry_after=0.5) if number in (2, 6) else LOST if number % 4 == 0 else None


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize(
    "source",
    [documents, lambda count: Tape(documents(count)), lambda count: AsyncTape(documents(count), delay=0.1)],
    ids=["list", "iterator", "async iterator"],
)
def test_at_any_step(tmp_path: Path, source: Any, times: int) -> None:
    ends = 0
    for step in range(0, 160, 3 if times == 1 else 7):
        letters, checkpoint = tmp_path / f"{step}.jsonl", tmp_path / f"{step}.checkpoint"
        store, given = ScriptedStore(restless, delay=0.4), source(24)
        processor = BatchProcessor(store, batch_size=3, max_concurrent=3, max_attempts=2, retry_delay=0.2)

        async def progress(*_: Any) -> None:
            await asyncio.sleep(0.1)

        work = processor.upsert_large_dataset(given, None, progress, dead_letters=letters, checkpoint=checkpoint)
        main = cancelled_after(step // 8 * 0.25, step % 8, work, times)
        was_cancelled = run_jumping(main)  # which checks that no task is left over
        assert store.running == 0
        if isinstance(given, Tape):
            assert given.closed or given.read == 0
        if not was_cancelled:
            ends += 1
            assert not checkpoint.exists()
        # The next run does the rest.
        store.answer = lambda _, given: LOST if given[0].id == "d3" else None
        processor = BatchProcessor(store, batch_size=3, max_attempts=1)
        run_jumping(processor.upsert_large_dataset(documents(24), dead_letters=letters, checkpoint=checkpoint))
        failed = {one.id for one in read_dead_letters(letters)}
        assert {*store.stored(), *failed} == {f"d{i}" for i in range(24)}
        assert {"d3", "d4", "d5"} <= failed
    assert 0 < ends < 35, "some came before the end and some after it"


def test_it_does_not_wait_for_what_is_slow() -> None:
    async def main() -> None:
        store = ScriptedStore(lambda *_: LOST, delay=1000)
        processor = BatchProcessor(store, batch_size=1, max_concurrent=4, retry_delay=1000)
        writing = asyncio.create_task(processor.upsert_large_dataset(documents(100)))
        await asyncio.sleep(1200)  # some wait for an answer and some for the next attempt
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        assert asyncio.get_running_loop().time() == 1200
        assert store.running == 0

    run_jumping(main())


def test_a_source_that_is_waited_for() -> None:
    ended = False

    async def waiting() -> AsyncIterator[VectorDocument]:
        nonlocal ended
        try:
            yield document("a")
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended = True

    async def main() -> None:
        writing = asyncio.create_task(BatchProcessor(ScriptedStore()).upsert_large_dataset(waiting()))
        await asyncio.sleep(5)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        assert ended

    run_jumping(main())


@pytest.mark.parametrize("stubborn", ["source", "store"])
def test_who_does_not_let_itself_be_cancelled_at_once(stubborn: str) -> None:
    async def source() -> AsyncIterator[VectorDocument]:
        number = 0
        while True:
            number += 1
            try:
                await asyncio.sleep(1)
            except asyncio.CancelledError:
                if stubborn != "source":
                    raise
            yield document(number)

    class Slow(ScriptedStore):
        async def upsert(self, *given: Any, **named: Any) -> Any:
            try:
                return await super().upsert(*given, **named)
            except asyncio.CancelledError:
                if stubborn == "store":
                    await asyncio.sleep(7)
                raise

    async def main() -> None:
        store = Slow(delay=3.5)
        processor = BatchProcessor(store, batch_size=1)
        writing = asyncio.create_task(processor.upsert_large_dataset(source()))
        await asyncio.sleep(9.75)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        assert store.running == 0
        assert asyncio.get_running_loop().time() == 9.75 + (7 if stubborn == "store" else 0)

    run_jumping(main())


def test_a_timeout_around_it() -> None:
    async def main() -> None:
        tape = Tape(document(i) for i in range(10**9))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(50):
                await BatchProcessor(ScriptedStore(delay=1)).upsert_large_dataset(tape)
        assert tape.closed
        assert asyncio.get_running_loop().time() == 50

    run_jumping(main())


@pytest.mark.parametrize("inside", ["source", "callback"])
def test_a_cancellation_from_inside_is_an_error(inside: str, tmp_path: Path) -> None:
    def source() -> Iterator[VectorDocument]:
        yield from documents(25)
        if inside == "source":
            raise asyncio.CancelledError
        yield from documents(1000)

    def progress(*_: Any) -> None:
        if inside == "callback":
            raise asyncio.CancelledError

    checkpoint = tmp_path / "checkpoint"
    processor = BatchProcessor(ScriptedStore(), batch_size=10, max_concurrent=1)
    run = processor.upsert_large_dataset(source(), None, progress, checkpoint=checkpoint)
    with pytest.raises(VectorStoreError, match=f"{inside} was cancelled, but not by the caller"):
        run_jumping(run)
    assert checkpoint.exists() is (inside == "source")
