"""The wire of a Qdrant server, REST and gRPC, in front of the client's own local engine.

It is there for the transports: what they write is read, and what they read is written, by the client's own models and
conversions. What a real server does with it is not its business; see ``QDRANT_URL`` for that.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import grpc
from qdrant_client import QdrantClient, models
from qdrant_client import grpc as q
from qdrant_client.conversions.conversion import GrpcToRest, RestToGrpc
from qdrant_client.grpc import collections_service_pb2_grpc, points_service_pb2_grpc, qdrant_pb2_grpc

VERSION = "1.18.3"


class Engine:
    """The local engine, one call at a time."""

    def __init__(self) -> None:
        self.client = QdrantClient(":memory:")
        self._lock = threading.Lock()

    def __call__(self, method: str, *args: Any, **given: Any) -> Any:
        with self._lock:
            return getattr(self.client, method)(*args, **given)

    def exists(self, name: str) -> bool:
        found: bool = self("collection_exists", name)
        return found


def status_of(error: Exception) -> int:
    text = str(error)
    return 404 if "not found" in text else 409 if "already exists" in text else 400


def create(engine: Engine, name: str, body: dict[str, Any]) -> bool:
    wanted = models.CreateCollection.model_validate(body)
    made: bool = engine(
        "create_collection",
        name,
        vectors_config=wanted.vectors,
        sparse_vectors_config=wanted.sparse_vectors,
        metadata=wanted.metadata,
    )
    return made


def query(engine: Engine, name: str, body: dict[str, Any]) -> Any:
    request = models.QueryRequest.model_validate({**body, "query": {"nearest": body["query"]}, "params": None})
    return engine("query_batch_points", name, [request])[0]


def upsert(engine: Engine, name: str, body: dict[str, Any]) -> Any:
    return engine("upsert", name, models.PointsBatch.model_validate(body).batch)


def delete(engine: Engine, name: str, body: dict[str, Any]) -> Any:
    kind = models.PointIdsList if "points" in body else models.FilterSelector
    return engine("delete", name, kind.model_validate(body))


def scroll(engine: Engine, name: str, body: dict[str, Any]) -> Any:
    records, following = engine(
        "scroll",
        name,
        models.Filter.model_validate(body["filter"]),
        limit=body["limit"],
        offset=body.get("offset"),
        with_payload=body["with_payload"],
        with_vectors=body["with_vector"],
    )
    return {"points": [plain(record) for record in records], "next_page_offset": following}


def filter_of(body: dict[str, Any]) -> Any:
    return models.Filter.model_validate(body["filter"]) if body.get("filter") else None


ROUTES: list[tuple[str, str, Callable[[Engine, str, Any], Any]]] = [
    ("GET", "/exists", lambda engine, name, body: {"exists": engine.exists(name)}),
    ("GET", "", lambda engine, name, body: engine("get_collection", name)),
    ("PUT", "", create),
    ("DELETE", "", lambda engine, name, body: engine("delete_collection", name)),
    ("PUT", "/index", lambda engine, name, body: {"operation_id": 0, "status": "completed"}),
    ("PUT", "/points", upsert),
    ("POST", "/points/query", query),
    ("POST", "/points/query/batch", lambda e, name, body: [query(e, name, one) for one in body["searches"]]),
    (
        "POST",
        "/points",
        lambda engine, name, body: engine(
            "retrieve", name, body["ids"], with_payload=body["with_payload"], with_vectors=body["with_vector"]
        ),
    ),
    ("POST", "/points/scroll", scroll),
    ("POST", "/points/count", lambda e, name, body: e("count", name, filter_of(body), exact=True)),
    ("POST", "/facet", lambda e, name, body: e("facet", name, body["key"], limit=body["limit"], exact=True)),
    ("POST", "/points/delete", delete),
    ("POST", "/points/payload", lambda e, name, body: e("set_payload", name, body["payload"], filter_of(body))),
]


def plain(value: Any) -> Any:
    """The client's models as JSON."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else value


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    engine: Engine

    def answer(self, status: int, content: Any) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle_one(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:  # the connection broke in the middle of the request
            self.close_connection = True
            return None
        path = urlsplit(self.path).path
        if path == "/":
            return self.answer(200, {"title": "stub", "version": VERSION})
        found = re.fullmatch(r"/collections/([^/]+)(/.*)?", path)
        for method, rest, do in ROUTES:
            if found and (method, rest) == (self.command, found.group(2) or ""):
                try:
                    result = plain(do(self.engine, unquote(found.group(1)), json.loads(body) if body else None))
                except ValueError as error:
                    return self.answer(status_of(error), {"status": {"error": str(error)}, "time": 0.0})
                return self.answer(200, {"result": result, "status": "ok", "time": 0.0})
        return self.answer(501, {"status": {"error": f"no {self.command} {path} here"}, "time": 0.0})

    do_GET = do_PUT = do_POST = do_DELETE = handle_one

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on the terminal."""


def records_of(records: list[Any]) -> list[Any]:
    for record in records:
        record.payload = record.payload or {}
    return [RestToGrpc.convert_record(record) for record in records]


def refusing(call: Callable[..., Any]) -> Callable[..., Any]:
    """A servicer's method whose exceptions become statuses."""

    def method(self: Any, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return call(self, request)
        except ValueError as error:
            codes = {404: grpc.StatusCode.NOT_FOUND, 409: grpc.StatusCode.ALREADY_EXISTS}
            context.abort(codes.get(status_of(error), grpc.StatusCode.INVALID_ARGUMENT), str(error))

    return method


class Root(qdrant_pb2_grpc.QdrantServicer):  # type: ignore[misc]
    def HealthCheck(self, request: Any, context: Any) -> Any:
        return q.HealthCheckReply(title="stub", version=VERSION)


class Collections(collections_service_pb2_grpc.CollectionsServicer):  # type: ignore[misc]
    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @refusing
    def CollectionExists(self, request: Any) -> Any:
        return q.CollectionExistsResponse(result=q.CollectionExists(exists=self.engine.exists(request.collection_name)))

    @refusing
    def Get(self, request: Any) -> Any:
        info = self.engine("get_collection", request.collection_name)
        return q.GetCollectionInfoResponse(result=RestToGrpc.convert_collection_info(info))

    @refusing
    def Create(self, request: Any) -> Any:
        body: dict[str, Any] = {"vectors": GrpcToRest.convert_vectors_config(request.vectors_config)}
        if request.metadata:
            body["metadata"] = GrpcToRest.convert_payload(request.metadata)
        return q.CollectionOperationResponse(result=create(self.engine, request.collection_name, body))

    @refusing
    def Delete(self, request: Any) -> Any:
        return q.CollectionOperationResponse(result=self.engine("delete_collection", request.collection_name))


class Points(points_service_pb2_grpc.PointsServicer):  # type: ignore[misc]
    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def query(self, request: Any) -> list[Any]:
        wanted = models.QueryRequest(
            query=GrpcToRest.convert_query(request.query),
            filter=GrpcToRest.convert_filter(request.filter) if request.HasField("filter") else None,
            limit=request.limit,
            with_payload=GrpcToRest.convert_with_payload_selector(request.with_payload),
            with_vector=GrpcToRest.convert_with_vectors_selector(request.with_vectors),
        )
        answer = self.engine("query_batch_points", request.collection_name, [wanted])[0]
        return [RestToGrpc.convert_scored_point(point) for point in answer.points]

    @refusing
    def Query(self, request: Any) -> Any:
        return q.QueryResponse(result=self.query(request))

    @refusing
    def QueryBatch(self, request: Any) -> Any:
        return q.QueryBatchResponse(result=[q.BatchResult(result=self.query(one)) for one in request.query_points])

    @refusing
    def Upsert(self, request: Any) -> Any:
        points = [GrpcToRest.convert_point_struct(point) for point in request.points]
        self.engine("upsert", request.collection_name, points)
        return q.PointsOperationResponse(result=q.UpdateResult(status=q.UpdateStatus.Completed))

    @refusing
    def Get(self, request: Any) -> Any:
        records = self.engine(
            "retrieve",
            request.collection_name,
            [GrpcToRest.convert_point_id(one) for one in request.ids],
            with_payload=GrpcToRest.convert_with_payload_selector(request.with_payload),
            with_vectors=GrpcToRest.convert_with_vectors_selector(request.with_vectors),
        )
        return q.GetResponse(result=records_of(records))

    @refusing
    def Scroll(self, request: Any) -> Any:
        records, following = self.engine(
            "scroll",
            request.collection_name,
            GrpcToRest.convert_filter(request.filter),
            limit=request.limit,
            offset=GrpcToRest.convert_point_id(request.offset) if request.HasField("offset") else None,
            with_payload=GrpcToRest.convert_with_payload_selector(request.with_payload),
            with_vectors=GrpcToRest.convert_with_vectors_selector(request.with_vectors),
        )
        following = None if following is None else RestToGrpc.convert_extended_point_id(following)
        return q.ScrollResponse(result=records_of(records), next_page_offset=following)

    @refusing
    def Count(self, request: Any) -> Any:
        native = GrpcToRest.convert_filter(request.filter) if request.HasField("filter") else None
        found = self.engine("count", request.collection_name, native, exact=True)
        return q.CountResponse(result=q.CountResult(count=found.count))

    @refusing
    def Facet(self, request: Any) -> Any:
        found = self.engine("facet", request.collection_name, request.key, limit=request.limit, exact=True)
        return q.FacetResponse(hits=[RestToGrpc.convert_facet_value_hit(hit) for hit in found.hits])

    @refusing
    def Delete(self, request: Any) -> Any:
        selector = GrpcToRest.convert_points_selector(request.points)
        self.engine("delete", request.collection_name, selector)
        return q.PointsOperationResponse(result=q.UpdateResult(status=q.UpdateStatus.Completed))

    @refusing
    def SetPayload(self, request: Any) -> Any:
        selector = GrpcToRest.convert_points_selector(request.points_selector)
        self.engine("set_payload", request.collection_name, GrpcToRest.convert_payload(request.payload), selector)
        return q.PointsOperationResponse(result=q.UpdateResult(status=q.UpdateStatus.Completed))

    @refusing
    def CreateFieldIndex(self, request: Any) -> Any:
        return q.PointsOperationResponse(result=q.UpdateResult(status=q.UpdateStatus.Completed))


@contextmanager
def serving() -> Iterator[tuple[int, int]]:
    """Serve on loopback; the ports of REST and of gRPC."""
    engine = Engine()
    handler = type("Bound", (Handler,), {"engine": engine})
    rest = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    rest.daemon_threads = True
    threading.Thread(target=rest.serve_forever, daemon=True).start()
    rpc = grpc.server(ThreadPoolExecutor(4))
    qdrant_pb2_grpc.add_QdrantServicer_to_server(Root(), rpc)
    collections_service_pb2_grpc.add_CollectionsServicer_to_server(Collections(engine), rpc)
    points_service_pb2_grpc.add_PointsServicer_to_server(Points(engine), rpc)
    port = rpc.add_insecure_port("127.0.0.1:0")
    rpc.start()
    try:
        yield rest.server_address[1], port
    finally:
        rpc.stop(None).wait()
        rest.shutdown()
        rest.server_close()
        engine.client.close()
