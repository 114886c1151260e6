"""The four databases' own filter forms, by name; a compiler is imported when it is first asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ia_modules.vector_stores.filters.compilers.base import Compiled, FilterCompiler
from ia_modules.vector_stores.filters.nodes import FilterLike

__all__ = ["COMPILERS", "Compiled", "FilterCompiler", "compiler_for", "to_native"]

COMPILERS = {
    "chroma": "chroma:ChromaCompiler",
    "pinecone": "pinecone:PineconeCompiler",
    "qdrant": "qdrant:QdrantCompiler",
    "weaviate": "weaviate:WeaviateCompiler",
}


def compiler_for(provider: str) -> FilterCompiler:
    """The compiler of a provider.

    Raises:
        ValueError: for a provider without one; the message lists those that have one.
    """
    try:
        module, _, name = COMPILERS[provider].partition(":")
    except KeyError:
        known = ", ".join(sorted(COMPILERS))
        raise ValueError(f"no native filter form for provider {provider!r}; known: {known}") from None
    compiler: type[FilterCompiler] = getattr(import_module(f"{__name__}.{module}"), name)
    return compiler()


def to_native(filters: FilterLike, provider: str) -> dict[str, Any]:
    """A filter in a database's own form, for plainly stored metadata.

    It is what the database's own users would write, and exact as long as the values of a field keep to one shape:
    all of them lists, or none; dates in the database's own notation.

    Args:
        filters: an expression, or a list of them that must all hold.
        provider: ``pinecone``, ``weaviate``, ``qdrant`` or ``chroma``.

    Raises:
        ValueError: for an unknown provider.
        UnsupportedOperationError: if the database can't express the filter.
    """
    return compiler_for(provider).to_native(filters)
