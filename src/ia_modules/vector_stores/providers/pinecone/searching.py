"""Searching in Pinecone, so that no result goes missing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ia_modules.vector_stores.metrics import DistanceMetric, clamp_cosine, distance_score
from ia_modules.vector_stores.models import SearchResult
from ia_modules.vector_stores.providers.pinecone.errors import status_of
from ia_modules.vector_stores.providers.pinecone.filtering import Prepared
from ia_modules.vector_stores.providers.pinecone.layout import is_hashed, namespace_name
from ia_modules.vector_stores.providers.pinecone.reading import Reader
from ia_modules.vector_stores.providers.pinecone.records import Record, record
from ia_modules.vector_stores.providers.ranking import best_of, of_usual_length, scored
from ia_modules.vector_stores.requests import SearchRequest

__all__ = ["search"]

_WIDER = 4
_WIDEST = 1_000
_WHOLE = 100
"""Results that are asked for with all that belongs to them without fear that the answer gets too long (4 MB)."""


async def search(reader: Reader, request: SearchRequest) -> list[SearchResult]:
    """The best ``top_k`` documents that pass the filter."""
    if request.metric is DistanceMetric.COSINE:
        request = of_usual_length(request)
    prepared = reader.filters.of(request.filters)
    if prepared.passes is None:
        return _results(await _matches(reader, request, prepared, request.top_k), request)
    limit = request.top_k
    while True:
        matches = await _matches(reader, request, prepared, limit)
        kept = [one for one in matches if prepared.passes(one[0].metadata)]
        if len(kept) >= request.top_k or len(matches) < limit:
            return _results(kept[: request.top_k], request)
        if limit >= _WIDEST:
            break
        limit = min(_WIDEST, limit * _WIDER)
    return await _by_hand(reader, request)


async def _matches(
    reader: Reader, request: SearchRequest, prepared: Prepared, limit: int
) -> list[tuple[Record, float]]:
    """The nearest records with Pinecone's scores."""
    metadata = request.include_metadata or prepared.passes is not None
    vectors = request.include_vectors
    body: dict[str, Any] = {
        "topK": limit,
        "vector": np.ascontiguousarray(request.vector),
        "namespace": namespace_name(request.namespace),
        "includeMetadata": metadata,
        "includeValues": vectors,
    }
    if prepared.native is not None:
        body["filter"] = prepared.native
    try:
        found = await reader.query(request.namespace, body)
    except Exception as error:
        if status_of(error) not in (400, 413) or limit <= _WHOLE or not (metadata or vectors):
            raise
        found = await reader.query(request.namespace, body | {"includeMetadata": False, "includeValues": False})
        return await _completed(reader, request, found, vectors=vectors)
    if not metadata and any(is_hashed(one["id"]) for one in found):
        return await _completed(reader, request, found, vectors=vectors)
    return [(record(one, vectors=vectors), float(one.get("score") or 0.0)) for one in found]


async def _completed(
    reader: Reader, request: SearchRequest, found: list[dict[str, Any]], *, vectors: bool
) -> list[tuple[Record, float]]:
    """Matches that came without what belongs to them, with it; those that are gone meanwhile are left out."""
    read = await reader.by_records([one["id"] for one in found], request.namespace, vectors=vectors)
    pairs = ((read.get(one["id"]), float(one.get("score") or 0.0)) for one in found)
    return [(whole, score) for whole, score in pairs if whole is not None]


async def _by_hand(reader: Reader, request: SearchRequest) -> list[SearchResult]:
    """The same search over all documents that may pass, one page after the other."""
    return await best_of(reader.walk(request.namespace, request.filters, vectors=True), request)


def _results(matches: list[tuple[Record, float]], request: SearchRequest) -> list[SearchResult]:
    """Matches as results; Pinecone gives the cosine, the product, and the squared L2 distance."""
    results = []
    for one, score in matches:
        if request.metric is DistanceMetric.COSINE:
            score = clamp_cosine(score)
        elif request.metric is DistanceMetric.EUCLIDEAN:
            score = distance_score(math.sqrt(max(0.0, score)))
        results.append(scored(one, score, request))
    return results
