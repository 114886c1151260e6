"""Pinecone, in its cloud, or behind any host that speaks its API."""

from __future__ import annotations

from ia_modules.vector_stores.providers.pinecone.store import PineconeVectorStore

__all__ = ["PineconeVectorStore"]
