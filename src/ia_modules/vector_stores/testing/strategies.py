"""Hypothesis strategies for what goes into a store: ids, vectors, metadata, documents and filters.

Fields and values come from small pools that both share, so that generated filters often hold; the pools are made of
the cases where databases differ.
"""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from ia_modules.vector_stores.filters import And, Condition, Node, Not, Or
from ia_modules.vector_stores.models import VectorDocument

__all__ = [
    "conditions",
    "documents",
    "filters",
    "floats",
    "ids",
    "integers",
    "metadata",
    "stored_scalars",
    "strings",
    "texts",
    "trees",
    "values",
    "vectors",
]

FIELDS = ("a", "b", "a.b", "a.b.c", "b.c", "odd key", "ключ", "_x-1")

STRINGS = (
    "",
    " ",
    "red",
    "Red",
    "red ",
    "réd",
    "re\u0301d",
    "1",
    "true",
    "null",
    "[]",
    '"',
    "it's",
    "a.b",
    "\U0001f600",
)
DATES = (
    "2024-05-01",
    "20240501",
    "2024-W18-3",
    "2024-05-01T00:00:00Z",
    "2024-05-01T00:00:00.000001Z",
    "2024-05-01T00:00:00.0000009Z",
    "2024-05-01 02:00:00+02:00",
    "2024-05-01T23:30",
    "2024-05-02",
    "1999-12-31T23:59:59.999999-05:00",
)
NOT_DATES = ("2024-5-1", " 2024-05-01", "2024-05-01 UTC", "2024-13-01", "2024")
BOUNDARIES = (2**53 - 1, 2**53, 2**53 + 1, 2**63 - 1, -(2**63), -(2**53) - 1)


def strings() -> st.SearchStrategy[str]:
    """Strings at which databases differ, and any others."""
    return st.sampled_from(STRINGS + DATES + NOT_DATES) | st.text(st.characters(exclude_categories=["Cs"]), max_size=3)


def integers() -> st.SearchStrategy[int]:
    """Integers of 64 bits, most of them near a boundary."""
    return st.integers(-3, 3) | st.sampled_from(BOUNDARIES) | st.integers(-(2**63), 2**63 - 1)


def floats() -> st.SearchStrategy[float]:
    """Finite doubles."""
    pool = st.sampled_from([-0.0, 0.5, 1.0, 2.0, 2.0**53, 2.0**53 + 2, 2.0**63, 1e300])
    return pool | st.floats(allow_nan=False, allow_infinity=False)


def stored_scalars() -> st.SearchStrategy[object]:
    """Scalars that metadata may hold, None among them."""
    return st.none() | st.booleans() | integers() | floats() | strings()


def values(max_leaves: int = 5) -> st.SearchStrategy[object]:
    """Anything that metadata may hold under a key."""
    keys = st.sampled_from(["b", "c", "b.c", ""])
    return stored_scalars() | st.recursive(
        stored_scalars(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=2),
        max_leaves=max_leaves,
    )


def metadata() -> st.SearchStrategy[dict[str, object]]:
    """Metadata of one document."""
    return st.dictionaries(st.sampled_from(FIELDS), values(), max_size=4)


def numbers_to_compare() -> st.SearchStrategy[int | float]:
    """What a filter may ask for beyond what can be stored: infinities, integers of any size."""
    beyond = st.sampled_from([float("inf"), float("-inf"), 2**63, 2**64 + 1, -(2**63) - 1, 10**400, -(10**400)])
    return integers() | floats() | beyond


def conditions(fields: tuple[str, ...] = FIELDS) -> st.SearchStrategy[Condition]:
    """Every operator with every kind of value it takes."""
    field = st.sampled_from(fields)
    present = st.booleans() | numbers_to_compare() | strings()
    scalar = st.none() | present
    return st.one_of(
        st.builds(Condition, field, st.sampled_from(["eq", "ne"]), scalar),
        st.builds(Condition, field, st.sampled_from(["in", "nin"]), st.lists(scalar, max_size=4)),
        st.builds(
            Condition,
            field,
            st.sampled_from(["gt", "gte", "lt", "lte"]),
            numbers_to_compare() | st.sampled_from(DATES) | strings(),
        ),
        st.builds(Condition, field, st.just("contains"), present),
        st.builds(Condition, field, st.sampled_from(["contains_any", "contains_all"]), st.lists(present, max_size=3)),
        st.builds(Condition, field, st.just("exists"), st.booleans()),
    )


def filters(depth: int = 4, fields: tuple[str, ...] = FIELDS) -> st.SearchStrategy[Node]:
    """Trees at most ``depth`` groups deep."""
    if depth == 0:
        return conditions(fields)
    inner = filters(depth - 1, fields)
    group = st.lists(inner, max_size=3).map(tuple)
    return st.one_of(conditions(fields), st.builds(And, group), st.builds(Or, group), st.builds(Not, inner))


def trees(leaves: Sequence[Node], depth: int = 3) -> st.SearchStrategy[Node]:
    """Trees over the given leaves."""
    if depth == 0:
        return st.sampled_from(leaves)
    inner = trees(leaves, depth - 1)
    group = st.lists(inner, min_size=1, max_size=3).map(tuple)
    return st.one_of(st.builds(And, group), st.builds(Or, group), st.builds(Not, inner), st.sampled_from(leaves))


def ids() -> st.SearchStrategy[str]:
    """Ids, most of them from a small pool so that they meet again."""
    return st.sampled_from(["a", "b", "A", "1", "01", "é", "a b"]) | st.text(
        st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8
    )


def texts() -> st.SearchStrategy[str | None]:
    """Texts, None and the empty one among them."""
    return st.none() | st.just("") | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)


def vectors(dimension: int = 3, *, zero: bool = True) -> st.SearchStrategy[list[float]]:
    """Vectors of about unit scale; small integers often, so that ties and, unless unwanted, zero vectors occur."""
    number = st.integers(-3, 3).map(float) | st.floats(-2, 2, width=32, allow_subnormal=False).map(
        lambda x: round(x, 3)
    )
    made = st.lists(number, min_size=dimension, max_size=dimension)
    return made if zero else made.filter(any)


def documents(dimension: int = 3, keys: st.SearchStrategy[str] | None = None) -> st.SearchStrategy[VectorDocument]:
    """Whole documents."""
    return st.builds(
        VectorDocument, id=ids() if keys is None else keys, vector=vectors(dimension), metadata=metadata(), text=texts()
    )
