"""A verification's report in a terminal, by the package ``rich``."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ia_modules.vector_stores.migration.verification_report import VerificationReport
from ia_modules.vector_stores.migration.verification_text import (
    NAMESPACE_HEADS,
    facts,
    finding_cells,
    namespace_cells,
    printable,
    shown_findings,
    side_line,
)

__all__ = ["render"]


def render(report: VerificationReport, console: Console | None = None) -> None:
    """Show a report.

    Args:
        report: the report.
        console: where; None for standard output.
    """
    # Text, and never a plain string, which could have markup in it: ids and namespaces are anybody's.
    out = console or Console()
    word = ("OK  ", "bold green") if report.ok else ("NOT OK  ", "bold red")
    out.print(Text.assemble(word, report.verdict))
    for name, side in (("source", report.source), ("target", report.target)):
        out.print(Text.assemble((f"{name}  ", "dim"), side_line(side)))
    out.print(_namespaces(report))
    for fact in facts(report):
        out.print(Text(fact))
    for note in report.notes:
        out.print(Text(f"note: {printable(note)}", "yellow"))
    if report.findings:
        out.print(_findings(report))
    if more := sum(report.counts.values()) - len(shown_findings(report)):
        out.print(Text(f"and {more:,} more", "dim"))


def _namespaces(report: VerificationReport) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column(NAMESPACE_HEADS[0], overflow="fold")
    for head in NAMESPACE_HEADS[1:]:
        table.add_column(head, justify="right", no_wrap=True)
    for one in report.namespaces:
        name, *numbers = namespace_cells(one)
        bad = ("", "", "", "red", "red", "red")
        cells = [Text(number, style if number != "0" else "") for number, style in zip(numbers, bad, strict=True)]
        table.add_row(Text(name), *cells)
    return table


def _findings(report: VerificationReport) -> Table:
    table = Table(box=None, pad_edge=False)
    for head, style in (("finding", "red"), ("namespace", ""), ("id", "bold"), ("what", "")):
        table.add_column(head, style=style, overflow="fold")
    for finding in shown_findings(report):
        table.add_row(*map(Text, finding_cells(finding)))
    return table
