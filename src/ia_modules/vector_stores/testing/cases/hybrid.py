"""Section 6: hybrid search, compared with the memory provider, which finds and scores everything exactly."""

from __future__ import annotations

import math
from typing import Any

from ia_modules.vector_stores.base import VectorStoreBase
from ia_modules.vector_stores.config import VectorStoreConfig
from ia_modules.vector_stores.filters import Condition
from ia_modules.vector_stores.models import SearchResponse, VectorDocument
from ia_modules.vector_stores.providers.memory import MemoryVectorStore
from ia_modules.vector_stores.testing.case import Context, case, doc
from ia_modules.vector_stores.testing.compare import ConformanceError, holds, same, same_ids

__all__: list[str] = []

_WORDS = ("bridge", "bridges", "tunnel", "river", "paid", "paying", "city", "state", "cats", "sleeping", "the", "of")
_TEXTS = [" ".join(_WORDS[(i * step + i // 3) % len(_WORDS)] for step in range(1, 2 + i % 9)) for i in range(36)]
_QUERY = (0.3, 0.9, -0.2)
_WORDS_ASKED = "Who paid for the bridges?"


def _documents() -> list[VectorDocument]:
    def vector(i: int) -> tuple[float, float, float]:
        return (math.cos(i), math.sin(1.7 * i), math.cos(2.3 * i) / 2)

    given = [doc(f"d{i:02}", vector(i), {"n": i, "even": i % 2 == 0}, text=text) for i, text in enumerate(_TEXTS)]
    return [*given, doc("silent", vector(50), {"n": 50}), doc("empty", vector(51), {"n": 51}, text="")]


async def _pair(ctx: Context) -> tuple[VectorStoreBase, VectorStoreBase]:
    """A store with documents in two namespaces, and the reference with the same ones."""
    reference = MemoryVectorStore(VectorStoreConfig(provider="memory", index_name="reference"))
    store = await ctx.store(_documents())
    await reference.create_index(3, ctx.metric())
    await reference.upsert(_documents())
    for one in (store, reference):
        await one.upsert([doc("d00", (0, 1, 0), text="bridges bridges"), doc("x", (1, 0, 0), text="x")], "other")
    return store, reference


async def _same_answer(stores: tuple[VectorStoreBase, VectorStoreBase], what: str, *query: Any, **given: Any) -> None:
    found, expected = [await store.hybrid_search(*query, **given) for store in stores]
    same(len(found.results), len(expected.results), f"{what}: number of results")
    same(found.total, len(found.results), f"{what}: total")
    scores = {one.id: one.score for one in expected.results}
    for place, (one, other) in enumerate(zip(found.results, expected.results, strict=True)):
        if abs(one.score - other.score) > 1e-4:
            raise ConformanceError(f"{what}: score at place {place}: found {one.score}, expected {other.score}")
        # Who is as good to within rounding may stand before or behind.
        holds(
            one.id == other.id or abs(scores.get(one.id, other.score) - other.score) < 1e-4,
            f"{what}: place {place}: found {one.id}, expected {other.id}",
        )


@case("6.1")
async def both_sides_by_the_formula(ctx: Context) -> None:
    """Ids and scores are those of the documented formulas, for both fusions and several weights."""
    stores = await _pair(ctx)
    for fusion in ("weighted", "rrf"):
        for weights in ((0.7, 0.3), (0.3, 0.7), (2, 2)):
            for top_k, candidates in ((10, 100), (3, 5), (60, 10)):
                await _same_answer(
                    stores,
                    f"hybrid_search with {fusion}, weights {weights}, top_k={top_k}, candidates={candidates}",
                    _QUERY,
                    _WORDS_ASKED,
                    top_k,
                    *weights,
                    fusion=fusion,
                    candidates=candidates,
                )
    await _same_answer(stores, "hybrid_search without text", _QUERY)
    await _same_answer(stores, "hybrid_search with words that nobody has", _QUERY, "zeppelin")


@case("6.2")
async def either_side_alone(ctx: Context) -> None:
    """With text_weight 0 the order of search; with vector_weight 0 that of the words, and only what has one."""
    stores = await _pair(ctx)
    store = stores[0]
    nearest = await store.search(_QUERY, 20)
    alone = await store.hybrid_search(_QUERY, _WORDS_ASKED, 20, 1, 0)
    same(_ids(alone), _ids(nearest), "hybrid_search with text_weight=0")
    await _same_answer(stores, "hybrid_search with vector_weight=0", None, _WORDS_ASKED, 50, 0, 1)
    worded = await store.hybrid_search(None, "tunnels", 50, 0, 1)
    same_ids(_ids(worded), [f"d{i:02}" for i, text in enumerate(_TEXTS) if "tunnel" in text], "documents with a word")


@case("6.3")
async def filters_and_namespaces_bind_both_sides(ctx: Context) -> None:
    """Nothing comes back that the filter or the namespace excludes, and all that they allow."""
    stores = await _pair(ctx)
    for filters in (Condition("even", "eq", True), Condition("n", "in", [1, 2, 50]), Condition("n", "in", [])):
        what = f"hybrid_search with {filters!r}"
        await _same_answer(stores, what, _QUERY, _WORDS_ASKED, 50, filters=filters)
        await _same_answer(stores, f"{what}, words only", None, _WORDS_ASKED, 50, 0, 1, filters=filters)
    await _same_answer(stores, "hybrid_search in another namespace", _QUERY, _WORDS_ASKED, namespace="other")
    same_ids(
        _ids(await stores[0].hybrid_search(_QUERY, _WORDS_ASKED, namespace="other")), ["d00", "x"], "another namespace"
    )
    same((await stores[0].hybrid_search(_QUERY, _WORDS_ASKED, namespace="none")).results, [], "an empty namespace")


@case("6.4")
async def words_of_now(ctx: Context) -> None:
    """What was written, replaced or deleted is found by the words that it has now."""
    store = await ctx.store([doc("a", text="sleeping cats"), doc("b", text="running dogs")])

    async def found(words: str) -> list[str]:
        return _ids(await store.hybrid_search(None, words, 10, 0, 1))

    same(await found("cat"), ["a"], "a word of one document")
    await store.upsert([doc("c", text="another cat, and another cat")])
    same_ids(await found("cat"), ["a", "c"], "after a document was added")
    await store.upsert([doc("a", text="nothing of the kind")])
    same(await found("cat"), ["c"], "after a document was replaced")
    await store.update_metadata("c", {"n": 1})
    same(await found("cat"), ["c"], "after its metadata was changed")
    await store.delete(ids=["c"])
    same(await found("cat"), [], "after it was deleted")
    other = ctx.again(store)
    await store.settle()
    same(_ids(await other.hybrid_search(None, "dog", 10, 0, 1)), ["b"], "another store on the same index")
    await other.upsert([doc("d", text="a dog and a dog"), doc("b", text="nothing of the kind")])
    await other.settle()
    same(await found("dog"), ["d"], "after another store has written")
    await other.delete(ids=["d"])
    await other.settle()
    same(await found("dog"), [], "after another store has deleted")


def _ids(response: SearchResponse) -> list[str]:
    return [one.id for one in response.results]
