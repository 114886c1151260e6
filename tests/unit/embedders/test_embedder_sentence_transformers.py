from __future__ import annotations

import sys
import threading
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from ia_modules.vector_stores.embedders import SentenceTransformersEmbedder
from ia_modules.vector_stores.errors import MissingDependencyError, VectorStoreError


class Model:
    """Stands in for ``SentenceTransformer``; with the prompts of version 5."""

    def __init__(self, name: str, **options: Any) -> None:
        if name == "unknown":
            raise OSError("unknown is not a local folder and is not a valid model identifier")
        self.options = options
        self.threads: set[str] = set()

    def _encode(self, texts: list[str], first: float, normalize_embeddings: bool) -> Any:
        self.threads.add(threading.current_thread().name)
        rows = np.array([[first, len(text), 2.0] for text in texts], dtype=np.float64)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True) if normalize_embeddings else rows

    def encode_document(self, texts: list[str], *, normalize_embeddings: bool, **_: Any) -> Any:
        return self._encode(texts, 1.0, normalize_embeddings)

    def encode_query(self, texts: list[str], *, normalize_embeddings: bool, **_: Any) -> Any:
        return self._encode(texts, -1.0, normalize_embeddings)


class OldModel(Model):
    encode_query = None  # type: ignore[assignment]
    encode_document = None  # type: ignore[assignment]

    def encode(self, texts: list[str], *, normalize_embeddings: bool, **_: Any) -> Any:
        return self._encode(texts, 5.0, normalize_embeddings)


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType("sentence_transformers")
    module.SentenceTransformer = Model  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)
    return module


@pytest.mark.usefixtures("package")
async def test_questions_and_documents_take_their_own_way() -> None:
    embedder = SentenceTransformersEmbedder("all-MiniLM-L6-v2", device="cpu")
    assert embedder.model == "sentence-transformers/all-MiniLM-L6-v2"
    assert embedder.dimension is None
    assert await embedder.get_dimension() == 3
    documents = await embedder.embed_documents(["ab", "c"])
    assert documents.dtype == np.float32
    np.testing.assert_array_equal(documents, [[1, 2, 2], [1, 1, 2]])
    np.testing.assert_array_equal(await embedder.embed_query("ab"), [-1, 2, 2])
    assert (await embedder.embed_documents([])).shape == (0, 3)
    assert embedder._transformer.options == {"device": "cpu"}
    assert all(name.startswith("sentence-transformers") for name in embedder._transformer.threads)
    await embedder.aclose()


async def test_versions_before_the_prompts(package: ModuleType) -> None:
    package.SentenceTransformer = OldModel  # type: ignore[attr-defined]
    embedder = SentenceTransformersEmbedder("old", normalize=True)
    vector = await embedder.embed_query("ab")
    np.testing.assert_allclose(vector, np.array([5, 2, 2]) / np.sqrt(33), rtol=1e-6)
    assert embedder.model.endswith(":normalized")
    await embedder.aclose()


@pytest.mark.usefixtures("package")
async def test_unknown_model_is_our_error() -> None:
    embedder = SentenceTransformersEmbedder("unknown")
    with pytest.raises(VectorStoreError, match="could not load sentence-transformers/unknown") as caught:
        await embedder.embed_query("x")
    assert isinstance(caught.value.__cause__, OSError)
    await embedder.aclose()


async def test_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    embedder = SentenceTransformersEmbedder("all-MiniLM-L6-v2")
    with pytest.raises(MissingDependencyError, match=r"ia-modules-vector-stores\[sentence-transformers\]"):
        await embedder.embed_query("x")
    await embedder.aclose()
