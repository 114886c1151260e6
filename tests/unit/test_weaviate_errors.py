"""Weaviate's errors as ours, in each of the forms that they come in."""

from __future__ import annotations

import builtins
import warnings
from typing import Any

import pytest

from ia_modules.vector_stores import errors
from ia_modules.vector_stores.errors import VectorStoreError
from ia_modules.vector_stores.providers.weaviate.errors import RefusedError, invalid, map_error

with warnings.catch_warnings():
    pytest.importorskip("weaviate")
    import grpc
    import httpx
    from weaviate import exceptions


def refused(status: int, reason: str, retry_after: str | None = None) -> RefusedError:
    return RefusedError(status, f'{{"error": [{{"message": "{reason}"}}]}}', retry_after)


def status(code: grpc.StatusCode, details: str = "it failed") -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details)


def unexpected(code: int, body: str) -> Exception:
    return exceptions.UnexpectedStatusCodeError("Meta endpoint", httpx.Response(code, json={"message": body}))


def wrapped(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


CODE = grpc.StatusCode
CASES: list[tuple[Exception, type[VectorStoreError], bool]] = [
    (refused(401, "anonymous access not enabled"), errors.AuthenticationError, False),
    (refused(403, "forbidden"), errors.AuthenticationError, False),
    (refused(404, "nothing here"), errors.IndexNotFoundError, False),
    (refused(422, "class name Articles already exists"), errors.IndexAlreadyExistsError, False),
    (refused(422, "class already exists: found similar class"), errors.IndexAlreadyExistsError, False),
    (refused(422, "updating schema: TYPE_DELETE_TENANT: class not found"), errors.IndexNotFoundError, False),
    (refused(422, "dynamic indexes require ASYNC_INDEXING"), errors.UnsupportedOperationError, False),
    (refused(429, "slow down", "7"), errors.RateLimitError, True),
    (refused(413, "too large"), errors.UnsupportedOperationError, False),
    (refused(500, "internal"), VectorStoreError, True),
    (refused(422, "leader not found"), VectorStoreError, True),
    (refused(504, "late"), errors.OperationTimeoutError, True),
    (unexpected(401, "no"), errors.AuthenticationError, False),
    (unexpected(503, "starting"), VectorStoreError, True),
    (status(CODE.UNAVAILABLE), errors.ConnectionError, True),
    (status(CODE.DEADLINE_EXCEEDED), errors.OperationTimeoutError, True),
    (status(CODE.UNAUTHENTICATED), errors.AuthenticationError, False),
    (status(CODE.PERMISSION_DENIED), errors.AuthenticationError, False),
    (status(CODE.RESOURCE_EXHAUSTED), errors.RateLimitError, True),
    (status(CODE.RESOURCE_EXHAUSTED, "message larger than max (1 vs 2)"), errors.UnsupportedOperationError, False),
    (status(CODE.UNIMPLEMENTED), errors.UnsupportedOperationError, False),
    (status(CODE.UNKNOWN, "could not find class Articles in schema"), errors.IndexNotFoundError, False),
    (status(CODE.UNKNOWN, "shard x: vector lengths don't match: 3 vs 2"), errors.InvalidDimensionError, False),
    (status(CODE.UNKNOWN, "query maximum results exceeded"), errors.UnsupportedOperationError, False),
    (status(CODE.UNKNOWN, "no bucket for prop 'year' null found"), VectorStoreError, True),
    (status(CODE.UNKNOWN, "something else"), VectorStoreError, False),
    (httpx.ReadTimeout("late"), errors.OperationTimeoutError, True),
    (httpx.ConnectError("refused"), errors.ConnectionError, True),
    (exceptions.WeaviateStartUpError("no"), errors.ConnectionError, True),
    (exceptions.WeaviateTimeoutError("late"), errors.OperationTimeoutError, True),
    (exceptions.WeaviateClosedClientError(), errors.ConnectionError, True),
    (wrapped(exceptions.WeaviateStartUpError("no"), refused(401, "no")), errors.AuthenticationError, False),
    (exceptions.WeaviateInvalidInputError("bad"), VectorStoreError, False),
]


@pytest.mark.parametrize(("error", "kind", "retryable"), CASES, ids=range(len(CASES)))
def test_an_error_becomes_one_of_ours(error: Exception, kind: type[VectorStoreError], retryable: bool) -> None:
    mapped = map_error(error)
    assert type(mapped) is kind
    assert mapped.retryable is retryable


@pytest.mark.parametrize(("given", "seconds"), [("7", 7.0), ("Wed, 21 Oct 2026 07:28:00 GMT", None), (None, None)])
def test_the_wait_that_was_asked_for(given: str | None, seconds: float | None) -> None:
    mapped: Any = map_error(refused(429, "slow down", given))
    assert mapped.retry_after == seconds


def test_what_the_server_says_is_read_out_of_its_json() -> None:
    assert str(RefusedError(500, '{"error": [{"message": "a"}, {"message": "b"}]}', None)) == "a; b"
    assert str(RefusedError(500, '{"message": "a"}', None)) == "a"
    assert str(RefusedError(500, "<html>", None)) == "<html>"


@pytest.mark.parametrize("error", [ValueError("x"), builtins.ConnectionError("x"), RuntimeError("x")])
def test_what_is_not_the_client_s_is_left_to_the_base_class(error: Exception) -> None:
    assert map_error(error) is None


def test_one_document_s_error_names_it() -> None:
    error: Any = invalid("invalid text property 'x'", "a")
    assert isinstance(error, errors.InvalidDocumentError)
    assert error.document_id == "a"
    assert invalid("not enough memory", "a").retryable
