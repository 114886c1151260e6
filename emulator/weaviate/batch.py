"""Writing objects: properties nobody declared, types, tenants, vectors; what is wrong with one object stays with it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import schema
from .engine import Collection, Engine
from .store import Stored
from .values import RefusedError, go, go_s, go_type, parse_date, parse_uuid

NOT_A = {
    "text": "text",
    "uuid": "uuid",
    "int": "integer",
    "number": "number",
    "boolean": "boolean",
    "date": "date",
    "blob": "blob",
}
ALLOWED = "'text', 'number', 'int', 'boolean', 'date', 'uuid', 'object', "


def plain(value: Any) -> Any:
    """A ``google.protobuf.Value`` as the server's JSON: what is no number in JSON is a text."""
    kind = value.WhichOneof("kind")
    if kind in (None, "null_value"):
        return None
    if kind == "number_value":
        number: float = value.number_value
        if math.isfinite(number):
            return number
        return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"
    if kind == "struct_value":
        return {key: plain(one) for key, one in value.struct_value.fields.items()}
    if kind == "list_value":
        return [plain(one) for one in value.list_value.values]
    return getattr(value, kind)


def properties_of(message: Any) -> dict[str, Any]:
    out = {key: plain(value) for key, value in message.non_ref_properties.fields.items()}
    for one in message.boolean_array_properties:
        out[one.prop_name] = list(one.values)
    for one in message.number_array_properties:
        out[one.prop_name] = np.frombuffer(one.values_bytes, "<f8").tolist() if one.values_bytes else list(one.values)
    for one in message.text_array_properties:
        out[one.prop_name] = list(one.values)
    for one in message.int_array_properties:
        out[one.prop_name] = list(one.values)
    for one in message.object_properties:
        out[one.prop_name] = properties_of_nested(one.value)
    for one in message.object_array_properties:
        out[one.prop_name] = [properties_of_nested(value) for value in one.values]
    for name in message.empty_list_props:
        out[name] = []
    return out


def properties_of_nested(message: Any) -> dict[str, Any]:
    return {key: plain(value) for key, value in message.non_ref_properties.fields.items()}


def floats(data: bytes) -> np.ndarray:
    return np.frombuffer(data, dtype="<f4").astype(np.float32)


# -- properties that are not declared


def guessed(value: Any) -> str:
    if value is None:
        return "text"
    if isinstance(value, dict):
        return "object"
    if not isinstance(value, list):
        return guessed_one(value)
    if not value:
        return "text[]"
    kinds = []
    for at, one in enumerate(value):
        if one is None or isinstance(one, list):
            raise RefusedError(
                f"element [{at}]: unrecognized data type of value '{go(one)}' - one of {ALLOWED}'cref' expected"
            )
        kinds.append("object" if isinstance(one, dict) else guessed_one(one))
        texts = {"text", "date", "uuid"}
        if kinds[at] != kinds[0]:
            if kinds[0] not in texts or kinds[at] not in texts:
                raise RefusedError(f"element [{at}]: mismatched data type - '{kinds[0]}' expected, got '{kinds[at]}'")
            kinds[0] = kinds[at] = "text"
    return f"{kinds[0]}[]"


def guessed_one(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, float):
        return "number"
    if isinstance(value, int):
        return "int"
    if len(value) >= 20 and parse_date(value):
        return "date"
    try:
        parse_uuid(value)
    except RefusedError:
        return "text"
    return "uuid"


def auto_schema(engine: Engine, class_: str, properties: dict[str, Any]) -> Collection:
    """The class, with all these properties; they stay declared when the object is refused after all."""
    kinds = {}
    for name, value in properties.items():
        try:
            kinds[name] = guessed(value)
        except RefusedError as error:
            raise RefusedError(f"property '{name}' on class '{class_}': {error.message}") from None
    known = engine.find(class_)
    names = {one["name"].lower() for one in known.definition["properties"] or []} if known else set()
    new = {
        schema.lower_first(name): {"name": name, "dataType": [kind], "description": schema.generated()}
        for name, kind in kinds.items()
        if name.lower() not in names
    }
    if known is None:
        try:
            engine.create({"class": class_, "description": schema.generated(), "properties": [*new.values()]})
        except RefusedError as error:
            raise RefusedError(f"auto-schema: create collection: {error.message}") from None
        return engine.collections[class_]
    if new:
        try:
            engine.add_properties(class_, [*new.values()], auto=True)
        except RefusedError as error:
            raise RefusedError(f"auto-schema: update collection: {error.message}") from None
    return known


# -- types


