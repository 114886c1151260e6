"""Programs as Pinecone's users write them, each in a process of its own.

A program knows the emulator by two variables of the environment only, PINECONE_API_KEY and PINECONE_CONTROLLER_HOST.
Without the second, it would run against the service; hence each waits until what it wrote can be seen, and cleans up.
Each runs twice: where writes are seen at once, and where they are seen later.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from ia_modules.vector_stores.emulator.pinecone import PineconeEmulator, serving
from processes import run_python

pytest.importorskip("pinecone")


class Program(NamedTuple):
    """What a user runs, and what it prints."""

    code: str
    printed: str


BEGINNING = """
import time
import pinecone
from pinecone import AsyncPinecone, Pinecone, ServerlessSpec, SparseValues, Vector

def wait_for(true, seconds=90):
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError("still not so")
        time.sleep(0.01)
"""

QUICKSTART = Program(
    """
pc = Pinecone()
if not pc.indexes.exists("example-quickstart"):
    pc.indexes.create(
        name="example-quickstart",
        dimension=8,
        metric="cosine",
        spec=ServerlessSpec(cloud="aws", region="us-east-1"),
        deletion_protection="disabled",
        tags={"environment": "development"},
    )
description = pc.indexes.describe("example-quickstart")
print(description.name, description.dimension, description.metric, description.status.ready, description.tags)

index = pc.index("example-quickstart")
records = [
    {
        "id": f"film-{number}",
        "values": [1.0, number / 100, 0, 0, 0, 0, 0, 0.5],
        "metadata": {"genre": "comedy" if number % 3 else "drama", "year": 1990 + number % 30},
    }
    for number in range(250)
]
response = index.upsert(vectors=records, namespace="films", batch_size=100, show_progress=False)
print(response.upserted_count, response.has_errors)
wait_for(lambda: index.describe_index_stats().total_vector_count == 250)

found = index.query(
    namespace="films",
    vector=[1.0, 0, 0, 0, 0, 0, 0, 0.5],
    top_k=3,
    filter={"genre": {"$eq": "drama"}, "year": {"$gte": 1995}},
    include_metadata=True,
)
for match in found.matches:
    print(match.id, round(match.score, 3), match.metadata)
print([match.id for match in index.query(namespace="films", id="film-7", top_k=3).matches][0])

records = index.fetch(ids=["film-1", "film-2", "film-9999"], namespace="films").vectors
print(sorted(records), records["film-1"].metadata["genre"], len(records["film-1"].values))

stats = index.describe_index_stats()
print(stats.dimension, stats.total_vector_count, {name: one.vector_count for name, one in stats.namespaces.items()})
index.close()
pc.indexes.delete("example-quickstart")
print(pc.indexes.exists("example-quickstart"))
pc.close()
""",
    """
example-quickstart 8 cosine True {'environment': 'development'}
250 False
film-6 0.999 {'genre': 'drama', 'year': 1996.0}
film-9 0.997 {'genre': 'drama', 'year': 1999.0}
film-12 0.994 {'genre': 'drama', 'year': 2002.0}
film-7
['film-1', 'film-2'] comedy 8
8 250 {'films': 250}
False
""",
)

ASYNC = Program(
    """
import asyncio

async def seen(index, total):
    while (await index.describe_index_stats()).total_vector_count != total:
        await asyncio.sleep(0.01)

async def main():
    async with AsyncPinecone() as pc:
        await pc.indexes.create(
            name="example-async",
            dimension=4,
            metric="dotproduct",
            spec=ServerlessSpec(cloud="aws", region="us-east-1"),
        )
        async with await pc.index("example-async") as index:
            chunks = [
                [Vector(id=f"{chunk}-{n}", values=[1, chunk, n, 0], metadata={"chunk": chunk}) for n in range(50)]
                for chunk in range(4)
            ]
            done = await asyncio.gather(*(index.upsert(vectors=chunk, namespace="docs") for chunk in chunks))
            print([one.upserted_count for one in done])
            await asyncio.wait_for(seen(index, 200), 90)

            queries = [[0, 1, 0, 0], [0, 0, 1, 0]]
            results = await asyncio.gather(
                *(index.query(vector=one, top_k=2, namespace="docs", filter={"chunk": {"$lt": 3}}) for one in queries)
            )
            print([one.matches[0].score for one in results])

            await index.delete(ids=["0-0", "0-1"], namespace="docs")
            await index.delete(filter={"chunk": {"$in": [1, 2]}}, namespace="docs")
            await asyncio.wait_for(seen(index, 98), 90)
            pages = [len(page.vectors) async for page in index.list(prefix="3-", namespace="docs", limit=20)]
            print(pages)
            print(sorted((await index.fetch(ids=["0-1", "0-2", "1-1"], namespace="docs")).vectors))
        print([one.name async for one in pc.indexes.list() if one.name == "example-async"])
        await pc.indexes.delete("example-async")
        print(await pc.indexes.exists("example-async"))

