"""What is fuzzed: each target takes any bytes, and may raise nothing but the errors that are documented.

``python tests/fuzz/fuzz_where.py -max_total_time=30`` runs one with atheris; ``test_fuzz.py`` runs all of them with
hypothesis, on what is in ``corpus``, and with atheris for a moment.
"""

from __future__ import annotations

import copy
import json
import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path

from ia_modules.vector_stores import VectorStoreConfig
from ia_modules.vector_stores.filters import And, Node, from_json, matches, normalize, parse_where, to_json, to_where
from ia_modules.vector_stores.filters.compilers import COMPILERS, compiler_for
from ia_modules.vector_stores.ingest.tables import load_jsonl
from ia_modules.vector_stores.ingest.types import IngestIssue, LoadOptions, Section, SourceFile

__all__ = ["CORPUS", "TARGETS"]

CORPUS = Path(__file__).parent / "corpus"
DOCUMENTS = [{}, {"a": 1, "b": "x", "c": [1, "x", True], "d": {"e": None, "f": 2.5}, "d.e": "2020-01-01"}]
_folder = tempfile.TemporaryDirectory(prefix="fuzz-")
_file = Path(_folder.name) / "records.jsonl"


def where(data: bytes) -> None:
    """A filter as text: read, or a ``ValueError``; what is read can be written, read again, and compiled."""
    text = data.decode("utf-8", "surrogateescape")
    try:
        node = parse_where(text)
    except ValueError:
        return
    use(node)
    written = to_where(node)
    if len(written) <= 65_536:
        again = parse_where(written)
        assert [matches(again, one) for one in DOCUMENTS] == [matches(node, one) for one in DOCUMENTS]


def filter_json(data: bytes) -> None:
    """A filter as JSON: read, or a ``ValueError``; what is read is written as it was."""
    try:
        obj = json.loads(data)
    except (ValueError, RecursionError):
        return
    try:
        node = from_json(obj)
    except ValueError:
        return
    use(node)
    try:
        written = to_json(node)
    except ValueError as error:
        if "infinity" in str(error):
            return
        raise
    assert from_json(json.loads(json.dumps(written))) == node


def use(node: Node) -> None:
    """All that is done with a filter."""
    normal = normalize(node)
    for document in DOCUMENTS:
        assert matches(normal, document) == matches(node, document)
        assert matches(normalize(~normal & And(())), document) != matches(node, document)
    for name in COMPILERS:
        compiled = compiler_for(name).compile(node)
        json.dumps(compiled.native, allow_nan=False).encode()
    assert pickle.loads(pickle.dumps(node)) == copy.deepcopy(node) == node
    assert hash(node) == hash(copy.deepcopy(node))


def url(data: bytes) -> None:
    """A store URL: read, or a ``ValueError`` without the key; what is read makes a URL that reads the same."""
    text = data.decode("utf-8", "surrogateescape")
    key = "sk-very-secret-token"
    try:
        config = VectorStoreConfig.from_url(text, api_key=key)
    except ValueError as error:
        if key in str(error):
            raise RuntimeError("the key is in the message") from error
        return
    assert key not in repr(config) + str(config) + config.model_dump_json()
    written = config.to_url()
    assert key not in written
    again = VectorStoreConfig.from_url(written, api_key=key)
    assert again == config, (text, written)


def jsonl(data: bytes) -> None:
    """JSON lines: every line is a section or an issue, and nothing is raised."""
    _file.write_bytes(data)
    options = LoadOptions(max_file_bytes=4096)
    for found in load_jsonl(SourceFile(_file, "records.jsonl", "jsonl"), options):
        assert isinstance(found, Section | IngestIssue)
        if isinstance(found, Section):
            assert found.text.strip()
        else:
            assert len(str(found)) < 500


TARGETS: dict[str, Callable[[bytes], None]] = {"where": where, "filter_json": filter_json, "url": url, "jsonl": jsonl}
