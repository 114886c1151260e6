"""Ingestion: read, compare with what is stored, embed what is new, write, and remove what is gone.

A run can be interrupted anywhere. Every passage has an id that is the same every time and a hash of its content, so
the next run finds what is stored already and goes on from there; passages are removed only after their file was read
to its end without a loss.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from ia_modules.vector_stores.embedders.base import Embedder, Vectors
from ia_modules.vector_stores.errors import IndexMismatchError, InvalidDocumentError
from ia_modules.vector_stores.filters.nodes import Condition
from ia_modules.vector_stores.ingest.discover import source_name
from ia_modules.vector_stores.ingest.reader import Batch, FinishedFile, Reader
from ia_modules.vector_stores.ingest.types import (
    IngestIssue,
    IngestProgress,
    IngestReport,
    LoadOptions,
    Passage,
    SourceFile,
)
from ia_modules.vector_stores.models import VectorDocument

__all__ = ["IngestStore", "ingest"]

_DELETE_AT_ONCE = 500


class IngestStore(Protocol):
    """The part of a vector store that an ingestion uses; every store of this package has it."""

    async def upsert(self, documents: Any, namespace: str | None = None) -> Any:
        """Write documents."""

    async def fetch(self, ids: Any, namespace: str | None = None) -> list[VectorDocument]:
        """Read documents; missing ids are left out."""

    async def delete(self, ids: Any = None, *, namespace: str | None = None) -> Any:
        """Delete documents."""

    def scan(self, namespace: str | None = None, filters: Any = None, *, include_vectors: bool = True) -> Any:
        """Iterate over all documents."""

    async def get_embedding_model(self) -> str | None:
        """Name of the model that the index was made for."""


async def ingest(
    store: IngestStore,
    embedder: Embedder,
    paths: Iterable[str | Path | SourceFile],
    *,
    namespace: str | None = None,
    root: str | Path | None = None,
    options: LoadOptions | None = None,
    batch_size: int = 128,
    prune: bool = False,
    progress: Callable[[IngestProgress], None] | None = None,
) -> IngestReport:
    """Bring files and folders into a store; running it again changes nothing and embeds nothing.

    Args:
        store: a store whose index exists.
        embedder: makes the vectors.
        paths: files and folders.
        namespace: where to; None for the store's default.
        root: folder that sources are named relative to; None for the current one. The same files must be given
            with the same root, or they count as others.
        options: how to read and split files.
        batch_size: passages embedded and written together.
        prune: also remove passages of files that are gone from the given folders.
        progress: called after each batch.

    Returns:
        What was done, with a list of everything that could not be read.

    Raises:
        FileNotFoundError: one of the paths does not exist; nothing was done.
        IndexMismatchError: the index was made with another embedding model.
        ValueError: an option out of range.
        VectorStoreError: the store or the embedder failed. What was written stays; a new run continues.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, not {batch_size}")
    made_with = await store.get_embedding_model()
    if made_with is not None and made_with != embedder.model:
        raise IndexMismatchError(
            f"the index holds embeddings of {made_with!r}; those of {embedder.model!r} can't be compared with them",
            operation="ingest",
        )
    base = Path.cwd() if root is None else Path(root)
    given = [path if isinstance(path, SourceFile) else Path(path) for path in paths]
    run = _Run(store, embedder, namespace, batch_size)
    reader = await asyncio.to_thread(Reader, given, base, options or LoadOptions())
    await run.read(reader, progress)
    if prune:
        folders = [path for path in given if isinstance(path, Path) and path.is_dir()]
        await run.prune([source_name(folder, base) for folder in folders])
    run.report.seconds = time.perf_counter() - run.started
    return run.report


