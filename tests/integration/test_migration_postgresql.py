"""Reading embeddings from a real PostgreSQL; pgvector's types are played by domains over text of the same name."""

from __future__ import annotations

import datetime
import shutil
import tempfile
import traceback
import uuid
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from ia_modules.vector_stores.errors import AuthenticationError, ConnectionError, UnsupportedOperationError
from ia_modules.vector_stores.migration.sql import SqlSource
from sql_sources import assert_resumes, f32, pages_of, postgresql, read, vectors


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))  # a socket's path may have 107 bytes
    try:
        folder.chmod(0o755)
        with postgresql(folder) as url:
            yield url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


_number = iter(range(1_000_000))


@pytest.fixture
async def database(server: str) -> Any:
    """An empty database: its URL, and a function that runs statements in it."""
    name = f"d{next(_number)}"
    folder = server.partition("host=")[2]

    async def run(statement: str, *rows: tuple[Any, ...], database: str = name) -> None:
        connection = await asyncpg.connect(host=folder, user="tester", database=database)
        try:
            if rows:
                await connection.executemany(statement, rows)
            else:
                await connection.execute(statement)
        finally:
            await connection.close()

    await run(f"CREATE DATABASE {name}", database="postgres")
    return server.replace("/postgres?", f"/{name}?"), run


@pytest.mark.parametrize("kind", ["float4[]", "float8[]", "numeric[]"])
async def test_arrays(database: Any, kind: str) -> None:
    url, run = database
    table = vectors(30, 5)
    await run(f"CREATE TABLE docs (id bigint PRIMARY KEY, embedding {kind}, content text)")
    rows = [(2**40 + place, row.tolist(), f"text {place}") for place, row in enumerate(table)]
    await run("INSERT INTO docs VALUES ($1, $2, $3)", *rows)
    info, documents, unreadable = await read(url)
    assert not unreadable
    assert info.dimension == 5
    assert info.namespaces == {"": 30}
    assert [one.id for one in documents] == [str(row[0]) for row in rows]
    assert all((one.vector.array == row).all() for one, row in zip(documents, table, strict=True))
    assert [one.text for one in documents] == [row[2] for row in rows]
    await assert_resumes(url, size=11)


@pytest.mark.parametrize(
    ("kind", "write"),
    [("json", str), ("jsonb", str), ("text", str), ("bytea", lambda row: f32(*row)), ("vector", str), ("halfvec", str)],
)
async def test_other_forms(database: Any, kind: str, write: Any) -> None:
    url, run = database
    if kind in {"vector", "halfvec"}:
        await run(f"CREATE DOMAIN {kind} AS text")
    await run(f"CREATE TABLE docs (id int PRIMARY KEY, e {kind})")
    table = vectors(20, 24)
    await run("INSERT INTO docs VALUES ($1, $2)", *[(i, write(row.tolist())) for i, row in enumerate(table)])
    _, documents, unreadable = await read(url)
    assert not unreadable
    assert all((one.vector.array == row).all() for one, row in zip(documents, table, strict=True))


async def test_sparse_vectors_are_refused(database: Any) -> None:
    url, run = database
    await run("CREATE DOMAIN sparsevec AS text")
    await run("CREATE TABLE docs (id int PRIMARY KEY, e sparsevec)")
    await run("INSERT INTO docs VALUES (1, '{1:0.5}/3')")
    with pytest.raises(UnsupportedOperationError, match="sparse"):
        await read(url)
    with pytest.raises(UnsupportedOperationError, match="sparse"):
        await read(url, vector_column="e")


