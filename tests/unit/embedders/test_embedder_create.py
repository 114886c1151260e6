from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ia_modules.vector_stores import embedders
from ia_modules.vector_stores.embedders import CachedEmbedder, Embedder, create_embedder


@pytest.mark.parametrize(
    ("spec", "model", "dimension"),
    [
        (None, "wordllama/l2_supercat-256", 256),
        ("wordllama", "wordllama/l2_supercat-256", 256),
        ("wordllama:64", "wordllama/l2_supercat-64", 64),
        ("openai", "openai/text-embedding-3-small", 1536),
        ("openai:text-embedding-3-large", "openai/text-embedding-3-large", 3072),
        ("openai:other:7b", "openai/other:7b", None),
        ("sentence-transformers:org/name", "sentence-transformers/org/name", None),
    ],
)
def test_known_descriptions(spec: str | None, model: str, dimension: int | None) -> None:
    embedder = create_embedder(spec)
    assert isinstance(embedder, Embedder)
    assert embedder.model == model
    assert embedder.dimension == dimension


@pytest.mark.parametrize("spec", ["", "word2vec", "OpenAI:x", "sentence-transformers:", "sentence-transformers"])
def test_unknown_description_lists_the_known_ones(spec: str) -> None:
    with pytest.raises(ValueError, match=r"unknown embedder .*wordllama.*openai:MODEL.*sentence-transformers:MODEL"):
        create_embedder(spec)


@pytest.mark.parametrize("spec", ["wordllama:big", "wordllama:100"])
def test_wrong_dimension_is_refused(spec: str) -> None:
    with pytest.raises(ValueError, match="64, 128"):
        create_embedder(spec)


def test_options_reach_the_embedder(tmp_path: Path) -> None:
    embedder = create_embedder("openai", cache=tmp_path / "c.sqlite", dimensions=512)
    assert isinstance(embedder, CachedEmbedder)
    assert embedder.model == "openai/text-embedding-3-small-512"
    assert embedder.dimension == 512
    with pytest.raises(TypeError, match="colour"):
        create_embedder("openai", colour="red")


def test_every_exported_name_is_there() -> None:
    assert sorted(embedders.__all__) == embedders.__all__
    for name in embedders.__all__:
        assert getattr(embedders, name) is not None
    with pytest.raises(AttributeError, match="Nonsense"):
        _ = embedders.Nonsense


def test_making_one_loads_no_model_and_no_client() -> None:
    code = (
        "import sys; from ia_modules.vector_stores.embedders import create_embedder;"
        "[create_embedder(s) for s in (None, 'openai', 'sentence-transformers:x')];"
        "print(sorted({'tokenizers', 'safetensors', 'openai', 'wordllama', 'sqlite3'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
