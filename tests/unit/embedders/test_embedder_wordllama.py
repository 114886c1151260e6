from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ia_modules.vector_stores.embedders import Embedder, WordLlamaEmbedder
from ia_modules.vector_stores.errors import MissingDependencyError, VectorStoreError

OFFLINE = """
import asyncio, socket, sys
def refuse(*args, **kwargs):
    raise AssertionError("the network was touched")
socket.socket.connect = refuse
socket.getaddrinfo = refuse
from ia_modules.vector_stores.embedders import create_embedder
async def main():
    embedder = create_embedder()
    vector = await embedder.embed_query("a question about gardens")
    assert vector.shape == (256,), vector.shape
    await embedder.aclose()
asyncio.run(main())
import logging
assert logging.getLogger().handlers == [], "the root logger was configured"
loaded = {"wordllama", "requests", "httpx", "huggingface_hub"} & set(sys.modules)
assert not loaded, loaded
"""


async def test_gives_unit_vectors_in_the_order_asked() -> None:
    embedder = WordLlamaEmbedder(batch_size=2)
    texts = ["a cat sat on the mat", "stock prices fell", "the kitten slept", "x", "a cat sat on the mat"]
    vectors = await embedder.embed_documents(texts)
    assert isinstance(embedder, Embedder)
    assert vectors.shape == (5, 256)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, rtol=1e-5)
    np.testing.assert_array_equal(vectors[0], vectors[4])
    assert vectors[0] @ vectors[2] > vectors[0] @ vectors[1]
    np.testing.assert_allclose(await embedder.embed_query("stock prices fell"), vectors[1], rtol=1e-6)


async def test_agrees_with_the_package_it_reads() -> None:
    wordllama = pytest.importorskip("wordllama")
    theirs = wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, dim=256, disable_download=True)
    texts = ["Hello, world", "ein Satz mit Umlauten: äöü ß", "日本語", "🦙 " * 50, "word " * 5000]
    np.testing.assert_allclose(
        await WordLlamaEmbedder().embed_documents(texts), theirs.embed(texts, norm=True), atol=1e-5
    )


async def test_shorter_vectors_are_leading_components() -> None:
    full = await WordLlamaEmbedder().embed_query("shorter")
    short = await WordLlamaEmbedder(64).embed_query("shorter")
    assert WordLlamaEmbedder(64).model == "wordllama/l2_supercat-64"
    np.testing.assert_allclose(short, full[:64] / np.linalg.norm(full[:64]), rtol=1e-5)


def test_needs_no_network_and_leaves_the_process_alone() -> None:
    done = subprocess.run([sys.executable, "-c", OFFLINE], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("text", ["", "  \n\t", "\ud800 half"])
async def test_refuses_what_has_no_meaning(text: str) -> None:
    with pytest.raises(ValueError, match="text 1"):
        await WordLlamaEmbedder().embed_documents(["fine", text])


async def test_no_texts_give_an_empty_array() -> None:
    assert (await WordLlamaEmbedder().embed_documents([])).shape == (0, 256)


async def test_one_string_is_not_a_sequence_of_texts() -> None:
    with pytest.raises(ValueError, match="not one string"):
        await WordLlamaEmbedder().embed_documents("abc")


@pytest.mark.parametrize("arguments", [{"dimension": 100}, {"batch_size": 0}])
def test_refuses_wrong_arguments(arguments: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"not (100|0)"):
        WordLlamaEmbedder(**arguments)


async def test_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingDependencyError, match=r"ia-modules-vector-stores\[wordllama\]"):
        await WordLlamaEmbedder().embed_query("x")


async def test_package_without_the_model_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "wordllama"
    package.mkdir()
    (package / "__init__.py").touch()
    monkeypatch.delitem(sys.modules, "wordllama", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(VectorStoreError, match="l2_supercat_256"):
        await WordLlamaEmbedder().embed_query("x")
