"""What ``create_index`` takes for Weaviate, in words, and the collection that its REST API makes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from secrets import token_hex
from typing import Any, Final

from ia_modules.vector_stores.errors import UnsupportedOperationError
from ia_modules.vector_stores.providers.weaviate.layout import (
    FLIP,
    ID,
    META,
    MORE,
    NAMESPACE,
    TEXT,
    WRITTEN,
    plain_name,
    reserved_name,
)
from ia_modules.vector_stores.providers.weaviate.schema import DISTANCES, description, property_definition
from ia_modules.vector_stores.requests import IndexInfo

__all__ = ["collection_definition"]

_TYPES: Final = {
    **dict.fromkeys(("text", "string", "str", "keyword"), "text"),
    **dict.fromkeys(("number", "float", "int", "integer"), "number"),
    **dict.fromkeys(("boolean", "bool"), "boolean"),
    **dict.fromkeys(("date", "datetime"), "date"),
}
"""Integers are numbers as well, since a property of Weaviate's type ``int`` could not hold a document's 2.5."""

_KNOWN: Final = frozenset(
    {
        "properties",
        "auto_properties",
        "vector_index",
        "hnsw_config",
        "dynamic_threshold",
        "quantization",
        "replication_factor",
    }
)
_HNSW: Final = frozenset(
    {
        "cleanup_interval_seconds",
        "dynamic_ef_factor",
        "dynamic_ef_max",
        "dynamic_ef_min",
        "ef",
        "ef_construction",
        "filter_strategy",
        "flat_search_cutoff",
        "max_connections",
        "vector_cache_max_objects",
    }
)
_QUANTIZERS: Final = {
    "pq": frozenset({"bit_compression", "centroids", "encoder", "segments", "training_limit"}),
    "bq": frozenset({"rescore_limit", "cache"}),
    "sq": frozenset({"training_limit", "rescore_limit", "cache"}),
    "rq": frozenset({"bits", "rescore_limit", "cache"}),
}
_VECTOR_INDEXES: Final = {"hnsw": frozenset(_QUANTIZERS), "flat": frozenset({"bq", "rq"}), "dynamic": frozenset({"bq"})}


def collection_definition(name: str, info: IndexInfo, options: Mapping[str, Any]) -> dict[str, Any]:
    """The collection as the REST API takes it.

    Args:
        name: of the collection.
        info: dimension, metric and model.
        options: of ``create_index``.

    Raises:
        UnsupportedOperationError: an unknown option, or a value that it can't have.
    """
    if unknown := set(options) - _KNOWN:
        raise UnsupportedOperationError(
            f"weaviate has no option {', '.join(sorted(unknown))}; known: {', '.join(sorted(_KNOWN))}"
        )
    automatic = options.get("auto_properties", True)
    if not isinstance(automatic, bool):
        raise UnsupportedOperationError("auto_properties is True or False")
    kind, settings = _vector_index(info, options)
    factor = options.get("replication_factor", 1)
    if type(factor) is not int or factor < 1:
        raise UnsupportedOperationError("replication_factor is an integer of at least 1")
    vector = f"ia_{token_hex(4)}"
    unseen = {"indexFilterable": False, "indexSearchable": False}
    return {
        "class": name,
        "description": description(info, vector, automatic=automatic),
        "vectorConfig": {vector: {"vectorizer": {"none": {}}, "vectorIndexType": kind, "vectorIndexConfig": settings}},
        "multiTenancyConfig": {"enabled": True, "autoTenantCreation": True, "autoTenantActivation": True},
        "invertedIndexConfig": {"indexNullState": True},
        "replicationConfig": {"factor": factor},
        "properties": [
            {"name": ID, "dataType": ["text"], "tokenization": "field", **unseen},
            {"name": META, "dataType": ["text"], "tokenization": "field", **unseen},
            {"name": FLIP, "dataType": ["text"], "tokenization": "field", **unseen},
            {"name": NAMESPACE, "dataType": ["text"], "tokenization": "field", **unseen},
            {"name": WRITTEN, "dataType": ["number"], "indexFilterable": True, "indexRangeFilters": True},
            # Words of the text are what hybrid search and BM25 look for.
            {"name": TEXT, "dataType": ["text"], "tokenization": "word", "indexFilterable": False},
            {"name": MORE, "dataType": ["text[]"], "tokenization": "field", "indexSearchable": False},
            *_declared(options.get("properties") or ()),
        ],
    }


def _declared(properties: Any) -> list[dict[str, Any]]:
    """Properties for the fields that the caller names: ``[{"name": "year", "type": "int"}]``."""
    if not isinstance(properties, Sequence) or isinstance(properties, str):
        raise UnsupportedOperationError('properties is a list such as [{"name": "year", "type": "int"}]')
    made: list[dict[str, Any]] = []
    taken: set[str] = set()
    for one in properties:
        if not isinstance(one, Mapping) or set(one) != {"name", "type"} or not isinstance(one["name"], str):
            raise UnsupportedOperationError(
                f'a property has a name and a type, such as {{"name": "year"}}; not {one!r}'
            )
        field, given = one["name"], str(one["type"])
        kind = _TYPES.get(given.removesuffix("[]"))
        if kind is None:
            known = ", ".join(_TYPES)
            raise UnsupportedOperationError(f"property {field!r} has the type {given!r}; known: {known}")
        if given.endswith("[]"):
            continue  # elements of lists are found without a property
        names = [plain_name(field) or reserved_name(field, kind)]
        if kind == "date":
            names.append(reserved_name(field, "text"))  # for equality, as two spellings of a date are not equal
        for name, of in zip(names, (kind, "text"), strict=False):
            if name.lower() in taken:
                raise UnsupportedOperationError(
                    f"property {field!r} is declared twice (Weaviate does not tell upper from lower case in names)"
                )
            taken.add(name.lower())
            made.append(property_definition(name, of))
    return made


def _vector_index(info: IndexInfo, options: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    kind = options.get("vector_index") or "hnsw"
    if kind not in _VECTOR_INDEXES:
        raise UnsupportedOperationError(f"vector_index is one of {', '.join(_VECTOR_INDEXES)}, not {kind!r}")
    hnsw = _settings("hnsw_config", options.get("hnsw_config") or {}, _HNSW)
    if hnsw and kind == "flat":
        raise UnsupportedOperationError("a flat index has no hnsw_config")
    distance = DISTANCES[info.metric]
    quantizer, quantized = _quantizer(kind, options.get("quantization"))
    # Without being told, some servers quantize by themselves, and distances would be approximate.
    compressed = {quantizer: quantized} if quantizer else {"skipDefaultQuantization": True}
    threshold = options.get("dynamic_threshold")
    if kind == "dynamic":
        settings: dict[str, Any] = {
            "distance": distance,
            "hnsw": {"distance": distance, **hnsw, **compressed},
            "flat": {"distance": distance, **compressed},
        }
        return kind, settings | ({} if threshold is None else {"threshold": threshold})
    if threshold is not None:
        raise UnsupportedOperationError("dynamic_threshold belongs to vector_index='dynamic'")
    return kind, {"distance": distance, **hnsw, **compressed}


def _quantizer(kind: str, value: Any) -> tuple[str | None, dict[str, Any]]:
    """``"rq"``, ``"bq"``, ``"sq"``, ``"pq"``, or one of them with settings: ``{"rq": {"bits": 8}}``."""
    if value is None:
        return None, {}
    if isinstance(value, str):
        value = {value: {}}
    if not isinstance(value, Mapping) or len(value) != 1 or next(iter(value)) not in _QUANTIZERS:
        raise UnsupportedOperationError(
            f"quantization is one of {', '.join(_QUANTIZERS)}, or a dict with settings such as {{'rq': {{'bits': 8}}}}"
        )
    ((name, given),) = value.items()
    if name not in _VECTOR_INDEXES[kind]:
        raise UnsupportedOperationError(f"a {kind} index has no quantization {name!r}")
    return name, {"enabled": True, **_settings(f"quantization {name!r}", given or {}, _QUANTIZERS[name])}


def _settings(title: str, given: Any, known: frozenset[str]) -> dict[str, Any]:
    """Settings in the REST API's spelling; a misspelt one is an error, not ignored."""
    if not isinstance(given, Mapping):
        raise UnsupportedOperationError(f"{title} is a dict of settings")
    if unknown := set(given) - known:
        wrong, right = ", ".join(sorted(map(str, unknown))), ", ".join(sorted(known))
        raise UnsupportedOperationError(f"weaviate's {title} has no setting {wrong}; known: {right}")
    return {_camel(name): value for name, value in given.items()}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
