"""Any number of documents takes the memory of a few batches."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from ia_modules.vector_stores import BatchProcessor, ConnectionError, VectorDocument, VectorStoreError

MIB = 1024 * 1024
ROW = np.arange(16, dtype=np.float32)


class Null:
    """Takes everything, or nothing."""

    def __init__(self, error: type[VectorStoreError] | None = None) -> None:
        self.error = error

    async def upsert(self, documents: Sequence[Any], namespace: str | None = None, batch_size: int = 100) -> None:
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error(f"{len(documents)} were lost")

    async def search(self, query_vector: Any, top_k: int = 10) -> None:
        raise NotImplementedError


def stream(count: int) -> Iterator[VectorDocument]:
    for i in range(count):
        yield VectorDocument(id=f"d{i}", vector=ROW, metadata={"n": i}, text=f"passage {i}")


async def stream_later(count: int) -> AsyncIterator[VectorDocument]:
    for document in stream(count):
        yield document


async def peak(store: Null, source: Any, **options: Any) -> float:
    """Bytes held at most while the source is written."""
    gc.collect()
    tracemalloc.start()
    try:
        await BatchProcessor(store, max_errors=20, retry_delay=0, **options).upsert_large_dataset(source)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("make", [stream, stream_later])
async def test_fifteen_times_as_many_documents_take_no_more(make: Any) -> None:
    few = await peak(Null(), make(2_000))
    many = await peak(Null(), make(30_000))
    assert many < few + 0.25 * MIB, "ten bytes for each would be more"
    assert many < 2 * MIB


async def test_failures_do_not_pile_up() -> None:
    few = await peak(Null(ConnectionError), stream(3_000), max_attempts=2)
    many = await peak(Null(ConnectionError), stream(15_000), max_attempts=2)
    assert many < few + 0.25 * MIB


async def test_large_documents_are_bounded_by_bytes() -> None:
    def large(count: int) -> Iterator[VectorDocument]:
        for i in range(count):
            yield VectorDocument(id=f"d{i}", vector=ROW, text="x" * 100_000 + str(i))

    assert await peak(Null(), large(300), batch_size=1000, max_concurrent=2, max_batch_bytes=MIB) < 6 * MIB
