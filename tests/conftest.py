"""Fixtures shared by all tests: the databases that can run here, and stores on them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, Phase, settings

from ia_modules.vector_stores import VectorStoreBase, VectorStoreConfig
from ia_modules.vector_stores.factory import provider_class

# One fixed seed by default, so that a failure is the same for everyone; HYPOTHESIS_PROFILE=explore looks further.
settings.register_profile(
    "fixed",
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.register_profile("explore", settings.get_profile("fixed"), derandomize=False, max_examples=1000)
settings.register_profile("noshrink", settings.get_profile("fixed"), phases=[Phase.explicit, Phase.generate])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))

QDRANT_URL = os.environ.get("QDRANT_URL")
"""Where a real Qdrant is, such as ``http://127.0.0.1:6333``; gRPC on the port after it, or ``QDRANT_GRPC_PORT``."""

WEAVIATE_URL = os.environ.get("WEAVIATE_URL")
"""Where a real Weaviate is, such as ``http://127.0.0.1:8080``; its gRPC is at ``WEAVIATE_GRPC_URL`` (``host:port``)."""

WEAVIATES = ["double", "weaviate-server"] if WEAVIATE_URL else ["double"]

TARGETS = ["memory", "chroma-memory", "chroma-folder", "chroma-server", "qdrant-memory", "qdrant-folder"]
TARGETS += ["qdrant-stub-rest", "qdrant-stub-grpc", "weaviate-double", "pinecone-emulator", "pinecone-lagging"]
if QDRANT_URL:
    TARGETS += ["qdrant-server", "qdrant-grpc"]
if WEAVIATE_URL:
    TARGETS += ["weaviate-server"]


def qdrant_server(target: str) -> dict[str, object]:
    """Fields of a config for the real Qdrant that the environment names; ``target`` ends in ``grpc`` to use that."""
    if not QDRANT_URL:
        pytest.skip("QDRANT_URL is not set; it names a Qdrant server to test with")
    where: dict[str, object] = {"provider": "qdrant", "host": QDRANT_URL, "api_key": os.environ.get("QDRANT_API_KEY")}
    if target.endswith("grpc"):
        port = int(os.environ.get("QDRANT_GRPC_PORT", 1 + (urlsplit(QDRANT_URL).port or 6333)))
        where["options"] = {"grpc": True, "grpc_port": port}
    return where


def weaviate_server() -> dict[str, object]:
    """Fields of a config for the real Weaviate that the environment names."""
    if not WEAVIATE_URL:
        pytest.skip("WEAVIATE_URL is not set; it names a Weaviate server to test with")
    where: dict[str, object] = {
        "provider": "weaviate",
        "host": WEAVIATE_URL,
        "api_key": os.environ.get("WEAVIATE_API_KEY"),
    }
    if grpc := os.environ.get("WEAVIATE_GRPC_URL"):
        host, _, port = grpc.rpartition("://")[2].partition(":")
        where["options"] = {"grpc_host": host, "grpc_port": int(port or 50051)}
    return where


def free_port() -> int:
    """A port of the loopback address that nothing listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.fixture(scope="session")
def chroma_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Chroma server on a loopback port; ``host:port``."""
    folder = tmp_path_factory.mktemp("chroma-server")
    port = free_port()
    command = [str(Path(sys.executable).with_name("chroma")), "run", "--path", str(folder)]
    log = (folder / "server.log").open("wb")
    process = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port)], stdout=log, stderr=subprocess.STDOUT, cwd=folder
    )
    try:
        wait_for_chroma(process, port, folder / "server.log")
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=10)
        log.close()


@pytest.fixture(scope="session")
def qdrant_stub() -> Iterator[tuple[int, int]]:
    """The wire of a Qdrant server on loopback ports, for REST and for gRPC."""
    from qdrant_stub import serving

    with serving() as ports:
        yield ports


@pytest.fixture(scope="session")
def weaviate_double() -> Iterator[dict[str, object]]:
    """Our double of a Weaviate server on loopback ports; fields of a config for it."""
    with imported_quietly():
        from emulator.weaviate import serving

    with serving() as server:
        yield double_config(server)


@pytest.fixture(scope="module")
def double() -> Iterator[Any]:
    """A double of a Weaviate server for one module of tests."""
    with imported_quietly():
        from emulator.weaviate import serving
    with serving() as server:
        yield server


