"""Section 2: what is stored comes back."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from ia_modules.vector_stores.errors import InvalidDocumentError
from ia_modules.vector_stores.filters import Condition
from ia_modules.vector_stores.metrics import DistanceMetric
from ia_modules.vector_stores.models import SearchResult, VectorDocument
from ia_modules.vector_stores.testing.case import Context, case, doc
from ia_modules.vector_stores.testing.cases.identity import everything
from ia_modules.vector_stores.testing.compare import (
    holds,
    raises,
    same,
    same_document,
    same_documents,
    same_ids,
    same_ranking,
    same_vector,
)
from ia_modules.vector_stores.testing.model import Model

__all__ = ["KEYS", "VALUES"]

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 3, 3.0, 0.5, -0.5, 0.1, 1 / 3, 1e-300, 1e300, 5e-324, 123456789.123456789),
    *(2**31, 2**53 - 1, 2**53, 2**53 + 1, 2**63 - 1, -(2**63), -(2**53) - 1, float(2**53), 2.0**63),
    *("", " ", "x", "1", "1.0", "true", "null", "None", "é", "e\u0301", "\U0001f600", "a\x00b", "\n\t", "'\"\\`$"),
    *("2024-05-01", "2024-05-01T00:00:00Z", "x" * 10_000, "日本語 текст", "\u2028\ufeff"),
    *([], [""], [None], ["x"], ["x", "y", "x"], [1], [1, 2], [1.5], [1, 1.0], [True, False], [1, True, "x", None, 2.5]),
    *([2**53 + 1, -(2**63)], [[]], [[1, [2, ["x"]]]], [{}], [{"a": 1}, {"a": None}], ["2024-05-01", 1]),
    *({}, {"a": 1}, {"a": {}}, {"a": {"b": {"c": [1, {"d": None}]}}}, {"": ""}, {"a.b": 1, "a": {"b": 2}}),
    *({"$eq": 1}, {"1": 1}, {"é": {"\U0001f600": True}}),
)

KEYS = (
    *("text", "namespace", "id", "_id", "vector", "_vector", "metadata", "document", "score", "distance", "uuid"),
    *("$", "$eq", "$and", "_", "__", "_x", "_additional", "a.b", ".a", "a.", ".", "a..b", "a[0]", "a[]", "[", "]"),
    *("", " ", "a b", "A", "a", "1", "-", "a-b", "a/b", "a\\b", '"', 'a"b', "'", "`", "#", "#a", "%", "*", "?", "@"),
    *(
        "é",
        "e\u0301",
        "ключ",
        "日本",
        "\U0001f600",
        "a\nb",
        "a\tb",
        "\u200b",
        "chroma:document",
        "chroma:x",
        "~m",
        "~t",
    ),
    *("ia:index", "ia:namespace", "ns", "__ns", "_ns", "_text", "__text", "payload", "properties", "key" * 50, "null"),
    *(
        "true",
        "None",
        "constructor",
        "__proto__",
        "length",
        "type",
        "class",
        "select",
        "and",
        "or",
        "not",
        "in",
        "where",
    ),
)


@case("2.1")
async def every_kind_of_metadata(ctx: Context) -> None:
    """Every kind of value comes back from every call that reads, to the type."""
    documents = {f"v{i}": doc(f"v{i}", (1, i, 0), {"v": value}) for i, value in enumerate(VALUES)}
    documents |= {"none": doc("none"), "all": doc("all", metadata={f"k{i}": value for i, value in enumerate(VALUES)})}
    store = await ctx.store(documents.values())
    same_documents(await store.fetch(list(documents)), documents, "fetch")
    await store.settle()
    same_documents((await everything(ctx.again(store))).values(), documents, "scan by a second store")
    results = (await store.search([1, 1, 0], top_k=len(documents), include_vectors=True)).results
    same_ids((result.id for result in results), documents, "search")
    for result in results:
        same(result.metadata, documents[result.id].metadata, f"metadata of {result.id!r} that a search gives")


@case("2.1")
async def texts(ctx: Context) -> None:
    """Texts come back exactly; None and the empty one are different."""
    long = "x" * min(100_000, (ctx.capabilities.max_document_bytes or 10**9) // 2)
    given = (None, "", " ", "a", "é", "e\u0301", "\n", "a\x00b", "\U0001f600", "'\"\\", long, "null", "None")
    documents = {f"t{i}": doc(f"t{i}", (1, i, 0), text=text) for i, text in enumerate(given)}
    store = await ctx.store(documents.values())
    same_documents(await store.fetch(list(documents)), documents, "fetch")
    same_documents((await everything(store)).values(), documents, "scan")
    for result in (await store.search([1, 1, 0], top_k=len(given))).results:
        same(result.text, documents[result.id].text, f"text of {result.id!r} that a search gives")


@case("2.1")
async def nothing_is_shared_with_the_caller(ctx: Context) -> None:
    """What is done to a document after the upsert, or to one that was read, changes nothing that is stored."""
    row = np.array([1, 2, 3], dtype=np.float32)
    document = doc("a", row, {"list": [1, {"x": 1}], "n": 1}, text="t")
    expected = document.model_copy(deep=True)
    store = await ctx.store([document])
    row[:] = 9
    document.metadata["list"][1]["x"] = 2
    document.metadata["n"] = 2
    (found,) = await store.fetch(["a"])
    same_document(found, expected, "after the caller changed the document that it had given")
    changes = {"more": [1]}
    await store.update_metadata("a", changes)
    changes["more"].append(2)
    expected.metadata["more"] = [1]
    read: Any
    reads: list[VectorDocument | SearchResult] = [found, *(await store.fetch(["a"]))]
    reads += [*(await store.search([1, 0, 0])).results, *[one async for one in store.scan()]]
    for read in reads:
        read.metadata["list"].append("changed")
        read.metadata["n"] = "changed"
        (again,) = await store.fetch(["a"])
        same_document(again, expected, "after the caller changed a document that it had read")


@case("2.2")
async def vectors_come_back(ctx: Context) -> None:
    """Single precision, and the length kept, whatever the metric."""
    rows = {
        "thirds": [1 / 3, 2 / 3, -1 / 3],
        "long": [3e5, -4e5, 1e5],
        "short": [3e-5, 4e-5, -1e-5],
        "uneven": [1e6, 1.0, 1e-3],
        "negative": [-0.1, -0.2, -0.3],
        "integers": [3, 4, 12],
    }
    random = np.random.default_rng(2)
    rows |= {f"r{i}": (random.standard_normal(3) * 10.0 ** random.integers(-4, 5)).tolist() for i in range(40)}
    documents = {name: doc(name, row) for name, row in rows.items()}
    for metric in sorted(ctx.capabilities.metrics):
        store = await ctx.store(documents.values(), metric=metric)
        for document in [*await store.fetch(list(rows)), *(await everything(store)).values()]:
            same_vector(document.vector, documents[document.id].vector, f"{metric.value}, {document.id!r}")
        for result in (await store.search([1, 1, 1], top_k=100, include_vectors=True)).results:
            same_vector(result.vector, documents[result.id].vector, f"{metric.value}, search, {result.id!r}")


@case("2.2")
async def many_dimensions(ctx: Context) -> None:
    """Also vectors of 1,536 dimensions, and of one."""
    random = np.random.default_rng(3)
    for dimension in (1, 2, 1536):
        documents = {f"d{i}": doc(f"d{i}", random.standard_normal(dimension)) for i in range(12)}
        store = await ctx.store(documents.values(), dimension=dimension)
        same((await store.get_stats()).dimension, dimension, "dimension in get_stats")
        same_documents(await store.fetch(list(documents)), documents, f"{dimension} dimensions")


@case("2.2")
async def very_long_and_very_short_vectors(ctx: Context) -> None:
    """Vectors near the limits of single precision are stored and compared, or refused as declared."""
    limits = ctx.capabilities.vector_lengths
    for metric in (DistanceMetric.COSINE, DistanceMetric.EUCLIDEAN):
        if metric not in ctx.capabilities.metrics:
            continue
        store = await ctx.store(metric=metric)
        for length in (1e-30, 1e-18, 1e-14, 1e14, 1e18, 1e30):
            document = doc("a", (length, 0, 0))
            what = f"{metric.value}, a vector of length {length:g}"
            if limits is not None and not limits[0] <= length <= limits[1]:
                await raises(store.upsert([doc("b"), document]), InvalidDocumentError, what, "'a'")
                same(await store.count(), 0, f"documents after {what} was refused")
                ctx.gap(f"vectors of a length beyond {limits[0]:g} to {limits[1]:g} are refused")
                continue
            model = Model(metric)
            model.upsert([document])
            await store.upsert([document])
            (found,) = await store.fetch(["a"])
            same_vector(found.vector, document.vector, what)
            same_ranking((await store.search([1, 0, 0])).results, model.ranking([1, 0, 0]), 1, what)
            await store.delete(ids=["a"])


@case("2.3")
async def every_key_is_the_user_s(ctx: Context) -> None:
    """Keys come back, can be filtered on, and don't meet each other or what is kept beside them."""
    values = {key: f"value {i}" for i, key in enumerate(KEYS)}
    documents = {f"k{i}": doc(f"k{i}", (1, i, 0), {key: values[key]}) for i, key in enumerate(KEYS)}
    documents["all"] = doc("all", metadata=dict(values), text="a text")
    store = await ctx.store(documents.values())
    same_documents(await store.fetch(list(documents)), documents, "fetch")
    for i, key in enumerate(KEYS):
        expected = ["all", f"k{i}"]
        found = (await store.search([1, 0, 0], top_k=9, filters=Condition(key, "eq", values[key]))).results
        same_ids((result.id for result in found), expected, f"search by the key {key!r}")
        same(await store.count(Condition(key, "exists", True)), 2, f"count of documents with the key {key!r}")
    for i, key in enumerate(KEYS[::5]):
        same((await store.update_metadata("all", {key: i}))["updated"], 1, f"update_metadata of the key {key!r}")
        documents["all"].metadata[key] = i
    (found_all,) = await store.fetch(["all"])
    same_document(found_all, documents["all"], "after update_metadata of every fifth key")


