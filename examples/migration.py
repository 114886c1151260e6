"""Embeddings from an SQL database into a vector store.

``python examples/migration.py qdrant://localhost:6333/articles``, for example. Needs the extras ``migration`` and that
of the provider; without an argument the target is embedded Chroma in memory.
"""

import asyncio
import json
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from ia_modules.vector_stores import create_vector_store
from ia_modules.vector_stores.migration import migrate_embeddings

ROWS = [(f"article-{n}", [1.0, n / 25, 0.0], {"number": n}, f"Article {n}") for n in range(2500)]


def make_database(file: Path) -> None:
    """A table as programs keep embeddings in: an id, the text, its vector as JSON, and some facts."""
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("CREATE TABLE embeddings (id TEXT PRIMARY KEY, embedding TEXT, metadata TEXT, text TEXT)")
        rows = ((key, json.dumps(vector), json.dumps(metadata), text) for key, vector, metadata, text in ROWS)
        database.executemany("INSERT INTO embeddings VALUES (?, ?, ?, ?)", rows)


async def main(url: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "embeddings.db"
        make_database(file)
        async with await create_vector_store(url) as store:
            report = await migrate_embeddings(source_db=f"sqlite:///{file}", target_store=store, batch_size=1000)
            print(f"{report.read} read, complete: {report.complete}, {await store.count()} in {store.provider}")
            found = await store.search([1.0, 0.4, 0.0], top_k=1)
            print("nearest:", found.results[0].text)
            await store.delete_index()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:] or ["chroma:///:memory:/articles"]))
