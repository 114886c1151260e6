"""Writes of the emulator that are seen late, and their numbers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from emulator_wire import Wire
from ia_modules.vector_stores.emulator.pinecone import PineconeEmulator, Reads, serving
from ia_modules.vector_stores.emulator.pinecone.lag import parsed_lag


@pytest.fixture(scope="module")
def server() -> Iterator[PineconeEmulator]:
    with serving() as emulator:
        yield emulator


@pytest.fixture
def wire(server: PineconeEmulator) -> Iterator[Wire]:
    server.reset()
    with Wire(server) as made:
        yield made.create()


def written(answer: Any) -> int:
    assert answer.headers["x-pinecone-request-lsn"] == answer.headers["x-pinecone-lsn-committed"]
    return int(answer.headers["x-pinecone-request-lsn"])


def seen(wire: Wire, namespace: str = "") -> int:
    answer = wire.send("POST", "/query", {"topK": 1, "vector": [1, 0, 0], "namespace": namespace})
    assert answer.headers["x-pinecone-max-indexed-lsn"] == answer.headers["x-pinecone-lsn-reconciled"]
    return int(answer.headers["x-pinecone-max-indexed-lsn"])


def test_writes_are_numbered_by_namespace(wire: Wire) -> None:
    assert seen(wire) == 0
    assert written(wire.upsert({"id": "a"})) == 1
    assert written(wire.upsert({"id": "a"}, namespace="other")) == 1
    assert written(wire.send("POST", "/vectors/update", {"id": "a", "setMetadata": {"x": 1}})) == 2
    assert written(wire.send("POST", "/vectors/delete", {"ids": ["nowhere"]})) == 3
    assert (seen(wire), seen(wire, "other")) == (3, 1)
    assert written(wire.send("DELETE", "/namespaces/other")) == 2
    assert written(wire.upsert({"id": "a"}, namespace="other")) == 3


def test_other_reads_say_no_number(wire: Wire) -> None:
    for answer in (
        wire.send("GET", "/vectors/fetch", ids=["a"]),
        wire.send("GET", "/vectors/list"),
        wire.send("POST", "/describe_index_stats", {}),
        wire.send("POST", "/vectors/fetch_by_metadata", {"filter": {"x": 1}}),
        wire.send("POST", "/vectors/upsert", {"vectors": []}),
    ):
        assert not [name for name in answer.headers if "lsn" in name]
        assert answer.status_code == 400 or "x-pinecone-request-id" in answer.headers


READS: dict[str, Any] = {
    "query": lambda wire: wire.ids(),
    "query by id": lambda wire: wire.ask("POST", "/query", {"topK": 1, "id": "a"})["matches"],
    "fetch": lambda wire: wire.fetched("a"),
    "fetch by metadata": lambda wire: wire.ask("POST", "/vectors/fetch_by_metadata", {"filter": {"x": 1}})["vectors"],
    "list": lambda wire: wire.listed(),
    "stats": lambda wire: wire.counts(),
    "namespaces": lambda wire: wire.ask("GET", "/namespaces")["namespaces"],
    "namespace": lambda wire: int(wire.ask("GET", "/namespaces/__default__")["record_count"]),
    "update": lambda wire: wire.ask("POST", "/vectors/update", {"filter": {"x": 1}, "dryRun": True})["matchedRecords"],
}


@pytest.mark.parametrize("read", READS)
def test_every_read_misses_a_write_so_often(wire: Wire, read: str) -> None:
    wire.emulator.lag = Reads(3)
    wire.upsert({"id": "a", "metadata": {"x": 1}})
    assert [bool(READS[read](wire)) for _ in range(5)] == [False, False, False, True, True]


def test_reads_of_other_namespaces_don_t_count(wire: Wire) -> None:
    wire.emulator.lag = Reads(1)
    wire.upsert({"id": "a"}, namespace="one")
    assert wire.ids(namespace="two") == []
    assert wire.ids(namespace="one") == []
    assert wire.ids(namespace="one") == ["a"]


def test_a_time(wire: Wire) -> None:
    wire.emulator.lag = 0.2
    begun = time.monotonic()
    number = written(wire.upsert({"id": "a"}))
    assert seen(wire) == number - 1
    assert wire.ids() == []
    while not wire.ids():
        time.sleep(0.01)
    assert time.monotonic() - begun >= 0.2
    assert seen(wire) == number


def test_writes_keep_their_order(wire: Wire) -> None:
    wire.emulator.lag = Reads(1)
    wire.upsert({"id": "a", "metadata": {"x": 1}}, {"id": "b"})
    wire.ask("POST", "/vectors/update", {"id": "a", "setMetadata": {"y": 2}})
    wire.emulator.lag = 0
    wire.ask("POST", "/vectors/delete", {"ids": ["b"]})
    assert wire.listed() == []
    assert wire.fetched("a", "b") == {"a": {"id": "a", "values": [1.0, 0.0, 0.0], "metadata": {"x": 1.0, "y": 2.0}}}


def test_filters_of_writes_look_at_what_is_seen(wire: Wire) -> None:
    wire.upsert({"id": "old", "metadata": {"x": 1}})
    wire.emulator.lag = Reads(2)
    wire.upsert({"id": "new", "metadata": {"x": 1}})
    assert wire.ask("POST", "/vectors/delete", {"filter": {"x": 1}}) == {}
    wire.emulator.lag = 0
    for _ in range(4):
        wire.listed()
    assert wire.listed() == ["new"]


def test_a_namespace_on_its_way_can_be_written_to(wire: Wire) -> None:
    wire.emulator.lag = Reads(2)
    wire.upsert({"id": "a"}, {"id": "b"}, namespace="n")
    assert wire.send("GET", "/namespaces/n").status_code == 404
    assert wire.ask("POST", "/vectors/delete", {"ids": ["a"], "namespace": "n"}) == {}
    assert wire.send("POST", "/namespaces", {"name": "n"}).status_code == 409
    assert [wire.listed("n") for _ in range(3)] == [[], ["a", "b"], ["b"]]
    wire.ask("DELETE", "/namespaces/n")
    assert wire.send("DELETE", "/namespaces/n").status_code == 404
    assert [wire.listed("n") for _ in range(3)] == [["b"], ["b"], []]


def test_a_reset_goes_back_to_the_beginning(wire: Wire) -> None:
    wire.emulator.lag = "3reads"
    assert wire.emulator.lag == Reads(3)
    wire.emulator.reset()
    assert wire.emulator.lag == 0
    with serving(lag=2, ready_after=3, rate_limit=4) as other:
        other.lag, other.ready_after, other.rate_limit = 0, 0, None
        other.reset()
        assert (other.lag, other.ready_after, other.rate_limit) == (2.0, 3, 4)


@pytest.mark.parametrize(
    ("given", "meant"),
    [(0, 0.0), (0.5, 0.5), ("200ms", 0.2), ("1.5s", 1.5), ("2", 2.0), ("3reads", Reads(3)), ("1 read", Reads(1))],
)
def test_spellings(given: Any, meant: Any) -> None:
    assert parsed_lag(given) == meant


@pytest.mark.parametrize(
    "given", [-1, float("nan"), float("inf"), True, "soon", "-1s", "1.5reads", Reads(-1), None, ""]
)
def test_what_is_no_lag(server: PineconeEmulator, given: Any) -> None:
    with pytest.raises(ValueError, match="lag"):
        server.lag = given
