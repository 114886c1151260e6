"""Finding documents by words, for databases that can't rank by them, or would each rank in a way of its own.

The terms of a namespace's texts are read once, indexed here, and kept. Before each search the database is asked what
tells whether they are still the same:

* where all writers are in this process, a token that changes with each write;
* elsewhere, how many documents there are, and how many have a later stamp (the time when they were written, by the
  clock of who wrote them) than all that were read. If the latest was written just before it was read, so that other
  writes may have been under way, it is also asked how many have a stamp of the minutes before it or later. Who writes
  changes one of these numbers. Documents with a late stamp are read then, and all if that does not explain the numbers.

A namespace with documents that have no stamp, since another program has written them, is read at each search.
"""

from __future__ import annotations

import asyncio
from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from time import time_ns
from typing import Protocol, TypeVar

from ia_modules.vector_stores.filters import MATCH_ALL, Node, predicate
from ia_modules.vector_stores.lexical import Matches, Terms, WordIndex, analyzer
from ia_modules.vector_stores.models import VectorDocument
from ia_modules.vector_stores.parts import part
from ia_modules.vector_stores.requests import ScanPage, TextRequest, TextsPage, TextsState

__all__ = ["COUNTED", "TextSearch", "stamp"]

COUNTED = 10_000
"""Newer documents that a state need not count beyond."""
_SLACK = 120 * 1_000_000
"""Microseconds that a write may be under way, and that clocks may differ."""
T = TypeVar("T")

_PAGE = 1_000
_KEPT_DOCUMENTS = 1_000_000
_KEPT_INDEXES = 256
_INLINE = 5_000
"""Documents that are scored without leaving the event loop; some 0.1 ms."""
_FETCHED = 3
"""Pages of candidates that are fetched to apply a filter, before the filter's own documents are listed."""


def stamp() -> int:
    """The time, in microseconds since 1970: a document's stamp, which a double can hold exactly."""
    return time_ns() // 1_000


class Texts(Protocol):
    """The primitives that a search by words is made of."""

    async def _texts_state(self, namespace: str, since: tuple[int, ...]) -> TextsState | None: ...

    async def _texts_page(self, namespace: str, since: int | None, size: int, cursor: object | None) -> TextsPage: ...

    async def _fetch(self, ids: list[str], namespace: str) -> dict[str, VectorDocument]: ...

    async def _scan_page(
        self, namespace: str, filters: Node, size: int, include_vectors: bool, cursor: object | None
    ) -> ScanPage: ...


@dataclass
class _Kept:
    """The terms of a namespace's texts in one language.

    Attributes:
        terms: what a text's terms are, in which language.
        state: the state from before they were read.
        read: the time then.
        texts: the terms of each document's text, as numbers; None if it has none.
        stamps: when each was written.
        unstamped: whether some document does not say so.
    """

    terms: Terms
    state: TextsState | None
    read: int
    texts: dict[str, array[int] | None] = field(default_factory=dict)
    stamps: dict[str, int] = field(default_factory=dict)
    unstamped: bool = False

    def put(self, page: TextsPage) -> None:
        """Take in texts."""
        for one, text, stamped in zip(page.ids, page.texts, page.stamps, strict=True):
            self.texts[one] = None if text is None else self.terms.of(text)
            if stamped is None:
                self.unstamped = True
            else:
                self.stamps[one] = stamped

    @cached_property
    def index(self) -> WordIndex:
        """The index; what it was made of must not change any more."""
        return WordIndex(list(self.texts), list(self.texts.values()), self.terms)

    @cached_property
    def latest(self) -> int:
        """The latest stamp."""
        return max(self.stamps.values(), default=0)

    @cached_property
    def since(self) -> tuple[int, ...]:
        """Stamps behind which documents are to be counted."""
        if self.read - self.latest > _SLACK:
            return (self.latest,)
        return self.latest, min(self.latest, self.read) - _SLACK  # a latest one beyond now is of a clock ahead of ours

    @cached_property
    def newer(self) -> tuple[int, ...]:
        """How many have a later one than each of these."""
        ordered = sorted(self.stamps.values())
        return tuple(min(COUNTED, len(ordered) - bisect_right(ordered, one)) for one in self.since)

    @property
    def lasting(self) -> bool:
        """Whether it can be told when they are no longer current."""
        return self.state is not None and not (self.unstamped and self.state.newer is not None)

    def is_current(self, state: TextsState | None) -> bool:
        """Whether these are the texts that are there."""
        if state is None or self.state is None or state.token != self.state.token:
            return False
        if state.newer is not None and (self.unstamped or self.newer != tuple(min(COUNTED, n) for n in state.newer)):
            return False
        return state.documents is None or state.documents == len(self.texts)


