"""Failures that the emulator makes on demand."""

from __future__ import annotations

import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from emulator_wire import Wire
from ia_modules.vector_stores.emulator.pinecone import PineconeEmulator, serving

VECTORS = {"vectors": [{"id": str(number), "values": [1, 0, 0]} for number in range(10)]}


@pytest.fixture(scope="module")
def server() -> Iterator[PineconeEmulator]:
    with serving() as emulator:
        yield emulator


@pytest.fixture
def wire(server: PineconeEmulator) -> Iterator[Wire]:
    server.reset()
    with Wire(server) as made:
        made.create()
        server.calls.clear()
        yield made


def test_a_status_so_often(wire: Wire) -> None:
    wire.emulator.fail(503, on="POST /query", times=2, message="busy")
    body = {"topK": 1, "vector": [1, 0, 0]}
    answer = wire.send("POST", "/query", body)
    assert (answer.status_code, answer.json()) == (503, {"code": 14, "message": "busy", "details": []})
    assert wire.send("GET", "/vectors/list").status_code == 200
    assert wire.send("POST", "/query", body).status_code == 503
    assert wire.send("POST", "/query", body).status_code == 200
    assert wire.emulator.calls == {"POST /query": 3, "GET /vectors/list": 1}


def test_retry_after(wire: Wire) -> None:
    wire.emulator.fail(429, retry_after=1.5)
    assert wire.send("GET", "/vectors/list").headers["retry-after"] == "1.5"
    wire.emulator.fail(429, retry_after="date:30")
    away = parsedate_to_datetime(wire.send("GET", "/vectors/list").headers["retry-after"]).timestamp() - time.time()
    assert 25 < away < 31
    wire.emulator.fail(429, retry_after="soon")
    answer = wire.send("GET", "/vectors/list")
    assert answer.headers["retry-after"] == "soon"
    assert answer.json()["code"] == 8
    wire.emulator.fail(429)
    assert "retry-after" not in wire.send("GET", "/vectors/list").headers


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("how", [500, 408, 413])
def test_before_and_after_the_work(wire: Wire, how: int, after: bool) -> None:
    wire.emulator.fail(how, on="POST /vectors/*", after=after)
    assert wire.send("POST", "/vectors/upsert", VECTORS).status_code == how
    assert len(wire.listed()) == (10 if after else 0)


@pytest.mark.parametrize(("after", "stored"), [(False, 0), (True, 10)])
def test_a_connection_that_ends_without_an_answer(wire: Wire, after: bool, stored: int) -> None:
    wire.emulator.fail("drop", on="POST /vectors/upsert", after=after)
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        wire.send("POST", "/vectors/upsert", VECTORS)
    assert len(wire.listed()) == stored


def test_a_connection_that_ends_in_the_answer(wire: Wire) -> None:
    wire.send("POST", "/vectors/upsert", VECTORS)
    wire.emulator.fail("cut", on="GET /vectors/list")
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
        wire.listed()
    assert len(wire.listed()) == 10


def test_a_slow_answer(wire: Wire) -> None:
    wire.emulator.fail("slow", delay=0.2)
    begun = time.monotonic()
    assert wire.listed() == []
    assert time.monotonic() - begun >= 0.2
    wire.emulator.fail(500, delay=0.1)
    begun = time.monotonic()
    assert wire.send("GET", "/vectors/list").status_code == 500
    assert time.monotonic() - begun >= 0.1


def test_a_slow_answer_does_not_hold_up_others(wire: Wire) -> None:
    wire.emulator.fail("slow", on="GET /vectors/list", delay=30)
    with pytest.raises(httpx.ReadTimeout):
        wire.http.get("/i/docs/vectors/list", timeout=0.2)
    assert wire.counts() == {}


def test_half_a_batch(wire: Wire) -> None:
    wire.emulator.fail("half", on="POST /vectors/upsert")
    assert wire.send("POST", "/vectors/upsert", VECTORS).status_code == 500
    assert wire.listed() == ["0", "1", "2", "3", "4"]
    assert wire.send("POST", "/vectors/upsert", VECTORS).json() == {"upsertedCount": 10}


def test_every_so_manieth(wire: Wire) -> None:
    wire.emulator.fail(500, every=3, times=None)
    statuses = [wire.send("GET", "/vectors/list").status_code for _ in range(9)]
    assert statuses == [200, 200, 500] * 3
    wire.emulator.heal()
    assert {wire.send("GET", "/vectors/list").status_code for _ in range(6)} == {200}


