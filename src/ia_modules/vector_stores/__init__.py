"""One async, typed interface over vector databases: the same call gives the same answer on every provider.

Names are loaded when they are first used; importing this package imports no database client.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ia_modules.vector_stores.base import VectorStoreBase
    from ia_modules.vector_stores.batch import BatchProcessor
    from ia_modules.vector_stores.capabilities import Capabilities
    from ia_modules.vector_stores.config import VectorStoreConfig
    from ia_modules.vector_stores.embedders import CachedEmbedder, Embedder, create_embedder
    from ia_modules.vector_stores.errors import (
        AuthenticationError,
        ConnectionError,
        IndexAlreadyExistsError,
        IndexMismatchError,
        IndexNotFoundError,
        InvalidDimensionError,
        InvalidDocumentError,
        MissingDependencyError,
        OperationTimeoutError,
        PartialFailureError,
        PoolClosedError,
        PoolFullError,
        PoolTimeoutError,
        RateLimitError,
        StoreLockedError,
        UnsupportedOperationError,
        VectorStoreError,
    )
    from ia_modules.vector_stores.factory import create_vector_store, known_providers, register_provider
    from ia_modules.vector_stores.filters import Condition, all_of, any_of, not_
    from ia_modules.vector_stores.hybrid import HybridSearchMixin
    from ia_modules.vector_stores.migration import migrate_embeddings
    from ia_modules.vector_stores.models import (
        DeleteResult,
        DistanceMetric,
        Explanation,
        IndexStats,
        SearchFilter,
        SearchResponse,
        SearchResult,
        UpdateResult,
        UpsertResult,
        Vector,
        VectorDocument,
    )
    from ia_modules.vector_stores.pooling import PoolStatistics, VectorStorePool, VectorStorePoolManager
    from ia_modules.vector_stores.providers.chroma import ChromaVectorStore
    from ia_modules.vector_stores.providers.memory import MemoryVectorStore
    from ia_modules.vector_stores.providers.pinecone import PineconeVectorStore
    from ia_modules.vector_stores.providers.qdrant import QdrantVectorStore
    from ia_modules.vector_stores.providers.weaviate import WeaviateVectorStore
    from ia_modules.vector_stores.telemetry import OperationEvent

_HOME = {
    "AuthenticationError": "errors",
    "BatchProcessor": "batch",
    "CachedEmbedder": "embedders",
    "Capabilities": "capabilities",
    "ChromaVectorStore": "providers.chroma",
    "Condition": "filters",
    "ConnectionError": "errors",
    "DeleteResult": "models",
    "DistanceMetric": "models",
    "Embedder": "embedders",
    "Explanation": "models",
    "HybridSearchMixin": "hybrid",
    "IndexAlreadyExistsError": "errors",
    "IndexMismatchError": "errors",
    "IndexNotFoundError": "errors",
    "IndexStats": "models",
    "InvalidDimensionError": "errors",
    "InvalidDocumentError": "errors",
    "MemoryVectorStore": "providers.memory",
    "MissingDependencyError": "errors",
    "OperationEvent": "telemetry",
    "OperationTimeoutError": "errors",
    "PartialFailureError": "errors",
    "PoolClosedError": "errors",
    "PoolFullError": "errors",
    "PoolStatistics": "pooling",
    "PoolTimeoutError": "errors",
    "PineconeVectorStore": "providers.pinecone",
    "QdrantVectorStore": "providers.qdrant",
    "WeaviateVectorStore": "providers.weaviate",
    "RateLimitError": "errors",
    "SearchFilter": "models",
    "SearchResponse": "models",
    "SearchResult": "models",
    "StoreLockedError": "errors",
    "UnsupportedOperationError": "errors",
    "UpdateResult": "models",
    "UpsertResult": "models",
    "Vector": "models",
    "VectorDocument": "models",
    "VectorStoreBase": "base",
    "VectorStoreConfig": "config",
    "VectorStoreError": "errors",
    "VectorStorePool": "pooling",
    "VectorStorePoolManager": "pooling",
    "all_of": "filters",
    "any_of": "filters",
    "create_embedder": "embedders",
    "create_vector_store": "factory",
    "known_providers": "factory",
    "migrate_embeddings": "migration",
    "not_": "filters",
    "register_provider": "factory",
}

__all__ = [
    "AuthenticationError",
    "BatchProcessor",
    "CachedEmbedder",
    "Capabilities",
    "ChromaVectorStore",
    "Condition",
    "ConnectionError",
    "DeleteResult",
    "DistanceMetric",
    "Embedder",
    "Explanation",
    "HybridSearchMixin",
    "IndexAlreadyExistsError",
    "IndexMismatchError",
    "IndexNotFoundError",
    "IndexStats",
    "InvalidDimensionError",
    "InvalidDocumentError",
    "MemoryVectorStore",
    "MissingDependencyError",
    "OperationEvent",
    "OperationTimeoutError",
    "PartialFailureError",
    "PineconeVectorStore",
    "PoolClosedError",
    "PoolFullError",
    "PoolStatistics",
    "PoolTimeoutError",
    "QdrantVectorStore",
    "RateLimitError",
    "SearchFilter",
    "SearchResponse",
    "SearchResult",
    "StoreLockedError",
    "UnsupportedOperationError",
    "UpdateResult",
    "UpsertResult",
    "Vector",
    "VectorDocument",
    "VectorStoreBase",
    "VectorStoreConfig",
    "VectorStoreError",
    "VectorStorePool",
    "VectorStorePoolManager",
    "WeaviateVectorStore",
    "all_of",
    "any_of",
    "create_embedder",
    "create_vector_store",
    "known_providers",
    "migrate_embeddings",
    "not_",
    "register_provider",
]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
