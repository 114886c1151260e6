"""``hybrid_search``, as every store has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from ia_modules.vector_stores.documents import checked_query
from ia_modules.vector_stores.filters import MATCH_ALL, MATCH_NONE, FilterLike, Node
from ia_modules.vector_stores.hybrid.diversity import checked_diversity, diversified
from ia_modules.vector_stores.hybrid.fusion import FUSIONS, RRF_K, fused, least_score, ranked, weights_of
from ia_modules.vector_stores.hybrid.reranking import Reranker, rescored
from ia_modules.vector_stores.lexical import analyzer
from ia_modules.vector_stores.metrics import DistanceMetric, exact_scores
from ia_modules.vector_stores.models import Explanation, SearchResponse, SearchResult, VectorDocument
from ia_modules.vector_stores.parts import part
from ia_modules.vector_stores.requests import SearchRequest, TextRequest
from ia_modules.vector_stores.vectors import VectorLike

if TYPE_CHECKING:
    from ia_modules.vector_stores.base import VectorStoreBase

__all__ = ["CANDIDATES", "HybridSearchMixin"]

CANDIDATES = 100
"""How many documents are looked at to choose from, unless told otherwise."""


class HybridSearchMixin:
    """The part of a store that searches by vector and by words at once."""

    async def hybrid_search(
        self,
        query_vector: VectorLike | None,
        query_text: str | None = None,
        top_k: int = 10,
        vector_weight: float = 0.7,
        text_weight: float = 0.3,
        filters: FilterLike = None,
        namespace: str | None = None,
        include_metadata: bool = True,
        include_vectors: bool = False,
        *,
        fusion: str = "weighted",
        rrf_k: float = RRF_K,
        candidates: int = CANDIDATES,
        language: str = "en",
        score_threshold: float | None = None,
        diversity: float | None = None,
        reranker: Reranker | None = None,
        rerank_timeout: float = 2.0,
        explain: bool = False,
    ) -> SearchResponse:
        """Find documents that are near to a vector, or have the words of a text, or both.

        Words are compared without upper case, endings and stop words, and ranked by BM25
        (:class:`~ia_modules.vector_stores.lexical.LexicalIndex`); how the two orders become one says
        :mod:`~ia_modules.vector_stores.hybrid.fusion`. A candidate that only one side has found is scored by the other
        one as well, so that a document which only the words find can win.

        Args:
            query_vector: finite numbers, shape ``(dimension,)``; None only with ``vector_weight=0``.
            query_text: words; without any, only the vector counts.
            top_k: most results.
            vector_weight: how much the vector counts; with 0, results are those that have a word, ranked by words.
            text_weight: how much the words count; with 0, results are in the order of their vectors.
            filters: as in ``search``; they bind both sides.
            namespace: None for the config's default.
            include_metadata: whether results have metadata and text.
            include_vectors: whether results have their vector.
            fusion: ``"weighted"`` or ``"rrf"``.
            rrf_k: the constant of ``"rrf"``.
            candidates: how many each side finds, at least ``top_k``.
            language: of texts and query (ISO 639-1, see :data:`~ia_modules.vector_stores.lexical.LANGUAGES`), or
                ``"none"`` for words as they are.
            score_threshold: leave out results whose fused score is lower.
            diversity: between 0 and 1; choose among the candidates those that differ from each other, see
                :func:`~ia_modules.vector_stores.hybrid.diversity.diversified`. Results are in the order of the choice.
            reranker: scores the first ``candidates`` anew by query text and their texts; needs a ``query_text``. The
                results have its scores, and ``reranked`` of the response says whether it was in time.
            rerank_timeout: seconds that the reranker may take before the order without it is returned.
            explain: whether each result says its scores and ranks on both sides.

        Returns:
            Results by fused score, equal scores by id.

        Raises:
            InvalidDimensionError, InvalidDocumentError: a query vector that can't be used.
            UnsupportedOperationError: ``top_k`` above the provider's limit.
            MissingDependencyError: the extra ``hybrid`` is not installed.
            IndexNotFoundError: the index does not exist.
            ValueError: weights, a fusion, a language or a number that makes no sense, or neither vector nor text.
        """
        started = perf_counter()
        store = cast("VectorStoreBase", self)
        weights = weights_of(vector_weight, text_weight)
        checked_diversity(diversity)
        reranked: bool | None = None
        if query_text is None or not query_text.strip():
            weights = (1.0, 0.0)
            if not vector_weight:
                raise ValueError("hybrid_search needs a query_text if vector_weight is 0")
        if reranker is not None and not (query_text and query_text.strip()):
            raise ValueError("a reranker needs a query_text")
        if not rerank_timeout > 0:
            raise ValueError(f"rerank_timeout must be a number of seconds above 0, not {rerank_timeout!r}")
        if fusion not in FUSIONS:
            raise ValueError(f"unknown fusion {fusion!r}; known: {', '.join(FUSIONS)}")
        if not 0 < rrf_k < float("inf"):
            raise ValueError(f"rrf_k must be a number above 0, not {rrf_k!r}")
        if type(candidates) is not int or candidates < 1:
            raise ValueError(f"candidates must be an integer of at least 1, not {candidates!r}")
        store._check_top_k(top_k)  # noqa: SLF001 - this is a part of the base class
        if query_vector is None and weights[0]:
            raise ValueError("hybrid_search needs a query_vector unless vector_weight is 0")
        if weights[1]:
            analyzer(language)
        where = store._namespace(namespace)  # noqa: SLF001
        node = MATCH_ALL if filters is None else store._normal(filters, "hybrid_search")  # noqa: SLF001
        info = await store._index("hybrid_search")  # noqa: SLF001
        vector = None
        if query_vector is not None:
            vector = checked_query(query_vector, info.dimension)
            store._check_query_length(vector, info.metric, "hybrid_search")  # noqa: SLF001
        limit = store.capabilities.max_top_k
        depth = max(top_k, candidates) if limit is None else min(max(top_k, candidates), limit)
        search = _Hybrid(store, vector, query_text or "", weights, node, where, info.metric, depth, language)
        results: list[SearchResult] = []
        if node != MATCH_NONE:
            wide = reranker is not None or bool(diversity)

            async def find() -> tuple[dict[str, float], list[str]]:
                await search.find()
                scores = search.fused(fusion, rrf_k)
                best = [one for one in ranked(scores) if score_threshold is None or scores[one] >= score_threshold]
                best = best[: depth if wide else top_k]
                return scores, await search.readable(best)

            scores, best = await store._run("hybrid_search", find)  # noqa: SLF001
            documents = search.found
            if reranker is not None:
                texts = [documents[one].text or "" for one in best]
                found = await rescored(reranker, search.text, best, texts, rerank_timeout)
                reranked = found is not None
                if found is not None:
                    scores = found
                    best = ranked(found)
            if diversity:
                best = diversified(best, scores, {one: _array(documents[one]) for one in best}, top_k, diversity)
            results = [
                SearchResult(
                    id=one,
                    score=scores[one],
                    metadata=documents[one].metadata if include_metadata else {},
                    text=documents[one].text if include_metadata else None,
                    vector=documents[one].vector if include_vectors else None,
                    explanation=search.explanation(one, fusion) if explain else None,
                )
                for one in best[:top_k]
            ]
        elapsed = (perf_counter() - started) * 1e3
        return SearchResponse(results=results, total=len(results), query_time_ms=elapsed, reranked=reranked)


@dataclass
class _Hybrid:
    """One hybrid search: what both sides have found, once :meth:`find` has run."""

    store: VectorStoreBase
    vector: NDArray[np.float32] | None
    text: str
    weights: tuple[float, float]
    filters: Node
    namespace: str
    metric: DistanceMetric
    depth: int
    language: str

    def __post_init__(self) -> None:
        self.found: dict[str, VectorDocument | SearchResult] = {}
        self._by_vector: dict[str, float] = {}
        self._by_text: dict[str, float] = {}
        self._ranks: tuple[dict[str, int], dict[str, int]] = ({}, {})

    async def find(self) -> None:
        """Ask both sides, and score what only one has found by the other one."""
        store = self.store
        self.found, self._by_vector, self._by_text = {}, {}, {}
        if self.weights[0]:
            assert self.vector is not None
            request = SearchRequest(
                self.vector,
                self.depth,
                self.filters,
                self.namespace,
                self.metric,
                include_metadata=True,
                include_vectors=True,
            )
            nearest = await part(lambda: store._search(request))  # noqa: SLF001
            self._by_vector = {one.id: one.score for one in nearest}
            for kept in ranked(self._by_vector)[self.depth :]:
                del self._by_vector[kept]
            self.found = {one.id: one for one in nearest if one.id in self._by_vector}
        if self.weights[1]:
            wanted = TextRequest(
                self.text, self.depth, self.filters, self.namespace, self.language, frozenset(self._by_vector)
            )
            self._by_text = await part(lambda: store._search_text(wanted))  # noqa: SLF001
        worded = {one: score for one, score in self._by_text.items() if score}
        self._ranks = (_ranks(self._by_vector), _ranks(worded, self.depth))
        if self.weights[0] and (only := [one for one in self._by_text if one not in self._by_vector]):
            await self._read(only)
            there = [one for one in only if one in self.found]
            if there:
                assert self.vector is not None
                rows = np.stack([_array(self.found[one]) for one in there])
                scores = exact_scores(self.metric, rows, self.vector).tolist()
                self._by_vector.update(zip(there, scores, strict=True))
            for gone in set(only) - set(there):  # deleted meanwhile
                del self._by_text[gone]
                self._ranks[1].pop(gone, None)

    def fused(self, fusion: str, rrf_k: float) -> dict[str, float]:
        """The score of each candidate."""
        by_vector: Mapping[str, float] = self._by_vector if self.weights[0] else {}
        by_text: Mapping[str, float] = self._by_text
        return fused(
            fusion, by_vector, by_text, self.weights, least=least_score(self.metric), rrf_k=rrf_k, ranks=self._ranks
        )

    async def readable(self, ids: Sequence[str]) -> list[str]:
        """Those of the ids whose documents are in :attr:`found` now; others have been deleted meanwhile."""
        await self._read([one for one in ids if one not in self.found])
        return [one for one in ids if one in self.found]

    def explanation(self, document_id: str, fusion: str) -> Explanation:
        """Why a document is where it is."""
        return Explanation(
            fusion=fusion,
            vector_weight=self.weights[0],
            text_weight=self.weights[1],
            vector_score=self._by_vector.get(document_id),
            vector_rank=self._ranks[0].get(document_id),
            text_score=self._by_text.get(document_id),
            text_rank=self._ranks[1].get(document_id),
        )

    async def _read(self, ids: list[str]) -> None:
        if ids:
            self.found |= await part(lambda: self.store._fetch(ids, self.namespace))  # noqa: SLF001


def _array(document: VectorDocument | SearchResult) -> NDArray[np.float32]:
    """The vector of a document that was read with it."""
    assert document.vector is not None
    return document.vector.array


def _ranks(scores: Mapping[str, float], depth: int | None = None) -> dict[str, int]:
    """Ranks from 1, of the first so many."""
    return {one: rank for rank, one in enumerate(ranked(scores)[:depth], 1)}
