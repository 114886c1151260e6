"""Running cases, one after the other, each on an event loop of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from ia_modules.vector_stores.testing.case import Case, Context, Scale
from ia_modules.vector_stores.testing.compare import ConformanceError
from ia_modules.vector_stores.testing.target import ConformanceTarget

__all__ = ["Outcome", "check_target", "run_case", "run_conformance"]

Verdict = Literal["holds", "gap", "fails"]

_LONGEST = 1_800.0
"""Seconds after which a case that hangs is given up."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one case.

    Attributes:
        case: the case.
        verdict: ``holds``; ``gap`` if the provider refuses, as it declares, part of what the case asks; or ``fails``.
        message: why it fails.
        gaps: what is refused.
        seconds: how long it took.
        error: the exception of a failure.
    """

    case: Case
    verdict: Verdict
    message: str
    gaps: tuple[str, ...]
    seconds: float
    error: BaseException | None = None


def run_case(case: Case, target: ConformanceTarget, scale: Scale | None = None) -> Outcome:
    """Run one case; whatever happens in it becomes an outcome."""
    started = time.perf_counter()
    gaps: list[str] = []
    error: BaseException | None = None
    try:
        with asyncio.Runner() as runner:
            context = Context(target, scale or Scale(), runner)
            gaps = context.gaps
            try:
                if case.asynchronous:
                    runner.run(_timed(case, context))
                else:
                    case.check(context)
            except BaseException:
                _close_after_failure(context)
                raise
            runner.run(context.close())
    except Exception as raised:  # noqa: BLE001 - it becomes the outcome
        error = raised
    seconds = time.perf_counter() - started
    if error is None:
        return Outcome(case, "gap" if gaps else "holds", "", tuple(gaps), seconds)
    return Outcome(case, "fails", _message(error), tuple(gaps), seconds, error)


async def _timed(case: Case, context: Context) -> None:
    check = case.check(context)
    assert check is not None
    async with asyncio.timeout(_LONGEST):
        await check


def _close_after_failure(context: Context) -> None:
    """Clean up; what goes wrong in it follows from the failure, which is what is reported."""
    try:
        context.run(context.close())
    except Exception:  # noqa: BLE001 - see above
        return


def _message(error: BaseException) -> str:
    text = str(error) if isinstance(error, ConformanceError) else f"{type(error).__name__}: {error}"
    return "\n".join([text, *getattr(error, "__notes__", ())])


def run_conformance(
    target: ConformanceTarget,
    cases: Iterable[Case],
    *,
    scale: Scale | None = None,
    progress: Callable[[Outcome], None] | None = None,
) -> list[Outcome]:
    """Run cases; ``progress`` hears of each outcome."""
    outcomes = []
    for case in cases:
        outcome = run_case(case, target, scale)
        outcomes.append(outcome)
        if progress is not None:
            progress(outcome)
    return outcomes


def check_target(target: ConformanceTarget) -> None:
    """Make sure that the kit can work there: two stores of one config see the same index.

    Raises:
        ValueError: they don't.
        VectorStoreError: the database can't be reached.
    """

    async def check(context: Context) -> bool:
        try:
            store = await context.store()
            return await context.again(store).index_exists()
        finally:
            await context.close()

    with asyncio.Runner() as runner:
        if not runner.run(check(Context(target, Scale(), runner))):
            raise ValueError(
                "each store of this config has documents of its own, and the kit opens an index more than once; "
                "name what they should share, as in memory://NAME/index"
            )
