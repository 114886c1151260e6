"""The examples of docs/export-formats.md, run in the order of the page."""

from __future__ import annotations

import asyncio
import re
import shlex
import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner

from export_helpers import write_file
from ia_modules.vector_stores import VectorDocument, create_vector_store
from ia_modules.vector_stores.cli.app import app

PAGE = Path(__file__).resolve().parents[3] / "docs" / "export-formats.md"
FOLDER = "/var/lib/vectors"

for package in ("chromadb", "qdrant_client", "pandas", "polars", "duckdb", "datasets"):
    pytest.importorskip(package)

NEWS = VectorDocument(id="cat", vector=[0.0, 1.0, 0.0], text="A cat.")
DOCUMENTS = [
    VectorDocument(id="new", vector=[0.6, 0.8, -0.25], text="A new car.", metadata={"year": 2024, "score": 1.0}),
    VectorDocument(id="old", vector=[1.0, 0.0, 0.0], metadata={"year": 1950}),
    VectorDocument(id="plain", vector=[0.5, 0.5, 0.5]),
]


async def prepare(folder: Path) -> None:
    """What the page takes for granted: a store, a table, and a file of somebody else."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    store = await create_vector_store(f"chroma://{folder}/articles", dimension=3, create_if_missing=True)
    async with store:
        await store.upsert(DOCUMENTS)
        await store.upsert([NEWS], "news")
    with sqlite3.connect("embeddings.db") as database:
        database.execute("CREATE TABLE docs (id TEXT PRIMARY KEY, vector TEXT)")
        database.execute("INSERT INTO docs VALUES ('a', '[1, 2]')")
    database.close()
    pq.write_table(pa.table({"doc": [1], "emb": [[1.0, 2.0]], "junk": ["x"], "year": [1999]}), "theirs.parquet")


@pytest.mark.filterwarnings("ignore")  # of other packages
async def test_all_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in (("HF_HUB_OFFLINE", "1"), ("HF_HOME", str(tmp_path / "home"))):
        monkeypatch.setenv(name, value)
    for name in ("STORE", "API_KEY"):
        monkeypatch.delenv(f"IA_VECTORS_{name}", raising=False)
    await prepare(tmp_path)
    blocks = re.findall(r"```(sh|python)\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert [kind for kind, _ in blocks] == ["sh", "python", "python", "python", "sh", "sh"]

    def run_all() -> None:
        for kind, block in blocks:
            block = block.replace(FOLDER, str(tmp_path))
            if kind == "python":
                exec(compile(block, str(PAGE), "exec"), {"__name__": "__main__"})
                continue
            for line in block.splitlines():
                program, *arguments = shlex.split(line)
                assert program == "ia-vectors"
                done = CliRunner().invoke(app, arguments)
                assert done.exit_code == 0, f"{line}\n{done.output}"

    await asyncio.to_thread(run_all)
    async with await create_vector_store(f"chroma://{tmp_path}/theirs") as store:
        (document,) = await store.fetch(["1"])
    assert document.metadata == {"year": 1999}
    (shown,) = re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.DOTALL)
    await write_file(tmp_path / "x.jsonl", {"": DOCUMENTS[:1]})
    assert (tmp_path / "x.jsonl").read_text() == shown
