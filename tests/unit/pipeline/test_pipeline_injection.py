"""A parameter of a pipeline is only ever a value: it can't change what a filter says, nor reach another tenant."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ia_modules.pipeline.steps.vector_search import VectorSearchStep
from ia_modules.vector_stores import MemoryVectorStore, VectorDocument, VectorStoreConfig
from ia_modules.vector_stores.rag.runtime import ConfigurationError, PipelineError

HOSTILE: list[Any] = [
    'x" or 1==1',
    "x' or '1'='1",
    "x\" or tenant != 'x",
    "*",
    "%",
    "",
    "acme\x00",
    "ACME",
    " acme",
    "$ne",
    '{"or": []}',
    "{{ parameters.other }}",
    {"or": []},
    {"and": []},
    {"not": {"or": []}},
    {"$ne": "x"},
    {"field": "tenant", "operator": "ne", "value": "x"},
    ["acme"],
    [],
    [{"or": []}],
    True,
    0,
    None,
    float("nan"),
]
SECRET = VectorDocument(id="secret", vector=[1.0, 0.0], metadata={"tenant": "acme", "year": 2024}, text="secret")


def resolved(config: Any, parameters: dict[str, Any]) -> Any:
    """What the pipeline does with templates (``TemplateParameterResolver`` of ia_modules 0.2.0)."""
    if isinstance(config, dict):
        return {key: resolved(value, parameters) for key, value in config.items()}
    if isinstance(config, list):
        return [resolved(value, parameters) for value in config]
    if not isinstance(config, str):
        return config
    whole = re.fullmatch(r"\s*\{\{\s*parameters\.(\w+)\s*\}\}\s*", config)
    if whole:
        return parameters.get(whole[1], config)
    return re.sub(r"\{\{\s*parameters\.(\w+)\s*\}\}", lambda found: str(parameters.get(found[1], found[0])), config)


FILTERS: list[Any] = [
    [{"field": "tenant", "operator": "eq", "value": "{{ parameters.tenant }}"}],
    {"and": [{"field": "tenant", "operator": "eq", "value": "{{ parameters.tenant }}"}]},
    [
        {"field": "tenant", "operator": "eq", "value": "{{ parameters.tenant }}"},
        {"field": "year", "operator": "gte", "value": 2000},
    ],
    {"not": {"or": [{"field": "tenant", "operator": "ne", "value": "{{ parameters.tenant }}"}]}},
]


async def found_with(config: dict[str, Any], parameters: dict[str, Any]) -> list[str] | None:
    """The ids that a step finds; None if it refuses the parameters."""
    store = MemoryVectorStore(VectorStoreConfig(provider="memory", index_name="i"))
    await store.create_index(2)
    await store.upsert([SECRET])
    await store.upsert([SECRET], namespace="acme")
    try:
        step = VectorSearchStep("search", {**resolved(copy.deepcopy(config), parameters), "store": store})
    except ConfigurationError:
        return None
    try:
        return [one["id"] for one in (await step.run({"query_vector": [1.0, 0.0]}))["results"]]
    except PipelineError:
        return None


@pytest.mark.parametrize("filters", FILTERS)
@pytest.mark.parametrize("value", HOSTILE, ids=repr)
async def test_a_filter_s_value(filters: Any, value: Any) -> None:
    assert await found_with({"filters": filters}, {"tenant": value}) in ([], None)
    assert await found_with({"filters": filters}, {"tenant": "acme"}) == ["secret"], "the right one is found"


@pytest.mark.parametrize("value", [one for one in HOSTILE if one != ["acme"]], ids=repr)
async def test_a_list_s_value(value: Any) -> None:
    config = {"filters": {"field": "tenant", "operator": "in", "value": ["{{ parameters.tenant }}", "nobody"]}}
    assert await found_with(config, {"tenant": value}) in ([], None)
    assert await found_with(config, {"tenant": "acme"}) == ["secret"]


@pytest.mark.parametrize("value", HOSTILE, ids=repr)
async def test_a_namespace(value: Any) -> None:
    """Null and nothing must not mean the default namespace, where something is."""
    assert await found_with({"namespace": "{{ parameters.tenant }}"}, {"tenant": value}) in ([], None)
    assert await found_with({"namespace": "{{ parameters.tenant }}"}, {"tenant": "acme"}) == ["secret"]
    assert await found_with({"namespace": "{{ parameters.tenant }}"}, {}) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text() | st.sampled_from(["or", "and", "not", "field", "operator", "value"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


@given(json_values.filter(lambda value: value != "acme"), st.sampled_from(FILTERS))
async def test_any_value(value: Any, filters: Any) -> None:
    assert await found_with({"filters": filters}, {"tenant": value}) in ([], None)


async def test_a_value_keeps_its_kind() -> None:
    config = {"filters": [{"field": "year", "operator": "eq", "value": "{{ parameters.year }}"}]}
    assert await found_with(config, {"year": 2024}) == ["secret"]
    assert await found_with(config, {"year": "2024"}) == []
