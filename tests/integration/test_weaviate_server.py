"""What Weaviate does that a provider has to know, against our double and, with ``WEAVIATE_URL``, a real server."""

from __future__ import annotations

import asyncio
import datetime
from pathlib import Path
from typing import Any

import pytest

from conftest import MakeStore, double_config, free_port, imported_quietly
from ia_modules.vector_stores import (
    AuthenticationError,
    Condition,
    ConnectionError,
    IndexAlreadyExistsError,
    IndexNotFoundError,
    InvalidDocumentError,
    PartialFailureError,
    UnsupportedOperationError,
    VectorDocument,
    VectorStoreBase,
    VectorStoreConfig,
    WeaviateVectorStore,
)
from ia_modules.vector_stores.filters import all_of, predicate
from ia_modules.vector_stores.providers.weaviate.layout import object_ids
from processes import run_python

pytestmark = pytest.mark.targets("weaviate-double", "weaviate-server")


def doc(name: str, vector: tuple[float, ...] = (1, 0, 0), **metadata: Any) -> VectorDocument:
    return VectorDocument(id=name, vector=list(vector), metadata=metadata)


def wire(store: VectorStoreBase) -> Any:
    """The provider's connection, for requests that it would not make."""
    assert isinstance(store, WeaviateVectorStore)
    return store._connection


async def definition(store: VectorStoreBase) -> dict[str, Any]:
    assert isinstance(store, WeaviateVectorStore)
    found: dict[str, Any] = await wire(store).get(f"/schema/{store._collection.name}")
    return found


async def properties(store: VectorStoreBase) -> dict[str, str]:
    return {one["name"]: one["dataType"][0] for one in (await definition(store))["properties"]}


async def ids(store: VectorStoreBase, filters: Any, **given: Any) -> list[str]:
    return sorted([one.id async for one in store.scan(filters=filters, include_vectors=False, **given)])


# Properties


async def test_fields_get_properties_of_the_kind_of_their_values(store: VectorStoreBase) -> None:
    await store.upsert(
        [doc("a", lang="en", year=2024, draft=False, made="2024-05-01", size=1.5, tags=["x"], n={"x": 1})]
    )
    found = {name: kind for name, kind in (await properties(store)).items() if not name.startswith("_ia_")}
    assert found == {"lang": "text", "year": "number", "draft": "boolean", "made": "text", "size": "number"}
    found = await properties(store)
    assert found["_ia_d_made"] == "date"
    assert found["_ia_n_n_2ex"] == "number"
    one = next(p for p in (await definition(store))["properties"] if p["name"] == "lang")
    assert one["tokenization"] == "field"


async def test_a_field_with_several_kinds_of_values(store: VectorStoreBase) -> None:
    values = ["2024", 2024, 2024.5, True, None, [2024, "x"], {"x": 1}, "", " 2024", "2024-01-01", 2**60, 2**60 + 1]
    await store.upsert([doc(f"d{i:02}", v=value) for i, value in enumerate(values)] + [doc("none")])
    assert await ids(store, Condition("v", "eq", 2024)) == ["d01", "d05"]
    assert await ids(store, Condition("v", "eq", "2024")) == ["d00"]
    assert await ids(store, Condition("v", "eq", " 2024")) == ["d08"]
    assert await ids(store, Condition("v", "eq", True)) == ["d03"]
    assert await ids(store, Condition("v", "eq", 2**60 + 1)) == ["d11"]
    assert await ids(store, Condition("v", "gt", 2024)) == ["d02", "d10", "d11"]
    assert await ids(store, Condition("v", "gt", 2**60)) == ["d11"]
    assert await ids(store, Condition("v", "lt", "2025-01-01")) == ["d09"]
    assert await ids(store, Condition("v", "exists", False)) == ["d04", "none"]
    assert await ids(store, Condition("v", "contains_all", [])) == ["d05"]


async def test_objects_older_than_a_property_do_not_have_it(store: VectorStoreBase) -> None:
    await store.upsert([doc("old")])
    await store.upsert([doc("new", lang="en")])
    assert await ids(store, Condition("lang", "exists", False)) == ["old"]
    assert await ids(store, Condition("lang", "ne", "en")) == ["old"]
    assert await store.count(Condition("lang", "exists", True)) == 1


