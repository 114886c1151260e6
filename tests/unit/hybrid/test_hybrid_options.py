"""Diversity and rerankers in a hybrid search, on the memory provider."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from ia_modules.vector_stores import MemoryVectorStore, VectorDocument, VectorStoreConfig

TEXTS = {"a": "red bridge", "b": "red bridge", "c": "bridge", "d": "blue bridge and tunnel", "e": None}


@pytest.fixture
async def store() -> MemoryVectorStore:
    made = MemoryVectorStore(VectorStoreConfig(provider="memory", index_name="articles"))
    await made.create_index(3)
    vectors = {"a": [1, 0, 0], "b": [1, 0.01, 0], "c": [0.9, 0.2, 0], "d": [0.5, 0, 1], "e": [0.6, 0, 0.9]}
    await made.upsert([VectorDocument(id=one, vector=vectors[one], text=text) for one, text in TEXTS.items()])
    return made


async def test_diversity_chooses_what_differs(store: MemoryVectorStore) -> None:
    plain = await store.hybrid_search([1, 0, 0], "red bridge", 2)
    diverse = await store.hybrid_search([1, 0, 0], "red bridge", 2, diversity=0.9)
    assert [one.id for one in plain.results] == ["a", "b"]
    assert diverse.results[0].id == "a"
    assert diverse.results[1].id in "de"
    assert diverse.results[1].score < plain.results[1].score


async def test_a_reranker_has_the_last_word(store: MemoryVectorStore) -> None:
    asked: list[tuple[str, list[str]]] = []

    async def longest(query: str, texts: Sequence[str]) -> list[float]:
        asked.append((query, list(texts)))
        return [float(len(text)) for text in texts]

    response = await store.hybrid_search([1, 0, 0], "red bridge", 3, reranker=longest)
    assert response.reranked is True
    assert [(one.id, one.score) for one in response.results] == [("d", 22.0), ("a", 10.0), ("b", 10.0)]
    ((query, texts),) = asked
    assert query == "red bridge"
    assert sorted(texts) == sorted(text or "" for text in TEXTS.values())


async def test_a_reranker_that_is_late_is_not_waited_for(store: MemoryVectorStore) -> None:
    cancelled = asyncio.Event()

    async def slow(query: str, texts: Sequence[str]) -> list[float]:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return []

    plain = await store.hybrid_search([1, 0, 0], "red bridge")
    response = await store.hybrid_search([1, 0, 0], "red bridge", reranker=slow, rerank_timeout=0.02)
    assert response.reranked is False
    assert response.results == plain.results
    assert plain.reranked is None
    assert cancelled.is_set()


@pytest.mark.parametrize("scores", [[1.0], [float("nan")] * 5])
async def test_a_reranker_that_answers_wrongly(store: MemoryVectorStore, scores: list[float]) -> None:
    async def wrong(query: str, texts: Sequence[str]) -> list[float]:
        return scores

    with pytest.raises(ValueError, match="the reranker gave"):
        await store.hybrid_search([1, 0, 0], "bridge", reranker=wrong)


async def test_a_reranker_that_fails_is_heard(store: MemoryVectorStore) -> None:
    async def failing(query: str, texts: Sequence[str]) -> list[float]:
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        await store.hybrid_search([1, 0, 0], "bridge", reranker=failing)


async def test_a_reranker_needs_words(store: MemoryVectorStore) -> None:
    async def never(query: str, texts: Sequence[str]) -> list[float]:
        raise AssertionError

    with pytest.raises(ValueError, match="needs a query_text"):
        await store.hybrid_search([1, 0, 0], reranker=never)
    with pytest.raises(ValueError, match="rerank_timeout"):
        await store.hybrid_search([1, 0, 0], "x", reranker=never, rerank_timeout=0)


async def test_a_search_is_one_event(store: MemoryVectorStore) -> None:
    await store.count()
    events: list[str] = []
    store.add_telemetry_hook(lambda event: events.append(event.operation))
    await store.hybrid_search([1, 0, 0], "red bridge", diversity=0.5)
    assert events == ["hybrid_search"]


async def test_words_that_change_while_they_are_looked_at(store: MemoryVectorStore) -> None:
    """Texts are gone through outside of the lock; an index of old texts must not be kept for the new ones."""

    async def write(number: int) -> None:
        await store.upsert([VectorDocument(id="e", vector=[1, 0, 0], text=f"version{number}")])

    for number in range(30):
        await asyncio.gather(
            store.hybrid_search(None, "version", vector_weight=0, text_weight=1, language="none"), write(number)
        )
        (found,) = (await store.hybrid_search(None, f"version{number}", 1, 0, 1, language="none")).results
        assert found.id == "e"
