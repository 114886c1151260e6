"""JSON lines as source and target of a migration; the format is described in ``docs/export-formats.md``."""

from __future__ import annotations

import gzip
import io
import json
import os
import zlib
from collections.abc import AsyncIterator, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Literal, NamedTuple, cast

import numpy as np

from ia_modules.vector_stores.durable import sync_file
from ia_modules.vector_stores.migration.exporting import FileFacts, FileTarget
from ia_modules.vector_stores.migration.files import in_thread, kept_metric, named_errors, pages_in_thread
from ia_modules.vector_stores.migration.formats import FileFormatError
from ia_modules.vector_stores.migration.json_line import LineReader, load_orjson
from ia_modules.vector_stores.migration.records import Cursor, Page, SourceInfo, Unreadable
from ia_modules.vector_stores.migration.staging import Row
from ia_modules.vector_stores.models import VectorDocument

__all__ = ["JsonLinesSource", "JsonLinesTarget", "side_file"]

_FORMAT, _VERSION = "ia-vectors-jsonl", 1
_AGAIN = 1000
_LONGEST = 64 * 1024 * 1024
"""Bytes of a line; a million numbers and their document take less."""
_TIE = np.uint32(0x15AE43FD).view(np.float32)
"""The one number of all that float32 has whose shortest digits, 7.038531e-26, give its neighbour when they are read in
double precision and then rounded to single precision. It gets more digits."""
_BUFFER = 256 * 1024


def side_file(path: Path) -> Path:
    """The file beside a file of JSON lines that says what the index was like."""
    return path.with_name(f"{path.name}.meta.json")


class JsonLinesTarget(FileTarget):
    """JSON lines (``.gz`` compressed), and a file beside them; see
    :class:`~ia_modules.vector_stores.migration.exporting.FileTarget`.
    """

    kind = "jsonl"

    def _check_packages(self) -> None:
        load_orjson()

    def _read_again(self) -> Iterable[tuple[str, list[VectorDocument]]]:
        source = JsonLinesSource(self.path)
        for namespace in source.examine().namespaces:
            for page in source.read(namespace, _AGAIN, None):
                yield namespace, page.documents

    def _make(self, rows: Iterator[Row], facts: FileFacts, path: Path) -> None:
        del facts  # they go into the file beside it
        orjson = load_orjson()
        # numpy's float32 is written with the fewest digits that give the same number back.
        option = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
        with ExitStack() as opened:
            stream: IO[bytes] = opened.enter_context(path.open("wb"))
            if self.path.suffix == ".gz":
                # Digits hardly get smaller with a higher level, which takes six times as long.
                stream = cast("IO[bytes]", opened.enter_context(gzip.GzipFile("", "wb", 1, stream, mtime=0)))
            for row in rows:
                vector = np.frombuffer(row.vector, dtype="<f4")
                line = {
                    "id": row.id,
                    "namespace": row.namespace,
                    "vector": vector.astype(np.float64) if (np.abs(vector) == _TIE).any() else vector,
                    "text": row.text,
                    "metadata": orjson.Fragment(row.metadata),
                }
                stream.write(orjson.dumps(line, option=option))

    def _publish(self, made: Path, facts: FileFacts) -> None:
        beside = made.with_name(f"{made.name}.meta")
        beside.write_text(json.dumps({"format": _FORMAT, "version": _VERSION} | facts, indent=1), encoding="utf-8")
        sync_file(beside)
        # Before the file itself, as that must never be without it; a file of before then does not match, and says so.
        beside.replace(side_file(self.path))
        super()._publish(made, facts)


@dataclass(slots=True)
class _Span:
    """Where lines of a namespace are: how many, where the first begins and its number, and where the last ends."""

    count: int
    start: int
    number: int
    stop: int


class _Line(NamedTuple):
    """A line that is not empty: its number from 1, the bytes where it begins and ends, and what is in it."""

    number: int
    start: int
    stop: int
    content: bytes


