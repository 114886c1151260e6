"""Rows of the result, and how their numbers are taken: in turns, in rounds, by medians."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter

__all__ = ["Budget", "Results", "Row", "Samples", "compare", "ratio_row", "seconds_of", "stall_during", "take_turns"]

Samples = list[dict[str, list[float]]]
"""For each round, the seconds of every call by contestant."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What a number should be, and what it may never be worse than."""

    goal: float
    floor: float | None = None
    higher_is_better: bool = False

    def verdict(self, value: float) -> str:
        sign = -1.0 if self.higher_is_better else 1.0
        if sign * value <= sign * self.goal:
            return "goal"
        if self.floor is not None and sign * value <= sign * self.floor:
            return "within floor"
        return "MISSED"


@dataclass(slots=True)
class Row:
    """One line of the table."""

    target: str
    what: str
    value: float
    unit: str = "x raw"
    budget: Budget | None = None
    detail: str = ""
    spread: tuple[float, float] | None = None

    @property
    def verdict(self) -> str:
        return "-" if self.budget is None else self.budget.verdict(self.value)


@dataclass(slots=True)
class Results:
    """All that a run found; ``growth`` is documents -> (µs per document, µs per search)."""

    rows: list[Row] = field(default_factory=list)
    growth: dict[int, tuple[float, float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


async def take_turns(
    calls: Mapping[str, Callable[[int], Awaitable[object]]], count: int, *, block: int, rounds: int
) -> Samples:
    """Time ``call(i)`` for ``i`` below ``count``, the contestants taking turns after every block.

    Who begins rotates, since whoever comes second finds the caches warm.
    """
    names = list(calls)
    samples: Samples = []
    for number in range(rounds):
        taken: dict[str, list[float]] = {name: [] for name in names}
        gc.collect()
        for turn, start in enumerate(range(0, count, block)):
            first = (turn + number) % len(names)
            for name in names[first:] + names[:first]:
                call, seconds = calls[name], taken[name]
                for i in range(start, min(start + block, count)):
                    began = perf_counter()
                    await call(i)
                    seconds.append(perf_counter() - began)
        samples.append(taken)
    return samples


def compare(samples: Samples, name: str, against: str, of: Callable[[Sequence[float]], float] = median) -> list[float]:
    """The ratio of two contestants in each round."""
    return [of(taken[name]) / of(taken[against]) for taken in samples]


def seconds_of(samples: Samples, name: str, of: Callable[[Sequence[float]], float] = median) -> float:
    """One contestant's median over the rounds."""
    return median(of(taken[name]) for taken in samples)


def ratio_row(target: str, what: str, ratios: Sequence[float], budget: Budget | None, detail: str) -> Row:
    return Row(target, what, median(ratios), "x raw", budget, detail, (min(ratios), max(ratios)))


async def stall_during(work: Awaitable[object]) -> float:
    """The longest time, in seconds, for which the event loop did not run while ``work`` went on."""
    interval, longest, over = 0.001, 0.0, False

    async def tick() -> None:
        nonlocal longest
        last = perf_counter()
        while not over:
            await asyncio.sleep(interval)
            now = perf_counter()
            longest = max(longest, now - last - interval)
            last = now

    ticking = asyncio.create_task(tick())
    await asyncio.sleep(0)
    try:
        await work
    finally:
        # A stall that lasts to the end of the work is seen by the tick after it.
        over = True
        await ticking
    return longest