@pytest.mark.parametrize(
    "keys", [("userId", "userid", "USERID"), ("_x", "__y", "_creationTimeUnix"), ("id", "vector", "a_nullState")]
)
async def test_names_that_are_something_else_to_weaviate(store: VectorStoreBase, keys: tuple[str, ...]) -> None:
    await store.upsert([VectorDocument(id=key, vector=[1, 0, 0], metadata={key: "v"}) for key in keys])
    for key in keys:
        assert await ids(store, Condition(key, "eq", "v")) == [key]
        assert await ids(store, Condition(key, "exists", True)) == [key]


async def test_another_store_s_new_property_is_found(make_store: MakeStore, store: VectorStoreBase) -> None:
    await store.upsert([doc("a", lang="en")])
    assert await store.count(Condition("year", "gt", 2000)) == 0
    assert await store.count(Condition("year", "exists", False)) == 1
    other = make_store(dimension=3)
    await other.upsert([doc("b", year=2024), doc("c", lang=5)])
    assert await store.count(Condition("year", "gt", 2000)) == 1
    assert await store.count(Condition("year", "exists", False)) == 2
    assert await store.count(Condition("lang", "eq", 5)) == 1


async def test_two_stores_that_give_one_field_two_kinds(make_store: MakeStore, store: VectorStoreBase) -> None:
    other = make_store(dimension=3)
    await store.upsert([doc("z")])
    await other.upsert([doc("y")])  # both know a collection without the property
    await store.upsert([doc("a", v="text")])
    await other.upsert([doc("b", v=5)])
    for each in (store, other):
        assert await ids(each, Condition("v", "eq", "text")) == ["a"]
        assert await ids(each, Condition("v", "gte", 5)) == ["b"]
        assert await ids(each, Condition("v", "exists", True)) == ["a", "b"]


async def test_many_stores_give_fields_many_kinds_at_the_same_moment(
    make_store: MakeStore, store: VectorStoreBase
) -> None:
    stores = [store, make_store(dimension=3), make_store(dimension=3)]
    kinds: list[Any] = [str, int, bool]

    async def write(k: int) -> None:
        for i in range(8):
            await stores[k].upsert(
                [doc(f"d{k}{i}", **{"same": kinds[k](i), f"own{k}{i}": i, f"shared{i}": kinds[k](i)})]
            )

    await asyncio.gather(*map(write, range(3)))
    for each in stores:
        assert await ids(each, Condition("same", "eq", "5")) == ["d05"]
        assert await ids(each, Condition("same", "gte", 6)) == ["d16", "d17"]
        assert await ids(each, Condition("same", "eq", True)) == [f"d2{i}" for i in range(1, 8)]
        for i in range(8):
            assert await ids(each, Condition(f"shared{i}", "exists", True)) == [f"d{k}{i}" for k in range(3)]
            assert await ids(each, Condition(f"own1{i}", "lte", i)) == [f"d1{i}"]


async def test_an_index_made_again_is_another_one(make_store: MakeStore, store: VectorStoreBase) -> None:
    await store.upsert([doc("a", lang="en", year=1)])
    assert await store.count(Condition("lang", "eq", "en")) == 1
    other = make_store(dimension=3)
    await other.delete_index()
    await other.create_index(3)
    await other.upsert([doc("b", lang="de")])
    assert await store.count(Condition("lang", "eq", "en")) == 0
    assert await store.count(Condition("year", "gte", 1)) == 0
    # It does not know that these properties are gone, and Weaviate makes ones of its own of what it refuses.
    stale = make_store(dimension=3)
    await stale.upsert([doc("c", kind="a b")])
    await other.delete_index()
    await other.create_index(3)
    await stale.upsert([doc("c", kind="Two Words", size=1), doc("d", kind="two words")])
    fresh = make_store(dimension=3)
    for each in (fresh, other, stale):
        assert await ids(each, Condition("kind", "eq", "two words")) == ["d"]
        assert await ids(each, Condition("kind", "ne", "two words")) == ["c"]
        assert await ids(each, Condition("size", "gt", 0)) == ["c"]
    await fresh.upsert([doc("e", kind="two words")])
    assert await ids(other, Condition("kind", "eq", "two words")) == ["d", "e"]


