"""Collections: what their definition may say, and what the server adds to it."""

from __future__ import annotations

import copy
import re
import secrets
import string
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from .text import TOKENIZATIONS
from .values import RefusedError

NAME = re.compile(r"[_A-Za-z][_0-9A-Za-z]{0,230}")
CLASS = re.compile(r"[A-Z][_0-9A-Za-z]*")
DISTANCES = ("cosine", "dot", "l2-squared", "manhattan", "hamming")
PRIMITIVE = ("text", "int", "number", "boolean", "date", "uuid")
TYPES = (
    *PRIMITIVE,
    *(f"{kind}[]" for kind in PRIMITIVE),
    "blob",
    "geoCoordinates",
    "phoneNumber",
    "object",
    "object[]",
)
GRAPHQL = (
    "Property names in Weaviate are restricted to valid GraphQL names, which must be “/[_A-Za-z][_0-9A-Za-z]{0,230}/”"
)
SUFFIXES = ("_nullState", "_propertyLength", "_searchable", "_rangeable")
HNSW: dict[str, Any] = {
    "bq": {"enabled": False},
    "cleanupIntervalSeconds": 300,
    "distance": "cosine",
    "dynamicEfFactor": 8,
    "dynamicEfMax": 500,
    "dynamicEfMin": 100,
    "ef": -1,
    "efConstruction": 128,
    "filterStrategy": "acorn",
    "flatSearchCutoff": 40000,
    "maxConnections": 32,
    "multivector": {
        "aggregation": "maxSim",
        "enabled": False,
        "muvera": {"dprojections": 16, "enabled": False, "ksim": 4, "repetitions": 10},
    },
    "pq": {
        "bitCompression": False,
        "centroids": 256,
        "enabled": False,
        "encoder": {"distribution": "log-normal", "type": "kmeans"},
        "segments": 0,
        "trainingLimit": 100000,
    },
    "rq": {"bits": 8, "enabled": False, "rescoreLimit": 20},
    "skip": False,
    "skipDefaultQuantization": False,
    "sq": {"enabled": False, "rescoreLimit": 20, "trainingLimit": 100000},
    "trackDefaultQuantization": False,
    "vectorCacheMaxObjects": 1000000000000,
}
FLAT: dict[str, Any] = {
    "bq": {"cache": False, "enabled": False, "rescoreLimit": -1},
    "distance": "cosine",
    "pq": {"cache": False, "enabled": False, "rescoreLimit": -1},
    "rq": {"bits": 8, "cache": False, "enabled": False, "rescoreLimit": -1},
    "skipDefaultQuantization": False,
    "sq": {"cache": False, "enabled": False, "rescoreLimit": -1},
    "trackDefaultQuantization": False,
    "vectorCacheMaxObjects": 1000000000000,
}


def upper_first(name: str) -> str:
    return name[:1].upper() + name[1:]


def lower_first(name: str) -> str:
    return name[:1].lower() + name[1:]


def shard_name() -> str:
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(12))


def class_name(given: Any) -> str:
    name = upper_first(given or "")
    if not CLASS.fullmatch(name):
        raise RefusedError(f"'{name}' is not a valid class name")
    if len(name) > 255:
        raise RefusedError(f"'{name}' is not a valid class name. Name should not be longer than 255 characters")
    return name


def check_property_name(name: str) -> None:
    if len(name) > 231 and NAME.match(name):
        raise RefusedError(f"'{name}' is not a valid property name. Name should not be longer than 231 characters")
    if not NAME.fullmatch(name):
        raise RefusedError(f"'{name}' is not a valid property name. {GRAPHQL}")
    if name in ("_additional", "_id", "id"):
        raise RefusedError(f"'{name}' is a reserved property name")


def check_suffix(name: str) -> None:
    for suffix in SUFFIXES:
        if name.endswith(suffix):
            raise RefusedError(
                f"'{name}' is not a valid property name: suffix '{suffix}' is reserved for internal indices"
            )


