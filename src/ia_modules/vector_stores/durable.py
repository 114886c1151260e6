"""Files that outlive a power failure, and are whole or not there."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

__all__ = ["replace_file", "sync_file", "sync_folder"]


def replace_file(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Write a file in one step: until it returns the old one is there, and then the new one for good.

    Args:
        path: of the file.
        content: all of it.
        mode: permissions, less those that the process's umask takes away; the owner's alone if not given.

    Raises:
        OSError: it could not be written; nothing has changed.
    """
    made = path.with_name(f".{path.name[:100]}.{token_hex(8)}.tmp")
    handle = os.open(made, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0), mode)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        made.replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            made.unlink()
        raise
    sync_folder(path.parent)


def sync_file(path: Path) -> None:
    """Make what was written to a file durable."""
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())


def sync_folder(folder: Path) -> None:
    """Make new names in a folder durable, where folders can be opened."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
