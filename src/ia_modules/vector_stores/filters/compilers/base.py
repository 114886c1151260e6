"""What every filter compiler shares: the walk over the normal form, and what happens to what can't be expressed.

A compiler is pure: nodes in, plain JSON out. It writes one method for each operator of the normal form
(:mod:`ia_modules.vector_stores.filters.normalize`) and two to join parts. An operator without a method can't be
forgotten: the methods are abstract.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from ia_modules.vector_stores.errors import UnsupportedOperationError
from ia_modules.vector_stores.filters.nodes import (
    MATCH_ALL,
    MATCH_NONE,
    And,
    Condition,
    FilterLike,
    Node,
    Not,
    Or,
    Scalar,
)
from ia_modules.vector_stores.filters.normalize import normalize

__all__ = ["Compiled", "FilterCompiler", "Native", "NotExpressible", "Superset"]

Native: TypeAlias = dict[str, Any]

_NATIVE_DEPTH = 20
"""Groups that may lie in one another natively; what is deeper is checked here. Pinecone takes no more than 64, Chroma
refuses a hundred, and what reads Weaviate's messages may, too."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """A filter in a database's own form.

    Attributes:
        native: the database's filter; None if there is nothing to filter by on its side.
        exact: whether ``native`` selects exactly the right documents. If not, it selects all of them and some
            more, and :func:`~ia_modules.vector_stores.filters.evaluate.predicate` of ``node`` tells them apart.
        node: the normal form.
    """

    native: Native | None
    exact: bool
    node: Node

    @property
    def nothing(self) -> bool:
        """Whether the filter holds for no document at all; then there is no need to ask the database."""
        return self.node == MATCH_NONE


@dataclass(frozen=True, slots=True)
class Superset:
    """A native filter that selects too much (never too little), and why.

    Attributes:
        native: the filter; None if the database has none that would exclude anything safely.
        reason: why it is not exact, as a sentence for the caller.
        usual: what the database's own users would write, where that is exact for a field whose values are all of
            one shape (all of them lists, or none; dates all in the database's own notation). ``to_native`` gives it.
    """

    native: Native | None
    reason: str
    usual: Native | None = None


class NotExpressible(Exception):  # noqa: N818 - a signal inside the compilers, not an error a caller sees
    """The database has no form of this condition; the message says why."""


class FilterCompiler(ABC):
    """Turns the normal form into one database's filter."""

    provider: ClassVar[str]

    def compile(self, filters: FilterLike) -> Compiled:
        """The native filter, over-selecting where the database can't express a condition."""
        node = normalize(filters)
        if node in (MATCH_ALL, MATCH_NONE):
            return Compiled(None, True, node)
        native, exact = self._visit(node, strict=False)
        return Compiled(native, exact, node)

    def to_native(self, filters: FilterLike) -> Native:
        """The filter as the database's own users would write it; ``{}`` if everything passes.

        Exact as long as the values of a field keep to one shape (see :class:`Superset`).

        Raises:
            UnsupportedOperationError: the database can't express the filter.
        """
        node = normalize(filters)
        if node == MATCH_ALL:
            return {}
        if node == MATCH_NONE:
            raise self._unsupported("this filter holds for no document, so there is nothing to ask")
        native, _ = self._visit(node, strict=True)
        assert native is not None
        return native

    def _visit(self, node: Node, *, strict: bool, room: int = _NATIVE_DEPTH) -> tuple[Native | None, bool]:
        """Native form and exactness; a native form of None selects everything."""
        if isinstance(node, And | Or):
            return self._visit_group(node, strict=strict, room=room)
        negated = isinstance(node, Not)
        condition = node.child if isinstance(node, Not) else node
        assert isinstance(condition, Condition)
        try:
            native = self._leaf(condition, negated=negated)
        except NotExpressible as reason:
            if strict:
                raise self._unsupported(str(reason)) from None
            return None, False
        if isinstance(native, Superset):
            if not strict:
                return native.native, False
            if native.usual is None:
                raise self._unsupported(native.reason)
            return native.usual, True
        return native, True

    def _visit_group(self, node: And | Or, *, strict: bool, room: int) -> tuple[Native | None, bool]:
        if room == 0 and not strict:
            return None, False
        visited = [self._visit(child, strict=strict, room=room - 1) for child in node.children]
        exact = all(part_exact for _, part_exact in visited)
        parts = [native for native, _ in visited if native is not None]
        if isinstance(node, Or) and len(parts) < len(visited):
            return None, False  # one branch lets everything through, so the whole does
        if not parts:
            return None, exact
        if len(parts) == 1:
            return parts[0], exact
        return (self.all_of(parts) if isinstance(node, And) else self.any_of(parts)), exact

    def _leaf(self, condition: Condition, *, negated: bool) -> Native | Superset:
        field, value = condition.field, condition.value
        match condition.operator:
            case "eq":
                return self.eq(field, value, negated=negated)
            case "in":
                return self.in_(field, value, negated=negated)
            case "gt" | "gte" | "lt" | "lte":
                return self.range(field, condition.operator, value, negated=negated)
            case "contains":
                return self.contains(field, value, negated=negated)
            case "contains_any":
                return self.contains_any(field, value, negated=negated)
            case "contains_all":
                return self.contains_all(field, value, negated=negated)
            case "exists":
                return self.exists(field, negated=negated)
            case operator:
                raise TypeError(f"operator {operator!r} is not part of the normal form")

    def _unsupported(self, reason: str) -> UnsupportedOperationError:
        return UnsupportedOperationError(reason, provider=self.provider, operation="filter")

    @abstractmethod
    def all_of(self, parts: list[Native]) -> Native:
        """Every part holds; at least two parts."""

    @abstractmethod
    def any_of(self, parts: list[Native]) -> Native:
        """Some part holds; at least two parts."""

    @abstractmethod
    def eq(self, field: str, value: Scalar, *, negated: bool) -> Native | Superset:
        """Equal to ``value`` (never None), or a list with such an element."""

    @abstractmethod
    def in_(self, field: str, values: tuple[Scalar, ...], *, negated: bool) -> Native | Superset:
        """Equal to one of at least two values, or a list with such an element."""

    @abstractmethod
    def range(self, field: str, operator: str, value: float | str, *, negated: bool) -> Native | Superset:
        """gt, gte, lt or lte; ``value`` is a finite number or a valid ISO 8601 date."""

    @abstractmethod
    def contains(self, field: str, value: Scalar, *, negated: bool) -> Native | Superset:
        """A list with an element equal to ``value``."""

    @abstractmethod
    def contains_any(self, field: str, values: tuple[Scalar, ...], *, negated: bool) -> Native | Superset:
        """A list with an element equal to one of at least two values."""

    @abstractmethod
    def contains_all(self, field: str, values: tuple[Scalar, ...], *, negated: bool) -> Native | Superset:
        """A list that has all of the values (no value at all: any list)."""

    @abstractmethod
    def exists(self, field: str, *, negated: bool) -> Native | Superset:
        """The field has a value other than None."""
