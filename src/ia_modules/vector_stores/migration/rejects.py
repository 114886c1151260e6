"""A file of all that did not arrive, for those who need more than the first thousand of a report."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from ia_modules.vector_stores.migration.records import Unreadable

__all__ = ["Rejects"]


class Rejects:
    """JSON lines with ``kind`` (``refused`` or ``unreadable``), ``namespace`` (of the source), ``key`` and ``cause``.

    It has what the last pass found. Use from one thread at a time.

    Args:
        path: the file; created if need be, readable by its owner only.
        fresh: whether to empty it.
    """

    def __init__(self, path: str | os.PathLike[str], *, fresh: bool) -> None:
        how = os.O_WRONLY | os.O_APPEND | os.O_CREAT | (os.O_TRUNC if fresh else 0)
        self._file = os.fdopen(os.open(Path(path), how, 0o600), "ab")

    def add(self, namespace: str, refused: Mapping[str, str], unreadable: Iterable[Unreadable]) -> None:
        """Append; the lines are with the operating system when this returns."""
        for key, cause in refused.items():
            self._line("refused", namespace, key, cause)
        for one in unreadable:
            self._line("unreadable", namespace, one.key, one.cause)
        self._file.flush()

    def restart(self) -> None:
        """Empty the file."""
        self._file.truncate(0)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _line(self, kind: str, namespace: str, key: str, cause: str) -> None:
        line = json.dumps({"kind": kind, "namespace": namespace, "key": key, "cause": cause})
        self._file.write(line.encode() + b"\n")