def property_json(given: dict[str, Any], class_: str, others: list[dict[str, Any]]) -> dict[str, Any]:
    name = lower_first(given.get("name") or "")
    check_property_name(name)
    if any(known["name"].lower() == name.lower() for known in others):
        raise RefusedError(
            f'class "{class_}": conflict for property "{name}": already in use or provided multiple times'
        )
    types = given.get("dataType") or []
    if not types:
        raise RefusedError(f"property '{name}': invalid dataType: []: dataType must have at least one element")
    kind = types[0]
    if kind[:1].isupper():
        raise RefusedError("bad request: reference property to nonexistent class")
    if kind not in TYPES:
        raise RefusedError(
            f"property '{name}': invalid dataType: [{' '.join(types)}]: unknown primitive data type '{kind}'"
        )
    text = kind in ("text", "text[]")
    tokenization = given.get("tokenization") or ""
    if tokenization and not text:
        raise RefusedError(f"tokenization is not allowed for data type '{kind}'")
    other = "For other data types set false or leave empty"
    if given.get("indexSearchable") and not text:
        raise RefusedError(f"`indexSearchable` is allowed only for text/text[] data types. {other}")
    if given.get("indexRangeFilters") and kind not in ("number", "int", "date"):
        raise RefusedError(f"`indexRangeFilters` is allowed only for number/int/date data types. {other}")
    inverted = given.get("indexInverted")

    def switch(key: str, default: bool) -> bool:
        return default if given.get(key) is None else bool(given[key])

    out: dict[str, Any] = {
        "dataType": [kind],
        "indexFilterable": switch("indexFilterable", kind != "blob" and inverted is not False),
        "indexRangeFilters": switch("indexRangeFilters", False),
        "indexSearchable": switch("indexSearchable", text and inverted is not False),
        "name": name,
    }
    if given.get("description"):
        out["description"] = given["description"]
    if text:
        out["tokenization"] = tokenization or "word"
    return dict(sorted(out.items()))


def check_tokenization(given: dict[str, Any], place: str) -> None:
    """What the server refuses while it reads the body, in another form than its own errors."""
    if (given.get("tokenization") or "word") not in TOKENIZATIONS:
        raise RefusedError(f"!606!{place}tokenization in body should be one of [{' '.join(TOKENIZATIONS)}]")


def index_config(kind: str, given: Any) -> dict[str, Any]:
    made = copy.deepcopy(FLAT if kind == "flat" else HNSW)
    for key, value in (given or {}).items():
        # What is unknown, or of another type, is passed over.
        if key in made and type(value) is type(made[key]):
            made[key] = {**made[key], **value} if isinstance(value, dict) else value
    return made


def index_type(kind: Any, prefix: str = "") -> str:
    if kind == "dynamic":
        raise RefusedError(f"{prefix}the dynamic index can only be created when async indexing is enabled")
    if kind not in (None, "", "hnsw", "flat"):
        raise RefusedError(f'{prefix}unrecognized or unsupported vectorIndexType "{kind}"')
    return kind or "hnsw"


def named_vectors(given: dict[str, Any]) -> dict[str, Any]:
    out = {}
    for name, config in sorted(given.items()):
        if not re.fullmatch(r"[_A-Za-z][_0-9A-Za-z]{0,229}", name):
            raise RefusedError(
                f'class.VectorConfig target vector name "{name}" is not valid, in Weaviate target vector names are '
                "restricted to valid GraphQL names, which must be “/[_A-Za-z][_0-9A-Za-z]{0,229}/”."
            )
        vectorizer = config.get("vectorizer")
        if not isinstance(vectorizer, dict):
            raise RefusedError("class.VectorConfig.Vectorizer must be an object, got <nil>")
        if [*vectorizer] != ["none"]:
            raise RefusedError(
                f'target vector "{name}": vectorizer: no module with name "{next(iter(vectorizer), "")}" present'
            )
        kind = index_type(config.get("vectorIndexType"), f'target vector "{name}": ')
        out[name] = {
            "vectorIndexConfig": index_config(kind, config.get("vectorIndexConfig")),
            "vectorIndexType": kind,
            "vectorizer": {"none": {}},
        }
    return out