KEYS: dict[str, list[Any]] = {
    "smallint": [-3, 0, 7, 300],
    "bigint": [-(2**63), -1, 0, 2**63 - 1],
    "text": ["", "A", "a", "b c", "é", "z'\"; --", "😀"],
    "varchar(9)": ["a", "B", "c"],
    "char(3)": ["a", "B", "c"],
    "uuid": [uuid.UUID(int=n) for n in (0, 5, 2**127)],
    "date": [datetime.date(1, 1, 1), datetime.date(2024, 2, 29), datetime.date.max],
    "timestamp": [datetime.datetime(2024, 1, 1, 0, 0, 0, n) for n in (0, 1, 2)],  # noqa: DTZ001 - the database has no zone
    "timestamptz": [datetime.datetime(2024, 1, 1, 0, 0, 0, n, tzinfo=datetime.UTC) for n in (0, 1, 2)],
    "numeric": [Decimal(n) for n in ("-0.1", "0.1", "0.10000000000000000000001", "1e30")],
    "float8": [-1.5, 0.1, 0.1 + 2**-55, 1e300],
    "float4": [-1.5, 0.10000000149011612, 3.0],
    "bytea": [b"", b"\x00", b"\x00\xff", b"a"],
    "boolean": [False, True],
}


@pytest.mark.parametrize("kind", KEYS)
async def test_every_type_of_key_pages_one_by_one(database: Any, kind: str) -> None:
    url, run = database
    await run(f"CREATE TABLE docs (k {kind} PRIMARY KEY, v float4[] NOT NULL, n serial)")
    rows = [(value, [float(place), 1.0]) for place, value in enumerate(KEYS[kind])]
    await run("INSERT INTO docs (k, v) VALUES ($1, $2)", *reversed(rows))
    for size in (1, 2, 100):
        _, documents, unreadable = await read(url, size=size)
        found = [one.vector[0] for one in documents]
        empty = [place for place, (value, _) in enumerate(rows) if value in ("", b"")]
        assert sorted(found) == [float(place) for place in range(len(rows)) if place not in empty]
        assert [one.cause for one in unreadable] == ["an id must not be empty"] * len(empty)
    await assert_resumes(url, size=1)


async def test_enums_domains_and_composite_keys_with_a_namespace(database: Any) -> None:
    url, run = database
    await run("CREATE TYPE mood AS ENUM ('z', 'a', 'm')")
    await run("CREATE DOMAIN code AS varchar(20)")
    await run('CREATE TABLE "My ""Docs""" (tenant code, m mood, k int, "Vec" float4[], PRIMARY KEY (m, tenant, k))')
    rows = [(f"t{n % 2}", m, n) for n in range(4) for m in ("z", "a", "m")]
    await run("""INSERT INTO "My ""Docs\""" VALUES ($1, $2, $3, '{1,2}')""", *rows)
    info, documents, unreadable = await read(url, size=2, namespace_column="tenant")
    assert not unreadable
    assert info.namespaces == {"t0": 6, "t1": 6}
    assert [one.id for one in documents[:6]] == ["z:0", "z:2", "a:0", "a:2", "m:0", "m:2"]
    assert documents[0].metadata == {"m": "z", "k": 0}
    await assert_resumes(url, size=1, namespace="t1", namespace_column="tenant")


async def test_metadata_of_every_type(database: Any) -> None:
    url, run = database
    await run("SET TIME ZONE 'America/New_York'")
    await run("CREATE TYPE mood AS ENUM ('sad', 'ok')")
    await run(
        "CREATE TABLE docs (id uuid PRIMARY KEY, embedding float8[], body text, meta jsonb, b boolean, i bigint, "
        "f float8, n numeric, d date, t time, ts timestamp, tz timestamptz, u uuid, j json, e mood, ip inet, "
        "iv interval, names text[], numbers int[], days date[], raw bytea, missing text)"
    )
    await run(
        "INSERT INTO docs VALUES ('00000000-0000-0000-0000-000000000001', '{1,2}', 'passage', "
        """'{"a": {"b": [1, 2.5, null, true]}}', true, 9007199254740993, 0.1, 12.50, '2024-02-29', '13:00', """
        "'2024-02-29 13:00:00.5', '2024-02-29 13:00:00+02', '00000000-0000-0000-0000-000000000002', "
        "'[1, \"x\"]', 'ok', '10.0.0.1/8', '1 month 2 days', '{x,NULL}', '{1,2}', '{2024-02-29}', 'abc', NULL)"
    )
    info, (document,), unreadable = await read(url)
    assert not unreadable
    assert document.id == "00000000-0000-0000-0000-000000000001"
    assert document.text == "passage"
    assert document.metadata == {
        "a": {"b": [1, 2.5, None, True]},
        "b": True,
        "i": 9007199254740993,
        "f": 0.1,
        "n": 12.5,
        "d": "2024-02-29",
        "t": "13:00:00",
        "ts": "2024-02-29T13:00:00.5",
        "tz": "2024-02-29T11:00:00+00:00",
        "u": "00000000-0000-0000-0000-000000000002",
        "j": [1, "x"],
        "e": "ok",
        "ip": "10.0.0.1/8",
        "iv": "1 mon 2 days",
        "names": ["x", None],
        "numbers": [1, 2],
        "days": ["2024-02-29"],
        "missing": None,
    }
    assert type(document.metadata["b"]) is bool
    assert any("'raw'" in note and "left out" in note for note in info.notes)


