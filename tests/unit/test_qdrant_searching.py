"""How a search in Qdrant goes: which requests are made, and that none of the plans loses a result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from ia_modules.vector_stores.filters import Condition, Node, normalize
from ia_modules.vector_stores.metrics import DistanceMetric
from ia_modules.vector_stores.providers.qdrant import searching
from ia_modules.vector_stores.providers.qdrant.backend import Backend, NativeFilter, Query
from ia_modules.vector_stores.providers.qdrant.filtering import Filters
from ia_modules.vector_stores.providers.qdrant.indexes import PayloadIndexes
from ia_modules.vector_stores.providers.qdrant.layout import Point, encode, point, point_id
from ia_modules.vector_stores.providers.qdrant.searching import Searcher
from ia_modules.vector_stores.requests import SearchRequest

models: Any = pytest.importorskip("qdrant_client.models")
from qdrant_client.local.payload_filters import check_filter  # noqa: E402


class Double(Backend):
    """A server with points on a line, which may return fewer than there are, as a graph may.

    Attributes:
        queries: filter (whether there was one), limit and exactness of each.
        reach: points that a search that is not exact looks at.
    """

    def __init__(self, documents: dict[str, dict[str, Any]], *, embedded: bool = False) -> None:
        self.embedded = embedded
        self.queries: list[tuple[bool, int, bool]] = []
        self.counts = 0
        self.reach = 10_000
        self.payloads = {}
        for i, (name, metadata) in enumerate(documents.items()):
            namespace, _, document_id = name.rpartition("/")
            payload = encode(document_id, f"/{namespace}", metadata, None, 0.0)
            self.payloads[point_id(namespace, document_id)] = (float(-i), payload)

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def call(self, method: str, *args: Any, **arguments: Any) -> Any:
        raise AssertionError(method)

    async def info(self, name: str) -> Any | None:
        return None

    def passing(self, native: NativeFilter | None) -> list[tuple[str, float, dict[str, Any]]]:
        return [
            (key, score, payload)
            for key, (score, payload) in self.payloads.items()
            if native is None or check_filter(native.model, payload, key, {})
        ]

    async def query(self, name: str, query: Query) -> list[list[Point]]:
        exact = bool((query.params or {}).get("exact"))
        self.queries.append((query.filter is not None, query.limit, exact))
        found = self.passing(query.filter)[: query.limit if exact else min(query.limit, self.reach)]
        return [[point(key, dict(payload), None, score) for key, score, payload in found] for _ in query.vectors]

    async def retrieve(self, name: str, ids: Sequence[str], *, payload: bool, vector: bool) -> list[Point]:
        raise AssertionError("a search reads no points by id")

    async def count(self, name: str, native: NativeFilter | None) -> int:
        self.counts += 1
        return len(self.passing(native))

    async def scroll(
        self, name: str, native: NativeFilter, size: int, cursor: Any, *, payload: bool, vector: bool
    ) -> tuple[list[Point], Any]:
        return [point(key, dict(stored), None) for key, _, stored in self.passing(native)], None


def searcher(backend: Double) -> Searcher:
    indexes = PayloadIndexes(backend, "c", automatic=False)
    return Searcher(backend, "c", Filters(remote=not backend.embedded), indexes, None)


async def ids(one: Searcher, top_k: int, filters: Node | None = None, namespace: str = "") -> list[str]:
    vector = np.array([1.0], dtype=np.float32)
    request = SearchRequest(
        vector, top_k, normalize(filters), namespace, DistanceMetric.DOT_PRODUCT, True, include_vectors=False
    )
    (results,) = await one.search([request])
    return [result.id for result in results]


async def test_a_namespace_that_is_alone_is_searched_without_a_filter() -> None:
    backend = Double({f"/d{i}": {} for i in range(20)})
    assert await ids(searcher(backend), 3) == ["d0", "d1", "d2"]
    assert backend.queries == [(False, 3, False)]


async def test_one_among_others_is_filtered_by_and_for_a_while_at_once() -> None:
    backend = Double({f"{'n' if i % 2 else 'm'}/d{i}": {} for i in range(20)})
    one = searcher(backend)
    assert await ids(one, 3, namespace="n") == ["d1", "d3", "d5"]
    assert backend.queries == [(False, 3, False), (True, 3, False)]
    backend.queries.clear()
    for _ in range(64):
        assert await ids(one, 3, namespace="n") == ["d1", "d3", "d5"]
    assert backend.queries == [(True, 3, False)] * 64
    backend.queries.clear()
    await ids(one, 3, namespace="n")
    assert backend.queries == [(False, 3, False), (True, 3, False)]


async def test_nothing_of_another_namespace_comes_back() -> None:
    backend = Double({"other/a": {}, "other/b": {}, "mine/c": {}})
    assert await ids(searcher(backend), 2, namespace="mine") == ["c"]
    assert await ids(searcher(backend), 2, namespace="nobody") == []


async def test_a_short_answer_is_counted_after_and_completed() -> None:
    backend = Double({f"/d{i}": {"even": i % 2 == 0} for i in range(20)})
    backend.reach = 2
    one = searcher(backend)
    assert await ids(one, 8, Condition("even", "eq", True)) == [f"d{i}" for i in range(0, 16, 2)]
    assert backend.counts == 1
    assert backend.queries == [(True, 8, False), (True, 8, True)]


async def test_where_answers_were_short_the_exact_search_comes_first() -> None:
    backend = Double({f"/d{i}": {"even": i % 2 == 0} for i in range(6)})
    one = searcher(backend)
    for _ in range(3):
        assert await ids(one, 8, Condition("even", "eq", True)) == ["d0", "d2", "d4"]
    assert backend.counts == 1
    assert backend.queries == [(True, 8, False), (True, 8, True), (True, 8, True)]


async def test_what_the_database_selects_too_much_of_is_asked_for_in_growing_numbers() -> None:
    # Qdrant takes a list for its elements, so every document passes its filter, and one in ten ours.
    backend = Double({f"/d{i}": {"n": 5 if i % 10 == 9 else [5]} for i in range(200)})
    found = await ids(searcher(backend), 5, Condition("n", "gt", 1))
    assert found == [f"d{i}" for i in range(9, 50, 10)]
    assert [limit for _, limit, _ in backend.queries] == [5, 20, 80]


async def test_and_beyond_a_limit_all_that_pass_are_listed_and_asked_for_by_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "_WIDEST", 50)
    monkeypatch.setattr(searching, "_IDS_IN_A_FILTER", 3)
    backend = Double({f"/d{i}": {"n": 5 if i % 10 == 9 else [5]} for i in range(200)})
    found = await ids(searcher(backend), 5, Condition("n", "gt", 1))
    assert found == [f"d{i}" for i in range(9, 50, 10)]
    assert [limit for _, limit, _ in backend.queries[:2]] == [5, 20]
    assert backend.queries[2:] == [(True, 5, True)] * 7


async def test_few_that_pass_of_very_many_are_not_looked_for_by_reading_them_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(searching, "_WIDEST", 50)
    backend = Double({f"/d{i}": {"n": 5 if i in (100, 150) else [5]} for i in range(200)})
    one = searcher(backend)
    for _ in range(2):
        assert await ids(one, 5, Condition("n", "gt", 1)) == ["d100", "d150"]
        assert max(limit for _, limit, _ in backend.queries) <= 50


async def test_what_the_graph_missed_of_what_is_checked_here_is_found() -> None:
    backend = Double({f"/d{i}": {"n": 5 if i % 2 else [5]} for i in range(40)})
    backend.reach = 3
    assert await ids(searcher(backend), 5, Condition("n", "gt", 1)) == ["d1", "d3", "d5", "d7", "d9"]


async def test_local_mode_looks_before_it_filters_and_twice_at_most() -> None:
    backend = Double({f"/d{i}": {"tenth": i % 10 == 9, "rare": i == 4_000} for i in range(5_000)}, embedded=True)
    one = searcher(backend)
    assert await ids(one, 10, Condition("tenth", "eq", True)) == [f"d{i}" for i in range(9, 100, 10)]
    assert backend.queries == [(False, 150, False)]
    backend.queries.clear()
    assert await ids(one, 10, Condition("tenth", "eq", True)) == [f"d{i}" for i in range(9, 100, 10)]
    assert backend.queries == [(False, 150, False)]
    backend.queries.clear()
    assert await ids(one, 1, Condition("rare", "eq", True)) == ["d4000"]
    assert [limit for filtered, limit, _ in backend.queries if not filtered] == [150, 450]
    assert backend.queries[-1][0]
