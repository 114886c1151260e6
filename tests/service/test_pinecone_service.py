"""What the emulator assumes of Pinecone's service: one test for each assumption, its docstring says which.

The tests always run on the emulator, and on the service when that is asked for, with a key in PINECONE_API_KEY:

    PINECONE_VERIFY=1 pytest tests/service

With ``-p pinecone_verifying``, the option ``--verify-against-service`` says the same, see the file of that name.
They make up to five serverless indexes named ``verify-...`` and delete them in the end. Reads are repeated until they
show what was written. What holds and what doesn't is written to ``.cache/pinecone-verification.md``, or to the file
that PINECONE_VERIFICATION names.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from emulator_wire import VERSION, Wire, schema
from ia_modules.vector_stores.emulator.pinecone import serving

pytestmark = pytest.mark.timeout(900)

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "emulator-pinecone.md"
ASKED = os.environ.get("PINECONE_VERIFY", "") not in ("", "0")
WHERE = ["emulator", "service"] if ASKED else ["emulator"]

DENSE = schema()["fields"]["_values"]
KINDS: dict[str, dict[str, Any]] = {
    "cosine": schema(3, "cosine", sparse=True),
    "dense": schema(3, "euclidean"),
    "hybrid": schema(3, "dotproduct", sparse=True),
    "sparse": schema(None, sparse=True),
    "documents": {"fields": {"embedding": DENSE, "words": {"type": "sparse_vector"}}},
}


class Index(Wire):
    """An index, on the emulator or on the service."""

    def __init__(self, url: str, key: str, patience: float) -> None:
        self.patience = patience
        headers = {"api-key": key, **VERSION}
        self.http = httpx.Client(base_url=url, headers=headers, timeout=60, verify=url.startswith("https"))
        self.space = ""

    def send(self, method: str, path: str, json: Any = None, **parameters: Any) -> httpx.Response:
        """A request; if there were too many, it is sent again."""
        end = time.monotonic() + self.patience
        while True:
            answer = self.http.request(method, path, json=json, params=parameters or None)
            if answer.status_code != 429 or time.monotonic() >= end:
                return answer
            time.sleep(float(answer.headers.get("retry-after", 1)))

    def post(self, path: str, **body: Any) -> Any:
        """The content of an answer to a request in this test's namespace."""
        return self.ask("POST", path, {"namespace": self.space} | body)

    def until(self, true: Callable[[], Any]) -> None:
        """Wait until writes can be seen. What still can't be is left to the test."""
        end = time.monotonic() + self.patience
        while not true() and time.monotonic() < end:
            time.sleep(1)

    def put(self, *vectors: dict[str, Any], namespace: str | None = None) -> httpx.Response:
        """Store vectors, and wait until they can be fetched and found."""
        space = self.space if namespace is None else namespace
        answer = self.upsert(*vectors, namespace=space)
        names = {one["id"] for one in vectors}
        some = sorted(names)[:100]
        self.until(lambda: self.fetched(*some, namespace=space).keys() == set(some))
        for name in {some[0], some[-1]}:
            self.until(lambda name=name: self.near(name, space))
        self.until(lambda: self.count(space) >= len(names))
        return answer

    def near(self, name: str, namespace: str) -> list[str]:
        """What a query by id finds."""
        found = self.ask("POST", "/query", {"topK": 10, "id": name, "namespace": namespace})
        return [one["id"] for one in found["matches"]]

    def count(self, namespace: str) -> int:
        """How many records there are, as the namespace describes itself."""
        answer = self.send("GET", f"/namespaces/{namespace}")
        return int(answer.json()["record_count"]) if answer.status_code == 200 else 0

    def found(self, filter: Any, vector: Any = (1.0, 0.0, 0.0), top_k: int = 1000) -> list[str]:
        """The ids that a filter leaves, sorted."""
        return sorted(self.ids(filter, self.space, vector, top_k))

    def no(self, path: str, body: dict[str, Any], status: int = 400, code: int = 3) -> str:
        """The message of a refusal, of a request in this test's namespace."""
        return self.refused(path, {"namespace": self.space} | body, status, code)


class Pinecone:
    """The emulator or the service, with an index of each kind, made when it is first asked for."""

    def __init__(self, name: str, url: str, key: str, patience: float) -> None:
        self.name, self.key, self.patience = name, key, patience
        headers = {"api-key": key, **VERSION}
        self.control = httpx.Client(base_url=url, headers=headers, timeout=60, verify=url.startswith("https"))
        self.suffix = secrets.token_hex(3)
        self.made: dict[str, Index] = {}

    def index_name(self, kind: str) -> str:
        """The name of the index of a kind."""
        return f"verify-{kind}-{self.suffix}"

    def index(self, kind: str) -> Index:
        """The index of a kind, and in it a namespace of the test's own."""
        if kind not in self.made:
            body = {"name": self.index_name(kind), "schema": KINDS[kind]}
            answer = self.control.post("/indexes", json=body)
            assert answer.status_code == 201, answer.text
            self.made[kind] = made = Index("http://nowhere.invalid", self.key, self.patience)
            made.until(lambda: self.described(kind)["status"]["ready"])
            host = self.described(kind)["host"]
            made.http.base_url = httpx.URL(host if "://" in host else f"https://{host}")
        index = self.made[kind]
        index.space = f"n-{secrets.token_hex(6)}"
        return index

    def described(self, kind: str) -> Any:
        """The description of an index."""
        return self.control.get(f"/indexes/{self.index_name(kind)}").json()

    def close(self) -> None:
        """Delete what was made."""
        for kind, index in self.made.items():
            index.http.close()
            self.control.delete(f"/indexes/{self.index_name(kind)}")
        self.control.close()


class Findings:
    """A pytest plugin that writes down which assumptions hold."""

    def __init__(self) -> None:
        self.lines: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if "service" in report.nodeid.partition("[")[2] and (report.when == "call" or not report.passed):
            name = report.nodeid.rpartition("::")[2]
            why = "" if report.passed else str(report.longrepr).strip().splitlines()[-1][:300]
            self.lines[name] = f"| {'holds' if report.passed else report.outcome} | `{name}` | {why} |"

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        path = Path(os.environ.get("PINECONE_VERIFICATION", ROOT / ".cache" / "pinecone-verification.md"))
        path.parent.mkdir(parents=True, exist_ok=True)
        head = ["| outcome | test | what the service did |", "| --- | --- | --- |"]
        path.write_text("\n".join([*head, *self.lines.values()]) + "\n")
        held = sum(line.startswith("| holds") for line in self.lines.values())
        terminalreporter.write_line(f"{held} of {len(self.lines)} assumptions hold, see {path}")


@pytest.fixture(scope="module", params=WHERE)
def pinecone(request: pytest.FixtureRequest) -> Iterator[Pinecone]:
    if request.param == "emulator":
        with serving() as emulator, contextlib.closing(Pinecone("emulator", emulator.url, "any", 0)) as made:
            yield made
        return
    key = os.environ.get("PINECONE_API_KEY")
    if not key:
        pytest.fail("PINECONE_VERIFY asks for the service, which needs a key: PINECONE_API_KEY is not set")
    if not request.config.pluginmanager.has_plugin("pinecone-findings"):
        request.config.pluginmanager.register(Findings(), "pinecone-findings")
    url = os.environ.get("PINECONE_CONTROLLER_HOST", "https://api.pinecone.io")
    with contextlib.closing(Pinecone("service", url, key, 120)) as made:
        yield made


@pytest.fixture
def cosine(pinecone: Pinecone) -> Index:
    return pinecone.index("cosine")


@pytest.fixture
def dense(pinecone: Pinecone) -> Index:
    return pinecone.index("dense")


@pytest.fixture
def hybrid(pinecone: Pinecone) -> Index:
    return pinecone.index("hybrid")


@pytest.fixture
def sparse(pinecone: Pinecone) -> Index:
    return pinecone.index("sparse")


