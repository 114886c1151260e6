"""What a verification found: for programs, for a terminal, and as one page to look at."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "FINDING_KINDS",
    "Finding",
    "FindingKind",
    "Histogram",
    "NamespaceVerification",
    "SearchSummary",
    "SideSummary",
    "VerificationReport",
]

FindingKind: TypeAlias = Literal[
    "missing",
    "extra",
    "vector",
    "dimension",
    "metadata",
    "metadata_type",
    "text",
    "duplicate",
    "unreadable",
    "metric",
    "count",
    "search",
]
"""What can be wrong; ``docs/verification.md`` says what each one means."""

FINDING_KINDS: tuple[FindingKind, ...] = get_args(FindingKind)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it was promised.

    Attributes:
        kind: what is wrong.
        namespace: in the target; None if it is about the whole index.
        id: of the document; None where it is not about one.
        description: what exactly, without contents.
    """

    kind: FindingKind
    namespace: str | None
    id: str | None
    description: str


@dataclass(frozen=True, slots=True)
class SideSummary:
    """What one side is.

    Attributes:
        name: where it is; no secret in it.
        kind: the provider, or ``"sql"``, ``"parquet"``, ``"jsonl"``.
        dimension: numbers per vector; None if not known.
        metric: name of the metric; None if it has none.
    """

    name: str
    kind: str
    dimension: int | None
    metric: str | None


@dataclass(frozen=True, slots=True)
class NamespaceVerification:
    """What is in a namespace on both sides.

    Attributes:
        source: its names in the source, usually one; none if only the target has it.
        target: its name in the target.
        source_count: distinct documents that the source has.
        target_count: documents that the target has, as it counts them itself; None if not asked.
        matched: documents that are the same on both sides.
        altered: documents that are on both sides, but not the same.
        missing: documents that only the source has.
        extra: documents that only the target has.
        source_hash: over metadata and texts of all documents compared, hexadecimal; the order does not count.
        target_hash: the same over their copies.
    """

    source: tuple[str, ...]
    target: str
    source_count: int = 0
    target_count: int | None = None
    matched: int = 0
    altered: int = 0
    missing: int = 0
    extra: int = 0
    source_hash: str = ""
    target_hash: str = ""


@dataclass(frozen=True, slots=True)
class Histogram:
    """How often values fall into bins.

    Attributes:
        labels: of the bins.
        counts: how many values fall into each.
    """

    labels: tuple[str, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SearchSummary:
    """What a sample of searches came to.

    Attributes:
        how: ``"both sides"``: the same searches on both; ``"exact"``: the target's answers compared with exact scores
            over all of the source.
        queries: how many searches were compared.
        top_k: results of each.
        mean_recall: of the results that had to be there, the share that was; over all searches.
        lowest_recall: the same of the worst search.
        mean_difference: of a result's scores on both sides.
        max_difference: the largest one.
        recall: searches by recall.
        differences: results by difference of scores.
    """

    how: Literal["both sides", "exact"]
    queries: int
    top_k: int
    mean_recall: float
    lowest_recall: float
    mean_difference: float
    max_difference: float
    recall: Histogram
    differences: Histogram


@dataclass(frozen=True, slots=True)
class VerificationReport:
    """What a verification found.

    Attributes:
        source: the one side.
        target: the other side.
        namespaces: what is in each namespace of the target.
        counts: how many findings of each kind there are; kinds without any are left out.
        findings: the findings, a bounded number of each kind.
        compared: distinct documents of the source that were looked for in the target.
        deviations: vectors by their largest relative deviation.
        max_deviation: the largest one.
        tolerance: the deviation up to which a vector counts as the same.
        searches: what a sample of searches came to; None if there were none.
        notes: what a reader should know.
        started: when it began, ISO 8601 in UTC.
        seconds: how long it took.
        seed: what chose the searches.
    """

    source: SideSummary
    target: SideSummary
    namespaces: tuple[NamespaceVerification, ...] = ()
    counts: Mapping[FindingKind, int] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    compared: int = 0
    deviations: Histogram = Histogram((), ())
    max_deviation: float = 0.0
    tolerance: float = 1e-6
    searches: SearchSummary | None = None
    notes: tuple[str, ...] = ()
    started: str = ""
    seconds: float = 0.0
    seed: int = 0

    @property
    def ok(self) -> bool:
        """Whether the target holds what the source holds, and nothing else."""
        return not self.counts

    @property
    def verdict(self) -> str:
        """The outcome in one sentence."""
        if self.ok:
            return f"All {self.compared:,} documents of the source are in the target as they are."
        total = sum(self.counts.values())
        listed = ", ".join(f"{kind.replace('_', ' ')} {count:,}" for kind, count in self.counts.items())
        return f"{total:,} finding{'' if total == 1 else 's'}: {listed}."

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values, ``ok`` included."""
        return {"ok": self.ok} | asdict(self)

    def to_json(self) -> str:
        """The report as a JSON object, ``ok`` included."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)

    def to_text(self) -> str:
        """The report as lines of plain text, nothing in it that a terminal would obey."""
        from ia_modules.vector_stores.migration.verification_text import plain_text

        return plain_text(self)

    def render(self, console: Console | None = None) -> None:
        """Show the report in a terminal: with rich if it is installed, else as plain text.

        Args:
            console: where; None for standard output.
        """
        if console is None and find_spec("rich") is None:
            sys.stdout.write(self.to_text())
            return
        from ia_modules.vector_stores.migration.verification_terminal import render

        render(self, console)

    def write_html(self, path: str | PathLike[str]) -> None:
        """Write the report as one page that needs nothing else: no network, no scripts.

        The page takes the file's place when it is complete; if anything fails, the file stays as it was. This blocks
        for some milliseconds.

        Raises:
            MissingDependencyError: the package ``jinja2`` is not installed.
            OSError: the file can't be written.
        """
        from ia_modules.vector_stores.migration.html_report import write_html

        write_html(self, path)
