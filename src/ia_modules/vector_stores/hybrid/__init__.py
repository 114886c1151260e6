"""Hybrid search: one order out of what vectors find and what words find."""

from __future__ import annotations

from ia_modules.vector_stores.hybrid.fusion import FUSIONS, RRF_K
from ia_modules.vector_stores.hybrid.mixin import CANDIDATES, HybridSearchMixin
from ia_modules.vector_stores.hybrid.reranking import Reranker

__all__ = ["CANDIDATES", "FUSIONS", "RRF_K", "HybridSearchMixin", "Reranker"]
