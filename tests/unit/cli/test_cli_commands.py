from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ia_modules.vector_stores.cli.app import app

pytest.importorskip("chromadb")


class Shell:
    """Runs ``ia-vectors`` in this process, against one store in a temporary folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"chroma://{folder}/db/articles"
        self.runner = CliRunner(env={"IA_VECTORS_STORE": self.url})

    def __call__(self, line: str, *more: str, **options: Any) -> Result:
        return self.runner.invoke(app, [*shlex.split(line), *more], **options)

    def json(self, line: str, *more: str) -> Any:
        result = self(line, *more, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(tmp_path)
    for name in ("IA_VECTORS_STORE", "IA_VECTORS_EMBEDDER", "IA_VECTORS_CACHE"):
        monkeypatch.delenv(name, raising=False)
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "cats.md").write_text("# Cats\n\nA kitten sleeps on the sofa.")
    (docs / "money.md").write_text("# Money\n\nThe bank raised its interest rate.")
    rows = [
        {"id": "old", "text": "An automobile from the museum", "year": 1950, "lang": "en"},
        {"id": "new", "text": "Ein neues Auto", "year": 2024, "lang": "de"},
    ]
    (tmp_path / "cars.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return Shell(tmp_path)


def test_the_whole_way(shell: Shell) -> None:
    first = shell("ingest docs cars.jsonl")
    assert first.exit_code == 0, first.output
    assert "created the index 'articles': 256 dimensions, cosine, wordllama/l2_supercat-256" in first.stderr
    assert first.stdout.startswith("3 files, 4 passages: 4 added")

    report = shell.json("ingest docs cars.jsonl")
    assert (report["added"], report["unchanged"], report["embedded"]) == (0, 4, 0)

    found = shell.json("search 'a young cat' -k 2")
    assert found["query"] == "a young cat"
    assert found["embedding_model"] == "wordllama/l2_supercat-256"
    assert found["total"] == 2
    assert found["results"][0]["id"] == "docs/cats.md#1"
    assert "vector" not in found["results"][0]
    assert found["query_time_ms"] > 0
    shown = shell("search 'a young cat' -k 1").stdout
    assert "docs/cats.md#1" in shown
    assert "A kitten sleeps on the sofa." in shown

    filtered = shell.json("search car", "--where", 'year >= 2020 and lang in ["de"]')
    assert [result["id"] for result in filtered["results"]] == ["new"]

    documents = shell.json("fetch new old")
    assert [document["id"] for document in documents] == ["new", "old"]
    assert documents[0]["metadata"]["year"] == 2024
    assert "vector" not in documents[0]
    assert len(shell.json("fetch new --vectors")[0]["vector"]) == 256
    assert "year: 1950" in shell("fetch old").stdout

    stats = shell.json("stats")
    assert stats["total_vectors"] == 4
    assert stats["dimension"] == 256
    assert stats["embedding_model"] == "wordllama/l2_supercat-256"
    assert "total_vectors" in shell("stats").stdout

    assert shell.json("namespaces") == [""]
    assert shell("namespaces").stdout == '""\n'
    assert shell.json("delete old") == {"deleted": 1, "namespace": ""}
    assert shell("delete", "--where", "year == 2024").stdout == "deleted 1\n"
    assert shell.json("delete --all --yes")["deleted"] == 2
    assert shell.json("namespaces") == []


def test_namespaces_are_kept_apart(shell: Shell) -> None:
    assert shell("ingest docs -n one").exit_code == 0
    assert shell("ingest cars.jsonl -n two").exit_code == 0
    assert shell.json("namespaces") == ["one", "two"]
    assert [result["id"] for result in shell.json("search cat -n two")["results"]] != []
    assert {result["id"] for result in shell.json("search cat -n two")["results"]} == {"old", "new"}
    assert shell("search cat").exit_code == 4


def test_input_that_cannot_be_read_is_listed_and_the_rest_is_there(shell: Shell) -> None:
    with (shell.folder / "cars.jsonl").open("a") as stream:
        stream.write('\n{"text": "broken\n{"text": "after the break", "id": "after"}')
    result = shell("ingest cars.jsonl")
    assert result.exit_code == 3
    assert "cars.jsonl:3: not valid JSON" in result.stderr
    assert "cars.jsonl" not in result.stdout
    assert shell("fetch after").exit_code == 0
    asked = shell("ingest cars.jsonl --json")
    assert asked.exit_code == 3
    assert json.loads(asked.stdout)["errors"][0]["line"] == 3


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ingest nowhere", "error: no such file or folder: nowhere"),
        ("ingest docs --max-chars 3", "max-chars"),
        ("ingest docs --encoding klingon", "error: unknown encoding 'klingon'"),
        ("ingest docs --embedder word2vec", "error: unknown embedder 'word2vec'"),
        ("ingest docs --store nodb://x/y", "error: unknown provider 'nodb'; known: "),
        ("ingest docs --store nonsense", "error: a store URL looks like"),
        ("ingest docs --store 'memory:///x?dimension=many'", "error: dimension: "),
        ("ingest docs --store 'memory:///x?embedding_model=other'", "error: the store asks for the model 'other'"),
        ("search ' '", "error: the question is blank"),
        ("search cat -k 0", "top-k"),
        ("delete", "error: give ids, or --where, or --all"),
        ("delete a --all", "error: give ids, or --where, or --all"),
        ("delete --all", "error: --all needs --yes where nobody can be asked"),
        ("fetch", "Missing argument"),
        ("frobnicate", "No such command"),
    ],
)
def test_wrong_usage_is_told_in_a_line(shell: Shell, line: str, message: str) -> None:
    result = shell(line)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert result.stdout == ""
    assert "Traceback" not in result.output
    assert not (shell.folder / "db").exists()


def test_bad_where_points_at_the_place(shell: Shell) -> None:
    shell("ingest docs")
    result = shell("search cat", "--where", "year >=")
    assert result.exit_code == 2
    lines = result.stderr.splitlines()
    assert lines[0].startswith("error: ")
    assert lines[-1].strip() == "^"


def test_no_store_at_all(shell: Shell) -> None:
    shell.runner = CliRunner()
    result = shell("search cat")
    assert result.exit_code == 2
    assert "set IA_VECTORS_STORE" in result.stderr


def test_an_index_that_is_not_there(shell: Shell) -> None:
    result = shell("search cat")
    assert result.exit_code == 1
    assert "articles" in result.stderr
    assert "`ia-vectors ingest` creates it" in result.stderr


def test_another_model_is_refused_by_name_though_the_dimension_is_equal(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ia_modules.vector_stores.embedders import WordLlamaEmbedder

    assert shell("ingest docs").exit_code == 0
    monkeypatch.setattr(WordLlamaEmbedder, "model", property(lambda _: "wordllama/other-256"))
    for line in ("search cat", "ingest docs"):
        result = shell(line)
        assert result.exit_code == 1
        assert "wordllama/l2_supercat-256" in result.stderr
        assert "wordllama/other-256" in result.stderr


def test_missing_ids_are_named_and_the_others_shown(shell: Shell) -> None:
    shell("ingest cars.jsonl")
    result = shell("fetch old nothere --json")
    assert result.exit_code == 4
    assert [document["id"] for document in json.loads(result.stdout)] == ["old"]
    assert result.stderr == "not found: nothere\n"


def test_debug_shows_the_traceback(shell: Shell) -> None:
    assert "Traceback" not in shell("search cat").output
    assert "Traceback" in shell("--debug search cat").stderr


def test_embeddings_can_be_cached(shell: Shell) -> None:
    assert shell("ingest docs --cache cache.sqlite").exit_code == 0
    assert (shell.folder / "cache.sqlite").exists()


def test_doctor_tells_what_works(shell: Shell) -> None:
    shell("ingest docs")
    findings = shell.json("doctor")
    assert findings["packages"]["chromadb"]["version"]
    assert findings["packages"]["sentence-transformers"]["extra"] == "sentence-transformers"
    assert findings["providers"]["memory"]["exact_search"] is True
    assert findings["store"]["reachable"] is True
    assert findings["store"]["total_vectors"] == 2
    assert findings["embedder"] == {"model": "wordllama/l2_supercat-256", "dimension": 256, "error": None}
    shown = shell("doctor").stdout
    assert "What each provider can do" in shown
    assert "chromadb" in shown


def test_doctor_fails_where_the_store_does(shell: Shell) -> None:
    result = shell("doctor --json --store chroma://127.0.0.1:9/articles?max_retries=0")
    assert result.exit_code == 1
    findings = json.loads(result.stdout)
    assert findings["store"]["reachable"] is False
    assert findings["store"]["error"]


def test_help_names_every_command_and_the_exit_codes(shell: Shell) -> None:
    shown = shell("--help").output
    for word in ("ingest", "search", "fetch", "delete", "stats", "namespaces", "doctor", "demo", "130 interrupted"):
        assert word in " ".join(shown.split())
