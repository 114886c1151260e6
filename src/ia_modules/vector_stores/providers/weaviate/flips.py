"""Vectors that Weaviate can tell from those that it may have stored already.

Weaviate does not index a vector again that equals the stored one. If a write is cut off after the object was stored
and before its vector was indexed, the same write sent again is acknowledged, and no search ever finds the object
(measured with 1.38.11: 237 of 1,000 objects of writes that were cancelled once). So the last bit of some numbers is
flipped when a vector is written: other ones in each process, and other ones after a write that failed. That changes a
number by 1.2e-7 of its size at most. All documents that a process writes have the same bits flipped, so that equal
vectors stay equal; and which bits they are is stored beside the vector, so that it is read as it was given.
"""

from __future__ import annotations

from functools import lru_cache
from secrets import token_bytes

import numpy as np
from numpy.typing import NDArray

__all__ = ["FLIPS", "Flips", "unflipped"]

_NUMBERS = 64
"""Numbers of a vector, from the first on, whose last bit may be flipped. Two choices are the same for a vector once in
2^n times, if n of those numbers are not zero."""


class Flips:
    """The present choice.

    Attributes:
        name: it in hexadecimal digits, to be stored.
    """

    def __init__(self) -> None:
        self.name = ""

    def renew(self) -> None:
        """Choose anew, as a write has failed that may have been done in part."""
        self.name = token_bytes(_NUMBERS // 8).hex()

    def applied(self, rows: NDArray[np.float32]) -> tuple[NDArray[np.float32], str]:
        """A copy of vectors (one a row) with bits flipped, and the name of the choice; zeros stay what they are."""
        if not self.name:
            self.renew()
        name = self.name  # stores of other threads may renew it
        return _flipped(rows, name), name


FLIPS = Flips()
"""Those of this process."""


def unflipped(vector: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    """A vector as it was given, from the stored one and the name of its flips."""
    return np.asarray(_flipped(vector[None, :], name)[0])


def _flipped(rows: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    flipped: NDArray[np.float32] = np.array(rows, dtype="<f4", order="C")
    some = flipped.view("<u4")[:, :_NUMBERS]
    # Twice the number as bits is 0 for both zeros, whose last bit flipped would be the smallest number there is.
    some ^= _bits(name)[: some.shape[1]] & (some << 1 != 0)
    return flipped


@lru_cache(maxsize=64)
def _bits(name: str) -> NDArray[np.uint32]:
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(name), dtype=np.uint8))[:_NUMBERS].astype("<u4")
    bits.flags.writeable = False
    return bits
