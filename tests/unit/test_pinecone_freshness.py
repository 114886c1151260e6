"""Waiting until what was written can be read."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

import pytest

from ia_modules.vector_stores.providers.pinecone import freshness as module
from ia_modules.vector_stores.providers.pinecone.freshness import Freshness


class Index:
    """Answers of an index that gets on by one position with each question; None for one that does not tell."""

    def __init__(self, *positions: int | None) -> None:
        self.positions = list(positions)
        self.asked = 0

    async def ask(self) -> Mapping[str, str]:
        self.asked += 1
        position = self.positions.pop(0) if len(self.positions) > 1 else self.positions[0]
        return {} if position is None else {"x-pinecone-max-indexed-lsn": str(position)}


def wrote(position: int, name: str = "x-pinecone-request-lsn") -> Mapping[str, str]:
    return {name: str(position)}


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIRST_PAUSE", 0.001)


async def test_a_read_waits_once_for_what_was_written() -> None:
    fresh, index = Freshness(5), Index(3, 6, 7)
    fresh.written("a", wrote(7))
    await fresh.until_fresh("a", index.ask)
    assert index.asked == 3
    await fresh.until_fresh("a", index.ask)
    assert index.asked == 3


async def test_only_in_the_namespace_that_was_written_to() -> None:
    fresh, index = Freshness(5), Index(0)
    fresh.written("a", wrote(1))
    await fresh.until_fresh("b", index.ask)
    assert index.asked == 0
    assert fresh.unsettled == ["a"]


async def test_the_last_of_several_writes_counts_whatever_order_they_are_answered_in() -> None:
    fresh, index = Freshness(5), Index(8, 9)
    for position in (7, 9, 8):
        fresh.written("a", wrote(position, "x-pinecone-lsn-committed"))
    await fresh.until_fresh("a", index.ask)
    assert index.asked == 2


async def test_the_wait_ends(caplog: pytest.LogCaptureFixture) -> None:
    fresh, index = Freshness(0.05), Index(1)
    fresh.written("a", wrote(2))
    with caplog.at_level(logging.WARNING):
        await fresh.until_fresh("a", index.ask)
    assert index.asked > 3
    assert "not indexed after 0.05 s" in caplog.text
    fresh.written("a", wrote(3))
    asked = index.asked
    await fresh.until_fresh("a", index.ask)
    assert index.asked > asked + 3, "a service that is late once is not given up"


async def test_a_service_that_never_tells_is_given_up_after_the_first_wait() -> None:
    fresh, index = Freshness(0.05), Index(None)
    fresh.written("a", wrote(2))
    await fresh.until_fresh("a", index.ask)
    assert index.asked > 3
    asked = index.asked
    fresh.written("b", wrote(2))
    await fresh.until_fresh("b", index.ask)
    assert index.asked == asked + 1


async def test_one_that_tells_sometimes_is_not() -> None:
    fresh, index = Freshness(5), Index(1, None, None, 2)
    fresh.written("a", wrote(2))
    await fresh.until_fresh("a", index.ask)
    assert index.asked == 4


async def test_each_of_several_reads_waits_for_itself() -> None:
    """The answer to a question that was asked early can come after a fresh one."""
    fresh = Freshness(5)
    fresh.written("a", wrote(2))
    early, late = Index(1, 2), Index(2)
    asked = asyncio.Event()

    async def slowly() -> Mapping[str, str]:
        answer = await early.ask()
        await asked.wait()
        return answer

    reading = asyncio.ensure_future(fresh.until_fresh("a", slowly))
    await asyncio.sleep(0)
    await fresh.until_fresh("a", late.ask)
    asked.set()
    await reading
    assert early.asked == 2


async def test_what_is_written_meanwhile_is_still_waited_for() -> None:
    fresh, index = Freshness(5), Index(2, 3)
    fresh.written("a", wrote(2))

    async def ask() -> Mapping[str, str]:
        fresh.written("a", wrote(3))
        return await index.ask()

    await fresh.until_fresh("a", ask)
    assert fresh.unsettled == ["a"]


async def test_nothing_is_waited_for_without_a_position_or_a_wish_to() -> None:
    for fresh, headers in (
        (Freshness(5), {}),
        (Freshness(5), {"x-pinecone-request-lsn": "?"}),
        (Freshness(0), wrote(1)),
    ):
        fresh.written("a", headers)
        assert fresh.unsettled == []


async def test_another_index_has_other_positions() -> None:
    fresh = Freshness(5)
    fresh.written("a", wrote(2))
    fresh.forget()
    assert fresh.unsettled == []