async def test_rows_that_cannot_be_read_are_reported(database: Any) -> None:
    url, run = database
    await run("CREATE TABLE docs (id int PRIMARY KEY, embedding float8[], ts timestamptz, f float8, n numeric)")
    bad = {
        1: ("NULL", "'infinity'", "1"),
        2: ("'{1,NULL}'", "now()", "1"),
        3: ("'{1,2,3}'", "now()", "1"),
        4: ("'{{1,2},{3,4}}'", "now()", "1"),
        5: ("'{1,NaN}'", "now()", "1"),
        6: ("'{1,1e300}'", "now()", "1"),
        7: ("'{}'", "now()", "1"),
        8: ("'{1,2}'", "now()", "'NaN'"),
        9: ("'{1,2}'", "'0044-03-15 BC'", "1"),
    }
    for key, (vector, moment, number) in bad.items():
        await run(f"INSERT INTO docs VALUES ({key}, {vector}, {moment}, {number}, {number})")
    await run("INSERT INTO docs SELECT n, ARRAY[n, 1], now(), 1, 1e40 + 0.5 FROM generate_series(10, 60) n")
    _, documents, unreadable = await read(url)
    assert {one.key: one.cause for one in unreadable} == {
        "1": "the vector is NULL",
        "2": "the vector has other elements than numbers: NULL",
        "3": "the vector has 3 numbers; the others have 2",
        "4": "the vector has other elements than numbers: list",
        "5": "the vector has NaN or infinite values",
        "6": "the vector has numbers too large for single precision",
        "7": "the vector is empty",
        "8": "document '8': metadata 'f' is NaN or infinite",
    }
    assert [one.id for one in documents] == [str(n) for n in range(9, 61)]
    assert documents[0].metadata["ts"].endswith(" BC")
    assert documents[1].metadata["n"] == "1" + "0" * 40 + ".5"


async def test_rows_without_a_key_are_counted_and_told_of_once(database: Any) -> None:
    url, run = database
    await run("CREATE TABLE docs (id text UNIQUE, embedding float4[])")
    await run("INSERT INTO docs VALUES ('a', '{1,2}'), ('b', '{1,2}'), (NULL, '{1,2}'), (NULL, NULL)")
    _, documents, unreadable = await read(url, size=1)
    assert [one.id for one in documents] == ["a", "b"]
    assert [one.key for one in unreadable] == ["NULL (1 of 2)", "NULL (2 of 2)"]
    await assert_resumes(url, size=1)


