"""Both ports of the double, and what a test may do to it."""

from __future__ import annotations

import ssl
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
from weaviate.proto.v1 import weaviate_pb2_grpc

from .engine import Engine
from .faults import Faults
from .rest import Handler
from .rpc import Service, health_handler

MESSAGE = 104_858_000


class HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


class Server:
    def __init__(
        self,
        api_key: str | None,
        http_port: int,
        grpc_port: int,
        message_bytes: int = MESSAGE,
        tls: tuple[Path, Path] | None = None,
    ) -> None:
        self.engine = Engine(message_bytes)
        self._faults = Faults()
        self._grpc = grpc.server(
            ThreadPoolExecutor(8),
            options=[
                ("grpc.max_receive_message_length", message_bytes),
                ("grpc.max_send_message_length", message_bytes),
                # A port that another server has is an error here, not a port shared with it.
                ("grpc.so_reuseport", 0),
            ],
        )
        weaviate_pb2_grpc.add_WeaviateServicer_to_server(Service(self.engine, self._faults, api_key), self._grpc)  # type: ignore[no-untyped-call]
        self._grpc.add_generic_rpc_handlers((health_handler(),))
        where = f"127.0.0.1:{grpc_port}"
        self.grpc_port: int
        if tls is None:
            self.grpc_port = self._grpc.add_insecure_port(where)
        else:
            pair = tls[0].read_bytes(), tls[1].read_bytes()
            self.grpc_port = self._grpc.add_secure_port(where, grpc.ssl_server_credentials([pair]))
        given: dict[str, Any] = {
            "engine": self.engine,
            "faults": self._faults,
            "api_key": api_key,
        }
        self._http = HttpServer(("127.0.0.1", http_port), type("Bound", (Handler,), given))
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls[1], tls[0])
            self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
        self.http_port: int = self._http.server_address[1]
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def calls(self) -> Counter[str]:
        """How often each gRPC method ("Search") and REST path ("GET /v1/meta") was called."""
        return self._faults.calls

    def fail_next(self, times: int, code: grpc.StatusCode, message: str = "injected") -> None:
        """The next gRPC calls, of whatever kind (but health), end with this."""
        self._faults.set(times, code, message)

    def fail_next_rest(self, times: int, status: int, message: str = "injected") -> None:
        self._faults.set_rest(times, status, message)

    def fail_ids(self, errors: Mapping[str, str]) -> None:
        """These objects are refused by BatchObjects and kept by BatchDelete, until this is called again."""
        self._faults.ids.clear()
        self._faults.ids.update({str(one).lower(): message for one, message in errors.items()})

    def reset(self) -> None:
        """No collections, no faults, no calls."""
        with self.engine.lock:
            self.engine.collections.clear()
        self.fail_next(0, grpc.StatusCode.UNKNOWN)
        self.fail_next_rest(0, 500)
        self._faults.ids.clear()
        self._faults.calls.clear()

    def start(self) -> None:
        self._grpc.start()
        self._thread.start()

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
        self._grpc.stop(grace=0).wait()


@contextmanager
def serving(
    api_key: str | None = None,
    *,
    http_port: int = 0,
    grpc_port: int = 0,
    message_bytes: int = MESSAGE,
    tls: tuple[Path, Path] | None = None,
) -> Iterator[Server]:
    """The double on ports of 127.0.0.1, chosen by the system unless they are given; ``tls`` is key and certificate."""
    server = Server(api_key, http_port, grpc_port, message_bytes, tls)
    server.start()
    try:
        yield server
    finally:
        server.stop()
