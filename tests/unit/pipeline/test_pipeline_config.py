"""A step's config: what it may hold, and what is said about the rest."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ia_modules.pipeline.steps.vector_delete import VectorDeleteStep
from ia_modules.pipeline.steps.vector_search import VectorSearchStep
from ia_modules.pipeline.steps.vector_upsert import VectorUpsertStep
from ia_modules.vector_stores import VectorStoreConfig, VectorStorePool
from ia_modules.vector_stores.rag.runtime import ConfigurationError, Step
from pipeline_helpers import Registry, WordEmbedder

URL = "memory:///articles"
SHARED = "memory://shared/articles"
STEPS = [VectorSearchStep, VectorUpsertStep, VectorDeleteStep]
EQ = {"field": "tenant", "operator": "eq", "value": "acme"}


@pytest.mark.parametrize("kind", STEPS)
def test_the_steps_are_steps(kind: Any) -> None:
    step = kind("one", {"store": URL, "error_handling": {"continue_on_error": True}, "mode": "research"})
    assert isinstance(step, Step)
    assert (step.name, step.continue_on_error, step.enable_fallback, step.services) == ("one", True, False, None)
    assert isinstance(step.config, dict)
    assert step.config["mode"] == "research"


@pytest.mark.parametrize("kind", STEPS)
def test_an_unknown_key_is_an_error(kind: Any) -> None:
    with pytest.raises(ConfigurationError, match="unknown config key 'namespac'; did you mean 'namespace'") as caught:
        kind("one", {"store": URL, "namespac": "a"})
    assert isinstance(caught.value, ValueError)
    assert (caught.value.step_id, caught.value.config_key) == ("one", "namespac")
    with pytest.raises(ConfigurationError, match=r"unknown config key 'zzz'; known are .*store"):
        kind(vector_store=URL, zzz=1)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"top_k": 0}, "top_k must be a whole number of at least 1, not 0"),
        ({"top_k": True}, "top_k must be"),
        ({"top_k": "5"}, "not a text"),
        ({"top_k": {"$gt": 0}}, "not an object"),
        ({"score_threshold": "0.5"}, "score_threshold must be a number"),
        ({"score_threshold": float("nan")}, "score_threshold must be a number"),
        ({"diversity": 2}, "between 0 and 1"),
        ({"hybrid": "yes"}, "hybrid must be true, false or an object, not a text"),
        ({"hybrid": {"weight": 1}}, "hybrid: unknown key 'weight'; known are vector_weight"),
        ({"hybrid": {"top_k": 1}}, "hybrid: unknown key 'top_k'"),
        ({"namespace": None}, "namespace must be a text that is not empty, not null"),
        ({"namespace": ""}, "not an empty text; leave the key out"),
        ({"namespace": {"or": []}}, "namespace must be a text that is not empty, not an object"),
        ({"filters": None}, "filters must be a filter as an object or a list, not null"),
        ({"filters": "tenant == 'acme'"}, "filters must be a filter as an object or a list, not a text"),
        ({"filters": [{"field": "a", "op": "eq", "value": 1}]}, r"filters: \$.and\[0\]: unknown key 'op'"),
        ({"filters": {**EQ, "operator": "=="}}, "unknown filter operator"),
        ({"filters": {**EQ, "value": {"or": []}}}, "filter on 'tenant': operator 'eq' takes"),
        ({"filters": {**EQ, "value": ["acme", "other"]}}, "filter on 'tenant': operator 'eq' takes"),
        ({"context_tokens": -1}, "context_tokens must be"),
        ({"token_counter": 3}, "token_counter must be a function or a service's name"),
        ({"include_vectors": 1}, "include_vectors must be true or false, not a number"),
        ({"output_key": ""}, "output_key must be a text"),
        ({"embedding_model": 7}, "embedding_model must be a name or an embedder, not a number"),
        ({"pool": 10}, "pool must be true, false or an object of the pool's settings, not a number"),
        ({"pool": {"size": 10}}, "pool: .*size"),
        ({"pool": {"max_size": 1, "min_size": 2}}, "pool: min_size must not be above max_size"),
        ({"vector_store": URL}, "give store or vector_store, not both"),
        ({"error_handling": {"retry": {"attempts": 3}}}, "error_handling: .*attempts"),
        ({"error_handling": "retry"}, "error_handling: "),
        ({"api_key_env": "NO_SUCH_VARIABLE"}, "the environment variable 'NO_SUCH_VARIABLE'"),
    ],
)
def test_values_that_make_no_sense(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        VectorSearchStep("one", {"store": SHARED, **config})
    assert "acme" not in str(caught.value)


@pytest.mark.parametrize(
    ("store", "message"),
    [
        ("nosuch:///articles", "unknown provider 'nosuch'"),
        ("memory://", "names no index"),
        ({"provider": "memory"}, "store: index_name: Field required"),
        ({"provider": "memory", "index_name": "a", "colour": "red"}, "store: colour"),
        ("", "a store URL looks like provider://"),
        (7, "store must be a URL, a config, a service's name, or a store, not a number"),
        ([], "store must be a URL, a config, a service's name, or a store, not a list"),
    ],
)
def test_stores_that_are_none(store: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        VectorSearchStep("one", {"store": store})


def test_pool_goes_with_a_url_only() -> None:
    for given in ({"pool": True}, {"api_key_env": "HOME"}):
        with pytest.raises(ConfigurationError, match="go with a store's URL or config"):
            VectorSearchStep("one", {"store": "a-service", **given})


@pytest.mark.parametrize(
    ("url", "fine"),
    [
        ("memory:///articles", False),
        ("memory://shared/articles", True),
        ("qdrant:///articles", False),
        ("qdrant:///:memory:/articles", False),
        ("chroma:///:memory:/articles", False),
        ("chroma:///:memory:shared/articles", True),
        ("chroma:///tmp/folder/articles", True),
        ("qdrant://localhost/articles", True),
    ],
)
def test_a_pool_s_stores_must_share_their_documents(url: str, fine: bool) -> None:
    if fine:
        VectorSearchStep("one", {"store": url, "pool": True})
        return
    with pytest.raises(ConfigurationError, match="documents of its own in memory"):
        VectorSearchStep("one", {"store": url, "pool": True})


def test_what_a_constructor_is_given_twice() -> None:
    with pytest.raises(ConfigurationError, match="top_k is given twice"):
        VectorSearchStep("one", {"store": URL, "top_k": 1}, top_k=2)
    with pytest.raises(ConfigurationError, match="config is an object, not list"):
        VectorSearchStep("one", [URL])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (VectorSearchStep, "results"),
        (VectorSearchStep, "context"),
        (VectorUpsertStep, "upserted"),
        (VectorDeleteStep, "deleted"),
    ],
)
def test_a_name_under_which_the_pipeline_would_hide_the_result(kind: Any, name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"is '{name}' like the step"):
        kind(name, {"store": URL})


def test_a_parameter_that_was_not_given_is_an_error() -> None:
    for config in (
        {"namespace": "{{ parameters.tenant }}"},
        {"filters": [{**EQ, "value": "{{parameters.tenant}}"}]},
        {"filters": {"not": {**EQ, "value": "of {{ parameters.tenant }}"}}},
    ):
        with pytest.raises(ConfigurationError, match="the pipeline was given no parameter 'tenant'"):
            VectorSearchStep("one", {"store": URL, **config})
    VectorSearchStep("one", {"store": URL, "filters": {**EQ, "value": "{{ name }}"}})


def test_a_key_is_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUR_KEY", "very-secret-key")
    where = {"provider": "qdrant", "host": "localhost", "index_name": "a"}
    for config in (
        {"store": {**where, "api_key": "very-secret-key"}},
        {"store": where, "api_key_env": "OUR_KEY"},
        {"store": "qdrant://localhost/a", "api_key_env": "OUR_KEY"},
        {"store": VectorStoreConfig(**where), "api_key_env": "OUR_KEY"},
    ):
        step = VectorSearchStep("one", config)
        assert step.source.config is not None
        assert step.source.config.secret == "very-secret-key"
        assert "very-secret-key" not in repr(step.config) + repr(step) + repr(vars(step))
    with pytest.raises(ConfigurationError) as caught:
        VectorSearchStep("one", {"store": {**where, "api_key": "very-secret-key\n"}})
    assert "very-secret" not in str(caught.value)


async def test_services_by_name() -> None:
    step = VectorSearchStep("one", {"store": "articles"})
    with pytest.raises(ConfigurationError, match="the service 'articles' is not registered"):
        await step.run({"query_vector": [1.0]})
    step.services = Registry(articles="memory:///articles")
    with pytest.raises(ConfigurationError, match="the service 'articles' is a text, not a store, a pool or a config"):
        await step.run({"query_vector": [1.0]})
    step = VectorSearchStep("one", {})
    step.services = Registry()
    with pytest.raises(ConfigurationError, match="the service 'vector_store' is not registered"):
        await step.run({"query_vector": [1.0]})
    config = VectorStoreConfig(provider="memory", index_name="i", path="services-by-name")
    async with VectorStorePool.from_config(config) as pool, pool.connection() as store:
        await store.create_index(1)
        for service in (pool, config, store):
            step.services = Registry(vector_store=service)
            assert (await step.run({"query_vector": [1.0]}))["results"] == []
        await step.services.cleanup_all()
    step.services = {"vector_store": config}  # a plain mapping will do as well, for a step that runs by itself
    assert (await step.run({"query_vector": [1.0]}))["results"] == []


@pytest.mark.parametrize("counter", ["count", "missing"])
async def test_a_counter_by_name(counter: str) -> None:
    step = VectorSearchStep("one", {"store": URL, "token_counter": counter})
    step.services = Registry(count=len, missing=7)
    match = re.escape("token_counter: no function is registered as the service 'missing'")
    if counter == "missing":
        with pytest.raises(ConfigurationError, match=match):
            await step.run({"query_vector": [1.0]})
    else:
        with pytest.raises(ConfigurationError, match="does not exist"):
            await step.run({"query_vector": [1.0]})


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("wordllama", "wordllama/l2_supercat-256"),
        ("wordllama:64", "wordllama/l2_supercat-64"),
        ("wordllama/l2_supercat-128", "wordllama/l2_supercat-128"),
        ("text-embedding-3-small", "openai/text-embedding-3-small"),
        ("openai:text-embedding-3-large", "openai/text-embedding-3-large"),
        ("openai/text-embedding-3-large", "openai/text-embedding-3-large"),
        ("sentence-transformers:all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"),
        ("sentence-transformers/all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"),
    ],
)
async def test_embedders_by_name(name: str, model: str) -> None:
    step = VectorSearchStep("one", {"store": URL, "embedding_model": name})
    other = VectorUpsertStep("two", {"store": URL, "embedding_model": name})
    embedder = await step._embedder.get(step)
    assert embedder.model == model
    assert await other._embedder.get(other) is embedder


async def test_an_embedder_that_is_none() -> None:
    step = VectorSearchStep("one", {"store": URL, "embedding_model": "nosuch"})
    with pytest.raises(ConfigurationError, match="unknown embedder 'nosuch'; known are wordllama"):
        await step.run({"query": "a"})
    step.services = Registry(nosuch=WordEmbedder())
    with pytest.raises(ConfigurationError, match="does not exist"):
        await step.run({"query": "a"})
