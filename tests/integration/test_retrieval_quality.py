"""Hybrid search with its defaults finds at least as much as its better side alone, on judged data sets."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.retrieval import SETTINGS, STORES, load, run

DATASETS = Path(__file__).resolve().parents[3] / "shared" / "datasets"
FLOORS = {"cranfield": 0.53, "cisi": 0.41}


@pytest.mark.parametrize("name", FLOORS)
async def test_hybrid_is_worth_having(name: str) -> None:
    pytest.importorskip("wordllama")
    folder = DATASETS / name
    if not folder.exists():
        pytest.skip(f"the data set {name} is not beside this checkout ({folder.parent})")
    results = await run(load(folder), list(STORES))
    (exact, *_) = results.values()
    for store, found in results.items():
        measured = {setting: found[setting]["ndcg_cut_10"] for setting in SETTINGS}
        assert measured["hybrid"] >= max(measured["vector"], measured["words"]), store
        assert measured["hybrid"] >= FLOORS[name], store
        for setting in SETTINGS:
            assert measured[setting] == pytest.approx(exact[setting]["ndcg_cut_10"], abs=0.01), (store, setting)
