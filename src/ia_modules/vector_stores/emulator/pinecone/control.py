"""The control plane: indexes are created, described, configured and deleted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ia_modules.vector_stores.emulator.pinecone.creating import created
from ia_modules.vector_stores.emulator.pinecone.definitions import shown, shown_as_before
from ia_modules.vector_stores.emulator.pinecone.engine import Engine, Index
from ia_modules.vector_stores.emulator.pinecone.routes import Routes
from ia_modules.vector_stores.emulator.pinecone.wire import Answer, RefusedError, Request

__all__ = ["ControlPlane"]

_ELSEWHERE = {
    "admin": "administration",
    "assistant": "assistants",
    "backup-schedules": "backups",
    "backups": "backups",
    "chat": "assistants",
    "collections": "collections",
    "embed": "inference",
    "files": "assistants",
    "models": "inference",
    "rerank": "inference",
    "restore-jobs": "backups",
}
"""The first part of paths that the service has and the emulator has not, and what they are about."""


@dataclass(frozen=True, slots=True)
class _Call:
    engine: Engine
    request: Request

    def shown(self, index: Index) -> dict[str, Any]:
        """The description, in the form of the API version that the client names."""
        version = self.request.headers.get("x-pinecone-api-version", "")
        before = version[:4].isdigit() and version < "2026-07" and not version.endswith("alpha")
        form = shown_as_before if before and not index.definition.documents else shown
        return form(index.definition, self.request.host, ready=index.ready)


class ControlPlane:
    """Answers the requests that are not for an index."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._routes: Routes[_Call] = Routes()
        self._routes.add("GET", "/indexes", _list)
        self._routes.add("POST", "/indexes", _create)
        # Before what takes any name: the first that fits answers.
        self._routes.add("POST", "/indexes/create-for-model", _create_for_model)
        self._routes.add("GET", "/indexes/{name}", _describe)
        self._routes.add("PATCH", "/indexes/{name}", _configure)
        self._routes.add("DELETE", "/indexes/{name}", _delete)
        self._routes.add("POST", "/indexes/{name}/backups", _backups)
        self._routes.add("GET", "/indexes/{name}/backups", _backups)

    def answer(self, request: Request) -> Answer:
        """The answer to a request.

        Raises:
            RefusedError: it is not carried out.
        """
        about = _ELSEWHERE.get(request.segments[0])
        if about is not None:
            raise RefusedError(f"The emulator has no {about}", 501)
        return self._routes.answer(request, _Call(self._engine, request))


def _list(call: _Call) -> Answer:
    return Answer({"indexes": [call.shown(index) for _, index in sorted(call.engine.indexes.items())]})


def _create(call: _Call) -> Answer:
    return Answer(call.shown(call.engine.create(created(call.request.json()))), 201)


def _describe(call: _Call, name: str) -> Answer:
    return Answer(call.shown(call.engine.index(name)))


def _configure(call: _Call, name: str) -> Answer:
    return Answer(call.shown(call.engine.configure(name, call.request.json())), 202)


def _delete(call: _Call, name: str) -> Answer:
    call.engine.delete(name)
    return Answer(None, 202)


def _create_for_model(call: _Call) -> Answer:  # noqa: ARG001 - what all of them are called with
    raise RefusedError("The emulator has no integrated embedding", 501)


def _backups(call: _Call, name: str) -> Answer:  # noqa: ARG001
    raise RefusedError("The emulator has no backups", 501)
