"""Records: JSON lines, CSV and Parquet, read piece by piece."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ia_modules.vector_stores.embedders.base import load_module
from ia_modules.vector_stores.ingest.text import bom_encoding, guess_encoding
from ia_modules.vector_stores.ingest.types import IngestIssue, LoadOptions, Section, SourceFile

__all__ = ["load_csv", "load_jsonl", "load_parquet"]

_DELIMITERS = ",;\t|"
_FIELD_LIMIT = 16 * 1024 * 1024


def load_jsonl(file: SourceFile, options: LoadOptions) -> Iterator[Section | IngestIssue]:
    """JSON lines: a section for each line; a line that can't be read is reported, and the next one follows."""
    with file.path.open("rb") as stream:
        start = stream.read(4)
        encoding = options.encoding or bom_encoding(start) or "utf-8"
        if encoding.lower().replace("_", "-").startswith(("utf-16", "utf-32")):
            yield IngestIssue(file.source, None, f"JSON lines in {encoding} can't be read by lines; convert to UTF-8")
            return
        stream.seek(0)
        number = 0
        while line := stream.readline(options.max_file_bytes + 1):
            number += 1
            if len(line) > options.max_file_bytes:
                yield IngestIssue(file.source, number, f"longer than {options.max_file_bytes:,} bytes")
                while line and not line.endswith(b"\n"):
                    line = stream.readline(options.max_file_bytes)
                continue
            try:
                # A mark may stand at the start of the file only; elsewhere it is a character.
                text = line.decode("utf-8" if encoding == "utf-8-sig" and number > 1 else encoding).strip()
                if not text:
                    continue
                record = json.loads(text)
            except UnicodeDecodeError as error:
                yield IngestIssue(file.source, number, f"not {encoding} text (byte 0x{line[error.start]:02x})")
            except json.JSONDecodeError as error:
                yield IngestIssue(file.source, number, f"not valid JSON: {error.msg} (column {error.colno})")
            except (RecursionError, ValueError) as error:
                # Nested a thousand deep, or an integer of a thousand digits.
                yield IngestIssue(file.source, number, f"JSON that can't be read: {error}")
            else:
                if isinstance(record, dict):
                    yield _section(record, number, file, options)
                else:
                    yield IngestIssue(file.source, number, f"a JSON {type(record).__name__} where an object should be")


def load_csv(file: SourceFile, options: LoadOptions) -> Iterator[Section | IngestIssue]:
    """CSV with a header line; a section for each row.

    The file is read twice: first for its encoding and for the kinds of its columns, so that a column becomes
    numbers only if every value in it is written as one (``007`` is not). An empty cell is None.
    """
    csv.field_size_limit(max(csv.field_size_limit(), _FIELD_LIMIT))
    encoding = _table_encoding(file, options)
    if isinstance(encoding, IngestIssue):
        yield encoding
        return
    delimiter = "\t" if file.path.suffix.lower() == ".tsv" else _delimiter(file.path, encoding)
    header: list[str] = []
    converters: list[type] = []
    for row in _rows(file, encoding, delimiter):
        if isinstance(row, IngestIssue):
            continue  # reported by the second reading
        if not header:
            header = row[1]
            converters = [int] * len(header)
        elif len(row[1]) == len(header):
            converters = [_narrowed(kind, cell) for kind, cell in zip(converters, row[1], strict=True)]
    if options.text_field not in header:
        yield _no_text_field(header, file, options)
        return
    if len(set(header)) != len(header):
        yield IngestIssue(file.source, 1, "two columns have the same name")
        return
    for number, row in enumerate(_rows(file, encoding, delimiter)):
        if isinstance(row, IngestIssue):
            yield row
        elif number and len(row[1]) != len(header):
            yield IngestIssue(file.source, row[0], f"{len(row[1])} cells where the header has {len(header)}")
        elif number:
            record = {
                name: cell if name in (options.text_field, options.id_field) else (kind(cell) if cell else None)
                for name, kind, cell in zip(header, converters, row[1], strict=True)
            }
            yield _section(record, number, file, options, line=row[0])


