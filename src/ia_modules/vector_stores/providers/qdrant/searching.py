"""Searching in Qdrant, so that no result goes missing and a namespace costs nothing where there is only one."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ia_modules.vector_stores.filters import MATCH_ALL, Node, Predicate, predicate
from ia_modules.vector_stores.metrics import DistanceMetric, clamp_cosine, distance_score
from ia_modules.vector_stores.models import SearchResult, VectorDocument
from ia_modules.vector_stores.providers.qdrant.backend import Backend, NativeFilter, Query
from ia_modules.vector_stores.providers.qdrant.filtering import Filters, Prepared
from ia_modules.vector_stores.providers.qdrant.indexes import PayloadIndexes
from ia_modules.vector_stores.providers.qdrant.layout import (
    ID,
    LENGTH,
    NAMESPACE,
    Point,
    namespace_value,
    query_vectors,
)
from ia_modules.vector_stores.requests import SearchRequest
from ia_modules.vector_stores.vectors import Vector

__all__ = ["Searcher", "document_of"]

_LOOK = 150
"""Points that local mode looks at without a filter; it evaluates a filter in Python, on every point there is."""
_LOOK_MOST = 3_000
_SAFETY = 1.5
_WIDER = 4
_WIDEST = 10_000
_PAGE = 1_000
_IDS_IN_A_FILTER = 5_000
_SHARED = 64
"""Searches with the namespace as a filter before it is tried again whether it has the nearest points to itself."""
_REMEMBERED = 256
_REMEMBERED_NAMESPACES = 10_000
_OURS = [ID, NAMESPACE, LENGTH]


class Searcher:
    """Searches in one collection.

    Args:
        backend: Qdrant.
        collection: its name.
        filters: compiles filters.
        indexes: the collection's payload indexes.
        params: search parameters for every search.
    """

    def __init__(
        self,
        backend: Backend,
        collection: str,
        filters: Filters,
        indexes: PayloadIndexes,
        params: dict[str, Any] | None,
    ) -> None:
        self._backend = backend
        self._collection = collection
        self._filters = filters
        self._indexes = indexes
        self._params = params
        self._short: OrderedDict[str, None] = OrderedDict()
        self._shares: OrderedDict[str, float] = OrderedDict()
        self._shared: OrderedDict[str, int] = OrderedDict()

    async def search(self, requests: Sequence[SearchRequest]) -> list[list[SearchResult]]:
        """Results of searches that differ in their vector only."""
        first = requests[0]
        vectors = np.stack([request.vector for request in requests]) if len(requests) > 1 else first.vector[None, :]
        vectors = query_vectors(vectors, first.metric)
        prepared = self._filters.of(first.filters, first.namespace)
        answers: list[list[SearchResult] | None] = [None] * len(requests)
        if first.filters == MATCH_ALL:
            if self._has_nearest(first.namespace):
                answers = await self._without_filter(vectors, first)
        else:
            if not await self._indexes.usable(prepared.needs):
                prepared = self._filters.by_hand(first.filters, first.namespace)
            if self._backend.embedded:
                answers = await self._by_looking(vectors, first, prepared)
        open_ = [i for i, answer in enumerate(answers) if answer is None]
        if open_:
            wanted = vectors if len(open_) == len(requests) else vectors[open_]
            for i, answer in zip(open_, await self._filtered(wanted, first, prepared), strict=True):
                answers[i] = answer
        return [answer or [] for answer in answers]

    async def prepared(self, filters: Node, namespace: str) -> Prepared:
        """The filter for a call that looks at all documents, not at the nearest only."""
        prepared = self._filters.of(filters, namespace, exact=True)
        return prepared if await self._indexes.usable(prepared.needs) else self._filters.by_hand(filters, namespace)

    async def matching(self, filters: Node, namespace: str) -> tuple[NativeFilter | None, list[str]]:
        """All points that pass a filter: those that a native filter selects, and further ones by Qdrant's own ids."""
        prepared = await self.prepared(filters, namespace)
        if prepared.passes is None:
            return prepared.native, []
        if prepared.split is None:
            return None, await self._matching(prepared)
        sure, doubtful = prepared.split
        return sure, await self._matching(prepared._replace(native=doubtful))

    async def _matching(self, prepared: Prepared) -> list[str]:
        ids: list[str] = []
        cursor: Any = None
        while True:
            points, cursor = await self._backend.scroll(
                self._collection, prepared.native, _PAGE, cursor, payload=prepared.passes is not None, vector=False
            )
            ids += [point.key for point in points if _right(point, prepared.passes)]
            if cursor is None:
                return ids

    # Plans

    def _has_nearest(self, namespace: str) -> bool:
        """Whether to try without a filter: the nearest points of all may well be those of the namespace."""
        skip = self._shared.get(namespace, 0)
        if skip:
            self._shared[namespace] = skip - 1
        return not skip and namespace not in self._short

    async def _without_filter(
        self, vectors: NDArray[np.float32], request: SearchRequest
    ) -> list[list[SearchResult] | None]:
        """Searches of all points: right where every point found is of the namespace."""
        found = await self._query(vectors, request, None, request.top_k)
        value = namespace_value(request.namespace)
        answers: list[list[SearchResult] | None] = []
        for points in found:
            mine = all(point.namespace == value for point in points)
            if not mine:
                _remember(self._shared, request.namespace, _SHARED, _REMEMBERED_NAMESPACES)
            answers.append(_results(points, request) if mine and len(points) == request.top_k else None)
        return answers

    async def _by_looking(
        self, vectors: NDArray[np.float32], request: SearchRequest, prepared: Prepared
    ) -> list[list[SearchResult] | None]:
        """Of the nearest points of all, those that pass; None where these are not enough.

        A look at so many as the share that passed the last time asks for, and a second one where that was too few.
        """
        passes, value = predicate(request.filters), namespace_value(request.namespace)
        answers: list[list[SearchResult] | None] = [None] * len(vectors)
        pending = list(range(len(vectors)))
        share = self._shares.get(prepared.key)
        for _ in range(2):
            look = max(_LOOK, 2 * request.top_k) if share is None else math.ceil(_SAFETY * request.top_k / share)
            if look > _LOOK_MOST or not pending:
                break
            seen = kept_in_all = 0
            left = []
            found = await self._query(vectors[pending], request, None, look, whole=True)
            for i, points in zip(pending, found, strict=True):
                kept = [point for point in points if point.namespace == value and passes(point.metadata)]
                seen, kept_in_all = seen + len(points), kept_in_all + len(kept)
                if len(kept) >= request.top_k or len(points) < look:
                    answers[i] = _results(kept[: request.top_k], request)
                else:
                    left.append(i)
            pending = left
            share = max(kept_in_all, 0.5) / max(1, seen)
            _remember(self._shares, prepared.key, share)
        return answers

    async def _filtered(
        self, vectors: NDArray[np.float32], request: SearchRequest, prepared: Prepared
    ) -> list[list[SearchResult]]:
        """Searches with the filter; what Qdrant can't express is checked here, among as many more as it takes."""
        passes = prepared.passes
        exactly = prepared.key in self._short
        limit = request.top_k
        pending = list(range(len(vectors)))
        found: dict[int, list[Point]] = {}
        while pending:
            answers = await self._query(
                vectors if len(pending) == len(vectors) else vectors[pending],
                request,
                prepared.native,
                limit,
                exactly=exactly,
                whole=passes is not None,
            )
            wider = []
            for i, points in zip(pending, answers, strict=True):
                found[i] = [point for point in points if _right(point, passes)]
                if len(found[i]) < request.top_k and len(points) == limit:
                    wider.append(i)
            pending, limit = wider, limit * _WIDER
            if pending and limit > _WIDEST:
                break
        short = [i for i, points in found.items() if len(points) < request.top_k]
        if short:
            # Few pass of very many, or the answers may be short because the graph led to no more.
            if pending or not (exactly or self._backend.embedded):
                await self._complete(vectors, request, prepared, found, short)
            _remember(self._short, prepared.key, None)
        else:
            self._short.pop(prepared.key, None)
        return [_results(found[i][: request.top_k], request) for i in range(len(vectors))]

    async def _complete(
        self,
        vectors: NDArray[np.float32],
        request: SearchRequest,
        prepared: Prepared,
        found: dict[int, list[Point]],
        short: Sequence[int],
    ) -> None:
        """Count what passes, and where an answer lacks some of it, ask for it exactly."""
        matching: list[str] | None = None
        if prepared.passes is None:
            there = await self._backend.count(self._collection, prepared.native)
        else:
            matching = await self._matching(prepared)
            there = len(matching)
        for i in short:
            if len(found[i]) >= min(request.top_k, there):
                continue
            vector = vectors[i : i + 1]
            if matching is None:
                (found[i],) = await self._query(vector, request, prepared.native, request.top_k, exactly=True)
            else:
                found[i] = await self._among(vector, request, matching)

    async def _among(self, vector: NDArray[np.float32], request: SearchRequest, ids: list[str]) -> list[Point]:
        """The best of the points with the given ids."""
        best: list[Point] = []
        for start in range(0, len(ids), _IDS_IN_A_FILTER):
            native = NativeFilter({"must": [{"has_id": ids[start : start + _IDS_IN_A_FILTER]}]})
            (points,) = await self._query(vector, request, native, request.top_k, exactly=True)
            best += points
        lower_is_better = request.metric in (DistanceMetric.EUCLIDEAN, DistanceMetric.MANHATTAN)
        return sorted(best, key=lambda point: point.score, reverse=not lower_is_better)[: request.top_k]

    async def _query(
        self,
        vectors: NDArray[np.float32],
        request: SearchRequest,
        native: NativeFilter | None,
        limit: int,
        *,
        exactly: bool = False,
        whole: bool = False,
    ) -> list[list[Point]]:
        params = {**(self._params or {}), "exact": True} if exactly else self._params
        if self._backend.embedded:
            params = None  # it is always exact, and warns of being told so
        payload: bool | list[str] = True if whole or request.include_metadata else _OURS
        return await self._backend.query(
            self._collection, Query(vectors, limit, native, payload, request.include_vectors, params)
        )


