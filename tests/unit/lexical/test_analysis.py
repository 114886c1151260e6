"""What the words of a text are."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ia_modules.vector_stores.lexical import LANGUAGES, Analyzer, analyzer


@pytest.mark.parametrize(
    ("language", "one", "other"),
    [
        ("en", "The connections were connected", "connecting a connection"),
        ("de", "Die Häuser", "ein Haus, das Häuschen"),
        ("es", "las bibliotecas", "una biblioteca"),
        ("fr", "les continuations", "la continuation"),
        ("it", "i programmi", "il programma"),
        ("pt", "as bibliotecas", "uma biblioteca"),
    ],
)
def test_endings_do_not_count(language: str, one: str, other: str) -> None:
    shared = set(analyzer(language).terms(one)) & set(analyzer(language).terms(other))
    assert shared


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_stems_and_stop_words(language: str) -> None:
    made = Analyzer(language)
    assert made._stop
    assert made.terms("parameterisation") != []


def test_stop_words_are_left_out() -> None:
    assert analyzer("en").terms("what is it that they were not to be") == []


def test_without_a_language_words_stay_as_they_are() -> None:
    assert analyzer("none").terms("The Connections, were-connected; 42!") == [
        "the",
        "connections",
        "were",
        "connected",
        "42",
    ]


def test_case_width_and_composition_do_not_count() -> None:
    terms = analyzer("none").terms
    assert terms("STRASSE \uff21\uff22\uff23 café") == terms("straße abc cafe\u0301")


def test_text_without_spaces_becomes_pairs() -> None:
    terms = analyzer("en").terms
    assert terms("東京都") == ["東京", "京都"]
    assert terms("水") == ["水"]
    assert terms("python言語3") == ["python", "言語", "3"]
    assert terms("한국어 ひらがな") == ["한국", "국어", "ひら", "らが", "がな"]


def test_an_unknown_language() -> None:
    with pytest.raises(ValueError, match="unknown language 'xx'; known: none, da, de, en"):
        analyzer("xx")


@given(st.text(max_size=200), st.sampled_from(["none", "en", "de"]))
def test_any_text_has_terms_or_none(text: str, language: str) -> None:
    terms = analyzer(language).terms(text)
    assert all(terms)
    assert terms == analyzer(language).terms(text)


def test_threads_may_share_one() -> None:
    expected = Analyzer("en").terms("connections connected " * 50)
    found: list[list[str]] = []

    def work() -> None:
        found.extend(analyzer("en").terms("connections connected " * 50) for _ in range(50))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 200
    assert all(terms == expected for terms in found)
