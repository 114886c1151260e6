"""Telling how far a run has come."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

from ia_modules.vector_stores.errors import MissingDependencyError

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["ProgressCallback", "report_progress", "rich_progress"]

ProgressCallback: TypeAlias = Callable[[int, int | None], Any]
"""Called with the number of items done and the number there are, None if that is not known; awaited if it can be."""


async def report_progress(callback: ProgressCallback | None, completed: int, total: int | None) -> None:
    """Call the callback, if there is one; a total that turned out too small is raised."""
    if callback is not None:
        told = callback(completed, None if total is None else max(total, completed))
        if inspect.isawaitable(told):
            await told


@contextmanager
def rich_progress(description: str = "Writing", *, console: Console | None = None) -> Iterator[ProgressCallback]:
    """A progress bar for ``progress_callback``, with rate and time left.

    .. code-block:: python

        with rich_progress("Writing articles") as progress:
            await processor.upsert_large_dataset(documents, progress_callback=progress)

    Args:
        description: shown before the bar.
        console: where to draw; None for standard error.

    Raises:
        MissingDependencyError: the package ``rich`` is not installed.
    """
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    except ImportError as error:
        raise MissingDependencyError("rich", extra="cli", needed_for="A progress bar") from error
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}", markup=False),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console or Console(stderr=True)) as bar:
        task = bar.add_task(description, total=None, rate="")

        async def update(completed: int, total: int | None) -> None:
            elapsed = bar.tasks[0].elapsed or 0.0
            rate = f"{completed / elapsed:,.0f}/s" if elapsed else ""
            bar.update(task, completed=completed, total=total, rate=rate)

        yield update
