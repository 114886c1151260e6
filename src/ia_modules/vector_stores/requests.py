"""What the base class hands to a provider's primitives: checked, normalised, and with nothing left to decide."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ia_modules.vector_stores.filters.nodes import Node
from ia_modules.vector_stores.metrics import DistanceMetric
from ia_modules.vector_stores.models import SearchResult, VectorDocument

__all__ = ["IndexInfo", "ScanPage", "SearchRequest", "TextRequest", "TextsPage", "TextsState"]


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """What is fixed about an index.

    Attributes:
        dimension: numbers per vector; None only for an index made elsewhere that is still empty.
        metric: distance metric.
        embedding_model: name of the model that makes the vectors, if it was recorded.
    """

    dimension: int | None
    metric: DistanceMetric
    embedding_model: str | None = None


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """One search.

    Attributes:
        vector: float32, shape ``(dimension,)``, finite.
        top_k: how many results at most; at least 1.
        filters: in normal form; never ``MATCH_NONE``.
        namespace: ``""`` is the default one.
        metric: the index's metric.
        include_metadata: whether metadata and text are wanted.
        include_vectors: whether vectors are wanted.
    """

    vector: NDArray[np.float32]
    top_k: int
    filters: Node
    namespace: str
    metric: DistanceMetric
    include_metadata: bool
    include_vectors: bool

    def result(self, document: VectorDocument, score: float) -> SearchResult:
        """A document that was found, with what was asked for; its metadata is not copied."""
        return SearchResult(
            id=document.id,
            score=score,
            metadata=document.metadata if self.include_metadata else {},
            text=document.text if self.include_metadata else None,
            vector=document.vector if self.include_vectors else None,
        )


@dataclass(frozen=True, slots=True)
class TextRequest:
    """One search by words.

    Attributes:
        text: the words.
        top_k: how many are to be found at most.
        filters: in normal form; never ``MATCH_NONE``.
        namespace: ``""`` is the default one. How rare a word is, is told by all its documents.
        language: of texts and words.
        also: ids of documents, which pass the filter, to be scored in any case.
    """

    text: str
    top_k: int
    filters: Node
    namespace: str
    language: str
    also: frozenset[str]


@dataclass(frozen=True, slots=True)
class ScanPage:
    """A page of documents, and where the next one starts.

    Attributes:
        documents: at most as many as were asked for, and none twice in one scan.
        cursor: to be handed back for the next page; None after the last one.
    """

    documents: list[VectorDocument]
    cursor: object | None


@dataclass(frozen=True, slots=True)
class TextsPage:
    """A page of the texts of a namespace's documents.

    Attributes:
        ids: the documents' ids.
        texts: their texts.
        stamps: when each was written, as of :func:`~ia_modules.vector_stores.text_search.stamp`; None if not known.
        cursor: to be handed back for the next page; None after the last one.
    """

    ids: list[str]
    texts: list[str | None]
    stamps: list[int | None]
    cursor: object | None


@dataclass(frozen=True, slots=True)
class TextsState:
    """What tells whether the texts of a namespace are still those that were read.

    Attributes:
        token: equal to the one before as long as nothing was written; None where ``documents`` and ``newer`` tell.
        documents: how many there are, with and without text.
        newer: how many have a later stamp, for each of those that were asked for.
    """

    token: object = None
    documents: int | None = None
    newer: tuple[int, ...] | None = None
