"""What has to be done to a store, or forbids it, before documents of a source can go there."""

from __future__ import annotations

from dataclasses import dataclass

from ia_modules.vector_stores.base import VectorStoreBase
from ia_modules.vector_stores.errors import (
    IndexMismatchError,
    IndexNotFoundError,
    InvalidDimensionError,
    UnsupportedOperationError,
    VectorStoreError,
)
from ia_modules.vector_stores.metrics import DistanceMetric
from ia_modules.vector_stores.migration.records import SourceInfo
from ia_modules.vector_stores.requests import IndexInfo

__all__ = ["Intent", "examined"]


@dataclass(frozen=True, slots=True)
class Intent:
    """What preparing a store for a source comes to.

    Attributes:
        exists: whether the index exists.
        index: what it is, or what it is to be; its dimension is None if only the first document will tell.
        errors: what forbids it.
        notes: what a user should know.
    """

    exists: bool
    index: IndexInfo
    errors: tuple[VectorStoreError, ...] = ()
    notes: tuple[str, ...] = ()


async def examined(
    store: VectorStoreBase,
    info: SourceInfo,
    *,
    create_missing: bool,
    change_metric: bool,
    metric: DistanceMetric | None,
) -> Intent:
    """Compare a store's index, or the one that it would get, with a source; changes nothing.

    Args:
        store: where documents are to go.
        info: where they come from.
        create_missing: whether a missing index may be created.
        change_metric: whether the index may have another metric than the source.
        metric: that the index is to have; None for that of the store's config if it states one, else of the source.
    """
    name, config = store.config.index_name, store.config
    stated = metric or (config.metric if "metric" in config.model_fields_set else None)
    index = IndexInfo(
        config.dimension or info.dimension,
        stated or info.metric or config.metric,
        config.embedding_model or info.embedding_model,
    )
    errors: list[VectorStoreError] = []
    try:
        index, exists = await store._index("migrate"), True  # noqa: SLF001 - the metric is told nowhere else
    except IndexNotFoundError as error:
        exists = False
        errors += _unable(store, index) if create_missing else [error]
        notes = [f"the index {name!r} does not exist and is created: {_described(index)}"]
    except IndexMismatchError as error:  # with the store's own config
        return Intent(True, index, (error,))
    else:
        notes = [f"the index {name!r} exists: {_described(index)}"]
    errors += _misfits(store, index, info, change_metric=change_metric, stated=stated)
    if info.metric is not None and info.metric is not index.metric:
        notes.append(
            f"the metric changes from {info.metric.value} to {index.metric.value}: searches give other scores, "
            f"and another order unless all vectors have the same length"
        )
    return Intent(exists, index, tuple(one.located(store.provider, "migrate") for one in errors), tuple(notes))


def _misfits(
    store: VectorStoreBase, index: IndexInfo, info: SourceInfo, *, change_metric: bool, stated: DistanceMetric | None
) -> list[VectorStoreError]:
    """What keeps an index from taking the documents of a source."""
    name = store.config.index_name
    errors: list[VectorStoreError] = []
    if info.dimension is not None and index.dimension is not None and info.dimension != index.dimension:
        message = f"the source has vectors of {info.dimension} numbers; the index {name!r} has {index.dimension}"
        errors.append(InvalidDimensionError(message, expected=index.dimension, given=info.dimension))
    if info.metric is not None and info.metric is not index.metric and not change_metric:
        message = f"the source has the metric {info.metric.value!r}; the index {name!r} has {index.metric.value!r}"
        errors.append(IndexMismatchError(f"{message}; a change has to be allowed (change_metric=True)"))
    if stated is not None and stated is not index.metric:
        message = f"the index {name!r} exists with the metric {index.metric.value!r}, and not {stated.value!r}"
        errors.append(IndexMismatchError(message))
    models = {info.embedding_model, index.embedding_model} - {None}
    if len(models) > 1:
        which = ", ".join(sorted(map(str, models)))
        message = (
            f"the source and the index {name!r} hold vectors of different models, which can't be compared: {which}"
        )
        errors.append(IndexMismatchError(message))
    return errors


def _unable(store: VectorStoreBase, index: IndexInfo) -> list[VectorStoreError]:
    """Why the database can't have an index."""
    able = store.capabilities
    errors: list[VectorStoreError] = []
    if index.metric not in able.metrics:
        known = ", ".join(sorted(metric.value for metric in able.metrics))
        message = f"{store.provider} has no metric {index.metric.value!r}; it has {known}"
        errors.append(UnsupportedOperationError(message))
    if able.max_dimension is not None and (index.dimension or 0) > able.max_dimension:
        message = f"{store.provider} takes at most {able.max_dimension} dimensions, and not {index.dimension}"
        errors.append(UnsupportedOperationError(message))
    return errors


def _described(index: IndexInfo) -> str:
    size = "dimensions as the first document has" if index.dimension is None else f"{index.dimension} dimensions"
    return f"{size}, metric {index.metric.value}"
