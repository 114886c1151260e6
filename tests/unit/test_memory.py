"""The memory provider is the reference, so it is held against plain double-precision numpy."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ia_modules.vector_stores import DistanceMetric, MemoryVectorStore, SearchFilter, VectorDocument, VectorStoreConfig
from ia_modules.vector_stores.providers import memory

COUNT, DIMENSION = 3000, 32
METRICS = list(DistanceMetric)
Ranking = list[tuple[str, float]]


def make(**given: Any) -> MemoryVectorStore:
    return MemoryVectorStore(VectorStoreConfig(**{"provider": "memory", "index_name": "i"} | given))


def names(count: int) -> list[str]:
    """Ids in an order of their own, so that ties can't come out right by chance."""
    return [f"d{i * 7919 % count:05}" for i in range(count)]


async def filled(metric: DistanceMetric, vectors: NDArray[Any], **given: Any) -> MemoryVectorStore:
    store = make(**given)
    await store.create_index(vectors.shape[1], metric)
    await store.upsert(
        [
            VectorDocument(id=name, vector=vector, metadata={"n": int(name[1:]), "odd": int(name[1:]) % 2})
            for name, vector in zip(names(len(vectors)), vectors, strict=True)
        ],
        batch_size=700,
    )
    return store


def naive(metric: DistanceMetric, vectors: NDArray[Any], query: NDArray[Any]) -> list[float]:
    """Scores as the definition has them."""
    rows, q = (np.asarray(values, dtype=np.float32).astype(np.float64) for values in (vectors, query))
    scores: NDArray[Any]
    if metric is DistanceMetric.DOT_PRODUCT:
        scores = rows @ q
    elif metric is DistanceMetric.COSINE:
        lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(q)
        scores = np.divide(rows @ q, lengths, out=np.zeros(len(rows)), where=lengths > 0)
    else:
        order = 2 if metric is DistanceMetric.EUCLIDEAN else 1
        scores = 1 / (1 + np.linalg.norm(rows - q, ord=order, axis=1))
    return [float(score) for score in scores]


def assert_exact(found: Ranking, scores: dict[str, float], top_k: int) -> None:
    """The best ``top_k``: right scores, right order, ties by id, and nothing better left out."""
    assert len(found) == min(top_k, len(scores))
    assert len({name for name, _ in found}) == len(found)
    tolerance = 1e-12 * max(1.0, *map(abs, scores.values()))
    assert [score for _, score in found] == pytest.approx([scores[name] for name, _ in found], rel=1e-9, abs=tolerance)
    assert found == sorted(found, key=lambda item: (-item[1], item[0]))
    best = sorted(scores.values(), reverse=True)[: len(found)]
    assert [score for _, score in found] == pytest.approx(best, rel=1e-9, abs=tolerance)


async def ranked(store: MemoryVectorStore, query: NDArray[Any], top_k: int, filters: Any = None) -> Ranking:
    response = await store.search(query, top_k, filters)
    return [(result.id, result.score) for result in response.results]


def gaussian(random: np.random.Generator) -> NDArray[Any]:
    return random.standard_normal((COUNT, DIMENSION))


def clustered(random: np.random.Generator) -> NDArray[Any]:
    """So near to each other that single precision can't tell them apart."""
    return np.repeat(random.standard_normal((30, DIMENSION)), 100, axis=0) + 1e-6 * gaussian(random)


def doubled(random: np.random.Generator) -> NDArray[Any]:
    """Every vector many times, so that ties are everywhere."""
    return random.integers(-1, 2, (20, DIMENSION))[random.integers(0, 20, COUNT)]


def huge(random: np.random.Generator) -> NDArray[Any]:
    return gaussian(random) * 1e37


def tiny(random: np.random.Generator) -> NDArray[Any]:
    return gaussian(random) * 1e-38


def mixed(random: np.random.Generator) -> NDArray[Any]:
    return gaussian(random) * 10.0 ** random.integers(-30, 30, (COUNT, 1))


