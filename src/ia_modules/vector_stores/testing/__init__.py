"""The conformance kit: what decides whether a provider is one.

In a provider's own tests, one import and one fixture run all of it with pytest::

    import pytest
    from ia_modules.vector_stores.testing.suite import *

    @pytest.fixture
    def conformance_target():
        return "mine://localhost:1234/kit"

``ia-vectors conformance --store URL`` does the same against a live store and prints what holds. The rules are those of
``docs/semantics.md``. The kit needs hypothesis: ``pip install "ia-modules-vector-stores[testing]"``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ia_modules.vector_stores.testing.case import Case, Scale
    from ia_modules.vector_stores.testing.cases import CASES
    from ia_modules.vector_stores.testing.report import Report
    from ia_modules.vector_stores.testing.rules import RULES, Rule
    from ia_modules.vector_stores.testing.runner import Outcome, run_case, run_conformance
    from ia_modules.vector_stores.testing.target import ConformanceTarget

_HOME = {
    "CASES": "cases",
    "RULES": "rules",
    "Case": "case",
    "ConformanceTarget": "target",
    "Outcome": "runner",
    "Report": "report",
    "Rule": "rules",
    "Scale": "case",
    "run_case": "runner",
    "run_conformance": "runner",
}

__all__ = [
    "CASES",
    "RULES",
    "Case",
    "ConformanceTarget",
    "Outcome",
    "Report",
    "Rule",
    "Scale",
    "run_case",
    "run_conformance",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
