"""Weaviate's ``where`` JSON: the client's own filter objects say the same, and the documented meaning loses nothing."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from ia_modules.vector_stores.filters import Condition, Node, Not, matches, predicate
from ia_modules.vector_stores.filters.compilers import compiler_for
from ia_modules.vector_stores.filters.evaluate import instant
from ia_modules.vector_stores.testing.filter_table import CONDITIONS, conditions_on

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # importing the client changes the filters and warns of its own dependencies
    classes = pytest.importorskip("weaviate.classes.query")
    rest = pytest.importorskip("weaviate.collections.filters")

compiler = compiler_for("weaviate")
METHODS = {
    "Equal": "equal",
    "NotEqual": "not_equal",
    "GreaterThan": "greater_than",
    "GreaterThanEqual": "greater_or_equal",
    "LessThan": "less_than",
    "LessThanEqual": "less_or_equal",
    "ContainsAny": "contains_any",
    "ContainsAll": "contains_all",
    "ContainsNone": "contains_none",
    "IsNull": "is_none",
}


def value_of(native: dict[str, Any]) -> tuple[str, Any]:
    (key,) = set(native) - {"operator", "path"}
    return key, native[key]


def as_client_filter(native: dict[str, Any]) -> Any:
    """The mechanical translation: one method per operator."""
    if native["operator"] == "Not":
        return classes.Filter.not_(as_client_filter(native["operands"][0]))
    if "operands" in native:
        joined = classes.Filter.all_of if native["operator"] == "And" else classes.Filter.any_of
        return joined([as_client_filter(operand) for operand in native["operands"]])
    (prop,) = native["path"]
    return getattr(classes.Filter.by_property(prop), METHODS[native["operator"]])(value_of(native)[1])


def natives(nodes: list[Condition]) -> list[dict[str, Any]]:
    compiled = [compiler.compile(node).native for one in nodes for node in (one, Not(one))]
    return [native for native in compiled if native is not None]


def test_the_client_builds_the_same_json() -> None:
    a, b = Condition("a", "eq", 1), Condition("b", "in", ["x", "y"])
    trees = [compiler.to_native(tree) for tree in (a & b, a | b, a & ~(b & Condition("c", "gt", 1.5)))]
    checked = [native for native in natives(CONDITIONS) + trees if "valueDate" not in repr(native)]
    assert len(checked) > 100
    for native in checked:
        # A date is text to this client until it is made a datetime; everything else is the same, types included.
        assert repr(rest._FilterToREST.convert(as_client_filter(native))) == repr(native)


# Properties of one type each, as the schema demands, with every value that such a property may hold.
PROPERTIES: dict[str, list[Any]] = {
    "valueText": [None, "red", "Red", "red ", " red", "réd", "1", "", " ", ["red"], ["red ", "x"], ["x"], []],
    "valueNumber": [None, 0, 1, 1.0, 1.5, 2**53, 2**53 + 1, 2**63 - 1, -(2**53) - 1, 1e300, [1], [1.5, 2], []],
    "valueBoolean": [None, True, False, [True], [True, False], []],
    "valueDate": [
        *(None, "2024-05-01T00:00:00Z", "2024-05-01T00:00:00.000001Z", "2024-05-01T02:00:00+02:00"),
        *("2024-05-01T00:00:00.0000019Z", "2024-05-02T10:00:00Z", ["2024-05-02T10:00:00Z"], []),
    ],
}


def comparable(value: Any, property_type: str) -> Any:
    """What Weaviate compares: text trimmed, numbers as doubles, dates to the nanosecond."""
    if property_type == "valueText":
        return value.strip()
    if property_type == "valueDate":
        fraction = value.partition(".")[2].rstrip("Z")
        return instant(value), int(fraction.ljust(9, "0")[6:9] or 0)
    return value if property_type == "valueBoolean" else float(value)


def selects(native: dict[str, Any], v: Any, property_type: str) -> bool:
    operator = native["operator"]
    if operator == "Not":
        return not selects(native["operands"][0], v, property_type)
    if "operands" in native:
        parts = [selects(operand, v, property_type) for operand in native["operands"]]
        return all(parts) if operator == "And" else any(parts)
    _, x = value_of(native)
    if operator == "IsNull":
        return (v in (None, "", []) or (isinstance(v, str) and not v.strip())) is x
    found = [comparable(item, property_type) for item in (v if isinstance(v, list) else [v]) if item is not None]
    asked = [comparable(item, property_type) for item in (x if isinstance(x, list) else [x])]
    match operator:
        case "Equal" | "ContainsAny":
            return any(item in asked for item in found)
        case "NotEqual" | "ContainsNone":
            return not any(item in asked for item in found)
        case "ContainsAll":
            return all(item in found for item in asked)
        case "GreaterThan":
            return any(item > asked[0] for item in found)
        case "GreaterThanEqual":
            return any(item >= asked[0] for item in found)
        case "LessThan":
            return any(item < asked[0] for item in found)
        case _:
            assert operator == "LessThanEqual"
            return any(item <= asked[0] for item in found)


def fits(native: dict[str, Any], property_type: str) -> bool:
    """Whether Weaviate would compare at all; a filter value of another type than the property's is an error there."""
    if "operands" in native:
        return all(fits(operand, property_type) for operand in native["operands"])
    key = value_of(native)[0].removesuffix("Array").replace("valueInt", "valueNumber")
    return native["operator"] == "IsNull" or key == property_type


@pytest.mark.parametrize("property_type", PROPERTIES)
def test_no_condition_selects_too_few_and_an_exact_one_none_too_many(property_type: str) -> None:
    checked = 0
    for condition in conditions_on("a"):
        for node in (condition, Not(condition)):
            compiled = compiler.compile(node)
            if compiled.native is None or not fits(compiled.native, property_type):
                continue
            test = predicate(compiled.node)
            for v in PROPERTIES[property_type]:
                expected, selected = matches(node, {"a": v}), selects(compiled.native, v, property_type)
                assert test({"a": v}) == expected
                assert selected == expected if compiled.exact else selected or not expected, (node, compiled.native, v)
                checked += 1
    assert checked > 20


@pytest.mark.parametrize(
    ("node", "property_type", "values"),
    [
        (Condition("a", "eq", "red"), "valueText", [None, "red", "Red"]),
        (Condition("a", "in", ["red", "x"]), "valueText", [None, "red", "Red", "x"]),
        (Condition("a", "gt", 1), "valueNumber", [None, 1, 1.5]),
        (Condition("a", "lte", "2024-05-01"), "valueDate", [None, "2024-05-01T00:00:00Z", "2024-05-01T00:00:01Z"]),
        (Condition("a", "contains", "red"), "valueText", [None, ["red"], ["x"]]),
        (Condition("a", "contains_all", ["red", "x"]), "valueText", [None, ["red"], ["x", "red"]]),
        (Condition("a", "exists", True), "valueText", [None, "red", ["red"]]),
    ],
)
def test_the_usual_form_is_exact_where_fields_keep_to_one_shape(
    node: Node, property_type: str, values: list[Any]
) -> None:
    for each in (node, Not(node)):
        native = compiler.to_native(each)
        for v in values:
            assert selects(native, v, property_type) == matches(each, {"a": v}), (native, v)
