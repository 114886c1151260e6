"""The gRPC side."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

import grpc
from weaviate.proto.v1 import (
    aggregate_pb2,
    batch_delete_pb2,
    batch_pb2,
    health_weaviate_pb2,
    tenants_pb2,
    weaviate_pb2_grpc,
)

from . import batch, filters, lookup, search
from .engine import Collection, Engine
from .faults import Faults
from .store import Shard
from .values import RefusedError


def health(request: Any, context: grpc.ServicerContext) -> Any:
    return health_weaviate_pb2.WeaviateHealthCheckResponse(status="SERVING")


def health_handler() -> grpc.GenericRpcHandler:
    method = grpc.unary_unary_rpc_method_handler(
        health,
        request_deserializer=health_weaviate_pb2.WeaviateHealthCheckRequest.FromString,
        response_serializer=health_weaviate_pb2.WeaviateHealthCheckResponse.SerializeToString,
    )
    return grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": method})


class Service(weaviate_pb2_grpc.WeaviateServicer):
    def __init__(self, engine: Engine, faults: Faults, api_key: str | None) -> None:
        self.engine = engine
        self.faults = faults
        self.api_key = api_key

    def _answer(self, context: grpc.ServicerContext, method: str, work: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        self.faults.called(method)
        if self.api_key is not None:
            sent = dict(context.invocation_metadata()).get("authorization", "")
            if sent != f"Bearer {self.api_key}":
                # The server has a status for this, and does not use it here.
                context.abort(grpc.StatusCode.UNKNOWN, "extract auth: unauthorized: invalid api key")
        fault = self.faults.next()
        if fault:
            context.abort(*fault)
        try:
            with self.engine.lock:
                reply = work()
        except RefusedError as error:
            context.abort(grpc.StatusCode.UNKNOWN, error.message)
        reply.took = time.perf_counter() - began
        return reply

    def _collection(self, name: str) -> Collection:
        found = self.engine.find(name)
        if found is None:
            raise RefusedError(f"could not find class {name} in schema")
        return found

    # -- Search

    def Search(self, request: Any, context: grpc.ServicerContext) -> Any:
        return self._answer(context, "Search", lambda: search.answer(request, self._collection(request.collection)))

    # -- writing

    def BatchObjects(self, request: Any, context: grpc.ServicerContext) -> Any:
        return self._answer(context, "BatchObjects", lambda: self._batch(request))

    def _batch(self, request: Any) -> Any:
        if any(not one.collection for one in request.objects):
            raise RefusedError("panic occurred: runtime error: invalid memory address or nil pointer dereference")
        errors = batch.write(self.engine, request.objects, self.faults.ids)
        return batch_pb2.BatchObjectsReply(
            errors=[{"index": at, "error": message} for at, message in sorted(errors.items())]
        )

    def BatchDelete(self, request: Any, context: grpc.ServicerContext) -> Any:
        return self._answer(context, "BatchDelete", lambda: self._delete(request))

    def _delete(self, request: Any) -> Any:
        try:
            collection = self._collection(request.collection)
            if not request.HasField("filters"):
                raise RefusedError("no filters in batch delete request")
            clause = filters.read(request.filters, collection)
            filters.check(clause, collection)
        except RefusedError as error:
            raise RefusedError(f"batch delete params: {error.message}") from None
        prefix = "batch delete: cannot find objects: "
        try:
            shard = collection.shard(request.tenant)
        except RefusedError as error:
            raise RefusedError(prefix + error.message) from None
        docs = matching(clause, collection, shard, f'{prefix}find matching doc ids in shard "{shard.name}": docIds: ')
        chosen = [shard.docs[doc] for doc in sorted(docs)[: search.MAXIMUM]]
        failed = {one.id: self.faults.ids[one.id] for one in chosen if one.id in self.faults.ids}
        if not request.dry_run:
            for one in chosen:
                if one.id not in failed:
                    shard.delete(one)
        reply = batch_delete_pb2.BatchDeleteReply(
            matches=len(docs), successful=len(chosen) - len(failed), failed=len(failed)
        )
        if request.verbose:
            for one in chosen:
                error = failed.get(one.id, "")
                reply.objects.add(uuid=uuid.UUID(one.id).bytes, successful=not error, error=error)
        return reply

    # -- the rest

    def Aggregate(self, request: Any, context: grpc.ServicerContext) -> Any:
        return self._answer(context, "Aggregate", lambda: self._aggregate(request))

    def _aggregate(self, request: Any) -> Any:
        try:
            collection = self._collection(request.collection)
        except RefusedError as error:
            raise RefusedError(f"parse params: {error.message}") from None
        if request.WhichOneof("search") or request.aggregations or request.HasField("group_by"):
            raise RefusedError("the emulator only counts")
        clause = None
        if request.HasField("filters"):
            try:
                clause = filters.read(request.filters, collection)
                filters.check(clause, collection)
            except RefusedError as error:
                raise RefusedError(f"parse params: extract filters: {error.message}") from None
        try:
            shard = collection.shard(request.tenant)
        except RefusedError as error:
            raise RefusedError(f"aggregate: {error.message}") from None
        count = len(shard.objects)
        if clause is not None:
            prefix = f"aggregate: shard {shard.name}: retrieve doc IDs from searcher: "
            count = len(matching(clause, collection, shard, prefix))
        single = aggregate_pb2.AggregateReply.Single(objects_count=count if request.objects_count else 0)
        return aggregate_pb2.AggregateReply(single_result=single)

    def TenantsGet(self, request: Any, context: grpc.ServicerContext) -> Any:
        return self._answer(context, "TenantsGet", lambda: self._tenants(request))

    def _tenants(self, request: Any) -> Any:
        try:
            if not request.collection:
                raise RefusedError("missing collection ")
            named = request.WhichOneof("params") is not None
            if named and not request.names.values:
                raise RefusedError("must specify at least one tenant name")
            found = self.engine.list_tenants(request.collection, request.names.values if named else None)
        except RefusedError as error:
            raise RefusedError(f"get tenants: {error.message}") from None
        states = tenants_pb2.TenantActivityStatus
        return tenants_pb2.TenantsGetReply(
            tenants=[
                {
                    "name": one["name"],
                    "activity_status": states.Value(f"TENANT_ACTIVITY_STATUS_{one['activityStatus']}"),
                }
                for one in found
            ]
        )


def matching(clause: filters.Clause, collection: Collection, shard: Shard, prefix: str) -> set[int]:
    try:
        return lookup.matching(clause, collection, shard)
    except RefusedError as error:
        raise RefusedError(prefix + error.message) from None
