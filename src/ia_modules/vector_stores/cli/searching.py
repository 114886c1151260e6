"""The ``search`` command."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

from ia_modules.vector_stores.cli.session import open_store, store_config
from ia_modules.vector_stores.embedders import create_embedder

if TYPE_CHECKING:
    from ia_modules.vector_stores.filters import Node
    from ia_modules.vector_stores.models import SearchResponse

__all__ = ["search_text"]


async def search_text(
    question: str,
    store_url: str | None,
    embedder_spec: str | None,
    cache: Path | None,
    top_k: int,
    filters: Node | None,
    namespace: str | None,
) -> tuple[SearchResponse, str]:
    """Search by text; returns the response and the model's name."""
    async with aclosing(create_embedder(embedder_spec, cache=cache)) as embedder:
        config = store_config(store_url, embedder)
        # The model is loaded in a thread while the database opens.
        embedding = asyncio.create_task(embedder.embed_query(question))
        try:
            async with open_store(config) as store:
                await store.get_embedding_model()  # a mismatch should be heard of before a model's own troubles
                return await store.search(await embedding, top_k, filters, namespace), embedder.model
        finally:
            embedding.cancel()
            await asyncio.gather(embedding, return_exceptions=True)
