"""Writers and readers that work on one store while everything goes wrong, and the proof of what is there afterwards."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from chaos_ledger import DIMENSION, Ledger, State, document, state_of, vector_of

from ia_modules.vector_stores import PartialFailureError, VectorStoreBase, VectorStoreError
from ia_modules.vector_stores.base import ConnectionError, OperationTimeoutError, RateLimitError

__all__ = ["BATCH", "NAMESPACES", "Run", "prove"]

T = TypeVar("T")

NAMESPACES = ("", "tenant-a", "tenant b/ü", "Z")
BATCH = 50
_TROUBLE = (ConnectionError, OperationTimeoutError, PartialFailureError, RateLimitError)
_WRITERS = 6
_READERS = 3
_PAUSE = 0.05
"""Seconds before something that failed is tried again; as long as a server is down, all fails at once."""


class Run:
    """A run on one store.

    Args:
        store: by way of proxies.
        seed: for what is written, read, changed and deleted.
        documents: how many different ones.
        enough: whether enough has happened; until then, writers go on with new versions.

    Attributes:
        ledger: what is known.
        outcomes: calls by name and by what came out of them.
        written: documents that were acknowledged, versions counted each.
        odd: errors that do not look like those of a connection.
    """

    def __init__(self, store: VectorStoreBase, seed: int, documents: int, enough: Callable[[], bool]) -> None:
        self.ledger = Ledger()
        self.outcomes: Counter[str] = Counter()
        self.written = 0
        self.odd: Counter[str] = Counter()
        self._store = store
        self._seed = seed
        self._enough = enough
        self._backlog: list[tuple[str, list[str], int]] = []
        self._blocks = _blocks(documents)
        self._size = {name: sum(len(ids) for where, ids in self._blocks if where == name) for name in NAMESPACES}
        self._writing = _WRITERS

    async def go(self) -> None:
        """Write everything, change some of it, and read meanwhile."""
        async with asyncio.TaskGroup() as group:
            for number in range(_WRITERS):
                group.create_task(self._write(random.Random(f"{self._seed}/{number}"), self._blocks[number::_WRITERS]))
            for number in range(_READERS):
                group.create_task(self._read(random.Random(f"{self._seed}/reader/{number}")))

    async def catch_up(self) -> None:
        """Send again what had failed to the end, now that nothing goes wrong any more."""
        for namespace, ids, version in self._backlog:
            for _ in range(20):
                ids = await self._upsert(namespace, ids, version)
                if not ids:
                    break
                await asyncio.sleep(_PAUSE)
            assert not ids, "what was reported failed can't be sent again"
        self._backlog.clear()

    # Writing: each document belongs to one writer, so that what it sends is in order

    async def _write(self, chance: random.Random, blocks: Sequence[tuple[str, list[str]]]) -> None:
        versions = dict.fromkeys(range(len(blocks)), 1)
        try:
            for number, (namespace, ids) in enumerate(blocks):
                await self._send(namespace, ids, 1)
                await self._change(chance, namespace, ids)
                if chance.random() < 0.2:
                    versions[number] += 1
                    await self._send(namespace, ids, versions[number])
            while not self._enough():
                number = chance.randrange(len(blocks))
                namespace, ids = blocks[number]
                versions[number] += 1
                await self._send(namespace, ids, versions[number])
                await self._change(chance, namespace, ids)
        finally:
            self._writing -= 1

    async def _send(self, namespace: str, ids: list[str], version: int) -> None:
        for _ in range(3):
            ids = await self._upsert(namespace, ids, version)
            if not ids:
                return
            await asyncio.sleep(_PAUSE)
        # For the time being; a newer version sent meanwhile stands for it.
        self._backlog = [
            (where, left, older)
            for where, old, older in self._backlog
            if (left := old if where != namespace else [one for one in old if one not in set(ids)])
        ]
        self._backlog.append((namespace, ids, version))

    async def _upsert(self, namespace: str, ids: list[str], version: int) -> list[str]:
        """Write documents; those that failed."""
        ledger, state = self.ledger, State(version)
        ledger.sending(namespace, ids, version)
        documents = [document(namespace, one, version) for one in ids]
        try:
            result = await self._store.upsert(documents, namespace=namespace, batch_size=BATCH)
        except VectorStoreError as error:
            self._note("upsert", error)
            succeeded, failed = _told(error, ids)
        else:
            self._note("upsert", None)
            assert result == {"upserted": len(ids), "namespace": namespace}
            succeeded, failed = ids, []
        ledger.done(namespace, succeeded, state)
        ledger.unsure(namespace, failed, state)
        self.written += len(succeeded)
        return failed

    async def _change(self, chance: random.Random, namespace: str, ids: list[str]) -> None:
        """Delete some documents, change a part of others, and look at the result."""
        ledger = self.ledger
        deleted = chance.sample(ids, 3)
        if chance.random() < 0.3:
            result = await self._called("delete", lambda: self._store.delete(deleted, namespace=namespace))
            if result is None:
                ledger.unsure(namespace, deleted, None)
            else:
                ledger.done(namespace, deleted, None)
        for one in chance.sample(ids, 2):
            states = ledger.of((namespace, one))
            count = 1 + max((state.touched for state in states if state is not None), default=0)
            call = self._called(
                "update_metadata",
                lambda one=one, count=count: self._store.update_metadata(one, {"touched": count}, namespace),  # type: ignore[misc]
            )
            updated = await call
            if updated is None:
                ledger.touched(namespace, one, count, acknowledged=False)
            elif updated["updated"]:
                assert states != {None}, f"{one} was deleted, and was changed all the same"
                ledger.touched(namespace, one, count, acknowledged=True)
            else:
                assert None in states, f"{one} is there, and could not be changed"
                ledger.done(namespace, [one], None)
        wanted = [*deleted, *chance.sample(ids, 5)]
        found = await self._called("fetch", lambda: self._store.fetch(wanted, namespace))
        if found is not None:
            there = {one.id: state_of(namespace, one) for one in found}
            for one in wanted:
                known = ledger.of((namespace, one))
                assert there.get(one) in known, f"{namespace}/{one} is {there.get(one)}; it was left as {known}"

    # Reading: anything that was ever sent may be seen

    async def _read(self, chance: random.Random) -> None:
        store = self._store
        clock = asyncio.get_running_loop().time
        while self._writing:
            started = clock()
            namespace, ids = chance.choice(self._blocks)
            wanted = chance.sample(ids, 5)
            match chance.randrange(4):
                case 0:
                    found = await self._called("fetch", lambda: store.fetch(wanted, namespace))  # noqa: B023
                    for one in found or ():
                        assert one.id in wanted
                        self._was_sent(namespace, one.id, state_of(namespace, one).version)
                case 1:
                    count = await self._called("count", lambda: store.count(namespace=namespace))  # noqa: B023
                    assert count is None or 0 <= count <= self._size[namespace]
                case 2:
                    names = await self._called("list_namespaces", store.list_namespaces)
                    assert set(names or ()) <= set(NAMESPACES)
                case _:
                    query = vector_of(namespace, wanted[0], 1)
                    answer = await self._called(
                        "search",
                        lambda: store.search(query, top_k=5, namespace=namespace),  # noqa: B023
                    )
                    results = answer.results if answer is not None else []
                    assert len({one.id for one in results}) == len(results) <= 5
                    for one in results:
                        assert one.metadata["own"] == namespace
                        self._was_sent(namespace, one.id, one.metadata["version"])
            # The servers are simple ones that do one thing after the other; it is the writers' turn.
            await asyncio.sleep(max(0.02, 3 * (clock() - started)))

    def _was_sent(self, namespace: str, document_id: str, version: int) -> None:
        assert 1 <= version <= self.ledger.sent[namespace, document_id]

    async def _called(self, name: str, call: Callable[[], Awaitable[T]]) -> T | None:
        """The result, or None for a failure; any exception but the library's own gets through."""
        try:
            result = await call()
        except VectorStoreError as error:
            self._note(name, error)
            await asyncio.sleep(_PAUSE)
            return None
        self._note(name, None)
        return result

    def _note(self, name: str, error: VectorStoreError | None) -> None:
        self.outcomes[f"{name}: {'done' if error is None else type(error).__name__}"] += 1
        if error is not None and not isinstance(error, _TROUBLE):
            self.odd[f"{type(error).__name__}: {error} (cause: {error.__cause__!r})"[:600]] += 1