class JsonLinesSource:
    """A file of JSON lines, compressed if its name ends with ``.gz``.

    Each line has an ``id`` and a ``vector``, and may have ``namespace``, ``text`` and ``metadata``; further fields
    become metadata under their names. Lines whose namespace can't be read are reported under the file's first one.

    Args:
        path: the file.
        id_column: name of the field, if it has another one; likewise the others.
        vector_column: likewise.
        text_column: likewise; False for none.
        metadata_column: likewise; False for none.
        namespace_column: likewise.
        exclude_columns: fields that shall not become metadata.

    Attributes:
        name: the path.
    """

    kind = "jsonl"

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
        self._names: dict[str, str | Literal[False] | None] = {
            "id": id_column,
            "vector": vector_column,
            "text": text_column,
            "metadata": metadata_column,
            "namespace": namespace_column,
        }
        self._exclude = tuple(exclude_columns)
        self._spans: dict[str, _Span] | None = None

    async def describe(self) -> SourceInfo:
        """Namespaces and counts, for which the file is gone through once; the rest is in the file beside it, if any.

        Raises:
            FileNotFoundError: there is no such file.
            FileFormatError: it is cut off, or not what the file beside it says.
            MissingDependencyError: orjson is not installed.
        """
        return await in_thread(self.examine)

    def pages(self, namespace: str, size: int, after: Cursor = None) -> AsyncIterator[Page]:
        """The documents of a namespace; a cursor is a byte and a line (of what is in the file, if compressed).

        Raises:
            FileFormatError: the file is cut off, or has changed since the cursor was made.
        """
        return pages_in_thread(lambda: self.read(namespace, size, after))

    async def close(self) -> None:
        """Nothing to do, as the file is open only while it is read."""

    def examine(self) -> SourceInfo:
        """The same as :meth:`describe`, at once."""
        reader = LineReader(self._names, self._exclude)
        facts = self._facts()
        dimension = facts.get("dimension")
        spans: dict[str | None, _Span] = {}
        with self._opened() as stream:
            for line in _lines(stream, 0, 0):
                name = reader.namespace(line.content)
                span = spans.setdefault(name, _Span(0, line.start, line.number, line.stop))
                span.count += 1
                span.stop = line.stop
                if dimension is None:
                    with suppress(ValueError):
                        dimension = len(reader.document(line.content).vector)
        count = sum(span.count for span in spans.values())
        if facts and facts.get("documents") != count:
            beside = side_file(self.path).name
            raise FileFormatError(
                f"{self.path} has {count:,} lines, and {beside} says that it has {facts.get('documents')}: it was cut "
                f"or changed. Export again, or delete {beside} to take what is there"
            )
        self._spans = _with_a_home(spans)
        return SourceInfo(
            name=self.name,
            kind=self.kind,
            dimension=dimension,
            metric=kept_metric(facts.get("metric"), side_file(self.path)),
            namespaces={name: span.count for name, span in self._spans.items()},
            embedding_model=facts.get("embedding_model"),
        )

    def read(self, namespace: str, size: int, after: Cursor) -> Generator[Page, None, None]:
        """The same as :meth:`pages`, at once."""
        if self._spans is None:
            self.examine()
        assert self._spans is not None
        span = self._spans.get(namespace)
        if span is None:
            return
        reader = LineReader(self._names, self._exclude)
        names = {namespace, None} if namespace == next(iter(self._spans)) else {namespace}
        page = Page([], after)
        with self._opened() as stream:
            start, number = (span.start, span.number - 1) if after is None else self._place(stream, after)
            for line in _lines(stream, start, number):
                if line.stop > span.stop:
                    break
                if reader.namespace(line.content) not in names:
                    continue
                if len(page.documents) + len(page.unreadable) >= size:
                    yield page
                    page = Page([], None)
                try:
                    page.documents.append(reader.document(line.content))
                except ValueError as error:
                    page.unreadable.append(Unreadable(f"line {line.number}", str(error), namespace))
                page = replace(page, cursor={"byte": line.stop, "line": line.number})
        if page.documents or page.unreadable:
            yield page

    @contextmanager
    def _opened(self) -> Iterator[IO[bytes]]:
        with named_errors(self.path, OSError, EOFError, zlib.error), ExitStack() as opened:
            stream: IO[bytes] = opened.enter_context(self.path.open("rb"))
            if self.path.suffix.lower() == ".gz":
                stream = io.BufferedReader(opened.enter_context(gzip.GzipFile(fileobj=stream)), _BUFFER)
            yield stream

    def _place(self, stream: IO[bytes], after: Cursor) -> tuple[int, int]:
        """Where to go on: the byte, and the number of the line that ends there."""
        try:
            byte, number = int(after["byte"]), int(after["line"])
        except (KeyError, TypeError, ValueError):
            raise FileFormatError(f"{self.path} has no such place as the checkpoint says; start again") from None
        stream.seek(byte - 1)
        if stream.read(1) != b"\n" and stream.seek(0, os.SEEK_END) != byte:
            raise FileFormatError(f"{self.path} has changed since the checkpoint was written; start again")
        return byte, number

    def _facts(self) -> FileFacts:
        """What the file beside it says; nothing if there is none."""
        path = side_file(self.path)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return {}
        try:
            facts: FileFacts = dict(json.loads(content))
        except (ValueError, TypeError):
            raise FileFormatError(f"{path} is not readable; delete it to go without") from None
        if facts.get("format") != _FORMAT or facts.get("version") != _VERSION:
            raise FileFormatError(f"{path} is of another version or program; delete it to go without")
        return facts


def _with_a_home(spans: dict[str | None, _Span]) -> dict[str, _Span]:
    """The first namespace's lines and those whose namespace can't be read, together."""
    named = {name: span for name, span in spans.items() if name is not None}
    strays = spans.get(None)
    if strays is not None:
        first = next(iter(named), "")
        home = named.setdefault(first, replace(strays, count=0))
        home.count += strays.count
        if strays.start < home.start:
            home.start, home.number = strays.start, strays.number
        home.stop = max(home.stop, strays.stop)
    return named


def _lines(stream: IO[bytes], start: int, number: int) -> Iterator[_Line]:
    """Lines from a byte on, behind so many lines."""
    stream.seek(start)
    while content := stream.readline(_LONGEST):
        stop = start + len(content)
        number += 1
        if len(content) == _LONGEST and not content.endswith(b"\n"):
            content = b"(a line that is longer than any document)"  # no JSON, so that it is reported
            while (more := stream.readline(_LONGEST)) and not more.endswith(b"\n"):
                stop += len(more)
            stop += len(more)
        if start == 0:
            content = content.removeprefix(b"\xef\xbb\xbf")
        if not content.isspace():
            yield _Line(number, start, stop, content)
        start = stop