def lsns(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if "lsn" in name}


# -- namespaces

UNKNOWN = "never-written-to"


def test_a_query_in_an_unknown_namespace_is_empty(cosine: Index) -> None:
    """A query in a namespace that is not there finds nothing; it is no error."""
    assert cosine.ids(namespace=UNKNOWN) == []


def test_a_fetch_in_an_unknown_namespace_is_empty(cosine: Index) -> None:
    """So does a fetch."""
    assert cosine.fetched("a", namespace=UNKNOWN) == {}


def test_a_list_in_an_unknown_namespace_is_empty(cosine: Index) -> None:
    """So does a list of ids."""
    assert cosine.listed(UNKNOWN) == []


def test_a_fetch_by_metadata_in_an_unknown_namespace_is_empty(cosine: Index) -> None:
    """So does a fetch by metadata."""
    body = {"filter": {"a": 1}, "namespace": UNKNOWN}
    assert cosine.ask("POST", "/vectors/fetch_by_metadata", body)["vectors"] == {}


def test_an_update_in_an_unknown_namespace_does_nothing(cosine: Index) -> None:
    """An update by id in a namespace that is not there succeeds and creates nothing."""
    body = {"id": "a", "setMetadata": {"x": 1}, "namespace": UNKNOWN}
    assert cosine.ask("POST", "/vectors/update", body).get("matchedRecords", 0) == 0
    assert cosine.send("GET", f"/namespaces/{UNKNOWN}").status_code == 404


def test_an_update_by_filter_in_an_unknown_namespace_matches_nothing(cosine: Index) -> None:
    """An update by filter there counts 0 records."""
    body = {"filter": {"a": 1}, "setMetadata": {"x": 1}, "namespace": UNKNOWN}
    assert cosine.ask("POST", "/vectors/update", body) == {"matchedRecords": 0}


@pytest.mark.parametrize(
    "selector", [{"ids": ["a"]}, {"deleteAll": True}, {"filter": {"a": 1}}], ids=lambda one: next(iter(one))
)
def test_a_delete_in_an_unknown_namespace_is_refused(cosine: Index, selector: dict[str, Any]) -> None:
    """A delete in a namespace that is not there answers 404, "Namespace not found"."""
    assert cosine.refused("/vectors/delete", selector | {"namespace": UNKNOWN}, 404, 5) == "Namespace not found"


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_unknown_namespace_by_itself(cosine: Index, method: str) -> None:
    """Describing or deleting a namespace that is not there answers 404, "Namespace not found"."""
    assert cosine.refused(f"/namespaces/{UNKNOWN}", None, 404, 5, method) == "Namespace not found"


def test_the_default_namespace_is_always_there(cosine: Index) -> None:
    """Before the first write, the default namespace can be deleted from and described, but is not listed or counted."""
    assert cosine.ask("POST", "/vectors/delete", {"ids": ["a"]}) == {}
    assert cosine.ask("GET", "/namespaces/__default__")["record_count"] == "0"
    assert "__default__" not in cosine.counts()
    assert "__default__" not in [one["name"] for one in cosine.ask("GET", "/namespaces")["namespaces"]]


def test_names_of_the_default_namespace(dense: Index) -> None:
    """No namespace, an empty one and ``__default__`` are the same; answers call it "" and counts ``__default__``."""
    dense.put({"id": "a"}, namespace="__default__")
    for given in ({}, {"namespace": ""}, {"namespace": "__default__"}):
        answer = dense.ask("POST", "/query", {"topK": 1, "vector": [1, 0, 0]} | given)
        assert [one["id"] for one in answer["matches"]] == ["a"]
        assert answer["namespace"] == ""
    dense.until(lambda: dense.counts().get("__default__") == 1)
    assert dense.counts()["__default__"] == 1


def test_a_namespace_stays_when_it_is_emptied(cosine: Index) -> None:
    """``deleteAll`` empties a namespace and keeps it."""
    cosine.put({"id": "a"})
    cosine.post("/vectors/delete", deleteAll=True)
    cosine.until(lambda: cosine.listed(cosine.space) == [])
    assert cosine.listed(cosine.space) == []
    assert cosine.ask("GET", f"/namespaces/{cosine.space}")["record_count"] == "0"


def test_a_namespace_can_come_back(cosine: Index) -> None:
    """A namespace that was deleted is made anew by an upsert, empty."""
    cosine.put({"id": "a"})
    cosine.ask("DELETE", f"/namespaces/{cosine.space}")
    cosine.until(lambda: cosine.send("GET", f"/namespaces/{cosine.space}").status_code == 404)
    assert cosine.send("GET", f"/namespaces/{cosine.space}").status_code == 404
    cosine.put({"id": "b"})
    assert cosine.listed(cosine.space) == ["b"]


def test_what_a_namespace_says_of_itself(cosine: Index) -> None:
    """``record_count`` and ``size_bytes`` are strings; fields of a schema come back as ``indexed_fields``."""
    made = cosine.ask("POST", "/namespaces", {"name": cosine.space, "schema": {"fields": {"x": {"filterable": True}}}})
    assert (made["name"], made["record_count"], made["size_bytes"]) == (cosine.space, "0", "0")
    assert made["indexed_fields"] == {"fields": ["x"]}
    assert cosine.refused("/namespaces", {"name": cosine.space}, 409, 6) == f"Namespace {cosine.space} already exists"


def test_a_schema_of_metadata_changes_no_filter(cosine: Index) -> None:
    """A namespace with a schema can be filtered by other fields too."""
    cosine.ask("POST", "/namespaces", {"name": cosine.space, "schema": {"fields": {"x": {"filterable": True}}}})
    cosine.put({"id": "a", "metadata": {"x": 1, "y": 1}}, {"id": "b", "metadata": {"x": 1, "y": 2}})
    assert cosine.found({"y": 1}) == ["a"]


def test_namespaces_are_listed_by_bytes(cosine: Index) -> None:
    """Namespaces are listed in the order of bytes; ``total_count`` counts those with the prefix."""
    space = cosine.space
    names = [f"{space}{end}" for end in ("b", "B", "a", "-")]
    for name in names:
        cosine.put({"id": "a"}, namespace=name)
    page = cosine.ask("GET", "/namespaces", prefix=space, limit=3)
    assert [one["name"] for one in page["namespaces"]] == sorted(names)[:3]
    assert page["total_count"] == 4
    page = cosine.ask("GET", "/namespaces", prefix=space, paginationToken=page["pagination"]["next"])
    assert [one["name"] for one in page["namespaces"]] == sorted(names)[3:]
    assert "pagination" not in page


# -- filters

RECORDS: dict[str, dict[str, Any]] = {
    "one": {"x": 1, "s": "text", "b": True, "l": ["p", "q"]},
    "two": {"x": 2, "s": "1", "b": False, "l": ["q", "r"]},
    "text": {"x": "1"},
    "true": {"x": True},
    "list": {"x": ["1", "2"]},
    "none": {"x": None, "y": 1},
    "bare": {},
}

