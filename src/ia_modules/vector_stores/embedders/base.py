"""What every embedder offers, and the checks they share."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from types import ModuleType
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ia_modules.vector_stores.errors import MissingDependencyError, VectorStoreError

__all__ = ["Embedder", "Vectors", "check_texts", "check_vectors", "load_module"]

Vectors = NDArray[np.float32]


@runtime_checkable
class Embedder(Protocol):
    """Turns texts into vectors.

    An embedder splits long lists into batches by itself and never blocks the event loop. A blank text has no
    meaning to embed, so every embedder refuses one with a ValueError instead of inventing a vector.
    """

    @property
    def model(self) -> str:
        """Full name of the model, vendor first: ``"wordllama/l2_supercat-256"``.

        Two embedders with the same name give comparable vectors; anything that changes the vectors (a truncated
        dimension, for example) is part of the name.
        """
        ...

    @property
    def dimension(self) -> int | None:
        """Number of components of a vector, or None while nobody has asked an unknown model yet."""
        ...

    async def get_dimension(self) -> int:
        """Number of components of a vector; embeds one word to find out if it is not known."""
        ...

    async def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """Embed texts that will be searched.

        Args:
            texts: any number of texts, none of them blank.

        Returns:
            float32 array of shape (len(texts), dimension), in the order given.

        Raises:
            ValueError: a text is blank; the message has its position.
            VectorStoreError: the model or its server failed.
        """
        ...

    async def embed_query(self, text: str) -> Vectors:
        """Embed a question.

        Returns:
            float32 array of shape (dimension,).

        Raises:
            ValueError: the text is blank.
            VectorStoreError: the model or its server failed.
        """
        ...

    async def aclose(self) -> None:
        """Release connections, files and threads; calling it twice does no harm."""
        ...


def check_texts(texts: Sequence[str]) -> list[str]:
    """Return the texts as a list, or raise a ValueError that names the first one that can't be embedded.

    Raises:
        ValueError: a text is not a string, is blank, or holds half of a surrogate pair; or one string was given
            where a sequence of them was meant.
    """
    if isinstance(texts, str):
        raise ValueError("embed_documents takes a sequence of texts, not one string")
    checked = list(texts)
    for position, text in enumerate(checked):
        if not isinstance(text, str):
            raise ValueError(f"text {position} is a {type(text).__name__}, not a string")
        if not text or text.isspace():
            raise ValueError(f"text {position} is blank: there is nothing to embed")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"text {position} is not valid Unicode: half of a surrogate pair") from error
    return checked


def check_vectors(vectors: Vectors, *, count: int, dimension: int | None, model: str) -> Vectors:
    """Make sure that a model gave what it was asked for.

    Args:
        vectors: array that should have the shape (count, dimension).
        count: number of texts.
        dimension: expected number of components, None if not known yet.
        model: name for the message.

    Raises:
        VectorStoreError: wrong shape, or a component that is not finite.
    """
    if vectors.ndim != 2 or vectors.shape[0] != count or vectors.shape[1] < 1:
        raise VectorStoreError(f"{model} was given {count} texts and answered with an array of shape {vectors.shape}")
    if dimension is not None and vectors.shape[1] != dimension:
        raise VectorStoreError(f"{model} answered with {vectors.shape[1]} dimensions where {dimension} were expected")
    if not bool(np.isfinite(vectors).all()):
        raise VectorStoreError(f"{model} answered with a vector that holds NaN or infinity")
    return vectors


def load_module(name: str, *, extra: str, needed_for: str, package: str | None = None) -> ModuleType:
    """Import an optional third-party module.

    Raises:
        MissingDependencyError: it is not installed; the message has the ``pip install`` line.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # A package that is there but lacks something of its own is another problem, and must look like one.
        if error.name is not None and error.name.split(".")[0] != name.split(".")[0]:
            raise
        raise MissingDependencyError(package or name, extra=extra, needed_for=needed_for) from error
