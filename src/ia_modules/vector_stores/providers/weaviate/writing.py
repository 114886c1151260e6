"""Writing to Weaviate and deleting, so that it is known of every document whether it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

from ia_modules.vector_stores.documents import DocumentBatch
from ia_modules.vector_stores.errors import IndexNotFoundError, PartialFailureError
from ia_modules.vector_stores.filters import Node
from ia_modules.vector_stores.providers.turns import Turns
from ia_modules.vector_stores.providers.weaviate.collection import Collection, Prepared
from ia_modules.vector_stores.providers.weaviate.errors import invalid
from ia_modules.vector_stores.providers.weaviate.layout import object_ids
from ia_modules.vector_stores.providers.weaviate.messages import by_ids
from ia_modules.vector_stores.providers.weaviate.searching import matching

__all__ = ["Writer"]

Turn = Callable[[], AbstractAsyncContextManager[None]]

_NO_VECTOR = "does not have configuration for vector"
_DELETED_AT_A_TIME = 1_000


class Writer:
    """Writes to one collection.

    Args:
        collection: the collection.
    """

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._turns = Turns()

    async def upsert(self, batch: DocumentBatch, namespace: str) -> None:
        """Write documents, replacing whole those whose id exists."""
        # Properties are made alone, as objects that are being written meanwhile would be refused.
        await self._until_written(batch, namespace, self._turns.shared, self._turns.alone)

    async def _until_written(self, batch: DocumentBatch, namespace: str, writing: Turn, adding: Turn) -> None:
        """Write documents; once more if the collection was made again meanwhile, and with properties for all fields."""
        again = False
        while True:
            async with writing():
                encoder = await self._collection.encoder()
                objects = encoder.objects(batch, namespace)
                missing = list(encoder.missing)
                failed = {} if missing else await self._put(objects)
            if missing:
                async with adding():
                    await self._collection.add_properties(missing)
            elif not failed:
                return
            elif again or not any(_NO_VECTOR in text for text in failed.values()):
                await self._refused(batch.ids, failed)
            else:
                again = True
                self._collection.forget()

    async def _put(self, objects: list[Any]) -> dict[int, str]:
        """Send objects; what the server says of those that it did not take, by their places."""
        failed: dict[int, str] = {}
        for start, part in self._parts(objects):
            refused = await self._collection.write(part)
            failed |= {start + place: text for place, text in refused.items()}
        return failed

    def _parts(self, objects: list[Any]) -> Iterator[tuple[int, list[Any]]]:
        """The objects in parts that fit into messages, each with the place of its first."""
        limit = int(0.9 * self._collection.message_bytes)
        start = size = 0
        for end, one in enumerate(objects):
            own = one.ByteSize() + 8
            if size and size + own > limit:
                yield start, objects[start:end]
                start, size = end, 0
            size += own
        yield start, objects[start:]

    async def _refused(self, ids: list[str], failed: dict[int, str]) -> None:
        """Raise what it means that the server did not take some documents."""
        if any("multi-tenancy disabled" in text or "not found in schema" in text for text in failed.values()):
            # The index was gone, and Weaviate made a collection by itself.
            gone = await self._collection.vacate()
            self._collection.forget()
            if gone:
                raise IndexNotFoundError(f"collection {self._collection.name!r} does not exist")
        errors = {place: invalid(text, ids[place]) for place, text in failed.items()}
        first = next(iter(errors.values()))
        self._collection.forget()  # the collection may be another one than it was
        if len(errors) == len(ids) and len({(type(e), e.message) for e in errors.values()}) == 1:
            raise first
        raise PartialFailureError(
            f"{len(errors)} of {len(ids)} documents were not written: {first.message}",
            succeeded=[document_id for place, document_id in enumerate(ids) if place not in errors],
            failed={ids[place]: error for place, error in errors.items()},
            retryable=all(error.retryable for error in errors.values()),
        )

    async def update_metadata(self, document_id: str, changes: dict[str, Any], namespace: str) -> bool:
        """Merge top-level keys into a document's metadata; whether it exists."""
        async with self._turns.alone():
            objects = await self._collection.read(namespace, 1, message=by_ids(object_ids([document_id])), vectors=True)
            if not objects:
                return False
            (_, _, metadata, text, vector, *_) = objects[0]
            assert vector is not None
            batch = DocumentBatch([document_id], vector[None, :], [metadata | changes], [text])
            await self._until_written(batch, namespace, nullcontext, nullcontext)
        return True

    async def delete_ids(self, ids: list[str], namespace: str) -> int:
        """Delete by id; how many existed."""
        deleted = 0
        keys = object_ids(ids)
        async with self._turns.shared():
            for start in range(0, len(keys), _DELETED_AT_A_TIME):
                part = keys[start : start + _DELETED_AT_A_TIME]
                _, gone, failed = await self._collection.erase(namespace, by_ids(part))
                deleted += gone
                if failed:
                    names = dict(zip(part, ids[start : start + _DELETED_AT_A_TIME], strict=True))
                    self._not_deleted({names[key]: text for key, text in failed.items()}, deleted)
        return deleted

    async def delete_where(self, filters: Node, namespace: str) -> int:
        """Delete what passes a filter; how many did."""

        async def ask(prepared: Prepared) -> int:
            if prepared.passes is None:
                return await self._erase_all(namespace, prepared.message)
            deleted = 0
            keys = await matching(self._collection, namespace, filters)
            for start in range(0, len(keys), _DELETED_AT_A_TIME):
                deleted += await self._erase_all(namespace, by_ids(keys[start : start + _DELETED_AT_A_TIME]))
            return deleted

        async with self._turns.shared():
            return await self._collection.with_filter(filters, ask)

    async def _erase_all(self, namespace: str, message: Any) -> int:
        """Delete what passes a filter; the server deletes up to a limit at a time, which only it knows."""
        deleted = 0
        while True:
            matches, gone, failed = await self._collection.erase(namespace, message)
            deleted += gone
            if failed:
                objects = await self._collection.read(namespace, len(failed), message=by_ids(list(failed)))
                self._not_deleted({one.id: failed[one.key] for one in objects} or failed, deleted)
            if not matches:
                return deleted

    def _not_deleted(self, failed: dict[str, str], deleted: int) -> None:
        """Raise what it means that the server did not delete some documents."""
        errors = {document_id: invalid(text, document_id) for document_id, text in failed.items()}
        raise PartialFailureError(
            f"{len(errors)} documents were not deleted, {deleted} were: {next(iter(failed.values()))}",
            succeeded=[],
            failed=errors,
            retryable=all(error.retryable for error in errors.values()),
        )

    async def empty(self, namespace: str) -> int:
        """Delete a namespace; how many documents it had."""
        async with self._turns.shared():
            count = await self._collection.count(namespace, None)
            await self._collection.remove_tenant(namespace)
        return count
