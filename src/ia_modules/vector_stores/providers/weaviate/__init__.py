"""Weaviate, on a server or in its cloud."""

from __future__ import annotations

from ia_modules.vector_stores.providers.weaviate.store import WeaviateVectorStore

__all__ = ["WeaviateVectorStore"]