FILTERS: dict[str, tuple[Any, list[str]]] = {
    "ne holds without the field": ({"x": {"$ne": 1}}, ["bare", "list", "none", "text", "true", "two"]),
    "nin holds without the field": ({"x": {"$nin": [1, 2]}}, ["bare", "list", "none", "text", "true"]),
    "ne fails as soon as an element matches": ({"l": {"$ne": "p"}}, ["bare", "list", "none", "text", "true", "two"]),
    "nin fails as soon as an element matches": (
        {"l": {"$nin": ["p", "z"]}},
        ["bare", "list", "none", "text", "true", "two"],
    ),
    "eq matches an element of a list": ({"l": "q"}, ["one", "two"]),
    "in matches an element of a list": ({"l": {"$in": ["p", "z"]}}, ["one"]),
    "a number is not its text or true": ({"x": 1}, ["one"]),
    "a text is not a number": ({"x": "1"}, ["list", "text"]),
    "true is not 1": ({"x": True}, ["true"]),
    "false is not missing": ({"b": False}, ["two"]),
    "in takes texts and numbers together": ({"x": {"$in": [2, "1"]}}, ["list", "text", "two"]),
    "comparisons match numbers only": ({"x": {"$gte": 0}}, ["one", "two"]),
    "two operators of a field both hold": ({"x": {"$gt": 1, "$lt": 3}}, ["two"]),
    "two fields both hold": ({"x": 1, "s": "text"}, ["one"]),
    "exists false holds for null": ({"x": {"$exists": False}}, ["bare", "none"]),
    "exists true": ({"x": {"$exists": True}}, ["list", "one", "text", "true", "two"]),
    "a field that nobody has": ({"z": {"$ne": 1}}, sorted(RECORDS)),
    "an empty filter matches all": ({}, sorted(RECORDS)),
    "and within or": ({"$or": [{"$and": [{"x": 1}, {"b": True}]}, {"s": "1"}]}, ["one", "two"]),
    "fields beside or": ({"b": True, "$or": [{"x": 1}, {"x": 2}]}, ["one"]),
    "one part of and": ({"$and": [{"x": 2}]}, ["two"]),
}


@pytest.fixture(scope="module")
def filtered(pinecone: Pinecone) -> tuple[Index, str]:
    """A namespace with records to filter, for several tests."""
    index = pinecone.index("dense")
    index.put(*({"id": name, "metadata": one} for name, one in RECORDS.items()))
    return index, index.space


@pytest.mark.parametrize("what", FILTERS)
def test_filters(filtered: tuple[Index, str], what: str) -> None:
    """What filters match: ``$ne`` and ``$nin`` hold without the field, no kind of value equals another, and so on."""
    index, index.space = filtered
    condition, ids = FILTERS[what]
    assert index.found(condition) == ids


@pytest.mark.parametrize(
    "key", ["a.b", "a b", "é", "a-b", "a'b", 'a"b', "a/b", "a[0]", "A", "_x", "~l", "x" * 200, "\u0001"]
)
def test_odd_keys(dense: Index, key: str) -> None:
    """A key with dots or other odd characters is a name like any other, for filters too."""
    dense.put({"id": "a", "metadata": {key: 1, "other": 1}}, {"id": "b", "metadata": {key: 2}})
    assert dense.found({key: 1}) == ["a"]
    assert dense.found({key: {"$exists": True}}) == ["a", "b"]
    assert dense.fetched("a", namespace=dense.space)["a"]["metadata"] == {key: 1.0, "other": 1.0}


def test_an_empty_key(dense: Index) -> None:
    """The empty key is allowed."""
    dense.put({"id": "a", "metadata": {"": 1}})
    assert dense.found({"": 1}) == ["a"]


def test_a_dot_reaches_into_nothing(dense: Index) -> None:
    """Keys ``a`` and ``a.b`` have nothing to do with each other."""
    dense.put({"id": "a", "metadata": {"a": 1}}, {"id": "b", "metadata": {"a.b": 1}})
    assert (dense.found({"a.b": 1}), dense.found({"a": 1})) == (["b"], ["a"])


def test_a_selective_filter_finds_all(dense: Index) -> None:
    """A query finds all records that a filter matches, however few and far away they are."""
    for start in range(0, 2_000, 1_000):
        dense.put(
            *(
                {"id": f"r{n:04}", "values": [1, n / 1_000, 0], "metadata": {"n": n, "rare": n >= 1_995}}
                for n in range(start, start + 1_000)
            )
        )
    dense.until(lambda: dense.count(dense.space) == 2_000)
    assert dense.found({"rare": True}, top_k=10) == [f"r{n:04}" for n in range(1_995, 2_000)]
    assert dense.found({"n": {"$in": [3, 1_000, 1_999]}}, top_k=10) == ["r0003", "r1000", "r1999"]


def test_large_numbers_in_filters_are_doubles(dense: Index) -> None:
    """Numbers in filters are doubles, as stored ones are: 2**53 + 1 equals 2**53."""
    dense.put({"id": "a", "metadata": {"n": 2**53}})
    assert dense.found({"n": 2**53 + 1}) == ["a"]


def test_deep_filters(dense: Index) -> None:
    """Filters may be nested 60 deep."""
    dense.put({"id": "a", "metadata": {"x": 1}})
    condition: dict[str, Any] = {"x": 1}
    for _ in range(60):
        condition = {"$and": [condition]}
    assert dense.found(condition) == ["a"]


# -- metadata


def test_nulls_are_left_out(dense: Index) -> None:
    """A null in metadata is left out on upsert; in an update it changes nothing."""
    dense.put({"id": "a", "metadata": {"x": None, "y": 1}})
    assert dense.fetched("a", namespace=dense.space)["a"]["metadata"] == {"y": 1.0}
    dense.post("/vectors/update", id="a", setMetadata={"y": None, "z": 2})
    dense.until(lambda: "z" in dense.fetched("a", namespace=dense.space)["a"]["metadata"])
    assert dense.fetched("a", namespace=dense.space)["a"]["metadata"] == {"y": 1.0, "z": 2.0}


def test_lists_are_kept_as_they_are(dense: Index) -> None:
    """A list of strings keeps its order, its duplicates and its emptiness."""
    metadata = {"l": ["b", "a", "b", ""], "e": []}
    dense.put({"id": "a", "metadata": metadata})
    assert dense.fetched("a", namespace=dense.space)["a"]["metadata"] == metadata


def test_doubles_survive(dense: Index) -> None:
    """Numbers in metadata are doubles and come back exactly."""
    numbers = [0.1 + 0.2, 1 / 3, 1e-300, 5e-324, 1.7976931348623157e308, 2.0**53, -1.5]
    metadata = {f"n{place}": number for place, number in enumerate(numbers)}
    dense.put({"id": "a", "metadata": metadata})
    assert dense.fetched("a", namespace=dense.space)["a"]["metadata"] == metadata


def test_whole_numbers_come_back_with_a_point(dense: Index) -> None:
    """A whole number in metadata comes back with a decimal point."""
    dense.put({"id": "a", "metadata": {"n": 3}})
    text = dense.send("GET", "/vectors/fetch", ids=["a"], namespace=dense.space).text
    assert re.search(r'"n":\s*3\.0', text)


def test_any_text_survives(dense: Index) -> None:
    """Text in metadata may hold any character, NUL and those outside of the basic plane too."""
    metadata = {"t": "é \x00 \n \U0001f600 \u202e", "empty": ""}
    dense.put({"id": "a", "metadata": metadata})
    assert dense.fetched("a", namespace=dense.space)["a"]["metadata"] == metadata


def test_empty_metadata_is_none(dense: Index) -> None:
    """A record with empty metadata comes back without the field ``metadata``, as does one with nulls only."""
    dense.put({"id": "a", "metadata": {}}, {"id": "b", "metadata": {"x": None}}, {"id": "c"})
    for one in dense.fetched("a", "b", "c", namespace=dense.space).values():
        assert "metadata" not in one


def test_how_large_metadata_may_be(dense: Index) -> None:
    """Metadata may have 40,960 bytes, counted as compact JSON; an update counts what comes of it."""
    most = 40_960 - len('{"k":""}')
    dense.put({"id": "a", "metadata": {"k": "x" * most}})
    record = {"id": "b", "values": [1, 0, 0], "metadata": {"k": "x" * (most + 1)}}
    words = "metadata size is 40961 bytes, which exceeds the limit of 40960 bytes per vector"
    assert dense.no("/vectors/upsert", {"vectors": [record]}) == words
    assert "metadata size" in dense.no("/vectors/update", {"id": "a", "setMetadata": {"l": "x"}})


# -- vectors and scores


