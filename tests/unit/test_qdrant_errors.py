"""Qdrant's errors as ours, in each of the forms that they come in."""

from __future__ import annotations

import builtins
from typing import Any

import pytest

from ia_modules.vector_stores import errors
from ia_modules.vector_stores.errors import VectorStoreError
from ia_modules.vector_stores.providers.qdrant.errors import map_error

pytest.importorskip("qdrant_client")
import grpc
import httpx
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

NO_INDEX = (
    'Bad request: Index required but not found for "lang" of one of the following types: [keyword]. '
    "Help: Create an index for this key or use a different filter."
)
MISSING = "Not found: Collection `x` doesn't exist!"


def response(status: int, reason: str, **headers: str) -> UnexpectedResponse:
    content = f'{{"status": {{"error": {reason!r}}}, "time": 0.1}}'.replace("'", '"') if '"' not in reason else reason
    return UnexpectedResponse(status, "", content.encode(), httpx.Headers(headers))


def status(code: grpc.StatusCode, details: str = "it failed") -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details)


CASES: list[tuple[Exception, type[VectorStoreError], bool]] = [
    (response(401, "Must provide an API key"), errors.AuthenticationError, False),
    (response(403, "Forbidden"), errors.AuthenticationError, False),
    (response(404, MISSING), errors.IndexNotFoundError, False),
    (response(409, "Wrong input: Collection `x` already exists!"), errors.IndexAlreadyExistsError, False),
    (response(400, "Wrong input: Vector dimension error: expected dim: 3, got 4"), errors.InvalidDimensionError, False),
    (response(400, NO_INDEX), errors.UnsupportedOperationError, False),
    (response(400, "Format error in JSON body"), errors.InvalidDocumentError, False),
    (response(400, "A payload reached EOF, but is not complete."), errors.ConnectionError, True),
    (response(422, "Validation error"), errors.InvalidDocumentError, False),
    (response(413, "Payload too large"), errors.UnsupportedOperationError, False),
    (response(429, "slow down"), errors.RateLimitError, True),
    (ResourceExhaustedResponse("slow down", 7), errors.RateLimitError, True),
    (response(500, "Service internal error"), VectorStoreError, True),
    (response(503, "busy"), VectorStoreError, True),
    (response(504, "late"), errors.OperationTimeoutError, True),
    (response(418, "tea"), VectorStoreError, False),
    (ResponseHandlingException(httpx.ConnectError("refused")), errors.ConnectionError, True),
    (ResponseHandlingException(httpx.ReadError("reset")), errors.ConnectionError, True),
    (ResponseHandlingException(httpx.ReadTimeout("late")), errors.OperationTimeoutError, True),
    (ResponseHandlingException(ValueError("no JSON")), VectorStoreError, False),
    (httpx.RemoteProtocolError("closed"), errors.ConnectionError, True),
    (httpx.InvalidURL("no"), VectorStoreError, False),
    (status(grpc.StatusCode.UNAVAILABLE), errors.ConnectionError, True),
    (status(grpc.StatusCode.DEADLINE_EXCEEDED), errors.OperationTimeoutError, True),
    (status(grpc.StatusCode.UNAUTHENTICATED), errors.AuthenticationError, False),
    (status(grpc.StatusCode.PERMISSION_DENIED), errors.AuthenticationError, False),
    (status(grpc.StatusCode.NOT_FOUND, MISSING), errors.IndexNotFoundError, False),
    (status(grpc.StatusCode.ALREADY_EXISTS), errors.IndexAlreadyExistsError, False),
    (status(grpc.StatusCode.INVALID_ARGUMENT), errors.InvalidDocumentError, False),
    (status(grpc.StatusCode.INVALID_ARGUMENT, NO_INDEX), errors.UnsupportedOperationError, False),
    (status(grpc.StatusCode.RESOURCE_EXHAUSTED), errors.RateLimitError, True),
    (status(grpc.StatusCode.UNIMPLEMENTED), errors.UnsupportedOperationError, False),
    (status(grpc.StatusCode.INTERNAL), VectorStoreError, True),
    (status(grpc.StatusCode.DATA_LOSS), VectorStoreError, False),
    (ValueError("Collection x not found"), errors.IndexNotFoundError, False),
    (ValueError("Collection x already exists"), errors.IndexAlreadyExistsError, False),
    (ValueError("something else"), errors.InvalidDocumentError, False),
    (PermissionError(13, "denied"), VectorStoreError, False),
    (OSError(28, "disk full"), VectorStoreError, False),
]


@pytest.mark.parametrize(("error", "kind", "retryable"), CASES, ids=lambda one: type(one).__name__)
def test_each_has_its_class(error: Exception, kind: type[VectorStoreError], *, retryable: bool) -> None:
    mapped = map_error(error)
    assert type(mapped) is kind
    assert mapped.retryable is retryable


@pytest.mark.parametrize("error", [KeyError("x"), RuntimeError("x"), builtins.ConnectionResetError(), TimeoutError()])
def test_what_is_not_qdrant_s_is_left_to_the_base_class(error: Exception) -> None:
    assert map_error(error) is None


def test_the_server_s_own_words_are_kept() -> None:
    assert str(map_error(response(404, MISSING.replace("'", "")))) == MISSING.replace("'", "")


def test_the_field_and_the_remedy_are_named() -> None:
    for error in (response(400, NO_INDEX), status(grpc.StatusCode.INVALID_ARGUMENT, NO_INDEX)):
        text = str(map_error(error))
        assert "'lang' has no payload index of type keyword" in text
        assert "create_index(payload_indexes={'lang': \"keyword\"})" in text
        assert "auto_index" in text


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (ResourceExhaustedResponse("slow down", 7), 7.0),
        (response(429, "slow down", **{"Retry-After": "2.5"}), 2.5),
        (response(429, "slow down", **{"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}), None),
        (response(429, "slow down"), None),
    ],
)
def test_how_long_to_wait(error: Exception, seconds: float | None) -> None:
    mapped: Any = map_error(error)
    assert mapped.retry_after == seconds
