"""What ``create_index`` takes for Pinecone, and what an index that is there can be used for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from ia_modules.vector_stores.errors import UnsupportedOperationError
from ia_modules.vector_stores.metrics import DistanceMetric
from ia_modules.vector_stores.requests import IndexInfo

__all__ = ["METRICS", "index_arguments", "index_info"]

METRICS: Final = {
    DistanceMetric.COSINE: "cosine",
    DistanceMetric.DOT_PRODUCT: "dotproduct",
    DistanceMetric.EUCLIDEAN: "euclidean",
}
_BY_NAME: Final = {name: metric for metric, name in METRICS.items()}

_DENSE, _SPARSE = "_values", "_sparse_values"
"""Fields of a schema that the Vectors API serves; with any other, an index belongs to the Documents API."""
_MODEL_TAG: Final = "ia_embedding_model"
_MAX_TAG = 120
_SERVERLESS: Final = {"cloud": "aws", "region": "us-east-1"}
_POD: Final = frozenset({"environment", "pod_type", "replicas", "shards"})
_PASSED_ON: Final = frozenset({"spec", "deployment", "read_capacity", "cmek_id"})
_KNOWN: Final = _PASSED_ON | _POD | {"cloud", "region", "deletion_protection", "tags", "sparse"}


def index_arguments(info: IndexInfo, options: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments for the client's ``indexes.create``.

    Args:
        info: dimension, metric and model.
        options: of ``create_index``.

    Raises:
        UnsupportedOperationError: an unknown option, or a value that it can't have.
    """
    if unknown := set(options) - _KNOWN:
        raise UnsupportedOperationError(
            f"pinecone has no option {', '.join(sorted(unknown))}; known: {', '.join(sorted(_KNOWN))}"
        )
    schema: dict[str, Any] = {
        _DENSE: {"type": "dense_vector", "dimension": info.dimension, "metric": METRICS[info.metric]}
    }
    sparse = options.get("sparse", False)
    if not isinstance(sparse, bool):
        raise UnsupportedOperationError("sparse is True or False")
    if sparse:
        if info.metric is not DistanceMetric.DOT_PRODUCT:
            raise UnsupportedOperationError("Pinecone keeps sparse vectors beside dense ones under dot_product only")
        schema[_SPARSE] = {"type": "sparse_vector"}
    arguments = {name: options[name] for name in _PASSED_ON if options.get(name) is not None}
    if "spec" not in arguments and "deployment" not in arguments:
        arguments["deployment"] = _deployment(options)
    elif placed := {"cloud", "region", *_POD} & set(options):
        raise UnsupportedOperationError(f"{', '.join(sorted(placed))} can't be combined with spec or deployment")
    protection = options.get("deletion_protection")
    if protection is not None:
        if protection not in (True, False, "enabled", "disabled"):
            raise UnsupportedOperationError("deletion_protection is True or False")
        arguments["deletion_protection"] = "enabled" if protection in (True, "enabled") else "disabled"
    tags = _tags(info, options.get("tags"))
    return {"schema": {"fields": schema}, **arguments, **({"tags": tags} if tags else {})}


def _deployment(options: Mapping[str, Any]) -> dict[str, Any]:
    """Serverless, unless an environment is named: then pods, or the caller's own cloud."""
    if "environment" not in options:
        if pods := _POD & set(options):
            raise UnsupportedOperationError(f"{', '.join(sorted(pods))}: pods need an environment= as well")
        chosen = {name: options.get(name) or usual for name, usual in _SERVERLESS.items()}
        return {"deployment_type": "managed", **chosen}
    if serverless := {"cloud", "region"} & set(options):
        raise UnsupportedOperationError(f"{', '.join(sorted(serverless))} and environment exclude each other")
    environment = {"environment": options["environment"]}
    size = {name: options[name] for name in ("pod_type", "replicas", "shards") if name in options}
    if not size:
        return {"deployment_type": "byoc", **environment}
    return {"deployment_type": "pod", "pod_type": "p1.x1", "replicas": 1, "shards": 1, **environment, **size}


def _tags(info: IndexInfo, given: Any) -> dict[str, str]:
    if given is not None and not (
        isinstance(given, Mapping) and all(isinstance(item, str) for pair in given.items() for item in pair)
    ):
        raise UnsupportedOperationError("tags is a dict from names to text")
    tags = dict(cast("Mapping[str, str]", given or {}))
    model = info.embedding_model
    if model is not None:
        if len(model) > _MAX_TAG or not model.isascii() or not model.isprintable():
            raise UnsupportedOperationError(
                f"the embedding model is kept as a tag, which Pinecone allows {_MAX_TAG} printable ASCII characters"
            )
        tags[_MODEL_TAG] = model
    return tags


def index_info(name: str, model: Any) -> IndexInfo:
    """What is fixed about an index, from the client's model of it.

    Raises:
        UnsupportedOperationError: an index of another kind than those that the Vectors API serves with dense vectors.
    """
    fields = dict(getattr(model.schema, "fields", None) or {})
    dense = fields.get(_DENSE)
    if dense is None or not set(fields) <= {_DENSE, _SPARSE}:
        raise UnsupportedOperationError(f"index {name!r} is {_kind(fields)}; a store needs an index of dense vectors")
    metric = _BY_NAME.get(str(getattr(dense.metric, "value", dense.metric)))
    if metric is None:
        raise UnsupportedOperationError(f"index {name!r} has the metric {dense.metric!r}, which is not known here")
    return IndexInfo(int(dense.dimension), metric, dict(model.tags or {}).get(_MODEL_TAG))


def _kind(fields: Mapping[str, Any]) -> str:
    if set(fields) == {_SPARSE}:
        return "an index of sparse vectors only"
    if any("semantic" in type(field).__name__.lower() for field in fields.values()):
        return "an index with integrated embedding (its Records API embeds text by itself)"
    return (
        f"a document index (fields {', '.join(sorted(fields)) or 'none'}), which only Pinecone's Documents API serves"
    )
