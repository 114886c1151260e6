"""The small values that travel through an ingestion."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = [
    "Heading",
    "IngestIssue",
    "IngestProgress",
    "IngestReport",
    "LoadOptions",
    "Passage",
    "Section",
    "SourceFile",
]

MAX_KEPT_ISSUES = 1000


@dataclass(frozen=True, slots=True)
class IngestIssue:
    """Something in the input that could not be taken as it is.

    Attributes:
        path: the file, as the user would name it.
        line: line (text files) or row (tables), counted from 1; None if it concerns the whole file.
        message: what is wrong, in one sentence.
        lost: False if everything was taken in all the same, for example as plain text.
    """

    path: str
    line: int | None
    message: str
    lost: bool = True

    def __str__(self) -> str:
        return f"{self.path}{f':{self.line}' if self.line is not None else ''}: {self.message}"


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading inside a text: where it starts (characters from 0), its level from 1, and its words."""

    offset: int
    level: int
    title: str


@dataclass(frozen=True, slots=True)
class Section:
    """A stretch of text as a loader found it, before it is split into passages.

    Attributes:
        text: the text.
        metadata: what is known about it; any Python values, made JSON later.
        headings: headings inside ``text``, in order.
        markdown: whether to split along Markdown's structure.
        id: the record's own id, for records that have one.
        position: number of a record in its file, from 1; None to have the passages counted.
        line: line that the record begins in, for messages.
    """

    text: str
    metadata: dict[str, Any] = field(default_factory=dict)
    headings: tuple[Heading, ...] = ()
    markdown: bool = False
    id: str | None = None
    position: int | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of text ready to be embedded and stored; ``metadata`` holds JSON values only."""

    id: str
    text: str
    metadata: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file to read.

    Attributes:
        path: where it is.
        source: how it is called in ids and metadata, with ``/`` on every system.
        kind: name of the loader.
    """

    path: Path
    source: str
    kind: str


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """How to read files.

    Attributes:
        text_field: field or column that holds a record's text.
        id_field: field or column that holds a record's id; records without it are numbered.
        encoding: encoding of all text files; None for UTF-8, or what the file itself says, or a good guess.
        max_file_bytes: larger documents, and longer lines of JSON, are reported instead of filling the memory.
            Tables and JSON lines may be of any size, as they are read piece by piece.
        max_chars: upper bound for the length of a passage, in characters.
    """

    text_field: str = "text"
    id_field: str = "id"
    encoding: str | None = None
    max_file_bytes: int = 64 * 1024 * 1024
    max_chars: int = 1200

    def __post_init__(self) -> None:
        if self.max_chars < 50:
            raise ValueError(f"max_chars must be at least 50 characters, not {self.max_chars}")
        if self.max_file_bytes < 1:
            raise ValueError(f"max_file_bytes must be at least 1, not {self.max_file_bytes}")
        if not self.text_field or self.text_field == self.id_field:
            raise ValueError("text_field must be a name, and another one than id_field")
        if self.encoding is not None:
            try:
                "".encode(self.encoding)
            except LookupError as error:
                raise ValueError(f"unknown encoding {self.encoding!r}") from error


@dataclass(frozen=True, slots=True)
class IngestProgress:
    """How far an ingestion is: files finished and in all, passages seen, passages embedded, and the present file."""

    files: int
    files_total: int
    passages: int
    embedded: int
    source: str


@dataclass(slots=True)
class IngestReport:
    """What an ingestion did.

    Attributes:
        files: files read.
        skipped: files in folders that are of no known kind.
        passages: passages found in the input.
        added: passages that are new in the store.
        updated: passages whose text or metadata changed.
        unchanged: passages that were stored already.
        removed: stored passages that the input no longer has.
        embedded: texts that went to the embedder.
        errors: the first 1,000 issues.
        error_count: number of all issues.
        seconds: time it took.
    """

    files: int = 0
    skipped: int = 0
    passages: int = 0
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    removed: int = 0
    embedded: int = 0
    errors: list[IngestIssue] = field(default_factory=list)
    error_count: int = 0
    seconds: float = 0.0

    def add_issue(self, issue: IngestIssue) -> None:
        """Count an issue, and keep it unless there are very many."""
        self.error_count += 1
        if len(self.errors) < MAX_KEPT_ISSUES:
            self.errors.append(issue)
