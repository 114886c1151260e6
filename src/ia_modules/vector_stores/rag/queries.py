"""What a search step is asked: one text or vector, or a list of either."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ia_modules.vector_stores.embedders import Embedder
from ia_modules.vector_stores.rag.options import kind_of
from ia_modules.vector_stores.tasks import each
from ia_modules.vector_stores.vectors import Vector, VectorLike

__all__ = ["Queries", "embed_queries", "read_queries"]

_SAME_FOR_BOTH = ("wordllama", "openai")
_AT_A_TIME = 8


@dataclass(frozen=True)
class Queries:
    """As many texts and vectors as there are queries, or none.

    Attributes:
        single: whether it was no list.
    """

    texts: Sequence[str] | None
    vectors: Sequence[VectorLike] | None
    single: bool

    def __len__(self) -> int:
        return len(self.texts if self.texts is not None else self.vectors or ())


def read_queries(data: Mapping[str, Any], text_key: str, vector_key: str) -> Queries:
    """The queries in a step's data.

    Raises:
        ValueError: there is none, or something else in its place.
    """
    text, vector = data.get(text_key), data.get(vector_key)
    if text is None and vector is None:
        raise ValueError(f"there is nothing to search for: neither {text_key!r} nor {vector_key!r} came in")
    texts, one_text = (None, True) if text is None else _texts(text, text_key)
    vectors, one_vector = (None, True) if vector is None else _vectors(vector, vector_key)
    if texts is not None and vectors is not None and (one_text != one_vector or len(texts) != len(vectors)):
        raise ValueError(f"{text_key!r} and {vector_key!r} must be one each, or lists of the same length")
    return Queries(texts, vectors, one_text and one_vector)


async def embed_queries(embedder: Embedder, texts: Sequence[str]) -> Sequence[VectorLike]:
    """Vectors for questions: in one call where the model makes no difference between questions and documents.

    An embedder of yours may have ``embed_queries(texts)`` for the same.
    """
    if len(texts) == 1:
        return [await embedder.embed_query(texts[0])]
    together = getattr(embedder, "embed_queries", None)
    if together is None and embedder.model.partition("/")[0] in _SAME_FOR_BOTH:
        together = embedder.embed_documents
    if together is not None:
        return list(await together(texts))
    return await each(texts, embedder.embed_query, at_a_time=_AT_A_TIME)


def _texts(value: Any, key: str) -> tuple[Sequence[str], bool]:
    if isinstance(value, str):
        return [value], True
    if not isinstance(value, list | tuple):
        raise ValueError(f"{key!r} must be a text or a list of texts, not {kind_of(value)}")
    for position, one in enumerate(value):
        if not isinstance(one, str):
            raise ValueError(f"{key!r}: number {position} must be a text, not {kind_of(one)}")
    return value, False


def _vectors(value: Any, key: str) -> tuple[Sequence[VectorLike], bool]:
    if isinstance(value, Vector):
        return [value], True
    if isinstance(value, np.ndarray) and value.ndim in (1, 2):
        return ([value], True) if value.ndim == 1 else (list(value), False)
    if not isinstance(value, list | tuple) or not value:
        raise ValueError(f"{key!r} must be a vector or a list of vectors, not {kind_of(value) if value else 'empty'}")
    if isinstance(value[0], int | float | np.number):
        return [value], True
    return value, False
