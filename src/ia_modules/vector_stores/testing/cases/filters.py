"""Section 4: filters. The table of conditions and documents is in ``filter_table``, the meaning in the evaluator."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from ia_modules.vector_stores.base import VectorStoreBase
from ia_modules.vector_stores.errors import UnsupportedOperationError
from ia_modules.vector_stores.filters import (
    MATCH_ALL,
    And,
    Condition,
    FilterLike,
    Node,
    Not,
    Or,
    matches,
    normalize,
    operators_in,
)
from ia_modules.vector_stores.models import SearchFilter, VectorDocument
from ia_modules.vector_stores.tasks import together
from ia_modules.vector_stores.testing import strategies
from ia_modules.vector_stores.testing.case import Context, case, doc
from ia_modules.vector_stores.testing.cases.identity import deleted, everything
from ia_modules.vector_stores.testing.compare import raises, same, same_documents, same_ids, same_ranking
from ia_modules.vector_stores.testing.filter_table import CONDITIONS, DOCUMENTS
from ia_modules.vector_stores.testing.generate import generated
from ia_modules.vector_stores.testing.model import Model

__all__: list[str] = []

TABLE = {f"d{i}": doc(f"d{i}", (1, i % 17, i % 5), metadata) for i, metadata in enumerate(DOCUMENTS)}
_AT_ONCE = 8
_FILTERS_EACH = 10
"""Filters that are tried on one generated collection."""


def refused(ctx: Context, node: FilterLike) -> bool:
    """Whether the provider declares that it refuses the filter."""
    return bool(ctx.capabilities.refused_operators & operators_in(normalize(node)))


async def selects(
    ctx: Context, store: VectorStoreBase, filters: FilterLike, documents: dict[str, VectorDocument], namespace: str = ""
) -> None:
    """Check which documents a filter selects, by a scan and by a search."""
    if refused(ctx, filters):
        await raises(store.count(filters, namespace), UnsupportedOperationError, f"count with {filters!r}")
        ctx.gap(f"filters with {', '.join(sorted(ctx.capabilities.refused_operators))} are refused")
        return
    expected = {name for name, one in documents.items() if matches(filters, one.metadata)}
    scanned = [one.id async for one in store.scan(namespace, filters, include_vectors=False)]
    same(len(scanned), len(set(scanned)), f"distinct documents in a scan with {filters!r}")
    same_ids(scanned, expected, f"scan with {filters!r}")
    same(await store.count(filters, namespace), len(expected), f"count with {filters!r}")
    found = await store.search([1, 0, 0], len(documents), filters, namespace, include_metadata=False)
    same_ids((result.id for result in found.results), expected, f"search with {filters!r}")


async def check_table(ctx: Context, operators: Iterable[str], *, negated: bool = False) -> None:
    """Try every condition of some operators on every document of the table."""
    wanted = frozenset(operators)
    nodes: list[Node] = [one for one in CONDITIONS if one.operator in wanted]
    if negated:
        nodes = [Not(node) for node in nodes]
    store = await ctx.store(TABLE.values())
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(node: Node) -> None:
        async with places:
            await selects(ctx, store, node, TABLE)

    await together(one(node) for node in nodes)


@case("4.1")
async def eq(ctx: Context) -> None:
    """Every value against every other."""
    await check_table(ctx, ["eq"])


@case("4.2")
async def in_(ctx: Context) -> None:
    """Lists of values, mixed ones and the empty one among them."""
    await check_table(ctx, ["in"])


@case("4.3")
async def ranges(ctx: Context) -> None:
    """Numbers at the edges of double and 64-bit precision, dates in all spellings, and what is neither."""
    await check_table(ctx, ["gt", "gte", "lt", "lte"])


@case("4.4")
async def contains(ctx: Context) -> None:
    """One element, some, all."""
    await check_table(ctx, ["contains", "contains_any", "contains_all"])


@case("4.5")
async def exists(ctx: Context) -> None:
    """Values, None, empty lists and objects, missing keys."""
    await check_table(ctx, ["exists"])


@case("4.6")
async def ne_and_nin(ctx: Context) -> None:
    """The complement of eq and in, documents without a value included."""
    await check_table(ctx, ["ne", "nin"])


@case("4.7")
async def negated_conditions(ctx: Context) -> None:
    """Not, around every condition of the table."""
    await check_table(ctx, {one.operator for one in CONDITIONS}, negated=True)


@case("4.7")
async def algebra(ctx: Context) -> None:
    """De Morgan's laws, double negation, the excluded middle; and groups in groups."""
    store = await ctx.store(TABLE.values())
    some = CONDITIONS[:: max(1, len(CONDITIONS) // 40)]
    nodes: list[Node] = []
    for a, b in pairwise(some):
        nodes += [Not(And((a, b))), Or((Not(a), Not(b))), Not(Or((a, b))), And((Not(a), Not(b))), Not(Not(a))]
        nodes += [Or((a, Not(a))), And((a, Not(a))), And((a, Or((b, Not(a))))), Not(Or((And((a, b)), Not(b))))]
    everything_, nothing = set(TABLE), set[str]()
    for node in nodes:
        await selects(ctx, store, node, TABLE)
    for one in some:
        if not refused(ctx, one):
            same_ids([d.id async for d in store.scan(filters=one | ~one)], everything_, f"{one!r} or not")
            same_ids([d.id async for d in store.scan(filters=one & ~one)], nothing, f"{one!r} and not")


@case("4.8")
async def none_is_no_value(ctx: Context) -> None:
    """A key with None is found as a missing key is."""
    metadatas: dict[str, dict[str, Any]] = {
        "missing": {},
        "none": {"a": None},
        "zero": {"a": 0},
        "false": {"a": False},
        "empty": {"a": ""},
        "list": {"a": []},
        "list of none": {"a": [None]},
        "object": {"a": {}},
        "deep none": {"a": {"b": None}},
    }
    documents = {name: doc(name, metadata=metadata) for name, metadata in metadatas.items()}
    store = await ctx.store(documents.values())
    without = ["missing", "none"]
    for node, expected in (
        (Condition("a", "eq", None), without),
        (Condition("a", "exists", False), without),
        (Condition("a", "in", [None]), without),
        (Condition("a", "in", [None, 0]), [*without, "zero"]),
        (Condition("a", "exists", True), [name for name in documents if name not in without]),
        (Condition("a", "ne", None), [name for name in documents if name not in without]),
        (Condition("a", "nin", [None, 0]), [name for name in documents if name not in (*without, "zero")]),
        (Condition("a", "ne", 0), [name for name in documents if name != "zero"]),
        (Condition("a.b", "eq", None), list(documents)),
    ):
        if not refused(ctx, node):
            same_ids([one.id async for one in store.scan(filters=node)], expected, repr(node))
        await selects(ctx, store, node, documents)


@case("4.9")
async def lists_of_filters(ctx: Context) -> None:
    """A list means that all hold; no filter, an empty list and an empty group."""
    documents = {f"d{i}": doc(f"d{i}", metadata={"n": i, "odd": bool(i % 2)}) for i in range(10)}
    store = await ctx.store(documents.values())
    odd = SearchFilter(field="odd", operator="eq", value=True)
    large = SearchFilter(field="n", operator="gte", value=5)
    for filters, expected in (
        ([odd], [1, 3, 5, 7, 9]),
        ([odd, large], [5, 7, 9]),
        ([odd, ~large], [1, 3]),
        ([odd | large], [1, 3, 5, 6, 7, 8, 9]),
        ((large, odd), [5, 7, 9]),
        ([], range(10)),
        (None, range(10)),
        (MATCH_ALL, range(10)),
        (Or(()), []),
        ([odd, Or(())], []),
    ):
        given: FilterLike = filters
        names = [f"d{i}" for i in expected]
        if refused(ctx, given):
            await selects(ctx, store, given, documents)
            continue
        same_ids([one.id async for one in store.scan(filters=given)], names, f"scan with {filters!r}")
        same(await store.count(given), len(names), f"count with {filters!r}")
        results = (await store.search([1, 0, 0], filters=given)).results
        same_ids((result.id for result in results), names, f"search with {filters!r}")


@case("4.10")
async def every_call_means_the_same(ctx: Context) -> None:
    """search, search_many, count, scan and delete, with the same filters."""
    some = [*CONDITIONS[::23], *(Not(one) for one in CONDITIONS[5::37])]
    store = await ctx.store()
    for i, node in enumerate(some):
        namespace = f"n{i}"
        if refused(ctx, node):
            for call in (store.search([1, 0, 0], filters=node), store.count(node), store.delete(filters=node)):
                await raises(call, UnsupportedOperationError, f"a call with {node!r}")
            continue
        await store.upsert(list(TABLE.values())[::3], namespace=namespace)
        kept = dict(list(TABLE.items())[::3])
        expected = {name for name, one in kept.items() if matches(node, one.metadata)}
        await selects(ctx, store, node, kept, namespace)
        same(await store.count(node, namespace), len(expected), f"count with {node!r}")
        for response in await store.search_many([[1, 0, 0], [0, 1, 1]], len(kept), node, namespace):
            same_ids((result.id for result in response.results), expected, f"search_many with {node!r}")
        deleted(ctx, (await store.delete(filters=node, namespace=namespace))["deleted"], len(expected), repr(node))
        same_ids(await everything(store, namespace), set(kept) - expected, f"what is left after delete by {node!r}")
        await store.delete_namespace(namespace)


@case("4.11")
async def fields_and_paths(ctx: Context) -> None:
    """A path reaches into objects; a key that is spelled like the path comes first."""
    metadatas: dict[str, dict[str, Any]] = {
        "flat": {"a.b": 1},
        "deep": {"a": {"b": 1}},
        "both": {"a.b": 2, "a": {"b": 1}},
        "flat none": {"a.b": None, "a": {"b": 1}},
        "in a list": {"a": [{"b": 1}]},
        "half": {"a": {"b.c": 1}},
        "whole": {"a": {"b": {"c": 1}}},
        "joined": {"a.b": {"c": 1}},
        "dots": {"a..b": 1, ".": 1, "": {"": 1}},
        "odd": {'x"y': 1, "x y": {"$z": 1}, "é": {"日": 1}},
    }
    documents = {name: doc(name, metadata=metadata) for name, metadata in metadatas.items()}
    store = await ctx.store(documents.values())
    for field in ("a.b", "a", "a.b.c", "a..b", ".", "", 'x"y', "x y.$z", "x y", "é.日", "b", "a.", ".b", "a.0.b"):
        for node in (Condition(field, "eq", 1), Condition(field, "exists", True), Condition(field, "ne", 1)):
            await selects(ctx, store, node, documents)


@case("4.7")
def generated_filters(ctx: Context) -> None:
    """Random trees of all operators over random documents, compared with the evaluator by every call."""
    store = ctx.run(ctx.store())
    examples = max(1, ctx.scale.filters // _FILTERS_EACH)
    counter = iter(range(10**9))

    async def example(documents: Sequence[VectorDocument], nodes: Sequence[Node], query: list[float], k: int) -> None:
        namespace = f"e{next(counter)}"
        model = Model(ctx.metric())
        model.upsert(documents, namespace)
        await store.upsert(documents, namespace)
        known = model.documents(namespace)
        for node in nodes:
            if refused(ctx, node):
                await selects(ctx, store, node, known, namespace)
                continue
            expected = model.documents(namespace, node)
            same(await store.count(node, namespace), len(expected), f"count with {node!r}")
            response = await store.search(query, k, node, namespace)
            same_ranking(response.results, model.ranking(query, namespace, node), k, f"search with {node!r}")
        last = nodes[-1]
        if not refused(ctx, last):
            expected = model.documents(namespace, last)
            found = [one async for one in store.scan(namespace, last, batch_size=2)]
            same_documents(found, expected, f"scan with {last!r}")
            gone = await store.delete(filters=And((last,)), namespace=namespace)
            deleted(ctx, gone["deleted"], len(expected), repr(last))
            same_ids(await everything(store, namespace), known.keys() - expected.keys(), f"left by {last!r}")
        await store.delete_namespace(namespace)

    @generated(ctx.scale, examples)
    def check(data: st.DataObject) -> None:
        metadatas = data.draw(st.lists(strategies.metadata(), min_size=1, max_size=8))
        vectors = strategies.vectors(zero=ctx.capabilities.zero_vectors)
        documents = [doc(f"d{i}", data.draw(vectors), m) for i, m in enumerate(metadatas)]
        nodes = data.draw(st.lists(strategies.filters(depth=4), min_size=_FILTERS_EACH, max_size=_FILTERS_EACH))
        query, k = data.draw(vectors), data.draw(st.integers(1, 9))
        ctx.run(example(documents, nodes, query, k))

    check()