def test_with_a_probability(wire: Wire) -> None:
    def statuses() -> list[int]:
        wire.emulator.heal()
        wire.emulator.fail(500, probability=0.3, seed=5, times=None)
        return [wire.send("GET", "/vectors/list").status_code for _ in range(60)]

    first = statuses()
    assert 5 < first.count(500) < 40
    assert statuses() == first


def test_one_index_only(wire: Wire) -> None:
    with Wire(wire.emulator, "other") as other:
        other.create()
    wire.emulator.fail(500, index="other")
    assert wire.send("GET", "/vectors/list").status_code == 200
    assert wire.http.get("/indexes").status_code == 200
    assert wire.http.get("/i/other/vectors/list").status_code == 500


def test_the_control_plane_fails_in_its_own_form(wire: Wire) -> None:
    wire.emulator.fail(500, on="GET /indexes/*")
    answer = wire.http.get("/indexes/docs")
    assert answer.json() == {"status": 500, "error": {"code": "UNKNOWN", "message": "injected by the emulator"}}


def test_a_lost_create(wire: Wire) -> None:
    wire.emulator.fail(500, on="DELETE /indexes/*", after=True)
    assert wire.http.delete("/indexes/docs").status_code == 500
    assert wire.http.delete("/indexes/docs").status_code == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"how": 200},
        {"how": True},
        {"how": "explode"},
        {"how": "slow"},
        {"how": 500, "times": 0},
        {"how": 500, "every": 0},
        {"how": 500, "probability": 1.5},
        {"how": 500, "delay": -1},
    ],
)
def test_what_is_no_fault(wire: Wire, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"fault|times|every|delay"):
        wire.emulator.fail(**wrong)
    assert wire.http.post("/_emulator/faults", json=wrong).status_code == 400


def test_over_http(wire: Wire) -> None:
    fault = {"how": 429, "on": "GET /vectors/list", "retry_after": 2}
    assert wire.http.post("/_emulator/faults", json=fault).json() == {}
    assert wire.send("GET", "/vectors/list").headers["retry-after"] == "2"
    wire.http.post("/_emulator/faults", json=fault)
    wire.http.delete("/_emulator/faults")
    assert wire.send("GET", "/vectors/list").status_code == 200
    assert wire.http.get("/_emulator/calls").json() == {"GET /vectors/list": 2}
    for wrong in ({"how": 500, "colour": "red"}, {}, {"how": 500, "times": "x"}):
        assert wire.http.post("/_emulator/faults", json=wrong).status_code == 400
    assert wire.http.post("/_emulator/reset").json() == {}
    assert wire.http.get("/indexes").json() == {"indexes": []}
    assert wire.http.get("/_emulator/nowhere").status_code == 404


def test_a_rate_limit() -> None:
    with serving(rate_limit=5) as emulator, Wire(emulator).create() as wire:
        answers = [wire.send("GET", "/vectors/list", namespace="n") for _ in range(6)]
        assert [one.status_code for one in answers] == [200] * 5 + [429]
        body = answers[-1].json()
        assert body["code"] == 8
        assert body["message"] == ("Request rate limit exceeded: 5 requests per second per namespace, namespace 'n'")
        assert answers[-1].headers["retry-after"] == "1"
        assert wire.send("GET", "/vectors/list").status_code == 200
        time.sleep(0.25)
        assert wire.send("GET", "/vectors/list", namespace="n").status_code == 200
        emulator.rate_limit = None
        assert {wire.send("GET", "/vectors/list", namespace="n").status_code for _ in range(9)} == {200}


def test_a_stop_waits_for_nobody() -> None:
    with serving() as emulator, Wire(emulator).create() as wire:
        emulator.fail("slow", delay=60)
        with pytest.raises(httpx.ReadTimeout):
            wire.http.get("/i/docs/vectors/list", timeout=0.1)
        begun = time.monotonic()
    assert time.monotonic() - begun < 3


def test_a_defect_is_an_answer(wire: Wire, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("ia_modules.vector_stores.emulator.pinecone.table.Table.sorted_ids", broken)
    assert "defect: ZeroDivisionError" in wire.send("GET", "/vectors/list").json()["message"]
    assert "ZeroDivisionError" in caplog.text
