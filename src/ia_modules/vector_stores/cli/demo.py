"""The ``demo`` command: a real corpus that every machine has, five questions, answers with timing."""

from __future__ import annotations

import asyncio
import platform
import shutil
import sys
import time
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ia_modules.vector_stores.cli.ingesting import ensure_index, progress_bar, show_report
from ia_modules.vector_stores.cli.output import show_results
from ia_modules.vector_stores.cli.session import note, open_store, store_config
from ia_modules.vector_stores.cli.stdlib_docs import write_stdlib_docs
from ia_modules.vector_stores.embedders import create_embedder
from ia_modules.vector_stores.ingest import ingest

if TYPE_CHECKING:
    from ia_modules.vector_stores.base import VectorStoreBase
    from ia_modules.vector_stores.embedders import Embedder
    from ia_modules.vector_stores.models import SearchResponse

__all__ = ["QUESTIONS", "ask", "load_corpus", "run_demo"]

QUESTIONS = (
    "How do I copy a whole directory tree?",
    "pick random elements from a list",
    "split a shell command line into words",
    "what day of the week is it",
    # The documentation says "password" and "prompt"; only the meaning connects it with this question.
    "enter a passphrase",
)


async def run_demo(store_url: str, folder: Path) -> int:
    """Index the standard library's documentation, unless it is indexed already, and ask the five questions."""
    async with aclosing(create_embedder()) as embedder, open_store(store_config(store_url, embedder)) as store:
        await ensure_index(store, embedder)
        await load_corpus(store, embedder, folder)
        for question in QUESTIONS:
            response, embed_ms = await ask(store, embedder, question)
            typer.echo(f"\n{typer.style(question, bold=True)}")
            typer.echo(f"    question embedded in {embed_ms:.1f} ms, searched in {response.query_time_ms:.1f} ms")
            show_results(response.results, lines=2)
    typer.echo(f'\nAsk your own: {_program()} search "your question" --store {store_url}')
    return 0


async def load_corpus(store: VectorStoreBase, embedder: Embedder, folder: Path) -> None:
    """Write the corpus beside the index, once for each version of Python, and ingest it."""
    corpus = folder / f"stdlib-{platform.python_version()}.jsonl"
    if not corpus.exists():
        note("reading the documentation of the standard library ...")
        await asyncio.to_thread(write_stdlib_docs, corpus)
    with progress_bar() as progress:
        report = await ingest(store, embedder, [corpus], root=folder, progress=progress)
    show_report(report, as_json=False)


async def ask(
    store: VectorStoreBase, embedder: Embedder, question: str, top_k: int = 3
) -> tuple[SearchResponse, float]:
    """Search by text; returns the response and the milliseconds that embedding the question took."""
    started = time.perf_counter()
    vector = await embedder.embed_query(question)
    embed_ms = (time.perf_counter() - started) * 1000
    return await store.search(vector, top_k), embed_ms


def _program() -> str:
    """How to call this program: by name if the shell would find it, else by where it is."""
    called = Path(sys.argv[0])
    found = shutil.which("ia-vectors")
    if called.name != "ia-vectors" or (found and Path(found).resolve() == called.resolve()):
        return "ia-vectors"
    return str(called)
