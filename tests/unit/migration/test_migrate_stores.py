"""From store to store: what arrives is what was there."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from conftest import MakeStore
from ia_modules.vector_stores import (
    IndexMismatchError,
    IndexNotFoundError,
    InvalidDimensionError,
    UnsupportedOperationError,
    VectorDocument,
    VectorStoreBase,
    VectorStoreConfig,
    create_vector_store,
)
from ia_modules.vector_stores.migration import (
    JsonLinesSource,
    JsonLinesTarget,
    ParquetSource,
    ParquetTarget,
    Source,
    StoreSource,
    StoreTarget,
    migrate,
    verify,
)
from migrating import DIMENSION, NAMESPACES, Listed, assert_same, contents, documents, filled, memory_store


@pytest.mark.targets("memory", "chroma-folder", "qdrant-memory", "qdrant-folder", "qdrant-stub-grpc", "weaviate-double")
async def test_every_provider_gives_back_what_it_was_given(make_store: MakeStore) -> None:
    source, back = await filled(memory_store(), metric="euclidean"), memory_store()
    between = make_store()
    report = await migrate(source, between, batch_size=7)
    assert report.complete
    assert (report.read, report.written, report.caught_up, report.removed) == (150, 150, 0, 0)
    assert (await migrate(between, back, batch_size=7)).complete
    assert_same(await contents(source), await contents(back))
    assert (await back.get_stats()).dimension == DIMENSION
    assert (await StoreSource(back).describe()).metric == "euclidean"


async def test_a_chain_of_all_providers_returns_the_very_same_documents(
    tmp_path: Any, weaviate_double: dict[str, Any], pinecone_server: Any
) -> None:
    places: list[dict[str, Any]] = [
        {"provider": "chroma", "path": str(tmp_path / "chroma")},
        {"provider": "qdrant", "path": str(tmp_path / "qdrant")},
        weaviate_double,
        {"provider": "pinecone", "host": pinecone_server.url},
        {"provider": "memory"},
    ]
    first = await filled(memory_store(embedding_model="a/model"))
    previous: VectorStoreBase | Source = first
    opened = []
    try:
        for place in places:
            store = await create_vector_store(VectorStoreConfig(**{"index_name": "chain", **place}))
            opened.append(store)
            report = await migrate(previous, store)
            assert report.complete
            assert report.written == report.read == 150
            assert any("is created: 8 dimensions, metric cosine" in note for note in report.notes)
            previous = store
            if store.config.provider == "pinecone":
                parquet, lines = tmp_path / "chain.parquet", tmp_path / "chain.jsonl.gz"
                assert (await migrate(store, ParquetTarget(parquet))).complete
                assert (await migrate(ParquetSource(parquet), JsonLinesTarget(lines))).complete
                previous = JsonLinesSource(lines)
        assert isinstance(previous, VectorStoreBase)
        assert_same(await contents(first), await contents(previous))
        assert (await verify(first, previous)).ok
        assert await previous.get_embedding_model() == "a/model"
    finally:
        for store in opened:
            if store.config.host is not None:
                await store.delete_index()
            await store.disconnect()


async def test_namespaces_are_taken_and_renamed() -> None:
    source, target = await filled(memory_store()), memory_store()
    report = await migrate(source, target, namespaces={"": "main", "tenant/ü": "tenant/ü"})
    assert report.complete
    assert [(one.source, one.target, one.written) for one in report.namespaces] == [
        ("", "main", 30),
        ("tenant/ü", "tenant/ü", 30),
    ]
    found = await contents(target)
    expected = await contents(source)
    assert {key[0] for key in found} == {"main", "tenant/ü"}
    assert all(expected["" if place == "main" else place, key] == one for (place, key), one in found.items())


async def test_an_id_that_two_namespaces_have_is_not_written_over() -> None:
    one = [VectorDocument(id=name, vector=[1.0] * DIMENSION, text="a") for name in ("x", "y")]
    two = [VectorDocument(id=name, vector=[2.0] * DIMENSION, text="b") for name in ("y", "z")]
    target = memory_store()
    for second_pass in (False, True):
        report = await migrate(
            Listed({"a": one, "b": two}), target, namespaces={"a": "both", "b": "both"}, second_pass=second_pass
        )
        assert not report.complete
        assert report.refused == {
            "y": "the id is taken by a document of the namespace 'a', which goes to 'both' as well"
        }
        assert {document.id: document.text async for document in target.scan("both")} == {"x": "a", "y": "a", "z": "b"}


async def test_what_is_refused_is_reported_and_the_rest_arrives() -> None:
    given = documents("")
    given[3].metadata["bad"] = {1, 2}
    given[5] = VectorDocument(id="long", vector=[1.0] * (DIMENSION + 1))
    target = memory_store()
    report = await migrate(Listed({"": given}, unreadable={"": 2}), target)
    assert report.refused.keys() == {given[3].id, "long"}
    assert "set" in report.refused[given[3].id]
    assert (report.refused_count, report.unreadable_count) == (2, 2)
    assert report.unreadable[0].key == "row 0"
    assert not report.complete
    assert await target.count() == 28
    stored = json.loads(report.to_json())
    assert stored["refused_count"] == 2
    assert stored["namespaces"][0]["written"] == 28


async def test_lists_are_bounded_and_the_file_of_rejects_has_all(tmp_path: Any) -> None:
    bad = [VectorDocument(id=f"bad {n}", vector=[1.0] * DIMENSION, metadata={"n": object()}) for n in range(1500)]
    target = memory_store()
    report = await migrate(
        Listed({"": bad}, unreadable={"": 1200}), StoreTarget(target), rejects=tmp_path / "rejects.jsonl"
    )
    assert (report.refused_count, report.unreadable_count) == (1500, 1200)
    assert (len(report.refused), len(report.unreadable)) == (1000, 1000)
    lines = [json.loads(line) for line in (tmp_path / "rejects.jsonl").read_text().splitlines()]
    assert [line["key"] for line in lines if line["kind"] == "refused"] == [one.id for one in bad]
    assert sum(line["kind"] == "unreadable" for line in lines) == 1200
    assert (tmp_path / "rejects.jsonl").stat().st_mode & 0o077 == 0


async def test_what_forbids_a_migration_is_raised_before_anything_is_written() -> None:
    source = await filled(memory_store(), metric="dot_product")
    other_metric, other_size, missing = memory_store(), memory_store(), memory_store()
    await other_metric.create_index(DIMENSION, "cosine")
    await other_size.create_index(DIMENSION + 1, "dot_product")
    with pytest.raises(IndexMismatchError, match="change_metric"):
        await migrate(source, other_metric)
    with pytest.raises(InvalidDimensionError, match="8 numbers; the index 'index' has 9"):
        await migrate(source, other_size)
    with pytest.raises(IndexNotFoundError):
        await migrate(source, StoreTarget(missing, create_missing=False))
    assert not await missing.index_exists()
    assert await other_metric.list_namespaces() == await other_size.list_namespaces() == []
    report = await migrate(source, StoreTarget(other_metric, change_metric=True))
    assert report.complete
    assert any("changes from dot_product to cosine" in note for note in report.notes)
    with pytest.raises(IndexMismatchError, match="change_metric"):
        await migrate(source, StoreTarget(memory_store(), metric="euclidean"))
    with pytest.raises(IndexMismatchError, match="change_metric"):
        await migrate(source, memory_store(metric="manhattan"))
    with pytest.raises(InvalidDimensionError, match="8 numbers"):
        await migrate(source, memory_store(dimension=3))


async def test_vectors_of_another_model_are_refused() -> None:
    source, target = await filled(memory_store(embedding_model="one")), memory_store()
    await target.create_index(DIMENSION, embedding_model="two")
    with pytest.raises(IndexMismatchError, match="one, two"):
        await migrate(source, target)


@pytest.mark.targets("pinecone-emulator")
async def test_a_metric_that_the_target_lacks(make_store: MakeStore) -> None:
    with pytest.raises(UnsupportedOperationError, match="manhattan"):
        await migrate(await filled(memory_store(), metric="manhattan"), make_store())


async def test_arguments_that_make_no_sense() -> None:
    source, target = await filled(memory_store()), memory_store()
    calls: list[tuple[str, Any, Any, dict[str, Any]]] = [
        ("no namespace 'x'", source, target, {"namespaces": {"x": "y"}}),
        ("batch_size", source, target, {"batch_size": 0}),
        ("needs a checkpoint", source, target, {"resume": True}),
        ("the same index", source, source, {}),
        ("control character", source, target, {"namespaces": {"": "a\n"}}),
        ("a source is a store", [], target, {}),
        ("a target is a store", source, object(), {}),
    ]
    for message, one, other, options in calls:
        with pytest.raises(ValueError, match=message):
            await migrate(one, other, **options)
    assert not await target.index_exists()


async def test_a_namespace_is_copied_within_an_index() -> None:
    store = await filled(memory_store())
    assert (await migrate(store, store, namespaces={"": "copy"})).complete
    found = await contents(store)
    assert {key: one for (name, key), one in found.items() if name == "copy"} == {
        key: one for (name, key), one in found.items() if name == ""
    }


async def test_a_second_pass_catches_what_was_written_meanwhile() -> None:
    source, target = await filled(memory_store()), memory_store()
    await target.create_index(DIMENSION)
    own = VectorDocument(id="own", vector=[1.0] * DIMENSION, text="of the target")
    await target.upsert([own])
    changed = documents("")[0].model_copy(update={"metadata": {"n": 1.0}})
    done = False

    async def meddle(progress: Any) -> None:
        nonlocal done
        if progress.namespace == max(NAMESPACES) and not done:  # the last one, so that all others were read
            done = True
            await source.upsert([changed, VectorDocument(id="new", vector=[3.0] * DIMENSION)])
            await source.upsert([VectorDocument(id="first", vector=[3.0] * DIMENSION)], "new namespace")
            await source.delete([documents("")[1].id])
            await source.delete_namespace("tenant/ü")

    report = await migrate(source, target, batch_size=10, progress=meddle)
    assert report.complete
    assert (report.caught_up, report.removed) == (3, 31)
    assert {one.source: one.removed for one in report.namespaces if one.removed} == {"": 1, "tenant/ü": 30}
    found = await contents(target)
    assert found.pop(("", "own"))
    assert_same(await contents(source), found)


async def test_without_it_they_are_not_looked_for() -> None:
    source, target = await filled(memory_store()), memory_store()
    deleted = documents("")[1].id

    async def meddle(progress: Any) -> None:
        await source.delete([deleted], namespace="")

    report = await migrate(source, target, batch_size=10, progress=meddle, second_pass=False)
    assert report.complete
    assert await target.fetch([deleted])
    assert all(one.finished for one in report.namespaces)


async def test_nothing_is_deleted_if_something_could_not_be_read() -> None:
    source, target = Listed({"": documents("")}), memory_store()

    async def meddle(progress: Any) -> None:
        if progress.phase == "copy":
            source.documents[""] = documents("")[1:]
            source.unreadable[""] = 1

    report = await migrate(source, target, progress=meddle)
    assert report.removed == 0
    assert not report.complete
    assert any("nothing was deleted" in note for note in report.notes)
    assert await target.count() == 30


async def test_progress_tells_how_far_it_is() -> None:
    told: list[Any] = []
    await migrate(Listed({"": documents(""), "b": documents("b")}), memory_store(), batch_size=10, progress=told.append)
    copied = [one for one in told if one.phase == "copy"]
    assert [one.done for one in copied] == [10, 20, 30, 40, 50, 60]
    assert {one.total for one in told} == {60}
    assert [one.namespace for one in copied] == [""] * 3 + ["b"] * 3
    assert all(one.rate > 0 and one.seconds_left >= 0 for one in copied)
    assert copied[-1].seconds_left == 0
    assert [one.phase for one in told[6:]] == ["second pass"] * 6 + ["complete"]
    assert told[-1].written == 60


async def test_an_error_of_the_progress_callback_ends_it() -> None:
    source = Listed({"": documents("")})

    def fail(progress: Any) -> None:
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop") as caught:
        await migrate(source, memory_store(), progress=fail, batch_size=10)
    assert "10 documents were written before" in caught.value.__notes__[0]
    assert source.closed == 1


async def test_ids_that_repeat_are_counted() -> None:
    given = documents("")
    given.append(given[0].model_copy(update={"text": "later"}))
    target = memory_store()
    report = await migrate(Listed({"": given}), target, second_pass=False)
    assert (report.read, report.written, report.namespaces[0].repeated) == (31, 30, 1)
    assert any("more than once" in note for note in report.notes)
    assert (await target.fetch([given[0].id]))[0].text == "later"


async def test_an_index_of_unknown_dimension_is_made_by_the_first_document() -> None:
    source = Listed({"": documents("")})
    describe = source.describe

    async def unsure() -> Any:
        info = await describe()
        return type(info)(info.name, info.kind, None, None, {"": None})

    source.describe = unsure  # type: ignore[method-assign]
    target = memory_store()
    report = await migrate(source, StoreTarget(target, metric="manhattan"))
    assert report.complete
    assert (await target.get_stats()).dimension == DIMENSION
    assert (await StoreSource(target).describe()).metric == "manhattan"


async def test_reading_goes_on_while_a_page_is_written() -> None:
    """Two pages wait at most, so memory is bounded and the source is not waited for."""
    source, target = Listed({"": documents("", 100)}), memory_store()
    behind: list[int] = []

    async def slow(progress: Any) -> None:
        for _ in range(20):
            await asyncio.sleep(0)
        behind.append(len(source.read) - progress.done)

    await migrate(source, target, batch_size=10, progress=slow, second_pass=False)
    assert max(behind) == 30
