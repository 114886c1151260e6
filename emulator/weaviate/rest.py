"""The REST side: the schema, the tenants and the signs of life."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import unquote, urlsplit

from . import schema
from .engine import STATES, Engine
from .faults import Faults
from .values import RefusedError

VERSION = "1.38.11"
NOTHING: Any = object()


def tenants_body(body: Any) -> list[dict[str, Any]]:
    for one in body:
        if one.get("activityStatus") and one["activityStatus"] not in STATES:
            raise RefusedError(f"!606!activityStatus in body should be one of [{' '.join(STATES)}]")
    given: list[dict[str, Any]] = body
    return given


def one_class(engine: Engine, name: str, body: Any) -> Any:
    known = engine.find(name)
    if known is None:
        raise RefusedError("", 404)
    return known.definition


def one_tenant(engine: Engine, name: str, tenant: str, body: Any) -> Any:
    found = engine.list_tenants(name, [tenant])
    if not found:
        raise RefusedError("", 404)
    return found[0]


def update_class(engine: Engine, name: str, body: Any) -> Any:
    engine.update(name, body)
    return engine.collections[one_class(engine, name, None)["class"]].definition


def add_property(engine: Engine, name: str, body: Any) -> Any:
    schema.check_tokenization(body, "")
    return engine.add_properties(name, [body])[0]


def delete_class(engine: Engine, name: str, body: Any) -> Any:
    engine.delete(name)
    return NOTHING


def delete_tenants(engine: Engine, name: str, body: Any) -> Any:
    engine.delete_tenants(name, body)
    return NOTHING


def meta(engine: Engine, body: Any) -> Any:
    return {
        "grpcMaxMessageSize": engine.message_bytes,
        "hostname": "http://127.0.0.1",
        "modules": {},
        "version": VERSION,
    }


def no_openid(engine: Engine, body: Any) -> Any:
    raise RefusedError("", 404)


def nodes(engine: Engine, body: Any) -> Any:
    node = {"name": "node1", "operationalMode": "ReadWrite", "shards": None, "status": "HEALTHY", "version": VERSION}
    return {"nodes": [{"batchStats": {"queueLength": 0, "ratePerSecond": 0}, **node}]}


CLASS = "/v1/schema/([^/]+)"
ROUTES: list[tuple[str, str, Callable[..., Any]]] = [
    ("GET", "/v1/.well-known/(?:ready|live)", lambda engine, body: NOTHING),
    ("GET", "/v1/.well-known/openid-configuration", no_openid),
    ("GET", "/v1/meta", meta),
    ("GET", "/v1/nodes", nodes),
    ("GET", "/v1/schema", lambda engine, body: {"classes": [one.definition for one in engine.collections.values()]}),
    ("POST", "/v1/schema", lambda engine, body: engine.create(body)),
    ("GET", CLASS, one_class),
    ("PUT", CLASS, update_class),
    ("DELETE", CLASS, delete_class),
    ("POST", f"{CLASS}/properties", add_property),
    ("GET", f"{CLASS}/tenants", lambda engine, name, body: engine.list_tenants(name)),
    ("POST", f"{CLASS}/tenants", lambda engine, name, body: engine.add_tenants(name, tenants_body(body))),
    ("PUT", f"{CLASS}/tenants", lambda engine, name, body: engine.update_tenants(name, tenants_body(body))),
    ("DELETE", f"{CLASS}/tenants", delete_tenants),
    ("GET", f"{CLASS}/tenants/([^/]+)", one_tenant),
    ("HEAD", f"{CLASS}/tenants/([^/]+)", one_tenant),
]
ANONYMOUS = "anonymous access not enabled. Please authenticate through one of the available methods: [API-keys]"


def text(content: Any) -> bytes:
    if content is NOTHING:
        return b""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    engine: Engine
    faults: Faults
    api_key: str | None

    def answer(self, status: int, content: Any) -> None:
        self.send(status, text(content))

    def send(self, status: int, body: bytes) -> None:
        body = b"" if self.command == "HEAD" else body
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def refuse(self, error: RefusedError, path: str) -> None:
        if error.message.startswith("!606!"):
            return self.answer(422, {"code": 606, "message": error.message[5:]})
        if error.status == 404:
            return self.answer(404, NOTHING)
        content: dict[str, Any] = {"error": [{"message": error.message}]}
        if "/tenants" not in path:
            content = {"allowed": None, **content}
        return self.answer(error.status, content)

    def denied(self, path: str) -> str | None:
        sent = self.headers.get("Authorization") or ""
        if self.api_key is None or path.startswith("/v1/.well-known/"):
            return None
        if not sent.startswith("Bearer "):
            return ANONYMOUS
        return None if sent == f"Bearer {self.api_key}" else "unauthorized: invalid api key"

    def handle_one(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = urlsplit(self.path).path
        self.faults.called(f"{self.command} {path}")
        methods = {method: (pattern, work) for method, pattern, work in ROUTES if re.fullmatch(pattern, path)}
        if not methods:
            return self.answer(404, {"code": 404, "message": f"path {path} was not found"})
        if self.command not in methods:
            allowed = f"method {self.command} is not allowed, but [{','.join(sorted(methods))}] are"
            return self.answer(405, {"code": 405, "message": allowed})
        denied = self.denied(path)
        if denied:
            return self.answer(401, {"code": 401, "message": denied})
        fault = self.faults.next_rest()
        if fault:
            return self.answer(fault[0], {"error": [{"message": fault[1]}]})
        try:
            body = json.loads(raw) if raw else None
        except ValueError as error:
            return self.answer(400, {"code": 400, "message": f'parsing body from "" failed, because {error}'})
        pattern, work = methods[self.command]
        match = re.fullmatch(pattern, path)
        try:
            with self.engine.lock:
                content = text(work(self.engine, *map(unquote, match.groups() if match else ()), body))
        except RefusedError as error:
            return self.refuse(error, path)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            # A body of another shape: the server finds that while it reads it.
            return self.answer(400, {"code": 400, "message": f'parsing body from "" failed, because {error!r}'})
        return self.send(200, content)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = handle_one  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:
        pass
