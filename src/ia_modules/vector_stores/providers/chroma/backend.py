"""What the provider needs of Chroma, and what its embedded and its remote form share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from ia_modules.vector_stores.providers.chroma.layout import replacement
from ia_modules.vector_stores.providers.packages import imported

__all__ = [
    "LIST_PAGE",
    "Backend",
    "Handle",
    "Rows",
    "holding_lists",
    "import_chromadb",
    "rewritten",
    "settings",
    "with_replacements",
]

T = TypeVar("T")

Handle: TypeAlias = Any
"""A Chroma ``Collection`` or ``AsyncCollection``."""

MetadataChange: TypeAlias = Callable[[dict[str, Any] | None], dict[str, Any] | None]


@dataclass(frozen=True, slots=True)
class Rows:
    """What to write, in Chroma's own terms."""

    ids: list[str]
    embeddings: NDArray[np.float32]
    metadatas: list[dict[str, Any] | None]
    documents: list[str | None]

    def __len__(self) -> int:
        return len(self.ids)

    def part(self, start: int, size: int) -> Rows:
        """The rows from ``start`` on, at most ``size``."""
        if not start and size >= len(self):
            return self
        rows = slice(start, start + size)
        return Rows(self.ids[rows], self.embeddings[rows], self.metadatas[rows], self.documents[rows])

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of ``Collection.upsert``; columns with nothing in them are left out."""
        return {
            "ids": self.ids,
            "embeddings": self.embeddings,
            "metadatas": self.metadatas if any(self.metadatas) else None,
            "documents": None if self.documents.count(None) == len(self.documents) else self.documents,
        }


class Backend(Protocol):
    """Chroma, embedded or remote; names are those of collections, not of indexes."""

    async def open(self) -> None:
        """Connect."""

    async def close(self) -> None:
        """Free all that :meth:`open` made."""

    async def heartbeat(self) -> None:
        """Ask for a sign of life."""

    async def find(self, name: str) -> Handle | None:
        """A collection by name, or None."""

    async def create(
        self, name: str, metadata: dict[str, Any], configuration: dict[str, Any], *, if_missing: bool
    ) -> Handle:
        """Create a collection; an existing one is an error unless ``if_missing``."""

    async def drop(self, handle: Handle) -> None:
        """Delete a collection, and first the rows that would leave something behind."""

    async def collections(self) -> Sequence[Handle]:
        """All collections."""

    async def count(self, handle: Handle) -> int:
        """Rows of a collection."""

    def changes(self, handle: Handle) -> object | None:
        """Equal to the value before as long as no row was written or deleted; None if others may write unnoticed."""

    async def get(self, handle: Handle, **arguments: Any) -> dict[str, Any]:
        """``Collection.get``."""

    async def query(self, handle: Handle, *, read: Callable[[dict[str, Any]], T], **arguments: Any) -> T:
        """``Collection.query``, and what ``read`` makes of the answer, in the thread that has just made it."""

    async def replace(self, handle: Handle, rows: Rows) -> None:
        """Write rows; existing ones are replaced whole."""

    async def rewrite(self, handle: Handle, document_id: str, change: MetadataChange) -> bool:
        """Change one row's metadata; whether it exists."""

    async def delete(self, handle: Handle, ids: list[str]) -> int:
        """Delete rows by id; how many existed."""


def import_chromadb() -> Any:
    """The client package.

    Raises:
        MissingDependencyError: it is not installed.
    """
    return imported("chromadb", provider="chroma")


def settings(**given: Any) -> Any:
    """Chroma settings that come from the arguments alone.

    Left to itself, Chroma reads unprefixed environment variables and a ``.env`` file of the current folder; stating
    every setting keeps both out.
    """
    from chromadb.config import Settings

    stated = {
        name: field.get_default(call_default_factory=True)
        for name, field in Settings.model_fields.items()
        if not field.is_required()
    }
    return Settings(**({"_env_file": None} | stated | {"anonymized_telemetry": False} | given))


LIST_PAGE = 2_000
"""Rows whose metadata is read at a time before a collection is deleted."""


def holding_lists(stored: dict[str, Any]) -> list[str]:
    """Ids of the rows that have a list in their metadata.

    Chroma deletes a collection without the lists of its rows, and gives their row numbers to whatever is written next
    into any collection, which then has those lists (chroma-core/chroma#7594). Deleting the rows themselves is done
    right, so those with a list are deleted before their collection is.
    """
    return [
        row_id
        for row_id, native in zip(stored["ids"], stored["metadatas"], strict=True)
        if native and any(type(value) is list for value in native.values())
    ]


def with_replacements(rows: Rows, stored: dict[str, Any]) -> Rows:
    """The rows, told to remove what the stored ones of the same id have and they lack."""
    metadatas, documents = list(rows.metadatas), list(rows.documents)
    places = {document_id: i for i, document_id in enumerate(rows.ids)}
    for document_id, old, old_text in zip(stored["ids"], stored["metadatas"], stored["documents"], strict=True):
        i = places[document_id]
        metadatas[i], documents[i] = replacement(old, old_text, metadatas[i], documents[i])
    return Rows(rows.ids, rows.embeddings, metadatas, documents)


def rewritten(old: dict[str, Any] | None, change: MetadataChange) -> dict[str, Any] | None:
    """What to send so that a row's metadata becomes ``change(old)``."""
    return dict.fromkeys(old or (), None) | (change(old) or {})
