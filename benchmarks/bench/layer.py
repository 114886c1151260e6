"""What the layer costs by itself: models, the null backend, its growth, imports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, field_validator

from bench.data import FILTERS, Data, documents, make_data
from bench.measure import Budget, Results, Row
from bench.null import null_store
from ia_modules.vector_stores import Vector, VectorDocument

__all__ = ["imports", "models", "null_backend"]

_DIMENSION = 768
_MOST_TO_BARE = 1.55
"""2 µs where the bare model takes 1.29 µs, which is the machine that the budget was made on."""
_CLIENTS = ("chromadb", "qdrant_client", "weaviate", "pinecone", "openai", "sentence_transformers", "torch")


class _Bare(BaseModel):
    """The least that pydantic costs for such a document, which tells one machine from another."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    id: str
    vector: np.ndarray
    metadata: dict[str, Any] = {}
    text: str | None = None

    @field_validator("vector", mode="before")
    @classmethod
    def _as_array(cls, value: Any) -> np.ndarray:
        array = np.asarray(value, dtype=np.float32)
        if array.ndim != 1:
            raise ValueError("not a flat sequence")
        return array


def _microseconds(make: Callable[[], object], number: int) -> float:
    began = perf_counter()
    for _ in range(number):
        make()
    return (perf_counter() - began) / number * 1e6


def models(rounds: int) -> list[Row]:
    """One document, and what it holds."""
    rng = np.random.default_rng(3)
    row = rng.standard_normal((4, _DIMENSION), dtype=np.float32)[1]
    fixed = row.copy()
    fixed.flags.writeable = False
    numbers, metadata = row.tolist(), {"n": 1, "day": "2024-01-01"}
    makers: dict[str, tuple[Callable[[], object], int]] = {
        "bare": (lambda: _Bare(id="doc-1", vector=row, metadata=metadata, text="a passage"), 5000),
        "row": (lambda: VectorDocument(id="doc-1", vector=row, metadata=metadata, text="a passage"), 5000),
        "fixed": (lambda: VectorDocument(id="doc-1", vector=fixed, metadata=metadata, text="a passage"), 5000),
        "list": (lambda: VectorDocument(id="doc-1", vector=numbers, metadata=metadata, text="a passage"), 500),
    }
    taken: dict[str, list[float]] = {name: [] for name in makers}
    for _ in range(max(rounds, 5)):
        for name, (make, number) in makers.items():
            taken[name].append(_microseconds(make, number))
    best = {name: median(values) for name, values in taken.items()}
    return [
        Row("model", "document from a float32 row", best["row"], "µs", Budget(2)),
        Row(
            "model",
            "the same against a bare pydantic model",
            median(mine / its for mine, its in zip(taken["row"], taken["bare"], strict=True)),
            "x bare",
            Budget(_MOST_TO_BARE),
            f"bare: {best['bare']:.2f} µs; this counts on a slow machine too",
        ),
        Row("model", "document from a read-only row", best["fixed"], "µs", Budget(2), "shares the row's memory"),
        Row("model", "document from a list", best["list"], "µs", Budget(25)),
        Row("model", "memory held per dimension", _bytes_per_dimension(numbers), "bytes", Budget(4.5, 8)),
    ]