asyncio.run(main())
""",
    """
[50, 50, 50, 50]
[2.0, 49.0]
[20, 20, 10]
['0-2']
['example-async']
False
""",
)

METADATA = Program(
    """
pc = Pinecone()
pc.indexes.create(
    name="example-metadata",
    dimension=2,
    metric="euclidean",
    spec=ServerlessSpec(cloud="aws", region="us-east-1"),
)
with pc.index("example-metadata") as index:
    index.upsert(
        vectors=[
            ("a", [1, 0], {"genre": "comedy", "year": 2020, "tags": ["new", "short"]}),
            ("b", [2, 0], {"genre": "drama", "year": 2019, "tags": ["long"]}),
            ("c", [3, 0], {"genre": "comedy", "year": 1999}),
            ("d", [4, 0], {"genre": "drama", "draft": True}),
            ("e", [5, 0]),
        ]
    )
    wait_for(lambda: index.describe_index_stats().total_vector_count == 5)

    def names(condition=None):
        return [match.id for match in index.query(vector=[0, 0.1], top_k=10, filter=condition).matches]

    print(names({"genre": "comedy"}))
    print(names({"year": {"$gt": 1999, "$lte": 2019}}))
    print(names({"tags": {"$in": ["short", "long"]}}))
    print(names({"$or": [{"genre": "drama"}, {"year": {"$lt": 2000}}]}))
    print(names({"$and": [{"genre": {"$nin": ["drama"]}}, {"year": {"$exists": True}}]}))
    print(names({"draft": True}))

    first = index.fetch_by_metadata(filter={"genre": {"$in": ["comedy", "drama"]}}, limit=3)
    rest = index.fetch_by_metadata(
        filter={"genre": {"$in": ["comedy", "drama"]}}, limit=3, pagination_token=first.pagination.next
    )
    print(sorted([*first.vectors, *rest.vectors]), rest.pagination)

    index.update(id="a", values=[1, 1], set_metadata={"year": 2021})
    wait_for(lambda: index.fetch(ids=["a"]).vectors["a"].metadata["year"] == 2021)
    print(index.fetch(ids=["a"]).vectors["a"])
    trial = index.update(filter={"genre": "drama"}, set_metadata={"checked": True}, dry_run=True)
    print(trial.matched_records, names({"checked": True}))
    index.update(filter={"genre": "drama"}, set_metadata={"checked": True})
    wait_for(lambda: names({"checked": True}) == ["b", "d"])
    print(index.fetch(ids=["d"]).vectors["d"].metadata)

    index.delete(ids=["e"])
    index.delete(filter={"genre": "drama"})
    wait_for(lambda: index.describe_index_stats().total_vector_count == 2)
    print(names())
    index.delete(delete_all=True)
    wait_for(lambda: index.describe_index_stats().total_vector_count == 0)
    print(names())
pc.indexes.delete("example-metadata")
pc.close()
""",
    """
['a', 'c']
['b']
['a', 'b']
['b', 'c', 'd']
['a', 'c']
['d']
['a', 'b', 'c', 'd'] None
Vector(id='a', values=[1.0, 1.0], sparse_values=None, metadata={'genre': 'comedy', 'year': 2021.0, 'tags': ['new', \
'short']})
2 []
{'genre': 'drama', 'draft': True, 'checked': True}
['a', 'c']
[]
""",
)

NAMESPACES = Program(
    """
