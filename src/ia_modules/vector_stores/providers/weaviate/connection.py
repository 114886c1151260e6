"""The connection to a Weaviate server: its client's, with requests that are made here.

The client opens and closes the connections, and knows about credentials and TLS. Its query methods are passed by: they
wait up to 63 s while gRPC is down, hide the status of an error, and make more of an answer than is needed here.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from importlib import import_module
from typing import Any, cast

from ia_modules.vector_stores.config import VectorStoreConfig
from ia_modules.vector_stores.errors import (
    AuthenticationError,
    ConnectionError,
    UnsupportedOperationError,
)
from ia_modules.vector_stores.parts import part
from ia_modules.vector_stores.providers.packages import imported, require
from ia_modules.vector_stores.providers.rpc import CHANNEL_OPTIONS, without_frames
from ia_modules.vector_stores.providers.threads import finished
from ia_modules.vector_stores.providers.weaviate.errors import RefusedError, map_error

__all__ = ["CONNECTION_OPTIONS", "Connection", "import_weaviate", "rpc_error"]

logger = logging.getLogger("ia_modules.vector_stores")

CONNECTION_OPTIONS = frozenset({"grpc_host", "grpc_port", "grpc_tls", "headers", "trust_env"})

_PORT, _GRPC_PORT, _TLS_PORT = 8080, 50051, 443
_OLDEST_CLIENT = (4, 16)
_OLDEST_SERVER = (1, 33)
"""The first server line whose filters have ``Not`` and ``ContainsNone``."""
_CLOUD = (".weaviate.cloud", ".weaviate.network", ".wcs.api.weaviate.io")
_NO_TIMEOUT = 86_400.0
_MESSAGE_BYTES = 100 * 2**20
_CHANNEL: Any = {"channel_options": list(CHANNEL_OPTIONS.items())}
"""As a dict, since older clients have no class for it and don't look at it."""
_WHOLE = frozenset({"BatchDelete", "BatchObjects"})
"""Methods that are no parts to be tried again by themselves: the one answers how much it did, which is another number
the second time, and the other has to send other vectors, for which its messages are made anew."""


def import_weaviate() -> Any:
    """The client package.

    Raises:
        MissingDependencyError: it is not installed.
        UnsupportedOperationError: it is older than 4.16.
    """
    with warnings.catch_warnings():  # importing it changes the program's own filters
        package = imported("weaviate", provider="weaviate", package="weaviate-client")
    imported("orjson", provider="weaviate")
    require("weaviate-client", _OLDEST_CLIENT, provider="weaviate")
    return package


def _cloud_grpc(host: str) -> str:
    """Where a cluster of Weaviate Cloud has its gRPC; the same rule as in the client's ``connect.helpers``."""
    if host.endswith(".weaviate.network"):
        return host.replace(".", ".grpc.", 1)
    return f"grpc-{host}"


def rpc_error() -> type[Exception]:
    """The exception that gRPC raises."""
    return cast("type[Exception]", import_module("grpc.aio").AioRpcError)


