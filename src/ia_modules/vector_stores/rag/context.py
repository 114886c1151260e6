"""Search results as text for a prompt: numbered sources within a budget of tokens."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ia_modules.vector_stores.models import SearchResult

__all__ = ["ContextBuilder", "TokenCounter", "count_tokens"]

TokenCounter = Callable[[str], int]

_LABEL_CHARS = 200
_LEAST_WORDS = 5
_CUT = " …"


def count_tokens(text: str) -> int:
    """An estimate that needs no model: a token for every four ASCII characters begun, and one for every other one.

    Today's tokenizers need fewer for prose in English and for most other scripts, and about as many for code.
    """
    ascii_chars = len(text.encode("ascii", "ignore"))
    return -(-ascii_chars // 4) + len(text) - ascii_chars


@dataclass(frozen=True)
class ContextBuilder:
    """Puts together what fits.

    Attributes:
        tokens: most tokens of the whole text.
        count: says how many tokens a text has.
        source_field: metadata key of a source's name; the id stands in where it is missing.
    """

    tokens: int
    count: TokenCounter
    source_field: str

    def build(self, results: Sequence[SearchResult]) -> tuple[str, list[int | None]]:
        """The text, and the number that each result has in it.

        Results are taken in their order, as ``[1] name``, a line break, and the text. The first one that does not fit
        is cut between two words if that leaves five of them; what follows is left out. So are results without a text.
        """
        text = ""
        numbers: list[int | None] = [None] * len(results)
        number = 0
        for place, result in enumerate(results):
            passage = (result.text or "").strip()
            if not passage:
                continue
            head = f"{text}\n\n" if text else ""
            head += f"[{number + 1}] {self._label(result)}\n"
            whole = self._fits(head + passage)
            cut = None if whole else self._cut(head, passage)
            if not whole and cut is None:
                break
            number += 1
            numbers[place] = number
            text = head + passage if whole else cut or ""
            if not whole:
                break
        return text, numbers

    def _fits(self, text: str) -> bool:
        return self.count(text) <= self.tokens

    def _label(self, result: SearchResult) -> str:
        name = result.metadata.get(self.source_field)
        label = " ".join((name if isinstance(name, str) and name.strip() else result.id).split())
        return label if len(label) <= _LABEL_CHARS else label[:_LABEL_CHARS] + "…"

    def _cut(self, head: str, passage: str) -> str | None:
        # More characters than ten for each token never fit, so that a book is not gone through for a few words.
        ends = [match.start() for match in re.finditer(r"\s+", passage[: 10 * self.tokens + 1])]
        low, high = _LEAST_WORDS - 1, len(ends)
        while low < high:
            middle = (low + high) // 2
            if self._fits(head + passage[: ends[middle]] + _CUT):
                low = middle + 1
            else:
                high = middle
        if low < _LEAST_WORDS:
            return None
        return head + passage[: ends[low - 1]] + _CUT
