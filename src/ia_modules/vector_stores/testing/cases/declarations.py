"""Section 9: what a provider declares is so; what it declares as impossible is refused, and really impossible."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ia_modules.vector_stores.capabilities import Capabilities
from ia_modules.vector_stores.errors import InvalidDocumentError, UnsupportedOperationError, VectorStoreError
from ia_modules.vector_stores.filters import Condition, Not, matches, normalize, operators_in
from ia_modules.vector_stores.metrics import DistanceMetric
from ia_modules.vector_stores.requests import IndexInfo
from ia_modules.vector_stores.testing.case import Context, case, doc
from ia_modules.vector_stores.testing.cases.filters import TABLE
from ia_modules.vector_stores.testing.cases.identity import everything
from ia_modules.vector_stores.testing.compare import holds, raises, same, same_documents, same_ids, same_ranking
from ia_modules.vector_stores.testing.faults import Primitive, wrapped
from ia_modules.vector_stores.testing.filter_table import CONDITIONS
from ia_modules.vector_stores.testing.model import Model

__all__: list[str] = []


@case("9.1")
async def metrics(ctx: Context) -> None:
    """An index of each declared metric can be made; the database itself refuses each of the others."""
    holds(ctx.capabilities.metrics, "a provider must have a metric")
    vectors = {"a": (1, 0, 0), "b": (3, 1, 0), "c": (-1, 2, 0.5)}
    for metric in sorted(DistanceMetric):
        store = ctx.open()
        if metric in ctx.capabilities.metrics:
            await store.create_index(3, metric, **ctx.target.options)
            await store.upsert([doc(name, vector) for name, vector in vectors.items()])
            model = Model(metric)
            model.upsert([doc(name, vector) for name, vector in vectors.items()])
            same_ranking((await store.search([1, 0.5, 0])).results, model.ranking([1, 0.5, 0]), 10, metric.value)
            await store.settle()
            same(await ctx.again(store, metric=metric).count(), 3, f"count in an index of {metric.value}")
            continue
        what = f"create_index with {metric.value}, which is not declared"
        await raises(store.create_index(3, metric), UnsupportedOperationError, what, metric.value)
        # The base class refused it. Would the database have done it, or another metric in its place?
        await store.connect()
        try:
            await store._create_index(IndexInfo(3, metric), dict(ctx.target.options))  # noqa: SLF001
        except Exception:  # noqa: BLE001 - in whatever way it refuses
            same(await ctx.again(store).index_exists(), False, f"index_exists after {metric.value} was refused")
            ctx.gap(f"the metric {metric.value} is refused")
        else:
            holds(False, f"{metric.value} is not declared, and works (or is quietly another metric)")


@case("9.2")
async def top_k(ctx: Context) -> None:
    """A top_k at the limit works; beyond it there is an error that states it."""
    limit = ctx.capabilities.max_top_k
    store = await ctx.store([doc("a"), doc("b", (0, 1, 0))])
    for top_k in (limit,) if limit is not None else (1_000, 10_000, 100_000):
        same((await store.search([1, 0, 0], top_k=top_k)).total, 2, f"results with top_k={top_k}")
    if limit is not None:
        call = store.search([1, 0, 0], top_k=limit + 1)
        await raises(call, UnsupportedOperationError, f"top_k={limit + 1}", str(limit))
        many = store.search_many([[1, 0, 0]], top_k=limit + 1)
        await raises(many, UnsupportedOperationError, f"search_many, top_k={limit + 1}", str(limit))
        ctx.gap(f"top_k above {limit:,} is refused")


@case("9.2")
async def dimensions(ctx: Context) -> None:
    """The largest dimension works, one more is refused; without a limit, 8,192 works."""
    limit = ctx.capabilities.max_dimension
    size = 8_192 if limit is None else limit
    vector = np.random.default_rng(1).standard_normal(size)
    store = await ctx.store([doc("a", vector)], dimension=size)
    same([result.id for result in (await store.search(vector)).results], ["a"], f"search in {size} dimensions")
    if limit is not None:
        other = ctx.open()
        call = other.create_index(limit + 1, ctx.metric())
        await raises(call, UnsupportedOperationError, f"create_index({limit + 1})", str(limit))
        same(await other.index_exists(), False, "index_exists after a dimension was refused")
        ctx.gap(f"more than {limit:,} dimensions are refused")


@case("9.2")
async def document_sizes(ctx: Context) -> None:
    """Text and metadata of half the limit come back, of more than it they are refused; without a limit, 200 KB do."""
    limit = ctx.capabilities.max_document_bytes
    size = 200_000 if limit is None else limit // 2
    fitting = {"a": doc("a", text="x" * size), "b": doc("b", metadata={"key": "é" * (size // 2)})}
    store = await ctx.store(fitting.values())
    same_documents(await store.fetch(["a", "b"]), fitting, "fetch")
    if limit is None:
        return
    for large in (doc("c", text="x" * limit), doc("c", metadata={"key": ["x" * 100] * (limit // 100)})):
        what = "a document of more than max_document_bytes"
        await raises(store.upsert([doc("d"), large], batch_size=1), InvalidDocumentError, what, "'c'")
        call = store.update_metadata("a", {"key": "x" * limit})
        await raises(call, InvalidDocumentError, "update_metadata beyond max_document_bytes", "'a'")
    same_documents(await store.fetch(["a", "b", "c", "d"]), fitting, "fetch after documents were refused")
    ctx.gap(f"more than {limit:,} bytes of metadata and text are refused")


@case("9.2")
async def batches(ctx: Context) -> None:
    """No request holds more than max_batch_size documents, whatever batch_size says."""
    limit = ctx.capabilities.max_batch_size
    count = min(limit + 1 if limit is not None else 2_000, 12_000)
    store = await ctx.store()
    sizes: list[int] = []

    def counted(_: str, inner: Primitive) -> Primitive:
        async def upsert(batch: Any, namespace: str) -> None:
            sizes.append(len(batch))
            await inner(batch, namespace)

        return upsert

    row = np.array([1, 2, 3], dtype=np.float32)
    row.flags.writeable = False
    with wrapped(store, ("_upsert",), counted):
        written = await store.upsert([doc(f"d{i}", row) for i in range(count)], batch_size=10**6)
    same(written["upserted"], count, "upserted")
    holds(limit is None or max(sizes) <= limit, f"a request held {max(sizes)} documents; the limit is {limit}")
    same(await store.count(), count, "count")


@case("9.3")
async def operators(ctx: Context) -> None:
    """Those that are declared as refused are refused by every call, and the database could not have done them."""
    known = {one.operator for one in CONDITIONS} - {"ne", "nin"}
    unknown = set(ctx.capabilities.filters) - known
    holds(not unknown, f"capabilities.filters names {sorted(unknown)}, which are no operators of the normal form")
    for operator in sorted(ctx.capabilities.refused_operators):
        nodes = [one for one in CONDITIONS if operator in operators_in(normalize(one))]
        store = await ctx.store(TABLE.values())
        for node in (nodes[0], Not(nodes[0]), nodes[0] | Condition("a", "eq", 1)):
            for call in (
                store.search([1, 0, 0], filters=node),
                store.search_many([[1, 0, 0]], filters=node),
                store.count(node),
                store.delete(filters=node),
                anext(store.scan(filters=node)),
            ):
                await raises(call, UnsupportedOperationError, f"a call with {node!r}", operator)
        same_ids(await everything(store), TABLE, "documents after all that was refused")
        right = 0
        for node in nodes:
            try:
                found = await store._count(normalize(node), "")  # noqa: SLF001
            except Exception:  # noqa: BLE001 - in whatever way it refuses
                continue
            right += found == sum(matches(node, one.metadata) for one in TABLE.values())
        holds(right < len(nodes), f"{operator} is declared as refused, and works")
        ctx.gap(f"filters with {operator} are refused")


@case("9.4")
async def unknown_options(ctx: Context) -> None:
    """create_index says which option it does not know, and creates nothing."""
    store = ctx.open()
    call = store.create_index(3, ctx.metric(), no_such_option=1)
    await raises(call, UnsupportedOperationError, "create_index with an unknown option", "no_such_option")
    same(await store.index_exists(), False, "index_exists after an unknown option")


@case("9.5")
async def the_declaration(ctx: Context) -> None:
    """It is one frozen value, bears the provider's name, and does not change by connecting."""
    store = ctx.open()
    before = store.capabilities
    holds(type(before) is Capabilities, "capabilities must be a Capabilities object")
    same(before.provider, store.provider, "capabilities.provider")
    same(store.provider, store.config.provider, "the provider's name in the config")
    holds(before.embedded or before.remote, "a provider runs in this process or on a server; neither is declared")
    await store.create_index(3, ctx.metric(), **ctx.target.options)
    holds(store.capabilities == before, "capabilities change by connecting")
    try:
        store.capabilities.provider = "x"  # type: ignore[misc]
    except dataclasses.FrozenInstanceError:
        pass
    else:
        holds(False, "capabilities can be changed")


@case("9.5")
async def persistence(ctx: Context) -> None:
    """What a persistent provider has stored is there after every store was disconnected."""
    store = await ctx.store([doc("a", metadata={"n": 1})])
    await store.upsert([doc("b")], namespace="n")
    await store.settle()
    await store.disconnect()
    if not ctx.capabilities.persistent:
        ctx.gap("documents end with the process, as declared")
        return
    again = ctx.again(store)
    same([one.metadata for one in await again.fetch(["a"])], [{"n": 1}], "fetch after every store was disconnected")
    same(await again.list_namespaces(), ["", "n"], "namespaces after every store was disconnected")


@case("9.5")
async def errors_can_be_read(ctx: Context) -> None:
    """An error of the provider names provider, operation and index."""
    store = ctx.open()
    error = await raises(store.count(), VectorStoreError, "count without an index", store.config.index_name)
    same((error.provider, error.operation), (store.provider, "count"), "provider and operation of the error")
    holds(str(error).startswith(f"{store.provider}.count: "), f"the message should begin with its place: {error}")
