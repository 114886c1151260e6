"""Every error the library raises.

.. code-block:: text

    VectorStoreError
    ├── ConnectionError            (also builtins.ConnectionError)
    ├── AuthenticationError
    ├── IndexNotFoundError
    ├── IndexAlreadyExistsError
    ├── IndexMismatchError         (also ValueError)
    │   └── InvalidDimensionError
    ├── InvalidDocumentError       (also ValueError)
    ├── UnsupportedOperationError
    ├── RateLimitError
    ├── OperationTimeoutError      (also TimeoutError)
    ├── PoolTimeoutError           (also TimeoutError)
    │   └── PoolFullError
    ├── PoolClosedError
    ├── PartialFailureError
    ├── StoreLockedError
    └── MissingDependencyError     (also ImportError)

A wrong argument (``top_k=0``, an unknown operator, an unknown provider) is a plain :class:`ValueError`: it is
a mistake in the program, not something that happened to a store. The classes that are also a ``ValueError`` are
mistakes in the data handed in.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = [
    "AuthenticationError",
    "ConnectionError",
    "IndexAlreadyExistsError",
    "IndexMismatchError",
    "IndexNotFoundError",
    "InvalidDimensionError",
    "InvalidDocumentError",
    "MissingDependencyError",
    "OperationTimeoutError",
    "PartialFailureError",
    "PoolClosedError",
    "PoolFullError",
    "PoolTimeoutError",
    "RateLimitError",
    "StoreLockedError",
    "UnsupportedOperationError",
    "VectorStoreError",
]


class VectorStoreError(Exception):
    """Base of all errors; says where it happened and whether trying again can help.

    Attributes:
        provider: name of the provider, for example ``"chroma"``; None where no provider was involved yet.
        operation: name of the call, for example ``"upsert"``; None likewise.
        retryable: True if the same call may succeed later without any change. False once retries are spent.
        __cause__: the database client's own exception, where there was one.
    """

    retryable_by_default = False

    def __init__(
        self,
        message: str,
        *,
        provider: str | None = None,
        operation: str | None = None,
        retryable: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.provider = provider
        self.operation = operation
        self.retryable = self.retryable_by_default if retryable is None else retryable

    def located(self, provider: str, operation: str) -> VectorStoreError:
        """Fill in provider and operation where they are still unknown; returns self."""
        self.provider = self.provider or provider
        self.operation = self.operation or operation
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (type(self), self.args, self.__dict__)

    def __str__(self) -> str:
        where = ".".join(part for part in (self.provider, self.operation) if part)
        return f"{where}: {self.message}" if where else self.message


def _rebuilt(kind: type[VectorStoreError], args: tuple[Any, ...], state: dict[str, Any]) -> VectorStoreError:
    """Unpickle an error, whatever its constructor takes."""
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class ConnectionError(VectorStoreError, builtins.ConnectionError):  # noqa: A001 - the contract fixes the name
    """The database could not be reached, or the connection broke."""

    retryable_by_default = True


class AuthenticationError(VectorStoreError):
    """The database refused the credentials, or they do not allow the operation."""


class IndexNotFoundError(VectorStoreError):
    """The index does not exist."""


class IndexAlreadyExistsError(VectorStoreError):
    """An index of that name exists already."""


class IndexMismatchError(VectorStoreError, ValueError):
    """The existing index was made for another metric or embedding model than the one now asked for."""


class InvalidDimensionError(IndexMismatchError):
    """A vector, or the index itself, has another number of dimensions than expected.

    Attributes:
        expected: dimensions of the index.
        given: dimensions handed in.
        document_id: id of the document at fault, if it was a document.
    """

    def __init__(
        self,
        message: str,
        *,
        expected: int | None = None,
        given: int | None = None,
        document_id: str | None = None,
        provider: str | None = None,
        operation: str | None = None,
    ) -> None:
        super().__init__(message, provider=provider, operation=operation)
        self.expected = expected
        self.given = given
        self.document_id = document_id


class InvalidDocumentError(VectorStoreError, ValueError):
    """A document, an id or a vector can't be stored as it is.

    Attributes:
        document_id: id of the document at fault, where known.
    """

    def __init__(
        self,
        message: str,
        *,
        document_id: str | None = None,
        provider: str | None = None,
        operation: str | None = None,
    ) -> None:
        super().__init__(message, provider=provider, operation=operation)
        self.document_id = document_id


class UnsupportedOperationError(VectorStoreError):
    """The provider can't do what was asked: a metric, a filter, a feature or a limit."""


class RateLimitError(VectorStoreError):
    """The database asked to slow down.

    Attributes:
        retry_after: seconds the database asked to wait, or None if it did not say.
    """

    retryable_by_default = True

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        provider: str | None = None,
        operation: str | None = None,
        retryable: bool | None = None,
    ) -> None:
        super().__init__(message, provider=provider, operation=operation, retryable=retryable)
        self.retry_after = retry_after


class OperationTimeoutError(VectorStoreError, builtins.TimeoutError):
    """The call did not finish within its deadline (``config.timeout``), retries included."""

    retryable_by_default = True


class PoolTimeoutError(VectorStoreError, builtins.TimeoutError):
    """No pooled store became free in time."""

    retryable_by_default = True


class PoolFullError(PoolTimeoutError):
    """As many tasks wait for a pooled store already as may."""


class PoolClosedError(VectorStoreError):
    """The pool is closed, and its stores with it."""


class PartialFailureError(VectorStoreError):
    """Some of the documents arrived and some did not.

    Attributes:
        succeeded: ids that are stored.
        failed: id -> the error that kept it from being stored.
    """

    def __init__(
        self,
        message: str,
        *,
        succeeded: Sequence[str],
        failed: Mapping[str, Exception],
        provider: str | None = None,
        operation: str | None = None,
        retryable: bool | None = None,
    ) -> None:
        super().__init__(message, provider=provider, operation=operation, retryable=retryable)
        self.succeeded = list(succeeded)
        self.failed = dict(failed)


class StoreLockedError(VectorStoreError):
    """Another process has the embedded database open; a second writer would lose data."""


class MissingDependencyError(VectorStoreError, ImportError):
    """A package that this feature needs is not installed; the message has the ``pip install`` line.

    Attributes:
        package: the package that is missing.
        extra: the extra of ``ia-modules-vector-stores`` that brings it.
    """

    def __init__(self, package: str, *, extra: str, needed_for: str, provider: str | None = None) -> None:
        super().__init__(
            f"{needed_for} needs the package {package!r}, which is not installed. "
            f'Install it with: pip install "ia-modules-vector-stores[{extra}]"',
            provider=provider,
        )
        self.package = package
        self.extra = extra
