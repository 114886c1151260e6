"""Tenants in one index: each has a namespace of its own, and no search can leave it.

``python examples/multi_tenant.py qdrant://localhost:6333/notes``, for example. Needs the extras ``wordllama`` and that
of the provider; without an argument it is embedded Chroma in memory.
"""

import asyncio
import sys

from ia_modules.pipeline.steps.vector_delete import VectorDeleteStep
from ia_modules.pipeline.steps.vector_search import VectorSearchStep, close_shared_stores
from ia_modules.pipeline.steps.vector_upsert import VectorUpsertStep

NOTES = {
    "acme": [{"id": "1", "text": "The merger with Initech is planned for May."}],
    "initech": [{"id": "1", "text": "The printer on the second floor is broken again."}],
}


async def main(url: str) -> None:
    # The steps share one connection, as they name the same store.
    for tenant, notes in NOTES.items():
        write = VectorUpsertStep(
            vector_store=url, embedding_model="wordllama", namespace=tenant, create_if_missing=True
        )
        await write.run({"documents": notes})

    for tenant in ("acme", "initech", "globex"):
        search = VectorSearchStep(vector_store=url, embedding_model="wordllama", namespace=tenant)
        found = await search.run({"query": "What is planned with Initech?"})
        print(f"{tenant} sees", [result["text"] for result in found["results"]])

    # A tenant that comes from outside is a value: it names a namespace, or it is refused.
    for tenant in ('acme" or 1==1', "", None, {"or": []}):
        try:
            search = VectorSearchStep("search", {"store": url, "embedding_model": "wordllama", "namespace": tenant})
            found = await search.run({"query": "merger"})
            print(f"{tenant!r} sees", [result["text"] for result in found["results"]])
        except ValueError:
            print(f"{tenant!r} is refused")

    forget = VectorDeleteStep(vector_store=url, namespace="acme", delete_all=True)
    print("acme leaves:", (await forget.run({}))["deleted"], "deleted")
    search = VectorSearchStep(vector_store=url, embedding_model="wordllama", namespace="initech")
    print("initech still has", len((await search.run({"query": "printer"}))["results"]))
    await close_shared_stores()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:] or ["chroma:///:memory:/notes"]))
