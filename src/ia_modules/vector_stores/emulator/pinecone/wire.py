"""Requests, answers and refusals: what the APIs see of HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

__all__ = ["Answer", "RefusedError", "Request", "control_error", "error_answer", "vectors_error"]

_JSON = orjson.OPT_SERIALIZE_NUMPY

# Names of statuses for the control plane and the Documents API, numbers of gRPC for the Vectors API.
_CODES: dict[int, tuple[str, int]] = {
    400: ("INVALID_ARGUMENT", 3),
    401: ("UNAUTHENTICATED", 16),
    402: ("PAYMENT_REQUIRED", 9),
    403: ("FORBIDDEN", 7),
    404: ("NOT_FOUND", 5),
    405: ("INVALID_ARGUMENT", 12),
    408: ("DEADLINE_EXCEEDED", 4),
    409: ("ALREADY_EXISTS", 6),
    412: ("FAILED_PRECONDITION", 9),
    413: ("RESOURCE_EXHAUSTED", 11),
    422: ("UNPROCESSABLE_ENTITY", 3),
    429: ("RESOURCE_EXHAUSTED", 8),
    500: ("UNKNOWN", 13),
    501: ("UNIMPLEMENTED", 12),
    502: ("UNAVAILABLE", 14),
    503: ("UNAVAILABLE", 14),
    504: ("DEADLINE_EXCEEDED", 4),
}


class RefusedError(Exception):
    """The request is not carried out.

    Attributes:
        status: the HTTP status.
        message: what the body says.
        headers: more headers of the answer.
    """

    def __init__(self, message: str, status: int = 400, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.headers = dict(headers or {})


@dataclass(slots=True)
class Answer:
    """What is sent back; ``content`` is made JSON, bytes are sent as they are, None is an empty body."""

    content: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    def body(self) -> bytes:
        """The bytes of the body."""
        if self.content is None:
            return b""
        return self.content if isinstance(self.content, bytes) else orjson.dumps(self.content, option=_JSON)


@dataclass(slots=True)
class Request:
    """What was asked. ``path`` and ``segments`` are decoded and, on the data plane, come after ``/i/NAME``.

    A namespace may hold a slash, which comes as ``%2F``: hence the segments beside the path.
    """

    method: str
    path: str
    segments: tuple[str, ...]
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes
    index: str | None
    host: str
    url_bytes: int

    def json(self) -> dict[str, Any]:
        """The body, an object.

        Raises:
            RefusedError: it is something else, or no JSON.
        """
        try:
            value = orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise RefusedError(f"The request body is not valid JSON: {error}") from None
        if isinstance(value, list):
            raise RefusedError("Proto field is not repeating, cannot start list")
        if not isinstance(value, dict):
            raise RefusedError("The request body must be a JSON object")
        return value

    def one(self, name: str) -> str | None:
        """A parameter of the URL, the last one if it is repeated."""
        values = self.query.get(name)
        return values[-1] if values else None

    def whole(self, name: str) -> int | None:
        """A parameter of the URL that is a whole number.

        Raises:
            RefusedError: it is something else.
        """
        text = self.one(name)
        if text is None:
            return None
        try:
            return int(text)
        except ValueError:
            raise RefusedError(f"{name} must be an integer, got '{text[:40]}'") from None


def control_error(status: int, message: str) -> dict[str, Any]:
    """The body of an error of the control plane, and of the Documents API."""
    return {"status": status, "error": {"code": _CODES.get(status, ("UNKNOWN", 2))[0], "message": message}}


def vectors_error(status: int, message: str) -> dict[str, Any]:
    """The body of an error of the Vectors API: a gRPC status as JSON."""
    return {"code": _CODES.get(status, ("UNKNOWN", 2))[1], "message": message, "details": []}


def error_answer(request: Request, error: RefusedError) -> Answer:
    """The answer to a request that is refused, in the form of the API it was for."""
    if error.status == 401:
        return Answer("Unauthorized", 401)
    if error.status == 414:
        return Answer(error.message.encode(), 414, {"content-type": "text/plain"})
    documents = len(request.segments) > 2 and request.segments[2] == "documents"
    form = control_error if request.index is None or documents else vectors_error
    return Answer(form(error.status, error.message), error.status, error.headers)
