"""The calls that every provider has, on the one whose URL is the first argument.

``python examples/basic_provider.py qdrant://localhost:6333/articles``, for example. Needs the extra of that provider;
without an argument it is embedded Chroma in memory.
"""

import asyncio
import sys

from ia_modules.vector_stores import SearchFilter, VectorDocument, create_vector_store

ARTICLES = [
    VectorDocument(id="a", vector=[1.0, 0.0, 0.0], metadata={"lang": "en", "year": 2021}, text="A bridge"),
    VectorDocument(id="b", vector=[0.8, 0.6, 0.0], metadata={"lang": "de", "year": 2023}, text="Ein Tunnel"),
    VectorDocument(id="c", vector=[0.0, 0.6, 0.8], metadata={"lang": "en", "year": 2024}, text="A tower"),
]


async def main(url: str) -> None:
    async with await create_vector_store(url, dimension=3, create_if_missing=True) as store:
        written = await store.upsert(ARTICLES)
        print(f"{store.provider}: {written['upserted']} documents written")

        nearest = await store.search([1.0, 0.0, 0.0], top_k=2)
        print("nearest:", [(result.id, round(result.score, 3)) for result in nearest.results])

        recent = SearchFilter(field="year", operator="gte", value=2023)
        english = SearchFilter(field="lang", operator="eq", value="en")
        filtered = await store.search([1.0, 0.0, 0.0], filters=recent & english)
        print("recent and English:", [result.text for result in filtered.results])

        await store.update_metadata("a", {"year": 2025})
        print("updated:", (await store.fetch(["a"]))[0].metadata["year"])

        gone = await store.delete(filters=~english)
        print(f"{gone['deleted']} deleted, {await store.count()} left")
        await store.delete_index()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:] or ["chroma:///:memory:/articles"]))
