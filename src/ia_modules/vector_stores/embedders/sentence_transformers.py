"""Any model of the ``sentence-transformers`` package, run in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from ia_modules.vector_stores.embedders.base import Vectors, check_texts, check_vectors, load_module
from ia_modules.vector_stores.errors import VectorStoreError

__all__ = ["SentenceTransformersEmbedder"]


class SentenceTransformersEmbedder:
    """A sentence-transformers model; loaded at the first call, which may download it (see ``model_options``).

    Args:
        model_name: name on the model hub, or a local folder.
        batch_size: texts per forward pass.
        normalize: scale the vectors to unit length.
        model_options: passed on to ``SentenceTransformer(...)``: ``device``, ``cache_folder``,
            ``local_files_only=True`` and so on.

    Raises:
        ValueError: no name, or ``batch_size < 1``.
    """

    def __init__(self, model_name: str, *, batch_size: int = 32, normalize: bool = False, **model_options: Any) -> None:
        if not model_name:
            raise ValueError("the sentence-transformers embedder needs the name of a model")
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, not {batch_size}")
        self._name = model_name
        self._batch_size = batch_size
        self._normalize = normalize
        self._options = model_options
        self._dimension: int | None = None
        self._transformer: Any = None
        # One thread: a model must not be run by several at once, and it uses all cores by itself.
        self._worker: ThreadPoolExecutor | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name!r})"

    @property
    def model(self) -> str:
        """``sentence-transformers/`` and the name, followed by ``:normalized`` if that was asked for."""
        prefix = "" if self._name.startswith("sentence-transformers/") else "sentence-transformers/"
        return f"{prefix}{self._name}{':normalized' if self._normalize else ''}"

    @property
    def dimension(self) -> int | None:
        """Number of components; None until the model is loaded."""
        return self._dimension

    async def get_dimension(self) -> int:
        """Number of components; loads the model if need be."""
        if self._dimension is None:
            await self.embed_query("dimension")
        assert self._dimension is not None
        return self._dimension

    async def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """Embed texts; see :meth:`Embedder.embed_documents`.

        Raises:
            ValueError: a text is blank.
            MissingDependencyError: ``sentence-transformers`` is not installed.
            VectorStoreError: the model could not be loaded or run.
        """
        checked = check_texts(texts)
        if not checked:
            return np.empty((0, await self.get_dimension()), dtype=np.float32)
        return await self._run(checked, "encode_document")

    async def embed_query(self, text: str) -> Vectors:
        """Embed a question, with the model's own prompt for questions if it has one."""
        row: Vectors = (await self._run(check_texts([text]), "encode_query"))[0]
        return row

    async def aclose(self) -> None:
        """Let go of the model and its thread."""
        worker, self._worker, self._transformer = self._worker, None, None
        if worker is not None:
            await asyncio.to_thread(worker.shutdown)

    async def _run(self, texts: list[str], method: str) -> Vectors:
        if self._worker is None:
            self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sentence-transformers")
        return await asyncio.get_running_loop().run_in_executor(self._worker, self._encode, texts, method)

    def _encode(self, texts: list[str], method: str) -> Vectors:
        if self._transformer is None:
            module = load_module(
                "sentence_transformers",
                extra="sentence-transformers",
                needed_for="The sentence-transformers embedder",
                package="sentence-transformers",
            )
            self._transformer = self._guarded("load", lambda: module.SentenceTransformer(self._name, **self._options))
        transformer = self._transformer
        # encode_query and encode_document, which apply the model's prompts, came with version 5.
        encode = getattr(transformer, method, None) or transformer.encode
        raw = self._guarded(
            "run",
            lambda: encode(
                texts,
                batch_size=self._batch_size,
                normalize_embeddings=self._normalize,
                convert_to_numpy=True,
                show_progress_bar=False,
            ),
        )
        vectors: Vectors = np.ascontiguousarray(raw, dtype=np.float32)
        check_vectors(vectors, count=len(texts), dimension=self._dimension, model=self.model)
        self._dimension = int(vectors.shape[1])
        return vectors

    def _guarded(self, what: str, call: Any) -> Any:
        try:
            return call()
        except (OSError, ValueError, RuntimeError) as error:
            # What the package raises for an unknown name, a missing file, a full GPU or a broken download.
            raise VectorStoreError(f"could not {what} {self.model}: {type(error).__name__}") from error
