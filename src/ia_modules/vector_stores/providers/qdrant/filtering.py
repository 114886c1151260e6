"""Filters as Qdrant gets them: always with the namespace, and remembered, since programs ask the same ones again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import NamedTuple

from ia_modules.vector_stores.filters import MATCH_ALL, Node, Predicate, predicate
from ia_modules.vector_stores.filters.compilers.base import Native
from ia_modules.vector_stores.filters.compilers.qdrant import QdrantCompiler
from ia_modules.vector_stores.providers.qdrant.backend import NativeFilter
from ia_modules.vector_stores.providers.qdrant.layout import NAMESPACE, namespace_value

__all__ = ["Filters", "Prepared", "needs"]

_REMEMBERED = 256


class Prepared(NamedTuple):
    """A filter, ready to be sent.

    Attributes:
        key: the same for the same filter in the same namespace.
        native: what Qdrant gets; it selects all the right points.
        passes: tells which of those are right; None if all are.
        needs: payload paths that it looks at, as of :func:`needs`.
        split: where few answers are in doubt, two filters: points that are right for sure, and those to be checked.
    """

    key: str
    native: NativeFilter
    passes: Predicate | None
    needs: Mapping[str, str]
    split: tuple[NativeFilter, NativeFilter] | None = None


class Filters:
    """Compiles filters, and remembers the last ones.

    Args:
        remote: whether for a server, which changes the last digits of doubles.
    """

    def __init__(self, *, remote: bool) -> None:
        self.compiler = QdrantCompiler(stored=True)
        self._exact = QdrantCompiler(stored=True, prefer_exact=True)
        self._remote = remote
        self._known: OrderedDict[str, Prepared] = OrderedDict()

    def of(self, filters: Node, namespace: str, *, exact: bool = False) -> Prepared:
        """The filter for one namespace.

        Args:
            filters: in normal form, not ``MATCH_NONE``.
            namespace: the namespace.
            exact: whether to ask natively for what an index can't help with, rather than to check it here.
        """
        everything = filters is MATCH_ALL or filters == MATCH_ALL
        key = namespace if everything else f"{exact:d}{namespace}\0{filters!r}"
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._prepared(key, filters, namespace, exact=exact)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(key)
        return found

    def _prepared(self, key: str, filters: Node, namespace: str, *, exact: bool) -> Prepared:
        tenant: Native = {"must": [{"key": NAMESPACE, "match": {"value": namespace_value(namespace)}}]}
        compiler = self._exact if exact else self.compiler
        compiled = compiler.compile(filters)
        passes = None if compiled.exact else predicate(filters)
        if compiled.native is None:
            return Prepared(key, NativeFilter(tenant), passes, {})
        needed = needs(compiled.native)
        doubts = compiler.doubts(filters) if self._remote else []
        if not doubts:
            # Local mode goes through the conditions in this order, and the namespace lets most points pass.
            both = [tenant, compiled.native] if self._remote else [compiled.native, tenant]
            return Prepared(key, NativeFilter(compiler.all_of(both)), passes, needed)
        doubtful = compiler.any_of(doubts)
        native = compiler.all_of([tenant, compiler.any_of([compiled.native, *doubts])])
        split = None
        if compiled.exact:
            sure = compiler.all_of([tenant, compiled.native, {"must_not": doubts}])
            split = NativeFilter(sure), NativeFilter(compiler.all_of([tenant, doubtful]))
        return Prepared(key, NativeFilter(native), predicate(filters), needed | needs(doubtful), split)


def needs(native: Native) -> dict[str, str]:
    """Payload paths that a filter looks at, each with the type of index that helps; ``any`` if every type does."""
    found: dict[str, str] = {}
    for clause in ("must", "should", "must_not"):
        for condition in native.get(clause, ()):
            if "is_empty" in condition:
                found.setdefault(condition["is_empty"]["key"], "any")
            elif "key" in condition:
                kind = _kind(condition)
                if found.get(condition["key"], "any") == "any":
                    found[condition["key"]] = kind
            else:
                for path, kind in needs(condition).items():
                    if found.get(path, "any") == "any":
                        found[path] = kind
    return found


def _kind(condition: Native) -> str:
    if "range" in condition:
        return "datetime" if any(isinstance(bound, str) for bound in condition["range"].values()) else "float"
    return "bool" if isinstance(condition["match"].get("value"), bool) else "keyword"