@pytest.mark.parametrize("data", [gaussian, clustered, doubled, huge, tiny, mixed])
@pytest.mark.parametrize("metric", METRICS)
async def test_every_search_is_exact(metric: DistanceMetric, data: Callable[..., NDArray[Any]]) -> None:
    random = np.random.default_rng(5)
    vectors = data(random)
    store = await filled(metric, vectors)
    queries = [vectors[17], vectors[17] * 0.3, data(random)[0], np.zeros(DIMENSION)]
    for i, query in enumerate(queries):
        scores = dict(zip(names(COUNT), naive(metric, vectors, query), strict=True))
        for top_k in (1, 10, 100) if i else (COUNT - 1, COUNT, COUNT + 1):
            assert_exact(await ranked(store, query, top_k), scores, top_k)


@pytest.mark.parametrize("data", [gaussian, clustered, doubled, mixed])
@pytest.mark.parametrize("metric", METRICS)
async def test_every_filtered_search_is_exact(metric: DistanceMetric, data: Callable[..., NDArray[Any]]) -> None:
    random = np.random.default_rng(6)
    vectors = data(random)
    store = await filled(metric, vectors)
    query = data(random)[0]
    scores = dict(zip(names(COUNT), naive(metric, vectors, query), strict=True))
    passing: dict[SearchFilter, Callable[[int], bool]] = {
        SearchFilter(field="odd", operator="eq", value=1): lambda n: n % 2 == 1,
        SearchFilter(field="n", operator="lt", value=60): lambda n: n < 60,
        SearchFilter(field="n", operator="eq", value=1234): lambda n: n == 1234,
        SearchFilter(field="n", operator="ne", value=1234): lambda n: n != 1234,
        SearchFilter(field="n", operator="lt", value=0): lambda _: False,
    }
    for filters, passes in passing.items():
        kept = {name: score for name, score in scores.items() if passes(int(name[1:]))}
        for top_k in (1, 10, max(1, len(kept) - 1), max(1, len(kept)), len(kept) + 1):
            found = await ranked(store, query, top_k, filters)
            if kept:
                assert_exact(found, kept, top_k)
            else:
                assert found == []


@pytest.mark.parametrize("metric", METRICS)
async def test_equal_vectors_have_equal_scores_and_come_by_id(metric: DistanceMetric) -> None:
    random = np.random.default_rng(7)
    vectors = np.tile(random.standard_normal(DIMENSION), (500, 1))
    store = await filled(metric, vectors)
    query = random.standard_normal(DIMENSION)
    found = await ranked(store, query, 50)
    assert [name for name, _ in found] == [f"d{i:05}" for i in range(50)]
    odd = await ranked(store, query, 50, SearchFilter(field="odd", operator="eq", value=1))
    assert [name for name, _ in odd] == [f"d{i:05}" for i in range(1, 100, 2)]
    assert len({score for _, score in found + odd}) == 1


@pytest.mark.parametrize("metric", METRICS)
async def test_deleting_and_replacing_keeps_it_exact(metric: DistanceMetric) -> None:
    random = np.random.default_rng(8)
    store = make()
    await store.create_index(8, metric)
    truth: dict[str, NDArray[Any]] = {}
    for _ in range(60):
        names = [f"d{i}" for i in random.integers(0, 120, 10)]
        if random.random() < 0.5:
            assert (await store.delete(ids=names))["deleted"] == len({*names} & set(truth))
            for name in names:
                truth.pop(name, None)
        else:
            vectors = random.standard_normal((len(names), 8))
            await store.upsert([VectorDocument(id=n, vector=v) for n, v in zip(names, vectors, strict=True)])
            truth |= dict(zip(names, vectors, strict=True))
        assert await store.count() == len(truth)
        if truth:
            query = random.standard_normal(8)
            scores = dict(zip(truth, naive(metric, np.stack(list(truth.values())), query), strict=True))
            assert_exact(await ranked(store, query, 15), scores, 15)
            documents = await store.fetch(list(truth))
            assert [document.id for document in documents] == list(truth)
            assert all(document.vector == truth[document.id] for document in documents)


async def test_a_namespace_that_is_emptied_is_gone() -> None:
    store = await filled(DistanceMetric.COSINE, np.ones((3, 2)))
    await store.upsert([VectorDocument(id="a", vector=[1, 2])], namespace="n")
    await store.delete(ids=["a"], namespace="n")
    assert await store.list_namespaces() == [""]
    assert (await store.get_stats()).namespace_count == 1


