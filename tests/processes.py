"""Python in a process of its own, for what one process can't show."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import ia_modules.vector_stores as package

_SOURCE = str(Path(str(package.__file__)).parents[2])


def environment(**variables: str) -> dict[str, str]:
    """This process's environment, with the package importable from any folder."""
    return os.environ | {"PYTHONPATH": _SOURCE, "PYTHONWARNINGS": "error"} | variables


def run_python(code: str, *arguments: str, cwd: Path | None = None, **variables: str) -> str:
    """Run code to its end and return what it printed; a failure raises with what it wrote to stderr."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=cwd,
        env=environment(**variables),
        check=False,
    )
    if done.returncode:
        raise AssertionError(f"exit code {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout.strip()
