"""The same documents with vectors of another model, in an index of their own, and a switch when they are all there."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from ia_modules.vector_stores.base import VectorStoreBase
from ia_modules.vector_stores.embedders.base import Embedder
from ia_modules.vector_stores.errors import IndexMismatchError, InvalidDocumentError
from ia_modules.vector_stores.metrics import DistanceMetric
from ia_modules.vector_stores.migration.ahead import reading_ahead
from ia_modules.vector_stores.migration.intent import Intent
from ia_modules.vector_stores.migration.progress import ProgressCallback
from ia_modules.vector_stores.migration.records import Source, SourceInfo
from ia_modules.vector_stores.migration.report import MigrationReport
from ia_modules.vector_stores.migration.run import AnySource, as_source, checked_places, migrate
from ia_modules.vector_stores.migration.stores import StoreSource, StoreTarget
from ia_modules.vector_stores.models import VectorDocument

__all__ = ["EmbeddingTarget", "ReembedReport", "reembed"]

_MOST_PROBLEMS = 100


@dataclass(frozen=True, slots=True)
class ReembedReport:
    """What became of embedding an index anew.

    Attributes:
        migration: what arrived.
        model: name of the model that made the vectors.
        verified: whether count, texts and metadata were found to be those of the source; None if nobody looked.
        problems: what was found to differ, the first hundred.
        switched: whether ``switch`` was called.
    """

    migration: MigrationReport
    model: str
    verified: bool | None
    problems: tuple[str, ...] = ()
    switched: bool = False

    @property
    def complete(self) -> bool:
        """Whether everything arrived, and nothing was found to differ."""
        return self.migration.complete and self.verified is not False

    def to_json(self) -> str:
        """The report as a JSON object."""
        own = {key: value for key, value in asdict(self).items() if key != "migration"}
        return json.dumps(
            own | {"complete": self.complete, "migration": json.loads(self.migration.to_json())}, indent=2
        )


class EmbeddingTarget(StoreTarget):
    """A store that gets the documents with vectors of a model instead of their own.

    What the store has already, with the same text and metadata, is not embedded again.

    Args:
        store: the store; its index is to hold vectors of this model only.
        embedder: makes the vectors.
        metric: of an index to be created; None for that of the config if it states one, else that of the source.
        index_options: further options of ``create_index``.
    """

    def __init__(
        self,
        store: VectorStoreBase,
        embedder: Embedder,
        *,
        metric: DistanceMetric | str | None = None,
        index_options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(store, change_metric=True, metric=metric, index_options=index_options)
        self.name = f"{self.name} ({embedder.model})"
        self._embedder = embedder

    async def examine(self, info: SourceInfo) -> Intent:
        """What :meth:`prepare` would do for a source; changes nothing."""
        model = self._embedder.model
        dimension = await self._embedder.get_dimension()
        intent = await super().examine(replace(info, dimension=dimension, embedding_model=model))
        if intent.exists and not intent.errors and intent.index.embedding_model != model:
            error = IndexMismatchError(
                f"the index {self.store.config.index_name!r} exists and does not say that its vectors are of "
                f"{model!r}; embed into a new index",
                provider=self.store.provider,
                operation="reembed",
            )
            return replace(intent, errors=(error,))
        return intent

    async def write(self, documents: list[VectorDocument], namespace: str) -> Mapping[str, str]:
        """Embed the texts and write the documents; one without text is refused."""
        refused: dict[str, str] = {}
        able = []
        for document in {document.id: document for document in documents}.values():
            if document.text is None or not document.text.strip():
                refused[document.id] = "it has no text to embed" if document.text is None else "its text is blank"
            else:
                able.append(document)
        embedded = await self._embedded(able, refused)
        return {**refused, **await super().write(embedded, namespace)}

    async def differing(self, documents: list[VectorDocument], namespace: str) -> list[VectorDocument]:
        """Those of the documents whose text or metadata is not in the namespace as given; vectors do not count."""
        return await self._differing(documents, namespace, vectors=False)

    async def _embedded(self, documents: list[VectorDocument], refused: dict[str, str]) -> list[VectorDocument]:
        """The documents with new vectors; one whose text the model refuses is noted and left out."""
        if not documents:
            return []
        try:
            vectors = await self._embedder.embed_documents([document.text or "" for document in documents])
        except (InvalidDocumentError, UnicodeError) as error:
            if len(documents) == 1:
                refused[documents[0].id] = getattr(error, "message", "its text can't be embedded")
                return []
            half = len(documents) // 2
            return [
                *await self._embedded(documents[:half], refused),
                *await self._embedded(documents[half:], refused),
            ]
        return [
            VectorDocument(id=document.id, vector=vector, metadata=document.metadata, text=document.text)
            for document, vector in zip(documents, vectors, strict=True)
        ]


async def reembed(
    source: AnySource,
    target_store: VectorStoreBase,
    embedder: Embedder,
    *,
    verify: bool = True,
    switch: Callable[[], Any] | None = None,
    metric: DistanceMetric | str | None = None,
    namespaces: Mapping[str, str] | None = None,
    batch_size: int = 500,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    second_pass: bool = True,
    rejects: str | os.PathLike[str] | None = None,
    progress: ProgressCallback | None = None,
) -> ReembedReport:
    """Embed the texts of all documents anew, into an index of their own; ids, texts and metadata stay as they are.

    Args:
        source: where the texts are; its vectors are not read if it is a store.
        target_store: where to; the index is created with the model's dimension and name if it is missing.
        embedder: makes the vectors.
        verify: whether to compare count, text and metadata of all documents with the source at the end.
        switch: called, and awaited if it can be, only if everything arrived and, unless ``verify=False``, was found to
            be there: for setting an alias, or what tells an application which index to use.
        metric: of an index to be created; None for that of the store's config if it states one, else that of the
            source.
        namespaces: as in :func:`~ia_modules.vector_stores.migration.run.migrate`, like all that follow.
        batch_size: documents per page, and texts that the embedder gets together.
        checkpoint: file that says how far it is.
        resume: whether to go on where it says.
        second_pass: whether to look for what was written meanwhile.
        rejects: file that gets all that did not arrive.
        progress: called after every page.

    Returns:
        What became of it. Documents without text are ``refused`` there, and then ``switch`` is not called.

    Raises:
        IndexMismatchError: the index exists and is not known to hold vectors of this model.
        ValueError: an argument that makes no sense.
        VectorStoreError: the source, the target or the embedder failed. What was written stays, and ``resume=True``
            goes on.
    """
    reading = StoreSource(source, vectors=False) if isinstance(source, VectorStoreBase) else as_source(source)
    target = EmbeddingTarget(target_store, embedder, metric=metric)
    report = await migrate(
        reading,
        target,
        namespaces=namespaces,
        batch_size=batch_size,
        checkpoint=checkpoint,
        resume=resume,
        second_pass=second_pass,
        rejects=rejects,
        progress=progress,
    )
    problems: list[str] | None = None
    if verify:
        try:
            problems = await _problems(reading, target, namespaces, batch_size)
        finally:
            await reading.close()
    verified = None if problems is None else not problems
    switched = False
    if switch is not None and report.complete and verified is not False:
        told = switch()
        if inspect.isawaitable(told):
            await told
        switched = True
    return ReembedReport(report, embedder.model, verified, tuple(problems or ()), switched)


async def _problems(
    source: Source, target: EmbeddingTarget, namespaces: Mapping[str, str] | None, batch_size: int
) -> list[str]:
    """What of the source is not in the target, and where the target has more."""
    problems: list[str] = []
    counts: dict[str, int] = {}
    info = await source.describe()
    for name, place in sorted(checked_places(source, target, info, namespaces, strict=False).items()):
        async with reading_ahead(source.pages(name, batch_size)) as pages:
            async for page in pages:
                problems += [
                    f"the document {document.id!r} of the namespace {name!r} is not in {place!r} as it is in the source"
                    for document in await target.differing(page.documents, place)
                ]
                problems += [
                    f"{one.key} of the namespace {name!r} can't be read: {one.cause}" for one in page.unreadable
                ]
                counts[place] = counts.get(place, 0) + len({document.id for document in page.documents})
                del problems[_MOST_PROBLEMS:]
    for place, count in counts.items():
        found = await target.store.count(namespace=place)
        if found != count:
            problems.append(f"the namespace {place!r} has {found:,} documents; the source has {count:,} for it")
    return problems
