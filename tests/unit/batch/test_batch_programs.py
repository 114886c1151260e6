"""Random documents, random failures: nothing is lost, nothing counted twice, and the last one wins."""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from batch_helpers import AsyncTape, ScriptedStore, Tape, document, run_jumping
from ia_modules.vector_stores import (
    BatchProcessor,
    ConnectionError,
    InvalidDocumentError,
    PartialFailureError,
    RateLimitError,
    VectorDocument,
)
from ia_modules.vector_stores.batch import BatchResult, read_dead_letters


@contextmanager
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="batch-programs-"))
    try:
        yield made
    finally:
        shutil.rmtree(made)


class Restless(ScriptedStore):
    """Fails at random, in every way; ``written`` has the version of every document that it took.

    Args:
        seed: of its moods.
        calm: share of calls in which only documents that are refused fail.
    """

    def __init__(self, seed: int, calm: float, refused: set[str] | None = None) -> None:
        super().__init__(self._mood)
        self._random = random.Random(seed)
        self._calm = calm
        self._refused = refused or set()
        self.written: list[float] = []

    def _refuses(self, one: VectorDocument) -> bool:
        return one.id in self._refused or one.metadata.get("bad", False)

    def _mood(self, _: int, given: list[VectorDocument]) -> Exception | None:
        chance = self._random
        self.delay = chance.choice([0.0, 0.1, 0.5, 3.0])
        bad = [one for one in given if self._refuses(one)]
        if chance.random() > self._calm:
            kind = chance.randrange(4)
            if kind == 0:
                return ConnectionError("lost")
            if kind == 1:
                return RateLimitError("slowly", retry_after=chance.choice([None, 0.0, 2.0]))
            if kind == 2:
                return RuntimeError("of a client")
            failed: dict[str, Exception] = {
                one.id: InvalidDocumentError("no", document_id=one.id)
                if self._refuses(one)
                else ConnectionError("lost")
                for one in given
                if self._refuses(one) or chance.random() < 0.5
            }
            taken = [one.id for one in given if one.id not in failed and chance.random() < 0.9]
            return PartialFailureError("in part", succeeded=taken, failed=failed)
        if bad:
            return InvalidDocumentError("no", document_id=chance.choice([chance.choice(bad).id, None]))
        return None

    def _write(self, documents: list[VectorDocument], namespace: str | None) -> None:
        super()._write(documents, namespace)
        self.written += [one.vector[0] for one in documents]


@dataclass
class Program:
    items: list[Any]
    options: dict[str, Any]
    seed: int
    calm: float
    source: type


@st.composite
def programs(draw: st.DrawFn, *, names: int = 8, broken: bool = True, distinct: bool = False) -> Program:
    count = draw(st.integers(0, 60))
    items: list[Any] = []
    for position in range(count):
        kind = draw(st.integers(0, 19))
        name = f"d{position if distinct else draw(st.integers(0, names))}"
        if broken and kind == 0:
            items.append(draw(st.sampled_from([None, 5, {"id": "x"}])))
        else:
            items.append(document(name, float(position), metadata={"bad": True} if broken and kind < 3 else {}))
    options = {
        "batch_size": draw(st.integers(1, 12)),
        "max_concurrent": draw(st.integers(1, 5)),
        "max_attempts": draw(st.integers(1, 4)),
        "max_batch_bytes": draw(st.sampled_from([1, 200, 400, 10_000])),
        "retry_delay": draw(st.sampled_from([0.0, 0.5, 4.0])),
    }
    return Program(
        items,
        options,
        draw(st.integers(0, 10**6)),
        draw(st.sampled_from([1.0, 0.8, 0.5, 0.1])),
        draw(st.sampled_from([list, Tape, AsyncTape])),
    )


def failed_positions(result: BatchResult) -> list[int]:
    return [position for failure in result["errors"] for position in failure["positions"]]