def typed(kind: str, value: Any) -> Any:
    if kind in ("text", "blob"):
        if not isinstance(value, str):
            raise RefusedError(f"not a {'string' if kind == 'text' else 'blob base64 string'}, but {go_type(value)}")
        return value
    if kind == "boolean":
        if not isinstance(value, bool):
            raise RefusedError(f"not a bool, but {go_type(value)}")
        return value
    if kind == "date":
        date = parse_date(value) if isinstance(value, str) else None
        if date is None:
            raise RefusedError(f"requires a string with a RFC3339 formatted date, but the given value is '{go(value)}'")
        return date[1]
    if kind == "uuid":
        try:
            return str(parse_uuid(value))
        except RefusedError:
            raise RefusedError(f"requires a string of UUID format, but the given value is '{go(value)}'") from None
    # Integers become doubles, and lose what those cannot hold.
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise RefusedError(f"requires {'an integer' if kind == 'int' else 'a float'}, the given value is '{go(value)}'")
    if kind == "int" and isinstance(value, float) and not (-(2.0**63) <= value < 2.0**63 and value.is_integer()):
        raise RefusedError(f"requires an integer, the given value is '{go(value)}'")
    return float(value)


def checked(collection: Collection, given: dict[str, Any]) -> dict[str, Any]:
    out = {}
    for key, value in given.items():
        if value is None:
            continue
        name = schema.lower_first(key)
        kind = collection.property(name)["dataType"][0]
        base = kind.removesuffix("[]")
        if base not in NOT_A:
            raise RefusedError(f"the emulator has no properties of type {kind}")
        words = NOT_A[base] + (" array" if kind != base else "")
        try:
            out[name] = typed(kind, value) if kind == base else typed_list(base, value)
        except RefusedError as error:
            raise RefusedError(
                f"invalid {words} property '{name}' on class '{collection.name}': {error.message}"
            ) from None
    return out


def typed_list(base: str, value: Any) -> list[Any]:
    # One of the messages names the wrong type, in the server too.
    words = {"int": "integer", "number": "integer"}.get(base, base)
    if not isinstance(value, list):
        article = "an" if words[0] in "aeio" else "a"
        raise RefusedError(f"not {article} {words} array, but {go_type(value)}")
    try:
        return [typed(base, one) for one in value]
    except RefusedError:
        raise RefusedError(f"invalid {words} array value: {go_s(value)}") from None


def vectors_of(collection: Collection, message: Any) -> dict[str, np.ndarray]:
    """By name; the name of the only vector of a collection that knows no names is empty."""
    alone = floats(message.vector_bytes) if message.vector_bytes else np.array(message.vector, dtype=np.float32)
    given = {one.name: floats(one.vector_bytes) for one in message.vectors}
    names = collection.vectors
    if not names and "default" in given:
        alone = given.pop("default")
    if names and len(alone):
        if len(names) != 1:
            raise RefusedError(f"collection {collection.name} configuration does not have single vector index")
        return {names[0]: alone}
    for name in given:
        if name not in names:
            raise RefusedError(f"collection {collection.name} does not have configuration for vector {name}")
    return {**given, **({"": alone} if len(alone) else {})}


# -- the batch


def write(engine: Engine, messages: Any, failing: dict[str, str]) -> dict[int, str]:
    """Errors by index."""
    errors: dict[int, str] = {}
    parsed: list[tuple[int, str, Any]] = []
    for at, message in enumerate(messages):
        try:
            parse_uuid(message.uuid)
            parsed.append((at, schema.upper_first(message.collection), message))
        except RefusedError as error:
            errors[at] = error.message
    ready: list[tuple[int, Collection, str, Stored]] = []
    for at, class_, message in parsed:
        try:
            given = properties_of(message.properties)
            collection = auto_schema(engine, class_, given)
            one = Stored(str(parse_uuid(message.uuid)), checked(collection, given), vectors_of(collection, message))
            ready.append((at, collection, message.tenant, one))
        except RefusedError as error:
            errors[at] = error.message
    auto_tenants(engine, [(class_, message.tenant) for _, class_, message in parsed])
    accepted = []
    for at, collection, tenant, one in ready:
        try:
            if one.id in failing:
                raise RefusedError(failing[one.id])
            shard = collection.shard(tenant)
            for value in one.properties.values():
                if isinstance(value, list) and any(
                    isinstance(each, float) and not math.isfinite(each) for each in value
                ):
                    bad = next(each for each in value if isinstance(each, float) and not math.isfinite(each))
                    raise RefusedError(f"marshal object {one.id} to binary: json: unsupported value: {go(bad)}")
            problem = shard.refusal(one)
            if problem:
                raise RefusedError(problem)
            accepted.append((at, shard, one))
        except RefusedError as error:
            errors[at] = error.message
    for at, shard, one in accepted:
        problem = shard.put(one)
        if problem:
            errors[at] = problem
    return errors


def auto_tenants(engine: Engine, wanted: list[tuple[str, str]]) -> None:
    """Missing tenants are made for all objects of the batch together: one bad name refuses the whole."""
    for class_ in dict.fromkeys(class_ for class_, _ in wanted):
        known = engine.find(class_)
        if known is None or not known.multi or not known.definition["multiTenancyConfig"]["autoTenantCreation"]:
            continue
        names = [*dict.fromkeys(tenant for other, tenant in wanted if other == class_)]
        try:
            engine.add_tenants(class_, [{"name": name} for name in names])
        except RefusedError as error:
            raise RefusedError(
                f'auto create tenants: auto-tenant: add tenants to collection "{known.name}": {error.message}'
            ) from None
