"""Headers may carry credentials, so nothing may show them."""

from __future__ import annotations

import pytest

from ia_modules.vector_stores import ChromaVectorStore, VectorStoreConfig

TOKEN = "Bearer sk-very-secret"


@pytest.fixture
def config() -> VectorStoreConfig:
    options = {"headers": {"Authorization": TOKEN}, "tenant": "blue"}
    return VectorStoreConfig(provider="chroma", host="127.0.0.1", port=9, index_name="x", options=options)


def test_nothing_shows_them(config: VectorStoreConfig) -> None:
    for shown in (
        repr(config),
        str(config),
        config.to_url(),
        config.model_dump_json(),
        repr(ChromaVectorStore(config)),
    ):
        assert "sk-very-secret" not in shown
    assert "blue" in config.to_url()


def test_the_client_gets_them(config: VectorStoreConfig) -> None:
    assert config.headers == {"Authorization": TOKEN}
    assert config.secrets == (TOKEN,)


def test_a_config_made_from_another_keeps_them(config: VectorStoreConfig) -> None:
    again = VectorStoreConfig(**{name: getattr(config, name) for name in config.model_fields_set})
    assert again.headers == {"Authorization": TOKEN}


def test_headers_that_are_no_mapping_are_refused() -> None:
    with pytest.raises(ValueError, match="must map names"):
        VectorStoreConfig(provider="chroma", host="h", index_name="x", options={"headers": "Authorization"})


def test_an_option_that_is_no_json_is_no_url_but_has_a_repr() -> None:
    config = VectorStoreConfig(provider="chroma", host="h", index_name="x", options={"tenant": object()})
    with pytest.raises(ValueError, match="options can't be written"):
        config.to_url()
    assert "chroma://h/x" in repr(ChromaVectorStore(config))
