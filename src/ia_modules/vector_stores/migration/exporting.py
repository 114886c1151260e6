"""A file as the target of a migration: it appears whole or not at all, and an interrupted export goes on."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeAlias, TypeVar

import numpy as np

from ia_modules.vector_stores.documents import checked_id, checked_metadata, checked_namespace
from ia_modules.vector_stores.durable import sync_file, sync_folder
from ia_modules.vector_stores.errors import InvalidDocumentError, VectorStoreError
from ia_modules.vector_stores.migration.formats import FileFormatError
from ia_modules.vector_stores.migration.records import SourceInfo
from ia_modules.vector_stores.migration.staging import Row, Staging
from ia_modules.vector_stores.models import VectorDocument
from ia_modules.vector_stores.providers.threads import finished

__all__ = ["FileFacts", "FileTarget"]

T = TypeVar("T")
FileFacts: TypeAlias = dict[str, Any]
"""What a file says of the index that its documents are of: metric, dimension, embedding_model, documents."""

_FLOAT32 = np.dtype("<f4")
_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


class FileTarget:
    """A file that is made of documents. Base of the formats.

    What is written goes into ``<file>.partial``, a small database that a killed process leaves whole, and of equal ids
    in a namespace the last one wins. :meth:`finish` makes the file of it, under another name first; the file's own
    name therefore never stands for half an export.

    Args:
        path: the file.
        overwrite: whether a file that is there already may be replaced.

    Attributes:
        name: the file.
        notes: what a user should know.
    """

    kind: ClassVar[str]

    def __init__(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        self.path = Path(path)
        self.name = str(self.path)
        self.notes: list[str] = []
        self._overwrite = overwrite
        self._partial = self.path.with_name(f"{self.path.name}.partial")
        self._staging: Staging | None = None
        self._turn = asyncio.Lock()

    async def prepare(self, info: SourceInfo, namespaces: Mapping[str, str], *, resumed: bool) -> None:
        """Begin an export, or go on with one.

        Args:
            info: the source; its metric, dimension and embedding model are kept in the file.
            namespaces: of the source, and what they become.
            resumed: whether an earlier run began; else what it left is thrown away.

        Raises:
            FileExistsError: there is such a file already, and it may not be replaced.
            FileNotFoundError: its folder does not exist.
            FileFormatError: nothing is there to go on with.
            InvalidDimensionError: another dimension than the one the export began with.
            StoreLockedError: another process makes the same file.
            MissingDependencyError: a package that the format needs is not installed.
        """
        for name in namespaces.values():
            checked_namespace(name)

        def begin() -> None:
            try:
                self._begin(info, resumed=resumed)
            except BaseException:
                self._close()
                raise

        await self._in_turn(begin)

    async def write(self, documents: list[VectorDocument], namespace: str) -> Mapping[str, str]:
        """Keep documents; they outlive a crash when it returns.

        Returns:
            Id and cause of those that can't be kept: an id, metadata or text that no store would take, or a vector of
            another length than the first one's.
        """
        return await self._in_turn(lambda: self._put(documents, namespace))

    async def differing(self, documents: list[VectorDocument], namespace: str) -> list[VectorDocument]:
        """Those of the documents that are not in the namespace as they are given."""

        def compare() -> list[VectorDocument]:
            distinct = {document.id: document for document in documents}
            kept = self._open().get(namespace, list(distinct))
            return [one for one in distinct.values() if one.id not in kept or not _same(one, kept[one.id])]

        return await self._in_turn(compare)

    async def remove(self, ids: list[str], namespace: str) -> None:
        """Forget documents; those that don't exist are no error."""
        await self._in_turn(lambda: self._open().remove(namespace, ids))

    async def finish(self) -> None:
        """Make the file of what was written. Doing it again does nothing.

        Raises:
            OSError: it can't be written; what was collected for it is still there.
        """
        await self._in_turn(self._finish)

    async def close(self) -> None:
        """Close what is open; without :meth:`finish` no file is made, and another run can go on. May be repeated."""
        await self._in_turn(self._close)

    def _check_packages(self) -> None:
        """Raise MissingDependencyError if something is not installed."""
        raise NotImplementedError

    def _read_again(self) -> Iterable[tuple[str, list[VectorDocument]]]:
        """Namespaces and documents of the finished file."""
        raise NotImplementedError

    def _make(self, rows: Iterator[Row], facts: FileFacts, path: Path) -> None:
        """Write the whole file under another name."""
        raise NotImplementedError

    def _publish(self, made: Path, facts: FileFacts) -> None:
        """Give the file its name."""
        del facts
        made.replace(self.path)

    async def _in_turn(self, work: Callable[[], T]) -> T:
        def told() -> T:
            try:
                return work()
            except sqlite3.Error as error:
                raise VectorStoreError(f"{self._partial} can't be used: {error}") from error

        async with self._turn:
            return await finished(asyncio.to_thread(told))

    def _open(self) -> Staging:
        if self._staging is None:
            raise ValueError(f"{self.path}: prepare() comes before anything is written")
        return self._staging

    def _begin(self, info: SourceInfo, *, resumed: bool) -> None:
        self._check_packages()
        self._close()
        if not self.path.parent.is_dir():
            raise FileNotFoundError(2, "no such folder", str(self.path.parent))
        if self.path.is_dir():
            raise IsADirectoryError(21, "is a folder, and an export is one file", str(self.path))
        facts: FileFacts = {
            "metric": info.metric and info.metric.value,
            "dimension": info.dimension,
            "embedding_model": info.embedding_model,
        }
        if not resumed:
            if self.path.exists() and not self._overwrite:
                raise FileExistsError(17, "exists already, and is not replaced unless that is asked for", self.name)
            self._staging = Staging(self._partial, facts)
        elif self._partial.exists():
            self._staging = Staging(self._partial)
            self._check_same(self._staging, facts)
        elif self.path.exists():
            # It was finished, and the run was killed before it could say so; or there is something to add.
            self._staging = Staging(self._partial, facts)
            for namespace, documents in self._read_again():
                self._put(documents, namespace)
        else:
            raise FileFormatError(f"{self._partial} is gone, so there is nothing to go on with; start again")

    def _check_same(self, staging: Staging, facts: FileFacts) -> None:
        for name, value in facts.items():
            kept = staging.facts.get(name)
            if value is not None and kept is not None and value != kept:
                raise FileFormatError(
                    f"{self._partial} was begun with the {name} {kept!r}, the source has {value!r}; start again"
                )

    def _put(self, documents: list[VectorDocument], namespace: str) -> dict[str, str]:
        staging = self._open()
        dimension = staging.facts["dimension"]
        refused: dict[str, str] = {}
        rows: dict[str, Row] = {}
        for document in documents:
            size = len(document.vector)
            if dimension is None:
                dimension = size
                staging.update_facts(dimension=dimension)
            rows.pop(document.id, None)
            refused.pop(document.id, None)
            if size != dimension:
                refused[document.id] = f"a vector of {size} numbers, where the others have {dimension}"
                continue
            try:
                rows[document.id] = _row(document, namespace)
            except InvalidDocumentError as error:
                refused[document.id] = error.message
        staging.put(rows.values())
        return refused

    def _finish(self) -> None:
        staging = self._staging
        if staging is None:
            return
        facts = {name: staging.facts[name] for name in ("metric", "dimension", "embedding_model")}
        facts["documents"] = staging.count()
        made = self._partial.with_name(f"{self._partial.name}.file")
        try:
            self._make(staging.rows(), facts, made)
            sync_file(made)
            self._publish(made, facts)
            sync_folder(self.path.parent)
        finally:
            made.unlink(missing_ok=True)
        staging.discard()
        self._staging = None

    def _close(self) -> None:
        if self._staging is not None:
            self._staging.close()
            self._staging = None


def _row(document: VectorDocument, namespace: str) -> Row:
    checked_id(document.id)
    text = document.text
    if text is not None and not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InvalidDocumentError("text has a lone surrogate, which UTF-8 can't encode") from None
    vector = document.vector.array.astype(_FLOAT32, copy=False).tobytes()
    return Row(namespace, document.id, vector, text, _to_json(checked_metadata(document.metadata, document.id)))


def _same(document: VectorDocument, kept: Row) -> bool:
    """Whether a document is kept as it is; 1, 1.0 and True are equal in Python, and JSON tells them apart."""
    try:
        row = _row(document, kept.namespace)
    except InvalidDocumentError:
        return False
    if row[:4] != kept[:4]:
        return False
    return row.metadata == kept.metadata or _sorted(row.metadata) == _sorted(kept.metadata)


def _sorted(metadata: str) -> str:
    return json.dumps(json.loads(metadata), sort_keys=True)
