"""What a run tells its caller, and the sums that it is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypedDict

from ia_modules.vector_stores.errors import VectorStoreError

__all__ = ["BatchFailure", "BatchResult", "Failure", "Outcome", "Report"]


class BatchFailure(TypedDict):
    """Documents of one batch that failed for one reason.

    Attributes:
        batch: number of the batch in this run, from 1.
        ids: their ids; shorter than ``positions`` only where an item of the source has no id.
        positions: where they are in the source, from 0.
        error: the reason, without its traceback, which would keep the whole batch in memory.
        message: the reason in words.
        retryable: whether the same documents may be stored at another time; if not, they need to be changed.
    """

    batch: int
    ids: list[str]
    positions: list[int]
    error: Exception
    message: str
    retryable: bool


class BatchResult(TypedDict):
    """Outcome of a run; ``total == upserted + replaced + failed + skipped``.

    Attributes:
        total: items that the source gave.
        upserted: documents that were written; each counts, also one that a later batch wrote over.
        replaced: documents that were not sent, as a later one of the same batch with the same id was written.
        failed: items that could not be stored.
        skipped: items that an earlier run of the same checkpoint had finished with.
        batches: batches that the rest was cut into.
        errors: why items failed; the first ``max_errors`` entries.
    """

    total: int
    upserted: int
    replaced: int
    failed: int
    skipped: int
    batches: int
    errors: list[BatchFailure]


@dataclass(frozen=True, slots=True)
class Failure:
    """An item that could not be stored.

    Attributes:
        position: where it is in the source, from 0.
        item: the document, or whatever the source gave in its place.
        error: why; of one group if several failures have the same object.
        retryable: whether it may be stored at another time.
    """

    position: int
    item: object
    error: Exception
    retryable: bool

    @property
    def id(self) -> str | None:
        """The id, if it has one."""
        found = self.item.get("id") if isinstance(self.item, dict) else getattr(self.item, "id", None)
        return found if isinstance(found, str) else None


@dataclass(slots=True)
class Outcome:
    """What became of one batch.

    Attributes:
        upserted: documents written.
        replaced: documents that a later one with the same id took the place of.
        failures: items that failed.
        fatal: an error that every other batch would meet as well.
        finished: whether nothing of the batch is left to do.
    """

    upserted: int = 0
    replaced: int = 0
    failures: list[Failure] = field(default_factory=list)
    fatal: Exception | None = None
    finished: bool = True


class Report:
    """The sums of a run.

    Args:
        max_errors: most entries of ``errors``.
    """

    def __init__(self, max_errors: int) -> None:
        self.upserted = self.replaced = self.failed = self.skipped = self.batches = 0
        self.errors: list[BatchFailure] = []
        self._max_errors = max_errors

    @property
    def completed(self) -> int:
        """Items that are done with."""
        return self.upserted + self.replaced + self.failed + self.skipped

    def add(self, number: int, outcome: Outcome) -> None:
        """Take in what became of the batch of this number."""
        self.batches += 1
        self.upserted += outcome.upserted
        self.replaced += outcome.replaced
        self.failed += len(outcome.failures)
        groups: dict[int, list[Failure]] = {}
        for failure in outcome.failures:
            groups.setdefault(id(failure.error), []).append(failure)
        for group in groups.values():
            _forget_frames(group[0].error)
            if len(self.errors) < self._max_errors:
                self.errors.append(_entry(number, group))

    def result(self) -> BatchResult:
        """The sums as a dict."""
        return {
            "total": self.completed,
            "upserted": self.upserted,
            "replaced": self.replaced,
            "failed": self.failed,
            "skipped": self.skipped,
            "batches": self.batches,
            "errors": self.errors,
        }

    def note(self) -> str:
        """What was done, for the error that ends a run."""
        parts = [f"{self.upserted:,} documents were upserted before", f"{self.failed:,} failed"]
        if self.skipped:
            parts.append(f"{self.skipped:,} were skipped")
        return "; ".join(parts)


def _entry(number: int, group: list[Failure]) -> BatchFailure:
    error = group[0].error
    return {
        "batch": number,
        "ids": [name for failure in group if (name := failure.id) is not None],
        "positions": [failure.position for failure in group],
        "error": error,
        "message": str(error) or type(error).__name__,
        "retryable": group[0].retryable,
    }


def _forget_frames(error: BaseException | None) -> None:
    """Drop the tracebacks of an error that is kept: their frames hold every document of the batch."""
    waiting, seen = [error], set()
    while waiting:
        error = waiting.pop()
        if error is None or id(error) in seen:
            continue
        seen.add(id(error))
        error.__traceback__ = None
        waiting += [error.__cause__, error.__context__]
        if isinstance(error, BaseExceptionGroup):
            waiting += error.exceptions
        elif isinstance(error, VectorStoreError):
            waiting += getattr(error, "failed", {}).values()
