"""Searching on servers that index later than they write, which no double does."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace
from typing import Any

import pytest

from ia_modules.vector_stores import VectorStoreConfig
from ia_modules.vector_stores.providers.weaviate import collection as module
from ia_modules.vector_stores.providers.weaviate.collection import Collection
from ia_modules.vector_stores.providers.weaviate.connection import Connection
from ia_modules.vector_stores.providers.weaviate.errors import RefusedError

pytest.importorskip("weaviate")


class Server:
    """A connection whose server has so many vectors waiting each time that it is asked."""

    message_bytes = 2**20

    def __init__(self, *waiting: int, indexes_later: bool = True) -> None:
        self.waiting = list(waiting)
        self.asked: list[dict[str, str]] = []
        self.indexes_later = indexes_later

    async def get(self, path: str, **parameters: str) -> Any:
        assert path == "/nodes/C"
        self.asked.append(parameters)
        length = self.waiting.pop(0) if len(self.waiting) > 1 else self.waiting[0]
        return {"nodes": [{"shards": [{"vectorQueueLength": 0}, {"vectorQueueLength": length}]}, {"shards": None}]}

    async def call(self, method: str, request: Any) -> Any:
        return SimpleNamespace(errors=[])


async def wrote(server: Server, patience: float = 5.0, tenant: str = "_default") -> Collection:
    from weaviate.proto.v1 import batch_pb2

    made = Collection(server, "C", None, patience)  # type: ignore[arg-type]
    assert await made.write([batch_pb2.BatchObject(tenant=tenant)]) == {}
    return made


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIRST_PAUSE", 0.001)


async def test_a_search_waits_once_for_what_was_written() -> None:
    server = Server(7, 3, 0)
    made = await wrote(server)
    await made.settled("")
    assert server.asked == [{"output": "verbose", "shardName": "_default"}] * 3
    await made.settled("")
    assert len(server.asked) == 3


async def test_searches_at_the_same_time_all_wait() -> None:
    server = Server(7, 7, 7, 0)
    made = await wrote(server)
    first = asyncio.create_task(made.settled(""))
    await asyncio.sleep(0)
    await made.settled("")
    assert server.waiting == [0]
    await first


async def test_a_cancelled_search_leaves_the_waiting_to_the_next() -> None:
    server = Server(7)
    made = await wrote(server)
    task = asyncio.create_task(made.settled(""))
    await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    asked = len(server.asked)
    server.waiting = [0]
    await made.settled("")
    assert len(server.asked) == asked + 1


async def test_other_namespaces_are_not_waited_for() -> None:
    server = Server(7)
    await (await wrote(server, tenant="other")).settled("")
    assert server.asked == []


async def test_it_does_not_wait_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    server = Server(7)
    made = await wrote(server, patience=0.01)
    with caplog.at_level(logging.WARNING):
        await made.settled("")
    assert "did not wait longer than 0.01 s" in caplog.text
    asked = len(server.asked)
    await made.settled("")
    assert len(server.asked) > asked, "what was not waited for is still not there"


@pytest.mark.parametrize("server", [Server(7, indexes_later=False), Server(7)])
async def test_it_does_not_wait_where_it_need_not(server: Server) -> None:
    await (await wrote(server, patience=0.0 if server.indexes_later else 5.0)).settled("")
    assert server.asked == []


async def test_few_of_few_are_not_taken_for_all_of_them_there() -> None:
    assert not await Collection(Server(7), "C", None, 5.0).answers_exactly("")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("nodes", "later"),
    [
        ([{"batchStats": {"queueLength": 0, "ratePerSecond": 0}}], False),
        ([{"batchStats": {"ratePerSecond": 0}}], True),
        ([], False),
        (RefusedError(403, "", None), False),
    ],
)
async def test_how_such_a_server_is_known(nodes: Any, later: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Connection(VectorStoreConfig(provider="weaviate", index_name="i"))

    async def get(path: str) -> Any:
        if isinstance(nodes, Exception):
            raise nodes
        return {"nodes": nodes}

    monkeypatch.setattr(made, "get", get)
    assert await made._indexes_later() is later