def test_euclidean_scores_are_squares(dense: Index) -> None:
    """The score under euclidean is the square of the distance, and the lowest comes first."""
    dense.put({"id": "a"}, {"id": "b", "values": [3, 4, 0]}, {"id": "c", "values": [-1, 0, 0]})
    matches = dense.post("/query", topK=10, vector=[2, 0, 0])["matches"]
    assert [one["id"] for one in matches] == ["a", "c", "b"]
    assert [one["score"] for one in matches] == pytest.approx([1.0, 9.0, 17.0], rel=1e-5)


def test_cosine_scores(cosine: Index) -> None:
    """The score under cosine is the cosine, from -1 to 1, and vectors come back with their length."""
    cosine.put({"id": "a", "values": [2, 0, 0]}, {"id": "b", "values": [3, 4, 0]}, {"id": "c", "values": [-5, 0, 0]})
    matches = cosine.post("/query", topK=10, vector=[7, 0, 0], includeValues=True)["matches"]
    assert [one["id"] for one in matches] == ["a", "b", "c"]
    assert [one["score"] for one in matches] == pytest.approx([1.0, 0.6, -1.0], rel=1e-5)
    assert matches[1]["values"] == [3.0, 4.0, 0.0]


def test_equal_scores_come_by_id(cosine: Index) -> None:
    """Records of equal score come in the order of their ids, and those with the lowest ids are kept."""
    names = [f"{number:02}" for number in range(20)]
    cosine.put(*({"id": name} for name in reversed(names)))
    assert cosine.ids(namespace=cosine.space) == names
    assert cosine.ids(namespace=cosine.space, top_k=5) == names[:5]


def test_values_are_single_precision(cosine: Index) -> None:
    """Values are rounded to single precision and come back as its shortest decimals."""
    cosine.put({"id": "a", "values": [1 / 3, 16_777_217, 0.1]})
    stored = cosine.fetched("a", namespace=cosine.space)["a"]["values"]
    assert stored == [float(str(np.float32(1 / 3))), 16_777_216.0, 0.1]


def test_a_query_of_zeros(cosine: Index) -> None:
    """A query vector may be all zeros: all scores are 0."""
    cosine.put({"id": "a"}, {"id": "b"})
    matches = cosine.post("/query", topK=5, vector=[0, 0, 0])["matches"]
    assert [(one["id"], one["score"]) for one in matches] == [("a", 0.0), ("b", 0.0)]


def test_values_that_were_not_asked_for(cosine: Index) -> None:
    """Matches have ``values`` all the time, an empty list if they were not asked for; not so ``metadata``."""
    cosine.put({"id": "a", "metadata": {"x": 1}})
    (match,) = cosine.post("/query", topK=1, vector=[1, 0, 0])["matches"]
    assert match["values"] == []
    assert match.keys() == {"id", "score", "values"}


def test_a_query_by_an_unknown_id(cosine: Index) -> None:
    """A query by the id of no record finds nothing; it is no error."""
    cosine.put({"id": "a"})
    assert cosine.post("/query", topK=5, id="nowhere")["matches"] == []


def test_unknown_fields_are_not_looked_at(cosine: Index) -> None:
    """A field of a request that is not known changes nothing."""
    cosine.put({"id": "a"})
    assert cosine.post("/query", topK=5, vector=[1, 0, 0], unknown=1)["matches"]


def test_dense_and_sparse_together(hybrid: Index) -> None:
    """A query with both vectors adds up both products; records without sparse values take part."""
    hybrid.put({"id": "a"}, {"id": "b", "sparseValues": {"indices": [1], "values": [5]}})
    both = hybrid.post("/query", topK=5, vector=[1, 0, 0], sparseVector={"indices": [1], "values": [1]})
    assert [(one["id"], one["score"]) for one in both["matches"]] == [("b", 6.0), ("a", 1.0)]


def test_sparse_alone(hybrid: Index) -> None:
    """A query with a sparse vector alone finds the records that share an index with it."""
    hybrid.put({"id": "a"}, {"id": "b", "sparseValues": {"indices": [1], "values": [5]}})
    alone = hybrid.post("/query", topK=5, sparseVector={"indices": [1], "values": [1]})
    assert [(one["id"], one["score"]) for one in alone["matches"]] == [("b", 5.0)]


def test_sparse_values_under_cosine(cosine: Index) -> None:
    """Where the metric is not the dot product, sparse values can be stored and not asked for."""
    one = {"indices": [1], "values": [1]}
    cosine.put({"id": "a", "sparseValues": one})
    body = {"topK": 5, "vector": [1, 0, 0], "sparseVector": one}
    assert cosine.no("/query", body) == "Index configuration does not support sparse values"


def test_sparse_vectors_are_sorted(sparse: Index) -> None:
    """A sparse vector comes back in the order of its indices; an index goes up to 2**32 - 1."""
    sparse.put({"id": "a", "values": [], "sparseValues": {"indices": [7, 4_294_967_295, 3], "values": [0.5, 2, 1]}})
    stored = sparse.fetched("a", namespace=sparse.space)["a"]
    assert stored["sparseValues"] == {"indices": [3, 7, 4_294_967_295], "values": [1.0, 0.5, 2.0]}


def test_how_many_sparse_values(sparse: Index) -> None:
    """A sparse vector has 2,048 values at most."""
    values = {"indices": list(range(2_048)), "values": [1] * 2_048}
    sparse.put({"id": "a", "values": [], "sparseValues": values})
    larger = {"indices": list(range(2_049)), "values": [1] * 2_049}
    assert "2048" in sparse.no("/vectors/upsert", {"vectors": [{"id": "b", "sparseValues": larger}]})


@pytest.mark.parametrize(
    "values",
    [{"indices": [1, 1], "values": [1, 1]}, {"indices": [], "values": []}, {"indices": [2**32], "values": [1]}],
    ids=["twice", "empty", "too high"],
)
def test_sparse_vectors_that_are_refused(sparse: Index, values: Any) -> None:
    """A sparse vector with an index twice, with none, or with one above 2**32 - 1 is refused."""
    sparse.no("/vectors/upsert", {"vectors": [{"id": "a", "sparseValues": values}]})


# -- writes


def test_of_two_with_one_id_the_last_counts(dense: Index) -> None:
    """Of two records with the same id in one upsert the last one stays; both are counted."""
    answer = dense.put({"id": "a", "metadata": {"x": 1}}, {"id": "a", "metadata": {"x": 2}})
    assert answer.json() == {"upsertedCount": 2}
    assert dense.fetched("a", namespace=dense.space)["a"]["metadata"] == {"x": 2.0}


def test_one_bad_vector_fails_the_request(dense: Index) -> None:
    """An upsert stores nothing if one of its records is refused."""
    dense.put({"id": "first"})
    dense.no("/vectors/upsert", {"vectors": [{"id": "good", "values": [1, 0, 0]}, {"id": "bad", "values": [1]}]})
    time.sleep(min(dense.patience, 5))
    assert dense.listed(dense.space) == ["first"]


def test_an_update_of_no_record(dense: Index) -> None:
    """An update of an id that is not there succeeds and creates nothing."""
    dense.put({"id": "a"})
    assert dense.post("/vectors/update", id="nowhere", setMetadata={"x": 1}).get("matchedRecords", 0) == 0
    time.sleep(min(dense.patience, 5))
    assert dense.listed(dense.space) == ["a"]


def test_an_update_counts_what_it_matches(dense: Index) -> None:
    """An update by filter says how many records match, a dry run too, which writes nothing and has no number."""
    dense.put({"id": "a", "metadata": {"x": 1}}, {"id": "b", "metadata": {"x": 1}}, {"id": "c", "metadata": {"x": 2}})
    body = {"namespace": dense.space, "filter": {"x": 1}, "setMetadata": {"y": 1}}
    dry = dense.send("POST", "/vectors/update", body | {"dryRun": True})
    assert (dry.json(), lsns(dry)) == ({"matchedRecords": 2}, {})
    time.sleep(min(dense.patience, 5))
    assert dense.found({"y": 1}) == []
    assert dense.ask("POST", "/vectors/update", body) == {"matchedRecords": 2}
    dense.until(lambda: len(dense.found({"y": 1})) == 2)
    assert dense.found({"y": 1}) == ["a", "b"]


