"""Reading embeddings from SQLite: what is found, in which order, and what becomes of rows that are no documents."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ia_modules.vector_stores.errors import ConnectionError, UnsupportedOperationError
from ia_modules.vector_stores.migration.records import Source
from ia_modules.vector_stores.migration.sql import SqlSource
from sql_sources import assert_resumes, f32, pages_of, read, sqlite_file, vectors

TWO = f32(1, 2)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "embeddings.db"


async def test_what_is_not_named_is_found_and_told(file: Path) -> None:
    table = vectors(25, 16)
    url = sqlite_file(
        file,
        "CREATE TABLE other (id INTEGER PRIMARY KEY, note TEXT, picture BLOB)",
        "INSERT INTO other VALUES (1, '[1, 2', x'89504e47')",
        "CREATE TABLE docs (doc TEXT PRIMARY KEY NOT NULL, embedding BLOB, content TEXT, metadata TEXT, lang TEXT,"
        " ok BOOLEAN, made DATETIME, thumb BLOB)",
        (
            "INSERT INTO docs VALUES (?, ?, ?, ?, 'en', ?, '2024-05-01 10:00:00', x'00')",
            [(f"d{n:02}", row.tobytes(), f"t{n}", json.dumps({"n": n}), n % 2) for n, row in enumerate(table)],
        ),
    )
    info, documents, unreadable = await read(url)
    assert not unreadable
    assert (info.kind, info.dimension, info.metric, info.namespaces) == ("sql", 16, None, {"": 25})
    assert info.name == f"sqlite:///{file}, table docs"
    assert [one.id for one in documents] == [f"d{n:02}" for n in range(25)]
    assert all((one.vector.array == row).all() for one, row in zip(documents, table, strict=True))
    assert documents[3].text == "t3"
    assert documents[3].metadata == {"n": 3, "lang": "en", "ok": True, "made": "2024-05-01T10:00:00"}
    assert type(documents[3].metadata["ok"]) is bool
    assert info.notes == (
        "table: 'docs'",
        "ids: 'doc'",
        "vectors: 'embedding' (float32, 16 numbers; 25 of 25 that were looked at)",
        "text: 'content'",
        "metadata: 'metadata'",
        "further columns as metadata: 'lang', 'ok', 'made'",
        "left out, as metadata can't hold bytes and further vectors: 'thumb'",
        "rows are read in the order of 'doc'",
    )
    assert isinstance(SqlSource(url), Source)


@pytest.mark.parametrize(
    ("form", "write"),
    [
        ("json", lambda row: json.dumps(row.tolist())),
        ("json", lambda row: json.dumps(row.tolist()).encode()),
        ("float32", lambda row: row.tobytes()),
        ("float64", lambda row: row.astype("<f8").tobytes()),
    ],
)
async def test_forms(file: Path, form: str, write: Any) -> None:
    table = vectors(30, 32)
    url = sqlite_file(
        file,
        "CREATE TABLE d (id INTEGER PRIMARY KEY, v)",
        ("INSERT INTO d (v) VALUES (?)", [(write(r),) for r in table]),
    )
    for named in (None, form):
        info, documents, _ = await read(url, vector_format=named)
        assert f"({form}, 32 numbers" in info.notes[2]
        assert all((one.vector.array == row).all() for one, row in zip(documents, table, strict=True))


async def test_names_decide_and_what_stays_unclear_is_listed(file: Path) -> None:
    url = sqlite_file(
        file,
        "CREATE TABLE docs (id INTEGER PRIMARY KEY, box TEXT, title_embedding TEXT, body_embedding TEXT)",
        "INSERT INTO docs VALUES (1, '[1, 2, 3, 4]', '[1, 2]', '[3, 4]')",
    )
    with pytest.raises(ValueError, match=r"(?s)title_embedding.*body_embedding") as caught:
        await read(url)
    assert "'box'" not in str(caught.value)
    assert "table='docs', vector_column='title_embedding' (TEXT: json, 2 numbers)" in str(caught.value)
    info, (document,), _ = await read(url, exclude_columns=["body_embedding"])
    assert document.vector == [1, 2]
    assert any("passed over" in note and "'box'" in note for note in info.notes)
    _, (document,), _ = await read(url, vector_column="box")
    assert document.vector == [1, 2, 3, 4]


async def test_what_is_named_wrongly_is_told_with_what_there_is(file: Path) -> None:
    url = sqlite_file(
        file,
        "CREATE TABLE docs (id INTEGER PRIMARY KEY, embedding TEXT)",
        "INSERT INTO docs VALUES (1, '[1, 2]')",
        "CREATE TABLE more (id INTEGER PRIMARY KEY)",
    )
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"table": "dogs"}, "no table 'dogs'; it has 'docs', 'more'"),
        ({"table": "more"}, "no column whose values are vectors"),
        ({"vector_column": "vec"}, "has a column 'vec'"),
        ({"table": "docs", "vector_column": "vec"}, "no column 'vec' for vector_column; it has 'id', 'embedding'"),
        ({"vector_column": "id"}, "(?s)name one of them|no vectors"),
        ({"table": "docs", "vector_column": "id"}, "no vectors"),
        ({"vector_format": "float64"}, "no column whose values are vectors"),
        ({"dimension": 3}, "no column whose values are vectors"),
        ({"id_column": "embedding", "vector_column": "embedding"}, "named for two things"),
    ]
    others = ("id_column", "text_column", "metadata_column", "namespace_column")
    wrong += [({parameter: "x"}, f"no column 'x' for {parameter}") for parameter in others]
    for named, message in wrong:
        with pytest.raises(ValueError, match=message):
            await read(url, **named)
    for named in ({"vector_format": "xml"}, {"dimension": 0}, {"exclude_columns": "embedding"}):
        with pytest.raises(ValueError):  # noqa: PT011 - any of ours
            SqlSource(url, **named)  # type: ignore[arg-type]
    async with SqlSource(url) as source:
        with pytest.raises(ValueError, match="size"):
            await pages_of(source, 0)
        for cursor in ({}, {"key": "x"}, {"key": [["int", "1"], ["int", "2"]]}, 5, {"key": [["list", "1"]]}):
            with pytest.raises(ValueError, match="no cursor"):
                await pages_of(source, 1, "", cursor)
        assert await pages_of(source, 1, "unknown") == []


async def test_bytes_of_either_width_must_be_named(file: Path) -> None:
    url = sqlite_file(
        file,
        "CREATE TABLE d (id INTEGER PRIMARY KEY, v BLOB)",
        ("INSERT INTO d (v) VALUES (?)", [(f32(1, 1, 1, 1),)] * 9),
    )
    with pytest.raises(ValueError, match="no column"):
        await read(url)
    with pytest.raises(ValueError, match="vector_format="):
        await read(url, vector_column="v")
    _, documents, _ = await read(url, vector_column="v", vector_format="float32")
    assert documents[0].vector == [1, 1, 1, 1]
    info, _, _ = await read(url, vector_column="v", dimension=2)
    assert "(float64, 2 numbers" in info.notes[2]


async def test_an_embedding_of_unclear_width_is_not_passed_over(file: Path) -> None:
    url = sqlite_file(
        file,
        "CREATE TABLE d (id INTEGER PRIMARY KEY, embedding BLOB, box TEXT)",
        ("INSERT INTO d (embedding, box) VALUES (?, '[1, 2]')", [(f32(1, 1, 1, 1),)] * 9),
    )
    with pytest.raises(ValueError, match=r"'embedding'|vector_format="):
        await read(url)


BAD = [
    ("null", None, None, None, "the vector is NULL"),
    ("short", f32(1), None, None, "the vector has 1 numbers; the others have 2"),
    ("nan", f32(1, float("nan")), None, None, "the vector has NaN or infinite values"),
    ("odd", b"abc", None, None, "the vector has 3 bytes; 2 numbers of float32 have 8"),
    ("text", "[1, 2]", None, None, "the vector is not bytes but text"),
    ("number", 5, None, None, "the vector is not bytes but a number"),
    ("", TWO, None, None, "an id must not be empty"),
    (
        "x" * 513,
        TWO,
        None,
        None,
        "id 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'… has 513 bytes in UTF-8; at most 512 are allowed",
    ),
    ("m1", TWO, None, "{", "column 'metadata' is not valid JSON"),
    ("m2", TWO, None, "[1]", "column 'metadata' has JSON that is not an object"),
    ("m3", TWO, None, '{"a": 1e999}', "document 'm3': metadata 'a' is NaN or infinite"),
    ("m4", TWO, None, '{"a": [99999999999999999999]}', "document 'm4': metadata 'a[0]' is an integer beyond 64 bits"),
    ("m5", TWO, None, '{"a":' * 70 + "1" + "}" * 70, None),
    ("m6", TWO, None, '{"lang": "de"}', "column 'lang' is also a key of the metadata, with another value"),
    ("m7", TWO, None, b"\x00", "column 'metadata' is not valid JSON"),
    ("t1", TWO, 5, None, "column 'content' has a value of type int where text should be"),
    ("t2", TWO, b"x", None, "column 'content' has a value of type bytes where text should be"),
]


async def test_rows_that_cannot_be_read_are_reported_and_no_other_is_lost(file: Path) -> None:
    url = sqlite_file(
        file,
        # Without a type nothing is converted.
        "CREATE TABLE d (id PRIMARY KEY NOT NULL, v, content, metadata, lang DEFAULT 'en')",
        ("INSERT INTO d (id, v, content, metadata) VALUES (?, ?, ?, ?)", [row[:4] for row in BAD]),
        ("INSERT INTO d (id, v) VALUES (?, ?)", [(f"good{n:03}", f32(n, 1)) for n in range(300)]),
        ("INSERT INTO d (id, v, metadata) VALUES (?, ?, ?)", [("same", TWO, '{"lang": "en"}')]),
    )
    named = {"vector_column": "v", "metadata_column": "metadata", "vector_format": "float32"}
    info, documents, unreadable = await read(url, **named)
    assert info.namespaces == {"": len(BAD) + 301}
    assert [one.id for one in documents] == sorted([*(f"good{n:03}" for n in range(300)), "same"])
    causes = {one.key: one.cause for one in unreadable}
    expected = {row[0]: row[4] for row in BAD}
    assert len(unreadable) == len(BAD)
    assert causes.pop("''") == expected.pop("")
    assert causes.pop("x" * 80 + "…") == expected.pop("x" * 513)
    assert "64 levels" in causes.pop("m5")
    del expected["m5"]
    assert causes == expected
    await assert_resumes(url, size=40, **named)


async def test_text_that_is_not_utf8_spoils_its_own_row_only(file: Path) -> None:
    url = sqlite_file(
        file,
        "CREATE TABLE d (id TEXT PRIMARY KEY NOT NULL, v BLOB, content TEXT, note TEXT)",
        ("INSERT INTO d VALUES (?, ?, ?, ?)", [(f"k{n}", f32(1, n), "é", "ü") for n in range(5)]),
        "UPDATE d SET content = CAST(x'61ff' AS TEXT) WHERE id = 'k1'",
        "UPDATE d SET note = CAST(x'61ff' AS TEXT) WHERE id = 'k2'",
        "UPDATE d SET id = CAST(x'6b32ff' AS TEXT) WHERE id = 'k3'",
    )
    for size in (1, 2, 9):
        _, documents, unreadable = await read(url, size=size, vector_column="v", vector_format="float32")
        assert [(one.id, one.text, one.metadata) for one in documents] == [
            ("k0", "é", {"note": "ü"}),
            ("k4", "é", {"note": "ü"}),
        ]
        assert [(one.key, one.cause) for one in unreadable if one.key in ("k1", "k2")] == [
            ("k1", "column 'content' has text that is not UTF-8"),
            ("k2", "column 'note' has text that is not UTF-8"),
        ]
        assert [one.key for one in unreadable if one.key not in ("k1", "k2")] == ["k2\\udcff"]
    await assert_resumes(url, size=1, vector_column="v", vector_format="float32")


keys = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    st.binary(max_size=5),
)


@given(
    data=st.data(),
    declared=st.sampled_from(
        ["", "TEXT", "TEXT COLLATE NOCASE", "INT", "REAL", "NUMERIC", "BLOB", "TEXT COLLATE RTRIM"]
    ),
    count=st.integers(1, 2),
    size=st.integers(1, 4),
    without_rowid=st.booleans(),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_row_is_read_once_in_any_key(
    data: st.DataObject, declared: str, count: int, size: int, without_rowid: bool, tmp_path: Path
) -> None:
    file = tmp_path / "keys.db"
    file.unlink(missing_ok=True)
    columns = [f"k{n}" for n in range(count)]
    options = " WITHOUT ROWID" if without_rowid else ""
    rows = data.draw(st.lists(st.tuples(*[keys] * count), min_size=1, max_size=9))
    with sqlite3.connect(file) as connection:
        fields = ", ".join(f"{name} {declared} NOT NULL" for name in columns)
        connection.execute(f"CREATE TABLE d ({fields}, v TEXT, PRIMARY KEY ({', '.join(columns)})){options}")
        for place, row in enumerate(rows):
            marks = ", ".join("?" * count)
            connection.execute(f"INSERT OR IGNORE INTO d VALUES ({marks}, ?)", (*row, f"[{place}, 1]"))
        (expected,) = connection.execute("SELECT count(*) FROM d").fetchone()
    connection.close()

    # Bytes in a part of a key are no metadata.
    named = {"exclude_columns": columns} if count > 1 else {}

    async def whole() -> list[float]:
        try:
            _, documents, unreadable = await read(f"sqlite:///{file}", size=size, **named)
        except ValueError as error:  # such as 1 and '1'
            assert "same id" in str(error)  # noqa: PT017 - most examples raise nothing
            return []
        assert {one.cause for one in unreadable} <= {"an id must not be empty"}
        assert len({one.id for one in documents}) == len(documents)
        await assert_resumes(f"sqlite:///{file}", size=size, **named)
        return [one.vector[0] for one in documents] + [-1.0] * len(unreadable)

    found = asyncio.run(whole())
    assert len(found) in (0, expected)
    assert len({one for one in found if one >= 0}) == sum(one >= 0 for one in found)


async def test_an_index_with_another_collation_than_its_column(file: Path) -> None:
    """Ordered by the column's collation, ``a`` and ``A`` would be equal, and going on behind one passes the other."""
    url = sqlite_file(
        file,
        "CREATE TABLE d (id TEXT COLLATE NOCASE NOT NULL, v TEXT)",
        "CREATE UNIQUE INDEX i ON d (id COLLATE BINARY)",
        ("INSERT INTO d VALUES (?, '[1, 2]')", [("a",), ("A",), ("b",), ("B",)]),
    )
    _, documents, _ = await read(url, size=1)
    assert [one.id for one in documents] == ["A", "B", "a", "b"]


