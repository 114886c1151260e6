"""Filters of the Documents API: which operators the fields of a schema take. For other fields see ``filters``."""

from __future__ import annotations

from typing import Any

from ia_modules.vector_stores.emulator.pinecone import limits
from ia_modules.vector_stores.emulator.pinecone.checks import typed
from ia_modules.vector_stores.emulator.pinecone.definitions import Definition
from ia_modules.vector_stores.emulator.pinecone.wire import RefusedError

__all__ = ["search_filter", "selecting_filter"]

_TEXT_MATCHES = {"$match_phrase", "$match_all", "$match_any"}


def search_filter(body: dict[str, Any], index: Definition) -> dict[str, Any] | None:
    """The filter of a search: it may be empty.

    Raises:
        RefusedError: it compares a field that is searched, or looks for words.
    """
    wanted = typed(body, "filter", dict)
    _check(wanted, index, 0, writing=False)
    return wanted


def selecting_filter(body: dict[str, Any], index: Definition, *, writing: bool = False) -> dict[str, Any] | None:
    """The filter that says which documents a fetch, update or delete is about.

    Raises:
        RefusedError: it is empty, or as above; for writes, words can't be looked for at all.
    """
    wanted = typed(body, "filter", dict)
    if wanted == {}:
        raise RefusedError("filter must not be empty")
    _check(wanted, index, 0, writing=writing)
    return wanted


def _check(wanted: Any, index: Definition, depth: int, *, writing: bool) -> None:
    # What else may be wrong with a filter, its depth included, is found when it is compiled.
    if not isinstance(wanted, dict) or depth > limits.FILTER_DEPTH:
        return
    for key, value in wanted.items():
        if key in ("$and", "$or"):
            for one in value if isinstance(value, list) else ():
                _check(one, index, depth + 1, writing=writing)
            continue
        operators = value.keys() if isinstance(value, dict) else {"$eq"}
        if key in index.fields and key not in index.texts:
            raise RefusedError(f"Field '{key}' is a vector field, which can't be filtered by")
        if key in index.texts and not operators <= _TEXT_MATCHES:
            raise RefusedError(f"Field '{key}' is a full text field, which can't be compared")
        if words := operators & _TEXT_MATCHES:
            if writing:
                raise RefusedError(f"Text-match operators such as {min(words)} can't select documents to write")
            if key not in index.texts:
                raise RefusedError(f"Field '{key}' is no full text field, it can't be matched by {min(words)}")
            raise RefusedError("The emulator has no full text search", 501)
