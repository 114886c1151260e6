"""Comparisons that say what is different, and where."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from ia_modules.vector_stores.models import SearchResult, VectorDocument
from ia_modules.vector_stores.testing.model import Ranking

__all__ = ["ConformanceError", "holds", "raises", "same", "same_documents", "same_ranking"]

E = TypeVar("E", bound=BaseException)

SCORE_TOLERANCE = 1e-4
"""Absolute, for scores of unit scale; relative beyond."""
VECTOR_TOLERANCE = 1e-6
_LONGEST = 300


class ConformanceError(AssertionError):
    """The provider breaks a rule; the message says how."""


def holds(condition: object, what: str) -> None:
    """Fail with ``what`` unless the condition holds."""
    if not condition:
        raise ConformanceError(what)


def same(found: object, expected: object, what: str) -> None:
    """Fail unless two values are equal, to the type: 1, 1.0 and True differ."""
    if _canonical(found) != _canonical(expected):
        raise ConformanceError(f"{what}: found {_short(found)}, expected {_short(expected)}")


async def raises(awaitable: Awaitable[object], kind: type[E] | tuple[type[E], ...], what: str, *mentions: str) -> E:
    """Await what must fail; the error, whose message must mention some words."""
    kinds = kind if isinstance(kind, tuple) else (kind,)
    names = " or ".join(one.__name__ for one in kinds)
    try:
        result = await awaitable
    except kinds as error:
        for mention in mentions:
            holds(mention in str(error), f"{what}: the error should mention {mention!r}, and says: {error}")
        return error
    except Exception as error:
        raise ConformanceError(f"{what}: raised {type(error).__name__} ({error}), expected {names}") from error
    raise ConformanceError(f"{what}: returned {_short(result)}, expected {names}")


def same_documents(found: Iterable[VectorDocument], expected: Mapping[str, VectorDocument], what: str) -> None:
    """Fail unless these are the documents, each once, in whatever order."""
    documents = list(found)
    ids = [document.id for document in documents]
    holds(len(set(ids)) == len(ids), f"{what}: the same document came twice: {_short(sorted(ids))}")
    same_ids(ids, expected, what)
    for document in documents:
        same_document(document, expected[document.id], what)


def same_ids(found: Iterable[str], expected: Iterable[str], what: str) -> None:
    """Fail unless these are the ids, in whatever order; says which are missing and which too many."""
    missing, extra = set(expected) - set(found), set(found) - set(expected)
    if missing or extra:
        raise ConformanceError(f"{what}: missing {_short(sorted(missing))}, unexpected {_short(sorted(extra))}")


def same_document(found: VectorDocument, expected: VectorDocument, what: str) -> None:
    """Fail unless two documents are equal, vectors within :data:`VECTOR_TOLERANCE`."""
    where = f"{what}, document {found.id!r}"
    same(found.id, expected.id, f"{where}: id")
    same(found.metadata, expected.metadata, f"{where}: metadata")
    same(found.text, expected.text, f"{where}: text")
    same_vector(found.vector, expected.vector, f"{where}: vector")


def same_vector(found: Sequence[float] | None, expected: Sequence[float], what: str) -> None:
    """Fail unless two vectors are equal within :data:`VECTOR_TOLERANCE`."""
    close = (
        found is not None
        and len(found) == len(expected)
        and all(
            math.isclose(x, y, rel_tol=VECTOR_TOLERANCE, abs_tol=1e-30) for x, y in zip(found, expected, strict=True)
        )
    )
    holds(close, f"{what}: found {_short(found and list(found))}, expected {_short(list(expected))}")


def same_ranking(found: Sequence[SearchResult], ranking: Ranking, top_k: int, what: str) -> None:
    """Fail unless these are the best ``top_k`` of the ranking.

    Where scores tie at the end of the list, within the tolerance, any of the documents may be there.
    """
    ids, scores = [result.id for result in found], [result.score for result in found]
    holds(len(set(ids)) == len(ids), f"{what}: a document came twice: {_short(ids)}")
    exact = {name: score for score, name in ranking}
    holds(exact.keys() >= set(ids), f"{what}: found what does not match: {_short(sorted(set(ids) - exact.keys()))}")
    wanted = min(top_k, len(ranking))
    holds(len(ids) == wanted, f"{what}: {len(ids)} results, expected {wanted}")
    for name, score in zip(ids, scores, strict=True):
        holds(
            type(score) is float and _close(score, exact[name]), f"{what}: {name!r} scored {score}, not {exact[name]}"
        )
    for (best, name), score in zip(ranking, scores, strict=False):
        holds(_close(score, best), f"{what}: a better document is missing, such as {name!r} with {best}: {_short(ids)}")
    order = sorted(zip(scores, ids, strict=True), key=lambda item: (-item[0], item[1]))
    holds(order == list(zip(scores, ids, strict=True)), f"{what}: not by score, then id: {_short(ids)}")


def _close(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=SCORE_TOLERANCE, abs_tol=SCORE_TOLERANCE)


def _canonical(value: Any) -> Any:
    """Comparable with ``==``, types included; objects without the order of their keys."""
    if isinstance(value, Mapping):
        return ("object", sorted((key, _canonical(item)) for key, item in value.items()))
    if isinstance(value, list | tuple):
        return ("list", [_canonical(item) for item in value])
    # repr tells doubles apart exactly, and -0.0 counts as 0.0: they are equal numbers.
    return (type(value).__name__, repr(value + 0.0) if isinstance(value, float) else repr(value))


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text):,} characters)"
