"""The steps in pipelines that the real ``GraphPipelineRunner`` of ``ia_modules`` loads from JSON and runs.

``make beside`` runs these in an environment of their own, as an editable checkout can't stand beside that package.
"""

from __future__ import annotations

import asyncio
import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ia_modules.pipeline.core", reason="needs ia_modules; run `make beside`")

from ia_modules.pipeline.core import Step
from ia_modules.pipeline.function_step import FunctionStep
from ia_modules.pipeline.graph_pipeline_runner import GraphPipelineRunner
from ia_modules.pipeline.in_memory_tracker import InMemoryExecutionTracker
from ia_modules.pipeline.services import ServiceRegistry

from ia_modules.pipeline import errors as theirs
from ia_modules.pipeline.steps.vector_delete import VectorDeleteStep
from ia_modules.pipeline.steps.vector_search import VectorSearchStep, close_shared_stores
from ia_modules.pipeline.steps.vector_upsert import VectorUpsertStep
from ia_modules.vector_stores import ConnectionError, UnsupportedOperationError, VectorStoreConfig, VectorStorePool
from ia_modules.vector_stores.rag import runtime
from pipeline_helpers import DIMENSION, DOCUMENTS, WatchedStore, WordEmbedder, watch

PIPELINE = json.loads((Path(__file__).parent / "pipeline.json").read_text())
QUICK = {"max_attempts": 3, "initial_delay": 0.001, "max_delay": 0.002}
NO_STORE_RETRIES = "watched:///area/articles?max_retries=0"


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> type[WatchedStore]:
    return watch(monkeypatch)


@pytest.fixture
def services() -> ServiceRegistry:
    made = ServiceRegistry()
    made.register("execution_tracker", InMemoryExecutionTracker())
    made.register("words", WordEmbedder())
    return made


def given(**more: Any) -> dict[str, Any]:
    documents = copy.deepcopy(DOCUMENTS)
    return {"documents": documents, "query": "Who paid for the bridge?", "tenant": "acme", "top_k": 2, **more}


def changed(search: dict[str, Any] | None = None, ingest: dict[str, Any] | None = None) -> dict[str, Any]:
    pipeline = copy.deepcopy(PIPELINE)
    pipeline["steps"][0]["config"] |= ingest or {}
    pipeline["steps"][1]["config"] |= search or {}
    return pipeline


