"""``scripts/audit.py``: what fails, what passes, and that nothing passes unseen."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture
def audit() -> ModuleType:
    path = Path(__file__).parents[2] / "scripts" / "audit.py"
    spec = importlib.util.spec_from_file_location("audit", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FINE = {"name": "fine", "version": "1", "vulns": []}
SKIPPED = {"name": "unheard", "skip_reason": "Dependency not found on PyPI and could not be audited: unheard (1)"}
OURS = {"name": "ours", "skip_reason": "distribution marked as editable"}
BAD = {
    "name": "bad",
    "version": "1.0",
    "vulns": [{"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["1.1"], "description": ""}],
}


def report(*packages: dict[str, Any]) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


def test_a_finding_fails_and_names_the_fix(audit: ModuleType) -> None:
    code, message = audit.judged(report(FINE, BAD), "")
    assert code == audit.FOUND
    assert "VULNERABLE  bad 1.0: PYSEC-1, fixed in 1.1" in message
    assert "2 packages audited" in message


def test_nothing_found_passes_and_says_what_was_not_asked(audit: ModuleType) -> None:
    code, message = audit.judged(report(FINE, SKIPPED, OURS), "")
    assert code == 0
    assert "not known to the list, so not audited: unheard\n" in message


@pytest.mark.parametrize("name", ["PYSEC-1", "CVE-1"])
def test_a_finding_with_a_reason_passes(audit: ModuleType, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(audit, "IGNORED", {name: "not reachable from here", "PYSEC-2": "old"})
    code, message = audit.judged(report(BAD), "")
    assert code == 0
    assert "(not reachable from here)" in message
    assert "no longer found, take it out of IGNORED: PYSEC-2" in message


def test_an_index_that_knows_nothing_is_no_audit(audit: ModuleType) -> None:
    code, message = audit.judged(report(SKIPPED, OURS), "")
    assert code == audit.NOT_ASKED
    assert message.startswith("NOT AUDITED: the package index has no list of vulnerabilities (1 packages)")


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        ("ERROR:pip_audit._cli:Could not connect to PyPI's vulnerability feed", "NOT_ASKED"),
        ("requests.exceptions.ReadTimeout: Read timed out.", "NOT_ASKED"),
        ("No module named pip_audit", "BROKEN"),
        ("", "BROKEN"),
    ],
)
def test_no_report_at_all(audit: ModuleType, errors: str, expected: str) -> None:
    code, message = audit.judged("", errors)
    assert code == getattr(audit, expected)
    assert (errors or "nothing") in message


@pytest.mark.parametrize(("arguments", "code"), [([], 0), (["--require"], 3)])
def test_offline_passes_unless_told_otherwise(
    audit: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
) -> None:
    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        assert "pip_audit" in command
        return subprocess.CompletedProcess(command, 1, "", "Could not connect to the feed")

    monkeypatch.setattr(subprocess, "run", run)
    assert audit.main(arguments) == code
    assert "NOT AUDITED" in capsys.readouterr().out
