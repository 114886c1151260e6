"""The ``ingest`` command: a missing index is created, progress is shown, and the report printed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ia_modules.vector_stores.cli import output
from ia_modules.vector_stores.cli.session import note, open_store, store_config
from ia_modules.vector_stores.embedders import create_embedder
from ia_modules.vector_stores.ingest import IngestProgress, IngestReport, LoadOptions, SourceFile, ingest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ia_modules.vector_stores.base import VectorStoreBase
    from ia_modules.vector_stores.embedders import Embedder

__all__ = ["ensure_index", "ingest_paths", "progress_bar", "show_report"]

_ISSUES_SHOWN = 50


async def ingest_paths(
    paths: Sequence[Path | SourceFile],
    store_url: str | None,
    embedder_spec: str | None,
    cache: Path | None,
    *,
    namespace: str | None,
    root: Path | None,
    options: LoadOptions,
    batch_size: int,
    prune: bool,
    as_json: bool,
) -> IngestReport:
    """Ingest and tell about it; see :func:`ia_modules.vector_stores.ingest.ingest`."""
    for path in paths:
        if isinstance(path, Path):
            # A misspelt path should be the first thing to hear of, before an index is created for nothing.
            path.lstat()
    async with aclosing(create_embedder(embedder_spec, cache=cache)) as embedder:
        config = store_config(store_url, embedder)
        async with open_store(config) as store:
            await ensure_index(store, embedder)
            if config.provider == "memory":
                note("note: a memory store is gone when this command ends")
            with progress_bar() as progress:
                report = await ingest(
                    store, embedder, paths, namespace=namespace, root=root, options=options,
                    batch_size=batch_size, prune=prune, progress=progress,
                )  # fmt: skip
    show_report(report, as_json=as_json)
    return report


async def ensure_index(store: VectorStoreBase, embedder: Embedder) -> None:
    """Create the index if there is none, and say so."""
    if await store.index_exists():
        return
    dimension = await embedder.get_dimension()
    await store.create_index(dimension, store.config.metric, embedding_model=embedder.model)
    note(
        f"created the index {store.config.index_name!r}: {dimension} dimensions, {store.config.metric.value},"
        f" {embedder.model}"
    )


@contextmanager
def progress_bar() -> Iterator[Callable[[IngestProgress], None] | None]:
    """A progress bar with the rate on standard error; None where that is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("files  {task.fields[passages]:,} passages  {task.fields[rate]:,.0f}/s"),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None, passages=0, rate=0.0)

        def update(state: IngestProgress) -> None:
            elapsed = bar.tasks[0].elapsed or 0.0
            rate = state.passages / elapsed if elapsed else 0.0
            bar.update(
                task,
                total=state.files_total,
                completed=state.files,
                description=state.source,
                passages=state.passages,
                rate=rate,
            )

        yield update


def show_report(report: IngestReport, *, as_json: bool) -> None:
    """Write the issues to standard error and the sums to standard output."""
    for issue in report.errors[:_ISSUES_SHOWN]:
        note(str(issue))
    if report.error_count > _ISSUES_SHOWN:
        note(f"... and {report.error_count - _ISSUES_SHOWN} more like these")
    if as_json:
        output.as_json(asdict(report))
        return
    sums: dict[str, Any] = asdict(report)
    parts = [f"{sums[name]:,} {name}" for name in ("added", "updated", "unchanged", "removed") if sums[name]]
    rate = f", {report.embedded / report.seconds:,.0f} embedded/s" if report.embedded and report.seconds else ""
    files = f"{report.files:,} file{'' if report.files == 1 else 's'}"
    done = ", ".join(parts) or "nothing to do"
    typer.echo(f"{files}, {report.passages:,} passages: {done} ({report.seconds:.1f} s{rate})")
    if report.skipped:
        note(f"{report.skipped:,} files of other kinds were passed over")
    if report.error_count:
        note(f"{report.error_count:,} problems in the input, listed above")
