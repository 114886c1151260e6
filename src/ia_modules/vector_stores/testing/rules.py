"""The rules that the kit checks, numbered as in ``docs/semantics.md``; a failure names its rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["RULES", "SECTIONS", "Rule"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        id: section and number, such as ``"1.3"``.
        text: what must hold, in a sentence.
    """

    id: str
    text: str

    @property
    def section(self) -> str:
        """Number of the section."""
        return self.id.partition(".")[0]


SECTIONS: Final = {
    "1": "Identity and isolation",
    "2": "What is stored comes back",
    "3": "Validation",
    "4": "Filters",
    "5": "Search",
    "6": "Hybrid search",
    "7": "Failure",
    "8": "Under way",
    "9": "Declarations",
}
"""Titles."""

_TEXTS: Final = {
    "1.1": "A document is known by index, namespace and id; the same id elsewhere is another document, for every call",
    "1.2": "None is the config's namespace, else the default one; a call sees one namespace, also when it empties it",
    "1.3": "list_namespaces gives those that hold a document, sorted, the default one as an empty string",
    "1.4": "Any non-empty string of up to 512 bytes is an id, comes back exactly, and meets no other",
    "1.5": "Any string of up to 64 bytes without control characters is a namespace; crafted ones reach only themselves",
    "2.1": "fetch, scan and search return vector, metadata and text as they were given, to the type",
    "2.2": "Vectors come back within 1e-6 of their single-precision value, with their length",
    "2.3": "Every metadata key is the user's to use",
    "2.4": "upsert replaces the whole document",
    "2.5": "Of equal ids in one call the last one wins, and upserted counts distinct ids",
    "2.6": "A store sees its own writes",
    "2.7": "update_metadata sets top-level keys and leaves the rest",
    "3.1": "What can't be stored or asked for is refused before any I/O, with a sentence that says what was wrong",
    "3.2": "A missing index is IndexNotFoundError, an existing one IndexAlreadyExistsError, missing documents no error",
    "3.3": "A call connects by itself, also after disconnect",
    "3.4": "delete takes exactly one of ids, filters and delete_all, and no empty filter",
    "4.1": "eq: equal scalars; numbers as numbers, bool only with bool, strings exactly; in a list, some element",
    "4.2": "in: eq holds for some value; for an empty list it holds for nothing",
    "4.3": "gt, gte, lt, lte: two numbers, or two ISO 8601 dates as instants; nothing else",
    "4.4": "contains, contains_any, contains_all: a list with the element, some, or all of them",
    "4.5": "exists: a value other than None is there, or is not",
    "4.6": "ne, nin: exactly where eq, in do not hold, so also without a value",
    "4.7": "not: two truth values; De Morgan holds and double negation cancels",
    "4.8": "None counts as no value",
    "4.9": "A list of filters is AND; an empty list or None is no filter",
    "4.10": "search, count, scan and delete mean the same by a filter",
    "4.11": "a.b reaches into nested objects unless a key a.b itself exists",
    "5.1": "The score is that of the metric's formula, higher is better; a zero vector has cosine 0",
    "5.2": "Results come by score, equal scores by id",
    "5.3": "Up to top_k results whenever so many documents match, however selective the filter",
    "5.4": "Metadata, text and vectors are there exactly if asked for",
    "5.5": "An index of another dimension, metric or model than the config's is an error that names both",
    "5.6": "search_many is search for each vector; score_threshold, total and query_time_ms say what they say",
    "6.1": "hybrid_search ranks what vectors and words find together, by the documented formulas",
    "6.2": "text_weight=0 is the order of the vectors, vector_weight=0 that of the words",
    "6.3": "Filters and namespaces bind both sides",
    "6.4": "Words are those of the documents as they are now",
    "7.1": "Only what a retry can cure is retried, within one deadline and not before Retry-After",
    "7.2": "An operation that is repeated after a lost answer leaves the same state",
    "7.3": "Cancelled or failed half way, what was acknowledged is there and the rest can be sent again",
    "7.4": "No repr, error, log record or traceback has an API key in it, nor a document's contents",
    "7.5": "Every exception comes out as a VectorStoreError with provider, operation and cause",
    "8.1": "The event loop is not held up for more than 100 ms, or than the declared limit of the engine",
    "8.2": "After disconnect no task, thread, file or socket is left",
    "8.3": "Calls may run at the same time",
    "8.4": "Any program of calls leaves exactly what its calls say",
    "9.1": "The declared metrics work, and no others",
    "9.2": "The declared limits hold",
    "9.3": "The declared filter operators work, and those declared as refused do not",
    "9.4": "An unknown option is an error and creates nothing",
    "9.5": "The declaration fits the provider",
}

RULES: Final = {name: Rule(name, text) for name, text in _TEXTS.items()}
