"""What ``create_index`` takes for Qdrant, in words, and what the client wants of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ia_modules.vector_stores.errors import UnsupportedOperationError
from ia_modules.vector_stores.metrics import DistanceMetric
from ia_modules.vector_stores.requests import IndexInfo

__all__ = ["DISTANCES", "INDEX_TYPES", "MODEL", "collection_arguments", "index_schema", "payload_indexes"]

DISTANCES = {
    DistanceMetric.COSINE: "Cosine",
    DistanceMetric.DOT_PRODUCT: "Dot",
    DistanceMetric.EUCLIDEAN: "Euclid",
    DistanceMetric.MANHATTAN: "Manhattan",
}

MODEL = "ia:embedding_model"
"""Key of the collection's metadata (Qdrant 1.16 and later)."""

INDEX_TYPES = ("keyword", "integer", "float", "bool", "datetime", "text")
"""Types of payload indexes.

Not among them is ``uuid``, with which two spellings of one UUID would be equal strings. For ``integer`` a float index
is made, as Qdrant's integer index does not find a 2.5 among the integers.
"""

_PLAIN = frozenset({"shard_number", "replication_factor", "write_consistency_factor", "on_disk_payload"})
_KNOWN = _PLAIN | {"on_disk", "hnsw_config", "optimizers_config", "quantization", "sparse", "payload_indexes"}
_QUANTIZATIONS = ("scalar", "binary", "product")


def collection_arguments(info: IndexInfo, options: Mapping[str, Any]) -> dict[str, Any]:
    """Keyword arguments of the client's ``create_collection``.

    Args:
        info: dimension, metric and model.
        options: of ``create_index``.

    Raises:
        UnsupportedOperationError: an unknown option, or a value that it can't have.
    """
    if unknown := set(options) - _KNOWN:
        raise UnsupportedOperationError(
            f"qdrant has no option {', '.join(sorted(unknown))}; known: {', '.join(sorted(_KNOWN))}"
        )
    from pydantic import ValidationError
    from qdrant_client import models

    assert info.dimension is not None
    arguments: dict[str, Any] = {name: options[name] for name in _PLAIN if options.get(name) is not None}
    try:
        arguments["vectors_config"] = models.VectorParams(
            size=info.dimension, distance=models.Distance(DISTANCES[info.metric]), on_disk=options.get("on_disk")
        )
        for name, kind in (("hnsw_config", models.HnswConfigDiff), ("optimizers_config", models.OptimizersConfigDiff)):
            if options.get(name) is not None:
                arguments[name] = _made(kind, name, options[name])
        if options.get("quantization") is not None:
            arguments["quantization_config"] = _quantization(models, options["quantization"])
        if options.get("sparse"):
            arguments["sparse_vectors_config"] = _sparse(models, options["sparse"])
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UnsupportedOperationError(f"a qdrant option has a wrong value: {where}: {first['msg']}") from error
    if info.embedding_model is not None:
        arguments["metadata"] = {MODEL: info.embedding_model}
    payload_indexes(options)
    return arguments


def payload_indexes(options: Mapping[str, Any]) -> dict[str, Any]:
    """The declared payload indexes: field name -> what :func:`index_schema` takes.

    Raises:
        UnsupportedOperationError: they are not of that form.
    """
    declared = options.get("payload_indexes") or {}
    if not isinstance(declared, Mapping):
        raise UnsupportedOperationError("payload_indexes maps field names to types, such as {'year': 'integer'}")
    for field, kind in declared.items():
        name = kind.get("type") if isinstance(kind, Mapping) else kind
        if name not in INDEX_TYPES:
            raise UnsupportedOperationError(
                f"payload_indexes: {field!r} has the type {name!r}; known: {', '.join(INDEX_TYPES)}"
            )
    return dict(declared)


def index_schema(kind: Any) -> Any:
    """The client's schema for a type's name, or for a dict with the name as ``type`` and further parameters."""
    from qdrant_client import models

    settings = {"type": kind} if isinstance(kind, str) else dict(kind)
    if settings["type"] == "integer":
        settings = {name: value for name, value in settings.items() if name not in ("lookup", "range")}
        settings["type"] = "float"
    classes = {
        "keyword": models.KeywordIndexParams,
        "float": models.FloatIndexParams,
        "bool": models.BoolIndexParams,
        "datetime": models.DatetimeIndexParams,
        "text": models.TextIndexParams,
    }
    return _made(classes[settings["type"]], f"payload index of type {settings['type']}", settings)


def _made(kind: Any, name: str, value: Any) -> Any:
    """A model of the client's from a dict; a misspelt setting is an error, not ignored."""
    if isinstance(value, kind):
        return value
    if not isinstance(value, Mapping):
        raise UnsupportedOperationError(f"{name} is a dict of Qdrant's settings")
    if unknown := set(value) - set(kind.model_fields):
        raise UnsupportedOperationError(f"qdrant's {name} has no setting {', '.join(sorted(unknown))}")
    return kind(**value)


def _quantization(models: Any, value: Any) -> Any:
    """``"scalar"``, ``"binary"``, ``"product"``, or one of them with settings: ``{"scalar": {"quantile": 0.99}}``."""
    if isinstance(value, str):
        value = {value: {}}
    if not isinstance(value, Mapping) or len(value) != 1 or next(iter(value)) not in _QUANTIZATIONS:
        raise UnsupportedOperationError(
            f"quantization is one of {', '.join(_QUANTIZATIONS)}, "
            "or a dict with settings such as {'scalar': {'always_ram': True}}"
        )
    ((name, settings),) = value.items()
    if name == "scalar":
        settings = {"type": models.ScalarType.INT8, **settings}
        return models.ScalarQuantization(scalar=_made(models.ScalarQuantizationConfig, name, settings))
    if name == "binary":
        return models.BinaryQuantization(binary=_made(models.BinaryQuantizationConfig, name, settings))
    settings = {"compression": models.CompressionRatio.X16, **settings}
    return models.ProductQuantization(product=_made(models.ProductQuantizationConfig, name, settings))


def _sparse(models: Any, value: Any) -> dict[str, Any]:
    """``True`` for a sparse vector named ``sparse``, or ``{name: settings}``."""
    named = {"sparse": {}} if value is True else value
    if not isinstance(named, Mapping) or "" in named:
        raise UnsupportedOperationError("sparse is True, or maps names of sparse vectors to Qdrant's settings")
    return {name: _made(models.SparseVectorParams, f"sparse[{name!r}]", given or {}) for name, given in named.items()}
