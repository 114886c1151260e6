"""The double and a real Weaviate: filters.

What is asserted here was first seen on the real server; much of it is not what one would have guessed.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    weaviate: Any = pytest.importorskip("weaviate")
    from weaviate.proto.v1 import (
        base_pb2,
    )

    from emulator.weaviate import Server

from conftest import WEAVIATES
from weaviate_wire import (
    AVAILABLE,
    DEFINITION,
    MULTI,
    NEAR,
    NONE_ADDED,
    ONLY_STOPWORDS,
    OPERATORS,
    PROPERTIES,
    Wire,
    joined,
    near,
    number,
    where,
    wire_named,
)

# Filters

OBJECTS: list[dict[str, Any]] = [
    {
        "w": "The Quick brown-fox",
        "f": " Field Value ",
        "lo": " Lower Case",
        "ws": "White  Space, x",
        "search": "Only searched",
        "bare": "q",
        "n": 1.5,
        "nr": 1.5,
        "range": 1.5,
        "i": 3,
        "b": True,
        "d": "2024-01-02T03:04:05Z",
        "u": number(9),
        "tags": ["a", "B "],
        "tw": ["Hello World", "x"],
        "ns": [1.5, 2.5],
        "is": [1, 2],
        "bs": [True, False],
        "ds": ["2024-01-01T00:00:00Z"],
        "us": [number(3)],
    },
    {"w": "the", "f": "", "lo": "", "ws": "  ", "n": -0.0, "nr": -0.0, "i": -5, "b": False, "tags": [], "tw": [""]}
    | {"ns": [], "d": "2024-01-02T05:04:05+02:00"},
    {},
    {"w": "...", "f": "   ", "n": 0.0, "nr": 0.0, "i": 0, "tags": [""], "d": "1960-01-01T00:00:00.123456789Z"},
    {"w": "über Straße foo_bar a.b 3.14 İ", "f": "Über", "lo": "ÜBER", "ws": "Über x", "n": 2.0, "nr": 2.0, "range": -3}
    | {"i": 2, "tags": ["a", "a", "c"], "is": [2, 2]},
    {"w": "a b", "f": "a*b", "n": 1e300, "nr": -1e300, "i": 2**53, "tags": ["A"]},
]
REST = [2, 3, 4, 5, 6]
EVERY = [1, *REST]
MATCHES: list[tuple[str, str, Any, list[int]]] = [
    # Text is cut into words; stop words are left out of the question, not of the index.
    ("w", "EQUAL", "QUICK", [1]),
    ("w", "EQUAL", "fox the Brown", [1]),
    ("w", "EQUAL", "foo", [5]),
    ("w", "EQUAL", "3", [5]),
    ("w", "EQUAL", "a b", [5, 6]),
    ("w", "EQUAL", "über", [5]),
    ("w", "EQUAL", "uber", []),
    ("w", "EQUAL", "i", [5]),
    ("w", "NOT_EQUAL", "quick zzz", REST),
    ("w", "GREATER_THAN", "quick", [1, 2, 5]),
    ("w", "LIKE", "QU*", [1]),
    ("w", "LIKE", "the q*", [1]),
    ("w", "LIKE", "?ber", [5]),
    ("w", "LIKE", "*", [1, 2, 5, 6]),
    # A field is one term, without the spaces around it; the empty one too.
    ("f", "EQUAL", "Field Value", [1]),
    ("f", "EQUAL", "  Field Value", [1]),
    ("f", "EQUAL", "field value", []),
    ("f", "EQUAL", "", [2, 4]),
    ("f", "NOT_EQUAL", "", [1, 3, 5, 6]),
    ("f", "NOT_EQUAL", "zz", EVERY),
    ("f", "GREATER_THAN", "Field Value", [5, 6]),
    ("f", "LIKE", "a?b", [6]),
    ("f", "LIKE", "a\\*b", []),
    ("f", "LIKE", "*", [1, 2, 4, 5, 6]),
    ("lo", "EQUAL", "LOWER", [1]),
    ("lo", "LIKE", " LOW*", [1]),
    ("ws", "EQUAL", "White", [1]),
    ("ws", "EQUAL", "white", []),
    ("ws", "EQUAL", "Space", []),
    ("search", "EQUAL", "searched", [1]),
    ("search", "NOT_EQUAL", "searched", REST),
    ("tags", "EQUAL", "a", [1, 5]),
    ("tags", "EQUAL", "B", [1]),
    ("tags", "EQUAL", "", [4]),
    ("tags", "NOT_EQUAL", "a", [2, 3, 4, 6]),
    ("tags", "LESS_THAN", "a", [1, 4, 6]),
    ("tw", "EQUAL", "world x", [1]),
    # Numbers; the range index knows nothing of objects without a value.
    ("n", "EQUAL", 0, [2, 4]),
    ("n", "EQUAL", -0.0, [2, 4]),
    ("n", "EQUAL", "1.5", [1]),
    ("n", "EQUAL", "1_5e-1", [1]),
    ("n", "EQUAL", math.nan, []),
    ("n", "NOT_EQUAL", 0, [1, 3, 5, 6]),
    ("n", "NOT_EQUAL", math.nan, EVERY),
    ("n", "GREATER_THAN", math.nan, [1, 5, 6]),
    ("n", "LESS_THAN", 1.5, [2, 4]),
    ("n", "LESS_THAN", math.inf, [1, 2, 4, 5, 6]),
    ("nr", "NOT_EQUAL", 0, [1, 3, 5, 6]),
    ("nr", "LESS_THAN_EQUAL", 0, [2, 4, 6]),
    ("range", "EQUAL", 1.5, [1]),
    ("range", "NOT_EQUAL", 0, [1, 5]),
    ("range", "GREATER_THAN_EQUAL", 1.5, [1]),
    ("i", "EQUAL", 3.0, [1]),
    ("i", "EQUAL", "3.0", [1]),
    ("i", "NOT_EQUAL", 2**53, [1, 2, 3, 4, 5]),
    ("i", "GREATER_THAN", 2, [1, 6]),
    ("is", "EQUAL", 2, [1, 5]),
    ("is", "NOT_EQUAL", 2, [2, 3, 4, 6]),
    ("ns", "GREATER_THAN", 2.0, [1]),
    # Others
    ("b", "EQUAL", False, [2]),
    ("b", "NOT_EQUAL", True, REST),
    ("b", "GREATER_THAN", False, [1]),
    ("bs", "EQUAL", True, [1]),
    ("d", "EQUAL", "2024-01-02T03:04:05Z", [1, 2]),
    ("d", "LESS_THAN", "2024-01-02T03:04:05Z", [4]),
    ("d", "NOT_EQUAL", "2024-01-02T04:04:05+01:00", [3, 4, 5, 6]),
    ("ds", "GREATER_THAN", "2023-01-01T00:00:00Z", [1]),
    ("u", "EQUAL", number(9), [1]),
    ("u", "GREATER_THAN", number(8), [1]),
    ("us", "EQUAL", f"{{{number(3)}}}", [1]),
    ("_id", "EQUAL", number(2), [2]),
    ("_id", "EQUAL", number(2).replace("-", ""), []),
    ("_id", "NOT_EQUAL", "x", EVERY),
    ("_id", "GREATER_THAN", number(4), [5, 6]),
    ("_id", "LIKE", "0000*6", [6]),
    # Milliseconds, compared as texts: those of 2001-09-08 have a digit less.
    ("_creationTimeUnix", "GREATER_THAN", "2001-09-10T00:00:00Z", EVERY),
    ("_creationTimeUnix", "GREATER_THAN", "2001-09-08T00:00:00Z", []),
    ("len(w)", "EQUAL", 3, [2, 4, 6]),
    ("len(tags)", "EQUAL", 0, [2, 3]),
    # Null: absent, an empty text, an empty list; but not spaces, nor a list of an empty text.
    ("w", "IS_NULL", True, [3]),
    ("f", "IS_NULL", True, [2, 3]),
    ("f", "IS_NULL", False, [1, 4, 5, 6]),
    ("ws", "IS_NULL", True, [3, 4, 6]),
    ("tags", "IS_NULL", True, [2, 3]),
    ("tw", "IS_NULL", False, [1, 2]),
    ("range", "IS_NULL", True, [2, 3, 4, 6]),
    # Contains
    ("tags", "CONTAINS_ANY", ["B", "c"], [1, 5]),
    ("tags", "CONTAINS_ANY", ["", "a"], [1, 4, 5]),
    ("tags", "CONTAINS_ALL", ["a", "c"], [5]),
    ("tags", "CONTAINS_NONE", ["a", ""], [2, 3, 6]),
    ("w", "CONTAINS_ANY", ["the", "quick"], [1]),
    ("w", "CONTAINS_NONE", ["quick", "über"], [2, 3, 4, 6]),
    ("n", "CONTAINS_ANY", [2, 1], [5]),
    ("n", "CONTAINS_ANY", [1.5, 2.0], [1, 5]),
    ("i", "CONTAINS_ANY", [3.0, 2.0], [1, 5]),
    ("is", "CONTAINS_ALL", [1, 2], [1]),
    ("b", "CONTAINS_NONE", [True, False], [3, 4, 5, 6]),
    ("d", "CONTAINS_ANY", ["2024-01-02T03:04:05Z"], [1, 2]),
    ("us", "CONTAINS_ANY", [number(3), number(9)], [1]),
    ("_id", "CONTAINS_ANY", [number(1), number(3), "x"], [1, 3]),
    ("_id", "CONTAINS_NONE", [number(1)], REST),
]


@pytest.fixture(scope="module", params=WEAVIATES)
def stocked(request: pytest.FixtureRequest, double: Server) -> Iterator[Wire]:
    """With the objects above, which nobody changes."""
    made = wire_named(request.param, double)
    made.create(**DEFINITION)
    assert made.put(*(made.object(at, one, [at, 1, 2]) for at, one in enumerate(OBJECTS, 1))) == {}
    yield made
    made.close()


@pytest.mark.parametrize(("name", "operator", "value", "expected"), MATCHES)
def test_filters(stocked: Wire, name: str, operator: str, value: Any, expected: list[int]) -> None:
    chosen = where(name, operator, value)
    assert stocked.filtered(chosen) == expected
    assert stocked.filtered(joined("NOT", chosen)) == [at for at in EVERY if at not in expected]
    assert sorted(stocked.found(filters=chosen, near_vector=near([1, 2, 3]))) == expected
    assert stocked.count(filters=chosen) == len(expected)
    dry = stocked.delete(chosen, dry_run=True, verbose=True)
    assert sorted(int.from_bytes(one.uuid, "big") for one in dry.objects) == expected


NO_INDEX = (
    "Filtering by property 'bare' requires inverted index. "
    "Is `indexFilterable` option of property 'bare' enabled? Set it to `true` or leave empty"
)
RESOLVE = "resolve doc ids for prop/value pair: "
READ_DATE = "trying parse time as RFC3339 string: parsing time "
LAYOUT = "2006-01-02T15:04:05Z07:00"
NESTED = "nested query: nested clause at pos 0: "
IN_SHARD: list[tuple[str, str, Any, str]] = [
    ("w", "EQUAL", "the", ONLY_STOPWORDS),
    ("w", "NOT_EQUAL", "a", ONLY_STOPWORDS),
    ("w", "EQUAL", "...", ONLY_STOPWORDS),
    ("w", "LIKE", "", ONLY_STOPWORDS),
    ("ws", "EQUAL", "  ", ONLY_STOPWORDS),
    ("w", "CONTAINS_ANY", ["the", "..."], ONLY_STOPWORDS),
    ("w", "CONTAINS_ALL", ["the", "quick"], NESTED + ONLY_STOPWORDS),
    ("w", "CONTAINS_NONE", ["the", "quick"], NESTED + ONLY_STOPWORDS),
    ("tags", "CONTAINS_ANY", [], ONLY_STOPWORDS),
    ("tags", "CONTAINS_ALL", [], f'{RESOLVE}no children for operator "And"'),
    ("tags", "CONTAINS_NONE", [], f'{RESOLVE}nested NOT query: no children for operator "Or"'),
    ("n", "CONTAINS_ANY", [], "value type should be []float64 but is []string"),
    ("tags", "CONTAINS_ANY", "a", "value type should be []string but is string"),
    ("tags", "CONTAINS_ANY", [1], "value type should be []string but is []int"),
    ("d", "CONTAINS_ANY", ["x"], f'{NESTED}{READ_DATE}"x" as "{LAYOUT}": cannot parse "x" as "2006"'),
    ("w", "EQUAL", 5, "expected value to be string, got 'int'"),
    ("w", "EQUAL", ["a"], "expected value to be string, got '[]string'"),
    ("n", "EQUAL", True, "expected value to be float64, got bool"),
    ("i", "EQUAL", True, "expected value to be int, got bool"),
    ("b", "EQUAL", "true", "expected value to be bool, got string"),
    ("b", "EQUAL", 1, "expected value to be bool, got int"),
    ("d", "EQUAL", 5, "expected value to be time.Time (or parseable string), got int"),
    ("d", "EQUAL", "2024", f'{READ_DATE}"2024" as "{LAYOUT}": cannot parse "" as "-"'),
    ("d", "EQUAL", "2024-13-01T00:00:00Z", f'{READ_DATE}"2024-13-01T00:00:00Z": month out of range'),
    ("d", "EQUAL", "2024-02-30T00:00:00Z", f'{READ_DATE}"2024-02-30T00:00:00Z": day out of range'),
    ("u", "EQUAL", "x", "parse uuid filter value: invalid UUID length: 1"),
    ("u", "EQUAL", 5, "expected uuid filter value to be a string, got int"),
    ("w", "IS_NULL", "true", "expected value to be bool, got string"),
    ("bare", "IS_NULL", True, f"{RESOLVE}bucket for prop bare_nullState not found - is it indexed?"),
    ("_id", "EQUAL", 5, "expected value to be string, got 'int'"),
    ("_creationTimeUnix", "EQUAL", 5, "expected value to be string or time.Time, got 'int'"),
]
PARSE = "expected {} value, but could not parse string '{}' as {}: strconv.ParseFloat: parsing \"{}\": invalid syntax"
AT_ONCE: list[tuple[str, str, Any, str]] = [
    ("bare", "EQUAL", "q", NO_INDEX),
    ("bare", "CONTAINS_ANY", ["q"], NO_INDEX),
    ("n", "EQUAL", "x", PARSE.format("a number", "x", "float", "x")),
    ("i", "EQUAL", "x", PARSE.format("an integer", "x", "int", "x")),
    ("i", "EQUAL", 3.5, "filtering for integer, but received a floating point number 3.5"),
    ("i", "EQUAL", math.nan, "filtering for integer, but received a non-finite number NaN"),
    ("i", "EQUAL", 1e300, "filtering for integer, but received a value out of range 1e+300"),
    ("i", "CONTAINS_ANY", [3.5], "filtering for integer, but received a floating point number 3.5"),
    ("u", "LIKE", "0*", 'operator "Like" cannot be used on uuid/uuid[] props'),
    ("id", "IS_NULL", True, 'using ["_id"] to filter by uuid: must use "valueText" to specify the id'),
]


@pytest.mark.parametrize(("name", "operator", "value", "error"), IN_SHARD)
def test_filters_that_the_shard_refuses(stocked: Wire, name: str, operator: str, value: Any, error: str) -> None:
    chosen = where(name, operator, value)
    assert stocked.found(filters=chosen) == stocked.in_shard(error)
    start = f"{NEAR}object vector search at index {stocked.index}: shard {stocked.index}_t1: "
    searched = stocked.found(filters=chosen, near_vector=near([1, 2, 3]))
    assert searched == f"{start}build inverted filter allow list: {error}"
    assert stocked.count(filters=chosen) == f"aggregate: shard t1: retrieve doc IDs from searcher: {error}"
    start = 'batch delete: cannot find objects: find matching doc ids in shard "t1": docIds: '
    assert stocked.delete(chosen) == start + error


@pytest.mark.parametrize(("name", "operator", "value", "error"), AT_ONCE)
def test_filters_that_are_refused_at_once(stocked: Wire, name: str, operator: str, value: Any, error: str) -> None:
    assert stocked.found(filters=where(name, operator, value)) == error


@pytest.mark.parametrize("name", ["zz", "W", "id", "", "len(zz)"])
def test_filters_on_unknown_properties(stocked: Wire, name: str) -> None:
    told = NONE_ADDED.format(name.removeprefix("len(").removesuffix(")"), stocked.name) + AVAILABLE
    value: Any = 1 if name.startswith("len") else "x"
    assert stocked.found(filters=where(name, "EQUAL", value)) == told
    assert stocked.found(filters=joined("AND", where("b", "EQUAL", True), where(name, "EQUAL", value))).endswith(told)


def test_filters_that_are_joined(stocked: Wire) -> None:
    first, big = where("b", "EQUAL", True), where("n", "GREATER_THAN", 1.0)
    assert stocked.filtered(joined("AND", first, big)) == [1]
    assert stocked.filtered(joined("OR", first, big)) == [1, 5, 6]
    assert stocked.filtered(joined("AND", big)) == [1, 5, 6]
    assert stocked.filtered(joined("NOT", joined("NOT", big))) == [1, 5, 6]
    assert stocked.filtered(joined("OR", joined("NOT", first), joined("NOT", big))) == REST
    assert stocked.filtered(joined("AND", joined("NOT", first), joined("NOT", big))) == [2, 3, 4]
    assert stocked.filtered(joined("NOT", where("tags", "CONTAINS_NONE", ["a"]))) == [1, 5]
    for operator in ("And", "Or", "Not"):
        told = f'{RESOLVE}no children for operator "{operator}"'
        assert stocked.found(filters=joined(operator.upper())) == stocked.in_shard(told)
    told = f'{RESOLVE}too many children for operator "Not". Expected 1, given 2'
    assert stocked.found(filters=joined("NOT", first, big)) == stocked.in_shard(told)
    stop = where("w", "EQUAL", "the")
    assert stocked.found(filters=joined("OR", stop, first)) == stocked.in_shard(NESTED + ONLY_STOPWORDS)
    assert stocked.found(filters=joined("NOT", joined("OR", stop))) == stocked.in_shard(NESTED * 2 + ONLY_STOPWORDS)
    bare = where("bare", "EQUAL", "q")
    assert stocked.found(filters=joined("OR", first, joined("AND", bare, first))) == NO_INDEX
    null = where("bare", "IS_NULL", True)
    told = f"{RESOLVE}nested AND/OR query: nested child 1: bucket for prop bare_nullState not found - is it indexed?"
    assert stocked.found(filters=joined("OR", first, null)) == stocked.in_shard(told)


def test_filters_in_the_old_form(stocked: Wire) -> None:
    equal = OPERATORS.OPERATOR_EQUAL
    assert stocked.filtered(base_pb2.Filters(operator=equal, on=["b"], value_boolean=True)) == [1]
    assert stocked.filtered(base_pb2.Filters(operator=equal, on=["_id"], value_text=number(3))) == [3]
    told = "paths needs to have a uneven number of components: property, class, property, ...., got "
    assert stocked.found(filters=base_pb2.Filters(operator=equal, on=["a", "b"], value_text="x")) == f"{told}[a b]"
    assert stocked.found(filters=base_pb2.Filters(operator=equal, value_text="x")) == f"{told}[]"
    nothing = where("b", "EQUAL", True)
    nothing.ClearField("value_boolean")
    assert stocked.found(filters=nothing) == "unknown value type <nil>"
    nothing = where("b", "EQUAL", True)
    nothing.operator = 0
    assert stocked.found(filters=nothing) == "unknown filter operator OPERATOR_UNSPECIFIED"


LENGTHS_TOLD = (
    "Property length must be indexed to be filterable! add `IndexPropertyLength: true` to the invertedIndexConfig in "
    "{}.  Geo-coordinates, phone numbers and data blobs are not supported by property length."
)


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        (
            where("w", "IS_NULL", True),
            "Nullstate must be indexed to be filterable! Add `indexNullState: true` to the invertedIndexConfig",
        ),
        (
            where("_creationTimeUnix", "EQUAL", "2024-01-02T03:04:05Z"),
            "Timestamps must be indexed to be filterable! Add `IndexTimestamps: true` to the InvertedIndexConfig in {}",
        ),
        (
            where("len(w)", "EQUAL", 1),
            LENGTHS_TOLD,
        ),
    ],
)
def test_indexes_that_were_not_asked_for(wire: Wire, chosen: Any, words: str) -> None:
    wire.create(properties=PROPERTIES, multiTenancyConfig=MULTI)
    wire.put(wire.object(1, {"w": "x"}))
    assert wire.found(filters=chosen) == wire.in_shard(RESOLVE + words.format(wire.name))


@pytest.mark.parametrize(
    ("text", "value", "finds"),
    [
        ("a\u00a0b", "b", True),
        ("a\u200bb", "b", False),
        ("a\x1cb", "b", False),
        ("a\x85b", "b", True),
        ("\u3000a\u2003", "a", True),
        ("\ufeffa", "a", False),
    ],
)
def test_what_is_a_space(wire: Wire, text: str, value: str, finds: bool) -> None:
    """Not all of what Python takes for one."""
    wire.create(**DEFINITION)
    wire.put(wire.object(1, {"ws": text, "f": text}))
    assert wire.filtered(where("ws", "EQUAL", value)) == ([1] if finds else [])
