"""The reading half of an ingestion: files to batches of passages, in plain synchronous code for a thread."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ia_modules.vector_stores.ingest.discover import Skipped, discover
from ia_modules.vector_stores.ingest.passages import Splitter, numbered_id, passages
from ia_modules.vector_stores.ingest.types import IngestIssue, LoadOptions, Passage, SourceFile

__all__ = ["Batch", "FinishedFile", "Reader"]

_RECORD_KINDS = frozenset({"jsonl", "csv", "parquet"})


@dataclass(slots=True)
class FinishedFile:
    """A file that was read to its end.

    Attributes:
        source: its name.
        records: whether its passages are records, whose ids follow no pattern.
        ids: ids of its passages.
        next_id: id that one more passage would have; None for records.
        intact: False if something in it could not be read, so that a missing passage proves nothing.
    """

    source: str
    records: bool
    ids: set[str] = field(default_factory=set)
    next_id: str | None = None
    intact: bool = True


@dataclass(slots=True)
class Batch:
    """Passages of one or more files, and what came up on the way."""

    passages: list[Passage] = field(default_factory=list)
    finished: list[FinishedFile] = field(default_factory=list)
    issues: list[IngestIssue] = field(default_factory=list)
    skipped: int = 0
    source: str = ""
    last: bool = False


class Reader:
    """Reads files lazily, so that memory depends on the batch and not on the number of files.

    Raises:
        FileNotFoundError: one of the paths does not exist.
        MissingDependencyError: the splitter is not installed.
    """

    def __init__(self, paths: Iterable[Path | SourceFile], root: Path, options: LoadOptions) -> None:
        given = list(paths)
        self._ready = [item for item in given if isinstance(item, SourceFile)]
        self._paths = [item for item in given if not isinstance(item, SourceFile)]
        self._root = root
        self._options = options
        self._splitter = Splitter(options.max_chars)
        self._events = self._read(self._found())

    def count_files(self) -> int:
        """Number of files there are to read."""
        return sum(isinstance(item, SourceFile) for item in self._found())

    def next_batch(self, size: int) -> Batch:
        """Up to ``size`` passages; ``last`` is set once there are no more."""
        batch = Batch()
        for event in self._events:
            match event:
                case Passage():
                    batch.passages.append(event)
                case IngestIssue():
                    batch.issues.append(event)
                case Skipped():
                    batch.skipped += 1
                case SourceFile():
                    batch.source = event.source
                case FinishedFile():
                    batch.finished.append(event)
            if len(batch.passages) >= size or len(batch.finished) >= size:
                return batch
        batch.last = True
        return batch

    def _found(self) -> Iterator[SourceFile | Skipped | IngestIssue]:
        walked = discover(self._paths, root=self._root)
        yield from self._ready
        yield from walked

    def _read(
        self, found: Iterator[SourceFile | Skipped | IngestIssue]
    ) -> Iterator[Passage | IngestIssue | Skipped | SourceFile | FinishedFile]:
        for file in found:
            yield file
            if not isinstance(file, SourceFile):
                continue
            done = FinishedFile(file.source, file.kind in _RECORD_KINDS)
            count = 0
            for item in passages(file, self._options, self._splitter):
                if isinstance(item, IngestIssue):
                    done.intact = done.intact and not item.lost
                else:
                    done.ids.add(item.id)
                    count += 1
                yield item
            if not done.records:
                done.next_id = numbered_id(file.source, count + 1)
            yield done