@settings(max_examples=120)
@given(programs())
def test_everything_has_one_end(program: Program) -> None:
    store = Restless(program.seed, program.calm)
    told: list[int] = []
    with folder() as place:
        result = run_jumping(
            BatchProcessor(store, **program.options).upsert_large_dataset(
                program.source(program.items),
                None,
                lambda completed, _: told.append(completed),
                dead_letters=place / "dead.jsonl",
            )
        )
        letters = [one.vector[0] for one in read_dead_letters(place / "dead.jsonl", skip_invalid=True)]
    count = len(program.items)
    failed = failed_positions(result)
    assert result["total"] == count == result["upserted"] + result["replaced"] + result["failed"]
    assert len(failed) == len(set(failed)) == result["failed"]
    assert len(store.written) == len(set(store.written)) == result["upserted"], "nothing is written twice"
    assert not set(store.written) & set(failed), "what was written is not reported as failed"
    replaced = set(range(count)) - {int(version) for version in store.written} - set(failed)
    assert len(replaced) == result["replaced"]
    valid = {i: item for i, item in enumerate(program.items) if isinstance(item, VectorDocument)}
    for position in replaced:
        later = [int(version) for version in store.written if version > position]
        assert any(valid[other].id == valid[position].id for other in later), "by one that was written"
    for name in {item.id for item in valid.values()}:
        versions = [i for i in valid if valid[i].id == name]
        written = [version for version in store.written if int(version) in versions]
        assert store.stored().get(name) == (max(written) if written else None), "the last one that was written"
        refused_only = all(i not in failed or valid[i].metadata.get("bad") for i in versions)
        if refused_only:
            good = [i for i in versions if i not in failed]
            assert store.stored().get(name) == (max(good) if good else None), "the last one that is good"
    assert sorted(letters) == sorted(position for position in failed if position in valid)
    assert told == sorted(told)
    assert told[-1:] == [count][: len(told)]
    bad = {i for i in valid if valid[i].metadata.get("bad")} | (set(range(count)) - set(valid))
    if program.calm == 1.0:
        assert set(failed) <= bad
    assert store.peak <= program.options["max_concurrent"]
    for failure in result["errors"]:
        assert failure["retryable"] or set(failure["positions"]) <= bad


@settings(max_examples=60)
@given(programs(broken=False, distinct=True))
def test_dead_letters_fed_back_complete_the_set(program: Program) -> None:
    store = Restless(program.seed, min(program.calm, 0.5))
    source: Any = program.source(program.items)
    with folder() as place:
        for round_ in range(100):
            letters = place / f"{round_}.jsonl"
            processor = BatchProcessor(store, **program.options)
            result = run_jumping(processor.upsert_large_dataset(source, dead_letters=letters))
            if not result["failed"]:
                break
            source = read_dead_letters(letters)
            store._calm = min(1.0, store._calm + 0.1)
    assert result["failed"] == 0
    assert store.stored() == {item.id: item.vector[0] for item in program.items}
    assert len(store.written) == len(program.items), "each was written once"


@settings(max_examples=60)
@given(programs(), st.integers(0, 200), st.integers(0, 200))
def test_going_on_after_being_killed_is_the_same_as_one_run(program: Program, first: int, second: int) -> None:
    """Killed without warning: what is on disk and in the store at that time is all that is left."""
    items = [item for item in program.items if isinstance(item, VectorDocument)]
    items = [document(one.id, float(i), metadata=one.metadata) for i, one in enumerate(items)]
    options = program.options | {"max_attempts": 100, "retry_delay": 0.0}
    with folder() as place:
        store = Restless(program.seed, max(program.calm, 0.5))
        for turns in (first, second):
            store = killed(store, BatchProcessor(store, **options), program.source(items), place, turns)
        result = run_jumping(
            BatchProcessor(store, **options).upsert_large_dataset(
                program.source(items), dead_letters=place / "dead.jsonl", checkpoint=place / "checkpoint"
            )
        )
        letters = {one.vector[0] for one in read_dead_letters(place / "dead.jsonl")}
        assert not (place / "checkpoint").exists()
    assert result["total"] == len(items)
    clean: dict[str, float] = {}
    for item in items:
        if not item.metadata.get("bad"):
            clean[item.id] = item.vector[0]
    assert store.stored() == clean
    bad = {item.vector[0]: item.id for item in items if item.metadata.get("bad")}
    assert letters <= set(bad)
    for version in set(bad) - letters:
        assert any(item.id == bad[version] for item in items[int(version) + 1 :]), "another took its place"


def killed(store: Restless, processor: BatchProcessor, source: Any, place: Path, turns: int) -> Restless:
    """Run for so many turns of the event loop, and return what is left of the store; the files are as at that time."""
    left: dict[Any, Any] = {}
    before = place.with_name(place.name + "-before")

    async def main() -> None:
        work = processor.upsert_large_dataset(
            source, dead_letters=place / "dead.jsonl", checkpoint=place / "checkpoint"
        )
        task = asyncio.create_task(work)
        for _ in range(turns):
            await asyncio.sleep(0 if turns % 2 else 0.05)
        left.update({name: dict(held) for name, held in store.data.items()})
        before.mkdir()
        for name in ("dead.jsonl", "checkpoint"):  # a thread may be at work on them
            with suppress(FileNotFoundError):
                shutil.copy(place / name, before)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run_jumping(main())
    shutil.rmtree(place)
    before.rename(place)
    again = Restless(turns, store._calm)
    again.data = left
    return again
