"""docs/pipeline.md says what the steps take."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ia_modules.pipeline.steps.vector_delete import VectorDeleteStep
from ia_modules.pipeline.steps.vector_search import VectorSearchStep
from ia_modules.pipeline.steps.vector_upsert import VectorUpsertStep
from ia_modules.vector_stores.rag.runtime import ConfigurationError

PAGE = Path(__file__).parents[3] / "docs" / "pipeline.md"
STEPS = {"search": VectorSearchStep, "upsert": VectorUpsertStep, "delete": VectorDeleteStep}
pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="only where the documentation is")


@pytest.mark.parametrize("name", STEPS)
def test_the_table_of_keys_is_whole(name: str) -> None:
    _, _, table = PAGE.read_text().partition("## All keys")
    listed: set[str] = set()
    for keys, steps in re.findall(r"^\| (`.*?) \| ([a-z, ]+) \|", table, re.MULTILINE):
        if steps == "all" or name in steps.split(", "):
            listed |= set(re.findall(r"`(\w+)`", keys))
    with pytest.raises(ConfigurationError, match="known are") as caught:
        STEPS[name]("one", {"store": "memory:///a", "%": 1})
    assert set(caught.value.message.partition("known are ")[2].split(", ")) == listed
    assert listed - {"error_handling", "mode"} <= set(re.findall(r"\w+", STEPS[name].__doc__ or ""))


def test_the_step_that_is_shown_can_be_made() -> None:
    (shown,) = re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.DOTALL)
    step = json.loads(re.sub(r"\{\{ parameters\.(\w+) \}\}", r"\1", shown))
    VectorSearchStep(step["id"], step["config"])
