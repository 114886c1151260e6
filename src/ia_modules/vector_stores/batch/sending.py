"""One batch: sent, sent again where that can help, and taken apart where single documents are at fault."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from ia_modules.vector_stores.batch.batching import Batch
from ia_modules.vector_stores.batch.concurrency import AdaptiveLimit, Stopped
from ia_modules.vector_stores.batch.report import Failure, Outcome
from ia_modules.vector_stores.documents import checked_documents, wrong_dimension
from ia_modules.vector_stores.errors import (
    AuthenticationError,
    IndexAlreadyExistsError,
    IndexMismatchError,
    IndexNotFoundError,
    InvalidDimensionError,
    InvalidDocumentError,
    MissingDependencyError,
    PartialFailureError,
    PoolClosedError,
    RateLimitError,
    StoreLockedError,
    UnsupportedOperationError,
    VectorStoreError,
)
from ia_modules.vector_stores.models import VectorDocument
from ia_modules.vector_stores.tasks import is_being_cancelled

__all__ = ["BatchStore", "Sender"]

_LONGEST_WAIT = 30.0
_MOST_CROWDED = 10
_FATAL = (
    AuthenticationError,
    IndexMismatchError,
    IndexNotFoundError,
    MissingDependencyError,
    PoolClosedError,
    StoreLockedError,
)
_HOPELESS = (UnsupportedOperationError, IndexAlreadyExistsError)


class BatchStore(Protocol):
    """The part of a vector store that is needed; every store of this package has it."""

    @property
    def upsert(self) -> Callable[..., Awaitable[Any]]:
        """Takes ``(documents, namespace=..., batch_size=...)``."""

    @property
    def search(self) -> Callable[..., Awaitable[Any]]:
        """Takes ``(query_vector, top_k, **options)``."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends batches.

    Args:
        store: where to.
        namespace: handed on to it.
        limit: gives leave to send.
        max_attempts: how often a document is sent before an error that a retry can cure is its last. A rate limit
            does not count, up to ten times, as long as there are other requests to be left out instead.
        retry_delay: seconds; the first retry waits a random time up to this, each further one up to twice as long.
    """

    store: BatchStore
    namespace: str | None
    limit: AdaptiveLimit
    max_attempts: int
    retry_delay: float

    async def send(self, batch: Batch) -> Outcome:
        """Write a batch, or as much of it as can be written.

        Returns:
            What became of it. It is not finished if a fatal error came in between, here or elsewhere.
        """
        return await _Sending(self, batch).run()

    async def attempt(self, documents: list[VectorDocument], rank: int) -> tuple[Exception | None, bool]:
        """Send once.

        Args:
            documents: what to send.
            rank: number of their batch; lower ones go first.

        Returns:
            The error, instead of raising it, and whether no fewer requests could have been under way.

        Raises:
            Stopped: nothing new is to be sent.
        """
        permit = await self.limit.acquire(rank)
        try:
            await self.store.upsert(documents, namespace=self.namespace, batch_size=len(documents))
        except Exception as error:  # noqa: BLE001 - each is judged by its class
            self.limit.release(error, permit)
            return error, permit.alone
        except BaseException as error:
            self.limit.cancelled()
            if isinstance(error, asyncio.CancelledError) and not is_being_cancelled():
                return VectorStoreError("the store's upsert was cancelled, but not by its caller"), permit.alone
            raise
        self.limit.release(None, permit)
        return None, permit.alone

    async def wait(self, attempts: int) -> None:
        """Wait before a further attempt, after so many: a random time up to a bound that doubles."""
        bound = min(self.retry_delay * 2.0 ** (attempts - 1), _LONGEST_WAIT)
        await self.limit.pause(random.uniform(0.0, bound))


@dataclass(frozen=True, slots=True)
class _Part:
    """Documents of the batch that go out together, by their place in it.

    Attributes:
        places: in the order of the source; no two have the same id.
        attempts: how often they failed with an error that a retry can cure.
        crowded: how often they were refused only because too many requests were under way, which is no attempt.
        suspect: whether some of their documents were found at fault already.
    """

    places: list[int]
    attempts: int = 0
    crowded: int = 0
    suspect: bool = False


class _Sending:
    """State of one batch."""

    def __init__(self, sender: Sender, batch: Batch) -> None:
        self._sender = sender
        self._batch = batch
        self._documents = batch.documents
        self._outcome = Outcome(failures=list(batch.rejected))
        self._checked = False
        # Of equal ids the last one is sent; those before it are left out for good once it is written.
        self._place = {document.id: place for place, document in enumerate(self._documents)}
        self._older: dict[str, list[int]] = {}
        if len(self._place) < len(self._documents):
            for place, document in enumerate(self._documents):
                if self._place[document.id] != place:
                    self._older.setdefault(document.id, []).append(place)
        self._todo: list[_Part] = [_Part(sorted(self._place.values()))] if self._documents else []

    async def run(self) -> Outcome:
        outcome = self._outcome
        while self._todo and outcome.fatal is None:
            part = self._todo.pop()
            try:
                if part.attempts or part.crowded:
                    await self._sender.wait(max(1, part.attempts))
                error, alone = await self._sender.attempt(self._documents_of(part), self._batch.number)
            except Stopped:
                outcome.finished = False
                break
            if error is None:
                outcome.upserted += len(part.places)
            else:
                self._divide(part, error, alone=alone)
        outcome.finished = outcome.finished and outcome.fatal is None
        outcome.failures.sort(key=lambda failure: failure.position)
        outcome.replaced = sum(map(len, self._older.values()))
        return outcome

    def _documents_of(self, part: _Part) -> list[VectorDocument]:
        if len(part.places) == len(self._documents):
            return self._documents
        return [self._documents[place] for place in part.places]

    def _divide(self, part: _Part, error: Exception, *, alone: bool) -> None:
        """Sort the documents of a part that failed into those written, to be sent again, and failed for good."""
        causes: dict[int, Exception]
        if isinstance(error, PartialFailureError):
            causes = self._causes(part, error)
            self._outcome.upserted += len(part.places) - len(causes)
        else:
            causes = dict.fromkeys(part.places, error)
        fatal = next(filter(_is_fatal, causes.values()), None)
        if fatal is not None:
            self._outcome.fatal = fatal
            return
        spare = not alone and part.crowded < _MOST_CROWDED
        crowded: list[int] = []
        again: list[int] = []
        suspects: list[int] = []
        for place, cause in causes.items():
            if isinstance(cause, InvalidDocumentError | InvalidDimensionError):
                suspects.append(place)
            elif isinstance(cause, _HOPELESS):
                self._fail(place, cause, retryable=False)
            elif spare and isinstance(cause, RateLimitError):
                crowded.append(place)
            elif part.attempts + 1 >= self._sender.max_attempts:
                self._fail(place, cause, retryable=True)
            else:
                again.append(place)
        if again:
            self._todo.append(replace(part, places=again, attempts=part.attempts + 1))
        if crowded:
            self._todo.append(replace(part, places=crowded, crowded=part.crowded + 1))
        if suspects:
            self._examine(replace(part, places=suspects), causes)

    def _causes(self, part: _Part, error: PartialFailureError) -> dict[int, Exception]:
        """Why each document was not written; what the error does not mention counts as not written."""
        written = set(error.succeeded) - error.failed.keys()
        ids = {place: self._documents[place].id for place in part.places}
        return {place: error.failed.get(name, error) for place, name in ids.items() if name not in written}

    def _examine(self, part: _Part, causes: dict[int, Exception]) -> None:
        """Find the documents at fault; the others go out again.

        An error may name one document of many that are at fault, or none, or, as long as the dimension of the index
        is not known, the wrong one. So documents are told apart by dimension first, then checked here, and what can't
        be found out that way is found by sending halves: the work stays in proportion to the number of documents.
        """
        dimensions: dict[int, list[int]] = {}
        for place in part.places:
            dimensions.setdefault(len(self._documents[place].vector), []).append(place)
        if len(dimensions) > 1 and any(isinstance(causes[place], InvalidDimensionError) for place in part.places):
            self._todo += [replace(part, places=places) for places in reversed(dimensions.values())]
            return
        rest: list[int] = []
        alone = _sole(causes)
        for place in part.places:
            fault = self._fault(place, causes[place], alone)
            if fault is None:
                rest.append(place)
            else:
                self._fail(place, fault, retryable=False)
        self._checked = True
        if len(rest) == 1 and len(part.places) == 1:
            self._fail(rest[0], causes[rest[0]], retryable=False)
        elif rest and len(rest) < len(part.places) and not part.suspect:
            self._todo.append(replace(part, places=rest, suspect=True))
        elif rest:
            half = max(1, len(rest) // 2)
            halves = [rest[:half], rest[half:]]
            self._todo += [replace(part, places=places, suspect=True) for places in reversed(halves) if places]

    def _fault(self, place: int, cause: Exception, alone: set[int]) -> Exception | None:
        """What is wrong with this very document, as far as that is known."""
        document = self._documents[place]
        if isinstance(cause, InvalidDimensionError):
            given = len(document.vector)
            if cause.expected is not None and cause.expected != given:
                return (
                    cause if cause.document_id == document.id else wrong_dimension(document.id, given, cause.expected)
                )
        if not self._checked:
            try:
                checked_documents([document], None)
            except InvalidDocumentError as error:
                return error
        named = cause.document_id if isinstance(cause, InvalidDocumentError | InvalidDimensionError) else None
        return cause if named == document.id or (named is None and id(cause) in alone) else None

    def _fail(self, place: int, error: Exception, *, retryable: bool) -> None:
        """Give a document up, and decide about those with its id that it was sent in place of.

        If it is at fault itself, the one before it is sent, as it would have been in a batch of its own. If not, that
        one would have met the same.
        """
        older = self._older.get(self._documents[place].id, [])
        if older and not retryable:
            self._todo.insert(0, _Part([older.pop()]))
            older = []
        for failed in (*older, place):
            failure = Failure(self._batch.positions[failed], self._documents[failed], error, retryable)
            self._outcome.failures.append(failure)
        older.clear()


def _is_fatal(error: Exception) -> bool:
    """Whether every other batch would fail with it as well."""
    if isinstance(error, InvalidDimensionError):
        return error.document_id is None
    return isinstance(error, _FATAL)


def _sole(causes: dict[int, Exception]) -> set[int]:
    """Errors that are the cause of one document only."""
    seen: set[int] = set()
    shared: set[int] = set()
    for cause in causes.values():
        (shared if id(cause) in seen else seen).add(id(cause))
    return seen - shared
