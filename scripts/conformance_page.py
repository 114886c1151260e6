"""``docs/conformance.md``: the kit's findings on every provider that can run here.

``python scripts/conformance_page.py`` runs the kit (some twenty-five minutes) and writes the page. Tests compare its
rules with those of the kit. A Qdrant server takes part if ``QDRANT_URL`` says where it is (its gRPC port is the one
after), a Weaviate server if ``WEAVIATE_URL`` does (with ``WEAVIATE_GRPC_URL`` if gRPC is not on port 50051 there). What
the page says of stores that do not take part is kept, with the versions that it was found with.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ia_modules.vector_stores import VectorStoreConfig
from ia_modules.vector_stores.emulator.pinecone import serving
from ia_modules.vector_stores.testing import CASES, RULES, ConformanceTarget, Outcome, Report, Scale, run_conformance
from ia_modules.vector_stores.testing.rules import SECTIONS

QDRANT_URL = os.environ.get("QDRANT_URL")
WEAVIATE_URL = os.environ.get("WEAVIATE_URL")
PAGE = Path(__file__).resolve().parent.parent / "docs" / "conformance.md"
_MARKS = {"holds": "holds", "gap": "refused", "fails": "**fails**"}


@contextmanager
def chroma_server(folder: str) -> Iterator[int]:
    """A Chroma server on a loopback port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    command = [str(Path(sys.executable).with_name("chroma")), "run", "--path", folder, "--host", "127.0.0.1"]
    with (Path(folder) / "server.log").open("wb") as log:
        process = subprocess.Popen([*command, "--port", str(port)], stdout=log, stderr=subprocess.STDOUT)
        try:
            for _ in range(300):
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v2/heartbeat", timeout=2):
                        break
                except (urllib.error.URLError, ConnectionError, TimeoutError):
                    time.sleep(0.1)
            yield port
        finally:
            process.terminate()
            process.wait(timeout=10)


@contextmanager
def targets() -> Iterator[dict[str, ConformanceTarget]]:
    """Every store that can run here, by the title of its column."""
    with (
        tempfile.TemporaryDirectory() as folder,
        tempfile.TemporaryDirectory() as served,
        tempfile.TemporaryDirectory() as local,
        chroma_server(served) as port,
        serving() as pinecone,
    ):
        configs = {
            "memory": VectorStoreConfig(provider="memory", path="kit", index_name="kit"),
            "chroma, in a folder": VectorStoreConfig(provider="chroma", path=folder, index_name="kit"),
            "chroma, server": VectorStoreConfig(provider="chroma", host="127.0.0.1", port=port, index_name="kit"),
            "qdrant, in memory": VectorStoreConfig(provider="qdrant", path=":memory:kit", index_name="kit"),
            "qdrant, in a folder": VectorStoreConfig(provider="qdrant", path=local, index_name="kit"),
        }
        if QDRANT_URL:
            rpc = {"grpc": True, "grpc_port": 1 + (urlsplit(QDRANT_URL).port or 6333)}
            configs |= {
                "qdrant, REST": VectorStoreConfig(provider="qdrant", host=QDRANT_URL, index_name="kit"),
                "qdrant, gRPC": VectorStoreConfig(provider="qdrant", host=QDRANT_URL, index_name="kit", options=rpc),
            }
        if WEAVIATE_URL:
            host, _, port = os.environ.get("WEAVIATE_GRPC_URL", "").rpartition("://")[2].partition(":")
            rpc = {"grpc_host": host, "grpc_port": int(port or 50051)} if host else {}
            weaviate = VectorStoreConfig(provider="weaviate", host=WEAVIATE_URL, index_name="kit", options=rpc)
            configs["weaviate, server"] = weaviate
        configs["pinecone, emulator"] = VectorStoreConfig(provider="pinecone", host=pinecone.url, index_name="kit")
        yield {title: ConformanceTarget(config) for title, config in configs.items()}


