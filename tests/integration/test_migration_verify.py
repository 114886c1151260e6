"""A faithful copy in any database verifies, and whatever is done to it there is found."""

from __future__ import annotations

import numpy as np
import pytest

from conftest import MakeStore
from ia_modules.vector_stores import VectorDocument, VectorStoreBase
from ia_modules.vector_stores.migration.verification import verify
from verification_helpers import changed, documents, filled, found, memory_store

DOCUMENTS = documents(8, 40)
CONTENTS = {"": DOCUMENTS, "other": DOCUMENTS[:9]}
METRICS = ["cosine", "euclidean", "dot_product", "manhattan"]


@pytest.fixture
async def pair(make_store: MakeStore) -> tuple[VectorStoreBase, VectorStoreBase]:
    """The reference, and one of the target with the same documents."""
    source = await filled(memory_store(), CONTENTS, dimension=8)
    return source, await filled(make_store(), CONTENTS, dimension=8)


@pytest.mark.parametrize("metric", METRICS)
async def test_a_faithful_copy_verifies_in_both_directions(make_store: MakeStore, metric: str) -> None:
    store = make_store()
    if metric not in {one.value for one in store.capabilities.metrics}:
        pytest.skip(f"{store.provider} has no metric {metric}")
    source = await filled(memory_store(), CONTENTS, metric, 8)
    await filled(store, CONTENTS, metric, 8)
    for one, other in ((source, store), (store, source)):
        report = await verify(one, other, batch_size=16)
        assert report.findings == ()
        assert report.ok
        assert report.compared == 49
        assert report.max_deviation <= 1e-6
        assert report.searches is not None
        assert (report.searches.queries, report.searches.how) == (49, "both sides")
        assert report.searches.mean_recall == 1.0
        assert report.searches.max_difference < 1e-4


async def test_tampering_is_found_and_nothing_else(pair: tuple[VectorStoreBase, VectorStoreBase]) -> None:
    source, target = pair
    typical, moved, gone, worded = DOCUMENTS[1], DOCUMENTS[9], DOCUMENTS[5], DOCUMENTS[13]
    assert typical.metadata["n"] == 3
    assert typical.text == ""
    vector = np.array(moved.vector.array)
    vector[5] *= np.float32(1.001)
    await target.upsert(
        [
            changed(typical, metadata=typical.metadata | {"n": 3.0, "yes": 1}, text=None),
            changed(moved, vector=vector),
            changed(worded, text="x"),
            VectorDocument(id="stranger", vector=vector),
        ]
    )
    await target.delete(ids=[gone.id])
    report = await verify(source, target, batch_size=16)
    assert set(found(report)) == {
        ("metadata_type", "", typical.id),
        ("text", "", typical.id),
        ("vector", "", moved.id),
        ("text", "", worded.id),
        ("extra", "", "stranger"),
        ("missing", "", gone.id),
    }
    back = await verify(target, source, batch_size=16)
    swapped = {"missing": "extra", "extra": "missing"}
    assert set(found(back)) == {(swapped.get(kind, kind), place, name) for kind, place, name in found(report)}


@pytest.mark.parametrize("metric", ["euclidean"])
async def test_another_metric_is_all_that_is_found(make_store: MakeStore, metric: str) -> None:
    source = await filled(memory_store(), CONTENTS, "cosine", 8)
    target = await filled(make_store(), CONTENTS, metric, 8)
    report = await verify(source, target)
    assert found(report) == [("metric", None, None)]
    assert report.searches is not None
    assert (report.searches.how, report.searches.mean_recall) == ("exact", 1.0)
