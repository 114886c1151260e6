"""The base of the steps where ``ia_modules`` is not installed; beside it, the same tests hold for the real one."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from typing import Any

import pytest

from ia_modules.vector_stores.rag import runtime, standalone

HAS_PIPELINE = importlib.util.find_spec("ia_modules.pipeline.core") is not None
QUICK = {"max_attempts": 3, "initial_delay": 0.001, "max_delay": 0.002, "jitter": False}
# Both are tried where both are there.
BASES = [standalone.Step] if not HAS_PIPELINE else [standalone.Step, runtime.Step]


def errors_of(base: type[Any]) -> Any:
    return standalone if base is standalone.Step else runtime


def make(base: type[Any], outcomes: list[Any], **error_handling: Any) -> Any:
    class Own(base):  # type: ignore[misc]
        calls = 0

        async def run(self, data: dict[str, Any]) -> dict[str, Any]:
            Own.calls += 1
            outcome = outcomes.pop(0)
            if isinstance(outcome, Exception):
                raise outcome
            return {**data, "outcome": outcome}

    return Own("own", {"error_handling": error_handling})


def test_which_base_it_is() -> None:
    assert runtime.IN_PIPELINE is HAS_PIPELINE
    home = "ia_modules.pipeline" if HAS_PIPELINE else "ia_modules.vector_stores.rag.standalone"
    assert runtime.Step.__module__.startswith(home)
    assert runtime.NetworkError.__module__.startswith(home)


@pytest.mark.parametrize("base", BASES)
async def test_retry_is_for_what_may_pass(base: type[Any]) -> None:
    errors = errors_of(base)
    passing = [errors.NetworkError("n"), errors.TimeoutError("t", timeout_seconds=1.0)]
    step = make(base, [*passing, "done"], retry=QUICK)
    assert await step.execute_with_error_handling({"a": 1}) == {"a": 1, "outcome": "done"}
    assert step.calls == 3
    step = make(base, [errors.DependencyError("d", service_name="s") for _ in range(4)], retry=QUICK)
    with pytest.raises(errors.DependencyError):
        await step.execute_with_error_handling({})
    assert step.calls == 3
    for final in (errors.ValidationError("v"), errors.ConfigurationError("c"), errors.LogicError("l"), ValueError("x")):
        step = make(base, [final, "done"], retry=QUICK)
        with pytest.raises(errors.PipelineError):
            await step.execute_with_error_handling({})
        assert step.calls == 1


@pytest.mark.parametrize("base", BASES)
async def test_without_retry_there_is_one_attempt(base: type[Any]) -> None:
    step = make(base, [errors_of(base).NetworkError("n"), "done"])
    with pytest.raises(errors_of(base).NetworkError):
        await step.execute_with_error_handling({})


@pytest.mark.parametrize("base", BASES)
async def test_fallback_comes_before_going_on(base: type[Any]) -> None:
    errors = errors_of(base)
    settings: dict[str, Any] = {"enable_fallback": True, "continue_on_error": True}
    step = make(base, [errors.NetworkError("n")], **settings)
    assert (await step.execute_with_error_handling({}))["error_category"] == "network", "there is no fallback"

    async def fallback(data: dict[str, Any], error: Any) -> dict[str, Any]:
        return {"instead": error.category.value}

    step = make(base, [errors.NetworkError("n"), errors.ValidationError("v")], **settings)
    step.fallback = fallback
    assert await step.execute_with_error_handling({}) == {"instead": "network"}
    assert (await step.execute_with_error_handling({"a": 1}))["original_data"] == {"a": 1}


@pytest.mark.parametrize("base", BASES)
async def test_going_on_says_what_went_wrong(base: type[Any]) -> None:
    errors = errors_of(base)
    context = {"operation": "search"}
    step = make(base, [errors.NetworkError("gone", step_id="own", context=context)], continue_on_error=True)
    assert await step.execute_with_error_handling({"a": 1}) == {
        "step_error": True,
        "error_message": "[ERROR] Step 'own' network: gone",
        "error_category": "network",
        "error_severity": "error",
        "step_name": "own",
        "original_data": {"a": 1},
        "context": context,
    }


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize(
    ("name", "facts", "category", "severity", "recoverable", "message", "context"),
    [
        ("NetworkError", {}, "network", "error", True, "m", {}),
        ("ValidationError", {}, "validation", "error", False, "m", {}),
        ("LogicError", {}, "logic", "error", False, "m", {}),
        (
            "TimeoutError",
            {"timeout_seconds": 2.0},
            "timeout",
            "error",
            True,
            "Timeout after 2.0s: m",
            {"timeout_seconds": 2.0},
        ),
        (
            "ResourceError",
            {"resource_type": "r"},
            "resource",
            "critical",
            False,
            "r resource error: m",
            {"resource_type": "r"},
        ),
        (
            "DependencyError",
            {"service_name": "s"},
            "dependency",
            "error",
            True,
            "Dependency 's': m",
            {"service_name": "s"},
        ),
        ("ConfigurationError", {"config_key": "k"}, "configuration", "critical", False, "m", {"config_key": "k"}),
    ],
)
def test_errors_are_those_of_the_pipeline(
    base: type[Any],
    name: str,
    facts: dict[str, Any],
    category: str,
    severity: str,
    recoverable: bool,
    message: str,
    context: dict[str, Any],
) -> None:
    original = ValueError("x")
    error = getattr(errors_of(base), name)("m", step_id="own", original_exception=original, **facts)
    assert (error.category.value, error.severity.value, error.recoverable) == (category, severity, recoverable)
    assert (error.message, error.context) == (message, context)
    assert (error.step_id, error.original_exception) == ("own", original)
    assert str(error) == f"[{severity.upper()}] Step 'own' {category}: {message}"


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize(
    "retry", [{"max_attempts": 0}, {"initial_delay": 0}, {"max_delay": 0.5}, {"exponential_base": 1}]
)
def test_retries_that_make_no_sense(base: type[Any], retry: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(retry))):
        make(base, [], retry=retry)


def test_delays_double_up_to_the_most() -> None:
    config = standalone.RetryConfig(initial_delay=1.0, max_delay=3.0, jitter=False)
    assert [config.delay(attempt) for attempt in (1, 2, 3, 4)] == [1.0, 2.0, 3.0, 3.0]
    spread = [standalone.RetryConfig().delay(1) for _ in range(50)]
    assert all(1.0 <= delay <= 1.5 for delay in spread)
    assert len(set(spread)) > 1


async def test_a_bare_step_does_nothing() -> None:
    with pytest.raises(NotImplementedError, match="Step has no run"):
        await standalone.Step("own", {}).run({})


def test_importing_a_step_loads_no_client() -> None:
    program = "import sys, ia_modules.pipeline.steps.vector_search; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert loaded & {"chromadb", "qdrant_client", "weaviate", "pinecone", "openai", "wordllama", "bm25s"} == set()
