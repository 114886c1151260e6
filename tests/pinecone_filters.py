"""What Pinecone documents of its filters, for tests of what is compiled for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ia_modules.vector_stores.filters import Node, matches, predicate
from ia_modules.vector_stores.filters.compilers import FilterCompiler


def kind(value: Any) -> str:
    return "bool" if isinstance(value, bool) else "string" if isinstance(value, str) else "number"


def equal(v: Any, x: Any) -> bool:
    if isinstance(v, list):
        return any(equal(item, x) for item in v)
    if kind(v) != kind(x):
        return False
    return float(v) == float(x) if kind(x) == "number" else bool(v == x)


def selects(native: dict[str, Any], document: dict[str, Any], *, negation_needs_value: bool) -> bool:
    """Pinecone's answer; that to ``$ne`` and ``$nin`` without a value is not documented, so it is a parameter."""
    ((key, operand),) = native.items()
    if key in ("$and", "$or"):
        assert len(operand) >= 2
        parts = [selects(part, document, negation_needs_value=negation_needs_value) for part in operand]
        return all(parts) if key == "$and" else any(parts)
    assert not key.startswith("$")
    ((operator, x),) = operand.items()
    if operator == "$exists":
        return (key in document) is x
    if operator in ("$in", "$nin"):
        assert len({kind(item) for item in x}) == 1
    if key not in document:
        return operator in ("$ne", "$nin") and not negation_needs_value
    v = document[key]
    match operator:
        case "$eq" | "$ne":
            return equal(v, x) is (operator == "$eq")
        case "$in" | "$nin":
            return any(equal(v, item) for item in x) is (operator == "$in")
    assert kind(x) == "number"
    if isinstance(v, list) or kind(v) != "number":
        return False
    v, x = float(v), float(x)
    return {"$gt": v > x, "$gte": v >= x, "$lt": v < x, "$lte": v <= x}[operator]


def check(compiler: FilterCompiler, node: Node, documents: Iterable[tuple[dict[str, Any], dict[str, Any]]]) -> None:
    """What is compiled selects the right documents, or, if it says so, some more; each comes as it is and as stored."""
    compiled = compiler.compile(node)
    test = predicate(compiled.node)
    for document, stored in documents:
        expected = matches(node, document)
        assert test(document) == expected
        if compiled.nothing:
            assert not expected
        elif compiled.native is not None:
            for needed in (True, False):
                selected = selects(compiled.native, stored, negation_needs_value=needed)
                if compiled.exact:
                    assert selected == expected, (node, compiled.native, document)
                else:
                    assert selected or not expected, (node, compiled.native, document)
