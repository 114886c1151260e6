"""Whether two documents are the same, as far as a migration has to carry them."""

from __future__ import annotations

import numpy as np

from ia_modules.vector_stores.migration.hashing import canonical_metadata, vector_deviations
from ia_modules.vector_stores.models import VectorDocument

__all__ = ["TOLERANCE", "same_content"]

TOLERANCE = 1e-6
"""How much each number of a vector may differ, relative to itself; where a database scales vectors, it rounds them."""


def same_content(one: VectorDocument, other: VectorDocument, *, vectors: bool = True) -> bool:
    """Whether text, metadata (types included) and vector are the same; ids are not looked at.

    Args:
        one: a document.
        other: another one.
        vectors: whether vectors count, of which each number may differ by a millionth of itself.
    """
    if one.text != other.text or one.metadata != other.metadata:
        return False
    # 1, 1.0 and True are equal in Python, and are not here.
    if one.metadata and canonical_metadata(one.metadata) != canonical_metadata(other.metadata):
        return False
    if not vectors:
        return True
    a, b = one.vector.array, other.vector.array
    if a.shape != b.shape:
        return False
    return np.array_equal(a, b) or bool((vector_deviations(a[None, :], b[None, :]) <= TOLERANCE).all())
