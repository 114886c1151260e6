"""What providers of approximate searches do to be exact where the database is not asked, or can't be."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ia_modules.vector_stores.metrics import exact_scores
from ia_modules.vector_stores.models import SearchResult
from ia_modules.vector_stores.requests import SearchRequest
from ia_modules.vector_stores.vectors import Vector

__all__ = ["Read", "best_of", "of_usual_length", "scored"]


class Read(Protocol):
    """A document as it was read."""

    @property
    def id(self) -> str: ...  # noqa: D102

    @property
    def metadata(self) -> dict[str, Any]: ...  # noqa: D102

    @property
    def text(self) -> str | None: ...  # noqa: D102

    @property
    def vector(self) -> NDArray[np.float32] | None: ...  # noqa: D102


def of_usual_length(request: SearchRequest) -> SearchRequest:
    """The same direction in a length that single precision can square; for cosine, which it is the same to."""
    square = float(np.vdot(request.vector, request.vector))
    if 1e-20 < square < 1e30 or not request.vector.any():
        return request
    wide = request.vector.astype(np.float64)
    return replace(request, vector=np.asarray(wide / np.linalg.norm(wide), dtype=np.float32))


async def best_of(pages: AsyncIterator[Sequence[Read]], request: SearchRequest) -> list[SearchResult]:
    """The best of documents that come in pages, with their vectors, scored here."""
    best: list[SearchResult] = []
    async for page in pages:
        found = [(one, one.vector) for one in page if one.vector is not None]
        if found:
            scores = exact_scores(request.metric, np.stack([row for _, row in found]), request.vector).tolist()
            best += [scored(one, score, request) for (one, _), score in zip(found, scores, strict=True)]
            best.sort(key=lambda result: (-result.score, result.id))
            del best[request.top_k :]
    return best


def scored(one: Read, score: float, request: SearchRequest) -> SearchResult:
    """A document as a result, with what was asked for."""
    with_metadata = request.include_metadata
    return SearchResult(
        id=one.id,
        score=score,
        metadata=one.metadata if with_metadata else {},
        text=one.text if with_metadata else None,
        vector=Vector.wrap(one.vector) if request.include_vectors and one.vector is not None else None,
    )
