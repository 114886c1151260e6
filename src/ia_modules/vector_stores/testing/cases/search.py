"""Section 5: search."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from ia_modules.vector_stores.base import VectorStoreBase
from ia_modules.vector_stores.errors import (
    IndexMismatchError,
    InvalidDimensionError,
    InvalidDocumentError,
    UnsupportedOperationError,
)
from ia_modules.vector_stores.filters import Condition, Node
from ia_modules.vector_stores.metrics import DistanceMetric
from ia_modules.vector_stores.models import VectorDocument
from ia_modules.vector_stores.testing import strategies
from ia_modules.vector_stores.testing.case import Context, case, doc
from ia_modules.vector_stores.testing.cases.filters import refused
from ia_modules.vector_stores.testing.compare import holds, raises, same, same_ids, same_ranking
from ia_modules.vector_stores.testing.generate import generated
from ia_modules.vector_stores.testing.model import Model

__all__: list[str] = []

SCORES: dict[DistanceMetric, dict[str, float]] = {
    DistanceMetric.COSINE: {"same": 1.0, "near": 0.8, "across": 0.0, "opposite": -1.0, "zero": 0.0},
    DistanceMetric.DOT_PRODUCT: {"same": 4.0, "near": 3.2, "across": 0.0, "opposite": -2.0, "zero": 0.0},
    DistanceMetric.EUCLIDEAN: {
        "same": 1.0,
        "near": 1 / (1 + math.sqrt(1.6)),
        "across": 1 / (1 + math.sqrt(13)),
        "opposite": 1 / 4,
        "zero": 1 / 3,
    },
    DistanceMetric.MANHATTAN: {"same": 1.0, "near": 1 / 2.6, "across": 1 / 6, "opposite": 1 / 4, "zero": 1 / 3},
}
VECTORS = {"same": (2, 0, 0), "near": (1.6, 1.2, 0), "across": (0, 0, 3), "opposite": (-1, 0, 0), "zero": (0, 0, 0)}


async def scores_of(ctx: Context, metric: DistanceMetric) -> None:
    """The table of scores, then random vectors against the formula."""
    if metric not in ctx.capabilities.metrics:
        store = ctx.open()
        what = f"create_index with {metric.value}"
        await raises(store.create_index(3, metric), UnsupportedOperationError, what, metric.value)
        same(await store.index_exists(), False, f"index_exists after {metric.value} was refused")
        ctx.gap(f"the metric {metric.value} is refused")
        return
    zero = ctx.capabilities.zero_vectors
    expected = {name: score for name, score in SCORES[metric].items() if zero or name != "zero"}
    store = await ctx.store([doc(name, VECTORS[name]) for name in expected], metric=metric)
    ranking = sorted(((score, name) for name, score in expected.items()), key=lambda item: (-item[0], item[1]))
    same_ranking((await store.search([2, 0, 0])).results, ranking, 10, f"{metric.value}, the table")
    random = np.random.default_rng(7)
    rows = [row / np.linalg.norm(row) * random.uniform(0.5, 2.0) for row in random.standard_normal((60, 16))]
    model = Model(metric)
    documents = [doc(f"d{i}", row) for i, row in enumerate(rows)]
    model.upsert(documents)
    store = await ctx.store(documents, metric=metric, dimension=16)
    for query in [rows[0], -rows[1], rows[2] * 3, *random.standard_normal((5, 16))]:
        asked = np.asarray(query, dtype=np.float32)
        same_ranking((await store.search(asked, 60)).results, model.ranking(asked.tolist()), 60, metric.value)


@case("5.1")
async def cosine(ctx: Context) -> None:
    """The cosine of the angle."""
    await scores_of(ctx, DistanceMetric.COSINE)


@case("5.1")
async def dot_product(ctx: Context) -> None:
    """The inner product."""
    await scores_of(ctx, DistanceMetric.DOT_PRODUCT)


@case("5.1")
async def euclidean(ctx: Context) -> None:
    """1 / (1 + d), d not squared."""
    await scores_of(ctx, DistanceMetric.EUCLIDEAN)


@case("5.1")
async def manhattan(ctx: Context) -> None:
    """1 / (1 + d), d the sum of the differences."""
    await scores_of(ctx, DistanceMetric.MANHATTAN)


@case("5.1")
async def zero_vectors(ctx: Context) -> None:
    """Stored and asked for, under every metric; or refused, as declared."""
    for metric in sorted(ctx.capabilities.metrics):
        store = await ctx.store([doc("a", (1, 0, 0)), doc("b", (0, -2, 0))], metric=metric)
        zero = doc("zero", (0, 0, 0))
        if not ctx.capabilities.zero_vectors:
            await raises(store.upsert([zero]), InvalidDocumentError, f"{metric.value}, upsert of a zero vector", "zero")
            await raises(store.search([0, 0, 0]), InvalidDocumentError, f"{metric.value}, search with a zero vector")
            await raises(store.search_many([[0, 0, 0]]), InvalidDocumentError, f"{metric.value}, search_many likewise")
            ctx.gap("zero vectors are refused")
            continue
        await store.upsert([zero])
        model = Model(metric)
        model.upsert([doc("a", (1, 0, 0)), doc("b", (0, -2, 0)), zero])
        for query in ([0, 0, 0], [1, 0, 0], [0, 1, 0]):
            what = f"{metric.value}, search with {query}"
            same_ranking((await store.search(query)).results, model.ranking(query), 10, what)


@case("5.1")
async def queries_of_any_length(ctx: Context) -> None:
    """Under cosine only the direction of a query counts."""
    if DistanceMetric.COSINE not in ctx.capabilities.metrics:
        await scores_of(ctx, DistanceMetric.COSINE)
        return
    store = await ctx.store([doc("a", (1, 0, 0)), doc("b", (0.6, 0.8, 0))], metric=DistanceMetric.COSINE)
    for length in (1e-30, 1e-20, 1e-3, 1e3, 1e20, 1e30):
        found = (await store.search([length, 0, 0])).results
        same_ranking(found, [(1.0, "a"), (0.6, "b")], 10, f"a query of length {length:g}")


@case("5.2")
async def ties_come_by_id(ctx: Context) -> None:
    """Documents with the same vector come in the order of their ids, as Python sorts strings."""
    names = ["b", "a", "Z", "é", "10", "9", "\U0001f600", "ﬀ", "aa", " ", "_"]
    for metric in sorted(ctx.capabilities.metrics):
        store = await ctx.store([doc(name, (1, 1, 0)) for name in names], metric=metric)
        await store.upsert([doc("worse", (0, 0, -1)), doc("better", (2, 2, 0))])
        ids = [result.id for result in (await store.search([1, 1, 0], top_k=20)).results if result.id in names]
        same(ids, sorted(names), f"{metric.value}, ids of equal scores")


@case("5.3")
async def up_to_top_k(ctx: Context) -> None:
    """Exactly min(top_k, matching) results, from one to more than there are."""
    documents = [doc(f"d{i}", (1, i, 1), {"n": i}) for i in range(40)]
    metric = DistanceMetric.EUCLIDEAN if DistanceMetric.EUCLIDEAN in ctx.capabilities.metrics else ctx.metric()
    store = await ctx.store(documents, metric=metric)
    model = Model(metric)
    model.upsert(documents)
    for top_k in (1, 2, 10, 39, 40, 41, 1000):
        for node in (None, Condition("n", "lt", 20), Condition("n", "eq", 7), Condition("n", "gt", 99)):
            if node is not None and refused(ctx, node):
                continue
            response = await store.search([1, 3, 1], top_k, node)
            what = f"top_k={top_k} with {node!r}"
            same_ranking(response.results, model.ranking([1, 3, 1], filters=node), top_k, what)


@case("5.3")
async def selective_filters(ctx: Context) -> None:
    """Among 2,000 documents, filters that let through all, half, few, one and none; asked more than once."""
    count = 2_000
    random = np.random.default_rng(11)
    centres = random.standard_normal((20, 8))
    rows = centres[np.arange(count) % 20] + 0.05 * random.standard_normal((count, 8))
    documents = [
        doc(f"d{i:04}", row, {"n": i, "half": bool(i % 2), "cluster": f"c{i % 20}"}) for i, row in enumerate(rows)
    ]
    model = Model(ctx.metric())
    model.upsert(documents)
    store = await ctx.store(documents, dimension=8)
    query = np.asarray(centres[3] + 0.01, dtype=np.float32).tolist()
    filters: list[Node] = [
        Condition("half", "eq", True),
        Condition("cluster", "eq", "c17"),  # far from the query
        Condition("n", "in", [7, 777, 1777]),
        Condition("n", "eq", 1234),
        Condition("n", "lt", 5),
        Condition("n", "exists", True),
        Condition("n", "gt", 5_000),
        Condition("cluster", "ne", "c3") & Condition("n", "gte", 1_990),
        ~Condition("half", "eq", True) & Condition("cluster", "in", ["c2", "c4"]),
    ]
    for node in filters:
        if refused(ctx, node):
            continue
        ranking = model.ranking(query, filters=node)
        for repeat in range(3):  # what a provider learned from the first search must not change the next
            for top_k in (10, 300):
                found = (await store.search(query, top_k, node)).results
                wanted = min(top_k, len(ranking))
                what = f"top_k={top_k} with {node!r}, search {repeat + 1}"
                same(len(found), wanted, f"results, {what}")
                if len(ranking) <= 100 or ctx.capabilities.exact_search:
                    same_ranking(found, ranking, top_k, what)
                    continue
                exact = {name for _, name in ranking[:wanted]}
                recall = len(exact & {result.id for result in found}) / wanted
                holds(recall >= 0.9, f"recall {recall:.2f} of 0.9, {what}")


@case("5.3")
async def recall(ctx: Context) -> None:
    """Unfiltered searches find the nearest: all of them if the provider says that it is exact, else nine in ten."""
    random = np.random.default_rng(13)
    centres = random.standard_normal((40, 16))
    rows = centres[np.arange(2_000) % 40] + 0.2 * random.standard_normal((2_000, 16))
    documents = [doc(f"d{i}", row) for i, row in enumerate(rows)]
    model = Model(ctx.metric())
    model.upsert(documents)
    store = await ctx.store(documents, dimension=16)
    queries = [np.asarray(row, dtype=np.float32) for row in rows[:20] + 0.01]
    found_total = 0
    for query, response in zip(queries, await store.search_many(queries, 10), strict=True):
        ranking = model.ranking(query.tolist())
        if ctx.capabilities.exact_search:
            same_ranking(response.results, ranking, 10, "an exact search")
        found_total += len({name for _, name in ranking[:10]} & {result.id for result in response.results})
    holds(found_total >= 180, f"recall {found_total / 200:.2f} of 0.9, over 20 searches")


@case("5.4")
async def what_is_included(ctx: Context) -> None:
    """Every combination, with and without a filter, for one and for many queries."""
    given = doc("a", (0.6, 0.8, 0), {"n": 1, "list": [1]}, text="text")
    store = await ctx.store([given, doc("b", (0, 0, 1), {"n": 2})])
    node = Condition("n", "eq", 1)
    for filters in (None, node):
        for metadata in (True, False):
            for vectors in (True, False):
                options: dict[str, Any] = {"include_metadata": metadata, "include_vectors": vectors}
                responses = [await store.search([0.6, 0.8, 0], 1, filters, **options)]
                responses += await store.search_many([[0.6, 0.8, 0], [0.6, 0.8, 0]], 1, filters, **options)
                for response in responses:
                    (found,) = response.results
                    what = f"{options}, filters={filters!r}"
                    same(found.id, "a", f"id, {what}")
                    same(found.metadata, given.metadata if metadata else {}, f"metadata, {what}")
                    same(found.text, "text" if metadata else None, f"text, {what}")
                    same(found.vector is not None, vectors, f"whether there is a vector, {what}")
    (plain,) = (await store.search([0, 0, 1], top_k=1)).results
    same((plain.metadata, plain.text, plain.vector), ({"n": 2}, None, None), "what is included by default")


@case("5.5")
async def an_index_of_another_kind(ctx: Context) -> None:
    """The first use of a store whose config contradicts the index fails, naming both."""
    store = ctx.open()
    await store.create_index(3, ctx.metric(), embedding_model="model-a", **ctx.target.options)
    await store.upsert([doc("a")])
    await store.settle()
    for name, call in _FIRST_USES.items():
        error = await raises(call(ctx.again(store, dimension=4)), InvalidDimensionError, name, "3", "4")
        same((error.expected, error.given), (4, 3), f"expected and given of the error, {name}")
        for metric in DistanceMetric:
            if metric is not ctx.metric():
                other = ctx.again(store, metric=metric)
                await raises(
                    call(other), IndexMismatchError, f"{name}, {metric.value}", metric.value, ctx.metric().value
                )
        other = ctx.again(store, embedding_model="model-b")
        await raises(call(other), IndexMismatchError, name, "model-a", "model-b")
    same(await ctx.again(store).get_embedding_model(), "model-a", "get_embedding_model")
    same(await ctx.again(store, dimension=3, metric=ctx.metric(), embedding_model="model-a").count(), 1, "count")
    await raises(
        ctx.open(dimension=4).create_index(3, ctx.metric()), InvalidDimensionError, "create_index against config", "4"
    )


async def _scanned(store: VectorStoreBase) -> list[str]:
    return [one.id async for one in store.scan()]


_FIRST_USES = {
    "search": lambda store: store.search([1, 0, 0, 0] if store.config.dimension == 4 else [1, 0, 0]),
    "count": lambda store: store.count(),
    "fetch": lambda store: store.fetch(["a"]),
    "delete": lambda store: store.delete(ids=["a"]),
    "get_stats": lambda store: store.get_stats(),
    "scan": _scanned,
}


@case("5.6")
async def search_many(ctx: Context) -> None:
    """The same as one search after the other, in the order asked."""
    random = np.random.default_rng(17)
    documents = [doc(f"d{i}", row, {"n": i}, text=f"t{i}") for i, row in enumerate(random.standard_normal((50, 3)))]
    store = await ctx.store(documents)
    queries = random.standard_normal((25, 3)).astype(np.float32)
    for node in (None, Condition("n", "lt", 10), Condition("n", "in", [])):
        if node is not None and refused(ctx, node):
            continue
        for given in (queries, list(queries), queries.tolist()):
            many = await store.search_many(given, 7, node, include_vectors=True)
            same(len(many), 25, "responses")
            for query, response in zip(queries, many, strict=True):
                one = await store.search(query, 7, node, include_vectors=True)
                same([r.id for r in response.results], [r.id for r in one.results], f"ids with {node!r}")
                for mine, theirs in zip(response.results, one.results, strict=True):
                    holds(abs(mine.score - theirs.score) <= 1e-4, f"score {mine.score}, by search {theirs.score}")
                    same((mine.metadata, mine.text), (theirs.metadata, theirs.text), "metadata and text")
    same(await store.search_many([], 7), [], "search_many of nothing")


@case("5.6")
async def thresholds_and_totals(ctx: Context) -> None:
    """score_threshold leaves out what scores lower; total counts the results; the time is really measured."""
    documents = [doc("a", (1, 0, 0)), doc("b", (0.8, 0.6, 0)), doc("c", (0, 1, 0)), doc("d", (-1, 0, 0))]
    store = await ctx.store(documents)
    model = Model(ctx.metric())
    model.upsert(documents)
    ranking = model.ranking([1, 0, 0])
    for threshold in (None, -2.0, ranking[1][0] - 0.01, ranking[1][0] + 0.01, 5.0):
        wanted = [item for item in ranking if threshold is None or item[0] >= threshold]
        for response in (
            await store.search([1, 0, 0], score_threshold=threshold),
            *await store.search_many([[1, 0, 0]], score_threshold=threshold),
        ):
            same_ranking(response.results, wanted, 10, f"score_threshold={threshold}")
            same(response.total, len(response.results), "total")
            holds(response.query_time_ms > 0.0, f"query_time_ms is {response.query_time_ms}")


@case("5.1")
def generated_searches(ctx: Context) -> None:
    """Random documents, queries and filters under every metric, compared with the formulas."""
    metrics = sorted(ctx.capabilities.metrics)
    stores = {metric: ctx.run(ctx.store(metric=metric)) for metric in metrics}
    counter = iter(range(10**9))

    async def example(
        metric: DistanceMetric, documents: Sequence[VectorDocument], queries: Sequence[list[float]], node: Node, k: int
    ) -> None:
        store, namespace, model = stores[metric], f"e{next(counter)}", Model(metric)
        model.upsert(documents, namespace)
        same((await store.upsert(documents, namespace))["upserted"], len(model.documents(namespace)), "upserted")
        for filters in (None, *([] if refused(ctx, node) else [node])):
            responses = [await store.search(query, k, filters, namespace, include_vectors=True) for query in queries]
            responses += await store.search_many(queries, k, filters, namespace, include_vectors=True)
            for query, response in zip([*queries, *queries], responses, strict=True):
                what = f"{metric.value}, with {filters!r}"
                same_ranking(response.results, model.ranking(query, namespace, filters), k, what)
                known = model.documents(namespace)
                for found in response.results:
                    same((found.metadata, found.text), (known[found.id].metadata, known[found.id].text), found.id)
        same_ids([one.id async for one in store.scan(namespace)], model.documents(namespace), "scan")
        await store.delete_namespace(namespace)

    @generated(ctx.scale, max(1, ctx.scale.filters // 10))
    def check(data: st.DataObject) -> None:
        documents = data.draw(st.lists(strategies.documents(), min_size=1, max_size=8))
        if not ctx.capabilities.zero_vectors:
            documents = [one for one in documents if any(one.vector)] or [doc("a")]
        queries = data.draw(st.lists(strategies.vectors(), min_size=1, max_size=3))
        if not ctx.capabilities.zero_vectors:
            queries = [query for query in queries if any(query)] or [[1.0, 0.0, 0.0]]
        node, k = data.draw(strategies.filters(depth=2)), data.draw(st.integers(1, 9))
        ctx.run(example(data.draw(st.sampled_from(metrics)), documents, queries, node, k))

    check()