def load_parquet(file: SourceFile, options: LoadOptions) -> Iterator[Section | IngestIssue]:
    """Parquet: a section for each row, read in batches."""
    pyarrow = load_module("pyarrow", extra="parquet", needed_for="Reading Parquet")
    parquet = load_module("pyarrow.parquet", extra="parquet", needed_for="Reading Parquet", package="pyarrow")
    try:
        with parquet.ParquetFile(str(file.path)) as table:
            if options.text_field not in table.schema_arrow.names:
                yield _no_text_field(table.schema_arrow.names, file, options)
                return
            number = 0
            for batch in table.iter_batches(batch_size=512):
                for record in batch.to_pylist():
                    number += 1
                    yield _section(record, number, file, options)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        yield IngestIssue(file.source, None, f"not readable as Parquet: {str(error).splitlines()[0]}")


def _section(
    record: dict[str, Any], number: int, file: SourceFile, options: LoadOptions, *, line: int | None = None
) -> Section | IngestIssue:
    at = number if line is None else line
    text = record.pop(options.text_field, None)
    if not isinstance(text, str):
        found = "no" if text is None else f"a {type(text).__name__} as"
        return IngestIssue(file.source, at, f"{found} text in the field {options.text_field!r}")
    if not text.strip():
        return IngestIssue(file.source, at, f"the field {options.text_field!r} is blank")
    identity = record.pop(options.id_field, None)
    if identity is not None and (isinstance(identity, bool) or not isinstance(identity, str | int)):
        return IngestIssue(file.source, at, f"the id must be a string or an integer, not {type(identity).__name__}")
    return Section(text, record, id=str(identity) if identity not in (None, "") else None, position=number, line=at)


def _no_text_field(names: list[str], file: SourceFile, options: LoadOptions) -> IngestIssue:
    listed = ", ".join(names[:20]) or "none"
    return IngestIssue(file.source, None, f"no column {options.text_field!r}; there are: {listed}")


def _table_encoding(file: SourceFile, options: LoadOptions) -> str | IngestIssue:
    """An encoding in which the whole file is text; a table can't be read around a wrong byte."""
    with file.path.open("rb") as stream:
        start = stream.read(1024 * 1024)
    sure = options.encoding or bom_encoding(start)
    for encoding in [sure] if sure else ["utf-8", guess_encoding(start)]:
        if encoding is not None and _fits(file, encoding):
            return encoding
    if sure:
        return IngestIssue(file.source, None, f"not {sure} text; nothing of the file was read")
    return IngestIssue(file.source, None, "neither UTF-8 nor a recognisable encoding; name it with encoding=")


def _fits(file: SourceFile, encoding: str) -> bool:
    try:
        with file.path.open(encoding=encoding) as stream:
            while stream.read(1024 * 1024):
                pass
    except UnicodeDecodeError:
        return False
    return True


def _delimiter(path: Path, encoding: str) -> str:
    with path.open(encoding=encoding, errors="replace", newline="") as stream:
        header = stream.readline(_FIELD_LIMIT)
    # Counted in the header only: the sniffer of the standard library is easily led astray by prose in cells.
    return max(_DELIMITERS, key=header.count)


def _rows(file: SourceFile, encoding: str, delimiter: str) -> Iterator[tuple[int, list[str]] | IngestIssue]:
    """Line and cells of every row that isn't empty."""
    with file.path.open(encoding=encoding, newline="") as stream:
        reader = csv.reader(stream, delimiter=delimiter, strict=False)
        while True:
            line = reader.line_num + 1
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield IngestIssue(file.source, reader.line_num, f"not valid CSV: {error}")
            else:
                if any(row):
                    yield line, row


def _narrowed(kind: type, cell: str) -> type:
    """The kind of a column after one more cell: int, else float, else str."""
    if not cell or kind is str:
        return kind
    if kind is int:
        try:
            if str(int(cell)) == cell and -(2**63) <= int(cell) < 2**63:
                return int
        except ValueError:
            pass
    try:
        # Written the way Python or JSON would write it: not "1e5" for an order number, not "nan", not "1_000".
        number = float(cell)
    except ValueError:
        return str
    plain = repr(number).removesuffix(".0")
    trimmed = cell.rstrip("0").rstrip(".") if "." in cell else cell
    return float if math.isfinite(number) and plain in (trimmed, cell) else str
