"""The settings of a pool, checked, and the defaults that stand for what the config says."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan
from typing import Any, Final

__all__ = ["FROM_CONFIG_SECONDS", "FROM_CONFIG_SIZE", "USUAL_MIN_SIZE", "PoolSettings", "make_settings"]


class _UnsetInt(int):
    """A default that can be told from the same number given by the caller."""


class _UnsetFloat(float):
    """Likewise."""


FROM_CONFIG_SIZE: Final[int] = _UnsetInt(10)
USUAL_MIN_SIZE: Final[int] = _UnsetInt(2)
FROM_CONFIG_SECONDS: Final[float] = _UnsetFloat(30.0)


@dataclass(slots=True)
class PoolSettings:
    """How a pool behaves; seconds throughout. The sizes may change later, the rest does not."""

    name: str
    max_size: int
    min_size: int
    min_size_given: bool
    timeout: float
    max_idle: float | None
    max_lifetime: float | None
    check_after: float | None
    max_waiting: int | None
    connect_timeout: float | None
    check_timeout: float
    disconnect_timeout: float

    def seconds(self, given: float | None) -> float | None:
        """The timeout that an argument of ``acquire`` means; None for no limit."""
        if isinstance(given, _UnsetFloat):
            return self.timeout
        if given is not None and isnan(given):
            raise ValueError("timeout must be a number of seconds, or None for no limit, not nan")
        return given

    def resize(self, min_size: int | None, max_size: int | None) -> None:
        """Set other sizes.

        Raises:
            ValueError: sizes that make no sense together; nothing has changed.
        """
        given = min_size is not None or self.min_size_given
        largest = _count("max_size", self.max_size if max_size is None else max_size, 1)
        smallest = self.min_size if min_size is None else min_size
        self.min_size = _smallest(smallest if given else USUAL_MIN_SIZE, largest)
        self.max_size, self.min_size_given = largest, given


def make_settings(config: Any, max_size: int, min_size: int, **given: Any) -> PoolSettings:
    """Check settings, and take what was left out from the config.

    Raises:
        ValueError: a setting that makes no sense.
    """
    timeout: float = FROM_CONFIG_SECONDS
    configured = getattr(config, "pool_timeout", None)
    if isinstance(configured, int | float) and configured > 0:
        timeout = configured
    if isinstance(max_size, _UnsetInt):
        configured = getattr(config, "pool_size", None)
        max_size = configured if type(configured) is int and configured > 0 else int(max_size)
    largest = _count("max_size", max_size, 1)
    for name in ("max_idle", "max_lifetime", "check_after", "connect_timeout", "check_timeout", "disconnect_timeout"):
        value = given[name]
        optional = name not in ("check_timeout", "disconnect_timeout")
        if (value is None and not optional) or (value is not None and not value >= 0):
            none = ", or None" if optional else ""
            raise ValueError(f"{name} must be a number of seconds of at least 0{none}, not {value!r}")
    if given["max_waiting"] is not None:
        _count("max_waiting", given["max_waiting"], 0)
    return PoolSettings(
        max_size=largest,
        min_size=_smallest(min_size, largest),
        min_size_given=not isinstance(min_size, _UnsetInt),
        timeout=float(timeout),
        **given,
    )


def _smallest(min_size: int, max_size: int) -> int:
    if isinstance(min_size, _UnsetInt):
        return min(int(min_size), max_size)
    if _count("min_size", min_size, 0) > max_size:
        raise ValueError(f"min_size must not be above max_size, but {min_size} > {max_size}")
    return min_size


def _count(name: str, value: int, least: int) -> int:
    if type(value) is not int or value < least:
        raise ValueError(f"{name} must be an integer of at least {least}, not {value!r}")
    return value
