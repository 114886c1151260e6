"""Parquet files as pyarrow sees them: opened, described, and their row groups."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from ia_modules.vector_stores.errors import MissingDependencyError
from ia_modules.vector_stores.migration.exporting import FileFacts
from ia_modules.vector_stores.migration.files import named_errors
from ia_modules.vector_stores.migration.formats import FileFormatError

__all__ = ["Arrow", "RowGroup", "described", "facts_of", "load_pyarrow", "opened", "row_groups"]

Arrow: TypeAlias = Any
"""pyarrow has no types."""

_FACTS = "ia_vectors"
"""Key of the file's own metadata under which a JSON object says what the documents are of."""
_FORMAT, _VERSION = "ia-vectors-parquet", 1
_READ_BUFFER = 1024 * 1024


def load_pyarrow() -> tuple[Arrow, Arrow]:
    """``pyarrow`` and ``pyarrow.parquet``.

    Raises:
        MissingDependencyError: it is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingDependencyError("pyarrow", extra="parquet", needed_for="Parquet") from error
    return pa, pq


@dataclass(frozen=True, slots=True)
class RowGroup:
    """Where documents are.

    Attributes:
        file: number of the file.
        number: of the row group in it.
        first: rows before it in the file.
        namespaces: how many rows it has of each.
    """

    file: int
    number: int
    first: int
    namespaces: dict[str, int]


@contextmanager
def opened(path: Path) -> Iterator[Arrow]:
    """A ``ParquetFile``; what goes wrong with it names the path.

    Raises:
        FileNotFoundError: there is no such file.
        FileFormatError: it is no Parquet, cut off or corrupt.
    """
    pa, pq = load_pyarrow()
    path.stat()  # its error names the file
    # Buffered, because column chunks of others may be as large as the file.
    with (
        named_errors(path, pa.ArrowException, OSError),
        pq.ParquetFile(path, buffer_size=_READ_BUFFER, page_checksum_verification=True) as file,
    ):
        yield file


def row_groups(file: Arrow, number: int, column: str | None) -> Iterator[RowGroup]:
    """The row groups of a file; reads the namespace column, if there is one."""
    pa, _ = load_pyarrow()
    first = 0
    for at in range(file.num_row_groups):
        rows: int = file.metadata.row_group(at).num_rows
        counts = {"": rows}
        if column is not None:
            names = file.read_row_group(at, columns=[column]).column(0).cast(pa.string())
            counts = {}
            for entry in names.value_counts().to_pylist():
                name = entry["values"] or ""
                counts[name] = counts.get(name, 0) + entry["counts"]
        yield RowGroup(number, at, first, counts)
        first += rows


def described(facts: FileFacts) -> dict[str, str]:
    """The metadata of a file that says what it is and what its documents are of."""
    return {_FACTS: json.dumps({"format": _FORMAT, "version": _VERSION} | facts)}


def facts_of(schema: Arrow, path: Path) -> FileFacts:
    """What a file says of the index; nothing if others made it.

    Raises:
        FileFormatError: it was written by another version.
    """
    said = (schema.metadata or {}).get(_FACTS.encode())
    if said is None:
        return {}
    try:
        facts: FileFacts = dict(json.loads(said))
    except (TypeError, ValueError):
        raise FileFormatError(f"{path}: its own description ({_FACTS}) is not readable") from None
    if facts.get("format") != _FORMAT or facts.get("version") != _VERSION:
        raise FileFormatError(f"{path} was written by another version, in the format {facts.get('version')!r}")
    return facts
