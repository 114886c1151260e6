"""The text form of filters: what it means, what it refuses, and how it says so."""

from __future__ import annotations

import pickle
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ia_modules.vector_stores.errors import MissingDependencyError
from ia_modules.vector_stores.filters import (
    MATCH_ALL,
    MATCH_NONE,
    And,
    Condition,
    Node,
    Not,
    Or,
    WhereSyntaxError,
    matches,
    parse_where,
    to_where,
)
from ia_modules.vector_stores.testing.filter_table import CONDITIONS, DOCUMENTS
from ia_modules.vector_stores.testing.strategies import filters, metadata

C = Condition


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("year >= 2020", C("year", "gte", 2020)),
        ("year>=2020", C("year", "gte", 2020)),
        ("year > 1 ", C("year", "gt", 1)),
        ("year < -1", C("year", "lt", -1)),
        ("year <= +1.5", C("year", "lte", 1.5)),
        ("n = 1e3", C("n", "eq", 1000.0)),
        ("n = -.5", C("n", "eq", -0.5)),
        ("n = 2.", C("n", "eq", 2.0)),
        ("n = 9007199254740993", C("n", "eq", 2**53 + 1)),
        ("n < 1e999", C("n", "lt", float("inf"))),
        ('lang = "en"', C("lang", "eq", "en")),
        ("lang == 'en'", C("lang", "eq", "en")),
        ("lang != 'en'", C("lang", "ne", "en")),
        (r'a = "\"\\\n\tA😀"', C("a", "eq", '"\\\n\tA\U0001f600')),
        (r"a = 'it\'s'", C("a", "eq", "it's")),
        ("a = 'say \"x\"'", C("a", "eq", 'say "x"')),
        ("a = ''", C("a", "eq", "")),
        ("draft = true", C("draft", "eq", True)),
        ("draft = FALSE", C("draft", "eq", False)),
        ("editor = null", C("editor", "eq", None)),
        ("editor != Null", C("editor", "ne", None)),
        ("lang in [\"en\", 'de', 1, true, null]", C("lang", "in", ["en", "de", 1, True, None])),
        ("lang NOT  in []", C("lang", "nin", [])),
        ('tags contains "red"', C("tags", "contains", "red")),
        ('tags not contains "red"', Not(C("tags", "contains", "red"))),
        ('tags contains any ["red", 1]', C("tags", "contains_any", ["red", 1])),
        ("tags CONTAINS\n ALL []", C("tags", "contains_all", [])),
        ("tags not contains all [1]", Not(C("tags", "contains_all", [1]))),
        ("author exists", C("author", "exists", True)),
        ("author Not Exists", C("author", "exists", False)),
        ("published >= 2024-05-01", C("published", "gte", "2024-05-01")),
        ("published < 2024-05-01T10:00:00.5+02:00", C("published", "lt", "2024-05-01T10:00:00.5+02:00")),
        ("published > '20240501'", C("published", "gt", "20240501")),
        ("meta.lang = 1", C("meta.lang", "eq", 1)),
        ("a..b = 1", C("a..b", "eq", 1)),
        ("größe-1_x = 1", C("größe-1_x", "eq", 1)),
        ("`odd key` = 1", C("odd key", "eq", 1)),
        ("`a``b` = 1", C("a`b", "eq", 1)),
        ("meta.`odd key`.x = 1", C("meta.odd key.x", "eq", 1)),
        ('"odd \\"key" = 1', C('odd "key', "eq", 1)),
        ("`` = 1", C("", "eq", 1)),
        ("`and` = 1", C("and", "eq", 1)),
        ("any = 1", C("any", "eq", 1)),
        ("in-stock = 1", C("in-stock", "eq", 1)),
        ("not.x = 1", C("not.x", "eq", 1)),
        ("android = 1", C("android", "eq", 1)),
        ("a=1 or b=2 and c=3", Or((C("a", "eq", 1), And((C("b", "eq", 2), C("c", "eq", 3)))))),
        ("(a=1 or b=2) and c=3", And((Or((C("a", "eq", 1), C("b", "eq", 2))), C("c", "eq", 3)))),
        ("not a=1 and b=2", And((Not(C("a", "eq", 1)), C("b", "eq", 2)))),
        ("not (a=1 or b != 'x')", Not(Or((C("a", "eq", 1), C("b", "ne", "x"))))),
        ("NOT not a=1", Not(Not(C("a", "eq", 1)))),
        ("not(a=1)and(b=2)", And((Not(C("a", "eq", 1)), C("b", "eq", 2)))),
        ("a=1 and b=2 and c=3", And((C("a", "eq", 1), C("b", "eq", 2), C("c", "eq", 3)))),
    ],
)  # fmt: skip
def test_means(text: str, node: Node) -> None:
    assert repr(parse_where(text)) == repr(node), "1 is not 1.0, and neither is True"


