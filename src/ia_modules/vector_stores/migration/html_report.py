"""A verification's report as one page that needs nothing else: no network, no scripts, no other files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from os import PathLike
from pathlib import Path
from typing import Any

from ia_modules.vector_stores.durable import replace_file
from ia_modules.vector_stores.errors import MissingDependencyError
from ia_modules.vector_stores.migration.verification_report import (
    FINDING_KINDS,
    Histogram,
    NamespaceVerification,
    VerificationReport,
)
from ia_modules.vector_stores.migration.verification_text import (
    NAMESPACE_HEADS,
    facts,
    finding_cells,
    namespace_cells,
    printable,
    short,
)

__all__ = ["html_page", "write_html"]

_TEMPLATE = "verification.html.j2"
_NAMESPACES_IN_PLOT, _NAMESPACES_IN_TABLE, _FINDINGS_OF_A_KIND = 12, 200, 500
_OPEN_UP_TO = 12
"""Findings of a kind that are shown unfolded."""
_LEFT, _RIGHT, _WIDTH, _ROW = 84, 58, 380, 22
_MEANINGS = {
    "missing": "documents that are in the source and not in the target",
    "extra": "documents that are in the target and not in the source",
    "vector": "vectors that deviate by more than rounding",
    "dimension": "vectors with another number of dimensions",
    "metadata": "metadata with other keys or values",
    "metadata_type": "metadata whose values have another type",
    "text": "other texts",
    "duplicate": "ids that stand for different documents",
    "unreadable": "what is no document, and could not be compared",
    "metric": "another distance metric",
    "count": "counts that do not fit what was read",
    "search": "searches that are answered otherwise",
}


@dataclass(frozen=True, slots=True)
class _Bar:
    """A bar of a plot, in the units of its drawing."""

    label: str
    y: int
    width: float
    value: str
    look: str


@dataclass(frozen=True, slots=True)
class _Plot:
    """A plot of horizontal bars."""

    title: str
    caption: str
    bars: tuple[_Bar, ...]
    height: int
    left: int = _LEFT
    width: int = _WIDTH


def html_page(report: VerificationReport) -> str:
    """The page as text.

    Raises:
        MissingDependencyError: the package ``jinja2`` is not installed.
    """
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError as error:
        raise MissingDependencyError("jinja2", extra="migration", needed_for="A report as a page") from error
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    source = files("ia_modules.vector_stores.migration").joinpath(_TEMPLATE).read_text(encoding="utf-8")
    page: str = environment.from_string(source).render(_contents(report))
    return page


def write_html(report: VerificationReport, path: str | PathLike[str]) -> None:
    """Write the page into a file, which stays as it was if anything fails.

    Raises:
        MissingDependencyError: the package ``jinja2`` is not installed.
        OSError: the file can't be written.
    """
    # What can't be encoded has been escaped already; a page must never fail for the sake of an id.
    page = html_page(report).encode("utf-8", "backslashreplace")
    replace_file(Path(path), page, mode=0o666)


def _contents(report: VerificationReport) -> dict[str, Any]:
    worst = sorted(report.namespaces, key=lambda one: (-_faults(one), one.target))
    groups = []
    for kind in FINDING_KINDS:
        if count := report.counts.get(kind, 0):
            listed = [one for one in report.findings if one.kind == kind][:_FINDINGS_OF_A_KIND]
            groups.append(
                {
                    "kind": kind.replace("_", " "),
                    "meaning": _MEANINGS[kind],
                    "count": f"{count:,}",
                    "rows": [finding_cells(one)[1:] for one in listed],
                    "more": count - len(listed),
                    "open": count <= _OPEN_UP_TO,
                }
            )
    return {
        "report": report,
        "sides": (("Source", report.source), ("Target", report.target)),
        "tiles": _tiles(report),
        "plots": _plots(report, worst),
        "heads": NAMESPACE_HEADS,
        "namespaces": [(namespace_cells(one), one) for one in worst[:_NAMESPACES_IN_TABLE]],
        "more_namespaces": max(0, len(worst) - _NAMESPACES_IN_TABLE),
        "groups": groups,
        "facts": facts(report),
        "printable": printable,
        "row": _ROW,
    }


def _faults(one: NamespaceVerification) -> int:
    return one.missing + one.altered + one.extra


def _tiles(report: VerificationReport) -> list[tuple[str, str, bool]]:
    """Heading, value, and whether it is bad."""
    same = sum(one.matched for one in report.namespaces)
    total = sum(report.counts.values())
    tiles = [
        ("documents compared", f"{report.compared:,}", False),
        ("the same on both sides", f"{same:,}", same < report.compared),
        ("findings", f"{total:,}", total > 0),
        ("largest deviation", short(report.max_deviation), report.max_deviation > report.tolerance),
    ]
    if (one := report.searches) is not None:
        tiles.append((f"recall@{one.top_k}", f"{one.mean_recall:.3f}", False))
    return tiles


def _plots(report: VerificationReport, worst: Sequence[NamespaceVerification]) -> list[_Plot]:
    plots = []
    if worst:
        plots.append(_namespaces_plot(worst))
    if sum(report.deviations.counts):
        title, caption = "Vectors by deviation", f"largest of each vector's numbers; {report.tolerance:.0e} is allowed"
        plots.append(_histogram_plot(title, caption, report.deviations, report.tolerance))
    if (one := report.searches) is not None:
        how = "the same searches on both sides" if one.how == "both sides" else "compared with exact scores"
        plots.append(_histogram_plot(f"Searches by recall@{one.top_k}", f"{one.queries} searches; {how}", one.recall))
        title = "Results by difference of scores"
        caption = f"{short(one.mean_difference)} on average, {short(one.max_difference)} at most"
        plots.append(_histogram_plot(title, caption, one.differences))
    return plots


def _histogram_plot(title: str, caption: str, histogram: Histogram, allowed: float | None = None) -> _Plot:
    """Bars of a histogram; those of values above what is allowed stand out."""
    most = max(histogram.counts) or 1
    bars = []
    for at, (label, count) in enumerate(zip(histogram.labels, histogram.counts, strict=True)):
        limit = float("inf") if label.startswith(">") else float(label.lstrip("≤< "))
        look = "target" if allowed is None else "good" if limit <= allowed else "bad"
        bars.append(_Bar(label, at * _ROW, _length(count, most), f"{count:,}", look))
    return _Plot(title, caption, tuple(bars), len(bars) * _ROW)


def _namespaces_plot(worst: Sequence[NamespaceVerification]) -> _Plot:
    shown = worst[:_NAMESPACES_IN_PLOT]
    most = max(max(one.source_count, one.target_count or 0) for one in shown) or 1
    bars: list[_Bar] = []
    for one in shown:
        label = namespace_cells(one)[0]
        label = label if len(label) <= 13 else label[:12] + "…"
        there = one.target_count
        look = "bad" if _faults(one) else "target"
        for name, count, color in ((label, one.source_count, "source"), ("", there, look)):
            value = "?" if count is None else f"{count:,}"
            bars.append(_Bar(name, len(bars) * _ROW, _length(count or 0, most), value, color))
    caption = "above: source, below: target" + ("; those with most differences" if len(worst) > len(shown) else "")
    return _Plot("Documents by namespace", caption, tuple(bars), len(bars) * _ROW)


def _length(count: int, most: int) -> float:
    """Of a bar; one that stands for anything at all can be seen."""
    return 0.0 if not count else max(2.0, round((_WIDTH - _LEFT - _RIGHT) * count / most, 1))
