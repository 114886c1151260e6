"""One table from the kind of a file to the function that reads it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator

from ia_modules.vector_stores.errors import MissingDependencyError
from ia_modules.vector_stores.ingest.types import IngestIssue, LoadOptions, Section, SourceFile

__all__ = ["load"]

Loader = Callable[[SourceFile, LoadOptions], Iterator[Section | IngestIssue]]

_LOADERS = {
    "markdown": "markup:load_markdown",
    "text": "markup:load_text",
    "rst": "markup:load_rst",
    "html": "markup:load_html",
    "python": "python_source:load_python",
    "jsonl": "tables:load_jsonl",
    "csv": "tables:load_csv",
    "parquet": "tables:load_parquet",
}


def load(file: SourceFile, options: LoadOptions) -> Iterator[Section | IngestIssue]:
    """Read a file; what can't be read becomes an issue, never an exception.

    A package that is missing for one kind of file is such an issue too: the other files are still read.
    """
    module, _, name = _LOADERS[file.kind].partition(":")
    loader: Loader = getattr(importlib.import_module(f"ia_modules.vector_stores.ingest.{module}"), name)
    try:
        yield from loader(file, options)
    except OSError as error:
        yield IngestIssue(file.source, None, f"the file can't be read: {error.strerror or error}")
    except MissingDependencyError as error:
        yield IngestIssue(file.source, None, error.message)
