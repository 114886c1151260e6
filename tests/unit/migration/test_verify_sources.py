"""Files on either side, ids that come twice, what can't be read, and being interrupted."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import pytest

from ia_modules.vector_stores import MemoryVectorStore, VectorDocument, VectorStoreConfig
from ia_modules.vector_stores.migration import verification_ledger
from ia_modules.vector_stores.migration.records import Page, Unreadable
from ia_modules.vector_stores.migration.stores import StoreSource
from ia_modules.vector_stores.migration.verification import verify
from ia_modules.vector_stores.migration.verification_ledger import Ledger, Spill, record_keys
from verification_helpers import ListSource, changed, documents, filled, found, memory_store

DOCUMENTS = documents()
ONE = DOCUMENTS[1]


async def test_a_file_as_the_source_and_as_the_target() -> None:
    contents = {"": DOCUMENTS, "other": DOCUMENTS[:5]}
    store = await filled(memory_store(), contents)
    for source, target in ((ListSource(contents), store), (store, ListSource(contents)), (ListSource(contents),) * 2):
        report = await verify(source, target, batch_size=5)
        assert report.ok
        assert report.compared == 17
        assert (report.searches is None) == (target is not store)
        for side in (source, target):
            if isinstance(side, ListSource):
                assert side.closed
                assert side.open_pages == 0
    assert report.notes == ("no searches, as the target is no store",)


async def test_what_is_wrong_with_a_file_is_found() -> None:
    store = await filled(memory_store(), {"": DOCUMENTS})
    tampered = [changed(DOCUMENTS[0], id="stranger"), *DOCUMENTS[2:], changed(ONE, metadata={**ONE.metadata, "n": 3.0})]
    listed = ListSource({"": tampered, "new": [ONE]}, [Unreadable("line 7", "no vector", "")])
    expected = [
        ("missing", "", "plain"),
        ("extra", "", "stranger"),
        ("extra", "new", ONE.id),
        ("metadata_type", "", ONE.id),
        ("unreadable", "", "line 7"),
    ]
    report = await verify(store, listed, batch_size=5)
    assert found(report) == expected
    assert report.findings[-1].description == "in the target: no vector"
    report = await verify(listed, store, batch_size=5)
    assert {(kind, name) for kind, _, name in found(report)} == {
        ("extra", "plain"),
        ("missing", "stranger"),
        ("missing", ONE.id),
        ("metadata_type", ONE.id),
        ("unreadable", "line 7"),
    }
    assert report.findings[-1].description == "no vector"


@pytest.mark.parametrize("size", [1, 3, 100])
async def test_an_id_that_stands_for_two_documents_is_found(size: int) -> None:
    """The last one is what the migration keeps; that the first one is lost must be said."""
    for change in ({"text": "x"}, {"metadata": {"n": 3.0}}, {"vector": [1, 2, 3, 4]}):
        source = ListSource({"": [changed(ONE, **change), *DOCUMENTS]})
        target = await filled(memory_store(), {"": DOCUMENTS})
        report = await verify(source, target, batch_size=size)
        assert found(report) == [("duplicate", "", ONE.id)]
        assert (report.compared, report.namespaces[0].matched) == (12, 12)
        assert report.namespaces[0].source_hash == report.namespaces[0].target_hash
        await target.upsert([changed(ONE, **change)])  # the first one stayed, which is wrong twice
        report = await verify(source, target, batch_size=size)
        assert report.counts.pop("duplicate") == 1  # type: ignore[attr-defined]
        assert sum(report.counts.values()) >= 1
        assert report.namespaces[0].altered == 1


async def test_repetitions_of_the_same_are_noted_only() -> None:
    source = ListSource({"": [*DOCUMENTS, *DOCUMENTS[:3], DOCUMENTS[0]]})
    target = await filled(memory_store(), {"": DOCUMENTS})
    report = await verify(source, target, batch_size=4)
    assert report.ok
    assert report.compared == 12
    assert report.notes == ("4 documents of the source are repetitions, the same as before",)
    await target.upsert([changed(DOCUMENTS[0], text="x")])
    await target.delete(ids=[ONE.id])
    report = await verify(source, target, batch_size=4)
    assert found(report) == [("missing", "", ONE.id), ("text", "", DOCUMENTS[0].id)]


async def test_an_id_that_a_file_as_target_has_twice_is_found() -> None:
    source = await filled(memory_store(), {"": DOCUMENTS})
    report = await verify(source, ListSource({"": [changed(ONE, text="x"), *DOCUMENTS]}), batch_size=4)
    assert found(report) == [("duplicate", "", ONE.id)]
    assert report.findings[0].description == "more than once in the target"
    target = ListSource({"n": DOCUMENTS, "other": [ONE, ONE]})
    assert (await verify(source, target, namespaces={"": "n"})).ok


async def test_the_same_id_in_namespaces_that_become_one_is_found() -> None:
    other = changed(ONE, text="x")
    source = await filled(memory_store(), {"a": DOCUMENTS, "b": [other]})
    target = await filled(memory_store(), {"c": [*DOCUMENTS, other]})
    report = await verify(source, target, namespaces={"a": "c", "b": "c"})
    assert found(report) == [("duplicate", "c", ONE.id)]


async def test_counts_that_do_not_fit() -> None:
    target = await filled(memory_store(), {"": DOCUMENTS})
    report = await verify(ListSource({"": DOCUMENTS}, counts={"": 13}), target)
    assert found(report) == [("count", "", None)]
    assert report.findings[0].description == "the source says that it has 13 documents, and gave 12"
    lost = [Unreadable("line 7", "no vector", "")]
    for told in (12, 13, None):
        report = await verify(ListSource({"": DOCUMENTS}, lost, counts={"": told}), target)
        assert report.counts == {"unreadable": 1}


class Miscounting(MemoryVectorStore):
    """A store that counts wrong.

    Args:
        by: how much.
    """

    def __init__(self, by: int) -> None:
        super().__init__(VectorStoreConfig(provider="memory", index_name="i"))
        self.by = by

    async def _count(self, filters: Any, namespace: str) -> int:
        return await super()._count(filters, namespace) + self.by


@pytest.mark.parametrize("by", [-2, 2])
async def test_a_target_that_counts_otherwise_than_it_gives_is_found(by: int) -> None:
    target = await filled(Miscounting(by), {"": DOCUMENTS})
    report = await verify(ListSource({"": DOCUMENTS}), target)
    assert found(report) == [("count", "", None)]
    assert report.findings[0].description == f"the target counts {12 + by} documents, and gave 12"
    await target.upsert([changed(ONE, id="stranger")])
    report = await verify(ListSource({"": DOCUMENTS}), target)
    assert found(report) == [("extra", "", "stranger"), ("count", "", None)]
    assert report.findings[1].description == f"the target counts {13 + by} documents, and gave 13"


async def test_a_store_source_is_a_store() -> None:
    stores = [await filled(memory_store(), {"": DOCUMENTS}) for _ in range(2)]
    report = await verify(StoreSource(stores[0]), StoreSource(stores[1]))
    assert report.ok
    assert report.searches is not None
    assert report.searches.how == "both sides"


class Failing(ListSource):
    """A source that breaks after its first page."""

    async def read(self, namespace: str, size: int) -> AsyncGenerator[Page]:
        async with aclosing(super().read(namespace, size)) as pages:
            async for page in pages:
                yield page
                raise OSError("the disk is gone")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The temporary files that were opened."""
    made: list[Any] = []
    create = verification_ledger._Scratch.__init__

    def remembered(self: Any, table: str) -> None:
        create(self, table)
        made.append(self)

    monkeypatch.setattr(verification_ledger._Scratch, "__init__", remembered)
    return made


