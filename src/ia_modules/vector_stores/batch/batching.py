"""Reading the source in portions and cutting it into batches."""

from __future__ import annotations

import asyncio
import operator
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from time import perf_counter
from typing import Any, TypeAlias, cast

from pydantic import ValidationError

from ia_modules.vector_stores.batch.report import Failure
from ia_modules.vector_stores.errors import InvalidDocumentError
from ia_modules.vector_stores.models import Vector, VectorDocument

__all__ = ["Batch", "Cutter", "Documents", "Source"]

Documents: TypeAlias = (
    Iterable[VectorDocument]
    | Iterable[Mapping[str, Any]]
    | AsyncIterable[VectorDocument]
    | AsyncIterable[Mapping[str, Any]]
)
"""What can be written: documents, or mappings with their fields, of any number."""

_TURN = 0.01
"""Seconds that the source may hold the event loop, unless it takes longer over a single item."""
_NUMBER_BYTES = 8
_SMALL_BYTES = 48
_DEPTH = 64


@dataclass(slots=True)
class Batch:
    """Items that follow each other in the source.

    Attributes:
        number: from 1.
        start: position of the first item in the source.
        documents: those that are documents.
        positions: where each of them is in the source.
        rejected: items that are none.
        size: estimated bytes of the documents.
    """

    number: int
    start: int
    documents: list[VectorDocument] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    rejected: list[Failure] = field(default_factory=list)
    size: int = 0

    def __len__(self) -> int:
        return len(self.documents) + len(self.rejected)


class Cutter:
    """Cuts items into batches, bounded by count and by bytes.

    Args:
        most: items per batch.
        most_bytes: estimated bytes per batch; a larger document is a batch of its own.
        start: items to pass over first.

    Attributes:
        position: items taken so far.
        ended: whether :meth:`fill` has met the end of the source.
    """

    def __init__(self, most: int, most_bytes: int, start: int) -> None:
        self.position = 0
        self.ended = False
        self._start = start
        self._most = most
        self._most_bytes = most_bytes
        self._batch = Batch(1, start)

    def add(self, item: object) -> Batch | None:
        """Take the next item of the source; returns the batch that is complete now, if one is."""
        position = self.position
        self.position = position + 1
        if position < self._start:
            return None
        document = item if isinstance(item, VectorDocument) else _document(item, position)
        size = 0
        if isinstance(document, VectorDocument):
            try:
                size = _estimated_bytes(document)
            except (AttributeError, TypeError):  # made without checks
                document = _document(item, position)
                if isinstance(document, VectorDocument):
                    size = _estimated_bytes(document)
        batch, complete = self._batch, None
        if isinstance(document, Failure):
            batch.rejected.append(document)
        else:
            if batch.size + size > self._most_bytes and position > batch.start:
                complete = batch
                batch = self._batch = Batch(batch.number + 1, position)
            batch.size += size
            batch.documents.append(document)
            batch.positions.append(position)
        if position + 1 - batch.start >= self._most:  # then none overflowed, or it would have been complete before
            complete = batch
            self._batch = Batch(batch.number + 1, position + 1)
        return complete

    def fill(self, items: Iterator[object], until: float) -> Batch | None:
        """Take items up to the next complete batch, but no longer than until a time.

        Args:
            items: the source.
            until: by ``time.perf_counter``; one item is taken in any case.

        Returns:
            The batch, or None if the time is over or the source at its end.
        """
        for item in items:
            batch = self.add(item)
            if batch is not None:
                return batch
            if perf_counter() > until:
                return None
        self.ended = True
        return None

    def rest(self) -> Batch | None:
        """What is left at the end of the source."""
        batch = self._batch
        if not len(batch):
            return None
        self._batch = Batch(batch.number + 1, self.position)
        return batch


