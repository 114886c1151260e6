"""What a run of the kit found, rule by rule."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ia_modules.vector_stores.testing.rules import RULES, Rule
from ia_modules.vector_stores.testing.runner import Outcome, Verdict
from ia_modules.vector_stores.testing.target import ConformanceTarget

__all__ = ["Report", "RuleReport"]


@dataclass(frozen=True, slots=True)
class RuleReport:
    """One rule, and what came of its cases.

    Attributes:
        rule: the rule.
        outcomes: of its cases.
    """

    rule: Rule
    outcomes: tuple[Outcome, ...]

    @property
    def verdict(self) -> Verdict:
        """``fails`` if a case does, else ``gap`` if the provider refuses a part as declared, else ``holds``."""
        verdicts = {outcome.verdict for outcome in self.outcomes}
        return "fails" if "fails" in verdicts else "gap" if "gap" in verdicts else "holds"

    @property
    def gaps(self) -> list[str]:
        """What is refused, as declared."""
        return list(dict.fromkeys(gap for outcome in self.outcomes for gap in outcome.gaps))


@dataclass(frozen=True, slots=True)
class Report:
    """A whole run.

    Attributes:
        provider: the provider's name.
        store: where, as a URL without secrets.
        rules: those of which cases were run, in their order.
        versions: of the packages that took part.
    """

    provider: str
    store: str
    rules: tuple[RuleReport, ...]
    versions: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, target: ConformanceTarget, outcomes: Sequence[Outcome]) -> Report:
        """A report of a run."""
        store = target.store(target.config.index_name)
        rules = []
        for rule in RULES.values():
            mine = tuple(outcome for outcome in outcomes if outcome.case.rule == rule)
            if mine:
                rules.append(RuleReport(rule, mine))
        url = target.config.model_copy(update={"options": {}}).to_url()
        packages = ["ia-modules-vector-stores", *store.client_packages]
        return cls(store.provider, url, tuple(rules), _versions(packages))

    @property
    def outcomes(self) -> list[Outcome]:
        """All outcomes, in the order of the rules."""
        return [outcome for rule in self.rules for outcome in rule.outcomes]

    @property
    def failures(self) -> list[Outcome]:
        """Those that failed."""
        return [outcome for outcome in self.outcomes if outcome.verdict == "fails"]

    @property
    def conforms(self) -> bool:
        """Whether every rule holds, or is refused as declared."""
        return not self.failures

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "provider": self.provider,
            "store": self.store,
            "versions": self.versions,
            "conforms": self.conforms,
            "cases": len(self.outcomes),
            "failures": len(self.failures),
            "rules": [
                {
                    "rule": one.rule.id,
                    "text": one.rule.text,
                    "verdict": one.verdict,
                    "gaps": one.gaps,
                    "cases": [
                        {
                            "name": outcome.case.name,
                            "verdict": outcome.verdict,
                            "message": outcome.message or None,
                            "seconds": round(outcome.seconds, 3),
                        }
                        for outcome in one.outcomes
                    ],
                }
                for one in self.rules
            ],
        }


def _versions(packages: Iterable[str]) -> dict[str, str]:
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
