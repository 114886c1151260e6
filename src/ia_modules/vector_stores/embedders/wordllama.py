"""Static embeddings that ship inside the ``wordllama`` wheel: offline, no server, no download, ever.

The wheel is used as a data package: its token table (32,000 x 256, half precision) and its tokenizer are read
straight from the installed files. Importing ``wordllama`` itself would load an HTTP client and the code that falls
back to a model hub, call ``logging.basicConfig`` on the root logger, and pad every batch to its longest text; reading
the files does none of it and starts several times faster. A test holds the vectors against WordLlama's own.
"""

from __future__ import annotations

import asyncio
import importlib.util
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ia_modules.vector_stores.embedders.base import Vectors, check_texts, check_vectors, load_module
from ia_modules.vector_stores.errors import MissingDependencyError, VectorStoreError

__all__ = ["WordLlamaEmbedder"]

_CONFIG = "l2_supercat"
_FULL_DIMENSION = 256
_DIMENSIONS = (64, 128, 256)
_NEEDED_FOR = "The offline embedder"


class WordLlamaEmbedder:
    """Mean of static token embeddings, scaled to unit length.

    Args:
        dimension: 256 (all of it), 128 or 64. The model was trained so that its leading components work alone.
        batch_size: texts tokenised together; bounds memory.

    Raises:
        ValueError: a dimension the model was not trained for, or ``batch_size < 1``.
    """

    def __init__(self, dimension: int = _FULL_DIMENSION, *, batch_size: int = 256) -> None:
        if dimension not in _DIMENSIONS:
            raise ValueError(f"wordllama has the dimensions {', '.join(map(str, _DIMENSIONS))}, not {dimension}")
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, not {batch_size}")
        self._dimension = dimension
        self._batch_size = batch_size
        self._lock = threading.Lock()
        self._loaded: tuple[Any, NDArray[np.float16]] | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.model!r})"

    @property
    def model(self) -> str:
        """``wordllama/l2_supercat-`` and the dimension."""
        return f"wordllama/{_CONFIG}-{self._dimension}"

    @property
    def dimension(self) -> int:
        """Number of components: 256, 128 or 64."""
        return self._dimension

    async def get_dimension(self) -> int:
        """The same as :attr:`dimension`; it is always known here."""
        return self._dimension

    async def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """Embed texts; see :meth:`Embedder.embed_documents`.

        Raises:
            ValueError: a text is blank.
            MissingDependencyError: ``wordllama`` is not installed.
            VectorStoreError: the installed ``wordllama`` does not hold the model.
        """
        checked = check_texts(texts)
        if not checked:
            return np.empty((0, self._dimension), dtype=np.float32)
        return await asyncio.to_thread(self._embed, checked)

    async def embed_query(self, text: str) -> Vectors:
        """Embed a question; the model makes no difference between questions and documents."""
        vectors = await self.embed_documents([text])
        row: Vectors = vectors[0]
        return row

    async def aclose(self) -> None:
        """Forget the token table; the next call would load it again."""
        self._loaded = None

    def _load(self) -> tuple[Any, NDArray[np.float16]]:
        with self._lock:
            if self._loaded is None:
                weights, tokenizer = _model_files()
                tokenizers = load_module("tokenizers", extra="wordllama", needed_for=_NEEDED_FOR)
                safetensors = load_module("safetensors.numpy", extra="wordllama", needed_for=_NEEDED_FOR)
                encoder = tokenizers.Tokenizer.from_file(str(tokenizer))
                encoder.no_padding()
                encoder.no_truncation()
                table: NDArray[np.float16] = safetensors.load_file(weights)["embedding.weight"]
                if table.shape[1] != _FULL_DIMENSION:
                    raise VectorStoreError(f"{weights.name} holds {table.shape[1]} dimensions, not {_FULL_DIMENSION}")
                self._loaded = (encoder, table[:, : self._dimension])
            return self._loaded

    def _embed(self, texts: list[str]) -> Vectors:
        encoder, table = self._load()
        vectors = np.empty((len(texts), self._dimension), dtype=np.float32)
        for start in range(0, len(texts), self._batch_size):
            batch = texts[start : start + self._batch_size]
            for row, encoding in enumerate(encoder.encode_batch_fast(batch, add_special_tokens=False), start):
                vectors[row] = _mean(table, encoding.ids)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        # A text without a single token can't happen for non-blank text, but must never become NaN.
        np.divide(vectors, norms, out=vectors, where=norms > 0)
        return check_vectors(vectors, count=len(texts), dimension=self._dimension, model=self.model)


def _mean(table: NDArray[np.float16], ids: list[int]) -> Vectors:
    """Mean of the rows in single precision, a slice at a time so that a huge text needs no huge array."""
    total = np.zeros(table.shape[1], dtype=np.float32)
    for start in range(0, len(ids), 4096):
        total += table[ids[start : start + 4096]].sum(axis=0, dtype=np.float32)
    total /= max(len(ids), 1)
    return total


def _model_files() -> tuple[Path, Path]:
    spec = importlib.util.find_spec("wordllama")
    if spec is None or not spec.submodule_search_locations:
        raise MissingDependencyError("wordllama", extra="wordllama", needed_for=_NEEDED_FOR)
    folder = Path(spec.submodule_search_locations[0])
    weights = folder / "weights" / f"{_CONFIG}_{_FULL_DIMENSION}.safetensors"
    tokenizer = folder / "tokenizers" / f"{_CONFIG}_tokenizer_config.json"
    for file in (weights, tokenizer):
        if not file.is_file():
            raise VectorStoreError(
                f"the installed wordllama does not hold {file.name}; version 0.4 does: pip install 'wordllama==0.4.*'"
            )
    return weights, tokenizer
