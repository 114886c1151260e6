"""Collections, tenants and what is in them. One lock around everything: this is a double, not a database."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from typing import Any

from . import schema
from .changes import updated
from .store import Shard
from .values import RefusedError

ACTIVITY = {"ACTIVE": "HOT", "INACTIVE": "COLD", "OFFLOADED": "FROZEN"}
STATES = (*ACTIVITY, "OFFLOADING", "ONLOADING", "HOT", "COLD", "FROZEN", "FREEZING", "UNFREEZING")
METRICS = ", ".join(f'"{name}"' for name in schema.DISTANCES[:-1]) + f',"{schema.DISTANCES[-1]}"'


class Collection:
    def __init__(self, definition: dict[str, Any]) -> None:
        self.definition = definition
        self.name: str = definition["class"]
        self.shards: dict[str, Shard] = {}
        self.states: dict[str, str] = {}
        if not self.multi:
            name = schema.shard_name()
            self.shards[name] = Shard(name, definition)

    @property
    def multi(self) -> bool:
        return bool(self.definition["multiTenancyConfig"]["enabled"])

    @property
    def index(self) -> str:
        return self.name.lower()

    @property
    def vectors(self) -> list[str]:
        """Names of the vectors; none for the one without a name."""
        return [*self.definition.get("vectorConfig", {})]

    def property(self, name: str) -> dict[str, Any]:
        for known in self.definition["properties"] or []:
            if known["name"] == name:
                found: dict[str, Any] = known
                return found
        raise RefusedError(
            f"no such prop with name '{name}' found in class '{self.name}' in the schema. "
            "Check your schema files for which properties in this class are available"
        )

    def check_metrics(self, prefix: str) -> None:
        """An unknown distance is noticed when the first vector index is made, not before."""
        named = self.definition.get("vectorConfig", {})
        for name, config in [*named.items()] or [("", self.definition)]:
            metric = config["vectorIndexConfig"]["distance"]
            if metric not in schema.DISTANCES:
                place = f'cannot create vector index for "{name}": ' if name else ""
                raise RefusedError(
                    f'{prefix}init shard vectors: {place}init vector index: unrecognized distance metric "{metric}",'
                    f"choose one of [{METRICS}]"
                )

    def shard(self, tenant: str) -> Shard:
        if self.multi and not tenant:
            raise RefusedError(f"class {self.name} has multi-tenancy enabled, but request was without tenant")
        if not self.multi:
            if tenant:
                raise RefusedError(f"class {self.name} has multi-tenancy disabled, but request was with tenant")
            return next(iter(self.shards.values()))
        if tenant not in self.shards:
            raise RefusedError(f'tenant not found: "{tenant}"')
        if self.states[tenant] != "HOT":
            if not self.definition["multiTenancyConfig"]["autoTenantActivation"]:
                raise RefusedError(f"tenant not active: '{tenant}'")
            self.states[tenant] = "HOT"
        return self.shards[tenant]


class Engine:
    def __init__(self, message_bytes: int) -> None:
        self.message_bytes = message_bytes
        self.lock = threading.RLock()
        self.collections: dict[str, Collection] = {}

    def find(self, name: str) -> Collection | None:
        return self.collections.get(schema.upper_first(name))

    # -- classes

    def create(self, given: dict[str, Any]) -> dict[str, Any]:
        for at, one in enumerate(given.get("properties") or []):
            schema.check_tokenization(one, f"properties.{at}.")
        made = Collection(schema.definition(given, self.collections))
        self.collections[made.name] = made
        if not made.multi:
            # The class stays, although its making failed.
            shard = next(iter(made.shards))
            made.check_metrics(
                "updating db: TYPE_ADD_CLASS: apply add class: create index: "
                f"init shard {shard} of index {made.index}: "
            )
        return made.definition

    def update(self, name: str, given: dict[str, Any]) -> None:
        known = self.find(name)
        if known is None:
            raise RefusedError("", 404)
        known.definition.update(updated(known.definition, given))
        if not given.get("description"):
            known.definition.pop("description", None)

    def delete(self, name: str) -> None:
        self.collections.pop(schema.upper_first(name), None)

    def add_properties(self, name: str, given: list[dict[str, Any]], *, auto: bool = False) -> list[dict[str, Any]]:
        """When they come from objects, names that differ only in upper and lower case do not collide."""
        known = self.find(name)
        if known is None:
            raise RefusedError(f'class "{schema.upper_first(name)}": not found')
        before = known.definition["properties"] or []
        made: list[dict[str, Any]] = []
        for one in given:
            if not one.get("name"):
                raise RefusedError("property must contain name")
            if one.get("dataType") is None:
                raise RefusedError("property must contain dataType")
            schema.check_suffix(schema.lower_first(one["name"]))
        for one in given:
            made.append(schema.property_json(one, known.name, [] if auto else [*before, *made]))
        known.definition["properties"] = [*before, *made]
        return made

    # -- tenants

    def tenants_of(self, name: str, prefix: str) -> Collection:
        known = self.find(name)
        if known is None:
            raise RefusedError(f"{prefix}class not found")
        if not known.multi:
            raise RefusedError(f'{prefix}multi-tenancy is not enabled for class "{known.name}"')
        return known

    def add_tenants(self, name: str, given: list[dict[str, Any]]) -> list[dict[str, Any]]:
        check_names(given)
        for one in given:
            if one.get("activityStatus"):
                one["activityStatus"] = activity(one)
        known = self.tenants_of(name, "updating schema: TYPE_ADD_TENANT: ")
        for one in given:
            tenant = one["name"]
            if tenant not in known.shards:
                known.check_metrics(
                    f"updating db: TYPE_ADD_TENANT: migrator.new_tenants: init shard {tenant} of index {known.index}: "
                )
                known.shards[tenant] = Shard(tenant, known.definition)
                known.states[tenant] = one.get("activityStatus") or "HOT"
        return given

    def update_tenants(self, name: str, given: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if len(given) > 100:
            raise RefusedError(
                "maximum number of tenants allowed to be updated simultaneously is 100. "
                "Please reduce the number of tenants in your request and try again"
            )
        check_names(given)
        states = {one["name"]: activity(one) for one in given}
        known = self.tenants_of(name, "updating schema: TYPE_UPDATE_TENANT: ")
        for tenant in states:
            if tenant not in known.shards:
                raise RefusedError(f"updating schema: TYPE_UPDATE_TENANT: shard not found: {tenant}")
        known.states.update(states)
        return [{"activityStatus": state, "name": tenant} for tenant, state in states.items()]

    def delete_tenants(self, name: str, given: list[str]) -> None:
        for at, tenant in enumerate(given):
            if not tenant:
                raise RefusedError(f"empty tenant name at index {at}")
        known = self.tenants_of(name, "updating schema: TYPE_DELETE_TENANT: ")
        for tenant in given:
            known.shards.pop(tenant, None)
            known.states.pop(tenant, None)

    def list_tenants(self, name: str, wanted: Iterable[str] | None = None) -> list[dict[str, Any]]:
        known = self.tenants_of(name, "failed to execute query: could not get tenants: could not get tenants: ")
        chosen = None if wanted is None else set(wanted)
        return [
            {"activityStatus": state, "name": tenant}
            for tenant, state in sorted(known.states.items())
            if chosen is None or tenant in chosen
        ]


def check_names(given: list[dict[str, Any]]) -> None:
    seen: set[str] = set()
    for at, one in enumerate(given):
        name = one.get("name") or ""
        if not name:
            raise RefusedError(f"tenant name at index {at}: empty tenant name")
        if not re.fullmatch("[A-Za-z0-9_-]{1,64}", name):
            raise RefusedError(
                f"tenant name at index {at}:  '{name}' is not a valid tenant name. should only contain alphanumeric "
                "characters (a-z, A-Z, 0-9), underscore (_), and hyphen (-), with a length between 1 and 64 characters"
            )
        if name in seen:
            raise RefusedError(f"tenant name {name} existed multiple times")
        seen.add(name)


def activity(one: dict[str, Any]) -> str:
    given = one.get("activityStatus") or ""
    state = ACTIVITY.get(given, given)
    if state == "FROZEN":
        raise RefusedError("can't offload tenants, because offload-s3 module is not enabled")
    if state not in ("HOT", "COLD"):
        raise RefusedError(f"invalid activity status '{state}' for tenant \"{one['name']}\"")
    return state
