"""Faults put between the base class and a provider's primitives, on one store object."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ia_modules.vector_stores.base import VectorStoreBase

__all__ = ["DATA", "PRIMITIVES", "WRITES", "Primitive", "failing", "primitives_called", "wrapped"]

WRITES = ("_upsert", "_update_metadata", "_delete_ids", "_delete_where", "_empty_namespace")
READS = ("_search", "_fetch", "_count", "_scan_page", "_stats", "_namespaces")
DATA = (*WRITES, *READS)
PRIMITIVES = (*DATA, "_search_many", "_load_index", "_create_index", "_drop_index", "_ping", "_open")

Primitive = Callable[..., Awaitable[Any]]


@contextmanager
def wrapped(
    store: VectorStoreBase, names: tuple[str, ...], wrap: Callable[[str, Primitive], Primitive]
) -> Iterator[None]:
    """Replace primitives of one store object for a while."""
    own = {name: vars(store)[name] for name in names if name in vars(store)}
    for name in names:
        inner: Primitive = getattr(store, name)
        setattr(store, name, functools.wraps(inner)(wrap(name, inner)))
    try:
        yield
    finally:
        for name in names:
            delattr(store, name)
        for name, inner in own.items():
            setattr(store, name, inner)


@contextmanager
def primitives_called(store: VectorStoreBase) -> Iterator[list[str]]:
    """The names of the primitives that are called meanwhile."""
    called: list[str] = []

    def wrap(name: str, inner: Primitive) -> Primitive:
        async def noted(*arguments: Any, **named: Any) -> Any:
            called.append(name)
            return await inner(*arguments, **named)

        return noted

    with wrapped(store, PRIMITIVES, wrap):
        yield called


@contextmanager
def failing(store: VectorStoreBase, name: str, *errors: Exception, lost_answer: bool = False) -> Iterator[list[str]]:
    """Let the first calls of a primitive fail, one with each error; yields the list of all its calls.

    Args:
        store: the store.
        name: the primitive.
        *errors: what to raise.
        lost_answer: do the work first, so that only the answer gets lost.
    """
    left = list(errors)
    calls: list[str] = []

    def wrap(name: str, inner: Primitive) -> Primitive:
        async def faulty(*arguments: Any, **named: Any) -> Any:
            calls.append(name)
            if not left:
                return await inner(*arguments, **named)
            if lost_answer:
                await inner(*arguments, **named)
            raise left.pop(0)

        return faulty

    with wrapped(store, (name,), wrap):
        yield calls