async def test_nothing_is_read_by_an_index_that_compares_otherwise(database: Any) -> None:
    """Under this collation ``a`` and ``A`` are equal, so going on behind ``a`` would pass ``A`` over."""
    url, run = database
    await run("CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
    await run("CREATE TABLE docs (id text COLLATE ci, embedding float4[])")
    await run('CREATE UNIQUE INDEX ON docs (id COLLATE "C")')
    await run("INSERT INTO docs VALUES ('a', '{1,2}'), ('A', '{1,2}')")
    with pytest.raises(UnsupportedOperationError, match="no primary key and no unique column"):
        await read(url, size=1)
    with pytest.raises(ValueError, match="same id"):
        await read(url, size=1, id_column="id")


async def test_partial_and_expression_indexes_are_no_keys(database: Any) -> None:
    url, run = database
    await run("CREATE TABLE docs (id int NOT NULL, embedding float4[])")
    await run("CREATE UNIQUE INDEX ON docs (id) WHERE id > 5")
    await run("CREATE UNIQUE INDEX ON docs ((id + 1), embedding)")
    with pytest.raises(UnsupportedOperationError, match="unique"):
        await read(url, table="docs", vector_column="embedding")


async def test_schemas_views_and_rights(database: Any) -> None:
    url, run = database
    await run("CREATE SCHEMA a; CREATE SCHEMA b")
    for schema, number in (("a", 1), ("b", 2)):
        await run(f"CREATE TABLE {schema}.docs (id int PRIMARY KEY, embedding float4[])")
        await run(f"INSERT INTO {schema}.docs VALUES (1, '{{{number},1}}')")
    await run("CREATE VIEW seen AS SELECT * FROM a.docs")
    with pytest.raises(ValueError, match=r"(?s)table='a\.docs'.*table='b\.docs'"):
        await read(url)
    with pytest.raises(ValueError, match="with its schema"):
        await read(url, table="docs")
    _, (document,), _ = await read(url, table="b.docs")
    assert document.vector == [2, 1]
    _, (document,), _ = await read(url, table="seen", id_column="id")
    assert document.vector == [1, 1]
    await run("CREATE ROLE stranger LOGIN; GRANT USAGE ON SCHEMA b TO stranger; GRANT SELECT ON b.docs TO stranger")
    stranger = url.replace("tester", "stranger")
    _, (document,), _ = await read(stranger)
    assert document.vector == [2, 1]
    with pytest.raises(ValueError, match="may not read"):
        await read(stranger, table="a.docs")


async def test_nothing_can_be_written(database: Any) -> None:
    import sqlalchemy as sa

    url, run = database
    await run("CREATE TABLE docs (id int PRIMARY KEY, embedding float4[])")
    await run("INSERT INTO docs VALUES (1, '{1,2}')")
    async with SqlSource(url) as source:
        await source.describe()
        assert source._database is not None
        with pytest.raises(ConnectionError, match="read-only"):
            await source._database.run(lambda connection: connection.execute(sa.text("DELETE FROM docs")))
        assert len((await pages_of(source))[0].documents) == 1


async def test_errors_name_the_database_and_no_password(server: str) -> None:
    folder = server.partition("host=")[2]
    secret = "hunter" + "2"  # a traceback shows this line
    with pytest.raises(ConnectionError, match="nowhere") as caught:
        await read(f"postgresql://tester:{secret}@/nowhere?host={folder}")
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(AuthenticationError, match="nobody") as refused:
        await read(f"postgresql://nobody:{secret}@/postgres?host={folder}")
    assert "hunter2" not in "".join(traceback.format_exception(refused.value))
    with pytest.raises(ConnectionError, match=r"127\.0\.0\.1:1/postgres") as closed:
        await read(f"postgresql://tester:{secret}@127.0.0.1:1/postgres")
    assert "hunter2" not in "".join(traceback.format_exception(closed.value))


async def test_rows_written_meanwhile_behind_the_key_are_read(database: Any) -> None:
    url, run = database
    await run("CREATE TABLE docs (id int PRIMARY KEY, embedding float4[])")
    await run("INSERT INTO docs SELECT n, ARRAY[n, 1] FROM generate_series(1, 4) n")
    found = []
    async with SqlSource(url) as source:
        async for page in source.pages("", 2):
            found += [one.id for one in page.documents]
            if found[-1] == "2":
                await run("INSERT INTO docs VALUES (0, '{0,1}'), (9, '{9,1}')")
    assert found == ["1", "2", "3", "4", "9"]
