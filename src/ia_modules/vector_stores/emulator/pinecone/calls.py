"""A request for an index, with what its answer needs."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

from ia_modules.vector_stores.emulator.pinecone.checks import namespace_name
from ia_modules.vector_stores.emulator.pinecone.definitions import Definition
from ia_modules.vector_stores.emulator.pinecone.engine import Engine, Index
from ia_modules.vector_stores.emulator.pinecone.namespaces import Change, Namespace
from ia_modules.vector_stores.emulator.pinecone.wire import Answer, RefusedError, Request

__all__ = ["Call", "RateLimit"]


class RateLimit:
    """At most so many requests per second to each namespace; a second's worth may come at once.

    Attributes:
        per_second: the limit; None for none.
    """

    def __init__(self, per_second: float | None = None) -> None:
        self.per_second = per_second
        self._left: dict[tuple[str, str], tuple[float, float]] = {}

    def reset(self) -> None:
        """Forget what was asked so far."""
        self._left.clear()

    def take(self, index: str, namespace: str) -> None:
        """Count a request.

        Raises:
            RefusedError: it is one too many.
        """
        limit = self.per_second
        if limit is None:
            return
        now, most = time.monotonic(), max(limit, 1.0)
        left, before = self._left.get((index, namespace), (most, now))
        left = min(most, left + (now - before) * limit)
        if left < 1:
            self._left[index, namespace] = left, now
            raise RefusedError(
                f"Request rate limit exceeded: {limit:g} requests per second per namespace, namespace '{namespace}'",
                429,
                {"retry-after": str(math.ceil((1 - left) / limit))},
            )
        self._left[index, namespace] = left - 1, now


@dataclass(frozen=True, slots=True)
class Call:
    """A request for an index."""

    engine: Engine
    index: Index
    request: Request
    rate: RateLimit

    @property
    def definition(self) -> Definition:
        """The index's configuration."""
        return self.index.definition

    def name(self, namespace: Any) -> str:
        """The checked name of the namespace that the request is for, within the rate limit.

        Raises:
            RefusedError: there is no such name, or the limit is exceeded.
        """
        name = namespace_name(namespace)
        self.rate.take(self.definition.name, name)
        return name

    def read(self, namespace: Any) -> Namespace:
        """The namespace as this request sees it, within the rate limit."""
        return self.index.read(self.name(namespace))

    def write(self, namespace: str, change: Change, content: Any, status: int = 200) -> Answer:
        """Accept a change; the answer says its log sequence number, in both spellings that clients read."""
        lsn = str(self.engine.write(self.index, namespace, change))
        return Answer(content, status, {"x-pinecone-request-lsn": lsn, "x-pinecone-lsn-committed": lsn})
