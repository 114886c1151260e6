"""Pinecone's errors as ours, in each of the forms that they come in."""

from __future__ import annotations

import builtins
from typing import Any

import pytest

from ia_modules.vector_stores import errors
from ia_modules.vector_stores.errors import VectorStoreError
from ia_modules.vector_stores.providers.pinecone.errors import is_namespace_missing, map_error

pytest.importorskip("pinecone")
import httpx
from pinecone import errors as theirs
from pinecone._internal.http_client import _raise_for_status


def answered(status: int, body: Any, **headers: str) -> Exception:
    """What the client makes of an answer."""
    response = httpx.Response(status, json=body, headers=headers, request=httpx.Request("POST", "http://h"))
    with pytest.raises(theirs.ApiError) as raised:
        _raise_for_status(response)
    return raised.value


def data_plane(status: int, code: int, message: str, **headers: str) -> Exception:
    return answered(status, {"code": code, "message": message, "details": []}, **headers)


def control_plane(status: int, code: str, message: str) -> Exception:
    return answered(status, {"status": status, "error": {"code": code, "message": message}})


MISMATCH = "Vector dimension 3 does not match the dimension of the index 4"
CASES: list[tuple[Exception, type[VectorStoreError], bool]] = [
    (answered(401, "Unauthorized"), errors.AuthenticationError, False),
    (control_plane(403, "FORBIDDEN", "no"), errors.AuthenticationError, False),
    (
        control_plane(403, "FORBIDDEN", "Deletion protection is enabled for this index"),
        errors.UnsupportedOperationError,
        False,
    ),
    (control_plane(403, "QUOTA_EXCEEDED", "You've reached the quota"), errors.UnsupportedOperationError, False),
    (control_plane(402, "PAYMENT_REQUIRED", "money"), errors.AuthenticationError, False),
    (control_plane(404, "NOT_FOUND", "Resource i not found"), errors.IndexNotFoundError, False),
    (control_plane(409, "ALREADY_EXISTS", "Resource already exists"), errors.IndexAlreadyExistsError, False),
    (control_plane(422, "UNPROCESSABLE_ENTITY", "unknown cloud"), errors.UnsupportedOperationError, False),
    (data_plane(400, 3, MISMATCH), errors.InvalidDimensionError, False),
    (data_plane(400, 3, "metadata size is 50000 bytes"), errors.InvalidDocumentError, False),
    (data_plane(400, 3, "no such operator"), errors.UnsupportedOperationError, False),
    (data_plane(408, 4, "late"), errors.OperationTimeoutError, True),
    (data_plane(413, 11, "too large"), errors.UnsupportedOperationError, False),
    (data_plane(429, 8, "slow down"), errors.RateLimitError, True),
    (data_plane(500, 13, "internal"), VectorStoreError, True),
    (data_plane(503, 14, "busy"), VectorStoreError, True),
    (data_plane(504, 4, "late"), errors.OperationTimeoutError, True),
    (theirs.PineconeTimeoutError("late"), errors.OperationTimeoutError, True),
    (theirs.PineconeConnectionError("refused"), errors.ConnectionError, True),
    (theirs.PineconeValueError("tags"), errors.UnsupportedOperationError, False),
    (theirs.PineconeTypeError("tags"), errors.UnsupportedOperationError, False),
    (httpx.ReadTimeout("late"), errors.OperationTimeoutError, True),
    (httpx.ConnectError("refused"), errors.ConnectionError, True),
]


@pytest.mark.parametrize(("error", "kind", "retryable"), CASES, ids=range(len(CASES)))
def test_an_error_becomes_one_of_ours(error: Exception, kind: type[VectorStoreError], retryable: bool) -> None:
    mapped = map_error(error)
    assert type(mapped) is kind
    assert mapped.retryable is retryable


@pytest.mark.parametrize(("given", "seconds"), [({"retry-after": "7"}, 7.0), ({}, None)])
def test_the_wait_that_was_asked_for(given: dict[str, str], seconds: float | None) -> None:
    mapped: Any = map_error(data_plane(429, 8, "slow down", **given))
    assert mapped.retry_after == seconds


def test_an_answer_that_is_no_json_is_an_error_of_ours() -> None:
    orjson = pytest.importorskip("orjson")
    with pytest.raises(orjson.JSONDecodeError) as raised:
        orjson.loads(b"<html>")
    mapped = map_error(raised.value)
    assert mapped is not None
    assert "can't be read" in str(mapped)


def test_a_missing_namespace_is_no_missing_index() -> None:
    assert is_namespace_missing(data_plane(404, 5, "Namespace not found"))
    assert not is_namespace_missing(data_plane(404, 5, "Index not found"))
    assert not is_namespace_missing(data_plane(400, 3, "Namespace not found"))
    assert not is_namespace_missing(ValueError("Namespace not found"))


@pytest.mark.parametrize("error", [ValueError("x"), builtins.ConnectionError("x"), RuntimeError("x")])
def test_what_is_not_the_client_s_is_left_to_the_base_class(error: Exception) -> None:
    assert map_error(error) is None