class Connection:
    """A server, by way of the client's asynchronous form.

    Args:
        config: host, port, key, and options.

    Attributes:
        message_bytes: longest message that the server takes.
        indexes_later: whether what is written is found by vectors a moment later only (``ASYNC_INDEXING``, the usual
            thing in Weaviate's cloud).
    """

    def __init__(self, config: VectorStoreConfig) -> None:
        self._config = config
        self._client: Any = None
        self._wire: Any = None
        self._timeout = _NO_TIMEOUT if config.timeout is None else config.timeout
        self.message_bytes = _MESSAGE_BYTES
        self.indexes_later = False

    async def open(self) -> None:
        """Connect, and see whether the server answers on both ports and is not too old.

        Raises:
            ConnectionError: it does not answer.
            UnsupportedOperationError: it is too old.
            MissingDependencyError: the client is not installed.
        """
        client = self._make_client()
        try:
            await client.connect()
            self._client, self._wire = client, client._connection  # noqa: SLF001
            meta = await self.get("/meta")
            if tuple(int(part) for part in meta["version"].split(".")[:2]) < _OLDEST_SERVER:
                raise UnsupportedOperationError(
                    f"the Weaviate server is of version {meta['version']}; needed is "
                    f"{'.'.join(map(str, _OLDEST_SERVER))} or later"
                )
            self.message_bytes = int(meta.get("grpcMaxMessageSize") or _MESSAGE_BYTES)
            await self._ping_grpc()
            self.indexes_later = await self._indexes_later()
        except BaseException:
            self._client = self._wire = None
            await finished(client.close())
            raise

    def _make_client(self) -> Any:
        weaviate = import_weaviate()
        from weaviate.auth import AuthApiKey
        from weaviate.config import AdditionalConfig, Timeout
        from weaviate.connect import ConnectionParams

        config, options = self._config, self._config.options
        host = config.host or "localhost"
        tls = config.tls if config.tls is not None else config.secret is not None
        cloud = host.endswith(_CLOUD)
        grpc_host = options.get("grpc_host") or (_cloud_grpc(host) if cloud else host)
        parameters = ConnectionParams.from_params(
            http_host=host,
            http_port=config.port or (_TLS_PORT if tls else _PORT),
            http_secure=tls,
            grpc_host=grpc_host,
            grpc_port=options.get("grpc_port") or (_TLS_PORT if cloud else _GRPC_PORT),
            grpc_secure=options.get("grpc_tls", tls),
        )
        wait = self._timeout
        return weaviate.WeaviateAsyncClient(
            connection_params=parameters,
            auth_client_secret=None if config.secret is None else AuthApiKey(config.secret),
            additional_headers=dict(config.headers) or None,
            additional_config=AdditionalConfig(
                timeout=Timeout(init=wait, query=wait, insert=wait),
                trust_env=bool(options.get("trust_env", False)),
                grpc_config=_CHANNEL,
            ),
            # The checks ask a public package index for a newer client; what they find out of the server we do, too.
            skip_init_checks=True,
        )

    async def _ping_grpc(self) -> None:
        """Whether gRPC answers, as the port is easily forgotten; any answer will do."""
        from weaviate.proto.v1 import tenants_pb2

        try:
            await self._call("TenantsGet", tenants_pb2.TenantsGetRequest(collection="Ia_1ping"))
        except rpc_error() as raised:
            error = cast("Any", raised)
            if error.code().name in ("UNAVAILABLE", "DEADLINE_EXCEEDED"):
                where = self._config.options.get("grpc_port") or "its usual port"
                raise ConnectionError(
                    f"the Weaviate server answers REST but not gRPC on {where} (option grpc_port): {error.details()}"
                ) from raised
            if error.code().name in ("UNAUTHENTICATED", "PERMISSION_DENIED"):
                raise

    async def ping(self) -> None:
        """The cheapest request there is."""
        await self.get("/.well-known/ready")

    async def close(self) -> None:
        """Close the connections."""
        client, self._client, self._wire = self._client, None, None
        if client is not None:
            await finished(client.close())

    async def call(self, method: str, request: Any) -> Any:
        """Call gRPC; its own errors come out as they are, without the client's waiting and wrapping."""
        if method in _WHOLE:
            return await self._call(method, request)
        return await part(lambda: self._call(method, request))

    async def _call(self, method: str, request: Any) -> Any:
        wire = self._wire
        assert wire is not None, "the store is not connected"
        return await without_frames(
            getattr(wire.grpc_stub, method)(request, metadata=wire.grpc_headers(), timeout=self._timeout)
        )

    async def _indexes_later(self) -> bool:
        """The server does not say so, but its own queue of writes is one that it has only if not."""
        try:
            found = await self.get("/nodes")
        except Exception as error:
            mapped = map_error(error)
            if not isinstance(mapped, AuthenticationError):
                raise
            logger.info("the key may not read the state of Weaviate's nodes; searches don't wait for indexing")
            return False
        return any("queueLength" not in (node.get("batchStats") or {}) for node in (found or {}).get("nodes") or ())

    async def get(self, path: str, **parameters: str) -> Any:
        """GET; the JSON that comes back, or None where there is nothing of that name."""

        async def get() -> Any:
            response = await self._wire.get(path=path, params=parameters or None)
            return None if response.status_code == 404 else _content(response)

        return await part(get)

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """POST; the JSON that comes back."""
        return _content(await self._wire.post(path=path, weaviate_object=body))

    async def delete(self, path: str, body: Any = None) -> None:
        """DELETE."""
        _content(await self._wire.delete(path=path, weaviate_object=body))


def _content(response: Any) -> Any:
    if response.status_code >= 300:
        raise RefusedError(response.status_code, response.text, response.headers.get("retry-after"))
    return response.json() if response.content else None