pc = Pinecone()
pc.indexes.create(
    name="example-namespaces",
    dimension=2,
    metric="cosine",
    spec=ServerlessSpec(cloud="aws", region="us-east-1"),
)
with pc.index("example-namespaces") as index:
    made = index.create_namespace(name="tenant-a", schema={"fields": {"genre": {"filterable": True}}})
    print(made.name, made.record_count)
    index.upsert(vectors=[("1", [1, 0]), ("2", [0, 1])], namespace="tenant-a")
    index.upsert(vectors=[("1", [1, 0.5])], namespace="tenant-b")
    index.upsert(vectors=[("1", [1, 1])])
    wait_for(lambda: index.describe_index_stats().total_vector_count == 4)

    print(index.describe_namespace(name="tenant-a").record_count)
    listed = {one.name: one.record_count for page in index.list_namespaces() for one in page.namespaces}
    print(dict(sorted(listed.items())))
    page = index.list_namespaces_paginated(prefix="tenant-", limit=1)
    rest = index.list_namespaces_paginated(prefix="tenant-", limit=1, pagination_token=page.pagination.next)
    print(page.namespaces[0].name, rest.namespaces[0].name, rest.pagination)

    both = index.query_namespaces(vector=[1, 0.5], namespaces=["tenant-a", "tenant-b"], metric="cosine", top_k=2)
    print([(match.id, round(match.score, 3)) for match in both.matches])
    print([match.id for match in index.query(vector=[1, 0], top_k=10, namespace="tenant-z").matches])

    index.delete_namespace(name="tenant-b")
    wait_for(lambda: index.describe_index_stats().total_vector_count == 3)
    try:
        index.describe_namespace(name="tenant-b")
    except pinecone.errors.NotFoundError as error:
        print("gone", error.status_code)
pc.indexes.delete("example-namespaces")
pc.close()
""",
    """
tenant-a 0
2
{'__default__': 1, 'tenant-a': 2, 'tenant-b': 1}
tenant-a tenant-b None
[('1', 1.0), ('1', 0.894)]
[]
gone 404
""",
)

LISTING = Program(
    """
pc = Pinecone()
pc.indexes.create(
    name="example-listing",
    dimension=2,
    metric="cosine",
    spec=ServerlessSpec(cloud="aws", region="us-east-1"),
)
with pc.index("example-listing") as index:
    ids = [f"doc{document}#chunk{chunk}" for document in range(1, 4) for chunk in range(1, 6)]
    index.upsert(vectors=[(name, [1, 1]) for name in ids])
    wait_for(lambda: index.describe_index_stats().total_vector_count == 15)

    page = index.list_paginated(prefix="doc1#", limit=3)
    print([item.id for item in page.vectors])
    page = index.list_paginated(prefix="doc1#", limit=3, pagination_token=page.pagination.next)
    print([item.id for item in page.vectors], page.pagination)
    print([len(page.vectors) for page in index.list(limit=10)])

    # All parts of a document go by the prefix of their ids.
    for page in index.list(prefix="doc2#"):
        index.delete(ids=[item.id for item in page.vectors])
    wait_for(lambda: index.describe_index_stats().total_vector_count == 10)
    print([item.id for page in index.list() for item in page.vectors if item.id.endswith("1")])
pc.indexes.delete("example-listing")
pc.close()
""",
    """
['doc1#chunk1', 'doc1#chunk2', 'doc1#chunk3']
['doc1#chunk4', 'doc1#chunk5'] None
[10, 5]
['doc1#chunk1', 'doc3#chunk1']
""",
)

SPARSE = Program(
    """
pc = Pinecone()
pc.indexes.create(
    name="example-sparse",
    metric="dotproduct",
    vector_type="sparse",
    spec=ServerlessSpec(cloud="aws", region="us-east-1"),
)
description = pc.indexes.describe("example-sparse")
print(description.vector_type, description.metric, description.dimension)
with pc.index("example-sparse") as index:
    index.upsert(
        vectors=[
            {
                "id": "apple",
                "sparse_values": {"indices": [822745112, 1009084850], "values": [1.5, 0.5]},
                "metadata": {"category": "fruit"},
            },
            Vector(id="pear", sparse_values=SparseValues(indices=[1009084850, 3517203014], values=[1.0, 2.0])),
        ],
        namespace="words",
    )
    wait_for(lambda: index.describe_index_stats().total_vector_count == 2)
    found = index.query(
        sparse_vector={"indices": [822745112, 1009084850], "values": [1.0, 1.0]},
        top_k=5,
        namespace="words",
        include_values=True,
        include_metadata=True,
    )
    for match in found.matches:
        print(match.id, match.score, match.sparse_values.values, match.metadata)
    print([one.id for one in index.query(id="pear", top_k=1, namespace="words").matches])
pc.indexes.delete("example-sparse")
pc.close()
""",
    """
sparse dotproduct None
apple 2.0 [1.5, 0.5] {'category': 'fruit'}
pear 1.0 [1.0, 2.0] None
['pear']
""",
)

HYBRID = Program(
    """