async def test_an_index_made_again_with_another_metric(make_store: MakeStore, store: VectorStoreBase) -> None:
    await store.upsert([doc("a", (2, 0, 0), n=1)])
    other = make_store(dimension=3)
    await other.delete_index()
    await other.create_index(3, "dot_product")
    await other.upsert([doc("a", (2, 0, 0), n="text")])
    assert (await store.fetch(["a"]))[0].vector == [2, 0, 0]
    assert (await store.search([3, 0, 0])).results[0].score == pytest.approx(6)
    assert (await store.search([3, 0, 0], filters=Condition("n", "gt", 0))).results == []


async def test_an_index_that_is_gone_is_not_made_again_by_writing(
    make_store: MakeStore, store: VectorStoreBase
) -> None:
    await store.upsert([doc("a")])
    other = make_store(dimension=3)
    await other.delete_index()
    with pytest.raises(IndexNotFoundError):
        await store.upsert([doc("a")])
    assert not await other.index_exists()
    for call in (
        store.search([1, 0, 0]),
        store.count(),
        store.fetch(["a"]),
        store.delete(ids=["a"]),
        store.get_stats(),
    ):
        with pytest.raises(IndexNotFoundError):
            await call
    await other.create_index(3)
    with pytest.raises(IndexAlreadyExistsError):
        await store.create_index(3)
    await store.upsert([doc("a")])
    assert await other.count() == 1


async def test_declared_properties_only(make_store: MakeStore) -> None:
    store = make_store(dimension=3)
    await store.create_index(3, auto_properties=False, properties=[{"name": "year", "type": "int"}])
    before = await properties(store)
    found = [
        doc(f"d{i}", year=2000 + i, score=i / 2, lang="en" if i % 2 else "de", when=f"2024-01-0{i + 1}")
        for i in range(6)
    ]
    await store.upsert(found)
    assert await properties(store) == before
    for condition in (
        Condition("year", "gt", 2002),
        Condition("score", "gt", 1),
        Condition("lang", "eq", "en"),
        Condition("lang", "exists", True),
        Condition("when", "lte", "2024-01-03"),
        all_of(Condition("score", "gte", 1), Condition("lang", "ne", "en")),
    ):
        passes = predicate(condition)
        assert await ids(store, condition) == [one.id for one in found if passes(one.metadata)]
        assert await store.count(condition) == sum(passes(one.metadata) for one in found)
        results = (await store.search([1, 0, 0], filters=condition)).results
        assert sorted(one.id for one in results) == [one.id for one in found if passes(one.metadata)]


async def test_options_reach_the_server(make_store: MakeStore) -> None:
    store = make_store(dimension=3, options={**make_store().config.options, "consistency_level": "ALL"})
    await store.create_index(3, "manhattan", hnsw_config={"ef_construction": 64, "max_connections": 8})
    vector = next(iter((await definition(store))["vectorConfig"].values()))["vectorIndexConfig"]
    assert (vector["distance"], vector["efConstruction"], vector["maxConnections"]) == ("manhattan", 64, 8)
    await store.upsert([doc("a")])
    assert (await store.search([1, 0, 0])).results[0].score == pytest.approx(1.0, abs=1e-6)
    assert await store.delete(ids=["a"]) == {"deleted": 1, "namespace": ""}


async def test_what_the_server_refuses_is_told(make_store: MakeStore) -> None:
    store = make_store(dimension=3)
    with pytest.raises(UnsupportedOperationError, match=r"Weaviate refuses the request \(422\)"):
        await store.create_index(3, vector_index="dynamic")
    assert not await store.index_exists()


async def test_somebody_else_s_collection_is_refused(make_store: MakeStore) -> None:
    store = make_store(dimension=3)
    await store.connect()
    assert isinstance(store, WeaviateVectorStore)
    await wire(store).post("/schema", {"class": store._collection.name, "properties": []})
    with pytest.raises(UnsupportedOperationError, match="was not made by this library"):
        await store.count()
    with pytest.raises(IndexAlreadyExistsError):
        await store.create_index(3)
    await wire(store).delete(f"/schema/{store._collection.name}")


