"""Portable metadata filters: a tree, its meaning, its normal form, and each database's own form of it."""

from __future__ import annotations

from ia_modules.vector_stores.filters.evaluate import Predicate, matches, predicate, resolve
from ia_modules.vector_stores.filters.nodes import (
    MATCH_ALL,
    MATCH_NONE,
    OPERATORS,
    And,
    Condition,
    FilterLike,
    Node,
    Not,
    Or,
    all_of,
    any_of,
    as_node,
    not_,
    operators_in,
)
from ia_modules.vector_stores.filters.normalize import normalize
from ia_modules.vector_stores.filters.serialize import from_json, to_json
from ia_modules.vector_stores.filters.where import WhereSyntaxError, parse_where, to_where

__all__ = [
    "MATCH_ALL",
    "MATCH_NONE",
    "OPERATORS",
    "And",
    "Condition",
    "FilterLike",
    "Node",
    "Not",
    "Or",
    "Predicate",
    "WhereSyntaxError",
    "all_of",
    "any_of",
    "as_node",
    "from_json",
    "matches",
    "normalize",
    "not_",
    "operators_in",
    "parse_where",
    "predicate",
    "resolve",
    "to_json",
    "to_where",
]
