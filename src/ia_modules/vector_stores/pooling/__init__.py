"""Pools of stores: several connections to one index, each lent to one task at a time.

.. code-block:: python

    async with VectorStorePool(QdrantVectorStore, config, max_size=20) as pool:
        async with pool.connection() as store:
            response = await store.search(vector)
"""

from __future__ import annotations

from ia_modules.vector_stores.errors import PoolClosedError, PoolFullError, PoolTimeoutError
from ia_modules.vector_stores.pooling.manager import VectorStorePoolManager
from ia_modules.vector_stores.pooling.pool import VectorStorePool
from ia_modules.vector_stores.pooling.statistics import PoolStatistics

__all__ = [
    "PoolClosedError",
    "PoolFullError",
    "PoolStatistics",
    "PoolTimeoutError",
    "VectorStorePool",
    "VectorStorePoolManager",
]
