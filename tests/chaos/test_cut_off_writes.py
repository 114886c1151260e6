"""A write that was cut off and is sent again is not only stored, but found as well."""

from __future__ import annotations

import asyncio
import random

import pytest
from chaos_ledger import DIMENSION, document, vector_of

from conftest import MakeStore

WRITES = 20


@pytest.mark.targets(
    "chroma-server", "pinecone-emulator", "qdrant-stub-grpc", "weaviate-double", "weaviate-server", "qdrant-server"
)
async def test_what_is_sent_again_is_found(make_store: MakeStore) -> None:
    """Weaviate, for one, does not index a vector again that equals the stored one, indexed or not."""
    store = make_store(dimension=DIMENSION, timeout=60)
    await store.create_index(DIMENSION)
    chance = random.Random(1)
    for number in range(WRITES):
        documents = [document("", f"{number:02}-{row:02}", 1) for row in range(50)]
        writing = asyncio.create_task(store.upsert(documents))
        await asyncio.sleep(chance.uniform(0.002, 0.04))
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        await store.upsert(documents)
    assert await store.count() == 50 * WRITES
    ids = [f"{number:02}-{row:02}" for number in range(WRITES) for row in range(0, 50, 10)]
    answers = await store.search_many([vector_of("", one, 1) for one in ids], top_k=5)
    assert [answer.results[0].id for answer in answers] == ids
