"""Search and storage of the emulator, without HTTP."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ia_modules.vector_stores.emulator.pinecone.records import Record, Sparse
from ia_modules.vector_stores.emulator.pinecone.search import nearest
from ia_modules.vector_stores.emulator.pinecone.table import Table

METRICS = ["cosine", "dotproduct", "euclidean"]


def filled(vectors: np.ndarray[Any, Any]) -> Table:
    table = Table(vectors.shape[1])
    for number, vector in enumerate(vectors):
        table.put(Record(f"r{number:05}", vector, None, None))
    return table


def scored(metric: str, query: Any, vector: Any) -> float:
    left, right = query.astype(np.float64), vector.astype(np.float64)
    if metric == "euclidean":
        return float(((left - right) ** 2).sum())
    product = float((left * right).sum())
    if metric == "cosine":
        lengths = float(np.sqrt((left**2).sum()) * np.sqrt((right**2).sum()))
        return product / lengths if lengths else 0.0
    return product


def found(table: Table, metric: str, query: Any, top_k: int, rows: Any = None) -> list[tuple[str, float]]:
    return [(str(table.ids[hit.row]), hit.score) for hit in nearest(table, metric, query, None, top_k, rows)]


def expected(table: Table, metric: str, query: Any, top_k: int) -> list[tuple[str, float]]:
    scores = [(name, scored(metric, query, table.dense(row))) for name, row in table.rows.items()]
    sign = 1 if metric == "euclidean" else -1
    return sorted(scores, key=lambda one: (sign * one[1], one[0]))[:top_k]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("scale", [1.0, 1e-30, 1e30, 1e-44])
def test_the_best_are_found_and_scored_exactly(metric: str, scale: float) -> None:
    random = np.random.default_rng(3)
    # Close together, so that float32 alone could not tell them apart.
    vectors = (1 + random.standard_normal((5_000, 16)) * 1e-6).astype(np.float32)
    with np.errstate(all="ignore"):
        table = filled((vectors * np.float32(scale)).astype(np.float32))
    for top_k in (1, 10, 5_000):
        query = vectors[random.integers(5_000)]
        names, scores = zip(*found(table, metric, query, top_k), strict=True)
        wanted = expected(table, metric, query, top_k)
        np.testing.assert_allclose(scores, [score for _, score in wanted], rtol=1e-12, atol=0)
        assert len(set(names)) == top_k
        if scale == 1.0 and metric != "cosine":  # the last digits of a cosine depend on the order of roots
            assert list(names) == [name for name, _ in wanted]


@pytest.mark.parametrize("metric", METRICS)
def test_ties_are_in_the_order_of_ids(metric: str) -> None:
    one = np.random.default_rng(4).standard_normal(64).astype(np.float32)
    table = Table(64)
    order = np.random.default_rng(5).permutation(6_000)
    for number in order:
        table.put(Record(f"r{number:05}", one, None, None))
    assert [name for name, _ in found(table, metric, -one, 50)] == [f"r{number:05}" for number in range(50)]


@pytest.mark.parametrize("metric", METRICS)
def test_chosen_rows_only(metric: str) -> None:
    random = np.random.default_rng(6)
    table = filled(random.standard_normal((9_000, 8)).astype(np.float32))
    query = random.standard_normal(8).astype(np.float32)
    everything = expected(table, metric, query, 9_000)
    for rows in (np.arange(0, 9_000, 2), np.arange(17, 9_000, 1_000), np.array([8_999]), np.array([], np.int64)):
        chosen = {table.ids[row] for row in rows}
        wanted = [name for name, _ in everything if name in chosen][:20]
        assert [name for name, _ in found(table, metric, query, 20, rows)] == wanted


def test_a_query_of_zeros_finds_everything() -> None:
    table = filled(np.eye(3, dtype=np.float32))
    zeros = np.zeros(3, np.float32)
    assert found(table, "cosine", zeros, 9) == [("r00000", 0.0), ("r00001", 0.0), ("r00002", 0.0)]
    assert found(table, "euclidean", zeros, 1) == [("r00000", 1.0)]


def test_sparse_and_both() -> None:
    def sparse(values: dict[int, float]) -> Sparse:
        return Sparse(np.array(list(values), np.uint32), np.array(list(values.values()), np.float32))

    table = Table(2)
    table.put(Record("both", np.array([1, 0], np.float32), sparse({5: 1.0, 4_000_000_000: 2.0}), None))
    table.put(Record("dense", np.array([3, 0], np.float32), None, None))
    table.put(Record("sparse", None, sparse({5: 4.0}), None))
    table.put(Record("neither", np.array([0, 1], np.float32), sparse({6: 1.0}), None))
    query, dense = sparse({5: 2.0, 9: 1.0}), np.array([1, 0], np.float32)

    def names(*arguments: Any) -> dict[str, float]:
        return {str(table.ids[hit.row]): hit.score for hit in nearest(table, "dotproduct", *arguments, 10)}

    assert names(None, query) == {"sparse": 8.0, "both": 2.0}
    assert names(None, sparse({4_000_000_000: 1.5})) == {"both": 3.0}
    assert names(None, sparse({7: 1.5})) == {}
    assert names(dense, query) == {"sparse": 8.0, "both": 3.0, "dense": 3.0, "neither": 0.0}
    assert list(names(dense, query)) == ["sparse", "both", "dense", "neither"]
    table.remove("sparse")
    assert names(None, query) == {"both": 2.0}


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 200), st.booleans()), max_size=300))
@example([(number, True) for number in range(200)] + [(number, False) for number in range(200)])
def test_rows_are_used_again(steps: list[tuple[int, bool]]) -> None:
    table, model = Table(2), dict[str, tuple[float, float]]()
    most = 0
    for turn, (number, put) in enumerate(steps):
        name = f"r{number}"
        if put:
            model[name] = (float(number), float(turn + 1))
            table.put(Record(name, np.array(model[name], np.float32), None, {"turn": float(turn)}))
        else:
            model.pop(name, None)
            table.remove(name)
        most = max(most, len(model))
        assert len(table) == len(model)
    assert len(table.ids) <= most
    assert table.sorted_ids() == sorted(model)
    for name, values in model.items():
        record = table.record(table.rows[name])
        assert record.dense is not None
        assert tuple(record.dense) == values


def test_a_small_namespace_takes_little_memory() -> None:
    table = filled(np.ones((100, 8), np.float32))
    assert sum(len(block.norms) for block in table.blocks) == 128
    table = filled(np.ones((4_097, 8), np.float32))
    assert [len(block.norms) for block in table.blocks] == [4_096, 4_096]
