"""Finding the files to read, in an order that is the same every time."""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ia_modules.vector_stores.ingest.types import IngestIssue, SourceFile

__all__ = ["KINDS", "Skipped", "discover", "source_name"]

KINDS = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".mkd": "markdown",
    ".txt": "text",
    ".text": "text",
    ".rst": "rst",
    ".rest": "rst",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".py": "python",
    ".pyi": "python",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
}


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file in a folder that is of no known kind."""

    path: Path


def source_name(path: Path, root: Path) -> str:
    """How a file is called in ids and metadata: relative to the root if it is inside, else its full path.

    Links are not resolved, so a file keeps the name under which it was found.
    """
    full = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links
    base = Path(os.path.abspath(root))  # noqa: PTH100
    return (full.relative_to(base) if full.is_relative_to(base) else full).as_posix()


def discover(paths: Iterable[Path], *, root: Path) -> Iterator[SourceFile | Skipped | IngestIssue]:
    """Walk files and folders.

    Folders are walked in sorted order, without hidden entries and ``__pycache__``; linked folders come after all
    real ones, and no folder is entered twice, so that loops of links end. A file named by two of the paths comes
    once. A file that is named directly is read whatever its suffix, as plain text if that is not known.

    Raises:
        FileNotFoundError: one of the paths does not exist; raised before anything is yielded.
    """
    given = [Path(path) for path in paths]
    for path in given:
        if not os.path.lexists(path):
            raise FileNotFoundError(2, "no such file or folder", str(path))
    return _walk_all(given, root)


def _walk_all(given: list[Path], root: Path) -> Iterator[SourceFile | Skipped | IngestIssue]:
    entered: set[tuple[int, int]] = set()
    seen: set[str] = set()
    for path in given:
        if path.is_dir():
            for item in _walk(path, root, entered):
                if not isinstance(item, SourceFile) or item.source not in seen:
                    if isinstance(item, SourceFile):
                        seen.add(item.source)
                    yield item
        else:
            source = source_name(path, root)
            if source not in seen:
                seen.add(source)
                yield _checked(path, source) or SourceFile(path, source, KINDS.get(path.suffix.lower(), "text"))


def _walk(top: Path, root: Path, entered: set[tuple[int, int]]) -> Iterator[SourceFile | Skipped | IngestIssue]:
    linked: deque[Path] = deque()
    stack = [top]
    while stack or linked:
        folder = stack.pop() if stack else linked.popleft()
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in entered:
                continue
            entered.add((status.st_dev, status.st_ino))
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            yield IngestIssue(_shown(source_name(folder, root)), None, f"the folder can't be read: {error.strerror}")
            continue
        below: list[Path] = []
        for entry in entries:
            if entry.name.startswith(".") or entry.name == "__pycache__":
                continue
            path = Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                below.append(path)
            elif entry.is_dir():
                linked.append(path)
            elif (kind := KINDS.get(path.suffix.lower())) is None:
                yield Skipped(path)
            else:
                source = source_name(path, root)
                yield _checked(path, source) or SourceFile(path, source, kind)
        stack.extend(reversed(below))


def _shown(source: str) -> str:
    return source.encode(errors="backslashreplace").decode()


def _checked(path: Path, source: str) -> IngestIssue | None:
    """An issue if the path is no regular file: reading a pipe or a device could wait for ever."""
    try:
        source.encode()
        mode = path.stat().st_mode
    except UnicodeEncodeError:
        return IngestIssue(_shown(source), None, "the file's name is not valid Unicode")
    except OSError as error:
        return IngestIssue(source, None, f"the file can't be read: {error.strerror}")
    if not stat.S_ISREG(mode):
        return IngestIssue(source, None, "not a regular file")
    return None