# Tenants


async def test_namespaces_are_tenants(store: VectorStoreBase) -> None:
    names = ["", "default", "_default", "a", "A", "team/é", "é" * 32, "é" * 31 + "e", "x" * 64, "_ux"]
    for name in names:
        await store.upsert([doc("a", of=name)], namespace=name)
    assert await store.list_namespaces() == sorted(names)
    for name in names:
        assert (await store.fetch(["a"], namespace=name))[0].metadata == {"of": name}
    assert (await store.get_stats()).total_vectors == len(names)
    await store.delete(ids=["a"], namespace="A")
    await store.delete(delete_all=True, namespace="team/é")
    assert await store.list_namespaces() == sorted({*names} - {"A", "team/é"})
    await store.upsert([doc("a")], namespace="A")
    assert "A" in await store.list_namespaces()


async def test_tenants_of_somebody_else_are_no_namespaces(store: VectorStoreBase) -> None:
    assert isinstance(store, WeaviateVectorStore)
    await store.upsert([doc("a")])
    await wire(store).post(f"/schema/{store._collection.name}/tenants", [{"name": "_foreign"}, {"name": "empty"}])
    assert await store.list_namespaces() == [""]


async def test_many_tasks_write_to_a_new_namespace(store: VectorStoreBase) -> None:
    await asyncio.gather(*(store.upsert([doc(f"d{i}", **{f"k{i % 5}": i})], namespace="new") for i in range(20)))
    assert await store.count(namespace="new") == 20


# Limits


async def test_more_than_the_server_gives_without_being_asked(store: VectorStoreBase) -> None:
    await store.upsert([doc(f"d{i}", (1, i, 0)) for i in range(150)])
    assert len(await store.fetch([f"d{i}" for i in range(150)])) == 150
    assert len((await store.search([1, 0, 0], top_k=150)).results) == 150
    assert len(await ids(store, None, batch_size=40)) == 150


async def write_and_read(store: VectorStoreBase, size: int) -> None:
    """Twenty documents with so long texts."""
    found = [VectorDocument(id=f"d{i}", vector=[1, i, 0], text=f"{i} " + "x" * size) for i in range(20)]
    assert await store.upsert(found, batch_size=20) == {"upserted": 20, "namespace": ""}
    for read in ([one async for one in store.scan()], await store.fetch([one.id for one in found])):
        assert sorted((one.id, one.text) for one in read) == sorted((one.id, one.text) for one in found)
    assert len(await ids(store, Condition("nothing", "exists", False))) == 20


@pytest.mark.targets("weaviate-server")
async def test_more_than_a_message_holds(store: VectorStoreBase) -> None:
    await write_and_read(store, 6_000_000)


async def test_more_than_a_filter_deletes_at_a_time(store: VectorStoreBase) -> None:
    await store.upsert([doc(f"d{i}", (1, i, 0), even=i % 2 == 0) for i in range(20_100)], batch_size=2_000)
    assert await store.count(Condition("even", "eq", True)) == 10_050
    assert len(await ids(store, Condition("even", "eq", True))) == 10_050
    assert await store.delete(filters=Condition("even", "eq", True)) == {"deleted": 10_050, "namespace": ""}
    assert await store.count() == 10_050


async def test_deleting_counts_what_was_there(store: VectorStoreBase) -> None:
    await store.upsert([doc("a"), doc("b", x=1)])
    assert (await store.delete(ids=["a", "nobody"]))["deleted"] == 1
    assert (await store.delete(ids=["a"], namespace="nowhere"))["deleted"] == 0
    assert (await store.delete(delete_all=True, namespace="nowhere"))["deleted"] == 0
    assert (await store.delete(filters=Condition("x", "eq", 1)))["deleted"] == 1


