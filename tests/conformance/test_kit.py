"""The kit itself: it passes what is sound, catches what is broken, and reports both."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from mutants import MUTANTS, Sound

from ia_modules.vector_stores import VectorStoreConfig
from ia_modules.vector_stores.testing import CASES, RULES, ConformanceTarget, Outcome, Report, Scale, run_case
from ia_modules.vector_stores.testing.case import case
from ia_modules.vector_stores.testing.runner import check_target
from ia_modules.vector_stores.testing.suite import scale_of_environment

SCALE = Scale(filters=200, programs=20, documents=1_000, searches=20, shrink=False)
SEMANTICS = Path(__file__).resolve().parents[2] / "docs" / "semantics.md"


def target(kind: type[Sound]) -> ConformanceTarget:
    config = VectorStoreConfig(provider="memory", path=f"mutant-{kind.__name__}", index_name="kit")
    return ConformanceTarget(config, store_class=kind)


def outcomes_of(kind: type[Sound], rule: str) -> Iterator[Outcome]:
    for one in CASES:
        if one.rule.id == rule:
            yield run_case(one, target(kind), SCALE)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda kind: kind.__name__)
def test_a_broken_provider_is_caught(mutant: type[Sound]) -> None:
    rule = MUTANTS[mutant]
    failed = next((outcome for outcome in outcomes_of(mutant, rule) if outcome.verdict == "fails"), None)
    assert failed is not None, f"{mutant.__name__} passes rule {rule}"
    assert failed.message
    assert "internal error" not in failed.message


@pytest.mark.parametrize("rule", RULES)
def test_a_sound_provider_passes(rule: str) -> None:
    found = list(outcomes_of(Sound, rule))
    assert found, "no case checks this rule"
    assert [outcome.message for outcome in found if outcome.verdict == "fails"] == []


def test_there_are_enough_broken_providers() -> None:
    assert len(MUTANTS) >= 20
    assert {one.partition(".")[0] for one in MUTANTS.values()} == {rule.section for rule in RULES.values()}


def test_names_tell_the_rule() -> None:
    assert all(one.name.startswith(f"{one.rule.id}-") for one in CASES)
    assert len({one.name for one in CASES}) == len(CASES)
    assert all(one.check.__doc__ for one in CASES)


def test_a_case_can_not_be_replaced() -> None:
    def same_id_in_two_namespaces(_: object) -> None:
        """Always content."""

    with pytest.raises(ValueError, match="two cases"):
        case("1.1")(same_id_in_two_namespaces)


def test_the_rules_are_those_of_the_documentation() -> None:
    sections = re.split(r"^## ", SEMANTICS.read_text(), flags=re.MULTILINE)[1:]
    numbers = {re.match(r"\d", section)[0] for section in sections if re.match(r"\d", section)}  # type: ignore[index]
    assert {rule.section for rule in RULES.values()} <= numbers


def test_a_failure_names_rule_and_difference() -> None:
    mutant = next(kind for kind in MUTANTS if kind.__name__ == "LosesIntType")
    outcomes = [*outcomes_of(mutant, "2.1"), *outcomes_of(Sound, "9.5")]
    report = Report.of(target(mutant), outcomes)
    assert not report.conforms
    assert [one.rule.id for one in report.rules] == ["2.1", "9.5"]
    assert [one.verdict for one in report.rules] == ["fails", "gap"]
    data = report.to_json()
    assert data["failures"] == len(report.failures) >= 1
    messages = [one["message"] for one in data["rules"][0]["cases"] if one["message"]]
    assert any("found" in message and "expected" in message for message in messages)


def test_a_store_that_nobody_else_sees_is_refused() -> None:
    with pytest.raises(ValueError, match="memory://NAME/index"):
        check_target(ConformanceTarget.of("memory:///kit"))
    check_target(ConformanceTarget.of("memory://shared/kit"))


def test_scale_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert scale_of_environment() == Scale(filters=2_000, programs=200)
    monkeypatch.setenv("IA_CONFORMANCE_SCALE", "10")
    monkeypatch.setenv("IA_CONFORMANCE_SEED", "7")
    assert scale_of_environment() == Scale(filters=20_000, programs=2_000, seed=7)
