"""Plain text, Markdown, reStructuredText and HTML."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from typing import Any

from ia_modules.vector_stores.embedders.base import load_module
from ia_modules.vector_stores.ingest.text import read_bytes, read_text
from ia_modules.vector_stores.ingest.types import Heading, IngestIssue, LoadOptions, Section, SourceFile

__all__ = ["load_html", "load_markdown", "load_rst", "load_text"]

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))??(?:[ \t]+#+)?[ \t]*$")
_SETEXT = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_FRONT_MATTER = re.compile(r"---\n(.*?\n)(?:---|\.\.\.)\n", re.DOTALL)
_FRONT_TITLE = re.compile(r"^title:[ \t]*(['\"]?)(.+?)\1[ \t]*$", re.MULTILINE)
_RST_LINE = re.compile(r"([!-/:-@\[-`{-~])\1*\s*$")
_RST_ROLE = re.compile(r"(?<!`):[a-zA-Z][\w:.+-]*:`(?:[^`<]*<)?!?~?([^`>]+?)>?`")
_RST_LITERAL = re.compile(r"``(.+?)``")
_BLOCKS = frozenset(
    re.findall(
        r"\w+",
        "address article aside blockquote body caption dd details div dl dt fieldset figcaption figure footer form"
        " h1 h2 h3 h4 h5 h6 header hr html li main nav ol p pre section summary table td th tr ul",
    )
)
_UNSEEN = ("script", "style", "template", "noscript", "svg", "title")


def load_text(file: SourceFile, options: LoadOptions) -> Iterator[Section | IngestIssue]:
    """Plain text: one section."""
    read = read_text(file, options)
    if isinstance(read, IngestIssue):
        yield read
    else:
        yield Section(read[0], _encoding(read[1]))


def load_markdown(file: SourceFile, options: LoadOptions) -> Iterator[Section | IngestIssue]:
    """Markdown: one section with its headings; the title is the front matter's, or the first top-level heading."""
    read = read_text(file, options)
    if isinstance(read, IngestIssue):
        yield read
        return
    text, guessed = read
    headings = tuple(_markdown_headings(text))
    front = _FRONT_MATTER.match(text)
    named = _FRONT_TITLE.search(front[1]) if front else None
    yield Section(text, {**_title(headings, named[2] if named else None), **_encoding(guessed)}, headings, True)


def load_rst(file: SourceFile, options: LoadOptions) -> Iterator[Section | IngestIssue]:
    """reStructuredText: one section with its headings.

    The text is read, not executed: no directive runs, so nothing can include a file or raw output, and the bodies
    of directives that only Sphinx knows are kept.
    """
    read = read_text(file, options)
    if isinstance(read, IngestIssue):
        yield read
        return
    text = _RST_LITERAL.sub(r"\1", _RST_ROLE.sub(r"\1", read[0]))
    headings = tuple(_rst_headings(text))
    yield Section(text, {**_title(headings, None), **_encoding(read[1])}, headings)


def load_html(file: SourceFile, options: LoadOptions) -> Iterator[Section | IngestIssue]:
    """HTML: the visible text as one section with its headings; scripts and styles are left out."""
    data = read_bytes(file, options)
    if isinstance(data, IngestIssue):
        yield data
        return
    bs4 = load_module("bs4", extra="ingest", needed_for="Reading HTML", package="beautifulsoup4")
    try:
        with warnings.catch_warnings():
            # That a page looks like a file name or like XML is no news to our user.
            warnings.simplefilter("ignore")
            soup = bs4.BeautifulSoup(data, "html.parser", from_encoding=options.encoding)
        named = " ".join(soup.title.get_text(" ").split()) if soup.title is not None else None
        for tag in soup(_UNSEEN):
            tag.decompose()
        text, headings = _html_text(bs4, soup)
    except RecursionError:
        yield IngestIssue(file.source, None, "nested too deeply to be read")
        return
    if soup.contains_replacement_characters:
        yield IngestIssue(file.source, None, f"some bytes are not {soup.original_encoding} text", lost=False)
    yield Section(text, _title(headings, named), headings)


def _title(headings: tuple[Heading, ...], named: str | None) -> dict[str, Any]:
    title = named or next((heading.title for heading in headings if heading.level == 1 and heading.title), None)
    return {"title": title} if title else {}


def _encoding(guessed: str | None) -> dict[str, Any]:
    return {"encoding": guessed} if guessed else {}


def _markdown_headings(text: str) -> Iterator[Heading]:
    """Headings outside fenced code: ``# ...`` lines, and single lines that the next one underlines."""
    front = _FRONT_MATTER.match(text)
    offset = front.end() if front else 0
    fence = ""
    candidate: tuple[int, str] | None = None
    fresh = True  # whether a paragraph could begin here
    for line in text[offset:].split("\n"):
        opened = _FENCE.match(line)
        if fence:
            if opened and opened[1].startswith(fence) and not line.strip(" \t`~"):
                fence, fresh = "", True
        elif opened:
            fence, candidate = opened[1], None
        elif atx := _ATX.match(line):
            yield Heading(offset, len(atx[1]), (atx[2] or "").strip())
            candidate, fresh = None, True
        elif candidate is not None and (under := _SETEXT.match(line)):
            yield Heading(candidate[0], 1 if under[1][0] == "=" else 2, candidate[1])
            candidate, fresh = None, True
        else:
            plain = bool(line.strip()) and not line.startswith(("    ", "\t", "- ", "* ", ">", "|"))
            candidate = (offset, line.strip()) if fresh and plain else None
            fresh = not line.strip()
        offset += len(line) + 1


def _rst_headings(text: str) -> Iterator[Heading]:
    """Underlined titles; the level is the order in which the styles of underlining first appear."""
    styles: list[tuple[str, bool]] = []
    lines = text.split("\n")
    offsets = [0]
    for line in lines:
        offsets.append(offsets[-1] + len(line) + 1)
    for number in range(1, len(lines)):
        title, under = lines[number - 1].rstrip(), lines[number].rstrip()
        if not title.strip() or not _RST_LINE.match(under) or _RST_LINE.match(title) or len(under) < len(title.strip()):
            continue
        over = number >= 2 and lines[number - 2].rstrip() == under
        before = lines[number - 3] if over and number >= 3 else lines[number - 2] if number >= 2 and not over else ""
        if before.strip() or (title[0].isspace() and not over):
            continue
        style = (under[0], over)
        if style not in styles:
            styles.append(style)
        yield Heading(offsets[number - (2 if over else 1)], styles.index(style) + 1, title.strip())


def _html_text(bs4: Any, soup: Any) -> tuple[str, tuple[Heading, ...]]:
    pieces: list[str] = []
    headings: list[Heading] = []
    length = 0
    last: Any = None

    def add(piece: str) -> None:
        nonlocal length
        pieces.append(piece)
        length += len(piece)

    for node in soup.descendants:
        if isinstance(node, bs4.element.Tag):
            if node.name == "br":
                add("\n")
            continue
        if isinstance(node, bs4.element.PreformattedString):
            continue  # comments, doctypes and the like
        block = next((parent for parent in node.parents if parent.name in _BLOCKS), None)
        verbatim = block is not None and block.name == "pre"
        text = str(node) if verbatim else re.sub(r"\s+", " ", node)
        if block is not last:
            if not text.strip():
                continue
            add("\n\n" if pieces else "")
            text = text.lstrip("\n" if verbatim else None)
            if block is not None and re.fullmatch("h[1-6]", block.name):
                headings.append(Heading(length, int(block.name[1]), " ".join(block.get_text(" ").split())))
            last = block
        add(text)
    return "".join(pieces), tuple(headings)