def _told(error: VectorStoreError, ids: list[str]) -> tuple[list[str], list[str]]:
    """Which documents an upsert says were written, and which not."""
    if not isinstance(error, PartialFailureError):
        return [], ids
    assert sorted([*error.succeeded, *error.failed]) == sorted(ids), "not every document is accounted for"
    assert all(isinstance(cause, VectorStoreError) for cause in error.failed.values())
    return error.succeeded, list(error.failed)


def _blocks(documents: int) -> list[tuple[str, list[str]]]:
    """All ids, in parts of 60 to 100 of one namespace."""
    chance = random.Random(1)
    blocks: list[tuple[str, list[str]]] = []
    made = 0
    while made < documents:
        size = min(chance.randint(60, 100), documents - made)
        namespace = NAMESPACES[len(blocks) % len(NAMESPACES)]
        blocks.append((namespace, [f"document {number:05}" for number in range(made, made + size)]))
        made += size
    return blocks


async def prove(store: VectorStoreBase, ledger: Ledger, seed: int) -> None:
    """By a clean connection: what was acknowledged is there, nothing else is, and nothing is there twice."""
    names = {
        name for name in NAMESPACES if any(state for (where, _), state in ledger.settled().items() if where == name)
    }
    assert await store.list_namespaces() == sorted(names) == sorted(NAMESPACES)
    total = 0
    for namespace in NAMESPACES:
        seen: dict[str, State] = {}
        async for one in store.scan(namespace, batch_size=500):
            assert one.id not in seen, f"{namespace}/{one.id} is there twice"
            seen[one.id] = state_of(namespace, one)
        for (where, document_id), states in ledger.states.items():
            if where == namespace:
                found = seen.get(document_id)
                assert found in states, f"{namespace}/{document_id} is {found}; it was left as {states}"
        assert {(namespace, one) for one in seen} <= ledger.states.keys()
        assert await store.count(namespace=namespace) == len(seen)
        total += len(seen)
        for one in random.Random(seed).sample(sorted(seen), 10):
            answer = await store.search(vector_of(namespace, one, seen[one].version), top_k=5, namespace=namespace)
            assert answer.results[0].id == one, f"{namespace}/{one} is there, and no search finds it"
            assert abs(answer.results[0].score - 1) < 1e-3
    stats = await store.get_stats()
    assert (stats.total_vectors, stats.dimension) == (total, DIMENSION)
