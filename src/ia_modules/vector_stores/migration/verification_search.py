"""A sample of searches: whether the target finds what the source's vectors say that it should."""

from __future__ import annotations

import asyncio
import math
from bisect import insort
from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ia_modules.vector_stores.base import VectorStoreBase
from ia_modules.vector_stores.errors import InvalidDocumentError
from ia_modules.vector_stores.metrics import DistanceMetric, exact_scores
from ia_modules.vector_stores.migration.records import Source
from ia_modules.vector_stores.migration.verification_ledger import record_keys
from ia_modules.vector_stores.migration.verification_report import SearchSummary
from ia_modules.vector_stores.migration.verification_sides import pages_of
from ia_modules.vector_stores.migration.verification_tally import UNCOMPARABLE, Bins, Tally
from ia_modules.vector_stores.models import VectorDocument

__all__ = ["Answer", "Query", "Sample", "exact_answers", "judge", "store_answers"]

Ranking: TypeAlias = dict[str, float]
"""Scores by id, best first."""

_AT_A_TIME = 20
_NOISE = 0.05
"""How far a query is from the document it is made of, relative to the length of its vector."""
_SCORE_TOLERANCE = 1e-4
_ROUNDING = 1e-9
_RECALL_BINS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.99, 0.999)
_DIFFERENCE_BINS = (0.0, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)


@dataclass(frozen=True, slots=True)
class Query:
    """A search to be run.

    Attributes:
        namespace: of the target.
        id: of the document that it is made of.
        vector: near that document's, float32 of shape ``(dimension,)``.
    """

    namespace: str
    id: str
    vector: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Answer:
    """Both answers to a query.

    Attributes:
        query: the query.
        expected: what the source says.
        found: what the target says.
    """

    query: Query
    expected: Ranking
    found: Ranking


