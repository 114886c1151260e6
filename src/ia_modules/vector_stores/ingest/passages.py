"""From the sections of a file to passages: splitting, ids and clean metadata."""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from ia_modules.vector_stores.embedders.base import load_module
from ia_modules.vector_stores.ingest.loaders import load
from ia_modules.vector_stores.ingest.types import Heading, IngestIssue, LoadOptions, Passage, Section, SourceFile

__all__ = ["RESERVED", "Splitter", "json_value", "numbered_id", "passages"]

RESERVED = ("source", "position", "content_hash")
_MAX_ID_BYTES = 512


class Splitter:
    """Cuts a section into pieces of at most ``max_chars`` characters at the best places.

    Raises:
        MissingDependencyError: ``semantic-text-splitter`` is not installed.
    """

    def __init__(self, max_chars: int) -> None:
        module = load_module(
            "semantic_text_splitter",
            extra="ingest",
            needed_for="Splitting text into passages",
            package="semantic-text-splitter",
        )
        self._max_chars = max_chars
        self._plain = module.TextSplitter(max_chars)
        self._markdown = module.MarkdownSplitter(max_chars)

    def split(self, section: Section) -> Iterator[tuple[str, str | None]]:
        """Pieces of the text, each with its heading path (``"Guide > Install"``) if there is one."""
        splitter = self._markdown if section.markdown else self._plain
        pieces: list[tuple[int, str]] = splitter.chunk_indices(section.text)
        carried: tuple[int, str] | None = None
        for number, (start, text) in enumerate(pieces, 1):
            offset, piece = start, text
            if carried is not None:
                # A heading alone says little: it goes with the text that follows, if that leaves room.
                joined = section.text[carried[0] : offset + len(piece)]
                if len(joined) <= self._max_chars:
                    offset, piece = carried[0], joined
                else:
                    yield carried[1], _path(section.headings, carried[0])
                carried = None
            if number < len(pieces) and _only_headings(section.headings, offset, piece):
                carried = (offset, piece)
            else:
                yield piece, _path(section.headings, start)


def passages(file: SourceFile, options: LoadOptions, splitter: Splitter) -> Iterator[Passage | IngestIssue]:
    """Read a file and cut it into passages with ids that are the same every time."""
    counted = 0
    seen: dict[str, int | None] = {}
    for section in load(file, options):
        if isinstance(section, IngestIssue):
            yield section
            continue
        problem = _problem(section, file)
        if problem is not None:
            yield problem
            continue
        metadata = _metadata(section.metadata)
        for part, (text, heading) in enumerate(splitter.split(section), 1):
            counted += 1
            if section.id is not None:
                identity, position = section.id, section.position or counted
            else:
                position = section.position or counted
                identity = numbered_id(file.source, position)
            if part > 1 and section.position is not None:
                identity = f"{identity}#{part}"
            if len(identity.encode()) > _MAX_ID_BYTES:
                yield IngestIssue(file.source, section.line, f"the id is longer than {_MAX_ID_BYTES} bytes")
                continue
            if identity in seen:
                message = f"the id {identity!r} is taken by line {seen[identity]}; the first one is kept"
                yield IngestIssue(file.source, section.line, message)
                continue
            seen[identity] = section.line
            yield _passage(identity, text, heading, position, file.source, metadata)


def _passage(
    identity: str, text: str, heading: str | None, position: int, source: str, metadata: dict[str, Any]
) -> Passage:
    complete = {**metadata, "source": source, "position": position}
    if heading:
        complete["heading"] = heading
    digest = hashlib.sha256()
    digest.update(json.dumps([text, complete], sort_keys=True, ensure_ascii=False).encode())
    complete["content_hash"] = digest.hexdigest()[:32]
    return Passage(identity, text, complete)


def _problem(section: Section, file: SourceFile) -> IngestIssue | None:
    """Half a surrogate pair can be written in JSON but not in UTF-8, so no database could store it."""
    try:
        json.dumps([section.text, section.id, json_value(section.metadata)], ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return IngestIssue(file.source, section.line, "half of a surrogate pair: not valid Unicode")
    except RecursionError:
        return IngestIssue(file.source, section.line, "nested too deeply to be stored")
    return None


def _metadata(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A record's fields as JSON values; the three names that we need are moved out of the way."""
    cleaned = {str(name): json_value(value) for name, value in fields.items()}
    return {f"record_{name}" if name in RESERVED else name: value for name, value in cleaned.items()}


def _only_headings(headings: tuple[Heading, ...], offset: int, piece: str) -> bool:
    inside = sum(offset <= heading.offset < offset + len(piece) for heading in headings)
    # Lines without a letter or digit are the underlining of titles.
    return 0 < inside >= sum(any(map(str.isalnum, line)) for line in piece.split("\n"))


def _path(headings: tuple[Heading, ...], offset: int) -> str | None:
    path: list[Heading] = []
    for heading in headings:
        if heading.offset > offset:
            break
        while path and path[-1].level >= heading.level:
            path.pop()
        path.append(heading)
    return " > ".join(heading.title for heading in path if heading.title) or None


def numbered_id(source: str, number: int) -> str:
    """Id of a file's passage: its source and a number; a digest stands for a source that is too long to store."""
    encoded = source.encode()
    short = source if len(encoded) <= _MAX_ID_BYTES - 24 else f"sha256:{hashlib.sha256(encoded).hexdigest()}"
    return f"{short}#{number}"


def json_value(value: Any) -> Any:
    """The nearest JSON value.

    Dates and times become ISO 8601 strings, durations seconds, NaN and infinity None, bytes base64, integers beyond
    64 bits and everything else their string; tuples and sets become lists.
    """
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): json_value(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((json_value(item) for item in value), key=str)
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value)
