"""Hybrid search with its defaults finds at least as much as its better side alone, on judged data sets."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.retrieval import SETTINGS, load, run

DATASETS = Path(__file__).resolve().parents[3] / "shared" / "datasets"
FLOORS = {"cranfield": 0.53, "cisi": 0.41}


@pytest.mark.parametrize("name", FLOORS)
async def test_hybrid_is_worth_having(name: str) -> None:
    pytest.importorskip("wordllama")
    folder = DATASETS / name
    if not folder.exists():
        pytest.skip(f"the data set {name} is not beside this checkout ({folder.parent})")
    (found,) = (await run(load(folder), ["memory:///retrieval"])).values()
    measured = {setting: found[setting]["ndcg_cut_10"] for setting in SETTINGS}
    assert measured["hybrid"] >= max(measured["vector"], measured["words"])
    assert measured["hybrid"] >= FLOORS[name]