def test_a_dry_run_needs_no_metadata(dense: Index) -> None:
    """A dry run may leave out ``setMetadata``."""
    dense.put({"id": "a", "metadata": {"x": 1}})
    assert dense.post("/vectors/update", filter={"x": 1}, dryRun=True) == {"matchedRecords": 1}


def test_a_filter_makes_a_delete_ignore_ids(dense: Index) -> None:
    """A delete with a filter and ids looks at the filter only."""
    dense.put({"id": "a", "metadata": {"x": 1}}, {"id": "b", "metadata": {"x": 2}})
    dense.post("/vectors/delete", ids=["b"], filter={"x": 1})
    dense.until(lambda: "a" not in dense.listed(dense.space))
    assert dense.listed(dense.space) == ["b"]


def test_a_delete_of_unknown_ids(dense: Index) -> None:
    """A delete of ids that are not there succeeds."""
    dense.put({"id": "a"})
    assert dense.post("/vectors/delete", ids=["nowhere"]) == {}


@pytest.mark.parametrize("name", ["a b", "a/b", "a%2Fb", "a?b#c", "'\"", "\x01", " ", "~" * 512], ids=ascii)
def test_odd_ids(dense: Index, name: str) -> None:
    """An id may hold any ASCII character but NUL, up to 512 of them."""
    dense.put({"id": name})
    assert list(dense.fetched(name, namespace=dense.space)) == [name]
    dense.post("/vectors/delete", ids=[name])
    dense.until(lambda: dense.listed(dense.space) == [])
    assert dense.listed(dense.space) == []


# -- reading


def test_ids_are_listed_by_bytes(dense: Index) -> None:
    """Ids are listed in the order of bytes, and the last page has no ``pagination``."""
    names = ["b", "a", "B", "a-1", "a/1", "~", " ", "a1", "10", "9"]
    dense.put(*({"id": name} for name in names))
    first = dense.ask("GET", "/vectors/list", namespace=dense.space, limit=7)
    assert [one["id"] for one in first["vectors"]] == sorted(names)[:7]
    token = first["pagination"]["next"]
    rest = dense.ask("GET", "/vectors/list", namespace=dense.space, paginationToken=token)
    assert [one["id"] for one in rest["vectors"]] == sorted(names)[7:]
    assert "pagination" not in rest


def test_records_by_metadata_come_by_id(dense: Index) -> None:
    """A fetch by metadata goes by id, 100 to a page unless it says otherwise."""
    dense.put(*({"id": f"r{number:03}", "metadata": {"x": 1}} for number in reversed(range(150))))
    body = {"filter": {"x": 1}, "namespace": dense.space}
    dense.until(lambda: len(dense.ask("POST", "/vectors/fetch_by_metadata", body | {"limit": 1_000})["vectors"]) == 150)
    page = dense.ask("POST", "/vectors/fetch_by_metadata", body)
    assert sorted(page["vectors"]) == [f"r{number:03}" for number in range(100)]
    page = dense.ask("POST", "/vectors/fetch_by_metadata", body | {"paginationToken": page["pagination"]["next"]})
    assert sorted(page["vectors"]) == [f"r{number:03}" for number in range(100, 150)]
    assert "pagination" not in page


def test_a_result_that_is_too_large(dense: Index) -> None:
    """The answer to a query has 4 MB at most; one that would be larger is refused with 400."""
    for start in range(0, 120, 40):
        dense.put(*({"id": f"r{n:03}", "metadata": {"k": "x" * 40_000}} for n in range(start, start + 40)))
    body = {"topK": 100, "vector": [1, 0, 0], "includeMetadata": True, "namespace": dense.space}
    assert len(dense.ask("POST", "/query", body)["matches"]) == 100
    dense.no("/query", body | {"topK": 120})


def test_a_long_url(dense: Index) -> None:
    """A URL may have 16 KB; one that is longer is refused with 414."""
    assert dense.send("GET", "/vectors/fetch", ids=["x" * 500] * 30).status_code == 200
    assert dense.send("GET", "/vectors/fetch", ids=["x" * 500] * 40).status_code == 414


def test_stats(dense: Index) -> None:
    """Counts come with the dimension, the metric, the kind of vectors and three measures of fullness, all 0."""
    stats = dense.ask("POST", "/describe_index_stats", {})
    assert (stats["dimension"], stats["metric"], stats["vectorType"]) == (3, "euclidean", "dense")
    assert (stats["indexFullness"], stats["memory_fullness"], stats["storage_fullness"]) == (0, 0, 0)


# -- freshness


def test_writes_say_their_number(dense: Index) -> None:
    """Upserts, updates and deletes answer with ``x-pinecone-request-lsn``."""
    answers = [
        dense.put({"id": "a", "metadata": {"x": 1}}),
        dense.send("POST", "/vectors/update", {"id": "a", "setMetadata": {"x": 1}, "namespace": dense.space}),
        dense.send("POST", "/vectors/update", {"filter": {"x": 1}, "setMetadata": {"x": 1}, "namespace": dense.space}),
        dense.send("POST", "/vectors/delete", {"ids": ["a"], "namespace": dense.space}),
    ]
    numbers = [int(answer.headers["x-pinecone-request-lsn"]) for answer in answers]
    assert numbers == sorted(set(numbers))


def test_both_spellings_of_the_number(dense: Index) -> None:
    """It comes as ``x-pinecone-lsn-committed`` too, and that of a query as ``x-pinecone-lsn-reconciled``."""
    written = lsns(dense.put({"id": "a"}))
    assert written["x-pinecone-request-lsn"] == written["x-pinecone-lsn-committed"]
    body = {"topK": 1, "vector": [1, 0, 0], "namespace": dense.space}
    seen = lsns(dense.send("POST", "/query", body))
    assert seen["x-pinecone-max-indexed-lsn"] == seen["x-pinecone-lsn-reconciled"]


def test_queries_say_up_to_which_number_they_see(dense: Index) -> None:
    """Queries answer with ``x-pinecone-max-indexed-lsn``: what was written up to it can be seen."""
    written = int(dense.put({"id": "a"}).headers["x-pinecone-request-lsn"])
    body = {"topK": 1, "vector": [1, 0, 0], "namespace": dense.space}

    def seen() -> int:
        return int(dense.send("POST", "/query", body).headers["x-pinecone-max-indexed-lsn"])

    dense.until(lambda: seen() >= written)
    assert seen() >= written
    assert dense.ids(namespace=dense.space) == ["a"]


def test_what_a_query_sees_other_reads_see(dense: Index) -> None:
    """Once a query has seen a number, fetch, list, fetch by metadata and dry runs see what was written up to it."""
    record = {"id": "a", "values": [1, 0, 0], "metadata": {"x": 1}}
    written = int(dense.upsert(record, namespace=dense.space).headers["x-pinecone-request-lsn"])
    body = {"topK": 1, "vector": [1, 0, 0], "namespace": dense.space}
    dense.until(lambda: int(dense.send("POST", "/query", body).headers["x-pinecone-max-indexed-lsn"]) >= written)
    assert list(dense.fetched("a", namespace=dense.space)) == ["a"]
    assert dense.listed(dense.space) == ["a"]
    assert list(dense.post("/vectors/fetch_by_metadata", filter={"x": 1})["vectors"]) == ["a"]
    assert dense.post("/vectors/update", filter={"x": 1}, dryRun=True) == {"matchedRecords": 1}


def test_other_reads_say_no_number(dense: Index) -> None:
    """Fetch, list, fetch by metadata and the counts have no such header."""
    dense.put({"id": "a", "metadata": {"x": 1}})
    for answer in (
        dense.send("GET", "/vectors/fetch", ids=["a"], namespace=dense.space),
        dense.send("GET", "/vectors/list", namespace=dense.space),
        dense.send("POST", "/vectors/fetch_by_metadata", {"filter": {"x": 1}, "namespace": dense.space}),
        dense.send("POST", "/describe_index_stats", {}),
    ):
        assert answer.status_code == 200
        assert lsns(answer) == {}


