"""From bytes to text: never a crash, never a silent loss."""

from __future__ import annotations

import codecs
import importlib
from pathlib import Path

from ia_modules.vector_stores.ingest.types import IngestIssue, LoadOptions, SourceFile

__all__ = ["bom_encoding", "decode", "guess_encoding", "read_bytes", "read_text"]

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    # The four-byte marks first: UTF-32's begins with UTF-16's.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def bom_encoding(start: bytes) -> str | None:
    """The encoding that a byte order mark at the start stands for."""
    return next((name for mark, name in _BOMS if start.startswith(mark)), None)


def guess_encoding(data: bytes) -> str | None:
    """The likeliest encoding of bytes that are not UTF-8, or None if they look like no text."""
    if b"\0" in data:
        return None
    try:
        normalizer = importlib.import_module("charset_normalizer")
    except ModuleNotFoundError:
        return None
    best = normalizer.from_bytes(data[: 1024 * 1024]).best()
    return str(best.encoding) if best is not None else None


def decode(data: bytes, file: SourceFile, options: LoadOptions) -> tuple[str, str | None] | IngestIssue:
    """Decode a whole file.

    Returns:
        The text and the encoding if it was guessed (None if it is sure), or an issue.
    """
    sure = options.encoding or bom_encoding(data)
    try:
        return data.decode(sure or "utf-8"), None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        if sure:
            return IngestIssue(file.source, line, f"not {sure} text (byte 0x{data[error.start]:02x})")
    guess = guess_encoding(data)
    if guess is not None:
        try:
            return data.decode(guess), guess
        except (UnicodeDecodeError, LookupError):
            guess = None
    return IngestIssue(file.source, line, "neither UTF-8 nor a recognisable encoding; name it with encoding=")


def read_bytes(file: SourceFile, options: LoadOptions) -> bytes | IngestIssue:
    """The content of a file, or an issue if it can't be read, is binary or too large."""
    path: Path = file.path
    try:
        with path.open("rb") as stream:
            data = stream.read(options.max_file_bytes + 1)
    except OSError as error:
        return IngestIssue(file.source, None, f"the file can't be read: {error.strerror}")
    if len(data) > options.max_file_bytes:
        return IngestIssue(file.source, None, f"larger than {options.max_file_bytes:,} bytes (max_file_bytes)")
    if b"\0" in data[:8192] and options.encoding is None and bom_encoding(data) is None:
        return IngestIssue(file.source, None, "a binary file, not text")
    return data


def read_text(file: SourceFile, options: LoadOptions) -> tuple[str, str | None] | IngestIssue:
    """Read and decode a whole file, with plain line feeds as line ends; see :func:`decode`."""
    data = read_bytes(file, options)
    decoded = data if isinstance(data, IngestIssue) else decode(data, file, options)
    if isinstance(decoded, IngestIssue):
        return decoded
    text, guessed = decoded
    return text.replace("\r\n", "\n").replace("\r", "\n"), guessed