def tenancy(given: Any) -> dict[str, bool]:
    keys = ("autoTenantActivation", "autoTenantCreation", "enabled")
    made = {key: bool((given or {}).get(key)) for key in keys}
    for key in keys[1::-1]:
        if made[key] and not made["enabled"]:
            raise RefusedError(f"can't enable {key} on a non-multi-tenant class")
    return made


def inverted(given: Any) -> dict[str, Any]:
    given = given or {}
    out: dict[str, Any] = {
        "bm25": {"b": 0.75, "k1": 1.2, **(given.get("bm25") or {})},
        "cleanupIntervalSeconds": given.get("cleanupIntervalSeconds") or 60,
        "stopwords": {"additions": None, "preset": "en", "removals": None, **(given.get("stopwords") or {})},
        "usingBlockMaxWAND": True,
    }
    for key in ("indexNullState", "indexPropertyLength", "indexTimestamps"):
        if given.get(key):
            out[key] = True
    return dict(sorted(out.items()))


def sharding(multi: bool) -> dict[str, Any]:
    counts = {"actualCount": 1, "actualVirtualCount": 128, "desiredCount": 1, "desiredVirtualCount": 128}
    words = {"function": "murmur3", "key": "_id", "strategy": "hash"}
    if multi:
        return {**dict.fromkeys(counts, 0), **dict.fromkeys(words, ""), "virtualPerPhysical": 0}
    return {**counts, **words, "virtualPerPhysical": 128}


def definition(given: dict[str, Any], classes: Iterable[str]) -> dict[str, Any]:
    """A class as it is kept and returned; that its name is taken is found last."""
    for one in given.get("properties") or []:
        check_suffix(lower_first(one.get("name") or ""))
    legacy = any(given.get(key) for key in ("vectorIndexType", "vectorIndexConfig", "vectorizer"))
    if given.get("vectorConfig") and legacy:
        raise RefusedError("creating a class with both a class level vector index and named vectors is forbidden")
    name = class_name(given.get("class"))
    multi = tenancy(given.get("multiTenancyConfig"))
    properties: list[dict[str, Any]] = []
    for one in given.get("properties") or []:
        properties.append(property_json(one, name, properties))
    out: dict[str, Any] = {"class": name}
    if given.get("description"):
        out["description"] = given["description"]
    out |= {
        "invertedIndexConfig": inverted(given.get("invertedIndexConfig")),
        "multiTenancyConfig": multi,
        "properties": None if given.get("properties") is None else properties,
        "shardingConfig": sharding(multi["enabled"]),
    }
    if given.get("vectorConfig"):
        out["vectorConfig"] = named_vectors(given["vectorConfig"])
    else:
        kind = index_type(given.get("vectorIndexType"))
        out["vectorIndexConfig"] = index_config(kind, given.get("vectorIndexConfig"))
        out["vectorIndexType"] = kind
        out["vectorizer"] = given.get("vectorizer") or "none"
    out["replicationConfig"] = {"deletionStrategy": "TimeBasedResolution", "factor": 1, "asyncEnabled": False}
    similar = next((other for other in classes if other.lower() == name.lower()), None)
    if similar == name:
        raise RefusedError(f"class name {name} already exists")
    if similar:
        raise RefusedError(f'class already exists: found similar class "{similar}"')
    return out


def generated() -> str:
    now = datetime.now().astimezone()
    return f"This property was generated by Weaviate's auto-schema feature on {now:%a %b %e %H:%M:%S %Y}"
