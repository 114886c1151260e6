"""What failed is in a file, whole, and can be sent again from there."""

from __future__ import annotations

import datetime
import json
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_helpers import ScriptedStore, document, documents, run_jumping
from fakes import FakeStore
from ia_modules.vector_stores import (
    BatchProcessor,
    ConnectionError,
    DistanceMetric,
    InvalidDocumentError,
    VectorDocument,
)
from ia_modules.vector_stores.batch import BatchResult, read_dead_letters
from ia_modules.vector_stores.batch.dead_letters import DeadLetters
from ia_modules.vector_stores.batch.report import Failure
from ia_modules.vector_stores.requests import IndexInfo

LOST = ConnectionError("lost")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "dead.jsonl"


def write(store: Any, given: Any, path: Path, namespace: str | None = None, **options: Any) -> BatchResult:
    processor = BatchProcessor(store, **({"batch_size": 10, "max_attempts": 1} | options))
    return run_jumping(processor.upsert_large_dataset(given, namespace, dead_letters=path))


def refusing(*names: str) -> ScriptedStore:
    return ScriptedStore(
        lambda _, given: next(
            (InvalidDocumentError("no", document_id=one.id) for one in given if one.id in names), None
        )
    )


def test_a_line_says_it_all(path: Path) -> None:
    metadata = {"n": 3, "f": 3.0, "yes": True, "none": None, "deep": {"a.b": [1, "x", []]}, "é": "\ud800"}
    one = VectorDocument(id="a", vector=np.float32([0.1, -0.0, 1e-45, 3.4e38]), metadata=metadata, text="é\n\u2028")
    write(ScriptedStore(lambda *_: LOST), [document("x"), one], path, "news")
    lines = path.read_bytes().splitlines()
    assert len(lines) == 2
    record = json.loads(lines[1])
    assert {key: record[key] for key in record if key != "document"} == {
        "namespace": "news",
        "position": 1,
        "error": "ConnectionError",
        "message": "lost",
    }
    assert record["document"]["metadata"] == metadata
    (_, again) = read_dead_letters(path)
    assert again == one
    assert again.vector.array.tobytes() == one.vector.array.tobytes()
    assert type(again.metadata["f"]) is float
    assert type(again.metadata["n"]) is int


finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters()), inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(finite, min_size=1, max_size=8), st.dictionaries(st.text(), values, max_size=4), st.none() | st.text())
def test_any_document_comes_back(
    tmp_path_factory: pytest.TempPathFactory, vector: list[float], metadata: dict[str, Any], text: str | None
) -> None:
    one = VectorDocument(id="a", vector=vector, metadata=metadata, text=text)
    path = tmp_path_factory.mktemp("letters") / "dead.jsonl"
    letters = DeadLetters(path, "")
    letters.add([Failure(0, one, LOST, retryable=True)])
    letters.close()
    (again,) = read_dead_letters(path)
    assert again.vector.array.tobytes() == one.vector.array.tobytes()
    assert json.dumps(again.metadata) == json.dumps(one.metadata)
    assert again.text == text


def test_only_the_owner_can_read_it(path: Path) -> None:
    old = os.umask(0)
    try:
        write(ScriptedStore(), documents(3), path)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes() == b""
    assert list(read_dead_letters(path)) == []


def test_what_is_fed_back_completes_the_set(path: Path, tmp_path: Path) -> None:
    store = ScriptedStore(lambda number, _: LOST if number % 3 == 0 else None)
    first = write(store, documents(95), path)
    assert first["failed"] == 30
    assert len(store.stored()) == 65
    other = tmp_path / "other.jsonl"
    second = write(store, read_dead_letters(path), other)
    assert second["total"] == 30
    third = write(store, read_dead_letters(other), tmp_path / "third.jsonl", max_attempts=2)
    assert third["failed"] == 0
    assert store.stored() == {f"d{i}": i for i in range(95)}


def test_it_is_appended_to(path: Path) -> None:
    write(refusing("d1"), documents(3), path)
    write(refusing("d2"), documents(3), path)
    assert [one.id for one in read_dead_letters(path)] == ["d1", "d2"]


def test_what_is_beyond_max_errors_is_there_too(path: Path) -> None:
    result = write(ScriptedStore(lambda *_: LOST), documents(55), path, max_errors=1)
    assert len(result["errors"]) == 1
    assert sorted(one.vector[0] for one in read_dead_letters(path)) == list(range(55))


