"""Embedders: texts in, float32 vectors out.

``create_embedder()`` gives the offline default; ``create_embedder("openai:text-embedding-3-small")`` and others are
listed at :func:`create_embedder`. Importing this package imports no model and no client.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ia_modules.vector_stores.embedders.base import Embedder
    from ia_modules.vector_stores.embedders.cache import CachedEmbedder, CacheStatistics
    from ia_modules.vector_stores.embedders.openai import OpenAIEmbedder
    from ia_modules.vector_stores.embedders.sentence_transformers import SentenceTransformersEmbedder
    from ia_modules.vector_stores.embedders.wordllama import WordLlamaEmbedder

__all__ = [
    "CacheStatistics",
    "CachedEmbedder",
    "Embedder",
    "OpenAIEmbedder",
    "SentenceTransformersEmbedder",
    "WordLlamaEmbedder",
    "create_embedder",
]

_EXPORTS = {
    "CacheStatistics": "cache",
    "CachedEmbedder": "cache",
    "Embedder": "base",
    "OpenAIEmbedder": "openai",
    "SentenceTransformersEmbedder": "sentence_transformers",
    "WordLlamaEmbedder": "wordllama",
}
_KNOWN = ("wordllama", "wordllama:DIMENSION", "openai:MODEL", "sentence-transformers:MODEL")


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_EXPORTS[name]}"), name)


def create_embedder(spec: str | None = None, *, cache: str | Path | None = None, **options: Any) -> Embedder:
    """Make an embedder from a short description; nothing is loaded until its first call.

    Args:
        spec: ``"wordllama"`` (the default), ``"wordllama:128"``, ``"openai:text-embedding-3-small"`` or
            ``"sentence-transformers:all-MiniLM-L6-v2"``.
        cache: SQLite file to keep embeddings in, so that no text is embedded twice; None for no cache.
        options: passed on to the embedder's class (``base_url``, ``batch_size``, ...).

    Raises:
        ValueError: an unknown description; the message lists the known ones.
    """
    vendor, _, name = (spec if spec is not None else "wordllama").partition(":")
    embedder: Embedder
    if vendor == "wordllama":
        from ia_modules.vector_stores.embedders.wordllama import WordLlamaEmbedder

        if name and not name.isdecimal():
            raise ValueError(f"after 'wordllama:' comes a dimension (64, 128 or 256), not {name!r}")
        embedder = WordLlamaEmbedder(int(name), **options) if name else WordLlamaEmbedder(**options)
    elif vendor == "openai":
        from ia_modules.vector_stores.embedders.openai import OpenAIEmbedder

        embedder = OpenAIEmbedder(name, **options) if name else OpenAIEmbedder(**options)
    elif vendor == "sentence-transformers" and name:
        from ia_modules.vector_stores.embedders.sentence_transformers import SentenceTransformersEmbedder

        embedder = SentenceTransformersEmbedder(name, **options)
    else:
        raise ValueError(f"unknown embedder {spec!r}; known are {', '.join(_KNOWN)}")
    if cache is None:
        return embedder
    from ia_modules.vector_stores.embedders.cache import CachedEmbedder

    return CachedEmbedder(embedder, cache)
