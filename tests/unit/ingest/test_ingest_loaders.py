from __future__ import annotations

import datetime
import decimal
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from ia_modules.vector_stores.ingest.discover import KINDS, Skipped, discover
from ia_modules.vector_stores.ingest.passages import Splitter, json_value, passages
from ia_modules.vector_stores.ingest.types import IngestIssue, LoadOptions, Passage, SourceFile


def read(path: Path, **options: Any) -> tuple[list[Passage], list[IngestIssue]]:
    chosen = LoadOptions(**options)
    file = SourceFile(path, path.name, KINDS[path.suffix])
    items = list(passages(file, chosen, Splitter(chosen.max_chars)))
    return [i for i in items if isinstance(i, Passage)], [i for i in items if isinstance(i, IngestIssue)]


def texts(path: Path, **options: Any) -> list[str]:
    found, issues = read(path, **options)
    assert issues == []
    return [passage.text for passage in found]


# Markdown

GUIDE = """\
---
title: "The Guide"
---
# Guide

Some words at the start.

## Install

```sh
# this is a comment, not a heading
pip install it
```

Under lined
-----------

More words here, a whole sentence of them.

### Deep ###

The last words.
"""


def test_markdown_passages_know_title_and_heading_path(tmp_path: Path) -> None:
    path = tmp_path / "guide.md"
    path.write_text(GUIDE)
    found, issues = read(path, max_chars=60)
    assert issues == []
    assert {passage.metadata["title"] for passage in found} == {"The Guide"}
    by_heading = {passage.metadata.get("heading"): passage.text for passage in found}
    assert "pip install it" in by_heading["Guide > Install"]
    assert "More words here" in by_heading["Guide > Under lined"]
    assert by_heading["Guide > Under lined > Deep"].endswith("The last words.")
    assert not any("comment" in str(heading) for heading in by_heading)
    assert [passage.id for passage in found] == [f"guide.md#{n}" for n in range(1, len(found) + 1)]
    assert [passage.metadata["position"] for passage in found] == list(range(1, len(found) + 1))
    assert all(len(passage.text) <= 60 for passage in found)


def test_no_word_of_a_document_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "guide.md"
    path.write_text(GUIDE * 5)
    for size in (50, 77, 200, 5000):
        assert " ".join(texts(path, max_chars=size)).split() == (GUIDE * 5).split()


def test_headings_alone_are_no_passages(tmp_path: Path) -> None:
    path = tmp_path / "x.md"
    path.write_text("# A\n\n## B\n\n" + "Words of the section. " * 2 + "\n\n## C\n\n" + "Other words follow here. " * 2)
    found = texts(path, max_chars=60)
    assert found[0].startswith("# A\n\n## B\n\nWords")
    assert found[-1].startswith("## C\n\nOther")


def test_markdown_title_is_the_first_top_heading(tmp_path: Path) -> None:
    path = tmp_path / "x.md"
    path.write_text("## Second\n\n# First\n\ntext")
    assert read(path)[0][0].metadata["title"] == "First"


# Text and encodings


