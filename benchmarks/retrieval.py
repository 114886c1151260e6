"""How well vectors, words and both together find what is relevant, on every provider.

``python benchmarks/retrieval.py --dataset DIR`` takes a data set in BEIR's layout (``corpus.jsonl``, ``queries.jsonl``,
``qrels/test.tsv``), embeds it offline, writes it into each store, asks all judged queries, and prints nDCG@10,
recall@100 and MRR@10, computed by trec_eval; then what a hybrid search takes beside its two sides, which take turns
with it. ``--store`` names stores by URL (it may be repeated); the index must not exist and is deleted again.
``--plot FILE`` draws the comparison.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import defaultdict
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import pytrec_eval

from ia_modules.vector_stores import VectorDocument, VectorStoreBase, create_embedder, create_vector_store

STORES = ("memory:///retrieval", "chroma:///:memory:retrieval/retrieval", "qdrant:///:memory:retrieval/retrieval")
SETTINGS: dict[str, dict[str, Any]] = {
    "vector": {"text_weight": 0},
    "words": {"vector_weight": 0, "text_weight": 1},
    "hybrid": {},
    "hybrid, rrf": {"fusion": "rrf"},
    "hybrid, rrf k=10, 0.3/0.7": {"fusion": "rrf", "rrf_k": 10, "vector_weight": 0.3, "text_weight": 0.7},
}
MEASURES = {"ndcg_cut_10": "nDCG@10", "recall_100": "recall@100", "recip_rank_10": "MRR@10"}
DEPTH = 100
COSTED = 100


@dataclass
class Dataset:
    name: str
    documents: dict[str, str]
    queries: dict[str, str]
    judged: dict[str, dict[str, int]]


def load(folder: Path) -> Dataset:
    """Read a data set; a document is its title and its text."""
    documents = {}
    for line in (folder / "corpus.jsonl").read_text().splitlines():
        one = json.loads(line)
        documents[one["_id"]] = f"{one.get('title') or ''} {one['text']}".strip() or "-"
    judged: dict[str, dict[str, int]] = defaultdict(dict)
    for line in (folder / "qrels" / "test.tsv").read_text().splitlines()[1:]:
        query, document, relevance = line.split("\t")
        judged[query][document] = int(relevance)
    lines = (folder / "queries.jsonl").read_text().splitlines()
    queries = {one["_id"]: one["text"] for one in map(json.loads, lines) if one["_id"] in judged}
    return Dataset(folder.name, documents, queries, dict(judged))


def evaluated(dataset: Dataset, rankings: dict[str, list[str]]) -> dict[str, float]:
    """Means of the measures over all judged queries."""

    def means(runs: dict[str, list[str]], measures: set[str]) -> dict[str, float]:
        scored = {query: {one: float(-rank) for rank, one in enumerate(ids)} for query, ids in runs.items()}
        found = pytrec_eval.RelevanceEvaluator(dataset.judged, measures).evaluate(scored)
        return {name: float(np.mean([one[name] for one in found.values()])) for name in next(iter(found.values()))}

    first = {query: ids[:10] for query, ids in rankings.items()}
    return means(rankings, {"ndcg_cut.10", "recall.100"}) | {
        "recip_rank_10": means(first, {"recip_rank"})["recip_rank"],
    }


async def measure(
    store: VectorStoreBase, dataset: Dataset, vectors: dict[str, Any], settings: Iterable[str]
) -> dict[str, dict[str, float]]:
    """The measures of each setting, and the milliseconds of a query."""
    found = {}
    for name in settings:
        setting = SETTINGS[name]
        started = perf_counter()
        rankings = {}
        for query, text in dataset.queries.items():
            response = await store.hybrid_search(vectors[query], text, DEPTH, include_metadata=False, **setting)
            rankings[query] = [one.id for one in response.results]
        elapsed = (perf_counter() - started) * 1e3 / len(dataset.queries)
        found[name] = evaluated(dataset, rankings) | {"ms": elapsed}
    return found


async def cost(store: VectorStoreBase, dataset: Dataset, vectors: dict[str, Any]) -> dict[str, float]:
    """Median milliseconds of a hybrid search and of each of its sides, which take turns."""

    async def timed(call: Awaitable[Any]) -> float:
        started = perf_counter()
        await call
        return (perf_counter() - started) * 1e3

    taken: dict[str, list[float]] = {"vector side": [], "word side": [], "hybrid": []}
    for query, text in list(dataset.queries.items())[:COSTED]:
        vector = vectors[query]
        taken["vector side"].append(await timed(store.search(vector, DEPTH, include_vectors=True)))
        taken["word side"].append(
            await timed(store.hybrid_search(None, text, DEPTH, vector_weight=0, text_weight=1, include_metadata=False))
        )
        taken["hybrid"].append(await timed(store.hybrid_search(vector, text)))
    return {name: median(times) for name, times in taken.items()}


async def run(
    dataset: Dataset, urls: Iterable[str], settings: Iterable[str] = tuple(SETTINGS), *, costs: bool = False
) -> dict[str, dict[str, dict[str, float]]]:
    """Measure some settings on every store, and what a search costs there."""
    embedder = create_embedder("wordllama")
    rows = await embedder.embed_documents(list(dataset.documents.values()))
    vectors = {query: await embedder.embed_query(text) for query, text in dataset.queries.items()}
    documents = [
        VectorDocument(id=one, vector=row, text=text)
        for (one, text), row in zip(dataset.documents.items(), rows, strict=True)
    ]
    results = {}
    for url in urls:
        async with await create_vector_store(url, dimension=rows.shape[1]) as store:
            await store.create_index(rows.shape[1])
            try:
                await store.upsert(documents)
                results[url] = await measure(store, dataset, vectors, settings)
                beside = await cost(store, dataset, vectors) if costs else {}
            finally:
                await store.delete_index()
        shown = ", ".join(f"{side} {taken:.1f} ms" for side, taken in beside.items())
        print(f"{table(url, results[url])}  {shown}\n", flush=True)
    return results


def table(url: str, found: dict[str, dict[str, float]]) -> str:
    """A table for one store."""
    lines = [f"{url:42}" + "".join(f"{title:>12}" for title in (*MEASURES.values(), "ms/query"))]
    for name, row in found.items():
        lines.append(f"  {name:40}" + "".join(f"{row[one]:12.4f}" for one in MEASURES) + f"{row['ms']:12.1f}")
    return "\n".join(lines) + "\n"


def draw(dataset: Dataset, results: dict[str, dict[str, dict[str, float]]], file: Path) -> None:
    """Draw nDCG@10 of each setting on each store."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 4))
    width = 0.8 / len(results)
    for number, (url, found) in enumerate(results.items()):
        places = np.arange(len(SETTINGS)) + number * width
        axes.bar(places, [found[name]["ndcg_cut_10"] for name in SETTINGS], width, label=url.partition(":")[0])
    axes.set_xticks(np.arange(len(SETTINGS)) + 0.4 - width / 2, [name.replace(", ", "\n", 1) for name in SETTINGS])
    axes.set_ylabel("nDCG@10")
    axes.set_title(dataset.name)
    axes.legend(loc="lower right")
    figure.tight_layout()
    figure.savefig(file, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", type=Path, required=True, help="a folder in BEIR's layout")
    parser.add_argument("--store", action="append", help=f"URL of a store ({', '.join(STORES)})")
    parser.add_argument("--plot", type=Path, help="where to draw the comparison")
    given = parser.parse_args()
    dataset = load(given.dataset)
    print(f"{dataset.name}: {len(dataset.documents):,} documents, {len(dataset.queries)} judged queries\n")
    results = asyncio.run(run(dataset, given.store or STORES, costs=True))
    if given.plot:
        draw(dataset, results, given.plot)


if __name__ == "__main__":
    main()
