"""An HTTP server that answers like Chroma's, as far as connecting goes, and then as the test says."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, ClassVar, Literal

NOT_FOUND = {"error": "NotFoundError", "message": "Collection [x] does not exist"}


@dataclass(frozen=True)
class Answer:
    """One answer; ``action`` is for those that never come."""

    status: int = 404
    body: Mapping[str, Any] | str = field(default_factory=lambda: NOT_FOUND)
    headers: Mapping[str, str] = field(default_factory=dict)
    action: Literal["answer", "drop", "hang"] = "answer"


@dataclass(frozen=True)
class Seen:
    """One request."""

    method: str
    path: str
    headers: Mapping[str, str]


class ChromaStub:
    """Runs from ``with`` to its end.

    Attributes:
        answers: for requests about collections, first to last; after them, the collection does not exist.
        connecting: likewise for the requests of a connect, which succeeds without.
        seen: what was asked, in order.
    """

    def __init__(
        self, *answers: Answer, connecting: tuple[Answer, ...] = (), tls: ssl.SSLContext | None = None
    ) -> None:
        self.answers = list(answers)
        self.connecting = list(connecting)
        self.seen: list[Seen] = []
        self.released = threading.Event()
        handler = type("Handler", (_Handler,), {"stub": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self.port = int(self._server.server_address[1])
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> ChromaStub:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def asked(self) -> list[str]:
        """Requests about collections, as method and last part of the path."""
        return [f"{seen.method} {seen.path.rpartition('/')[2]}" for seen in self.seen if "/collections" in seen.path]

    def answer(self, path: str) -> Answer:
        if "/collections" in path:
            return self.answers.pop(0) if self.answers else Answer()
        if self.connecting:
            return self.connecting.pop(0)
        if path == "/api/v2":
            return Answer(200, {"nanosecond heartbeat": 1})
        return Answer(200, {"id": "0" * 32, "name": "default_database", "tenant": "default_tenant"})


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A peer that went away is part of some tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    stub: ClassVar[ChromaStub]

    def _serve(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0]
        self.stub.seen.append(Seen(self.command, path, {key.lower(): value for key, value in self.headers.items()}))
        answer = self.stub.answer(path)
        if answer.action == "hang":
            self.stub.released.wait(20)
        if answer.action != "answer":
            self.close_connection = True
            # Without lingering, closing resets the connection.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return
        body = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
        self.send_response(answer.status)
        for name, value in {"Content-Length": str(len(body.encode())), **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body.encode())

    do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - the names that the server looks for

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on the terminal."""