class Sample:
    """Some of the documents that pass by: those with the smallest keys, so their order does not matter.

    Args:
        size: how many.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: list[tuple[bytes, str, str]] = []
        self._vectors: dict[bytes, NDArray[np.float32]] = {}

    def offer(self, namespace: str, documents: Sequence[VectorDocument], keys: Sequence[bytes]) -> None:
        """Look at documents that pass by; ``keys`` are theirs."""
        for document, key in zip(documents, keys, strict=True):
            if len(self._kept) >= self._size and (not self._size or key > self._kept[-1][0]):
                continue
            if key not in self._vectors:
                insort(self._kept, (key, namespace, document.id))
            self._vectors[key] = document.vector.array.copy()
            if len(self._kept) > self._size:
                del self._vectors[self._kept.pop()[0]]

    def queries(self, dimension: int | None, seed: int) -> list[Query]:
        """A query near each document of the sample, by namespace; those of another dimension are left out."""
        made = []
        for key, namespace, document_id in self._kept:
            vector = self._vectors[key].astype(np.float64)
            if dimension is not None and vector.size != dimension:
                continue
            noise = np.random.default_rng([abs(seed), *key]).standard_normal(vector.size)
            length = float(np.linalg.norm(vector)) or 1.0
            with np.errstate(over="ignore"):
                near = (vector + noise * (_NOISE * length / vector.size**0.5)).astype(np.float32)
            if np.isfinite(near).all():
                made.append(Query(namespace, document_id, near))
        return sorted(made, key=lambda query: (query.namespace, query.id))


async def store_answers(
    source: VectorStoreBase,
    target: VectorStoreBase,
    queries: Sequence[Query],
    origins: Mapping[str, Sequence[str]],
    top_k: int,
) -> list[Answer]:
    """Run the queries on two stores; those that one of them can't be asked are left out.

    Args:
        source: the one store.
        target: the other store.
        queries: in the order of their namespaces.
        origins: namespaces of the source by those of the target.
        top_k: results of each.
    """
    answers = []
    for namespace, group in groupby(queries, key=lambda query: query.namespace):
        for some in _parts(list(group)):
            found = await _ask(target, some, namespace, top_k)
            expected: list[Ranking | None] = [{} for _ in some]
            for origin in origins[namespace]:
                more = await _ask(source, some, origin, top_k)
                expected = [_merged(one, other, top_k) for one, other in zip(expected, more, strict=True)]
            for query, ours, theirs in zip(some, expected, found, strict=True):
                if ours is not None and theirs is not None:
                    answers.append(Answer(query, ours, theirs))
    return answers


async def exact_answers(
    source: Source,
    target: VectorStoreBase,
    metric: DistanceMetric,
    queries: Sequence[Query],
    origins: Mapping[str, Sequence[str]],
    top_k: int,
    batch_size: int,
) -> list[Answer]:
    """Run the queries on a store, and score all documents of a source, which is read for that once more.

    Args:
        source: the one side.
        target: the store.
        metric: of the store.
        queries: in the order of their namespaces.
        origins: namespaces of the source by those of the target.
        top_k: results of each.
        batch_size: documents per page.
    """
    answers = []
    for namespace, group in groupby(queries, key=lambda query: query.namespace):
        some = list(group)
        best: list[Ranking] = [{} for _ in some]
        for origin in origins[namespace]:
            async with aclosing(pages_of(source, origin, batch_size)) as pages:
                async for page in pages:
                    best = await asyncio.to_thread(_scored, metric, some, page.documents, best, top_k)
        found: list[Ranking | None] = []
        for part in _parts(some):
            found += await _ask(target, part, namespace, top_k)
        answers += [
            Answer(query, ours, theirs)
            for query, ours, theirs in zip(some, best, found, strict=True)
            if theirs is not None
        ]
    return answers


def judge(
    answers: Sequence[Answer],
    tally: Tally,
    metric: DistanceMetric,
    *,
    how: Literal["both sides", "exact"],
    top_k: int,
    min_recall: float,
    seed: int,
) -> SearchSummary | None:
    """Compare answers, and count what is wrong with them.

    Documents that are missing in the target or have another vector there are findings already, and are left out here.
    What had to be found is each of the others that scores higher than the last that was found.

    Args:
        answers: what both sides said.
        tally: knows of each document what was found, and gets what is found here.
        metric: that both sides scored by.
        how: what the answers are.
        top_k: results of each.
        min_recall: mean recall below which there is a finding.
        seed: of the ledger's keys.

    Returns:
        The summary; None if there was nothing to compare.
    """
    recalls: list[float] = []
    recall_bins, difference_bins = Bins(_RECALL_BINS), Bins(_DIFFERENCE_BINS)
    for answer in answers:
        query = answer.query
        keys = record_keys(query.namespace, answer.expected, seed)
        entries = tally.ledger.find(keys)
        # Without an entry, it was written since.
        sound = [key in entries and not entries[key][0] & UNCOMPARABLE for key in keys]
        expected = {name: score for (name, score), fine in zip(answer.expected.items(), sound, strict=True) if fine}
        if not expected:
            continue
        unit = float(np.vdot(query.vector, query.vector)) if metric is DistanceMetric.DOT_PRODUCT else 1.0
        last = min(answer.found.values()) if len(answer.found) >= top_k else -np.inf
        allowed = {name: _SCORE_TOLERANCE * max(1.0, unit, abs(score)) for name, score in expected.items()}
        missed = sum(name not in answer.found and score > last + allowed[name] for name, score in expected.items())
        recalls.append(1.0 - missed / len(expected))
        differences = {
            name: abs(score - answer.found[name]) for name, score in expected.items() if name in answer.found
        }
        difference_bins.add(differences.values())
        if beyond := [difference for name, difference in differences.items() if not difference <= allowed[name]]:
            text = f"scores of {len(beyond)} of {len(differences)} results near it differ, by up to {max(beyond):.1e}"
            tally.add("search", query.namespace, query.id, text)
    if not recalls:
        return None
    recall_bins.add(recalls)
    mean = math.fsum(recalls) / len(recalls)
    if mean < min_recall - _ROUNDING:
        text = f"recall@{top_k} is {mean:.3f} over {len(recalls)} searches, and should be {min_recall:g} at least"
        tally.add("search", None, None, text)
    return SearchSummary(
        how=how,
        queries=len(recalls),
        top_k=top_k,
        mean_recall=mean,
        lowest_recall=min(recalls),
        mean_difference=difference_bins.sum / difference_bins.total if difference_bins.total else 0.0,
        max_difference=difference_bins.largest,
        recall=recall_bins.histogram(),
        differences=difference_bins.histogram(),
    )


async def _ask(store: VectorStoreBase, queries: Sequence[Query], namespace: str, top_k: int) -> list[Ranking | None]:
    """What a store answers; None for what it can't be asked, such as a vector too long for it."""
    vectors = [query.vector for query in queries]
    try:
        responses = await store.search_many(vectors, top_k, namespace=namespace, include_metadata=False)
    except InvalidDocumentError:
        if len(queries) == 1:
            return [None]
        return [(await _ask(store, [query], namespace, top_k))[0] for query in queries]
    return [{result.id: result.score for result in response.results} for response in responses]


def _scored(
    metric: DistanceMetric,
    queries: Sequence[Query],
    documents: Sequence[VectorDocument],
    best: list[Ranking],
    top_k: int,
) -> list[Ranking]:
    """The best so far, with those of some more documents."""
    if not queries:
        return best
    fitting = [one for one in documents if len(one.vector) == queries[0].vector.size]
    if not fitting:
        return best
    rows = np.stack([one.vector.array for one in fitting])
    merged: list[Ranking] = []
    for query, before in zip(queries, best, strict=True):
        scores = exact_scores(metric, rows, query.vector)
        least = min(before.values()) if len(before) >= top_k else -np.inf
        near = np.flatnonzero(scores > least)
        near = near[np.argsort(-scores[near], kind="stable")[:top_k]]
        merged.append(_cut([*before.items(), *((fitting[at].id, float(scores[at])) for at in near.tolist())], top_k))
    return merged


def _merged(one: Ranking | None, other: Ranking | None, top_k: int) -> Ranking | None:
    return None if one is None or other is None else _cut([*one.items(), *other.items()], top_k)


def _cut(scored: Iterable[tuple[str, float]], top_k: int) -> Ranking:
    return dict(sorted(dict(scored).items(), key=lambda item: (-item[1], item[0]))[:top_k])


def _parts(queries: list[Query]) -> list[list[Query]]:
    return [queries[at : at + _AT_A_TIME] for at in range(0, len(queries), _AT_A_TIME)]
