"""The pydantic models that go in and come out, the same for every provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypedDict

from pydantic import BaseModel, ConfigDict, Field, StrictStr, model_validator

from ia_modules.vector_stores.config import VectorStoreConfig
from ia_modules.vector_stores.filters.compilers import to_native
from ia_modules.vector_stores.filters.nodes import Condition, Node
from ia_modules.vector_stores.metrics import DistanceMetric
from ia_modules.vector_stores.vectors import Vector, VectorLike

__all__ = [
    "DeleteResult",
    "DistanceMetric",
    "IndexStats",
    "SearchFilter",
    "SearchResponse",
    "SearchResult",
    "UpdateResult",
    "UpsertResult",
    "Vector",
    "VectorDocument",
    "VectorStoreConfig",
]


class VectorDocument(BaseModel):
    """One record: an id, its embedding, and what is known about it.

    Attributes:
        id: any non-empty string up to 512 bytes in UTF-8; it comes back exactly as given.
        vector: the embedding, finite numbers of shape ``(dimension,)``, held in single precision.
        metadata: a JSON object: str, bool, int (64 bit), float (finite), None, lists and nested objects.
        text: the passage that was embedded, or None. None and ``""`` are different.

    Raises:
        pydantic.ValidationError: (a ``ValueError``) for an empty id, an empty vector, NaN or infinity; it names
            the document.
    """

    # Errors are shown and logged, and documents are nobody's business.
    model_config = ConfigDict(extra="forbid", validate_assignment=True, hide_input_in_errors=True)

    id: str = Field(min_length=1, strict=True)  # strict, as bytes would pass for text otherwise
    vector: Vector
    metadata: dict[StrictStr, Any] = Field(default_factory=dict)
    text: StrictStr | None = None

    if TYPE_CHECKING:  # a checker should let any float sequence pass, as pydantic does at run time

        def __init__(
            self, *, id: str, vector: VectorLike, metadata: Mapping[str, Any] = ..., text: str | None = None
        ) -> None: ...


class SearchFilter(BaseModel, Node):
    """One condition on a metadata field; combine with ``&``, ``|`` and ``~``.

    Attributes:
        field: metadata key; ``a.b`` reaches into nested objects unless a key ``a.b`` itself exists.
        operator: eq, ne, gt, gte, lt, lte, in, nin, exists, contains, contains_any or contains_all.
        value: a scalar, or a list of scalars for in, nin, contains_any and contains_all.

    Raises:
        pydantic.ValidationError: (a ``ValueError``) for an unknown operator or a value of the wrong kind.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    field: str
    operator: str
    value: Any

    @model_validator(mode="after")
    def _check(self) -> SearchFilter:
        Condition(self.field, self.operator, self.value)
        return self

    def __filter_node__(self) -> Condition:
        """The plain tree node behind this filter."""
        return Condition(self.field, self.operator, self.value)

    def to_native(self, provider: str) -> dict[str, Any]:
        """The filter in a database's own form, as its users write it, for plainly stored metadata.

        Raises:
            ValueError: for an unknown provider.
            UnsupportedOperationError: if the database has no form of the condition.
        """
        return to_native(self, provider)


class Explanation(BaseModel):
    """Why a document is where it is in the order of a hybrid search.

    Attributes:
        fusion: how both sides became one (see :mod:`ia_modules.vector_stores.hybrid.fusion`).
        vector_weight: how much the vector counted; both weights sum to 1.
        text_weight: how much the words counted.
        vector_score: the score that ``search`` would give; None if vectors did not count.
        vector_rank: place among those nearest to the vector, from 1; None if it was not among the candidates there.
        text_score: BM25; 0 if it has no word of the query, None if words did not count.
        text_rank: place among those found by words, from 1; None if it was not among the candidates there.
    """

    fusion: str
    vector_weight: float
    text_weight: float
    vector_score: float | None
    vector_rank: int | None
    text_score: float | None
    text_rank: int | None


class SearchResult(BaseModel):
    """One document that was found.

    Attributes:
        id: the document's id.
        score: higher is better; the same number on every provider (see ``docs/semantics.md``).
        metadata: as stored; ``{}`` with ``include_metadata=False``.
        text: as stored; None with ``include_metadata=False``.
        vector: as stored, with ``include_vectors=True``; else None.
        explanation: of ``hybrid_search`` with ``explain=True``; else None.
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    id: str
    score: float
    metadata: dict[str, Any] = Field(default_factory=dict)
    text: str | None = None
    vector: Vector | None = None
    explanation: Explanation | None = None


class SearchResponse(BaseModel):
    """What a search found.

    Attributes:
        results: best first; equal scores by id.
        total: number of results returned.
        query_time_ms: milliseconds the whole call took, measured inside it.
        reranked: of ``hybrid_search`` with a reranker: whether the order is its own, or the one without it as it took
            too long; else None.
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    results: list[SearchResult]
    total: int
    query_time_ms: float
    reranked: bool | None = None


class IndexStats(BaseModel):
    """Size of an index.

    Attributes:
        total_vectors: documents in all namespaces.
        dimension: numbers per vector.
        index_fullness: share of the capacity in use, 0 to 1; 0.0 where there is no fixed capacity.
        namespace_count: namespaces that hold documents, or None where the database can't tell.
    """

    total_vectors: int = Field(default=0, ge=0)
    dimension: int = Field(default=0, ge=0)
    index_fullness: float = 0.0
    namespace_count: int | None = None


class UpsertResult(TypedDict):
    """Outcome of an upsert: distinct documents written, and the namespace they went to."""

    upserted: int
    namespace: str


class DeleteResult(TypedDict):
    """Outcome of a delete: documents that existed and are gone (None where the server can't know)."""

    deleted: int | None
    namespace: str


class UpdateResult(TypedDict):
    """Outcome of a metadata update: 1 if the document existed, else 0."""

    updated: int
    namespace: str