@case("2.4")
async def upsert_replaces_the_whole_document(ctx: Context) -> None:
    """Nothing of the old document is left: no key, no text, no vector."""
    store = await ctx.store([doc("a", (1, 0, 0), {"gone": 1, "kept": "x", "list": [1], "deep": {"x": 1}}, text="old")])
    versions = [
        doc("a", (0, 1, 0), {"kept": 2}),
        doc("a", (0, 1, 0), {}),
        doc("a", (0, 0, 1), {"kept": [1, "x"]}, text=""),
        doc("a", (0, 0, 2), {"kept": {"x": None}}, text="new"),
        doc("a", (5, 0, 2), {"kept": None}),
        doc("a", (1, 0, 0), {"kept": 2.0, "gone": 2**53 + 1}),
        doc("a", (1, 0, 0), {"gone": 0.1}),
    ]
    for version in versions:
        same((await store.upsert([version]))["upserted"], 1, "upserted")
        (found,) = await store.fetch(["a"])
        same_document(found, version, "after a replacing upsert")
        same(await store.count(), 1, "count after a replacing upsert")
        same(await store.count(Condition("gone", "eq", 1)), 0, "documents that still have the old value")
        same(await store.count(Condition("gone", "exists", "gone" in version.metadata)), 1, "exists of a key that went")
        (result,) = (await store.search(version.vector, include_vectors=True)).results
        same((result.metadata, result.text), (version.metadata, version.text), "what a search gives")
        same_vector(result.vector, version.vector, "the vector that a search gives")
    await store.upsert([doc("b", (0, 1, 0)), doc("a", (0, 0, 1))])
    best = (await store.search([0, 1, 0], top_k=1)).results[0]
    same(best.id, "b", "the nearest document, after the vector of the other was replaced")