pc = Pinecone()
# Both kinds of vectors are declared: a dense index takes no sparse values on its own.
pc.indexes.create(
    name="example-hybrid",
    schema={
        "fields": {
            "_values": {"type": "dense_vector", "dimension": 3, "metric": "dotproduct"},
            "_sparse_values": {"type": "sparse_vector"},
        }
    },
    deployment={"deployment_type": "managed", "cloud": "aws", "region": "us-east-1"},
)

def weighted(dense, sparse, alpha):
    values = [value * (1 - alpha) for value in sparse["values"]]
    return [value * alpha for value in dense], {"indices": sparse["indices"], "values": values}

with pc.index("example-hybrid") as index:
    index.upsert(
        vectors=[
            {"id": "meaning", "values": [0.9, 0.1, 0], "sparse_values": {"indices": [1], "values": [0.5]}},
            {"id": "words", "values": [0.1, 0.9, 0], "sparse_values": {"indices": [10, 45], "values": [1.0, 1.0]}},
            {"id": "dense", "values": [0.5, 0, 0]},
        ]
    )
    wait_for(lambda: index.describe_index_stats().total_vector_count == 3)
    for alpha in (1.0, 0.5, 0.0):
        dense, sparse = weighted([1, 0, 0], {"indices": [10, 45], "values": [0.5, 0.5]}, alpha)
        found = index.query(vector=dense, sparse_vector=sparse, top_k=3)
        print(alpha, [(match.id, round(match.score, 2)) for match in found.matches[:1]])
    index.update(id="dense", sparse_values={"indices": [10], "values": [9.0]})
    wait_for(lambda: index.fetch(ids=["dense"]).vectors["dense"].sparse_values is not None)
    found = index.query(vector=[0.1, 0, 0], sparse_vector={"indices": [10], "values": [1.0]}, top_k=1)
    print(found.matches[0].id, round(found.matches[0].score, 2))
pc.indexes.delete("example-hybrid")
pc.close()
""",
    """
1.0 [('meaning', 0.9)]
0.5 [('words', 0.55)]
0.0 [('words', 1.0)]
dense 9.05
""",
)

CONFIGURING = Program(
    """
pc = Pinecone()
pc.indexes.create(
    name="example-configuring",
    dimension=2,
    metric="cosine",
    spec=ServerlessSpec(cloud="aws", region="us-east-1"),
    deletion_protection="enabled",
    tags={"team": "search", "stage": "test"},
)
try:
    pc.indexes.delete("example-configuring")
except pinecone.errors.ForbiddenError as error:
    print("protected", error.status_code)
changed = pc.indexes.configure("example-configuring", tags={"stage": "", "owner": "ann"})
print(sorted(changed.tags.items()), changed.deletion_protection)
pc.indexes.configure("example-configuring", deletion_protection="disabled")
print(pc.indexes.describe("example-configuring").deletion_protection)
try:
    pc.indexes.create(
        name="example-configuring",
        dimension=2,
        metric="cosine",
        spec=ServerlessSpec(cloud="aws", region="us-east-1"),
    )
except pinecone.errors.ConflictError as error:
    print("taken", error.status_code)
print([one.name for one in pc.indexes.list() if one.name.startswith("example-conf")])
pc.indexes.delete("example-configuring")
try:
    pc.indexes.describe("example-configuring")
except pinecone.errors.NotFoundError as error:
    print("gone", error.status_code)
pc.close()
""",
    """
protected 403
[('owner', 'ann'), ('team', 'search')] enabled
disabled
taken 409
['example-configuring']
gone 404
""",
)

OLDER = Program(
    """
# The names that programs used before they were pc.indexes.create and so on.
pc = Pinecone()
if not pc.has_index("example-older"):
    pc.create_index(
        name="example-older",
        dimension=2,
        metric="cosine",
        spec=ServerlessSpec(cloud="aws", region="us-east-1"),
    )
while not pc.describe_index("example-older").status["ready"]:
    time.sleep(0.1)
print("example-older" in pc.list_indexes().names())
index = pc.Index("example-older")
print(index.upsert(vectors=[("a", [1, 2], {"x": 1}), ("b", [2, 1])], namespace="ns").upserted_count)
wait_for(lambda: index.describe_index_stats()["total_vector_count"] == 2)
answer = index.query(namespace="ns", vector=[1, 2], top_k=2, include_metadata=True)
print([(match["id"], match["metadata"]) for match in answer["matches"]])
print(index.fetch(ids=["a"], namespace="ns")["vectors"]["a"]["values"])
index.close()

same = pc.Index(host=pc.describe_index("example-older").host)
print(same.describe_index_stats()["namespaces"]["ns"]["vector_count"])
same.close()
pc.configure_index("example-older", tags={"old": "yes"})
pc.delete_index("example-older")
print(pc.has_index("example-older"))
pc.close()
""",
    """
