"""Writing and searching in bulk, with any store."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from ia_modules.vector_stores.batch.batching import Documents, Source
from ia_modules.vector_stores.batch.checkpoint import Checkpoint, job_of
from ia_modules.vector_stores.batch.concurrency import AdaptiveLimit, ThrottleHook
from ia_modules.vector_stores.batch.dead_letters import DeadLetters
from ia_modules.vector_stores.batch.progress import ProgressCallback
from ia_modules.vector_stores.batch.report import BatchResult
from ia_modules.vector_stores.batch.run import Limits, Run
from ia_modules.vector_stores.batch.searching import method_of, search_all
from ia_modules.vector_stores.batch.sending import BatchStore, Sender
from ia_modules.vector_stores.config import VectorStoreConfig
from ia_modules.vector_stores.documents import checked_namespace
from ia_modules.vector_stores.models import SearchResponse
from ia_modules.vector_stores.providers.threads import finished
from ia_modules.vector_stores.vectors import VectorLike

__all__ = ["BatchProcessor"]


class BatchProcessor:
    """Writes any number of documents in batches, several at a time, and searches for many vectors.

    It keeps nothing between calls, so one may be used by several tasks.

    Args:
        store: a connected store, or anything with its ``upsert`` and ``search``.
        batch_size: documents per batch.
        max_concurrent: batches, or searches, under way at the same time; fewer while the database asks to slow down.
        max_batch_bytes: bytes per batch, roughly: 4 for each number, and the characters of text and metadata.
        max_attempts: how often a document is sent before an error that a retry can cure is its last. A rate limit
            does not count, up to ten times, as long as fewer requests can be under way. Stores of this package retry
            by themselves within each attempt.
        retry_delay: seconds; the first retry waits a random time up to this, each further one up to twice as long
            (30 at most). None for the ``retry_delay`` of the store's config, or 1.
        max_errors: entries of ``errors`` in the result; what fails beyond that is still counted.

    Raises:
        ValueError: one of the numbers is out of range.
    """

    def __init__(
        self,
        store: BatchStore,
        batch_size: int = 100,
        max_concurrent: int = 5,
        *,
        max_batch_bytes: int = 8 * 1024 * 1024,
        max_attempts: int = 3,
        retry_delay: float | None = None,
        max_errors: int = 1000,
    ) -> None:
        for name, value, least in (
            ("batch_size", batch_size, 1),
            ("max_concurrent", max_concurrent, 1),
            ("max_batch_bytes", max_batch_bytes, 1),
            ("max_attempts", max_attempts, 1),
            ("max_errors", max_errors, 0),
        ):
            if type(value) is not int or value < least:
                raise ValueError(f"{name} must be an integer of at least {least}, not {value!r}")
        if retry_delay is None:
            config = getattr(store, "config", None)
            retry_delay = config.retry_delay if isinstance(config, VectorStoreConfig) else 1.0
        if not retry_delay >= 0:  # not for NaN either
            raise ValueError(f"retry_delay must be at least 0, not {retry_delay!r}")
        self.store = store
        self.batch_size = batch_size
        self.max_concurrent = max_concurrent
        self.max_attempts = max_attempts
        self.retry_delay = retry_delay
        self._limits = Limits(batch_size, max_batch_bytes, max_concurrent, max_errors)

    async def upsert_large_dataset(
        self,
        documents: Documents,
        namespace: str | None = None,
        progress_callback: ProgressCallback | None = None,
        *,
        dead_letters: str | os.PathLike[str] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> BatchResult:
        """Write documents of which there may be more than fit into memory.

        The source is read as the writing goes on: at most ``max_concurrent`` batches are under way and one is being
        read. Of equal ids the last one in the source wins, as if they were written one after the other; a document
        that fails leaves what is stored under its id as it is. A document that the store refuses is reported, and
        its batch is sent again without it; a batch that fails for another reason is sent again up to
        ``max_attempts`` times, then reported, and the rest goes on. An error that every other batch would meet as
        well (credentials, no such index, another kind of index, a missing package) ends the run: what is under way
        is waited for, then it is raised with a note of what was done.

        Args:
            documents: an iterable or async iterable of documents, or of mappings with their fields. Its iterator is
                closed at the end. A synchronous one runs in the event loop and so holds it for as long as an item
                takes.
            namespace: None for the store's default.
            progress_callback: called and awaited after each batch with the number of items that are done, and that
                of all, or None where the source can't tell. An exception in it ends the run and is raised.
            dead_letters: file to append the failed documents to, whole; read them with
                :func:`~ia_modules.vector_stores.batch.dead_letters.read_dead_letters`.
            checkpoint: file that says how much of the source is done with. A run that finds one passes over that
                much, which takes a source that gives the same items in the same order again. It is deleted once
                nothing is left to do; without ``dead_letters`` it stays before the first batch with a failure.

        Returns:
            The sums, and why documents failed.

        Raises:
            AuthenticationError, IndexNotFoundError, IndexMismatchError, MissingDependencyError, StoreLockedError:
                every batch would fail.
            ValueError: a namespace that is none, ``documents`` that is no collection, a checkpoint of another job,
                or a file of dead letters that is something else.
            Exception: what the source or the callback raised.
        """
        source = Source(documents)
        name = self._resolved(namespace)
        limit = AdaptiveLimit(self.max_concurrent)
        sender = Sender(self.store, namespace, limit, self.max_attempts, self.retry_delay)
        async with _opened(dead_letters, name) as letters:
            mark = None if checkpoint is None else Checkpoint(checkpoint, job_of(self.store, name))
            run = Run(source, sender, self._limits, progress=progress_callback, dead_letters=letters, checkpoint=mark)
            with _listening(self.store, limit):
                return await run.finish()

    async def parallel_search(
        self, query_vectors: Iterable[VectorLike], top_k: int = 10, **kwargs: Any
    ) -> list[SearchResponse]:
        """Search for many vectors, ``max_concurrent`` requests at a time.

        Where the database takes several vectors in one request, it gets ``batch_size`` of them together.

        Args:
            query_vectors: a list or an iterator of vectors, or a matrix of shape ``(n, dimension)``.
            top_k: most results for each vector.
            **kwargs: further arguments of the store's ``search``, such as ``filters`` and ``namespace``.

        Returns:
            Responses in the order of the vectors.

        Raises:
            Exception: that of the first search that fails, as it is; the others are cancelled.
        """
        return await search_all(
            self.store,
            query_vectors,
            top_k,
            together=self.batch_size,
            parallel=self.max_concurrent,
            options=kwargs,
        )

    def _resolved(self, namespace: str | None) -> str:
        """The namespace that the store will write to."""
        if namespace is not None:
            return checked_namespace(namespace)
        config = getattr(self.store, "config", None)
        return (config.namespace or "") if isinstance(config, VectorStoreConfig) else ""


@asynccontextmanager
async def _opened(path: str | os.PathLike[str] | None, namespace: str) -> AsyncIterator[DeadLetters | None]:
    """The file of dead letters, if there is to be one."""
    if path is None:
        yield None
        return
    letters = DeadLetters(path, namespace)
    try:
        yield letters
    finally:
        await finished(asyncio.to_thread(letters.close))


@contextmanager
def _listening(store: BatchStore, limit: AdaptiveLimit) -> Iterator[None]:
    """Let the limit know of rate limits that the store gets over by itself, where stores tell."""
    add = method_of(store, "add_telemetry_hook")
    if add is None:
        yield
        return
    hook = ThrottleHook(limit)
    add(hook)
    try:
        yield
    finally:
        hook.detach()
        remove = method_of(store, "remove_telemetry_hook")
        if remove is not None:
            remove(hook)
