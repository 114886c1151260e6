"""Cases: functions that check one rule, kept in one table that only the kit writes to."""

from __future__ import annotations

import asyncio
import inspect
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from ia_modules.vector_stores.base import VectorStoreBase
from ia_modules.vector_stores.capabilities import Capabilities
from ia_modules.vector_stores.metrics import DistanceMetric
from ia_modules.vector_stores.models import VectorDocument
from ia_modules.vector_stores.testing.rules import RULES, Rule
from ia_modules.vector_stores.testing.target import ConformanceTarget

__all__ = ["Case", "Context", "Scale", "case", "doc", "registered"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much to generate.

    Attributes:
        filters: random filters.
        programs: random programs of calls.
        documents: documents of the upsert during which the event loop is watched.
        searches: searches that follow it.
        seed: None for the fixed seed, with which everybody sees the same; a number for another.
        shrink: whether to look for the smallest example of a failure.
    """

    filters: int = 2_000
    programs: int = 200
    documents: int = 5_000
    searches: int = 200
    seed: int | None = None
    shrink: bool = True

    def times(self, factor: float) -> Scale:
        """More, or less, of what is generated."""
        return replace(
            self, filters=max(1, round(self.filters * factor)), programs=max(1, round(self.programs * factor))
        )


@dataclass(frozen=True, slots=True)
class Case:
    """One check.

    Attributes:
        rule: what it checks.
        name: unique; the rule's number and some words.
        check: runs it; a plain function if it runs an event loop many times, else a coroutine function.
    """

    rule: Rule
    name: str
    check: Callable[[Context], Coroutine[Any, Any, None] | None]

    @property
    def asynchronous(self) -> bool:
        """Whether :attr:`check` is a coroutine function."""
        return inspect.iscoroutinefunction(self.check)


_cases: dict[str, Case] = {}


def case(rule: str) -> Callable[[Callable[[Context], Any]], Callable[[Context], Any]]:
    """Add a function to the kit; its name says what it checks."""

    def add(check: Callable[[Context], Any]) -> Callable[[Context], Any]:
        name = f"{rule}-{check.__name__.replace('_', '-')}"
        if name in _cases:
            raise ValueError(f"there are two cases {name}")
        _cases[name] = Case(RULES[rule], name, check)
        return check

    return add


def registered() -> tuple[Case, ...]:
    """All cases, in the order of their rules."""

    def order(one: Case) -> tuple[int, ...]:
        return tuple(map(int, one.rule.id.split(".")))

    return tuple(sorted(_cases.values(), key=order))


class Context:
    """What a case works with: fresh indexes, which are deleted after it.

    Attributes:
        target: the database.
        scale: how much to generate.
        gaps: what the provider declares that it can't do, and was found to refuse as it should.
    """

    def __init__(self, target: ConformanceTarget, scale: Scale, runner: asyncio.Runner) -> None:
        self.target = target
        self.scale = scale
        self.gaps: list[str] = []
        self.capabilities: Capabilities = target.capabilities
        self._runner = runner
        self._indexes: list[str] = []
        self._stores: list[VectorStoreBase] = []

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the case's event loop; for cases that are not coroutines themselves."""
        return self._runner.run(work)

    def open(self, index_name: str | None = None, **given: Any) -> VectorStoreBase:
        """A store that is not connected yet, on an index that need not exist; both are cleaned up in the end.

        Args:
            index_name: None for a name of its own.
            **given: fields of the config.
        """
        if index_name is None:
            index_name = f"{self.target.config.index_name}-{uuid.uuid4().hex[:12]}"
        if index_name not in self._indexes:
            self._indexes.append(index_name)
        store = self.target.store(index_name, **given)
        self._stores.append(store)
        return store

    def again(self, store: VectorStoreBase, **given: Any) -> VectorStoreBase:
        """A second store on the same index."""
        return self.open(store.config.index_name, **given)

    async def store(
        self,
        documents: Iterable[VectorDocument] = (),
        *,
        metric: DistanceMetric | None = None,
        dimension: int = 3,
        **given: Any,
    ) -> VectorStoreBase:
        """A store on a fresh index with the documents in the default namespace."""
        store = self.open(**given)
        await store.create_index(dimension, metric or self.metric(), **self.target.options)
        if written := list(documents):
            await store.upsert(written)
        return store

    def metric(self) -> DistanceMetric:
        """The metric of cases that don't depend on it: cosine, if the provider has it."""
        metrics = self.capabilities.metrics
        return DistanceMetric.COSINE if DistanceMetric.COSINE in metrics else min(metrics)

    def gap(self, what: str) -> None:
        """Note something that is declared as impossible, and was refused with the right error."""
        if what not in self.gaps:
            self.gaps.append(what)

    async def close(self) -> None:
        """Delete what was made; the first failure is raised after everything was tried."""
        failures: list[Exception] = []

        async def attempt(work: Callable[[], Awaitable[object]]) -> None:
            try:
                await work()
            except Exception as error:  # noqa: BLE001 - raised below
                failures.append(error)

        for name in self._indexes:
            try:
                store = self.target.store(name)
            except ValueError:
                continue  # a name that the provider refuses; nothing was made

            async def remove(store: VectorStoreBase = store) -> None:
                if await store.index_exists():
                    await store.delete_index()

            await attempt(remove)
            await attempt(store.disconnect)
        for store in self._stores:
            await attempt(store.disconnect)
        self._indexes.clear()
        self._stores.clear()
        if failures:
            raise failures[0]


def doc(id: str, vector: Any = (1.0, 0.0, 0.0), metadata: dict[str, Any] | None = None, **given: Any) -> VectorDocument:
    """A document, in few words."""
    return VectorDocument(id=id, vector=vector, metadata=metadata or {}, **given)
