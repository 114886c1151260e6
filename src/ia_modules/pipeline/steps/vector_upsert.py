"""The pipeline step that writes documents."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar

from ia_modules.vector_stores.base import VectorStoreBase
from ia_modules.vector_stores.embedders import Embedder
from ia_modules.vector_stores.errors import IndexAlreadyExistsError, IndexNotFoundError
from ia_modules.vector_stores.models import VectorDocument
from ia_modules.vector_stores.rag import close_shared_stores
from ia_modules.vector_stores.rag.failures import sentence
from ia_modules.vector_stores.rag.options import Options, kind_of
from ia_modules.vector_stores.rag.sources import EmbedderSource, check_model
from ia_modules.vector_stores.rag.step import StoreStep

__all__ = ["VectorUpsertStep", "close_shared_stores"]

_FIELDS = ("id", "vector", "metadata", "text")
_IN_A_ROW = 500


class VectorUpsertStep(StoreStep):
    """Writes what comes in as ``documents``; those without a vector are embedded, all in one call.

    A document is an object with ``id``, ``text`` or ``vector`` or both, and ``metadata`` if there is any; or a
    ``VectorDocument``. One whose id exists is replaced. The result is everything that came in, and ``upserted``: how
    many documents were written.

    Config keys:
        store, vector_store, pool, api_key_env, namespace, embedding_model: as for ``VectorSearchStep``.
        batch_size: most documents per request; 100.
        create_if_missing: false; true creates the index if it does not exist, for vectors as they come.
        settle: true waits until other connections can read what was written, where the database is late.
        documents_key, output_key: where they are in the data, if not in ``documents`` and ``upserted``.
        error_handling: the pipeline's own settings. There is no fallback: what was not written must not look as if.

    Raises:
        StepConfigurationError: a config that makes no sense.
    """

    default_name: ClassVar[str] = "vector_upsert"

    def __init__(
        self,
        name: str | None = None,
        config: Mapping[str, Any] | None = None,
        *,
        vector_store: Any = None,
        embedding_model: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(name, config, vector_store=vector_store, embedding_model=embedding_model, **options)

    def _read(self, options: Options) -> None:
        self._embedder = EmbedderSource(options)
        self._batch_size = options.integer("batch_size", 100, 1)
        self._create = options.flag("create_if_missing", False)
        self._settle = options.flag("settle", True)
        self._documents_key = options.text("documents_key", "documents")
        self._output_key = options.output("output_key", "upserted")

    async def _work(self, data: Mapping[str, Any]) -> dict[str, Any]:
        given = data.get(self._documents_key)
        if not isinstance(given, list | tuple):
            raise ValueError(f"{self._documents_key!r} must come in as a list of documents, not {kind_of(given)}")
        if not given:
            return {self._output_key: 0}
        fields = [_fields(one, position) for position, one in enumerate(given)]
        bare = [one for one in fields if one.get("vector") is None]
        embedder = await self._embed(bare) if bare else None
        documents = await _documents(fields)
        async with self.store() as store:
            upserted = await self._upsert(store, documents, embedder)
            if self._settle and isinstance(store, VectorStoreBase):
                await store.settle()
        return {self._output_key: upserted}

    async def _embed(self, bare: Sequence[dict[str, Any]]) -> Embedder:
        for one in bare:
            if not isinstance(one.get("text"), str) or not one["text"].strip():
                raise ValueError(f"document {_named(one)} has neither a vector nor a text to embed")
        embedder = await self._embedder.get(self)
        vectors = await embedder.embed_documents([one["text"] for one in bare])
        for one, vector in zip(bare, vectors, strict=True):
            one["vector"] = vector
        return embedder

    async def _upsert(
        self, store: VectorStoreBase, documents: Sequence[VectorDocument], embedder: Embedder | None
    ) -> int:
        for last in (False, True):
            try:
                if embedder is not None:
                    await check_model(store, embedder)
                done = await store.upsert(documents, self.source.namespace, self._batch_size)
                return done["upserted"]
            except IndexNotFoundError:
                if last or not self._create:
                    raise
            with suppress(IndexAlreadyExistsError):  # another run was faster
                await store.create_index(
                    len(documents[0].vector),
                    store.config.metric,
                    **({} if embedder is None else {"embedding_model": embedder.model}),
                )
        raise AssertionError("unreachable")


def _fields(document: Any, position: int) -> dict[str, Any]:
    if isinstance(document, VectorDocument):
        return {name: getattr(document, name) for name in _FIELDS}
    if not isinstance(document, Mapping):
        raise ValueError(f"document number {position} is {kind_of(document)}, not an object")
    if unknown := sorted(str(key)[:80] for key in document if key not in _FIELDS):
        raise ValueError(
            f"document number {position} has the unknown key {unknown[0]!r}; documents have {', '.join(_FIELDS)}, and "
            "further facts belong into metadata"
        )
    return dict(document)


async def _documents(fields: Sequence[dict[str, Any]]) -> list[VectorDocument]:
    documents = []
    for position, one in enumerate(fields):
        if position % _IN_A_ROW == _IN_A_ROW - 1:
            await asyncio.sleep(0)
        try:
            documents.append(
                VectorDocument(**({key: v for key, v in one.items() if key != "metadata" or v is not None}))
            )
        except ValueError as error:
            raise ValueError(f"document {_named(one)}, number {position}: {sentence(error)}") from None
    return documents


def _named(fields: Mapping[str, Any]) -> str:
    name = fields.get("id")
    return repr(name[:80]) if isinstance(name, str) else "without an id"
