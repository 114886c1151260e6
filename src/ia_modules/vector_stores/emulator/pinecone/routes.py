"""Which function answers which request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from ia_modules.vector_stores.emulator.pinecone.wire import Answer, RefusedError, Request

__all__ = ["Routes"]

C = TypeVar("C")


class Routes(Generic[C]):
    """Functions by method and path; a part of a path like ``{name}`` stands for any name and is passed on.

    Of the paths that fit, the first that was added counts.
    """

    def __init__(self) -> None:
        self._routes: dict[tuple[str, ...], dict[str, Callable[..., Answer]]] = {}

    def add(self, method: str, path: str, answer: Callable[..., Answer]) -> None:
        """Answer such requests with the function: it is called with the context and the names in the path."""
        self._routes.setdefault(tuple(path.strip("/").split("/")), {})[method] = answer

    def answer(self, request: Request, context: C) -> Answer:
        """The answer to a request.

        Raises:
            RefusedError: there is no such path, or the function refuses.
        """
        for pattern, methods in self._routes.items():
            if len(pattern) != len(request.segments):
                continue
            pairs = list(zip(pattern, request.segments, strict=True))
            if any(part != segment for part, segment in pairs if not part.startswith("{")):
                continue
            if request.method not in methods:
                raise RefusedError(f"{request.method} is not allowed here", 405, {"allow": ", ".join(methods)})
            return methods[request.method](context, *(segment for part, segment in pairs if part.startswith("{")))
        raise RefusedError(f"There is nothing at {request.path}", 404)
