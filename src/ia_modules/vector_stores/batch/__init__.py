"""Writing any number of documents, and many searches, several at a time."""

from __future__ import annotations

from ia_modules.vector_stores.batch.dead_letters import read_dead_letters
from ia_modules.vector_stores.batch.processor import BatchProcessor
from ia_modules.vector_stores.batch.progress import ProgressCallback, rich_progress
from ia_modules.vector_stores.batch.report import BatchFailure, BatchResult

__all__ = [
    "BatchFailure",
    "BatchProcessor",
    "BatchResult",
    "ProgressCallback",
    "read_dead_letters",
    "rich_progress",
]
