"""Embeddings out of SQL databases: SQLite, PostgreSQL (with or without pgvector), MySQL and MariaDB.

A table and its columns are found by inspection or named; every row becomes a document or is reported as unreadable
with its key and the cause; rows are read in the order of a unique key, each page by a query of its own.
"""

from ia_modules.vector_stores.migration.sql.source import SqlSource

__all__ = ["SqlSource"]
