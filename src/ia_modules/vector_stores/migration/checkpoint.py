"""How far a migration has come, kept in a file so that the next run can go on from there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ia_modules.vector_stores.durable import replace_file
from ia_modules.vector_stores.migration.progress import Phase
from ia_modules.vector_stores.migration.records import Cursor, Unreadable
from ia_modules.vector_stores.migration.report import NamespaceReport

__all__ = ["Checkpoint", "State"]

_VERSION = 1


@dataclass(slots=True)
class State:
    """All that a run has to know of those before it.

    Attributes:
        phase: what is being done.
        number: of the pass: 1 copies, each further one compares.
        finished: namespaces of the source that this pass has read to their end.
        namespace: the one that it is reading; None between two.
        cursor: where to go on in it; None at its start, or if the source can't go on elsewhere.
        begun: whether reading it was begun before, in this pass.
        done: documents that this pass is done with.
        done_before: how many of them when it came to this namespace.
        tallies: what became of each namespace.
        refused: by namespace of the source, id and cause.
        unreadable: by namespace of the source.
        notes: for the report.
    """

    phase: Phase = "copy"
    number: int = 1
    finished: list[str] = field(default_factory=list)
    namespace: str | None = None
    cursor: Cursor = None
    begun: bool = False
    done: int = 0
    done_before: int = 0
    tallies: dict[str, NamespaceReport] = field(default_factory=dict)
    refused: dict[str, dict[str, str]] = field(default_factory=dict)
    unreadable: dict[str, list[Unreadable]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def begin(self, phase: Phase) -> None:
        """Start a further pass: what it finds replaces what the one before found."""
        self.phase, self.number = phase, self.number + 1
        self.finished, self.namespace, self.cursor, self.begun, self.done = [], None, None, False, 0
        self.refused, self.unreadable = {}, {}
        self.tallies = {
            name: replace(tally, caught_up=0, removed=0, refused=0, unreadable=0, finished=False)
            for name, tally in self.tallies.items()
        }

    def enter(self, name: str, place: str) -> bool:
        """Start with a namespace, or go on in it; whether this pass has been there before and begins it again."""
        resumed = self.namespace == name and self.begun
        again = resumed and self.cursor is None
        if not resumed:
            self.namespace, self.cursor, self.begun, self.done_before = name, None, True, self.done
        if not resumed or again:
            self.done = self.done_before
            old = self.tallies.get(name, NamespaceReport(name, place))
            first = NamespaceReport(name, place) if self.phase == "copy" else old
            self.tallies[name] = replace(first, caught_up=0, removed=0, refused=0, unreadable=0, finished=False)
            self.refused.pop(name, None)
            self.unreadable.pop(name, None)
        return again

    def leave(self, name: str) -> None:
        """Note that a namespace was read to its end."""
        self.finished.append(name)
        self.namespace, self.cursor, self.begun = None, None, False

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> State:
        """The state as :meth:`Checkpoint.save` has stored it."""
        state = cls(**stored)
        if state.phase not in ("copy", "second pass", "complete"):
            raise ValueError(state.phase)
        state.tallies = {name: NamespaceReport(**tally) for name, tally in stored["tallies"].items()}
        state.unreadable = {name: [Unreadable(**one) for one in them] for name, them in stored["unreadable"].items()}
        return state


class Checkpoint:
    """The file.

    Args:
        path: where it is.
        job: what tells this migration from others.
    """

    def __init__(self, path: Path, job: dict[str, Any]) -> None:
        self.path = path
        self._job = job

    @property
    def ledger(self) -> Path:
        """Where the ids are kept that were written."""
        return self.path.with_name(f"{self.path.name}.ids")

    def save(self, state: State) -> None:
        """Replace the file in one step; it outlives a power failure when this returns.

        Raises:
            OSError: it could not be written; the one before it is still there.
        """
        content = json.dumps({"version": _VERSION, "job": self._job, "state": asdict(state)}, indent=1)
        replace_file(self.path, content.encode())

    def load(self) -> State | None:
        """The state that the file has, or None if there is no file.

        Raises:
            ValueError: it is of another migration, or something else.
        """
        stored = _stored(self.path)
        if stored is None:
            return None
        job, state = stored
        if job != self._job:
            other = sorted(name for name in {*job, *self._job} if job.get(name) != self._job.get(name))
            raise ValueError(
                f"{self.path} is the checkpoint of another migration: {', '.join(other)} is "
                f"{', '.join(repr(job.get(name)) for name in other)} there and "
                f"{', '.join(repr(self._job.get(name)) for name in other)} here; delete it or name another file"
            )
        return state


def _stored(path: Path) -> tuple[dict[str, Any], State] | None:
    """Job and state of a checkpoint file; None if there is none.

    Raises:
        ValueError: the file is something else.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        stored = json.loads(content)
        if stored["version"] != _VERSION:
            raise ValueError
        return dict(stored["job"]), State.of(stored["state"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        message = f"{path} is no checkpoint of a migration of this version; delete it or name another file"
        raise ValueError(message) from None
