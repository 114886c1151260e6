from __future__ import annotations

import json
import shlex
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ia_modules.vector_stores.cli.app import app

pytest.importorskip("chromadb")
pytest.importorskip("pyarrow")
pytest.importorskip("orjson")

ROWS = [
    {"id": "a", "vector": [0.6, 0.8], "text": "A cat.", "metadata": {"n": 3, "f": 3.0, "none": None}},
    {"id": "b", "vector": [1.0, 0.0], "metadata": {"tags": ["x"]}},
    {"id": "c", "namespace": "news", "vector": [0.0, 1.0], "text": ""},
]
READY = "complete: 3 read, 3 written"


class Shell:
    """Runs ``ia-vectors`` in this process, in a temporary folder that is the current one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runner = CliRunner()

    def __call__(self, line: str, **environment: str) -> Result:
        return self.runner.invoke(app, shlex.split(line.replace("DB", f"chroma://{self.folder}/db")), env=environment)

    def ok(self, line: str, **environment: str) -> Result:
        result = self(line, **environment)
        assert result.exit_code == 0, result.output
        return result

    def files(self) -> set[str]:
        return {one.name for one in self.folder.iterdir()}


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(tmp_path)
    for name in ("STORE", "FROM", "TO", "API_KEY", "FROM_API_KEY", "TO_API_KEY"):
        monkeypatch.delenv(f"IA_VECTORS_{name}", raising=False)
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return Shell(tmp_path)


def test_in_out_and_across(shell: Shell) -> None:
    first = shell.ok("import in.jsonl --store DB/one")
    assert first.stdout.startswith(READY)
    assert "the index 'one' does not exist and is created: 2 dimensions, metric cosine" in first.stderr
    assert '  "" -> "": 2\n  news -> news: 1\n' in first.stdout
    assert shell.ok("export out.parquet --store DB/one --verify").stdout.startswith(READY)
    moved = shell.ok("migrate --from out.parquet --to DB/two --verify --report report.html")
    assert "All 3 documents of the source are in the target as they are." in moved.stdout
    assert "the report is in report.html" in moved.stderr
    assert "</html>" in (shell.folder / "report.html").read_text()
    assert shell.ok("migrate --from DB/two --to back.jsonl").stdout.startswith(READY)
    assert "All 3" in shell.ok("verify --from in.jsonl --to DB/two --sample 2").stdout
    assert "All 3" in shell.ok("verify --from back.jsonl --to out.parquet").stdout
    read = [json.loads(line) for line in (shell.folder / "back.jsonl").read_text().splitlines()]
    assert {row["id"]: json.dumps(row["metadata"]) for row in read} == {
        row["id"]: json.dumps(row.get("metadata", {})) for row in ROWS
    }
    assert not [name for name in shell.files() if "migration" in name or "partial" in name]


def test_json_is_all_there_is_on_standard_output(shell: Shell) -> None:
    done = json.loads(shell.ok("migrate --from in.jsonl --to DB/one --verify --json").stdout)
    assert done["migration"]["complete"] is True
    assert done["migration"]["written"] == 3
    assert done["verification"]["ok"] is True
    assert json.loads(shell.ok("migrate --from in.jsonl --to DB/two --json").stdout)["verification"] is None
    planned = json.loads(shell.ok("migrate --from DB/one --to out.parquet --dry-run --json").stdout)
    assert (planned["documents"], planned["possible"]) == (3, True)
    assert json.loads(shell.ok("verify --from in.jsonl --to DB/one --json").stdout)["ok"] is True


def test_namespaces_are_chosen_and_renamed(shell: Shell) -> None:
    shell.ok("migrate --from in.jsonl --to DB/one -n news=old -n =new")
    assert json.loads(shell.ok("namespaces --store DB/one --json").stdout) == ["new", "old"]
    shell.ok("export out.jsonl --store DB/one -n old=a\\\\=b")
    assert json.loads((shell.folder / "out.jsonl").read_text())["namespace"] == "a=b"
    assert "All 1" in shell.ok("verify --from in.jsonl --to DB/one -n news=old").stdout
    wrong = shell("migrate --from in.jsonl --to DB/one -n nope")
    assert wrong.exit_code == 2
    assert "no namespace 'nope'; it has '', 'news'" in wrong.stderr
    assert shell("migrate --from in.jsonl --to DB/one -n news -n news=b").exit_code == 2


def test_what_else_the_target_holds_is_none_of_a_migration_s_affair(shell: Shell) -> None:
    shell.ok("import in.jsonl --store DB/one -n news=others")
    assert "All 3" in shell.ok("migrate --from in.jsonl --to DB/one --verify").stdout
    alone = shell("verify --from in.jsonl --to DB/one")
    assert alone.exit_code == 1
    assert "extra 1" in alone.stdout


def test_a_dry_run_changes_nothing(shell: Shell) -> None:
    before = shell.files()
    done = shell.ok("migrate --from in.jsonl --to DB/one --dry-run")
    assert "3 documents would go from in.jsonl to chroma:" in done.stdout
    assert "nothing was written" in done.stdout
    assert "about 0:0" in done.stdout
    assert "the index 'one' does not exist and is created" in done.stderr
    assert shell.files() - before <= {"db"}
    assert shell("stats --store DB/one").exit_code == 1
    (shell.folder / "out.parquet").touch()
    forbidden = shell("migrate --from in.jsonl --to out.parquet --dry-run")
    assert forbidden.exit_code == 1
    assert "problem: out.parquet exists; --overwrite replaces it" in forbidden.stderr
    with (shell.folder / "in.jsonl").open("a") as stream:
        stream.write("{broken\n")
    bad = shell("migrate --from in.jsonl --to DB/one --dry-run")
    assert bad.exit_code == 3
    assert "can't be read: line 4: not valid JSON" in bad.stderr


def test_what_did_not_arrive_is_told_and_fails(shell: Shell) -> None:
    with (shell.folder / "in.jsonl").open("a") as stream:
        stream.write('{broken\n{"id": "long", "vector": [1, 2, 3]}\n')
    done = shell("import in.jsonl --store DB/one --rejects rejects.jsonl")
    assert done.exit_code == 3
    assert done.stdout.startswith("NOT complete: 2 did not arrive, as told above: 4 read, 3 written")
    assert "not read: line 4: not valid JSON" in done.stderr
    assert "not stored: long: " in done.stderr
    assert len((shell.folder / "rejects.jsonl").read_text().splitlines()) == 2
    found = shell("verify --from in.jsonl --to DB/one")
    assert found.exit_code == 1
    assert "NOT OK" in found.stdout


def test_a_difference_fails_the_verification(shell: Shell) -> None:
    shell.ok("import in.jsonl --store DB/one")
    changed = [ROWS[0] | {"metadata": {"n": 3.0, "f": 3.0, "none": None}}, *ROWS[1:]]
    (shell.folder / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in changed))
    assert shell("verify --from in.jsonl --to DB/one").exit_code == 1
    shell.ok("export out.parquet --store DB/one")
    assert shell("verify --from in.jsonl --to out.parquet").exit_code == 1


def test_sql_tables_are_read(shell: Shell) -> None:
    with sqlite3.connect(shell.folder / "e.db") as database:
        database.execute("CREATE TABLE docs (key TEXT PRIMARY KEY, emb TEXT, body TEXT, year INTEGER, junk TEXT)")
        database.executemany(
            "INSERT INTO docs VALUES (?, ?, ?, ?, 'j')", [("a", "[1, 2]", "x", 1999), ("b", "[3, 4]", None, None)]
        )
    database.close()
    found = shell.ok(
        "migrate --from sqlite:///e.db --to DB/one --table docs --exclude-column junk --verify --vector-column emb"
    )
    assert "docs" in found.stderr
    read = json.loads(shell.ok("fetch a b --store DB/one --json").stdout)
    assert [one["metadata"] for one in read] == [{"year": 1999}, {"year": None}]
    wrong = shell("migrate --from sqlite:///e.db --to DB/two --table nothing")
    assert wrong.exit_code == 2
    assert "docs" in wrong.stderr


def test_columns_of_a_file_are_named(shell: Shell) -> None:
    row = {"key": 1, "emb": [1, 2], "body": "x", "tenant": "t", "junk": 1}
    (shell.folder / "in.jsonl").write_text(json.dumps(row))
    line = '--id-column key --vector-column emb --text-column "" --namespace-column tenant --exclude-column junk'
    shell.ok(f"import in.jsonl --store DB/one {line} --verify")
    (found,) = json.loads(shell.ok("fetch 1 --store DB/one -n t --json").stdout)
    assert (found["text"], found["metadata"]) == (None, {"body": "x"})


def test_files_are_replaced_only_if_that_is_said(shell: Shell) -> None:
    shell.ok("migrate --from in.jsonl --to out.parquet")
    refused = shell("migrate --from in.jsonl --to out.parquet")
    assert refused.exit_code == 2
    assert refused.stderr == "error: out.parquet exists; --overwrite replaces it\n"
    shell.ok("migrate --from in.jsonl --to out.parquet --overwrite")


def test_the_metric_of_a_new_index(shell: Shell) -> None:
    shell.ok("migrate --from in.jsonl --to DB/one --metric euclidean")
    shell.ok("export out.parquet --store DB/one")
    refused = shell("migrate --from out.parquet --to DB/two --metric cosine")
    assert refused.exit_code == 1
    assert "the source has the metric 'euclidean'" in refused.stderr
    assert "--change-metric" in refused.stderr
    shell.ok("migrate --from out.parquet --to DB/two --metric cosine --change-metric")


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("migrate --from in.csv --to DB/one", 2, "--from is neither a store URL, nor an SQL URL"),
        ("migrate --from in.jsonl --to nonsense", 2, "--to is neither"),
        ("migrate --from none.jsonl --to DB/one", 2, "no such file or folder: none.jsonl"),
        ("migrate --from none.parquet --to DB/one", 2, "no such file or folder: none.parquet"),
        ("import none.parquet --store DB/one", 2, "no such file or folder: none.parquet"),
        ("migrate --from in.jsonl --to sqlite:///x.db", 2, "an SQL database can be read, but not written to"),
        ("migrate --from in.jsonl --to there/out.parquet", 2, "no such file or folder: there"),
        ("migrate --from DB/none --to out.parquet", 1, "index 'none' does not exist"),
        ("migrate --from in.jsonl --to nodb://x/y", 2, "unknown provider 'nodb'"),
        ("migrate --from DB/one --to DB/one", 1, "index 'one' does not exist"),
        ("migrate --from in.jsonl --to 'DB/one?namespace=x'", 2, "those of --namespace"),
        ("migrate --from in.jsonl --to DB/one --table x", 2, "--from is a file, for which there is no --table"),
        ("migrate --from DB/one --to out.parquet --id-column x", 2, "is a store, for which there is no --id-column"),
        ("migrate --from in.jsonl --to out.parquet --metric cosine", 2, "--metric and --change-metric are for stores"),
        ("migrate --from in.jsonl --to DB/one --overwrite", 2, "--overwrite is for files"),
        ("migrate --from in.jsonl --to DB/one --report r.html", 2, "give both"),
        ("migrate --from in.jsonl --to DB/one --verify --report no/r.html", 2, "no such file or folder: no"),
        ("migrate --from in.jsonl --to DB/one --batch-size 0", 2, "batch-size"),
        ("migrate --from in.jsonl", 2, "Missing option '--to'"),
        ("export in.csv --store DB/one", 2, "FILE is neither"),
        ("export DB/one --store DB/one", 2, "FILE is a path"),
        ("export out.parquet", 2, "no store: give --store"),
        ("import in.jsonl --store 'DB/one?namespace=x'", 2, "--store names a namespace"),
        ("verify --from in.jsonl --to DB/none", 1, "index 'none' does not exist"),
    ],
)
def test_mistakes_are_told_in_a_line(shell: Shell, line: str, code: int, message: str) -> None:
    result = shell(line)
    assert result.exit_code == code, result.output
    assert message in " ".join(result.stderr.replace("│", " ").split())
    assert result.stdout == ""
    assert "Traceback" not in result.output


def test_a_password_is_never_shown(shell: Shell) -> None:
    line = "migrate --from postgresql://me:hunter2@127.0.0.1:1/db --to out.parquet"
    for debug in ("", "--debug "):
        done = shell(debug + line)
        assert done.exit_code == 1
        assert "hunter2" not in done.output
    assert not [name for name in shell.files() if "hunter2" in name]


def test_a_key_goes_to_one_store_only(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    from ia_modules.vector_stores.cli.places import both_places

    def keys(source: str, target: str, **environment: str) -> list[str | None]:
        for name, value in environment.items():
            monkeypatch.setenv(f"IA_VECTORS_{name}", value)
        found = [
            None if one.config is None or one.config.api_key is None else one.config.api_key.get_secret_value()
            for one in both_places(source, target)
        ]
        for name in environment:
            monkeypatch.delenv(f"IA_VECTORS_{name}")
        return found

    one, two = "qdrant://127.0.0.1/x", "pinecone:///y"
    assert keys("a.parquet", two, API_KEY="shared") == [None, "shared"]
    assert keys(one, two, API_KEY="shared") == [None, None]
    assert keys(one, two, FROM_API_KEY="first", TO_API_KEY="second") == ["first", "second"]
    assert keys(one, two, FROM_API_KEY="first", API_KEY="shared") == ["first", None]
    assert keys(one, "a.parquet", FROM_API_KEY="first", API_KEY="shared") == ["first", None]


def test_places_and_the_checkpoint_of_a_migration() -> None:
    from ia_modules.vector_stores.cli.places import Columns, checkpoint_for, place

    first = place("postgresql://me:secret@host/db?sslmode=require", "--from")
    assert (first.kind, first.identity) == ("sql", "postgresql://host/db")
    assert place("postgres://host/db", "--from").url == "postgresql://host/db"
    assert place("mysql+aiomysql://host/db", "--from").kind == "sql"
    assert place("file:///x/a.parquet", "--from").path == Path("/x/a.parquet")
    target = place("qdrant://host:6333/articles?dimension=3", "--to")
    assert target.identity == "qdrant://host:6333/articles"
    name = checkpoint_for(first, target, Columns(), None)
    other = place("postgresql://you:other@host/db", "--from")
    assert checkpoint_for(other, target, Columns(), None) == name
    assert checkpoint_for(first, target, Columns(table="t"), None) != name
    assert checkpoint_for(first, target, Columns(), {"a": "b"}) != name
    assert checkpoint_for(target, first, Columns(), None) != name
    assert name.parent == Path()


def test_a_checkpoint_is_kept_if_it_was_named_and_brings_what_is_new(shell: Shell) -> None:
    shell.ok("import in.jsonl --store DB/one")
    line = "migrate --from DB/one --to DB/two --checkpoint here.json"
    assert shell.ok(line).stdout.startswith(READY)
    assert (shell.folder / "here.json").exists()
    more: list[dict[str, Any]] = [*ROWS, {"id": "new", "vector": [1, 1]}]
    (shell.folder / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in more))
    shell.ok("import in.jsonl --store DB/one")
    assert "1 written meanwhile" in shell.ok(f"{line} --resume").stdout
    assert "All 4" in shell.ok("verify --from DB/one --to DB/two").stdout
    fresh = shell.ok("migrate --from DB/one --to DB/two --resume")
    assert "there is no checkpoint .ia-vectors-migration-" in fresh.stderr


def test_progress_lines_say_how_far_it_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from ia_modules.vector_stores.cli import moving_progress

    assert [moving_progress.duration(seconds) for seconds in (0.2, 61, 3725)] == ["0:00", "1:01", "1:02:05"]
    with moving_progress.verification_progress() as told:
        told(1, 10)
        assert capsys.readouterr().err == ""
        monkeypatch.setattr(moving_progress, "_INTERVAL", 0.0)
        told(5, 10)
        told(7, None)
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("verifying: 5 of 10 (50%), ")
    assert first.endswith("0:00 left")
    assert second.startswith("verifying: 7, ")
