"""``ia-vectors conformance``."""

from __future__ import annotations

import importlib.util
import json
from typing import Any

import pytest

from ia_modules.vector_stores import MemoryVectorStore
from ia_modules.vector_stores.cli import main
from ia_modules.vector_stores.requests import SearchRequest

STORE = ["--store", "memory://cli/kit"]


def test_rules_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conformance", *STORE, "--rule", "1.3", "--rule", "9"]) == 0
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert lines[0] == "memory  memory://cli/kit"
    assert [line.split()[:2] for line in lines if line[:1].isdigit() and "." in line[:3]] == [
        ["1.3", "holds"],
        ["9.1", "holds"],
        ["9.2", "holds"],
        ["9.3", "holds"],
        ["9.4", "holds"],
        ["9.5", "refused"],
    ]
    assert "documents end with the process, as declared" in shown.out
    assert lines[-1] == "11 cases of 6 rules: 5 hold, 1 refuse a part, as declared"
    assert "1.3-namespaces-come-and-go" in shown.err


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conformance", *STORE, "-r", "4.7", "--scale", "0.01", "--seed", "3", "--quiet", "--json"]) == 0
    shown = capsys.readouterr()
    report = json.loads(shown.out)
    assert shown.err == ""
    assert (report["provider"], report["conforms"], report["failures"]) == ("memory", True, 0)
    (rule,) = report["rules"]
    assert (rule["rule"], rule["verdict"]) == ("4.7", "holds")
    assert {case["name"] for case in rule["cases"]} >= {"4.7-algebra", "4.7-generated-filters"}


def test_a_broken_store(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    inner = MemoryVectorStore._search

    async def one_too_few(self: MemoryVectorStore, request: SearchRequest) -> Any:
        return (await inner(self, request))[:-1]

    monkeypatch.setattr(MemoryVectorStore, "_search", one_too_few)
    assert main(["conformance", *STORE, "-r", "5.3", "-q"]) == 1
    shown = capsys.readouterr().out
    assert "FAILS" in shown
    assert "5.3-up-to-top-k: top_k=1 with None: 0 results, expected 1" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([*STORE, "--rule", "4.99"], "no rule or section 4.99"),
        (["--store", "memory:///kit"], "memory://NAME/index"),
        (["--store", "nosuch://x/y"], "unknown provider 'nosuch'"),
        ([], "no store"),
    ],
)
def test_wrong_usage(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conformance", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_without_hypothesis(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "hypothesis" else find(name))
    assert main(["conformance", *STORE]) == 1
    assert 'pip install "ia-modules-vector-stores[testing]"' in capsys.readouterr().err
