"""Section 3: validation."""

from __future__ import annotations

import datetime
import math
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np

from ia_modules.vector_stores.base import VectorStoreBase
from ia_modules.vector_stores.errors import (
    IndexAlreadyExistsError,
    IndexNotFoundError,
    InvalidDimensionError,
    InvalidDocumentError,
)
from ia_modules.vector_stores.filters import Condition
from ia_modules.vector_stores.metrics import DistanceMetric
from ia_modules.vector_stores.models import SearchFilter
from ia_modules.vector_stores.testing.case import Context, case, doc
from ia_modules.vector_stores.testing.cases.identity import deleted, everything
from ia_modules.vector_stores.testing.compare import holds, raises, same, same_ids
from ia_modules.vector_stores.testing.faults import primitives_called

__all__: list[str] = []

Call = Callable[[VectorStoreBase], Awaitable[Any]]


async def drained(store: VectorStoreBase, **given: Any) -> list[str]:
    """Ids that a scan gives."""
    return [document.id async for document in store.scan(**given)]


WRONG: dict[str, tuple[Call, str]] = {
    "top_k=0": (lambda s: s.search([1, 0, 0], top_k=0), "top_k"),
    "top_k=-1": (lambda s: s.search([1, 0, 0], top_k=-1), "top_k"),
    "top_k=1.5": (lambda s: s.search([1, 0, 0], top_k=1.5), "top_k"),  # type: ignore[arg-type]
    "top_k=True": (lambda s: s.search([1, 0, 0], top_k=True), "top_k"),
    "search_many, top_k=0": (lambda s: s.search_many([[1, 0, 0]], top_k=0), "top_k"),
    "batch_size=0": (lambda s: s.upsert([doc("a")], batch_size=0), "batch_size"),
    "scan, batch_size=0": (lambda s: drained(s, batch_size=0), "batch_size"),
    "fetch of no ids": (lambda s: s.fetch([]), "ids"),
    "fetch of a string": (lambda s: s.fetch("abc"), "ids"),
    "delete of no ids": (lambda s: s.delete(ids=[]), "ids"),
    "a document that is a dict": (lambda s: s.upsert([{"id": "a"}]), "VectorDocument"),  # type: ignore[list-item]
    "filters that are a dict": (lambda s: s.search([1, 0, 0], filters={"a": 1}), "filters"),  # type: ignore[arg-type]
    "filters that are text": (lambda s: s.count("a = 1"), "filters"),  # type: ignore[arg-type]
    "a list of dicts as filters": (lambda s: s.count([{"a": 1}]), "filters"),  # type: ignore[list-item]
    "an unknown metric": (lambda s: s.create_index(3, "hamming"), "hamming"),
    "dimension=0": (lambda s: s.create_index(0), "dimension"),
}

BAD_VALUES: dict[str, Any] = {
    "NaN": math.nan,
    "infinity": math.inf,
    "2**63": 2**63,
    "-2**63-1": -(2**63) - 1,
    "a set": {1},
    "bytes": b"x",
    "a date": datetime.date(2024, 5, 1),
    "a complex number": 1j,
    "an object": object(),
    "NaN in a list": [1, math.nan],
    "2**63 deep inside": {"a": [{"b": 2**63}]},
    "a key that is a number": {1: "x"},
    "a lone surrogate": "\ud800",
    "a key with a lone surrogate": {"\udc00": 1},
}


@case("3.1")
async def vectors_that_do_not_fit(ctx: Context) -> None:
    """A wrong dimension names document, expected and given; nothing of the call is written."""
    store = await ctx.store([doc("old")])
    with primitives_called(store) as called:
        for vector in ([1, 0], [1, 0, 0, 0], [1]):
            size = str(len(vector))
            bad = [doc("good"), doc("bad one", vector)]
            error = await raises(store.upsert(bad), InvalidDimensionError, "upsert", "bad one", "3", size)
            same((error.expected, error.given), (3, len(vector)), "expected and given of the error")
            error = await raises(store.search(vector), InvalidDimensionError, "search", "3", size)
            same((error.expected, error.given), (3, len(vector)), "expected and given of the error")
            await raises(store.search_many([[1, 0, 0], vector]), InvalidDimensionError, "search_many", "3", size)
        for value in (math.nan, math.inf, -math.inf, 1e39):
            await raises(store.search([1, value, 0]), InvalidDocumentError, f"search with {value}")
            await raises(
                store.search(np.array([1, value, 0])), InvalidDocumentError, f"search with {value} in an array"
            )
        nonsense: tuple[Any, ...] = ([], [[1, 0, 0]], "abc", [1, None, 0], ["1", "0", "0"])
        for one in nonsense:
            await raises(store.search(one), (InvalidDocumentError, InvalidDimensionError), f"search with {one!r}")
    same(called, [], "what the database was asked")
    same(await drained(store), ["old"], "documents after all that was refused")


