"""The emulator against Pinecone's own OpenAPI description: Prism stands between, and checks requests and answers.

What is needed: npm (it gets Prism, once, into ``.cache``) and the folder of the descriptions, which is no part of this
repository: ``PINECONE_OPENAPI`` names it, else it is looked for beside the repository, in ``shared/pinecone-openapi``.
Without one of them the tests are skipped.

Prism refuses with 422 what is no valid request, and with 500 what is no valid answer; the body says what is wrong.
The description has its gaps: it says nothing about lengths of lists (``minLength`` instead of ``minItems``).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from conftest import free_port
from emulator_wire import Wire
from ia_modules.vector_stores.emulator.pinecone import PineconeEmulator, serving

pinecone = pytest.importorskip("pinecone")

ROOT = Path(__file__).resolve().parents[2]
VERSION = "5.16.0"
CACHE = ROOT / ".cache" / f"prism-{VERSION}"
FOLDER = Path(os.environ.get("PINECONE_OPENAPI", ROOT.parent / "shared" / "pinecone-openapi"))
HEADERS = {"api-key": "any", "x-pinecone-api-version": "2026-04"}
DATA, CONTROL = FOLDER / "db_data_2026-04.oas.yaml", FOLDER / "db_control_2026-04.oas.yaml"

pytestmark = pytest.mark.timeout(300)  # npm takes its time, once


@pytest.fixture(scope="module")
def prism() -> list[str]:
    """The command; the test is skipped where it can't be had."""
    if not FOLDER.is_dir():
        pytest.skip(f"no OpenAPI descriptions in {FOLDER}; PINECONE_OPENAPI names another folder")
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("node and npm are not installed; Prism needs them")
    program = CACHE / "node_modules" / "@stoplight" / "prism-cli" / "dist" / "index.js"
    if not program.exists():
        unfinished = CACHE.with_suffix(".unfinished")
        unfinished.mkdir(parents=True, exist_ok=True)
        options = ["--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=1", "--prefix", str(unfinished)]
        command = [npm, "install", *options, f"@stoplight/prism-cli@{VERSION}"]
        try:
            subprocess.run(command, capture_output=True, text=True, timeout=240, check=True)
        except subprocess.SubprocessError as error:
            pytest.skip(f"Prism can't be installed: {str(getattr(error, 'stderr', None) or error)[-300:]}")
        unfinished.rename(CACHE)
    tried = subprocess.run([node, str(program), "--version"], capture_output=True, text=True, timeout=60, check=False)
    if tried.returncode:
        pytest.skip(f"this node can't run Prism: {tried.stderr[-300:]}")
    return [node, str(program)]


@contextmanager
def checking(prism: list[str], description: Path, upstream: str, log: Path, *, strictly: bool = True) -> Iterator[str]:
    """Prism in front of a server; its URL. Not strictly: it lets everything pass and says in a header what is wrong."""
    port = free_port()
    command = [*prism, "proxy", "--host", "127.0.0.1", "--port", str(port), str(description), upstream]
    if strictly:
        command.append("--errors")
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT) as process:
        try:
            end = time.monotonic() + 60
            while "Prism is listening" not in log.read_text():
                if process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"Prism did not start:\n{log.read_text()}")
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def emulator() -> Iterator[PineconeEmulator]:
    with serving() as made:
        yield made


