"""The README's table of what each provider can do, made from the providers' own declarations.

``python scripts/capability_table.py`` prints it; ``--write`` puts it into the README; a test compares the two.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from ia_modules.vector_stores.capabilities import Capabilities
from ia_modules.vector_stores.config import VectorStoreConfig
from ia_modules.vector_stores.factory import provider_class
from ia_modules.vector_stores.filters import OPERATORS
from ia_modules.vector_stores.metrics import DistanceMetric

README = Path(__file__).resolve().parent.parent / "README.md"
START, END = "<!-- capabilities: start -->\n", "<!-- capabilities: end -->\n"
PROVIDERS = ("memory", "chroma", "qdrant", "weaviate", "pinecone")


def _runs(c: Capabilities) -> str:
    return " or ".join(word for word, yes in (("in this process", c.embedded), ("on a server", c.remote)) if yes)


def _metrics(c: Capabilities) -> str:
    return ", ".join(metric.value for metric in DistanceMetric if metric in c.metrics)


def _limit(value: int | None) -> str:
    return "none" if value is None else f"{value:,}"


def _native(c: Capabilities) -> str:
    checked = sorted(operator for operator, support in c.filters.items() if support == "checked")
    refused = sorted(c.refused_operators)
    text = "all" if not refused else f"all but {', '.join(refused)}"
    return f"{text}; {', '.join(checked)} checked on our side where needed" if checked else f"{text} by the provider"


def _lengths(c: Capabilities) -> str:
    return "any" if c.vector_lengths is None else "{:g} to {:g}".format(*c.vector_lengths)


def _processes(c: Capabilities) -> str:
    if not c.embedded:
        return "there is none"
    if c.shared_by_processes:
        return "yes"
    return "no, the second is refused" if c.persistent else "each has its own"


ROWS: list[tuple[str, Callable[[Capabilities], str]]] = [
    ("runs", _runs),
    ("outlives the process", lambda c: "yes" if c.persistent else "no"),
    ("metrics", _metrics),
    (f"the {len(OPERATORS)} filter operators", _native),
    ("unfiltered search", lambda c: "exact" if c.exact_search else "approximate"),
    ("hybrid search finds words by", lambda c: {"index": "an index", "scan": "reading all texts"}[c.text_search]),
    ("several searches in one request", lambda c: "yes" if c.batch_search else "no"),
    ("limit of `top_k`", lambda c: _limit(c.max_top_k)),
    ("documents per request (more are split)", lambda c: _limit(c.max_batch_size)),
    ("batches of an upsert at a time", lambda c: str(c.parallel_batches)),
    ("zero vectors", lambda c: "yes; score 0 under cosine" if c.zero_vectors else "refused"),
    ("lengths of other vectors", _lengths),
    ("bytes of metadata and text per document", lambda c: _limit(c.max_document_bytes)),
    ("`delete` counts what is gone", lambda c: "yes" if c.deletes_counted else "no, it says None"),
    ("one embedded index in several processes", _processes),
]


def _capabilities(name: str) -> tuple[Capabilities, Capabilities]:
    """What a provider can do in this process, and on a server."""
    kind = provider_class(name)
    own = kind(VectorStoreConfig(provider=name, index_name="example")).capabilities
    if not own.remote:
        return own, own
    return own, kind(VectorStoreConfig(provider=name, index_name="example", host="localhost")).capabilities


def _both(cell: Callable[[Capabilities], str], own: Capabilities, remote: Capabilities) -> str:
    here, there = cell(own), cell(remote)
    return here if here == there or cell is _processes else f"{here}; on a server {there}"


def table() -> str:
    """The table in Markdown."""
    capabilities = [_capabilities(name) for name in PROVIDERS]
    lines = [
        "| | " + " | ".join(f"`{own.provider}`" for own, _ in capabilities) + " |",
        "| --- |" + " --- |" * len(capabilities),
    ]
    for title, cell in ROWS:
        lines.append(f"| {title} | " + " | ".join(_both(cell, *pair) for pair in capabilities) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print the table, or write it."""
    if "--write" not in sys.argv[1:]:
        print(table(), end="")
        return
    before, start, rest = README.read_text().partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        sys.exit(f"{README.name} lacks the lines {START.strip()} and {END.strip()}")
    README.write_text(f"{before}{START}{table()}{END}{after}")


if __name__ == "__main__":
    main()
