"""How long a write stays out of sight: a time, or a number of reads."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

__all__ = ["Lag", "Reads", "parsed_lag"]

_SPELLED = re.compile(r"(?P<number>\d+(\.\d+)?)\s*(?P<unit>ms|s|reads?)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Reads:
    """That many reads of a namespace don't see a write; the one after them does."""

    count: int


Lag = float | Reads
"""Seconds, or a number of reads; 0 for at once."""


def parsed_lag(value: Any) -> Lag:
    """The lag that was asked for: seconds, ``Reads(3)``, or a text such as "200ms", "1.5s" or "3reads".

    Raises:
        ValueError: it is negative, endless, or not understood.
    """
    if isinstance(value, Reads):
        if type(value.count) is not int or value.count < 0:
            raise ValueError(f"lag: the number of reads must be a whole number from 0, got {value.count!r}")
        return value
    if isinstance(value, str):
        found = _SPELLED.fullmatch(value.strip())
        if found is None:
            raise ValueError(f"lag must be like 0.2, 200ms, 1.5s or 3reads, got {value!r}")
        number, unit = found["number"], found["unit"] or "s"
        if unit.startswith("read"):
            if "." in number:
                raise ValueError(f"lag: the number of reads must be a whole number, got {value!r}")
            return Reads(int(number))
        return float(number) / (1000 if unit == "ms" else 1)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ValueError(f"lag must be a number of seconds from 0, Reads(n), or a text like 200ms, got {value!r}")
    return float(value)