async def test_null_keys_are_reported(file: Path) -> None:
    url = sqlite_file(
        file,
        "CREATE TABLE d (id TEXT PRIMARY KEY, space TEXT, v TEXT)",
        ("INSERT INTO d VALUES (?, ?, '[1, 2]')", [("a", "x"), (None, "x"), ("b", None), (None, None), (None, "x")]),
    )
    info, documents, unreadable = await read(url, size=2, namespace_column="space")
    assert info.namespaces == {"": 2, "x": 3}
    assert [one.id for one in documents] == ["b", "a"]
    assert [(one.key, one.namespace) for one in unreadable] == [
        ("NULL (1 of 1)", ""),
        ("NULL (1 of 2)", "x"),
        ("NULL (2 of 2)", "x"),
    ]
    await assert_resumes(url, size=1, namespace="x", namespace_column="space")


async def test_namespaces_of_every_kind(file: Path) -> None:
    url = sqlite_file(
        file,
        "CREATE TABLE d (id INTEGER PRIMARY KEY, space COLLATE NOCASE, v TEXT)",
        ("INSERT INTO d (space, v) VALUES (?, '[1, 2]')", [(s,) for s in ("a", "A", None, "", 1, "1", "'; --", "a")]),
    )
    async with SqlSource(url, namespace_column="space") as source:
        info = await source.describe()
        assert info.namespaces == {"": 2, "'; --": 1, "1": 2, "A": 1, "a": 2}
        found = {
            name: [one.id for page in await pages_of(source, 1, name) for one in page.documents]
            for name in info.namespaces
        }
    assert found == {"": ["3", "4"], "'; --": ["7"], "1": ["5", "6"], "A": ["2"], "a": ["1", "8"]}


