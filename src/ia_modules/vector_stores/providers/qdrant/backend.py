"""What the provider needs of Qdrant, by way of its client's own calls; the transports do the busy ones faster."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ia_modules.vector_stores.filters.compilers.base import Native
from ia_modules.vector_stores.providers.packages import imported, require
from ia_modules.vector_stores.providers.qdrant.layout import Point

__all__ = ["OLDEST_CLIENT", "Backend", "NativeFilter", "Query", "import_qdrant"]


OLDEST_CLIENT = (1, 20)


def import_qdrant() -> Any:
    """The client package.

    Raises:
        MissingDependencyError: it is not installed.
        UnsupportedOperationError: it is older than :data:`OLDEST_CLIENT`, whose local mode takes True for 1, and more.
    """
    package = imported("qdrant_client", provider="qdrant")
    require("qdrant-client", OLDEST_CLIENT, provider="qdrant")
    return package


class NativeFilter:
    """A filter in Qdrant's JSON form, and in the forms that the transports want, each made once.

    Args:
        json: the filter.
    """

    def __init__(self, json: Native) -> None:
        self.json = json

    @cached_property
    def model(self) -> Any:
        """The client's own filter object."""
        from qdrant_client import models

        return models.Filter.model_validate(self.json)

    @cached_property
    def message(self) -> Any:
        """The protobuf message."""
        from qdrant_client.conversions.conversion import RestToGrpc

        return RestToGrpc.convert_filter(self.model)


class Query(NamedTuple):
    """Searches that differ in their vector only.

    Attributes:
        vectors: float32, shape ``(n, dimension)``.
        limit: points for each.
        filter: None to search all points.
        payload: whether payloads are wanted, or which keys of them.
        vector: whether vectors are wanted.
        params: search parameters of the config.
    """

    vectors: NDArray[np.float32]
    limit: int
    filter: NativeFilter | None
    payload: bool | list[str]
    vector: bool
    params: dict[str, Any] | None


class Backend(ABC):
    """Qdrant, in this process or on a server; names are those of collections."""

    embedded = False

    @abstractmethod
    async def open(self) -> None:
        """Connect."""

    @abstractmethod
    async def close(self) -> None:
        """Free all that :meth:`open` made."""

    @abstractmethod
    async def call(self, method: str, *args: Any, **arguments: Any) -> Any:
        """Call a method of the client."""

    def changes(self, name: str) -> object | None:  # noqa: ARG002 - see the local one
        """Equal to the value before as long as no point was written or deleted; None if others may write unnoticed."""
        return None

    async def info(self, name: str) -> Any | None:
        """What the client knows of a collection, or None if there is none."""
        # Asked for first, so that a lost index costs no exception; the collection may still go in between.
        return await self.call("get_collection", name) if await self.call("collection_exists", name) else None

    async def upsert(
        self, name: str, ids: list[str], vectors: NDArray[np.float32], payloads: list[dict[str, Any]]
    ) -> None:
        """Write points; existing ones are replaced whole."""
        from qdrant_client import models

        points = [
            models.PointStruct.model_construct(id=point_id, vector=vector, payload=payload)
            for point_id, vector, payload in zip(ids, vectors.tolist(), payloads, strict=True)
        ]
        await self.call("upsert", name, points, wait=True)

    @abstractmethod
    async def query(self, name: str, query: Query) -> list[list[Point]]:
        """The nearest points to each vector."""

    @abstractmethod
    async def retrieve(self, name: str, ids: Sequence[str], *, payload: bool, vector: bool) -> list[Point]:
        """Points by id; missing ones are left out."""

    @abstractmethod
    async def scroll(
        self, name: str, native: NativeFilter, size: int, cursor: Any, *, payload: bool, vector: bool
    ) -> tuple[list[Point], Any]:
        """Points in no particular order, from ``cursor`` on, and where the next page starts (None: nowhere)."""

    async def count(self, name: str, native: NativeFilter | None) -> int:
        """How many points pass, exactly."""
        found = await self.call("count", name, None if native is None else native.model, exact=True)
        return int(found.count)

    async def facet(self, name: str, key: str, limit: int) -> list[str]:
        """The values that a keyword key has."""
        found = await self.call("facet", name, key, limit=limit, exact=True)
        return [hit.value for hit in found.hits if hit.count]

    async def delete_ids(self, name: str, ids: list[str]) -> None:
        """Delete points by id."""
        from qdrant_client import models

        await self.call("delete", name, models.PointIdsList(points=ids), wait=True)  # type: ignore[arg-type]

    async def delete_where(self, name: str, native: NativeFilter) -> None:
        """Delete all points that pass; never given an empty filter, which would pass everything."""
        from qdrant_client import models

        assert native.json.get("must"), "a filter on the namespace at least"
        await self.call("delete", name, models.FilterSelector(filter=native.model), wait=True)

    async def merge_payload(self, name: str, native: NativeFilter, payload: dict[str, Any]) -> None:
        """Merge top-level keys into the payloads of all points that pass; a null removes a key."""
        await self.call("set_payload", name, payload, native.model, wait=True)

    async def create_payload_index(self, name: str, path: str, schema: Any, *, wait: bool) -> None:
        """Index a payload field."""
        await self.call("create_payload_index", name, path, schema, wait=wait)
