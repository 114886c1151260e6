"""``ia-vectors emulate pinecone``, as a process."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from processes import environment

COMMAND = [sys.executable, "-m", "ia_modules.vector_stores.cli", "emulate", "pinecone"]


@contextmanager
def running(*options: str) -> Iterator[subprocess.Popen[str]]:
    command = [*COMMAND, *options]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(PYTHONUNBUFFERED="1")
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def ended(*options: str) -> tuple[int, str]:
    done = subprocess.run(
        [*COMMAND, *options], capture_output=True, text=True, timeout=60, env=environment(), check=False
    )
    assert done.stdout == ""
    return done.returncode, done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_interrupted(tmp_path: Path, number: signal.Signals) -> None:
    with running(
        "--port", "0", "--api-key", "secret", "--folder", str(tmp_path / "data"), "--lag", "3reads"
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:")
        hint = process.stdout.readline()
        assert f"PINECONE_CONTROLLER_HOST={url}" in hint
        assert httpx.get(url + "/indexes", headers={"api-key": "secret"}).json() == {"indexes": []}
        assert httpx.get(url + "/indexes", headers={"api-key": "other"}).status_code == 401
        process.send_signal(number)
        _, errors = process.communicate(timeout=20)
        assert (process.returncode, errors) == (0, "")
    assert (tmp_path / "data" / "pinecone.sqlite3").exists()


def test_a_port_in_use_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert ended("--port", str(port)) == (1, f"error: port {port} of 127.0.0.1 is in use\n")


def test_a_folder_in_use_is_one_line(tmp_path: Path) -> None:
    with running("--port", "0", "--folder", str(tmp_path)) as process:
        assert process.stdout is not None
        process.stdout.readline()
        code, message = ended("--port", "0", "--folder", str(tmp_path))
        assert (code, message) == (1, f"error: another Pinecone emulator keeps its data in {tmp_path}\n")


@pytest.mark.parametrize("options", [["--lag", "soon"], ["--rate-limit", "0"], ["--api-key", ""], ["--port", "70000"]])
def test_an_option_out_of_range_is_wrong_usage(options: list[str]) -> None:
    code, message = ended("--port", "0", *options) if options[0] != "--port" else ended(*options)
    assert code == 2
    assert "Traceback" not in message
    assert options[0].strip("-").replace("-", "_") in message.replace("-", "_")
