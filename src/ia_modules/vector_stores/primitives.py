"""What a provider fills in.

The base class calls these with arguments that are checked and normalised, around them it retries, times and maps
errors. Each must be idempotent: run again, whether or not an earlier attempt did its work, it leaves the state that one
run leaves.

* ``_upsert`` and ``_update_metadata`` write the same once more; of two tasks that write one document, the later attempt
  wins, not the later call.
* ``_delete_ids``, ``_delete_where`` and ``_empty_namespace`` find less the second time; the base class does not pass
  on a count after an attempt that may have deleted something. ``_delete_where`` also deletes what has come to pass the
  filter in between.
* ``_create_index`` finds the index there, and ``_drop_index`` finds none; the base class takes both for done after such
  an attempt, the former only if the index is the one that was wanted.
* ``_scan_page`` begins at the same cursor; a cursor stays good until the next page was asked for.
* all else only reads.

Of a primitive that makes several requests, each that is idempotent in the same sense may be made as a
:func:`~ia_modules.vector_stores.parts.part`, so that it is tried again by itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cached_property
from typing import Any, ClassVar

from ia_modules.vector_stores.capabilities import Capabilities
from ia_modules.vector_stores.documents import CheckedDocuments, DocumentBatch
from ia_modules.vector_stores.errors import VectorStoreError
from ia_modules.vector_stores.filters import MATCH_ALL, Node
from ia_modules.vector_stores.models import IndexStats, SearchResult, VectorDocument
from ia_modules.vector_stores.parts import part
from ia_modules.vector_stores.requests import IndexInfo, ScanPage, SearchRequest, TextRequest, TextsPage, TextsState
from ia_modules.vector_stores.tasks import each
from ia_modules.vector_stores.text_search import TextSearch

__all__ = ["Primitives"]

_PARALLEL_SEARCHES = 8


class Primitives(ABC):
    """The part of a vector store that depends on the database."""

    provider: ClassVar[str]
    """Name of the provider in configs and URLs."""

    client_packages: ClassVar[tuple[str, ...]] = ()
    """Packages whose exceptions :meth:`_map_error` knows: the client's and those that it lets through."""

    splits_batches: ClassVar[bool] = False
    """Whether :meth:`_portions` is filled in."""

    loop_bound: bool = True
    """Whether a connection belongs to the event loop that made it."""

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities:
        """What this provider can do, limits included."""

    def _map_error(self, error: Exception) -> VectorStoreError | None:
        """The client's exception as one of ours; None for one that the provider does not know."""
        del error  # without a client there is none that could be meant
        return None

    async def _open(self) -> None:  # noqa: B027 - nothing to do without a connection
        """Connect; on failure nothing stays open."""

    async def _close(self) -> None:  # noqa: B027 - likewise
        """Free all that :meth:`_open` made."""

    async def _ping(self) -> None:
        """The cheapest request there is; if not filled in, a look for the index."""
        await self._load_index()

    @abstractmethod
    async def _create_index(self, info: IndexInfo, options: dict[str, Any]) -> None:
        """Create the index; ``IndexAlreadyExistsError`` if it exists, ``UnsupportedOperationError`` for options."""

    @abstractmethod
    async def _drop_index(self) -> None:
        """Delete the index; ``IndexNotFoundError`` if there is none."""

    @abstractmethod
    async def _load_index(self) -> IndexInfo | None:
        """What is fixed about the index, or None if it does not exist."""

    @abstractmethod
    async def _stats(self, info: IndexInfo) -> IndexStats:
        """Size of the index."""

    @abstractmethod
    async def _namespaces(self) -> list[str]:
        """Namespaces with at least one document."""

    def _check_documents(self, documents: CheckedDocuments) -> None:  # noqa: B027 - most databases hold anything
        """Raise ``InvalidDocumentError`` for what this database can't hold; called before anything is sent."""

    def _portions(self, batch: DocumentBatch) -> Iterator[DocumentBatch]:
        """A batch in parts that the database takes in one request, in order; each is written and retried by itself.

        The parts may be of a class derived from ``DocumentBatch``, to carry what was made for the request.
        """
        yield batch

    @abstractmethod
    async def _upsert(self, batch: DocumentBatch, namespace: str) -> None:
        """Write a batch; what existed under the same ids is replaced whole."""

    @abstractmethod
    async def _update_metadata(self, document_id: str, changes: dict[str, Any], namespace: str) -> bool:
        """Merge top-level keys; whether the document exists."""

    @abstractmethod
    async def _delete_ids(self, ids: list[str], namespace: str) -> int | None:
        """Delete by id; how many existed."""

    @abstractmethod
    async def _delete_where(self, filters: Node, namespace: str) -> int | None:
        """Delete what passes a filter (normal form, not ``MATCH_NONE``); how many did."""

    async def _empty_namespace(self, namespace: str) -> int | None:
        """Delete all of a namespace and keep the index; how many there were."""
        return await self._delete_where(MATCH_ALL, namespace)

    async def _settle(self) -> None:  # noqa: B027 - see below
        """Wait until other stores can read what this one has written; most databases need no waiting."""

    @abstractmethod
    async def _search(self, request: SearchRequest) -> list[SearchResult]:
        """The best ``top_k`` or more, in any order, scored by :mod:`ia_modules.vector_stores.metrics`."""

    async def _search_many(self, requests: list[SearchRequest]) -> list[list[SearchResult]]:
        """Several searches that differ in their vector only; eight at a time unless the database has a batch call."""
        return await each(requests, lambda one: part(lambda: self._search(one)), at_a_time=_PARALLEL_SEARCHES)

    async def _search_text(self, request: TextRequest) -> dict[str, float]:
        """BM25 scores of the best ``top_k`` documents that have a word of the query, and of those in ``also``.

        Unless filled in, the words of a namespace are read and indexed here, and kept for as long as
        :meth:`_texts_state` says that they are still the same.
        """
        return await self._text_search.find(self, request)

    @cached_property
    def _text_search(self) -> TextSearch:
        return TextSearch()

    async def _texts_state(self, namespace: str, since: tuple[int, ...]) -> TextsState | None:
        """What tells whether texts have changed; None if nothing does, so that they are read at each search.

        Args:
            namespace: the namespace.
            since: stamps as of :func:`~ia_modules.vector_stores.text_search.stamp`.
        """
        del namespace, since
        return None

    async def _texts_page(self, namespace: str, since: int | None, size: int, cursor: object | None) -> TextsPage:
        """Up to ``size`` texts from ``cursor`` on, of all documents, or of those with a stamp later than ``since``."""
        assert since is None, "without stamps nothing is newer"
        page = await self._scan_page(namespace, MATCH_ALL, size, False, cursor)
        ids, texts = [one.id for one in page.documents], [one.text for one in page.documents]
        return TextsPage(ids, texts, [None] * len(ids), page.cursor)

    @abstractmethod
    async def _fetch(self, ids: list[str], namespace: str) -> dict[str, VectorDocument]:
        """Documents by id; missing ones left out."""

    @abstractmethod
    async def _count(self, filters: Node, namespace: str) -> int:
        """How many documents pass a filter (normal form, not ``MATCH_NONE``)."""

    @abstractmethod
    async def _scan_page(
        self, namespace: str, filters: Node, size: int, include_vectors: bool, cursor: object | None
    ) -> ScanPage:
        """Up to ``size`` documents from ``cursor`` on; None starts."""
