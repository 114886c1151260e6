"""A namespace: the records that can be seen, and the writes that wait until they may be."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from ia_modules.vector_stores.emulator.pinecone.filters import compiled
from ia_modules.vector_stores.emulator.pinecone.lag import Lag, Reads
from ia_modules.vector_stores.emulator.pinecone.records import Metadata, Record, Sparse
from ia_modules.vector_stores.emulator.pinecone.table import Table

__all__ = ["Change", "Clear", "Create", "Delete", "Drop", "Namespace", "Patch", "Patches", "Upsert"]

_FILTERS = 32


@dataclass(frozen=True, slots=True)
class Upsert:
    """Records are stored, whole; the namespace is created if need be."""

    records: list[Record]


@dataclass(frozen=True, slots=True)
class Patch:
    """Records that are there get new vectors, more metadata, or less."""

    ids: list[str]
    dense: NDArray[np.float32] | None
    sparse: Sparse | None
    metadata: Metadata | None
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Patches:
    """Several patches that are one change."""

    patches: list[Patch]


@dataclass(frozen=True, slots=True)
class Delete:
    """Records are deleted."""

    ids: list[str]


@dataclass(frozen=True, slots=True)
class Clear:
    """All records are deleted, the namespace stays."""


@dataclass(frozen=True, slots=True)
class Create:
    """The namespace is created."""

    schema: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Drop:
    """The namespace is deleted with all records."""


Change = Upsert | Patch | Patches | Delete | Clear | Create | Drop


@dataclass(slots=True)
class _Pending:
    lsn: int
    change: Change
    due: float
    reads: int


class Namespace:
    """One namespace of an index. It is kept when it is deleted: its log sequence numbers go on.

    Attributes:
        lsn: number of the last write that was accepted.
        indexed: number of the last write that can be seen.
        exists: it was created, by a write or by itself, and that can be seen.
        expected: the same, once all writes can be seen.
        permanent: requests find it whether it exists or not.
        schema: what was given when it was created by itself.
    """

    def __init__(
        self, name: str, dimension: int | None, lsn: int = 0, *, exists: bool = False, permanent: bool = False
    ) -> None:
        self.name = name
        self.table = Table(dimension or 0)
        self.lsn = self.indexed = lsn
        self.exists = self.expected = exists
        self.permanent = permanent
        self.schema: dict[str, Any] | None = None
        self._pending: deque[_Pending] = deque()
        self._matching: OrderedDict[bytes, tuple[int, NDArray[np.int64]]] = OrderedDict()

    @property
    def found(self) -> bool:
        """A read finds it."""
        return self.exists or self.permanent

    @property
    def writable(self) -> bool:
        """A write that needs a namespace finds it."""
        return self.expected or self.permanent

    def write(self, change: Change, lag: Lag) -> int:
        """Accept a change, which can be seen at once or later.

        Returns:
            Its log sequence number.
        """
        self.settle()
        self.lsn += 1
        if isinstance(change, Upsert | Create | Drop):
            self.expected = not isinstance(change, Drop)
        seconds, reads = (0.0, lag.count) if isinstance(lag, Reads) else (lag, 0)
        # Changes are carried out in order: one without lag waits for those before it.
        self._pending.append(_Pending(self.lsn, change, time.monotonic() + seconds, reads))
        self.settle()
        return self.lsn

    def read(self) -> Namespace:
        """Come before every read: what is due by now is carried out, what is not has been missed once more."""
        self.settle()
        for one in self._pending:
            one.reads -= 1
        return self

    def settle(self) -> None:
        """Carry out the changes that are due."""
        now = time.monotonic()
        while self._pending and self._pending[0].reads <= 0 and self._pending[0].due <= now:
            first = self._pending.popleft()
            self.apply(first.change)
            self.indexed = first.lsn

    def apply(self, change: Change) -> None:
        """Carry out a change."""
        match change:
            case Upsert(records):
                self.exists = True
                for record in records:
                    self.table.put(record)
            case Patch(ids, dense, sparse, metadata, removed):
                for one in ids:
                    self.table.patch(one, dense, sparse, metadata, removed)
            case Patches(patches):
                for patch in patches:
                    self.apply(patch)
            case Delete(ids):
                for one in ids:
                    self.table.remove(one)
            case Clear():
                self.table.clear()
            case Create(schema):
                self.exists, self.schema = True, schema
            case Drop():
                self.exists, self.schema = False, None
                self.table.clear()

    def matching(self, filter: dict[str, Any]) -> NDArray[np.int64]:
        """The rows whose metadata matches, in ascending order.

        Raises:
            RefusedError: the filter is not valid.
        """
        key = orjson.dumps(filter)
        version, rows = self._matching.get(key, (-1, None))
        if rows is None or version != self.table.version:
            predicate = compiled(filter)
            empty: Metadata = {}
            found = [
                row
                for row, (name, metadata) in enumerate(zip(self.table.ids, self.table.metadata, strict=True))
                if name is not None and predicate(metadata or empty)
            ]
            rows = np.array(found, np.int64)
            self._matching[key] = self.table.version, rows
            if len(self._matching) > _FILTERS:
                self._matching.popitem(last=False)
        self._matching.move_to_end(key)
        return rows

    def matching_ids(self, filter: dict[str, Any]) -> list[str]:
        """The ids of the records whose metadata matches, in the order of their bytes."""
        found = (self.table.ids[row] for row in self.matching(filter).tolist())
        return sorted(one for one in found if one is not None)
