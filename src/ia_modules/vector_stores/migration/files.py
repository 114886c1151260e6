"""What the sources and targets that are files have in common."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from ia_modules.vector_stores.metrics import DistanceMetric
from ia_modules.vector_stores.migration.formats import FileFormatError
from ia_modules.vector_stores.migration.records import Page
from ia_modules.vector_stores.providers.threads import finished

__all__ = [
    "add_further",
    "in_thread",
    "kept_metric",
    "named_errors",
    "pages_in_thread",
    "reason",
]

T = TypeVar("T")


async def in_thread(work: Callable[[], T]) -> T:
    """Do blocking work in a thread; if cancelled meanwhile, it is waited for all the same."""
    return await finished(asyncio.to_thread(work))


async def pages_in_thread(make: Callable[[], Generator[Page, None, None]]) -> AsyncIterator[Page]:
    """Go through pages that are made by blocking work, in a thread; what it opened is closed however it ends."""
    pages = make()
    try:
        while (page := await finished(asyncio.to_thread(next, pages, None))) is not None:
            yield page
    finally:
        await finished(asyncio.to_thread(pages.close))


def reason(error: ValueError) -> str:
    """Why something is no document, in one line and without contents."""
    details = getattr(error, "errors", None)
    if not callable(details):
        return str(error)
    found = []
    for detail in details(include_url=False, include_input=False, include_context=False):
        place = ".".join(map(str, detail["loc"][:1]))
        found.append(f"{place}: {detail['msg'].removeprefix('Value error, ')}")
    return "; ".join(found)


def add_further(metadata: dict[str, Any], name: str, value: Any) -> None:
    """Add a column or field that becomes metadata under its name.

    Raises:
        ValueError: the metadata has that key already, with another value.
    """
    if name in metadata and (metadata[name] != value or type(metadata[name]) is not type(value)):
        raise ValueError(f"{name!r} is also a key of the metadata, with another value")
    metadata[name] = value


@contextmanager
def named_errors(path: Path, *kinds: type[Exception]) -> Iterator[None]:
    """Turn errors of what reads a format into one that names the file."""
    try:
        yield
    except FileNotFoundError:
        raise
    except kinds as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise FileFormatError(f"{path} can't be read: {first}") from error


def kept_metric(value: object, path: Path) -> DistanceMetric | None:
    """The metric that a file names."""
    if value is None:
        return None
    with suppress(ValueError):
        return DistanceMetric(value)
    raise FileFormatError(f"{path} names an unknown metric")