def test_numbers_are_those_of_the_namespace(dense: Index) -> None:
    """Writes are numbered from 1 in each namespace, without gaps."""
    first, second = dense.put({"id": "a"}), dense.put({"id": "b"})
    other = dense.put({"id": "a"}, namespace=f"{dense.space}-other")
    assert [int(one.headers["x-pinecone-request-lsn"]) for one in (first, second, other)] == [1, 2, 1]


def test_numbers_go_on_when_a_namespace_is_deleted(dense: Index) -> None:
    """A namespace that was deleted and made anew goes on counting."""
    before = int(dense.put({"id": "a"}).headers["x-pinecone-request-lsn"])
    dense.ask("DELETE", f"/namespaces/{dense.space}")
    dense.until(lambda: dense.send("GET", f"/namespaces/{dense.space}").status_code == 404)
    assert int(dense.put({"id": "a"}).headers["x-pinecone-request-lsn"]) > before


def test_every_answer_has_a_request_id(dense: Index) -> None:
    """Every answer has ``x-pinecone-request-id``."""
    for answer in (dense.put({"id": "a"}), dense.send("POST", "/describe_index_stats", {})):
        assert answer.headers["x-pinecone-request-id"]


# -- refusals

VECTOR = {"id": "a", "values": [1, 0, 0]}
QUERY = {"topK": 3, "vector": [1, 0, 0]}
SPARSE = {"indices": [1], "values": [1]}

REFUSALS: dict[str, tuple[str, dict[str, Any], str]] = {
    "upsert: dimension": (
        "/vectors/upsert",
        {"vectors": [{"id": "a", "values": [1, 0]}]},
        "Vector dimension 2 does not match the dimension of the index 3",
    ),
    "upsert: zeros": (
        "/vectors/upsert",
        {"vectors": [{"id": "a", "values": [0, 0, 0]}]},
        "Dense vectors must contain at least one non-zero value. Vector ID 'a' contains only zeros",
    ),
    "upsert: no values": (
        "/vectors/upsert",
        {"vectors": [{"id": "a", "values": []}]},
        "Vector must have at least one of non-empty dense values or sparse values",
    ),
    "upsert: sparse values of a dense index": (
        "/vectors/upsert",
        {"vectors": [VECTOR | {"sparseValues": SPARSE}]},
        "Index configuration does not support sparse values",
    ),
    "upsert: nested metadata": (
        "/vectors/upsert",
        {"vectors": [VECTOR | {"metadata": {"f": {"a": 10}}}]},
        "Metadata value must be a string, number, boolean or list of strings, got '{\"a\":10.0}' for field 'f'",
    ),
    "upsert: list of numbers": (
        "/vectors/upsert",
        {"vectors": [VECTOR | {"metadata": {"f": [1, 2]}}]},
        "Metadata value must be a string, number, boolean or list of strings, got '[1.0,2.0]' for field 'f'",
    ),
    "upsert: key with a dollar": (
        "/vectors/upsert",
        {"vectors": [VECTOR | {"metadata": {"$a": 1}}]},
        "Metadata keys cannot start with a dollar sign, got '$a'",
    ),
    "upsert: id not ASCII": (
        "/vectors/upsert",
        {"vectors": [VECTOR | {"id": "é"}]},
        "Vector ID must be ASCII, but got 'é'",
    ),
    "upsert: id with NUL": (
        "/vectors/upsert",
        {"vectors": [VECTOR | {"id": "a\x00b"}]},
        "Vector ID must not contain the null character",
    ),
    "upsert: long id": (
        "/vectors/upsert",
        {"vectors": [VECTOR | {"id": "a" * 513}]},
        "Vector ID is too long: 513 characters, the limit is 512",
    ),
    "upsert: no id": ("/vectors/upsert", {"vectors": [{"values": [1, 0, 0]}]}, "Vector ID must be a non-empty string"),
    "upsert: no vectors": ("/vectors/upsert", {"vectors": []}, "vectors must hold at least one vector"),
    "upsert: 1,001 vectors": (
        "/vectors/upsert",
        {"vectors": [VECTOR | {"id": f"r{number}"} for number in range(1_001)]},
        "Too many vectors: got 1001, the limit is 1000",
    ),
    "upsert: too large a number": (
        "/vectors/upsert",
        {"vectors": [{"id": "a", "values": [1, 0, 1e39]}]},
        "values must be finite 32-bit floating point numbers",
    ),
    "upsert: true as a value": (
        "/vectors/upsert",
        {"vectors": [{"id": "a", "values": [1, 0, True]}]},
        "values must be numbers",
    ),
    "update: id and filter": (
        "/vectors/update",
        {"id": "a", "filter": {"x": 1}, "setMetadata": {"x": 1}},
        "Exactly one of id or filter must be provided",
    ),
    "update: neither": ("/vectors/update", {"setMetadata": {"x": 1}}, "Exactly one of id or filter must be provided"),
    "update: nothing to set": ("/vectors/update", {"id": "a"}, "Update must have values, sparseValues or setMetadata"),
    "update: zeros": (
        "/vectors/update",
        {"id": "a", "values": [0, 0, 0]},
        "Dense vectors must contain at least one non-zero value. Vector ID 'a' contains only zeros",
    ),
    "update: values by filter": (
        "/vectors/update",
        {"filter": {"x": 1}, "values": [1, 0, 0]},
        "Update by metadata request does not support updating vector values.",
    ),
    "update: empty filter": (
        "/vectors/update",
        {"filter": {}, "setMetadata": {"x": 1}},
        "Update with empty metadata filter is not allowed",
    ),
    "update: filter alone": ("/vectors/update", {"filter": {"x": 1}}, "Update by metadata must have setMetadata"),
    "delete: nothing": ("/vectors/delete", {}, "At least one ID is required"),
    "delete: ids and all": (
        "/vectors/delete",
        {"ids": ["a"], "deleteAll": True},
        "No explicit IDs allowed when delete_all=true",
    ),
    "delete: filter and all": (
        "/vectors/delete",
        {"filter": {"x": 1}, "deleteAll": True},
        "No filter allowed when delete_all=true",
    ),
    "delete: empty filter": ("/vectors/delete", {"filter": {}}, "Delete with empty metadata filter is not allowed"),
    "delete: 1,001 ids": (
        "/vectors/delete",
        {"ids": [f"r{number}" for number in range(1_001)]},
        "Too many IDs: got 1001, the limit is 1000",
    ),
    "fetch by metadata: empty filter": (
        "/vectors/fetch_by_metadata",
        {"filter": {}},
        "Empty filter provided for fetch by metadata request",
    ),
    "fetch by metadata: token": (
        "/vectors/fetch_by_metadata",
        {"filter": {"x": 1}, "paginationToken": "?"},
        "Invalid pagination token",
    ),
    "query: no topK": ("/query", {"vector": [1, 0, 0]}, "topK is required"),
    "query: topK 10,001": ("/query", QUERY | {"topK": 10_001}, "topK must be between 1 and 10000, got 10001"),
    "query: topK as text": ("/query", QUERY | {"topK": "3"}, "topK must be an integer"),
    "query: topK with a point": ("/query", QUERY | {"topK": 3.0}, "topK must be an integer"),
    "query: no vector": ("/query", {"topK": 3}, "At least one of vector, id, or sparse_vector must be provided"),
    "query: vector and id": ("/query", QUERY | {"id": "a"}, "Cannot provide both 'ID' and 'vector' at the same time"),
    "query: dimension": (
        "/query",
        {"topK": 3, "vector": [1, 0]},
        "Vector dimension 2 does not match the dimension of the index 3",
    ),
    "query: sparse vector of a dense index": (
        "/query",
        QUERY | {"sparseVector": SPARSE},
        "Index configuration does not support sparse values",
    ),
    "query: tuning of an index on demand": (
        "/query",
        QUERY | {"scanFactor": 2},
        "scanFactor and maxCandidates are for dense indexes with dedicated read nodes",
    ),
    "query: namespace not ASCII": (
        "/query",
        QUERY | {"namespace": "é"},
        "namespace must be ASCII without the null character",
    ),
    "filter: a list": ("/query", QUERY | {"filter": []}, "Proto field is not repeating, cannot start list"),
    "filter: unknown operator": (
        "/query",
        QUERY | {"filter": {"a": {"$like": "b"}}},
        "Invalid filter: '$like' of field 'a' is not an operator",
    ),
    "filter: $not": (
        "/query",
        QUERY | {"filter": {"$not": {"a": 1}}},
        "Invalid filter: operator '$not' is not allowed here, only $and, $or and fields are",
    ),
    "filter: null": (
        "/query",
        QUERY | {"filter": {"a": None}},
        "Invalid filter: $eq of field 'a' takes a string, number or boolean",
    ),
    "filter: list as a value": (
        "/query",
        QUERY | {"filter": {"a": ["x"]}},
        "Invalid filter: $eq of field 'a' takes a string, number or boolean",
    ),
    "filter: no operator": ("/query", QUERY | {"filter": {"a": {}}}, "Invalid filter: no operator for field 'a'"),
    "filter: text compared": (
        "/query",
        QUERY | {"filter": {"a": {"$gt": "x"}}},
        "Invalid filter: $gt of field 'a' takes a number",
    ),
    "filter: empty $in": (
        "/query",
        QUERY | {"filter": {"a": {"$in": []}}},
        "Invalid filter: $in of field 'a' takes a non-empty list of strings or numbers",
    ),
    "filter: booleans in $in": (
        "/query",
        QUERY | {"filter": {"a": {"$in": [True]}}},
        "Invalid filter: $in of field 'a' takes a non-empty list of strings or numbers",
    ),
    "filter: empty $and": (
        "/query",
        QUERY | {"filter": {"$and": []}},
        "Invalid filter: $and takes a non-empty list of filters",
    ),
    "filter: empty part of $or": (
        "/query",
        QUERY | {"filter": {"$or": [{}]}},
        "Invalid filter: $or takes a list of non-empty filters",
    ),
    "filter: $exists of a number": (
        "/query",
        QUERY | {"filter": {"a": {"$exists": 1}}},
        "Invalid filter: $exists of field 'a' takes a boolean",
    ),
    "stats: filter": (
        "/describe_index_stats",
        {"filter": {"x": 1}},
        "Serverless and Starter indexes do not support describing index stats with metadata filtering",
    ),
    "namespaces: reserved name": (
        "/namespaces",
        {"name": "__default__"},
        "A namespace needs a name other than __default__, which is reserved",
    ),
    "namespaces: field that is not filterable": (
        "/namespaces",
        {"name": "x", "schema": {"fields": {"a": {"filterable": False}}}},
        (
            "Field 'a' is set to filterable: false. Only filterable: true is supported. "
            "To avoid indexing the field, omit it from the list of fields."
        ),
    ),
    "namespaces: schema without fields": ("/namespaces", {"name": "x", "schema": {}}, "schema must have fields"),
}


