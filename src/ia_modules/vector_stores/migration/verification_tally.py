"""Counting what a verification finds; the counts are exact, the list is bounded."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ia_modules.vector_stores.migration.hashing import HASH_BYTES, vector_key
from ia_modules.vector_stores.migration.verification_compare import Outcome, compare_documents, sum_of_hashes
from ia_modules.vector_stores.migration.verification_ledger import Entry, Ledger
from ia_modules.vector_stores.migration.verification_report import (
    FINDING_KINDS,
    Finding,
    FindingKind,
    Histogram,
    NamespaceVerification,
)
from ia_modules.vector_stores.models import VectorDocument

__all__ = ["BITS", "DEVIATION_BINS", "UNCOMPARABLE", "Bins", "Tally"]

BITS: Mapping[FindingKind, int] = {kind: 1 << place for place, kind in enumerate(FINDING_KINDS)}
_ALTERED = sum(BITS[kind] for kind in ("vector", "dimension", "metadata", "metadata_type", "text"))
UNCOMPARABLE = sum(BITS[kind] for kind in ("missing", "vector", "dimension", "duplicate"))
"""Findings of a document that make searches find it elsewhere, or not at all."""
DEVIATION_BINS = (0.0, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)


class Bins:
    """A histogram of values from 0 on that need not be kept.

    Args:
        limits: upper limits of the bins, each in its bin; one more bin has what is larger.
    """

    def __init__(self, limits: Sequence[float]) -> None:
        self._limits = limits
        self._counts = [0] * (len(limits) + 1)
        self.total = 0
        self.sum = 0.0
        self.largest = 0.0

    def add(self, values: Iterable[float]) -> None:
        """Count values."""
        for value in values:
            self._counts[bisect_left(self._limits, value)] += 1
            self.total += 1
            self.sum += value
            self.largest = max(self.largest, value)

    def histogram(self) -> Histogram:
        """What was counted."""
        labels = ["0" if limit == 0 else f"≤ {limit:g}" for limit in self._limits]
        return Histogram((*labels, f"> {self._limits[-1]:g}"), tuple(self._counts))


@dataclass(slots=True)
class _Numbers:
    """Of one namespace of the target."""

    seen: int = 0
    missing: int = 0
    altered: int = 0
    extra: int = 0
    there: int | None = None
    ours: int = 0
    theirs: int = 0
    sources: list[str] = field(default_factory=list)

    def count(self, entry: Entry, step: int) -> None:
        bits, ours, theirs, _ = entry
        self.seen += step
        self.missing += step * bool(bits & BITS["missing"])
        self.altered += step * bool(bits & _ALTERED)
        nothing = bytes(HASH_BYTES)
        self.ours = sum_of_hashes(self.ours, *((ours, nothing) if step > 0 else (nothing, ours)))
        self.theirs = sum_of_hashes(self.theirs, *((theirs, nothing) if step > 0 else (nothing, theirs)))


class Tally:
    """What was found so far.

    Args:
        tolerance: largest relative deviation of a number in a vector.
        most: findings of each kind that are listed.
        repeats: whether an id of the source may come more than once in a namespace of the target.
    """

    def __init__(self, tolerance: float, most: int, *, repeats: bool) -> None:
        self.ledger = Ledger()
        self.deviations = Bins(DEVIATION_BINS)
        self.repeated = 0
        self._tolerance = tolerance
        self._most = most
        self._repeats = repeats
        self._counts: Counter[FindingKind] = Counter()
        self._listed: dict[FindingKind, dict[object, Finding]] = {kind: {} for kind in FINDING_KINDS}
        self._numbers: dict[str, _Numbers] = {}

    def numbers(self, namespace: str) -> _Numbers:
        """Of a namespace of the target."""
        return self._numbers.setdefault(namespace, _Numbers())

    @property
    def compared(self) -> int:
        """Distinct documents of the source so far."""
        return sum(numbers.seen for numbers in self._numbers.values())

    def add(self, kind: FindingKind, namespace: str | None, id: str | None, description: str) -> None:
        """Count a finding, and list it if there is room."""
        self._counts[kind] += 1
        listed = self._listed[kind]
        if len(listed) < self._most:
            listed[(namespace, id) if id is not None else object()] = Finding(kind, namespace, id, description)

    def compare(
        self,
        namespace: str,
        documents: Sequence[VectorDocument],
        copies: Mapping[str, VectorDocument],
        keys: Sequence[bytes],
    ) -> None:
        """Compare documents with their copies in a namespace of the target, and count what is found.

        Args:
            namespace: of the target.
            documents: of the source.
            copies: of the target, by id.
            keys: of the documents, for the ledger.
        """
        compared = compare_documents(documents, copies, self._tolerance)
        self.deviations.add(compared.deviations)
        entries = self.ledger.find(keys)
        changed: dict[bytes, Entry] = {}
        for document, outcome, key in zip(documents, compared.outcomes, keys, strict=True):
            changed[key] = entries[key] = self._count(namespace, document, outcome, entries.get(key))
        self.ledger.put(changed)

    def _count(self, namespace: str, document: VectorDocument, outcome: Outcome, before: Entry | None) -> Entry:
        numbers = self.numbers(namespace)
        bits = 0
        vector = vector_key(document.vector) if self._repeats else b""
        if before is not None:
            # The id came before: the last document counts, as it does when they are written.
            self._retract(namespace, document.id, before[0])
            numbers.count(before, -1)
            if before[0] & BITS["duplicate"] or (before[1], before[3]) != (outcome.expected, vector):
                bits |= BITS["duplicate"]
                text = "more than once in the source, with different contents; the last one counts"
                self.add("duplicate", namespace, document.id, text)
            else:
                self.repeated += 1
        for kind, description in outcome.differences:
            bits |= BITS[kind]
            self.add(kind, namespace, document.id, description)
        entry = (bits, outcome.expected, outcome.found, vector)
        numbers.count(entry, 1)
        return entry

    def _retract(self, namespace: str, id: str, bits: int) -> None:
        for kind, bit in BITS.items():
            if bits & bit:
                self._counts[kind] -= 1
                self._listed[kind].pop((namespace, id), None)

    def counts(self) -> dict[FindingKind, int]:
        """How many findings of each kind there are."""
        return {kind: self._counts[kind] for kind in FINDING_KINDS if self._counts[kind]}

    def findings(self) -> tuple[Finding, ...]:
        """Those that are listed."""
        return tuple(finding for kind in FINDING_KINDS for finding in self._listed[kind].values())

    def namespaces(self) -> tuple[NamespaceVerification, ...]:
        """What is in each namespace."""
        return tuple(
            NamespaceVerification(
                source=tuple(one.sources),
                target=name,
                source_count=one.seen,
                target_count=one.there,
                matched=one.seen - one.missing - one.altered,
                altered=one.altered,
                missing=one.missing,
                extra=one.extra,
                source_hash=f"{one.ours:0{2 * HASH_BYTES}x}",
                target_hash=f"{one.theirs:0{2 * HASH_BYTES}x}",
            )
            for name, one in sorted(self._numbers.items())
        )
