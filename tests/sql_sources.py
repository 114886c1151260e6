"""Databases to read from, and reading all of one."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ia_modules.vector_stores.migration.records import Page, SourceInfo, Unreadable
from ia_modules.vector_stores.migration.sql import SqlSource
from ia_modules.vector_stores.models import VectorDocument


def sqlite_file(path: Path, *statements: str | tuple[str, Sequence[Any]]) -> str:
    """Make a database and return its URL; a statement may come with many rows of values."""
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            if isinstance(statement, str):
                connection.execute(statement)
            else:
                connection.executemany(*statement)
        connection.commit()
    return f"sqlite:///{path}"


def f32(*numbers: float) -> bytes:
    return np.array(numbers, dtype="<f4").tobytes()


def vectors(count: int, dimension: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(seed).standard_normal((count, dimension)).astype("<f4")


async def pages_of(source: SqlSource, size: int = 7, namespace: str = "", after: Any = None) -> list[Page]:
    return [page async for page in source.pages(namespace, size, after)]


async def read(url: str, *, size: int = 7, **named: Any) -> tuple[SourceInfo, list[VectorDocument], list[Unreadable]]:
    """Everything of a source, its namespaces one after another."""
    async with SqlSource(url, **named) as source:
        info = await source.describe()
        pages = [page for name in info.namespaces for page in await pages_of(source, size, name)]
    for page in pages:
        assert json.loads(json.dumps(page.cursor)) == page.cursor
        assert 0 < len(page.documents) + len(page.unreadable) <= size
    return info, [one for page in pages for one in page.documents], [one for page in pages for one in page.unreadable]


async def assert_resumes(url: str, *, size: int, namespace: str = "", **named: Any) -> None:
    """From behind each page, another source reads what the first one read on."""
    async with SqlSource(url, **named) as source:
        whole = await pages_of(source, size, namespace)
    async with SqlSource(url, **named) as source:
        for done, page in enumerate(whole, start=1):
            rest = await pages_of(source, size, namespace, json.loads(json.dumps(page.cursor)))
            assert _flat(rest) == _flat(whole[done:])


def _flat(pages: list[Page]) -> list[Any]:
    return [one for page in pages for one in (*page.documents, *page.unreadable)]


@contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """A private PostgreSQL cluster on a socket in a folder: the URL of its database. Skips where there is none."""
    tools = {name: shutil.which(name) or _in_debian(name) for name in ("initdb", "pg_ctl")}
    if not all(tools.values()):
        pytest.skip("PostgreSQL is not installed (initdb and pg_ctl)")
    user: list[str] = []
    if os.geteuid() == 0:  # the server refuses to run as root
        if not shutil.which("setpriv"):
            pytest.skip("PostgreSQL does not run as root, and there is no setpriv to leave it")
        user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        os.chown(folder, 65534, 65534)
    data, log = folder / "data", folder / "log"

    def run(*command: str | None) -> None:
        done = subprocess.run([*user, *map(str, command)], capture_output=True, text=True, timeout=60, cwd=folder)
        if done.returncode:
            raise AssertionError(done.stdout + done.stderr + (log.read_text() if log.exists() else ""))

    run(tools["initdb"], "-D", str(data), "-U", "tester", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
    options = f"-k {folder} -c listen_addresses='' -c fsync=off -c timezone=Asia/Tokyo"
    # The server keeps what pg_ctl writes to; a pipe would never end.
    subprocess.run(
        [*user, str(tools["pg_ctl"]), "-D", str(data), "-o", options, "-l", str(log), "-w", "start"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=60,
        cwd=folder,
        check=True,
    )
    try:
        yield f"postgresql://tester@/postgres?host={folder}"
    finally:
        run(tools["pg_ctl"], "-D", str(data), "-m", "immediate", "-w", "stop")


def _in_debian(name: str) -> str | None:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(found[-1]) if found else None
