"""The error tree: what each is, carries, says, and survives."""

from __future__ import annotations

import builtins
import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from ia_modules.vector_stores import base, errors
from ia_modules.vector_stores.errors import (
    AuthenticationError,
    ConnectionError,
    IndexAlreadyExistsError,
    IndexMismatchError,
    IndexNotFoundError,
    InvalidDimensionError,
    InvalidDocumentError,
    MissingDependencyError,
    OperationTimeoutError,
    PartialFailureError,
    PoolFullError,
    PoolTimeoutError,
    RateLimitError,
    StoreLockedError,
    UnsupportedOperationError,
    VectorStoreError,
)

ALL = [getattr(errors, name) for name in errors.__all__]


def example(kind: type[VectorStoreError]) -> VectorStoreError:
    if kind is MissingDependencyError:
        return MissingDependencyError("chromadb", extra="chroma", needed_for="The chroma provider", provider="p")
    more: dict[str, Any] = {
        PartialFailureError: {"succeeded": ["a"], "failed": {"b": RateLimitError("slow", retry_after=2.0)}},
        RateLimitError: {"retry_after": 1.5},
        InvalidDimensionError: {"expected": 3, "given": 4, "document_id": "a"},
        InvalidDocumentError: {"document_id": "a"},
    }.get(kind, {})
    return kind("what happened", provider="p", operation="search", **more)


@pytest.mark.parametrize("kind", ALL)
def test_every_error_is_ours(kind: type[VectorStoreError]) -> None:
    assert issubclass(kind, VectorStoreError)
    assert kind.__doc__


@pytest.mark.parametrize(
    ("kind", "also"),
    [
        (ConnectionError, builtins.ConnectionError),
        (ConnectionError, OSError),
        (OperationTimeoutError, builtins.TimeoutError),
        (PoolTimeoutError, builtins.TimeoutError),
        (MissingDependencyError, ImportError),
        (InvalidDimensionError, IndexMismatchError),
        (InvalidDimensionError, ValueError),
        (InvalidDocumentError, ValueError),
        (IndexMismatchError, ValueError),
    ],
)
def test_what_they_are_besides(kind: type[Exception], also: type[Exception]) -> None:
    assert issubclass(kind, also)


@pytest.mark.parametrize(
    "kind", [AuthenticationError, IndexNotFoundError, UnsupportedOperationError, StoreLockedError, VectorStoreError]
)
def test_what_they_are_not(kind: type[Exception]) -> None:
    assert not issubclass(kind, ValueError | OSError | ImportError | LookupError)


def test_which_a_retry_can_cure() -> None:
    curable = {kind for kind in ALL if example(kind).retryable}
    assert curable == {ConnectionError, RateLimitError, OperationTimeoutError, PoolTimeoutError, PoolFullError}
    assert not ConnectionError("no", retryable=False).retryable
    assert VectorStoreError("no", retryable=True).retryable


@pytest.mark.parametrize(
    ("where", "shown"),
    [
        ({}, "what happened"),
        ({"provider": "p"}, "p: what happened"),
        ({"operation": "search"}, "search: what happened"),
        ({"provider": "p", "operation": "search"}, "p.search: what happened"),
    ],
)
def test_str_says_where(where: dict[str, str], shown: str) -> None:
    error = VectorStoreError("what happened", **where)  # type: ignore[arg-type]
    assert (str(error), error.message) == (shown, "what happened")


def test_located_fills_in_what_is_not_known() -> None:
    error = IndexNotFoundError("gone", operation="open")
    assert error.located("p", "search") is error
    assert (error.provider, error.operation) == ("p", "open")
    error.located("q", "count")
    assert str(error) == "p.open: gone"


def test_a_missing_package_is_told_with_the_line_that_installs_it() -> None:
    error = example(MissingDependencyError)
    assert str(error) == (
        "p: The chroma provider needs the package 'chromadb', which is not installed. "
        'Install it with: pip install "ia-modules-vector-stores[chroma]"'
    )


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("copied", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy, copy.deepcopy])
def test_errors_pass_from_process_to_process(kind: type[VectorStoreError], copied: Callable[[Any], Any]) -> None:
    error = example(kind)
    error.add_note("given up after 4 attempts")
    twin = copied(error)
    assert type(twin) is kind
    assert (str(twin), twin.args) == (str(error), error.args)
    assert {name: repr(value) for name, value in vars(twin).items()} == {
        name: repr(value) for name, value in vars(error).items()
    }


def test_a_partial_failure_keeps_copies() -> None:
    succeeded, failed = ["a"], {"b": Exception()}
    error = PartialFailureError("some", succeeded=succeeded, failed=failed)
    succeeded.clear()
    failed.clear()
    assert (error.succeeded, list(error.failed)) == (["a"], ["b"])


def test_base_has_all_of_them() -> None:
    assert {name for name in errors.__all__ if getattr(base, name) is not getattr(errors, name)} == set()


def test_an_existing_index_is_not_a_missing_one() -> None:
    assert not issubclass(IndexAlreadyExistsError, IndexNotFoundError)
