"""Running hypothesis inside a case, with a fixed seed unless another is asked for."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from ia_modules.vector_stores.testing.case import Scale

__all__ = ["generated", "generation_settings"]


def generation_settings(scale: Scale, examples: int, steps: int = 50) -> settings:
    """Hypothesis settings for so many examples."""
    phases = [Phase.generate, *([Phase.shrink] if scale.shrink else [])]
    return settings(
        max_examples=examples,
        derandomize=scale.seed is None,
        database=None,
        deadline=None,
        phases=phases,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
        report_multiple_bugs=False,
        stateful_step_count=steps,
    )


def generated(scale: Scale, examples: int) -> Callable[[Callable[[st.DataObject], None]], Callable[[], None]]:
    """Turn a function of generated data into one that runs it on many examples."""

    def decorate(check: Callable[[st.DataObject], None]) -> Callable[[], None]:
        test = generation_settings(scale, examples)(given(st.data())(check))
        return test if scale.seed is None else seed(scale.seed)(test)

    return decorate
