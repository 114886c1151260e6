"""Which file names mean which format."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias

from ia_modules.vector_stores.errors import VectorStoreError

__all__ = ["FileFormat", "FileFormatError", "file_format"]

FileFormat: TypeAlias = Literal["parquet", "jsonl"]
_SUFFIXES: dict[str, FileFormat] = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".jsonl.gz": "jsonl",
    ".ndjson.gz": "jsonl",
}


class FileFormatError(VectorStoreError):
    """A file is not what it should be: cut off, corrupt, of another format, or no longer there."""


def file_format(path: Path) -> FileFormat | None:
    """The format that a file's name means, or that a folder has files of; None if it is neither's."""
    name = path.name.lower()
    for suffix, kind in _SUFFIXES.items():
        if name.endswith(suffix) and name != suffix:
            return kind
    if path.is_dir() and any(path.glob("*.parquet")):
        return "parquet"
    return None
