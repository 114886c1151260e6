"""What a migration would do, before it does anything."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

import numpy as np

from ia_modules.vector_stores.documents import check_lengths, checked_documents
from ia_modules.vector_stores.errors import IndexNotFoundError, VectorStoreError
from ia_modules.vector_stores.metrics import DistanceMetric
from ia_modules.vector_stores.migration.ahead import closing
from ia_modules.vector_stores.migration.records import CorrectableTarget, Source, SourceInfo, Unreadable
from ia_modules.vector_stores.migration.run import (
    AnySource,
    AnyTarget,
    as_source,
    as_target,
    checked_places,
    total_of,
)
from ia_modules.vector_stores.migration.stores import StoreTarget
from ia_modules.vector_stores.models import VectorDocument

__all__ = ["Plan", "PlannedNamespace", "plan"]

_UNIT = 1e-3
"""How far a vector's length may be from 1 to count as scaled."""


@dataclass(frozen=True, slots=True)
class PlannedNamespace:
    """What would become of a namespace.

    Attributes:
        source: its name in the source.
        target: its name in the target.
        documents: how many it has; None if that is not known before reading.
        already_there: how many documents that namespace of the target has now; None if that is not known.
    """

    source: str
    target: str
    documents: int | None
    already_there: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a migration would do.

    Attributes:
        source: name of the source.
        target: name of the target.
        namespaces: what would become of each.
        documents: how many there are; None if that is not known before reading.
        index: of the target: ``"found"``, ``"to be created"``, or None if it is no store.
        dimension: numbers per vector, if known.
        metric: that searches of the target will have; None if it is no store.
        problems: what forbids the migration.
        refused: of the sample, id and cause of documents that the target can't hold.
        unreadable: of the sample, what is no document.
        sampled: how many documents were looked at.
        seconds: how long the migration may take at least, from the time that reading the sample took; None if that is
            not known.
        estimate: how ``seconds`` was found, in words.
        notes: what a user should know.
    """

    source: str
    target: str
    namespaces: tuple[PlannedNamespace, ...]
    documents: int | None
    index: Literal["found", "to be created"] | None
    dimension: int | None
    metric: DistanceMetric | None
    problems: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    unreadable: tuple[Unreadable, ...] = ()
    sampled: int = 0
    seconds: float | None = None
    estimate: str = ""
    notes: tuple[str, ...] = ()

    @property
    def possible(self) -> bool:
        """Whether nothing forbids the migration."""
        return not self.problems

    def to_json(self) -> str:
        """The plan as a JSON object."""
        return json.dumps(asdict(self) | {"possible": self.possible}, indent=2)


async def plan(
    source: AnySource,
    target: AnyTarget,
    *,
    namespaces: Mapping[str, str] | None = None,
    sample: int = 1000,
    batch_size: int = 500,
    second_pass: bool = True,
) -> Plan:
    """Find out what :func:`~ia_modules.vector_stores.migration.run.migrate` would do; nothing is written or created.

    Args:
        source: as in ``migrate``; closed at the end unless it is a store.
        target: as in ``migrate``.
        namespaces: as in ``migrate``.
        sample: how many documents to read and check against the target's limits, from all namespaces in turn.
        batch_size: as in ``migrate``.
        second_pass: as in ``migrate``; it doubles the reading.

    Raises:
        ValueError: an argument that makes no sense.
        VectorStoreError: the source or the target can't be reached.
    """
    if sample < 0 or batch_size < 1:
        raise ValueError("sample must be at least 0, and batch_size at least 1")
    source, target = as_source(source), as_target(target)
    try:
        info = await source.describe()
        places = checked_places(source, target, info, namespaces, strict=True)
        total = total_of(info, places)
        taken = await _sample(source, places, sample, batch_size)
        passes = 2 if second_pass and info.live and isinstance(target, CorrectableTarget) else 1
        draft = _Draft(info, taken)
        if isinstance(target, StoreTarget):
            await draft.look_at(target, places)
    finally:
        await source.close()
    seconds, estimate = _estimate(taken, total, passes)
    return Plan(
        source=info.name,
        target=getattr(target, "name", type(target).__name__),
        namespaces=tuple(
            PlannedNamespace(name, place, info.namespaces.get(name), draft.there.get(place))
            for name, place in sorted(places.items())
        ),
        documents=total,
        index=draft.index,
        dimension=draft.dimension,
        metric=draft.metric,
        problems=tuple(draft.problems),
        refused=draft.refused,
        unreadable=tuple(taken.unreadable),
        sampled=len(taken.documents),
        seconds=seconds,
        estimate=estimate,
        notes=(*info.notes, *draft.notes),
    )


@dataclass(slots=True)
class _Sample:
    documents: list[VectorDocument] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    seconds: float = 0.0


async def _sample(source: Source, places: Mapping[str, str], most: int, batch_size: int) -> _Sample:
    taken = _Sample()
    for index, name in enumerate(sorted(places)):
        # What one namespace leaves, the next ones may take.
        share = len(taken.documents) + -(-(most - len(taken.documents)) // (len(places) - index))
        if share <= len(taken.documents):
            break
        began = time.perf_counter()
        async with closing(source.pages(name, min(batch_size, share))) as pages:
            async for page in pages:
                taken.documents += page.documents
                taken.unreadable += page.unreadable
                if len(taken.documents) >= share:
                    break
        taken.seconds += time.perf_counter() - began
    return taken


def _estimate(taken: _Sample, total: int | None, passes: int) -> tuple[float | None, str]:
    count = len(taken.documents)
    if total is None or not count:
        return None, "no estimate: it is not known how many documents there are"
    seconds = passes * total * taken.seconds / count
    twice = ", for the copy and the second pass" if passes == 2 else ""
    return seconds, (
        f"an estimate: {count:,} documents were read in {taken.seconds:.2f} s, times {total:,} documents{twice}; "
        f"writing goes on meanwhile and was not measured, so it may take longer"
    )


class _Draft:
    """What is known so far."""

    def __init__(self, info: SourceInfo, taken: _Sample) -> None:
        self.index: Literal["found", "to be created"] | None = None
        self.metric: DistanceMetric | None = None
        self.dimension = info.dimension
        self.problems: list[str] = []
        self.refused: dict[str, str] = {}
        self.notes: list[str] = []
        self.there: dict[str, int] = {}
        self._info = info
        self._taken = taken
        if self.dimension is None and taken.documents:
            self.dimension = len(taken.documents[0].vector)
        self._look_at_lengths()

    async def look_at(self, target: StoreTarget, places: Mapping[str, str]) -> None:
        """Compare with the index and with what the database can hold."""
        intent = await target.examine(self._info)
        self.index = "found" if intent.exists else "to be created"
        self.metric = intent.index.metric
        self.dimension = intent.index.dimension or self.dimension
        self.problems += [error.message for error in intent.errors]
        self.notes += intent.notes
        await asyncio.to_thread(self._check_all, target, self.dimension)
        if intent.exists and not intent.errors:
            for place in sorted(set(places.values())):
                try:
                    self.there[place] = await target.store.count(namespace=place)
                except IndexNotFoundError:  # deleted meanwhile
                    break
            if any(self.there.values()):
                self.notes.append("the target has documents already; those with ids of the source are replaced")

    def _look_at_lengths(self) -> None:
        """What can be seen of vectors that a database has scaled to length 1."""
        documents = self._taken.documents
        if self._info.metric is not DistanceMetric.COSINE or not documents:
            return
        lengths = np.array([np.linalg.norm(document.vector.array.astype(np.float64)) for document in documents])
        if bool((np.abs(lengths - 1.0) < _UNIT).all()):
            self.notes.append(
                "all vectors of the sample have length 1. The stores of this package keep other lengths; if another "
                "program filled this cosine index, the database may have scaled them, and the lengths are lost"
            )

    def _check_all(self, target: StoreTarget, dimension: int | None) -> None:
        for document in self._taken.documents:
            if (cause := _refusal(document, target, dimension)) is not None:
                self.refused[document.id] = cause


def _refusal(document: VectorDocument, target: StoreTarget, dimension: int | None) -> str | None:
    """Why the target's store would refuse a document."""
    store = target.store
    able = store.capabilities
    try:
        checked = checked_documents([document], dimension)
        check_lengths(checked.ids, checked.arrays, zero=able.zero_vectors, lengths=able.vector_lengths)
        store._check_documents(checked)  # noqa: SLF001 - the provider's own limits, which need no I/O
    except VectorStoreError as error:
        return error.message
    return None
