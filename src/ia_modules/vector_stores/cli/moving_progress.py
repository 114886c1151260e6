"""How far a migration or a verification is: a bar on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

from ia_modules.vector_stores.cli.session import note

if TYPE_CHECKING:
    from ia_modules.vector_stores.migration.progress import Progress

__all__ = ["Told", "duration", "migration_progress", "verification_progress"]

Told: TypeAlias = Callable[[str, int, int | None, float, float | None], None]
"""Takes what is being done, how much is done and how much there is, documents per second, and seconds left."""

_INTERVAL = 10.0


@contextmanager
def migration_progress() -> Iterator[Callable[[Progress], None]]:
    """Shows the progress of a migration."""
    with _shown() as told:

        def update(state: Progress) -> None:
            if state.phase != "complete":
                what = "copying" if state.phase == "copy" else state.phase
                told(what, state.done, state.total, state.rate, state.seconds_left)

        yield update


@contextmanager
def verification_progress() -> Iterator[Callable[[int, int | None], None]]:
    """Shows the progress of a verification."""
    began = time.perf_counter()
    with _shown() as told:

        def update(done: int, total: int | None) -> None:
            seconds = time.perf_counter() - began
            rate = done / seconds if seconds > 0 else 0.0
            told("verifying", done, total, rate, max(0, total - done) / rate if total is not None and rate else None)

        yield update


def duration(seconds: float) -> str:
    """Hours, minutes and seconds, as in ``1:02:03`` or ``0:07``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@contextmanager
def _shown() -> Iterator[Told]:
    if not sys.stderr.isatty():
        yield _lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:,.0f}/s  {task.fields[left]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None, rate=0.0, left="")

        def update(what: str, done: int, total: int | None, rate: float, left: float | None) -> None:
            shown = "" if left is None else f"{duration(left)} left"
            bar.update(task, description=what, completed=done, total=total, rate=rate, left=shown)

        yield update


def _lines() -> Told:
    """A line every ten seconds, so that short runs say nothing."""
    last = time.monotonic()

    def update(what: str, done: int, total: int | None, rate: float, left: float | None) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < _INTERVAL:
            return
        last = now
        share = "" if not total else f" of {total:,} ({done / total:.0%})"
        remaining = "" if left is None else f", {duration(left)} left"
        note(f"{what}: {done:,}{share}, {rate:,.0f}/s{remaining}")

    return update
