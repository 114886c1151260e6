"""A second look at the first results, by something slower and better."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

__all__ = ["Reranker", "rescored"]

logger = logging.getLogger("ia_modules.vector_stores")

Reranker: TypeAlias = Callable[[str, Sequence[str]], Awaitable[Sequence[float]]]
"""Takes the words of the query and texts, and gives a score for each text; higher is better.

A cross-encoder that computes should do so in a thread (``asyncio.to_thread``), as all that blocks the event loop also
keeps the deadline from being seen.
"""


async def rescored(
    reranker: Reranker, query: str, ids: Sequence[str], texts: Sequence[str], seconds: float
) -> dict[str, float] | None:
    """Scores by id, or None if they were not there in time.

    Raises:
        ValueError: the reranker gave another number of scores than it got texts, or one that is no number.
        Exception: what the reranker raised.
    """
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            scores = [float(score) for score in await reranker(query, texts)]
    except TimeoutError:
        if not limit.expired():
            raise
        logger.warning("the reranker took longer than %g s; the order is the one before it", seconds)
        return None
    if len(scores) != len(ids):
        raise ValueError(f"the reranker gave {len(scores)} scores for {len(ids)} texts")
    if any(score != score for score in scores):
        raise ValueError("the reranker gave a score that is not a number")
    return dict(zip(ids, scores, strict=True))
