"""Tokenization of text: what is indexed, and what is asked for."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

TOKENIZATIONS = ("word", "lowercase", "whitespace", "field", "trigram", "gse", "kagome_kr", "kagome_ja", "gse_ch")
# Go's unicode.IsSpace; Python's str.split() knows a few separators more.
SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
SPACES = re.compile(f"[{SPACE}]+")
ENGLISH = frozenset(
    re.findall(
        r"\w+",
        "a an and are as at be but by for if in into is it no not of on or such that the their then there these they "
        "this to was will with",
    )
)


def lower(text: str) -> str:
    """As Go does it, letter by letter: no letter becomes two (İ: i), and a final sigma is like any other."""
    if text.isascii():
        return text.lower()
    return "".join(letter.lower()[0] for letter in text)


def pieces(text: str, keep: str = "") -> list[str]:
    """Runs of letters and numbers."""
    kept = (c if c in keep or unicodedata.category(c)[0] in "LN" else " " for c in text)
    return [piece for piece in "".join(kept).split(" ") if piece]


def words(text: str, keep: str = "") -> list[str]:
    return [lower(piece) for piece in pieces(text, keep) if piece]


def whitespace(text: str) -> list[str]:
    return [piece for piece in SPACES.split(text) if piece]


def trigrams(text: str) -> list[str]:
    joined = "".join(words(text))
    return [joined[at : at + 3] for at in range(len(joined) - 2)]


TOKENIZERS: dict[str, Callable[[str], list[str]]] = {
    "word": words,
    "lowercase": lambda text: [lower(piece) for piece in whitespace(text)],
    "whitespace": whitespace,
    "field": lambda text: [text.strip(SPACE)],
    "trigram": trigrams,
}


def tokens(tokenization: str, text: str) -> list[str]:
    return TOKENIZERS[tokenization](text) if tokenization in TOKENIZERS else []


def asked(tokenization: str, text: str, stopwords: frozenset[str]) -> list[str]:
    """The tokens of a filter's value: stop words are dropped, under ``word`` only."""
    found = tokens(tokenization, text)
    return [token for token in found if token not in stopwords] if tokenization == "word" else found


def asked_like(tokenization: str, text: str) -> list[str]:
    return words(text, "?*") if tokenization == "word" else tokens(tokenization, text)


def like(pattern: str) -> re.Pattern[str]:
    """``?`` one character, ``*`` any number; there is no way to escape them."""
    return re.compile("".join({"?": "[^\n]", "*": "[^\n]*"}.get(c, re.escape(c)) for c in pattern))
