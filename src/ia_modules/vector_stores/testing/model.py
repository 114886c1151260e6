"""What a store must answer, in plain Python: dictionaries, the evaluator of filters, and the formulas of the scores.

Slow and obvious on purpose. It shares no code with any provider, so that the memory provider can be held against it
as well; only the meaning of filters is the library's own evaluator, which is their definition.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ia_modules.vector_stores.filters import FilterLike, matches
from ia_modules.vector_stores.metrics import DistanceMetric
from ia_modules.vector_stores.models import VectorDocument

__all__ = ["Model", "Ranking", "exact_score"]

Ranking = list[tuple[float, str]]
"""Scores and ids of all documents that match, best first, equal scores by id."""


def exact_score(metric: DistanceMetric, a: Sequence[float], b: Sequence[float]) -> float:
    """The score of two vectors, by the formula in ``docs/semantics.md``."""
    if metric is DistanceMetric.EUCLIDEAN:
        return 1.0 / (1.0 + math.sqrt(math.fsum((x - y) ** 2 for x, y in zip(a, b, strict=True))))
    if metric is DistanceMetric.MANHATTAN:
        return 1.0 / (1.0 + math.fsum(abs(x - y) for x, y in zip(a, b, strict=True)))
    product = math.fsum(x * y for x, y in zip(a, b, strict=True))
    if metric is DistanceMetric.DOT_PRODUCT:
        return product
    lengths = math.sqrt(math.fsum(x * x for x in a)) * math.sqrt(math.fsum(x * x for x in b))
    return product / lengths if lengths else 0.0


class Model:
    """One index.

    Args:
        metric: what :meth:`ranking` ranks by.
    """

    def __init__(self, metric: DistanceMetric = DistanceMetric.COSINE) -> None:
        self.metric = metric
        self.namespaces: dict[str, dict[str, VectorDocument]] = {}

    def documents(self, namespace: str = "", filters: FilterLike = None) -> dict[str, VectorDocument]:
        """Documents that match, by id."""
        found = self.namespaces.get(namespace, {})
        return {name: document for name, document in found.items() if matches(filters, document.metadata)}

    def upsert(self, documents: Iterable[VectorDocument], namespace: str = "") -> int:
        """Write documents; how many distinct ones."""
        written = {document.id: document.model_copy(deep=True) for document in documents}
        if written:
            self.namespaces.setdefault(namespace, {}).update(written)
        return len(written)

    def update_metadata(self, document_id: str, changes: Mapping[str, Any], namespace: str = "") -> int:
        """Set metadata keys; 1 if the document exists, else 0."""
        document = self.namespaces.get(namespace, {}).get(document_id)
        if document is None:
            return 0
        document.metadata = {**document.metadata, **changes}
        return 1

    def delete(self, ids: Iterable[str], namespace: str = "") -> int:
        """Delete by id; how many existed."""
        documents = self.namespaces.get(namespace, {})
        deleted = sum(documents.pop(document_id, None) is not None for document_id in set(ids))
        if not documents:
            self.namespaces.pop(namespace, None)
        return deleted

    def ranking(self, query: Sequence[float], namespace: str = "", filters: FilterLike = None) -> Ranking:
        """All that match, best first."""
        scored = [
            (exact_score(self.metric, document.vector, query), name)
            for name, document in self.documents(namespace, filters).items()
        ]
        return sorted(scored, key=lambda item: (-item[0], item[1]))

    def names(self) -> list[str]:
        """Namespaces that hold documents, sorted."""
        return sorted(self.namespaces)

    def total(self) -> int:
        """Documents in all namespaces."""
        return sum(map(len, self.namespaces.values()))
