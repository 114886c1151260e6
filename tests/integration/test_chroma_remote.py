"""A Chroma server that misbehaves: what the caller sees, and what is tried again."""

from __future__ import annotations

import asyncio
import datetime
import gc
import ipaddress
import ssl
import traceback
from pathlib import Path
from typing import Any

import pytest

from chroma_stub import Answer, ChromaStub
from conftest import free_port
from ia_modules.vector_stores import (
    AuthenticationError,
    ChromaVectorStore,
    ConnectionError,
    OperationTimeoutError,
    RateLimitError,
    VectorDocument,
    VectorStoreConfig,
    VectorStoreError,
)

KEY = "sk-very-secret-token"


def store_at(port: int, **given: Any) -> ChromaVectorStore:
    fields = {"provider": "chroma", "host": "127.0.0.1", "port": port, "index_name": "articles", "retry_delay": 0.001}
    return ChromaVectorStore(VectorStoreConfig(**fields | given))


@pytest.mark.parametrize("status", [401, 403])
async def test_refused_credentials_are_not_tried_again(status: int) -> None:
    with ChromaStub(Answer(status, "go away")) as server:
        async with store_at(server.port) as store:
            with pytest.raises(AuthenticationError, match=f"HTTP {status}") as caught:
                await store.index_exists()
    assert len(server.asked) == 1
    assert (caught.value.provider, caught.value.operation) == ("chroma", "index_exists")
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(408, ""), OperationTimeoutError),
        (Answer(429, "slow down"), RateLimitError),
        (Answer(500, "oops"), VectorStoreError),
        (Answer(500, {"error": "InternalError", "message": "oops"}), VectorStoreError),
        (Answer(502, ""), ConnectionError),
        (Answer(503, ""), ConnectionError),
        (Answer(504, ""), OperationTimeoutError),
        (Answer(action="drop"), ConnectionError),
    ],
    ids=["408", "429", "500", "500-chroma", "502", "503", "504", "dropped"],
)
async def test_passing_troubles_are_tried_again(answer: Answer, kind: type[VectorStoreError]) -> None:
    with ChromaStub(answer, answer) as server:
        async with store_at(server.port, max_retries=2) as store:
            assert not await store.index_exists()
            assert len(server.asked) == 3

            server.answers = [answer] * 9
            with pytest.raises(VectorStoreError) as caught:
                await store.index_exists()
    assert len(server.asked) == 6
    assert type(caught.value) is kind
    assert not caught.value.retryable


@pytest.mark.parametrize(
    "answer",
    [
        Answer(400, {"error": "InvalidArgumentError", "message": "bad"}),
        Answer(404, "<html>no such page</html>"),
        Answer(409, {"error": "UniqueConstraintError", "message": "there already"}),
        Answer(422, "unprocessable"),
        Answer(501, "not in this edition"),
    ],
    ids=lambda answer: str(answer.status),
)
async def test_lasting_troubles_are_not_tried_again(answer: Answer) -> None:
    with ChromaStub(*[answer] * 4) as server:
        async with store_at(server.port) as store:
            with pytest.raises(VectorStoreError) as caught:
                await store.index_exists()
    assert len(server.asked) == (4 if answer.status == 501 else 1)  # 5xx can't be told apart by much
    assert not caught.value.retryable


async def test_a_collection_that_is_not_there_is_no_error() -> None:
    with ChromaStub() as server:
        async with store_at(server.port) as store:
            assert await store.index_exists() is False


async def test_retry_after_is_waited_for() -> None:
    with ChromaStub(Answer(429, "", {"Retry-After": "0.3"})) as server:
        async with store_at(server.port) as store:
            loop = asyncio.get_running_loop()
            started = loop.time()
            await store.index_exists()
    assert loop.time() - started >= 0.3


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7.0), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("", None), ("-3", 0.0)]
)
async def test_retry_after_is_on_the_error(header: str, seconds: float | None) -> None:
    with ChromaStub(Answer(429, "", {"Retry-After": header})) as server:
        async with store_at(server.port, max_retries=0) as store:
            with pytest.raises(RateLimitError) as caught:
                await store.index_exists()
    assert caught.value.retry_after == seconds


async def test_a_wait_beyond_the_deadline_is_not_begun() -> None:
    with ChromaStub(Answer(429, "", {"Retry-After": "3600"})) as server:
        async with store_at(server.port, timeout=20) as store:
            with pytest.raises(RateLimitError) as caught:
                await store.index_exists()
    assert caught.value.retry_after == 3600
    assert len(server.asked) == 1


async def test_a_server_that_says_nothing_runs_into_the_deadline() -> None:
    with ChromaStub(Answer(action="hang")) as server:
        async with store_at(server.port, timeout=1.5) as store:
            with pytest.raises(OperationTimeoutError, match=r"1\.5 s"):
                await store.index_exists()
            server.released.set()
            assert not await store.index_exists()


async def test_nothing_listens() -> None:
    store = store_at(free_port(), max_retries=1)
    with pytest.raises(ConnectionError) as caught:
        await store.connect()
    assert caught.value.operation == "connect"
    assert caught.value.__cause__ is not None


