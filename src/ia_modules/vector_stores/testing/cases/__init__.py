"""The cases of the kit, a module for each section of the rules."""

from __future__ import annotations

from ia_modules.vector_stores.testing.case import registered
from ia_modules.vector_stores.testing.cases import (
    declarations,
    failure,
    filters,
    hybrid,
    identity,
    leaks,
    programs,
    search,
    storage,
    underway,
    validation,
)

__all__ = ["CASES"]

_SECTIONS = (identity, storage, validation, filters, search, hybrid, failure, underway, leaks, programs, declarations)

CASES = registered()
"""Every case, in the order of the rules."""