@case("3.1")
async def metadata_that_can_not_be_kept(ctx: Context) -> None:
    """Refused with the document's id and the key, but without the value; nothing of the call is written."""
    store = await ctx.store([doc("old", metadata={"v": 1})])
    with primitives_called(store) as called:
        for name, value in BAD_VALUES.items():
            bad = [doc("good"), doc("bad one", metadata={"key": value})]
            error = await raises(store.upsert(bad), InvalidDocumentError, f"upsert of {name}", "bad one", "key")
            same(error.document_id, "bad one", f"document_id of the error, {name}")
            await raises(store.update_metadata("old", {"v": value}), InvalidDocumentError, f"update_metadata to {name}")
        await raises(store.upsert([doc("a", text="\ud800")]), InvalidDocumentError, "upsert of a text that is no text")
        secret = await raises(
            store.upsert([doc("a", metadata={"k": ["private words", math.nan]})]), InvalidDocumentError, "upsert"
        )
        holds("private" not in str(secret), "an error must not quote what a document contains")
    same(called, [], "what the database was asked")
    same([one.metadata async for one in store.scan()], [{"v": 1}], "metadata after all that was refused")


@case("3.1")
async def wrong_arguments(ctx: Context) -> None:
    """A mistake in a call is a ValueError that names the argument, and the database hears nothing of it."""
    store = await ctx.store([doc("old")])
    with primitives_called(store) as called:
        for name, (call, mention) in WRONG.items():
            await raises(call(store), ValueError, name, mention)
    same(called, [], "what the database was asked")
    same(await drained(store), ["old"], "documents after all that was refused")


@case("3.1")
async def wrong_filters(ctx: Context) -> None:
    """An unknown operator, or a value of the wrong kind, is a ValueError that says what was wrong."""
    del ctx  # a filter is refused before there is a store to hand it to
    for operator, value in (
        *(("like", "x"), ("EQ", 1), ("=", 1), ("", 1), ("not_in", [1])),
        *(("in", 1), ("in", "abc"), ("nin", None), ("in", {"a": 1}), ("contains_any", "x"), ("contains_all", 1)),
        *(("gt", True), ("gt", [1]), ("lt", math.nan), ("lte", None), ("gte", {})),
        *(("eq", [1]), ("eq", {}), ("eq", math.nan), ("ne", [1]), ("exists", 1), ("exists", "yes"), ("contains", None)),
        *(("contains", [1]), ("in", [[1]]), ("eq", datetime.date(2024, 5, 1)), ("eq", b"x")),
    ):
        for kind in (SearchFilter, Condition):
            try:
                kind(field="f", operator=operator, value=value)
            except ValueError as error:
                holds("operator" in str(error), f"{operator} {value!r}: the error should speak of the operator")
            else:
                holds(False, f"{kind.__name__} takes the operator {operator!r} with {value!r}")


MISSING: dict[str, Call] = {
    "search": lambda s: s.search([1, 0, 0]),
    "search_many": lambda s: s.search_many([[1, 0, 0]]),
    "upsert": lambda s: s.upsert([doc("a")]),
    "upsert of nothing": lambda s: s.upsert([]),
    "fetch": lambda s: s.fetch(["a"]),
    "delete by ids": lambda s: s.delete(ids=["a"]),
    "delete by filter": lambda s: s.delete(filters=Condition("a", "eq", 1)),
    "delete by a filter for nothing": lambda s: s.delete(filters=Condition("a", "in", [])),
    "delete_all": lambda s: s.delete(delete_all=True),
    "delete_namespace": lambda s: s.delete_namespace("n"),
    "count": lambda s: s.count(),
    "count with a filter": lambda s: s.count(Condition("a", "eq", 1)),
    "update_metadata": lambda s: s.update_metadata("a", {"x": 1}),
    "scan": drained,
    "list_namespaces": lambda s: s.list_namespaces(),
    "get_stats": lambda s: s.get_stats(),
    "get_embedding_model": lambda s: s.get_embedding_model(),
    "delete_index": lambda s: s.delete_index(),
}


@case("3.2")
async def an_index_that_is_not_there(ctx: Context) -> None:
    """Every call says so, before the index was made and after it was deleted, also by somebody else."""
    store = ctx.open()
    await store.connect()
    same(await store.index_exists(), False, "index_exists")
    for name, call in MISSING.items():
        await raises(call(store), IndexNotFoundError, name, store.config.index_name)
    metric = min(ctx.capabilities.metrics)
    await store.create_index(3, metric)
    same(await store.index_exists(), True, "index_exists of an index just made")
    await store.upsert([doc("a")], namespace="n")
    await store.delete_index()
    same(await store.index_exists(), False, "index_exists of an index just deleted")
    for name, call in MISSING.items():
        await raises(call(store), IndexNotFoundError, f"{name} after delete_index", store.config.index_name)
    await store.create_index(3, metric)
    same(await store.list_namespaces(), [], "namespaces of an index that was deleted and made again")
    await store.upsert([doc("a")])
    other = ctx.again(store)
    await other.delete_index()
    await raises(store.search([1, 0, 0]), IndexNotFoundError, "search after somebody else deleted the index")
    await raises(store.upsert([doc("a")]), IndexNotFoundError, "upsert after somebody else deleted the index")
    await other.create_index(3, metric)
    same(await store.count(), 0, "count after somebody else made the index again")
    await store.upsert([doc("b")])
    await store.settle()
    same(await drained(other), ["b"], "what somebody else sees")


