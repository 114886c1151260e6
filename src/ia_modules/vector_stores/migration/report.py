"""What became of a migration."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from ia_modules.vector_stores.migration.records import Unreadable

__all__ = ["MAX_LISTED", "MigrationReport", "NamespaceReport"]

MAX_LISTED = 1000
"""Most entries of ``refused`` and of ``unreadable`` in a report; the counts go on."""


@dataclass(frozen=True, slots=True)
class NamespaceReport:
    """What became of one namespace.

    Attributes:
        source: its name in the source.
        target: its name in the target.
        read: documents that the first pass read.
        written: of those, how many the target has acknowledged.
        unchanged: of those, how many the target had already, which were not sent again.
        repeated: of those, how many came with an id that a later one of the same page had; the later one was sent.
        caught_up: documents that the second pass found missing or different, and wrote.
        removed: documents that the migration had written and that were deleted from the source since, so that the
            second pass deleted them from the target.
        refused: documents that the target can't hold, as the last pass found.
        unreadable: things of the source that are no documents, as the last pass found.
        finished: whether the namespace was read to its end, in all passes that were asked for.
    """

    source: str
    target: str
    read: int = 0
    written: int = 0
    unchanged: int = 0
    repeated: int = 0
    caught_up: int = 0
    removed: int = 0
    refused: int = 0
    unreadable: int = 0
    finished: bool = False


@dataclass(frozen=True, slots=True)
class MigrationReport:
    """What became of a migration, all runs of its checkpoint together.

    Attributes:
        source: name of the source.
        target: name of the target.
        namespaces: what became of each namespace.
        refused: id and cause of documents that the target can't hold, the first :data:`MAX_LISTED`. Where an id is
            refused in several namespaces, the later ones have theirs behind it.
        unreadable: things of the source that are no documents, the first :data:`MAX_LISTED`.
        seconds: how long this run took.
        resumed: whether it went on from a checkpoint.
        notes: what a user should know, such as that an index was created.
        complete: whether all that the source has is in the target: every namespace was read to its end, nothing was
            refused and nothing unreadable.
    """

    source: str
    target: str
    namespaces: tuple[NamespaceReport, ...]
    refused: Mapping[str, str] = field(default_factory=dict)
    unreadable: tuple[Unreadable, ...] = ()
    seconds: float = 0.0
    resumed: bool = False
    notes: tuple[str, ...] = ()
    complete: bool = False

    @property
    def read(self) -> int:
        """Documents that the first pass read."""
        return sum(one.read for one in self.namespaces)

    @property
    def written(self) -> int:
        """Documents that the target has acknowledged, in both passes."""
        return sum(one.written + one.caught_up for one in self.namespaces)

    @property
    def unchanged(self) -> int:
        """Documents of the first pass that the target had already."""
        return sum(one.unchanged for one in self.namespaces)

    @property
    def caught_up(self) -> int:
        """Documents that the second pass wrote."""
        return sum(one.caught_up for one in self.namespaces)

    @property
    def removed(self) -> int:
        """Documents that the second pass deleted from the target."""
        return sum(one.removed for one in self.namespaces)

    @property
    def refused_count(self) -> int:
        """How many documents the target can't hold, also those that ``refused`` does not list."""
        return sum(one.refused for one in self.namespaces)

    @property
    def unreadable_count(self) -> int:
        """How much of the source is no document, also what ``unreadable`` does not list."""
        return sum(one.unreadable for one in self.namespaces)

    def to_json(self) -> str:
        """The report as a JSON object, sums included."""
        sums = ("read", "written", "unchanged", "caught_up", "removed", "refused_count", "unreadable_count")
        return json.dumps(asdict(self) | {name: getattr(self, name) for name in sums}, indent=2)
