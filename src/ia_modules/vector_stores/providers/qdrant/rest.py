"""Qdrant over REST: the busy calls go through the client's own connection as JSON that is written and read at once.

The client would make an object of every point and a list of every vector first, which is most of the time that a call
takes outside the server.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ia_modules.vector_stores.errors import ConnectionError, UnsupportedOperationError
from ia_modules.vector_stores.parts import part
from ia_modules.vector_stores.providers.packages import imported
from ia_modules.vector_stores.providers.qdrant.backend import NativeFilter, Query
from ia_modules.vector_stores.providers.qdrant.errors import map_error
from ia_modules.vector_stores.providers.qdrant.layout import Point, point
from ia_modules.vector_stores.providers.qdrant.remote import BYTES_PER_POINT, MAX_REQUEST_BYTES, RemoteBackend, parts

__all__ = ["RestBackend"]

_POINTS = "/collections/{collection_name}/points"
_DEFAULT_LIMIT = 32 * 2**20
_BYTES_PER_NUMBER = 12
"""Of a float32 in JSON, sign and comma included."""


class RestBackend(RemoteBackend):
    """A server, over REST."""

    async def open(self) -> None:
        """Connect."""
        orjson = imported("orjson", provider="qdrant")
        self._dumps, self._numpy = orjson.dumps, orjson.OPT_SERIALIZE_NUMPY
        await super().open()

    async def upsert(
        self, name: str, ids: list[str], vectors: NDArray[np.float32], payloads: list[dict[str, Any]]
    ) -> None:
        """Write points; existing ones are replaced whole."""
        for rows, size in parts(payloads, vectors.shape[1] * _BYTES_PER_NUMBER + BYTES_PER_POINT):
            async with self._writing.room_for(size):
                await self._upsert(name, ids[rows], np.ascontiguousarray(vectors[rows]), payloads[rows])

    async def _upsert(
        self, name: str, ids: list[str], vectors: NDArray[np.float32], payloads: list[dict[str, Any]]
    ) -> None:
        body = self._body({"batch": {"ids": ids, "vectors": vectors, "payloads": payloads}})
        if len(body) > MAX_REQUEST_BYTES and len(ids) > 1:
            half = len(ids) // 2
            await self._upsert(name, ids[:half], vectors[:half], payloads[:half])
            await self._upsert(name, ids[half:], vectors[half:], payloads[half:])
            return
        try:
            await self._send("PUT", _POINTS, name, body, {"wait": "true"})
        except Exception as error:
            if len(body) <= _DEFAULT_LIMIT or not isinstance(map_error(error), ConnectionError):
                raise
            # The server hangs up in the middle of it, which looks like a bad connection.
            raise UnsupportedOperationError(
                f"the Qdrant server broke off a document of {len(body) / 1e6:.0f} MB; it takes requests of up to "
                "service.max_request_size_mb (32 by default)"
            ) from error

    async def query(self, name: str, query: Query) -> list[list[Point]]:
        """The nearest points to each vector."""
        shared: dict[str, Any] = {
            "limit": query.limit,
            "with_payload": query.payload,
            "with_vector": query.vector,
        }
        if query.filter is not None:
            shared["filter"] = query.filter.json
        if query.params is not None:
            shared["params"] = query.params
        if len(query.vectors) == 1:
            answer = await self._post(f"{_POINTS}/query", name, {"query": query.vectors[0], **shared})
            return [_read(answer["points"])]
        body = {"searches": [{"query": vector, **shared} for vector in query.vectors]}
        return [_read(answer["points"]) for answer in await self._post(f"{_POINTS}/query/batch", name, body)]

    async def retrieve(self, name: str, ids: Sequence[str], *, payload: bool, vector: bool) -> list[Point]:
        """Points by id."""
        body = {"ids": list(ids), "with_payload": payload, "with_vector": vector}
        return _read(await self._post(_POINTS, name, body))

    async def scroll(
        self, name: str, native: NativeFilter, size: int, cursor: Any, *, payload: bool, vector: bool
    ) -> tuple[list[Point], Any]:
        """A page of points."""
        body = {"filter": native.json, "limit": size, "with_payload": payload, "with_vector": vector}
        if cursor is not None:
            body["offset"] = cursor
        answer = await self._post(f"{_POINTS}/scroll", name, body)
        return _read(answer["points"]), answer.get("next_page_offset")

    async def count(self, name: str, native: NativeFilter | None) -> int:
        """How many points pass, exactly."""
        body = {"exact": True} if native is None else {"exact": True, "filter": native.json}
        return int((await self._post(f"{_POINTS}/count", name, body))["count"])

    def _body(self, content: Any) -> bytes:
        body: bytes = self._dumps(content, option=self._numpy)
        return body

    async def _post(self, path: str, name: str, content: Any) -> Any:
        body = self._body(content)
        return await part(lambda: self._send("POST", path, name, body, {}))

    async def _send(self, method: str, path: str, name: str, body: bytes, params: dict[str, str]) -> Any:
        answer = await self._client.http.client.request(
            type_=Any,
            method=method,
            url=path,
            path_params={"collection_name": name},
            params=params,
            headers={"Content-Type": "application/json"},
            content=body,
        )
        return answer["result"]


def _read(points: Iterable[dict[str, Any]]) -> list[Point]:
    read = []
    for one in points:
        vector = one.get("vector")
        if isinstance(vector, dict):  # there are sparse ones beside it
            vector = vector.get("", ())
        array = None if vector is None else np.array(vector, dtype=np.float32)
        read.append(point(one["id"], one.get("payload") or {}, array, one.get("score", 0.0)))
    return read
