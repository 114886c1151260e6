"""Searching in Weaviate, so that no result goes missing; and finding all documents that pass a filter."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

from ia_modules.vector_stores.filters import MATCH_ALL, Node, Predicate, predicate
from ia_modules.vector_stores.metrics import DistanceMetric, clamp_cosine, distance_score
from ia_modules.vector_stores.models import SearchResult
from ia_modules.vector_stores.providers.ranking import best_of, of_usual_length, scored
from ia_modules.vector_stores.providers.weaviate.collection import FIRST, MAX_RESULTS, Collection, Prepared
from ia_modules.vector_stores.providers.weaviate.connection import rpc_error
from ia_modules.vector_stores.providers.weaviate.errors import says
from ia_modules.vector_stores.providers.weaviate.messages import by_ids as ids_filter
from ia_modules.vector_stores.providers.weaviate.objects import Found
from ia_modules.vector_stores.requests import SearchRequest

__all__ = ["PAGE", "by_keys", "matching", "page_after", "search", "walk"]

PAGE = 1_000
_WIDER = 4
_TOO_LARGE = "larger than max"
"""Said of an answer that is too long for one message."""
_TOO_MANY = "query maximum results exceeded"
"""Said where the operator allows fewer results than usual."""


async def search(collection: Collection, request: SearchRequest) -> list[SearchResult]:
    """The best ``top_k`` documents that pass the filter."""
    if request.metric is DistanceMetric.COSINE:
        request = of_usual_length(request)
    await collection.settled(request.namespace)
    return await collection.with_filter(request.filters, lambda prepared: _search(collection, request, prepared))


async def _search(collection: Collection, request: SearchRequest, prepared: Prepared) -> list[SearchResult]:
    request = replace(request, metric=(await collection.schema()).info.metric)  # it may have been made again
    passes = prepared.passes
    limit = request.top_k
    while True:
        try:
            objects = await collection.read(
                request.namespace,
                limit,
                message=prepared.message,
                vector=request.vector,
                metadata=request.include_metadata or passes is not None,
                vectors=request.include_vectors,
            )
        except rpc_error() as error:
            if limit == request.top_k or not says(error, _TOO_LARGE, _TOO_MANY):
                raise
            return await _by_hand(collection, request)  # more was asked for than the caller wants
        seen = len(objects)
        if passes is not None:
            objects = [one for one in objects if passes(one.metadata)]
        if len(objects) >= request.top_k:
            return [_result(one, request) for one in objects[: request.top_k]]
        if seen < limit or limit == MAX_RESULTS:
            break
        limit = min(MAX_RESULTS, limit * _WIDER)
    # Either there are no more, or few pass of very many, or the graph of an approximate index led to no more.
    if seen < limit and prepared.message is not None and await collection.answers_exactly(request.namespace):
        return [_result(one, request) for one in objects]
    if seen >= await collection.count(request.namespace, prepared.message):
        return [_result(one, request) for one in objects]
    return await _by_hand(collection, request)


async def _by_hand(collection: Collection, request: SearchRequest) -> list[SearchResult]:
    """The same search over all documents of the namespace, one page after the other."""
    return await best_of(walk(collection, request.namespace, predicate(request.filters), vectors=True), request)


async def walk(
    collection: Collection, namespace: str, passes: Predicate, *, vectors: bool
) -> AsyncIterator[list[Found]]:
    """All documents of a namespace that pass, in pages."""
    after: str | None = FIRST
    while after is not None:
        page, after = await page_after(collection, namespace, PAGE, after, vectors=vectors)
        yield [one for one in page if passes(one.metadata)]


async def page_after(
    collection: Collection, namespace: str, size: int, after: str, **wanted: Any
) -> tuple[list[Found], str | None]:
    """Up to ``size`` documents in the order of their UUIDs, and where the next page starts; None after the last one.

    What is ``wanted`` of each says :func:`~.messages.search_request`.
    """
    try:
        page = await collection.read(namespace, size, after=after, **wanted)
    except rpc_error() as error:
        if size == 1 or not says(error, _TOO_LARGE):
            raise
        return await page_after(collection, namespace, size // 2, after, **wanted)
    return page, page[-1].key if len(page) == size else None


async def by_keys(collection: Collection, namespace: str, keys: Sequence[str], **wanted: Any) -> list[Found]:
    """Documents by UUID, in any order; missing ones left out. ``wanted`` as with :func:`page_after`."""
    if not keys:
        return []
    try:
        # Without a limit the server gives as many as it thinks fit, which is 10.
        return await collection.read(namespace, len(keys), message=ids_filter(keys), **wanted)
    except rpc_error() as error:
        if len(keys) == 1 or not says(error, _TOO_LARGE):
            raise
    half = len(keys) // 2
    first = await by_keys(collection, namespace, keys[:half], **wanted)
    return first + await by_keys(collection, namespace, keys[half:], **wanted)


async def matching(collection: Collection, namespace: str, filters: Node) -> list[str]:
    """UUIDs of all documents that pass a filter."""

    async def ask(prepared: Prepared) -> list[str]:
        passes = prepared.passes
        if prepared.message is not None:
            try:
                objects = await collection.read(
                    namespace, MAX_RESULTS, message=prepared.message, metadata=passes is not None
                )
            except rpc_error() as error:
                if not says(error, _TOO_LARGE, _TOO_MANY):
                    raise
            else:
                if len(objects) < MAX_RESULTS:
                    return [one.key for one in objects if passes is None or passes(one.metadata)]
        exactly = predicate(filters)
        return [one.key async for page in walk(collection, namespace, exactly, vectors=False) for one in page]

    assert filters != MATCH_ALL, "nothing needs a list of all documents"
    return await collection.with_filter(filters, ask)


def _result(one: Found, request: SearchRequest) -> SearchResult:
    """An object as a result; Weaviate gives 1 - cosine, -product, the squared L2 distance, and the L1 distance."""
    distance = one.distance
    match request.metric:
        case DistanceMetric.COSINE:
            score = clamp_cosine(1.0 - distance)
        case DistanceMetric.DOT_PRODUCT:
            score = -distance
        case DistanceMetric.EUCLIDEAN:
            score = distance_score(math.sqrt(max(0.0, distance)))
        case _:
            score = distance_score(distance)
    return scored(one, score, request)
