"""The records of one namespace that can be seen: rows of float32 in blocks, and what goes with each row."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ia_modules.vector_stores.emulator.pinecone.records import Metadata, Record, Sparse

__all__ = ["BLOCK", "Block", "Table"]

BLOCK = 4_096
_FIRST = 64


class Block:
    """Up to ``BLOCK`` rows of dense vectors; ``norms`` are their lengths, 0 where a row has no vector."""

    __slots__ = ("norms", "vectors")

    def __init__(self, rows: int, dimension: int) -> None:
        # Zeros, not whatever is in memory: rows that are not in use are multiplied as well. Memory of a new block is
        # taken by the system only where it is written to.
        self.vectors = np.zeros((rows, dimension), np.float32)
        self.norms = np.zeros(rows)

    def grow(self, rows: int) -> None:
        """Make room for that many rows."""
        larger = Block(rows, self.vectors.shape[1])
        larger.vectors[: len(self.vectors)] = self.vectors
        larger.norms[: len(self.norms)] = self.norms
        self.vectors, self.norms = larger.vectors, larger.norms


class Table:
    """Records by row.

    Rows keep their place. A row that is given up is used again for the next record, so that memory follows the
    number of records. Blocks are never copied, but for the first one while it is small: many namespaces are.

    Attributes:
        rows: the row of each id.
        ids: the id of each row, None where it is not in use.
        metadata: the metadata of each row.
        sparse: the sparse vectors, by row.
        version: goes up with every change.
    """

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self.version = 0
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.rows: dict[str, int] = {}
        self.ids: list[str | None] = []
        self.metadata: list[Metadata | None] = []
        self.sparse: dict[int, Sparse] = {}
        self.blocks: list[Block] = []
        self._free: list[int] = []
        self._sorted: list[str] | None = None
        self._columns: tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[np.float32]] | None = None
        self.version += 1

    def __len__(self) -> int:
        return len(self.rows)

    def put(self, record: Record) -> None:
        """Store a record; one of the same id is replaced."""
        row = self.rows.get(record.id)
        if row is None:
            row = self._free.pop() if self._free else self._new_row()
            self.rows[record.id] = row
            self.ids[row] = record.id
            self._sorted = None
        self._set_dense(row, record.dense)
        self._set_sparse(row, record.sparse)
        self.metadata[row] = record.metadata
        self.version += 1

    def patch(
        self,
        id: str,
        dense: NDArray[np.float32] | None,
        sparse: Sparse | None,
        changes: Metadata | None,
        removed: tuple[str, ...] = (),
    ) -> None:
        """Replace the vectors that are given and merge the metadata; nothing happens if there is no such record."""
        row = self.rows.get(id)
        if row is None:
            return
        if dense is not None:
            self._set_dense(row, dense)
        if sparse is not None:
            self._set_sparse(row, sparse)
        if changes or removed:
            merged = {**(self.metadata[row] or {}), **(changes or {})}
            self.metadata[row] = {key: value for key, value in merged.items() if key not in removed} or None
        self.version += 1

    def remove(self, id: str) -> None:
        """Delete a record; nothing happens if there is none."""
        row = self.rows.pop(id, None)
        if row is None:
            return
        self._set_dense(row, None)
        self._set_sparse(row, None)
        self.ids[row] = self.metadata[row] = None
        self._free.append(row)
        self._sorted = None
        self.version += 1
        if not self.rows:
            self.clear()

    def dense(self, row: int) -> NDArray[np.float32] | None:
        """The dense vector of a row; not a copy."""
        if not self.dimension:
            return None
        block, place = self.blocks[row // BLOCK], row % BLOCK
        return block.vectors[place] if block.norms[place] else None

    def record(self, row: int) -> Record:
        """The record of a row that is in use."""
        name = self.ids[row]
        assert name is not None
        return Record(name, self.dense(row), self.sparse.get(row), self.metadata[row])

    def sorted_ids(self) -> list[str]:
        """All ids, in the order of their bytes."""
        if self._sorted is None:
            self._sorted = sorted(self.rows)
        return self._sorted

    def sparse_columns(self) -> tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[np.float32]]:
        """All sparse values, as three columns: row, index, value."""
        if self._columns is None:
            parts = list(self.sparse.items())
            rows = np.repeat([row for row, _ in parts], [len(one.indices) for _, one in parts])
            indices = np.concatenate([one.indices for _, one in parts])
            self._columns = rows, indices, np.concatenate([one.values for _, one in parts])
        return self._columns

    def stretches(self) -> Iterator[tuple[int, Block, int]]:
        """The blocks: number of the first row, the block, how many of its rows have been in use."""
        for number, block in enumerate(self.blocks):
            first = number * BLOCK
            yield first, block, min(BLOCK, len(self.ids) - first)

    def _new_row(self) -> int:
        row = len(self.ids)
        self.ids.append(None)
        self.metadata.append(None)
        if self.dimension:
            number, place = divmod(row, BLOCK)
            if number == len(self.blocks):
                self.blocks.append(Block(BLOCK if number else _FIRST, self.dimension))
            block = self.blocks[number]
            if place == len(block.norms):
                block.grow(min(BLOCK, 2 * place))
        return row

    def _set_dense(self, row: int, vector: NDArray[np.float32] | None) -> None:
        if not self.dimension:
            return
        block, place = self.blocks[row // BLOCK], row % BLOCK
        if vector is None:
            block.norms[place] = 0.0
            return
        block.vectors[place] = vector
        exact = vector.astype(np.float64)
        block.norms[place] = np.sqrt((exact * exact).sum())

    def _set_sparse(self, row: int, sparse: Sparse | None) -> None:
        if sparse is not None:
            self.sparse[row] = sparse
        elif self.sparse.pop(row, None) is None:
            return
        self._columns = None
