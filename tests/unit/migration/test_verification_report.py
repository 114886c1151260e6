"""The report for programs, in a terminal and as a page; whatever an id is, it is only shown."""

from __future__ import annotations

import io
import json
import stat
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console

from ia_modules.vector_stores import MissingDependencyError, durable
from ia_modules.vector_stores.migration import html_report, verification_report
from ia_modules.vector_stores.migration.html_report import html_page
from ia_modules.vector_stores.migration.verification import verify
from ia_modules.vector_stores.migration.verification_report import (
    FINDING_KINDS,
    Finding,
    Histogram,
    NamespaceVerification,
    SearchSummary,
    SideSummary,
    VerificationReport,
)
from ia_modules.vector_stores.migration.verification_text import plain_text, printable, shown_findings
from verification_helpers import documents, filled, memory_store

EVIL = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</td></table></style><svg onload=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "[red]markup[/red] [link=http://example.invalid]x[/link]",
    "\x1b[2J\x1b]0;title\x07",
    "line\nbreak\ttab\r",
    "\u202egnitidnoc\u202c",
    "\ud800 surrogate",
    "&lt;already&gt; &amp;",
    "A" * 512,
]
SIDE = SideSummary("memory:///i", "memory", 384, "cosine")
SEARCHES = SearchSummary(
    "exact", 3, 10, 0.9, 0.7, 1e-7, 3e-7, Histogram(("≤ 0.9", "> 0.9"), (2, 1)), Histogram(("0", "> 0.1"), (30, 0))
)


def evil_report() -> VerificationReport:
    """One whose names, ids and descriptions are what an attacker would like to have there."""
    return VerificationReport(
        source=SideSummary(EVIL[0], EVIL[1], None, None),
        target=SideSummary(EVIL[2], EVIL[3], 4, EVIL[4]),
        namespaces=tuple(
            NamespaceVerification((one,), other, 10**6, 3, 1, 1, 1, 1, "ab" * 16, "cd" * 16)
            for one, other in zip(EVIL, EVIL[1:] + EVIL[:1], strict=True)
        ),
        counts={"missing": 1000, "metadata": len(EVIL), "search": 1},
        findings=(
            *(Finding("metadata", one, one, f"key {one!r}") for one in EVIL),
            *(Finding("missing", "", f"d{n}", "not in the target") for n in range(700)),
            Finding("search", None, None, "recall"),
        ),
        compared=10**6,
        deviations=Histogram(("0", "≤ 1e-06", "> 0.1"), (5, 1, 1)),
        max_deviation=0.5,
        searches=SEARCHES,
        notes=tuple(EVIL),
        started="2026-01-01T00:00:00+00:00",
        seconds=2.0,
    )


GOOD = VerificationReport(SIDE, SIDE, (NamespaceVerification(("",), "", 3, 3, 3),), compared=3, seconds=0.5)


def test_a_report_without_findings_is_ok() -> None:
    assert GOOD.ok
    assert not evil_report().ok
    assert GOOD.verdict == "All 3 documents of the source are in the target as they are."
    assert evil_report().verdict == "1,012 findings: missing 1,000, metadata 11, search 1."


async def test_json_has_all_of_it() -> None:
    stores = [await filled(memory_store(), {"": documents()}) for _ in range(2)]
    await stores[1].delete(ids=["plain"])
    report = await verify(*stores)
    value = json.loads(report.to_json())
    assert value == json.loads(json.dumps(report.to_dict()))
    assert value["ok"] is False
    assert value["counts"] == {"missing": 1}
    assert value["findings"] == [
        {"kind": "missing", "namespace": "", "id": "plain", "description": "not in the target"}
    ]
    assert value["namespaces"][0]["source_count"] == 12
    assert value["searches"]["how"] == "both sides"
    assert json.loads(evil_report().to_json())["findings"][0]["id"] == EVIL[0]


def test_text_says_what_matters_and_nothing_that_a_terminal_obeys() -> None:
    text = evil_report().to_text()
    assert text == plain_text(evil_report())
    assert text.startswith("NOT OK: 1,012 findings")
    assert all(line.isprintable() for line in text.splitlines())
    assert "\\x1b[2J" in text
    assert "\\u202e" in text
    assert "and 992 more" in text
    assert "recall@10 0.9000" in text
    shown = [one.kind for one in shown_findings(evil_report())]
    assert shown == ["metadata"] * 10 + ["missing"] * 9 + ["search"]
    good = GOOD.to_text()
    assert good.startswith("OK: All 3")
    assert "(default)" in good