async def test_updates_and_replacements_of_one_document(store: VectorStoreBase) -> None:
    await store.upsert([doc("a", n=0)])
    await asyncio.gather(*(store.update_metadata("a", {f"k{i}": i}) for i in range(10)))
    assert (await store.fetch(["a"]))[0].metadata == {"n": 0, **{f"k{i}": i for i in range(10)}}
    update = asyncio.create_task(store.update_metadata("a", {"n": 1}))
    await asyncio.sleep(0)
    await store.delete(ids=["a"])
    await update
    assert await store.fetch(["a"]) == [], "a deleted document returned"


# Failures


TLS = """
import asyncio
from ia_modules.vector_stores import *

async def main():
    config = VectorStoreConfig(
        provider="weaviate", host="localhost", port={port}, api_key="right-key", index_name="i", max_retries=0,
        options={options!r},
    )
    try:
        async with await create_vector_store(config) as store:
            await store.create_index(3)
            await store.upsert([VectorDocument(id="a", vector=[1, 0, 0])])
            print(await store.count())
    except ConnectionError as error:
        assert "CERTIFICATE_VERIFY_FAILED" in str(error), error
        print(type(error).__name__)

asyncio.run(main())
"""


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A key and a certificate for ``localhost``, in files."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(tz=datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "key.pem", folder / "certificate.pem"
    plain = serialization.NoEncryption()
    paths[0].write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    paths[1].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return paths


