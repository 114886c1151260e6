"""Hybrid search gives the same answer on every provider."""

from __future__ import annotations

import numpy as np
import pytest

from conftest import MakeStore
from ia_modules.vector_stores import (
    Condition,
    IndexNotFoundError,
    InvalidDimensionError,
    VectorDocument,
    VectorStoreBase,
    VectorStoreConfig,
)
from ia_modules.vector_stores.providers.memory import MemoryVectorStore

TEXTS = {
    "bridge": "Who pays for the bridge? The city pays for its bridges.",
    "tunnel": "The tunnel under the river was paid for by the state.",
    "river": "A river flows below bridges and above the tunnel.",
    "cat": "Cats sleep in the sun.",
    "silent": None,
    "empty": "",
}


def documents() -> list[VectorDocument]:
    random = np.random.default_rng(4)
    return [
        VectorDocument(id=name, vector=random.standard_normal(8), text=text, metadata={"n": n})
        for n, (name, text) in enumerate(TEXTS.items())
    ]


async def filled(store: VectorStoreBase, metric: str = "cosine") -> VectorStoreBase:
    await store.create_index(8, metric)
    await store.upsert(documents())
    await store.upsert([VectorDocument(id="bridge", vector=[1.0] * 8, text="bridge " * 9)], namespace="other")
    return store


@pytest.fixture
async def stores(make_store: MakeStore) -> tuple[VectorStoreBase, VectorStoreBase]:
    """One of the target, and the reference."""
    reference = MemoryVectorStore(VectorStoreConfig(provider="memory", index_name="reference"))
    return await filled(make_store()), await filled(reference)


QUERY = np.linspace(-1, 1, 8)
CALLS = {
    "default": {},
    "words": {"vector_weight": 0, "text_weight": 1},
    "vector": {"text_weight": 0},
    "rrf": {"fusion": "rrf", "rrf_k": 10},
    "filtered": {"filters": Condition("n", "gte", 1)},
    "few": {"top_k": 2, "candidates": 2},
    "namespace": {"namespace": "other"},
    "nothing": {"filters": Condition("n", "in", [])},
    "threshold": {"score_threshold": 0.5},
    "vectors": {"include_vectors": True, "include_metadata": False},
}


async def test_the_answer_is_that_of_the_reference(stores: tuple[VectorStoreBase, VectorStoreBase]) -> None:
    store, reference = stores
    for name, call in CALLS.items():
        found = await store.hybrid_search(QUERY, "paying for bridges", explain=True, **call)
        expected = await reference.hybrid_search(QUERY, "paying for bridges", explain=True, **call)
        assert [one.id for one in found.results] == [one.id for one in expected.results], name
        for one, other in zip(found.results, expected.results, strict=True):
            assert one.score == pytest.approx(other.score, abs=1e-5), name
            assert (one.metadata, one.text) == (other.metadata, other.text), name
            assert (one.vector is None) == (other.vector is None), name
            assert one.explanation is not None
            assert other.explanation is not None
            assert one.explanation.model_dump() == pytest.approx(other.explanation.model_dump(), abs=1e-5), name


async def test_what_only_the_words_find_can_win(stores: tuple[VectorStoreBase, VectorStoreBase]) -> None:
    store, _ = stores
    (cat,) = await store.fetch(["cat"])
    away = -cat.vector.array
    assert (await store.search(away)).results[-1].id == "cat"
    found = await store.hybrid_search(away, "sleeping cats", vector_weight=0.3, text_weight=0.7, candidates=1, top_k=1)
    assert [one.id for one in found.results] == ["cat"]


async def test_words_see_what_was_just_written_and_deleted(stores: tuple[VectorStoreBase, VectorStoreBase]) -> None:
    store, _ = stores
    words = {"vector_weight": 0, "text_weight": 1}
    await store.upsert([VectorDocument(id="new", vector=[1.0] * 8, text="sleeping dogs"), documents()[0]])
    assert [one.id for one in (await store.hybrid_search(None, "sleep", **words)).results] == ["new", "cat"]
    await store.delete(ids=["cat"])
    assert [one.id for one in (await store.hybrid_search(None, "sleep", **words)).results] == ["new"]
    await store.upsert([VectorDocument(id="new", vector=[1.0] * 8, text="nothing of the kind")])
    assert (await store.hybrid_search(None, "sleep", **words)).results == []


