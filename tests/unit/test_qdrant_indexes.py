"""Which payload indexes are made, and when Qdrant's answers are relied on."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace
from typing import Any

import pytest

from ia_modules.vector_stores.providers.qdrant import indexes
from ia_modules.vector_stores.providers.qdrant.indexes import PayloadIndexes

pytest.importorskip("qdrant_client")
from qdrant_client.http.exceptions import UnexpectedResponse


class Server:
    """Notes what indexes are made; lists them only when it is told to."""

    embedded = False

    def __init__(self, points: int = 10_000, *, strict: bool = False) -> None:
        self.points = points
        self.listed: dict[str, str] = {"_ia_ns": "keyword"}
        self.made: list[tuple[str, str, bool]] = []
        self.failure: Exception | None = None
        self.strict = strict
        self.counts = 0

    async def info(self, name: str) -> Any:
        await asyncio.sleep(0)
        schema = {path: SimpleNamespace(data_type=SimpleNamespace(value=kind)) for path, kind in self.listed.items()}
        demanded = SimpleNamespace(
            enabled=self.strict, unindexed_filtering_retrieve=False, unindexed_filtering_update=False
        )
        config = SimpleNamespace(strict_mode_config=demanded)
        return SimpleNamespace(payload_schema=schema, config=config, points_count=self.points)

    async def count(self, name: str, native: Any) -> int:
        self.counts += 1
        return self.points

    async def create_payload_index(self, name: str, path: str, schema: Any, *, wait: bool) -> None:
        await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure
        self.made.append((path, str(schema.type.value), wait))


async def loaded(server: Server, *, automatic: bool = True) -> PayloadIndexes:
    made = PayloadIndexes(server, "c", automatic=automatic)  # type: ignore[arg-type]
    await made.load(await server.info("c"))
    return made


def needed(**kinds: str) -> dict[str, frozenset[str]]:
    return {path: frozenset(given.split()) for path, given in kinds.items()}


async def test_what_a_filter_needs_is_made_once_and_not_waited_for() -> None:
    server = Server()
    one = await loaded(server)
    for _ in range(3):
        assert await one.usable(needed(a="float any", b="keyword", c="uuid", d="bool", e="any", f="datetime any"))
    types = [("a", "float"), ("b", "keyword"), ("c", "keyword"), ("d", "bool"), ("e", "keyword"), ("f", "datetime")]
    assert server.made == [(*made, False) for made in types]


async def test_where_the_server_demands_it_it_is_waited_for_and_made_for_few_points() -> None:
    server = Server(points=3, strict=True)
    assert await (await loaded(server)).usable(needed(a="float"))
    assert server.made == [("a", "float", True)]


async def test_few_points_get_none_and_are_counted_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexes, "_LOOK_AGAIN", 10)
    server = Server(points=3)
    one = await loaded(server)
    for _ in range(25):
        assert await one.usable(needed(a="float"))
    assert (server.made, server.counts) == ([], 2)
    one.written(5_000)
    await one.usable(needed(a="float"))
    assert server.made == [("a", "float", False)]


@pytest.mark.parametrize("kind", ["keyword", "bool", "text", "float", "integer", "datetime", "uuid"])
async def test_which_answers_are_relied_on(kind: str) -> None:
    server = Server()
    server.listed["a"] = kind
    one = await loaded(server)
    wrong = {
        "float": {"datetime", "uuid"},
        "integer": {"float", "datetime", "uuid"},
        "datetime": {"float", "uuid"},
        "uuid": {"uuid"},
    }.get(kind, set())
    for compared in ("keyword", "bool", "any", "float", "datetime", "uuid"):
        assert await one.usable(needed(a=compared)) is (compared not in wrong), compared
    assert server.made == []


async def test_two_filters_at_once_do_not_replace_each_other_s_index() -> None:
    server = Server()
    one = await loaded(server)
    answers = await asyncio.gather(*(one.usable(needed(a=kind)) for kind in ("float", "datetime", "float", "keyword")))
    assert server.made == [("a", "float", False)]
    assert answers == [True, False, True, True]


async def test_what_other_programs_made_is_seen_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(points=3)
    one = await loaded(server)
    assert await one.usable(needed(a="float"))
    server.listed["a"] = "datetime"
    monkeypatch.setattr(indexes, "_STALE_SECONDS", 0.0)
    assert not await one.usable(needed(a="float"))


async def test_credentials_that_may_only_read_are_heard_of_once(caplog: pytest.LogCaptureFixture) -> None:
    server = Server()
    server.failure = UnexpectedResponse(403, "Forbidden", b"no", None)  # type: ignore[arg-type]
    one = await loaded(server)
    with caplog.at_level(logging.WARNING, "ia_modules.vector_stores"):
        for _ in range(3):
            assert await one.usable(needed(a="float", b="keyword"))
            assert await one.usable(needed(a="datetime"))
    assert len(caplog.messages) == 1


async def test_any_other_failure_is_the_filter_s() -> None:
    server = Server()
    server.failure = UnexpectedResponse(500, "Internal", b"no", None)  # type: ignore[arg-type]
    with pytest.raises(UnexpectedResponse):
        await (await loaded(server)).usable(needed(a="float"))


async def test_none_is_made_if_that_is_turned_off() -> None:
    server = Server()
    assert await (await loaded(server, automatic=False)).usable(needed(a="float"))
    assert server.made == []
