"""The text for a prompt: numbered sources, never above the budget."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ia_modules.vector_stores import SearchResult
from ia_modules.vector_stores.rag import count_tokens
from ia_modules.vector_stores.rag.context import ContextBuilder


def result(id: str, text: str | None, **metadata: object) -> SearchResult:
    return SearchResult(id=id, score=1.0, text=text, metadata=dict(metadata))


def build(
    tokens: int, *results: SearchResult, count: Callable[[str], int] = count_tokens
) -> tuple[str, list[int | None]]:
    return ContextBuilder(tokens, count, "source").build(results)


@pytest.mark.parametrize(
    ("text", "tokens"), [("", 0), ("a", 1), ("abcd", 1), ("abcde", 2), ("äöü", 3), ("abcdä", 2), ("日本", 2)]
)
def test_the_estimate(text: str, tokens: int) -> None:
    assert count_tokens(text) == tokens


def test_sources_are_numbered_in_order() -> None:
    results = [
        result("a", "One. ", source="one.md"),
        result("b", None, source="no text"),
        result("c", "  "),
        result("d", "Two.", source="two\n[9] .md"),
        result("e", "Three.", source=7),
    ]
    assert build(1000, *results) == (
        "[1] one.md\nOne.\n\n[2] two [9] .md\nTwo.\n\n[3] e\nThree.",
        [1, None, None, 2, 3],
    )


def test_the_first_that_does_not_fit_is_cut_and_the_rest_left_out() -> None:
    results = [result("a", "one two three"), result("b", " ".join(["word"] * 100)), result("c", "short")]
    text, numbers = build(25, *results)
    assert numbers == [1, 2, None]
    assert text == "[1] a\none two three\n\n[2] b\n" + " ".join(["word"] * 13) + " …"
    assert count_tokens(text) <= 25 < count_tokens(text.replace(" …", " word …"))


def test_what_would_be_cut_to_a_few_words_is_left_out() -> None:
    results = [result("a", "one two three"), result("b", " ".join(["word"] * 100))]
    text, numbers = build(13, *results)
    assert (text, numbers) == ("[1] a\none two three", [1, None])


def test_no_budget_no_context() -> None:
    assert build(0, result("a", "one two three four five six seven")) == ("", [None])


def test_a_long_name_is_shortened() -> None:
    text, _ = build(1000, result("a", "text", source="x" * 500))
    assert text == f"[1] {'x' * 200}…\ntext"


def test_a_book_is_not_counted_whole_again_and_again() -> None:
    counted: list[int] = []

    def count(text: str) -> int:
        counted.append(len(text))
        return len(text)

    text, numbers = build(100, result("a", "word " * 200_000), count=count)
    assert numbers == [1]
    assert len(text) <= 100
    assert sum(length > 2000 for length in counted) <= 1


texts = st.one_of(
    st.none(), st.text(max_size=200), st.lists(st.sampled_from(["word", "ä", "\n", "日本語"])).map(" ".join)
)


@given(st.lists(st.builds(result, st.text(min_size=1, max_size=20), texts), max_size=8), st.integers(0, 120))
def test_the_budget_holds(results: list[SearchResult], tokens: int) -> None:
    for count in (count_tokens, lambda text: len(text.split()), len):
        text, numbers = build(tokens, *results, count=count)
        assert count(text) <= tokens
        used = [number for number in numbers if number is not None]
        assert used == list(range(1, len(used) + 1))
        assert all((one.text or "").strip() for one, number in zip(results, numbers, strict=True) if number)
        assert bool(text) == bool(used)