async def test_what_makes_no_sense(make_store: MakeStore) -> None:
    store = make_store()
    for wrong in (
        {"vector_weight": 0, "text_weight": 0},
        {"vector_weight": -1},
        {"fusion": "best"},
        {"rrf_k": 0},
        {"top_k": 0},
        {"candidates": 0},
        {"language": "xx"},
    ):
        with pytest.raises(ValueError, match=r"weight|fusion|rrf_k|top_k|candidates|language"):
            await store.hybrid_search(QUERY, "words", **wrong)
    with pytest.raises(ValueError, match="needs a query_text"):
        await store.hybrid_search(QUERY, " ", vector_weight=0, text_weight=1)
    with pytest.raises(ValueError, match="needs a query_vector"):
        await store.hybrid_search(None, "words")
    with pytest.raises(IndexNotFoundError):
        await store.hybrid_search(QUERY, "words")
    await store.create_index(8)
    with pytest.raises(InvalidDimensionError):
        await store.hybrid_search([1.0], "words")
    assert (await store.hybrid_search(QUERY, "words")).results == []


@pytest.mark.targets("memory", "chroma-memory", "qdrant-memory")
async def test_dot_products_have_no_least(make_store: MakeStore) -> None:
    store = await filled(make_store(), "dot_product")
    response = await store.hybrid_search(QUERY, "bridges", top_k=3)
    assert response.total == 3
    assert all(0 <= one.score <= 1 for one in response.results)
    assert [one.score for one in response.results] == sorted((one.score for one in response.results), reverse=True)


async def test_words_are_read_once_and_other_stores_are_noticed(
    make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await filled(make_store())
    reads = 0
    page = store._texts_page

    async def counted(*given: object) -> object:
        nonlocal reads
        reads += 1
        return await page(*given)

    monkeypatch.setattr(store, "_texts_page", counted)
    words = {"vector_weight": 0, "text_weight": 1}

    async def found() -> list[str]:
        return [one.id for one in (await store.hybrid_search(None, "sleep", **words)).results]

    await store.settle()
    assert await found() == ["cat"]
    first = reads
    assert store.capabilities.text_search == "index"
    for _ in range(3):
        assert await found() == ["cat"]
    assert reads == first
    await store.update_metadata("cat", {"n": 7})
    await store.settle()
    assert await found() == ["cat"]
    assert [one.metadata for one in await store.fetch(["cat"])] == [{"n": 7}]

    other = make_store()
    await other.upsert([VectorDocument(id="dog", vector=[1.0] * 8, text="sleeping dogs are sleeping")])
    await other.settle()
    assert await found() == ["dog", "cat"]
    await other.upsert([VectorDocument(id="cat", vector=[1.0] * 8, text="nothing of the kind")])
    await other.settle()
    assert await found() == ["dog"]
    await other.upsert([VectorDocument(id="dog", vector=[1.0] * 8)])
    await other.settle()
    assert await found() == []
    await other.upsert([VectorDocument(id="cat", vector=[1.0] * 8, text="it sleeps")])
    await other.delete(ids=["river"])
    await other.settle()
    assert await found() == ["cat"]
    await other.delete(delete_all=True)
    await other.settle()
    assert await found() == []


async def test_a_search_can_choose_different_ones(make_store: MakeStore) -> None:
    store = make_store()
    await store.create_index(3)
    vectors = {"a": [1, 0, 0], "b": [1, 0.01, 0], "c": [0.7, 0.7, 0], "d": [0, 0, 5]}
    await store.upsert([VectorDocument(id=one, vector=vector, metadata={"n": 1}) for one, vector in vectors.items()])
    query = [1, 0, 0]
    plain = await store.search(query, 3)
    assert [one.id for one in plain.results] == ["a", "b", "c"]
    same = await store.search(query, 3, diversity=0)
    assert [(one.id, one.vector, one.metadata) for one in same.results] == [
        (one.id, None, {"n": 1}) for one in plain.results
    ]
    various = await store.search(query, 3, diversity=0.6, include_vectors=True)
    assert [one.id for one in various.results] == ["a", "d", "c"]
    assert various.results[1].score == pytest.approx(0, abs=1e-6)
    assert all(one.vector is not None for one in various.results)
    assert [one.id for one in (await store.search(query, 3, diversity=0.9, candidates=3)).results] == ["a", "c", "b"]
    near = await store.search(query, 3, diversity=0.9, score_threshold=0.5)
    assert [one.id for one in near.results] == ["a", "c", "b"]
    many = await store.search_many([query, [0, 0, 1]], 2, diversity=0.6)
    assert [[one.id for one in response.results] for response in many] == [["a", "d"], ["d", "a"]]
    for wrong in ({"diversity": 2}, {"diversity": -0.1}, {"diversity": 0.5, "candidates": 0}):
        with pytest.raises(ValueError, match=r"diversity|candidates"):
            await store.search(query, 3, **wrong)