class Source:
    """The documents that were given, whatever they come in.

    Args:
        documents: an iterable or an async iterable.

    Raises:
        ValueError: something that is no collection of documents.
    """

    def __init__(self, documents: Documents) -> None:
        if isinstance(documents, str | bytes | bytearray | Mapping | VectorDocument) or not isinstance(
            documents, Iterable | AsyncIterable
        ):
            raise ValueError(
                f"documents must be an iterable or async iterable of VectorDocument, not {type(documents).__name__}"
            )
        hint = operator.length_hint(documents, -1)
        self.total: int | None = None if hint < 0 else hint
        self._source = documents

    async def batches(self, most: int, most_bytes: int, skip: int = 0) -> AsyncGenerator[Batch]:
        """Read the source to its end; the event loop gets its turn at least once per batch.

        If the source fails, what it gave before still comes out, and then its error. However this ends, the iterator
        that was read from is closed.

        Args:
            most: items per batch.
            most_bytes: estimated bytes per batch.
            skip: items to pass over.

        Raises:
            ValueError: the source has fewer items than ``skip``.
        """
        cutter = Cutter(most, most_bytes, skip)
        failed: Exception | None = None
        complete = (self._read_later if isinstance(self._source, AsyncIterable) else self._read_now)(cutter)
        try:
            async for batch in complete:
                yield batch
                await asyncio.sleep(0)
        except Exception as error:  # noqa: BLE001 - raised again below
            failed = error
        finally:
            await complete.aclose()
        last = cutter.rest()
        if last is not None:
            yield last
        if failed is not None:
            raise failed
        if cutter.position < skip:
            raise ValueError(
                f"the checkpoint says that {skip:,} items were done, but the source has {cutter.position:,}; "
                f"it must give the same items in the same order again, or the checkpoint be deleted"
            )

    async def _read_now(self, cutter: Cutter) -> AsyncGenerator[Batch]:
        items = iter(cast("Iterable[object]", self._source))
        try:
            while not cutter.ended:
                batch = cutter.fill(items, perf_counter() + _TURN)
                if batch is not None:
                    yield batch
                elif not cutter.ended:
                    await asyncio.sleep(0)
        finally:
            if (close := getattr(items, "close", None)) is not None:
                close()

    async def _read_later(self, cutter: Cutter) -> AsyncGenerator[Batch]:
        items = aiter(cast("AsyncIterable[object]", self._source))
        try:
            until = perf_counter() + _TURN
            async for item in items:
                batch = cutter.add(item)
                if batch is not None:
                    yield batch
                elif perf_counter() > until:
                    await asyncio.sleep(0)
                else:
                    continue
                until = perf_counter() + _TURN
        finally:
            if (aclose := getattr(items, "aclose", None)) is not None:
                await aclose()


def _document(item: object, position: int) -> VectorDocument | Failure:
    """What is not a document yet made one, if it can be."""
    if isinstance(item, VectorDocument) and type(item.vector) is Vector:
        return item  # of a derived class
    if isinstance(item, Mapping | VectorDocument):
        try:
            return VectorDocument.model_validate(dict(item))
        except ValidationError as error:
            # Not pydantic's own text, which takes several lines and may quote the contents.
            what = "; ".join(
                f"{'.'.join(map(str, found['loc'])) or 'item'}: {found['msg'].removeprefix('Value error, ')}"
                for found in error.errors(include_url=False, include_context=False, include_input=False)
            )
    else:
        what = f"it is of type {type(item).__name__}"
    name = item.get("id") if isinstance(item, Mapping) else None
    invalid = InvalidDocumentError(
        f"item {position:,} of the source is no document: {what}", document_id=name if isinstance(name, str) else None
    )
    return Failure(position, item, invalid, retryable=False)


def _estimated_bytes(document: VectorDocument) -> int:
    """About what a document takes in a request: 4 bytes a number, and the characters of its text and metadata."""
    size: int = document.vector._array.nbytes + len(document.id) + _SMALL_BYTES  # noqa: SLF001 - the hot path
    text, metadata = document.text, document.metadata
    if text is not None:
        size += len(text)
    if metadata:
        size += sum(map(len, metadata)) + _NUMBER_BYTES * len(metadata)
        for value in metadata.values():
            kind = type(value)
            if kind is str:
                size += len(value)
            elif kind is list or kind is dict:
                size += _nested_bytes(value, 0)
    return size


def _nested_bytes(value: object, depth: int) -> int:
    if isinstance(value, str | bytes):
        return len(value)
    if depth < _DEPTH and isinstance(value, dict | list | tuple):
        parts = chain(value, value.values()) if isinstance(value, dict) else value
        return sum(_nested_bytes(part, depth + 1) for part in parts)
    return _NUMBER_BYTES