@pytest.mark.parametrize("text", [*EVIL, "", "ø 🦔"])
def test_printable_text_is_left_alone_and_the_rest_escaped(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert (shown == text) == text.isprintable()


@pytest.mark.parametrize("width", [40, 120])
def test_rich_shows_it_without_taking_ids_for_markup(width: int) -> None:
    out = io.StringIO()
    evil_report().render(Console(file=out, width=width, force_terminal=True, color_system=None))
    text = out.getvalue()
    assert "\x1b[2J" not in text
    assert "\u202e" not in text
    joined = "".join(text.split())
    assert "NOTOK" in joined
    assert "[red]markup[/red]" in joined or width == 40
    assert "and992more" in joined
    assert max(map(len, text.splitlines())) <= width


def test_without_rich_it_is_plain_text(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    GOOD.render()
    assert "All 3 documents" in capsys.readouterr().out
    monkeypatch.setattr(verification_report, "find_spec", lambda _: None)
    GOOD.render()
    assert capsys.readouterr().out == GOOD.to_text()


VOID = {"meta", "link", "img", "br", "hr", "input"}


class Page(HTMLParser):
    """What is in a page: elements, attributes and text; complains about what is not closed."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs)
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())


KNOWN = {
    *("html", "head", "meta", "title", "style", "body", "main", "header", "h1", "h2", "h3", "p", "section", "div"),
    *("strong", "span", "code", "ul", "li", "figure", "figcaption", "svg", "text", "rect", "table", "thead", "tr"),
    *("th", "tbody", "td", "details", "summary", "footer"),
}


def test_the_page_needs_nothing_else_and_has_no_element_of_anybody_else() -> None:
    for report in (GOOD, evil_report()):
        page = Page(html_page(report))
        assert {tag for tag, _ in page.elements} <= KNOWN
        for tag, attributes in page.elements:
            assert not {"src", "href", "srcset", "data", "action"} & attributes.keys()
            assert not any(name.startswith("on") for name in attributes), tag
        style = html_page(report).partition("<style>")[2].partition("</style>")[0]
        assert "url(" not in style
        assert "@import" not in style
        assert "prefers-color-scheme: dark" in style
        policy = next(one["content"] for _, one in page.elements if "http-equiv" in one)
        assert policy == "default-src 'none'; style-src 'unsafe-inline'"


def test_the_page_shows_everything_as_it_is_spelled() -> None:
    report = evil_report()
    page = Page(html_page(report))
    for one in EVIL:
        assert printable(one) in page.texts, one
    assert sum(text.startswith("d") and text[1:].isdigit() for text in page.texts) == 500
    assert "and 500 more" in page.texts
    assert "1,000 missing" in page.texts
    plots = [attributes["aria-label"] for tag, attributes in page.elements if tag == "svg"]
    assert plots == [
        "Documents by namespace",
        "Vectors by deviation",
        "Searches by recall@10",
        "Results by difference of scores",
    ]
    bars = [attributes for tag, attributes in page.elements if tag == "rect"]
    assert len(bars) == 2 * len(report.namespaces) + 3 + 2 + 2
    for bar in bars:
        right = float(bar["x"] or 0) + float(bar["width"] or 0)
        assert right <= 330
    assert [bar["class"] for bar in bars[-7:-4]] == ["good", "good", "bad"]
    assert [tag for tag, _ in Page(html_page(GOOD)).elements].count("svg") == 1


def test_a_bar_that_stands_for_anything_can_be_seen() -> None:
    report = VerificationReport(SIDE, SIDE, deviations=Histogram(("0", "≤ 1e-06", "> 0.1"), (10**6, 0, 1)))
    bars = [attributes for tag, attributes in Page(html_page(report)).elements if tag == "rect"]
    assert [float(bar["width"] or 0) for bar in bars] == [238.0, 0.0, 2.0]


def test_every_kind_of_finding_has_a_meaning() -> None:
    for kind in FINDING_KINDS:
        report = VerificationReport(SIDE, SIDE, counts={kind: 1}, findings=(Finding(kind, "n", "i", "what"),))
        texts = Page(html_page(report)).texts
        assert html_report._MEANINGS[kind] in texts
        assert f"1 {kind.replace('_', ' ')}" in texts


def test_many_namespaces_make_no_endless_page() -> None:
    spaces = tuple(NamespaceVerification((str(n),), str(n), 5, 5, 5 - n % 2, n % 2) for n in range(1000))
    page = Page(html_page(VerificationReport(SIDE, SIDE, spaces)))
    assert [tag for tag, _ in page.elements].count("rect") == 24
    assert [tag for tag, _ in page.elements].count("tr") == 201
    assert "and 800 more" in page.texts


def test_a_page_replaces_a_file_when_it_is_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.html"
    GOOD.write_html(path)
    first = path.read_text(encoding="utf-8")
    assert first == html_page(GOOD)
    other = tmp_path / "other"
    other.touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(other.stat().st_mode)

    def failing(handle: int) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patched:
        patched.setattr(durable.os, "fsync", failing)
        with pytest.raises(OSError, match="no space left"):
            evil_report().write_html(path)
    assert path.read_text(encoding="utf-8") == first
    assert sorted(one.name for one in tmp_path.iterdir()) == ["other", "report.html"]
    evil_report().write_html(str(path))
    assert "The target differs" in path.read_text(encoding="utf-8")
    with pytest.raises(FileNotFoundError):
        GOOD.write_html(tmp_path / "nowhere" / "report.html")


def test_without_jinja2_the_page_names_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(__import__("sys").modules, "jinja2", None)
    with pytest.raises(MissingDependencyError, match=r"ia-modules-vector-stores\[migration\]"):
        GOOD.write_html(tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []
