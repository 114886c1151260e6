"""URLs, drivers and what errors say."""

from __future__ import annotations

import datetime
import traceback
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ia_modules.vector_stores.errors import ConnectionError, MissingDependencyError, UnsupportedOperationError
from ia_modules.vector_stores.migration.sql import SqlSource
from ia_modules.vector_stores.migration.sql.database import Database
from ia_modules.vector_stores.migration.sql.tables import Column
from ia_modules.vector_stores.migration.sql.values import converter, is_sound, json_value
from processes import run_python
from sql_sources import read, sqlite_file

SECRET = "hunter" + "2"  # a traceback shows lines of this file


async def test_a_missing_file_is_an_error_and_stays_missing(tmp_path: Path) -> None:
    file = tmp_path / "missing.db"
    for url in (f"sqlite:///{file}", f"sqlite:///file:{file}?uri=true", f"sqlite:///{tmp_path}"):
        with pytest.raises(ConnectionError, match="there is no file") as caught:
            await read(url)
        assert not caught.value.retryable
    assert not file.exists()
    for url in ("sqlite://", "sqlite:///:memory:", "sqlite+aiosqlite://"):
        with pytest.raises(ValueError, match="in memory"):
            await read(url)


@pytest.mark.parametrize("name", ["a b.db", "what?.db", "100%.db", "a#b.db", "é.db", "file.db?mode=rwc"])
async def test_any_file_name(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / name
    made = sqlite_file(file, "CREATE TABLE d (id INTEGER PRIMARY KEY, v TEXT)", "INSERT INTO d VALUES (1, '[1, 2]')")
    if "?" not in name:
        _, documents, _ = await read(made)
        assert documents[0].id == "1"
        monkeypatch.chdir(tmp_path)
        assert (await read(f"sqlite:///{name}"))[0].name == f"sqlite:///{name}, table d"
    assert (await read(f"sqlite:///{file.as_uri()}?uri=true"))[0].namespaces == {"": 1}


async def test_what_is_no_database(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("not a database" * 100)
    with pytest.raises(ConnectionError, match="not a database"):
        await read(f"sqlite:///{file}")
    for url, kind, message in (
        (f"nonsense {SECRET}", ValueError, "no database URL"),
        (f"postgresql://u:{SECRET}@h:x/d", ValueError, "no database URL"),
        (
            f"mssql://u:{SECRET}@h/d",
            UnsupportedOperationError,
            "SQLite, PostgreSQL, MySQL and MariaDB, not from 'mssql'",
        ),
        (f"postgresql+nosuch://u:{SECRET}@h/d", ValueError, "no driver"),
        (f"postgresql+pg8000://u:{SECRET}@h/d", Exception, "pg8000"),
    ):
        with pytest.raises(kind, match=message) as caught:
            await read(url)
        assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("backend", ["postgresql", "mysql", "mariadb"])
async def test_no_password_is_shown(backend: str) -> None:
    url = f"{backend}://user:{SECRET}@127.0.0.1:1/shop"
    source = SqlSource(url, table="docs")
    with pytest.raises(ConnectionError, match=f"{backend}://127.0.0.1:1/shop") as caught:
        await source.describe()
    shown = "".join(traceback.format_exception(caught.value)) + repr(source) + str(vars(source))
    assert SECRET not in shown
    assert caught.value.retryable
    assert repr(source) == "SqlSource('…', table='docs')"
    await source.close()


def test_a_secret_in_a_driver_s_message_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    from pydantic import SecretStr

    database = Database(SecretStr(f"postgresql://user:{SECRET}@h/d?sslpassword=pa55"))
    with pytest.raises(ConnectionError) as caught:
        database._raise(OSError(f"login with {SECRET} and pa55 failed"))
    assert "login with *** and *** failed" in str(caught.value)
    assert caught.value.__cause__ is None
    assert "u" not in database.name.removeprefix("postgresql://h/d")


def test_a_missing_package_is_named_with_its_extra() -> None:
    code = """
import sys, asyncio
sys.modules[sys.argv[1]] = None
from ia_modules.vector_stores.migration.sql import SqlSource
from ia_modules.vector_stores.errors import MissingDependencyError
try:
    asyncio.run(SqlSource(sys.argv[2]).describe())
except MissingDependencyError as error:
    print(error.package, error.extra)
"""
    for package, url, extra in (
        ("sqlalchemy", "sqlite:///x.db", "migration"),
        ("asyncpg", "postgresql://h/d", "postgresql"),
        ("aiomysql", "mysql://h/d", "mysql"),
    ):
        assert run_python(code, package, url) == f"{package} {extra}"
    assert issubclass(MissingDependencyError, ImportError)


def test_importing_needs_no_sqlalchemy() -> None:
    code = "import sys, ia_modules.vector_stores.migration.sql; print('sqlalchemy' in sys.modules)"
    assert run_python(code) == "False"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Decimal("3.00"), 3),
        (Decimal("0.1"), 0.1),
        (Decimal("12.50"), 12.5),
        (Decimal("0.12345678901234567890"), "0.12345678901234567890"),
        (Decimal(2**63), float(2**63)),
        (Decimal(2**63 + 1), str(2**63 + 1)),
        (2**63, str(2**63)),
        (-(2**63), -(2**63)),
        (datetime.date(2024, 2, 29), "2024-02-29"),
        (datetime.datetime(2024, 2, 29, 1), "2024-02-29T01:00:00"),  # noqa: DTZ001 - the database has no zone
        (datetime.time(1, 2), "01:02:00"),
        (datetime.timedelta(hours=1, microseconds=1), "PT3600.000001S"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ([Decimal(1), None, True], [1, None, True]),
        ({"a": Decimal("0.5")}, {"a": 0.5}),
        ("é", "é"),
        (1.5, 1.5),
        (True, True),
    ],
)
def test_values_as_json_has_them(value: Any, expected: Any) -> None:
    found = json_value(value)
    assert found == expected
    assert type(found) is type(expected)


def test_values_that_json_has_not() -> None:
    for value, message in ((b"x", "bytes"), (1j, "complex"), ("\udcff", "not UTF-8"), ([b"x"], "bytes")):
        with pytest.raises(ValueError, match=message):
            json_value(value)


def test_values_of_mysql() -> None:
    def of(kind: Any, declared: str, value: Any) -> Any:
        return converter(Column("c", declared, kind), "mysql")(value)

    assert of("boolean", "tinyint(1)", 1) is True
    assert of("boolean", "tinyint(1)", 5) == 5
    assert of("bits", "bit(1)", b"\x00") is False
    assert of("bits", "bit(12)", b"\x01\x02") == 258
    assert of("timestamp", "timestamp", datetime.datetime(2024, 1, 1)) == "2024-01-01T00:00:00+00:00"  # noqa: DTZ001 - the database has no zone
    assert of("moment", "datetime", datetime.datetime(2024, 1, 1)) == "2024-01-01T00:00:00"  # noqa: DTZ001 - the database has no zone
    assert of("json", "json", '{"a": 1}') == {"a": 1}
    assert of("json", "json", None) is None


def test_sound_values() -> None:
    deep: Any = 1
    for _ in range(64):
        deep = {"a": deep}
    assert is_sound(deep)
    assert is_sound({"a": [1, "x", None, True, 2.5, {}]})
    for bad in ({"a": deep}, {"a": 2**63}, {"a": [float("nan")]}, {"a": {"b": float("inf")}}):
        assert not is_sound(bad)
