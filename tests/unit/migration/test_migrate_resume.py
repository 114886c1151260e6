"""An interrupted migration goes on where it was: nothing is lost, nothing comes twice."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ia_modules.vector_stores import AuthenticationError, ConnectionError, VectorDocument
from ia_modules.vector_stores.errors import StoreLockedError
from ia_modules.vector_stores.migration import StoreTarget, migrate
from ia_modules.vector_stores.migration.checkpoint import Checkpoint
from ia_modules.vector_stores.migration.ledger import Ledger
from migrating import DIMENSION, NAMESPACES, Listed, assert_same, contents, documents, filled, memory_store, spelled


class Failing(StoreTarget):
    """A target whose connection breaks.

    Args:
        store: where documents go.
        after: pages that are written before.
        error: what is raised then.
        late: whether the page is written all the same, so that only the answer is lost.
    """

    def __init__(self, store: Any, after: int, error: BaseException, *, late: bool = False) -> None:
        super().__init__(store)
        self.left = after
        self.error = error
        self.late = late
        self.wrote: list[str] = []

    async def write(self, documents: list[VectorDocument], namespace: str) -> Mapping[str, str]:
        self.left -= 1
        if self.left >= 0 or self.late:
            self.wrote += [document.id for document in documents]
            refused = await super().write(documents, namespace)
        if self.left < 0:
            raise self.error
        return refused


def lost() -> ConnectionError:
    return ConnectionError("the connection broke", provider="memory", operation="upsert")


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("portable", [True, False])
async def test_it_goes_on_behind_every_page(tmp_path: Path, *, portable: bool, late: bool) -> None:
    """Four pages each in two namespaces, copied, then compared."""
    source = {"": documents("", 32), "b": documents("b", 30)}
    for page in range(8):
        mark = tmp_path / f"{page}.json"
        store = memory_store()
        one = Listed(source, portable=portable)
        with pytest.raises(ConnectionError) as caught:
            await migrate(one, Failing(store, page, lost(), late=late), batch_size=8, checkpoint=mark)
        assert caught.value.__notes__[0].endswith(f"resume=True goes on from there with {mark}")
        assert one.closed == 1
        two, target = Listed(source, portable=portable), Failing(store, 99, lost())
        report = await migrate(two, target, batch_size=8, checkpoint=mark, resume=True)
        assert report.complete
        assert report.resumed
        assert (report.read, report.caught_up, report.removed) == (62, 0, 0)
        assert report.written + report.unchanged == 62
        # A namespace that can't be gone on with is compared from its start; so is one whose first page is in doubt.
        there = (page % 4 + late) * 8 - (2 if page + late == 8 else 0)
        compared = there if not portable or page % 4 == 0 else 0
        assert report.unchanged == compared
        assert len(target.wrote) == 62 - page * 8 + (0 if portable else page % 4 * 8) - compared
        expected = memory_store()
        await migrate(Listed(source), expected)
        assert_same(await contents(expected), await contents(store))


async def test_nothing_that_was_read_is_read_again(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    source, store = Listed({"": documents("", 40), "b": documents("b", 40)}), memory_store()
    with pytest.raises(ConnectionError):
        await migrate(source, Failing(store, 5, lost()), batch_size=10, checkpoint=mark, second_pass=False)
    source.asked.clear()
    source.read.clear()
    await migrate(source, store, batch_size=10, checkpoint=mark, resume=True, second_pass=False)
    assert source.asked == [("b", 10)]
    assert len(source.read) == 30


async def test_a_namespace_that_begins_again_is_counted_once(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    source, store = Listed({"": documents("", 40), "b": documents("b", 40)}, portable=False), memory_store()
    with pytest.raises(ConnectionError):
        await migrate(source, Failing(store, 6, lost()), batch_size=10, checkpoint=mark, second_pass=False)
    told: list[Any] = []
    await migrate(source, store, batch_size=10, checkpoint=mark, resume=True, second_pass=False, progress=told.append)
    assert [(one.done, one.total) for one in told if one.phase == "copy"] == [(done, 80) for done in (50, 60, 70, 80)]


async def test_being_cancelled_saves_how_far_it_came(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    source, store = Listed({"": documents("", 100)}), memory_store()
    reached = asyncio.Event()

    async def wait(progress: Any) -> None:
        if progress.done == 50:
            reached.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(migrate(source, store, batch_size=10, checkpoint=mark, progress=wait))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert source.closed == 1
    assert json.loads(mark.read_text())["state"]["cursor"] == 50
    source.asked.clear()
    assert (await migrate(source, store, batch_size=10, checkpoint=mark, resume=True)).complete
    assert source.asked[0] == ("", 50)


async def test_a_second_pass_that_failed_begins_again(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    source, target = Listed({"": documents("", 40)}), memory_store()

    def fail(progress: Any) -> None:
        if progress.phase == "copy" and progress.done == 40:
            source.documents[""] = [*documents("", 40)[1:], VectorDocument(id="new", vector=[1.0] * DIMENSION)]
        if progress.phase == "second pass" and progress.done == 20:
            raise lost()

    with pytest.raises(ConnectionError):
        await migrate(source, target, batch_size=10, checkpoint=mark, progress=fail)
    source.asked.clear()
    # Behind the place where it was, and before it.
    for place in (3, 30):
        old = source.documents[""][place]
        source.documents[""][place] = VectorDocument(id=old.id, vector=old.vector, text="meanwhile")
    report = await migrate(source, target, batch_size=10, checkpoint=mark, resume=True)
    assert source.asked == [("", None)]
    assert report.complete
    assert (report.read, report.caught_up, report.removed) == (40, 3, 1)
    assert_same({("", one.id): spelled(one) for one in source.documents[""]}, await contents(target))


async def test_a_complete_migration_is_caught_up_again_and_again(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    source, target = await filled(memory_store()), memory_store()
    assert (await migrate(source, target, checkpoint=mark)).complete
    await source.upsert([VectorDocument(id="new", vector=[1.0] * DIMENSION)], "late")
    await source.delete([documents("")[0].id])
    for caught_up, removed in ((1, 1), (0, 0)):
        report = await migrate(source, target, checkpoint=mark, resume=True)
        assert report.complete
        assert (report.read, report.caught_up, report.removed) == (150, caught_up, removed)
        assert_same(await contents(source), await contents(target))
    await source.delete(["new"], namespace="late")
    assert (await migrate(source, target, checkpoint=mark, resume=True)).removed == 1
    assert_same(await contents(source), await contents(target))


async def test_a_checkpoint_is_bound_to_its_migration(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    source, target = await filled(memory_store("a")), memory_store("b")
    with pytest.raises(ConnectionError):
        await migrate(source, Failing(target, 1, lost()), checkpoint=mark)
    before = mark.read_bytes()
    with pytest.raises(ValueError, match="not complete: resume=True"):
        await migrate(source, target, checkpoint=mark)
    with pytest.raises(
        ValueError, match="another migration: target is 'memory://b/index' there and 'memory://c/index'"
    ):
        await migrate(source, memory_store("c"), checkpoint=mark, resume=True)
    with pytest.raises(ValueError, match="another migration: source is"):
        await migrate(await filled(memory_store("d")), target, checkpoint=mark, resume=True)
    with pytest.raises(ValueError, match="another migration: namespaces is"):
        await migrate(source, target, checkpoint=mark, resume=True, namespaces={"": "x"})
    assert mark.read_bytes() == before
    for content in (b"{", b"[]", b'{"version": 2}', b'{"version": 1, "job": {}, "state": {"phase": "x"}}'):
        mark.write_bytes(content)
        with pytest.raises(ValueError, match="no checkpoint of a migration of this version"):
            await migrate(source, target, checkpoint=mark, resume=True)
        assert mark.read_bytes() == content


async def test_resume_without_a_checkpoint_file_begins_at_the_start(tmp_path: Path) -> None:
    report = await migrate(await filled(memory_store()), memory_store(), checkpoint=tmp_path / "mark", resume=True)
    assert report.complete
    assert not report.resumed


async def test_one_checkpoint_is_for_one_migration_at_a_time(tmp_path: Path) -> None:
    ledger = Ledger(Checkpoint(tmp_path / "mark", {}).ledger, fresh=True)
    with pytest.raises(StoreLockedError, match="another migration"):
        await migrate(await filled(memory_store()), memory_store(), checkpoint=tmp_path / "mark")
    ledger.close()
    (tmp_path / "mark").unlink(missing_ok=True)
    assert (await migrate(await filled(memory_store()), memory_store(), checkpoint=tmp_path / "mark")).complete


async def test_a_lost_list_of_ids_deletes_nothing(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    source, target = await filled(memory_store()), memory_store()
    await migrate(source, target, checkpoint=mark)
    (tmp_path / "mark.ids").unlink()
    await source.delete([documents("")[0].id])
    report = await migrate(source, target, checkpoint=mark, resume=True)
    assert report.removed == 0
    assert any("not known" in note for note in report.notes)


async def test_what_was_refused_is_not_ours_to_delete(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    bad = VectorDocument(id="bad", vector=[1.0] * DIMENSION, metadata={"x": object()})
    source, target = Listed({"": [*documents(""), bad]}), memory_store()
    await target.create_index(DIMENSION)
    await target.upsert([VectorDocument(id="bad", vector=[2.0] * DIMENSION)])
    report = await migrate(source, target, checkpoint=mark)
    assert report.refused.keys() == {"bad"}
    source.documents[""].pop()
    report = await migrate(source, target, checkpoint=mark, resume=True)
    assert report.complete
    assert report.removed == 0
    assert await target.fetch(["bad"])


async def test_a_document_that_moves_to_another_namespace_meanwhile(tmp_path: Path) -> None:
    """Both become one, so that its id is taken, but no longer by the namespace that it was in."""
    mark = tmp_path / "mark"
    moving = VectorDocument(id="moving", vector=[1.0] * DIMENSION, text="before")
    source, target = Listed({"a": [*documents("a", 5), moving], "b": []}), memory_store()
    places = {"a": "one", "b": "one"}
    await migrate(source, target, namespaces=places, checkpoint=mark)
    source.documents["a"].pop()
    source.documents["b"].append(moving.model_copy(update={"text": "after"}))
    report = await migrate(source, target, namespaces=places, checkpoint=mark, resume=True)
    assert report.complete
    assert (report.caught_up, report.removed) == (1, 0)
    assert (await target.fetch(["moving"], "one"))[0].text == "after"


async def test_a_lost_connection_is_raised_and_refuses_nothing(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    source, store = await filled(memory_store()), memory_store(max_retries=1, retry_delay=0.0)
    upsert = store._upsert
    calls = 0

    async def break_down(batch: Any, namespace: str) -> None:
        nonlocal calls
        calls += 1
        if 4 <= calls < 8:  # two attempts, each with a retry of the store
            raise lost()
        await upsert(batch, namespace)

    store._upsert = break_down  # type: ignore[method-assign]
    with pytest.raises(ConnectionError):
        await migrate(source, store, batch_size=10, checkpoint=mark)
    assert calls == 7
    report = await migrate(source, store, batch_size=10, checkpoint=mark, resume=True)
    assert report.complete
    assert_same(await contents(source), await contents(store))


async def test_an_error_that_no_retry_cures_is_raised_at_once(tmp_path: Path) -> None:
    source, store = await filled(memory_store()), memory_store()
    calls = 0

    async def refuse(batch: Any, namespace: str) -> None:
        nonlocal calls
        calls += 1
        raise AuthenticationError("no")

    store._upsert = refuse  # type: ignore[method-assign]
    with pytest.raises(AuthenticationError):
        await migrate(source, store)
    assert calls == 1


@settings(max_examples=40)
@given(
    sizes=st.lists(st.integers(0, 25), min_size=1, max_size=4),
    merge=st.booleans(),
    batch_size=st.integers(1, 9),
    failures=st.lists(st.integers(0, 6), max_size=5),
    portable=st.sampled_from([0, 1, 2]),
    late=st.booleans(),
)
async def test_any_mapping_and_any_interruptions(
    sizes: list[int], merge: bool, batch_size: int, failures: list[int], portable: bool, late: bool
) -> None:
    names = list(NAMESPACES[: len(sizes)])
    source = {
        name: [document.model_copy(update={"id": f"{name}/{document.id[:100]}"}) for document in documents(name, size)]
        for name, size in zip(names, sizes, strict=True)
    }
    places = dict.fromkeys(names, "one") if merge else {name: f"to {index}" for index, name in enumerate(names)}
    target = memory_store()
    with tempfile.TemporaryDirectory() as folder:
        mark = Path(folder) / "mark"
        for number, pages in enumerate(failures):
            failing = Failing(target, pages, lost(), late=late)
            with suppress(ConnectionError):
                await migrate(
                    Listed(source, portable=portable),
                    failing,
                    namespaces=places,
                    batch_size=batch_size,
                    checkpoint=mark,
                    resume=number > 0,
                )
        report = await migrate(
            Listed(source, portable=portable),
            target,
            namespaces=places,
            batch_size=batch_size,
            checkpoint=mark,
            resume=bool(failures),
        )
    assert report.complete
    assert report.read == report.written - report.caught_up + report.unchanged == sum(sizes)
    found = await contents(target)
    expected = {
        (places[name], document.id): document.vector.tolist() for name, them in source.items() for document in them
    }
    assert {key: one[2] for key, one in found.items()} == expected
