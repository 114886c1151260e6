"""Hybrid search with its defaults finds at least as much as its better side alone, on judged data sets."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.retrieval import STORES, load, run

DATASETS = Path(__file__).resolve().parents[3] / "shared" / "datasets"
FLOORS = {"cranfield": 0.53, "cisi": 0.41}


@pytest.mark.parametrize("name", FLOORS)
async def test_hybrid_is_worth_having(name: str) -> None:
    pytest.importorskip("wordllama")
    folder = DATASETS / name
    if not folder.exists():
        pytest.skip(f"the data set {name} is not beside this checkout ({folder.parent})")
    (exact,) = (await run(load(folder), STORES[:1], ("vector", "words", "hybrid"))).values()
    measured = {setting: found["ndcg_cut_10"] for setting, found in exact.items()}
    assert measured["hybrid"] >= max(measured["vector"], measured["words"])
    assert measured["hybrid"] >= FLOORS[name]
    for store, found in (await run(load(folder), STORES[1:], ("hybrid",))).items():
        assert found["hybrid"]["ndcg_cut_10"] == pytest.approx(measured["hybrid"], abs=0.01), store
