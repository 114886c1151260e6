"""Ingestion: folders and files of many kinds into a vector store, repeatable and interruptible.

``await ingest(store, embedder, ["docs"])`` is all of it. Importing this package reads no file and imports no parser.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ia_modules.vector_stores.ingest.run import IngestStore, ingest
    from ia_modules.vector_stores.ingest.types import (
        IngestIssue,
        IngestProgress,
        IngestReport,
        LoadOptions,
        Passage,
        SourceFile,
    )

__all__ = [
    "IngestIssue",
    "IngestProgress",
    "IngestReport",
    "IngestStore",
    "LoadOptions",
    "Passage",
    "SourceFile",
    "ingest",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "run" if name in ("IngestStore", "ingest") else "types"
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)
