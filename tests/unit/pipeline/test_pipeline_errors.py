"""What goes wrong, in the pipeline's own terms: its retry, its fallback, and going on all the same."""

from __future__ import annotations

import builtins
import logging
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from ia_modules.pipeline.steps.vector_delete import VectorDeleteStep
from ia_modules.pipeline.steps.vector_search import VectorSearchStep
from ia_modules.pipeline.steps.vector_upsert import VectorUpsertStep
from ia_modules.vector_stores import VectorStoreConfig, errors
from ia_modules.vector_stores.rag import runtime
from ia_modules.vector_stores.rag.failures import as_pipeline_error
from pipeline_helpers import DIMENSION, DOCUMENTS, WatchedStore, WordEmbedder, watch

QUICK = {"max_attempts": 3, "initial_delay": 0.001, "max_delay": 0.002, "jitter": False}


def caused(error: errors.VectorStoreError) -> errors.VectorStoreError:
    error.__cause__ = OSError("outside")
    return error


PARTIAL = errors.PartialFailureError("1 of 2", succeeded=["a"], failed={"b": ValueError("no")}, provider="qdrant")
MISSING = errors.MissingDependencyError("qdrant-client", extra="qdrant", needed_for="The provider")


@pytest.mark.parametrize(
    ("error", "kind", "category"),
    [
        (errors.ConnectionError("gone"), runtime.NetworkError, "network"),
        (builtins.ConnectionError("gone"), runtime.NetworkError, "network"),
        (errors.OperationTimeoutError("late"), runtime.TimeoutError, "timeout"),
        (errors.PoolTimeoutError("late"), runtime.TimeoutError, "timeout"),
        (errors.PoolFullError("late"), runtime.TimeoutError, "timeout"),
        (builtins.TimeoutError("late"), runtime.TimeoutError, "timeout"),
        (errors.RateLimitError("slow", retry_after=2.0, provider="pinecone"), runtime.DependencyError, "dependency"),
        (PARTIAL, runtime.DependencyError, "dependency"),
        (errors.StoreLockedError("locked"), runtime.DependencyError, "dependency"),
        (caused(errors.VectorStoreError("status 500")), runtime.DependencyError, "dependency"),
        (errors.VectorStoreError("later", retryable=True), runtime.DependencyError, "dependency"),
        (errors.VectorStoreError("released already"), runtime.LogicError, "logic"),
        (errors.PoolClosedError("closed"), runtime.ResourceError, "resource"),
        (errors.AuthenticationError("refused"), runtime.ConfigurationError, "configuration"),
        (errors.IndexNotFoundError("none"), runtime.ConfigurationError, "configuration"),
        (errors.IndexAlreadyExistsError("one"), runtime.ConfigurationError, "configuration"),
        (errors.IndexMismatchError("another model"), runtime.ConfigurationError, "configuration"),
        (errors.UnsupportedOperationError("no"), runtime.ConfigurationError, "configuration"),
        (MISSING, runtime.ConfigurationError, "configuration"),
        (errors.InvalidDimensionError("3, not 4"), runtime.ValidationError, "validation"),
        (errors.InvalidDocumentError("no", document_id="a"), runtime.ValidationError, "validation"),
        (ValueError("no"), runtime.ValidationError, "validation"),
    ],
)
def test_every_error_has_a_category(error: Exception, kind: type[Any], category: str) -> None:
    mapped = as_pipeline_error(error, "search", timeout=7.0)
    assert type(mapped) is kind
    assert mapped.category.value == category
    assert mapped.recoverable is (category in ("network", "timeout", "dependency"))
    assert mapped.step_id == "search"
    assert mapped.original_exception is error
    assert mapped.context["error"] == type(error).__name__
    assert str(error) in str(mapped)
    for name in ("retry_after", "document_id", "provider"):
        if getattr(error, name, None) is not None:
            assert mapped.context[name] == getattr(error, name)
    if category == "timeout":
        assert mapped.timeout_seconds == 7.0


def test_every_error_of_ours_is_in_the_table() -> None:
    (mark,) = test_every_error_has_a_category.pytestmark  # type: ignore[attr-defined]
    assert set(errors.__all__) <= {type(row[0]).__name__ for row in mark.args[1]}


def test_what_a_partial_failure_says() -> None:
    context = as_pipeline_error(PARTIAL, "ingest").context
    assert (context["succeeded"], context["failed"], context["provider"]) == (1, ["b"], "qdrant")


def test_a_model_s_error_shows_no_input() -> None:
    class Model(BaseModel):
        model_config = ConfigDict(hide_input_in_errors=True)
        number: int

    with pytest.raises(ValueError, match="number") as caught:
        Model(number="secret words")  # type: ignore[arg-type]
    mapped = as_pipeline_error(caught.value, "search")
    assert mapped.message == "number: Input should be a valid integer, unable to parse string as an integer"


