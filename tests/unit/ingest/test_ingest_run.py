from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ia_modules.vector_stores import VectorDocument, VectorStoreBase, create_vector_store
from ia_modules.vector_stores.embedders.base import Vectors
from ia_modules.vector_stores.errors import IndexMismatchError, IndexNotFoundError, InvalidDocumentError
from ia_modules.vector_stores.ingest import IngestProgress, IngestReport, LoadOptions, ingest


class HashEmbedder:
    """Deterministic vectors; remembers what it was asked, and fails when told to."""

    dimension = 8

    def __init__(self, model: str = "test/hash") -> None:
        self.model = model
        self.batches: list[list[str]] = []
        self.fail_at: int | None = None
        self.refuses: str | None = None

    async def get_dimension(self) -> int:
        return 8

    async def embed_documents(self, texts: Sequence[str]) -> Vectors:
        if self.fail_at is not None and len(self.batches) >= self.fail_at:
            raise RuntimeError("power cut")
        if self.refuses is not None and any(self.refuses in text for text in texts):
            raise InvalidDocumentError("too long for the model")
        self.batches.append(list(texts))
        await asyncio.sleep(0)
        return np.stack([np.random.default_rng(list(text.encode())).random(8, dtype=np.float32) for text in texts])

    async def embed_query(self, text: str) -> Vectors:
        row: Vectors = (await self.embed_documents([text]))[0]
        return row

    async def aclose(self) -> None:
        return

    @property
    def embedded(self) -> int:
        return sum(map(len, self.batches))


