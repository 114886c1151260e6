"""The table on the terminal, the page and the plot."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bench.measure import Results, Row

__all__ = ["show", "write_page", "write_plot"]

_PACKAGES = ("numpy", "pydantic", "pydantic-core", "chromadb", "langchain-chroma", "llama-index-vector-stores-chroma")
_PACKAGES += (
    "chroma-haystack",
    "qdrant-client",
    "weaviate-client",
    "pinecone",
    "uvicorn",
    "grpcio",
    "protobuf",
    "orjson",
)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}" if abs(value) >= 100 else f"{value:.2f}"


def _cells(row: Row) -> list[str]:
    budget = row.budget
    sign = "" if budget is None else "≥ " if budget.higher_is_better else "≤ "
    return [
        row.target,
        row.what,
        f"{_number(row.value)} {row.unit}",
        "" if row.spread is None else f"{_number(row.spread[0])} … {_number(row.spread[1])}",
        "" if budget is None else f"{sign}{budget.goal:g}",
        "" if budget is None or budget.floor is None else f"{sign}{budget.floor:g}",
        row.verdict,
        row.detail,
    ]


_READING = (
    "- Ratios are ours divided by the raw client's, inside one run: both take turns on the same data in one process.",
    "- A value is the median of the rounds; *rounds* is the range of them. Rates are better above 1, all else below.",
    "- *goal* is what we want, *floor* what must never be missed.",
)
_HEADS = ["target", "what", "value", "rounds", "goal", "floor", "verdict", "detail"]


def show(rows: Iterable[Row]) -> str:
    """Columns of plain text."""
    lines = [_HEADS, *(_cells(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(_HEADS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def _versions() -> str:
    found = [f"Python {platform.python_version()}"]
    for name in _PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def write_page(path: Path, results: Results, how: str) -> None:
    """A page with one table for each target."""
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    lines = [
        "# Performance",
        "",
        "What this library costs beside the client that it uses, as measured by `python benchmarks/overhead.py`.",
        "",
        f"- {how}",
        f"- {_versions()}; {platform.system()} on {platform.machine()}, {os.cpu_count()} CPUs; {today}",
        *_READING,
        *(f"- {note}" for note in results.notes),
        "",
        f"![Ratios to the raw client, and growth of the layer's own time]({path.with_suffix('.png').name})",
    ]
    for target in dict.fromkeys(row.target for row in results.rows):
        lines += ["", f"## {target}", "", "| " + " | ".join(_HEADS[1:]) + " |", "|" + " --- |" * (len(_HEADS) - 1)]
        lines += ["| " + " | ".join(_cells(row)[1:]) + " |" for row in results.rows if row.target == target]
    path.with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_plot(path: Path, results: Results) -> bool:
    """Ratios with their goals, and growth; False without matplotlib."""
    try:
        import matplotlib as mpl

        mpl.use("Agg")
        from matplotlib import pyplot as plt
    except ImportError:
        return False
    ratios = [row for row in results.rows if row.unit == "x raw"][::-1]
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(13, max(4.0, 0.26 * len(ratios) + 1)), width_ratios=(3, 2), layout="constrained"
    )
    colours = {"goal": "#2a9d5c", "within floor": "#e0a82e", "MISSED": "#c8443b", "-": "#8a8f98"}
    places = range(len(ratios))
    left.barh(places, [row.value for row in ratios], color=[colours[row.verdict] for row in ratios], height=0.7)
    for place, row in zip(places, ratios, strict=True):
        if row.spread is not None:
            left.plot(row.spread, (place, place), color="black", linewidth=1)
        if row.budget is not None:
            left.plot((row.budget.goal,) * 2, (place - 0.4, place + 0.4), color="black", linewidth=2)
    left.set_yticks(places, [f"{row.target}: {row.what}" for row in ratios], fontsize=8)
    left.axvline(1.0, color="grey", linewidth=0.8)
    left.set_xlim(0, min(3.0, max([1.5, *(row.value * 1.05 for row in ratios)])))
    left.set_ylim(-0.6, len(ratios) - 0.4)
    left.set_xlabel("ratio to the raw client (thin line: range of the rounds; bar: goal)")
    if results.growth:
        sizes = list(results.growth)
        for at, (what, goal) in enumerate((("search, µs", 50), ("upsert, µs per document", 3))):
            values = [results.growth[size][1 - at] for size in sizes]
            (line,) = right.plot(sizes, values, marker="o", label=what)
            right.axhline(goal, color=line.get_color(), linestyle=":", label=f"goal {goal} µs")
        right.set_xscale("log")
        right.set_ylim(bottom=0)
        right.set_xlabel("documents")
        right.set_ylabel("the layer's own time, µs")
        right.legend()
    else:
        right.axis("off")
    figure.savefig(path.with_suffix(".png"), dpi=110)
    return True
