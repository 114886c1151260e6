"""The interface of every vector store, and all that does not depend on the database behind it.

A provider derives from :class:`VectorStoreBase` and fills in the primitives of
:class:`~ia_modules.vector_stores.primitives.Primitives`. It gets
arguments that are checked and normalised, and leaves retry, deadline, timing, telemetry and the wrapping of errors
to the base class.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from itertools import chain
from time import perf_counter
from types import TracebackType
from typing import Any, Self, TypeVar
from weakref import WeakMethod

import numpy as np
from numpy.typing import NDArray

from ia_modules.vector_stores.batches import write_batches
from ia_modules.vector_stores.budget import RetryBudget
from ia_modules.vector_stores.config import VectorStoreConfig
from ia_modules.vector_stores.documents import (
    CheckedDocuments,
    DocumentBatch,
    check_lengths,
    checked_documents,
    checked_id,
    checked_metadata,
    checked_namespace,
    checked_query,
    wrong_dimension,
)
from ia_modules.vector_stores.errors import (
    AuthenticationError,
    ConnectionError,
    IndexAlreadyExistsError,
    IndexMismatchError,
    IndexNotFoundError,
    InvalidDimensionError,
    InvalidDocumentError,
    MissingDependencyError,
    OperationTimeoutError,
    PartialFailureError,
    PoolClosedError,
    PoolFullError,
    PoolTimeoutError,
    RateLimitError,
    StoreLockedError,
    UnsupportedOperationError,
    VectorStoreError,
)
from ia_modules.vector_stores.execution import Call, Execution
from ia_modules.vector_stores.filters import MATCH_ALL, MATCH_NONE, FilterLike, Node, normalize, operators_in
from ia_modules.vector_stores.hybrid import CANDIDATES, HybridSearchMixin
from ia_modules.vector_stores.hybrid.diversity import checked_diversity, diversified
from ia_modules.vector_stores.metrics import DistanceMetric
from ia_modules.vector_stores.models import (
    DeleteResult,
    IndexStats,
    SearchResponse,
    SearchResult,
    UpdateResult,
    UpsertResult,
    VectorDocument,
)
from ia_modules.vector_stores.primitives import Primitives
from ia_modules.vector_stores.requests import IndexInfo, ScanPage, SearchRequest
from ia_modules.vector_stores.telemetry import TelemetryHook
from ia_modules.vector_stores.vectors import VectorLike

__all__ = [
    "AuthenticationError",
    "ConnectionError",
    "IndexAlreadyExistsError",
    "IndexMismatchError",
    "IndexNotFoundError",
    "InvalidDimensionError",
    "InvalidDocumentError",
    "MissingDependencyError",
    "OperationTimeoutError",
    "PartialFailureError",
    "PoolClosedError",
    "PoolFullError",
    "PoolTimeoutError",
    "RateLimitError",
    "StoreLockedError",
    "UnsupportedOperationError",
    "VectorStoreBase",
    "VectorStoreError",
]

T = TypeVar("T")


class VectorStoreBase(HybridSearchMixin, Primitives):
    """One index of one vector database.

    Every call connects by itself if need be, sees one namespace only, checks its arguments before any I/O, and
    raises :class:`~ia_modules.vector_stores.errors.VectorStoreError` or ``ValueError`` only. A store may be used by
    any number of tasks of one event loop at the same time.

    Args:
        config: where the index is and how to reach it.
    """

    def __init__(self, config: VectorStoreConfig) -> None:
        self.config = config
        # Weak, so that a store which nobody has any more goes at once, with what it has open.
        mapping = WeakMethod(self._map_error)

        def map_error(error: Exception) -> VectorStoreError | None:
            method = mapping()
            return None if method is None else method(error)

        self._execution = Execution(
            provider=self.provider,
            index_name=config.index_name,
            map_error=map_error,
            timeout=config.timeout,
            max_retries=config.max_retries,
            retry_delay=config.retry_delay,
            secrets=config.secrets,
        )
        self._default_namespace = checked_namespace(config.namespace or "")
        self._connected = False
        self._connecting = asyncio.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._info: IndexInfo | None = None

    def __repr__(self) -> str:
        url = self.config.model_copy(update={"options": {}}).to_url()
        return f"<{type(self).__name__} {url}{' connected' if self._connected else ''}>"

    def add_telemetry_hook(self, hook: TelemetryHook) -> None:
        """Call ``hook`` with an :class:`~ia_modules.vector_stores.telemetry.OperationEvent` after every call."""
        self._execution.hooks = (*self._execution.hooks, hook)

    def remove_telemetry_hook(self, hook: TelemetryHook) -> None:
        """No longer call ``hook``; nothing happens if it was not added."""
        self._execution.hooks = tuple(one for one in self._execution.hooks if one != hook)

    def share_retry_budget(self, budget: RetryBudget) -> None:
        """Take retries out of ``budget``, as other stores of the same database do, instead of one of its own."""
        self._execution.budget = budget

    # Connection

    async def connect(self) -> None:
        """Open the connection; the index need not exist. Calling it again does nothing.

        Raises:
            ConnectionError: the database can't be reached.
            AuthenticationError: it refuses the credentials.
            MissingDependencyError: the client package is not installed.
        """
        if self._is_connected():
            return
        async with self._connecting:
            if not self._is_connected():
                await self._execution.run("connect", self._open)
                self._loop = asyncio.get_running_loop()
                self._connected = True

    async def disconnect(self) -> None:
        """Close the connection and free what it held. Calling it again does nothing; a later call reconnects."""
        async with self._connecting:
            if self._is_connected():
                self._connected = False
                self._info = None
                await self._execution.run("disconnect", self._close)

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.disconnect()

    async def ping(self) -> float:
        """Ask the database for a sign of life; returns the milliseconds it took.

        Raises:
            ConnectionError: it can't be reached.
        """
        started = perf_counter()
        await self.connect()
        await self._run("ping", self._ping)
        return (perf_counter() - started) * 1e3

    # Index

    async def create_index(
        self, dimension: int, metric: DistanceMetric | str = DistanceMetric.COSINE, **kwargs: Any
    ) -> None:
        """Create the index.

        Args:
            dimension: numbers per vector.
            metric: distance metric.
            **kwargs: ``embedding_model`` (name of the model that makes the vectors, stored with the index), and
                whatever options the provider has.

        Raises:
            IndexAlreadyExistsError: there is one of that name.
            UnsupportedOperationError: a metric, dimension or option that the provider does not have.
            IndexMismatchError: ``dimension`` or ``metric`` contradicts the config.
            ValueError: ``dimension`` below 1, or an unknown metric.
        """
        _positive("dimension", dimension)
        metric = _checked_metric(metric)
        capabilities = self.capabilities
        if metric not in capabilities.metrics:
            known = ", ".join(sorted(m.value for m in capabilities.metrics))
            raise self._unsupported("create_index", f"{self.provider} has no metric {metric.value!r}; it has {known}")
        if capabilities.max_dimension is not None and dimension > capabilities.max_dimension:
            raise self._unsupported(
                "create_index", f"{self.provider} takes at most {capabilities.max_dimension} dimensions"
            )
        model = kwargs.pop("embedding_model", self.config.embedding_model)
        info = IndexInfo(dimension, metric, model)
        self._check_against_config(info, "create_index")
        await self.connect()
        call = self._call("create_index")
        try:
            # A copy, as providers take options out.
            await self._run("create_index", lambda: self._create_index(info, dict(kwargs)), call)
        except IndexAlreadyExistsError:
            # Where the answer of an earlier attempt got lost, it is the one that this attempt made.
            if not call.in_doubt or await self._run("create_index", self._load_index) != info:
                raise
        self._info = info

    async def delete_index(self) -> None:
        """Delete the index with all its namespaces.

        Raises:
            IndexNotFoundError: there is none.
        """
        await self.connect()
        self._info = None
        call = self._call("delete_index")
        try:
            await self._run("delete_index", self._drop_index, call)
        except IndexNotFoundError:
            if not call.in_doubt:  # else it was deleted by an attempt whose answer got lost
                raise
        self._info = None

    async def index_exists(self) -> bool:
        """Whether the index exists; a failure to find out raises."""
        await self.connect()
        return await self._run("index_exists", self._load_index) is not None

    async def get_embedding_model(self) -> str | None:
        """Name of the model that makes the index's vectors, or None if it was never recorded.

        Raises:
            IndexNotFoundError: the index does not exist.
        """
        return (await self._index("get_embedding_model")).embedding_model

    async def get_stats(self) -> IndexStats:
        """Size of the index, all namespaces together.

        Raises:
            IndexNotFoundError: the index does not exist.
        """
        info = await self._index("get_stats")
        return await self._run("get_stats", lambda: self._stats(info))

    async def list_namespaces(self) -> list[str]:
        """The namespaces that hold at least one document, sorted; the default one is ``""``.

        Raises:
            IndexNotFoundError: the index does not exist.
        """
        await self._index("list_namespaces")
        return sorted(await self._run("list_namespaces", self._namespaces))

    # Writing

    async def upsert(
        self, documents: Sequence[VectorDocument], namespace: str | None = None, batch_size: int = 100
    ) -> UpsertResult:
        """Write documents, replacing whole those whose id exists.

        Args:
            documents: of equal ids the last one wins.
            namespace: None for the config's default.
            batch_size: most documents per request.

        Returns:
            ``upserted``: distinct documents written; ``namespace``.

        Raises:
            InvalidDocumentError, InvalidDimensionError: a document that can't be stored; nothing was sent.
            PartialFailureError: a batch failed after others were written; it says which ids.
            IndexNotFoundError: the index does not exist.
        """
        name = self._namespace(namespace)
        _positive("batch_size", batch_size)
        checked = checked_documents(documents, self._known_dimension())
        info = await self._index("upsert")
        if checked.ids and info.dimension is not None and checked.dimension != info.dimension:
            raise wrong_dimension(checked.ids[0], len(checked.arrays[0]), info.dimension)
        able = self.capabilities
        try:
            if able.vector_lengths is not None or not able.zero_vectors:
                check_lengths(checked.ids, checked.arrays, zero=able.zero_vectors, lengths=able.vector_lengths)
            self._check_documents(checked)
        except InvalidDocumentError as error:
            raise error.located(self.provider, "upsert") from None
        limit = able.max_batch_size
        await self._write(checked, name, batch_size if limit is None else min(batch_size, limit))
        return {"upserted": len(checked), "namespace": name}

    async def _write(self, documents: CheckedDocuments, namespace: str, size: int) -> None:
        async def write(batch: DocumentBatch) -> None:
            await self._run("upsert", lambda: self._upsert(batch, namespace))

        batches: Iterable[DocumentBatch] = documents.batches(size)
        count = -(-len(documents) // size)
        if self.splits_batches:
            batches, count = chain.from_iterable(map(self._portions, batches)), len(documents)
        try:
            await write_batches(documents, batches, min(count, self.capabilities.parallel_batches), write)
        except PartialFailureError as error:
            error.located(self.provider, "upsert")
            raise

    async def update_metadata(self, id: str, changes: Mapping[str, Any], namespace: str | None = None) -> UpdateResult:
        """Set some metadata keys of one document and leave its other keys, text and vector as they are.

        Args:
            id: the document.
            changes: key -> new value; None is stored as None, which every filter treats as no value.
            namespace: None for the config's default.

        Returns:
            ``updated``: 1, or 0 if there is no such document; ``namespace``.
        """
        name = self._namespace(namespace)
        checked_id(id)
        clean = checked_metadata(changes, id)
        await self._index("update_metadata")
        updated = await self._run("update_metadata", lambda: self._update_metadata(id, clean, name))
        return {"updated": int(updated), "namespace": name}

    async def delete(
        self,
        ids: Sequence[str] | None = None,
        filters: FilterLike = None,
        namespace: str | None = None,
        delete_all: bool = False,
    ) -> DeleteResult:
        """Delete documents by id, by filter, or all of one namespace; exactly one of the three must be given.

        Returns:
            ``deleted``: how many documents existed and are gone, or None where that can't be known: some providers
            can't count (see ``capabilities.deletes_counted``), and nobody can after the answer of an attempt got lost
            on the way; ``namespace``.

        Raises:
            ValueError: none or several of ``ids``, ``filters`` and ``delete_all``; an empty list of ids or filters.
            IndexNotFoundError: the index does not exist.
        """
        if (ids is not None) + (filters is not None) + bool(delete_all) != 1:
            raise ValueError("delete takes exactly one of ids, filters and delete_all=True")
        name = self._namespace(namespace)
        primitive: Callable[[], Awaitable[int | None]]
        if ids is not None:
            wanted = self._ids(ids)
            primitive = lambda: self._delete_ids(wanted, name)  # noqa: E731
        elif delete_all:
            primitive = lambda: self._empty_namespace(name)  # noqa: E731
        else:
            if not isinstance(filters, Node) and not filters:
                raise ValueError("an empty filter would delete everything; say delete_all=True if that is meant")
            node = self._normal(filters, "delete")
            if node == MATCH_NONE:
                await self._index("delete")
                return {"deleted": 0, "namespace": name}
            primitive = lambda: self._empty_namespace(name) if node == MATCH_ALL else self._delete_where(node, name)  # noqa: E731
        await self._index("delete")
        call = self._call("delete")
        deleted = await self._run("delete", primitive, call)
        # What an attempt deleted whose answer got lost can't be counted any more.
        return {"deleted": None if call.in_doubt else deleted, "namespace": name}

    async def delete_namespace(self, namespace: str) -> DeleteResult:
        """Delete all documents of a namespace; the same as ``delete(delete_all=True, namespace=namespace)``."""
        return await self.delete(namespace=namespace, delete_all=True)

    async def settle(self) -> None:
        """Wait until other stores and processes can read what this store has written, too.

        A store sees its own writes in any case. Where the database is eventually consistent, others see them later;
        call this before telling them to look. The wait is bounded as the provider's option ``freshness_wait`` says.
        """
        if self._is_connected():
            await self._run("settle", self._settle)

    # Reading

    async def search(
        self,
        query_vector: VectorLike,
        top_k: int = 10,
        filters: FilterLike = None,
        namespace: str | None = None,
        include_metadata: bool = True,
        include_vectors: bool = False,
        *,
        score_threshold: float | None = None,
        diversity: float | None = None,
        candidates: int = CANDIDATES,
    ) -> SearchResponse:
        """Find the documents nearest to a vector.

        Args:
            query_vector: finite numbers, shape ``(dimension,)``.
            top_k: most results; all that match come back if there are fewer.
            filters: one expression, or a list of them that must all hold.
            namespace: None for the config's default.
            include_metadata: whether results have metadata and text.
            include_vectors: whether results have their vector.
            score_threshold: leave out results that score lower.
            diversity: between 0 and 1; choose among the nearest ``candidates`` those that differ from each other, see
                :func:`~ia_modules.vector_stores.hybrid.diversity.diversified`. Results are in the order of the choice.
            candidates: how many to choose from, at least ``top_k``; without ``diversity`` it says nothing.

        Returns:
            Results by score (higher is better, see :mod:`ia_modules.vector_stores.metrics`), equal scores by id.

        Raises:
            InvalidDimensionError, InvalidDocumentError: a query vector that can't be used.
            UnsupportedOperationError: ``top_k`` above the provider's limit.
            IndexNotFoundError: the index does not exist.
            ValueError: ``top_k`` or ``candidates`` below 1, a ``diversity`` that is none, or a filter that is none.
        """
        started = perf_counter()
        name = self._namespace(namespace)
        self._check_top_k(top_k)
        look = top_k if diversity is None else self._look(top_k, diversity, candidates)
        node = MATCH_ALL if filters is None else self._normal(filters, "search")
        dimension = self._known_dimension()
        vector = checked_query(query_vector, dimension)
        info = self._info if self._info is not None and self._is_connected() else await self._index("search")
        if info.dimension != dimension:
            vector = checked_query(vector, info.dimension)
        self._check_query_length(vector, info.metric, "search")
        results: list[SearchResult] = []
        if node != MATCH_NONE:
            vectors = include_vectors or diversity is not None
            request = SearchRequest(vector, look, node, name, info.metric, include_metadata, vectors)
            results = await self._run("search", lambda: self._search(request))
        if diversity is not None:
            return _diverse(results, look, top_k, score_threshold, diversity, include_vectors, started)
        return _response(results, top_k, score_threshold, started)

    async def search_many(
        self,
        query_vectors: Iterable[VectorLike],
        top_k: int = 10,
        filters: FilterLike = None,
        namespace: str | None = None,
        include_metadata: bool = True,
        include_vectors: bool = False,
        *,
        score_threshold: float | None = None,
        diversity: float | None = None,
        candidates: int = CANDIDATES,
    ) -> list[SearchResponse]:
        """Run the same search for several vectors, in one request where the database can.

        Args:
            query_vectors: a list of vectors or a matrix of shape ``(n, dimension)``.
            top_k: most results for each vector.
            filters: as in :meth:`search`.
            namespace: as in :meth:`search`.
            include_metadata: as in :meth:`search`.
            include_vectors: as in :meth:`search`.
            score_threshold: as in :meth:`search`.
            diversity: as in :meth:`search`.
            candidates: as in :meth:`search`.

        Returns:
            One response for each vector, in the order given; their time is that of the whole call.
        """
        started = perf_counter()
        name = self._namespace(namespace)
        self._check_top_k(top_k)
        look = top_k if diversity is None else self._look(top_k, diversity, candidates)
        node = self._normal(filters, "search_many")
        dimension = self._known_dimension()
        vectors = [checked_query(vector, dimension) for vector in query_vectors]
        if not vectors:
            return []
        info = await self._index("search_many")
        for vector in vectors:
            self._check_query_length(vector, info.metric, "search_many")
        requests = [
            SearchRequest(
                vector if info.dimension == dimension else checked_query(vector, info.dimension),
                look,
                node,
                name,
                info.metric,
                include_metadata,
                include_vectors or diversity is not None,
            )
            for vector in vectors
        ]
        found: list[list[SearchResult]] = [[] for _ in requests]
        if node != MATCH_NONE:
            found = await self._run("search_many", lambda: self._search_many(requests))
        if diversity is not None:
            return [
                _diverse(results, look, top_k, score_threshold, diversity, include_vectors, started)
                for results in found
            ]
        return [_response(results, top_k, score_threshold, started) for results in found]

    async def fetch(self, ids: Sequence[str], namespace: str | None = None) -> list[VectorDocument]:
        """Read documents by id, in the order asked; those that don't exist are left out.

        Raises:
            ValueError: an empty list.
            InvalidDocumentError: something that is no id.
            IndexNotFoundError: the index does not exist.
        """
        name = self._namespace(namespace)
        wanted = self._ids(ids)
        await self._index("fetch")
        found = await self._run("fetch", lambda: self._fetch(wanted, name))
        return [found[document_id] for document_id in ids if document_id in found]

    async def count(self, filters: FilterLike = None, namespace: str | None = None) -> int:
        """How many documents of a namespace pass a filter; without one, how many there are."""
        name = self._namespace(namespace)
        node = self._normal(filters, "count")
        await self._index("count")
        if node == MATCH_NONE:
            return 0
        return await self._run("count", lambda: self._count(node, name))

    async def scan(
        self,
        namespace: str | None = None,
        filters: FilterLike = None,
        batch_size: int = 500,
        include_vectors: bool = True,
    ) -> AsyncIterator[VectorDocument]:
        """Iterate over all documents of a namespace, or all that pass a filter, in no particular order.

        A document that is there from start to end comes exactly once, whatever else is written meanwhile.

        Args:
            namespace: None for the config's default.
            filters: as in :meth:`search`.
            batch_size: documents per request.
            include_vectors: without, each document's ``vector`` has length 0.
        """
        async with aclosing(self.scan_pages(namespace, filters, batch_size, include_vectors)) as pages:
            async for page in pages:
                for document in page.documents:
                    yield document

    async def scan_pages(
        self,
        namespace: str | None = None,
        filters: FilterLike = None,
        batch_size: int = 500,
        include_vectors: bool = True,
        after: object | None = None,
    ) -> AsyncGenerator[ScanPage, None]:
        """The same as :meth:`scan` in pages, each with a cursor that another scan can go on from.

        Args:
            namespace: None for the config's default.
            filters: as in :meth:`search`.
            batch_size: documents per page at most; a page may have fewer, or none.
            include_vectors: as in :meth:`scan`.
            after: ``cursor`` of the page to go on behind; None starts. It goes with the same store, namespace, filters
                and batch size.
        """
        name = self._namespace(namespace)
        _positive("batch_size", batch_size)
        node = self._normal(filters, "scan")
        await self._index("scan")
        if node == MATCH_NONE:
            return
        cursor = after
        while True:
            page = await self._run(
                "scan",
                lambda at=cursor: self._scan_page(name, node, batch_size, include_vectors, at),  # type: ignore[misc]
            )
            yield page
            cursor = page.cursor
            if cursor is None:
                return

    # Helpers for subclasses

    async def _retry_operation(self, operation: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any) -> T:
        """Await ``operation(*args, **kwargs)`` with this store's retries, deadline and error mapping."""
        name = getattr(operation, "__name__", "operation").lstrip("_")
        return await self._execution.run(name, lambda: operation(*args, **kwargs))

    @asynccontextmanager
    async def _timed_operation(self, name: str) -> AsyncIterator[Callable[[], float]]:
        """Time a block; yields a function that gives the milliseconds so far, and tells the telemetry hooks."""
        started = perf_counter()
        async with self._execution.timed(name):
            yield lambda: (perf_counter() - started) * 1e3

    def _call(self, operation: str) -> Call:
        """To be handed to :meth:`_run`, and asked about afterwards."""
        return Call(self._execution, operation)

    async def _run(self, operation: str, primitive: Callable[[], Awaitable[T]], call: Call | None = None) -> T:
        try:
            return await self._execution.run(operation, primitive, call)
        except IndexNotFoundError:
            self._info = None
            raise

    async def _index(self, operation: str) -> IndexInfo:
        """What is known of the index, after making sure that it exists and is the one that the config means."""
        if self._info is not None and self._is_connected():
            return self._info
        await self.connect()
        info = await self._run(operation, self._load_index)
        if info is None:
            raise self._index_not_found(operation)
        self._check_against_config(info, operation)
        if info.dimension is not None:
            self._info = info
        return info

    def _index_not_found(self, operation: str | None = None) -> IndexNotFoundError:
        return IndexNotFoundError(
            f"index {self.config.index_name!r} does not exist", provider=self.provider, operation=operation
        )

    def _check_against_config(self, info: IndexInfo, operation: str) -> None:
        config = self.config
        if config.dimension is not None and info.dimension is not None and config.dimension != info.dimension:
            raise InvalidDimensionError(
                f"index {config.index_name!r} has {info.dimension} dimensions; the config says {config.dimension}",
                expected=config.dimension,
                given=info.dimension,
                provider=self.provider,
                operation=operation,
            )
        if "metric" in config.model_fields_set and config.metric is not info.metric:
            raise IndexMismatchError(
                f"index {config.index_name!r} has the metric {info.metric.value!r}; "
                f"the config says {config.metric.value!r}",
                provider=self.provider,
                operation=operation,
            )
        models = {config.embedding_model, info.embedding_model} - {None}
        if len(models) > 1:
            raise IndexMismatchError(
                f"index {config.index_name!r} holds vectors of the model {info.embedding_model!r}; "
                f"vectors of {config.embedding_model!r} do not compare with them",
                provider=self.provider,
                operation=operation,
            )

    def _is_connected(self) -> bool:
        if not self._connected:
            return False
        if not self.loop_bound or self._loop is asyncio.get_running_loop():
            return True
        if self._loop is not None and not self._loop.is_closed():
            raise VectorStoreError(
                "the store is connected on another event loop that still runs; disconnect it there first",
                provider=self.provider,
            )
        # What was open went with its loop.
        self._connected, self._info, self._connecting = False, None, asyncio.Lock()
        return False

    def _known_dimension(self) -> int | None:
        return self._info.dimension if self._info is not None else self.config.dimension

    def _namespace(self, namespace: str | None) -> str:
        return self._default_namespace if namespace is None else checked_namespace(namespace)

    def _normal(self, filters: FilterLike, operation: str) -> Node:
        """The normal form of a filter that this provider can answer."""
        node = normalize(filters)
        refused = self.capabilities.refused_operators
        if refused and (found := refused & operators_in(node)):
            raise self._unsupported(operation, f"{self.provider} has no filter operator {', '.join(sorted(found))}")
        return node

    def _check_query_length(self, vector: NDArray[np.float32], metric: DistanceMetric, operation: str) -> None:
        able = self.capabilities
        if able.vector_lengths is None and able.zero_vectors:
            return
        # Under cosine only the direction counts, so a provider can always bring a query to a length that it likes.
        largest = math.inf if able.vector_lengths is None or metric is DistanceMetric.COSINE else able.vector_lengths[1]
        length = float(np.linalg.norm(vector.astype(np.float64)))
        if length > largest or (length == 0.0 and not able.zero_vectors):
            what = "a zero vector" if length == 0.0 else f"a query vector of length {length:.3g}"
            raise InvalidDocumentError(
                f"{self.provider} can't compare {what}", provider=self.provider, operation=operation
            )

    def _check_top_k(self, top_k: int) -> None:
        _positive("top_k", top_k)
        limit = self.capabilities.max_top_k
        if limit is not None and top_k > limit:
            raise self._unsupported("search", f"top_k={top_k} is above the limit of {self.provider}, {limit}")

    def _look(self, top_k: int, diversity: float, candidates: int) -> int:
        """How many results to choose different ones from."""
        checked_diversity(diversity)
        _positive("candidates", candidates)
        limit = self.capabilities.max_top_k
        return max(top_k, candidates) if limit is None else min(max(top_k, candidates), limit)

    def _ids(self, ids: Sequence[str]) -> list[str]:
        """Distinct ids, in order."""
        if isinstance(ids, str):
            raise ValueError("ids must be a list of ids, not one string")
        wanted = list(dict.fromkeys(checked_id(document_id) for document_id in ids))
        if not wanted:
            raise ValueError("ids must not be empty")
        return wanted

    def _unsupported(self, operation: str, message: str) -> UnsupportedOperationError:
        return UnsupportedOperationError(message, provider=self.provider, operation=operation)


