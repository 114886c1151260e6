"""A pool: a hundred searches at the same time over at most ten connections.

``python examples/pooling.py qdrant://localhost:6333/articles``, for example. Needs the extra of that provider; without
an argument it is embedded Chroma in memory.
"""

import asyncio
import sys

import numpy as np

from ia_modules.vector_stores import VectorDocument, VectorStoreConfig, VectorStorePool

DIMENSION = 64


async def main(url: str) -> None:
    vectors = np.random.default_rng(7).standard_normal((100, DIMENSION), dtype=np.float32)
    config = VectorStoreConfig.from_url(url, dimension=DIMENSION, pool_size=10)
    async with VectorStorePool.from_config(config, min_size=1) as pool:
        async with pool.connection() as store:
            await store.create_index(DIMENSION)
            await store.upsert([VectorDocument(id=f"{n}", vector=vector) for n, vector in enumerate(vectors)])

        async def search(number: int) -> str:
            async with pool.connection(timeout=30) as store:
                response = await store.search(vectors[number], top_k=1)
            return response.results[0].id

        found = await asyncio.gather(*(search(number) for number in range(100)))
        print("each finds itself:", found == [f"{number}" for number in range(100)])
        now = pool.statistics
        print(f"at most {now.max_size} connections, {now.acquired} uses, {now.in_use} still out")

        async with pool.connection() as store:
            await store.delete_index()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:] or ["chroma:///:memory:pooled/articles"]))
