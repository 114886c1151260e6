"""Keys and headers: in no error of a config however it was handed in, and in nothing that a command prints."""

from __future__ import annotations

import json
import traceback
from typing import Any

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from conftest import free_port
from ia_modules.vector_stores import SearchFilter, VectorDocument, VectorStoreConfig, create_vector_store
from ia_modules.vector_stores.cli.app import app

KEY = "sk-very-secret-token"
CONTENT = "what the document says"
GIVEN: dict[str, Any] = {"provider": "chroma", "index_name": "i", "host": "h", "api_key": KEY}


def everything(error: BaseException) -> str:
    """All that a program would log, or send somewhere."""
    shown = "".join(traceback.format_exception(error)) + repr(error) + str(vars(error))
    if isinstance(error, ValidationError):
        shown += repr(error.errors()) + error.json()
    return shown


WRONG: dict[str, dict[str, Any]] = {
    "a number": {"dimension": -1},
    "a misspelt field": {"apikey": KEY},
    "the key's line end": {"api_key": f"{KEY}\n"},
    "a list of keys": {"api_key": [KEY]},
    "a host with credentials": {"host": f"https://me:{KEY}@h"},
    "a password for a port": {"host": f"https://me:{KEY}"},
    "a host that normalises": {"host": f"https://me:{KEY}\u2100@h"},
    "a host with a port": {"host": f"h:{KEY}"},
    "headers that are text": {"options": {"headers": KEY}},
    "options that are text": {"options": KEY},
    "headers beside another mistake": {"port": 0, "options": {"headers": {"Authorization": KEY}}},
    "a proxy beside another mistake": {"port": 0, "options": {"proxy_url": f"http://me:{KEY}@proxy:1"}},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_refused_config_shows_no_input(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        VectorStoreConfig(**GIVEN | wrong)
    assert KEY not in everything(caught.value)
    assert {one["input"] for one in caught.value.errors()} == {"***"}


def test_a_refused_config_still_says_what_is_wrong() -> None:
    with pytest.raises(ValidationError) as caught:
        VectorStoreConfig(**GIVEN | {"dimension": -1, "port": "many"})
    found = {one["loc"]: (one["type"], one["msg"]) for one in caught.value.errors()}
    assert found["dimension",] == ("greater_than", "Input should be greater than 0")
    assert found["port",][0] == "int_parsing"
    assert caught.value.title == "VectorStoreConfig"


@pytest.mark.parametrize("wrong", [{"dimension": -1}, {"apikey": KEY}, {"api_key": f"{KEY}\n"}], ids=str)
async def test_the_other_ways_to_hand_it_in(wrong: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IA_VECTORS_API_KEY", KEY)
    for make in (
        lambda: VectorStoreConfig.from_url("chroma://h/i", **{"api_key": KEY} | wrong),
        lambda: VectorStoreConfig.from_env(**GIVEN | wrong),
        lambda: VectorStoreConfig.model_validate(GIVEN | wrong),
        lambda: VectorStoreConfig.model_validate_json(json.dumps(GIVEN | wrong)),
    ):
        with pytest.raises(ValueError) as caught:  # noqa: PT011 - what it says is tested elsewhere
            make()
        assert KEY not in everything(caught.value)
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        await create_vector_store(**GIVEN | wrong)
    assert KEY not in everything(caught.value)


@pytest.mark.parametrize(
    "options", [f'["{KEY}"]', f'{{"headers": {{"Authorization": "{KEY}"', "[" * 100_000, "3"], ids=lambda text: text[:3]
)
def test_options_of_the_environment(options: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IA_VECTORS_STORE", "chroma://h/i")
    monkeypatch.setenv("IA_VECTORS_OPTIONS", options)
    with pytest.raises(ValueError, match="IA_VECTORS_OPTIONS is") as caught:
        VectorStoreConfig.from_env()
    assert KEY not in everything(caught.value)


@pytest.mark.parametrize(
    "url",
    [f"qdrant://me:{KEY}/i", f"qdrant://me:{KEY}@h/i", "qdrant://h/i?options=" + "[" * 100_000, "qdrant://h/\ud800"],
    ids=lambda url: url[:30].encode(errors="replace").decode(),
)
def test_a_refused_url(url: str) -> None:
    with pytest.raises(ValueError, match="store URL") as caught:
        VectorStoreConfig.from_url(url, api_key=KEY)
    assert KEY not in everything(caught.value)


def test_the_credentials_of_a_proxy() -> None:
    made = VectorStoreConfig(
        provider="pinecone", index_name="i", options={"proxy_url": f"http://me:{KEY}@proxy:3128", "ssl_ca_certs": "x"}
    )
    assert made.proxy == f"http://me:{KEY}@proxy:3128"
    assert KEY in made.secrets
    for shown in (repr(made), str(made), made.to_url(), made.model_dump_json(), repr(made.model_dump())):
        assert KEY not in shown
    assert "ssl_ca_certs" in made.to_url()
    plain = VectorStoreConfig(provider="pinecone", index_name="i", options={"proxy_url": "http://proxy:3128"})
    assert plain.proxy == "http://proxy:3128"
    assert "proxy" in plain.to_url()
    assert VectorStoreConfig(provider="pinecone", index_name="i").proxy is None


@pytest.mark.parametrize("port", [None, 1], ids=["unreachable", "refused"])
def test_the_doctor_tells_nobody(port: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IA_VECTORS_API_KEY", KEY)
    monkeypatch.setenv("IA_VECTORS_OPTIONS", json.dumps({"headers": {"Authorization": f"Bearer {KEY}"}}))
    monkeypatch.setenv("IA_VECTORS_TLS", "false")
    monkeypatch.setenv("IA_VECTORS_MAX_RETRIES", "0")
    where = f"chroma://127.0.0.1:{port or free_port()}/i" if port is None else f"chroma://me:{KEY}/i"
    monkeypatch.setenv("IA_VECTORS_STORE", where)
    result = CliRunner().invoke(app, ["doctor", "--json"])
    assert '"store"' in result.output
    assert KEY not in result.output + repr(result.exception)


DOCUMENT: dict[str, Any] = {"id": "a", "vector": [1.0], "text": CONTENT, "metadata": {"k": CONTENT}}


@pytest.mark.parametrize(
    "wrong",
    [
        {"text": CONTENT.encode()},
        {"body": CONTENT},
        {"metadata": CONTENT},
        {"metadata": [CONTENT]},
        {"metadata": {1: CONTENT}},
        {"vector": [CONTENT]},
        {"vector": CONTENT},
        {"vector": [float("nan")]},
        {"id": ""},
        {"id": None},
    ],
    ids=lambda wrong: f"{next(iter(wrong))} {type(next(iter(wrong.values()))).__name__}",
)
def test_a_refused_document_does_not_show_what_it_says(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        VectorDocument(**DOCUMENT | wrong)
    assert CONTENT not in str(caught.value) + "".join(traceback.format_exception(caught.value))
    missing = {name: value for name, value in DOCUMENT.items() if name != "vector"}
    with pytest.raises(ValidationError, match="vector") as caught:
        VectorDocument(**missing)
    assert CONTENT not in str(caught.value)


def test_a_refused_filter_does_not_show_its_value() -> None:
    with pytest.raises(ValidationError) as caught:
        SearchFilter(field="a", operator="in", value=CONTENT)
    assert CONTENT not in str(caught.value)
