"""The pipeline step that searches."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from ia_modules.vector_stores.base import VectorStoreBase
from ia_modules.vector_stores.models import SearchResponse, SearchResult
from ia_modules.vector_stores.rag import close_shared_stores, count_tokens
from ia_modules.vector_stores.rag.context import ContextBuilder, TokenCounter
from ia_modules.vector_stores.rag.options import MISSING, Options, kind_of
from ia_modules.vector_stores.rag.queries import Queries, embed_queries, read_queries
from ia_modules.vector_stores.rag.runtime import PipelineError, StepConfigurationError
from ia_modules.vector_stores.rag.sources import EmbedderSource, check_model
from ia_modules.vector_stores.rag.step import StoreStep
from ia_modules.vector_stores.tasks import each
from ia_modules.vector_stores.vectors import VectorLike

__all__ = ["VectorSearchStep", "close_shared_stores"]

_HYBRID = (
    "vector_weight",
    "text_weight",
    "fusion",
    "rrf_k",
    "candidates",
    "language",
    "reranker",
    "rerank_timeout",
    "explain",
)
_AT_A_TIME = 4
_MANY_RESULTS = 200


class VectorSearchStep(StoreStep):
    """Searches a store for what comes in as ``query`` or ``query_vector``.

    Both constructors mean the same: ``VectorSearchStep(vector_store=store, embedding_model="text-embedding-3-small")``
    and, as a pipeline loads it from JSON, ``VectorSearchStep(name, config)``.

    The result is everything that came in, and

    - ``results``: the best documents first, each an object with ``id``, ``score`` (higher is better), ``text``,
      ``metadata`` and ``number`` (its number in the context, or null);
    - ``context``: their texts for a prompt, as numbered sources, within ``context_tokens``.

    For a list of queries, which is searched in one batch, both are lists in the same order.

    Config keys:
        store (or ``vector_store``): a URL, an object of the fields of ``VectorStoreConfig``, the name of a service (a
            store, a pool or a config), or a store or a pool itself. Left out, it is the service ``vector_store``.
        pool: true, or settings such as ``{"max_size": 10}``, to open a pool instead of one connection.
        api_key_env: the environment variable that holds the store's API key.
        embedding_model: what embeds texts: a name (``wordllama``, ``text-embedding-3-small``,
            ``sentence-transformers:all-MiniLM-L6-v2``), the name of a service, or an embedder.
        top_k: most results for each query; 10.
        filters: in JSON form, as an object or a list of which all must hold.
        namespace: the namespace to search; left out, the store's default.
        score_threshold: leave out results that score lower.
        hybrid: true to search by words as well, or an object of arguments of ``hybrid_search``: vector_weight,
            text_weight, fusion, rrf_k, candidates, language, rerank_timeout, explain (and ``reranker`` in Python).
        diversity: 0 to 1, to prefer results that differ from each other.
        include_metadata: true; false leaves out texts as well, and with them the context.
        include_vectors: false.
        context_tokens: most tokens of a context; 2000. 0 for none.
        token_counter: a function that counts the tokens of a text, or a service that is one; without it,
            :func:`~ia_modules.vector_stores.rag.count_tokens` estimates.
        source_field: metadata key of a source's name in the context; ``source``, and the id where it is missing.
        query_key, query_vector_key, output_key, context_key: where they are in the data, if not in ``query``,
            ``query_vector``, ``results`` and ``context``.
        error_handling: the pipeline's own settings. With ``enable_fallback``, a search that fails as the database
            can't be reached gives no results, and ``results_error`` with ``category`` and ``message``.

    Raises:
        StepConfigurationError: a config that makes no sense.
    """

    default_name: ClassVar[str] = "vector_search"

    def __init__(
        self,
        name: str | None = None,
        config: Mapping[str, Any] | None = None,
        *,
        vector_store: Any = None,
        embedding_model: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(name, config, vector_store=vector_store, embedding_model=embedding_model, **options)

    def _read(self, options: Options) -> None:
        self._embedder = EmbedderSource(options)
        self._top_k = options.integer("top_k", 10, 1)
        self._filters = options.filters("filters")
        self._threshold = options.number("score_threshold")
        self._diversity = options.number("diversity")
        if self._diversity is not None and not 0 <= self._diversity <= 1:
            options.fail("diversity", f"diversity must be between 0 and 1, not {self._diversity!r}")
        self._hybrid = _read_hybrid(options)
        self._include_metadata = options.flag("include_metadata", True)
        self._include_vectors = options.flag("include_vectors", False)
        self._context_tokens = options.integer("context_tokens", 2000, 0)
        self._counter: Any = options.take("token_counter", count_tokens)
        if not callable(self._counter) and not (isinstance(self._counter, str) and self._counter):
            options.fail(
                "token_counter", f"token_counter must be a function or a service's name, not {kind_of(self._counter)}"
            )
        self._source_field = options.text("source_field", "source")
        self._query_key = options.text("query_key", "query")
        self._vector_key = options.text("query_vector_key", "query_vector")
        self._output_key = options.output("output_key", "results")
        self._context_key = options.output("context_key", "context")

    async def fallback(self, data: dict[str, Any], error: PipelineError) -> dict[str, Any]:
        """No results, and why; the pipeline asks for it with ``enable_fallback`` only."""
        queries = read_queries(data, self._query_key, self._vector_key)
        return {
            **data,
            self._output_key: [] if queries.single else [[] for _ in range(len(queries))],
            self._context_key: "" if queries.single else [""] * len(queries),
            f"{self._output_key}_error": {"category": error.category.value, "message": error.message},
        }

    async def _work(self, data: Mapping[str, Any]) -> dict[str, Any]:
        queries = read_queries(data, self._query_key, self._vector_key)
        builder = ContextBuilder(self._context_tokens, self._token_counter(), self._source_field)
        responses = await self._responses(queries)
        found = [response.results for response in responses]
        if sum(map(len, found)) > _MANY_RESULTS:
            shown = await asyncio.to_thread(self._shown, found, builder)
        else:
            shown = self._shown(found, builder)
        lists, contexts = shown
        return {
            self._output_key: lists[0] if queries.single else lists,
            self._context_key: contexts[0] if queries.single else contexts,
        }

    async def _responses(self, queries: Queries) -> list[SearchResponse]:
        if not len(queries):
            return []
        vectors, embedder = queries.vectors, None
        if vectors is None and self._hybrid.get("vector_weight") != 0:
            assert queries.texts is not None
            embedder = await self._embedder.get(self)
            vectors = await embed_queries(embedder, queries.texts)
        async with self.store() as store:
            if embedder is not None:
                await check_model(store, embedder)
            return await self._search(store, queries, vectors)

    async def _search(
        self, store: VectorStoreBase, queries: Queries, vectors: Sequence[VectorLike] | None
    ) -> list[SearchResponse]:
        common: dict[str, Any] = {
            "top_k": self._top_k,
            "filters": self._filters,
            "namespace": self.source.namespace,
            "include_metadata": self._include_metadata,
            "include_vectors": self._include_vectors,
            "score_threshold": self._threshold,
        }
        if self._diversity is not None:
            common["diversity"] = self._diversity
        if not self._hybrid:
            assert vectors is not None
            if queries.single:
                return [await store.search(vectors[0], **common)]
            return await store.search_many(vectors, **common)

        async def one(place: int) -> SearchResponse:
            return await store.hybrid_search(
                None if vectors is None else vectors[place],
                None if queries.texts is None else queries.texts[place],
                **common,
                **self._hybrid,
            )

        return await each(range(len(queries)), one, at_a_time=_AT_A_TIME)

    def _token_counter(self) -> TokenCounter:
        counter = self._counter
        if isinstance(counter, str):
            counter = None if self.services is None else self.services.get(counter)
            if not callable(counter):
                raise StepConfigurationError(
                    f"token_counter: no function is registered as the service {self._counter!r}",
                    config_key="token_counter",
                    step_id=self.name,
                )
        chosen: TokenCounter = counter
        return chosen

    @staticmethod
    def _shown(found: Sequence[Sequence[SearchResult]], builder: ContextBuilder) -> tuple[list[Any], list[str]]:
        lists: list[Any] = []
        contexts = []
        for results in found:
            context, numbers = builder.build(results)
            contexts.append(context)
            lists.append([_as_json(one, number) for one, number in zip(results, numbers, strict=True)])
        return lists, contexts


def _as_json(result: SearchResult, number: int | None) -> dict[str, Any]:
    shown = result.model_dump(mode="json", exclude={"vector", "explanation"}) | {"number": number}
    if result.vector is not None:
        shown["vector"] = result.vector.array.tolist()
    if result.explanation is not None:
        shown["explanation"] = result.explanation.model_dump(mode="json")
    return shown


def _read_hybrid(options: Options) -> dict[str, Any]:
    """Arguments of ``hybrid_search``; none if it is not wanted."""
    value = options.take("hybrid", MISSING)
    if value is MISSING or value is False:
        return {}
    if value is True:
        return {"text_weight": 0.3}
    if not isinstance(value, Mapping):
        options.fail("hybrid", f"hybrid must be true, false or an object, not {kind_of(value)}")
    if unknown := sorted(str(key)[:80] for key in value if key not in _HYBRID):
        options.fail("hybrid", f"hybrid: unknown key {unknown[0]!r}; known are {', '.join(_HYBRID)}")
    return {"text_weight": 0.3, **value}
