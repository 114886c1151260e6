"""What surrounds an embedded Chroma, and must not matter: variables, a ``.env`` file, the network."""

from __future__ import annotations

from pathlib import Path

import pytest

from processes import run_python

ENVIRONMENT = {
    "ALLOW_RESET": "true",
    "IS_PERSISTENT": "true",
    "PERSIST_DIRECTORY": "elsewhere",
    "CHROMA_SERVER_HOST": "192.0.2.1",
    "CHROMA_SERVER_HTTP_PORT": "1",
    "CHROMA_API_IMPL": "chromadb.api.fastapi.FastAPI",
    "CHROMA_SERVER_SSL_ENABLED": "true",
    "CHROMA_CLIENT_AUTH_PROVIDER": "chromadb.auth.token_authn.TokenAuthClientProvider",
    "CHROMA_CLIENT_AUTH_CREDENTIALS": "stolen",
    "MIGRATIONS": "none",
    "ANONYMIZED_TELEMETRY": "true",
}

USE = """
import asyncio, os, sys
from ia_modules.vector_stores import VectorDocument, create_vector_store

async def main():
    for url in sys.argv[1:]:
        async with await create_vector_store(url, create_if_missing=True) as store:
            await store.upsert([VectorDocument(id="a", vector=[1, 0, 0], metadata={"n": 1}, text="some words")])
            await store.upsert([VectorDocument(id="a", vector=[1, 0, 0], metadata={"m": 1}, text="other words")])
            await store.update_metadata("a", {"n": 2})
            found = await store.search([1, 0, 0])
            print(url.partition(":")[0], found.results[0].text)
            client = getattr(store._backend, "_client", None)
            if client is not None:
                settings = client.get_settings()
                assert settings.is_persistent is (":memory:" not in url), settings
                assert not settings.allow_reset
            await store.delete_index()

asyncio.run(main())
print(sorted(os.listdir()))
"""


@pytest.mark.parametrize("where", ["variables", "file"])
def test_the_environment_changes_nothing(where: str, tmp_path: Path, chroma_server: str) -> None:
    here = tmp_path / "here"
    here.mkdir()
    variables = {}
    if where == "variables":
        variables = ENVIRONMENT
    else:
        (here / ".env").write_text("".join(f"{name}={value}\n" for name, value in ENVIRONMENT.items()))
    urls = [f"chroma://{tmp_path}/db/i?dimension=3", "chroma:///:memory:/i?dimension=3"]
    urls.append(f"chroma://{chroma_server}/environment-{where}?dimension=3")
    assert run_python(USE, *urls, cwd=here, **variables).splitlines() == [
        *["chroma other words"] * 3,
        repr(sorted(path.name for path in here.iterdir())),
    ]
    assert [path.name for path in here.iterdir()] == ([".env"] if where == "file" else [])


NO_NETWORK = """
import socket

def refuse(*arguments, **more):
    raise AssertionError(f"network used: {arguments}")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = socket.create_connection = refuse
"""


def test_no_network_and_no_model(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    printed = run_python(NO_NETWORK + USE, f"chroma://{tmp_path}/db/i?dimension=3", cwd=home, HOME=str(home))
    assert printed.splitlines() == ["chroma other words", "[]"]
    assert list(home.rglob("*")) == []
