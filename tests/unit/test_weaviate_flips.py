"""Last bits of vectors that are flipped when they are written."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ia_modules.vector_stores.providers.weaviate.flips import Flips, unflipped

NUMBERS = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(1, 100)), elements=NUMBERS))
def test_they_come_back_as_they_were(rows: np.ndarray) -> None:
    before = rows.copy()
    flipped, name = Flips().applied(rows)
    assert np.array_equal(rows, before)
    for given_row, row in zip(rows, flipped, strict=True):
        assert unflipped(row, name).tobytes() == given_row.tobytes()


@given(arrays(np.float32, (3, 80), elements=st.floats(-1e6, 1e6, width=32, allow_subnormal=False)))
def test_hardly_anything_changes(rows: np.ndarray) -> None:
    flipped, _ = Flips().applied(rows)
    assert np.allclose(flipped, rows, rtol=1.2e-7, atol=0)
    assert np.array_equal(flipped == 0, rows == 0)


def test_each_choice_makes_another_vector() -> None:
    flips, row = Flips(), np.ones((1, 64), dtype=np.float32)
    seen = set()
    for _ in range(50):
        seen.add(flips.applied(row)[0].tobytes())
        assert flips.applied(row)[0].tobytes() in seen
        flips.renew()
    assert len(seen) == 50
    assert Flips().applied(row)[0].tobytes() != Flips().applied(row)[0].tobytes()


def test_equal_vectors_stay_equal() -> None:
    rows = np.tile(np.linspace(-1, 1, 48, dtype=np.float32), (3, 1))
    flipped, _ = Flips().applied(rows)
    assert len({row.tobytes() for row in flipped}) == 1
