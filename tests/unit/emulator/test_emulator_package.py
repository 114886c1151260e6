"""What is loaded and when, what is missing, and the pytest fixture."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from processes import environment, run_python

HEAVY = ("numpy", "orjson", "uvicorn", "httptools", "asyncio", "sqlite3", "pydantic")

TESTS = """
import httpx

def test_one(pinecone_emulator):
    assert pinecone_emulator.calls == {}
    schema = {"fields": {"_values": {"type": "dense_vector", "dimension": 3, "metric": "cosine"}}}
    body = {"name": "docs", "schema": schema}
    assert httpx.post(pinecone_emulator.url + "/indexes", json=body, headers={"api-key": "x"}).status_code == 201
    pinecone_emulator.fail(500, times=None)
    pinecone_emulator.lag = 9

def test_two(pinecone_emulator):
    assert httpx.get(pinecone_emulator.url + "/indexes", headers={"api-key": "x"}).json() == {"indexes": []}
    assert pinecone_emulator.lag == 0
"""


def test_the_plugin_is_light() -> None:
    code = f"""
import sys, pytest
before = set(sys.modules)
import ia_modules.vector_stores.emulator.pytest_plugin
print(sorted((set(sys.modules) - before) & set({HEAVY!r})))
"""
    assert run_python(code) == "[]"


@pytest.mark.parametrize("package", ["uvicorn", "orjson", "httptools"])
def test_a_missing_package_is_named_with_its_remedy(package: str) -> None:
    code = f"""
import sys
sys.modules[{package!r}] = None
try:
    import ia_modules.vector_stores.emulator.pinecone
except ModuleNotFoundError as error:
    print(error)
"""
    said = run_python(code)
    assert repr(package) in said
    assert 'pip install "ia-modules-vector-stores[emulator]"' in said


def test_the_command_says_the_same() -> None:
    code = """
import sys
sys.modules["uvicorn"] = None
from ia_modules.vector_stores.cli import main
print(main(["emulate", "pinecone"]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=environment(), check=False
    )
    assert done.stdout == "1\n"
    assert 'pip install "ia-modules-vector-stores[emulator]"' in done.stderr


def test_the_fixture(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "ia_modules.vector_stores.emulator.pytest_plugin"]
    done = subprocess.run(
        [*command, "-W", "error", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        env=environment(PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", PYTEST_ADDOPTS=""),
        check=False,
    )
    assert "2 passed" in done.stdout, done.stdout + done.stderr