async def test_a_table_without_a_key_goes_by_row_number(file: Path) -> None:
    url = sqlite_file(
        file,
        "CREATE TABLE d (rowid TEXT, name TEXT, v TEXT)",
        ("INSERT INTO d VALUES ('r', ?, '[1, 2]')", [("a",), ("b",), ("b",), (None,)]),
    )
    info, documents, _ = await read(url, size=1)
    assert [one.id for one in documents] == ["1", "2", "3", "4"]
    assert documents[0].metadata == {"rowid": "r", "name": "a"}
    assert any("VACUUM" in note for note in info.notes)
    with pytest.raises(ValueError, match="same id"):
        await read(url, id_column="name")
    sqlite_file(file, "DELETE FROM d WHERE _rowid_ = 3")
    _, documents, unreadable = await read(url, size=1, id_column="name")
    assert [one.id for one in documents] == ["a", "b"]
    assert [(one.key, one.cause) for one in unreadable] == [("4", "the id is NULL")]


async def test_views(file: Path) -> None:
    url = sqlite_file(
        file,
        "CREATE TABLE d (id TEXT PRIMARY KEY NOT NULL, v TEXT)",
        ("INSERT INTO d VALUES (?, '[1, 2]')", [("a",), ("B",), ("b",)]),
        "CREATE VIEW seen AS SELECT id COLLATE NOCASE AS id, v AS embedding FROM d",
        "CREATE VIEW twice AS SELECT 'x' AS id, v FROM d",
    )
    info, _, _ = await read(url)
    assert info.notes[0] == "table: 'd'"
    with pytest.raises(UnsupportedOperationError, match="id_column="):
        await read(url, table="seen")
    info, documents, _ = await read(url, size=1, table="seen", id_column="id")
    assert [one.id for one in documents] == ["B", "a", "b"]
    assert any("nothing keeps 'id' unique" in note for note in info.notes)
    with pytest.raises(ValueError, match="same id"):
        await read(url, table="twice", id_column="id")


