"""Words that are read once and kept: never older than what is stored, and not read again without need."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ia_modules.vector_stores import text_search
from ia_modules.vector_stores.filters import MATCH_ALL, Condition, normalize, predicate
from ia_modules.vector_stores.lexical import WordIndex, analyzer
from ia_modules.vector_stores.models import VectorDocument
from ia_modules.vector_stores.requests import ScanPage, TextRequest, TextsPage, TextsState
from ia_modules.vector_stores.text_search import TextSearch

SECOND = 1_000_000


class Shared:
    """A database that several processes write to: documents with stamps, or a token where one process writes."""

    def __init__(self, *, token: bool = False, knows: bool = True) -> None:
        self.token, self.knows = token, knows
        self.documents: dict[str, tuple[str | None, int | None, dict[str, Any]]] = {}
        self.writes = 0
        self.pages: list[int | None] = []
        self.fetched = self.listed = 0

    def write(self, one: str, text: str | None, stamped: int | None = 0, **metadata: Any) -> None:
        self.writes += 1
        self.documents[one] = (text, text_search.stamp() if stamped == 0 else stamped, metadata)

    def delete(self, one: str) -> None:
        self.writes += 1
        self.documents.pop(one, None)

    async def _texts_state(self, namespace: str, since: tuple[int, ...]) -> TextsState | None:
        await asyncio.sleep(0)
        if not self.knows:
            return None
        if self.token:
            return TextsState(self.writes)
        stamps = [stamped for _, stamped, _ in self.documents.values() if stamped is not None]
        return TextsState(
            documents=len(self.documents), newer=tuple(sum(stamped > one for stamped in stamps) for one in since)
        )

    async def _texts_page(self, namespace: str, since: int | None, size: int, cursor: object | None) -> TextsPage:
        await asyncio.sleep(0)
        if cursor is None:
            self.pages.append(since)
            cursor = [one for one, (_, at, _) in self.documents.items() if since is None or (at or 0) > since]
        assert isinstance(cursor, list)
        page = [one for one in cursor[:2] if one in self.documents]
        found = [self.documents[one] for one in page]
        stamps = [None if self.token else stamped for _, stamped, _ in found]
        return TextsPage(page, [text for text, _, _ in found], stamps, cursor[2:] or None)

    async def _fetch(self, ids: list[str], namespace: str) -> dict[str, VectorDocument]:
        self.fetched += len(ids)
        return {one: self._document(one) for one in ids if one in self.documents}

    async def _scan_page(
        self, namespace: str, filters: Any, size: int, include_vectors: bool, cursor: object | None
    ) -> ScanPage:
        self.listed += 1
        passes = predicate(filters)
        found = [self._document(one) for one in self.documents]
        return ScanPage([one for one in found if passes(one.metadata)], None)

    def _document(self, one: str) -> VectorDocument:
        text, _, metadata = self.documents[one]
        return VectorDocument(id=one, vector=[1.0], text=text, metadata=metadata)


def asked(text: str, filters: Any = MATCH_ALL, also: tuple[str, ...] = (), top_k: int = 5) -> TextRequest:
    return TextRequest(text, top_k, normalize(filters), "", "en", frozenset(also))


def expected(database: Shared, request: TextRequest) -> dict[str, float]:
    texts = [text for text, _, _ in database.documents.values()]
    matches = WordIndex(list(database.documents), texts, analyzer("en")).matches(request.text)
    passes = predicate(request.filters)
    within = [one for one, (_, _, metadata) in database.documents.items() if passes(metadata)]
    return matches.best(request.top_k, within) | matches.of(request.also)


async def found(search: TextSearch, database: Shared, request: TextRequest) -> dict[str, float]:
    answer = await search.find(database, request)
    assert answer == pytest.approx(expected(database, request))
    return answer


@pytest.mark.parametrize("token", [False, True])
async def test_texts_are_read_once(token: bool) -> None:
    database = Shared(token=token)
    for number in range(5):
        database.write(f"d{number}", f"cats and {number} dogs")
    search = TextSearch()
    for words in ("cat", "dog", "cat"):
        assert len(await found(search, database, asked(words, also=("d1", "gone")))) == 5
    assert database.pages == [None]


async def test_what_is_written_later_is_all_that_is_read() -> None:
    database = Shared()
    database.write("old", "cats", text_search.stamp() - 1000 * SECOND)
    database.write("new", "dogs", text_search.stamp() - 500 * SECOND)
    search = TextSearch()
    await found(search, database, asked("cat"))
    database.write("newer", "more cats")
    assert set(await found(search, database, asked("cat"))) == {"old", "newer"}
    database.write("old", None)
    assert set(await found(search, database, asked("cat"))) == {"newer"}
    assert [since is None for since in database.pages] == [True, False, False]
    database.delete("newer")  # nothing says which one is gone
    assert await found(search, database, asked("cat")) == {}
    assert database.pages[3:] == [database.pages[3], None]


async def test_a_write_under_way_while_the_texts_were_read() -> None:
    database = Shared()
    begun = text_search.stamp()
    database.write("a", "cats", begun - 900 * SECOND)
    database.write("b", "dogs", begun + 1)
    search = TextSearch()
    await found(search, database, asked("dog"))
    database.write("a", "dogs", begun)  # stamped before b, and there after it
    assert set(await found(search, database, asked("dog"))) == {"a", "b"}


async def test_stamps_of_a_clock_that_is_ahead() -> None:
    database = Shared()
    database.write("a", "cats", text_search.stamp() - 900 * SECOND)
    database.write("b", "dogs", text_search.stamp() + 3600 * SECOND)
    search = TextSearch()
    await found(search, database, asked("dog"))
    database.write("a", "dogs")
    assert set(await found(search, database, asked("dog"))) == {"a", "b"}


@pytest.mark.parametrize("database", [Shared(knows=False), Shared()], ids=["cannot tell", "no stamp"])
async def test_without_a_sign_texts_are_read_each_time(database: Shared) -> None:
    database.write("a", "cats", None)
    search = TextSearch()
    await found(search, database, asked("cat"))
    database.write("a", "dogs", None)
    await found(search, database, asked("cat"))
    assert database.pages == [None, None]


async def test_several_searches_read_once() -> None:
    database = Shared()
    for number in range(9):
        database.write(f"d{number}", "cats")
    search = TextSearch()
    answers = await asyncio.gather(*(search.find(database, asked("cat")) for _ in range(8)))
    assert all(answer == answers[0] for answer in answers)
    assert database.pages == [None]


async def test_who_is_cancelled_leaves_the_reading_to_the_next() -> None:
    database = Shared()
    database.write("a", "cats")
    search = TextSearch()
    first = asyncio.create_task(search.find(database, asked("cat")))
    second = asyncio.create_task(search.find(database, asked("cat")))
    await asyncio.sleep(0)
    first.cancel()
    assert set(await second) == {"a"}
    with pytest.raises(asyncio.CancelledError):
        await first


@pytest.mark.parametrize(("share", "listed"), [(2, 0), (97, 1)])
async def test_a_filter_takes_the_best_that_pass(share: int, listed: int) -> None:
    database = Shared()
    for number in range(200):
        database.write(f"d{number:03}", "cats " * (1 + number % 7), n=number % share)
    search = TextSearch()
    answer = await found(search, database, asked("cat", Condition("n", "eq", 0), top_k=3))
    assert len(answer) == 3
    assert database.listed == listed


async def test_what_is_kept_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_search, "_KEPT_DOCUMENTS", 3)
    database = Shared()
    database.write("a", "cats")
    database.write("b", "Katzen")
    search = TextSearch()
    for language in ("en", "de", "en"):
        await search.find(database, TextRequest("cats", 5, MATCH_ALL, "", language, frozenset()))
    assert database.pages == [None, None, None]


def test_each_event_loop_can_read() -> None:
    database = Shared(knows=False)
    database.write("a", "cats")
    search = TextSearch()

    async def several() -> list[dict[str, float]]:
        return list(await asyncio.gather(*(search.find(database, asked("cat")) for _ in range(3))))

    assert asyncio.run(several()) == asyncio.run(several())


IDS = st.sampled_from("abcd")
TEXTS = st.sampled_from(["cats", "cats and dogs", "a dog", None, ""])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), IDS, TEXTS),
        st.tuples(st.just("delete"), IDS),
        st.tuples(st.just("find"), st.sampled_from(["cat", "dog", "cats dogs"]), st.booleans()),
    ),
    max_size=30,
)


@given(STEPS, st.booleans(), st.integers(0, 300))
@settings(max_examples=300, deadline=None)
def test_any_program_finds_what_is_there(steps: list[tuple[Any, ...]], token: bool, pause: int) -> None:
    async def program() -> None:
        database = Shared(token=token)
        search = TextSearch()
        now = text_search.stamp() - 100_000 * SECOND
        for step in steps:
            now += (1 + pause) * SECOND
            match step:
                case "write", one, text:
                    database.write(one, text, now, n=len(text or ""))
                case "delete", one:
                    database.delete(one)
                case _, words, filtered:
                    filters = Condition("n", "gt", 4) if filtered else MATCH_ALL
                    await found(search, database, asked(words, filters, also=("a",), top_k=2))

    asyncio.run(program())


def test_what_is_kept_does_not_keep_the_store() -> None:
    import gc
    import weakref

    from ia_modules.vector_stores import VectorStoreConfig
    from ia_modules.vector_stores.providers.qdrant import QdrantVectorStore

    async def used() -> weakref.ref[QdrantVectorStore]:
        store = QdrantVectorStore(VectorStoreConfig(provider="qdrant", index_name="articles"))
        await store.create_index(1)
        await store.upsert([VectorDocument(id="a", vector=[1.0], text="cats")])
        assert len((await store.hybrid_search([1.0], "cat")).results) == 1
        return weakref.ref(store)

    gc.disable()
    try:
        assert asyncio.run(used())() is None
    finally:
        gc.enable()