async def test_a_failed_connect_can_be_made_good() -> None:
    with ChromaStub(connecting=(Answer(503, ""),)) as server:
        store = store_at(server.port, max_retries=0)
        with pytest.raises(ConnectionError):
            await store.connect()
        assert not await store.index_exists()
        await store.disconnect()


async def test_an_unknown_database_is_heard_of_at_connect() -> None:
    missing = Answer(404, {"error": "NotFoundError", "message": "Database [d] not found"})
    heartbeat = Answer(200, {"nanosecond heartbeat": 1})
    with ChromaStub(connecting=(heartbeat, missing)) as server, pytest.raises(VectorStoreError, match="Database"):
        await store_at(server.port, options={"database": "d"}).connect()
    assert server.seen[-1].path == "/api/v2/tenants/default_tenant/databases/d"


async def test_keys_and_headers_stay_with_their_store() -> None:
    with ChromaStub() as mine, ChromaStub() as yours, ChromaStub() as open_server:
        stores = [
            store_at(mine.port, api_key=KEY, tls=False),
            store_at(yours.port, api_key="sk-other", tls=False, options={"headers": {"X-Team": "yours"}}),
            store_at(open_server.port),
        ]
        await asyncio.gather(*(store.connect() for store in stores))
        await asyncio.gather(*(store.index_exists() for store in stores * 3))
        await asyncio.gather(*(store.disconnect() for store in stores))

    def sent(server: ChromaStub, name: str) -> set[str | None]:
        assert len(server.seen) >= 5
        return {seen.headers.get(name) for seen in server.seen}

    assert sent(mine, "x-chroma-token") == {KEY}
    assert sent(yours, "x-chroma-token") == {"sk-other"}
    assert sent(open_server, "x-chroma-token") == {None}
    assert [sent(server, "x-team") for server in (mine, yours, open_server)] == [{None}, {"yours"}, {None}]


async def test_a_server_that_repeats_the_key_gives_nothing_away() -> None:
    with ChromaStub(connecting=(Answer(401, f"unknown token {KEY}"),)) as server:
        store = store_at(server.port, api_key=KEY, tls=False)
        with pytest.raises(AuthenticationError) as caught:
            await store.connect()
    assert KEY not in "".join(traceback.format_exception(caught.value))
    assert "***" in str(caught.value)


@pytest.mark.parametrize("key", [f"{KEY}\n", f"{KEY}\r\nX-Other: 1", f" {KEY}", f"{KEY}é", ""])
def test_a_key_that_is_no_header_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(ValueError, match="api_key") as caught:
        VectorStoreConfig(provider="chroma", host="h", index_name="i", api_key=key)
    assert KEY not in "".join(traceback.format_exception(caught.value))


def _self_signed(folder: Path) -> ssl.SSLContext:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


async def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    with (
        ChromaStub(tls=_self_signed(tmp_path)) as server,
        pytest.raises(ConnectionError, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        await store_at(server.port, api_key=KEY, max_retries=0).connect()
    assert server.seen == []


async def test_an_api_key_turns_tls_on() -> None:
    with ChromaStub() as server, pytest.raises(ConnectionError):
        await store_at(server.port, api_key=KEY, max_retries=0).connect()
    assert server.seen == []


@pytest.mark.targets("chroma-server")
def test_a_store_moves_to_a_second_loop(store_config: Any) -> None:
    store = ChromaVectorStore(store_config(dimension=3))
    documents = [VectorDocument(id="same", vector=[1, 2, 3], metadata={"n": n}) for n in range(4)]

    async def use() -> None:
        # The same id at once, so that the writers have to wait for each other.
        await asyncio.gather(*(store.upsert([document]) for document in documents))
        assert await store.count() == 1

    async def begin() -> None:
        await store.create_index(3)
        await use()
        await store.disconnect()

    async def end() -> None:
        await use()
        await store.disconnect()

    asyncio.run(begin())
    asyncio.run(end())


@pytest.mark.targets("chroma-server")
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_loop_that_ended_without_disconnect_took_the_connection_along(store_config: Any) -> None:
    store = ChromaVectorStore(store_config(dimension=3, api_key=KEY, tls=False))

    async def use() -> set[Any]:
        await store.upsert([VectorDocument(id="a", vector=[1, 2, 3])], namespace="n")
        assert await store.count(namespace="n") == 1
        return {handle._client for handle in store._handles.values()}

    async def end() -> None:
        # In a loop that it does not know, Chroma makes a client of its own, without key and timeout.
        assert await use() == {store._backend._server}  # type: ignore[attr-defined]
        await store.disconnect()

    asyncio.run(store.create_index(3))
    asyncio.run(use())
    asyncio.run(end())
    gc.collect()


@pytest.mark.targets("chroma-server")
async def test_a_cancelled_write_lets_the_next_one_in(store: Any) -> None:
    for delay in (0, 0.001, 0.003, 0.01):
        document = VectorDocument(id="a", vector=[1, 2, 3], metadata={"delay": delay})
        writes = [asyncio.create_task(store.upsert([document])) for _ in range(3)]
        await asyncio.sleep(delay)
        writes[1].cancel()
        writes[0].cancel()
        await asyncio.gather(*writes, return_exceptions=True)
        assert await store.fetch(["a"]) == [document]