def refusal(index: Index, what: str) -> str:
    path, body, _ = REFUSALS[what]
    if not path.startswith("/vectors/delete"):
        return index.refused(path, body)
    index.put({"id": "kept"})  # a delete in an unknown namespace is refused for that
    return index.no(path, body)


@pytest.mark.parametrize("what", REFUSALS)
def test_what_is_refused(dense: Index, what: str) -> None:
    """What is refused with status 400, in the form of a gRPC status with code 3."""
    assert refusal(dense, what)


@pytest.mark.parametrize("what", REFUSALS)
def test_the_words_of_refusals(dense: Index, what: str) -> None:
    """The exact words of the refusals. Many are the emulator's own."""
    assert refusal(dense, what) == REFUSALS[what][2]


def test_a_request_that_is_too_large(dense: Index) -> None:
    """A request may have 2 MB; one that is larger is refused with 413 and says so in bytes."""
    body = b'{"namespace":"n","vectors":[{"id":"a","values":[1,0,0]}]' + b" " * (2 * 1024 * 1024) + b"}"
    answer = dense.http.post("/vectors/upsert", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 413
    message = f"message length too large: found {len(body)} bytes, the limit is: 2097152 bytes"
    assert answer.json() == {"code": 11, "message": message, "details": []}


@pytest.mark.parametrize("limit", [0, 101])
def test_limits_of_lists(dense: Index, limit: int) -> None:
    """A list of ids takes a limit from 1 to 100, else it is refused with 400."""
    assert dense.send("GET", "/vectors/list", limit=limit).status_code == 400


def test_more_than_a_thousand_ids(dense: Index) -> None:
    """A fetch takes 1,000 ids at most."""
    assert dense.send("GET", "/vectors/fetch", ids=[str(n) for n in range(1_000)]).status_code == 200
    assert dense.send("GET", "/vectors/fetch", ids=[str(n) for n in range(1_001)]).status_code == 400


def test_an_unknown_path_of_an_index(dense: Index) -> None:
    """An unknown path answers 404, a known one with another method 405."""
    assert dense.send("POST", "/vectors/nowhere", {}).status_code == 404
    assert dense.send("GET", "/query").status_code == 405


def test_a_key_that_is_missing(pinecone: Pinecone) -> None:
    """Without a key the answer is 401 with the JSON string "Unauthorized"."""
    answer = httpx.get(f"{str(pinecone.control.base_url).rstrip('/')}/indexes", headers=VERSION)
    assert (answer.status_code, answer.text) == (401, '"Unauthorized"')


# -- the control plane


def control_refusal(answer: httpx.Response, status: int, code: str) -> str:
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert (body["status"], body["error"]["code"]) == (status, code)
    return str(body["error"]["message"])


def test_an_unknown_index(pinecone: Pinecone) -> None:
    """An unknown index answers 404, "Index NAME not found."."""
    name = f"verify-nowhere-{pinecone.suffix}"
    for method in ("GET", "DELETE"):
        answer = pinecone.control.request(method, f"/indexes/{name}")
        assert control_refusal(answer, 404, "NOT_FOUND") == f"Index {name} not found."


def test_a_name_that_is_taken(pinecone: Pinecone) -> None:
    """Creating an index whose name is taken answers 409, "Resource already exists."."""
    pinecone.index("dense")
    body = {"name": pinecone.index_name("dense"), "schema": KINDS["dense"]}
    answer = pinecone.control.post("/indexes", json=body)
    assert control_refusal(answer, 409, "ALREADY_EXISTS") == "Resource already exists."


def test_a_protected_index(pinecone: Pinecone) -> None:
    """Deleting a protected index answers 403 and says how to get rid of the protection."""
    pinecone.index("dense")
    path = f"/indexes/{pinecone.index_name('dense')}"
    assert pinecone.control.patch(path, json={"deletion_protection": "enabled"}).status_code == 202
    try:
        message = control_refusal(pinecone.control.delete(path), 403, "FORBIDDEN")
    finally:
        pinecone.control.patch(path, json={"deletion_protection": "disabled"})
    assert message == "Deletion protection is enabled for this index. Disable deletion protection before retrying."


def test_tags(pinecone: Pinecone) -> None:
    """Tags are merged, an empty value removes one, and an index without tags has null."""
    pinecone.index("dense")
    path = f"/indexes/{pinecone.index_name('dense')}"
    assert pinecone.described("dense")["tags"] is None
    assert pinecone.control.patch(path, json={"tags": {"a": "b", "c": "d"}}).json()["tags"] == {"a": "b", "c": "d"}
    assert pinecone.control.patch(path, json={"tags": {"a": ""}}).json()["tags"] == {"c": "d"}
    assert pinecone.control.patch(path, json={"tags": {"c": ""}}).json()["tags"] is None


def test_how_an_index_is_described(pinecone: Pinecone) -> None:
    """An index is described with the fields that the emulator has, and with no others."""
    pinecone.index("dense")
    described = pinecone.described("dense")
    assert described.keys() == {
        "name",
        "host",
        "private_host",
        "status",
        "schema",
        "deployment",
        "deletion_protection",
        "read_capacity",
        "tags",
        "source_collection",
        "source_backup_id",
        "cmek_id",
    }
    field = described["schema"]["fields"]["_values"]
    assert field == {"type": "dense_vector", "description": None, "dimension": 3, "metric": "euclidean"}


BAD_INDEXES: dict[str, tuple[Any, int]] = {
    "no schema": ({}, 422),
    "no fields": ({"schema": {"fields": {}}}, 400),
    "dimension 20,001": ({"schema": schema(20_001)}, 400),
    "no dimension": ({"schema": {"fields": {"_values": {"type": "dense_vector", "metric": "cosine"}}}}, 422),
    "metric": ({"schema": schema(3, "hamming")}, 400),
    "wrong type of _values": ({"schema": {"fields": {"_values": {"type": "sparse_vector"}}}}, 400),
    "reserved field with others": ({"schema": {"fields": {"_values": DENSE, "x": {"type": "sparse_vector"}}}}, 400),
    "field with an underscore": ({"schema": {"fields": {"_x": {"type": "sparse_vector"}}}}, 400),
    "two sparse fields": (
        {"schema": {"fields": {"a": {"type": "sparse_vector"}, "b": {"type": "sparse_vector"}}}},
        400,
    ),
    "declared number": ({"schema": {"fields": {"a": {"type": "float"}}}}, 400),
    "name": ({"name": "Not_Allowed", "schema": schema()}, 400),
    "long name": ({"name": "a" * 46, "schema": schema()}, 400),
}


@pytest.mark.parametrize("what", BAD_INDEXES)
def test_indexes_that_are_refused(pinecone: Pinecone, what: str) -> None:
    """Which indexes can't be created, and whether the status is 400 or 422."""
    body, status = BAD_INDEXES[what]
    answer = pinecone.control.post("/indexes", json={"name": f"verify-bad-{pinecone.suffix}"} | body)
    if answer.status_code == 201:
        pinecone.control.delete(f"/indexes/{answer.json()['name']}")
    control_refusal(answer, status, "INVALID_ARGUMENT" if status == 400 else "UNPROCESSABLE_ENTITY")


# -- the two APIs


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/vectors/upsert", {"vectors": [VECTOR]}),
        ("POST", "/query", QUERY),
        ("GET", "/vectors/list", None),
    ],
)
def test_the_vectors_api_of_an_index_of_documents(pinecone: Pinecone, method: str, path: str, body: Any) -> None:
    """An index of documents refuses the Vectors API with 400."""
    index = pinecone.index("documents")
    assert index.refused(path, body, method=method)


