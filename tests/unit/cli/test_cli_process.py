"""The command line as scripts meet it: a process with an exit code."""

from __future__ import annotations

import http.server
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("chromadb")


def ia_vectors(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ia_modules.vector_stores.cli", *arguments],
        cwd=folder,
        env={**os.environ, "IA_VECTORS_STORE": f"chroma://{folder}/db/articles", **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.md").write_text("# Cats\n\nA kitten sleeps on the sofa.")
    (tmp_path / "bad.jsonl").write_text('{"text": "fine", "id": "x"}\n{"text":\n')
    return tmp_path


def check(done: subprocess.CompletedProcess[str], code: int) -> None:
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_exit_codes_and_streams(folder: Path) -> None:
    check(ia_vectors(folder, "ingest", "a.md"), 0)
    found = ia_vectors(folder, "search", "a young cat", "--json")
    check(found, 0)
    assert json.loads(found.stdout)["results"][0]["id"] == "a.md#1"
    assert found.stderr == ""
    check(ia_vectors(folder, "ingest", "bad.jsonl"), 3)
    check(ia_vectors(folder, "search", "cat", "--where", "year >"), 2)
    nothing = ia_vectors(folder, "search", "cat", "--namespace", "empty", "--json")
    check(nothing, 4)
    assert json.loads(nothing.stdout)["results"] == []


def test_unreachable_server_is_one_line(folder: Path) -> None:
    done = ia_vectors(folder, "search", "cat", "--store", "chroma://127.0.0.1:9/articles?max_retries=0")
    check(done, 1)
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1


def test_folder_without_permission_is_one_line(folder: Path) -> None:
    # A path below a file can be created by nobody, not even by root.
    done = ia_vectors(folder, "ingest", "a.md", "--store", f"chroma://{folder}/a.md/db/articles")
    check(done, 1)
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1


BLOCKED = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Block())
import importlib.util
original = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in BLOCKED else original(name, package)
from ia_modules.vector_stores.cli import main
sys.exit(main(ARGUMENTS))
"""


@pytest.mark.parametrize(
    ("package", "extra", "arguments"),
    [
        ("typer", "cli", ["--help"]),
        ("rich", "cli", ["--help"]),
        ("lark", "cli", ["--help"]),
        ("chromadb", "chroma", ["stats"]),
        ("wordllama", "wordllama", ["search", "cat"]),
        ("semantic_text_splitter", "ingest", ["ingest", "a.md", "--store", "memory:///x"]),
        ("openai", "openai", ["ingest", "a.md", "--embedder", "openai", "--store", "memory:///x"]),
    ],
)
def test_missing_package_names_the_pip_line(folder: Path, package: str, extra: str, arguments: list[str]) -> None:
    code = BLOCKED.replace("ARGUMENTS", repr(arguments)).replace("BLOCKED", repr({package}))
    if arguments[0] == "search":
        check(ia_vectors(folder, "ingest", "a.md"), 0)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "IA_VECTORS_STORE": f"chroma://{folder}/db/articles"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    check(done, 1)
    assert f'pip install "ia-modules-vector-stores[{extra}]"' in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: ")


@pytest.fixture
def hanging_server() -> Iterator[tuple[str, threading.Event]]:
    """A server that takes a request and never answers."""
    asked, leave = threading.Event(), threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.set()
            leave.wait(60)

        def log_message(self, *_: object) -> None:
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1", asked
        leave.set()
        server.shutdown()
        thread.join()


def test_ctrl_c_says_that_a_new_run_continues(folder: Path, hanging_server: tuple[str, threading.Event]) -> None:
    url, asked = hanging_server
    environment = {**os.environ, "OPENAI_BASE_URL": url, "OPENAI_API_KEY": "none", "NO_PROXY": "*"}
    command = ["ingest", "a.md", "--store", "memory:///x", "--embedder", "openai:text-embedding-3-small"]
    # A shell that runs the tests in its background has them ignore the signal, and a child would inherit that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "ia_modules.vector_stores.cli", *command],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        signal.signal(signal.SIGINT, before)
    with process:
        try:
            assert asked.wait(60)
            process.send_signal(signal.SIGINT)
            _, messages = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 130, messages
    assert "running the same command again continues" in messages
    assert "Traceback" not in messages


def test_search_loads_no_reader_and_no_other_client(folder: Path) -> None:
    ia_vectors(folder, "ingest", "a.md")
    code = (
        "import sys; from ia_modules.vector_stores.cli import main; code = main(['search', 'cat']);"
        "unwanted = {'bs4', 'docutils', 'pyarrow', 'semantic_text_splitter', 'openai', 'qdrant_client', 'weaviate',"
        " 'pinecone', 'lark', 'wordllama'};"
        "print(sorted(unwanted & set(sys.modules)), file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "IA_VECTORS_STORE": f"chroma://{folder}/db/articles"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    check(done, 0)
    assert done.stderr.strip() == "[]"


def test_output_into_a_closed_pipe_is_no_traceback(folder: Path) -> None:
    ia_vectors(folder, "ingest", "a.md")
    command = f"{sys.executable} -m ia_modules.vector_stores.cli doctor --json | true"
    environment = {**os.environ, "IA_VECTORS_STORE": f"chroma://{folder}/db/articles"}
    done = subprocess.run(["sh", "-c", command], env=environment, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
