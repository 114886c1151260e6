"""A step's config, read key by key: what is wrong with it becomes a sentence, and no key is overlooked."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping
from typing import Any, NoReturn

from ia_modules.vector_stores.filters import And, FilterLike, Node, as_node, from_json
from ia_modules.vector_stores.rag.runtime import StepConfigurationError

__all__ = ["MISSING", "Options", "kind_of"]

MISSING: Any = object()

_OF_THE_PIPELINE = ("error_handling", "mode")
_PARAMETER = re.compile(r"\{\{\s*parameters\.([^}]*?)\s*\}\}")


class Options:
    """The keys of a config that have not been read yet.

    Args:
        step: the step's name, for messages.
        given: the config.

    Raises:
        StepConfigurationError: a parameter of the pipeline that was not given.
    """

    def __init__(self, step: str, given: Mapping[str, Any]) -> None:
        self._step = step
        self._left = {key: value for key, value in given.items() if key not in _OF_THE_PIPELINE}
        self._known: list[str] = list(_OF_THE_PIPELINE)
        for key, value in self._left.items():
            self._check_parameters(key, value)

    def fail(self, key: str, message: str) -> NoReturn:
        """Refuse a key's value."""
        raise StepConfigurationError(message, config_key=key, step_id=self._step)

    def take(self, key: str, default: Any = MISSING) -> Any:
        """A value as it is; :data:`MISSING` or the default if it is not there."""
        self._known.append(key)
        return self._left.pop(key, default)

    def text(self, key: str, default: str) -> str:
        """A string that is not empty."""
        value = self.take(key, default)
        if not isinstance(value, str) or not value:
            self.fail(key, f"{key} must be a text that is not empty, not {kind_of(value)}")
        return value

    def optional_text(self, key: str) -> str | None:
        """The same, or None where the key is not there. Null is refused: a parameter without a value may mean it."""
        value = self.take(key)
        if value is MISSING:
            return None
        if not isinstance(value, str) or not value:
            self.fail(key, f"{key} must be a text that is not empty, not {kind_of(value)}; leave the key out if unused")
        return value

    def integer(self, key: str, default: int, least: int) -> int:
        """A whole number of at least ``least``."""
        value = self.take(key, default)
        if type(value) is not int or value < least:
            self.fail(key, f"{key} must be a whole number of at least {least}, not {_shown(value)}")
        return value

    def number(self, key: str) -> float | None:
        """A finite number, or None where the key is not there."""
        value = self.take(key)
        if value is MISSING:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            self.fail(key, f"{key} must be a number, not {_shown(value)}")
        return value

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        value = self.take(key, default)
        if not isinstance(value, bool):
            self.fail(key, f"{key} must be true or false, not {kind_of(value)}")
        return value

    def filters(self, key: str) -> Node | None:
        """A filter in its JSON form, or as objects; None where the key is not there.

        What a template put into it is a value inside a structure that was there before, never text that is parsed.
        """
        value = self.take(key)
        if value is MISSING:
            return None
        if value is None or isinstance(value, str):
            self.fail(
                key, f"{key} must be a filter as an object or a list, not {kind_of(value)}; leave the key out for none"
            )
        try:
            return _filter(value)
        except ValueError as error:
            self.fail(key, f"{key}: {error}")

    def output(self, key: str, default: str) -> str:
        """Where a part of the result goes; the pipeline puts the whole of it under the step's own name."""
        value = self.text(key, default)
        if value == self._step:
            self.fail(
                key,
                f"{key} is {value!r} like the step, under whose name the pipeline keeps the whole result; rename one",
            )
        return value

    def done(self) -> None:
        """Refuse what nobody has read."""
        for key in self._left:
            near = difflib.get_close_matches(str(key), self._known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(set(self._known)))}"
            self.fail(str(key)[:80], f"unknown config key {str(key)[:80]!r}; {hint}")

    def _check_parameters(self, key: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for one in value.values():
                self._check_parameters(key, one)
        elif isinstance(value, list | tuple):
            for one in value:
                self._check_parameters(key, one)
        elif isinstance(value, str) and (found := _PARAMETER.search(value)):
            self.fail(key, f"{key}: the pipeline was given no parameter {found[1][:80]!r}")


def _filter(value: Any) -> Node:
    if isinstance(value, list | tuple) and not all(isinstance(one, Mapping) for one in value):
        children = [as_node(one) if isinstance(one, Node) else from_json(one) for one in value]
        return And(tuple(children))
    if isinstance(value, Node):
        filters: FilterLike = value
        return as_node(filters)
    return from_json(list(value) if isinstance(value, tuple) else value)


def kind_of(value: Any) -> str:
    """What a value is, for a message that must not show it."""
    if value is None:
        return "null"
    if isinstance(value, str) and not value:
        return "an empty text"
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", int: "a number"}
    return names.get(type(value), type(value).__name__)


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, int | float) else kind_of(value)
