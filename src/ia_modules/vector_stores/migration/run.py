"""Migrating: from where, to where, and what of it is done already."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeAlias

from ia_modules.vector_stores.base import VectorStoreBase
from ia_modules.vector_stores.documents import checked_namespace
from ia_modules.vector_stores.migration.checkpoint import Checkpoint, State
from ia_modules.vector_stores.migration.ledger import Ledger
from ia_modules.vector_stores.migration.passes import Files, Passes, in_thread
from ia_modules.vector_stores.migration.progress import ProgressCallback
from ia_modules.vector_stores.migration.records import CorrectableTarget, Source, SourceInfo, Target
from ia_modules.vector_stores.migration.rejects import Rejects
from ia_modules.vector_stores.migration.report import MAX_LISTED, MigrationReport
from ia_modules.vector_stores.migration.stores import StoreSource, StoreTarget, place_of

__all__ = ["AnySource", "AnyTarget", "as_source", "as_target", "checked_places", "migrate", "total_of"]

AnySource: TypeAlias = Source | VectorStoreBase
AnyTarget: TypeAlias = Target | VectorStoreBase


async def migrate(
    source: AnySource,
    target: AnyTarget,
    *,
    namespaces: Mapping[str, str] | None = None,
    batch_size: int = 500,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    second_pass: bool = True,
    rejects: str | os.PathLike[str] | None = None,
    progress: ProgressCallback | None = None,
) -> MigrationReport:
    """Bring all documents of a source to a target, ids, texts, metadata and vectors as they are.

    Pages are read while others are written, in constant memory. Documents of the target that have other ids stay as
    they are. A second pass reads the source once more, compares each document with the target, and writes what was
    added or changed meanwhile; what was deleted from the source is deleted from the target only if this migration has
    written it. Files that are read are taken for finished and get no second pass.

    Args:
        source: a store, or any :class:`~ia_modules.vector_stores.migration.records.Source`, which is closed at the end.
        target: a store, or any :class:`~ia_modules.vector_stores.migration.records.Target`, likewise. A missing index
            is created, and the report says so; :class:`~ia_modules.vector_stores.migration.stores.StoreTarget` has
            options for that.
        namespaces: which namespaces of the source to take, and what they become; None takes all as they are.
        batch_size: documents per page.
        checkpoint: file that says how far the migration is. It stays at the end: a later run with ``resume=True``
            then only brings what has changed since. Beside it lies a file ``.ids`` with the ids that were written.
        resume: whether to go on where the checkpoint says; without one, the run begins at the start.
        second_pass: whether to look for what was written meanwhile.
        rejects: JSON-lines file that gets all that did not arrive, with causes and without contents. A run that was
            killed may have left a line that comes again.
        progress: called after every page, and awaited if it can be.

    Returns:
        What became of it; ``complete`` says whether all of the source is in the target.

    Raises:
        InvalidDimensionError: the index has vectors of another size. Nothing was written, as with the next ones.
        IndexMismatchError: it has another metric or embedding model.
        UnsupportedOperationError: the database does not have the metric, or so many dimensions.
        StoreLockedError: another migration is under way with this checkpoint.
        ValueError: an argument that makes no sense, a checkpoint of another migration, or one that is not to be
            resumed although it is not complete.
        VectorStoreError: the source or the target failed. What was written stays, and ``resume=True`` goes on.
    """
    started = time.perf_counter()
    if type(batch_size) is not int or batch_size < 1:
        raise ValueError(f"batch_size must be an integer of at least 1, not {batch_size!r}")
    if resume and checkpoint is None:
        raise ValueError("resume=True needs a checkpoint")
    source, target = as_source(source), as_target(target)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(source.close)
        stack.push_async_callback(target.close)
        info = await source.describe()
        places = checked_places(source, target, info, namespaces, strict=not resume)
        name = getattr(target, "name", type(target).__name__)
        job = {"source": info.name, "target": name, "namespaces": None if namespaces is None else dict(namespaces)}
        mark = None if checkpoint is None else Checkpoint(Path(checkpoint), job)
        state, resumed = await _state(mark, resume=resume)
        correctable = isinstance(target, CorrectableTarget)
        second = second_pass and correctable and info.live
        await target.prepare(info, places, resumed=resumed)
        if not resumed:
            state.notes = [*info.notes, *getattr(target, "notes", ())]
            if second_pass and info.live and not correctable:
                state.notes.append("no second pass, as the target can't be compared with the source")
        merging = len(set(places.values())) < len(places)
        files = await _opened(mark, rejects, state, ledger=second or merging, resumed=resumed)
        try:
            passes = Passes(
                source,
                target,
                _all_places(places, state),
                state,
                files,
                batch_size=batch_size,
                total=total_of(info, places),
                progress=progress,
            )
            async with passes.saving():
                await _run(passes, source, target, namespaces, second=second)
        except Exception as error:
            error.add_note(_so_far(state, mark))
            raise
        finally:
            for one in (files.ledger, files.rejects):
                if one is not None:
                    await in_thread(one.close)
    return _report(info.name, name, state, time.perf_counter() - started, resumed=resumed, rejects=rejects)


async def _run(
    passes: Passes, source: Source, target: Target, namespaces: Mapping[str, str] | None, *, second: bool
) -> None:
    state = passes.state
    if state.phase == "copy":
        await passes.save()
        await passes.go_through()
    # One that was interrupted begins again: what was written since may lie behind the place where it was.
    if second:
        await passes.begin_second()
    if state.phase == "second pass":
        info = await source.describe()
        places = checked_places(source, target, info, namespaces, strict=False)
        passes.follow(places, total_of(info, places))
        await passes.go_through()
        await passes.remove_gone()
    await target.finish()
    await passes.complete()


def as_source(source: object) -> Source:
    """A store as a source; anything else as it is.

    Raises:
        ValueError: neither a store nor a source.
    """
    if isinstance(source, VectorStoreBase):
        return StoreSource(source)
    if not isinstance(source, Source):
        raise ValueError(
            f"a source is a store, or has describe(), pages() and close(); {type(source).__name__} has not"
        )
    return source


def as_target(target: object) -> Target:
    """A store as a target; anything else as it is.

    Raises:
        ValueError: neither a store nor a target.
    """
    if isinstance(target, VectorStoreBase):
        return StoreTarget(target)
    if not isinstance(target, Target):
        name = type(target).__name__
        raise ValueError(f"a target is a store, or has prepare(), write(), finish() and close(); {name} has not")
    return target


def checked_places(
    source: Source, target: Target, info: SourceInfo, namespaces: Mapping[str, str] | None, *, strict: bool
) -> dict[str, str]:
    """Namespaces of the target by those of the source.

    Args:
        source: where documents come from.
        target: where they go.
        info: of the source.
        namespaces: what the caller asked for.
        strict: whether a namespace that the source does not have is an error.

    Raises:
        ValueError: such a namespace, a name that is none, or documents that would be read after they were written.
    """
    places = {name: name for name in info.namespaces} if namespaces is None else dict(namespaces)
    for place in places.values():
        checked_namespace(place)
    if strict and (unknown := sorted(places.keys() - info.namespaces.keys())):
        known = ", ".join(map(repr, sorted(info.namespaces))) or "none"
        raise ValueError(f"the source has no namespace {', '.join(map(repr, unknown))}; it has {known}")
    if _is_same_index(source, target) and (both := sorted(places.keys() & set(places.values()))):
        raise ValueError(
            f"source and target are the same index, so the namespace {', '.join(map(repr, both))} can't be both read "
            f"and written"
        )
    return places


def total_of(info: SourceInfo, places: Mapping[str, str]) -> int | None:
    """How many documents there are in the namespaces; None if that is not known of all."""
    counts = [info.namespaces.get(name, 0) for name in places]
    return None if None in counts else sum(count or 0 for count in counts)


def _is_same_index(source: Source, target: Target) -> bool:
    one, other = getattr(source, "store", None), getattr(target, "store", None)
    if not isinstance(one, VectorStoreBase) or not isinstance(other, VectorStoreBase):
        return False
    shared = one.config.provider != "memory" or one.config.path is not None  # else documents are the store's own
    return one is other or (shared and place_of(one) == place_of(other))


def _all_places(places: Mapping[str, str], state: State) -> dict[str, str]:
    """Those of now, and those that an earlier run has met: what is gone from there is gone."""
    return {name: tally.target for name, tally in state.tallies.items()} | dict(places)


async def _state(mark: Checkpoint | None, *, resume: bool) -> tuple[State, bool]:
    """What is done already, and whether that is anything."""
    stored = None if mark is None else await in_thread(mark.load)
    if mark is None or stored is None:
        return State(), False
    if resume:
        return stored, True
    if stored.phase != "complete":
        raise ValueError(
            f"{mark.path} is the checkpoint of a migration that is not complete: resume=True goes on with it; delete "
            f"the file to begin anew"
        )
    return State(), False


async def _opened(
    mark: Checkpoint | None,
    rejects: str | os.PathLike[str] | None,
    state: State,
    *,
    ledger: bool,
    resumed: bool,
) -> Files:
    def open_all() -> Files:
        ids = None
        if ledger:
            path = None if mark is None else mark.ledger
            if resumed and (path is None or not path.exists()):
                state.notes.append(
                    "which documents were written before is not known; of those, none is deleted from the target"
                )
            ids = Ledger(path, fresh=not resumed)
        try:
            rejected = None if rejects is None else Rejects(rejects, fresh=not resumed)
        except BaseException:
            if ids is not None:
                ids.close()
            raise
        return Files(mark, ids, rejected)

    return await in_thread(open_all)


def _so_far(state: State, mark: Checkpoint | None) -> str:
    written = sum(tally.written + tally.caught_up for tally in state.tallies.values())
    ahead = "" if mark is None else f"; resume=True goes on from there with {mark.path}"
    return f"{written:,} documents were written before{ahead}"


def _report(source: str, target: str, state: State, seconds: float, *, resumed: bool, rejects: Any) -> MigrationReport:
    refused: dict[str, str] = {}
    for name, them in sorted(state.refused.items()):
        refused.update((key if key not in refused else f"{key} (in {name!r})", cause) for key, cause in them.items())
    unreadable = tuple(one for _, them in sorted(state.unreadable.items()) for one in them)
    notes = list(state.notes)
    tallies = [tally for _, tally in sorted(state.tallies.items())]
    lost = sum(tally.refused + tally.unreadable for tally in tallies)
    if lost > len(refused) + len(unreadable) and rejects is None:
        notes.append(f"only the first {MAX_LISTED:,} of what did not arrive are listed; rejects= names a file for all")
    if any(tally.repeated for tally in tallies):
        notes.append("some ids come more than once in the source; the last document of each is kept")
    return MigrationReport(
        source=source,
        target=target,
        namespaces=tuple(tallies),
        refused=refused,
        unreadable=unreadable,
        seconds=seconds,
        resumed=resumed,
        notes=tuple(dict.fromkeys(notes)),
        complete=state.phase == "complete" and not lost,
    )