def test_it_is_there_before_the_batch_counts_as_done(path: Path) -> None:
    lines: list[int] = []

    def progress(*_: Any) -> None:
        lines.append(len(path.read_bytes().splitlines()))

    processor = BatchProcessor(ScriptedStore(lambda *_: LOST), batch_size=5, max_attempts=1)
    run_jumping(processor.upsert_large_dataset(documents(15), None, progress, dead_letters=path))
    assert lines == [5, 10, 15]


def test_the_file_of_the_run_itself_can_t_be_its_source(path: Path) -> None:
    write(ScriptedStore(lambda *_: LOST), documents(5), path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="is the dead-letter file of a run under way"):
        write(ScriptedStore(), read_dead_letters(path), path)
    reading = read_dead_letters(path)
    next(reading)
    link = path.with_name("link.jsonl")
    link.symlink_to(path)
    with pytest.raises(ValueError, match="is being read in this process"):
        write(ScriptedStore(), reading, link)
    assert path.read_bytes() == before
    list(reading)
    write(ScriptedStore(), documents(1), path)
    assert len(list(read_dead_letters(path))) == 5


def test_several_namespaces_in_one_file(path: Path) -> None:
    write(ScriptedStore(lambda *_: LOST), [document("a")], path, "one")
    write(ScriptedStore(lambda *_: LOST), [document("b")], path, "two")
    with pytest.raises(ValueError, match=r"line 2: meant for the namespace 'two', the lines before for 'one'"):
        list(read_dead_letters(path))
    assert [one.id for one in read_dead_letters(path, namespace="two")] == ["b"]
    assert list(read_dead_letters(path, namespace="three")) == []


@pytest.mark.parametrize(("given", "meant"), [(None, "usual"), ("", ""), ("other", "other")])
def test_the_namespace_is_the_one_written_to(path: Path, given: str | None, meant: str) -> None:
    store = FakeStore(dimension=3, info=IndexInfo(3, DistanceMetric.DOT_PRODUCT), namespace="usual", max_retries=0)
    store.failures["upsert"] = [LOST]
    write(store, [document("a")], path, given)
    assert json.loads(path.read_bytes())["namespace"] == meant


