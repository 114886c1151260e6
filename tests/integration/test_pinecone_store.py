"""What Pinecone does that a provider has to know, against our emulator."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import numpy as np
import pytest

from emulator_wire import Wire
from ia_modules.vector_stores import (
    AuthenticationError,
    Condition,
    ConnectionError,
    IndexAlreadyExistsError,
    IndexNotFoundError,
    InvalidDocumentError,
    OperationTimeoutError,
    PartialFailureError,
    PineconeVectorStore,
    RateLimitError,
    UnsupportedOperationError,
    VectorDocument,
    VectorStoreConfig,
    VectorStoreError,
    create_vector_store,
    not_,
)
from ia_modules.vector_stores.emulator.pinecone import PineconeEmulator, serving

pytest.importorskip("pinecone")

MakeStore = Callable[..., PineconeVectorStore]


@pytest.fixture(scope="module")
def server() -> Iterator[PineconeEmulator]:
    with serving() as emulator:
        yield emulator


@pytest.fixture
def emulator(server: PineconeEmulator) -> PineconeEmulator:
    server.reset()
    return server


@pytest.fixture
async def make(emulator: PineconeEmulator) -> AsyncIterator[MakeStore]:
    made: list[PineconeVectorStore] = []

    def make(**given: Any) -> PineconeVectorStore:
        fields = {"provider": "pinecone", "host": emulator.url, "index_name": "docs", "retry_delay": 0.001} | given
        made.append(PineconeVectorStore(VectorStoreConfig(**fields)))
        return made[-1]

    yield make
    for store in made:
        await store.disconnect()


@pytest.fixture
async def store(make: MakeStore) -> PineconeVectorStore:
    made = make()
    await made.create_index(3)
    return made


@pytest.fixture
def wire(emulator: PineconeEmulator, store: PineconeVectorStore) -> Iterator[Wire]:
    with Wire(emulator) as made:
        yield made


def doc(name: str, vector: tuple[float, ...] = (1, 0, 0), text: str | None = None, **metadata: Any) -> VectorDocument:
    return VectorDocument(id=name, vector=list(vector), metadata=metadata, text=text)


def docs(count: int) -> list[VectorDocument]:
    return [doc(f"d{i:04}", (1, i, 0), n=i) for i in range(count)]


# Indexes


async def test_an_index_is_made_so_that_the_vectors_api_serves_it(make: MakeStore, emulator: PineconeEmulator) -> None:
    store = make()
    await store.create_index(3, "dot_product", sparse=True, tags={"team": "a"}, embedding_model="acme/1", region="r-1")
    with Wire(emulator) as wire:
        found = wire.http.get("/indexes/docs").json()
    assert set(found["schema"]["fields"]) == {"_values", "_sparse_values"}
    assert found["deployment"]["region"] == "r-1"
    assert found["tags"] == {"team": "a", "ia_embedding_model": "acme/1"}
    assert await make().get_embedding_model() == "acme/1"


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"_sparse_values": {"type": "sparse_vector"}}, "an index of sparse vectors only"),
        ({"v": {"type": "dense_vector", "dimension": 3, "metric": "cosine"}}, r"a document index \(fields v\)"),
    ],
)
async def test_an_index_of_another_kind_is_refused_by_name(
    make: MakeStore, emulator: PineconeEmulator, fields: dict[str, Any], kind: str
) -> None:
    with Wire(emulator) as wire:
        assert wire.http.post("/indexes", json={"name": "docs", "schema": {"fields": fields}}).status_code == 201
    with pytest.raises(UnsupportedOperationError, match=f"index 'docs' is {kind}"):
        await make().upsert([doc("a")])


async def test_an_index_made_by_an_older_client_is_recognised(make: MakeStore, emulator: PineconeEmulator) -> None:
    body = {
        "name": "docs",
        "dimension": 3,
        "metric": "euclidean",
        "spec": {"serverless": {"cloud": "aws", "region": "us-east-1"}},
    }
    with Wire(emulator) as wire:
        wire.http.headers["x-pinecone-api-version"] = "2025-04"
        assert wire.http.post("/indexes", json=body).status_code == 201
    store = make(metric="euclidean", dimension=3)
    await store.upsert([doc("a", (3, 4, 0))])
    (found,) = (await store.search([0, 0, 1e-3])).results
    assert found.score == pytest.approx(1 / 6, abs=1e-4)


async def test_an_index_is_waited_for_until_it_is_ready(make: MakeStore, emulator: PineconeEmulator) -> None:
    emulator.ready_after = 0.3
    store = make()
    started = time.monotonic()
    await store.create_index(3)
    assert time.monotonic() - started >= 0.3
    await store.upsert([doc("a")])
    emulator.ready_after = 5
    with pytest.raises(OperationTimeoutError):
        await make(index_name="slow", timeout=0.3).create_index(3)


async def test_deletion_protection_is_no_matter_of_credentials(store: PineconeVectorStore, wire: Wire) -> None:
    wire.http.patch("/indexes/docs", json={"deletion_protection": "enabled"})
    with pytest.raises(UnsupportedOperationError, match="does not delete it"):
        await store.delete_index()
    assert await store.index_exists()


async def test_names_that_pinecone_refuses(make: MakeStore) -> None:
    names = ["My Articles", "my articles", "é", "x" * 200, "-"]
    for i, name in enumerate(names):
        store = make(index_name=name)
        await store.create_index(3)
        await store.upsert([doc("a", n=i)])
    for i, name in enumerate(names):
        assert [one.metadata["n"] for one in await make(index_name=name).fetch(["a"])] == [i]


async def test_an_index_that_somebody_else_makes_again_elsewhere_is_found(make: MakeStore) -> None:
    """Each emulator has ports of its own, as each index of the service has a host of its own."""
    with serving() as elsewhere:
        store, other = make(host=elsewhere.url), make(host=elsewhere.url)
        await store.create_index(3)
        await store.upsert([doc("a")])
        await other.delete_index()
        with pytest.raises(IndexNotFoundError):
            await store.search([1, 0, 0])
        await other.create_index(3)
        assert await store.count() == 0


async def test_the_client_s_own_retries_are_off(store: PineconeVectorStore, emulator: PineconeEmulator) -> None:
    """One policy decides: with max_retries=0 there is one request, with 2 there are three."""
    for path, call in {
        "POST /query": lambda s: s.search([1, 0, 0]),
        "POST /vectors/upsert": lambda s: s.upsert([doc("a")]),
        "GET /vectors/fetch": lambda s: s.fetch(["a"]),
    }.items():
        for retries in (0, 2):
            one = PineconeVectorStore(store.config.model_copy(update={"max_retries": retries}))
            await one.count()
            emulator.calls.clear()
            emulator.fail(503, path, times=retries + 1)
            with pytest.raises(VectorStoreError, match="503"):
                await call(one)
            assert emulator.calls[path] == retries + 1
            await call(one)
            await one.disconnect()


async def test_the_budget_of_retries_that_the_client_has_for_the_process_is_not_asked(
    make: MakeStore, emulator: PineconeEmulator
) -> None:
    store = make(max_retries=5)
    await store.create_index(3)
    for _ in range(30):  # its budget would be used up after 50 failures
        emulator.fail(503, "POST /query", times=4)
        assert (await store.search([1, 0, 0])).total == 0


async def test_a_wait_that_was_asked_for(make: MakeStore, emulator: PineconeEmulator) -> None:
    store = make(max_retries=1)
    await store.create_index(3)
    emulator.fail(429, "POST /query", times=1, retry_after=0.2)
    started = time.monotonic()
    await store.search([1, 0, 0])
    assert time.monotonic() - started >= 0.2
    emulator.fail(429, "POST /query", times=2, retry_after=0.01)
    with pytest.raises(RateLimitError) as raised:
        await store.search([1, 0, 0])
    assert raised.value.retry_after == 0.01


# Writing


async def test_an_upsert_is_divided_by_what_it_weighs(make: MakeStore, emulator: PineconeEmulator) -> None:
    store = make()
    await store.create_index(1536)
    rows = np.random.default_rng(1).standard_normal((600, 1536)).astype(np.float32)
    await store.upsert([VectorDocument(id=f"d{i}", vector=row) for i, row in enumerate(rows)], batch_size=1000)
    assert 4 <= emulator.calls["POST /vectors/upsert"] <= 8
    assert await store.count() == 600
    (found,) = await store.fetch(["d77"])
    assert np.array_equal(found.vector, rows[77])


async def test_what_is_too_much_for_pinecone_is_halved(store: PineconeVectorStore, emulator: PineconeEmulator) -> None:
    emulator.fail(413, "POST /vectors/upsert", times=3)
    await store.upsert(docs(100))
    assert await store.count() == 100
    assert emulator.calls["POST /vectors/upsert"] == 7
    emulator.fail(413, "POST /vectors/upsert", times=None)
    with pytest.raises(UnsupportedOperationError, match="too large"):
        await store.upsert([doc("a")])


async def test_what_is_written_when_a_portion_fails_is_said(make: MakeStore, emulator: PineconeEmulator) -> None:
    store = make(max_retries=0)
    await store.create_index(1000)
    rows = np.random.default_rng(1).standard_normal((900, 1000)).astype(np.float32)
    emulator.fail(500, "POST /vectors/upsert", every=3, times=1)
    with pytest.raises(PartialFailureError) as raised:
        await store.upsert([VectorDocument(id=f"d{i}", vector=row) for i, row in enumerate(rows)], batch_size=1000)
    error = raised.value
    assert len(error.succeeded) + len(error.failed) == 900
    assert 0 < len(error.succeeded) < 900
    assert sorted([one.id async for one in store.scan(include_vectors=False)]) == sorted(error.succeeded)


async def test_half_of_an_upsert_that_failed_is_written_again(
    store: PineconeVectorStore, emulator: PineconeEmulator
) -> None:
    emulator.fail("half", "POST /vectors/upsert", times=2)
    await store.upsert(docs(50))
    assert await store.count() == 50


async def test_too_large_a_document_is_refused_before_anything_is_sent(
    store: PineconeVectorStore, emulator: PineconeEmulator
) -> None:
    with pytest.raises(InvalidDocumentError, match=r"'big' has metadata and text of 41,\d+ bytes.* holds 40,960"):
        await store.upsert([*docs(150), doc("big", text="é" * 20_500)], batch_size=10)
    assert emulator.calls["POST /vectors/upsert"] == 0
    await store.upsert([doc("fits", text="x" * 40_000)])
    with pytest.raises(InvalidDocumentError, match="'fits'"):
        await store.update_metadata("fits", {"more": "x" * 1_000})
    (found,) = await store.fetch(["fits"])
    assert found.metadata == {}


async def test_changing_metadata_writes_what_changes(store: PineconeVectorStore, emulator: PineconeEmulator) -> None:
    await store.upsert([doc("a", lang="en", n=1, tags=["x"])])
    emulator.calls.clear()
    await store.update_metadata("a", {"n": 2, "more": 1.0})
    assert emulator.calls["POST /vectors/update"] == 1
    assert emulator.calls["POST /vectors/upsert"] == 0
    await store.update_metadata("a", {"n": 2})
    assert emulator.calls["POST /vectors/update"] == 1, "nothing changes"
    await store.update_metadata("a", {"tags": 5, "lang": None})
    assert emulator.calls["POST /vectors/upsert"] == 1, "a field has to go, which only a whole record can bring about"
    (found,) = await store.fetch(["a"])
    assert found.metadata == {"lang": None, "n": 2, "tags": 5, "more": 1.0}
    assert type(found.metadata["more"]) is float
    assert await store.count(Condition("lang", "exists", False)) == 1
    assert await store.count(Condition("tags", "eq", "x")) == 0


async def test_a_record_that_is_written_whole_keeps_its_sparse_vector(
    make: MakeStore, emulator: PineconeEmulator
) -> None:
    store = make()
    await store.create_index(3, "dot_product", sparse=True)
    sparse = {"indices": [1, 5], "values": [0.5, 2.0]}
    vectors = [
        {"id": "both", "values": [1, 0, 0], "sparseValues": sparse, "metadata": {"gone": "x"}},
        {"id": "alone", "sparseValues": sparse, "metadata": {"gone": "x"}},
    ]
    with Wire(emulator) as wire:
        wire.ask("POST", "/vectors/upsert", {"vectors": vectors})
        for name in ("both", "alone"):
            await store.update_metadata(name, {"gone": None})
            found = wire.ask("GET", "/vectors/fetch", ids=name)["vectors"][name]
            assert found["sparseValues"] == sparse
            assert "gone" not in found["metadata"]
    assert await store.count(not_(Condition("n", "gt", 5))) == 2
    results = (await store.search([1, 0, 0], filters=not_(Condition("n", "gt", 5)))).results
    assert "both" in [one.id for one in results]


async def test_many_changes_of_one_document_at_once(store: PineconeVectorStore) -> None:
    await store.upsert([doc("a")])
    await asyncio.gather(*(store.update_metadata("a", {f"k{i}": float(i)}) for i in range(20)))
    (found,) = await store.fetch(["a"])
    assert found.metadata == {f"k{i}": float(i) for i in range(20)}
    assert all(type(value) is float for value in found.metadata.values())


async def test_deletes_are_counted_unless_that_is_not_wanted(make: MakeStore, emulator: PineconeEmulator) -> None:
    store = make()
    await store.create_index(3)
    await store.upsert(docs(2500), batch_size=1000)
    ids = [f"d{i:04}" for i in range(-5, 2400)]
    emulator.calls.clear()
    assert (await store.delete(ids=ids))["deleted"] == 2400
    assert emulator.calls["POST /vectors/delete"] == 3
    assert (await store.delete(filters=Condition("n", "lt", 2450)))["deleted"] == 50
    assert (await store.delete(delete_all=True))["deleted"] == 50
    uncounted = make(options={"count_deletes": False})
    await uncounted.upsert(docs(3))
    emulator.calls.clear()
    assert (await uncounted.delete(ids=["d0001", "gone"]))["deleted"] is None
    assert emulator.calls["GET /vectors/fetch"] == 0
    assert await uncounted.count() == 2


# Reading


async def test_ids_go_into_addresses_of_a_length_that_servers_take(
    store: PineconeVectorStore, emulator: PineconeEmulator
) -> None:
    ids = [f"{i:03}" + "/ü&"[i % 3] * 170 for i in range(60)]
    await store.upsert([doc(one, n=i) for i, one in enumerate(ids)])
    emulator.calls.clear()
    assert [one.id for one in await store.fetch(ids)] == ids
    assert 2 < emulator.calls["GET /vectors/fetch"] < 10


async def test_ids_that_only_the_metadata_tells(store: PineconeVectorStore) -> None:
    ids = ["é" * 256, "ia--" + "y" * 500, "short"]
    await store.upsert([doc(one, (1, i, 0)) for i, one in enumerate(ids)])
    found = await store.search([1, 0, 0], include_metadata=False, include_vectors=True)
    assert [one.id for one in found.results] == ids
    assert all(one.metadata == {} and one.text is None and one.vector is not None for one in found.results)
    assert (await store.delete(ids=ids[:2]))["deleted"] == 2


async def test_an_answer_that_would_be_too_long_is_asked_for_in_parts(
    store: PineconeVectorStore, emulator: PineconeEmulator
) -> None:
    await store.upsert([doc(f"d{i:03}", (1, i, 0), text="x" * 30_000) for i in range(200)], batch_size=50)
    emulator.calls.clear()
    found = (await store.search([1, 0, 0], top_k=200, include_vectors=True)).results
    assert [one.id for one in found] == [f"d{i:03}" for i in range(200)]
    assert all(one.text == "x" * 30_000 and one.vector is not None for one in found)
    assert emulator.calls["POST /query"] == 2
    assert len([one async for one in store.scan()]) == 200
    assert await store.count(not_(Condition("n", "gt", 5))) == 200


async def test_a_wrong_request_is_not_repeated_in_parts(store: PineconeVectorStore, emulator: PineconeEmulator) -> None:
    await store.upsert(docs(5))
    emulator.calls.clear()
    emulator.fail(400, "POST /query", times=None)
    with pytest.raises(UnsupportedOperationError):
        await store.search([1, 0, 0])
    assert emulator.calls["POST /query"] == 1
    with pytest.raises(UnsupportedOperationError):
        await store.search([1, 0, 0], top_k=500)


async def test_what_can_t_be_filtered_natively_is_found_however_rare(
    store: PineconeVectorStore, emulator: PineconeEmulator
) -> None:
    await store.upsert([*docs(3000), doc("needle", (-1, 0, 0), n="none"), doc("pin", (-1, -1, 0))], batch_size=1000)
    rare = not_(Condition("n", "gte", 0))
    emulator.calls.clear()
    assert [one.id for one in (await store.search([1, 0, 0], filters=rare)).results] == ["pin", "needle"]
    assert await store.count(rare) == 2
    assert sorted([one.id async for one in store.scan(filters=rare)]) == ["needle", "pin"]
    assert (await store.delete(filters=rare))["deleted"] == 2
    assert await store.count() == 3000


async def test_dates_are_filtered_by_pinecone(store: PineconeVectorStore, emulator: PineconeEmulator) -> None:
    await store.upsert([doc(f"d{i}", made=f"2024-05-{i + 1:02}T12:00:00+02:00") for i in range(20)])
    emulator.calls.clear()
    assert await store.count(Condition("made", "gte", "2024-05-11")) == 10
    assert emulator.calls == {"POST /query": 1, "POST /vectors/update": 1}, "one to see whether it is fresh"
    assert await store.count() == 20, "counting changes nothing"
    assert all(set(one.metadata) == {"made"} for one in await store.fetch(["d0", "d19"]))


async def test_records_of_other_programs(store: PineconeVectorStore, wire: Wire) -> None:
    theirs = {"genre": "drama", "year": 2020, "rating": 4.5, "tags": ["a"], "text": "words", "~x": 1}
    vectors = [{"id": "a", "values": [1, 0, 0], "metadata": theirs}, {"id": "b", "values": [0, 1, 0]}]
    for namespace in ("", "team:1/x", "__default__"):
        wire.ask("POST", "/vectors/upsert", {"vectors": vectors, "namespace": namespace})
    assert await store.list_namespaces() == ["", "team:1/x"]
    for namespace in ("", "team:1/x"):
        a, b = await store.fetch(["a", "b"], namespace)
        assert a.metadata == theirs
        assert type(a.metadata["year"]) is int
        assert (b.metadata, b.text) == ({}, None)
        filters = Condition("year", "gte", 2020) & Condition("tags", "eq", "a") & Condition("~x", "exists", False)
        assert (await store.search([1, 0, 0], filters=filters, namespace=namespace)).total == 1
    assert await store.list_namespaces() == ["", "team:1/x"]


async def test_a_namespace_called_like_pinecone_s_default_one(store: PineconeVectorStore) -> None:
    await store.upsert([doc("a", n=1)])
    await store.upsert([doc("a", n=2)], namespace="__default__")
    assert await store.list_namespaces() == ["", "__default__"]
    assert (await store.delete(delete_all=True, namespace="__default__"))["deleted"] == 1
    assert (await store.fetch(["a"]))[0].metadata == {"n": 1}


# Freshness


async def test_what_this_store_has_written_is_waited_for(make: MakeStore, emulator: PineconeEmulator) -> None:
    store = make()
    await store.create_index(3)
    emulator.lag = 0.15
    for i, read in enumerate(
        (
            lambda: store.search([1, 0, 0]),
            lambda: store.fetch(["a"]),
            lambda: store.count(),
            lambda: store.count(Condition("n", "gte", 0)),
            lambda: store.get_stats(),
            lambda: store.list_namespaces(),
            lambda: store.update_metadata("a", {"m": 1}),
            lambda: store.delete(filters=Condition("n", "exists", True)),
        )
    ):
        await store.upsert([doc("a", n=i)])
        found: Any = await read()
        assert found not in (0, [], {"updated": 0, "namespace": ""}, {"deleted": 0, "namespace": ""})
        assert getattr(found, "total", 1) == 1
    emulator.calls.clear()
    await store.upsert(docs(50), batch_size=5)
    assert emulator.calls["POST /query"] == 0, "writing waits for nothing"
    assert [one.id async for one in store.scan()] == [f"d{i:04}" for i in range(50)]
    asked = emulator.calls["POST /query"]
    await store.count()
    assert emulator.calls["POST /query"] == asked, "once it is known to be there, nothing is asked"


async def test_others_see_it_after_settle(make: MakeStore, emulator: PineconeEmulator) -> None:
    store, other = make(), make()
    await store.create_index(3)
    await other.count()
    emulator.lag = 0.2
    await store.upsert([doc("a")], namespace="n")
    assert await other.count(namespace="n") == 0
    await store.settle()
    assert await other.count(namespace="n") == 1


async def test_the_wait_is_bounded_and_can_be_turned_off(
    make: MakeStore, emulator: PineconeEmulator, caplog: pytest.LogCaptureFixture
) -> None:
    store, hasty = make(options={"freshness_wait": 0.2}), make(options={"freshness_wait": 0})
    await store.create_index(3)
    emulator.lag = 60
    await hasty.upsert([doc("b")])
    started = time.monotonic()
    assert await hasty.count() == 0
    assert time.monotonic() - started < 0.15
    await store.upsert([doc("a")])
    with caplog.at_level(logging.WARNING):
        assert (await store.search([1, 0, 0])).total == 0
    assert 0.2 <= time.monotonic() - started < 5
    assert "not indexed after 0.2 s" in caplog.text


async def test_many_readers_wait_for_themselves(make: MakeStore, emulator: PineconeEmulator) -> None:
    store = make()
    await store.create_index(3)
    emulator.lag = 0.1
    for i in range(5):
        await store.upsert([doc(f"d{i}")])
        answers = await store.search_many([[1, 0, 0]] * 30, top_k=50)
        assert [one.total for one in answers] == [i + 1] * 30


# Connection


async def test_a_key_that_is_not_accepted_is_not_shown() -> None:
    with serving(api_key="right") as emulator:
        config = VectorStoreConfig(provider="pinecone", host=emulator.url, index_name="i", api_key="wrong-and-secret")
        with pytest.raises(AuthenticationError) as raised:
            await PineconeVectorStore(config).connect()
        assert "wrong-and-secret" not in repr(raised.value) + repr(raised.value.__cause__)
        store = PineconeVectorStore(
            config.model_copy(
                update={"api_key": VectorStoreConfig(provider="pinecone", index_name="i", api_key="right").api_key}
            )
        )
        await store.connect()
        await store.disconnect()


async def test_a_server_that_is_not_there() -> None:
    with serving() as emulator:
        url = emulator.url
    store = PineconeVectorStore(
        VectorStoreConfig(provider="pinecone", host=url, index_name="i", max_retries=1, retry_delay=0.001)
    )
    with pytest.raises(ConnectionError, match="can't be reached"):
        await store.connect()


async def test_a_slow_answer_ends_with_the_timeout(make: MakeStore, emulator: PineconeEmulator) -> None:
    store = make(timeout=0.3)
    await store.create_index(3)
    emulator.fail("slow", "POST /query", delay=20)
    started = time.monotonic()
    with pytest.raises(OperationTimeoutError):
        await store.search([1, 0, 0])
    assert time.monotonic() - started < 3
    assert (await store.search([1, 0, 0])).total == 0


async def test_an_index_that_was_made_although_the_answer_got_lost(make: MakeStore, emulator: PineconeEmulator) -> None:
    """The client would try again by itself, and call it a conflict."""
    emulator.fail(500, "POST /indexes", after=True)
    store = make()
    await store.create_index(3)
    assert emulator.calls["POST /indexes"] == 1, "the second attempt looks first"
    await store.upsert([doc("a")])
    with pytest.raises(IndexAlreadyExistsError):
        await store.create_index(3)


async def test_a_url(emulator: PineconeEmulator) -> None:
    url = f"pinecone://{emulator.url.partition('://')[2]}/articles?metric=dot_product"
    async with await create_vector_store(url, dimension=3, create_if_missing=True) as store:
        await store.upsert([doc("a", (2, 0, 0))])
        assert (await store.search([3, 0, 0])).results[0].score == 6.0


async def test_closing_leaves_nothing(store: PineconeVectorStore, monkeypatch: pytest.MonkeyPatch) -> None:
    await store.upsert([doc("a")])
    wire, client = store._connection._index, store._connection._client
    assert wire is not None
    assert client._config.retry_config.max_retries == 0
    assert wire._pool.connections
    await store.disconnect()
    assert wire._pool.connections == []
    assert client._http._client.is_closed
    assert store._connection._index is None
    assert await store.count() == 1, "and a later call connects again"
