from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from ia_modules.vector_stores.embedders.base import Vectors
from ia_modules.vector_stores.embedders.cache import CachedEmbedder
from ia_modules.vector_stores.errors import VectorStoreError


class Counting:
    """Vectors made of a text's length, and a record of what was asked."""

    def __init__(self, model: str = "test/length", dimension: int | None = 3) -> None:
        self.model = model
        self.dimension = dimension
        self.asked: list[str] = []
        self.closed = False

    async def get_dimension(self) -> int:
        return 3

    async def embed_documents(self, texts: Sequence[str]) -> Vectors:
        self.asked.extend(texts)
        return np.array([[len(text), ord(text[0]), 0.1] for text in texts], dtype=np.float32).reshape(-1, 3)

    async def embed_query(self, text: str) -> Vectors:
        return -(await self.embed_documents([text]))[0]

    async def aclose(self) -> None:
        self.closed = True


async def test_only_misses_reach_the_model_each_once(tmp_path: Path) -> None:
    inner = Counting()
    cached = CachedEmbedder(inner, tmp_path / "deep" / "cache.sqlite")
    expected = await Counting().embed_documents(["a", "bb", "a", "ccc"])
    np.testing.assert_array_equal(await cached.embed_documents(["a", "bb", "a", "ccc"]), expected)
    assert inner.asked == ["a", "bb", "ccc"]
    again = await cached.embed_documents(["ccc", "dddd", "a"])
    np.testing.assert_array_equal(again[:, 0], [3, 4, 1])
    assert inner.asked == ["a", "bb", "ccc", "dddd"]
    assert (cached.statistics.hits, cached.statistics.misses) == (2, 4)
    await cached.aclose()
    assert inner.closed


async def test_survives_the_process_and_keeps_models_and_kinds_apart(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    first = CachedEmbedder(Counting(), path)
    await first.embed_documents(["text"])
    await first.aclose()

    same, other = Counting(), Counting("test/other")
    second, third = CachedEmbedder(same, path), CachedEmbedder(other, path)
    await second.embed_documents(["text"])
    assert same.asked == []
    question = await second.embed_query("text")
    assert question[0] == -4
    assert same.asked == ["text"]
    np.testing.assert_array_equal(await second.embed_query("text"), question)
    assert same.asked == ["text"]
    await third.embed_documents(["text"])
    assert other.asked == ["text"]
    await second.aclose()
    await third.aclose()


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE embeddings SET vector = substr(vector, 1, 7)",
        "UPDATE embeddings SET vector = x''",
        "UPDATE embeddings SET vector = x'000000000000000000000000'",
        "UPDATE embeddings SET vector = 'words'",
    ],
)
async def test_damaged_entry_is_a_miss_and_rewritten(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "cache.sqlite"
    inner = Counting(dimension=None)
    cached = CachedEmbedder(inner, path)
    good = await cached.embed_documents(["text"])
    connection = sqlite3.connect(path)
    assert connection.execute(damage).rowcount == 1
    connection.commit()
    connection.close()

    np.testing.assert_array_equal(await cached.embed_documents(["text"]), good)
    assert inner.asked == ["text", "text"]
    assert cached.statistics.corrupt == 1
    np.testing.assert_array_equal(await cached.embed_documents(["text"]), good)
    assert inner.asked == ["text", "text"]
    await cached.aclose()


async def test_entry_of_another_dimension_is_a_miss(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    cached = CachedEmbedder(Counting(), path)
    await cached.embed_documents(["text"])
    await cached.aclose()
    inner = Counting(dimension=5)
    cached = CachedEmbedder(inner, path)
    with pytest.raises(VectorStoreError, match="3 dimensions where 5"):
        await cached.embed_documents(["text"])
    assert inner.asked == ["text"]
    await cached.aclose()


async def test_a_file_that_is_no_cache_is_named(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("these are not the bytes you are looking for " * 50)
    cached = CachedEmbedder(Counting(), path)
    with pytest.raises(VectorStoreError, match=r"notes\.txt"):
        await cached.embed_documents(["text"])
    await cached.aclose()


async def test_many_tasks_share_one_cache(tmp_path: Path) -> None:
    cached = CachedEmbedder(Counting(), tmp_path / "cache.sqlite")
    texts = [f"t{number:04}" * (number % 7 + 1) for number in range(1200)]
    answers = await asyncio.gather(*(cached.embed_documents(texts) for _ in range(5)))
    expected = await Counting().embed_documents(texts)
    for answer in answers:
        np.testing.assert_array_equal(answer, expected)
    await cached.aclose()


WRITER = """
import asyncio, sys
sys.path.insert(0, sys.argv[2])
from test_embedder_cache import Counting
from ia_modules.vector_stores.embedders.cache import CachedEmbedder
async def main():
    cached = CachedEmbedder(Counting(), sys.argv[1])
    for start in range(0, 300, 10):
        await cached.embed_documents([f"text {number}" for number in range(start, start + 10)])
    await cached.aclose()
asyncio.run(main())
"""


def test_several_processes_share_one_file(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    command = [sys.executable, "-c", WRITER, str(path), str(Path(__file__).parent)]
    writers = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    for writer in writers:
        _, messages = writer.communicate(timeout=120)
        assert writer.returncode == 0, messages
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM embeddings").fetchone() == (300,)
    connection.close()
