"""The run that asks the service, with an emulator that is late in the service's place."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx

from ia_modules.vector_stores.emulator.pinecone import serving

ROOT = Path(__file__).resolve().parents[2]


def verified(url: str, file: Path, only: str, key: str = "right") -> subprocess.CompletedProcess[str]:
    variables = {"PINECONE_API_KEY": key, "PINECONE_CONTROLLER_HOST": url, "PINECONE_VERIFICATION": str(file)}
    command = ["-p", "pinecone_verifying", "tests/service/test_pinecone_service.py", "--verify-against-service"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *command, "-k", only],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | variables | {"PYTHONPATH": str(Path(__file__).parent)},
        timeout=100,
        check=False,
    )


def test_a_run_waits_writes_down_what_holds_and_cleans_up(tmp_path: Path) -> None:
    file = tmp_path / "found.md"
    with serving(api_key="right", lag=0.2, ready_after=0.5) as emulator:
        done = verified(emulator.url, file, "test_nulls_are_left_out or test_euclidean_scores")
        assert done.returncode == 0, done.stdout
        assert httpx.get(f"{emulator.url}/indexes", headers={"api-key": "right"}).json() == {"indexes": []}
        assert emulator.calls["POST /indexes"] == 1
    assert "2 of 2 assumptions hold" in done.stdout
    assert [line.split(" | ")[0] for line in file.read_text().splitlines()[2:]] == ["| holds"] * 2


def test_what_does_not_hold_is_written_down(tmp_path: Path) -> None:
    file = tmp_path / "found.md"
    with serving() as emulator:
        emulator.fail(400, on="GET /vectors/fetch", times=None, message="not here")
        done = verified(emulator.url, file, "test_a_fetch_in_an_unknown or test_a_list_in_an_unknown")
    assert done.returncode == 1
    assert "1 of 2 assumptions hold" in done.stdout
    (failed,) = [line for line in file.read_text().splitlines() if line.startswith("| failed")]
    assert "test_a_fetch_in_an_unknown_namespace_is_empty" in failed


def test_without_a_key_it_fails(tmp_path: Path) -> None:
    done = verified("http://127.0.0.1:9", tmp_path / "found.md", "test_a_fetch_in_an_unknown", key="")
    assert done.returncode == 1
    assert "PINECONE_API_KEY is not set" in done.stdout
