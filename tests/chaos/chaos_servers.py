"""The servers that chaos is made of: each in a process of its own, and how a store reaches it by way of proxies."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from conftest import QDRANT_URL, WEAVIATE_URL, free_port, qdrant_server, wait_for_chroma, weaviate_server
from processes import environment

__all__ = ["KILLABLE", "SERVERS", "Address", "Service", "service_named"]

Address = tuple[str, int]
_ROOT = Path(__file__).parents[2]

KILLABLE = ("chroma-server", "pinecone-emulator")
"""Those that keep what they have in a folder."""

SERVERS = [*KILLABLE, "weaviate-double", "qdrant-stub-rest", "qdrant-stub-grpc"]
if QDRANT_URL:
    SERVERS += ["qdrant-server", "qdrant-grpc"]
if WEAVIATE_URL:
    SERVERS += ["weaviate-server"]


class Service:
    """A server.

    Args:
        name: as in ``SERVERS``.
        folder: for its data and its log.
        doors: names of the ports it listens at, such as ``rest`` and ``grpc``.
        command: the program for given ports; None for a server that runs anyway.
        fields: a store's config for given addresses, proxied or not.

    Attributes:
        addresses: where it really listens.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        doors: tuple[str, ...],
        command: Callable[[Mapping[str, int]], list[str]] | None,
        fields: Callable[[Mapping[str, Address]], dict[str, object]],
    ) -> None:
        self.name = name
        self.fields = fields
        self.addresses: dict[str, Address] = {}
        self._folder = folder
        self._doors = doors
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Start it, on free ports, and wait until it answers."""
        await asyncio.to_thread(self._start)

    def _start(self) -> None:
        if self._command is None:
            return
        ports = {door: free_port() for door in self._doors}
        log = self._folder / "server.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command(ports),
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=_ROOT,
                env=environment(PYTHONPATH=os.pathsep.join(map(str, (_ROOT / "src", _ROOT, _ROOT / "tests")))),
            )
        if self.name == "chroma-server":
            wait_for_chroma(self._process, ports["rest"], log)
        elif self.name.startswith("qdrant-stub"):
            ports = _announced(self._process, log)
        for port in ports.values():
            _wait_for(self._process, port, log)
        self.addresses = {door: ("127.0.0.1", port) for door, port in ports.items()}

    async def kill(self) -> None:
        """End it as a power cut would end a process (SIGKILL)."""
        assert self._process is not None
        self._process.kill()
        await asyncio.to_thread(self._process.wait)

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=2).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not start:\n{log.read_text()}") from None
            time.sleep(0.05)
        else:
            return


def _announced(process: subprocess.Popen[bytes], log: Path) -> dict[str, int]:
    """The ports that a server chose itself and wrote into its log."""
    deadline = time.monotonic() + 60
    while not (found := re.search(r"^ports (\d+) (\d+)$", log.read_text(), re.MULTILINE)):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the server did not start:\n{log.read_text()}")
        time.sleep(0.05)
    return {"rest": int(found[1]), "grpc": int(found[2])}


def service_named(name: str, folder: Path) -> Service:
    """A server of ``SERVERS``, not started yet."""
    python = sys.executable
    match name:
        case "chroma-server":
            chroma = str(Path(python).with_name("chroma"))
            return Service(
                name,
                folder,
                ("rest",),
                lambda ports: [
                    *(chroma, "run", "--path", str(folder), "--host", "127.0.0.1", "--port", str(ports["rest"]))
                ],
                lambda at: {"provider": "chroma", "host": at["rest"][0], "port": at["rest"][1]},
            )
        case "pinecone-emulator":
            return Service(
                name,
                folder,
                ("rest",),
                lambda ports: [
                    *(python, "-m", "ia_modules.vector_stores.cli", "emulate", "pinecone"),
                    *("--port", str(ports["rest"]), "--folder", str(folder)),
                ],
                lambda at: {"provider": "pinecone", "host": "http://{}:{}".format(*at["rest"])},
            )
        case "weaviate-double":
            return Service(
                name,
                folder,
                ("rest", "grpc"),
                lambda ports: [
                    *(python, "-W", "ignore", "-m", "emulator.weaviate"),
                    *("--http-port", str(ports["rest"]), "--grpc-port", str(ports["grpc"])),
                ],
                lambda at: {"provider": "weaviate", **_two_doors(at)},
            )
        case "qdrant-stub-rest" | "qdrant-stub-grpc":
            return Service(
                name,
                folder,
                ("rest", "grpc"),
                lambda _: [python, "-W", "ignore", "-c", _STUB],
                lambda at: {"provider": "qdrant", **_two_doors(at, grpc=name.endswith("grpc"))},
            )
        case "qdrant-server" | "qdrant-grpc":
            return _running(name, folder, qdrant_server(name), 6333, 6334)
        case _:
            return _running(name, folder, weaviate_server(), 8080, 50051)


_STUB = """
import threading
from qdrant_stub import serving
with serving() as (rest, grpc):
    print("ports", rest, grpc, flush=True)
    threading.Event().wait()
"""


def _two_doors(at: Mapping[str, Address], **options: object) -> dict[str, Any]:
    """REST where the config says, gRPC as an option."""
    return {"host": at["rest"][0], "port": at["rest"][1], "options": {"grpc_port": at["grpc"][1], **options}}


def _running(name: str, folder: Path, where: dict[str, Any], port: int, grpc_port: int) -> Service:
    """A server that the environment names; without TLS, since a proxy stands before it."""
    parts = urlsplit(where["host"])
    options = where.get("options", {})
    host = parts.hostname or "localhost"

    def fields(at: Mapping[str, Address]) -> dict[str, object]:
        given = options | _two_doors(at)["options"]
        if "grpc_host" in given:
            given["grpc_host"] = at["grpc"][0]
        return {**where, "host": at["rest"][0], "port": at["rest"][1], "tls": False, "options": given}

    service = Service(name, folder, ("rest", "grpc"), None, fields)
    service.addresses = {
        "rest": (host, parts.port or port),
        "grpc": (options.get("grpc_host", host), options.get("grpc_port", grpc_port)),
    }
    return service