async def test_ids_that_would_be_the_same_are_refused(file: Path) -> None:
    """A view goes by its ids, so they have to differ over all namespaces; and 1 and '1' are two keys, but one id."""
    url = sqlite_file(
        file,
        "CREATE TABLE d (id PRIMARY KEY NOT NULL, v TEXT)",
        ("INSERT INTO d VALUES (?, '[1, 2]')", [(1,), ("1",), (b"\x01",)]),
        "CREATE VIEW seen AS SELECT hex(id) AS id, v, typeof(id) AS kind FROM d",
    )
    with pytest.raises(ValueError, match="same id"):
        await read(url)
    with pytest.raises(ValueError, match="same id"):
        await read(url, table="seen", id_column="id", namespace_column="kind")
    sqlite_file(file, "DELETE FROM d WHERE typeof(id) = 'text'")
    _, documents, _ = await read(url)
    assert [one.id for one in documents] == ["1", "01"]
    info, _, _ = await read(url, table="seen", id_column="id", namespace_column="kind")
    assert info.namespaces == {"blob": 1, "integer": 1}


async def test_names_and_values_are_only_that(file: Path) -> None:
    wild = "d\"; DROP TABLE keep; -- %s :a ?'`"
    quoted = '"' + wild.replace('"', '""') + '"'
    column = '"' + 'k"ey, (SELECT 1) %(x)s :b'.replace('"', '""') + '"'
    evil = ["'; DROP TABLE keep; --", '" OR 1=1 --', "%", "\\", "a'b"]
    url = sqlite_file(
        file,
        "CREATE TABLE keep (id INTEGER PRIMARY KEY)",
        f"CREATE TABLE {quoted} ({column} TEXT PRIMARY KEY NOT NULL, {quoted} TEXT, v TEXT)",
        (f"INSERT INTO {quoted} VALUES (?, ?, '[1, 2]')", [(one, one) for one in evil]),
    )
    _, documents, _ = await read(url, size=1, table=wild, namespace_column=wild)
    assert sorted(one.id for one in documents) == sorted(evil)
    _, documents, _ = await read(url, size=1)
    assert [one.metadata for one in documents] == [{wild: one.id} for one in documents]
    with pytest.raises(ValueError, match="no table"):
        await read(url, table="keep; DROP TABLE keep")


