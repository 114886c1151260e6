from __future__ import annotations

import json
import threading
import traceback
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

from ia_modules.vector_stores import errors
from ia_modules.vector_stores.embedders import OpenAIEmbedder

KEY = "sk-very-secret-4711"


class Server(ThreadingHTTPServer):
    """Embeds a text as [its length, 1]; ``fail`` makes it answer with an error instead."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[dict[str, Any]] = []
        self.keys: set[str | None] = set()
        self.fail: tuple[int, dict[str, Any], dict[str, str]] | None = None
        self.answer: dict[str, Any] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.requests.append(body)
        self.server.keys.add(self.headers["authorization"])
        status, answer, headers = 200, self.server.answer, {}
        if self.server.fail is not None:
            status, answer, headers = self.server.fail
        elif answer is None:
            data = [
                {"object": "embedding", "index": index, "embedding": [float(len(text)), 1.0]}
                for index, text in enumerate(body["input"])
            ]
            answer = {"object": "list", "model": body["model"], "data": data[::-1], "usage": {}}
        payload = json.dumps(answer).encode()
        self.send_response(status)
        for name, value in {"content-type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


async def test_answers_are_put_in_the_order_asked(server: Server) -> None:
    embedder = OpenAIEmbedder("local", api_key=KEY, base_url=server.url)
    assert embedder.dimension is None
    vectors = await embedder.embed_documents(["a", "bbb", "cc"])
    np.testing.assert_array_equal(vectors, [[1, 1], [3, 1], [2, 1]])
    assert vectors.dtype == np.float32
    assert embedder.dimension == 2
    np.testing.assert_array_equal(await embedder.embed_query("four"), [4, 1])
    assert server.keys == {f"Bearer {KEY}"}
    assert (await embedder.embed_documents([])).shape == (0, 2)
    await embedder.aclose()
    await embedder.aclose()


async def test_batches_are_bounded_by_count_and_by_size(server: Server) -> None:
    embedder = OpenAIEmbedder("local", base_url=server.url, batch_size=3)
    texts = [f"{'x' * number}" for number in range(1, 9)]
    np.testing.assert_array_equal((await embedder.embed_documents(texts))[:, 0], range(1, 9))
    assert [len(request["input"]) for request in server.requests] == [3, 3, 2]
    server.requests.clear()
    large = ["ä" * 60_000, "b" * 130_000, "c" * 200_000, "d" * 300_000, "e"]
    np.testing.assert_array_equal((await embedder.embed_documents(large))[:, 0], [60e3, 130e3, 200e3, 300e3, 1])
    assert [len(request["input"]) for request in server.requests] == [2, 1, 1, 1]
    await embedder.aclose()


async def test_dimension_is_asked_for_and_checked(server: Server) -> None:
    embedder = OpenAIEmbedder(base_url=server.url, dimensions=2)
    await embedder.embed_query("x")
    assert server.requests[0]["dimensions"] == 2
    await embedder.aclose()
    unchecked = OpenAIEmbedder(base_url=server.url)
    with pytest.raises(errors.VectorStoreError, match="2 dimensions where 1536"):
        await unchecked.embed_query("x")
    assert "dimensions" not in server.requests[1]
    await unchecked.aclose()


async def test_unknown_dimension_is_found_by_one_call(server: Server) -> None:
    embedder = OpenAIEmbedder("local", base_url=server.url)
    assert await embedder.get_dimension() == 2
    assert await embedder.get_dimension() == 2
    assert len(server.requests) == 1
    await embedder.aclose()


@pytest.mark.parametrize(
    ("status", "headers", "expected", "retryable"),
    [
        (400, {}, errors.InvalidDocumentError, False),
        (401, {}, errors.AuthenticationError, False),
        (403, {}, errors.AuthenticationError, False),
        (404, {}, errors.VectorStoreError, False),
        (422, {}, errors.InvalidDocumentError, False),
        (429, {"retry-after": "7"}, errors.RateLimitError, True),
        (429, {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, errors.RateLimitError, True),
        (500, {}, errors.VectorStoreError, True),
        (503, {}, errors.VectorStoreError, True),
    ],
)
async def test_statuses_become_our_errors_without_the_key(
    server: Server, status: int, headers: dict[str, str], expected: type[errors.VectorStoreError], retryable: bool
) -> None:
    server.fail = (status, {"error": {"message": f"refused for {KEY}", "code": "some"}}, headers)
    embedder = OpenAIEmbedder("local", api_key=KEY, base_url=server.url, max_retries=0)
    with pytest.raises(errors.VectorStoreError, match="refused for") as caught:
        await embedder.embed_query("x")
    assert type(caught.value) is expected
    assert caught.value.retryable is retryable
    assert caught.value.provider == "openai"
    assert type(caught.value.__cause__).__module__.startswith("openai")
    if isinstance(caught.value, errors.RateLimitError):
        assert caught.value.retry_after == (7.0 if headers["retry-after"] == "7" else None)
    assert KEY not in "".join(traceback.format_exception(caught.value))
    assert KEY not in repr(embedder)
    await embedder.aclose()


async def test_spent_credit_is_not_worth_a_retry(server: Server) -> None:
    server.fail = (429, {"error": {"message": "no credit", "code": "insufficient_quota"}}, {})
    embedder = OpenAIEmbedder("local", base_url=server.url, max_retries=0)
    with pytest.raises(errors.RateLimitError) as caught:
        await embedder.embed_query("x")
    assert not caught.value.retryable
    await embedder.aclose()


@pytest.mark.parametrize(
    "answer",
    [
        {"object": "list", "data": []},
        {"object": "list", "data": [{"index": 1, "embedding": [1.0]}]},
        {"object": "list", "data": [{"index": 0, "embedding": [1.0]}, {"index": 0, "embedding": [1.0]}]},
        {"object": "list", "data": [{"index": 0, "embedding": []}]},
        {"object": "list", "data": [{"index": 0, "embedding": ["a"]}]},
        {"hello": "world"},
    ],
)
async def test_nonsense_answers_are_our_errors(server: Server, answer: dict[str, Any]) -> None:
    server.answer = answer
    embedder = OpenAIEmbedder("local", base_url=server.url, max_retries=0)
    with pytest.raises(errors.VectorStoreError):
        await embedder.embed_query("x")
    await embedder.aclose()


async def test_nobody_listening(server: Server) -> None:
    embedder = OpenAIEmbedder("local", base_url="http://127.0.0.1:9/v1", max_retries=0)
    with pytest.raises(errors.ConnectionError, match="could not reach"):
        await embedder.embed_query("x")
    await embedder.aclose()


async def test_an_answer_that_never_comes(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    monkeypatch.setattr(Handler, "do_POST", lambda _: released.wait(10) and None)
    embedder = OpenAIEmbedder("local", base_url=server.url, max_retries=0, timeout=0.2)
    with pytest.raises(errors.OperationTimeoutError, match=r"0\.2 s"):
        await embedder.embed_query("x")
    released.set()
    await embedder.aclose()


async def test_no_key_says_so(server: Server) -> None:
    with pytest.raises(errors.AuthenticationError, match="OPENAI_API_KEY"):
        await OpenAIEmbedder().embed_query("x")
    assert server.requests == []


@pytest.mark.parametrize("texts", [[""], ["fine", " "]])
async def test_blank_text_never_reaches_the_server(server: Server, texts: list[str]) -> None:
    with pytest.raises(ValueError, match="blank"):
        await OpenAIEmbedder(base_url=server.url).embed_documents(texts)
    assert server.requests == []


@pytest.mark.parametrize(
    "arguments",
    [{"batch_size": 2049}, {"batch_size": 0}, {"dimensions": 0}, {"timeout": 0}, {"max_retries": -1}],
)
def test_refuses_wrong_arguments(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(arguments))):
        OpenAIEmbedder(**arguments)


async def test_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "openai", None)
    with pytest.raises(errors.MissingDependencyError, match=r"ia-modules-vector-stores\[openai\]"):
        await OpenAIEmbedder(api_key=KEY).embed_query("x")