# -- documents


@pytest.fixture
def documents(pinecone: Pinecone) -> Index:
    return pinecone.index("documents")


def about(index: Index, verb: str, status: int = 200, **body: Any) -> Any:
    """The content of an answer of the Documents API."""
    answer = index.send("POST", f"/namespaces/{index.space}/documents/{verb}", body)
    assert answer.status_code == status, answer.text
    return answer.json()


def put_documents(index: Index, *given: dict[str, Any]) -> Any:
    answer = about(index, "upsert", 202, documents=list(given))
    names = [one["_id"] for one in given]
    index.until(lambda: len(about(index, "fetch", ids=names)["documents"]) == len(names))
    return answer


WORDS = {"indices": [1, 3], "values": [2.0, 0.5]}
NEAR = {"type": "dense_vector", "field": "embedding", "values": [1.0, 0.0, 0.0]}


def test_documents_come_back(documents: Index) -> None:
    """Upserts of documents answer 202, and a fetch gives all fields, numbers as doubles, unless it names some."""
    a = {"_id": "a", "embedding": [1.0, 0.0, 0.0], "words": WORDS, "n": 1, "tags": ["x"]}
    assert put_documents(documents, a)["upserted_count"] == 1
    assert about(documents, "fetch", ids=["a", "gone"])["documents"] == {"a": a}
    assert about(documents, "fetch", ids=["a"], include_fields=["n"])["documents"] == {"a": {"_id": "a", "n": 1}}


def test_a_search_of_documents_gives_ids_and_scores(documents: Index) -> None:
    """A search of documents gives ``_id`` and ``_score`` unless fields are named, and none without the scored field."""
    put_documents(documents, {"_id": "a", "embedding": [2.0, 0.0, 0.0], "n": 1}, {"_id": "b", "words": WORDS})
    documents.until(lambda: about(documents, "search", score_by=[NEAR], top_k=5)["matches"])
    (match,) = about(documents, "search", score_by=[NEAR], top_k=5)["matches"]
    assert set(match) == {"_id", "_score"}
    (match,) = about(documents, "search", score_by=[NEAR], top_k=5, include_fields=["n"])["matches"]
    assert set(match) == {"_id", "_score", "n"}


def test_documents_are_patched(documents: Index) -> None:
    """An update of documents sets and removes fields, and does nothing where there is no document."""
    put_documents(documents, {"_id": "a", "words": WORDS, "old": "x"})
    patches = [{"_id": "a", "new": "y", "_remove_fields": ["old"]}, {"_id": "gone", "new": "y"}]
    about(documents, "update", 202, documents=patches)
    wanted = {"a": {"_id": "a", "new": "y"}}
    fields = {"ids": ["a", "gone"], "include_fields": ["new", "old"]}
    documents.until(lambda: about(documents, "fetch", **fields)["documents"] == wanted)
    assert about(documents, "fetch", **fields)["documents"] == wanted


def test_deleting_documents_by_filter_counts(documents: Index) -> None:
    """A delete of documents answers 202 and, by a filter, how many match."""
    put_documents(documents, *({"_id": f"d{i}", "words": WORDS, "n": i} for i in range(4)))
    assert about(documents, "delete", 202, filter={"n": {"$lt": 2}})["matched_records"] == 2
    about(documents, "delete", 202, ids=["d2", "gone"])
    documents.until(lambda: len(about(documents, "list")["documents"]) == 1)
    assert [one["_id"] for one in about(documents, "list")["documents"]] == ["d3"]


@pytest.mark.parametrize(
    "given",
    [
        {"_id": "a", "n": 1},
        {"_id": "a", "words": WORDS, "_x": 1},
        {"_id": "a", "words": WORDS, "$x": 1},
        {"_id": "a", "words": WORDS, "x" * 65: 1},
        {"_id": "a", "words": WORDS, "n": None},
        {"_id": "a", "embedding": [0.0, 0.0, 0.0]},
    ],
)
def test_documents_that_are_refused(documents: Index, given: dict[str, Any]) -> None:
    """What makes a document be refused, with status 400 and the control plane's form of an error."""
    body = about(documents, "upsert", 400, documents=[given, {"_id": "b", "words": WORDS}])
    assert body["error"]["code"] == "INVALID_ARGUMENT"
    assert about(documents, "list")["documents"] == []


def test_the_documents_api_of_an_index_of_vectors(cosine: Index) -> None:
    """An index of vectors refuses the Documents API with 400."""
    about(cosine, "upsert", 400, documents=[{"_id": "a", "words": WORDS}])


# -- this file


def test_the_page_lists_every_assumption() -> None:
    page = PAGE.read_text()
    for name, test in list(globals().items()):
        if name.startswith("test_") and name != "test_the_page_lists_every_assumption":
            assert f"| {' '.join(test.__doc__.split())} | `{name}` |" in page, f"{PAGE.name} has no line of {name}"
