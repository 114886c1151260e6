"""Filters as text, for the command line: ``year >= 2020 and lang in ["en", "de"]``.

``not`` binds tighter than ``and``, and ``and`` tighter than ``or``. Keywords may be in any case. A field that is not
a plain dotted name stands between backquotes or double quotes.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn, cast

from ia_modules.vector_stores.errors import MissingDependencyError
from ia_modules.vector_stores.filters.evaluate import instant
from ia_modules.vector_stores.filters.nodes import (
    MAX_DEPTH,
    RANGE_OPERATORS,
    And,
    Condition,
    FilterLike,
    Node,
    Not,
    Or,
    Scalar,
    as_node,
)
from ia_modules.vector_stores.filters.where_errors import (
    WhereSyntaxError,
    unexpected_character,
    unexpected_token,
)

if TYPE_CHECKING:
    from lark import Lark, Token, Tree

__all__ = ["MAX_LENGTH", "WhereSyntaxError", "parse_where", "to_where"]

MAX_LENGTH = 65_536
"""The most characters that a filter written as text may have."""

_GRAMMAR = r"""
?start: any
?any: all (OR all)*
?all: unary (AND unary)*
?unary: NOT unary -> negation
      | "(" any ")"
      | condition
?condition: field COMPARE scalar      -> compare
          | field IN list             -> membership
          | field NOT IN list         -> membership
          | field CONTAINS scalar     -> contains
          | field NOT CONTAINS scalar -> contains
          | field CONTAINS_ANY list     -> contains
          | field NOT CONTAINS_ANY list -> contains
          | field CONTAINS_ALL list     -> contains
          | field NOT CONTAINS_ALL list -> contains
          | field EXISTS              -> presence
          | field NOT EXISTS          -> presence
field: NAME | DOUBLE_QUOTED
list: "[" [scalar ("," scalar)*] "]"
scalar: NUMBER | DATE | DOUBLE_QUOTED | SINGLE_QUOTED | TRUE | FALSE | NULL

