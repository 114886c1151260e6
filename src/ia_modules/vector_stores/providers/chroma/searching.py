"""Searching in Chroma, with and without a filter, so that no result goes missing.

A filter makes Chroma's search many times slower, and it can't express every filter. So a filtered search goes by
what pays: if the filter lets enough through, the nearest documents are asked for without it and checked here; if it
leaves few, those few are read and ranked exactly; else Chroma filters. How much a filter lets through is learned
from the searches made with it.
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ia_modules.vector_stores.filters import MATCH_ALL, Node, Predicate, predicate
from ia_modules.vector_stores.filters.compilers.base import Compiled
from ia_modules.vector_stores.filters.compilers.chroma import ChromaCompiler
from ia_modules.vector_stores.metrics import DistanceMetric, clamp_cosine, distance_score, exact_scores
from ia_modules.vector_stores.models import SearchResult, VectorDocument
from ia_modules.vector_stores.providers.chroma.backend import Backend, Handle
from ia_modules.vector_stores.providers.chroma.layout import decode, decode_text
from ia_modules.vector_stores.requests import SearchRequest
from ia_modules.vector_stores.vectors import Vector

__all__ = ["SPACES", "Searcher", "documents_of"]

SPACES = {
    DistanceMetric.COSINE: "cosine",
    DistanceMetric.EUCLIDEAN: "l2",
    DistanceMetric.DOT_PRODUCT: "ip",
}

_LOOK = 150
"""Documents looked at without the filter; about the price of a third of a filtered search."""
_FEW = 500
"""Documents that are cheaper to read and rank than to search among."""
_SAFETY = 1.5
_SPARE = 2
_PAYS = 900
"""Documents that must pass for a look to be cheaper than letting Chroma filter, whose cost grows with their number."""
_STALE = 64
"""Searches with a filter after which the collection is counted again."""
_WIDER = 4
_WIDEST = 10_000
_REMEMBERED = 256
_PAGE = 1000
_ALL_COLUMNS = ["metadatas", "documents", "embeddings"]


class Searcher:
    """Searches in collections of one store.

    Args:
        backend: Chroma.
        compiler: makes Chroma's form of a filter.
    """

    def __init__(self, backend: Backend, compiler: ChromaCompiler) -> None:
        self._backend = backend
        self._compiler = compiler
        self._shares: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._sizes: dict[str, tuple[int, int]] = {}

    async def search(self, handle: Handle, requests: Sequence[SearchRequest]) -> list[list[SearchResult]]:
        """Results of searches that differ in their vector only."""
        filters = requests[0].filters
        if filters == MATCH_ALL:
            return await self._nearest(handle, requests)
        compiled = self._compiler.compile(filters)
        passes = predicate(filters)
        if len(requests) == 1:  # without the detour of a task
            return [await self._filtered(handle, requests[0], compiled, passes)]
        return list(await asyncio.gather(*(self._filtered(handle, one, compiled, passes) for one in requests)))

    async def matching_ids(self, handle: Handle, filters: Node) -> list[str]:
        """Ids of all documents that pass a filter."""
        compiled = self._compiler.compile(filters)
        ids: list[str]
        if compiled.exact:
            ids = (await self._backend.get(handle, include=[], **_where(compiled)))["ids"]
            return ids
        rows = await self._backend.get(handle, include=["metadatas"], **_where(compiled))
        passes = predicate(filters)
        return await asyncio.to_thread(
            lambda: [i for i, native in zip(rows["ids"], rows["metadatas"], strict=True) if passes(decode(native))]
        )

    async def _nearest(self, handle: Handle, requests: Sequence[SearchRequest]) -> list[list[SearchResult]]:
        """Unfiltered search, all vectors in one request."""
        first = requests[0]
        include = ["distances"]
        if first.include_metadata:
            include += ["metadatas", "documents"]
        if first.include_vectors:
            include.append("embeddings")
        answers = await self._backend.query(
            handle,
            read=lambda found: [_results(found, i, request) for i, request in enumerate(requests)],
            query_embeddings=[_query_vector(request) for request in requests],
            n_results=first.top_k,
            include=include,
        )
        if any(len(answer) < first.top_k for answer in answers):
            # Fewer are there, or the graph did not lead to all of them.
            count = await self._backend.count(handle)
            for i, request in enumerate(requests):
                if len(answers[i]) < min(request.top_k, count):
                    ids = await self.matching_ids(handle, MATCH_ALL)
                    answers[i] = await self._ranked(handle, request, ids, None)
        return answers

    async def _filtered(
        self, handle: Handle, request: SearchRequest, compiled: Compiled, passes: Predicate
    ) -> list[SearchResult]:
        # Hashed, as filters may be long, and many are remembered.
        key = (handle.name, sha256(repr(compiled.node).encode()).hexdigest())
        share = self._shares.get(key)
        wanted = _SAFETY * request.top_k
        look = max(_LOOK, math.ceil(wanted))
        answer: list[SearchResult] = []
        if share is None or (share * look >= wanted and await self._look_pays(handle, share, compiled)):
            answer, share, whole = await self._among(handle, request, None, passes, look)
            self._remember(key, share)
            if whole or len(answer) >= request.top_k:
                return answer
        if share * look > 1.0:
            # Enough pass to search among them. What Chroma can't express makes it select too much, so ask for more.
            size = request.top_k if compiled.exact else request.top_k + _SPARE if compiled.native else look * _WIDER
            while size <= _WIDEST:
                answer, _, _ = await self._among(handle, request, compiled, passes, size)
                if len(answer) >= request.top_k:
                    return answer
                if compiled.exact:
                    break
                size *= _WIDER
        # Few pass, or the search did not lead to enough of them: rank exactly those that pass.
        if compiled.exact and share * look <= 1.0:
            rows = await self._backend.get(handle, include=_ALL_COLUMNS, limit=_FEW, **_where(compiled))
            if len(rows["ids"]) < _FEW:  # these are all, in one request
                return _best(await asyncio.to_thread(_rank, rows, request, passes), request.top_k)
        ids = await self.matching_ids(handle, request.filters)
        if len(answer) == len(ids):
            return answer
        if not answer:
            self._remember(key, len(ids) / max(1, await self._backend.count(handle)))
        return await self._ranked(handle, request, ids, passes)

    async def _look_pays(self, handle: Handle, share: float, compiled: Compiled) -> bool:
        """Whether so many pass that looking without the filter is cheaper; a guess about cost, never about results."""
        if compiled.native is None:
            return True
        size, uses = self._sizes.get(handle.name, (0, 0))
        if uses % _STALE == 0:
            size = await self._backend.count(handle)
        self._sizes[handle.name] = (size, uses + 1)
        return share * size >= _PAYS

    async def _among(
        self, handle: Handle, request: SearchRequest, compiled: Compiled | None, passes: Predicate, size: int
    ) -> tuple[list[SearchResult], float, bool]:
        """Of the ``size`` nearest that Chroma selects: those that pass, their share, and whether these are all."""

        def read(found: dict[str, Any]) -> tuple[list[SearchResult], int, int]:
            metadatas = [decode(native) for native in found["metadatas"][0]]
            kept: Sequence[int] = range(len(metadatas))
            if compiled is None or not compiled.exact:
                kept = [i for i, metadata in enumerate(metadatas) if passes(metadata)]
            return _results(found, 0, request, kept[: request.top_k], metadatas), len(kept), len(metadatas)

        answer, kept, seen = await self._backend.query(
            handle,
            read=read,
            query_embeddings=[_query_vector(request)],
            n_results=size,
            include=["distances", "metadatas", "documents"] + (["embeddings"] if request.include_vectors else []),
            **({} if compiled is None else _where(compiled)),
        )
        whole = False
        if compiled is None and kept < request.top_k and seen < size:
            whole = seen == await self._backend.count(handle)
        return answer, kept / max(1, seen), whole

    async def _ranked(
        self, handle: Handle, request: SearchRequest, ids: Sequence[str], passes: Predicate | None
    ) -> list[SearchResult]:
        """The best of the given documents, exactly."""
        best: list[SearchResult] = []
        for start in range(0, len(ids), _PAGE):
            rows = await self._backend.get(handle, ids=list(ids[start : start + _PAGE]), include=_ALL_COLUMNS)
            best = _best(best + await asyncio.to_thread(_rank, rows, request, passes), request.top_k)
        return best

    def _remember(self, key: tuple[str, str], share: float) -> None:
        self._shares[key] = share
        self._shares.move_to_end(key)
        if len(self._shares) > _REMEMBERED:
            self._shares.popitem(last=False)


def documents_of(rows: dict[str, Any]) -> list[VectorDocument]:
    """Rows of ``Collection.get`` as documents."""
    ids, natives, texts = rows["ids"], rows["metadatas"], rows["documents"]
    if rows.get("embeddings") is None:
        vectors: Iterable[Vector] = (Vector.none() for _ in ids)
    else:
        vectors = map(Vector.wrap, np.asarray(rows["embeddings"], dtype=np.float32))
    return [
        VectorDocument(id=document_id, vector=vector, metadata=decode(native), text=decode_text(native, text))
        for document_id, vector, native, text in zip(ids, vectors, natives, texts, strict=True)
    ]


def _best(results: list[SearchResult], top_k: int) -> list[SearchResult]:
    return sorted(results, key=lambda result: (-result.score, result.id))[:top_k]


def _rank(rows: dict[str, Any], request: SearchRequest, passes: Predicate | None) -> list[SearchResult]:
    if not rows["ids"]:
        return []
    embeddings = np.asarray(rows["embeddings"], dtype=np.float32)
    scores = exact_scores(request.metric, embeddings, request.vector).tolist()
    results = []
    for i, (document_id, native, text) in enumerate(
        zip(rows["ids"], rows["metadatas"], rows["documents"], strict=True)
    ):
        metadata = decode(native)
        if passes is None or passes(metadata):
            results.append(
                SearchResult(
                    id=document_id,
                    score=scores[i],
                    metadata=metadata if request.include_metadata else {},
                    text=decode_text(native, text) if request.include_metadata else None,
                    vector=Vector.wrap(embeddings[i]) if request.include_vectors else None,
                )
            )
    return results


def _results(
    found: dict[str, Any],
    row: int,
    request: SearchRequest,
    kept: Sequence[int] | None = None,
    metadatas: Sequence[dict[str, Any]] | None = None,
) -> list[SearchResult]:
    """One row of ``Collection.query`` as results; only the ``kept`` ones, with metadata that is decoded already."""
    ids, scores = found["ids"][row], _scores(request.metric, found["distances"][row])
    places = range(len(ids)) if kept is None else kept
    vectors = np.asarray(found["embeddings"][row], dtype=np.float32) if request.include_vectors else None
    if not request.include_metadata:
        return [
            SearchResult(id=ids[i], score=scores[i], vector=None if vectors is None else Vector.wrap(vectors[i]))
            for i in places
        ]
    natives, texts = found["metadatas"][row], found["documents"][row]
    return [
        SearchResult(
            id=ids[i],
            score=scores[i],
            metadata=decode(natives[i]) if metadatas is None else metadatas[i],
            text=decode_text(natives[i], texts[i]),
            vector=None if vectors is None else Vector.wrap(vectors[i]),
        )
        for i in places
    ]


def _scores(metric: DistanceMetric, distances: Sequence[float]) -> list[float]:
    """Chroma gives 1 - cos, 1 - a·b, and the squared L2 distance."""
    if metric is DistanceMetric.EUCLIDEAN:
        return [distance_score(math.sqrt(max(0.0, distance))) for distance in distances]
    scores = [1.0 - distance for distance in distances]
    return scores if metric is DistanceMetric.DOT_PRODUCT else [clamp_cosine(score) for score in scores]


def _query_vector(request: SearchRequest) -> NDArray[np.float32]:
    vector = request.vector
    square = float(np.vdot(vector, vector))
    if 1e-30 < square < 1e30 or not vector.any():
        return vector
    if request.metric is DistanceMetric.COSINE:  # only the direction counts
        wide = vector.astype(np.float64)
        return np.asarray(wide / np.linalg.norm(wide), dtype=np.float32)
    return vector


def _where(compiled: Compiled) -> dict[str, Any]:
    return {} if compiled.native is None else {"where": compiled.native}
