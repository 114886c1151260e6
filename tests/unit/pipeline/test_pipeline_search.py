"""What a search step takes in and gives back."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from ia_modules.pipeline.steps.vector_search import VectorSearchStep
from ia_modules.pipeline.steps.vector_upsert import VectorUpsertStep
from ia_modules.vector_stores import MemoryVectorStore, SearchFilter, VectorStoreConfig, VectorStorePool
from ia_modules.vector_stores.rag.runtime import ConfigurationError, PipelineError, ValidationError
from pipeline_helpers import DIMENSION, DOCUMENTS, Registry, WatchedStore, WordEmbedder, watch, words

QUESTION = "Who paid for the bridge?"


@pytest.fixture
async def store(monkeypatch: pytest.MonkeyPatch) -> WatchedStore:
    store = watch(monkeypatch)(VectorStoreConfig(provider="watched", index_name="articles"))
    await store.create_index(DIMENSION, embedding_model="test/words")
    await VectorUpsertStep(vector_store=store, embedding_model=WordEmbedder()).run({"documents": DOCUMENTS})
    return store


async def test_a_text_is_embedded_and_searched_for(store: WatchedStore) -> None:
    step = VectorSearchStep(vector_store=store, embedding_model=WordEmbedder(), top_k=2)
    data = {"query": QUESTION, "user": {"name": "Eve"}}
    result = await step.run(data)
    assert [one["id"] for one in result["results"]] == ["bridge", "tunnel"]
    asked, found = words(QUESTION), words("The city paid for the bridge.")
    cosine = float(asked @ found / np.linalg.norm(asked) / np.linalg.norm(found))
    assert result["results"][0] == {
        "id": "bridge",
        "score": pytest.approx(cosine, abs=1e-6),
        "metadata": {"source": "bridge.md", "tenant": "acme"},
        "text": "The city paid for the bridge.",
        "number": 1,
    }
    assert result["context"] == (
        "[1] bridge.md\nThe city paid for the bridge.\n\n[2] tunnel.md\nThe state paid for the tunnel."
    )
    assert {key: result[key] for key in data} == data
    assert data == {"query": QUESTION, "user": {"name": "Eve"}}, "what came in is left as it is"
    assert json.loads(json.dumps(result)) == result


async def test_results_are_the_caller_s_own(store: WatchedStore) -> None:
    step = VectorSearchStep(vector_store=store, embedding_model=WordEmbedder())
    first = await step.run({"query": QUESTION})
    first["results"][0]["metadata"]["tenant"] = "changed"
    assert (await step.run({"query": QUESTION}))["results"][0]["metadata"]["tenant"] == "acme"


async def test_both_constructors_mean_the_same(store: WatchedStore) -> None:
    config = {
        "store": "articles",
        "embedding_model": "words",
        "top_k": 1,
        "filters": [{"field": "tenant", "operator": "eq", "value": "other"}],
    }
    loaded = VectorSearchStep("search", config)
    loaded.services = Registry(articles=store, words=WordEmbedder())
    made = VectorSearchStep(
        vector_store=store,
        embedding_model=WordEmbedder(),
        top_k=1,
        filters=[SearchFilter(field="tenant", operator="eq", value="other")],
    )
    assert loaded.name == "search"
    assert made.name == "vector_search"
    results = [(await step.run({"query": QUESTION}))["results"] for step in (loaded, made)]
    assert results[0] == results[1]
    assert [one["id"] for one in results[0]] == ["tower"]


@pytest.mark.parametrize("kind", [list, np.array, tuple])
async def test_a_vector_needs_no_embedder(store: WatchedStore, kind: Any) -> None:
    step = VectorSearchStep(vector_store=store)
    result = await step.run({"query_vector": kind(words(QUESTION).tolist())})
    assert result["results"][0]["id"] == "bridge"


async def test_a_vector_that_came_with_its_text_is_not_embedded_again(store: WatchedStore) -> None:
    embedder = WordEmbedder()
    step = VectorSearchStep(vector_store=store, embedding_model=embedder)
    result = await step.run({"query": "something else", "query_vector": words(QUESTION)})
    assert result["results"][0]["id"] == "bridge"
    assert embedder.calls == []


async def test_many_texts_are_one_batch(store: WatchedStore) -> None:
    embedder = WordEmbedder("wordllama/like")  # which makes no difference between questions and documents
    await store.delete_index()
    await store.create_index(DIMENSION)
    await VectorUpsertStep(vector_store=store, embedding_model=embedder).run({"documents": DOCUMENTS})
    embedder.calls.clear()
    step = VectorSearchStep(vector_store=store, embedding_model=embedder, top_k=1)
    questions = ["Who paid for the bridge?", "What of the tower?"]
    result = await step.run({"query": questions})
    assert [[one["id"] for one in each] for each in result["results"]] == [["bridge"], ["tower"]]
    assert result["context"] == [
        "[1] bridge.md\nThe city paid for the bridge.",
        "[1] tower.md\nNobody paid for the tower.",
    ]
    assert embedder.calls == [questions]
    assert store.searches == [2]


async def test_questions_of_a_model_that_tells_them_from_documents_are_embedded_as_such(store: WatchedStore) -> None:
    embedder = WordEmbedder()
    step = VectorSearchStep(vector_store=store, embedding_model=embedder, top_k=1)
    result = await step.run({"query": ["Who paid for the bridge?", "What of the tower?"]})
    assert [each[0]["id"] for each in result["results"]] == ["bridge", "tower"]
    assert sorted(embedder.calls) == [["What of the tower?"], ["Who paid for the bridge?"]]


async def test_no_queries_give_no_results(store: WatchedStore) -> None:
    result = await VectorSearchStep(vector_store=store).run({"query": []})
    assert (result["results"], result["context"]) == ([], [])


async def test_many_vectors(store: WatchedStore) -> None:
    step = VectorSearchStep(vector_store=store, top_k=1)
    matrix = np.stack([words("bridge"), words("tower"), words("tunnel")])
    for vectors in (matrix, matrix.tolist(), list(matrix)):
        result = await step.run({"query_vector": vectors})
        assert [each[0]["id"] for each in result["results"]] == ["bridge", "tower", "tunnel"]


async def test_filters_namespace_threshold_and_keys(store: WatchedStore) -> None:
    embedder = WordEmbedder()
    await VectorUpsertStep(vector_store=store, embedding_model=embedder, namespace="news").run(
        {"documents": DOCUMENTS[:1]}
    )
    step = VectorSearchStep(
        "s",
        {
            "store": store,
            "embedding_model": embedder,
            "namespace": "news",
            "query_key": "question",
            "output_key": "found",
            "context_key": "sources",
            "include_vectors": True,
        },
    )
    result = await step.run({"question": QUESTION})
    assert [one["id"] for one in result["found"]] == ["bridge"]
    assert result["found"][0]["vector"] == words("The city paid for the bridge.").tolist()
    assert result["sources"].startswith("[1] bridge.md\n")
    assert "results" not in result
    high = VectorSearchStep(vector_store=store, embedding_model=embedder, score_threshold=0.99)
    assert (await high.run({"query": QUESTION}))["results"] == []
    assert (await high.run({"query": QUESTION}))["context"] == ""


async def test_hybrid_and_diversity(store: WatchedStore) -> None:
    pytest.importorskip("bm25s")
    embedder = WordEmbedder()
    only_words = VectorSearchStep(vector_store=store, hybrid={"vector_weight": 0, "text_weight": 1, "explain": True})
    result = await only_words.run({"query": ["tower", "tunnels"]})
    assert [each[0]["id"] for each in result["results"]] == ["tower", "tunnel"]
    assert result["results"][0][0]["explanation"]["text_rank"] == 1
    json.dumps(result)
    both = VectorSearchStep(vector_store=store, embedding_model=embedder, hybrid=True, top_k=1)
    assert (await both.run({"query": QUESTION}))["results"][0]["id"] == "bridge"


async def test_diversity_alone_needs_no_words(store: WatchedStore) -> None:
    near = {"id": "again", "text": "The city paid for the bridge. Really.", "metadata": {}}
    embedder = WordEmbedder()
    await VectorUpsertStep(vector_store=store, embedding_model=embedder).run({"documents": [near]})
    plain = VectorSearchStep(vector_store=store, embedding_model=embedder, top_k=2)
    diverse = VectorSearchStep(vector_store=store, embedding_model=embedder, top_k=2, diversity=0.9)
    assert {one["id"] for one in (await plain.run({"query": QUESTION}))["results"]} == {"bridge", "again"}
    assert {one["id"] for one in (await diverse.run({"query": QUESTION}))["results"]} != {"bridge", "again"}


async def test_a_pool_lends_its_stores(store: WatchedStore) -> None:
    async with VectorStorePool(lambda _: store, store.config, max_size=1, min_size=1) as pool:
        step = VectorSearchStep(vector_store=pool)
        for _ in range(3):
            assert (await step.run({"query_vector": words("tower")}))["results"][0]["id"] == "tower"
        with pytest.raises(PipelineError):
            await step.run({"query_vector": [1.0]})
        assert pool.statistics.in_use == 0
        assert pool.statistics.acquired == 4


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "neither 'query' nor 'query_vector'"),
        ({"query": None}, "neither 'query' nor 'query_vector'"),
        ({"query": {"$ne": ""}}, "must be a text or a list of texts, not an object"),
        ({"query": 7}, "not a number"),
        ({"query": ["a", None]}, "number 1 must be a text, not null"),
        ({"query": "  "}, "blank"),
        ({"query_vector": []}, "must be a vector or a list of vectors"),
        ({"query_vector": "0.1"}, "must be a vector or a list of vectors, not a text"),
        ({"query_vector": [0.1, 0.2]}, "64"),
        ({"query_vector": [float("nan")] * DIMENSION}, "finite"),
        ({"query_vector": [["a"] * DIMENSION]}, "numbers"),
        ({"query": "a", "query_vector": [[1.0] * DIMENSION]}, "lists of the same length"),
        ({"query": ["a", "b"], "query_vector": [[1.0] * DIMENSION]}, "lists of the same length"),
    ],
)
async def test_what_can_not_be_searched_for(store: WatchedStore, data: dict[str, Any], message: str) -> None:
    step = VectorSearchStep(vector_store=store, embedding_model=WordEmbedder())
    with pytest.raises(ValidationError, match=message) as caught:
        await step.run(data)
    assert not caught.value.recoverable
    assert caught.value.step_id == "vector_search"


async def test_a_text_without_an_embedder(store: WatchedStore) -> None:
    with pytest.raises(ConfigurationError, match="needs 'embedding_model'"):
        await VectorSearchStep(vector_store=store).run({"query": QUESTION})


async def test_vectors_of_another_model_are_refused(store: WatchedStore) -> None:
    step = VectorSearchStep(vector_store=store, embedding_model=WordEmbedder("test/other"))
    with pytest.raises(ConfigurationError, match="holds vectors of the model 'test/words'"):
        await step.run({"query": QUESTION})


async def test_many_results_are_put_together_in_a_thread(store: WatchedStore) -> None:
    documents = [{"id": f"{n:03}", "text": f"number {n}"} for n in range(300)]
    embedder = WordEmbedder()
    await VectorUpsertStep(vector_store=store, embedding_model=embedder, namespace="many").run({"documents": documents})
    step = VectorSearchStep(vector_store=store, embedding_model=embedder, namespace="many", top_k=300)
    result = await step.run({"query": "number 7"})
    assert len(result["results"]) == 300
    assert result["context"].startswith("[1] 007\nnumber 7\n\n[2] ")


async def test_any_store_with_search_will_do() -> None:
    class Own:
        async def search(self, query_vector: Any, **given: Any) -> Any:
            inner = MemoryVectorStore(VectorStoreConfig(provider="memory", index_name="i"))
            await inner.create_index(2)
            return await inner.search(query_vector, **given)

    result = await VectorSearchStep(vector_store=Own()).run({"query_vector": [1.0, 0.0]})
    assert result["results"] == []