COMPARE: "==" | "=" | "!=" | "<=" | "<" | ">=" | ">"
CONTAINS_ANY.4: /contains\s+any(?![\w-]|\.[\w`])/i
CONTAINS_ALL.4: /contains\s+all(?![\w-]|\.[\w`])/i
AND.3: /and(?![\w-]|\.[\w`])/i
OR.3: /or(?![\w-]|\.[\w`])/i
NOT.3: /not(?![\w-]|\.[\w`])/i
IN.3: /in(?![\w-]|\.[\w`])/i
CONTAINS.3: /contains(?![\w-]|\.[\w`])/i
EXISTS.3: /exists(?![\w-]|\.[\w`])/i
TRUE.3: /true(?![\w-]|\.[\w`])/i
FALSE.3: /false(?![\w-]|\.[\w`])/i
NULL.3: /null(?![\w-]|\.[\w`])/i
DATE.2: /\d{4}-\d\d-\d\d(T\d\d(:?\d\d(:?\d\d([.,]\d+)?)?)?(Z|[+-]\d\d(:?\d\d)?)?)?(?![\w.])/i
NUMBER: /[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?(?![\w.])/i
DOUBLE_QUOTED: /"(\\.|[^"\\])*"/s
SINGLE_QUOTED: /'(\\.|[^'\\])*'/s
NAME: /([^\W\d][\w-]*|`([^`]|``)*`)(\.+([\w-]+|`([^`]|``)*`))*/
%ignore /\s+/
"""

_COMPARE = {"=": "eq", "==": "eq", "!=": "ne", "<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
_OPERATORS = {"eq": "=", "ne": "!=", "lt": "<", "lte": "<=", "gt": ">", "gte": ">=", "in": "in", "nin": "not in"}
_CONTAINS = {"CONTAINS": "contains", "CONTAINS_ANY": "contains_any", "CONTAINS_ALL": "contains_all"}
_KEYWORDS = {"and", "or", "not", "in", "contains", "exists", "true", "false", "null"}
_PLAIN_NAME = re.compile(r"[^\W\d][\w-]*(\.+[\w-]+)*\Z")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", **{c: c for c in "\\\"'/"}}
_NEVER = "_ in []"


def parse_where(text: str) -> Node:
    """The filter that the text describes.

    Raises:
        WhereSyntaxError: (a ``ValueError``) where the text is not a filter; it shows the place and what was expected.
            Or for a text of more than 65,536 characters, or of more groups than a filter may nest.
        MissingDependencyError: the package ``lark`` is not installed.
    """
    if len(text) > MAX_LENGTH:
        raise WhereSyntaxError(f"a filter may have {MAX_LENGTH:,} characters at most", text, MAX_LENGTH)
    parser = _parser()
    from lark.exceptions import UnexpectedCharacters, UnexpectedToken

    tokens: list[Token] = []
    try:
        for token in parser.lex(text):
            tokens.append(token)  # noqa: PERF402 - what was read before an error is needed too
        _check_depth(tokens, text)
        tree = parser.parse(text)
    except UnexpectedCharacters as error:
        raise unexpected_character(text, cast("int", error.pos_in_stream)) from None
    except UnexpectedToken as error:
        raise unexpected_token(text, tokens, error) from None
    try:
        return _node(tree, text)
    except WhereSyntaxError:
        raise
    except ValueError as error:  # beyond a limit of filters
        raise WhereSyntaxError(str(error), text, 0) from None


def to_where(filters: FilterLike) -> str:
    """Text that :func:`parse_where` reads as a filter of the same meaning."""
    return _write(as_node(filters))


@cache
def _parser() -> Lark:
    try:
        from lark import Lark
    except ImportError as error:
        raise MissingDependencyError("lark", extra="cli", needed_for="Parsing a --where filter") from error
    return Lark(_GRAMMAR, parser="lalr", lexer="basic", maybe_placeholders=False)


def _check_depth(tokens: list[Token], text: str) -> None:
    """Refuse nesting that the recursion over the tree could not follow."""
    groups: list[int] = []  # for each open parenthesis: itself and the nots before it
    depth = nots = 0
    for token in tokens:
        if token.type == "NOT":
            nots += 1
        elif token.type == "LPAR":
            groups.append(nots + 1)
            depth += nots + 1
            nots = 0
        else:
            if token.type == "RPAR" and groups:
                depth -= groups.pop()
            nots = 0
        if depth + nots > MAX_DEPTH:
            raise WhereSyntaxError(f"a filter may nest {MAX_DEPTH} levels deep at most", text, token.start_pos or 0)


def _node(tree: Tree[Token], text: str) -> Node:
    children: list[Any] = tree.children
    match tree.data:
        case "any" | "all":
            parts = tuple(_node(child, text) for child in children[::2])
            return Or(parts) if tree.data == "any" else And(parts)
        case "negation":
            return Not(_node(children[1], text))
    field, operator, negated = _field(children[0].children[0], text), children[1], False
    if operator.type == "NOT":
        operator, negated = children[2], True
    match tree.data:
        case "compare":
            return _comparison(field, operator, children[2], text)
        case "membership":
            return Condition(field, "nin" if negated else "in", _list(children[-1], text))
        case "presence":
            return Condition(field, "exists", not negated)
    items = _list(children[-1], text) if children[-1].data == "list" else _scalar(children[-1], text)
    if None in (items if isinstance(items, tuple) else (items,)):
        _refuse("'contains' looks for a value, and null is none", text, children[-1])
    node = Condition(field, _CONTAINS[operator.type], items)
    return Not(node) if negated else node


def _comparison(field: str, operator: Token, value: Tree[Token], text: str) -> Condition:
    name, scalar = _COMPARE[operator], _scalar(value, text)
    if name in RANGE_OPERATORS:
        number = isinstance(scalar, int | float) and not isinstance(scalar, bool)
        if not number and (not isinstance(scalar, str) or instant(scalar) is None):
            _refuse(f"{operator.value!r} compares numbers and ISO 8601 dates, and this is neither", text, value)
    return Condition(field, name, scalar)


def _refuse(problem: str, text: str, at: Any) -> NoReturn:
    first: Token = next(at.scan_values(lambda _: True))
    raise WhereSyntaxError(problem, text, first.start_pos or 0)


def _list(tree: Any, text: str) -> tuple[Scalar, ...]:
    return tuple(_scalar(item, text) for item in tree.children)


def _scalar(tree: Any, text: str) -> Scalar:
    token: Token = tree.children[0]
    match token.type:
        case "TRUE" | "FALSE":
            return token.type == "TRUE"
        case "NULL":
            return None
        case "NUMBER":
            return _number(token, text)
        case "DATE":
            if instant(token) is None:
                _refuse("there is no such date", text, tree)
            return str(token)
    return _unquoted(token, text)


def _number(token: Token, text: str) -> int | float:
    try:
        return int(token) if re.fullmatch(r"[+-]?\d+", token) else float(token)
    except ValueError:  # Python refuses to read integers of thousands of digits
        raise WhereSyntaxError("this number is too long", text, token.start_pos or 0) from None


def _field(token: Token, text: str) -> str:
    if token.type == "DOUBLE_QUOTED":
        return _unquoted(token, text)
    return re.sub(r"`((?:[^`]|``)*)`", lambda quoted: quoted[1].replace("``", "`"), token)


def _unquoted(token: Token, text: str) -> str:
    def character(escape: re.Match[str]) -> str:
        if len(escape[1]) == 5:
            return chr(int(escape[1][1:], 16))
        if escape[1] not in _ESCAPES:
            problem = f"there is no escape {escape[0]!s}; for a backslash itself write two"
            raise WhereSyntaxError(problem, text, (token.start_pos or 0) + 1 + escape.start())
        return _ESCAPES[escape[1]]

    plain = _ESCAPE.sub(character, token[1:-1])
    # Two escapes may spell one character, as in JSON.
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def _write(node: Node) -> str:
    if isinstance(node, And | Or):
        if not node.children:
            return f"not {_NEVER}" if isinstance(node, And) else _NEVER
        if len(node.children) == 1:
            return _write(node.children[0])
        return (" and " if isinstance(node, And) else " or ").join(map(_grouped, node.children))
    if isinstance(node, Not):
        return f"not {_grouped(node.child)}"
    if not isinstance(node, Condition):
        raise TypeError(f"not a filter node: {type(node).__name__}")
    field, operator, value = _write_field(node.field), node.operator, node.value
    if operator == "exists":
        return f"{field} exists" if value else f"{field} not exists"
    if operator in RANGE_OPERATORS and isinstance(value, str) and instant(value) is None:
        return _NEVER  # such a string compares with nothing, and the language refuses it
    return f"{field} {_OPERATORS.get(operator, operator.replace('_', ' '))} {_write_value(value)}"


def _grouped(node: Node) -> str:
    return f"({_write(node)})" if isinstance(node, And | Or) else _write(node)


def _write_field(field: str) -> str:
    if _PLAIN_NAME.match(field) and field.lower() not in _KEYWORDS:
        return field
    return "`" + field.replace("`", "``") + "`"


def _write_value(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_write_value, value))}]"
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return "1e999" if value > 0 else "-1e999"
    return json.dumps(value, ensure_ascii=False)
