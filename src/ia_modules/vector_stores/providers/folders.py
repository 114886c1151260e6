"""Folders that hold an embedded database."""

from __future__ import annotations

from pathlib import Path

from ia_modules.vector_stores.errors import VectorStoreError

__all__ = ["private_folder"]


def private_folder(path: Path, *files: str) -> None:
    """Make a folder that only its owner can look into; one that exists is left as it is.

    Args:
        path: the folder; folders above it that are missing are made as usual. It may be a symbolic link to a folder.
        *files: names of files in it that will be written to.

    Raises:
        VectorStoreError: one of the files is a symbolic link, through which some other file would be written to.
        OSError: the folder can't be made.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in files:
        if (path / name).is_symlink():
            raise VectorStoreError(f"{str(path / name)!r} is a symbolic link and would be written through; remove it")