@case("3.2")
async def an_index_that_is_there(ctx: Context) -> None:
    """Creating it again is an error, whatever it is asked to be, and leaves it as it is."""
    store = await ctx.store([doc("a")])
    metrics = sorted(ctx.capabilities.metrics)
    for dimension in (3, 4):
        for metric in metrics:
            for one in (store, ctx.again(store)):
                what = f"create_index({dimension}, {metric.value}) of an index that exists"
                await raises(one.create_index(dimension, metric), IndexAlreadyExistsError, what)
    same(await drained(store), ["a"], "documents after that")
    same((await store.get_stats()).dimension, 3, "dimension after that")


@case("3.2")
async def documents_that_are_not_there(ctx: Context) -> None:
    """A namespace without documents is empty, and a missing id is no error."""
    store = await ctx.store([doc("a"), doc("b"), doc("c")])
    for namespace in ("empty", "\U0001f600"):
        same((await store.search([1, 0, 0], namespace=namespace)).results, [], "search in an empty namespace")
        some = await store.search([1, 0, 0], filters=Condition("x", "ne", 1), namespace=namespace)
        same(some.results, [], "filtered search in an empty namespace")
        same(await store.count(namespace=namespace), 0, "count of an empty namespace")
        same(await drained(store, namespace=namespace), [], "scan of an empty namespace")
        same(await store.fetch(["a"], namespace=namespace), [], "fetch in an empty namespace")
        for given in ({"ids": ["a"]}, {"filters": Condition("x", "ne", 1)}, {"delete_all": True}):
            gone = (await store.delete(namespace=namespace, **given))["deleted"]
            deleted(ctx, gone, 0, "a delete in an empty namespace")
    order = ["c", "missing", "a", "a", "b", "?"]
    same([one.id for one in await store.fetch(order)], ["c", "a", "a", "b"], "fetch in the order asked")
    deleted(ctx, (await store.delete(ids=["missing"]))["deleted"], 0, "delete of an id that is not there")
    deleted(ctx, (await store.delete(ids=["a", "missing", "a"]))["deleted"], 1, "delete of an id given twice")
    deleted(ctx, (await store.delete(ids=["a"]))["deleted"], 0, "delete of an id that is gone")
    same_ids(await everything(store), ["b", "c"], "what is left")


@case("3.3")
async def connecting(ctx: Context) -> None:
    """Connect and disconnect may be called at any time and any number of times; calls connect by themselves."""
    made = await ctx.store([doc("a", metadata={"n": 1})])
    await made.settle()
    store = ctx.again(made)
    same(await store.count(), 1, "count before connect()")
    await store.connect()
    await store.connect()
    for _ in range(3):
        await store.disconnect()
        await store.disconnect()
        same([one.metadata for one in await store.fetch(["a"])], [{"n": 1}], "fetch after disconnect()")
        await store.upsert([doc("a", metadata={"n": 1})])
    await store.settle()
    await ctx.again(made).disconnect()
    async with ctx.again(made) as entered:
        same((await entered.search([1, 0, 0])).total, 1, "results of a search inside `async with`")
        holds(await entered.ping() > 0.0, "ping must give the milliseconds that it took")
    same(await made.count(), 1, "count after another store disconnected")


@case("3.4")
async def what_delete_takes(ctx: Context) -> None:
    """Exactly one of ids, filters and delete_all; an empty filter would be everything by mistake."""
    store = await ctx.store([doc("a"), doc("b")])
    some = Condition("x", "ne", 1)
    arguments: list[dict[str, Any]] = [
        {},
        {"ids": ["a"], "filters": some},
        {"ids": ["a"], "delete_all": True},
        {"filters": some, "delete_all": True},
        {"filters": []},
        {"filters": ()},
        {"ids": []},
        {"ids": "a"},
    ]
    with primitives_called(store) as called:
        for given in arguments:
            await raises(store.delete(**given), ValueError, f"delete with {sorted(given)}")
    same(called, [], "what the database was asked")
    deleted(ctx, (await store.delete(filters=Condition("x", "in", [])))["deleted"], 0, "a filter that nothing passes")
    same(await store.count(), 2, "documents after all that")
    deleted(ctx, (await store.delete(filters=some | ~some))["deleted"], 2, "a filter that everything passes")
    same(await store.count(), 0, "documents after a filter that everything passes")
    same(await store.index_exists(), True, "index_exists after a filter that everything passes")


@case("3.1")
async def names_of_metrics(ctx: Context) -> None:
    """A metric may be given by its name."""
    for metric in sorted(ctx.capabilities.metrics):
        store = ctx.open()
        await store.create_index(3, metric.value)
        stated = ctx.again(store, metric=metric, dimension=3)
        same(await stated.count(), 0, f"count in an index of the metric {metric.value!r}")
        same(DistanceMetric(metric.value), metric, "the metric")
