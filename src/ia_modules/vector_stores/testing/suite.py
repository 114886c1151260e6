"""The kit for pytest: ``from ia_modules.vector_stores.testing.suite import *`` and a fixture ``conformance_target``.

The fixture gives a URL, a ``VectorStoreConfig`` or a ``ConformanceTarget``. Every case is a parameter of one test, so
there is none to override. ``IA_CONFORMANCE_SCALE=10`` generates ten times as many filters and programs;
``IA_CONFORMANCE_SEED=7`` others than everybody else's.
"""

from __future__ import annotations

import os
from typing import Any

import pytest

from ia_modules.vector_stores.testing.case import Case, Scale
from ia_modules.vector_stores.testing.cases import CASES
from ia_modules.vector_stores.testing.runner import check_target, run_case
from ia_modules.vector_stores.testing.target import ConformanceTarget

__all__ = ["test_conformance"]


def scale_of_environment() -> Scale:
    """How much to generate.

    Raises:
        ValueError: a variable is no number.
    """
    seed = os.environ.get("IA_CONFORMANCE_SEED")
    scale = Scale(seed=None if seed is None else int(seed))
    return scale.times(float(os.environ.get("IA_CONFORMANCE_SCALE", "1")))


_usable: set[tuple[str, type | None]] = set()
"""Targets of which it is known that the kit can work there."""


@pytest.mark.parametrize("conformance_case", CASES, ids=lambda case: case.name)
def test_conformance(conformance_target: Any, conformance_case: Case) -> None:
    """A rule of the portable semantics holds, or is refused as the provider declares."""
    __tracebackhide__ = True
    target = ConformanceTarget.of(conformance_target)
    key = (repr(target.config), target.store_class)
    if key not in _usable:
        check_target(target)
        _usable.add(key)
    outcome = run_case(conformance_case, target, scale_of_environment().times(target.scale))
    if outcome.verdict == "fails":
        rule = conformance_case.rule
        pytest.fail(f"rule {rule.id} is broken: {rule.text}\n{outcome.message}", pytrace=False)