@case("2.5")
async def of_equal_ids_the_last_one_wins(ctx: Context) -> None:
    """Within a request and across the requests that one call makes."""
    store = await ctx.store()
    for size in (1, 2, 3, 100):
        given = [doc(f"d{i % 4}", (1, i, 0), {"n": i}, text=str(i)) for i in range(11)]
        expected = {document.id: document for document in given}
        same((await store.upsert(given, batch_size=size))["upserted"], 4, f"upserted, batch_size={size}")
        same_documents((await everything(store)).values(), expected, f"batch_size={size}")
        await store.delete(delete_all=True)
    same((await store.upsert([]))["upserted"], 0, "upserted, of no documents")


@case("2.5")
async def batches_of_any_size(ctx: Context) -> None:
    """However a call is split into requests, every document arrives once."""
    documents = {f"d{i}": doc(f"d{i}", (1, i % 13, i % 7), {"n": i}) for i in range(250)}
    for size in (1, 7, 250, 10_000):
        store = await ctx.store()
        same((await store.upsert(list(documents.values()), batch_size=size))["upserted"], 250, f"batch_size={size}")
        same_documents((await everything(store)).values(), documents, f"batch_size={size}")
        for page in (1, 99, 100, 250, 251):
            ids = [one.id async for one in store.scan(batch_size=page, include_vectors=False)]
            same(sorted(ids), sorted(documents), f"scan with batch_size={page}")


