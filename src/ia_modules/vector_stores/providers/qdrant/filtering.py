"""Filters as Qdrant gets them: always with the namespace, and remembered, since programs ask the same ones again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

from ia_modules.vector_stores.filters import MATCH_ALL, Node, Predicate, predicate
from ia_modules.vector_stores.filters.compilers.base import Native
from ia_modules.vector_stores.filters.compilers.qdrant import QdrantCompiler
from ia_modules.vector_stores.providers.qdrant.backend import NativeFilter
from ia_modules.vector_stores.providers.qdrant.layout import NAMESPACE, WRITTEN, namespace_value

__all__ = ["Filters", "Prepared", "needs"]

_REMEMBERED = 256
_LONGEST_KEY = 20_000
"""Longer filters are compiled each time, and known by a hash, so that what is remembered does not fill the memory."""


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
    needs: Mapping[str, frozenset[str]]
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

    def by_hand(self, filters: Node, namespace: str) -> Prepared:
        """The filter as one that is checked here on all documents of the namespace."""
        return self.of(MATCH_ALL, namespace)._replace(key=f"!{namespace}\0{filters!r}", passes=predicate(filters))

    def of(self, filters: Node, namespace: str, *, exact: bool = False) -> Prepared:
        """The filter for one namespace.

        Args:
            filters: in normal form, not ``MATCH_NONE``.
            namespace: the namespace.
            exact: whether to ask natively for what an index can't help with, rather than to check it here.
        """
        everything = filters is MATCH_ALL or filters == MATCH_ALL
        key = namespace if everything else f"{exact:d}{namespace}\0{filters!r}"
        if len(key) > _LONGEST_KEY:
            key = f"#{sha256(key.encode()).hexdigest()}"
            return self._prepared(key, filters, namespace, exact=exact)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._prepared(key, filters, namespace, exact=exact)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(key)
        return found

    def written(self, namespace: str, since: int | None) -> NativeFilter:
        """All documents of a namespace, or those that were written later."""
        conditions: list[Native] = [_tenant(namespace)]
        if since is not None:
            conditions.append({"key": WRITTEN, "range": {"gt": since}})
        return NativeFilter({"must": conditions})

    def _prepared(self, key: str, filters: Node, namespace: str, *, exact: bool) -> Prepared:
        tenant: Native = {"must": [_tenant(namespace)]}
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
        doubtful, either = compiler.any_of(doubts), compiler.any_of([compiled.native, *doubts])
        native = compiler.all_of([tenant, either])
        split = None
        if compiled.exact:
            sure = compiler.all_of([tenant, compiled.native, {"must_not": doubts}])
            split = NativeFilter(sure), NativeFilter(compiler.all_of([tenant, doubtful]))
        return Prepared(key, NativeFilter(native), predicate(filters), needs(either), split)


def _tenant(namespace: str) -> Native:
    return {"key": NAMESPACE, "match": {"value": namespace_value(namespace)}}


def needs(native: Native) -> dict[str, frozenset[str]]:
    """Payload paths that a filter looks at, each with what it compares there.

    Returns:
        path -> some of ``float`` (a range of numbers), ``datetime`` (one of dates), ``keyword``, ``uuid`` (a string
        that looks like one), ``bool``, and ``any`` (whether there is a value).
    """
    found: dict[str, frozenset[str]] = {}
    for clause in ("must", "should", "must_not"):
        for condition in native.get(clause, ()):
            if "is_empty" in condition:
                ours = {condition["is_empty"]["key"]: frozenset({"any"})}
            elif "key" in condition:
                ours = {condition["key"]: _kinds(condition)}
            else:
                ours = needs(condition)
            for path, kinds in ours.items():
                found[path] = found.get(path, frozenset()) | kinds
    return found


def _kinds(condition: Native) -> frozenset[str]:
    if "range" in condition:
        dates = any(isinstance(bound, str) for bound in condition["range"].values())
        return frozenset({"datetime" if dates else "float"})
    match = condition["match"]
    values = match["any"] if "any" in match else [match["value"]]
    return frozenset("bool" if isinstance(v, bool) else "uuid" if _looks_like_uuid(v) else "keyword" for v in values)


def _looks_like_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