@pytest.fixture
async def store() -> AsyncIterator[VectorStoreBase]:
    store = await create_vector_store(provider="memory", index_name="t", dimension=8)
    await store.create_index(8, embedding_model="test/hash")
    yield store
    await store.disconnect()


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    docs = tmp_path / "docs"
    (docs / "sub").mkdir(parents=True)
    for number in range(7):
        text = "\n\n".join(f"Paragraph {part} of file {number}, with words enough." for part in range(number + 1))
        (docs / "sub" / f"f{number}.txt").write_text(text)
    rows = [{"text": f"Record number {number}", "id": f"r{number}", "n": number} for number in range(20)]
    (docs / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return docs


async def everything(store: VectorStoreBase, namespace: str | None = None) -> dict[str, VectorDocument]:
    return {document.id: document async for document in store.scan(namespace)}


SMALL = LoadOptions(max_chars=60)
PASSAGES = 28 + 20


async def run(store: VectorStoreBase, embedder: HashEmbedder, *paths: Path, **options: Any) -> IngestReport:
    return await ingest(store, embedder, paths, root=paths[0].parent, options=SMALL, batch_size=10, **options)


def counts(report: IngestReport) -> tuple[int, int, int, int, int]:
    return report.added, report.updated, report.unchanged, report.removed, report.embedded


async def test_a_second_run_changes_nothing_and_embeds_nothing(
    store: VectorStoreBase, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedder = HashEmbedder()
    report = await run(store, embedder, docs)
    assert counts(report) == (PASSAGES, 0, 0, 0, PASSAGES)
    assert (report.files, report.passages, report.error_count) == (8, PASSAGES, 0)
    assert report.seconds > 0
    stored = await everything(store)
    assert len(stored) == PASSAGES
    third = stored["docs/sub/f6.txt#3"]
    assert third.text == "Paragraph 2 of file 6, with words enough."
    assert third.metadata["source"] == "docs/sub/f6.txt"
    assert third.metadata["position"] == 3
    assert stored["r7"].metadata["n"] == 7
    np.testing.assert_allclose(third.vector, (await HashEmbedder().embed_documents([str(third.text)]))[0], rtol=1e-6)
    assert max(map(len, embedder.batches)) <= 10

    async def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("wrote something")

    monkeypatch.setattr(store, "upsert", refuse)
    monkeypatch.setattr(store, "delete", refuse)
    fresh = HashEmbedder()
    assert counts(await run(store, fresh, docs, prune=True)) == (0, 0, PASSAGES, 0, 0)
    assert fresh.batches == []


async def test_only_what_changed_is_embedded(store: VectorStoreBase, docs: Path) -> None:
    await run(store, HashEmbedder(), docs)
    path = docs / "sub" / "f3.txt"
    path.write_text(path.read_text().replace("Paragraph 1", "Another one"))
    assert counts(await run(store, HashEmbedder(), docs)) == (0, 1, PASSAGES - 1, 0, 1)
    assert str((await everything(store))["docs/sub/f3.txt#2"].text).startswith("Another one")


async def test_changed_metadata_keeps_the_vector(store: VectorStoreBase, docs: Path) -> None:
    await run(store, HashEmbedder(), docs)
    before = (await everything(store))["r5"]
    path = docs / "rows.jsonl"
    path.write_text(path.read_text().replace('"n": 5', '"n": 55'))
    embedder = HashEmbedder()
    assert counts(await run(store, embedder, docs)) == (0, 1, PASSAGES - 1, 0, 0)
    after = (await everything(store))["r5"]
    assert after.metadata["n"] == 55
    np.testing.assert_array_equal(np.asarray(after.vector), np.asarray(before.vector))


async def test_passages_that_are_gone_are_removed(store: VectorStoreBase, docs: Path) -> None:
    await run(store, HashEmbedder(), docs)
    shrunk = docs / "sub" / "f6.txt"
    shrunk.write_text("\n\n".join(shrunk.read_text().split("\n\n")[:2]))
    rows = docs / "rows.jsonl"
    rows.write_text("\n".join(rows.read_text().split("\n")[4:]))
    report = await run(store, HashEmbedder(), docs)
    # The records kept have moved up, so their position changed; their vectors stay.
    assert counts(report) == (0, 16, PASSAGES - 16 - 5 - 4, 5 + 4, 0)
    stored = await everything(store)
    assert len(stored) == PASSAGES - 9
    assert "r3" not in stored
    assert "docs/sub/f6.txt#3" not in stored
    shrunk.write_text("")
    assert (await run(store, HashEmbedder(), docs)).removed == 2


async def test_a_file_with_losses_removes_nothing(store: VectorStoreBase, docs: Path) -> None:
    await run(store, HashEmbedder(), docs)
    rows = docs / "rows.jsonl"
    lines = rows.read_text().split("\n")
    lines[9] = lines[9][:-4]
    rows.write_text("\n".join(lines[:-1]))
    report = await run(store, HashEmbedder(), docs, prune=True)
    assert [(issue.path, issue.line) for issue in report.errors] == [("docs/rows.jsonl", 10)]
    assert report.removed == 0
    assert {"r9", "r19"} <= set(await everything(store))


async def test_unreadable_file_is_reported_and_its_passages_stay(
    store: VectorStoreBase, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await run(store, HashEmbedder(), docs)
    original = Path.open

    def guarded(self: Path, *args: Any, **kwargs: Any) -> Any:
        if self.name in ("f4.txt", "rows.jsonl"):
            raise PermissionError(13, "Permission denied", str(self))
        return original(self, *args, **kwargs)

    monkeypatch.setattr(Path, "open", guarded)
    report = await run(store, HashEmbedder(), docs, prune=True)
    assert [str(issue) for issue in report.errors] == [
        "docs/rows.jsonl: the file can't be read: Permission denied",
        "docs/sub/f4.txt: the file can't be read: Permission denied",
    ]
    assert report.removed == 0
    assert len(await everything(store)) == PASSAGES


async def test_deleted_files_go_only_when_asked(store: VectorStoreBase, docs: Path) -> None:
    other = docs.parent / "docs-other"
    other.mkdir()
    (other / "x.txt").write_text("Elsewhere")
    await run(store, HashEmbedder(), docs, other)
    await store.upsert([VectorDocument(id="foreign", vector=[1.0] * 8, metadata={"source": "docs/by-hand.txt"})])
    (docs / "sub" / "f2.txt").unlink()
    (docs / "rows.jsonl").unlink()
    (other / "x.txt").unlink()
    assert (await run(store, HashEmbedder(), docs)).removed == 0
    assert (await run(store, HashEmbedder(), docs, prune=True)).removed == 20 + 3
    stored = await everything(store)
    assert {"foreign", "docs-other/x.txt#1"} <= set(stored)
    assert len(stored) == PASSAGES - 23 + 2


async def test_prune_spares_what_could_not_be_looked_at(
    store: VectorStoreBase, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    await run(store, HashEmbedder(), docs)
    (docs / "rows.jsonl").unlink()
    original = os.scandir

    def guarded(path: Any) -> Any:
        if str(path).endswith("sub"):
            raise PermissionError(13, "Permission denied", str(path))
        return original(path)

    monkeypatch.setattr(os, "scandir", guarded)
    report = await run(store, HashEmbedder(), docs, prune=True)
    assert [str(issue) for issue in report.errors] == ["docs/sub: the folder can't be read: Permission denied"]
    assert report.removed == 20


async def test_an_interrupted_run_is_continued(store: VectorStoreBase, docs: Path) -> None:
    embedder = HashEmbedder()
    embedder.fail_at = 3
    with pytest.raises(RuntimeError, match="power cut"):
        await run(store, embedder, docs)
    half = await everything(store)
    assert 0 < len(half) < PASSAGES
    rest = HashEmbedder()
    report = await run(store, rest, docs)
    assert report.unchanged == len(half)
    assert rest.embedded == PASSAGES - len(half)
    assert len(await everything(store)) == PASSAGES


async def test_a_cancelled_run_is_continued_and_leaves_no_task(store: VectorStoreBase, docs: Path) -> None:
    def stop(progress: IngestProgress) -> None:
        if progress.passages > 20:
            task.cancel()

    task = asyncio.ensure_future(run(store, HashEmbedder(), docs, progress=stop))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert 0 < (await store.get_stats()).total_vectors < PASSAGES
    assert len(asyncio.all_tasks()) == 1
    await run(store, HashEmbedder(), docs)
    whole = await everything(store)
    assert len(whole) == PASSAGES


async def test_an_interrupted_removal_is_continued(
    store: VectorStoreBase, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await run(store, HashEmbedder(), docs)
    (docs / "sub" / "f6.txt").write_text("One left.")
    original = store.delete
    calls = 0

    async def once(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise RuntimeError("power cut")
        return await original(*args, **kwargs)

    monkeypatch.setattr(store, "delete", once)
    with pytest.raises(RuntimeError, match="power cut"):
        await run(store, HashEmbedder(), docs)
    monkeypatch.undo()
    await run(store, HashEmbedder(), docs)
    assert len(await everything(store)) == PASSAGES - 6


async def test_another_model_is_refused_by_name(store: VectorStoreBase, docs: Path) -> None:
    embedder = HashEmbedder("test/other")
    with pytest.raises(IndexMismatchError, match=r"test/hash.*test/other"):
        await run(store, embedder, docs)
    assert embedder.batches == []


async def test_the_index_must_exist(docs: Path) -> None:
    async with await create_vector_store(provider="memory", index_name="none", dimension=8) as store:
        with pytest.raises(IndexNotFoundError):
            await run(store, HashEmbedder(), docs)


async def test_an_id_in_two_files_is_reported_the_same_way_every_time(store: VectorStoreBase, docs: Path) -> None:
    (docs / "zrows.jsonl").write_text('{"text": "An impostor", "id": "r3"}\n{"text": "Fine", "id": "z"}')
    first = await run(store, HashEmbedder(), docs)
    assert [str(i) for i in first.errors] == [
        "docs/zrows.jsonl: the id 'r3' is taken by docs/rows.jsonl; the passage was left out"
    ]
    again = await run(store, HashEmbedder(), docs)
    assert again.errors == first.errors
    assert counts(again) == (0, 0, PASSAGES + 1, 0, 0)
    assert (await everything(store))["r3"].text == "Record number 3"


async def test_an_id_that_is_just_being_written_counts_as_taken(
    store: VectorStoreBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        rows = [{"text": name, "id": "x"}, {"text": f"more {name}", "id": name}]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    original = store.upsert

    async def slow(*args: Any, **kwargs: Any) -> Any:
        await asyncio.sleep(0.1)
        return await original(*args, **kwargs)

    monkeypatch.setattr(store, "upsert", slow)
    report = await ingest(store, HashEmbedder(), [tmp_path], root=tmp_path, batch_size=2)
    assert (report.added, report.error_count) == (3, 1)
    assert (await everything(store))["x"].text == "a"


async def test_a_text_that_the_model_refuses_is_left_out(store: VectorStoreBase, docs: Path) -> None:
    embedder = HashEmbedder()
    embedder.refuses = "Record number 7"
    report = await run(store, embedder, docs)
    assert report.added == PASSAGES - 1
    assert [str(issue) for issue in report.errors] == ["docs/rows.jsonl: too long for the model (passage 'r7')"]


async def test_a_document_that_the_store_refuses_is_left_out(store: VectorStoreBase, docs: Path) -> None:
    deep: Any = "deep"
    for _ in range(100):
        deep = [deep]
    with (docs / "rows.jsonl").open("a") as stream:
        stream.write("\n" + json.dumps({"text": "Too deep", "id": "deep", "x": deep}))
    report = await run(store, HashEmbedder(), docs)
    assert report.added == PASSAGES
    assert [issue.path for issue in report.errors] == ["docs/rows.jsonl"]
    assert "nested" in report.errors[0].message


async def test_namespaces_are_kept_apart(store: VectorStoreBase, docs: Path) -> None:
    await run(store, HashEmbedder(), docs, namespace="one")
    assert await everything(store) == {}
    assert len(await everything(store, "one")) == PASSAGES
    (docs / "rows.jsonl").write_text("")
    await run(store, HashEmbedder(), docs, namespace="two", prune=True)
    assert len(await everything(store, "one")) == PASSAGES


async def test_progress_reaches_the_total(store: VectorStoreBase, docs: Path) -> None:
    seen: list[IngestProgress] = []
    await run(store, HashEmbedder(), docs, progress=seen.append)
    assert {progress.files_total for progress in seen} == {8}
    assert [progress.files for progress in seen] == sorted(progress.files for progress in seen)
    assert (seen[-1].files, seen[-1].passages, seen[-1].embedded) == (8, PASSAGES, PASSAGES)


async def test_very_many_issues_are_counted_but_not_all_kept(store: VectorStoreBase, tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text("{\n" * 1500 + '{"text": "fine"}')
    report = await ingest(store, HashEmbedder(), [path], root=tmp_path)
    assert (report.error_count, len(report.errors), report.added) == (1500, 1000, 1)


async def test_wrong_arguments(store: VectorStoreBase, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="batch_size"):
        await ingest(store, HashEmbedder(), [tmp_path], batch_size=0)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        await ingest(store, HashEmbedder(), [tmp_path / "nowhere"])
