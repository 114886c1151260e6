"""The rows that compare our layer with a raw client on one backend."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from statistics import median

import numpy as np

from bench.contestants import TOP_K, Contestant, Ours
from bench.data import FILTERS, Data, Filter, make_data, with_uuids
from bench.measure import Budget, Row, Samples, compare, ratio_row, seconds_of, stall_during, take_turns
from bench.targets import Target

__all__ = ["compare_on", "compare_searches"]

_LATENCY = Budget(1.03, 1.08)
_WRITE_BLOCK = 1000
_RECALLED = 30


async def compare_on(target: Target, data: Data, rounds: int, *, quick: bool) -> list[Row]:
    """All rows of one backend."""
    if target.uuids:
        data = with_uuids(data)
    rows, ours, raw = await _writing(target, data, rounds)
    await target.settle()
    rows += await compare_searches(target, ours, raw, data, rounds, 60 if quick else 200)
    for chosen in FILTERS.values():
        rows.append(await _filtered(target, ours, raw, data, chosen, rounds, 20 if quick else 40))
    rows += await _batches(target, ours, raw, data, rounds)
    rows += await _stalls(target, ours, raw, data, rounds)
    await ours.drop()
    await raw.drop()
    return rows


async def _writing(target: Target, data: Data, rounds: int) -> tuple[list[Row], Ours, Contestant]:
    """Bulk upserts into fresh indexes, which grow side by side; the last pair stays for what follows."""
    samples: Samples = []
    for number in range(rounds):
        ours, raw = await target.ours(data, str(number)), await target.raw(data, str(number))
        samples += await take_turns(
            {
                "raw": lambda i, to=raw: to.write(data, i * _WRITE_BLOCK, (i + 1) * _WRITE_BLOCK),
                "ours": lambda i, to=ours: to.write(data, i * _WRITE_BLOCK, (i + 1) * _WRITE_BLOCK),
            },
            -(-len(data) // _WRITE_BLOCK),
            block=1,
            rounds=1,
        )
        if number < rounds - 1:
            await ours.drop()
            await raw.drop()
    rates = [1 / ratio for ratio in compare(samples, "ours", "raw", sum)]
    raw_rate, our_rate = (len(data) / seconds_of(samples, name, sum) for name in ("raw", "ours"))
    added = (1 / our_rate - 1 / raw_rate) * 1e6
    detail = f"{our_rate:,.0f} docs/s, raw {raw_rate:,.0f}; {added:+.1f} µs per document"
    budget = None if target.name == "memory" else Budget(0.97, 0.92, higher_is_better=True)
    return [ratio_row(target.name, "bulk upsert, rate", rates, budget, detail)], ours, raw


async def compare_searches(
    target: Target, ours: Ours, raw: Contestant, data: Data, rounds: int, count: int
) -> list[Row]:
    """Searches without a filter, and what the layer adds to one."""
    calls: dict[str, Callable[[int], Awaitable[object]]] = {}
    same = target.same(ours)
    for name, contestant in {"raw": raw, "ours": ours, "same": same}.items():
        if contestant is not None:
            calls[name] = lambda i, on=contestant: on.search(data.queries[i % len(data.queries)])
    await take_turns(calls, 20, block=5, rounds=1)
    samples = await take_turns(calls, count, block=10, rounds=rounds)
    rows = [_latency(target, f"search top_k={TOP_K}, p50", samples, None if same is None else _LATENCY)]
    rows[0].detail += f"; {(seconds_of(samples, 'ours') - seconds_of(samples, 'raw')) * 1e3:+.3f} ms"
    base = "raw" if same is None else "same"
    own = [(median(taken["ours"]) - median(taken[base])) * 1e6 for taken in samples]
    rows.append(
        Row(
            target.name,
            "search, own overhead",
            median(own),
            "µs",
            None if same is None else Budget(80, 150),
            "" if same is None else "against the raw client on the same graph",
            (min(own), max(own)),
        )
    )
    return rows


async def _filtered(
    target: Target, ours: Ours, raw: Contestant, data: Data, chosen: Filter, rounds: int, count: int
) -> Row:
    def query(i: int) -> np.ndarray:
        return data.queries[i % len(data.queries)]

    calls = {
        "raw": lambda i: raw.search(query(i), chosen),
        "ours": lambda i: ours.search(query(i), chosen),
    }
    await take_turns(calls, 5, block=5, rounds=1)
    await target.settle()  # a first search with a filter may have begun an index
    samples = await take_turns(calls, count, block=5, rounds=rounds)
    recall = {}
    for name, on in (("raw", raw), ("ours", ours)):
        hits = wanted = 0
        for i in range(_RECALLED):
            exact = data.nearest(query(i), TOP_K, chosen)
            hits += len(exact.intersection(await on.search(query(i), chosen)))
            wanted += len(exact)
        recall[name] = hits / max(1, wanted)
    row = _latency(target, f"{chosen.what}, p50", samples, None if target.name == "memory" else _LATENCY)
    row.detail += f"; recall {recall['ours']:.3f}, raw {recall['raw']:.3f}"
    return row


async def _batches(target: Target, ours: Ours, raw: Contestant, data: Data, rounds: int) -> list[Row]:
    rng = np.random.default_rng(11)
    wanted = [[data.ids[place] for place in rng.choice(len(data), 100, replace=False)] for _ in range(30)]
    fetched = await take_turns(
        {"raw": lambda i: raw.fetch(wanted[i]), "ours": lambda i: ours.fetch(wanted[i])}, 30, block=5, rounds=rounds
    )
    many = data.queries[:100]
    searched = await take_turns(
        {"raw": lambda _: raw.search_many(many), "ours": lambda _: ours.search_many(many)}, 6, block=1, rounds=rounds
    )
    scanned = await take_turns({"raw": lambda _: raw.scan(), "ours": lambda _: ours.scan()}, 2, block=1, rounds=rounds)
    real = target.name != "memory"
    rows = [_latency(target, "fetch 100 with vectors, p50", fetched, Budget(1.05, 1.15) if real else None)]
    for what, samples, goal in (
        ("search_many of 100, rate", searched, 0.97),
        ("scan with vectors, rate", scanned, 0.95),
    ):
        rates = [1 / ratio for ratio in compare(samples, "ours", "raw")]
        budget = Budget(goal, higher_is_better=True) if real else None
        rows.append(ratio_row(target.name, what, rates, budget, _times(samples)))
    return rows


async def _stalls(target: Target, ours: Ours, raw: Contestant, data: Data, rounds: int) -> list[Row]:
    """How long an upsert keeps everything else on the event loop waiting."""
    count = min(1000, len(data))
    more = make_data(count, data.dimension, 1, seed=8)
    longest: dict[str, list[float]] = {"raw": [], "ours": []}
    for number in range(rounds):
        more.ids[:] = [f"more-{number}-{i}" for i in range(count)]
        given = with_uuids(more) if target.uuids else more
        for name, on in (("raw", raw), ("ours", ours)):
            longest[name].append(await stall_during(on.write(given, 0, count)) * 1e3)
    value, other = median(longest["ours"]), median(longest["raw"])
    budget = Budget(100.0)
    detail = f"raw {other:.1f} ms"
    return [Row(target.name, "event loop stall, upsert", value, "ms", budget, detail, _range(longest["ours"]))]


def _range(values: list[float]) -> tuple[float, float]:
    return min(values), max(values)


def _latency(target: Target, what: str, samples: Samples, budget: Budget | None) -> Row:
    return ratio_row(target.name, what, compare(samples, "ours", "raw"), budget, _times(samples))


def _times(samples: Samples) -> str:
    ours, raw = (seconds_of(samples, name) * 1e3 for name in ("ours", "raw"))
    return f"{ours:.3g} ms, raw {raw:.3g} ms"
