"""What a provider can do, as one frozen value: read by callers, checked by tests, printed in the README's table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from ia_modules.vector_stores.metrics import DistanceMetric

__all__ = ["Capabilities", "FilterSupport"]

FilterSupport = Literal["native", "checked", "refused"]
"""How an operator of the normal form (``ne`` and ``nin`` are negated ``eq`` and ``in`` there) is kept exact.

``native``: the database applies it. ``checked``: the database over-selects, and each candidate is checked here.
``refused``: a filter with it raises ``UnsupportedOperationError``.
"""

_ALL_NATIVE: Mapping[str, FilterSupport] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What one provider can do, limits included.

    Attributes:
        provider: the provider's name.
        metrics: metrics an index can have; any other raises ``UnsupportedOperationError`` at ``create_index``.
        embedded: runs inside this process, without a server.
        remote: talks to a server.
        persistent: can outlive the process.
        max_top_k: largest ``top_k``; None for no limit.
        max_batch_size: largest batch the database takes in one request; larger ones are split. None: no limit.
        parallel_batches: how many batches of one upsert are written at the same time.
        max_dimension: most numbers per vector; None for no limit.
        zero_vectors: whether zero vectors can be stored and searched with; if not, ``InvalidDocumentError``.
        vector_lengths: smallest and largest L2 norm that the database can compare; other documents (and queries that
            are longer, except under cosine) are an ``InvalidDocumentError``. None for no limit.
        max_document_bytes: most bytes of metadata and text of one document, as they are stored, which is more than they
            are as JSON; a larger one is an ``InvalidDocumentError``. None for no limit.
        filters: operators that are not applied by the database alone, and what is done about them.
        deletes_counted: whether ``delete`` can say how many documents are gone; if not, it says None.
        exact_search: whether every search is exact; if not, an approximate index answers unfiltered searches.
        text_search: how ``hybrid_search`` finds documents by words. ``index``: words are looked up; ``scan``: all texts
            of the namespace are read and scored here at each search, which is exact, and slow for many documents.
        batch_search: whether several searches go to the database in one request.
        shared_by_processes: whether several processes may have the same index open.
        max_event_loop_stall_ms: longest time that the engine itself holds the event loop during an upsert of 5,000
            documents of 384 dimensions and 200 searches (larger vectors take longer); None if it does not hold it.
    """

    provider: str
    metrics: frozenset[DistanceMetric] = frozenset(DistanceMetric)
    embedded: bool = False
    remote: bool = False
    persistent: bool = True
    max_top_k: int | None = None
    max_batch_size: int | None = None
    parallel_batches: int = 1
    max_dimension: int | None = None
    zero_vectors: bool = True
    vector_lengths: tuple[float, float] | None = None
    max_document_bytes: int | None = None
    filters: Mapping[str, FilterSupport] = field(default_factory=lambda: _ALL_NATIVE)
    deletes_counted: bool = True
    exact_search: bool = False
    text_search: Literal["index", "scan"] = "scan"
    batch_search: bool = False
    shared_by_processes: bool = True
    max_event_loop_stall_ms: float | None = None

    @property
    def refused_operators(self) -> frozenset[str]:
        """Operators of the normal form that make a filter an error."""
        return frozenset(operator for operator, support in self.filters.items() if support == "refused")
