"""Going through the source: once to copy, and once more for what was written to it meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

from ia_modules.vector_stores.migration.ahead import reading_ahead
from ia_modules.vector_stores.migration.checkpoint import Checkpoint, State
from ia_modules.vector_stores.migration.ledger import Ledger
from ia_modules.vector_stores.migration.progress import Clock, Progress, ProgressCallback, report_progress
from ia_modules.vector_stores.migration.records import CorrectableTarget, Page, Source, Target
from ia_modules.vector_stores.migration.rejects import Rejects
from ia_modules.vector_stores.migration.report import MAX_LISTED
from ia_modules.vector_stores.migration.stores import StoreSource
from ia_modules.vector_stores.models import VectorDocument
from ia_modules.vector_stores.providers.threads import finished

__all__ = ["Files", "Passes", "in_thread"]

T = TypeVar("T")

_LONGEST_INTERVAL = 1.0
_SAVING_SHARE = 0.1
"""Of the time, for saving."""


@dataclass(frozen=True, slots=True)
class Files:
    """What a run keeps on disk; any of them may be missing."""

    checkpoint: Checkpoint | None
    ledger: Ledger | None
    rejects: Rejects | None


class Passes:
    """State of one run.

    Args:
        source: where documents come from.
        target: where they go.
        places: namespaces of the target by those of the source.
        state: what is done already; kept up to date.
        files: where it is kept.
        batch_size: documents per page.
        total: how many documents there are, if that is known.
        progress: told after every page.
    """

    def __init__(
        self,
        source: Source,
        target: Target,
        places: Mapping[str, str],
        state: State,
        files: Files,
        *,
        batch_size: int,
        total: int | None,
        progress: ProgressCallback | None,
    ) -> None:
        self.state = state
        self._source = source
        self._target = target
        self._places = dict(places)
        self._merging = len(set(self._places.values())) < len(self._places)
        self._files = files
        self._batch_size = batch_size
        self._total = total
        self._progress = progress
        self._clock = Clock()
        self._save_at = 0.0
        # Whether the counts are those of the place that the cursor names.
        self._consistent = True

    def follow(self, places: Mapping[str, str], total: int | None) -> None:
        """Take in what the source has got since, before a further pass."""
        self._places |= places
        self._merging = len(set(self._places.values())) < len(self._places)
        self._total = total

    async def go_through(self) -> None:
        """Read all namespaces to their end, as far as that is not done, and write what is missing."""
        self._clock = Clock(self.state.done)
        self._save_at = 0.0  # behind the first page: who is killed soon, and often, comes further all the same
        for name, place in sorted(self._places.items()):
            if name not in self.state.finished:
                await self._namespace(name, place)

    async def begin_second(self) -> None:
        """Start a pass that compares."""
        self.state.begin("second pass")
        if self._files.rejects is not None:
            await in_thread(self._files.rejects.restart)
        await self.save()

    async def remove_gone(self) -> None:
        """Delete from the target what this migration has written and the source no longer has."""
        ledger, target, state = self._files.ledger, self._target, self.state
        if ledger is None or not isinstance(target, CorrectableTarget):
            return
        if any(tally.unreadable for tally in state.tallies.values()):
            state.notes.append(
                "nothing was deleted from the target, as some of the source could not be read and may have been there"
            )
            return
        while (found := await in_thread(ledger.gone, state.number)) is not None:
            place, origin, ids = found
            # A store can be asked once more, as its answers may lag behind.
            still = await self._source.present(ids, origin) if isinstance(self._source, StoreSource) else set()
            gone = [one for one in ids if one not in still]
            await target.remove(gone, place)
            await in_thread(ledger.forget, place, gone)
            await in_thread(ledger.met, place, sorted(still), state.number)
            tally = state.tallies[origin]
            state.tallies[origin] = replace(tally, removed=tally.removed + len(gone))

    async def complete(self) -> None:
        """Note that nothing is left to do."""
        state = self.state
        state.phase = "complete"
        state.tallies = {name: replace(tally, finished=True) for name, tally in state.tallies.items()}
        await self.save()
        await self._tell("")

    async def save(self) -> None:
        """Save how far it came, unless that would be wrong."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        if self._files.checkpoint is not None and self._consistent:
            await in_thread(self._files.checkpoint.save, self.state)
        self._save_at = loop.time() + min((loop.time() - began) / _SAVING_SHARE, _LONGEST_INTERVAL)

    @asynccontextmanager
    async def saving(self) -> AsyncGenerator[None]:
        """Save at the end of a block, also if an exception ends it, which failing to save must not hide."""
        try:
            yield
        except BaseException as error:
            try:
                await self.save()
            except OSError as failed:
                error.add_note(f"the checkpoint could not be saved: {failed}")
            raise
        await self.save()

    async def _namespace(self, name: str, place: str) -> None:
        state = self.state
        again = state.enter(name, place)
        compare = state.number > 1 or again
        pages = self._source.pages(name, self._batch_size, state.cursor)
        async with reading_ahead(pages) as ahead:
            async for page in ahead:
                await self._page(page, name, place, compare=compare)
                if asyncio.get_running_loop().time() >= self._save_at:
                    await self.save()
                await self._tell(name)
        state.leave(name)
        self._consistent = True
        await self.save()

    async def _page(self, page: Page, name: str, place: str, *, compare: bool) -> None:
        """Write a page; the state changes when it is acknowledged, all at once."""
        target, state = self._target, self.state
        distinct = {document.id: document for document in page.documents}
        wanted = list(distinct.values())
        if compare and isinstance(target, CorrectableTarget) and wanted:
            wanted = await target.differing(wanted, place)
        unchanged = len(distinct) - len(wanted)
        refused = await self._taken(wanted, distinct, name, place)
        wanted = [document for document in wanted if document.id not in refused]
        if wanted:
            failed = await target.write(wanted, place)
            if failed and self._files.ledger is not None:
                await in_thread(self._files.ledger.forget, place, list(failed))
            refused = {**refused, **failed}
        if self._files.rejects is not None and (refused or page.unreadable):
            await in_thread(self._files.rejects.add, name, refused, page.unreadable)
        written = len(distinct) - unchanged - len(refused)
        tally = state.tallies[name]
        tally = replace(
            tally,
            refused=tally.refused + len(refused),
            unreadable=tally.unreadable + len(page.unreadable),
        )
        if state.phase == "copy":
            tally = replace(
                tally,
                read=tally.read + len(page.documents),
                written=tally.written + written,
                unchanged=tally.unchanged + unchanged,
                repeated=tally.repeated + len(page.documents) - len(distinct),
            )
        else:
            tally = replace(tally, caught_up=tally.caught_up + written)
        state.tallies[name] = tally
        state.done += len(page.documents)
        for key, cause in refused.items():
            if sum(map(len, state.refused.values())) < MAX_LISTED:
                state.refused.setdefault(name, {})[key] = cause
        room = MAX_LISTED - sum(map(len, state.unreadable.values()))
        if page.unreadable and room > 0:
            state.unreadable.setdefault(name, []).extend(page.unreadable[:room])
        if page.cursor is not None:
            state.cursor = page.cursor
        self._consistent = page.cursor is not None or state.cursor is None

    async def _taken(
        self, wanted: list[VectorDocument], distinct: Mapping[str, VectorDocument], name: str, place: str
    ) -> dict[str, str]:
        """Note what is about to be written; ids that a document of another namespace has, and why that forbids them."""
        ledger, number = self._files.ledger, self.state.number
        if ledger is None:
            return {}
        ids = [document.id for document in wanted]

        def note() -> dict[str, str]:
            taken = ledger.taken(place, ids, name, number) if self._merging else {}
            ledger.add(place, [one for one in ids if one not in taken], name, number)
            if len(ids) < len(distinct):
                ledger.met(place, list(distinct.keys() - set(ids)), number)
            return taken

        return {
            key: f"the id is taken by a document of the namespace {origin!r}, which goes to {place!r} as well"
            for key, origin in (await in_thread(note)).items()
        }

    async def _tell(self, name: str) -> None:
        state, tallies = self.state, self.state.tallies.values()
        total = None if self._total is None else max(self._total, state.done)
        await report_progress(
            self._progress,
            Progress(
                phase=state.phase,
                namespace=name,
                done=state.done,
                total=total,
                rate=self._clock.rate(state.done),
                seconds_left=self._clock.seconds_left(state.done, total),
                written=sum(tally.written + tally.caught_up for tally in tallies),
                refused=sum(tally.refused for tally in tallies),
                unreadable=sum(tally.unreadable for tally in tallies),
            ),
        )


async def in_thread(work: Callable[..., T], *args: object) -> T:
    """Do file work in a thread, and wait for its end even if cancelled meanwhile."""
    return await finished(asyncio.to_thread(work, *args))
