"""Other frameworks' Chroma stores beside ours, as far as they are installed; all are optional.

They write much slower than they read, so this comparison has documents of its own, and fewer.
"""

# ruff: noqa: ARG002 - the signatures are given

from __future__ import annotations

import asyncio
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np

from bench.contestants import BATCH, TOP_K, RawChroma
from bench.data import FILTERS, Data, Filter, make_data
from bench.measure import Budget, Row, compare, ratio_row, seconds_of, take_turns
from bench.targets import CHROMA, Target

__all__ = ["compare_peers"]

_MOST = 2_000


class _LangChain:
    package = "langchain_chroma"

    def __init__(self, client: Any, name: str) -> None:
        from langchain_chroma import Chroma
        from langchain_core.embeddings import Embeddings

        class Given(Embeddings):
            """Hands out vectors that are there already."""

            rows: list[list[float]] = []

            def embed_documents(self, texts: list[str]) -> list[list[float]]:
                return self.rows

            def embed_query(self, text: str) -> list[float]:
                raise NotImplementedError

        self._given = Given()
        self._store = Chroma(name, self._given, client=client)

    def write(self, data: Data, part: slice) -> None:
        self._given.rows = list(data.vectors[part])
        self._store.add_texts(data.texts[part], metadatas=data.metadatas[part], ids=data.ids[part])

    def search(self, query: np.ndarray, chosen: Filter | None) -> None:
        where = None if chosen is None else chosen.chroma
        self._store.similarity_search_by_vector_with_relevance_scores(query, k=TOP_K, filter=where)

    def fetch(self, ids: list[str]) -> None:
        self._store.get(ids=ids, include=["embeddings", "metadatas", "documents"])


class _LlamaIndex:
    package = "llama_index.vector_stores.chroma"

    def __init__(self, client: Any, name: str) -> None:
        from llama_index.vector_stores.chroma import ChromaVectorStore

        self._store = ChromaVectorStore(chroma_collection=client.get_collection(name, embedding_function=None))

    def write(self, data: Data, part: slice) -> None:
        from llama_index.core.schema import TextNode

        columns = zip(data.ids[part], data.vectors[part], data.metadatas[part], data.texts[part], strict=True)
        self._store.add([TextNode(id_=i, embedding=v.tolist(), metadata=m, text=t) for i, v, m, t in columns])

    def search(self, query: np.ndarray, chosen: Filter | None) -> None:
        from llama_index.core.vector_stores import MetadataFilter, MetadataFilters, VectorStoreQuery

        filters = None
        if chosen is not None:
            filters = MetadataFilters(filters=[MetadataFilter(key=k, value=v) for k, v in chosen.chroma.items()])
        self._store.query(VectorStoreQuery(query_embedding=query.tolist(), similarity_top_k=TOP_K, filters=filters))

    def fetch(self, ids: list[str]) -> None:
        self._store.get_nodes(node_ids=ids)


class _Haystack:
    package = "haystack_integrations.document_stores.chroma"

    def __init__(self, client: Any, name: str) -> None:
        from haystack_integrations.document_stores.chroma import ChromaDocumentStore

        self._store = ChromaDocumentStore(collection_name=name)
        # It would open a client of its own, and Chroma has only one in memory for each process.
        self._store._client = client
        self._store._collection = client.get_collection(name, embedding_function=None)

    def write(self, data: Data, part: slice) -> None:
        from haystack import Document
        from haystack.document_stores.types import DuplicatePolicy

        columns = zip(data.ids[part], data.vectors[part], data.metadatas[part], data.texts[part], strict=True)
        found = [Document(id=i, embedding=v.tolist(), meta=m, content=t) for i, v, m, t in columns]
        self._store.write_documents(found, policy=DuplicatePolicy.OVERWRITE)

    def search(self, query: np.ndarray, chosen: Filter | None) -> None:
        filters = None
        if chosen is not None:
            ((key, value),) = chosen.chroma.items()
            filters = {"field": f"meta.{key}", "operator": "==", "value": value}
        self._store.search_embeddings([query.tolist()], TOP_K, filters)

    fetch = None  # it has no way to read by id with vectors


