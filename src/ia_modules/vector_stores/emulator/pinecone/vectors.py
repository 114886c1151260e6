"""The data plane of an index: which function answers which request."""

from __future__ import annotations

from ia_modules.vector_stores.emulator.pinecone import documents, limits, naming, reading, writing
from ia_modules.vector_stores.emulator.pinecone.calls import Call, RateLimit
from ia_modules.vector_stores.emulator.pinecone.engine import Engine
from ia_modules.vector_stores.emulator.pinecone.routes import Routes
from ia_modules.vector_stores.emulator.pinecone.wire import Answer, RefusedError, Request

__all__ = ["DataPlane"]

_ELSEWHERE = {"bulk": "imports", "records": "integrated embedding"}


class DataPlane:
    """Answers the requests for an index."""

    def __init__(self, engine: Engine, rate: RateLimit) -> None:
        self._engine, self._rate = engine, rate
        self._vectors: Routes[Call] = Routes()
        self._vectors.add("POST", "/vectors/upsert", writing.upsert)
        self._vectors.add("POST", "/vectors/update", writing.update)
        self._vectors.add("POST", "/vectors/delete", writing.delete)
        self._vectors.add("POST", "/query", reading.query)
        self._vectors.add("GET", "/vectors/fetch", reading.fetch)
        self._vectors.add("POST", "/vectors/fetch_by_metadata", reading.fetch_by_metadata)
        self._vectors.add("GET", "/vectors/list", reading.list_ids)
        self._documents: Routes[Call] = Routes()
        for verb, function in documents.ROUTES.items():
            self._documents.add("POST", f"/namespaces/{{name}}/documents/{verb}", function)
        self._any: Routes[Call] = Routes()
        self._any.add("POST", "/describe_index_stats", naming.stats)
        self._any.add("GET", "/namespaces", naming.list_namespaces)
        self._any.add("POST", "/namespaces", naming.create_namespace)
        self._any.add("GET", "/namespaces/{name}", naming.describe_namespace)
        self._any.add("DELETE", "/namespaces/{name}", naming.delete_namespace)

    def answer(self, request: Request) -> Answer:
        """The answer to a request.

        Raises:
            RefusedError: it is not carried out.
        """
        index = self._engine.index(request.index or "")
        if not index.ready:
            raise RefusedError(f"Index {index.definition.name} is not ready yet", 503)
        about = _ELSEWHERE.get(request.segments[0])
        if about is not None:
            raise RefusedError(f"The emulator has no {about}", 501)
        if len(request.body) > limits.REQUEST_BYTES:
            raise RefusedError(
                f"message length too large: found {len(request.body)} bytes, "
                f"the limit is: {limits.REQUEST_BYTES} bytes",
                413,
            )
        call = Call(self._engine, index, request, self._rate)
        if request.segments[2:3] == ("documents",):
            if not index.definition.documents:
                raise RefusedError(
                    "This index has no document schema: the Vectors API serves it, not the Documents API"
                )
            return self._documents.answer(request, call)
        if request.segments[0] not in ("vectors", "query"):
            return self._any.answer(request, call)
        if index.definition.documents:
            raise RefusedError("This index has a document schema, which the Documents API serves, not the Vectors API")
        return self._vectors.answer(request, call)
