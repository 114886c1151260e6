"""Qdrant, in this process or on a server."""

from __future__ import annotations

from ia_modules.vector_stores.providers.qdrant.store import QdrantVectorStore

__all__ = ["QdrantVectorStore"]
