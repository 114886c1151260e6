"""No exception of Chroma's, of its HTTP client's or of the file system's gets past the error table."""

from __future__ import annotations

import inspect

import chromadb.errors
import httpx
import pytest
from overrides import override

from ia_modules.vector_stores import (
    AuthenticationError,
    ConnectionError,
    IndexAlreadyExistsError,
    IndexNotFoundError,
    InvalidDocumentError,
    OperationTimeoutError,
    RateLimitError,
    UnsupportedOperationError,
    VectorStoreError,
)
from ia_modules.vector_stores.providers.chroma.errors import map_error

CHROMA = {
    name: kind
    for name, kind in inspect.getmembers(chromadb.errors, inspect.isclass)
    if issubclass(kind, chromadb.errors.ChromaError)
}
EXPECTED = {
    "AuthorizationError": AuthenticationError,
    "BatchSizeExceededError": UnsupportedOperationError,
    "ChromaAuthError": AuthenticationError,
    "DuplicateIDError": InvalidDocumentError,
    "IDAlreadyExistsError": VectorStoreError,
    "InternalError": VectorStoreError,
    "InvalidArgumentError": InvalidDocumentError,
    "InvalidDimensionException": InvalidDocumentError,
    "InvalidHTTPVersion": VectorStoreError,
    "InvalidUUIDError": VectorStoreError,
    "NotFoundError": IndexNotFoundError,
    "QuotaError": UnsupportedOperationError,
    "RateLimitError": RateLimitError,
    "UniqueConstraintError": IndexAlreadyExistsError,
    "VersionMismatchError": VectorStoreError,
}


def test_every_class_of_chroma_is_in_the_list() -> None:
    assert set(CHROMA) - {"ChromaError"} == set(EXPECTED)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_chroma_errors(name: str) -> None:
    error = map_error(CHROMA[name]("what Chroma says"))
    assert type(error) is EXPECTED[name]
    assert "what Chroma says" in str(error)
    assert error.retryable is (name == "RateLimitError")


def test_a_nameless_chroma_error_is_still_ours() -> None:
    class New(chromadb.errors.ChromaError):
        @classmethod
        @override
        def name(cls) -> str:
            return "New"

    error = map_error(New())
    assert type(error) is VectorStoreError
    assert str(error) == "New"


@pytest.mark.parametrize("name", ["InternalError", "UniqueConstraintError", "InvalidArgumentError"])
def test_what_exists_already_is_told_by_its_text(name: str) -> None:
    assert type(map_error(CHROMA[name]("Collection [x] already exists"))) is IndexAlreadyExistsError


HTTP = [kind for _, kind in inspect.getmembers(httpx, inspect.isclass) if issubclass(kind, httpx.TransportError)]


@pytest.mark.parametrize("kind", HTTP, ids=lambda kind: kind.__name__)
def test_http_errors(kind: type[httpx.TransportError]) -> None:
    error = map_error(kind("no luck"))
    expected = OperationTimeoutError if issubclass(kind, httpx.TimeoutException) else ConnectionError
    assert type(error) is expected
    assert error.retryable


@pytest.mark.parametrize(
    "raised",
    [
        PermissionError(13, "denied"),
        FileNotFoundError(2, "gone"),
        NotADirectoryError(20, "a file"),
        OSError(28, "full"),
    ],
)
def test_folder_errors_are_not_worth_a_retry(raised: OSError) -> None:
    error = map_error(raised)
    assert type(error) is VectorStoreError
    assert "folder" in str(error)
    assert not error.retryable


@pytest.mark.parametrize("raised", [ConnectionResetError("reset"), TimeoutError("late"), RuntimeError("else")])
def test_what_is_not_chromas_is_left_to_the_base_class(raised: Exception) -> None:
    assert map_error(raised) is None


@pytest.mark.parametrize("kind", [chromadb.errors.InvalidArgumentError, Exception])
def test_a_request_that_came_in_part_is_sent_again(kind: type[Exception]) -> None:
    error = map_error(kind("Failed to buffer the request body: error reading a body from connection"))
    assert type(error) is ConnectionError
    assert error.retryable
