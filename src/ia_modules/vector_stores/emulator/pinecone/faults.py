"""Failures on demand."""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from fnmatch import fnmatchcase
from typing import Any

import orjson

from ia_modules.vector_stores.emulator.pinecone.wire import Request

__all__ = ["Fault", "Faults", "halved"]

_KINDS = ("drop", "cut", "slow", "half")


@dataclass(slots=True)
class Fault:
    """One way to fail, and when; see ``PineconeEmulator.fail`` for what the fields mean.

    Raises:
        ValueError: a field is outside its range.
    """

    how: int | str
    on: str = "*"
    index: str = "*"
    times: int | None = 1
    every: int = 1
    probability: float = 1.0
    seed: int = 0
    after: bool = False
    delay: float = 0.0
    message: str = "injected by the emulator"
    retry_after: float | str | None = None
    _seen: int = field(default=0, init=False)
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        status = isinstance(self.how, int) and not isinstance(self.how, bool)
        if not (status and 400 <= int(self.how) <= 599) and self.how not in _KINDS:
            raise ValueError(f"a fault is a status from 400 to 599 or one of {', '.join(_KINDS)}, got {self.how!r}")
        if self.how == "slow" and not self.delay:
            raise ValueError("a slow answer needs a delay in seconds")
        if self.times is not None and self.times < 1:
            raise ValueError(f"times must be at least 1, or None for always, got {self.times!r}")
        if self.every < 1 or not 0 <= self.probability <= 1 or not 0 <= self.delay <= 3600:
            raise ValueError("every must be at least 1, probability from 0 to 1, delay from 0 to 3600 seconds")
        self._random = random.Random(self.seed)

    def strikes(self, request: Request) -> bool:
        """Whether this request fails; called once for each request."""
        if self.times == 0 or not fnmatchcase(f"{request.method} {request.path}", self.on):
            return False
        if not fnmatchcase(request.index or "", self.index):
            return False
        self._seen += 1
        if self._seen % self.every or self._random.random() >= self.probability:
            return False
        if self.times is not None:
            self.times -= 1
        return True

    @property
    def executes(self) -> bool:
        """The request is carried out before it fails."""
        return self.after or self.how in ("cut", "slow", "half")

    def headers(self) -> dict[str, str]:
        """More headers of the answer."""
        if self.retry_after is None:
            return {}
        text = self.retry_after if isinstance(self.retry_after, str) else f"{self.retry_after:g}"
        if text.startswith("date:"):
            text = format_datetime(datetime.now(UTC) + timedelta(seconds=float(text[5:])), usegmt=True)
        return {"retry-after": text}


class Faults:
    """The failures that are still to come. Any thread may add and clear."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        """Fail as described; faults that were added before come first."""
        with self._lock:
            self._faults.append(fault)

    def add_json(self, value: Mapping[str, Any]) -> None:
        """The same, from JSON with the names of ``Fault``.

        Raises:
            ValueError: something is missing, unknown or out of range.
        """
        try:
            self.add(Fault(**value))
        except TypeError as error:
            raise ValueError(str(error).replace("Fault.__init__()", "a fault")) from None

    def clear(self) -> None:
        """Fail no more."""
        with self._lock:
            self._faults.clear()

    def next(self, request: Request) -> Fault | None:
        """What happens to this request."""
        with self._lock:
            found = next((fault for fault in self._faults if fault.strikes(request)), None)
            self._faults = [fault for fault in self._faults if fault.times != 0]
        return found


def halved(body: bytes) -> bytes:
    """A request to write, with the first half of its records."""
    value = orjson.loads(body)
    for name in ("vectors", "documents"):
        if name in value:
            value[name] = value[name][: len(value[name]) // 2]
    return orjson.dumps(value)
