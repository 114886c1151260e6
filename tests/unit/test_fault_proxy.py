"""The proxy that lets connections fail does what it says, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from faultproxy import Fault, FaultProxy, Kind, Random, Way, proxied

ANSWER = b"a" * 1000


class Server:
    """Answers each line with ``ANSWER``; notes all bytes that arrive, and how each connection's stream ended."""

    def __init__(self) -> None:
        self.received: list[bytearray] = []
        self.ended: list[str] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen = bytearray()
        self.received.append(seen)
        try:
            while data := await reader.read(65536):
                seen += data
                if data.endswith(b"\n"):
                    writer.write(ANSWER)
                    await writer.drain()
            self.ended.append("end")
        except ConnectionError:
            self.ended.append("reset")
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


@asynccontextmanager
async def serving() -> AsyncIterator[Server]:
    made = Server()
    listening = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = listening.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        listening.close()
        await listening.wait_closed()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as made:
        yield made


@asynccontextmanager
async def dialled(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def ask(port: int, request: bytes = b"question\n") -> bytes:
    """What one connection is answered before it ends or has all."""
    async with dialled(port) as (reader, writer):
        writer.write(request)
        answer = b""
        while len(answer) < len(ANSWER) and (data := await reader.read(65536)):
            answer += data
        return answer


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - whatever it is
            await asyncio.sleep(0.005)


def sockets() -> set[str]:
    """The sockets that this process has open."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            target = str(entry.readlink())
            if target.startswith("socket:"):
                found.add(target)
    return found


async def test_without_faults_everything_passes(server: Server) -> None:
    async with proxied(("127.0.0.1", server.port)) as proxy:
        assert await ask(proxy.port) == ANSWER
        large = b"x" * 3_000_000 + b"\n"
        assert await ask(proxy.port, large) == ANSWER
        await until(lambda: proxy.open == 0)
        assert [len(one) for one in server.received] == [9, len(large)]
        assert proxy.forwarded == {Way.REQUEST: 9 + len(large), Way.ANSWER: 2 * len(ANSWER)}
        assert proxy.accepted == 2
        assert not proxy.injected
        assert not proxy.lost


async def test_a_slow_reader_is_waited_for() -> None:
    """What a server sends is not piled up in the proxy."""
    size = 20_000_000
    sent = 0

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        for _ in range(size // 100_000):
            writer.write(b"x" * 100_000)
            await writer.drain()
            sent += 100_000
        writer.close()
        await writer.wait_closed()

    listening = await asyncio.start_server(pour, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    async with listening, proxied(("127.0.0.1", port)) as proxy, dialled(proxy.port) as (reader, _):
        before = -1
        while before != sent:  # until nothing moves any more
            before = sent
            await asyncio.sleep(0.1)
        assert sent < size
        total = 0
        while data := await reader.read(1_000_000):
            total += len(data)
        assert total == size


async def test_refuse(server: Server) -> None:
    async with proxied(("127.0.0.1", server.port), [Fault(Kind.REFUSE)]) as proxy:
        with pytest.raises(ConnectionError):
            await ask(proxy.port)
        assert await ask(proxy.port) == ANSWER
        assert len(server.received) == 1
        assert proxy.injected == {Kind.REFUSE: 1}


@pytest.mark.parametrize("after", [0, 4])
@pytest.mark.parametrize("kind", [Kind.CUT, Kind.RESET])
async def test_a_request_is_lost(server: Server, kind: Kind, after: int) -> None:
    async with proxied(("127.0.0.1", server.port), [Fault(kind, Way.REQUEST, after)]) as proxy:
        with suppress(ConnectionResetError):
            assert await ask(proxy.port) == b""
        await until(lambda: len(server.ended) == 1)
        assert b"".join(server.received) == b"question\n"[:after]
        assert proxy.injected == {kind: 1}
        assert proxy.lost == {Way.REQUEST: 1}


async def test_an_answer_is_cut(server: Server) -> None:
    async with proxied(("127.0.0.1", server.port), [Fault(Kind.CUT, Way.ANSWER, 300)]) as proxy:
        assert await ask(proxy.port) == ANSWER[:300]
        assert server.received == [b"question\n"]
        await until(lambda: proxy.open == 0 and server.ended)
        assert proxy.lost == {Way.ANSWER: 1}


async def test_an_answer_is_reset(server: Server) -> None:
    async with (
        proxied(("127.0.0.1", server.port), [Fault(Kind.RESET, Way.ANSWER, 300)]) as proxy,
        dialled(proxy.port) as (reader, writer),
    ):
        writer.write(b"question\n")
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(len(ANSWER))
        assert server.received == [b"question\n"]
        await until(lambda: proxy.open == 0)
        assert proxy.injected == {Kind.RESET: 1}


async def test_half_of_a_connection_ends(server: Server) -> None:
    plan = [Fault(Kind.HALF_CLOSE, Way.ANSWER, 300), Fault(Kind.HALF_CLOSE, Way.REQUEST, 5)]
    async with proxied(("127.0.0.1", server.port), plan) as proxy:
        async with dialled(proxy.port) as (reader, writer):
            writer.write(b"question\n")
            assert await reader.read() == ANSWER[:300]
            writer.write(b"more\n")  # the other direction goes on
            await until(lambda: server.received == [b"question\nmore\n"])
            assert not server.ended
        await until(lambda: server.ended == ["end"])
        assert await ask(proxy.port) == b""
        assert server.received[1] == b"quest"
        assert server.ended == ["end", "end"]
        await until(lambda: proxy.open == 0)
        assert proxy.lost == {Way.ANSWER: 1, Way.REQUEST: 1}


@pytest.mark.parametrize("way", Way)
@pytest.mark.parametrize("kind", [Kind.STALL, Kind.DELAY])
async def test_it_takes_longer(server: Server, kind: Kind, way: Way) -> None:
    clock = asyncio.get_running_loop().time
    async with proxied(("127.0.0.1", server.port), [Fault(kind, way, 3, seconds=0.1)]) as proxy:
        started = clock()
        assert await ask(proxy.port) == ANSWER
        assert clock() - started >= 0.1
        assert proxy.injected == {kind: 1}
        assert not proxy.lost


async def test_who_leaves_during_a_stall_is_not_heard(server: Server) -> None:
    async with proxied(("127.0.0.1", server.port), [Fault(Kind.STALL, Way.REQUEST, 4, seconds=3600)]) as proxy:
        async with dialled(proxy.port) as (_, writer):
            writer.write(b"question\n")
            await until(lambda: server.received == [b"ques"])
        await until(lambda: proxy.open == 0 and server.ended)
        assert server.received == [b"ques"]


async def test_throttle(server: Server) -> None:
    clock = asyncio.get_running_loop().time
    async with proxied(("127.0.0.1", server.port), [Fault(Kind.THROTTLE, Way.ANSWER, rate=5_000)]) as proxy:
        started = clock()
        assert await ask(proxy.port) == ANSWER
        assert clock() - started >= 0.9 * (len(ANSWER) / 5_000 - 0.01)  # the first slice goes at once
        assert proxy.injected == {Kind.THROTTLE: 1}


async def test_a_fault_that_hits_nothing_does_not_count(server: Server) -> None:
    async with proxied(("127.0.0.1", server.port), [Fault(Kind.CUT, Way.REQUEST, 1000), None]) as proxy:
        assert await ask(proxy.port) == ANSWER
        assert await ask(proxy.port) == ANSWER
        assert not proxy.injected


async def test_a_pause(server: Server) -> None:
    chances = Random(1, 1.0)
    async with proxied(("127.0.0.1", server.port), [Fault(Kind.REFUSE)], chances) as proxy:
        proxy.paused = True
        for _ in range(20):
            assert await ask(proxy.port) == ANSWER
        assert not proxy.injected
        proxy.paused = False
        with pytest.raises(ConnectionError):
            await ask(proxy.port)
        assert proxy.injected == {Kind.REFUSE: 1}


async def test_another_server_takes_over(server: Server) -> None:
    async with serving() as other, proxied(("127.0.0.1", server.port)) as proxy:
        async with dialled(proxy.port) as (reader, writer):
            writer.write(b"question\n")
            assert await reader.readexactly(len(ANSWER)) == ANSWER
            proxy.upstream = ("127.0.0.1", other.port)
            assert await ask(proxy.port) == ANSWER
            writer.write(b"more\n")
            assert await reader.readexactly(len(ANSWER)) == ANSWER
        assert server.received == [b"question\nmore\n"]
        assert other.received == [b"question\n"]


async def test_no_server() -> None:
    async with serving() as server:
        gone = server.port
    async with proxied(("127.0.0.1", gone)) as proxy:
        with pytest.raises(ConnectionError):
            await ask(proxy.port)
        await until(lambda: proxy.open == 0)
        assert proxy.unreachable == 1
        assert not proxy.injected


async def test_an_idle_connection_is_closed(server: Server) -> None:
    async with (
        proxied(("127.0.0.1", server.port), chances=Random(1, 1.0, {Kind.DELAY: 1.0}, seconds=0.0)) as proxy,
        dialled(proxy.port) as (reader, writer),
    ):
        writer.write(b"question\n")
        assert await reader.read(len(ANSWER)) != b""
        await reader.read()
        assert proxy.idle_closed == 1
        assert Kind.CUT not in proxy.injected


def test_the_same_seed_draws_the_same_faults() -> None:
    def drawn(seed: int) -> list[object]:
        chances = Random(seed, 0.3)
        return [
            one
            for size in range(1, 200)
            for one in (chances.of_connection(), chances.of_piece(Way.ANSWER, size), chances.idle_seconds())
        ]

    assert drawn(7) == drawn(7)
    assert drawn(7) != drawn(8)
    assert {fault.kind for fault in drawn(7) if isinstance(fault, Fault)} == set(Kind)


async def test_nothing_is_left_behind(server: Server) -> None:
    """Many connections with faults of all kinds; some are still stalled in the end."""
    before = sockets()
    chances = Random(int(os.environ.get("IA_CHAOS_SEED", "5")), 0.2, seconds=0.05)
    proxy = FaultProxy(("127.0.0.1", server.port), chances=chances)
    await proxy.start()

    async def one() -> None:
        with suppress(ConnectionError):
            async with asyncio.timeout(10), dialled(proxy.port) as (reader, writer):
                for _ in range(5):
                    writer.write(b"question\n")
                    if len(await reader.read(len(ANSWER))) < len(ANSWER):
                        return

    for _ in range(10):
        await asyncio.gather(*(one() for _ in range(30)))
    assert set(proxy.injected) == set(Kind)
    proxy.chances = None
    proxy.plan.extend([Fault(Kind.STALL, Way.REQUEST, seconds=3600), Fault(Kind.THROTTLE, Way.ANSWER, rate=1)] * 5)
    waiting = [asyncio.create_task(ask(proxy.port)) for _ in range(10)]
    await until(lambda: proxy.injected[Kind.STALL] >= 5 and not proxy.plan)
    await proxy.stop()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert proxy.open == 0
    await until(lambda: len(server.ended) == len(server.received))
    await until(lambda: sockets() <= before)
    await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})
