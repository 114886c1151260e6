"""Migration: into, between and out of vector databases, resumed where it was interrupted, and verified.

Names are loaded when they are first used; SQL, Parquet and plots need the packages of the extra ``migration``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ia_modules.vector_stores.migration.embeddings import migrate_embeddings
    from ia_modules.vector_stores.migration.jsonl import JsonLinesSource, JsonLinesTarget
    from ia_modules.vector_stores.migration.parquet import ParquetSource, ParquetTarget
    from ia_modules.vector_stores.migration.planning import Plan, plan
    from ia_modules.vector_stores.migration.progress import Progress
    from ia_modules.vector_stores.migration.records import (
        CorrectableTarget,
        Page,
        Source,
        SourceInfo,
        Target,
        Unreadable,
    )
    from ia_modules.vector_stores.migration.reembedding import ReembedReport, reembed
    from ia_modules.vector_stores.migration.report import MigrationReport, NamespaceReport
    from ia_modules.vector_stores.migration.run import migrate
    from ia_modules.vector_stores.migration.sql import SqlSource
    from ia_modules.vector_stores.migration.stores import StoreSource, StoreTarget
    from ia_modules.vector_stores.migration.verification import VerificationReport, verify

# A module with the name of a function here would take its place as soon as it is imported.
_HOME = {
    "CorrectableTarget": "records",
    "JsonLinesSource": "jsonl",
    "JsonLinesTarget": "jsonl",
    "MigrationReport": "report",
    "NamespaceReport": "report",
    "Page": "records",
    "ParquetSource": "parquet",
    "ParquetTarget": "parquet",
    "Plan": "planning",
    "Progress": "progress",
    "ReembedReport": "reembedding",
    "Source": "records",
    "SourceInfo": "records",
    "SqlSource": "sql",
    "StoreSource": "stores",
    "StoreTarget": "stores",
    "Target": "records",
    "Unreadable": "records",
    "VerificationReport": "verification",
    "migrate": "run",
    "migrate_embeddings": "embeddings",
    "plan": "planning",
    "reembed": "reembedding",
    "verify": "verification",
}

__all__ = [
    "CorrectableTarget",
    "JsonLinesSource",
    "JsonLinesTarget",
    "MigrationReport",
    "NamespaceReport",
    "Page",
    "ParquetSource",
    "ParquetTarget",
    "Plan",
    "Progress",
    "ReembedReport",
    "Source",
    "SourceInfo",
    "SqlSource",
    "StoreSource",
    "StoreTarget",
    "Target",
    "Unreadable",
    "VerificationReport",
    "migrate",
    "migrate_embeddings",
    "plan",
    "reembed",
    "verify",
]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
