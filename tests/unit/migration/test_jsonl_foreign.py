"""JSON lines that others have made: every line is a document or is told with its number and the cause."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from export_helpers import read_file, some_documents, write_file
from ia_modules.vector_stores.migration import JsonLinesSource
from ia_modules.vector_stores.migration.formats import FileFormatError, file_format

pytest.importorskip("orjson")


def written(path: Path, *lines: Any) -> Path:
    path.write_bytes(b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines))
    return path


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        (b'{"id": "secret", "vector": [1', "not valid JSON: unexpected end of data (column 1)"),
        (b"\xff\xfe", "not valid JSON"),
        (b'["secret"]', "a JSON list where an object should be"),
        ({"vector": [1]}, "no id"),
        ({"id": None, "vector": [1]}, "no id"),
        ({"id": ["secret"], "vector": [1]}, "the id is neither a string nor an integer"),
        ({"id": True, "vector": [1]}, "the id is neither a string nor an integer"),
        ({"id": "", "vector": [1]}, "id: String should have at least 1 character"),
        ({"id": "a"}, "no vector"),
        ({"id": "a", "vector": "secret"}, "the vector is no list of numbers"),
        ({"id": "a", "vector": []}, "the vector is empty"),
        ({"id": "a", "vector": [1, None]}, "other elements"),
        ({"id": "a", "vector": [1, "secret"]}, "other elements"),
        ({"id": "a", "vector": [[1]]}, "has shape (1, 1)"),
        (b'{"id": "a", "vector": [NaN]}', "not valid JSON"),
        (b'{"id": "a", "vector": [1e300]}', "infinite"),
        ({"id": "a", "vector": [1], "text": 7}, "the text is no string"),
        ({"id": "a", "vector": [1], "metadata": ["secret"]}, "the metadata is no object"),
        (b'{"id": "a", "vector": [1], "metadata": {"n": 18446744073709551616}}', "beyond 64 bits"),
        (b'{"id": "a", "vector": [1], "metadata": {"n": [-9223372036854775809]}}', "beyond 64 bits"),
        (b'{"id": "a", "vector": [1], "metadata": {"n": 9223372036854775808}}', "beyond 64 bits"),
        ({"id": "a", "vector": [1], "metadata": {"n": 1}, "n": 2}, "'n' is also a key of the metadata"),
        ({"id": "a", "vector": [1], "namespace": 7}, "the namespace is no string"),
        (b'{"id": "a", "vector": [1], "x": ' + b"[" * 2000 + b"]" * 2000 + b"}", "JSON"),
        (b'{"id": "a", "vector": [1], "x": ' + b"[" * 200 + b"]" * 200 + b"}", "nested more than 64 levels"),
    ],
)
async def test_a_line_that_is_no_document(line: Any, cause: str, tmp_path: Path) -> None:
    good = {"id": "good", "vector": [1], "namespace": "here"}
    path = written(tmp_path / "a.jsonl", good, line, good | {"id": 8}, b"", b"  ", good | {"id": "end"})
    _, found, unreadable = await read_file(path)
    assert [document.id for document in found["here"]] == ["good", "8", "end"]
    assert [one.key for one in unreadable] == ["line 2"]
    assert cause in unreadable[0].cause
    assert "secret" not in unreadable[0].cause


async def test_large_numbers_that_are_floats_stay_floats(tmp_path: Path) -> None:
    path = written(
        tmp_path / "a.jsonl", {"id": "a", "vector": [1], "metadata": {"n": 1e19, "m": 2**63 - 1, "x": [1.0]}}
    )
    _, found, _ = await read_file(path)
    assert json.dumps(found[""][0].metadata) == json.dumps({"n": 1e19, "m": 2**63 - 1, "x": [1.0]})


async def test_fields_can_have_other_names_and_further_ones_become_metadata(tmp_path: Path) -> None:
    path = written(
        tmp_path / "a.jsonl",
        {"key": 1, "emb": [1], "body": "x", "tenant": "t", "facts": {"a": 1}, "year": 3.0, "junk": 1, "text": "other"},
    )
    _, found, _ = await read_file(
        path, id_column="key", vector_column="emb", text_column="body", metadata_column="facts",
        namespace_column="tenant", exclude_columns=["junk"],
    )  # fmt: skip
    (document,) = found["t"]
    assert (document.id, document.text) == ("1", "x")
    assert json.dumps(document.metadata) == json.dumps({"a": 1, "year": 3.0, "text": "other"})
    _, found, _ = await read_file(
        path, id_column="key", vector_column="emb", text_column=False, metadata_column=False, exclude_columns=["body"]
    )
    assert found[""][0].text is None
    assert found[""][0].metadata["text"] == "other"


async def test_lines_whose_namespace_is_unknown_are_told_once(tmp_path: Path) -> None:
    """They come with the first namespace, wherever they are in the file."""
    path = written(
        tmp_path / "a.jsonl",
        b"{broken",
        {"id": "1", "namespace": "b", "vector": [1]},
        {"id": "2", "namespace": "a", "vector": [1]},
        b"{broken",
        {"id": "3", "namespace": "a", "vector": [1]},
        b"{broken",
    )
    info, found, unreadable = await read_file(path, 1)
    assert {name: [d.id for d in them] for name, them in found.items()} == {"b": ["1"], "a": ["2", "3"]}
    assert [(one.namespace, one.key) for one in unreadable] == [("b", "line 1"), ("b", "line 4"), ("b", "line 6")]
    assert sum(count or 0 for count in info.namespaces.values()) == 6
    only_bad = written(tmp_path / "b.jsonl", b"{broken", b"[]")
    info, found, unreadable = await read_file(only_bad)
    assert (found, [one.key for one in unreadable]) == ({"": []}, ["line 1", "line 2"])


async def test_a_namespace_that_stands_behind_the_vector(tmp_path: Path) -> None:
    """A short cut looks at what stands before the vector, and must not be misled."""
    path = written(
        tmp_path / "a.jsonl",
        b'{"id":"1","vector":[1],"namespace":"late"}',
        b'{"id":"2","namespace":"early","vector":[1],"text":"\\"namespace\\":\\"no\\""}',
        b'{"id":"3","namespace":"early","vector":[1],"namespace":"late"}',
        b'{"id":"4","metadata":{"namespace":"no"},"vector":[1]}',
        b'{"id":"5","metadata":{"x":1,"vector":[1],"namespace":"no"},"vector":[1]}',
    )
    _, found, unreadable = await read_file(path)
    assert unreadable == []
    assert {name: [d.id for d in them] for name, them in found.items()} == {
        "late": ["1", "3"],
        "early": ["2"],
        "": ["4", "5"],
    }


async def test_marks_and_line_ends_of_other_systems(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"id": "1", "vector": [1]}\r\n\r\n{"id": "2", "vector": [1]}\r\n')
    _, found, unreadable = await read_file(path, 1)
    assert ([d.id for d in found[""]], unreadable) == (["1", "2"], [])


async def test_a_line_longer_than_any_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ia_modules.vector_stores.migration import jsonl

    monkeypatch.setattr(jsonl, "_LONGEST", 100)
    good = {"id": "1", "vector": [1]}
    for length in (99, 100, 101, 199, 200, 201, 1000):
        long = b'{"id": "x", "vector": [1], "text": "'
        long += b"x" * (length - len(long) - 2) + b'"}'
        assert len(long) == length
        path = written(tmp_path / "a.jsonl", good, long, good | {"id": "2"})
        _, found, unreadable = await read_file(path)
        assert [d.id for d in found[""]] == (["1", "x", "2"] if length < 100 else ["1", "2"]), length
        assert [one.key for one in unreadable] == ([] if length < 100 else ["line 2"]), length


async def test_a_file_that_does_not_match_what_is_said_of_it(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    await write_file(path, {"": some_documents(4)})
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:3]))
    with pytest.raises(FileFormatError, match=r"has 3 lines, and a\.jsonl\.meta\.json says that it has 4"):
        await JsonLinesSource(path).describe()
    side = tmp_path / "a.jsonl.meta.json"
    side.write_text("[]")
    with pytest.raises(FileFormatError, match="another version or program"):
        await JsonLinesSource(path).describe()
    side.write_text("{")
    with pytest.raises(FileFormatError, match="not readable"):
        await JsonLinesSource(path).describe()
    side.unlink()
    info, found, _ = await read_file(path)
    assert (info.metric, len(found[""])) == (None, 3)


async def test_a_broken_line_does_not_hide_the_others_of_an_export(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    await write_file(path, {"": some_documents(4)})
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], b'{"id":"d1","namespace":"","vector":[1,\n', *lines[2:]]))
    _, found, unreadable = await read_file(path)
    assert [d.id for d in found[""]] == ["d0", "d2", "d3"]
    assert [one.key for one in unreadable] == ["line 2"]


def test_which_names_are_files(tmp_path: Path) -> None:
    names = {
        "a.parquet": "parquet", "a.pq": "parquet", "A.JSONL": "jsonl", "a.ndjson": "jsonl", "a.jsonl.gz": "jsonl",
        "a.json": None, "a.csv": None, "a": None, ".jsonl": None, "a.gz": None,
    }  # fmt: skip
    assert {name: file_format(tmp_path / name) for name in names} == names
    assert file_format(tmp_path) is None
    (tmp_path / "x.parquet").touch()
    assert file_format(tmp_path) == "parquet"