_PEERS = {"LangChain": _LangChain, "LlamaIndex": _LlamaIndex, "Haystack": _Haystack}


def _installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # of a parent
        return False


class _InThread:
    """A synchronous peer as an asynchronous program has to use it."""

    def __init__(self, peer: Any) -> None:
        self._peer = peer
        self.fetch = self._fetch if peer.fetch is not None else None

    async def write(self, data: Data, start: int, stop: int) -> None:
        await asyncio.to_thread(self._peer.write, data, slice(start, min(stop, len(data))))

    async def search(self, query: np.ndarray, chosen: Filter | None = None) -> None:
        await asyncio.to_thread(self._peer.search, query, chosen)

    async def _fetch(self, ids: list[str]) -> None:
        await asyncio.to_thread(self._peer.fetch, ids)


async def compare_peers(target: Target, count: int, dimension: int, rounds: int) -> tuple[list[Row], list[str]]:
    """Ours against each of them; the raw client's place is stated beside."""
    if target.name not in CHROMA:
        return [], []
    notes = [f"{name} is not installed; left out." for name, peer in _PEERS.items() if not _installed(peer.package)]
    chosen = {name: peer for name, peer in _PEERS.items() if _installed(peer.package)}
    if not chosen:
        return [], notes
    data = make_data(min(count, _MOST), dimension)
    ours, raw = await target.ours(data, "peers"), await target.raw(data, "peers")
    assert isinstance(raw, RawChroma)
    client = target.blocking_client()
    contestants: dict[str, Any] = {"ours": ours, "raw": raw}
    for name, peer in chosen.items():
        client.create_collection(f"peer-{name}", configuration={"hnsw": {"space": "cosine"}}, embedding_function=None)
        contestants[name] = _InThread(peer(client, f"peer-{name}"))
    rows = await _compare(target, contestants, data, rounds)
    for name in chosen:
        client.delete_collection(f"peer-{name}")
    await ours.drop()
    await raw.drop()
    return rows, notes


async def _compare(target: Target, contestants: dict[str, Any], data: Data, rounds: int) -> list[Row]:
    def calls(make: Callable[[Any], Callable[[int], Any]], wanted: str) -> dict[str, Callable[[int], Any]]:
        return {name: make(on) for name, on in contestants.items() if getattr(on, wanted, None) is not None}

    written = await take_turns(
        calls(lambda on: lambda i: on.write(data, i * BATCH, (i + 1) * BATCH), "write"),
        -(-len(data) // BATCH),
        block=1,
        rounds=1,
    )
    rows = []
    for name in contestants:
        if name not in ("ours", "raw"):
            rates = [1 / ratio for ratio in compare(written, "ours", name, sum)]
            each = [f"{len(data) / seconds_of(written, who, sum):,.0f}" for who in ("ours", name, "raw")]
            rows.append(
                _against(target, name, "bulk upsert, rate", rates, "{} docs/s, theirs {}, raw {}".format(*each), 1)
            )
    tenth = FILTERS["tenth"]
    reads = {
        "search": calls(lambda on: lambda i: on.search(data.queries[i]), "search"),
        "search, 10 % pass": calls(lambda on: lambda i: on.search(data.queries[i], tenth), "search"),
        "fetch 100": calls(lambda on: lambda i: on.fetch(data.ids[i * 10 : i * 10 + 100]), "fetch"),
    }
    for what, contest in reads.items():
        await take_turns(contest, 5, block=5, rounds=1)
        samples = await take_turns(contest, 40, block=5, rounds=rounds)
        for name in contest:
            if name not in ("ours", "raw"):
                each = [f"{seconds_of(samples, who) * 1e3:.3g}" for who in ("ours", name, "raw")]
                detail = "{} ms, theirs {}, raw {}".format(*each)
                rows.append(_against(target, name, f"{what}, p50", compare(samples, "ours", name), detail, 0))
    return rows


def _against(target: Target, name: str, what: str, ratios: list[float], detail: str, higher: int) -> Row:
    row = ratio_row(target.name, f"against {name}: {what}", ratios, Budget(1.0, higher_is_better=bool(higher)), detail)
    row.unit = "x theirs"
    return row
