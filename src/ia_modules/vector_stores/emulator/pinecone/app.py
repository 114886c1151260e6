"""HTTP: from the bytes of a request to those of its answer, with faults on the way."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, unquote

from ia_modules.vector_stores.emulator.pinecone import limits
from ia_modules.vector_stores.emulator.pinecone.calls import RateLimit
from ia_modules.vector_stores.emulator.pinecone.control import ControlPlane
from ia_modules.vector_stores.emulator.pinecone.engine import Engine
from ia_modules.vector_stores.emulator.pinecone.faults import Fault, Faults, halved
from ia_modules.vector_stores.emulator.pinecone.vectors import DataPlane
from ia_modules.vector_stores.emulator.pinecone.wire import Answer, RefusedError, Request, error_answer

__all__ = ["TRANSPORT", "App"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

TRANSPORT = "emulator.transport"
"""Key of the connection's transport in the scope: faults break it."""

_logger = logging.getLogger(__name__)


class App:
    """The ASGI application.

    Attributes:
        calls: how often each method and path was asked for.
        stopping: is set when the server stops, so that slow answers don't hold it up.
    """

    def __init__(self, engine: Engine, api_key: str | None, rate: RateLimit) -> None:
        self.engine, self.rate = engine, rate
        self.faults = Faults()
        self.calls: Counter[str] = Counter()
        self.stopping = asyncio.Event()
        self._api_key = api_key
        self._beginning = engine.lag, engine.ready_after, rate.per_second
        self._control = ControlPlane(engine)
        self._data = DataPlane(engine, rate)
        self._numbers = itertools.count(1)

    def reset(self) -> None:
        """No indexes, no faults, no calls; lag and rate limit as they were in the beginning."""
        self.engine.reset()
        self.engine.lag, self.engine.ready_after, self.rate.per_second = self._beginning
        self.faults.clear()
        self.rate.reset()
        self.calls.clear()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = _request(scope, await _body(receive))
        fault = None
        if request.segments[0] == "_emulator":
            answer = self._refusable(request, self._administered)
        else:
            self.calls[f"{request.method} {request.path}"] += 1
            fault = self.faults.next(request)
            if fault is not None and fault.delay:
                await self._wait(fault.delay)
            answer = self._struck(request, fault)
        if fault is not None and fault.how in ("drop", "cut"):
            await _break(scope, send, answer, receive, begun=fault.how == "cut")
        else:
            await _send(send, answer)

    def _struck(self, request: Request, fault: Fault | None) -> Answer:
        """The answer, if it is not lost."""
        if fault is None:
            return self._refusable(request, self._answered)
        answer = Answer()
        if fault.executes:
            if fault.how == "half":
                request = replace(request, body=halved(request.body))
            answer = self._refusable(request, self._answered)
        if isinstance(fault.how, int) or fault.how == "half":
            status = fault.how if isinstance(fault.how, int) else 500
            return error_answer(request, RefusedError(fault.message, status, fault.headers()))
        return answer

    def _answered(self, request: Request) -> Answer:
        given = request.headers.get("api-key")
        if not given or (self._api_key is not None and given != self._api_key):
            raise RefusedError("Unauthorized", 401)
        answer = self._control.answer(request) if request.index is None else self._data.answer(request)
        answer.headers["x-pinecone-request-id"] = str(next(self._numbers))
        return answer

    def _administered(self, request: Request) -> Answer:
        """What tests in other languages and processes ask of the emulator itself."""
        match request.method, request.path:
            case "POST", "/_emulator/faults":
                try:
                    self.faults.add_json(request.json())
                except ValueError as error:
                    raise RefusedError(str(error)) from None
            case "DELETE", "/_emulator/faults":
                self.faults.clear()
            case "GET", "/_emulator/calls":
                return Answer(dict(self.calls))
            case "POST", "/_emulator/reset":
                self.reset()
            case _:
                raise RefusedError(f"There is nothing at {request.path}", 404)
        return Answer({})

    def _refusable(self, request: Request, answered: Callable[[Request], Answer]) -> Answer:
        try:
            if request.url_bytes > limits.URL_BYTES:
                raise RefusedError("Request-URI Too Large", 414)
            return answered(request)
        except RefusedError as error:
            return error_answer(request, error)
        except Exception as error:
            _logger.exception("%s %s", request.method, request.path)
            return error_answer(request, RefusedError(f"The emulator has a defect: {error!r}", 500))

    async def _wait(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self.stopping.wait(), seconds)
        except TimeoutError:
            return


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


def _request(scope: Scope, body: bytes) -> Request:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    segments = tuple(unquote(one) for one in scope["raw_path"].decode("ascii").strip("/").split("/"))
    index = None
    if segments[0] == "i" and len(segments) > 1:
        index, segments = segments[1], segments[2:] or ("",)
    query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    host, port = scope["server"]
    where = headers.get("host") or f"{host}:{port}"
    size = len(scope["raw_path"]) + len(scope["query_string"])
    path = "/" + "/".join(segments)
    return Request(scope["method"], path, segments, query, headers, body, index, f"http://{where}", size)


async def _send(send: Send, answer: Answer, part: float = 1.0) -> None:
    body = answer.body()
    headers = {"content-type": "application/json"} if body else {}
    headers |= {"content-length": str(len(body)), **answer.headers}
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": encoded})
    sent = body[: int(len(body) * part)]
    await send({"type": "http.response.body", "body": sent, "more_body": part < 1})


async def _break(scope: Scope, send: Send, answer: Answer, receive: Receive, *, begun: bool) -> None:
    """End the connection: before the answer, or in the middle of it."""
    transport: asyncio.Transport = scope[TRANSPORT]
    if begun:
        await _send(send, answer, part=0.5)
        transport.close()
    else:
        transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass
