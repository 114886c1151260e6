"""One run over a source: reading ahead a little, several batches under way, and an orderly end however it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar

from ia_modules.vector_stores.batch.batching import Batch, Source
from ia_modules.vector_stores.batch.checkpoint import Checkpoint
from ia_modules.vector_stores.batch.dead_letters import DeadLetters
from ia_modules.vector_stores.batch.progress import ProgressCallback, report_progress
from ia_modules.vector_stores.batch.report import BatchResult, Outcome, Report
from ia_modules.vector_stores.batch.sending import Sender
from ia_modules.vector_stores.errors import VectorStoreError
from ia_modules.vector_stores.providers.threads import finished

__all__ = ["Limits", "Run"]

T = TypeVar("T")

_CHECKPOINT_INTERVAL = 1.0


@dataclass(frozen=True, slots=True)
class Limits:
    """How much at a time: documents and estimated bytes per batch, batches under way, entries of errors."""

    batch_size: int
    max_batch_bytes: int
    max_concurrent: int
    max_errors: int


class Run:
    """State of one run.

    A task reads the source and starts a task for each batch; whoever called waits for both. An error that ends the
    run stops the reading; the requests that are under way are waited for, and no other is begun.

    Args:
        source: what to write.
        sender: writes a batch.
        limits: how much at a time.
        progress: told after each batch.
        dead_letters: file for what failed.
        checkpoint: file to go on from.
    """

    def __init__(
        self,
        source: Source,
        sender: Sender,
        limits: Limits,
        *,
        progress: ProgressCallback | None,
        dead_letters: DeadLetters | None,
        checkpoint: Checkpoint | None,
    ) -> None:
        self.report = Report(limits.max_errors)
        self._source = source
        self._sender = sender
        self._limits = limits
        self._progress = progress
        self._dead_letters = dead_letters
        self._checkpoint = checkpoint
        self._error: Exception | None = None
        self._over = False
        self._reading: asyncio.Task[None] | None = None
        self._writing: dict[asyncio.Task[None], Batch] = {}
        self._ids: set[str] = set()
        self._batch_ended = asyncio.Event()
        self._settling = asyncio.Lock()
        # Where the last batch ended that was begun, and where the first one started that left something undone.
        self._position = self.report.skipped = 0 if checkpoint is None else checkpoint.finished
        self._gap: int | None = None
        self._saved = asyncio.get_running_loop().time()

    async def finish(self) -> BatchResult:
        """Write everything.

        Raises:
            Exception: what ended the run early: of the store, the source, the progress callback, or a file.
        """
        self._reading = asyncio.create_task(self._read())
        try:
            if self.report.skipped:
                await report_progress(self._progress, self.report.completed, self._source.total)
            await asyncio.wait([self._reading])
            while self._writing:
                await asyncio.wait(self._writing)
        except BaseException as error:
            await self._wind_up(error)
            raise
        if self._reading.cancelled():
            self._end(_not_by_the_caller("the source"))  # unless an error is why it was cancelled
        elif (failed := self._reading.exception()) is not None:
            self._end(failed)
        await self._wind_up(self._error)
        if self._error is not None:
            self._error.add_note(self.report.note())
            raise self._error
        if self._checkpoint is not None and self._gap is None:
            await _in_thread(self._checkpoint.remove)
        return self.report.result()

    async def _wind_up(self, error: BaseException | None) -> None:
        """End all tasks, and save how far they came; failing to do so must not hide why the run ends."""
        self._over = True
        try:
            await _cancelled([*([] if self._reading is None else [self._reading]), *self._writing])
            await _cancelled(self._writing)  # those that the reading began meanwhile
        finally:
            if self._checkpoint is not None:
                try:
                    await self._save(self._checkpoint)
                except OSError as failed:
                    if error is None:
                        raise
                    error.add_note(f"the checkpoint could not be saved: {failed}")

    async def _read(self) -> None:
        limits = self._limits
        batches = self._source.batches(limits.batch_size, limits.max_batch_bytes, self.report.skipped)
        async with aclosing(batches):
            async for batch in batches:
                ids = {document.id for document in batch.documents}
                while len(self._writing) >= limits.max_concurrent or not self._ids.isdisjoint(ids):
                    self._batch_ended.clear()
                    await self._batch_ended.wait()
                if self._over:
                    return
                self._position = batch.start + len(batch)
                self._ids |= ids
                task = asyncio.create_task(self._write(batch))
                self._writing[task] = batch
                task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        batch = self._writing.pop(task)
        self._ids.difference_update(document.id for document in batch.documents)
        self._batch_ended.set()
        if task.cancelled():
            self._leave_gap(batch)
            if not self._over:
                self._end(_not_by_the_caller("the progress callback"))

    async def _write(self, batch: Batch) -> None:
        try:
            outcome = await self._sender.send(batch)
            async with self._settling:
                await self._settle(batch, outcome)
        except Exception as error:  # noqa: BLE001 - raised again by the one who waits for the run
            self._end(error)
            self._leave_gap(batch)

    async def _settle(self, batch: Batch, outcome: Outcome) -> None:
        """Note what became of a batch; batches do so one after the other."""
        if outcome.failures and self._dead_letters is not None:
            await _in_thread(self._dead_letters.add, outcome.failures)
        if not outcome.finished or (outcome.failures and self._dead_letters is None):
            self._leave_gap(batch)
        self.report.add(batch.number, outcome)
        if outcome.fatal is not None:
            self._end(outcome.fatal)
        if self._error is not None:
            return
        try:
            await report_progress(self._progress, self.report.completed, self._source.total)
        except Exception as error:  # noqa: BLE001 - likewise
            self._end(error)
            return
        now = asyncio.get_running_loop().time()
        if self._checkpoint is not None and now - self._saved >= _CHECKPOINT_INTERVAL:
            await self._save(self._checkpoint, done=batch)
            self._saved = now

    def _end(self, error: BaseException) -> None:
        """End the run early; the first error is the one that is raised."""
        if self._error is None and isinstance(error, Exception):
            self._error = error
        self._over = True
        self._sender.limit.stop()
        if self._reading is not None:
            self._reading.cancel()

    def _leave_gap(self, batch: Batch) -> None:
        self._gap = batch.start if self._gap is None else min(self._gap, batch.start)

    async def _save(self, checkpoint: Checkpoint, done: Batch | None = None) -> None:
        """Save how far everything is finished; what failed must be as safe on disk before."""
        unfinished = [batch.start for batch in self._writing.values() if batch is not done]
        finished_below = min([self._position, *unfinished, *([] if self._gap is None else [self._gap])])

        def save() -> None:
            if self._dead_letters is not None:
                self._dead_letters.sync()
            checkpoint.save(finished_below)

        await _in_thread(save)


def _not_by_the_caller(what: str) -> VectorStoreError:
    """The error for a cancellation that comes from inside; raised as it is, it would look like the caller's own."""
    return VectorStoreError(f"{what} was cancelled, but not by the caller of the run", operation="upsert")


async def _in_thread(work: Callable[..., T], *args: object) -> T:
    """Do file work in a thread, and wait for its end even if cancelled meanwhile."""
    return await finished(asyncio.to_thread(work, *args))


async def _cancelled(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait until they are over, also if cancelled meanwhile."""
    waiting = [task for task in tasks if not task.done()]
    for task in waiting:
        task.cancel()
    cancelled: asyncio.CancelledError | None = None
    while not all(task.done() for task in waiting):
        try:
            await asyncio.wait(waiting)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
