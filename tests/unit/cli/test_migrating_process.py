"""Migrations as processes: interrupted, killed, and on a terminal."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from export_helpers import exact, read_file, some_documents, write_file

pytest.importorskip("pyarrow")
pytest.importorskip("orjson")

COUNT = 6000
COMMAND = [sys.executable, "-m", "ia_modules.vector_stores.cli"]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("source") / "in.parquet"
    asyncio.run(write_file(path, {"": some_documents(COUNT, 256)}))
    return path


def start(folder: Path, *arguments: str, stderr: int = subprocess.PIPE) -> subprocess.Popen[str]:
    # A shell that runs the tests in its background has them ignore the signal, and a child would inherit that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    finally:
        signal.signal(signal.SIGINT, before)


def cursor_of(folder: Path) -> object:
    """Where the migration is, as its checkpoint says; None before the first page."""
    for checkpoint in folder.glob(".ia-vectors-migration-*.json"):
        return json.loads(checkpoint.read_text())["state"]["cursor"]
    return None


def test_interrupted_and_killed_it_goes_on_and_is_complete(source: Path, tmp_path: Path) -> None:
    name = "out.parquet"
    command = ["migrate", "--from", str(source), "--to", name, "--batch-size", "10"]
    resume: list[str] = []
    for kind, code in ((signal.SIGINT, 130), (signal.SIGKILL, -9), (signal.SIGINT, 130)):
        before = cursor_of(tmp_path)
        with start(tmp_path, *command, *resume) as process:
            deadline = time.monotonic() + 60
            while cursor_of(tmp_path) == before and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.02)
            time.sleep(0.1)
            process.send_signal(kind)
            _, messages = process.communicate(timeout=60)
        assert process.returncode == code, messages
        assert "Traceback" not in messages
        assert not (tmp_path / name).exists()
        if kind == signal.SIGINT:
            assert messages.count("interrupted") == 1
            assert "the same command with --resume goes on (.ia-vectors-migration-" in messages
        resume = ["--resume"]
    without = subprocess.run([*COMMAND, *command], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert without.returncode == 2
    assert "not complete: --resume goes on with it" in without.stderr
    with start(tmp_path, *command, "--resume", "--verify") as process:
        output, messages = process.communicate(timeout=100)
    assert process.returncode == 0, messages
    assert f"All {COUNT:,} documents of the source are in the target as they are." in output
    assert {one.name for one in tmp_path.iterdir()} == {name}
    _, found, _ = asyncio.run(read_file(tmp_path / name, 1000))
    assert [exact(d) for d in found[""]] == [exact(d) for d in some_documents(COUNT, 256)]


def test_a_terminal_sees_rate_and_time_left(source: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    with start(tmp_path, "migrate", "--from", str(source), "--to", "out.parquet", stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            shown += part
        output, _ = process.communicate(timeout=60)
    os.close(ours)
    assert process.returncode == 0
    assert output.startswith(f"complete: {COUNT:,} read")
    text = shown.decode()
    assert "copying" in text
    assert f"/{COUNT}" in text
    assert "/s" in text
    assert "left" in text


def test_the_help_of_other_commands_loads_nothing_of_this(tmp_path: Path) -> None:
    code = (
        "import sys; from ia_modules.vector_stores.cli import main; main(['migrate', '--help']);"
        "unwanted = {'pyarrow', 'sqlalchemy', 'orjson', 'jinja2', 'numpy'};"
        "print(sorted(unwanted & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.stderr.strip() == "[]"