def _positive(name: str, value: int) -> None:
    if type(value) is not int or value < 1:
        raise ValueError(f"{name} must be an integer of at least 1, not {value!r}")


def _checked_metric(metric: DistanceMetric | str) -> DistanceMetric:
    try:
        return DistanceMetric(metric)
    except ValueError:
        known = ", ".join(m.value for m in DistanceMetric)
        raise ValueError(f"unknown metric {metric!r}; known: {known}") from None


def _response(results: list[SearchResult], top_k: int, score_threshold: float | None, started: float) -> SearchResponse:
    if score_threshold is not None:
        results = [result for result in results if result.score >= score_threshold]
    results.sort(key=_rank)
    del results[top_k:]
    return SearchResponse(results=results, total=len(results), query_time_ms=(perf_counter() - started) * 1e3)


def _diverse(
    results: list[SearchResult],
    look: int,
    top_k: int,
    score_threshold: float | None,
    diversity: float,
    include_vectors: bool,
    started: float,
) -> SearchResponse:
    """A response with results that differ from each other, of those with vectors."""
    found = {one.id: one for one in _response(results, look, score_threshold, started).results}
    vectors = {one.id: one.vector.array for one in found.values() if one.vector is not None}
    chosen = diversified(list(found), {one.id: one.score for one in found.values()}, vectors, top_k, diversity)
    kept = [found[one] if include_vectors else found[one].model_copy(update={"vector": None}) for one in chosen]
    return SearchResponse(results=kept, total=len(kept), query_time_ms=(perf_counter() - started) * 1e3)


def _rank(result: SearchResult) -> tuple[float, str]:
    return (-result.score, result.id)