@pytest.mark.targets("weaviate-double")
class TestFailures:
    """On a double of their own, which fails when told to."""

    @pytest.fixture
    def double(self) -> Any:
        with imported_quietly():
            from emulator.weaviate import serving
        with serving() as server:
            yield server

    def config(self, double: Any, **given: Any) -> VectorStoreConfig:
        return VectorStoreConfig(
            **({"index_name": "i", "dimension": 3, "retry_delay": 0.0} | double_config(double) | given)
        )

    @pytest.fixture
    async def failing(self, double: Any) -> Any:
        async with WeaviateVectorStore(self.config(double)) as store:
            await store.create_index(3)
            yield store

    async def test_documents_that_are_refused_are_named(self, double: Any, failing: VectorStoreBase) -> None:
        (key,) = object_ids(["d7"])
        double.fail_ids({key: "invalid text property 'x'"})
        with pytest.raises(PartialFailureError) as caught:
            await failing.upsert([doc(f"d{i}") for i in range(10)])
        assert set(caught.value.failed) == {"d7"}
        assert caught.value.succeeded == [f"d{i}" for i in range(10) if i != 7]
        assert isinstance(caught.value.failed["d7"], InvalidDocumentError)
        assert not caught.value.retryable
        assert await failing.count() == 9
        double.fail_ids({})
        await failing.upsert([doc("d7")])
        assert await failing.count() == 10

    @pytest.mark.parametrize("given", [{"ids": ["d3", "d7", "nobody"]}, {"filters": Condition("n", "gte", 3)}])
    async def test_documents_that_are_not_deleted_are_named(
        self, double: Any, failing: VectorStoreBase, given: dict[str, Any]
    ) -> None:
        await failing.upsert([doc(f"d{i}", n=i) for i in range(10)])
        double.fail_ids({object_ids(["d7"])[0]: "object is locked"})
        with pytest.raises(
            PartialFailureError, match=r"1 documents were not deleted, [16] were: object is locked"
        ) as caught:
            await failing.delete(**given)
        assert set(caught.value.failed) == {"d7"}
        assert not caught.value.retryable
        left = {one.id async for one in failing.scan()}
        assert "d7" in left
        assert "d3" not in left
        double.fail_ids({})
        assert (await failing.delete(**given))["deleted"] == 1

    async def test_a_refusal_that_passes_is_tried_again(self, double: Any, failing: VectorStoreBase) -> None:
        (key,) = object_ids(["a"])
        double.fail_ids({key: "store is read-only"})
        with pytest.raises(PartialFailureError) as caught:
            await failing.upsert([doc("a"), doc("b")])
        assert double.calls["BatchObjects"] == 4
        assert set(caught.value.failed) == {"a"}

    async def test_gone_for_a_moment(self, double: Any, failing: VectorStoreBase) -> None:
        import grpc

        await failing.upsert([doc("a")])
        for call in (failing.search([1, 0, 0]), failing.count(), failing.upsert([doc("a")]), failing.delete(ids=["x"])):
            double.fail_next(2, grpc.StatusCode.UNAVAILABLE)
            await call
        assert await failing.count() == 1

    async def test_gone_for_good_is_told_at_once(self, double: Any) -> None:
        import grpc

        async with WeaviateVectorStore(self.config(double, max_retries=0)) as store:
            await store.create_index(3)
            double.fail_next(1, grpc.StatusCode.UNAVAILABLE, "gone")
            with pytest.raises(ConnectionError, match="gone"):
                await store.search([1, 0, 0])
            assert double.calls["Search"] == 1, "the client's own waiting was at work"

    async def test_connecting_asks_nobody_else(self, double: Any) -> None:
        async with WeaviateVectorStore(self.config(double)):
            assert set(double.calls) == {"GET /v1/meta", "GET /v1/nodes", "TenantsGet"}

    async def test_a_forgotten_grpc_port_is_named(self, double: Any) -> None:
        config = self.config(double, options={"grpc_port": free_port()}, max_retries=0)
        with pytest.raises(ConnectionError, match=r"answers REST but not gRPC on \d+ \(option grpc_port\)"):
            await WeaviateVectorStore(config).connect()

    async def test_nobody_there(self) -> None:
        config = VectorStoreConfig(
            provider="weaviate", host="127.0.0.1", port=free_port(), index_name="i", max_retries=0
        )
        with pytest.raises(ConnectionError, match="can't be reached"):
            await WeaviateVectorStore(config).connect()

    async def test_more_than_a_message_holds(self) -> None:
        with imported_quietly():
            from emulator.weaviate import serving
        with serving(message_bytes=100_000) as server:
            async with WeaviateVectorStore(self.config(server)) as store:
                await store.create_index(3)
                await write_and_read(store, 6_000)
                with pytest.raises(UnsupportedOperationError, match="message is too large"):
                    await store.upsert([VectorDocument(id="long", vector=[1, 0, 0], text="x" * 100_000)])

    @pytest.mark.parametrize("trusted", [True, False])
    def test_tls(self, trusted: bool, tmp_path: Path) -> None:
        key, certificate = self_signed(tmp_path)
        with imported_quietly():
            from emulator.weaviate import serving
        with serving(api_key="right-key", tls=(key, certificate)) as server:
            config = self.config(server, host="localhost", api_key="right-key", max_retries=0)
            where = {"SSL_CERT_FILE": str(certificate), "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(certificate)}
            options = {"grpc_port": server.grpc_port, "trust_env": trusted}
            code = TLS.format(port=config.port, options=options)
            assert run_python(code, **where) == ("1" if trusted else "ConnectionError")

    async def test_keys(self) -> None:
        with imported_quietly():
            from emulator.weaviate import serving
        with serving(api_key="right-key") as server:
            right = self.config(server, api_key="right-key", tls=False)
            async with WeaviateVectorStore(right) as store:
                await store.create_index(3)
                await store.upsert([doc("a")])
            for key in ("wrong-key", None):
                with pytest.raises(AuthenticationError) as caught:
                    await WeaviateVectorStore(self.config(server, api_key=key, tls=False)).connect()
                assert "wrong-key" not in str(caught.value)


@pytest.mark.targets("weaviate-double")
async def test_a_short_answer_is_counted_after_only_where_the_graph_was_asked(store: VectorStoreBase) -> None:
    assert isinstance(store, WeaviateVectorStore)
    await store.upsert([doc(f"d{i}", (1, i, 0), n=i) for i in range(30)])
    counted = 0
    count = store._collection.count

    async def counting(namespace: str, message: Any) -> int:
        nonlocal counted
        counted += 1
        return await count(namespace, message)

    store._collection.count = counting  # type: ignore[method-assign]
    for _ in range(5):
        assert len((await store.search([1, 0, 0], filters=Condition("n", "lt", 3))).results) == 3
    assert counted == 1, "the size of the namespace, once"
    (await store._collection.schema()).scanned = 10
    for _ in range(5):
        assert len((await store.search([1, 0, 0], filters=Condition("n", "lt", 3))).results) == 3
    assert counted == 6
