"""The fields of metadata that a filter can name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["named_values"]


def named_values(metadata: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every field that a filter can name with its value, in the order in which the evaluator looks; some come twice.

    Of two with the same name the first one counts: ``a.b`` is a key of that name before it is ``b`` inside of ``a``.
    """
    for key, value in metadata.items():
        yield prefix + key, value
    for key, value in metadata.items():
        if isinstance(value, dict) and "." not in key:
            yield from named_values(value, f"{prefix}{key}.")
