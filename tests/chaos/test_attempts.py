"""A call makes as many attempts as the config says, and none of them is multiplied by a retry of the client's own."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any

import pytest

from faultproxy import FaultProxy, Kind, Random, proxied
from ia_modules.vector_stores import VectorDocument, VectorStoreBase, VectorStoreConfig
from ia_modules.vector_stores.base import ConnectionError, VectorStoreError
from ia_modules.vector_stores.factory import provider_class

grpc: Any = pytest.importorskip("grpc")

RETRIES = 3
TARGETS = ["chroma-server", "pinecone-emulator", "qdrant-stub-rest", "qdrant-stub-grpc", "weaviate-double"]
OVER_GRPC = ("qdrant-stub-grpc", "weaviate-double")
everywhere = pytest.mark.targets(*TARGETS)

CALLS: dict[str, Callable[[VectorStoreBase], Awaitable[object]]] = {
    "search": lambda store: store.search([1, 0, 0], top_k=2),
    "upsert": lambda store: store.upsert([VectorDocument(id="b", vector=[0, 1, 0], metadata={"n": 2})]),
    "fetch": lambda store: store.fetch(["a"]),
    "count": lambda store: store.count(),
    "delete": lambda store: store.delete(["a"]),
    "update_metadata": lambda store: store.update_metadata("a", {"n": 3}),
}


class Unavailable:
    """What answers 503 over HTTP, or UNAVAILABLE over gRPC, whatever is asked; counts what is asked."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()

    async def http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode("latin-1").split("\r\n")
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
                await reader.readexactly(int(headers.get("content-length", 0)))
                self.requests[lines[0].rpartition(" ")[0]] += 1
                writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\ndown")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionResetError):
            pass  # the client has closed the connection
        finally:
            writer.close()

    @contextmanager
    def grpc(self) -> Iterator[int]:
        seen = self.requests

        class Refuses(grpc.GenericRpcHandler):  # type: ignore[misc,name-defined]
            def service(self, call: Any) -> Any:
                seen[call.method] += 1
                return grpc.unary_unary_rpc_method_handler(
                    lambda _, context: context.abort(grpc.StatusCode.UNAVAILABLE, "down")
                )

        server = grpc.server(ThreadPoolExecutor(2), handlers=(Refuses(),))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield port
        finally:
            server.stop(None).wait()


class Between:
    """A store, and the proxies on its way to the server."""

    def __init__(self, store: VectorStoreBase, proxies: dict[str, FaultProxy]) -> None:
        self.store = store
        self.proxies = proxies

    async def to(self, ports: dict[str, int]) -> None:
        """Let the server be another one from now on."""
        for door, port in ports.items():
            self.proxies[door].upstream = ("127.0.0.1", port)
        await self.cut()

    async def cut(self) -> None:
        for proxy in self.proxies.values():
            proxy.cut()
        await asyncio.sleep(0.2)  # until the client has noticed


@asynccontextmanager
async def between(config: VectorStoreConfig) -> AsyncIterator[Between]:
    """A store with a document, by way of proxies."""
    doors = {"rest": config.port}
    if "grpc_port" in config.options:
        doors["grpc"] = config.options["grpc_port"]
    async with AsyncExitStack() as stack:
        proxies = {
            door: await stack.enter_async_context(proxied(("127.0.0.1", port or 0))) for door, port in doors.items()
        }
        options = dict(config.options)
        if "grpc" in proxies:
            options["grpc_port"] = proxies["grpc"].port
        fields = {"port": proxies["rest"].port, "options": options, "retry_delay": 0.001, "max_retries": RETRIES}
        config = config.model_copy(update=fields)
        store = provider_class(config.provider)(config)
        await store.create_index(3)
        stack.push_async_callback(store.disconnect)
        await store.upsert([VectorDocument(id="a", vector=[1, 0, 0], metadata={"n": 1})])
        await store.search([1, 0, 0])
        yield Between(store, proxies)


@everywhere
@pytest.mark.parametrize("name", CALLS)
async def test_so_many_requests_and_no_more(store_config: Callable[..., VectorStoreConfig], name: str) -> None:
    async with between(store_config(dimension=3)) as place:
        upstream = {door: proxy.upstream[1] for door, proxy in place.proxies.items()}
        down = Unavailable()
        server = await asyncio.start_server(down.http, "127.0.0.1", 0)
        ports = {"rest": server.sockets[0].getsockname()[1]}
        with down.grpc() as port:
            async with server:
                await place.to(ports | ({"grpc": port} if "grpc" in place.proxies else {}))
                with pytest.raises(VectorStoreError) as caught:
                    await CALLS[name](place.store)
                await place.to(upstream)
        assert isinstance(caught.value, ConnectionError) or "503" in str(caught.value)
        assert f"given up after {1 + RETRIES} attempts" in caught.value.__notes__
        assert list(down.requests.values()) == [1 + RETRIES], down.requests
        await place.store.delete_index()


@everywhere
async def test_connecting_is_tried_as_often(store_config: Callable[..., VectorStoreConfig]) -> None:
    down = Unavailable()
    server = await asyncio.start_server(down.http, "127.0.0.1", 0)
    with down.grpc() as port:
        async with server:
            config = store_config(dimension=3)
            options = config.options | ({"grpc_port": port} if "grpc_port" in config.options else {})
            fields = {"port": server.sockets[0].getsockname()[1], "options": options, "max_retries": RETRIES}
            store = provider_class(config.provider)(config.model_copy(update=fields))
            with pytest.raises(VectorStoreError) as caught:
                await store.connect()
    assert f"given up after {1 + RETRIES} attempts" in caught.value.__notes__
    assert list(down.requests.values()) == [1 + RETRIES], down.requests


@everywhere
@pytest.mark.parametrize("name", ["search", "upsert", "fetch"])
async def test_so_many_connections_and_no_more(
    store_config: Callable[..., VectorStoreConfig], name: str, request: pytest.FixtureRequest
) -> None:
    async with between(store_config(dimension=3)) as place:
        for proxy in place.proxies.values():
            proxy.chances = Random(1, 1.0, {Kind.REFUSE: 1.0})
        await place.cut()
        with pytest.raises(ConnectionError) as caught:
            await CALLS[name](place.store)
        assert f"given up after {1 + RETRIES} attempts" in caught.value.__notes__
        refused = {door: proxy.injected[Kind.REFUSE] for door, proxy in place.proxies.items()}
        if request.node.callspec.params["store_config"] in OVER_GRPC:
            # A channel that could not connect waits for a second before it tries again, and fails calls meanwhile.
            assert 1 <= refused["grpc"] <= 1 + RETRIES
        else:
            assert refused["rest"] == 1 + RETRIES
        for proxy in place.proxies.values():
            proxy.chances = None
        async with asyncio.timeout(20):
            while True:
                try:
                    await place.store.delete_index()
                    break
                except ConnectionError:
                    await asyncio.sleep(0.1)
