"""Embeddings of an SQL database into a store."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Literal

from ia_modules.vector_stores.base import VectorStoreBase
from ia_modules.vector_stores.metrics import DistanceMetric
from ia_modules.vector_stores.migration.progress import ProgressCallback
from ia_modules.vector_stores.migration.report import MigrationReport
from ia_modules.vector_stores.migration.run import migrate
from ia_modules.vector_stores.migration.stores import StoreTarget

__all__ = ["migrate_embeddings"]

_COLUMNS = ("id", "vector", "text", "metadata", "namespace")


async def migrate_embeddings(
    source_db: str,
    target_store: VectorStoreBase,
    batch_size: int = 1000,
    *,
    table: str | None = None,
    columns: Mapping[str, str | Literal[False]] | None = None,
    metric: DistanceMetric | str | None = None,
    namespaces: Mapping[str, str] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    second_pass: bool = True,
    rejects: str | os.PathLike[str] | None = None,
    progress: ProgressCallback | None = None,
    **source_options: Any,
) -> MigrationReport:
    """Read embeddings from a table of an SQL database and write them to a store, whose index is created if missing.

    Args:
        source_db: SQLAlchemy URL, such as ``sqlite:///embeddings.db`` or ``postgresql://user@host/name``.
        target_store: where to; it stays connected.
        batch_size: rows per page.
        table: the table; None finds it, which the report's notes tell.
        columns: names of the columns for ``id``, ``vector``, ``text``, ``metadata`` and ``namespace``, those that are
            not to be found by themselves. False for ``text`` or ``metadata`` means that there is none.
        metric: of an index to be created; None for that of the store's config.
        namespaces: as in :func:`~ia_modules.vector_stores.migration.run.migrate`, like all that follow.
        checkpoint: file that says how far the migration is.
        resume: whether to go on where it says.
        second_pass: whether to look for what was written meanwhile.
        rejects: file that gets all that did not arrive.
        progress: called after every page.
        **source_options: further arguments of :class:`~ia_modules.vector_stores.migration.sql.SqlSource`, such as
            ``vector_format``.

    Returns:
        What became of it: rows that can't be read, and documents that the store can't hold, are told with key and
        cause.

    Raises:
        MissingDependencyError: SQLAlchemy, or the driver of the database, is not installed.
        InvalidDimensionError: the index has vectors of another size.
        ValueError: a table or column that is not there or can't be found, or an argument that makes no sense.
        VectorStoreError: the database or the store failed. What was written stays, and ``resume=True`` goes on.
    """
    from ia_modules.vector_stores.migration.sql import SqlSource  # SQLAlchemy is optional

    named = dict(columns or {})
    if unknown := sorted(named.keys() - set(_COLUMNS)):
        raise ValueError(f"columns can name {', '.join(_COLUMNS)}, not {', '.join(unknown)}")
    options: dict[str, Any] = {f"{name}_column": column for name, column in named.items()}
    source = SqlSource(source_db, table=table, **options, **source_options)
    return await migrate(
        source,
        StoreTarget(target_store, metric=metric),
        namespaces=namespaces,
        batch_size=batch_size,
        checkpoint=checkpoint,
        resume=resume,
        second_pass=second_pass,
        rejects=rejects,
        progress=progress,
    )
