"""What an index is, how it is configured and how it is shown.

API versions up to 2026-04 say it with ``dimension``, ``metric``, ``vector_type`` and ``spec``, later ones with
``schema`` and ``deployment``. Both are understood, see ``creating``; the answer has the form of the version that the
client names.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ia_modules.vector_stores.emulator.pinecone.checks import DEFAULT_NAMESPACE, tags, typed
from ia_modules.vector_stores.emulator.pinecone.wire import RefusedError

__all__ = ["DENSE_FIELD", "SPARSE_FIELD", "Definition", "capacity_of", "protection_of", "shown", "shown_as_before"]

DENSE_FIELD, SPARSE_FIELD = "_values", "_sparse_values"
_ON_DEMAND: dict[str, Any] = {"mode": "OnDemand"}


@dataclass
class Definition:
    """An index's configuration.

    Attributes:
        old: it was created with the older body, which lets a dense index take sparse values without saying so.
    """

    name: str
    fields: dict[str, dict[str, Any]]
    deployment: dict[str, Any]
    read_capacity: dict[str, Any] = field(default_factory=lambda: dict(_ON_DEMAND))
    deletion_protection: str = "disabled"
    tags: dict[str, str] = field(default_factory=dict)
    cmek_id: str | None = None
    old: bool = False

    @property
    def documents(self) -> bool:
        """It serves the Documents API, not the Vectors API."""
        return not self.fields.keys() <= {DENSE_FIELD, SPARSE_FIELD}

    @property
    def dense(self) -> str | None:
        """Name of the dense field."""
        return next((name for name, one in self.fields.items() if one["type"] == "dense_vector"), None)

    @property
    def sparse(self) -> str | None:
        """Name of the sparse field."""
        return next((name for name, one in self.fields.items() if one["type"] == "sparse_vector"), None)

    @property
    def texts(self) -> set[str]:
        """Names of the fields for full text search."""
        return {name for name, one in self.fields.items() if one["type"] == "string"}

    @property
    def dimension(self) -> int | None:
        """Length of the dense vectors; None if there are none."""
        return None if self.dense is None else self.fields[self.dense]["dimension"]

    @property
    def metric(self) -> str:
        """How vectors are compared; sparse ones by their dot product."""
        return "dotproduct" if self.dense is None else self.fields[self.dense]["metric"]

    @property
    def vector_type(self) -> str:
        """The kind of the vectors, "dense" if there are both."""
        return "sparse" if self.dense is None else "dense"

    @property
    def takes_sparse(self) -> bool:
        """Records may have sparse values."""
        return self.sparse is not None or (self.old and self.dense is not None)

    @property
    def takes_sparse_alone(self) -> bool:
        """Records and queries may have sparse values only."""
        return self.sparse is not None

    @property
    def dedicated(self) -> bool:
        """It runs on dedicated read nodes."""
        return bool(self.read_capacity["mode"] == "Dedicated")

    def permanent(self, namespace: str) -> bool:
        """The namespace is always there: in an index of vectors, that of requests which name none."""
        return namespace == DEFAULT_NAMESPACE and not self.documents

    def configure(self, body: dict[str, Any]) -> None:
        """Take over the changes of a configure request.

        Raises:
            RefusedError: something can't be changed, or not to that; nothing is changed then.
        """
        if body.get("schema") is not None:
            raise RefusedError("The schema of an index can't be changed")
        if body.get("embed") is not None:
            raise RefusedError("The emulator has no integrated embedding", 501)
        deployment = dict(self.deployment)
        spec = typed(body, "spec", dict) or {}
        changes = typed(body, "deployment", dict) or typed(spec, "pod", dict) or {}
        if changes:
            if deployment["deployment_type"] != "pod" or not changes.keys() <= {"replicas", "pod_type"}:
                raise RefusedError("Only replicas and pod_type can be changed, and only those of a pod-based index")
            kinds: dict[str, type[str | int]] = {"replicas": int, "pod_type": str}
            deployment.update({name: typed(changes, name, kinds[name]) or deployment[name] for name in changes})
        serverless = typed(spec, "serverless", dict) or {}
        capacity = typed(body, "read_capacity", dict) or typed(serverless, "read_capacity", dict)
        read_capacity = self.read_capacity if capacity is None else capacity_of(capacity)
        protection = protection_of(body, self.deletion_protection)
        merged = tags(body.get("tags"), self.tags)
        self.deployment, self.read_capacity, self.deletion_protection, self.tags = (
            deployment, read_capacity, protection, merged,
        )  # fmt: skip


def capacity_of(value: dict[str, Any] | None) -> dict[str, Any]:
    """The read capacity that a request asks for; on demand, if it says nothing."""
    if value is None or value.get("mode") == "OnDemand":
        return dict(_ON_DEMAND)
    if value.get("mode") != "Dedicated":
        raise RefusedError("read_capacity.mode must be OnDemand or Dedicated")
    dedicated = typed(value, "dedicated", dict) or {}
    manual = typed(dedicated, "manual", dict) or {}
    counts = {name: typed(manual, name, int) or 1 for name in ("shards", "replicas")}
    node = typed(dedicated, "node_type", str) or "b1"
    return {"mode": "Dedicated", "dedicated": {"node_type": node, "scaling": "Manual", "manual": counts}}


def protection_of(body: dict[str, Any], before: str) -> str:
    """The deletion protection that a request asks for, else what it was before."""
    value = typed(body, "deletion_protection", str)
    if value not in (None, "enabled", "disabled"):
        raise RefusedError("deletion_protection must be enabled or disabled")
    return value or before


def shown(index: Definition, url: str, *, ready: bool) -> dict[str, Any]:
    """The description of an index, as API version 2026-07 has it."""
    status: dict[str, Any] = {"state": "Ready"}
    if index.dedicated:
        counts = index.read_capacity["dedicated"]["manual"]
        status |= {"current_shards": counts["shards"], "current_replicas": counts["replicas"]}
    return {
        "name": index.name,
        "host": f"{url}/i/{index.name}",
        "private_host": None,
        "status": {"ready": ready, "state": "Ready" if ready else "Initializing"},
        "schema": {"fields": index.fields},
        "deployment": index.deployment,
        "deletion_protection": index.deletion_protection,
        "read_capacity": index.read_capacity | {"status": status},
        "tags": index.tags or None,
        "source_collection": None,
        "source_backup_id": None,
        "cmek_id": index.cmek_id,
    }


def shown_as_before(index: Definition, url: str, *, ready: bool) -> dict[str, Any]:
    """The description of an index, as API versions up to 2026-04 have it."""
    description = shown(index, url, ready=ready)
    inner = {name: value for name, value in index.deployment.items() if name != "deployment_type"}
    kind = {"managed": "serverless"}.get(index.deployment["deployment_type"], index.deployment["deployment_type"])
    if kind == "pod":
        inner["pods"] = inner["replicas"] * inner["shards"]
    else:
        inner["read_capacity"] = description["read_capacity"]
    kept = ("name", "host", "status", "deletion_protection", "tags")
    old: dict[str, Any] = {name: description[name] for name in kept if description[name] is not None}
    old |= {"metric": index.metric, "vector_type": index.vector_type, "spec": {kind: inner}}
    return old if index.dimension is None else old | {"dimension": index.dimension}
