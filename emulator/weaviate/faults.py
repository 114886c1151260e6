"""What tests may have go wrong."""

from __future__ import annotations

import threading
from collections import Counter

import grpc


class Faults:
    def __init__(self) -> None:
        self.ids: dict[str, str] = {}
        self.calls: Counter[str] = Counter()
        self._left = 0
        self._fault: tuple[grpc.StatusCode, str] = (grpc.StatusCode.UNKNOWN, "")
        self._rest: list[tuple[int, str]] = []
        self._lock = threading.Lock()

    def set(self, times: int, code: grpc.StatusCode, message: str) -> None:
        with self._lock:
            self._left, self._fault = times, (code, message)

    def next(self) -> tuple[grpc.StatusCode, str] | None:
        with self._lock:
            if not self._left:
                return None
            self._left -= 1
            return self._fault

    def set_rest(self, times: int, status: int, message: str) -> None:
        with self._lock:
            self._rest = [(status, message)] * times

    def next_rest(self) -> tuple[int, str] | None:
        with self._lock:
            return self._rest.pop() if self._rest else None

    def called(self, what: str) -> None:
        with self._lock:
            self.calls[what] += 1
