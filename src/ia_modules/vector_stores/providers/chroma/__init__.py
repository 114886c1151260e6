"""Chroma, embedded or behind HTTP."""

from __future__ import annotations

from ia_modules.vector_stores.providers.chroma.store import ChromaVectorStore

__all__ = ["ChromaVectorStore"]