True
2
[('a', {'x': 1.0}), ('b', None)]
[1.0, 2.0]
2
False
""",
)

PARALLEL = Program(
    """
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

def chunks(values, size):
    values = iter(values)
    while chunk := list(islice(values, size)):
        yield chunk

pc = Pinecone()
pc.indexes.create(
    name="example-parallel",
    dimension=16,
    metric="euclidean",
    spec=ServerlessSpec(cloud="aws", region="us-east-1"),
)
vectors = ((f"id-{n:04}", [float(n)] + [1.0] * 15, {"even": n % 2 == 0}) for n in range(1000))
with pc.index("example-parallel") as index, ThreadPoolExecutor(4) as pool:
    counts = pool.map(lambda chunk: index.upsert(vectors=chunk).upserted_count, chunks(vectors, 200))
    print(sum(counts))
    wait_for(lambda: index.describe_index_stats().total_vector_count == 1000)
    queries = [[n] + [1.0] * 15 for n in (0.25, 499.25, 998.25)]
    found = pool.map(lambda one: index.query(vector=one, top_k=2, filter={"even": True}).matches, queries)
    for matches in found:
        print([(match.id, match.score) for match in matches])
pc.indexes.delete("example-parallel")
pc.close()
""",
    """
1000
[('id-0000', 0.0625), ('id-0002', 3.0625)]
[('id-0500', 0.5625), ('id-0498', 1.5625)]
[('id-0998', 0.0625), ('id-0996', 5.0625)]
""",
)

ERRORS = Program(
    """
pc = Pinecone()
pc.indexes.create(
    name="example-errors",
    dimension=3,
    metric="cosine",
    spec=ServerlessSpec(cloud="aws", region="us-east-1"),
)

def attempt(what, *arguments, **options):
    try:
        what(*arguments, **options)
    except pinecone.errors.ApiError as error:
        print(type(error).__name__, error.status_code)

attempt(pc.indexes.describe, "example-nowhere")
with pc.index("example-errors") as index:
    attempt(index.upsert, vectors=[("a", [1, 2])])
    attempt(index.query, vector=[1, 2], top_k=1)
    attempt(index.query, vector=[1, 2, 3], top_k=1, filter={"a": {"$like": "b"}})
    attempt(index.describe_namespace, name="nowhere")
    good = [(str(n), [1, 2, 3]) for n in range(4)]
    answer = index.upsert(vectors=[*good, ("bad", [1])], batch_size=2, show_progress=False)
    print(answer.upserted_count, answer.has_errors, [one["id"] for one in answer.failed_items])
pc.indexes.delete("example-errors")
pc.close()
""",
    """
NotFoundError 404
ApiError 400
ApiError 400
ApiError 400
NotFoundError 404
4 True ['bad']
""",
)

FRESHNESS = Program(
    """
pc = Pinecone()
pc.indexes.create(
    name="example-freshness",
    dimension=2,
    metric="cosine",
    spec=ServerlessSpec(cloud="aws", region="us-east-1"),
)
with pc.index("example-freshness") as index:
    written = index.upsert(vectors=[("a", [1, 2])], namespace="ns").response_info.lsn_committed
    wait_for(lambda: index.query(vector=[1, 2], top_k=1, namespace="ns").response_info.is_reconciled(written))
    print([match.id for match in index.query(vector=[1, 2], top_k=1, namespace="ns").matches])
pc.indexes.delete("example-freshness")
pc.close()
""",
    """
['a']
""",
)

PROGRAMS = {
    name.lower(): value for name, value in list(globals().items()) if isinstance(value, Program) and name.isupper()
}


@pytest.fixture(scope="module", params=["at once", "late"])
def emulator(request: pytest.FixtureRequest) -> Iterator[PineconeEmulator]:
    with serving(api_key="secret", lag=0.05 if request.param == "late" else 0) as made:
        yield made


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_prints(emulator: PineconeEmulator, name: str) -> None:
    program = PROGRAMS[name]
    printed = run_python(
        BEGINNING + program.code,
        PINECONE_API_KEY="secret",
        PINECONE_CONTROLLER_HOST=emulator.url,
    )
    assert printed.splitlines() == program.printed.strip().splitlines()


def test_the_programs_know_of_no_emulator() -> None:
    for name, program in PROGRAMS.items():
        words = (BEGINNING + program.code).lower()
        assert not [word for word in ("emulator", "127.0.0.1", "localhost") if word in words], name