@case("2.6")
async def a_store_sees_its_own_writes(ctx: Context) -> None:
    """At once, by every call."""
    store = await ctx.store([doc("other", (0, 0, 1))])
    for i in range(30):
        written = doc("a", (1, i, 0), {"n": i})
        await store.upsert([written])
        same([one.metadata for one in await store.fetch(["a"])], [{"n": i}], "fetch at once after upsert")
        best = (await store.search(written.vector, top_k=1, include_vectors=True)).results[0]
        same((best.id, best.metadata), ("a", {"n": i}), "search at once after upsert")
        same(await store.count(Condition("n", "eq", i)), 1, "count at once after upsert")
        await store.update_metadata("a", {"n": -1})
        same(await store.count(Condition("n", "eq", -1)), 1, "count at once after update_metadata")
        if i % 3 == 0:
            await store.delete(ids=["a"])
            same(await store.fetch(["a"]), [], "fetch at once after delete")
            same(await store.count(), 1, "count at once after delete")
            same([result.id for result in (await store.search([1, 0, 0])).results], ["other"], "search after delete")


@case("2.7")
async def update_metadata(ctx: Context) -> None:
    """Top-level keys are set, all else stays; None is a value that can be set."""
    given = doc("a", (0.3, 0.4, 0), {"kept": 1, "list": [1, 2], "deep": {"x": 1, "y": 2}, "gone": "x"}, text="text")
    store = await ctx.store([given, doc("b", metadata={"kept": 1})])
    expected = copy.deepcopy(given)
    for changes in (
        {"new": True},
        # Equal in Python, and to databases that compare before they write; yet each is another value.
        {"new": 1},
        {"new": 1.0},
        {"new": True},
        {"gone": None},
        {"deep": {"z": 3}},
        {"list": [], "kept": 2**53 + 1},
        {"kept": 0.1, "odd key": {"a": [1, "x"]}},
        {"kept": "text"},
        {},
    ):
        result = await store.update_metadata("a", changes)
        same(dict(result), {"updated": 1, "namespace": ""}, "what update_metadata returns")
        expected.metadata = {**expected.metadata, **changes}
        (found,) = await store.fetch(["a"])
        same_document(found, expected, f"after update_metadata of {sorted(changes)}")
        for key, value in changes.items():
            if isinstance(value, str | int | float):
                holds(await store.count(Condition(key, "eq", value)) >= 1, f"a filter does not find the new {key!r}")
    same((await store.update_metadata("missing", {"x": 1}))["updated"], 0, "updated, of a document that is not there")
    same_ids(await everything(store), ["a", "b"], "documents after an update of a missing one")
    (other,) = await store.fetch(["b"])
    same(other.metadata, {"kept": 1}, "metadata of the other document")
