"""A plan says what a migration would do, and does nothing."""

from __future__ import annotations

import json

import pytest

from conftest import MakeStore
from ia_modules.vector_stores import VectorDocument
from ia_modules.vector_stores.migration import StoreTarget, migrate, plan
from migrating import DIMENSION, Listed, contents, documents, filled, memory_store


async def test_it_changes_nothing_and_says_what_would_be() -> None:
    source, target = await filled(memory_store(), metric="dot_product"), memory_store()
    found = await plan(source, target, namespaces={"": "main", "tenant/ü": "tenant/ü"})
    assert not await target.index_exists()
    assert found.possible
    assert (found.index, found.dimension, found.metric) == ("to be created", DIMENSION, "dot_product")
    assert [(one.source, one.target, one.documents) for one in found.namespaces] == [
        ("", "main", 30),
        ("tenant/ü", "tenant/ü", 30),
    ]
    assert (found.documents, found.sampled, found.refused) == (60, 60, {})
    assert found.seconds is not None
    assert found.seconds > 0
    assert found.estimate.startswith("an estimate: 60 documents were read in")
    assert "copy and the second pass" in found.estimate
    stored = json.loads(found.to_json())
    assert stored["possible"] is True
    assert stored["metric"] == "dot_product"


async def test_it_says_what_is_there_already() -> None:
    source, target = await filled(memory_store()), memory_store()
    await migrate(source, target, namespaces={"": ""})
    before = await contents(target)
    found = await plan(source, target)
    assert found.index == "found"
    assert {one.target: one.already_there for one in found.namespaces}[""] == 30
    assert any("are replaced" in note for note in found.notes)
    assert await contents(target) == before


async def test_it_names_what_forbids_the_migration() -> None:
    source = await filled(memory_store(), metric="dot_product")
    other, missing = memory_store(), memory_store()
    await other.create_index(DIMENSION + 1, "cosine")
    found = await plan(source, other)
    assert not found.possible
    assert [part for part in ("8 numbers", "change_metric") if any(part in one for one in found.problems)] == [
        "8 numbers",
        "change_metric",
    ]
    assert found.refused  # every document, as they don't fit
    assert "does not exist" in (await plan(source, StoreTarget(missing, create_missing=False))).problems[0]
    assert (await plan(source, StoreTarget(missing, change_metric=True, metric="cosine"))).possible


@pytest.mark.targets("pinecone-emulator")
async def test_it_finds_what_the_database_can_not_hold(make_store: MakeStore) -> None:
    bad = {
        "zero": VectorDocument(id="zero", vector=[0.0] * DIMENSION),
        "short": VectorDocument(id="short", vector=[1e-30] * DIMENSION),
        "large": VectorDocument(id="large", vector=[1.0] * DIMENSION, text="x" * 50_000),
    }
    source = Listed({"": [*documents(""), *bad.values()]}, unreadable={"": 1})
    store = make_store()
    found = await plan(source, store)
    assert found.possible
    assert found.refused.keys() == bad.keys()
    assert len(found.unreadable) == 1
    assert source.closed == 1
    report = await migrate(source, store)
    assert report.refused.keys() == bad.keys()
    manhattan = await plan(await filled(memory_store(), metric="manhattan"), make_store(index_name="other"))
    assert "no metric 'manhattan'" in manhattan.problems[0]


async def test_the_sample_comes_from_all_namespaces() -> None:
    source = Listed({"a": documents("a", 100), "b": documents("b", 3), "c": documents("c", 100)})
    found = await plan(source, memory_store(), sample=30, batch_size=10)
    assert source.asked == [("a", None), ("b", None), ("c", None)]
    assert found.sampled in range(30, 40)
    assert len(source.read) < 60
    assert (await plan(source, memory_store(), sample=0)).seconds is None


async def test_lengths_that_another_program_may_have_lost() -> None:
    scaled = [VectorDocument(id="a", vector=[0.6, 0.8, *[0.0] * 6])]
    note = "all vectors of the sample have length 1"
    assert any(note in one for one in (await plan(Listed({"": scaled}), memory_store())).notes)
    assert not any(note in one for one in (await plan(Listed({"": documents("")}), memory_store())).notes)


async def test_arguments_that_make_no_sense() -> None:
    source = await filled(memory_store())
    with pytest.raises(ValueError, match="no namespace 'x'"):
        await plan(source, memory_store(), namespaces={"x": "y"})
    with pytest.raises(ValueError, match="sample"):
        await plan(source, memory_store(), sample=-1)
