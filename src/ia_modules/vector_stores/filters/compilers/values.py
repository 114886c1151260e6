"""What the databases' numbers and dates have in common: doubles, and RFC 3339."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from ia_modules.vector_stores.filters.compilers.base import NotExpressible
from ia_modules.vector_stores.filters.evaluate import instant
from ia_modules.vector_stores.filters.nodes import Scalar

__all__ = ["LARGE_NUMBER", "by_kind", "is_number", "loosened", "rfc3339", "same_as_double", "survives"]

LARGE_NUMBER = "the database compares numbers as doubles, which can't tell integers beyond 2**53 from their neighbours"

_MAX = 1.7976931348623157e308


def is_number(value: Scalar) -> bool:
    """Whether the value is a number; True and False are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def by_kind(values: tuple[Scalar, ...]) -> tuple[list[str], list[bool], list[int | float]]:
    """The values apart: strings, booleans, numbers."""
    return (
        [v for v in values if isinstance(v, str)],
        [v for v in values if isinstance(v, bool)],
        [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)],
    )


def same_as_double(value: float | str | Scalar) -> bool:
    """Whether comparing with this value gives the same answer when both sides are rounded to doubles.

    Between 2**53 and 2**63 it may not: there, several storable integers share a double.
    """
    return not is_number(value) or not 2**53 <= abs(value) <= 2**63  # type: ignore[arg-type]


def survives(value: float) -> bool:
    """Whether a double comes through a JSON parser unchanged that takes a short cut.

    Chroma's and Qdrant's does (serde_json without its feature ``float_roundtrip``): it reads about a tenth of all
    doubles with an error in the last digit, or the last two. Up to 15 digits without an exponent are read exactly.
    Measured: of 3,000 random doubles in [0, 1), 330 changed in Chroma 1.5.9 and 315 in Qdrant 1.18.3, of those with
    15 digits none.
    """
    text = repr(value)
    return len(text) <= 16 and "e" not in text


def loosened(operator: str, value: float) -> tuple[str, float]:
    """A comparison with a double that holds wherever the given one does, whether or not sides are rounded."""
    upwards = operator in ("gt", "gte")
    bound = math.nextafter(float(value), -math.inf if upwards else math.inf)
    return ("gte" if upwards else "lte"), max(-_MAX, min(_MAX, bound))


def rfc3339(text: str, *, later: int = 0) -> str:
    """A valid ISO 8601 date in the notation that every database reads, ``later`` microseconds on.

    Raises:
        NotExpressible: the moment is outside the years 1 to 9999 in UTC.
    """
    microseconds = instant(text)
    assert microseconds is not None
    try:
        moment = datetime(1, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds + later)
    except OverflowError:
        raise NotExpressible("a date outside the years 1 to 9999 in UTC has no RFC 3339 form") from None
    return moment.isoformat().removesuffix("+00:00") + "Z"
