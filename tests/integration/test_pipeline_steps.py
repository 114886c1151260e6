"""The pipeline steps on every provider: write, search, delete, alone and over a pool, each tenant by itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from conftest import MakeStore
from ia_modules.pipeline.steps.vector_delete import VectorDeleteStep
from ia_modules.pipeline.steps.vector_search import VectorSearchStep, close_shared_stores
from ia_modules.pipeline.steps.vector_upsert import VectorUpsertStep
from ia_modules.vector_stores import VectorStoreConfig
from ia_modules.vector_stores.rag.shared import shared_resources
from pipeline_helpers import DOCUMENTS, Registry, WordEmbedder

QUESTION = {"query": "Who paid for the bridge?"}


@pytest.fixture
def settings(store_config: Callable[..., VectorStoreConfig], make_store: MakeStore) -> dict[str, Any]:
    make_store()  # so that the index is deleted at the end, where it would stay
    return {"store": store_config(), "embedding_model": WordEmbedder()}


@pytest.mark.parametrize("pool", [False, {"max_size": 3}])
async def test_write_search_delete(settings: dict[str, Any], pool: Any) -> None:
    if pool and settings["store"].provider in ("chroma", "qdrant") and settings["store"].host is None:
        pytest.skip("an embedded database needs no pool")
    services = Registry()
    where = {**settings, "pool": pool}

    def step(kind: Any, **config: Any) -> Any:
        made = kind(f"step-{kind.__name__}", {**where, **config})
        made.services = services
        return made

    for tenant in ("acme", "other"):
        mine = [{**one, "text": f"{tenant}: {one['text']}"} for one in DOCUMENTS]
        ingest = step(VectorUpsertStep, create_if_missing=True, namespace=tenant)
        assert (await ingest.run({"documents": mine}))["upserted"] == 3
    search = step(VectorSearchStep, namespace="acme", top_k=2)
    result = await search.run(dict(QUESTION))
    assert [one["text"] for one in result["results"]] == [
        "acme: The city paid for the bridge.",
        "acme: The state paid for the tunnel.",
    ]
    assert result["context"].startswith("[1] bridge.md\nacme: The city paid")
    assert json.loads(json.dumps(result)) == result
    many = await search.run({"query": ["the bridge", "the tower"]})
    assert [each[0]["id"] for each in many["results"]] == ["bridge", "tower"]
    tenant = {"field": "tenant", "operator": "eq", "value": "other"}
    filtered = await step(VectorSearchStep, namespace="other", filters=tenant).run(dict(QUESTION))
    assert [one["text"] for one in filtered["results"]] == ["other: Nobody paid for the tower."]
    hybrid = await step(VectorSearchStep, namespace="other", hybrid=True, top_k=1).run({"query": "tunnel"})
    assert hybrid["results"][0]["id"] == "tunnel"
    where.pop("embedding_model")
    gone = await step(VectorDeleteStep, namespace="acme").run({"ids": ["bridge", "nosuch"]})
    assert gone["deleted"] == 1
    assert (await step(VectorDeleteStep, namespace="acme", filters=tenant).run({}))["deleted"] == 1
    where["embedding_model"] = settings["embedding_model"]
    left = await step(VectorSearchStep, namespace="acme").run(dict(QUESTION))
    assert [one["id"] for one in left["results"]] == ["tunnel"]
    assert len((await step(VectorSearchStep, namespace="other").run(dict(QUESTION)))["results"]) == 3
    assert shared_resources().size == 1
    await services.cleanup_all()
    assert shared_resources().size == 0


async def test_many_runs_at_once_share_what_is_open(settings: dict[str, Any]) -> None:
    async def one(number: int) -> dict[str, Any]:
        ingest = VectorUpsertStep("ingest", {**settings, "create_if_missing": True, "namespace": f"t{number % 4}"})
        search = VectorSearchStep("search", {**settings, "namespace": f"t{number % 4}", "top_k": 1})
        mine = {"id": f"{number % 4}", "text": f"page {number % 4}"}
        return await search.run(await ingest.run({"documents": [mine], "query": "page"}))

    results = await asyncio.gather(*(one(number) for number in range(20)))
    assert [result["results"][0]["text"] for result in results] == [f"page {number % 4}" for number in range(20)]
    assert shared_resources().size == 1
    await close_shared_stores()
