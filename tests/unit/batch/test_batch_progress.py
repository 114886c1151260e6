"""Telling how far it is."""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from batch_helpers import AsyncTape, ScriptedStore, Tape, document, documents, run_jumping
from ia_modules.vector_stores import BatchProcessor, ConnectionError, MissingDependencyError, VectorDocument
from ia_modules.vector_stores.batch import rich_progress
from processes import run_python

Told = list[tuple[int, int | None]]


def told(given: Any, store: ScriptedStore | None = None, **options: Any) -> Told:
    seen: Told = []

    async def progress(completed: int, total: int | None) -> None:
        await asyncio.sleep(0.001)
        seen.append((completed, total))

    processor = BatchProcessor(store or ScriptedStore(), **({"batch_size": 10} | options))
    run_jumping(processor.upsert_large_dataset(given, progress_callback=progress))
    return seen


class Hinting(Tape):
    hint = 0

    def __length_hint__(self) -> int:
        return self.hint


@pytest.mark.parametrize(
    ("source", "total"),
    [
        (documents, 25),
        (lambda count: tuple(documents(count)), 25),
        (lambda count: iter(documents(count)), 25),
        (lambda count: {one.id: one for one in documents(count)}.values(), 25),
        (lambda count: (one for one in documents(count)), None),
        (lambda count: Tape(documents(count)), None),
        (lambda count: AsyncTape(documents(count)), None),
    ],
)
def test_after_each_batch(source: Any, total: int | None) -> None:
    assert told(source(25)) == [(10, total), (20, total), (25, total)]


def test_a_hint_that_is_too_small_is_raised() -> None:
    tape = Hinting(documents(25))
    tape.hint = 12
    assert told(tape) == [(10, 12), (20, 20), (25, 25)]


def test_nothing_to_do_nothing_to_tell() -> None:
    assert told([]) == []


def test_what_failed_and_what_was_replaced_is_done_as_well() -> None:
    given = [document("a"), document("a"), 5, *documents(7)]
    store = ScriptedStore(lambda _, __: ConnectionError("lost"))
    assert told(given, store, max_attempts=1) == [(10, 10)]


def test_batches_that_end_together_are_told_one_by_one() -> None:
    class Uneven(ScriptedStore):
        async def upsert(self, documents: Any, *given: Any, **named: Any) -> Any:
            self.delay = 100 - documents[0].vector[0]
            return await super().upsert(documents, *given, **named)

    assert [completed for completed, _ in told(documents(100), Uneven(), max_concurrent=5)] == list(range(10, 101, 10))


def test_a_slow_callback_holds_up_the_reading() -> None:
    async def main() -> None:
        tape = Tape(document(i) for i in range(10_000))
        stuck = asyncio.Event()

        async def progress(*_: Any) -> None:
            await stuck.wait()

        processor = BatchProcessor(ScriptedStore(), batch_size=10, max_concurrent=3)
        writing = asyncio.create_task(processor.upsert_large_dataset(tape, progress_callback=progress))
        await asyncio.sleep(100)
        assert tape.read == 40
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing

    run_jumping(main())


def test_a_plain_function_will_do() -> None:
    seen: Told = []
    processor = BatchProcessor(ScriptedStore(), batch_size=10)
    run_jumping(processor.upsert_large_dataset(documents(15), None, lambda *given: seen.append(given)))
    assert seen == [(10, 15), (15, 15)]


def test_an_exception_in_it_ends_the_run_when_the_running_batches_are_over() -> None:
    error = LookupError("no such bar")
    calls: Told = []

    def progress(*given: Any) -> None:
        calls.append(given)
        raise error

    class Uneven(ScriptedStore):
        async def upsert(self, documents: Any, *given: Any, **named: Any) -> Any:
            self.delay = 1 + documents[0].vector[0]
            return await super().upsert(documents, *given, **named)

    store, tape = Uneven(), Tape(documents(1000))
    with pytest.raises(LookupError) as caught:
        run_jumping(BatchProcessor(store, batch_size=10, max_concurrent=3).upsert_large_dataset(tape, None, progress))
    assert caught.value is error
    assert error.__notes__ == ["30 documents were upserted before; 0 failed"]
    assert calls == [(10, None)], "it is not called again"
    assert len(store.calls) == 3
    assert len(store.stored()) == 30
    assert tape.closed


def bar(count: int, given: Any) -> str:
    from rich.console import Console

    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100)

    async def main() -> None:
        with rich_progress("[b]Writing", console=console) as progress:
            await BatchProcessor(ScriptedStore(), batch_size=10).upsert_large_dataset(given, None, progress)

    run_jumping(main())
    return screen.getvalue()


def test_a_bar() -> None:
    shown = bar(25, documents(25))
    assert "25/25" in shown
    assert "[b]Writing" in shown


def test_a_bar_without_an_end() -> None:
    def source() -> Iterator[VectorDocument]:
        yield from documents(25)

    assert "25/?" in bar(25, source())


def test_a_bar_without_rich(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "rich"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "rich.console", None)
    with pytest.raises(MissingDependencyError, match=r"ia-modules-vector-stores\[cli\]"), rich_progress():
        pass


def test_importing_loads_no_bar() -> None:
    code = "import sys, ia_modules.vector_stores.batch; print({*sys.modules} & {'rich', 'chromadb', 'qdrant_client'})"
    assert run_python(code).strip() == "set()"