async def run(services: ServiceRegistry, pipeline: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    result = await GraphPipelineRunner(services).run_pipeline_from_json(pipeline, data)
    output: dict[str, Any] = result["output"]
    return output


def test_the_steps_are_theirs() -> None:
    for kind in (VectorSearchStep, VectorUpsertStep, VectorDeleteStep):
        assert issubclass(kind, Step)
    assert runtime.NetworkError is theirs.NetworkError
    assert issubclass(runtime.StepConfigurationError, theirs.ConfigurationError)


async def test_ingest_search_answer(watched: type[WatchedStore], services: ServiceRegistry) -> None:
    data = given(user={"name": "Eve"})
    output = await run(services, PIPELINE, data)
    assert output["answer"] == "The city paid for the bridge."
    assert output["prompt"].startswith("[1] bridge.md\nThe city paid for the bridge.\n\n[2] tunnel.md\n")
    assert output["upserted"] == 3
    assert [one["id"] for one in output["results"]] == ["bridge", "tunnel"]
    assert output["user"] == {"name": "Eve"}
    assert output["search"]["results"] == output["results"], "the pipeline keeps it under the step's name too"
    json.dumps(output)
    assert len(watched.made) == 1
    await services.cleanup_all()
    assert watched.made[0].closed == 1


async def test_a_function_step(watched: type[WatchedStore], services: ServiceRegistry) -> None:
    async def answer(data: dict[str, Any], step: FunctionStep) -> dict[str, Any]:
        return {"answer": f"{step.name}: {data['results'][0]['id']}"}

    pipeline = copy.deepcopy(PIPELINE)
    module, kind = "ia_modules.pipeline.function_step", "FunctionStep"
    pipeline["steps"][2] |= {"module": module, "step_class": kind, "config": {"fn": answer}}
    assert (await run(services, pipeline, given()))["answer"] == "reply: bridge"


async def test_open_once_for_many_runs_and_runners(watched: type[WatchedStore], services: ServiceRegistry) -> None:
    for _ in range(3):
        await run(services, PIPELINE, given())
    assert [one.opened for one in watched.made] == [1]
    other = ServiceRegistry()
    other.register("words", WordEmbedder())
    await run(other, PIPELINE, given())
    assert [one.opened for one in watched.made] == [1]
    await services.cleanup_all()
    assert [one.closed for one in watched.made] == [0], "the other pipeline has it still"
    await other.cleanup_all()
    assert [one.closed for one in watched.made] == [1]


async def test_retry(watched: type[WatchedStore], services: ServiceRegistry) -> None:
    search = {"store": NO_STORE_RETRIES, "error_handling": {"retry": QUICK}}
    pipeline = changed(search, {"store": NO_STORE_RETRIES})
    watched.failures["search"] = [ConnectionError("refused"), ConnectionError("refused")]
    assert (await run(services, pipeline, given()))["answer"] == "The city paid for the bridge."
    assert watched.failures["search"] == []
    watched.failures["search"] = [ConnectionError("refused") for _ in range(4)]
    with pytest.raises(theirs.NetworkError, match="refused"):
        await run(services, pipeline, given())
    assert len(watched.failures["search"]) == 1
    watched.failures["search"] = [UnsupportedOperationError("no"), ConnectionError("refused")]
    with pytest.raises(theirs.ConfigurationError, match="no"):
        await run(services, pipeline, given())
    assert len(watched.failures["search"]) == 1, "what no retry can cure is not tried again"


async def test_fallback(watched: type[WatchedStore], services: ServiceRegistry) -> None:
    search = {"store": NO_STORE_RETRIES, "error_handling": {"enable_fallback": True}}
    watched.failures["search"] = [ConnectionError("refused")]
    output = await run(services, changed(search, {"store": NO_STORE_RETRIES}), given())
    assert output["answer"] == "not now: network"
    assert (output["results"], output["context"]) == ([], "")


async def test_continue_on_error(watched: type[WatchedStore], services: ServiceRegistry) -> None:
    search = {"store": NO_STORE_RETRIES, "error_handling": {"continue_on_error": True}}
    watched.failures["search"] = [ConnectionError("refused")]
    output = await run(services, changed(search, {"store": NO_STORE_RETRIES}), given())
    assert output["answer"] == "no answer: network"
    assert (await run(services, changed(search), given(query=7)))["answer"] == "no answer: validation"


async def test_a_failure_stops_the_pipeline(watched: type[WatchedStore], services: ServiceRegistry) -> None:
    watched.failures["upsert"] = [ConnectionError("refused")]
    with pytest.raises(theirs.NetworkError) as caught:
        await run(services, changed(ingest={"store": NO_STORE_RETRIES}), given())
    assert caught.value.step_id == "ingest"
    (execution,) = services.get("execution_tracker").executions.values()
    assert "FAILED" in str(execution["status"]).upper()


async def test_a_config_that_makes_no_sense_does_not_start(
    watched: type[WatchedStore], services: ServiceRegistry
) -> None:
    with pytest.raises(theirs.ConfigurationError, match="unknown config key 'topk'; did you mean 'top_k'"):
        await run(services, changed({"topk": 3}), given())
    data = given()
    del data["tenant"]
    with pytest.raises(theirs.ConfigurationError, match="the pipeline was given no parameter 'tenant'"):
        await run(services, PIPELINE, data)
    assert watched.made == []


@pytest.mark.parametrize(
    "tenant",
    ['x" or 1==1', '" or tenant != "', "{{ parameters.query }}", "*", "", None, {"or": []}, ["acme"], 1],
    ids=repr,
)
async def test_a_parameter_is_only_ever_a_value(
    watched: type[WatchedStore], services: ServiceRegistry, tenant: Any
) -> None:
    if isinstance(tenant, dict | list) or "{{" in str(tenant):
        with pytest.raises(theirs.ConfigurationError):
            await run(services, PIPELINE, given(tenant=tenant))
    else:
        assert (await run(services, PIPELINE, given(tenant=tenant)))["answer"] == "nothing found"


async def test_a_hundred_pipelines_over_one_pool_of_ten(watched: type[WatchedStore], services: ServiceRegistry) -> None:
    config = VectorStoreConfig(provider="watched", path="hundred", index_name="articles")
    async with VectorStorePool(WatchedStore, config, max_size=10, min_size=1) as pool:
        services.register("articles", pool)
        async with pool.connection() as store:
            await store.create_index(DIMENSION)
        pipeline = changed({"store": "articles"}, {"store": "articles"})
        watched.delay, runner = 0.005, GraphPipelineRunner(services)

        async def one(number: int) -> dict[str, Any]:
            documents = [{"id": f"{number}", "text": f"page {number}", "metadata": {"tenant": f"tenant-{number}"}}]
            data = {"documents": documents, "query": "page", "tenant": f"tenant-{number}", "top_k": 3}
            output: dict[str, Any] = (await runner.run_pipeline_from_json(pipeline, data))["output"]
            return output

        outputs = await asyncio.gather(*(one(number) for number in range(100)))
        assert [output["answer"] for output in outputs] == [f"page {number}" for number in range(100)]
        assert pool.statistics.in_use == 0
        assert pool.statistics.acquired == 201
        assert watched.peak <= 10
        assert 1 < len(watched.made) <= 10


async def test_a_hundred_pipelines_over_a_pool_by_url(watched: type[WatchedStore], services: ServiceRegistry) -> None:
    pool = {"pool": {"max_size": 10}}
    pipeline = changed(pool, pool)
    watched.delay = 0.005
    outputs = await asyncio.gather(*(run(services, pipeline, given()) for _ in range(100)))
    assert {output["answer"] for output in outputs} == {"The city paid for the bridge."}
    assert watched.peak <= 10
    assert len(watched.made) <= 10
    await services.cleanup_all()
    assert all(one.closed == one.opened for one in watched.made)


async def test_steps_made_in_python(watched: type[WatchedStore], services: ServiceRegistry) -> None:
    url = "watched:///area/articles"
    steps = [
        VectorUpsertStep("ingest", vector_store=url, embedding_model=WordEmbedder(), create_if_missing=True),
        VectorSearchStep(vector_store=url, embedding_model=WordEmbedder(), top_k=1),
        VectorDeleteStep(vector_store=url, ids_key="old"),
    ]
    flow = {
        "start_at": "ingest",
        "paths": [{"from": "ingest", "to": "vector_search"}, {"from": "vector_search", "to": "vector_delete"}],
    }
    result = await GraphPipelineRunner(services).run_pipeline("made", steps, flow, given(old=["bridge"]))
    output = result["output"]
    assert (output["results"][0]["id"], output["deleted"]) == ("bridge", 1)
    assert len(watched.made) == 1
    await close_shared_stores()
    assert watched.made[0].closed == 1


def test_everything_is_closed_with_the_event_loop(watched: type[WatchedStore], services: ServiceRegistry) -> None:
    asyncio.run(run(services, PIPELINE, given()))
    assert [(one.opened, one.closed) for one in watched.made] == [(1, 1)]


def test_the_example() -> None:
    pytest.importorskip("wordllama")
    script = Path(__file__).parents[2] / "examples" / "rag_pipeline.py"
    done = subprocess.run(
        [sys.executable, "-W", "error:::ia_modules.vector_stores", str(script), "memory:///handbook"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines() == [
        "staff: When do I get my money?",
        "    Salaries are paid on the last working day. [1: Pay]",
        "staff: My computer does not start",
        "    A broken laptop is replaced on the same day. [1: Equipment]",
        "guests: When do I get my money?",
        "    I don't know.",
    ], done.stderr
