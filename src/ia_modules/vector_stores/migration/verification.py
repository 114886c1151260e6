"""Verifying: whether a target holds what a source holds, and nothing else."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from ia_modules.vector_stores.base import VectorStoreBase
from ia_modules.vector_stores.batch.progress import ProgressCallback, report_progress
from ia_modules.vector_stores.documents import checked_namespace
from ia_modules.vector_stores.migration.passes import in_thread
from ia_modules.vector_stores.migration.records import Page, SourceInfo
from ia_modules.vector_stores.migration.verification_ledger import record_keys
from ia_modules.vector_stores.migration.verification_report import SearchSummary, SideSummary, VerificationReport
from ia_modules.vector_stores.migration.verification_search import Sample, exact_answers, judge, store_answers
from ia_modules.vector_stores.migration.verification_sides import Side, SourceSide, TargetSide, open_target
from ia_modules.vector_stores.migration.verification_tally import Tally
from ia_modules.vector_stores.models import VectorDocument

__all__ = ["VerificationReport", "verify"]

_AHEAD = 3
"""Pages whose copies are fetched while another one is compared."""
_MIN_RECALL = 0.9
"""Of an approximate index; an exact one has no excuse."""


async def verify(
    source: Side,
    target: Side,
    *,
    namespaces: Mapping[str, str] | None = None,
    batch_size: int = 500,
    sample: int = 100,
    top_k: int = 10,
    seed: int = 0,
    ids: Sequence[str] | None = None,
    progress: ProgressCallback | None = None,
    tolerance: float = 1e-6,
    min_recall: float | None = None,
    max_findings: int = 1000,
) -> VerificationReport:
    """Compare all that a source holds with a target, document by document, and run a sample of searches.

    Memory does not grow with the number of documents; a temporary file does, by about a hundred bytes for each (and by
    the documents themselves where the target is a file).

    Args:
        source: a store, or any :class:`~ia_modules.vector_stores.migration.records.Source`, which is closed at the end.
        target: likewise. Searches are run if it is a store.
        namespaces: what the source's namespaces are called in the target; others are not looked at. None compares all
            of the source with all of the target, so that what is in further namespaces of the target is extra.
        batch_size: documents per page.
        sample: how many searches to run; 0 for none.
        top_k: results of each.
        seed: chooses the searches; the same seed chooses the same ones.
        ids: compare these documents only, without searches; None compares all.
        progress: called with the number of documents compared and the number there are (None if not known), and awaited
            if it can be.
        tolerance: how much a number of a vector may deviate, relative to itself.
        min_recall: mean recall of the searches that is expected; None for 0.9, and 1.0 if the target's search is exact.
        max_findings: findings of each kind that are listed; the counts are exact in any case.

    Returns:
        What was found; ``ok`` says whether that is nothing.

    Raises:
        ValueError: an argument that makes no sense, or a namespace that the source does not have.
        IndexNotFoundError: a store's index does not exist.
        VectorStoreError: a side failed.
    """
    _check(batch_size=batch_size, top_k=top_k, sample=sample, max_findings=max_findings, ids=ids)
    if not tolerance >= 0 or not (min_recall is None or 0 <= min_recall <= 1):
        raise ValueError("tolerance is a number from 0 on, and min_recall one from 0 to 1")
    ids = None if ids is None else list(dict.fromkeys(ids))
    started, moment = time.perf_counter(), datetime.now(UTC)
    reading = SourceSide(source)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(reading.source.close)
        info = await reading.source.describe()
        places = _places(info, namespaces)
        tally = Tally(tolerance, max_findings, repeats=reading.store is None or len({*places.values()}) < len(places))
        stack.push_async_callback(in_thread, tally.ledger.close)
        asked = await open_target(target, batch_size, tally, None if namespaces is None else places.values())
        stack.push_async_callback(asked.close)
        searched = Sample(sample if asked.store is not None and ids is None else 0)
        run = _Run(reading, info, asked, places, tally, searched, batch_size, top_k, seed, ids)
        run.compare_indexes()
        await run.compare_documents(progress)
        await run.find_extra(whole=namespaces is None)
        searches = await run.compare_searches(min_recall)
        return VerificationReport(
            source=_summary(info),
            target=_summary(asked.info),
            namespaces=tally.namespaces(),
            counts=tally.counts(),
            findings=tally.findings(),
            compared=tally.compared,
            deviations=tally.deviations.histogram(),
            max_deviation=tally.deviations.largest,
            tolerance=tolerance,
            searches=searches,
            notes=run.notes(),
            started=moment.isoformat(timespec="seconds"),
            seconds=time.perf_counter() - started,
            seed=seed,
        )


@dataclass(slots=True)
class _Run:
    reading: SourceSide
    info: SourceInfo
    asked: TargetSide
    places: dict[str, str]
    tally: Tally
    sample: Sample
    batch_size: int
    top_k: int
    seed: int
    ids: Sequence[str] | None
    said: str | None = None

    def compare_indexes(self) -> None:
        """Compare what is fixed about both sides."""
        ours, theirs = self.info, self.asked.info
        if ours.metric is not None and theirs.metric is not None and ours.metric is not theirs.metric:
            text = f"{ours.metric.value} in the source, {theirs.metric.value} in the target"
            self.tally.add("metric", None, None, text)
        if None not in (ours.dimension, theirs.dimension) and ours.dimension != theirs.dimension:
            text = f"{ours.dimension} numbers in the source's vectors, {theirs.dimension} in the target's"
            self.tally.add("dimension", None, None, text)

    async def compare_documents(self, progress: ProgressCallback | None) -> None:
        """Compare each document of the source with its copy."""
        counts = [self.info.namespaces.get(old) for old in self.places]
        total = None if None in counts or self.ids is not None else sum(count or 0 for count in counts)
        done = 0
        for old, new in self.places.items():
            self.tally.numbers(new).sources.append(old)
            read = unreadable = 0
            async with aclosing(self._pages_and_copies(old, new)) as pages:
                async for page, copies in pages:
                    await in_thread(self._compare, new, page.documents, copies)
                    for lost in page.unreadable:
                        self.tally.add("unreadable", new, lost.key, lost.cause)
                    read, unreadable = read + len(page.documents), unreadable + len(page.unreadable)
                    done += len(page.documents)
                    await report_progress(progress, done, total)
            told = self.info.namespaces.get(old)
            if self.ids is None and told is not None and not read <= told <= read + unreadable:
                text = f"the source says that it has {told:,} documents, and gave {read:,}"
                self.tally.add("count", new, None, text)

    async def _pages_and_copies(self, old: str, new: str) -> AsyncGenerator[tuple[Page, Mapping[str, VectorDocument]]]:
        waiting: deque[tuple[Page, asyncio.Task[dict[str, VectorDocument]]]] = deque()
        try:
            async with aclosing(self.reading.pages(old, self.batch_size, self.ids)) as pages:
                async for page in pages:
                    if not page.documents and not page.unreadable:
                        continue
                    waiting.append((page, asyncio.create_task(self._fetch(page, new))))
                    if len(waiting) > _AHEAD:
                        yield waiting[0][0], await waiting[0][1]
                        waiting.popleft()
            while waiting:
                yield waiting[0][0], await waiting[0][1]
                waiting.popleft()
        finally:
            for _, task in waiting:
                task.cancel()
            await asyncio.gather(*(task for _, task in waiting), return_exceptions=True)

    async def _fetch(self, page: Page, namespace: str) -> dict[str, VectorDocument]:
        ids = [document.id for document in page.documents]
        return await self.asked.fetch(ids, namespace) if ids else {}

    def _compare(self, namespace: str, documents: list[VectorDocument], copies: Mapping[str, VectorDocument]) -> None:
        keys = record_keys(namespace, (document.id for document in documents), self.seed)
        self.sample.offer(namespace, documents, keys)
        self.tally.compare(namespace, documents, copies, keys)

    async def find_extra(self, *, whole: bool) -> None:
        """Find what the target has and the source has not."""
        if self.ids is not None:
            for new in dict.fromkeys(self.places.values()):
                await self._find_extra_ids(new, self.ids)
            return
        others = await self.asked.namespaces() if whole else []
        for new in dict.fromkeys([*self.places.values(), *others]):
            numbers = self.tally.numbers(new)
            numbers.there = there = await self.asked.count(new)
            found = numbers.seen - numbers.missing
            # Each of those found counts once, so any surplus is extra, whatever is missing.
            if there != found:
                await self._find_extra(new, there, there - found)

    async def _find_extra(self, namespace: str, there: int, surplus: int) -> None:
        numbers = self.tally.numbers(namespace)
        async with aclosing(self.asked.id_pages(namespace, self.batch_size)) as pages:
            async for ids in pages:
                self._add_extra(namespace, await self._unseen(namespace, ids))
                if numbers.extra == surplus:  # all are named; a count that is wrong shows at the end
                    break
        if numbers.extra != surplus:
            text = f"the target counts {there:,} documents, and gave {there + numbers.extra - surplus:,}"
            self.tally.add("count", namespace, None, text)

    async def _find_extra_ids(self, namespace: str, ids: Sequence[str]) -> None:
        for at in range(0, len(ids), self.batch_size):
            if unseen := await self._unseen(namespace, ids[at : at + self.batch_size]):
                self._add_extra(namespace, list(await self.asked.fetch(unseen, namespace)))

    def _add_extra(self, namespace: str, ids: Sequence[str]) -> None:
        self.tally.numbers(namespace).extra += len(ids)
        for one in ids:
            self.tally.add("extra", namespace, one, "not in the source")

    async def _unseen(self, namespace: str, ids: Sequence[str]) -> list[str]:
        """Those of the ids that the source did not give."""
        keys = record_keys(namespace, ids, self.seed)
        seen = await in_thread(self.tally.ledger.find, keys)
        return [one for one, key in zip(ids, keys, strict=True) if key not in seen]

    async def compare_searches(self, min_recall: float | None) -> SearchSummary | None:
        """Run the sample of searches."""
        target, metric = self.asked.store, self.asked.info.metric
        queries = self.sample.queries(self.asked.info.dimension, self.seed)
        if target is None or metric is None or not queries:
            self.said = "no searches were run" if target is not None else "no searches, as the target is no store"
            return None
        origins = {new: self.tally.numbers(new).sources for new in self.places.values()}
        source = self.reading.store
        how: Literal["both sides", "exact"] = "exact"
        top_k = self._top_k(target)
        if source is not None and self.info.metric is metric:
            how, top_k = "both sides", min(top_k, self._top_k(source))
            answers = await store_answers(source, target, queries, origins, top_k)
        else:
            answers = await exact_answers(self.reading.source, target, metric, queries, origins, top_k, self.batch_size)
        if min_recall is None:
            min_recall = 1.0 if target.capabilities.exact_search else _MIN_RECALL
        if len(answers) < len(queries):
            self.said = f"{len(queries) - len(answers)} searches can't be run, as the vectors are too long or too short"
        return await asyncio.to_thread(
            lambda: judge(answers, self.tally, metric, how=how, top_k=top_k, min_recall=min_recall, seed=self.seed)
        )

    def _top_k(self, store: VectorStoreBase) -> int:
        most = store.capabilities.max_top_k
        return self.top_k if most is None else min(self.top_k, most)

    def notes(self) -> tuple[str, ...]:
        """What a reader should know."""
        notes = [*self.info.notes]
        if self.said is not None:
            notes.append(self.said)
        if self.tally.repeated:
            notes.append(f"{self.tally.repeated:,} documents of the source are repetitions, the same as before")
        models = {self.info.embedding_model, self.asked.info.embedding_model} - {None}
        if len(models) > 1:
            notes.append(f"both sides name different embedding models: {', '.join(sorted(map(str, models)))}")
        return tuple(notes)


def _check(*, batch_size: int, top_k: int, sample: int, max_findings: int, ids: Sequence[str] | None) -> None:
    least = {"batch_size": 1, "top_k": 1, "sample": 0, "max_findings": 1}
    given = {"batch_size": batch_size, "top_k": top_k, "sample": sample, "max_findings": max_findings}
    for name, value in given.items():
        if type(value) is not int or value < least[name]:
            raise ValueError(f"{name} must be an integer of at least {least[name]}, not {value!r}")
    if ids is not None and (isinstance(ids, str) or not ids):
        raise ValueError("ids is a list of at least one id")


def _places(info: SourceInfo, namespaces: Mapping[str, str] | None) -> dict[str, str]:
    """Namespaces of the target by those of the source."""
    places = {name: name for name in info.namespaces} if namespaces is None else dict(namespaces)
    for place in places.values():
        checked_namespace(place)
    if unknown := sorted(places.keys() - info.namespaces.keys()):
        known = ", ".join(map(repr, sorted(info.namespaces))) or "none"
        raise ValueError(f"the source has no namespace {', '.join(map(repr, unknown))}; it has {known}")
    return places


def _summary(info: SourceInfo) -> SideSummary:
    return SideSummary(info.name, info.kind, info.dimension, None if info.metric is None else info.metric.value)
