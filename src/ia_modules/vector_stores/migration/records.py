"""What a migration reads from and writes to: a few shapes that every source and every target has."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, runtime_checkable

from ia_modules.vector_stores.metrics import DistanceMetric
from ia_modules.vector_stores.models import VectorDocument

__all__ = ["CorrectableTarget", "Cursor", "Page", "Source", "SourceInfo", "Target", "Unreadable"]

Cursor: TypeAlias = Any
"""Where to go on reading: a JSON value, so that a checkpoint can keep it, and good in another process."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Something of the source that can't become a document.

    Attributes:
        key: what tells it apart in the source, such as a primary key or the number of a line.
        cause: why it can't be read, without contents.
        namespace: where it would have gone.
    """

    key: str
    cause: str
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """Documents in the order of the source, and where the next page begins.

    Attributes:
        documents: with vectors.
        cursor: to be handed to :meth:`Source.pages` to go on behind this page; None if it can't go on from here and
            has to begin at the namespace's start (writing a document again changes nothing).
        unreadable: what lay between the documents and is none.
    """

    documents: list[VectorDocument]
    cursor: Cursor
    unreadable: list[Unreadable] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What a source says of itself before anything is read.

    Attributes:
        name: for reports; no secret in it.
        kind: ``"sql"``, ``"parquet"``, ``"jsonl"``, or the provider of a store.
        dimension: numbers per vector; None if not known before reading.
        metric: the metric that it was made for; None if the source has none (SQL, JSON lines).
        namespaces: how many records each one has; None for "not known without reading".
        embedding_model: name of the model that made the vectors, if recorded.
        notes: what a user should know, such as which table and columns were found.
    """

    name: str
    kind: str
    dimension: int | None
    metric: DistanceMetric | None
    namespaces: Mapping[str, int | None]
    embedding_model: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def live(self) -> bool:
        """Whether it may change while it is read; files are taken for finished."""
        return self.kind not in ("parquet", "jsonl")


@runtime_checkable
class Source(Protocol):
    """Where documents come from."""

    async def describe(self) -> SourceInfo:
        """What is there. Opens the source if it is not open yet."""

    def pages(self, namespace: str, size: int, after: Cursor = None) -> AsyncIterator[Page]:
        """The documents of a namespace in pages of at most ``size``, from behind ``after``."""

    async def close(self) -> None:
        """Free what was opened. May be called twice."""


@runtime_checkable
class Target(Protocol):
    """Where documents go."""

    async def prepare(self, info: SourceInfo, namespaces: Mapping[str, str], *, resumed: bool) -> None:
        """Get ready for documents of a source, whose namespaces become those of the mapping; raises what forbids it."""

    async def write(self, documents: list[VectorDocument], namespace: str) -> Mapping[str, str]:
        """Write; when it returns they are there, but for those that are returned: id and cause of each refused one."""

    async def finish(self) -> None:
        """Make final what was written: all of the source was read. May be called twice, and is not after a failure."""

    async def close(self) -> None:
        """Free what was opened; without :meth:`finish` another run can go on. May be called twice."""


@runtime_checkable
class CorrectableTarget(Target, Protocol):
    """A target that can be compared with the source and corrected, as stores and our files can."""

    async def differing(self, documents: list[VectorDocument], namespace: str) -> list[VectorDocument]:
        """Those of the documents that are not in the namespace as they are given."""

    async def remove(self, ids: list[str], namespace: str) -> None:
        """Delete documents; those that don't exist are no error."""