async def test_an_empty_table_and_one_without_vectors(file: Path) -> None:
    url = sqlite_file(file, "CREATE TABLE d (id INTEGER PRIMARY KEY, embedding BLOB)")
    info, documents, _ = await read(url)
    assert (info.dimension, info.namespaces, documents) == (None, {"": 0}, [])
    sqlite_file(file, "INSERT INTO d VALUES (1, NULL)")
    info, _, unreadable = await read(url)
    assert info.dimension is None
    assert [one.cause for one in unreadable] == ["the vector is NULL"]
    async with SqlSource(url) as source:
        await source.describe()
        sqlite_file(file, ("INSERT INTO d VALUES (2, ?)", [(TWO,)]))
        with pytest.raises(ValueError, match="open it again"):
            await pages_of(source)


async def test_half_and_half_is_not_guessed(file: Path) -> None:
    url = sqlite_file(
        file,
        "CREATE TABLE d (id INTEGER PRIMARY KEY, embedding TEXT)",
        ("INSERT INTO d (embedding) VALUES (?)", [("[1, 2]",)] * 500 + [("[1, 2, 3]",)] * 500),
    )
    with pytest.raises(ValueError, match="dimension="):
        await read(url)
    info, documents, unreadable = await read(url, size=100, dimension=3, vector_column="embedding")
    assert info.dimension == 3
    assert (len(documents), len(unreadable)) == (500, 500)


