"""Parquet files that others have made: columns found or named, and rows that are no documents."""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export_helpers import read_file, some_documents, write_file
from ia_modules.vector_stores.migration import ParquetSource
from ia_modules.vector_stores.migration.formats import FileFormatError

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def written(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


@pytest.mark.parametrize("kind", [pa.float16(), pa.float32(), pa.float64(), pa.int8()], ids=str)
@pytest.mark.parametrize("shape", ["list", "large_list", "fixed"])
async def test_vectors_of_every_kind(kind: Any, shape: str, tmp_path: Path) -> None:
    rows = [[1, 2, 3], [-4, 0, 5], [6, 7, 8]]
    made = {"list": pa.list_(kind), "large_list": pa.large_list(kind), "fixed": pa.list_(kind, 3)}[shape]
    values = [[np.float16(x) for x in row] for row in rows] if kind == pa.float16() else rows
    path = written(tmp_path / "a.parquet", id=["a", "b", "c"], embedding=pa.array(values, made))
    info, found, _ = await read_file(path, 2)
    assert [document.vector.tolist() for document in found[""]] == rows
    assert info.dimension == (3 if shape == "fixed" else None)
    assert info.metric is None
    assert any("single precision" in note for note in info.notes) == (kind == pa.float64())


async def test_columns_are_found_and_told(tmp_path: Path) -> None:
    path = written(
        tmp_path / "a.parquet",
        doc_id=[7, 8],
        values=[[1.0, 2.0], [3.0, 4.0]],
        content=["x", None],
        year=[1999, None],
        price=[Decimal("1.50"), Decimal("12345678901234567890.12")],
        day=[datetime.date(2024, 5, 1), None],
        at=[datetime.datetime(2024, 5, 1, 12, 30, tzinfo=datetime.UTC), None],
        tags=[["a"], []],
        raw=[b"1", b"2"],
    )
    info, found, unreadable = await read_file(path)
    assert unreadable == []
    assert [document.id for document in found[""]] == ["7", "8"]
    assert [document.text for document in found[""]] == ["x", None]
    assert [document.metadata for document in found[""]] == [
        {"year": 1999, "price": 1.5, "day": "2024-05-01", "at": "2024-05-01T12:30:00+00:00", "tags": ["a"]},
        {"year": None, "price": "12345678901234567890.12", "day": None, "at": None, "tags": []},
    ]
    assert info.notes == (
        "columns: id from 'doc_id', vector from 'values', text from 'content'",
        "metadata from the columns: year, price, day, at, tags",
        "left out: the columns raw",
        "vectors are in double precision there and are rounded to single precision",
    )


async def test_columns_that_are_named_win(tmp_path: Path) -> None:
    path = written(
        tmp_path / "a.parquet",
        id=["wrong"],
        right=["a"],
        vector=[[1.0]],
        second=[[2.0]],
        text=["no"],
        facts=[{"a": 1}],
        tenant=["t"],
        junk=[1],
    )
    _, found, _ = await read_file(
        path, id_column="right", vector_column="second", text_column=False, metadata_column="facts",
        namespace_column="tenant", exclude_columns=["junk", "id", "vector", "text"],
    )  # fmt: skip
    (document,) = found["t"]
    assert (document.id, document.vector.tolist(), document.text, document.metadata) == ("a", [2.0], None, {"a": 1})


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"id_column": "nothing"}, "no column 'nothing'; there are: a, b, c"),
        ({"vector_column": "a"}, "column 'a' is of the type string, which is no vector"),
        ({"exclude_columns": ["d"]}, "no column 'd'"),
        ({}, "no column for the id was found among: a, b, c; name it"),
        ({"id_column": "a"}, "no column for the vector was found"),
    ],
)
async def test_what_is_not_found_is_listed(named: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet", a=["x"], b=[[1.0]], c=[[1.0]])
    with pytest.raises(ValueError, match=message):
        await ParquetSource(path, **named).describe()


async def test_rows_that_are_no_documents_are_told(tmp_path: Path) -> None:
    vectors = [
        [1.0, 2.0],
        None,
        [1.0, None],
        [float("nan"), 1.0],
        [],
        [1e300, 0.0],
        [1.0, 2.0],
        [1.0, 2.0],
        [1.0],
        [1.0, 2.0],
    ]
    path = written(
        tmp_path / "a.parquet",
        id=["good", "null", "hole", "nan", "empty", "huge", None, "json", "short", "list"],
        vector=vectors,
        metadata=["{}", None, None, None, None, None, None, "{secret", '{"a": 1}', "[1]"],
    )
    _, found, unreadable = await read_file(path, 4)
    assert [document.id for document in found[""]] == ["good", "short"]
    told = {one.key: one.cause for one in unreadable}
    assert list(told) == [f"row {number}" for number in (2, 3, 4, 5, 6, 7, 8, 10)]
    assert told["row 2"] == told["row 3"] == "no vector, or one with a missing number"
    assert "NaN" in told["row 4"]
    assert "empty" in told["row 5"]
    assert "infinite" in told["row 6"]
    assert told["row 7"] == "no id"
    assert told["row 8"].startswith("metadata is not JSON")
    assert told["row 10"] == "metadata is JSON, but no object"
    assert "secret" not in str(told)


async def test_a_column_and_a_key_that_disagree(tmp_path: Path) -> None:
    path = written(
        tmp_path / "a.parquet",
        id=["same", "other"],
        vector=[[1.0], [1.0]],
        metadata=['{"n": 1}', '{"n": 1}'],
        n=[1, 2],
    )
    _, found, unreadable = await read_file(path)
    assert [document.metadata for document in found[""]] == [{"n": 1}]
    assert unreadable[0].cause == "'n' is also a key of the metadata, with another value"


async def test_a_folder_of_files(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    with pytest.raises(FileFormatError, match=r"no \*\.parquet"):
        await ParquetSource(folder).describe()
    for part, rows in (("b", 3), ("a", 4), ("c", 2)):
        written(
            folder / f"{part}.parquet",
            id=[f"{part}{row}" for row in range(rows)] if part != "c" else ["c0", None],
            vector=[[1.0, 2.0]] * rows,
            namespace=pa.array(["x", None, "y", ""][:rows]).dictionary_encode(),
        )
    (folder / "notes.txt").write_text("no Parquet")
    info, found, unreadable = await read_file(folder, 2)
    assert dict(info.namespaces) == {"x": 3, "": 4, "y": 2}
    assert {name: [d.id for d in them] for name, them in found.items()} == {
        "x": ["a0", "b0", "c0"],
        "": ["a1", "a3", "b1"],
        "y": ["a2", "b2"],
    }
    assert [one.key for one in unreadable] == ["c.parquet: row 2"]
    written(folder / "d.parquet", id=["d"], vector=[[1.0, 2.0]])
    with pytest.raises(FileFormatError, match=r"d\.parquet has other columns"):
        await ParquetSource(folder).describe()


async def test_namespaces_that_alternate_come_in_full_pages(tmp_path: Path) -> None:
    count = 5000
    path = tmp_path / "a.parquet"
    table = pa.table(
        {
            "id": [str(number) for number in range(count)],
            "namespace": [str(number % 10) for number in range(count)],
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(np.arange(count * 2, dtype=np.float32)), 2),
        }
    )
    pq.write_table(table, path, row_group_size=1300)
    source = ParquetSource(path)
    await source.describe()
    pages = [page async for page in source.pages("3", 100)]
    assert [document.id for page in pages for document in page.documents] == [str(n) for n in range(3, count, 10)]
    assert len(pages) <= 6
    rest = [page async for page in ParquetSource(path).pages("3", 100, pages[2].cursor)]
    assert sum(len(page.documents) for page in rest) == sum(len(page.documents) for page in pages[3:])


async def test_row_groups_too_large_to_be_kept_are_read_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ia_modules.vector_stores.migration import parquet

    monkeypatch.setattr(parquet, "_KEPT_GROUP_BYTES", 0)
    documents = some_documents(50)
    await write_file(tmp_path / "a.parquet", {"": documents})
    _, found, _ = await read_file(tmp_path / "a.parquet", 7)
    assert found[""] == documents
    pages = [page async for page in ParquetSource(tmp_path / "a.parquet").pages("", 7)]
    for number, page in enumerate(pages):
        rest = [page async for page in ParquetSource(tmp_path / "a.parquet").pages("", 7, page.cursor)]
        assert [d.id for p in rest for d in p.documents] == [d.id for p in pages[number + 1 :] for d in p.documents]


async def test_what_is_no_parquet(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_text("id,vector")
    with pytest.raises(FileFormatError, match=r"a\.parquet can't be read"):
        await ParquetSource(tmp_path / "a.parquet").describe()
    path = written(tmp_path / "b.parquet", id=["a"], vector=[[1.0]])
    later = pq.read_table(path).replace_schema_metadata(
        {"ia_vectors": '{"format": "ia-vectors-parquet", "version": 2}'}
    )
    pq.write_table(later, path)
    with pytest.raises(FileFormatError, match="another version"):
        await ParquetSource(path).describe()
