"""Parquet files as source and target of a migration; the schema is described in ``docs/export-formats.md``."""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncIterator, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from ia_modules.vector_stores.migration.columns import Columns, found_columns, rows_as_documents
from ia_modules.vector_stores.migration.exporting import FileFacts, FileTarget
from ia_modules.vector_stores.migration.files import in_thread, kept_metric, pages_in_thread
from ia_modules.vector_stores.migration.formats import FileFormatError
from ia_modules.vector_stores.migration.parquet_files import (
    Arrow,
    RowGroup,
    described,
    facts_of,
    load_pyarrow,
    opened,
    row_groups,
)
from ia_modules.vector_stores.migration.records import Cursor, Page, SourceInfo, Unreadable
from ia_modules.vector_stores.migration.staging import Row
from ia_modules.vector_stores.models import VectorDocument

__all__ = ["ParquetSource", "ParquetTarget"]

_GROUP_BYTES = 16 * 1024 * 1024
_KEPT_GROUP_BYTES = 4 * _GROUP_BYTES
"""A row group of up to this size is read as a whole, and kept for the next namespace that it has documents of."""
_AGAIN = 1000


class ParquetTarget(FileTarget):
    """One Parquet file; see :class:`~ia_modules.vector_stores.migration.exporting.FileTarget`."""

    kind = "parquet"

    def _check_packages(self) -> None:
        load_pyarrow()

    def _read_again(self) -> Iterable[tuple[str, list[VectorDocument]]]:
        source = ParquetSource(self.path)
        for namespace in source.examine().namespaces:
            for page in source.read(namespace, _AGAIN, None):
                yield namespace, page.documents

    def _make(self, rows: Iterator[Row], facts: FileFacts, path: Path) -> None:
        pa, pq = load_pyarrow()
        dimension = facts["dimension"]
        vector = pa.list_(pa.float32()) if dimension is None else pa.list_(pa.float32(), dimension)
        schema = pa.schema(
            [
                pa.field("id", pa.string(), nullable=False),
                pa.field("namespace", pa.string(), nullable=False),
                pa.field("vector", vector, nullable=False),
                pa.field("text", pa.large_string()),
                pa.field("metadata", pa.large_string(), nullable=False),
            ],
            metadata=described(facts),
        )
        # Numbers of a vector have no pattern that would be worth the time.
        compression = dict.fromkeys(("id", "namespace", "text", "metadata"), "zstd") | {"vector.list.element": "none"}
        with pq.ParquetWriter(
            path,
            schema,
            compression=compression,
            use_dictionary=["namespace"],
            write_statistics=["id", "namespace"],
            write_page_checksum=True,
        ) as writer:
            for group in _groups(rows):
                writer.write_table(_table(pa, schema, group), row_group_size=len(group))


def _groups(rows: Iterator[Row]) -> Iterator[list[Row]]:
    """Rows in portions that fit into memory."""
    group: list[Row] = []
    size = 0
    for row in rows:
        group.append(row)
        size += len(row.vector) + len(row.text or "") + len(row.metadata)
        if size >= _GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _table(pa: Arrow, schema: Arrow, rows: list[Row]) -> Arrow:
    numbers = pa.array(np.frombuffer(b"".join(row.vector for row in rows), dtype="<f4"))
    columns = [
        pa.array([row.id for row in rows], pa.string()),
        pa.array([row.namespace for row in rows], pa.string()),
        pa.FixedSizeListArray.from_arrays(numbers, type=schema.field("vector").type),
        pa.array([row.text for row in rows], pa.large_string()),
        pa.array([row.metadata for row in rows], pa.large_string()),
    ]
    return pa.Table.from_arrays(columns, schema=schema)


