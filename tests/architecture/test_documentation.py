"""What the documentation says must be so."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from ia_modules.vector_stores.testing import CASES, RULES

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def test_capability_table_is_that_of_the_providers() -> None:
    table = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "capability_table.py")], capture_output=True, text=True, check=True
    ).stdout
    _, _, rest = README.partition("<!-- capabilities: start -->\n")
    shown, end, _ = rest.partition("<!-- capabilities: end -->")
    assert end
    assert shown == table, "run `make docs`"


def test_the_example_prints_what_is_shown(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    _, _, rest = README.partition(code)
    shown = re.findall(r"```text\n(.*?)```", rest, re.DOTALL)[0]
    assert "/tmp/vectors" in code
    program = code.replace("/tmp/vectors", str(tmp_path / "vectors"))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert (done.stdout, done.stderr, done.returncode) == (shown, "", 0)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", page.read_text())
    for target in targets:
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_every_decision_is_listed() -> None:
    listed = (ROOT / "docs" / "decisions" / "README.md").read_text()
    for page in (ROOT / "docs" / "decisions").glob("[0-9]*.md"):
        assert f"({page.name})" in listed


def test_commands_that_are_named_exist() -> None:
    from ia_modules.vector_stores.cli.app import app

    known = set(get_command(app).commands)  # type: ignore[attr-defined]
    named = set(re.findall(r"ia-vectors ([a-z]+)", README))
    assert named
    assert named <= known
    goals = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    texts = README + (ROOT / "CONTRIBUTING.md").read_text()
    assert set(re.findall(r"`?make ([a-z-]+)\b(?=`|    )", texts)) <= goals


def test_conformance_page_is_of_this_kit() -> None:
    page = (ROOT / "docs" / "conformance.md").read_text()
    assert f"{len(CASES)} cases of {len(RULES)} rules, with 2,000 random filters and 200 random programs" in page
    rows = re.findall(r"^\| (\d\.\d+) \| (.*?) \| (.*) \|$", page, re.MULTILINE)
    assert [(number, text) for number, text, _ in rows] == [(rule.id, rule.text) for rule in RULES.values()], (
        "run `make conformance-page`"
    )
    assert {mark for _, _, marks in rows for mark in marks.split(" | ")} <= {"holds", "refused", "not run"}
