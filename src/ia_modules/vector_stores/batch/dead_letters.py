"""Documents that could not be stored, kept in a file until they can be."""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from pydantic import ValidationError

from ia_modules.vector_stores.batch.report import Failure
from ia_modules.vector_stores.models import Vector, VectorDocument

__all__ = ["DeadLetters", "read_dead_letters"]

_START = b'{"document":'
_BLOCK = 65536
_DEPTH = 64
_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1

# Files that are open in this process, by device and inode; a file that is read while failures of what was read are
# added to it would never end.
_written: Counter[tuple[int, int]] = Counter()
_read: Counter[tuple[int, int]] = Counter()


class DeadLetters:
    """A file of JSON lines that failed documents are added to; use from one thread at a time.

    Args:
        path: the file; created if need be, readable by its owner only.
        namespace: where the documents were to go.

    Raises:
        ValueError: the file is something else, or is being read by this process.
    """

    def __init__(self, path: str | os.PathLike[str], namespace: str) -> None:
        self._namespace = namespace
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
        self._dirty = False
        self._key: tuple[int, int] | None = None
        try:
            key = _identity(self._file)
            if _read[key] > 0:
                raise ValueError(f"{path} is being read in this process; dead letters must go to another file")
            self._repair(path)
        except BaseException:
            os.close(self._file)
            raise
        self._key = key
        _written[key] += 1

    def add(self, failures: list[Failure]) -> None:
        """Append failed documents; they are with the operating system when this returns."""
        lines = b"".join(_line(failure, self._namespace) for failure in failures)
        left = memoryview(lines)
        while left:
            left = left[os.write(self._file, left) :]
        self._dirty = True

    def sync(self) -> None:
        """Make sure that what was added outlives a power failure."""
        if self._dirty:
            os.fsync(self._file)
            self._dirty = False

    def close(self) -> None:
        """Close the file."""
        if self._key is not None:
            key, self._key = self._key, None
            _written[key] -= 1
            try:
                self.sync()
            finally:
                os.close(self._file)

    def _repair(self, path: str | os.PathLike[str]) -> None:
        """Cut off the torn line of a run that was killed: its batch was not done, so it will be sent again."""
        size = os.fstat(self._file).st_size
        with os.fdopen(os.dup(self._file), "rb") as stream:
            stream.seek(0)
            first = stream.readline()
            if first.endswith(b"\n"):
                _record(first, 1, path)
            whole = _end_of_last_line(stream, size)
            stream.seek(whole)
            torn = stream.read()
        if not torn:
            return
        try:
            json.loads(torn)
        except ValueError:
            if not torn.startswith(_START[: len(torn)]):
                raise ValueError(f"{path} ends with something else than a dead letter; name another file") from None
            os.ftruncate(self._file, whole)
        else:  # nothing but its end is missing, as an editor may leave it
            _record(torn, 1, path)
            os.write(self._file, b"\n")


def read_dead_letters(
    path: str | os.PathLike[str], *, namespace: str | None = None, skip_invalid: bool = False
) -> Iterator[VectorDocument]:
    """Read back the documents of a file of dead letters, one by one.

    Args:
        path: the file.
        namespace: leave out documents that were meant for another namespace; without it, a file with documents of
            several namespaces is an error, as they can't all go to the same one.
        skip_invalid: leave out what was never a valid document, instead of raising.

    Yields:
        The documents, in the order in which they failed.

    Raises:
        ValueError: a line that can't be read, or holds no valid document; the message names it. Also if a run of
            this process is adding to the file.
    """
    with Path(path).open("rb") as stream:
        key = _identity(stream.fileno())
        if _written[key] > 0:
            raise ValueError(f"{path} is the dead-letter file of a run under way; give that run another one")
        _read[key] += 1
        try:
            found: str | None = None
            for number, line in enumerate(stream, 1):
                record = _record(line, number, path)
                meant_for = record["namespace"]
                if namespace is not None:
                    if meant_for != namespace:
                        continue
                elif found is not None and meant_for != found:
                    raise ValueError(
                        f"{path}, line {number}: meant for the namespace {meant_for!r}, the lines before for {found!r};"
                        f" read them one by one, with namespace="
                    )
                found = meant_for
                reason = _invalid(record)
                if reason is None:
                    yield record["document"]
                elif not skip_invalid:
                    raise ValueError(f"{path}, line {number}: no valid document, {reason}; correct or remove the line")
        finally:
            _read[key] -= 1


def _record(line: bytes, number: int, path: str | os.PathLike[str]) -> dict[str, Any]:
    where = f"{path}, line {number}"
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        torn = not line.endswith(b"\n")
        hint = "; the run that wrote it was killed: remove the line" if torn else ""
        reason = error.msg if isinstance(error, json.JSONDecodeError) else type(error).__name__
        raise ValueError(f"{where}: not valid JSON ({reason}){hint}") from None
    if not isinstance(record, dict) or "document" not in record or not isinstance(record.get("namespace"), str):
        raise ValueError(f"{where}: not a dead letter; it needs the keys 'document' and 'namespace'")
    return record


def _invalid(record: dict[str, Any]) -> str | None:
    """Why a record holds no document; if it does, the document takes the place of its JSON form."""
    if record.get("unwritable"):
        return f"as JSON could not hold {', '.join(map(str, record['unwritable']))}"
    try:
        record["document"] = VectorDocument.model_validate(record["document"])
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)[0]
        return f"{'.'.join(map(str, found['loc'])) or 'item'}: {found['msg'].removeprefix('Value error, ')}"
    return None


def _end_of_last_line(stream: BinaryIO, size: int) -> int:
    """Where the line feed is that ends the last whole line, plus one; 0 if there is none."""
    position = size
    while position:
        start = max(0, position - _BLOCK)
        stream.seek(start)
        found = stream.read(position - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        position = start
    return 0


def _identity(file: int) -> tuple[int, int]:
    status = os.fstat(file)
    return status.st_dev, status.st_ino


def _line(failure: Failure, namespace: str) -> bytes:
    unwritable: list[str] = []
    item = failure.item
    if isinstance(item, VectorDocument):
        item = {name: getattr(item, name) for name in ("id", "vector", "metadata", "text")}
    record = {
        "document": _plain(item, "", unwritable, 0),
        "namespace": namespace,
        "position": failure.position,
        "error": type(failure.error).__name__,
        "message": str(failure.error),
    }
    if unwritable:
        record["unwritable"] = unwritable
    # ASCII only, so that text that UTF-8 can't encode comes through as well.
    return json.dumps(record, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode() + b"\n"


def _plain(value: object, path: str, unwritable: list[str], depth: int) -> object:
    """The value in JSON's own types; what they can't express is described, and its place noted."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int) and _INT64_MIN <= value <= _INT64_MAX:
        return int(value)
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if depth <= _DEPTH:
        if isinstance(value, np.generic):
            return _plain(value.item(), path, unwritable, depth + 1)
        if isinstance(value, np.ndarray | Vector):
            return _plain(value.tolist(), path, unwritable, depth + 1)
        if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
            return {
                str.__str__(key): _plain(item, f"{path}.{key}" if path else key, unwritable, depth + 1)
                for key, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [_plain(item, f"{path}[{i}]", unwritable, depth + 1) for i, item in enumerate(value)]
    unwritable.append(path or "item")
    return _described(value)


def _described(value: object) -> str:
    try:
        return repr(value)[:1000]
    except Exception as error:  # noqa: BLE001 - a repr may fail in any way, and is not what this is about
        return f"<{type(value).__name__} whose repr raises {type(error).__name__}>"