class TextSearch:
    """What is kept of the texts of one store's namespaces.

    It does not refer to the store, so that one which nobody has any more goes at once, with its files.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()
        self._reading: dict[tuple[str, str], tuple[asyncio.AbstractEventLoop, asyncio.Lock]] = {}

    async def find(self, store: Texts, request: TextRequest) -> dict[str, float]:
        """What :meth:`~ia_modules.vector_stores.primitives.Primitives._search_text` of the store returns."""
        kept = await self._current(store, request.namespace, request.language)
        matches = await _apart(len(kept.texts), lambda: kept.index.matches(request.text))
        if request.filters == MATCH_ALL:
            found = await _apart(len(kept.texts), lambda: matches.best(request.top_k))
        else:
            found = await self._passing(store, matches, request)
        return found | matches.of(request.also)

    async def _current(self, store: Texts, namespace: str, language: str) -> _Kept:
        """The texts as they are now."""
        key = (namespace, language)
        kept = self._kept.get(key)
        if kept is not None and kept.is_current(await self._state(store, namespace, kept)):
            return kept
        async with self._lock(key):
            other = self._kept.get(key)
            state = None if other is None else await self._state(store, namespace, other)
            if other is not None and other.is_current(state):  # somebody has read them while we waited
                return other
            if other is not None and (mended := await self._mended(store, namespace, other, state)) is not None:
                kept = mended
            else:
                kept = await self._read(store, namespace, language)
            if kept.lasting:
                self._keep(key, kept)
            else:
                self._kept.pop(key, None)
        return kept

    async def _state(self, store: Texts, namespace: str, kept: _Kept) -> TextsState | None:
        return await part(lambda: store._texts_state(namespace, kept.since))  # noqa: SLF001 - these are for it

    async def _read(self, store: Texts, namespace: str, language: str) -> _Kept:
        """Read all texts."""
        started = stamp()
        before = await part(lambda: store._texts_state(namespace, ()))  # noqa: SLF001
        kept = _Kept(Terms(analyzer(language)), before, started)
        await self._fill(store, kept, namespace, None)
        return kept

    async def _mended(self, store: Texts, namespace: str, old: _Kept, state: TextsState | None) -> _Kept | None:
        """The texts with those that were written lately read anew; None if that does not explain what has changed."""
        if state is None or not state.newer or max(state.newer) > COUNTED or old.unstamped:
            return None
        kept = _Kept(old.terms, state, stamp(), dict(old.texts), dict(old.stamps))
        await self._fill(store, kept, namespace, min(old.latest, old.read) - _SLACK)
        return kept if kept.is_current(await self._state(store, namespace, kept)) else None

    async def _fill(self, store: Texts, kept: _Kept, namespace: str, since: int | None) -> None:
        cursor: object | None = None
        while True:
            page = await part(lambda at=cursor: store._texts_page(namespace, since, _PAGE, at))  # type: ignore[misc]  # noqa: SLF001
            await asyncio.to_thread(kept.put, page)
            cursor = page.cursor
            if cursor is None:
                break
        await asyncio.to_thread(lambda: kept.index)

    def _keep(self, key: tuple[str, str], kept: _Kept) -> None:
        self._kept[key] = kept
        self._kept.move_to_end(key)
        while len(self._kept) > 1 and (
            len(self._kept) > _KEPT_INDEXES or sum(len(one.texts) for one in self._kept.values()) > _KEPT_DOCUMENTS
        ):
            gone, _ = self._kept.popitem(last=False)
            self._reading.pop(gone, None)

    def _lock(self, key: tuple[str, str]) -> asyncio.Lock:
        """Held by who reads a namespace's texts, so that of several searches one does; each event loop has its own."""
        running = asyncio.get_running_loop()
        loop, lock = self._reading.get(key, (None, None))
        if lock is None or loop is not running:
            lock = asyncio.Lock()
            self._reading[key] = running, lock
        return lock

    async def _passing(self, store: Texts, matches: Matches, request: TextRequest) -> dict[str, float]:
        """The best matches that pass the filter."""
        ranked = matches.ranked(2 * request.top_k)
        passes = predicate(request.filters)
        found: dict[str, float] = {}
        size = 2 * request.top_k
        for _ in range(_FETCHED):
            page = dict(islice(ranked, size))
            if not page:
                return found
            documents = await part(lambda ids=list(page): store._fetch(ids, request.namespace))  # type: ignore[misc]  # noqa: SLF001
            for one, score in page.items():
                document = documents.get(one)
                if document is not None and passes(document.metadata):
                    found[one] = score
                    if len(found) == request.top_k:
                        return found
        within = await self._listed(store, request)
        return await _apart(len(within), lambda: matches.best(request.top_k, within))

    async def _listed(self, store: Texts, request: TextRequest) -> set[str]:
        """The ids of all documents that pass the filter."""
        ids: set[str] = set()
        cursor: object | None = None
        while True:
            page = await part(
                lambda at=cursor: store._scan_page(request.namespace, request.filters, _PAGE, False, at)  # type: ignore[misc]  # noqa: SLF001
            )
            ids.update(document.id for document in page.documents)
            cursor = page.cursor
            if cursor is None:
                return ids


async def _apart(documents: int, work: Callable[[], T]) -> T:
    """Run work on so many documents here if they are few, else in a thread."""
    return work() if documents <= _INLINE else await asyncio.to_thread(work)
