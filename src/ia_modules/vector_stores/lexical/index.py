"""How well texts match a query, by BM25."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ia_modules.vector_stores.errors import MissingDependencyError
from ia_modules.vector_stores.lexical.analysis import Analyzer

__all__ = ["K1", "B", "LexicalIndex"]

K1 = 1.2
B = 0.75
"""The usual parameters of BM25: how soon further occurrences of a term stop to count, and how much length does."""


class LexicalIndex:
    """Texts that can be scored for a query.

    The score of a text is the sum over the query's terms (as often as they stand in it) of
    ``idf * tf / (tf + k1 * (1 - b + b * length / average length))`` with
    ``idf = ln(1 + (N - n + 0.5) / (n + 0.5))``: BM25 as Lucene has it (Kamphuis et al. 2020, "Which BM25 Do You
    Mean?").

    Args:
        texts: what to score; None for a document without text, which no query matches.
        analyzer: what their terms are, and those of queries.

    Raises:
        MissingDependencyError: bm25s is not installed.
    """

    def __init__(self, texts: Sequence[str | None], analyzer: Analyzer) -> None:
        try:
            import bm25s
        except ModuleNotFoundError as error:
            raise MissingDependencyError("bm25s", extra="hybrid", needed_for="Searching by words") from error
        self._analyzer = analyzer
        self._size = len(texts)
        terms = [[] if text is None else analyzer.terms(text) for text in texts]
        self._scorer = None
        if any(terms):
            self._scorer = bm25s.BM25(method="lucene", k1=K1, b=B)
            self._scorer.index(terms, show_progress=False)

    def scores(self, query: str) -> NDArray[np.float64]:
        """The score of each text, shape ``(n,)``; 0 where no term of the query stands in it."""
        if self._scorer is None:
            return np.zeros(self._size)
        known = self._scorer.vocab_dict
        terms = [term for term in self._analyzer.terms(query) if term in known]
        if not terms:
            return np.zeros(self._size)
        return np.asarray(self._scorer.get_scores(terms), dtype=np.float64)
