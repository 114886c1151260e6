"""Requests to an index as they go out, and what may come back."""

from __future__ import annotations

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from ia_modules.vector_stores import errors
from ia_modules.vector_stores.providers.pinecone.errors import RefusedError, map_error
from ia_modules.vector_stores.providers.pinecone.wire import Wire

pytest.importorskip("pinecone")


@asynccontextmanager
async def answering(*answers: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that gives these answers, one for each request, and then hangs up; with the requests that it got."""
    got: list[bytes] = []
    left = list(answers)

    serving: list[asyncio.Task[None] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.append(asyncio.current_task())
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                break
            length = next((int(v) for k, _, v in _fields(head) if k == b"content-length"), 0)
            got.append(head + await reader.readexactly(length))
            if not left:
                break
            writer.write(left.pop(0))
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/i/docs", got
    finally:
        server.close()
        await asyncio.gather(*(task for task in serving if task))


def _fields(head: bytes) -> list[tuple[bytes, bytes, bytes]]:
    return [line.lower().partition(b": ") for line in head.split(b"\r\n")[1:] if line]


def answer(body: bytes, status: str = "200 OK", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@asynccontextmanager
async def wire_to(url: str, seconds: float = 5.0, **headers: str) -> AsyncIterator[Wire]:
    made = Wire(url, "the-key", headers, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), seconds, None)
    try:
        yield made
    finally:
        await made.close()


async def failure(wire: Wire) -> Exception:
    try:
        await wire.post("/query", b"{}")
    except Exception as error:  # noqa: BLE001 - whichever it is
        return error
    raise AssertionError("nothing failed")


async def test_a_request() -> None:
    async with answering(answer(b'{"a": 1}', X_Pinecone_Request_LSN="7")) as (url, got), wire_to(url, mine="x") as wire:
        found = await wire.post("/query", b'{"topK": 1}')
    assert found.content == {"a": 1}
    assert found.headers["x-pinecone-request-lsn"] == "7"
    (request,) = got
    assert request.startswith(b"POST /i/docs/query HTTP/1.1\r\n")
    assert request.endswith(b'\r\n\r\n{"topK": 1}')
    fields = {name: value for name, _, value in _fields(request.partition(b"\r\n\r\n")[0])}
    assert fields[b"api-key"] == b"the-key"
    assert fields[b"x-pinecone-api-version"] == b"2026-07"
    assert fields[b"content-type"] == b"application/json"
    assert fields[b"mine"] == b"x"
    assert fields[b"host"] == url.partition("://")[2].partition("/")[0].encode()


async def test_headers_of_one_s_own_win() -> None:
    async with answering(answer(b"{}")) as (url, got), wire_to(url, **{"User-Agent": "mine"}) as wire:
        await wire.get("/vectors/list", "limit=1")
    assert got[0].lower().count(b"user-agent") == 1
    assert b"mine" in got[0]


async def test_one_connection_serves_many_requests() -> None:
    async with answering(*[answer(b"{}")] * 3) as (url, got), wire_to(url) as wire:
        for _ in range(3):
            await wire.get("/vectors/list", "limit=1")
        assert len(wire._pool.connections) == 1
    assert len(got) == 3


async def test_an_answer_that_is_packed() -> None:
    packed = answer(gzip.compress(b'{"a": "b"}'), Content_Encoding="gzip")
    async with answering(packed) as (url, _), wire_to(url) as wire:
        assert (await wire.get("/vectors/list", "limit=1")).content == {"a": "b"}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"code": 3, "message": "wrong", "details": []}', "wrong"),
        (b'{"status": 400, "error": {"code": "INVALID_ARGUMENT", "message": "wrong"}}', "wrong"),
        (b'"Unauthorized"', "Unauthorized"),
        (b"<html>", "<html>"),
        (b"", ""),
        (b'{"error": null}', "{'error': None}"),
    ],
)
async def test_a_refusal(body: bytes, message: str) -> None:
    refused = answer(body, "400 Bad Request", Retry_After="3")
    async with answering(refused) as (url, _), wire_to(url) as wire:
        with pytest.raises(RefusedError) as raised:
            await wire.post("/query", b"{}")
    assert (raised.value.status, str(raised.value), raised.value.headers["retry-after"]) == (400, message, "3")


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        ([], errors.ConnectionError),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"], errors.OperationTimeoutError),
        ([b"nonsense\r\n\r\n"], errors.ConnectionError),
        ([answer(b"{")], errors.VectorStoreError),
    ],
)
async def test_what_goes_wrong_is_one_of_our_errors(answers: list[bytes], kind: type[Exception]) -> None:
    async with answering(*answers) as (url, _), wire_to(url, seconds=0.2) as wire:
        error = await failure(wire)
    assert type(map_error(error)) is kind


async def test_where_nobody_is() -> None:
    async with answering() as (url, _):
        pass
    async with wire_to(url) as wire:
        mapped = map_error(await failure(wire))
    assert isinstance(mapped, errors.ConnectionError)
    assert mapped.retryable


async def test_a_host_without_a_scheme_is_talked_to_safely() -> None:
    async with wire_to("docs-abc.svc.pinecone.io") as wire:
        assert wire._place == {"scheme": b"https", "host": b"docs-abc.svc.pinecone.io", "port": None}
