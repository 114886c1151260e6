"""The ``conformance`` command: the kit on a live store, rule by rule."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from ia_modules.vector_stores.cli.session import UsageError, note
from ia_modules.vector_stores.config import VectorStoreConfig
from ia_modules.vector_stores.errors import MissingDependencyError

if TYPE_CHECKING:
    from ia_modules.vector_stores.testing import Case, Outcome, Report

__all__ = ["conformance_report", "show_report"]

_MARKS = {"holds": "holds", "gap": "refused", "fails": "FAILS"}
_COLOURS = {"holds": typer.colors.GREEN, "gap": typer.colors.YELLOW, "fails": typer.colors.RED}


def conformance_report(
    config: VectorStoreConfig, rules: Sequence[str], scale: float, seed: int | None, *, live: bool
) -> Report:
    """Run the kit.

    Args:
        config: where the kit may create and delete indexes; their names begin with the config's index name.
        rules: numbers of rules or sections; none for all.
        scale: factor on the number of generated filters and programs.
        seed: None for the kit's fixed one.
        live: whether to name each case on standard error while it runs.

    Raises:
        UsageError: there is no such rule.
        MissingDependencyError: hypothesis is not installed.
    """
    if importlib.util.find_spec("hypothesis") is None:
        raise MissingDependencyError("hypothesis", extra="testing", needed_for="The conformance kit")
    from ia_modules.vector_stores.testing import CASES, ConformanceTarget, Report, Scale, run_conformance
    from ia_modules.vector_stores.testing.runner import check_target

    cases: list[Case] = [one for one in CASES if not rules or {one.rule.id, one.rule.section} & set(rules)]
    known = {one.rule.id for one in CASES} | {one.rule.section for one in CASES}
    if unknown := [rule for rule in rules if rule not in known]:
        raise UsageError(f"no rule or section {', '.join(unknown)}; docs/semantics.md lists them")
    target = ConformanceTarget(config)
    check_target(target)
    done = 0

    def progress(outcome: Outcome) -> None:
        nonlocal done
        done += 1
        if live:
            note(f"{done:3} of {len(cases)}  {_MARKS[outcome.verdict]:7} {outcome.seconds:6.1f} s  {outcome.case.name}")

    return Report.of(target, run_conformance(target, cases, scale=Scale(seed=seed).times(scale), progress=progress))


def show_report(report: Report) -> None:
    """Write a report for people."""
    packages = ", ".join(f"{name} {number}" for name, number in report.versions.items())
    typer.echo(f"{report.provider}  {report.store}\n{packages}\n")
    width = max((len(one.rule.id) for one in report.rules), default=0)
    for one in report.rules:
        mark = typer.style(f"{_MARKS[one.verdict]:7}", fg=_COLOURS[one.verdict])
        typer.echo(f"{one.rule.id:{width}}  {mark}  {one.rule.text}")
        indent = " " * (width + 11)
        for gap in one.gaps:
            typer.echo(f"{indent}{gap}")
        for outcome in one.outcomes:
            if outcome.verdict == "fails":
                message = outcome.message.replace("\n", f"{os.linesep}{indent}  ")
                typer.echo(f"{indent}{outcome.case.name}: {message}")
    verdicts = [one.verdict for one in report.rules]
    counted = ", ".join(f"{verdicts.count(verdict)} {word.lower()}" for verdict, word in _summary(verdicts))
    typer.echo(f"\n{len(report.outcomes)} cases of {len(report.rules)} rules: {counted}")


def _summary(verdicts: Sequence[Any]) -> list[tuple[Any, str]]:
    words = (("holds", "hold"), ("gap", "refuse a part, as declared"), ("fails", "fail"))
    return [(verdict, word) for verdict, word in words if verdict in verdicts]
