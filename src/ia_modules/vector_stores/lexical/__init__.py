"""Searching by words: what the words of a text are, and how well texts match those of a query."""

from __future__ import annotations

from ia_modules.vector_stores.lexical.analysis import LANGUAGES, Analyzer, analyzer
from ia_modules.vector_stores.lexical.index import LexicalIndex, Matches, Terms, WordIndex

__all__ = ["LANGUAGES", "Analyzer", "LexicalIndex", "Matches", "Terms", "WordIndex", "analyzer"]
