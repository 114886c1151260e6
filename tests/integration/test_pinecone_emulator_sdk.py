"""Pinecone's own SDK against the emulator: what users do."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from ia_modules.vector_stores.emulator.pinecone import PineconeEmulator, Reads, serving

pinecone = pytest.importorskip("pinecone")

SPEC = pinecone.ServerlessSpec(cloud="aws", region="us-east-1")
SERVERLESS = {"deployment_type": "managed", "cloud": "aws", "region": "us-east-1"}


@pytest.fixture(scope="module")
def server() -> Iterator[PineconeEmulator]:
    with serving() as emulator:
        yield emulator


@pytest.fixture
def emulator(server: PineconeEmulator) -> PineconeEmulator:
    server.reset()
    return server


async def test_vectors_from_birth_to_death(emulator: PineconeEmulator) -> None:
    async with pinecone.AsyncPinecone(host=emulator.url, api_key="any") as client:
        made = await client.indexes.create(name="docs", dimension=4, metric="cosine", spec=SPEC)
        assert (made.dimension, made.metric, made.vector_type, made.host) == (
            4,
            "cosine",
            "dense",
            f"{emulator.url}/i/docs",
        )
        assert made.spec.serverless.region == "us-east-1"
        assert made.tags is None
        assert made.status.ready
        assert [one.name async for one in client.indexes.list()] == ["docs"]
        assert await client.indexes.exists("docs")
        async with await client.index("docs") as index:
            vectors = [
                {
                    "id": f"doc-{n:04}",
                    "values": [1.0, n / 1000, 0, 0],
                    "metadata": {"n": n, "tags": [f"t{n % 7}", "all"]},
                }
                for n in range(1_250)
            ]
            answer = await index.upsert(vectors=vectors, batch_size=500)
            assert (answer.upserted_count, answer.has_errors) == (1_250, False)
            assert answer.response_info.lsn_committed == 3
            found = await index.query(
                vector=[1, 0, 0, 0],
                top_k=3,
                filter={"$and": [{"n": {"$gte": 10}}, {"tags": {"$in": ["t3"]}}]},
                include_metadata=True,
                include_values=True,
            )
            assert [one.id for one in found.matches] == ["doc-0010", "doc-0017", "doc-0024"]
            assert found.matches[0].metadata == {"n": 10.0, "tags": ["t3", "all"]}
            assert found.matches[0].values == [1.0, 0.01, 0.0, 0.0]
            assert found.response_info.is_reconciled(3)
            got = await index.fetch(ids=["doc-0001", "nowhere"])
            assert list(got.vectors) == ["doc-0001"]
            pages = [[item.id for item in page.vectors] async for page in index.list(prefix="doc-0", limit=100)]
            assert [len(page) for page in pages] == [100] * 10
            await index.update(id="doc-0001", set_metadata={"read": True})
            dry = await index.update(filter={"n": {"$lt": 5}}, set_metadata={"small": True}, dry_run=True)
            assert dry.matched_records == 5
            await index.update(filter={"n": {"$lt": 5}}, set_metadata={"small": True})
            page = await index.fetch_by_metadata(filter={"small": True}, limit=3)
            assert list(page.vectors) == ["doc-0000", "doc-0001", "doc-0002"]
            page = await index.fetch_by_metadata(filter={"small": True}, pagination_token=page.pagination.next)
            assert list(page.vectors) == ["doc-0003", "doc-0004"]
            assert page.pagination is None
            await index.delete(ids=["doc-0000"])
            await index.delete(filter={"n": {"$gte": 1_000}})
            stats = await index.describe_index_stats()
            assert stats.total_vector_count == 999
            assert stats.namespaces["__default__"].vector_count == 999
            assert (stats.dimension, stats.metric, stats.vector_type) == (4, "cosine", "dense")
        changed = await client.indexes.configure("docs", deletion_protection="enabled", tags={"team": "x"})
        assert changed.tags == {"team": "x"}
        with pytest.raises(pinecone.errors.ForbiddenError, match="Deletion protection"):
            await client.indexes.delete("docs")
        await client.indexes.configure("docs", deletion_protection="disabled")
        await client.indexes.delete("docs")
        assert not await client.indexes.exists("docs")


async def test_namespaces(emulator: PineconeEmulator) -> None:
    async with pinecone.AsyncPinecone(host=emulator.url, api_key="any") as client:
        await client.indexes.create(name="docs", dimension=2, metric="euclidean", spec=SPEC)
        async with await client.index("docs") as index:
            await index.upsert(vectors=[("a", [1, 2])], namespace="one/two .#")
            made = await index.create_namespace(name="films", schema={"fields": {"genre": {"filterable": True}}})
            assert (made.name, made.record_count, made.indexed_fields.fields) == ("films", 0, ["genre"])
            with pytest.raises(pinecone.errors.ConflictError):
                await index.create_namespace(name="films")
            assert (await index.describe_namespace(name="one/two .#")).record_count == 1
            names = [one.name async for page in index.list_namespaces() for one in page.namespaces]
            assert names == ["films", "one/two .#"]
            await index.delete_namespace(name="one/two .#")
            with pytest.raises(pinecone.errors.NotFoundError):
                await index.describe_namespace(name="one/two .#")
            with pytest.raises(pinecone.errors.NotFoundError, match="Namespace not found"):
                await index.delete(ids=["a"], namespace="one/two .#")
            assert (await index.query(vector=[1, 2], top_k=1, namespace="one/two .#")).matches == []


async def test_errors_are_typed(emulator: PineconeEmulator) -> None:
    async with pinecone.AsyncPinecone(host=emulator.url, api_key="any") as client:
        with pytest.raises(pinecone.errors.NotFoundError, match="Index docs not found") as caught:
            await client.indexes.describe("docs")
        assert caught.value.error_code == "NOT_FOUND"
        await client.indexes.create(name="docs", dimension=2, spec=SPEC)
        with pytest.raises(pinecone.errors.ConflictError):
            await client.indexes.create(name="docs", dimension=2, spec=SPEC)
        async with await client.index("docs") as index:
            with pytest.raises(pinecone.errors.ApiError, match="Vector dimension 3 does not match") as caught:
                await index.upsert(vectors=[("a", [1, 2, 3])])
            assert caught.value.status_code == 400
            with pytest.raises(pinecone.errors.ApiError, match="not an operator"):
                await index.query(vector=[1, 2], top_k=1, filter={"a": {"$like": "b"}})
            with pytest.raises(pinecone.errors.PayloadTooLargeError):
                await index.upsert(vectors=[{"id": "a", "values": [1, 2], "metadata": {"x": "y" * 2_100_000}}])
    with serving(api_key="right") as other:
        async with pinecone.AsyncPinecone(host=other.url, api_key="wrong") as client:
            with pytest.raises(pinecone.errors.UnauthorizedError, match="Unauthorized"):
                await client.indexes.describe("docs")


def test_the_synchronous_client(emulator: PineconeEmulator) -> None:
    with pinecone.Pinecone(host=emulator.url, api_key="any") as client:
        client.indexes.create(
            name="both",
            schema={
                "fields": {
                    "_values": {"type": "dense_vector", "dimension": 2, "metric": "dotproduct"},
                    "_sparse_values": {"type": "sparse_vector"},
                }
            },
            deployment=SERVERLESS,
        )
        client.indexes.create(name="words", vector_type="sparse", spec=SPEC)
        described = client.indexes.describe("words")
        assert (described.vector_type, described.metric, described.dimension) == ("sparse", "dotproduct", None)
        words = {"indices": [3, 9], "values": [1.0, 0.5]}
        with client.index("both") as index:
            index.upsert(vectors=[{"id": "a", "values": [1, 0], "sparse_values": words}, ("b", [2, 0])])
            found = index.query(vector=[1, 0], sparse_vector={"indices": [9], "values": [4.0]}, top_k=2)
            assert [(one.id, one.score) for one in found.matches] == [("a", 3.0), ("b", 2.0)]
            assert index.fetch(ids=["a"]).vectors["a"].sparse_values.indices == [3, 9]
        with client.index("words") as index:
            index.upsert(vectors=[{"id": "a", "sparse_values": words}])
            assert index.query(sparse_vector={"indices": [3], "values": [2.0]}, top_k=5).matches[0].score == 2.0


def test_kinds_of_indexes_that_can_be_described(emulator: PineconeEmulator) -> None:
    with pinecone.Pinecone(host=emulator.url, api_key="any") as client:
        client.indexes.create(
            name="papers",
            schema={
                "fields": {
                    "embedding": {"type": "dense_vector", "dimension": 5, "metric": "cosine", "description": "of it"},
                    "title": {"type": "string", "full_text_search": {"language": "en"}},
                }
            },
        )
        papers = client.indexes.describe("papers")
        assert papers.schema.fields["embedding"].description == "of it"
        assert papers.dimension == 5
        client.indexes.create(
            name="pods",
            dimension=2,
            spec=pinecone.PodSpec(environment="us-east1-gcp", pod_type="p1.x1", replicas=2, shards=2, pods=4),
        )
        assert client.indexes.describe("pods").spec.pod.pods == 4
        assert client.indexes.configure("pods", deployment={"replicas": 3}).deployment.replicas == 3
        client.indexes.create(
            name="own", dimension=2, spec=pinecone.ByocSpec(environment="mine"), read_capacity={"mode": "Dedicated"}
        )
        own = client.indexes.describe("own")
        assert own.deployment.environment == "mine"
        assert own.read_capacity.dedicated.node_type == "b1"
        assert {one.name for one in client.indexes.list()} == {"papers", "pods", "own"}


async def test_waiting_until_a_write_can_be_seen(emulator: PineconeEmulator) -> None:
    async with pinecone.AsyncPinecone(host=emulator.url, api_key="any") as client:
        await client.indexes.create(name="docs", dimension=2, spec=SPEC)
        emulator.lag = Reads(3)
        async with await client.index("docs") as index:
            written = await index.upsert(vectors=[("a", [1, 2])])
            tries = 0
            while True:
                found = await index.query(vector=[1, 2], top_k=1)
                tries += 1
                if found.response_info.is_reconciled(written.response_info.lsn_committed):
                    break
                assert found.matches == []
            assert tries == 4
            assert found.matches[0].id == "a"


async def test_many_at_the_same_time(emulator: PineconeEmulator) -> None:
    async with pinecone.AsyncPinecone(host=emulator.url, api_key="any") as client:
        await client.indexes.create(name="docs", dimension=2, spec=SPEC)
        async with await client.index("docs") as index:

            async def one(number: int) -> str:
                await index.upsert(vectors=[(f"r{number}", [1, number])], namespace=f"n{number % 5}")
                found = await index.query(id=f"r{number}", top_k=1, namespace=f"n{number % 5}")
                return str(found.matches[0].id)

            assert await asyncio.gather(*map(one, range(100))) == [f"r{number}" for number in range(100)]
            assert (await index.describe_index_stats()).total_vector_count == 100
