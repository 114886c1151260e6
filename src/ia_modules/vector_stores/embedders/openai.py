"""OpenAI's embedding models, and every server that speaks the same protocol."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ia_modules.vector_stores import errors
from ia_modules.vector_stores.embedders.base import Vectors, check_texts, check_vectors, load_module

__all__ = ["OpenAIEmbedder"]

_KNOWN_DIMENSIONS = {
    "text-embedding-3-small": 1536,
    "text-embedding-3-large": 3072,
    "text-embedding-ada-002": 1536,
}
_MAX_BATCH = 2048
# The service takes 300,000 tokens a request; a token is at least one byte, so this many bytes always fit.
_MAX_BATCH_BYTES = 250_000


class OpenAIEmbedder:
    """Embeds through the ``openai`` client, which retries and backs off by itself.

    Args:
        model_name: for example ``"text-embedding-3-small"``.
        api_key: the key; None takes ``OPENAI_API_KEY``. It never appears in a repr or an error.
        base_url: another server with the same protocol, for example ``"http://localhost:11434/v1"``; None takes
            ``OPENAI_BASE_URL``. Such a server is called without a real key if none is given.
        dimensions: shorten the vectors (text-embedding-3 and later).
        batch_size: texts per request, at most 2048; requests are bounded by size as well.
        timeout: seconds for one request.
        max_retries: attempts after the first, for errors that another attempt may cure.

    Raises:
        ValueError: an argument out of range.
    """

    def __init__(
        self,
        model_name: str = "text-embedding-3-small",
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        dimensions: int | None = None,
        batch_size: int = _MAX_BATCH,
        timeout: float = 60.0,
        max_retries: int = 3,
    ) -> None:
        if not model_name:
            raise ValueError("the openai embedder needs the name of a model")
        if not 1 <= batch_size <= _MAX_BATCH:
            raise ValueError(f"batch_size must be from 1 to {_MAX_BATCH}, not {batch_size}")
        if dimensions is not None and dimensions < 1:
            raise ValueError(f"dimensions must be at least 1, not {dimensions}")
        if timeout <= 0 or max_retries < 0:
            raise ValueError("timeout must be above 0 seconds, max_retries at least 0")
        self._name = model_name
        self._api_key = api_key
        self._base_url = base_url if base_url is not None else os.environ.get("OPENAI_BASE_URL")
        self._dimensions = dimensions
        self._batch_size = batch_size
        self._timeout = timeout
        self._max_retries = max_retries
        self._dimension = dimensions or _KNOWN_DIMENSIONS.get(model_name)
        self._client: Any = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.model!r})"

    @property
    def model(self) -> str:
        """``openai/`` and the name, followed by the dimension if the vectors are shortened."""
        shortened = self._dimensions is not None and self._dimensions != _KNOWN_DIMENSIONS.get(self._name)
        return f"openai/{self._name}{f'-{self._dimensions}' if shortened else ''}"

    @property
    def dimension(self) -> int | None:
        """Number of components; None for an unknown model that was never called."""
        return self._dimension

    async def get_dimension(self) -> int:
        """Number of components; an unknown model is asked to embed one word."""
        if self._dimension is None:
            await self.embed_query("dimension")
        assert self._dimension is not None
        return self._dimension

    async def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """Embed texts; see :meth:`Embedder.embed_documents`.

        Raises:
            ValueError: a text is blank.
            MissingDependencyError: the ``openai`` package is not installed.
            AuthenticationError: no key, or the server refused it.
            RateLimitError: too many requests, after all retries.
            ConnectionError: the server could not be reached.
            OperationTimeoutError: it did not answer in time.
            InvalidDocumentError: the server refused a text, for example as too long.
            VectorStoreError: any other failure of the server.
        """
        checked = check_texts(texts)
        if not checked:
            return np.empty((0, await self.get_dimension()), dtype=np.float32)
        return np.concatenate([await self._request(batch) for batch in self._batches(checked)])

    async def embed_query(self, text: str) -> Vectors:
        """Embed a question; these models make no difference between questions and documents."""
        row: Vectors = (await self.embed_documents([text]))[0]
        return row

    async def aclose(self) -> None:
        """Close the client's connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def _batches(self, texts: list[str]) -> Iterator[list[str]]:
        batch: list[str] = []
        size = 0
        for text in texts:
            length = len(text.encode())
            if batch and (len(batch) == self._batch_size or size + length > _MAX_BATCH_BYTES):
                yield batch
                batch, size = [], 0
            batch.append(text)
            size += length
        yield batch

    async def _request(self, batch: list[str]) -> Vectors:
        openai = load_module("openai", extra="openai", needed_for="The OpenAI embedder")
        arguments: dict[str, Any] = {"model": self._name, "input": batch}
        if self._dimensions is not None:
            arguments["dimensions"] = self._dimensions
        if self._base_url is not None:
            # The client asks for base64 by default, which not every compatible server knows.
            arguments["encoding_format"] = "float"
        try:
            response = await self._connected(openai).embeddings.create(**arguments)
        except openai.OpenAIError as error:
            raise self._mapped(openai, error) from error
        return self._vectors(response, len(batch))

    def _vectors(self, response: Any, count: int) -> Vectors:
        data = getattr(response, "data", None) or []
        by_index = {item.index: item.embedding for item in data}
        if sorted(by_index) != list(range(count)) or len(data) != count:
            raise errors.VectorStoreError(
                f"{self.model} was given {count} texts and did not answer with one vector for each",
                provider="openai",
                operation="embed",
            )
        try:
            vectors: Vectors = np.array([by_index[index] for index in range(count)], dtype=np.float32)
        except (TypeError, ValueError) as error:
            raise errors.VectorStoreError(
                f"{self.model} answered with something that is not a list of vectors",
                provider="openai",
                operation="embed",
            ) from error
        check_vectors(vectors, count=count, dimension=self._dimension, model=self.model)
        self._dimension = int(vectors.shape[1])
        return vectors

    def _connected(self, openai: Any) -> Any:
        if self._client is None:
            key = self._api_key or os.environ.get("OPENAI_API_KEY")
            if not key and self._base_url is None:
                raise errors.AuthenticationError(
                    "no API key: set OPENAI_API_KEY or pass api_key", provider="openai", operation="embed"
                )
            self._client = openai.AsyncOpenAI(
                api_key=key or "none",
                base_url=self._base_url,
                timeout=self._timeout,
                max_retries=self._max_retries,
            )
        return self._client

    def _mapped(self, openai: Any, error: Exception) -> errors.VectorStoreError:
        message = self._scrubbed(error)
        where: dict[str, Any] = {"provider": "openai", "operation": "embed"}
        status = getattr(error, "status_code", None)
        if status in (401, 403):
            return errors.AuthenticationError(message, **where)
        if status == 429:
            # An account without credit answers 429 as well; no waiting cures that.
            curable = getattr(error, "code", None) != "insufficient_quota"
            return errors.RateLimitError(message, retry_after=_retry_after(error), retryable=curable, **where)
        if status in (400, 413, 422):
            return errors.InvalidDocumentError(message, **where)
        if isinstance(error, openai.APITimeoutError):
            return errors.OperationTimeoutError(f"no answer within {self._timeout:g} s", **where)
        if isinstance(error, openai.APIConnectionError):
            reason = str(error.__cause__ or error)
            return errors.ConnectionError(f"could not reach the embedding server: {reason}", **where)
        return errors.VectorStoreError(message, retryable=status in (408, 409) or (status or 0) >= 500, **where)

    def _scrubbed(self, error: Exception) -> str:
        """The client's message without the key, also in the exception itself, which stays attached as the cause."""
        key = self._api_key or os.environ.get("OPENAI_API_KEY")
        message = str(error)
        if key and key in message:
            message = message.replace(key, "***")
            error.args = (message,)
            for attribute, value in (("message", message), ("body", None)):
                if hasattr(error, attribute):
                    setattr(error, attribute, value)
        return message if len(message) <= 300 else f"{message[:300]}…"


def _retry_after(error: Exception) -> float | None:
    header = getattr(getattr(error, "response", None), "headers", {}).get("retry-after")
    try:
        return float(header) if header is not None else None
    except ValueError:
        # An HTTP date: the client has waited for it already, so the number is not worth parsing.
        return None
