"""The service's limits, as documented; bytes and counts.

Where the documents are silent or disagree, the comment says so.
"""

from __future__ import annotations

__all__: list[str] = []

UPSERT_RECORDS = 1_000
REQUEST_BYTES = 2 * 1024 * 1024
DOCUMENT_BYTES = 2 * 1024 * 1024
SCORE_CLAUSES = 100
RESULT_BYTES = 4 * 1024 * 1024
URL_BYTES = 16 * 1024  # not documented: what HTTP servers commonly allow

ID_LENGTH = 512
NAMESPACE_LENGTH = 512
INDEX_NAME_LENGTH = 45
FIELD_NAME_BYTES = 64

DIMENSION = 20_000
SPARSE_VALUES = 2_048  # older documents say 1,000
METADATA_BYTES = 40_960
FILTER_DEPTH = 64  # not documented: keeps the reader of filters from running out of stack

TOP_K = 10_000
FETCH_IDS = 1_000
DELETE_IDS = 1_000
LIST_LIMIT = 100
FETCH_BY_METADATA_LIMIT = 10_000
FETCH_BY_METADATA_DEFAULT = 100
NAMESPACES_LIMIT = 100

TAGS = 20
TAG_KEY_LENGTH = 80
TAG_VALUE_LENGTH = 120
TEXT_FIELDS = 100