def _bytes_per_dimension(numbers: list[float]) -> float:
    """Of the vector alone, objects around it included."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    held = [Vector(numbers) for _ in range(1000)]
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return (after - before) / len(held) / len(numbers)


async def null_backend(rounds: int, most: int) -> Results:
    """The layer's own time, for growing numbers of documents.

    Each size works through the same documents in as many calls as it takes, so that only the size of a call and
    what the store has seen differ, not the caches.
    """
    results = Results()
    data: Data = make_data(most, _DIMENSION, 10)
    prepared = documents(data, 0, most)
    query, chosen = data.queries[0], FILTERS["tenth"].ours
    sizes = [size for size in (1_000, 10_000, 100_000) if size <= most]
    written: dict[int, list[float]] = {size: [] for size in sizes}
    searched: dict[int, list[float]] = {size: [] for size in sizes}
    filtered: list[float] = []
    for number in range(max(rounds, 7)):
        for size in sizes[number % len(sizes) :] + sizes[: number % len(sizes)]:
            store = await null_store(_DIMENSION)
            await store.search(query)
            parts = [prepared[start : start + size] for start in range(0, most, size)]
            began = perf_counter()
            for part in parts:
                await store.upsert(part)
            written[size].append((perf_counter() - began) / most * 1e6)
            searched[size].append(await _searches(store, query, None))
        filtered.append(await _searches(store, query, [chosen]))
    results.growth = {size: (median(written[size]), median(searched[size])) for size in sizes}
    results.rows = [
        Row("null", "search, top_k=10", median(searched[sizes[0]]), "µs", Budget(50)),
        Row("null", "search with one filter", median(filtered), "µs", Budget(50)),
        Row("null", "upsert, per document", median(written[sizes[0]]), "µs", Budget(3)),
    ]
    for what, taken, at in (("upsert", written, 0), ("search", searched, 1)):
        # Compared round by round, since the machine's own speed drifts between rounds.
        changes = [median(b / a - 1 for a, b in zip(taken[sizes[0]], taken[size], strict=True)) for size in sizes]
        detail = ", ".join(f"{size:,}: {pair[at]:.2f} µs" for size, pair in results.growth.items())
        worst = max(map(abs, changes)) * 100
        results.rows.append(Row("null", f"growth, {what}", worst, "% change", Budget(10), detail))
    return results


async def _searches(store: Any, query: np.ndarray, filters: Any, number: int = 2000) -> float:
    """The median, in µs."""
    taken = []
    for _ in range(number):
        began = perf_counter()
        await store.search(query, 10, filters)
        taken.append(perf_counter() - began)
    return median(taken) * 1e6


_IMPORTS = {
    "numpy, pydantic and asyncio alone": "import asyncio, numpy; from pydantic import BaseModel",
    "import of the package": "import ia_modules.vector_stores",
    "import of models, factory and memory store": (
        "from ia_modules.vector_stores import VectorDocument, create_vector_store, MemoryVectorStore"
    ),
    "import of the chroma store": "from ia_modules.vector_stores import ChromaVectorStore",
    "import of the qdrant store": "from ia_modules.vector_stores import QdrantVectorStore",
    "import of the weaviate store": "from ia_modules.vector_stores import WeaviateVectorStore",
    "import of the pinecone store": "from ia_modules.vector_stores import PineconeVectorStore",
}


def imports(rounds: int) -> list[Row]:
    """In fresh interpreters, with the files in the page cache."""
    taken: dict[str, list[float]] = {what: [] for what in _IMPORTS}
    loaded: dict[str, list[str]] = {}
    for number in range(rounds + 1):
        for what, statement in _IMPORTS.items():
            program = (
                "import sys, json, time; began = time.perf_counter()\n"
                f"{statement}\n"
                "print(json.dumps([(time.perf_counter() - began) * 1e3,"
                f" [name for name in {_CLIENTS!r} if name in sys.modules]]))"
            )
            done = subprocess.run(
                [sys.executable, "-c", program], check=True, capture_output=True, text=True, env=child_environment()
            )
            milliseconds, clients = json.loads(done.stdout)
            loaded[what] = clients
            if number:  # the first one fills the page cache
                taken[what].append(milliseconds)
    rows = []
    alone = median(next(iter(taken.values())))
    for what, values in taken.items():
        clients = ", ".join(loaded[what])
        budget = Budget(150) if "package" in what else None
        detail = f"LOADS {clients}" if clients else "loads no database client"
        if budget is None and "alone" not in what:
            detail += f"; {median(values) - alone:.0f} ms above numpy, pydantic and asyncio"
        rows.append(Row("import", what, median(values), "ms", budget, detail, (min(values), max(values))))
    return rows


def child_environment() -> dict[str, str]:
    """So that a subprocess imports the same code, compiled once as for any user."""
    # Kept apart from the sources: without a cache, what is timed would be the compiler.
    cache = {"PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir()) / "overhead-bytecode")}
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, **cache, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