async def test_decimals_big_integers_and_bytes_among_the_columns(file: Path) -> None:
    url = sqlite_file(
        file,
        "CREATE TABLE d (id INTEGER PRIMARY KEY, embedding TEXT, j JSON, b BOOL, note TEXT, n INT)",
        "INSERT INTO d VALUES (1, '[1, 2]', '{\"a\": [1, 2.0, null]}', 0, 'x', 9223372036854775807)",
        "INSERT INTO d VALUES (2, '[1, 2]', NULL, 7, x'00', NULL)",
        "INSERT INTO d VALUES (3, '[1, 2]', 'x', 1, 'x', 1.5)",
    )
    _, documents, unreadable = await read(url)
    assert documents[0].metadata == {"j": {"a": [1, 2.0, None]}, "b": False, "note": "x", "n": 2**63 - 1}
    assert [type(one) for one in documents[0].metadata["j"]["a"]] == [int, float, type(None)]
    assert {one.key: one.cause for one in unreadable} == {
        "2": "column 'note' has bytes, which metadata can't hold",
        "3": "column 'j' is not valid JSON",
    }


async def test_metadata_that_is_none_and_columns_left_out(file: Path) -> None:
    url = sqlite_file(
        file,
        "CREATE TABLE d (id INTEGER PRIMARY KEY, embedding TEXT, text TEXT, metadata TEXT, lang TEXT)",
        "INSERT INTO d VALUES (1, '[1, 2]', 'words', 'plain', 'en'), (2, '[1, 2]', NULL, NULL, NULL)",
    )
    info, documents, _ = await read(url)
    assert [(one.text, one.metadata) for one in documents] == [
        ("words", {"metadata": "plain", "lang": "en"}),
        (None, {"metadata": None, "lang": None}),
    ]
    assert any("other values than JSON objects" in note for note in info.notes)
    _, documents, _ = await read(url, text_column=False, metadata_column=False, exclude_columns=["lang"])
    assert (documents[0].text, documents[0].metadata) == (None, {"text": "words", "metadata": "plain"})


async def test_the_file_is_only_read(file: Path) -> None:
    import sqlalchemy as sa

    url = sqlite_file(file, "CREATE TABLE d (id INTEGER PRIMARY KEY, v TEXT)", "INSERT INTO d VALUES (1, '[1, 2]')")
    before = await asyncio.to_thread(file.read_bytes)
    for driver in ("sqlite", "sqlite+aiosqlite", "sqlite+pysqlite"):
        async with SqlSource(url.replace("sqlite", driver, 1)) as source:
            await source.describe()
            assert source._database is not None
            with pytest.raises(ConnectionError, match="readonly"):
                await source._database.run(lambda connection: connection.execute(sa.text("DELETE FROM d")))
            assert len((await pages_of(source))[0].documents) == 1
    assert await asyncio.to_thread(file.read_bytes) == before


async def test_it_reads_while_another_writes_and_can_be_cancelled(file: Path) -> None:
    url = sqlite_file(
        file,
        "PRAGMA journal_mode = WAL",
        "CREATE TABLE d (id INTEGER PRIMARY KEY, v TEXT)",
        ("INSERT INTO d (v) VALUES (?)", [("[1, 2]",)] * 500),
    )
    async with SqlSource(url) as source:
        found = []
        async for page in source.pages("", 100):
            found += [one.id for one in page.documents]
            if len(found) == 100:
                sqlite_file(file, "INSERT INTO d VALUES (-1, '[1, 2]'), (999, '[1, 2]')")
        assert found == [*map(str, range(1, 501)), "999"]
        for delay in np.linspace(0, 0.02, 15):
            task = asyncio.create_task(pages_of(source, 5))
            await asyncio.sleep(float(delay))
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert sum(len(page.documents) for page in await pages_of(source, 50)) == 502
        await source.close()
        await source.close()
        assert len(await pages_of(source, 502)) == 1


async def test_several_read_at_once(file: Path) -> None:
    url = sqlite_file(
        file, "CREATE TABLE d (id INTEGER PRIMARY KEY, v TEXT)", ("INSERT INTO d (v) VALUES (?)", [("[1, 2]",)] * 50)
    )
    async with SqlSource(url) as source:
        every = await asyncio.gather(*[pages_of(source, 3) for _ in range(20)])
    assert all(one == every[0] for one in every)