@dataclass
class Kept:
    """What the page says of stores that can't run here now, to be said again."""

    marks: dict[str, dict[str, str]]
    """By title and rule."""
    refused: dict[str, str]
    note: list[str]

    @classmethod
    def of(cls, text: str, reports: Collection[str]) -> Kept:
        """From the page as it is, for the columns that are not among the new reports."""
        kept = cls({}, {}, [])
        titles: list[str] = []
        for line in text.splitlines():
            cells = [cell.strip() for cell in line.split("|")[1:-1]]
            if line.startswith("| rule |"):
                titles = cells[2:]
            elif re.match(r"\| \d", line):
                for title, mark in zip(titles, cells[-len(titles) :], strict=True):
                    if title not in reports:
                        kept.marks.setdefault(title, {})[cells[0]] = mark
            elif (found := re.match(r"- ([^:]+): ", line)) and found[1] in kept.marks:
                kept.refused[found[1]] = line[found.end() :]
        named: set[str] = set()
        for line in text.splitlines():
            if line.startswith("- Earlier"):
                how, _, those = line.rpartition(": ")
                if still := [title for title in those.split("; ") if title in kept.marks]:
                    kept.note.append(f"{how}: {'; '.join(still)}")
                    named.update(still)
        if missing := [title for title in kept.marks if title not in named]:
            kept.note.insert(0, _earlier(text, missing))
        return kept


def _earlier(text: str, titles: Sequence[str]) -> str:
    cases, versions = re.findall(r"^- (\d+ cases.*|Python.*)$", text, re.MULTILINE)[:2]
    return f"- Earlier, with {cases}, {versions}: {'; '.join(titles)}"


def page(reports: dict[str, Report], scale: Scale, kept: Kept) -> str:
    """The page in Markdown."""
    versions = {name: number for report in reports.values() for name, number in report.versions.items()}
    number_of_cases = f"{len(CASES)} cases of {len(RULES)} rules"
    generated = f"{scale.filters:,} random filters and {scale.programs} random programs of calls for each store"
    packages = ", ".join(f"{name} {number}" for name, number in versions.items())
    if QDRANT_URL:
        with urllib.request.urlopen(QDRANT_URL, timeout=10) as answer:
            packages += f", Qdrant server {json.load(answer)['version']}"
    if WEAVIATE_URL:
        with urllib.request.urlopen(f"{WEAVIATE_URL}/v1/meta", timeout=10) as answer:
            packages += f", Weaviate server {json.load(answer)['version']}"
    today = datetime.datetime.now(tz=datetime.UTC).date()
    lines = [
        "# Conformance",
        "",
        "What the conformance kit found, rule by rule; the rules are those of [semantics.md](semantics.md). Written by",
        "`make conformance-page`; `ia-vectors conformance --store URL` says the same of any store.",
        "",
        f"- {number_of_cases}, with {generated}",
        f"- Python {platform.python_version()}, {packages}; {today}",
        *kept.note,
        "- *holds*: every case passes. *refused*: the provider declares that it can't do a part of it, and refuses it",
        "  with the right error. *fails*: neither. *not run*: the rule is younger than the run.",
        "",
    ]
    for number, title in SECTIONS.items():
        lines += [
            f"## {number}. {title}",
            "",
            f"| rule | | {' | '.join([*reports, *kept.marks])} |",
            "| --- " * (2 + len(reports) + len(kept.marks)) + "|",
        ]
        for rule in RULES.values():
            if rule.section == number:
                marks = [_MARKS[one.verdict] for report in reports.values() for one in report.rules if one.rule == rule]
                marks += [found.get(rule.id, "not run") for found in kept.marks.values()]
                lines.append(f"| {rule.id} | {rule.text} | {' | '.join(marks)} |")
        lines.append("")
    lines += ["## What is refused", ""]
    for title, report in reports.items():
        gaps = dict.fromkeys(gap for one in report.rules for gap in one.gaps)
        lines.append(f"- {title}: {'; '.join(gaps) or 'nothing'}")
    lines += [f"- {title}: {what}" for title, what in kept.refused.items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the kit everywhere and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", metavar="TITLE", help="the store of this column; may be repeated")
    only = parser.parse_args().only
    scale = Scale().times(float(os.environ.get("IA_CONFORMANCE_SCALE", "1")))

    def progress(outcome: Outcome) -> None:
        if outcome.verdict == "fails":
            print(f"{outcome.case.name}: {outcome.message}")

    reports = {}
    with targets() as all_targets:
        for title, target in all_targets.items():
            if only and title not in only:
                continue
            print(f"{title} ...", flush=True)
            reports[title] = Report.of(target, run_conformance(target, CASES, scale=scale, progress=progress))
    PAGE.write_text(page(reports, scale, Kept.of(PAGE.read_text(), reports)))
    if not all(report.conforms for report in reports.values()):
        sys.exit("some cases fail")


if __name__ == "__main__":
    main()
