"""A sample of searches shows whether the target's index finds what it holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from ia_modules.vector_stores import MemoryVectorStore, SearchResult, VectorDocument, VectorStoreConfig
from ia_modules.vector_stores.capabilities import Capabilities
from ia_modules.vector_stores.migration.verification import verify
from ia_modules.vector_stores.migration.verification_ledger import record_keys
from ia_modules.vector_stores.migration.verification_search import Sample
from ia_modules.vector_stores.requests import SearchRequest
from verification_helpers import ListSource, changed, filled, found, memory_store

METRICS = ["cosine", "euclidean", "dot_product", "manhattan"]
Answering = Callable[[list[SearchResult]], list[SearchResult]]


class Wrong(MemoryVectorStore):
    """A store that answers searches otherwise than it should.

    Args:
        answering: makes the answer of the right one.
        able: what it can do, where that is otherwise.
    """

    def __init__(self, answering: Answering = list, **able: object) -> None:
        super().__init__(VectorStoreConfig(provider="memory", index_name="wrong"))
        self.answering = answering
        self.able = able
        self.asked: list[SearchRequest] = []

    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, **self.able)

    async def _search(self, request: SearchRequest) -> list[SearchResult]:
        self.asked.append(request)
        return self.answering(await super()._search(request))


def many(count: int = 60) -> list[VectorDocument]:
    random = np.random.default_rng(1)
    return [VectorDocument(id=f"d{n}", vector=random.standard_normal(8)) for n in range(count)]


def without_best(results: list[SearchResult]) -> list[SearchResult]:
    return results[1:]


def scored_higher(by: float) -> Answering:
    return lambda results: [one.model_copy(update={"score": one.score + by}) for one in results]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("how", ["both sides", "exact"])
async def test_an_index_that_does_not_find_what_it_holds_is_found(metric: str, how: str) -> None:
    source = await filled(memory_store(), {"n": many()}, metric, 8)
    target = await filled(Wrong(without_best), {"n": many()}, metric, 8)
    report = await verify(source if how == "both sides" else ListSource({"n": many()}), target, sample=20)
    assert found(report) == [("search", None, None)]
    assert report.findings[0].description == "recall@10 is 0.900 over 20 searches, and should be 1 at least"
    assert report.searches is not None
    assert (report.searches.how, report.searches.queries, report.searches.top_k) == (how, 20, 10)
    assert (report.searches.mean_recall, report.searches.lowest_recall) == pytest.approx((0.9, 0.9))
    assert sum(report.searches.recall.counts) == 20
    assert sum(report.searches.differences.counts) == 180
    assert report.searches.max_difference < 1e-5


async def test_an_approximate_index_may_miss_some() -> None:
    source = await filled(memory_store(), {"n": many()}, dimension=8)
    target = Wrong(without_best, exact_search=False)
    await filled(target, {"n": many()}, dimension=8)
    assert (await verify(source, target)).ok
    assert found(await verify(source, target, min_recall=0.95)) == [("search", None, None)]
    target.answering = lambda results: results[2:]
    assert found(await verify(source, target)) == [("search", None, None)]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("exact", [False, True])
async def test_other_scores_are_found_for_each_search(metric: str, exact: bool) -> None:
    source = await filled(memory_store(), {"n": many()}, metric, 8)
    target = Wrong(scored_higher(1e-5))
    await filled(target, {"n": many()}, metric, 8)
    side = ListSource({"n": many()}) if exact else source
    assert (await verify(side, target, sample=5)).ok
    target.answering = scored_higher(0.1)
    report = await verify(side, target, sample=5)
    assert report.counts == {"search": 5}
    assert all(one.namespace == "n" and one.id is not None for one in report.findings)
    assert report.findings[0].description == "scores of 10 of 10 results near it differ, by up to 1.0e-01"
    assert report.searches is not None
    assert report.searches.mean_difference == pytest.approx(0.1, abs=1e-5)


@pytest.mark.parametrize("exact", [False, True])
async def test_what_documents_lack_is_not_held_against_the_searches(exact: bool) -> None:
    """Half are gone, some moved, and others crowd in: findings, but the index answers as it should."""
    documents = many()
    source = await filled(memory_store(), {"n": documents}, dimension=8)
    moved = [changed(one, vector=-one.vector.array) for one in documents[30:40]]
    crowd = [changed(one, id=f"extra {one.id}") for one in documents[40:]]
    target = await filled(memory_store(), {"n": [*moved, *documents[40:], *crowd]}, dimension=8)
    report = await verify(ListSource({"n": documents}) if exact else source, target)
    assert report.counts == {"missing": 30, "extra": 20, "vector": 10}
    assert report.searches is not None
    assert report.searches.mean_recall == 1.0


@pytest.mark.parametrize("exact", [False, True])
async def test_namespaces_that_become_one_are_searched_as_one(exact: bool) -> None:
    documents = many()
    parts = {"a": documents[:20], "b": documents[20:40], "c": documents[40:]}
    source = await filled(memory_store(), parts, dimension=8)
    target = await filled(memory_store(), {"ab": documents[:40], "c": documents[40:]}, dimension=8)
    side = ListSource(parts) if exact else source
    report = await verify(side, target, namespaces={"a": "ab", "b": "ab", "c": "c"})
    assert report.ok
    assert report.searches is not None
    assert (report.searches.queries, report.searches.mean_recall) == (60, 1.0)
    assert [(one.source, one.target, one.source_count) for one in report.namespaces] == [
        (("a", "b"), "ab", 40),
        (("c",), "c", 20),
    ]


@pytest.mark.parametrize("exact", [False, True])
async def test_searches_expect_what_came_from_every_namespace(exact: bool) -> None:
    documents = many()
    parts = {"a": documents[:30], "b": documents[30:]}
    source = await filled(memory_store(), parts, dimension=8)
    second = {one.id for one in parts["b"]}

    class Blind(MemoryVectorStore):
        async def _search(self, request: SearchRequest) -> list[SearchResult]:
            results = await super()._search(replace(request, top_k=60))
            return [one for one in results if one.id not in second][: request.top_k]

    target = Blind(VectorStoreConfig(provider="memory", index_name="blind"))
    await filled(target, {"ab": documents}, dimension=8)
    report = await verify(ListSource(parts) if exact else source, target, namespaces={"a": "ab", "b": "ab"})
    assert found(report) == [("search", None, None)]


async def test_what_a_store_cannot_be_asked_is_left_out_and_noted() -> None:
    documents = [*many(5), VectorDocument(id="long", vector=[1e6] * 8)]
    source = await filled(memory_store(), {"": documents}, "euclidean", 8)
    target = Wrong(vector_lengths=(0.0, 1e9), max_top_k=3)
    await filled(target, {"": documents}, "euclidean", 8)
    target.able["vector_lengths"] = (0.0, 1e3)
    report = await verify(source, target)
    assert report.ok
    assert report.searches is not None
    assert (report.searches.queries, report.searches.top_k) == (5, 3)
    assert report.notes == ("1 searches can't be run, as the vectors are too long or too short",)


async def test_zero_vectors_are_searched_with_too() -> None:
    documents = [VectorDocument(id=f"{n}", vector=[0.0] * 8) for n in range(3)]
    stores = [await filled(memory_store(), {"": documents}, "euclidean", 8) for _ in range(2)]
    report = await verify(*stores)
    assert report.ok
    assert report.searches is not None
    assert report.searches.queries == 3


async def test_the_seed_alone_chooses_the_searches() -> None:
    documents = many()
    asked = []
    for order, seed in ((1, 7), (-1, 7), (1, 8)):
        target = Wrong()
        await filled(target, {"": documents}, dimension=8)
        await verify(ListSource({"": documents[::order]}), target, sample=4, seed=seed, batch_size=7)
        asked.append(sorted(request.vector.tobytes() for request in target.asked))
    assert asked[0] == asked[1]
    assert asked[0] != asked[2]
    near = {one.vector.array.tobytes() for one in documents}
    assert not near & set(asked[0])


async def test_no_searches_if_none_are_asked_for() -> None:
    target = Wrong()
    await filled(target, {"": many()}, dimension=8)
    report = await verify(ListSource({"": many()}), target, sample=0)
    assert (report.ok, report.searches, report.notes, target.asked) == (True, None, ("no searches were run",), [])


def test_a_sample_is_uniform_and_takes_an_id_once() -> None:
    documents = many(40)
    chosen: dict[str, int] = {}
    for seed in range(300):
        sample = Sample(4)
        for part in (documents[:25], documents[20:], documents[:3]):
            sample.offer("n", part, record_keys("n", [one.id for one in part], seed))
        queries = sample.queries(8, seed)
        assert len({query.id for query in queries}) == 4
        for query in queries:
            chosen[query.id] = chosen.get(query.id, 0) + 1
            distance = np.linalg.norm(query.vector - documents[int(query.id[1:])].vector.array)
            assert 0 < distance < 0.2 * np.linalg.norm(query.vector)
    assert len(chosen) == 40
    assert max(chosen.values()) < 60  # 30 on average