async def test_what_comes_back_is_the_callers_own() -> None:
    store = make()
    await store.create_index(2)
    given = VectorDocument(id="a", vector=[1, 2], metadata={"tags": ["x"], "deep": {"k": [1]}, "n": 1})
    expected = given.model_copy(deep=True)
    await store.upsert([given])
    given.metadata["tags"].append("changed")
    (fetched,) = await store.fetch(["a"])
    (found,) = (await store.search([1, 2])).results
    (scanned,) = [document async for document in store.scan()]
    for metadata in (fetched.metadata, found.metadata, scanned.metadata):
        assert metadata == expected.metadata
        metadata["tags"].clear()
        metadata["deep"]["k"].append(2)
        metadata["new"] = True
    changes = {"more": [1]}
    await store.update_metadata("a", changes)
    changes["more"].append(2)
    assert (await store.fetch(["a"]))[0].metadata == {**expected.metadata, "more": [1]}


async def test_a_vector_that_came_back_stays_as_it_was() -> None:
    store = make()
    await store.create_index(2)
    await store.upsert([VectorDocument(id="a", vector=[1, 2])])
    (fetched,) = await store.fetch(["a"])
    (found,) = (await store.search([1, 2], include_vectors=True)).results
    await store.upsert([VectorDocument(id="a", vector=[3, 4])])
    assert (fetched.vector, found.vector) == ([1, 2], [1, 2])


async def test_stores_without_a_path_are_private() -> None:
    first, second = make(), make()
    await first.create_index(2)
    assert not await second.index_exists()


async def test_stores_with_a_path_share_by_name_and_index() -> None:
    first, second = make(path="memory-test"), make(path="memory-test")
    await first.create_index(2)
    await first.upsert([VectorDocument(id="a", vector=[1, 2])])
    assert await second.count() == 1
    assert not await make(path="memory-test", index_name="j").index_exists()
    assert not await make(path="another").index_exists()


async def test_what_is_shared_ends_with_the_last_store() -> None:
    first: MemoryVectorStore | None = make(path="memory-test-end")
    assert first is not None
    await first.create_index(2)
    await first.disconnect()
    assert await make(path="memory-test-end").index_exists()
    first = None
    gc.collect()
    assert not await make(path="memory-test-end").index_exists()


def test_there_is_no_server() -> None:
    for given in ({"host": "localhost"}, {"port": 1}):
        with pytest.raises(ValueError, match="no server"):
            make(**given)


async def test_the_event_loop_keeps_going_during_a_large_search() -> None:
    vectors = np.random.default_rng(9).standard_normal((60_000, 128), dtype=np.float32)
    store = await filled(DistanceMetric.MANHATTAN, vectors)
    gaps = []

    async def tick() -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            gaps.append(time.perf_counter() - before)

    ticking = asyncio.create_task(tick())
    await asyncio.sleep(0.01)
    started = time.perf_counter()
    await asyncio.gather(*(store.search(vectors[i]) for i in range(8)))
    elapsed = time.perf_counter() - started
    ticking.cancel()
    assert max(gaps) < max(0.1, elapsed / 2)


async def test_large_work_leaves_the_loops_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    store = await filled(DistanceMetric.COSINE, np.ones((10, 2)))
    moved = []
    to_thread = asyncio.to_thread

    async def noted(work: Callable[[], Any]) -> Any:
        moved.append(work)
        return await to_thread(work)

    monkeypatch.setattr(asyncio, "to_thread", noted)
    await store.search([1, 1])
    assert len(moved) == 0
    monkeypatch.setattr(memory, "_INLINE_NUMBERS", 19)
    await store.search([1, 1])
    assert len(moved) == 1


async def test_writers_and_readers_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_INLINE_NUMBERS", 0)  # everything in threads
    store = make()
    await store.create_index(4)

    async def write(name: str) -> None:
        for i in range(30):
            await store.upsert([VectorDocument(id=f"{name}{i}", vector=[i, 1, 2, 3], metadata={"by": name})])
            if i % 3 == 0:
                await store.delete(ids=[f"{name}{i}"])

    async def read() -> None:
        for _ in range(30):
            response = await store.search([1, 1, 1, 1], top_k=5)
            assert all(result.id.startswith(result.metadata["by"]) for result in response.results)
            scanned = [document.id async for document in store.scan(batch_size=7)]
            assert len(set(scanned)) == len(scanned)

    await asyncio.gather(*(write(name) for name in "abcd"), *(read() for _ in range(4)))
    assert await store.count() == 80