def test_text_is_read_whatever_its_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes(b"one\r\ntwo\rthree")
    assert texts(path) == ["one\ntwo\nthree"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_marked_encodings_are_sure(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes("äöü €".encode(encoding))
    found, issues = read(path)
    assert issues == []
    assert found[0].text == "äöü €"
    assert "encoding" not in found[0].metadata


def test_other_encodings_are_guessed_and_marked(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    words = "Die Straße führt über die Brücke, grüßt jeden Gärtner und endet schließlich vor dem Schloß. " * 5
    path.write_bytes(words.encode("cp1252"))
    found, issues = read(path)
    assert issues == []
    assert "Straße führt über" in found[0].text
    assert found[0].metadata["encoding"]
    named, _ = read(path, encoding="cp1252")
    assert "encoding" not in named[0].metadata


def test_named_encoding_that_does_not_fit_is_reported_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes(b"fine\nstill fine\nbad \xff here")
    assert read(path, encoding="ascii")[1] == [IngestIssue("x.txt", 3, "not ascii text (byte 0xff)")]


def test_binary_and_oversized_files_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes(b"\x7fELF\0\0\0")
    assert read(path) == ([], [IngestIssue("x.txt", None, "a binary file, not text")])
    path.write_text("0123456789")
    assert "larger than 9 bytes" in read(path, max_file_bytes=9)[1][0].message


def test_empty_file_has_no_passages(tmp_path: Path) -> None:
    for suffix in (".txt", ".md", ".rst", ".html", ".py", ".jsonl"):
        path = tmp_path / f"x{suffix}"
        path.write_text(" \n")
        assert read(path) == ([], [])


# reStructuredText and HTML


def test_rst_runs_nothing_and_keeps_what_only_sphinx_knows(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("the password")
    path = tmp_path / "x.rst"
    path.write_text(
        f"=====\nTitle\n=====\n\nIntro with :func:`~json.dumps` and ``code``.\n\n.. include:: {secret}\n\n"
        ".. raw:: html\n   :file: secret.txt\n\nPart\n----\n\n.. function:: spam(eggs)\n\n   What spam does.\n\n"
        "Sub\n~~~\n\nDeep text, and quite a lot of it.\n\nNext\n----\n\nThe end, which is not short.\n"
    )
    found, issues = read(path, max_chars=60)
    assert issues == []
    text = " ".join(passage.text for passage in found)
    assert "the password" not in text
    assert "What spam does." in text
    assert "json.dumps and code." in text
    assert {passage.metadata["title"] for passage in found} == {"Title"}
    headings = [passage.metadata["heading"] for passage in found]
    assert "Title > Part > Sub" in headings
    assert headings[-1] == "Title > Next"


def test_html_gives_visible_text_and_headings(tmp_path: Path) -> None:
    path = tmp_path / "x.html"
    path.write_text(
        "<html><head><title>The  page</title><style>p {color: red}</style></head><body><h1>Top <em>thing</em></h1>"
        "<p>First\n  paragraph with <b>bold</b>ness.</p><!-- hidden --><script>alert('x')</script>"
        "<h2>Below</h2><ul><li>one</li><li>two<br>lines</li></ul><pre>  kept\n    as is</pre></body></html>"
    )
    found, issues = read(path, max_chars=50)
    assert issues == []
    text = "\n\n".join(passage.text for passage in found)
    assert "Top thing\n\nFirst paragraph with boldness." in text
    assert "one\n\ntwo\nlines" in text
    assert "kept\n    as is" in text
    for unseen in ("alert", "hidden", "color", "The  page"):
        assert unseen not in text
    assert found[0].metadata["title"] == "The page"
    assert found[-1].metadata["heading"] == "Top thing > Below"


def test_html_declares_its_encoding(tmp_path: Path) -> None:
    path = tmp_path / "x.html"
    path.write_bytes('<meta charset="iso-8859-2"><p>Łódź leży w środku</p>'.encode("iso-8859-2"))
    assert texts(path) == ["Łódź leży w środku"]


def test_html_nested_out_of_reason_does_not_crash(tmp_path: Path) -> None:
    path = tmp_path / "x.html"
    path.write_text("<div>" * 3000 + "deep" + "</div>" * 3000)
    found, issues = read(path)
    assert [passage.text for passage in found] == ["deep"] or issues[0].message == "nested too deeply to be read"


def test_missing_parser_is_an_issue_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.html"
    path.write_text("<p>x</p>")
    monkeypatch.setitem(sys.modules, "bs4", None)
    _, issues = read(path)
    assert "ia-modules-vector-stores[ingest]" in issues[0].message


# Python

MODULE = '''\
"""What the module is for."""

import os  # kept


@decorator
def first(x):
    """Do the first thing."""
    def inner(): pass
    return x


class Thing(Base):
    """A thing."""

    size = 3

    def method(self):
        return "of the thing"

    if os.name:
        async def other(self): ...

CONSTANT = 1
'''


def test_python_is_split_by_definitions(tmp_path: Path) -> None:
    package = tmp_path / "pack"
    package.mkdir()
    (package / "__init__.py").touch()
    path = package / "mod.py"
    path.write_text(MODULE)
    found, issues = read(path)
    assert issues == []
    by_symbol = {passage.metadata["symbol"]: passage for passage in found}
    assert list(by_symbol) == [
        "pack.mod", "pack.mod.first", "pack.mod.Thing", "pack.mod.Thing.method", "pack.mod.Thing.other"
    ]  # fmt: skip
    assert "import os" in by_symbol["pack.mod"].text
    assert "CONSTANT = 1" in by_symbol["pack.mod"].text
    assert "@decorator\ndef first" in by_symbol["pack.mod.first"].text
    assert by_symbol["pack.mod.first"].metadata["title"] == "Do the first thing."
    assert by_symbol["pack.mod.first"].metadata["line"] == 6
    assert by_symbol["pack.mod.Thing.method"].text.startswith("# pack.mod.Thing.method\ndef method(self):")
    assert "of the thing" not in by_symbol["pack.mod.Thing"].text
    assert "size = 3" in by_symbol["pack.mod.Thing"].text
    assert {passage.metadata["kind"] for passage in found} == {"module", "function", "class"}


def test_python_loses_no_line(tmp_path: Path) -> None:
    for name in ("json/decoder.py", "dataclasses.py", "typing.py"):
        source = Path(os.__file__).parent / name
        path = tmp_path / source.name
        path.write_bytes(source.read_bytes())
        words = set(source.read_text(encoding="utf-8").split())
        assert words - set(" ".join(texts(path)).split()) == set()


def test_python_that_does_not_parse_is_reported_and_taken_as_text(tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_text("good = 1\ndef broken(:\n")
    found, issues = read(path)
    assert [passage.text for passage in found] == ["good = 1\ndef broken(:"]
    assert (issues[0].path, issues[0].line, issues[0].lost) == ("x.py", 2, False)
    assert "not valid Python" in issues[0].message


def test_python_coding_line_is_honoured(tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_bytes('# -*- coding: latin-1 -*-\ns = "é\\d"\n'.encode("latin-1"))
    assert 's = "é\\d"' in texts(path)[0]


# Records


def test_corrupt_lines_of_json_are_named_and_the_rest_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    lines: list[bytes] = [
        b'\xef\xbb\xbf{"text": "one", "id": "a", "year": 2020, "nested": {"x": [1, null]}}',
        b'{"text": "two", "id":',
        b"",
        b'{"text": "caf\xe9"}',
        b"[1, 2]",
        b'{"title": "no text"}',
        b'{"text": "  "}',
        b'{"text": 5}',
        b'{"text": "half \\ud83d of it"}',
        b'{"text": "dup", "id": "a"}',
        b'{"text": "bad id", "id": 1.5}',
        b"[" * 100_000,
        b'{"text": "number", "id": 7, "n": NaN, "big": 123456789012345678901234567890}',
        b'{"text": "last"}',
    ]
    path.write_bytes(b"\n".join(lines))
    found, issues = read(path)
    assert {passage.id: passage.text for passage in found} == {"a": "one", "7": "number", "x.jsonl#14": "last"}
    assert found[0].metadata["nested"] == {"x": [1, None]}
    assert found[0].metadata["year"] == 2020
    assert found[1].metadata["n"] is None
    assert found[1].metadata["big"] == "123456789012345678901234567890"
    assert [issue.line for issue in issues] == [2, 4, 5, 6, 7, 8, 9, 10, 11, 12]
    assert str(issues[0]).startswith("x.jsonl:2: not valid JSON")
    assert "taken by line 1" in issues[7].message
    assert all(issue.lost for issue in issues)
    json.dumps([passage.metadata for passage in found], allow_nan=False)


def test_long_records_are_split_and_the_first_part_keeps_the_id(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps({"text": "many words " * 20, "id": "r"}) + "\n" + json.dumps({"text": "b " * 60}))
    found, issues = read(path, max_chars=100)
    assert issues == []
    assert [passage.id for passage in found] == ["r", "r#2", "r#3", "x.jsonl#2", "x.jsonl#2#2"]
    assert [passage.metadata["position"] for passage in found] == [1, 1, 1, 2, 2]


def test_fields_can_be_named_and_ours_are_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"body": "words", "key": "k", "id": "meta", "source": "theirs", "title": "T"}')
    found, _ = read(path, text_field="body", id_field="key")
    assert found[0].id == "k"
    metadata = found[0].metadata
    assert metadata["source"] == "x.jsonl"
    assert metadata["record_source"] == "theirs"
    assert (metadata["id"], metadata["title"]) == ("meta", "T")


def test_oversized_line_is_skipped_and_the_next_one_read(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"text": "' + "x" * 5000 + '"}\n{"text": "after"}\n')
    found, issues = read(path, max_file_bytes=100)
    assert [passage.id for passage in found] == ["x.jsonl#2"]
    assert (issues[0].line, len(issues)) == (1, 1)


def test_id_that_is_too_long_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps({"text": "words", "id": "é" * 257}))
    found, issues = read(path)
    assert found == []
    assert "longer than 512 bytes" in issues[0].message


def test_csv_columns_become_numbers_only_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(
        "id,text,year,zip,price,mixed,empty\n"
        '1,"first, with\na line break",2020,01234,1.50,5,\n'
        "2,second,,12345,2,five,\n"
        "3,too,few\n"
        "4,,2021,1,1,1,\n"
        "5,last,-3,99999,.5e1,7,\n",
        newline="",
    )
    found, issues = read(path)
    assert [passage.id for passage in found] == ["1", "2", "5"]
    assert found[0].text == "first, with\na line break"
    assert [passage.metadata["year"] for passage in found] == [2020, None, -3]
    assert [passage.metadata["zip"] for passage in found] == ["01234", "12345", "99999"]
    assert [passage.metadata["price"] for passage in found] == ["1.50", "2", ".5e1"]
    assert [passage.metadata["mixed"] for passage in found] == ["5", "five", "7"]
    assert found[0].metadata["empty"] is None
    assert [(issue.line, issue.message) for issue in issues] == [
        (5, "3 cells where the header has 7"),
        (6, "the field 'text' is blank"),
    ]


def test_csv_floats(tmp_path: Path) -> None:
    path = tmp_path / "x.tsv"
    path.write_text("text\ta\tb\tc\nx\t1.50\tnan\t1\ny\t2\t1.0\t2.5\n")
    found, _ = read(path)
    assert [passage.metadata["a"] for passage in found] == [1.5, 2.0]
    assert [passage.metadata["b"] for passage in found] == ["nan", "1.0"]
    assert [passage.metadata["c"] for passage in found] == [1.0, 2.5]


@pytest.mark.parametrize("delimiter", [";", "|", "\t"])
def test_csv_delimiter_is_read_off_the_header(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(f"text{delimiter}n\nwith, commas, in it{delimiter}1\n")
    found, _ = read(path)
    assert (found[0].text, found[0].metadata["n"]) == ("with, commas, in it", 1)


def test_csv_without_the_text_column_lists_the_columns(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("title,body\na,b\n")
    assert read(path)[1] == [IngestIssue("x.csv", None, "no column 'text'; there are: title, body")]


def test_csv_in_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    row = "Die Straße führt über die Brücke und grüßt jeden Gärtner vor dem Schloß"
    path.write_bytes(f"text\n{row}\n".encode("cp1252"))
    assert texts(path) == [row]
    path.write_bytes(b"text\nfine\nnot \xff fine\n")
    issue = IngestIssue("x.csv", None, "not ascii text; nothing of the file was read")
    assert read(path, encoding="ascii") == ([], [issue])


def test_parquet_values_become_json(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pa.table({
        "id": [1, 2],
        "text": ["first", None],
        "when": [datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)] * 2,
        "day": [datetime.date(2024, 1, 2)] * 2,
        "x": [float("nan"), 1.0],
        "tags": [["a", "b"], []],
        "price": [decimal.Decimal("1.10")] * 2,
        "raw": [b"\x00\xff"] * 2,
    })  # fmt: skip
    path = tmp_path / "x.parquet"
    parquet.write_table(table, path)
    found, issues = read(path)
    metadata = found[0].metadata
    assert found[0].id == "1"
    assert metadata["when"] == "2024-01-02T03:04:05+00:00"
    assert metadata["day"] == "2024-01-02"
    assert metadata["x"] is None
    assert metadata["tags"] == ["a", "b"]
    assert metadata["price"] == "1.10"
    assert metadata["raw"] == "AP8="
    assert [(issue.line, issue.message) for issue in issues] == [(2, "no text in the field 'text'")]


def test_parquet_that_is_none_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.parquet"
    path.write_bytes(b"PAR1 but not really")
    assert "not readable as Parquet" in read(path)[1][0].message
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "ia-modules-vector-stores[parquet]" in read(path)[1][0].message


def test_json_values() -> None:
    assert json_value({1: (datetime.timedelta(minutes=1), {2, 1}, float("inf"), True)}) == {
        "1": [60.0, [1, 2], None, True]
    }


# Finding files


def names(found: list[Any]) -> list[str]:
    return [item.source for item in found if isinstance(item, SourceFile)]


def test_folders_are_walked_in_order_without_hidden_things(tmp_path: Path) -> None:
    for name in ("b.md", "a.txt", "sub/z.rst", "sub/__pycache__/x.py", ".git/x.md", ".hidden.md", "image.png", "B.MD"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    found = list(discover([tmp_path], root=tmp_path))
    assert names(found) == ["B.MD", "a.txt", "b.md", "sub/z.rst"]
    assert [item.path.name for item in found if isinstance(item, Skipped)] == ["image.png"]
    assert names(list(discover([tmp_path / "b.md", tmp_path], root=tmp_path))) == ["b.md", "B.MD", "a.txt", "sub/z.rst"]
    assert (
        names(list(discover([tmp_path / "image.png"], root=tmp_path / "sub")))[0] == (tmp_path / "image.png").as_posix()
    )


def test_loops_of_links_end(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.md").write_text("x")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "0-link").symlink_to(tmp_path / "a")
    (tmp_path / "broken.md").symlink_to(tmp_path / "nowhere")
    found = list(discover([tmp_path], root=tmp_path))
    assert names(found) == ["a/x.md"]
    assert [str(item) for item in found if isinstance(item, IngestIssue)] == [
        "broken.md: the file can't be read: No such file or directory"
    ]


def test_what_is_no_file_is_reported(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.md")
    (tmp_path / os.fsdecode(b"bad\xff.md")).write_text("x")
    found = list(discover([tmp_path], root=tmp_path))
    assert sorted(item.message for item in found if isinstance(item, IngestIssue)) == [
        "not a regular file",
        "the file's name is not valid Unicode",
    ]


def test_missing_path_is_an_error_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        discover([tmp_path, tmp_path / "nowhere"], root=tmp_path)


@pytest.mark.parametrize("options", [
    {"max_chars": 10}, {"max_file_bytes": 0}, {"encoding": "klingon"}, {"text_field": "id"}, {"text_field": ""},
])  # fmt: skip
def test_options_out_of_range(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options)).split("_")[0]):
        LoadOptions(**options)