@pytest.fixture(params=WEAVIATES)
def wire(request: pytest.FixtureRequest, double: Any) -> Iterator[Any]:
    """The double and, if ``WEAVIATE_URL`` names one, a real Weaviate, as they are on the wire."""
    with imported_quietly():
        from weaviate_wire import wire_named

    made = wire_named(request.param, double)
    yield made
    made.close()


def double_config(server: Any) -> dict[str, object]:
    """Fields of a config for a running double."""
    return {
        "provider": "weaviate",
        "host": "127.0.0.1",
        "port": server.http_port,
        "options": {"grpc_port": server.grpc_port},
    }


@pytest.fixture(scope="session")
def pinecone_server() -> Iterator[Any]:
    """Our emulator of Pinecone; like ``pinecone_emulator``, but for all tests of a session together."""
    from ia_modules.vector_stores.emulator.pinecone import serving

    with serving() as emulator:
        yield emulator


@pytest.fixture(scope="session")
def lagging_pinecone() -> Iterator[Any]:
    """The same, with reads that see what was written 20 milliseconds later."""
    from ia_modules.vector_stores.emulator.pinecone import serving

    with serving(lag=0.02) as emulator:
        yield emulator


@contextmanager
def imported_quietly() -> Iterator[None]:
    """Keep the warning filters, which the import of Weaviate's client changes."""
    with warnings.catch_warnings():
        yield


def wait_for_chroma(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Wait until a Chroma server answers."""
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v2/heartbeat", timeout=2):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the Chroma server did not start:\n{log.read_text()}") from None
            time.sleep(0.1)


MakeStore = Callable[..., VectorStoreBase]


@pytest.fixture
def store_config(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., VectorStoreConfig]:
    """Makes configs of one target; every test has an index of its own, and configs of one test share it."""
    target: str = request.param
    index = f"test-{uuid.uuid4().hex[:12]}"
    where: dict[str, object] = {"provider": target.partition("-")[0]}
    if target == "chroma-server":
        host, _, port = request.getfixturevalue("chroma_server").partition(":")
        where |= {"host": host, "port": int(port)}
    elif target.startswith("qdrant-stub"):
        rest, rpc = request.getfixturevalue("qdrant_stub")
        where |= {"host": "127.0.0.1", "port": rest}
        if target.endswith("grpc"):
            where["options"] = {"grpc": True, "grpc_port": rpc}
    elif target in ("qdrant-server", "qdrant-grpc"):
        where |= qdrant_server(target)
    elif target == "weaviate-double":
        where |= request.getfixturevalue("weaviate_double")
    elif target == "weaviate-server":
        where |= weaviate_server()
    elif target == "pinecone-emulator":
        where |= {"host": request.getfixturevalue("pinecone_server").url}
    elif target == "pinecone-lagging":
        where |= {"host": request.getfixturevalue("lagging_pinecone").url}
    elif target.endswith("-memory"):
        where |= {"path": f":memory:{index}"}
    elif target.endswith("-folder"):
        where |= {"path": str(tmp_path / "folder")}
    else:
        where |= {"path": index}

    def make(**given: object) -> VectorStoreConfig:
        return VectorStoreConfig(**({"index_name": index, "retry_delay": 0.01} | where | given))

    return make


@pytest.fixture
async def make_store(store_config: Callable[..., VectorStoreConfig]) -> AsyncIterator[MakeStore]:
    """Makes stores of one target, and disconnects them after the test."""
    made: list[VectorStoreBase] = []

    def make(**given: object) -> VectorStoreBase:
        config = store_config(**given)
        made.append(provider_class(config.provider)(config))
        return made[-1]

    yield make
    for store in made:
        await store.disconnect()
    config = store_config()
    if config.host is not None and made:  # a server may go on after the tests
        store = provider_class(config.provider)(config)
        if await store.index_exists():
            await store.delete_index()
        await store.disconnect()


@pytest.fixture
async def store(make_store: MakeStore) -> VectorStoreBase:
    """A store with a fresh index of three dimensions."""
    made = make_store(dimension=3)
    await made.create_index(3)
    return made


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every test that asks for a store once on each target."""
    if "store_config" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("targets")
        # Real servers take part only where they are.
        targets: list[Any] = [one for one in marker.args if one in TARGETS] if marker else TARGETS
        if not targets:
            why = pytest.mark.skip(reason=f"needs {' or '.join(marker.args if marker else ())}; see CONTRIBUTING.md")
            targets = [pytest.param("nowhere", marks=why)]
        metafunc.parametrize("store_config", targets, indirect=True)
