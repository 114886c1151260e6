"""How far a migration is."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

__all__ = ["Clock", "Phase", "Progress", "ProgressCallback", "report_progress"]

Phase: TypeAlias = Literal["copy", "second pass", "complete"]


@dataclass(frozen=True, slots=True)
class Progress:
    """What is known after a page.

    Attributes:
        phase: ``"copy"``, ``"second pass"`` (what was written to the source meanwhile), or ``"complete"``.
        namespace: of the source, that is being read.
        done: documents of this phase that are done with, those of earlier runs of the same checkpoint included.
        total: how many there are; None if the source can't tell. The source may grow meanwhile.
        rate: documents per second in this phase of this run; 0.0 before the first one.
        seconds_left: in this phase, at that rate; None if it can't be told.
        written: documents that the target has acknowledged, in all phases.
        refused: documents that the target can't hold.
        unreadable: things of the source that are no documents.
    """

    phase: Phase
    namespace: str
    done: int
    total: int | None
    rate: float
    seconds_left: float | None
    written: int
    refused: int
    unreadable: int


ProgressCallback: TypeAlias = Callable[[Progress], Any]
"""Called after every page; awaited if it can be. An exception in it ends the migration and is raised."""


class Clock:
    """Measures the rate of one phase.

    Args:
        done: documents that were done when it began.
    """

    def __init__(self, done: int = 0) -> None:
        self._began = time.perf_counter()
        self._at_first = done

    def rate(self, done: int) -> float:
        """Documents per second since it began."""
        seconds = time.perf_counter() - self._began
        return (done - self._at_first) / seconds if seconds > 0 else 0.0

    def seconds_left(self, done: int, total: int | None) -> float | None:
        """At that rate; None if it can't be told."""
        rate = self.rate(done)
        if total is None or rate <= 0:
            return None
        return max(0, total - done) / rate


async def report_progress(callback: ProgressCallback | None, progress: Progress) -> None:
    """Call the callback, if there is one."""
    if callback is not None:
        told = callback(progress)
        if inspect.isawaitable(told):
            await told
