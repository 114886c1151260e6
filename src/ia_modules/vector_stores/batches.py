"""Writing documents in batches, several at a time where that pays, so that it is known which of them arrived."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from ia_modules.vector_stores.documents import CheckedDocuments, DocumentBatch
from ia_modules.vector_stores.errors import PartialFailureError, VectorStoreError
from ia_modules.vector_stores.tasks import together

__all__ = ["write_batches"]


async def write_batches(
    documents: CheckedDocuments,
    batches: Iterable[DocumentBatch],
    parallel: int,
    write: Callable[[DocumentBatch], Awaitable[None]],
) -> None:
    """Write all documents; once a batch has failed, what is under way is waited for, and nothing else begun.

    Args:
        documents: each id once, so that batches have none in common.
        batches: the same documents, in the same order.
        parallel: most batches at the same time.
        write: writes one batch.

    Raises:
        PartialFailureError: some documents were written, some not; or each was refused for a reason of its own.
        VectorStoreError: none was written.
    """
    waiting = iter(batches)
    written = 0
    in_part = False
    failures: dict[str, VectorStoreError] = {}

    async def work() -> None:
        nonlocal written, in_part
        for batch in waiting:
            try:
                await write(batch)
            except PartialFailureError as error:  # the database took some of the batch
                failures.update((key, _as_ours(cause, error)) for key, cause in error.failed.items())
                written += len(batch) - len(error.failed)
                in_part = True
            except VectorStoreError as error:
                failures.update(dict.fromkeys(batch.ids, error))
            else:
                written += len(batch)
            if failures:
                return

    if parallel <= 1:
        await work()
    else:
        await together(work() for _ in range(parallel))
    if not failures:
        return
    error = next(iter(failures.values()))
    if not written and not in_part:
        raise error
    begun, later = documents.ids[: written + len(failures)], documents.ids[written + len(failures) :]
    raise PartialFailureError(
        f"{written} of {len(documents)} documents were written before a batch failed: {error.message}",
        succeeded=[document_id for document_id in begun if document_id not in failures],
        failed={**failures, **dict.fromkeys(later, error)},
    ) from error


def _as_ours(cause: Exception, error: VectorStoreError) -> VectorStoreError:
    return cause if isinstance(cause, VectorStoreError) else error