def document_of(point: Point) -> VectorDocument:
    """A point as a document."""
    vector = Vector.none() if point.vector is None else Vector.wrap(point.vector)
    return VectorDocument(id=point.id, vector=vector, metadata=point.metadata, text=point.text)


def _right(point: Point, passes: Predicate | None) -> bool:
    return passes is None or passes(point.metadata)


def _results(points: Sequence[Point], request: SearchRequest) -> list[SearchResult]:
    """Points as results; Qdrant gives the cosine, the product, and the distance itself (not squared)."""
    metric, with_metadata = request.metric, request.include_metadata
    results = []
    for point in points:
        score = point.score
        if metric is DistanceMetric.COSINE:
            score = clamp_cosine(score)
        elif metric is not DistanceMetric.DOT_PRODUCT:
            score = distance_score(score)
        results.append(
            SearchResult(
                id=point.id,
                score=score,
                metadata=point.metadata if with_metadata else {},
                text=point.text if with_metadata else None,
                vector=None if point.vector is None else Vector.wrap(point.vector),
            )
        )
    return results


def _remember(known: OrderedDict[str, Any], key: str, value: Any, most: int = _REMEMBERED) -> None:
    known[key] = value
    known.move_to_end(key)
    if len(known) > most:
        known.popitem(last=False)
