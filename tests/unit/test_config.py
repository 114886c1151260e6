"""Configs: by keyword, by URL, by environment; and what is never shown."""

from __future__ import annotations

import json
import logging
import pickle
import traceback
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from conftest import free_port
from ia_modules.vector_stores import ChromaVectorStore, ConnectionError, DistanceMetric, VectorStoreConfig

KEY = "sk-very-secret-token"


def config(**given: Any) -> VectorStoreConfig:
    return VectorStoreConfig(**{"provider": "chroma", "index_name": "i"} | given)


def test_defaults() -> None:
    assert config().model_dump() == {
        "provider": "chroma",
        "api_key": None,
        "host": None,
        "port": None,
        "index_name": "i",
        "namespace": None,
        "dimension": None,
        "metric": DistanceMetric.COSINE,
        "pool_size": 10,
        "pool_timeout": 30.0,
        "max_retries": 3,
        "retry_delay": 1.0,
        "path": None,
        "timeout": 60.0,
        "tls": None,
        "embedding_model": None,
        "options": {},
    }


@pytest.mark.parametrize(
    "given",
    [
        {"provider": ""},
        {"index_name": ""},
        {"dimension": 0},
        {"dimension": 2.5},
        {"metric": "hamming"},
        {"pool_size": 0},
        {"pool_timeout": 0},
        {"max_retries": -1},
        {"retry_delay": -0.1},
        {"timeout": 0},
        {"port": 0},
        {"port": 65536},
        {"dimensions": 3},
        {"options": [1]},
    ],
    ids=str,
)
def test_what_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(given))):
        config(**given)


def test_frozen() -> None:
    made = config()
    with pytest.raises(ValidationError, match="frozen"):
        made.dimension = 3


def test_a_path_object_is_a_path() -> None:
    assert config(path=Path("/tmp") / "x").path == "/tmp/x"


# The host


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"host": "db.example.org"}, ("db.example.org", None, None)),
        ({"host": "https://db.example.org"}, ("db.example.org", None, True)),
        ({"host": "http://db.example.org:8000/"}, ("db.example.org", 8000, False)),
        ({"host": "http://[::1]:8000"}, ("::1", 8000, False)),
        ({"host": "http://h:8000", "port": 9000}, ("h", 9000, False)),
        ({"host": "http://h:8000", "port": None, "tls": None}, ("h", 8000, False)),
        ({"host": "http://h", "tls": True}, ("h", None, True)),
    ],
)
def test_a_host_may_be_a_url(given: dict[str, Any], expected: tuple[Any, ...]) -> None:
    made = config(**given)
    assert (made.host, made.port, made.tls) == expected


@pytest.mark.parametrize(
    "host",
    [
        "ftp://h",
        "http://",
        f"https://user:{KEY}@h",
        "http://h:port",
        "http://h:99999",
        "http://[::1",
        "http://h/path",
        "http://h?x=1",
    ],
)
def test_a_host_that_is_no_host(host: str) -> None:
    with pytest.raises(ValidationError, match="host") as caught:
        config(host=host)
    assert KEY not in str(caught.value)


# URLs


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("qdrant://h:6333/articles?dimension=384", {"host": "h", "port": 6333, "dimension": 384}),
        ("qdrant://h/articles", {"host": "h"}),
        ("QDRANT://[::1]:6333/articles", {"host": "::1", "port": 6333}),
        ("qdrant:///data/db/articles", {"path": "/data/db"}),
        ("qdrant:db/articles", {"path": "db"}),
        ("qdrant:./my%20db/articles", {"path": "./my db"}),
        ("qdrant:///articles", {}),
        ("qdrant:///:memory:/articles", {"path": ":memory:"}),
        ("qdrant:///:memory:name/articles", {"path": ":memory:name"}),
        ("qdrant://h/articles?tls=true&timeout=none", {"host": "h", "tls": True, "timeout": None}),
        ("qdrant://h/articles?namespace=", {"host": "h", "namespace": ""}),
        ('qdrant://h/articles?options={"a":[1,"x"]}', {"host": "h", "options": {"a": [1, "x"]}}),
        ("qdrant://h/art%2Ficles%23", {"host": "h", "index_name": "art/icles#"}),
    ],
)
def test_urls(url: str, expected: dict[str, Any]) -> None:
    made = VectorStoreConfig.from_url(url)
    assert made == VectorStoreConfig(**{"provider": "qdrant", "index_name": "articles"} | expected)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("memory:///i", None),
        ("memory://Shared/i", "Shared"),
        ("memory://a%2Fb/i", "a/b"),
    ],
)
def test_memory_urls_share_by_name(url: str, expected: str | None) -> None:
    made = VectorStoreConfig.from_url(url)
    assert (made.path, made.host, made.index_name) == (expected, None, "i")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "looks like"),
        ("qdrant", "looks like"),
        ("://h/i", "looks like"),
        ("1db://h/i", "looks like"),
        (f"qdrant://me:{KEY}@h/i", "credentials"),
        (f"qdrant://{KEY}@h/i", "credentials"),
        (f"qdrant://h/i?api_key={KEY}", "unknown setting 'api_key'.*dimension"),
        ("qdrant://h/i#part", "%23"),
        ("qdrant://h", "names no index"),
        ("qdrant://h:6333/", "names no index"),
        ("qdrant:///folder/", "names no index"),
        ("qdrant://h/a/i", "one path part"),
        ("qdrant://h:port/i", "host"),
        ("qdrant://h:70000/i", "host"),
        ("qdrant://[::1/i", "host"),
        (f"qdrant://me:{KEY}\u2100@h/i", "host"),
        ("memory://name:3/i", "memory URL"),
        ("memory://name/a/i", "memory URL"),
        ("qdrant://h/i?dimension=3&dimension=4", "stands twice"),
        ("qdrant://h/i?options={", "not JSON"),
        ("qdrant://h/i?options=3", "options"),
        ("qdrant://h/i?dimension=many", "dimension"),
        ("qdrant://h/i?metric=hamming", "metric"),
    ],
)
def test_urls_that_are_refused(url: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        VectorStoreConfig.from_url(url)
    assert KEY not in "".join(traceback.format_exception(caught.value))


def test_keywords_win_over_the_url() -> None:
    made = VectorStoreConfig.from_url("qdrant://h/i?dimension=3&timeout=5", dimension=4, timeout=None, api_key=KEY)
    assert (made.dimension, made.timeout, made.secret) == (4, 5.0, KEY)


NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
SECONDS = st.floats(0.001, 1e6)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
HOSTS = st.sampled_from(["localhost", "db.example.org", "127.0.0.1", "::1", "fe80::1", "my-host_2"])
PATHS = st.sampled_from(
    ["/data", "/data/my db", "rel", "./rel/x", "../up", "/a%20b", "/ü/?#", ":memory:", ":memory:A/b", "C:/x"]
)
PLACES = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"host": HOSTS}, optional={"port": st.integers(1, 65535)}),
    st.fixed_dictionaries({"path": PATHS}),
    st.fixed_dictionaries({"provider": st.just("memory")}, optional={"path": NAMES}),
)
SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "namespace": st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
        "dimension": st.integers(1, 10**6),
        "metric": st.sampled_from(DistanceMetric),
        "pool_size": st.integers(1, 100),
        "pool_timeout": SECONDS,
        "max_retries": st.integers(0, 10),
        "retry_delay": SECONDS,
        "timeout": st.none() | SECONDS,
        "tls": st.booleans(),
        "embedding_model": NAMES,
        "options": st.dictionaries(st.text(max_size=5), JSON, max_size=2),
    },
)