@pytest.mark.parametrize(
    ("text", "position", "reason"),
    [
        ("", 0, "the filter is empty"),
        ("  ", 0, "the filter is empty"),
        ("a", 1, "expected an operator such as =, <, in or exists after 'a'"),
        ("year >= ", 7, "expected a value after '>='"),
        ("a = en", 4, "expected a value after '='; text stands in quotes: \"en\""),
        ("a = None", 4, "expected a value after '='; write null, or quote the text: \"None\""),
        ("a = 1 && b = 2", 6, "write 'and' instead of '&&'"),
        ("a = 1 || b = 2", 6, "write 'or' instead of '||'"),
        ("!a = 1", 0, "write 'not' instead of '!'"),
        ("a => 3", 3, "expected a value after '='; write '>=' instead of '=>'"),
        ("a <> 3", 3, "expected a value after '<'; write '!=' instead of '<>'"),
        ("a === 3", 4, "expected a value after '=='; write '=' instead of '==='"),
        ("a is null", 2, "exists after 'a'; write '= null' or 'not exists' for no value, 'exists' for any"),
        ("a like 'x'", 2, "there is no pattern matching"),
        ("a between 1 and 2", 2, "write it as two comparisons joined by 'and'"),
        ("a gte 1", 2, "write '>='"),
        ("a in (1, 2)", 5, "expected a list after 'in'; a list stands in square brackets, as in [1, 2]"),
        ("a in", 4, "expected a list after 'in'"),
        ("a in {1}", 5, "a list stands in square brackets"),
        ("a in [1 2]", 8, "expected ',' or ']' in the list"),
        ("a in [1,]", 8, "expected a value after ','"),
        ("a in [x]", 6, "expected a value or ']' after '['; text stands in quotes: \"x\""),
        ("a in [1", 7, "expected ',' or ']' in the list"),
        ("a = [1]", 4, "write 'in' or 'contains any' to compare with a list"),
        ("(a = 1", 6, "expected ')' to close the '(' before it"),
        ("a = 1)", 5, "there is no '(' that this ')' closes"),
        ("(a = 1 b", 7, "expected 'and', 'or' or ')' after '1'"),
        ("a = 1 b = 2", 6, "expected 'and', 'or' or the end after '1'"),
        ("a = 1 and", 9, "expected a field after 'and'"),
        ("10 < a", 0, "expected a field; the field stands on the left of the value"),
        ("and = 1", 0, "expected a field; a field of the name 'and' stands in backquotes: `and`"),
        ("a not 1", 6, "expected in, contains or exists after 'not'"),
        ('a = "x', 4, "the double quote that opens here is never closed"),
        ("a = 'x", 4, "the single quote that opens here is never closed"),
        ("`a = 1", 0, "the backquote that opens here is never closed"),
        ("a = “x”", 4, "use straight quotes"),
        (r'a = "x\q"', 6, r"there is no escape \q; for a backslash itself write two"),
        ("a = 1_000", 4, "this is not a number or a date; text stands in quotes"),
        ("a = 12abc", 4, "this is not a number or a date; text stands in quotes"),
        ("a > 'zz'", 4, "'>' compares numbers and ISO 8601 dates, and this is neither"),
        ("a > true", 4, "'>' compares numbers and ISO 8601 dates, and this is neither"),
        ("a <= null", 5, "'<=' compares numbers and ISO 8601 dates, and this is neither"),
        ("a > 2024-13-01", 4, "there is no such date"),
        ("a contains null", 11, "'contains' looks for a value, and null is none"),
        ("a contains any [1, null]", 16, "'contains' looks for a value, and null is none"),
        ("a = 1 and b ~ 'x'", 12, "there is no pattern matching"),
        ("a = 1; b = 2", 5, "';' has no meaning here"),
        ("a = " + "9" * 5000, 4, "this number is too long"),
    ],
)
def test_refuses(text: str, position: int, reason: str) -> None:
    with pytest.raises(WhereSyntaxError) as refused:
        parse_where(text)
    error = refused.value
    assert isinstance(error, ValueError)
    assert reason in error.reason
    assert error.position == position
    assert error.text == text


