"""What of a class can be changed once it is there."""

from __future__ import annotations

from typing import Any

from . import schema
from .values import RefusedError, go

PARSING = "updating schema: TYPE_UPDATE_CLASS: bad request :parse class update: "
FIXED = ("efConstruction", "maxConnections", "distance")
ONLY_DESCRIPTIONS = (
    "property fields other than description cannot be updated through updating the class. Use the add property feature "
    '(e.g. "POST /v1/schema/{className}/properties") to add additional properties'
)


def updated(old: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """The parts of a definition, as they are from now on."""
    name = schema.upper_first(given.get("class") or "")
    if name != old["class"]:
        raise RefusedError(f'class name is immutable: attempted change from "{old["class"]}" to "{name}"')
    inverted = schema.inverted(given.get("invertedIndexConfig"))
    for key in ("indexNullState", "indexPropertyLength", "indexTimestamps"):
        before, after = bool(old["invertedIndexConfig"].get(key)), bool(inverted.get(key))
        if before != after:
            raise RefusedError(f'"{key}" setting is immutable. Value changed from "{go(before)}" to "{go(after)}"')
    was = old["multiTenancyConfig"]["enabled"]
    if was and not (given.get("multiTenancyConfig") or {}).get("enabled"):
        raise RefusedError("parse sharding config: sharding only supported on key '_id' for now, got: ")
    multi = schema.tenancy(given.get("multiTenancyConfig"))
    if multi["enabled"] and not was:
        raise RefusedError("enabling multi-tenancy for an existing class is not supported")
    preset = inverted["stopwords"]["preset"]
    if preset not in ("en", "none"):
        raise RefusedError(f"{PARSING}inverted index config: stopwordPreset '{preset}' does not exist")
    new: dict[str, Any] = {"invertedIndexConfig": inverted, "multiTenancyConfig": multi}
    if given.get("description"):
        new["description"] = given["description"]
    new["properties"] = properties(old, given.get("properties") or [])
    if "vectorConfig" in old:
        new["vectorConfig"] = vectors(old, given.get("vectorConfig") or {})
    else:
        config = schema.index_config(old["vectorIndexType"], given.get("vectorIndexConfig"))
        check_fixed(old["vectorIndexConfig"], config, "")
        new["vectorIndexConfig"] = config
    return new


def properties(old: dict[str, Any], given: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    known: list[dict[str, Any]] = old["properties"] or []
    if len(known) != len(given):
        raise RefusedError(PARSING + ONLY_DESCRIPTIONS)
    made = []
    for before, one in zip(known, given, strict=True):
        after = schema.property_json(one, old["class"], [])
        if {**before, "description": ""} != {**after, "description": ""}:
            raise RefusedError(f'{PARSING}property "{before["name"]}": {ONLY_DESCRIPTIONS}')
        made.append(after)
    return made if known else old["properties"]


def vectors(old: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    made = schema.named_vectors(given)
    for name, before in old["vectorConfig"].items():
        if name not in made:
            raise RefusedError(f'{PARSING}missing config for vector "{name}"')
        check_fixed(before["vectorIndexConfig"], made[name]["vectorIndexConfig"], f' for vector "{name}"')
    return made


def check_fixed(before: dict[str, Any], after: dict[str, Any], place: str) -> None:
    for key in FIXED:
        if before.get(key) != after.get(key):
            raise RefusedError(
                f"{PARSING}invalid update{place}: {key} is immutable: "
                f'attempted change from "{go(before.get(key))}" to "{go(after.get(key))}"'
            )
