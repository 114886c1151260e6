"""One collection: its schema as far as it is known here, and requests to it as messages."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple, TypeVar
from uuid import UUID

from ia_modules.vector_stores.errors import IndexNotFoundError, VectorStoreError
from ia_modules.vector_stores.filters import MATCH_ALL, Node, Predicate, predicate
from ia_modules.vector_stores.providers.weaviate.connection import Connection, rpc_error
from ia_modules.vector_stores.providers.weaviate.errors import RefusedError, says
from ia_modules.vector_stores.providers.weaviate.filtering import StoredCompiler
from ia_modules.vector_stores.providers.weaviate.flips import FLIPS
from ia_modules.vector_stores.providers.weaviate.layout import ID, NAMESPACE, namespace_of, tenant_name
from ia_modules.vector_stores.providers.weaviate.messages import filter_message, level, search_request
from ia_modules.vector_stores.providers.weaviate.objects import Encoder, Found, found
from ia_modules.vector_stores.providers.weaviate.schema import Schema, is_leftover
from ia_modules.vector_stores.tasks import each

__all__ = ["FIRST", "MAX_RESULTS", "Collection", "Prepared"]

logger = logging.getLogger("ia_modules.vector_stores")

T = TypeVar("T")

MAX_RESULTS: Final = 10_000
"""Most results of one request (``QUERY_MAXIMUM_RESULTS``)."""

FIRST: Final = "00000000-0000-0000-0000-000000000000"
"""Where a walk by UUID starts."""

_REMEMBERED = 256
_SIZE_SECONDS = 30.0
"""How long the size of a namespace is taken to be the same, where only its order of magnitude counts."""
_PROPERTIES_AT_A_TIME = 16
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.2
_NO_TENANT = "tenant not found"
_OUT_OF_DATE = (
    "no such prop",
    "does not have named vector",
    "expected value to be",
    "could not parse string",
)
"""Parts of messages that say that the collection has another form than the request was made for."""


class Prepared(NamedTuple):
    """A filter, ready to be sent.

    Attributes:
        message: what Weaviate gets; it selects all the right documents. None: everything.
        passes: tells which of those are right; None if all are.
    """

    message: Any
    passes: Predicate | None


class Collection:
    """A collection on a server.

    Args:
        connection: to the server.
        name: of the collection.
        consistency: level for reads and writes, or None for the server's default.
        patience: seconds that a search waits at most until what was written here is indexed.
    """

    def __init__(self, connection: Connection, name: str, consistency: str | None, patience: float) -> None:
        self._connection = connection
        self.name = name
        self._consistency = consistency
        self._patience = patience
        self._unsettled: dict[str, int] = {}
        self._writes = 0
        self._sizes: dict[str, tuple[int, float]] = {}
        self._schema: Schema | None = None
        self._encoder: Encoder | None = None
        self._prepared: OrderedDict[str, Prepared] = OrderedDict()

    @property
    def message_bytes(self) -> int:
        """Longest message that the server takes."""
        return self._connection.message_bytes

    # Schema

    def forget(self) -> None:
        """Whatever was known of the collection may be out of date."""
        self._schema = self._encoder = None
        self._prepared.clear()
        self._sizes.clear()

    async def load(self) -> Schema | None:
        """Ask the server for the collection; None if there is none."""
        definition = await self._connection.get(f"/schema/{self.name}")
        if definition is None or is_leftover(definition):
            self.forget()
            return None
        self.forget()
        self._schema = Schema(definition)
        return self._schema

    async def schema(self) -> Schema:
        """What is known of the collection.

        Raises:
            IndexNotFoundError: there is none.
        """
        schema = self._schema or await self.load()
        if schema is None:
            raise IndexNotFoundError(f"collection {self.name!r} does not exist")
        return schema

    async def encoder(self) -> Encoder:
        """Makes messages of documents."""
        if self._encoder is None:
            schema = await self.schema()
            self._encoder = Encoder(schema, self.name)
        return self._encoder

    async def vacate(self) -> bool:
        """Whether there is no collection; one that Weaviate made of objects for one that was gone is deleted first."""
        definition = await self._connection.get(f"/schema/{self.name}")
        if definition is not None and is_leftover(definition):
            await self._connection.delete(f"/schema/{self.name}")
            return True
        return definition is None

    async def add_properties(self, missing: Iterable[tuple[str, str]]) -> None:
        """Make properties for fields and kinds that have none; another process may do so at the same time."""
        while wanted := (await self.schema()).definitions(missing):
            # At once, as each takes the server some milliseconds of waiting; there is no request for several.
            await each(wanted, self._add_property, at_a_time=_PROPERTIES_AT_A_TIME)
            # Of two that are made at the same moment under one name, both are confirmed and one is there.
            await self._reloaded()
        self._prepared.clear()
        self._encoder = None

    async def _add_property(self, definition: dict[str, Any]) -> None:
        """Make a property, unless there is one of that name by now."""
        try:
            await self._connection.post(f"/schema/{self.name}/properties", definition)
        except RefusedError as error:
            if "already in use" not in str(error):
                raise

    async def _reloaded(self) -> Schema:
        self._schema = None
        return await self.schema()

    # Filters

    async def prepared(self, filters: Node) -> Prepared:
        """The filter in Weaviate's form; remembered, since programs ask the same ones again."""
        if filters is MATCH_ALL or filters == MATCH_ALL:
            return _EVERYTHING
        key = repr(filters)
        known = self._prepared.get(key)
        if known is not None:
            self._prepared.move_to_end(key)
            return known
        schema = await self.schema()
        compiler = StoredCompiler(schema)
        compiled = compiler.compile(filters)
        if compiler.absent:
            # A field that nobody has written yet, as far as is known here.
            compiler = StoredCompiler(await self._reloaded())
            compiled = compiler.compile(filters)
        passes = None if compiled.exact else predicate(filters)
        prepared = Prepared(None if compiled.native is None else filter_message(compiled.native), passes)
        if not compiler.absent:
            self._prepared[key] = prepared
            if len(self._prepared) > _REMEMBERED:
                self._prepared.popitem(last=False)
        return prepared

    async def with_filter(self, filters: Node, ask: Callable[[Prepared], Awaitable[T]]) -> T:
        """Ask something with a filter, once more if what is known of the collection is out of date."""
        try:
            return await ask(await self.prepared(filters))
        except rpc_error() as error:
            if not says(error, *_OUT_OF_DATE):
                raise
        self.forget()
        return await ask(await self.prepared(filters))

    # Requests

    async def _ask(self, method: str, request: Any) -> Any:
        """Call gRPC; None where the namespace has no tenant, which means that it has no documents."""
        try:
            return await self._connection.call(method, request)
        except rpc_error() as error:
            if says(error, _NO_TENANT):
                return None
            raise

    def _search(self, tenant: str, size: int, **wanted: Any) -> Any:
        request = search_request(self.name, tenant, size, **wanted)
        if self._consistency is not None:
            request.consistency_level = level(self._consistency)
        return request

    async def read(self, namespace: str, size: int, **wanted: Any) -> list[Found]:
        """Objects of one namespace.

        Args:
            namespace: none of its objects if it has no tenant.
            size: most results.
            **wanted: see :func:`~.messages.search_request`.
        """
        from orjson import loads

        for _ in range(2):
            schema = await self.schema()
            request = self._search(
                tenant_name(namespace), size, vector_name=schema.vector, flips=schema.flips, **wanted
            )
            reply = await self._ask("Search", request)
            objects = [] if reply is None else [found(result, loads) for result in reply.results]
            if not wanted.get("vectors") or all(one.vector is not None for one in objects):
                return objects
            self.forget()  # the collection's vector may have another name by now
        raise VectorStoreError(f"collection {self.name!r} has objects without its vector, made by another program")

    async def count(self, namespace: str, message: Any) -> int:
        """How many objects of a namespace pass a filter."""
        from weaviate.proto.v1 import aggregate_pb2

        request = aggregate_pb2.AggregateRequest(
            collection=self.name, tenant=tenant_name(namespace), objects_count=True, filters=message
        )
        reply = await self._ask("Aggregate", request)
        return 0 if reply is None else int(reply.single_result.objects_count)

    async def settled(self, namespace: str) -> None:
        """Wait until what was written to a namespace here can be found by its vector, but not longer than patience."""
        await self._settled(tenant_name(namespace))

    async def _settled(self, tenant: str) -> None:
        last = self._unsettled.get(tenant)
        if last is None:
            return
        end = time.monotonic() + self._patience
        pause = _FIRST_PAUSE
        while True:
            found = await self._connection.get(f"/nodes/{self.name}", output="verbose", shardName=tenant)
            shards = [shard for node in (found or {}).get("nodes") or () for shard in node.get("shards") or ()]
            if not any(shard.get("vectorQueueLength") for shard in shards):
                if self._unsettled.get(tenant) == last:  # else more was written meanwhile
                    self._unsettled.pop(tenant)
                return
            if time.monotonic() + pause > end:
                logger.warning("a search in Weaviate did not wait longer than %g s for its index", self._patience)
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def all_settled(self) -> None:
        """Wait until what was written to any namespace here can be found by its vector."""
        for tenant in list(self._unsettled):
            await self._settled(tenant)

    async def answers_exactly(self, namespace: str) -> bool:
        """Whether a search with a filter looks at all that pass, since they are too few for the graph."""
        if self._connection.indexes_later:
            return False
        count, until = self._sizes.get(namespace, (0, 0.0))
        if time.monotonic() > until:
            count = await self.count(namespace, None)
            if len(self._sizes) >= _REMEMBERED:
                self._sizes.clear()
            self._sizes[namespace] = count, time.monotonic() + _SIZE_SECONDS
        return count < (await self.schema()).scanned / 2  # half, as there may be more by now

    async def write(self, objects: Sequence[Any]) -> dict[int, str]:
        """Write objects of one tenant; what the server says of those that it did not take, by their places."""
        from weaviate.proto.v1 import batch_pb2

        request = batch_pb2.BatchObjectsRequest(objects=objects)
        if self._consistency is not None:
            request.consistency_level = level(self._consistency)
        try:
            reply = await self._connection.call("BatchObjects", request)
        except BaseException:
            FLIPS.renew()
            raise
        finally:  # also without an answer it may have been written
            if self._connection.indexes_later and self._patience:
                self._writes += 1
                self._unsettled[objects[0].tenant] = self._writes
        return {error.index: error.error for error in reply.errors}

    async def erase(self, namespace: str, message: Any) -> tuple[int, int, dict[str, str]]:
        """Delete objects that pass a filter, up to a limit of the server's.

        Returns:
            How many were found, how many of them are gone, and what the server says of each other one, by UUID.
        """
        from weaviate.proto.v1 import batch_delete_pb2

        request = batch_delete_pb2.BatchDeleteRequest(
            collection=self.name, tenant=tenant_name(namespace), filters=message, verbose=True
        )
        if self._consistency is not None:
            request.consistency_level = level(self._consistency)
        reply = await self._ask("BatchDelete", request)
        if reply is None:
            return 0, 0, {}
        failed = {str(UUID(bytes=one.uuid)): one.error for one in reply.objects if not one.successful}
        return reply.matches, reply.successful, failed

    async def tenants(self) -> list[str]:
        """Names of all tenants, with objects or without."""
        from weaviate.proto.v1 import tenants_pb2

        reply = await self._connection.call("TenantsGet", tenants_pb2.TenantsGetRequest(collection=self.name))
        return [tenant.name for tenant in reply.tenants]

    async def inhabitant(self, tenant: str) -> str | None:
        """The namespace whose documents are in a tenant; None if there are none."""
        reply = await self._ask("Search", self._search(tenant, 1, properties=(ID, NAMESPACE)))
        for result in () if reply is None else reply.results:
            name = namespace_of(tenant)
            if name is None:
                name = result.properties.non_ref_props.fields[NAMESPACE].text_value
            return name if tenant_name(name) == tenant else None  # somebody else's tenant is no namespace
        return None

    async def remove_tenant(self, namespace: str) -> None:
        """Delete a namespace with all that is in it."""
        await self._connection.delete(f"/schema/{self.name}/tenants", [tenant_name(namespace)])


_EVERYTHING = Prepared(None, None)