def test_the_message_points_at_the_place() -> None:
    with pytest.raises(WhereSyntaxError) as refused:
        parse_where('lang = "en" and\nyear => 2020')
    assert str(refused.value) == (
        "expected a value after '='; write '>=' instead of '=>'\n"  #
        "    year => 2020\n"
        "          ^"
    )


def test_the_message_shows_a_part_of_a_long_line() -> None:
    text = " or ".join(["year = 2020"] * 50) + " or lang = en or " + " or ".join(["year = 2020"] * 50)
    with pytest.raises(WhereSyntaxError) as refused:
        parse_where(text)
    _, shown, caret = str(refused.value).splitlines()
    assert len(shown) < 90
    assert shown[caret.index("^") :].startswith("en or")


def test_the_error_survives_pickling() -> None:
    error = WhereSyntaxError("no", "a b", 2)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.position, again.text) == (str(error), 2, "a b")


@pytest.mark.parametrize(
    "text", ["(" * 5000 + "a=1" + ")" * 5000, "not " * 5000 + "a=1", "not (" * 60 + "a=1" + ")" * 60]
)
def test_deep_nesting_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(WhereSyntaxError, match="100 levels deep at most"):
        parse_where(text)


def test_nesting_up_to_the_limit_and_any_length_are_fine() -> None:
    assert matches(parse_where("(" * 100 + "a=1" + ")" * 100), {"a": 1})
    assert matches(parse_where("not " * 100 + "a=1"), {"a": 1})
    assert matches(parse_where("not (" * 50 + "a=1" + ")" * 50), {"a": 1})
    assert matches(parse_where(" or ".join(f"a = {i}" for i in range(3000))), {"a": 2999})
    assert matches(parse_where(" and ".join(["(a = 1)"] * 3000)), {"a": 1})


def test_written_text_of_every_condition_means_the_same() -> None:
    for condition in CONDITIONS:
        again = parse_where(to_where(condition))
        for document in DOCUMENTS:
            assert matches(again, document) == matches(condition, document), (condition, to_where(condition), document)


@settings(max_examples=300)
@given(node=filters(3), documents=st.lists(metadata(), min_size=1, max_size=4))
def test_written_text_of_a_tree_means_the_same(node: Node, documents: list[dict[str, object]]) -> None:
    again = parse_where(to_where(node))
    for document in documents:
        assert matches(again, document) == matches(node, document), to_where(node)


@settings(max_examples=200)
@given(field=st.text(max_size=6), value=st.text(max_size=6))
def test_any_field_and_any_text_can_be_written(field: str, value: str) -> None:
    node = C(field, "eq", value)
    assert parse_where(to_where(node)) == node


@settings(max_examples=300)
@given(text=st.text(alphabet="ab1=<>! \"'`().[],-\\&|" + "\n", max_size=24) | st.text(max_size=12))
def test_any_other_text_is_refused_with_a_place_inside_it(text: str) -> None:
    position = 0
    try:
        parse_where(text)
    except WhereSyntaxError as error:
        position = error.position
    assert 0 <= position <= len(text)


@pytest.mark.parametrize(
    ("node", "text"),
    [
        (C("a", "eq", 1) & (C("b", "ne", "x") | C("c", "exists", False)), "a = 1 and (b != \"x\" or c not exists)"),
        (~(C("a", "contains_any", ["x"]) & C("b", "nin", [1])), 'not (a contains any ["x"] and b not in [1])'),
        (C("b", "in", [True, None, 1.0]), "b in [true, null, 1.0]"),
        (C("In", "gte", "2024-05-01"), '`In` >= "2024-05-01"'),
        (C("a b", "contains", True), "`a b` contains true"),
        (C("a`b", "eq", 1), "`a``b` = 1"),
        (MATCH_NONE, "_ in []"),
        (MATCH_ALL, "not _ in []"),
    ],
)  # fmt: skip
def test_written_form(node: Node, text: str) -> None:
    assert to_where(node) == text


def test_the_parser_is_loaded_when_it_is_needed_only() -> None:
    code = "import sys, ia_modules.vector_stores.filters; sys.exit('lark' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_the_parser_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from ia_modules.vector_stores.filters import where

    where._parser.cache_clear()
    monkeypatch.setitem(sys.modules, "lark", None)
    with pytest.raises(MissingDependencyError, match=r"--where filter needs the package 'lark'.*\[cli\]"):
        parse_where("a = 1")
