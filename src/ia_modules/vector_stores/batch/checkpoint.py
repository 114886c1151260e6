"""How far a run has come, kept in a file so that the next one can go on from there."""

from __future__ import annotations

import json
import os
from pathlib import Path

from ia_modules.vector_stores.config import VectorStoreConfig
from ia_modules.vector_stores.durable import replace_file

__all__ = ["Checkpoint", "job_of"]

_VERSION = 1


class Checkpoint:
    """A file with the number of source items below which everything is done.

    Args:
        path: the file.
        job: what the run writes to, so that a checkpoint of another job is not taken for one of this.

    Attributes:
        finished: the number that the file has, or 0.

    Raises:
        ValueError: the file is of another job, or no checkpoint.
    """

    def __init__(self, path: str | os.PathLike[str], job: dict[str, str | int | None]) -> None:
        self._path = Path(path)
        self._job = job
        self.finished = self._load()

    def save(self, finished: int) -> None:
        """Replace the file in one step; it outlives a power failure when this returns."""
        if finished == self.finished:
            return
        content = json.dumps({"version": _VERSION, "job": self._job, "finished": finished}, indent=1)
        replace_file(self._path, content.encode())
        self.finished = finished

    def remove(self) -> None:
        """Delete the file, as nothing is left to do."""
        self._path.unlink(missing_ok=True)
        self.finished = 0

    def _load(self) -> int:
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return 0
        try:
            stored = json.loads(content)
            version, job, finished = stored["version"], dict(stored["job"]), stored["finished"]
            if version != _VERSION or type(finished) is not int or finished < 0:
                raise ValueError
        except (ValueError, KeyError, TypeError, RecursionError):
            raise ValueError(f"{self._path} is no checkpoint of this version; delete it or name another file") from None
        if job != self._job:
            other = sorted(name for name in {*job, *self._job} if job.get(name) != self._job.get(name))
            raise ValueError(
                f"{self._path} is the checkpoint of another job: {', '.join(other)} is "
                f"{', '.join(repr(job.get(name)) for name in other)} there and "
                f"{', '.join(repr(self._job.get(name)) for name in other)} here; delete it or name another file"
            )
        return finished


def job_of(store: object, namespace: str) -> dict[str, str | int | None]:
    """What tells one job from another: the place that is written to."""
    config = getattr(store, "config", None)
    job: dict[str, str | int | None] = {"store": type(store).__name__, "namespace": namespace}
    if isinstance(config, VectorStoreConfig):
        job |= {"index": config.index_name, "host": config.host, "port": config.port, "path": config.path}
    return job