@pytest.fixture(scope="module")
def checked(prism: list[str], emulator: PineconeEmulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where Prism checks the Vectors API of the index ``docs``."""
    log = tmp_path_factory.mktemp("prism") / "data.log"
    with checking(prism, DATA, f"{emulator.url}/i/docs", log) as url:
        yield url


@pytest.fixture
def wire(emulator: PineconeEmulator, checked: str) -> Iterator[Wire]:
    """The index, without Prism."""
    emulator.reset()
    with Wire(emulator) as made:
        yield made.create(3, "dotproduct", sparse=True)


@pytest.fixture
def index(wire: Wire, checked: str) -> Iterator[Any]:
    """The SDK's index, behind Prism. What Prism finds raises, an answer's defect after some tries."""
    with pinecone.Index(host=checked, api_key="any") as made:
        yield made


@pytest.fixture
def http(wire: Wire, checked: str) -> Iterator[httpx.Client]:
    """Plain requests through Prism."""
    with httpx.Client(base_url=checked, headers=HEADERS, timeout=20, trust_env=False) as client:
        yield client


def test_vectors(index: Any) -> None:
    sparse = {"indices": [3, 4_294_967_295], "values": [0.5, 1.0]}
    answer = index.upsert(
        vectors=[
            {"id": "a", "values": [1, 0, 0], "metadata": {"x": 1, "s": "t", "b": True, "l": ["p", "q"]}},
            {"id": "b", "values": [0, 1, 0.1], "sparse_values": sparse, "metadata": {"x": 2}},
            ("c", [0, 0, 1]),
        ]
    )
    assert answer.upserted_count == 3
    assert index.upsert(vectors=[("a", [1, 2, 3])], namespace="other").upserted_count == 1

    matches = index.query(vector=[1, 0, 0], top_k=3, include_values=True, include_metadata=True).matches
    assert [one.id for one in matches] == ["a", "b", "c"]
    assert matches[1].sparse_values.indices == sparse["indices"]
    assert [one.id for one in index.query(id="c", top_k=1, filter={"x": {"$exists": False}}).matches] == ["c"]
    hybrid = index.query(vector=[0, 0, 1], sparse_vector=sparse, top_k=10_000, namespace="").matches
    assert [one.id for one in hybrid] == ["b", "c", "a"]
    assert index.query(vector=[1, 0, 0], top_k=1, namespace="nowhere").matches == []

    assert sorted(index.fetch(ids=["a", "b", "nowhere"]).vectors) == ["a", "b"]
    assert index.fetch(ids=["nowhere"]).vectors == {}
    assert list(index.fetch_by_metadata(filter={"x": {"$in": [1, 2]}}, limit=1).vectors) == ["a"]

    index.update(id="a", values=[0, 0, 2], set_metadata={"x": 5})
    index.update(id="b", sparse_values={"indices": [1], "values": [1.0]})
    assert index.update(filter={"x": 5}, set_metadata={"y": 1}, dry_run=True).matched_records == 1
    assert index.update(filter={"x": 5}, set_metadata={"y": 1}).matched_records == 1

    stats = index.describe_index_stats()
    assert (stats.total_vector_count, stats.namespaces["other"].vector_count) == (4, 1)
    index.delete(ids=["a"])
    index.delete(filter={"x": 2})
    index.delete(delete_all=True, namespace="other")
    assert index.describe_index_stats().total_vector_count == 1


def test_pages(index: Any) -> None:
    index.upsert(vectors=[(f"r{number:03}", [1, 0, 0], {"x": 1}) for number in range(130)])
    assert [len(page.vectors) for page in index.list()] == [100, 30]
    page = index.list_paginated(prefix="r00", limit=4)
    assert len(page.vectors) == 4
    assert len(index.list_paginated(prefix="r00", pagination_token=page.pagination.next).vectors) == 6
    first = index.fetch_by_metadata(filter={"x": 1})
    assert len(first.vectors) == 100
    assert len(index.fetch_by_metadata(filter={"x": 1}, pagination_token=first.pagination.next).vectors) == 30


NUMBERS_THAT_ARE_STRINGS = {"/record_count"}
"""The description has integers there. The SDK says that the service answers with strings, as gRPC does in JSON."""


def test_namespaces(prism: list[str], emulator: PineconeEmulator, wire: Wire, tmp_path: Path) -> None:
    upstream, log = f"{emulator.url}/i/docs", tmp_path / "log"
    with checking(prism, DATA, upstream, log, strictly=False) as url:
        with pinecone.Index(host=url, api_key="any") as index:
            made = index.create_namespace(name="films", schema={"fields": {"genre": {"filterable": True}}})
            assert (made.name, made.indexed_fields.fields) == ("films", ["genre"])
            index.create_namespace(name="plain")
            index.upsert(vectors=[("a", [1, 0, 0])], namespace="films")
            assert index.describe_namespace(name="films").record_count == 1
            page = index.list_namespaces_paginated(limit=1)
            assert [one.name for one in page.namespaces] == ["films"]
            page = index.list_namespaces_paginated(pagination_token=page.pagination.next)
            assert [one.name for one in page.namespaces] == ["plain"]
            index.delete_namespace(name="plain")
            assert [one.name for page in index.list_namespaces(prefix="p") for one in page.namespaces] == []
        requests: list[tuple[str, str, Any, bool]] = [
            ("POST", "/namespaces", {"name": "x", "schema": {"fields": {"genre": {"filterable": True}}}}, True),
            ("GET", "/namespaces/films", None, True),
            ("GET", "/namespaces?limit=10&prefix=f", None, True),
            ("DELETE", "/namespaces/films", None, False),
            ("GET", "/namespaces?limit=10&prefix=f", None, False),
        ]
        for method, path, body, counts in requests:
            answer = httpx.request(method, url + path, json=body, headers=HEADERS, trust_env=False)
            assert answer.status_code == 200, answer.text
            found = json.loads(answer.headers.get("sl-violations", "[]"))
            kinds = {"/" + str(one["location"][-1]): one["message"] for one in found}
            assert set(kinds) == (NUMBERS_THAT_ARE_STRINGS if counts else set()), found
            assert all("integer" in message for message in kinds.values())


INVALID: list[tuple[str, Any]] = [
    ("/query", {"vector": [1, 0, 0]}),
    ("/query", {"topK": 0, "vector": [1, 0, 0]}),
    ("/query", {"topK": 10_001, "vector": [1, 0, 0]}),
    ("/query", {"topK": "3", "vector": [1, 0, 0]}),
    ("/query", {"topK": 3, "vector": "abc"}),
    ("/query", {"topK": 3, "vector": [1, 0, "x"]}),
    ("/query", {"topK": 3, "id": "a" * 513}),
    ("/query", {"topK": 3, "vector": [1, 0, 0], "filter": []}),
    ("/query", {"topK": 3, "vector": [1, 0, 0], "includeValues": "yes"}),
    ("/query", {"topK": 3, "vector": [1, 0, 0], "namespace": 7}),
    ("/query", {"topK": 3, "sparseVector": {"indices": [1]}}),
    ("/query", {"topK": 3, "vector": [1, 0, 0], "scanFactor": 5}),
    ("/vectors/upsert", {}),
    ("/vectors/upsert", {"vectors": {}}),
    ("/vectors/upsert", {"vectors": [{"values": [1, 0, 0]}]}),
    ("/vectors/upsert", {"vectors": [{"id": "", "values": [1, 0, 0]}]}),
    ("/vectors/upsert", {"vectors": [{"id": "a" * 513, "values": [1, 0, 0]}]}),
    ("/vectors/upsert", {"vectors": [{"id": 1, "values": [1, 0, 0]}]}),
    ("/vectors/upsert", {"vectors": [{"id": "a", "values": 1}]}),
    ("/vectors/upsert", {"vectors": [{"id": "a", "values": [1, 0, 0], "metadata": []}]}),
    ("/vectors/upsert", {"vectors": [{"id": "a", "values": [1, 0, 0], "sparseValues": {"values": [1]}}]}),
    ("/vectors/update", {"id": "a" * 513, "setMetadata": {"x": 1}}),
    ("/vectors/update", {"id": "a", "setMetadata": []}),
    ("/vectors/update", {"filter": {"x": 1}, "setMetadata": {"x": 1}, "dryRun": "yes"}),
    ("/vectors/delete", {"ids": "a"}),
    ("/vectors/delete", {"deleteAll": 1}),
    ("/vectors/delete", {"filter": []}),
    ("/vectors/fetch_by_metadata", {"filter": {"x": 1}, "limit": "10"}),
    ("/vectors/fetch_by_metadata", {"filter": "x"}),
    ("/describe_index_stats", {"filter": 1}),
    ("/namespaces", {"schema": {"fields": {}}}),
    ("/namespaces", {"name": "x", "schema": {}}),
    ("/namespaces", {"name": "x", "schema": {"fields": {"a": {"filterable": "yes"}}}}),
]


@pytest.mark.parametrize(("path", "body"), INVALID, ids=[f"{n}{path}" for n, (path, _) in enumerate(INVALID)])
def test_what_the_description_forbids_is_refused(http: httpx.Client, wire: Wire, path: str, body: Any) -> None:
    answer = http.post(path, json=body)
    assert answer.status_code == 422, f"the description allows it: {answer.text}"
    assert wire.refused(path, body)


REFUSED: dict[str, tuple[str, str, Any, int]] = {
    "dimension": ("POST", "/vectors/upsert", {"vectors": [{"id": "a", "values": [1]}]}, 400),
    "dimension of a query": ("POST", "/query", {"topK": 1, "vector": [1]}, 400),
    "operator": ("POST", "/query", {"topK": 1, "vector": [1, 0, 0], "filter": {"a": {"$like": 1}}}, 400),
    "empty filter": ("POST", "/vectors/delete", {"filter": {}}, 400),
    "nested metadata": ("POST", "/vectors/update", {"id": "a", "setMetadata": {"a": {"b": 1}}}, 400),
    "filter of stats": ("POST", "/describe_index_stats", {"filter": {"a": 1}}, 400),
    "token": ("POST", "/vectors/fetch_by_metadata", {"filter": {"a": 1}, "paginationToken": "?"}, 400),
    "limit": ("GET", "/vectors/list?limit=101", None, 400),
    "no such namespace": ("GET", "/namespaces/nowhere", None, 404),
    "delete there": ("DELETE", "/namespaces/nowhere", None, 404),
    "delete vectors there": ("POST", "/vectors/delete", {"ids": ["a"], "namespace": "nowhere"}, 404),
    "reserved": ("POST", "/namespaces", {"name": "__default__"}, 400),
    "too many": (
        "POST",
        "/vectors/upsert",
        {"vectors": [{"id": f"{n}", "values": [1, 0, 0]} for n in range(1001)]},
        400,
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refusals_have_the_form_that_is_described(http: httpx.Client, what: str) -> None:
    method, path, body, status = REFUSED[what]
    answer = http.request(method, path, json=body)
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"code", "message", "details"}


def test_other_failures_have_it_too(http: httpx.Client, wire: Wire) -> None:
    wire.ask("POST", "/namespaces", {"name": "twice"})
    assert http.post("/namespaces", json={"name": "twice"}).status_code == 409
    for status in (429, 503):
        wire.emulator.fail(status, on="POST /query")
        answer = http.post("/query", json={"topK": 1, "vector": [1, 0, 0]})
        assert answer.status_code == status, answer.text
    wire.emulator.rate_limit = 1
    statuses = {http.post("/query", json={"topK": 1, "vector": [1, 0, 0]}).status_code for _ in range(3)}
    assert statuses == {200, 429}
    large = {"id": "a", "values": [1, 0, 0], "metadata": {"k": "x" * 2_200_000}}
    assert http.post("/vectors/upsert", json={"vectors": [large]}).status_code == 413


def test_prism_would_notice(prism: list[str], tmp_path: Path) -> None:
    """A server that answers anything with a list: every test here relies on this being refused."""
    import http.server
    import threading

    class Wrong(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", "15")
            self.end_headers()
            self.wfile.write(b'{"matches": {}}')

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Wrong) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with checking(prism, DATA, f"http://127.0.0.1:{server.server_port}", tmp_path / "log") as url:
            answer = httpx.post(f"{url}/query", json={"topK": 1, "vector": [1]}, headers=HEADERS, trust_env=False)
        server.shutdown()
    assert answer.status_code == 500
    assert "matches" in answer.text


# -- the control plane, with the bodies of API version 2026-04


@pytest.fixture
def control(prism: list[str], emulator: PineconeEmulator, tmp_path: Path) -> Iterator[httpx.Client]:
    emulator.reset()
    with (
        checking(prism, CONTROL, emulator.url, tmp_path / "log") as url,
        httpx.Client(base_url=url, headers=HEADERS, timeout=20, trust_env=False) as client,
    ):
        yield client


def test_indexes(control: httpx.Client) -> None:
    serverless = {"serverless": {"cloud": "aws", "region": "us-east-1"}}
    bodies: list[dict[str, Any]] = [
        {"name": "dense", "dimension": 3, "metric": "cosine", "spec": serverless, "tags": {"a": "b"}},
        {"name": "sparse", "vector_type": "sparse", "metric": "dotproduct", "spec": serverless},
        {
            "name": "pods",
            "dimension": 3,
            "metric": "euclidean",
            "spec": {
                "pod": {"environment": "us-east1-gcp", "pod_type": "p1.x1", "pods": 1, "replicas": 1, "shards": 1}
            },
        },
    ]
    for body in bodies:
        answer = control.post("/indexes", json=body)
        assert answer.status_code == 201, answer.text
        answer = control.get(f"/indexes/{body['name']}")
        assert answer.status_code == 200, answer.text
    answer = control.get("/indexes")
    assert answer.status_code == 200, answer.text
    assert {one["name"] for one in answer.json()["indexes"]} == {"dense", "sparse", "pods"}
    answer = control.patch("/indexes/dense", json={"deletion_protection": "enabled", "tags": {"c": "d"}})
    assert answer.status_code in (200, 202), answer.text
    answer = control.delete("/indexes/dense")
    assert answer.status_code == 403, answer.text
    answer = control.patch("/indexes/dense", json={"deletion_protection": "disabled"})
    assert answer.status_code in (200, 202), answer.text
    answer = control.delete("/indexes/dense")
    assert answer.status_code == 202, answer.text
    answer = control.get("/indexes/dense")
    assert answer.status_code == 404, answer.text
    answer = control.post("/indexes", json=bodies[1])
    assert answer.status_code == 409, answer.text
    answer = control.post("/indexes", json=bodies[0] | {"metric": "hamming"})
    assert answer.status_code in (400, 422), answer.text