@pytest.fixture
async def store(monkeypatch: pytest.MonkeyPatch) -> WatchedStore:
    store = watch(monkeypatch)(VectorStoreConfig(provider="watched", index_name="i", max_retries=0, retry_delay=0))
    await store.create_index(DIMENSION)
    await VectorUpsertStep(vector_store=store, embedding_model=WordEmbedder()).run({"documents": DOCUMENTS})
    return store


def search(store: WatchedStore, **error_handling: Any) -> VectorSearchStep:
    return VectorSearchStep(
        "search", {"store": store, "embedding_model": WordEmbedder(), "top_k": 1, "error_handling": error_handling}
    )


def gone(times: int) -> list[Exception]:
    return [errors.ConnectionError("connection refused") for _ in range(times)]


async def test_retry(store: WatchedStore) -> None:
    store.failures["search"] = gone(2)
    result = await search(store, retry=QUICK).execute_with_error_handling({"query": "bridge"})
    assert result["results"][0]["id"] == "bridge"
    assert store.failures["search"] == []


async def test_retry_ends(store: WatchedStore) -> None:
    store.failures["search"] = gone(4)
    with pytest.raises(runtime.NetworkError, match="connection refused") as caught:
        await search(store, retry=QUICK).execute_with_error_handling({"query": "bridge"})
    assert len(store.failures["search"]) == 1
    assert isinstance(caught.value.original_exception, errors.ConnectionError)


async def test_what_no_retry_can_cure_is_not_tried_again(store: WatchedStore) -> None:
    store.failures["search"] = [errors.UnsupportedOperationError("no"), *gone(1)]
    with pytest.raises(runtime.ConfigurationError):
        await search(store, retry=QUICK).execute_with_error_handling({"query": "bridge"})
    assert len(store.failures["search"]) == 1


async def test_fallback(store: WatchedStore) -> None:
    store.failures["search"] = gone(1)
    data = {"query": "bridge", "user": 1}
    result = await search(store, enable_fallback=True).execute_with_error_handling(data)
    assert result == {
        **data,
        "results": [],
        "context": "",
        "results_error": {"category": "network", "message": "watched.search: connection refused"},
    }
    store.failures["search"] = gone(2)
    result = await search(store, enable_fallback=True).execute_with_error_handling({"query": ["a", "b"]})
    assert (result["results"], result["context"]) == ([[], []], ["", ""])


async def test_a_mistake_has_no_fallback(store: WatchedStore) -> None:
    step = search(store, enable_fallback=True)
    with pytest.raises(runtime.ValidationError):
        await step.execute_with_error_handling({"query": 7})


async def test_writing_has_no_fallback(store: WatchedStore) -> None:
    store.failures["upsert"] = gone(1)
    config = {"store": store, "embedding_model": WordEmbedder(), "error_handling": {"enable_fallback": True}}
    with pytest.raises(runtime.NetworkError):
        await VectorUpsertStep("ingest", config).execute_with_error_handling({"documents": DOCUMENTS})


async def test_going_on_all_the_same(store: WatchedStore, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    store.failures["search"] = gone(1)
    data = {"query": "bridge"}
    result = await search(store, continue_on_error=True).execute_with_error_handling(data)
    assert result["step_error"] is True
    assert (result["error_category"], result["error_severity"], result["step_name"]) == ("network", "error", "search")
    assert result["original_data"] == data
    assert result["context"]["operation"] == "search"
    step = VectorDeleteStep("delete", {"store": store, "error_handling": {"continue_on_error": True}})
    assert (await step.execute_with_error_handling({}))["error_category"] == "validation"
    assert "search" in caplog.text


async def test_an_error_of_another_kind_is_the_pipeline_s_business(store: WatchedStore) -> None:
    class Broken(WordEmbedder):
        async def embed_query(self, text: str) -> Any:
            raise ZeroDivisionError("a mistake in the embedder")

    step = VectorSearchStep(vector_store=store, embedding_model=Broken())
    with pytest.raises(ZeroDivisionError):
        await step.run({"query": "a"})
    with pytest.raises(runtime.PipelineError, match="a mistake in the embedder") as caught:
        await step.execute_with_error_handling({"query": "a"})
    assert caught.value.category.value == "unknown"


async def test_the_time_that_was_given_is_said(store: WatchedStore) -> None:
    store.failures["search"] = [errors.OperationTimeoutError("too late")]
    with pytest.raises(runtime.TimeoutError, match=r"Timeout after 60.0s: watched.search: too late"):
        await search(store).run({"query": "bridge"})
