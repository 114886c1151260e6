"""What the words of a text are: split, lower case, without stop words, stemmed.

Stems are those of Snowball (PyStemmer), stop words those of the stopwords-iso collection. Runs of Chinese, Japanese and
Korean characters, which have no spaces between words, become overlapping pairs of characters in every language.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from functools import lru_cache
from typing import Any, Final

from ia_modules.vector_stores.errors import MissingDependencyError

__all__ = ["LANGUAGES", "Analyzer", "analyzer"]

LANGUAGES: Final = {
    "da": "danish",
    "de": "german",
    "en": "english",
    "es": "spanish",
    "fi": "finnish",
    "fr": "french",
    "hu": "hungarian",
    "it": "italian",
    "nl": "dutch",
    "no": "norwegian",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sv": "swedish",
    "tr": "turkish",
}
"""ISO 639-1 codes of the languages that can be stemmed, and Snowball's names for them."""

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_CJK}]+|[^\W_{_CJK}]+")
_IS_CJK = re.compile(f"[{_CJK}]")


class Analyzer:
    """Splits texts of one language into terms.

    Args:
        language: a code of :data:`LANGUAGES`, or ``"none"`` for words as they are, without stop words or stems.

    Raises:
        ValueError: an unknown language.
        MissingDependencyError: PyStemmer or stopwordsiso is not installed.
    """

    def __init__(self, language: str = "en") -> None:
        if language != "none" and language not in LANGUAGES:
            raise ValueError(f"unknown language {language!r}; known: none, {', '.join(LANGUAGES)}")
        self.language = language
        self._stemmer: Any = None
        self._stop: frozenset[str] = frozenset()
        self._alone = threading.Lock()  # a stemmer may be used by one thread at a time
        if language != "none":
            try:
                import Stemmer
                import stopwordsiso
            except ModuleNotFoundError as error:
                package = "PyStemmer" if error.name == "Stemmer" else "stopwordsiso"
                raise MissingDependencyError(package, extra="hybrid", needed_for="Searching by words") from error
            self._stemmer = Stemmer.Stemmer(LANGUAGES[language])
            self._stop = frozenset(stopwordsiso.stopwords(language))

    def terms(self, text: str) -> list[str]:
        """The terms of a text, in order, as often as they occur."""
        found = []
        for word in _WORD.findall(unicodedata.normalize("NFKC", text).casefold()):
            if not _IS_CJK.match(word):
                if word not in self._stop:
                    found.append(word)
            elif len(word) == 1:
                found.append(word)
            else:
                found += [word[i : i + 2] for i in range(len(word) - 1)]
        if self._stemmer is None:
            return found
        with self._alone:
            stems: list[str] = self._stemmer.stemWords(found)
        return stems


@lru_cache(maxsize=32)
def analyzer(language: str) -> Analyzer:
    """The analyzer of a language; made once."""
    return Analyzer(language)
