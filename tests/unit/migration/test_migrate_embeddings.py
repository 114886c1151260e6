"""Embeddings of an SQL database, as the contract has it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from ia_modules.vector_stores import InvalidDimensionError
from ia_modules.vector_stores.migration import migrate_embeddings
from migrating import memory_store


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database with 25 embeddings, one of which can't be read."""
    path = tmp_path / "embeddings.db"
    vectors = np.arange(100, dtype=np.float32).reshape(25, 4) + 1
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE embeddings (id TEXT PRIMARY KEY, embedding BLOB, text TEXT, metadata TEXT)")
        connection.executemany(
            "INSERT INTO embeddings VALUES (?, ?, ?, ?)",
            [
                (f"row {n:02}", vector.tobytes(), f"text {n}", json.dumps({"n": n, "f": float(n)}))
                for n, vector in enumerate(vectors)
            ],
        )
        connection.execute("UPDATE embeddings SET embedding = NULL WHERE id = 'row 07'")
    return path


async def test_rows_become_documents_and_the_index_is_created(database: Path) -> None:
    store = memory_store()
    report = await migrate_embeddings(source_db=f"sqlite:///{database}", target_store=store, batch_size=10)
    assert (report.read, report.written, report.unreadable_count, report.complete) == (24, 24, 1, False)
    assert "row 07" in report.unreadable[0].key
    assert any("is created: 4 dimensions, metric cosine" in note for note in report.notes)
    assert any("embeddings" in note for note in report.notes)
    (document,) = await store.fetch(["row 03"])
    assert (document.text, document.metadata, document.vector) == ("text 3", {"n": 3, "f": 3.0}, [13, 14, 15, 16])
    assert type(document.metadata["f"]) is float


async def test_columns_metric_and_checkpoint(database: Path, tmp_path: Path) -> None:
    store = memory_store()
    for resume in (False, True):
        report = await migrate_embeddings(
            f"sqlite:///{database}",
            store,
            table="embeddings",
            columns={"id": "id", "vector": "embedding", "text": "metadata", "metadata": False},
            metric="manhattan",
            checkpoint=tmp_path / "mark",
            resume=resume,
        )
        assert report.written == 24
    (document,) = await store.fetch(["row 03"])
    assert document.text == '{"n": 3, "f": 3.0}'
    assert (await store.search([13, 14, 15, 17], 1)).results[0].score == 0.5
    with pytest.raises(ValueError, match="columns can name"):
        await migrate_embeddings(f"sqlite:///{database}", store, columns={"key": "id"})


async def test_an_index_of_another_size_is_refused(database: Path) -> None:
    store = memory_store(dimension=3)
    with pytest.raises(InvalidDimensionError, match="4 numbers"):
        await migrate_embeddings(f"sqlite:///{database}", store)
