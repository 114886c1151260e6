"""In which format a column's vectors are, found from a sample of its values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ia_modules.vector_stores.migration.sql.vectors import shape_of

__all__ = ["Finding", "examined"]

_ENOUGH = 16
"""Numbers, from which on the spread of their magnitudes tells something."""

_WIDEST = 16.0
"""The standard deviation of magnitudes, in powers of 2: under 2 for embeddings, over 50 for bytes at random."""
_NOISE = 0.01


@dataclass(frozen=True, slots=True)
class Finding:
    """What a sample of a column looks like.

    Attributes:
        form: the format, or None if there is none or it can't be told.
        dimension: numbers per vector that most have; None if none is a vector.
        agreeing: how many values are vectors of that dimension.
        sampled: how many values there were, NULL not counted.
        doubt: why there is no format, or None.
    """

    form: str | None
    dimension: int | None
    agreeing: int
    sampled: int
    doubt: str | None = None

    @property
    def is_vectors(self) -> bool:
        """Whether the column holds vectors, by most of the sample."""
        return self.dimension is not None and self.agreeing * 2 > self.sampled


def examined(values: Sequence[Any], form: str | None, dimension: int | None) -> Finding:
    """Find format and dimension.

    Args:
        values: a sample; NULL is passed over.
        form: the format, if it is named.
        dimension: numbers per vector, if named or known from the column's type.
    """
    values = [value for value in values if value is not None]
    if not values:
        return Finding(form, dimension, 0, 0)
    doubt = None
    if form is None:
        form, doubt = _format(values, dimension)
    if form is None:
        raw = [len(value) for value in values if isinstance(value, bytes | bytearray | memoryview)]
        agreeing = Counter(raw).most_common(1)[0][1] if raw and doubt == _AMBIGUOUS else 0
        return Finding(None, None, agreeing, len(values), doubt)
    sizes: Counter[int] = Counter()
    for value in values:
        try:
            sizes[shape_of(value, form)] += 1
        except ValueError as error:
            doubt = str(error)
    if not sizes:
        return Finding(None, None, 0, len(values), doubt)
    found, agreeing = (dimension, sizes[dimension]) if dimension else sizes.most_common(1)[0]
    return Finding(form, found, agreeing, len(values))


_AMBIGUOUS = (
    "its bytes can be read as float32 and as float64; say which with vector_format=, or how many numbers a vector "
    "has with dimension="
)


def _format(values: Sequence[Any], dimension: int | None) -> tuple[str | None, str | None]:
    """The format that most values have, and what is in doubt."""
    kinds = Counter(_look(value) for value in values)
    (form, _), *_ = kinds.most_common()
    if form == "pickle":
        return None, "its values are pickled, which are not read as that would run code"
    if form != "raw":
        return (None, "its values are no vectors") if form == "none" else (form, None)
    return _width([bytes(value) for value in values if _look(value) == "raw"], dimension)


def _look(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "array"
    if isinstance(value, str):
        return "json" if value.lstrip()[:1] == "[" else "none"
    if not isinstance(value, bytes | bytearray | memoryview):
        return "none"
    raw = bytes(value)
    if raw[:6] == b"\x93NUMPY":
        return "npy"
    if raw[:1] == b"\x80" and raw[-1:] == b"." and raw[1:2] in b"\x02\x03\x04\x05":
        return "pickle"
    if raw.lstrip()[:1] == b"[" and raw.rstrip()[-1:] == b"]":
        try:
            shape_of(raw, "json")
        except ValueError:
            return "raw"
        return "json"
    return "raw" if raw else "none"


def _width(raws: list[bytes], dimension: int | None) -> tuple[str | None, str | None]:
    """Whether bytes are float32 or float64, and what is in doubt."""
    size = Counter(map(len, raws)).most_common(1)[0][0]
    if dimension is not None:
        form = {4 * dimension: "float32", 8 * dimension: "float64"}.get(size)
        return form, None if form else f"its values have {size} bytes, which are not {dimension} numbers"
    together = b"".join(raw for raw in raws if len(raw) == size)
    single = _spread(np.frombuffer(together, "<f4").reshape(-1, size // 4)) if size % 4 == 0 else None
    double = _spread(np.frombuffer(together, "<f8").reshape(-1, size // 8)) if size % 8 == 0 else None
    if single is None and double is None:
        return None, "its bytes are no float32 and no float64 numbers"
    if double is None:
        return "float32", None
    if single is None:
        return "float64", None
    # Read in the wrong width, magnitudes are spread eight times as wide, or at random. But halves of doubles that
    # are all zero, as with small integers, look like any other number.
    halves = np.frombuffer(together, "<u4").reshape(-1, 2)
    if len(together) // 8 >= _ENOUGH and halves[:, 0].any():
        if single * 3 + _NOISE < double:
            return "float32", None
        if double * 3 + _NOISE < single:
            return "float64", None
    return None, _AMBIGUOUS


def _spread(numbers: NDArray[np.floating[Any]]) -> float | None:
    """How wide the magnitudes are spread, in powers of 2; None if these can't be the numbers of embeddings."""
    finite = np.isfinite(numbers).all(axis=1)
    if finite.mean() <= 0.5:  # one bad vector among many says nothing, bad ones all over do
        return None
    numbers = numbers[finite]
    magnitudes = np.abs(numbers[numbers != 0].astype(np.float64))
    if not magnitudes.size:
        return 0.0
    powers = np.log2(magnitudes)
    if not -27 <= float(np.median(powers)) <= 27:
        return None
    spread = float(powers.std())
    return spread if spread <= _WIDEST else None
