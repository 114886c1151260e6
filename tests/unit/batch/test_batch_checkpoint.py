"""A run that goes on where another one ended."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from batch_helpers import ScriptedStore, Tape, document, documents, run_jumping
from fakes import FakeStore
from ia_modules.vector_stores import (
    AuthenticationError,
    BatchProcessor,
    ConnectionError,
    DistanceMetric,
    VectorDocument,
)
from ia_modules.vector_stores.batch import BatchResult, read_dead_letters
from ia_modules.vector_stores.batch.checkpoint import Checkpoint, job_of
from ia_modules.vector_stores.batch.dead_letters import DeadLetters
from ia_modules.vector_stores.requests import IndexInfo

LOST = ConnectionError("lost")
NO = AuthenticationError("no")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "job.checkpoint"


def write(store: Any, given: Any, path: Path, *, namespace: str | None = None, **options: Any) -> BatchResult:
    named = {name: options.pop(name) for name in ("dead_letters", "progress_callback") if name in options}
    processor = BatchProcessor(store, **({"batch_size": 10, "max_concurrent": 1, "max_attempts": 1} | options))
    result = run_jumping(processor.upsert_large_dataset(given, namespace, checkpoint=path, **named))
    assert result["total"] == sum(result[name] for name in ("upserted", "replaced", "failed", "skipped"))
    return result


def finished(path: Path) -> int:
    return int(json.loads(path.read_bytes())["finished"])


def test_when_all_went_well_the_file_is_gone(path: Path) -> None:
    assert write(ScriptedStore(), documents(25), path)["upserted"] == 25
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("source", [list, iter, Tape])
def test_the_next_run_goes_on_from_there(path: Path, source: Any) -> None:
    store = ScriptedStore(lambda number, _: NO if number == 3 else None)
    with pytest.raises(AuthenticationError):
        write(store, documents(45), path)
    assert finished(path) == 20
    again = ScriptedStore()
    result = write(again, source(documents(45)), path)
    assert [ids[0] for ids in again.calls] == ["d20", "d30", "d40"]
    assert (result["total"], result["skipped"], result["upserted"], result["batches"]) == (45, 20, 25, 3)
    assert not path.exists()


def test_positions_and_progress_are_of_the_whole_source(path: Path) -> None:
    with pytest.raises(AuthenticationError):
        write(ScriptedStore(lambda number, _: NO if number == 3 else None), documents(35), path)
    seen: list[Any] = []
    store = ScriptedStore(lambda number, _: LOST if number == 2 else None)
    result = write(store, documents(35), path, progress_callback=lambda *told: seen.append(told))
    assert seen == [(20, 35), (30, 35), (35, 35)]
    assert result["errors"][0]["positions"] == list(range(30, 35))


def test_it_is_never_ahead_of_what_is_done(path: Path) -> None:
    # The first batch takes long, and is lost when the run ends.
    class Uneven(ScriptedStore):
        async def upsert(self, documents: Any, *given: Any, **named: Any) -> Any:
            self.delay = 1000.0 if documents[0].id == "d10" else 1.0
            return await super().upsert(documents, *given, **named)

    async def main() -> None:
        store = Uneven()
        processor = BatchProcessor(store, batch_size=10, max_concurrent=3)
        writing = asyncio.create_task(processor.upsert_large_dataset(documents(1000), checkpoint=path))
        await asyncio.sleep(20.5)
        assert len(store.stored()) > 300
        assert finished(path) == 10
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)

    run_jumping(main())
    assert finished(path) == 10


def test_it_is_saved_about_once_a_second(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[int] = []
    original = Checkpoint.save

    def save(self: Checkpoint, number: int) -> None:
        saved.append(number)
        original(self, number)

    monkeypatch.setattr(Checkpoint, "save", save)
    write(ScriptedStore(delay=0.25), documents(100), path)
    assert saved == [40, 80, 100]


def test_without_dead_letters_a_failure_stays_to_be_done(path: Path) -> None:
    store = ScriptedStore(lambda _, given: LOST if given[0].id == "d20" else None)
    result = write(store, documents(55), path)
    assert (result["upserted"], result["failed"]) == (45, 10)
    assert finished(path) == 20
    result = write(ScriptedStore(), documents(55), path)
    assert (result["upserted"], result["skipped"]) == (35, 20)
    assert not path.exists()


def test_with_dead_letters_it_is_done(path: Path, tmp_path: Path) -> None:
    store = ScriptedStore(lambda number, _: LOST if number == 2 else NO if number == 4 else None)
    letters = tmp_path / "dead.jsonl"
    with pytest.raises(AuthenticationError):
        write(store, documents(55), path, dead_letters=letters)
    assert finished(path) == 30
    write(store, documents(55), path, dead_letters=letters)
    assert not path.exists()
    assert [one.id for one in read_dead_letters(letters)] == [f"d{i}" for i in range(10, 20)]
    assert len(store.stored()) == 45


def test_a_callback_that_fails_comes_after_the_batch(path: Path, tmp_path: Path) -> None:
    letters = tmp_path / "dead.jsonl"
    store = ScriptedStore(lambda *_: LOST)
    with pytest.raises(ZeroDivisionError):
        write(store, documents(50), path, dead_letters=letters, progress_callback=lambda *_: 1 // 0)
    assert finished(path) == 10
    assert len(list(read_dead_letters(letters))) == 10


def test_when_the_source_fails(path: Path) -> None:
    def breaking() -> Iterator[VectorDocument]:
        yield from documents(25)
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        write(ScriptedStore(), breaking(), path)
    assert finished(path) == 25


def test_a_source_that_is_shorter_than_it_was(path: Path) -> None:
    with pytest.raises(AuthenticationError):
        write(ScriptedStore(lambda number, _: NO if number == 3 else None), documents(35), path)
    with pytest.raises(ValueError, match="says that 20 items were done, but the source has 15"):
        write(ScriptedStore(), documents(15), path)
    assert finished(path) == 20
    assert write(ScriptedStore(), documents(20), path)["skipped"] == 20


def real(**given: Any) -> FakeStore:
    return FakeStore(**({"dimension": 3, "info": IndexInfo(3, DistanceMetric.DOT_PRODUCT)} | given))


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"namespace": "other"}, "namespace is 'news' there and 'other' here"),
        ({"index_name": "other"}, "index is 'articles' there and 'other' here"),
        ({"host": "b.example"}, "host is 'a.example' there and 'b.example' here"),
        ({"port": 2}, "port is 1 there and 2 here"),
        ({"path": "q", "port": 2}, "path, port is 'p', 1 there and 'q', 2 here"),
    ],
    ids=str,
)
def test_a_checkpoint_of_another_job_is_refused(path: Path, change: dict[str, Any], names: str) -> None:
    usual: dict[str, Any] = {"namespace": "news", "host": "a.example", "port": 1, "path": "p"}
    store = real(**usual)
    store.failures["upsert"] = [NO]
    with pytest.raises(AuthenticationError):
        write(store, documents(25), path, max_concurrent=1)
    before = path.read_bytes() if path.exists() else None
    assert before is None, "nothing was done, so there is nothing to go on from"
    Checkpoint(path, job_of(store, "news")).save(7)
    other = real(**(usual | change))
    tape = Tape(documents(25))
    with pytest.raises(ValueError, match=f"checkpoint of another job: {names}; delete it or name another file"):
        write(other, tape, path)
    assert tape.read == 0
    assert finished(path) == 7
    assert write(real(**usual), documents(25), path)["skipped"] == 7


def test_no_secret_is_in_it(path: Path) -> None:
    store = real(api_key="very-secret-key", host="a.example")
    Checkpoint(path, job_of(store, "news")).save(1)
    assert b"secret" not in path.read_bytes()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x",
        b"[]",
        b"{}",
        b'{"version": 2, "job": {}, "finished": 1}',
        b'{"version": 1, "job": {}, "finished": -1}',
        b'{"version": 1, "job": {}, "finished": "1"}',
        b'{"version": 1, "job": 5, "finished": 1}',
        b"\xff",
    ],
)
def test_a_file_of_something_else_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is no checkpoint of this version"):
        write(ScriptedStore(), documents(3), path)
    assert path.read_bytes() == content


def test_a_file_that_can_t_be_written_leaves_the_last_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = Checkpoint(path, {"a": 1})
    checkpoint.save(5)

    def full(_: int) -> None:
        raise OSError(28, "no space left")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space left"):
        checkpoint.save(6)
    assert finished(path) == 5
    assert list(path.parent.iterdir()) == [path]


def test_what_failed_is_on_disk_before_the_checkpoint_says_so(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    monkeypatch.setattr(DeadLetters, "sync", lambda _: done.append("letters"))
    monkeypatch.setattr(Checkpoint, "save", lambda *_: done.append("checkpoint"))
    write(ScriptedStore(lambda *_: LOST), documents(5), path, dead_letters=tmp_path / "dead.jsonl")
    assert done[:2] == ["letters", "checkpoint"]


def test_equal_ids_on_both_sides_of_it(path: Path) -> None:
    store = ScriptedStore(lambda number, _: NO if number == 3 else None)
    given = [document("a", 1), document("b", 1), document("a", 2), document("c", 1), document("a", 3)]
    with pytest.raises(AuthenticationError):
        write(store, given, path, batch_size=2)
    write(store, given, path, batch_size=2)
    assert store.stored() == {"a": 3, "b": 1, "c": 1}


@pytest.mark.parametrize("ends", ["error", "cancelled", "well"])
def test_a_checkpoint_that_can_t_be_saved_does_not_hide_why_the_run_ended(
    path: Path, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "no space left")

    async def main() -> None:
        store = ScriptedStore(lambda number, _: NO if number == 3 and ends == "error" else None, delay=0.25)
        processor = BatchProcessor(store, batch_size=10, max_concurrent=1)
        writing = asyncio.create_task(processor.upsert_large_dataset(documents(40), checkpoint=path))
        await asyncio.sleep(0.6)
        if ends == "cancelled":
            writing.cancel()
        await writing

    monkeypatch.setattr(Checkpoint, "save", full)
    kinds = {"error": AuthenticationError, "cancelled": asyncio.CancelledError, "well": OSError}
    with pytest.raises(kinds[ends]) as caught:
        run_jumping(main())
    if ends == "error":
        assert "the checkpoint could not be saved: [Errno 28] no space left" in caught.value.__notes__
        del NO.__notes__


def test_a_batch_that_waits_for_its_next_attempt_when_the_run_ends_is_not_done(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.uniform", max)
    store = ScriptedStore(lambda _, given: {"d10": LOST, "d30": NO}.get(given[0].id), delay=1)
    with pytest.raises(AuthenticationError):
        write(store, documents(100), path, max_concurrent=2, max_attempts=3, retry_delay=30.0)
    assert [ids[0] for ids in store.calls] == ["d0", "d10", "d20", "d30"]
    assert finished(path) == 10