def all_closed(opened: Sequence[Any]) -> bool:
    for one in opened:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            one._database.execute("SELECT 1")
    return bool(opened)


@pytest.mark.parametrize("as_target", [False, True])
async def test_a_side_that_fails_leaves_nothing_open(as_target: bool, opened: list[Any]) -> None:
    source = Failing({"": DOCUMENTS})
    store = await filled(memory_store(), {"": DOCUMENTS})
    with pytest.raises(OSError, match="the disk is gone"):
        await verify(*((store, source) if as_target else (source, store)), batch_size=2)
    assert (source.open_pages, source.closed) == (0, 1)
    assert all_closed(opened)


class Slow(MemoryVectorStore):
    """A store whose fetches wait."""

    running = 0

    def __init__(self) -> None:
        super().__init__(VectorStoreConfig(provider="memory", index_name="i"))
        self.three_run = asyncio.Event()

    async def _fetch(self, ids: list[str], namespace: str) -> dict[str, VectorDocument]:
        self.running += 1
        try:
            if self.running == 3:
                self.three_run.set()
            await asyncio.sleep(60)
        finally:
            self.running -= 1
        return {}


async def test_cancelling_leaves_nothing_open(opened: list[Any]) -> None:
    target = Slow()
    await filled(target, {"": DOCUMENTS})
    source = ListSource({"": DOCUMENTS})
    task = asyncio.create_task(verify(source, target, batch_size=2))
    await target.three_run.wait()
    task.cancel()
    assert await asyncio.wait([task], timeout=20) == ({task}, set())
    assert task.cancelled()
    assert (target.running, source.open_pages, source.closed) == (0, 0, 1)
    assert all_closed(opened)
    assert len(asyncio.all_tasks()) == 1


def test_keys_tell_namespaces_and_ids_apart() -> None:
    names = ["", "a", "ab", "b", "\ud800"]
    keys = {key for name in names for key in record_keys(name, ["a", "b", "ba", "\ud800", "\x00", "a ", " a"])}
    assert len(keys) == 35
    assert record_keys("a", ["b"]) == record_keys("a", ["b"]) != record_keys("a", ["b"], seed=1)


def test_the_ledger_keeps_the_last_entry() -> None:
    ledger = Ledger()
    keys = record_keys("", [str(n) for n in range(1200)])
    ledger.put({key: (n, b"a", b"b", b"c") for n, key in enumerate(keys)})
    ledger.put({keys[0]: (7, b"x", b"y", b"")})
    kept = ledger.find([*keys, b"unknown"])
    assert len(kept) == 1200
    assert kept[keys[0]] == (7, b"x", b"y", b"")
    assert kept[keys[1199]] == (1199, b"a", b"b", b"c")
    ledger.close()
    ledger.close()


def test_what_is_spilled_comes_back_as_it_was() -> None:
    spill = Spill()
    assert spill.put("n", DOCUMENTS) == []
    assert spill.put("other", [ONE, changed(ONE, text="later")]) == [ONE.id]
    back = spill.fetch("n", [one.id for one in DOCUMENTS])
    assert len(back) == 12
    for one in DOCUMENTS:
        assert repr(back[one.id]) == repr(one)
        assert back[one.id].vector == one.vector
    assert spill.fetch("other", [ONE.id])[ONE.id].text == "later"
    assert (spill.count("n"), spill.count("none"), sorted(spill.namespaces())) == (12, 0, ["n", "other"])
    first = spill.ids("n", None, 5)
    assert len(first) == 5
    assert sorted([*first, *spill.ids("n", first[-1], 50)]) == sorted(one.id for one in DOCUMENTS)
    spill.close()
