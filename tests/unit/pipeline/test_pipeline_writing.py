"""What the steps that write and delete take in and give back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ia_modules.pipeline.steps.vector_delete import VectorDeleteStep
from ia_modules.pipeline.steps.vector_upsert import VectorUpsertStep
from ia_modules.vector_stores import MemoryVectorStore, VectorDocument, VectorStoreConfig
from ia_modules.vector_stores.rag.runtime import ConfigurationError, ValidationError
from pipeline_helpers import DIMENSION, DOCUMENTS, WordEmbedder, words


@pytest.fixture
def store() -> MemoryVectorStore:
    return MemoryVectorStore(VectorStoreConfig(provider="memory", index_name="articles"))


async def test_documents_are_embedded_in_one_call_and_written(store: MemoryVectorStore) -> None:
    embedder = WordEmbedder()
    step = VectorUpsertStep(vector_store=store, embedding_model=embedder, create_if_missing=True)
    own = {"id": "own", "vector": words("a vector of its own").tolist()}
    ready = VectorDocument(id="ready", vector=words("ready"), metadata={"n": 1}, text="ready")
    data = {"documents": [*DOCUMENTS, own, ready], "job": 7}
    result = await step.run(data)
    assert result == {**data, "upserted": 5}
    assert embedder.calls == [[one["text"] for one in DOCUMENTS]]
    assert await store.get_embedding_model() == "test/words"
    found = {document.id: document for document in await store.fetch(["bridge", "own", "ready"])}
    assert found["bridge"].metadata == {"source": "bridge.md", "tenant": "acme"}
    assert found["bridge"].vector == words("The city paid for the bridge.")
    assert (found["own"].text, found["own"].metadata) == (None, {})
    assert found["ready"] == ready
    json.dumps({key: value for key, value in result.items() if key != "documents"})
    assert "vector" not in DOCUMENTS[0], "what came in is left as it is"


async def test_the_same_again_replaces(store: MemoryVectorStore) -> None:
    step = VectorUpsertStep(vector_store=store, embedding_model=WordEmbedder(), create_if_missing=True, output_key="n")
    for _ in range(2):
        assert (await step.run({"documents": DOCUMENTS}))["n"] == 3
    assert await store.count() == 3


async def test_an_index_is_not_created_unless_asked(store: MemoryVectorStore) -> None:
    step = VectorUpsertStep(vector_store=store, embedding_model=WordEmbedder())
    with pytest.raises(ConfigurationError, match="index 'articles' does not exist"):
        await step.run({"documents": DOCUMENTS})


async def test_no_documents(store: MemoryVectorStore) -> None:
    step = VectorUpsertStep(vector_store=store, documents_key="pages")
    assert (await step.run({"pages": []}))["upserted"] == 0


async def test_many_documents(store: MemoryVectorStore) -> None:
    step = VectorUpsertStep(vector_store=store, create_if_missing=True, batch_size=300)
    documents = [{"id": str(n), "vector": [1.0, n]} for n in range(1200)]
    assert (await step.run({"documents": documents}))["upserted"] == 1200


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        (None, "'documents' must come in as a list of documents, not null"),
        ({"id": "a"}, "not an object"),
        (["a"], "document number 0 is a text, not an object"),
        ([{"id": "a", "text": "x", "title": "T"}], "number 0 has the unknown key 'title'"),
        ([{"id": "a"}], "document 'a' has neither a vector nor a text"),
        ([{"id": "a", "text": " "}], "document 'a' has neither a vector nor a text"),
        ([{"text": "secret words"}], "document without an id, number 0: id: Field required"),
        ([{"id": "a", "vector": [1.0, float("inf")]}], "document 'a', number 0"),
        ([{"id": "a", "text": "secret words", "metadata": "secret words"}], "document 'a', number 0: metadata"),
        ([{"id": 7, "text": "secret words"}], "document without an id, number 0: id"),
        ([{"id": "a", "vector": [1.0] * 3}], "'a'"),
        ([{"id": "a", "text": "b", "metadata": {"when": object()}}], "'a'"),
    ],
)
async def test_documents_that_can_not_be_written(store: MemoryVectorStore, documents: Any, message: str) -> None:
    await store.create_index(DIMENSION)
    step = VectorUpsertStep(vector_store=store, embedding_model=WordEmbedder())
    with pytest.raises(ValidationError, match=message) as caught:
        await step.run({"documents": documents})
    assert "secret words" not in str(caught.value)
    assert await store.count() == 0


async def test_delete_by_ids_by_filter_and_all(store: MemoryVectorStore) -> None:
    step = VectorUpsertStep(vector_store=store, embedding_model=WordEmbedder(), create_if_missing=True)
    for namespace in ("", "news"):
        name = {"namespace": namespace} if namespace else {}
        step = VectorUpsertStep(vector_store=store, embedding_model=WordEmbedder(), create_if_missing=True, **name)
        await step.run({"documents": DOCUMENTS})
    by_ids = VectorDeleteStep(vector_store=store, ids_key="gone", output_key="n")
    assert await by_ids.run({"gone": ["bridge", "nosuch"], "k": 1}) == {"gone": ["bridge", "nosuch"], "k": 1, "n": 1}
    assert (await by_ids.run({"gone": []}))["n"] == 0
    tenant = {"field": "tenant", "operator": "eq", "value": "other"}
    by_filter = VectorDeleteStep(vector_store=store, filters=tenant)
    # Ids that come in don't widen what the config says.
    assert (await by_filter.run({"ids": ["tunnel"]}))["deleted"] == 1
    assert [document.id async for document in store.scan()] == ["tunnel"]
    assert await store.count(namespace="news") == 3
    everything = VectorDeleteStep(vector_store=store, delete_all=True, namespace="news")
    assert (await everything.run({}))["deleted"] == 3
    assert await store.list_namespaces() == [""]


@pytest.mark.parametrize("ids", [None, "bridge", {"$ne": ""}, [None], [{"id": 1}], [""]])
async def test_ids_that_are_none(store: MemoryVectorStore, ids: Any) -> None:
    await store.create_index(2)
    await store.upsert([VectorDocument(id="bridge", vector=[1, 0])])
    with pytest.raises(ValidationError):
        await VectorDeleteStep(vector_store=store).run({"ids": ids, "filters": [], "delete_all": True})
    assert await store.count() == 1


@pytest.mark.parametrize("filters", [[], {"and": []}, {"not": {"or": []}}, {"or": [{"and": []}]}])
def test_a_filter_that_everything_passes_is_refused(store: MemoryVectorStore, filters: Any) -> None:
    with pytest.raises(ConfigurationError, match="everything would pass; say delete_all"):
        VectorDeleteStep(vector_store=store, filters=filters)


def test_one_of_the_three(store: MemoryVectorStore) -> None:
    tenant = {"field": "tenant", "operator": "eq", "value": "other"}
    with pytest.raises(ConfigurationError, match="give filters or delete_all, not both"):
        VectorDeleteStep(vector_store=store, filters=tenant, delete_all=True)