@given(name=NAMES, place=PLACES, more=SETTINGS, provider=st.sampled_from(["chroma", "my_store", "x.y-z"]))
def test_a_url_reads_back(name: str, place: dict[str, Any], more: dict[str, Any], provider: str) -> None:
    made = VectorStoreConfig(**{"provider": provider, "index_name": name, **place, **more})
    again = VectorStoreConfig.from_url(made.to_url())
    assert again == made
    # Whether a metric was stated decides whether an index with another one is refused.
    assert ("metric" in again.model_fields_set) == ("metric" in more)


def test_a_url_is_short() -> None:
    assert config(host="h").to_url() == "chroma://h/i"
    assert config(path="/a b", dimension=3, namespace="n").to_url() == "chroma:///a%20b/i?namespace=n&dimension=3"


# The environment


def test_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IA_VECTORS_STORE", "chroma://h/i?dimension=3")
    monkeypatch.setenv("IA_VECTORS_API_KEY", KEY)
    monkeypatch.setenv("IA_VECTORS_DIMENSION", "4")
    monkeypatch.setenv("IA_VECTORS_OPTIONS", '{"tenant": "t"}')
    monkeypatch.setenv("DIMENSION", "5")
    monkeypatch.setenv("HOST", "elsewhere")
    made = VectorStoreConfig.from_env()
    assert (made.host, made.secret, made.dimension, made.options) == ("h", KEY, 4, {"tenant": "t"})
    assert VectorStoreConfig.from_env(dimension=6).dimension == 6


def test_the_environment_without_a_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IA_VECTORS_PROVIDER", "memory")
    monkeypatch.setenv("IA_VECTORS_INDEX_NAME", "i")
    assert VectorStoreConfig.from_env() == VectorStoreConfig(provider="memory", index_name="i")


def test_nothing_is_read_unless_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IA_VECTORS_API_KEY", KEY)
    assert config().secret is None
    assert VectorStoreConfig.from_url("chroma://h/i").secret is None


def test_an_environment_that_makes_no_config(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IA_VECTORS_STORE", "chroma://h/i")
    monkeypatch.setenv("IA_VECTORS_PORT", "many")
    with pytest.raises(ValueError, match="port"):
        VectorStoreConfig.from_env()


# The secret


def test_the_key_is_there_for_the_client_only() -> None:
    made = config(api_key=KEY, host="h")
    assert made.secret == KEY
    assert config().secret is None
    store = ChromaVectorStore(made)
    for shown in (repr(made), str(made), made.to_url(), made.model_dump_json(), repr(made.model_dump()), repr(store)):
        assert KEY not in shown
    assert json.loads(made.model_dump_json())["api_key"] == "**********"
    assert pickle.loads(pickle.dumps(made)).secret == KEY


@pytest.mark.parametrize("given", [{"dimension": -1}, {"apikey": KEY}, {"host": f"ftp://{KEY}"}, {"api_key": [KEY]}])
def test_a_refused_config_does_not_show_the_key(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        config(**{"api_key": KEY} | given)
    assert KEY not in "".join(traceback.format_exception(caught.value))


async def test_a_failing_connect_does_not_show_the_key(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    store = ChromaVectorStore(config(host="127.0.0.1", port=free_port(), api_key=KEY, max_retries=1, retry_delay=0))
    with pytest.raises(ConnectionError) as caught:
        await store.connect()
    assert KEY not in "".join(traceback.format_exception(caught.value)) + caplog.text