class Stubborn:
    def __repr__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("item", "written", "unwritable"),
    [
        (5, 5, None),
        (None, None, None),
        ("text", "text", None),
        ({"id": "x"}, {"id": "x"}, None),
        ({"id": "x", "vector": [1, float("nan")]}, {"id": "x", "vector": [1, "nan"]}, ["vector[1]"]),
        ({"id": "x", "vector": np.array([[1.5]])}, {"id": "x", "vector": [[1.5]]}, None),
        ({"id": "x", "at": datetime.date(2024, 1, 1)}, {"id": "x", "at": "datetime.date(2024, 1, 1)"}, ["at"]),
        ({1: 2}, "{1: 2}", ["item"]),
        (Stubborn(), "<Stubborn whose repr raises RuntimeError>", ["item"]),
        ({"a": {"b": {1, 2}}}, {"a": {"b": "{1, 2}"}}, ["a.b"]),
        ({"n": 10**30}, {"n": "1" + "0" * 30}, ["n"]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_never_was_a_document(path: Path, item: Any, written: Any, unwritable: list[str] | None) -> None:
    result = write(ScriptedStore(), [item, document("a")], path)
    assert (result["upserted"], result["failed"]) == (1, 1)
    record = json.loads(path.read_bytes())
    assert record["document"] == written
    assert record.get("unwritable") == unwritable
    assert record["error"] == "InvalidDocumentError"
    with pytest.raises(ValueError, match=r"line 1: no valid document, .*; correct or remove the line"):
        list(read_dead_letters(path))
    assert list(read_dead_letters(path, skip_invalid=True)) == []


def test_metadata_that_no_store_takes(path: Path) -> None:
    store = FakeStore(dimension=3, info=IndexInfo(3, DistanceMetric.DOT_PRODUCT))
    bad = document("a", metadata={"at": datetime.date(2024, 1, 1), "n": np.int64(3), "ok": 1})
    write(store, [bad, document("b")], path)
    record = json.loads(path.read_bytes())
    assert record["document"]["metadata"] == {"at": "datetime.date(2024, 1, 1)", "n": 3, "ok": 1}
    assert record["unwritable"] == ["metadata.at"]
    with pytest.raises(ValueError, match=r"as JSON could not hold metadata.at"):
        list(read_dead_letters(path))


def test_a_corrected_line_is_read(path: Path) -> None:
    write(ScriptedStore(), [{"id": "x"}, {"id": "y"}], path)
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    lines[0]["document"]["vector"] = [1, 2, 3]
    path.write_text("\n".join(map(json.dumps, lines)))
    assert [one.id for one in read_dead_letters(path, skip_invalid=True)] == ["x"]


@pytest.mark.parametrize(
    "line",
    [b"{", b"", b"5", b"[]", b"{}", b'{"document": {}}', b'{"document": {}, "namespace": 5}', b"\xff", b"[" * 100_000],
    ids=lambda line: line[:40].decode("latin-1"),
)
@pytest.mark.parametrize("skip", [False, True])
def test_a_malformed_line_is_named(path: Path, line: bytes, skip: bool) -> None:
    write(refusing("d1"), documents(3), path)
    whole = path.read_bytes()
    path.write_bytes(whole + line + b"\n" + whole)
    reading = read_dead_letters(path, skip_invalid=skip)
    assert next(reading).id == "d1"
    with pytest.raises(ValueError, match=r"dead\.jsonl, line 2: not "):
        next(reading)


def test_the_last_line_of_a_run_that_was_killed(path: Path) -> None:
    write(refusing("d1", "d2"), documents(3), path)
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for end in range(first + 1, len(whole) - 1):
        path.write_bytes(whole[:end])
        reading = read_dead_letters(path)
        next(reading)
        with pytest.raises(ValueError, match=r"line 2: not valid JSON .*the run that wrote it was killed"):
            next(reading)
        DeadLetters(path, "").close()
        assert path.read_bytes() == whole[:first], "the next run cuts it off"
    path.write_bytes(whole[:-1])
    assert len(list(read_dead_letters(path))) == 2
    DeadLetters(path, "").close()
    assert path.read_bytes() == whole, "only the line feed was missing"


def test_a_torn_line_longer_than_a_block(path: Path) -> None:
    good = refusing("d1")
    write(good, documents(3), path)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"document":' + b" " * 200_000)
    DeadLetters(path, "").close()
    assert path.read_bytes() == whole
    path.write_bytes(b'{"document":' + b" " * 200_000)
    DeadLetters(path, "").close()
    assert path.read_bytes() == b""


@pytest.mark.parametrize("content", [b"Dear diary\n", b"Dear diary", b'{"id": 1}\n', b'{"id": 1}', b"\n", b'{"x'])
def test_a_file_of_something_else_is_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    store = ScriptedStore()
    with pytest.raises(ValueError, match=r"dead\.jsonl"):
        write(store, documents(3), path)
    assert path.read_bytes() == content
    assert store.calls == []


def test_something_else_at_the_end_is_left_alone(path: Path) -> None:
    write(refusing("d1"), documents(3), path)
    content = path.read_bytes() + b"Dear diary"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="name another file"):
        DeadLetters(path, "")
    assert path.read_bytes() == content


def test_a_file_that_can_t_be_opened(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write(ScriptedStore(), documents(3), tmp_path / "no" / "dead.jsonl")


def test_a_disk_that_is_full_ends_the_run(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: DeadLetters, failures: Any) -> None:
        raise OSError(28, "no space left")

    monkeypatch.setattr(DeadLetters, "add", full)
    store = ScriptedStore(lambda number, _: LOST if number == 2 else None)
    with pytest.raises(OSError, match="no space left") as caught:
        write(store, documents(1000), path, max_concurrent=1)
    assert len(store.calls) == 2
    assert caught.value.__notes__ == ["10 documents were upserted before; 0 failed"]


def open_files() -> int:
    folder = Path("/proc/self/fd")
    return sum(1 for _ in folder.iterdir()) if folder.exists() else 0


def test_nothing_stays_open(path: Path) -> None:
    before = open_files()
    write(ScriptedStore(lambda *_: LOST), documents(5), path)
    reading = read_dead_letters(path)
    next(reading)
    reading.close()  # type: ignore[attr-defined]
    path.write_bytes(b"x\n")
    with pytest.raises(ValueError, match="not valid JSON"):
        DeadLetters(path, "")
    assert open_files() == before
