"""What this library costs beside the raw clients.

``python benchmarks/overhead.py`` compares on every provider that can run here, prints a table, and writes
``docs/performance.md`` and ``docs/performance.png``. ``--quick`` takes a few minutes and writes nothing.

A Qdrant server takes part if ``QDRANT_URL`` says where it is (``http://127.0.0.1:6333``); its gRPC port is the one
after, or ``QDRANT_GRPC_PORT``. A Weaviate server takes part if ``WEAVIATE_URL`` says where it is
(``http://127.0.0.1:8080``); its gRPC is on port 50051 of the same host, or at ``WEAVIATE_GRPC_URL`` (``host:port``).
Pinecone is our emulator.

Timings on shared machines drift, so only ratios inside one run count: the contestants take turns on the same data in
one process, in interleaved blocks, and a figure is the median of several rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter

from bench.data import make_data
from bench.engines import compare_on
from bench.layer import imports, models, null_backend
from bench.measure import Results, Row
from bench.peak import peaks, streaming
from bench.peers import compare_peers
from bench.pinecone import PINECONE
from bench.qdrant import QDRANT, QDRANT_SERVER, Server
from bench.report import show, write_page, write_plot
from bench.targets import CHROMA, open_target
from bench.weaviate import WEAVIATE, WeaviateServer

_TARGETS = ("model", "null", "memory", *CHROMA, *QDRANT, *WEAVIATE, *PINECONE)
_ROOT = Path(__file__).resolve().parent.parent


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="2,000 documents of 128 dimensions; writes no files")
    parser.add_argument("--provider", action="append", choices=_TARGETS, help="only this one; may be repeated")
    parser.add_argument("--count", type=int, help="documents (20,000)")
    parser.add_argument("--dimension", type=int, help="numbers per vector (768)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, at least 3 for figures that count (3)")
    parser.add_argument("--peers", action="store_true", help="compare with other frameworks' Chroma stores as well")
    parser.add_argument("--output", type=Path, help="page and plot, without suffix (docs/performance)")
    given = parser.parse_args()
    given.count = given.count or (2_000 if given.quick else 20_000)
    given.dimension = given.dimension or (128 if given.quick else 768)
    if given.output is None and not given.quick:
        given.output = _ROOT / "docs" / "performance"
    if min(given.count, given.dimension, given.rounds) < 1 or given.count < 200:
        parser.error("at least 200 documents, one dimension and one round")
    return given


async def _measure(given: argparse.Namespace) -> Results:
    results = Results()
    chosen = given.provider or _TARGETS
    if find_spec("chromadb") is None and set(chosen) & set(CHROMA):
        results.notes.append("chromadb is not installed, so the Chroma rows are missing.")
        chosen = [name for name in chosen if name not in CHROMA]
    chosen = _without_qdrant(chosen, results.notes)
    chosen = _without_weaviate(chosen, results.notes)
    if set(chosen) & set(PINECONE):
        results.notes.append("Pinecone is our emulator, in a process of its own; its searches are exact.")
    if "model" in chosen:
        _add(results, models(given.rounds) + imports(given.rounds))
    if "null" in chosen:
        layer = await null_backend(given.rounds, 10_000 if given.quick else 100_000)
        results.growth = layer.growth
        _add(results, [*layer.rows, streaming(given.count, given.dimension)])
    engines = [name for name in chosen if name not in ("model", "null")]
    if engines:
        data = make_data(given.count, given.dimension)
        # The data is there for the whole run; looking through it again and again is not the contestants' work.
        gc.collect()
        gc.freeze()
        for name in engines:
            began = perf_counter()
            with open_target(name) as target:
                rows = await compare_on(target, data, given.rounds, quick=given.quick)
                if given.peers:
                    more, notes = await compare_peers(target, given.count, given.dimension, given.rounds)
                    rows += more
                    results.notes += notes
            rows += peaks(name, given.count, given.dimension)
            _add(results, rows)
            print(f"{name}: {perf_counter() - began:.0f} s\n", file=sys.stderr, flush=True)
    return results


def _without_qdrant(chosen: Sequence[str], notes: list[str]) -> list[str]:
    """What is left where Qdrant's client or server is not there."""
    missing: tuple[str, ...] = ()
    server = Server.of_environment()
    if not set(chosen) & set(QDRANT):
        return list(chosen)
    if find_spec("qdrant_client") is None:
        notes.append("qdrant-client is not installed, so the Qdrant rows are missing.")
        missing = QDRANT
    elif server is None and set(chosen) & set(QDRANT_SERVER):
        notes.append("QDRANT_URL is not set, so the rows of a Qdrant server are missing.")
        missing = QDRANT_SERVER
    elif server is not None:
        notes.append(f"The Qdrant server is of version {server.version()}.")
    return [name for name in chosen if name not in missing]


def _without_weaviate(chosen: Sequence[str], notes: list[str]) -> list[str]:
    """What is left where Weaviate's client or server is not there."""
    if not set(chosen) & set(WEAVIATE):
        return list(chosen)
    server = WeaviateServer.of_environment()
    if find_spec("weaviate") is None:
        notes.append("weaviate-client is not installed, so the Weaviate rows are missing.")
    elif server is None:
        notes.append("WEAVIATE_URL is not set, so the rows of a Weaviate server are missing.")
    else:
        notes.append(f"The Weaviate server is of version {server.version()}.")
        return list(chosen)
    return [name for name in chosen if name not in WEAVIATE]


def _add(results: Results, rows: list[Row]) -> None:
    """Show them at once: the whole takes a while, and somebody may stop it."""
    results.rows += rows
    print(show(rows), end="\n\n", flush=True)


def main() -> None:
    given = _arguments()
    how = f"{given.count:,} documents of {given.dimension} dimensions, {given.rounds} rounds"
    print(how, end="\n\n", flush=True)
    results = asyncio.run(_measure(given))
    for note in dict.fromkeys(results.notes):
        print(note)
    if given.output is not None:
        results.notes = list(dict.fromkeys(results.notes))
        given.output.parent.mkdir(parents=True, exist_ok=True)
        write_page(given.output, results, how)
        if not write_plot(given.output, results):
            print("no plot: matplotlib is not installed")


if __name__ == "__main__":
    main()
