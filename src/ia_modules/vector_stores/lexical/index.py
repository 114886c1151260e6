"""How well texts match a query, by BM25."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ia_modules.vector_stores.errors import MissingDependencyError
from ia_modules.vector_stores.lexical.analysis import Analyzer

__all__ = ["K1", "B", "LexicalIndex", "Matches", "Terms", "WordIndex"]

K1 = 1.2
B = 0.75
"""The usual parameters of BM25: how soon further occurrences of a term stop to count, and how much length does."""


class Terms:
    """Terms as numbers, which take a tenth of the memory.

    Args:
        analyzer: what the terms of a text are.
    """

    def __init__(self, analyzer: Analyzer) -> None:
        self.analyzer = analyzer
        self.numbers: dict[str, int] = {}

    def of(self, text: str) -> array[int]:
        """The terms of a text, in order, as often as they occur; each number for one term."""
        numbers = self.numbers
        return array("I", [numbers.setdefault(term, len(numbers)) for term in self.analyzer.terms(text)])


class LexicalIndex:
    """Texts that can be scored for a query.

    The score of a text is the sum over the query's terms (as often as they stand in it) of
    ``idf * tf / (tf + k1 * (1 - b + b * length / average length))`` with
    ``idf = ln(1 + (N - n + 0.5) / (n + 0.5))``: BM25 as Lucene has it (Kamphuis et al. 2020, "Which BM25 Do You
    Mean?").

    Args:
        texts: what to score, as texts or as the numbers of their terms; None for a document without text, which no
            query matches.
        terms: what their terms are, and those of queries.

    Raises:
        MissingDependencyError: bm25s is not installed.
    """

    def __init__(self, texts: Sequence[str | array[int] | None], terms: Analyzer | Terms) -> None:
        try:
            import bm25s
        except ModuleNotFoundError as error:
            raise MissingDependencyError("bm25s", extra="hybrid", needed_for="Searching by words") from error
        terms = Terms(terms) if isinstance(terms, Analyzer) else terms
        self._analyzer = terms.analyzer
        self._size = len(texts)
        numbers = [terms.of(text) if isinstance(text, str) else text or array("I") for text in texts]
        self._scorer = None
        if any(numbers):
            self._scorer = bm25s.BM25(method="lucene", k1=K1, b=B)
            self._scorer.index((numbers, dict(terms.numbers)), show_progress=False)

    def scores(self, query: str) -> NDArray[np.float64]:
        """The score of each text, shape ``(n,)``; 0 where no term of the query stands in it."""
        if self._scorer is None:
            return np.zeros(self._size)
        known = self._scorer.vocab_dict
        terms = [term for term in self._analyzer.terms(query) if term in known]
        if not terms:
            return np.zeros(self._size)
        return np.asarray(self._scorer.get_scores(terms), dtype=np.float64)


class WordIndex:
    """The texts of documents, to be found by words.

    Args:
        ids: the documents' ids, distinct.
        texts: their texts, or the numbers of their terms, or None.
        terms: what terms are.
    """

    def __init__(self, ids: Sequence[str], texts: Sequence[str | array[int] | None], terms: Analyzer | Terms) -> None:
        self.ids = ids
        self._index = LexicalIndex(texts, terms)

    @cached_property
    def places(self) -> dict[str, int]:
        """Where each document stands."""
        return {one: place for place, one in enumerate(self.ids)}

    def matches(self, query: str) -> Matches:
        """What the words of a query find."""
        return Matches(self, self._index.scores(query))


class Matches:
    """How well each document of an index matches a query.

    Args:
        index: the index.
        scores: BM25 of each document, shape ``(n,)``.
    """

    def __init__(self, index: WordIndex, scores: NDArray[np.float64]) -> None:
        self._index = index
        self._scores = scores

    def of(self, ids: Iterable[str]) -> dict[str, float]:
        """The scores of those of the ids that the index has."""
        places = self._index.places
        return {one: float(self._scores[places[one]]) for one in ids if one in places}

    def ranked(self, first: int) -> Iterator[tuple[str, float]]:
        """All documents with a word of the query, the best first and equal ones by id; ready for so many at once."""
        found = np.flatnonzero(self._scores)
        scores = self._scores[found]
        taken = 0
        while taken < len(found):
            if first < len(found):
                least = np.partition(scores, len(scores) - first)[len(scores) - first]
                chosen = np.flatnonzero(scores >= least)
            else:
                chosen = np.arange(len(found))
            ids = self._index.ids
            best = sorted((-score, ids[place]) for score, place in zip(scores[chosen], found[chosen], strict=True))
            for score, one in best[taken:]:
                yield one, float(-score)
            taken = len(best)
            first *= 4

    def best(self, top_k: int, within: Collection[str] | None = None) -> dict[str, float]:
        """The best ``top_k`` documents with a word of the query, of all or of some."""
        found: dict[str, float] = {}
        for one, score in self.ranked(top_k):
            if within is None or one in within:
                found[one] = score
                if len(found) == top_k:
                    break
        return found
