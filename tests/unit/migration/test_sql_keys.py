"""Keys in cursors, ids and queries."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import mysql, postgresql, sqlite

from ia_modules.vector_stores.migration.sql.keys import (
    KeyValueError,
    behind,
    decoded,
    encoded,
    id_text,
    joined_id,
    key_column,
)
from ia_modules.vector_stores.migration.sql.layout import Layout
from ia_modules.vector_stores.migration.sql.tables import Column, Table

values = st.one_of(
    st.integers(),
    st.text(),
    st.booleans(),
    st.floats(allow_nan=False),
    st.decimals(allow_nan=False),
    st.uuids(),
    st.binary(),
    st.dates(),
    st.times(),
    st.datetimes(),
    st.datetimes(timezones=st.just(datetime.UTC)),
)


@given(value=values)
def test_a_cursor_keeps_every_value_with_its_type(value: Any) -> None:
    again = decoded(json.loads(json.dumps(encoded(value))))
    assert type(again) is type(value)
    assert again == value
    assert str(again) == str(value)  # the sign of zero, the digits of a decimal


def test_no_cursor_of_what_it_does_not_know() -> None:
    with pytest.raises(KeyValueError, match="complex"):
        encoded(1j)
    for wrong in (None, "x", ["int"], ["list", "1"], ["int", 1], [1, 2], {"int": "1"}):
        with pytest.raises(ValueError, match="no cursor"):
            decoded(wrong)


@given(st.lists(st.lists(st.text(alphabet="ab:\\", max_size=4), min_size=2, max_size=2), min_size=2, max_size=2))
def test_two_keys_never_become_one_id(pair: list[list[str]]) -> None:
    one, other = pair
    assert (joined_id(one) == joined_id(other)) == (one == other)


def test_ids_of_each_type() -> None:
    moment = datetime.datetime(2024, 2, 29, 13, tzinfo=datetime.UTC)
    shown = [id_text(one) for one in (5, "x", b"\x00\xff", moment, moment.date(), True)]
    assert shown == ["5", "x", "00ff", "2024-02-29T13:00:00+00:00", "2024-02-29", "true"]
    with pytest.raises(ValueError, match="NULL"):
        id_text(None)


def sql(condition: Any, dialect: Any) -> str:
    return " ".join(str(condition.compile(dialect=dialect)).split())


def test_mysql_compares_several_columns_so_that_an_index_is_used() -> None:
    columns = [key_column(name, None) for name in ("a", "b", "c")]
    assert sql(behind(columns, [1, 2, 3], "mysql"), mysql.dialect()) == (
        "`a` >= %s AND (`a` > %s OR `a` = %s AND (`b` > %s OR `b` = %s AND `c` > %s))"
    )
    assert sql(behind(columns[:1], [1], "mysql"), mysql.dialect()) == "`a` > %s"
    assert sql(behind(columns, [1, 2, 3], "postgresql"), postgresql.dialect()) == (
        '("a", "b", "c") > (%(value_1)s, %(value_2)s, %(value_3)s)'
    )


@given(rows=st.sets(st.tuples(*[st.integers(0, 2)] * 3), min_size=1))
def test_both_ways_of_comparing_say_the_same(rows: set[tuple[int, int, int]]) -> None:
    engine = sa.create_engine("sqlite://")
    columns = [key_column(name, None) for name in ("a", "b", "c")]
    with engine.connect() as connection:
        connection.execute(sa.text("CREATE TABLE t (a, b, c)"))
        connection.execute(
            sa.text("INSERT INTO t VALUES (:a, :b, :c)"), [dict(zip("abc", row, strict=True)) for row in rows]
        )
        for last in rows:
            expected = [row for row in sorted(rows) if row > last]
            for backend in ("mysql", "sqlite"):
                query = sa.select(*columns).select_from(sa.table("t")).order_by(*columns)
                found = connection.execute(query.where(behind(columns, last, backend)))
                assert [tuple(row) for row in found] == expected
    engine.dispose()


def test_names_are_only_names() -> None:
    wild = 'x"`; DROP TABLE y; -- %s :a %(b)s ?'
    column = Column(wild, "text", "text")
    table = Table(wild, wild, (column,))
    layout = Layout("mysql", table, ((wild, None),), (), (wild,), column, "json", 2, None, None, column, ())
    query = layout.page([b"n"], ["k"], 5)
    quoted = '`x"``; DROP TABLE y; -- %%s :a %%(b)s ?`'
    text = sql(query, mysql.dialect())
    assert text.count(quoted) == 7
    assert "DROP" not in text.replace(quoted, "")
    assert text.endswith(f"ORDER BY {quoted} LIMIT %s")
    assert f"CAST(convert({quoted} USING utf8mb4) AS BINARY) = unhex(%s)" in text
    double = '"' + wild.replace('"', '""') + '"'
    assert "DROP" not in sql(query, sqlite.dialect()).replace(double, "")
