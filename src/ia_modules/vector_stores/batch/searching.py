"""Many searches, several at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from ia_modules.vector_stores.batch.sending import BatchStore
from ia_modules.vector_stores.capabilities import Capabilities
from ia_modules.vector_stores.errors import VectorStoreError
from ia_modules.vector_stores.models import SearchResponse
from ia_modules.vector_stores.tasks import together as run_together
from ia_modules.vector_stores.vectors import VectorLike

__all__ = ["method_of", "search_all"]


async def search_all(
    store: BatchStore,
    query_vectors: Iterable[VectorLike],
    top_k: int,
    *,
    together: int,
    parallel: int,
    options: dict[str, Any],
) -> list[SearchResponse]:
    """Search for every vector.

    Args:
        store: where to look.
        query_vectors: read as the searches go on, never further ahead than they are.
        top_k: most results for each.
        together: vectors per request, if the database takes several.
        parallel: requests at the same time.
        options: handed on to the store.

    Returns:
        Responses in the order of the vectors.

    Raises:
        Exception: that of the first search that failed, as it is; the others are cancelled.
    """
    many = _search_many(store)
    vectors = iter(query_vectors)
    found: list[list[SearchResponse]] = []

    async def work() -> None:
        while portion := list(islice(vectors, together if many is not None else 1)):
            place = len(found)
            found.append([])
            if many is None:
                found[place] = [await store.search(portion[0], top_k, **options)]
            else:
                found[place] = await many(portion, top_k, **options)
                if len(found[place]) != len(portion):
                    raise VectorStoreError(
                        f"search_many gave {len(found[place])} responses to {len(portion)} vectors",
                        operation="search_many",
                    )
            await asyncio.sleep(0)  # a store in this process may never have let go of the event loop

    try:
        await run_together(work() for _ in range(parallel))
    finally:
        _close(vectors)
    return [response for portion in found for response in portion]


def _search_many(store: BatchStore) -> Callable[..., Any] | None:
    """The method that takes several vectors, if that is more than searches in turn."""
    able = getattr(store, "capabilities", None)
    if isinstance(able, Capabilities) and not able.batch_search:
        return None
    return method_of(store, "search_many")


def method_of(store: object, name: str) -> Callable[..., Any] | None:
    """A method that not every store has; one that its class defines, as a mock has every attribute."""
    return getattr(store, name) if callable(getattr(type(store), name, None)) else None


def _close(vectors: Iterator[VectorLike]) -> None:
    close = getattr(vectors, "close", None)
    if close is not None:
        close()
