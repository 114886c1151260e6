"""A verification's report as plain text, and what its other forms share with that."""

from __future__ import annotations

from collections import Counter

from ia_modules.vector_stores.migration.verification_report import (
    Finding,
    NamespaceVerification,
    SideSummary,
    VerificationReport,
)

__all__ = [
    "NAMESPACE_HEADS",
    "facts",
    "finding_cells",
    "namespace_cells",
    "plain_text",
    "printable",
    "short",
    "shown_findings",
    "side_line",
]

_SHOWN, _OF_A_KIND_AT_A_TIME = 20, 3
NAMESPACE_HEADS = ("namespace", "source", "target", "same", "altered", "missing", "extra")


def plain_text(report: VerificationReport) -> str:
    """A report as lines of text, nothing in it that a terminal would obey."""
    lines = [f"{'OK' if report.ok else 'NOT OK'}: {report.verdict}", ""]
    lines += [f"{name}: {side_line(side)}" for name, side in (("source", report.source), ("target", report.target))]
    lines += ["", *_table([NAMESPACE_HEADS, *map(namespace_cells, report.namespaces)]), "", *facts(report)]
    lines += [f"note: {printable(note)}" for note in report.notes]
    shown = shown_findings(report)
    if shown:
        lines += ["", *_table([("finding", "namespace", "id", "what"), *map(finding_cells, shown)], left=4)]
    if more := sum(report.counts.values()) - len(shown):
        lines.append(f"and {more:,} more")
    return "\n".join(lines) + "\n"


def _table(rows: list[tuple[str, ...]], left: int = 1) -> list[str]:
    """Rows with their columns under one another, the first ``left`` of them to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if at < left else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def facts(report: VerificationReport) -> list[str]:
    """Sentences about what was compared."""
    rate = report.compared / report.seconds if report.seconds > 0 else 0.0
    took = f"{report.compared:,} documents in {report.seconds:.1f} s ({rate:,.0f}/s)"
    allowed = f"largest deviation in a vector {short(report.max_deviation)}, {report.tolerance:.0e} is allowed"
    sentences = [f"{took}; {allowed}"]
    if (one := report.searches) is not None:
        sentences.append(
            f"{one.queries} searches ({one.how}): recall@{one.top_k} {one.mean_recall:.4f}, "
            f"lowest {one.lowest_recall:.2f}; scores differ by {short(one.mean_difference)} on average, "
            f"{short(one.max_difference)} at most"
        )
    return sentences


def shown_findings(report: VerificationReport) -> list[Finding]:
    """Some findings for a terminal, of every kind; the page and JSON have all that are listed."""
    before: Counter[str] = Counter()
    rounds: list[tuple[int, int]] = []
    for place, finding in enumerate(report.findings):
        rounds.append((before[finding.kind] // _OF_A_KIND_AT_A_TIME, place))
        before[finding.kind] += 1
    return [report.findings[place] for place in sorted(place for _, place in sorted(rounds)[:_SHOWN])]


def namespace_cells(one: NamespaceVerification) -> tuple[str, ...]:
    """A namespace as a row of a table under :data:`NAMESPACE_HEADS`."""
    old = " + ".join(map(_named, one.source))
    name = _named(one.target) if one.source in ((one.target,), ()) else f"{old} → {_named(one.target)}"
    there = "?" if one.target_count is None else f"{one.target_count:,}"
    numbers = (one.matched, one.altered, one.missing, one.extra)
    return name, f"{one.source_count:,}", there, *(f"{number:,}" for number in numbers)


def side_line(side: SideSummary) -> str:
    """A side in one line."""
    parts = [printable(side.name)]
    if side.dimension is not None:
        parts.append(f"{side.dimension} dimensions")
    if side.metric is not None:
        parts.append(side.metric)
    return ", ".join(parts)


def finding_cells(finding: Finding) -> tuple[str, str, str, str]:
    """A finding as a row of a table: kind, namespace, id, description."""
    where = "" if finding.namespace is None else _named(finding.namespace)
    return finding.kind, where, "" if finding.id is None else printable(finding.id), printable(finding.description)


def short(value: float) -> str:
    """A small number to be read."""
    return f"{value:.1e}" if value else "0"


def printable(text: str) -> str:
    """Text with everything escaped that a terminal, or the eye, would take for something else."""
    return text if text.isprintable() else "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


def _named(namespace: str) -> str:
    return printable(namespace) or "(default)"