class ParquetSource:
    """A Parquet file, or a folder of files with the same columns; also those that others have made.

    Args:
        path: the file, or the folder, whose ``*.parquet`` are read in the order of their names.
        id_column: strings or integers; None looks for one of the usual names.
        vector_column: lists of numbers; likewise.
        text_column: strings; likewise; False for none.
        metadata_column: JSON objects as text, structs or maps; likewise; False for none.
        namespace_column: strings, NULL means the default namespace; None takes ``namespace`` if there is one.
        exclude_columns: that shall not become metadata, as every further column does under its name (but for bytes).

    Attributes:
        name: the path.
    """

    kind = "parquet"

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        id_column: str | None = None,
        vector_column: str | None = None,
        text_column: str | Literal[False] | None = None,
        metadata_column: str | Literal[False] | None = None,
        namespace_column: str | None = None,
        exclude_columns: Sequence[str] = (),
    ) -> None:
        self.path = Path(path)
        self.name = str(self.path)
        self._named: dict[str, str | Literal[False] | None] = {
            "id": id_column,
            "vector": vector_column,
            "text": text_column,
            "metadata": metadata_column,
            "namespace": namespace_column,
        }
        self._exclude = tuple(exclude_columns)
        self._files: list[Path] = []
        self._groups: list[RowGroup] = []
        self._columns: Columns | None = None
        self._kept: tuple[tuple[int, int], Arrow] | None = None
        self._reading = threading.Lock()

    async def describe(self) -> SourceInfo:
        """Columns, namespaces and what the file says of the index; reads footers and the namespace column.

        Raises:
            FileNotFoundError: there is no such file.
            FileFormatError: a file is no Parquet, is cut off or corrupt, or a folder's files differ.
            ValueError: a column is not there or could not be found.
            MissingDependencyError: pyarrow is not installed.
        """
        return await in_thread(self.examine)

    def pages(self, namespace: str, size: int, after: Cursor = None) -> AsyncIterator[Page]:
        """The documents of a namespace, a row group at a time.

        Raises:
            FileFormatError: a file is corrupt, or has changed since the cursor was made.
        """
        return pages_in_thread(lambda: self.read(namespace, size, after))

    async def close(self) -> None:
        """Free what is kept. May be called twice."""
        self._kept = None

    def examine(self) -> SourceInfo:
        """The same as :meth:`describe`, at once."""
        pa, _ = load_pyarrow()
        self._files = self._listed()
        self._groups, self._columns, self._kept = [], None, None
        schema: Arrow = None
        facts: FileFacts = {}
        for number, path in enumerate(self._files):
            with opened(path) as file:
                if schema is None:
                    schema, facts = file.schema_arrow, facts_of(file.schema_arrow, path)
                    self._columns = found_columns(schema, self._named, self._exclude)
                elif not file.schema_arrow.equals(schema):
                    raise FileFormatError(f"{path} has other columns than {self._files[0]}")
                self._groups += row_groups(file, number, self._chosen.namespace)
        counts: dict[str, int] = {}
        for group in self._groups:
            for name, count in group.namespaces.items():
                counts[name] = counts.get(name, 0) + count
        kind = schema.field(self._chosen.vector).type
        total = facts.get("documents")
        if total is not None and len(self._files) == 1 and total != sum(counts.values()):
            raise FileFormatError(f"{self.path} has {sum(counts.values()):,} rows, and says that it has {total:,}")
        return SourceInfo(
            name=self.name,
            kind=self.kind,
            dimension=kind.list_size if pa.types.is_fixed_size_list(kind) else facts.get("dimension"),
            metric=kept_metric(facts.get("metric"), self.path),
            namespaces=counts,
            embedding_model=facts.get("embedding_model"),
            notes=() if facts else self._chosen.notes,
        )

    def read(self, namespace: str, size: int, after: Cursor) -> Generator[Page, None, None]:
        """The same as :meth:`pages`, at once."""
        if self._columns is None:
            self.examine()
        start, skip = self._place(after)
        page = Page([], after)
        for at, group in enumerate(self._groups[start:], start):
            row = skip if at == start else 0
            if namespace not in group.namespaces:
                continue
            for batch in self._batches(group, row, size):
                documents, unreadable = self._documents(batch, namespace, group, row)
                row += batch.num_rows
                held = len(page.documents) + len(page.unreadable)
                if held and held + len(documents) + len(unreadable) > size:
                    yield page
                    page = Page([], None)
                cursor = {"group": at, "row": row, "bytes": self._files[group.file].stat().st_size}
                page = Page(page.documents + documents, cursor, page.unreadable + unreadable)
        if page.documents or page.unreadable:
            yield page

    def _documents(
        self, batch: Arrow, namespace: str, group: RowGroup, row: int
    ) -> tuple[list[VectorDocument], list[Unreadable]]:
        """Documents of the namespace among the rows of a batch, which begins at a row of the group."""
        columns = self._chosen
        rows: Iterable[int] = range(batch.num_rows)
        if len(group.namespaces) > 1:
            ours = np.array([(one or "") == namespace for one in batch.column(columns.namespace).to_pylist()])
            if not ours.any():
                return [], []
            pa, _ = load_pyarrow()
            batch, rows = batch.filter(pa.array(ours)), np.flatnonzero(ours).tolist()
        folder = f"{self._files[group.file].name}: " if len(self._files) > 1 else ""
        names = [f"{folder}row {group.first + row + one + 1}" for one in rows]
        return rows_as_documents(batch, columns, namespace, names)

    def _batches(self, group: RowGroup, skip: int, size: int) -> Iterator[Arrow]:
        """Rows of a group from behind ``skip``, at most ``size`` at a time."""
        key, columns = (group.file, group.number), self._chosen.all
        with self._reading:
            table = self._kept[1] if self._kept is not None and self._kept[0] == key else None
        if table is None:
            with opened(self._files[group.file]) as file:
                if file.metadata.row_group(group.number).total_byte_size > _KEPT_GROUP_BYTES:
                    for batch in file.iter_batches(size, row_groups=[group.number], columns=columns):
                        if skip < batch.num_rows:
                            yield batch.slice(skip)
                        skip = max(0, skip - batch.num_rows)
                    return
                table = file.read_row_group(group.number, columns=columns)
            with self._reading:
                self._kept = key, table
        yield from table.slice(skip).to_batches(max_chunksize=size)

    @property
    def _chosen(self) -> Columns:
        assert self._columns is not None
        return self._columns

    def _place(self, after: Cursor) -> tuple[int, int]:
        """The row group to go on in, and how many of its rows are done."""
        if after is None:
            return 0, 0
        try:
            at, row, size = after["group"], after["row"], after["bytes"]
            group = self._groups[at]
        except (KeyError, TypeError, IndexError):
            raise FileFormatError(f"{self.path} has no such place as the checkpoint says; start again") from None
        path = self._files[group.file]
        if path.stat().st_size != size:
            raise FileFormatError(f"{path} has changed since the checkpoint was written; start again")
        return at, row

    def _listed(self) -> list[Path]:
        if not self.path.is_dir():
            return [self.path]
        files = sorted(self.path.glob("*.parquet"))
        if not files:
            raise FileFormatError(f"{self.path} has no *.parquet in it")
        return files
