"""TLS: nobody's word is taken for who they are, and a key goes to nobody else."""

from __future__ import annotations

import datetime
import ipaddress
import logging
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import imported_quietly
from ia_modules.vector_stores import ConnectionError, OperationTimeoutError, VectorStoreConfig
from ia_modules.vector_stores.factory import provider_class
from ia_modules.vector_stores.providers.qdrant.errors import map_error

KEY = "sk-very-secret-token"
HEADER = "very-secret-header"


class Impostor:
    """A TLS server with a certificate that it signed itself; it keeps what it is sent and answers nothing of use."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self.certificate = certificate
        self.received = b""
        self.handshakes = 0
        self.refusals = 0
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)
        self._context.set_alpn_protocols(["h2", "http/1.1"])
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            try:
                connection.settimeout(5)
                with self._context.wrap_socket(connection, server_side=True) as stream:
                    # With TLS 1.3 the server is done before the client has looked at the certificate.
                    self.handshakes += 1
                    self.received += stream.recv(65536)
                    stream.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
            except (ssl.SSLError, OSError):
                self.refusals += 1
            finally:
                connection.close()

    def was_met(self) -> bool:
        """Whether a client came; its connection ends in another thread than this one, perhaps a moment later."""
        patience = time.monotonic() + 10
        while not self.handshakes + self.refusals and time.monotonic() < patience:
            time.sleep(0.01)
        return self.handshakes + self.refusals > 0

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(timeout=10)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that nobody vouches for, and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName("localhost"), x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))]
            ),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    public, private = folder / "certificate.pem", folder / "key.pem"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return public, private


@pytest.fixture
def impostor(certificate: tuple[Path, Path]) -> Iterator[Impostor]:
    server = Impostor(*certificate)
    yield server
    server.close()


def config(provider: str, port: int, **given: Any) -> VectorStoreConfig:
    options = {"headers": {"x-extra": HEADER}, **given.pop("options", {})}
    where = {"provider": provider, "host": "127.0.0.1", "port": port, "index_name": "i", "api_key": KEY}
    return VectorStoreConfig(
        **{**where, "options": options, "max_retries": 1, "retry_delay": 0.0, "timeout": 20.0, **given}
    )


async def refused(config: VectorStoreConfig) -> None:
    store = provider_class(config.provider)(config)
    try:
        with pytest.raises(ConnectionError) as caught:
            await store.connect()
        assert KEY not in str(caught.value)
        assert not caught.value.retryable
    finally:
        await store.disconnect()


REMOTE = {
    "chroma": config("chroma", 1),
    "qdrant": config("qdrant", 1),
    "weaviate": config("weaviate", 1),
    "pinecone": config("pinecone", 1, tls=True),  # on loopback there may be an emulator, so there it is off by default
}


@pytest.mark.parametrize("provider", REMOTE)
async def test_a_certificate_that_nobody_vouches_for_is_refused(provider: str, impostor: Impostor) -> None:
    with imported_quietly():
        await refused(REMOTE[provider].model_copy(update={"port": impostor.port}))
    assert impostor.received == b""
    assert impostor.was_met()


async def test_qdrant_over_grpc_refuses_it_too(impostor: Impostor) -> None:
    from ia_modules.vector_stores.providers.qdrant.protobuf import GrpcBackend

    backend = GrpcBackend(config("qdrant", 1, options={"grpc": True, "grpc_port": impostor.port}, timeout=3.0))
    client = backend._make_client()
    try:
        # Connecting asks over REST first; this goes over gRPC at once.
        with pytest.raises(Exception, match=r"(?i)ssl|handshake|certificate|unavailable|deadline") as caught:
            await client.get_collections()
    finally:
        await client.close()
    assert isinstance(map_error(caught.value), ConnectionError | OperationTimeoutError)
    assert impostor.received == b""
    assert impostor.was_met()


async def test_weaviate_over_grpc_refuses_it_too(impostor: Impostor) -> None:
    with imported_quietly():
        from emulator.weaviate import serving

        with serving() as double:
            options = {"grpc_port": impostor.port, "grpc_tls": True}
            await refused(config("weaviate", double.http_port, tls=False, options=options, timeout=3.0))
    assert impostor.received == b""
    assert impostor.was_met()


async def test_pinecone_trusts_the_certificates_that_it_is_given(impostor: Impostor) -> None:
    given = config("pinecone", impostor.port, tls=True, options={"ssl_ca_certs": str(impostor.certificate)})
    store = provider_class("pinecone")(given)
    await store.connect()  # what is not there is no index
    await store.disconnect()
    assert KEY.encode() in impostor.received  # so that the tests above can fail
    assert HEADER.encode() in impostor.received


@pytest.mark.parametrize("provider", ["chroma", "qdrant", "weaviate"])
async def test_others_trust_what_the_environment_names(
    provider: str, impostor: Impostor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(impostor.certificate))
    with imported_quietly():
        given = REMOTE[provider].model_copy(update={"port": impostor.port})
        if provider == "weaviate":
            given = given.model_copy(update={"options": {**given.options, "trust_env": True}})
        store = provider_class(provider)(given)
        with pytest.raises(Exception):  # noqa: B017, PT011 - whatever a server that answers 404 to everything leads to
            await store.connect()
        await store.disconnect()
    assert KEY.encode() in impostor.received


@pytest.mark.parametrize("provider", REMOTE)
def test_a_key_turns_tls_on(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    given = {"provider": provider, "host": "db.example.org", "index_name": "i", "api_key": KEY}
    if provider == "qdrant":
        from ia_modules.vector_stores.providers.qdrant.rest import RestBackend

        client = RestBackend(VectorStoreConfig(**given))._make_client()
        seen.append(client._client.rest_uri)
    elif provider == "weaviate":
        with imported_quietly():
            from ia_modules.vector_stores.providers.weaviate.connection import Connection as Weaviate

            client = Weaviate(VectorStoreConfig(**given))._make_client()
            assert client._connection._connection_params.grpc.secure
            seen.append(client._connection._connection_params._http_url)
    elif provider == "pinecone":
        from ia_modules.vector_stores.providers.pinecone.connection import Connection as Pinecone

        seen.append(Pinecone(VectorStoreConfig(**given), "i")._control_host() or "")
    else:
        import chromadb.api.async_fastapi as api

        class Seen(Exception):  # noqa: N818
            pass

        def stop(self: Any, system: Any) -> None:
            seen.append(f"http{'s' * system.settings.chroma_server_ssl_enabled}://")
            assert system.settings.chroma_server_ssl_verify is True
            raise Seen

        monkeypatch.setattr(api.AsyncFastAPI, "__init__", stop)
        import asyncio

        from ia_modules.vector_stores.providers.chroma.remote import RemoteBackend as Chroma

        with pytest.raises(Seen):
            asyncio.run(Chroma(VectorStoreConfig(**given)).open())
    assert seen[0].startswith("https://")


def test_a_key_without_tls_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    def warnings(**given: Any) -> str:
        caplog.clear()
        VectorStoreConfig(**{"provider": "qdrant", "index_name": "i", "api_key": KEY} | given)
        return caplog.text

    caplog.set_level(logging.WARNING)
    for shown in (warnings(host="http://db.example.org"), warnings(host="db.example.org", tls=False)):
        assert "db.example.org goes over a connection without TLS" in shown
        assert KEY not in shown
    assert not warnings(host="db.example.org")
    assert not warnings(host="https://db.example.org")
    assert not warnings(host="http://127.0.0.1:6333")
    assert not warnings(host="http://db.example.org", api_key=None)
