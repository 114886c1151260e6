"""Filters, resolved over the inverted index of a shard."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .engine import Collection
from .filters import LENGTH, TIMES, Clause
from .store import Shard, key_of
from .text import ENGLISH, asked, asked_like, like
from .values import RefusedError, date_error, parse_date, parse_uuid

COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "GreaterThan": operator.gt,
    "GreaterThanEqual": operator.ge,
    "LessThan": operator.lt,
    "LessThanEqual": operator.le,
}
ONLY_STOPWORDS = (
    "invalid search term, only stopwords provided. Stopwords can be configured in class.invertedIndexConfig.stopwords"
)


class MissingIndexError(RefusedError):
    """Without the words that other errors get in front of them, when objects are listed."""


@dataclass
class Pair:
    """A node that can be resolved: an index and a key, or others combined."""

    operator: str
    children: list[Pair] = field(default_factory=list)
    index: str = ""
    key: Any = None
    complement_of_present: bool = False
    without: str = ""


# -- building


def build(clause: Clause, collection: Collection) -> Pair:
    if clause.operands is not None:
        return Pair(clause.operator, children(clause.operands, collection, clause.operator))
    if clause.operator.startswith("Contains"):
        return build_contains(clause, collection)
    if clause.name in ("id", "_id"):
        return Pair(clause.operator, index="_id", key=text_value(clause))
    if clause.name in TIMES:
        return build_time(clause, collection)
    if length := LENGTH.fullmatch(clause.name):
        return build_length(clause, length[1], collection)
    known = collection.property(clause.name)
    indexed = known["indexFilterable"] or known["indexSearchable"] or known["indexRangeFilters"]
    if clause.operator == "IsNull":
        return build_null(clause, indexed, collection)
    kind = known["dataType"][0].removesuffix("[]")
    keys = terms(clause, known, collection) if kind == "text" else [single(clause, kind)]
    if not indexed:
        raise MissingIndexError(
            f"Filtering by property '{clause.name}' requires inverted index. "
            f"Is `indexFilterable` option of property '{clause.name}' enabled? Set it to `true` or leave empty"
        )
    if not keys:
        raise RefusedError(ONLY_STOPWORDS)
    # The range index knows only the objects that have a value, and answers alone when there is no other.
    ranges = not (known["indexFilterable"] or known["indexSearchable"])
    pairs = [Pair(clause.operator, index=clause.name, key=key, complement_of_present=ranges) for key in keys]
    return Pair("And", pairs) if len(pairs) > 1 else pairs[0]


def build_time(clause: Clause, collection: Collection) -> Pair:
    if clause.go != "string":
        raise RefusedError(f"expected value to be string or time.Time, got '{clause.go}'")
    date = parse_date(clause.value)
    if date is None:
        raise RefusedError(f"trying parse time as RFC3339 string: {date_error(clause.value)}")
    without = ""
    if not collection.definition["invertedIndexConfig"].get("indexTimestamps"):
        without = (
            "Timestamps must be indexed to be filterable! "
            f"Add `IndexTimestamps: true` to the InvertedIndexConfig in {collection.name}"
        )
    # They are kept, and compared, as texts.
    return Pair(clause.operator, index=clause.name, key=str(date[0] // 10**6), without=without)


def build_null(clause: Clause, indexed: bool, collection: Collection) -> Pair:
    if clause.go != "bool":
        raise RefusedError(f"expected value to be bool, got {clause.go}")
    without = ""
    if not collection.definition["invertedIndexConfig"].get("indexNullState"):
        without = "Nullstate must be indexed to be filterable! Add `indexNullState: true` to the invertedIndexConfig"
    elif not indexed:
        without = f"bucket for prop {clause.name}_nullState not found - is it indexed?"
    return Pair("Equal", index=f"null:{clause.name}", key=clause.value, without=without)


def children(operands: list[Clause], collection: Collection, operator: str) -> list[Pair]:
    made: list[Pair] = []
    failed: RefusedError | None = None
    for at, operand in enumerate(operands):
        try:
            made.append(build(operand, collection))
        except MissingIndexError as error:
            failed = MissingIndexError(error.message)
        except RefusedError as error:
            if operator == "ContainsAny" and error.message == ONLY_STOPWORDS:
                continue
            failed = RefusedError(f"nested query: nested clause at pos {at}: {error.message}")
    if failed is not None:
        raise failed
    if not made and operator == "ContainsAny":
        raise RefusedError(ONLY_STOPWORDS)
    return made


def build_contains(clause: Clause, collection: Collection) -> Pair:
    base = {"text": "string", "date": "string", "int": "int", "number": "float64", "boolean": "bool"}.get(clause.kind)
    if clause.go != f"[]{base}":
        raise RefusedError(f"value type should be []{base} but is {clause.go}")
    single_go = clause.go.removeprefix("[]")
    operands = [Clause("Equal", None, clause.name, value, single_go, clause.kind) for value in clause.value]
    made = children(operands, collection, clause.operator)
    if clause.operator == "ContainsAll":
        return Pair("And", made)
    return Pair("Or", made) if clause.operator == "ContainsAny" else Pair("Not", [Pair("Or", made)])


def build_length(clause: Clause, name: str, collection: Collection) -> Pair:
    if clause.go != "int":
        raise RefusedError(f"expected value to be int, got {clause.go}")
    without = ""
    if not collection.definition["invertedIndexConfig"].get("indexPropertyLength"):
        without = (
            "Property length must be indexed to be filterable! add `IndexPropertyLength: true` to the "
            f"invertedIndexConfig in {collection.name}.  Geo-coordinates, phone numbers and data blobs are not "
            "supported by property length."
        )
    return Pair(clause.operator, index=f"len:{name}", key=clause.value, without=without)


def text_value(clause: Clause) -> str:
    if clause.go != "string":
        raise RefusedError(f"expected value to be string, got '{clause.go}'")
    value: str = clause.value
    return value


def terms(clause: Clause, known: dict[str, Any], collection: Collection) -> list[Any]:
    value = text_value(clause)
    if clause.operator == "Like":
        return asked_like(known["tokenization"], value)
    return asked(known["tokenization"], value, stopwords(collection))


def stopwords(collection: Collection) -> frozenset[str]:
    config = collection.definition["invertedIndexConfig"]["stopwords"]
    words = ENGLISH if config["preset"] == "en" else frozenset()
    return (words | frozenset(config["additions"] or ())) - frozenset(config["removals"] or ())


def single(clause: Clause, kind: str) -> Any:
    if kind == "uuid":
        if clause.go != "string":
            raise RefusedError(f"expected uuid filter value to be a string, got {clause.go}")
        try:
            return parse_uuid(clause.value).bytes
        except RefusedError as error:
            raise RefusedError(f"parse uuid filter value: {error.message}") from None
    if kind == "date":
        if clause.go != "string":
            raise RefusedError(f"expected value to be time.Time (or parseable string), got {clause.go}")
        if parse_date(clause.value) is None:
            raise RefusedError(f"trying parse time as RFC3339 string: {date_error(clause.value)}")
        return key_of("date", clause.value)
    wanted = {"number": "float64", "int": "int", "boolean": "bool"}.get(kind)
    if wanted is None:
        raise RefusedError(f'data type "{kind}" not supported in query')
    if clause.go != wanted:
        raise RefusedError(f"expected value to be {wanted}, got {clause.go}")
    return key_of(kind, clause.value)


# -- resolving


def resolve(pair: Pair, shard: Shard) -> set[int]:
    if pair.operator in ("And", "Or"):
        if not pair.children:
            raise RefusedError(f'no children for operator "{pair.operator}"')
        if len(pair.children) == 1:
            return resolve(pair.children[0], shard)
        found = []
        for at, child in enumerate(pair.children):
            try:
                found.append(resolve(child, shard))
            except RefusedError as error:
                raise RefusedError(f"nested AND/OR query: nested child {at}: {error.message}") from None
        return set.intersection(*found) if pair.operator == "And" else set.union(*found)
    if pair.operator == "Not":
        if len(pair.children) != 1:
            raise RefusedError(
                f'too many children for operator "Not". Expected 1, given {len(pair.children)}'
                if pair.children
                else 'no children for operator "Not"'
            )
        try:
            return shard.docs.keys() - resolve(pair.children[0], shard)
        except RefusedError as error:
            raise RefusedError(f"nested NOT query: {error.message}") from None
    if pair.without:
        raise RefusedError(pair.without)
    return look_up(pair, shard)


def look_up(pair: Pair, shard: Shard) -> set[int]:
    if pair.index == "_id" and pair.operator in ("Equal", "NotEqual"):
        one = shard.objects.get(pair.key)
        found = {one.doc} if one else set()
        return found if pair.operator == "Equal" else shard.docs.keys() - found
    if pair.index == "_id" or pair.index in TIMES:
        index: dict[Any, set[int]] = {}
        for doc, one in shard.docs.items():
            key = one.id if pair.index == "_id" else str(one.created if pair.index == TIMES[0] else one.updated)
            index.setdefault(key, set()).add(doc)
    else:
        index = shard.index.get(pair.index, {})
    if pair.operator == "Equal":
        return set(index.get(pair.key, ()))
    if pair.operator == "NotEqual":
        every = set().union(*index.values()) if pair.complement_of_present else shard.docs.keys()
        return every - index.get(pair.key, set())
    if pair.operator in COMPARE:
        compare = COMPARE[pair.operator]
        return set().union(*(docs for key, docs in index.items() if compare(key, pair.key)))
    if pair.operator == "Like" and isinstance(pair.key, str):
        pattern = like(pair.key)
        return set().union(*(docs for key, docs in index.items() if pattern.fullmatch(key)))
    return set()


def matching(clause: Clause, collection: Collection, shard: Shard) -> set[int]:
    pair = build(clause, collection)
    try:
        return resolve(pair, shard)
    except RefusedError as error:
        raise RefusedError(f"resolve doc ids for prop/value pair: {error.message}") from None
