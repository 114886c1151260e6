"""Reading embeddings from a real MariaDB or MySQL server, where one is installed."""

from __future__ import annotations

import datetime
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiomysql
import pytest

from ia_modules.vector_stores.errors import ConnectionError
from ia_modules.vector_stores.migration.sql import SqlSource
from sql_sources import assert_resumes, f32, pages_of, read, vectors


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A private server without accounts on a free port."""
    program = shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin")
    if program is None:
        pytest.skip("MariaDB is not installed (mariadbd)")
    folder = Path(tempfile.mkdtemp(prefix="my", dir="/tmp"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = int(free.getsockname()[1])
    (folder / "data").mkdir()
    messages = os.environ.get("MARIADB_MESSAGES")
    command = [program, "--no-defaults", f"--datadir={folder / 'data'}", f"--socket={folder / 's'}", f"--port={number}"]
    command += ["--bind-address=127.0.0.1", "--skip-grant-tables", "--skip-name-resolve", f"--tmpdir={folder}"]
    command += [f"--lc-messages-dir={messages}"] if messages else []
    command += ["--user=root"] if os.geteuid() == 0 else []
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", number)) == 0:
                    break
            assert server.poll() is None, "the server did not start"
            time.sleep(0.2)
        yield number
    finally:
        server.kill()
        server.wait()
        shutil.rmtree(folder, ignore_errors=True)


_number = iter(range(1_000_000))


@pytest.fixture
async def database(port: int) -> Any:
    name = f"d{next(_number)}"

    async def run(statement: str, *rows: tuple[Any, ...], database: str | None = name) -> None:
        connection = await aiomysql.connect(
            host="127.0.0.1", port=port, user="root", db=database, charset="utf8mb4", autocommit=True
        )
        try:
            async with connection.cursor() as cursor:
                if rows:
                    await cursor.executemany(statement, rows)
                else:
                    await cursor.execute(statement)
        finally:
            connection.close()

    await run(f"CREATE DATABASE {name} CHARACTER SET utf8mb4", database=None)
    return f"mysql://root@127.0.0.1:{port}/{name}", run


@pytest.mark.parametrize(
    ("kind", "write"),
    [
        ("json", json.dumps),
        ("longtext", json.dumps),
        ("blob", lambda row: f32(*row).hex()),
        ("varbinary(200)", lambda row: f32(*row).hex()),
    ],
)
@pytest.mark.parametrize("driver", ["mysql", "mysql+pymysql", "mariadb"])
async def test_forms(database: Any, kind: str, write: Any, driver: str) -> None:
    url, run = database
    await run(f"CREATE TABLE docs (id bigint PRIMARY KEY, embedding {kind}, content text)")
    table = vectors(30, 20)
    rows = [(2**40 + place, write(row.tolist()), f"t{place} é😀") for place, row in enumerate(table)]
    await run(f"INSERT INTO docs VALUES (%s, {'%s' if write is json.dumps else 'UNHEX(%s)'}, %s)", *rows)
    info, documents, unreadable = await read(url.replace("mysql", driver, 1))
    assert not unreadable
    assert (info.dimension, info.namespaces) == (20, {"": 30})
    assert [(one.id, one.text) for one in documents] == [(str(row[0]), row[2]) for row in rows]
    assert all((one.vector.array == row).all() for one, row in zip(documents, table, strict=True))
    await assert_resumes(url, size=7)


KEYS: dict[str, list[Any]] = {
    "bigint unsigned": [0, 5, 2**64 - 1],
    "varchar(20)": ["a", "B", "c", "é", "z'\"; --\\", "%s"],
    "varchar(20) collate utf8mb4_bin": ["A", "B", "a", "😀"],
    "binary(4)": [b"\x00\xff'\\", b"abcd", b"\xff\xfe\x00\x00"],
    "date": [datetime.date(1000, 1, 1), datetime.date(2024, 2, 29)],
    "datetime(6)": [datetime.datetime(2024, 1, 1, 0, 0, 0, n) for n in (0, 1, 2)],  # noqa: DTZ001 - the database has no zone
    "timestamp(6)": [datetime.datetime(2024, 1, 1, 0, 0, 0, n) for n in (0, 1, 2)],  # noqa: DTZ001 - the database has no zone
    "decimal(30,20)": [Decimal("0.1"), Decimal("0.10000000000000000001"), Decimal(5)],
    "double": [-1.5, 0.1, 0.1 + 2**-55, 1e300],
}


@pytest.mark.parametrize("kind", KEYS)
async def test_every_type_of_key_pages_one_by_one(database: Any, kind: str) -> None:
    url, run = database
    await run(f"CREATE TABLE docs (k {kind} PRIMARY KEY, v json NOT NULL) CHARACTER SET utf8mb4")
    rows = [(value, f"[{place}, 1]") for place, value in enumerate(KEYS[kind])]
    # aiomysql 0.3 passes no bytes to a server when PyMySQL is newer than it.
    raw = kind.startswith("binary")
    written = [(value.hex() if raw else value, vector) for value, vector in reversed(rows)]
    await run(f"INSERT INTO docs VALUES ({'UNHEX(%s)' if raw else '%s'}, %s)", *written)
    for size in (1, 2, 100):
        _, documents, unreadable = await read(url, size=size)
        assert not unreadable
        assert sorted(one.vector[0] for one in documents) == list(range(len(rows)))
    await assert_resumes(url, size=1)


async def test_keys_that_the_server_orders_otherwise_are_not_used(database: Any) -> None:
    """An enum is ordered by its number and compared as text; a float is shown with six digits."""
    url, run = database
    await run("CREATE TABLE docs (e enum('z', 'a', 'm') PRIMARY KEY, v json, n int NOT NULL UNIQUE)")
    await run("INSERT INTO docs VALUES (%s, '[1, 2]', %s)", ("z", 3), ("a", 2), ("m", 1))
    info, documents, _ = await read(url, size=1)
    assert [one.id for one in documents] == ["m", "a", "z"]
    assert "rows are read in the order of 'n'" in info.notes


async def test_composite_keys_and_namespaces_told_apart_by_case(database: Any) -> None:
    url, run = database
    await run(
        "CREATE TABLE `my docs` (tenant varchar(9), k int, `the ``vec` json, n int AUTO_INCREMENT UNIQUE, "
        "PRIMARY KEY (tenant, k)) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"
    )
    rows = [(t, k) for t, k in (("a", 1), ("A", 2), ("b", 1), ("é", 1), ("a", 3), ("e", 7))]
    await run("INSERT INTO `my docs` (tenant, k, `the ``vec`) VALUES (%s, %s, '[1, 2]')", *rows)
    info, documents, _ = await read(url, size=1, namespace_column="tenant", id_column="k")
    assert info.namespaces == {"A": 1, "a": 2, "b": 1, "e": 1, "é": 1}
    assert [one.id for one in documents] == ["2", "1", "3", "1", "7", "1"]
    _, documents, _ = await read(url, size=1)
    assert len({one.id for one in documents}) == 6
    await assert_resumes(url, size=1)


async def test_metadata_of_every_type(database: Any) -> None:
    url, run = database
    await run(
        "CREATE TABLE docs (id int PRIMARY KEY, embedding json, metadata json, b boolean, i bigint unsigned, f double, "
        "n decimal(30,2), d date, t time, dt datetime, ts timestamp NULL, y year, bit1 bit(1), bit9 bit(9), "
        "e enum('x','y'), s set('p','q'), raw varbinary(9), missing text)"
    )
    await run(
        "INSERT INTO docs VALUES (1, '[1, 2]', '{\"a\": [1, 2.0, null, true]}', 1, 18446744073709551615, 0.1, 12.50, "
        "'2024-02-29', '-26:00:01', '2024-02-29 13:00', '2024-02-29 13:00', 2024, b'1', b'100000001', 'y', 'p,q', "
        "'abc', NULL)"
    )
    info, (document,), unreadable = await read(url)
    assert not unreadable
    stamp = document.metadata.pop("ts")  # written in the server's own time zone
    assert stamp.endswith(":00+00:00")
    assert document.metadata == {
        "a": [1, 2.0, None, True],
        "b": True,
        "i": "18446744073709551615",
        "f": 0.1,
        "n": 12.5,
        "d": "2024-02-29",
        "t": "-26:00:01",
        "dt": "2024-02-29T13:00:00",
        "y": 2024,
        "bit1": True,
        "bit9": 257,
        "e": "y",
        "s": "p,q",
        "missing": None,
    }
    assert type(document.metadata["b"]) is bool
    assert any("'raw'" in note for note in info.notes)


async def test_nothing_can_be_written(database: Any) -> None:
    import sqlalchemy as sa

    url, run = database
    await run("CREATE TABLE docs (id int PRIMARY KEY, v json)")
    await run("INSERT INTO docs VALUES (1, '[1, 2]')")
    async with SqlSource(url) as source:
        await source.describe()
        assert source._database is not None
        with pytest.raises(ConnectionError, match="READ ONLY"):
            await source._database.run(lambda connection: connection.execute(sa.text("DELETE FROM docs")))
        assert len((await pages_of(source))[0].documents) == 1
