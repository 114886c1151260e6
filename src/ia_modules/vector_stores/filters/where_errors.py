"""What is said about a ``--where`` filter that can't be read: the place, what was expected, and a way out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lark import Token
    from lark.exceptions import UnexpectedToken

__all__ = ["WhereSyntaxError", "unexpected_character", "unexpected_token"]

_WIDTH = 72

_INSTEAD = [
    ("&&", "write 'and' instead of '&&'"),
    ("&", "write 'and' instead of '&'"),
    ("||", "write 'or' instead of '||'"),
    ("|", "write 'or' instead of '|'"),
    ("!", "write 'not' instead of '!'"),
    ("{", "a list stands in square brackets, as in [1, 2]"),
    ("=~", "there is no pattern matching; text is compared as a whole"),
    ("~", "there is no pattern matching; text is compared as a whole"),
    ('"', "the double quote that opens here is never closed"),
    ("'", "the single quote that opens here is never closed"),
    ("`", "the backquote that opens here is never closed"),
    ("\N{LEFT DOUBLE QUOTATION MARK}", "use straight quotes, as in \"en\" or 'en'"),
    ("\N{RIGHT DOUBLE QUOTATION MARK}", "use straight quotes, as in \"en\" or 'en'"),
    ("\N{LEFT SINGLE QUOTATION MARK}", "use straight quotes, as in \"en\" or 'en'"),
    ("\N{RIGHT SINGLE QUOTATION MARK}", "use straight quotes, as in \"en\" or 'en'"),
]

_INSTEAD_OF_OPERATOR = {
    "is": "write '= null' or 'not exists' for no value, 'exists' for any",
    "like": "there is no pattern matching; text is compared as a whole",
    "ilike": "there is no pattern matching; text is compared as a whole",
    "matches": "there is no pattern matching; text is compared as a whole",
    "between": "write it as two comparisons joined by 'and'",
    "has": "write 'contains'",
    "eq": "write '='",
    "ne": "write '!='",
    "gt": "write '>'",
    "gte": "write '>='",
    "lt": "write '<'",
    "lte": "write '<='",
    "nin": "write 'not in'",
    "contains_any": "write 'contains any'",
    "contains_all": "write 'contains all'",
}


class WhereSyntaxError(ValueError):
    """A text that is not a filter; the message shows the place and says what was expected.

    Attributes:
        reason: what is wrong, in one sentence.
        text: the whole text.
        position: offset into the text, from 0.
    """

    def __init__(self, reason: str, text: str, position: int) -> None:
        super().__init__(f"{reason}\n{_pointed(text, position)}")
        self.reason = reason
        self.text = text
        self.position = position

    def __reduce__(self) -> tuple[type[WhereSyntaxError], tuple[str, str, int]]:
        return type(self), (self.reason, self.text, self.position)


def unexpected_character(text: str, position: int) -> WhereSyntaxError:
    """The error for a character that begins nothing."""
    rest = text[position:]
    for wrong, advice in _INSTEAD:
        if rest.startswith(wrong):
            return WhereSyntaxError(advice, text, position)
    if rest[0].isdigit() or rest[0] in "+-.":
        return WhereSyntaxError("this is not a number or a date; text stands in quotes", text, position)
    return WhereSyntaxError(f"{rest[0]!r} has no meaning here", text, position)


def unexpected_token(text: str, tokens: list[Token], error: UnexpectedToken) -> WhereSyntaxError:
    """The error for a word in the wrong place, or for a text that ends too early."""
    token, expected = error.token, error.accepts or error.expected
    kind, ended = token.type, token.type == "$END"
    position = len(text.rstrip()) if ended else token.start_pos or 0
    before = next((t for t in reversed(tokens) if (t.start_pos or 0) < position), None)
    after = f" after {_shortened(before.value)}" if before is not None else ""
    if ended and before is None:
        reason = "the filter is empty"
    elif "LSQB" in expected:
        advice = "; a list stands in square brackets, as in [1, 2]"
        reason = f"expected a list{after}{'' if ended else advice}"
    elif "RSQB" in expected:
        reason = "expected ',' or ']' in the list" if "NUMBER" not in expected else f"expected a value or ']'{after}"
        reason += _quote_advice(token.value, kind)
    elif "NUMBER" in expected:
        reason = f"expected a value{after}" + _quote_advice(token.value, kind)
        if kind == "LSQB":
            reason += "; write 'in' or 'contains any' to compare with a list"
        elif kind == "COMPARE" and before is not None and before.type == "COMPARE":
            reason += _operator_advice(before.value + token.value)
    elif "COMPARE" in expected:
        reason = f"expected an operator such as =, <, in or exists{after}"
        if kind == "NAME" and token.value.lower() in _INSTEAD_OF_OPERATOR:
            reason += "; " + _INSTEAD_OF_OPERATOR[token.value.lower()]
    elif "IN" in expected:
        reason = "expected in, contains or exists after 'not'"
    elif "NAME" in expected:
        reason = f"expected a field{after}"
        if kind in ("NUMBER", "DATE", "SINGLE_QUOTED"):
            reason += "; the field stands on the left of the value"
        elif not ended and token.value.isalpha():
            reason += f"; a field of the name {token.value!r} stands in backquotes: `{token.value}`"
    elif kind == "RPAR":
        reason = "there is no '(' that this ')' closes"
    elif ended:
        reason = "expected ')' to close the '(' before it"
    else:
        reason = f"expected 'and', 'or' or the end{after}".replace(
            "the end", "')'" if "RPAR" in expected else "the end"
        )
    return WhereSyntaxError(reason, text, position)


def _shortened(word: str) -> str:
    return repr(word if len(word) <= 32 else word[:29] + "...")


def _quote_advice(value: str, kind: str) -> str:
    if kind != "NAME":
        return ""
    words = {"none": "null", "nil": "null", "undefined": "null", "yes": "true", "no": "false"}
    if value.lower() in words:
        return f'; write {words[value.lower()]}, or quote the text: "{value}"'
    return f'; text stands in quotes: "{value}"'


def _operator_advice(written: str) -> str:
    meant = {"=>": ">=", "=<": "<=", "<>": "!=", "===": "=", "!==": "!="}.get(written)
    return f"; write {meant!r} instead of {written!r}" if meant else ""


def _pointed(text: str, position: int) -> str:
    """The line at the position, shortened where it is long, and a caret under the place."""
    start = text.rfind("\n", 0, position) + 1
    end = text.find("\n", position)
    line, column = text[start : len(text) if end < 0 else end], position - start
    if len(line) > _WIDTH:
        first = max(0, min(column - _WIDTH // 2, len(line) - _WIDTH))
        last = first + _WIDTH
        head, tail = "..." if first else "", "..." if last < len(line) else ""
        column += len(head) - first
        line = head + line[first:last] + tail
    # Anything that is not one column wide would push the caret away from its place.
    line = "".join(character if character.isprintable() else " " for character in line)
    return f"    {line}\n    {' ' * column}^"