class _Run:
    """State of one ingestion."""

    def __init__(self, store: IngestStore, embedder: Embedder, namespace: str | None, batch_size: int) -> None:
        self.report = IngestReport()
        self.started = time.perf_counter()
        self._store = store
        self._embedder = embedder
        self._namespace = namespace
        self._batch_size = batch_size
        self._sources: set[str] = set()
        self._unread: set[str] = set()
        # Ids of the batch being written, which a look into the store may miss.
        self._writing: dict[str, str] = {}

    async def read(self, reader: Reader, progress: Callable[[IngestProgress], None] | None) -> None:
        """Take in all batches; one is read and embedded while the last one is written."""
        total = await asyncio.to_thread(reader.count_files) if progress is not None else 0
        writing: asyncio.Task[None] | None = None
        last = False
        try:
            while not last:
                batch = await asyncio.to_thread(reader.next_batch, self._batch_size)
                last = batch.last
                self._note(batch)
                documents, replaced, shrunk = await self._compared(batch)
                if writing is not None:
                    await writing
                self._writing = {document.id: str(document.metadata["source"]) for document in documents}
                writing = asyncio.create_task(self._written(documents, replaced, shrunk))
                if progress is not None:
                    report = self.report
                    progress(
                        IngestProgress(report.files, total, report.passages, report.embedded, batch.source),
                    )
            if writing is not None:
                await writing
        finally:
            if writing is not None and not writing.done():
                writing.cancel()
                await asyncio.gather(writing, return_exceptions=True)

    async def prune(self, folders: Sequence[str]) -> None:
        """Remove passages of files below the folders that were not met, unless they could not be looked for."""
        gone: list[str] = []
        async for document in self._scan(None):
            source = document.metadata.get("source")
            if (
                isinstance(source, str)
                and "content_hash" in document.metadata
                and source not in self._sources
                and any(_is_below(source, folder) for folder in folders)
                and not any(source == path or _is_below(source, path) for path in self._unread)
            ):
                gone.append(document.id)
        await self._remove(gone)

    def _note(self, batch: Batch) -> None:
        self.report.passages += len(batch.passages)
        self.report.files += len(batch.finished)
        self.report.skipped += batch.skipped
        self._sources.update(str(passage.metadata["source"]) for passage in batch.passages)
        self._sources.update(file.source for file in batch.finished)
        for issue in batch.issues:
            self._unread.add(issue.path)
            self.report.add_issue(issue)

    async def _compared(self, batch: Batch) -> tuple[list[VectorDocument], set[str], list[FinishedFile]]:
        """Documents to write, ids that are stored already, and the files that may have lost passages."""
        wanted = [passage.id for passage in batch.passages]
        beyond = [file.next_id for file in batch.finished if file.next_id is not None]
        stored = {}
        if wanted or beyond:
            ids = list(dict.fromkeys([*wanted, *beyond]))
            stored = {document.id: document for document in await self._store.fetch(ids, namespace=self._namespace)}
        changed: list[Passage] = []
        owners = dict(self._writing)
        for passage in batch.passages:
            known = stored.get(passage.id)
            source = str(passage.metadata["source"])
            owner = owners.get(passage.id) or (known.metadata.get("source") if known is not None else None)
            owners[passage.id] = source
            if isinstance(owner, str) and owner != source and owner in self._sources:
                owners[passage.id] = owner
                message = f"the id {passage.id!r} is taken by {owner}; the passage was left out"
                self.report.add_issue(IngestIssue(source, None, message))
            elif known is not None and known.metadata == passage.metadata and known.text == passage.text:
                self.report.unchanged += 1
            else:
                changed.append(passage)
        documents = await self._documents(changed, stored)
        shrunk = [file for file in batch.finished if file.intact and (file.records or file.next_id in stored)]
        return documents, set(stored), shrunk

    async def _documents(self, changed: list[Passage], stored: dict[str, VectorDocument]) -> list[VectorDocument]:
        # Where only the metadata changed, the stored vector still stands for the text.
        fresh = [p for p in changed if (known := stored.get(p.id)) is None or known.text != p.text]
        vectors = await self._embedded(fresh) if fresh else {}
        documents = []
        for passage in changed:
            known = stored.get(passage.id)
            vector = vectors.get(passage.id)
            if vector is None and known is not None and known.text == passage.text:
                vector = known.vector
            if vector is not None:
                documents.append(
                    VectorDocument(id=passage.id, vector=vector, metadata=passage.metadata, text=passage.text)
                )
        return documents

    async def _embedded(self, fresh: list[Passage]) -> dict[str, Any]:
        """Vectors by id; a text that the model refuses is reported and left out."""
        try:
            vectors: Vectors = await self._embedder.embed_documents([passage.text for passage in fresh])
        except InvalidDocumentError as error:
            if len(fresh) == 1:
                self._refused(fresh[0], error)
                return {}
            half = len(fresh) // 2
            return {**await self._embedded(fresh[:half]), **await self._embedded(fresh[half:])}
        self.report.embedded += len(fresh)
        return {passage.id: vector for passage, vector in zip(fresh, vectors, strict=True)}

    async def _written(self, documents: list[VectorDocument], replaced: set[str], shrunk: list[FinishedFile]) -> None:
        if documents:
            await self._upserted(documents, replaced)
        for file in shrunk:
            stale = [document.id async for document in self._scan(file.source) if document.id not in file.ids]
            # The one that made us look goes last: should this be interrupted, the next run looks again.
            await self._remove([identity for identity in stale if identity != file.next_id])
            await self._remove([identity for identity in stale if identity == file.next_id])

    async def _upserted(self, documents: list[VectorDocument], replaced: set[str]) -> None:
        """Write documents; one that the store can't hold is reported, and the others are written."""
        try:
            await self._store.upsert(documents, namespace=self._namespace)
        except InvalidDocumentError as error:
            if len(documents) == 1:
                source = str(documents[0].metadata["source"])
                self.report.add_issue(IngestIssue(source, None, error.message))
                return
            half = len(documents) // 2
            await self._upserted(documents[:half], replaced)
            await self._upserted(documents[half:], replaced)
        else:
            updates = sum(document.id in replaced for document in documents)
            self.report.updated += updates
            self.report.added += len(documents) - updates

    def _refused(self, passage: Passage, error: InvalidDocumentError) -> None:
        message = f"{error.message} (passage {passage.id!r})"
        self.report.add_issue(IngestIssue(str(passage.metadata["source"]), None, message))

    async def _remove(self, ids: list[str]) -> None:
        for start in range(0, len(ids), _DELETE_AT_ONCE):
            part = ids[start : start + _DELETE_AT_ONCE]
            await self._store.delete(ids=part, namespace=self._namespace)
            self.report.removed += len(part)

    def _scan(self, source: str | None) -> AsyncIterator[VectorDocument]:
        filters = None if source is None else Condition("source", "eq", source)
        documents: AsyncIterator[VectorDocument] = self._store.scan(
            namespace=self._namespace, filters=filters, include_vectors=False
        )
        return documents


def _is_below(source: str, folder: str) -> bool:
    if folder == ".":
        return not source.startswith("/")
    return source.startswith(f"{folder.rstrip('/')}/")
