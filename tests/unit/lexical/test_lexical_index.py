"""BM25 against the formula."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ia_modules.vector_stores.lexical import LexicalIndex, analyzer
from ia_modules.vector_stores.lexical.index import K1, B

WORDS = st.lists(st.sampled_from("abcdef"), max_size=12).map(" ".join)


def by_the_formula(texts: list[str | None], query: str) -> list[float]:
    documents = [Counter((text or "").split()) for text in texts]
    lengths = [sum(one.values()) for one in documents]
    average = sum(lengths) / len(lengths)
    scores = []
    for document, length in zip(documents, lengths, strict=True):
        score = 0.0
        for term in query.split():
            holding = sum(term in one for one in documents)
            if document[term]:
                idf = math.log(1 + (len(documents) - holding + 0.5) / (holding + 0.5))
                score += idf * document[term] / (document[term] + K1 * (1 - B + B * length / average))
        scores.append(score)
    return scores


@given(st.lists(st.none() | WORDS, min_size=1, max_size=8), WORDS)
def test_scores_are_those_of_the_formula(texts: list[str | None], query: str) -> None:
    scores = LexicalIndex(texts, analyzer("none")).scores(query)
    assert scores.shape == (len(texts),)
    if any(texts):
        assert np.allclose(scores, by_the_formula(texts, query), atol=1e-6)
    else:
        assert not scores.any()


def test_no_texts_at_all() -> None:
    assert LexicalIndex([], analyzer("en")).scores("anything").tolist() == []
    assert LexicalIndex([None, "", "the"], analyzer("en")).scores("the").tolist() == [0, 0, 0]
