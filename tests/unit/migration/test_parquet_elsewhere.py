"""Exported files as other programs see them: pandas, polars, DuckDB and datasets, with the same values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export_helpers import some_documents, write_file
from ia_modules.vector_stores.models import VectorDocument

pytest.importorskip("pyarrow")
pytest.importorskip("orjson")

DOCUMENTS = [
    *some_documents(30),
    VectorDocument(id="ü'\"", vector=[0.1, -0.0, 1e-20], metadata={"é": [1, 2], "f": 0.5}, text="line\nbreak"),
]


@pytest.fixture(params=["out.parquet", "out.jsonl", "out.jsonl.gz"])
async def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    target: Path = tmp_path / request.param
    assert await write_file(target, {"": DOCUMENTS[:20], "news": DOCUMENTS[20:]}) == {}
    return target


def check(rows: list[dict[str, Any]], *, metadata_as_json: bool = True) -> None:
    """The same documents, in the same order."""
    assert [row["id"] for row in rows] == [document.id for document in DOCUMENTS]
    assert [row["namespace"] for row in rows] == [""] * 20 + ["news"] * 11
    for row, document in zip(rows, DOCUMENTS, strict=True):
        vector = np.asarray(row["vector"], dtype=np.float32)
        assert np.array_equal(vector, document.vector.array)  # -0.0 is 0.0 to some who read JSON
        assert row["text"] == document.text
        if metadata_as_json:
            assert json.dumps(json.loads(row["metadata"])) == json.dumps(document.metadata)
        else:  # a reader that makes columns of JSON may add the keys of other rows as None
            assert without_none(row["metadata"]) == without_none(document.metadata)


def without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | np.ndarray):
        return [without_none(item) for item in value]
    return value


def test_pandas(path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    is_parquet = path.suffix == ".parquet"
    frame = pandas.read_parquet(path) if is_parquet else pandas.read_json(path, lines=True, dtype=False)
    rows = frame.astype({"text": object}).where(frame.notna(), None).to_dict("records")
    check(rows, metadata_as_json=is_parquet)


def test_polars(path: Path) -> None:
    polars = pytest.importorskip("polars")
    if path.suffix == ".parquet":
        frame = polars.read_parquet(path)
        assert frame.schema["vector"] == polars.Array(polars.Float32, 3)
        check(frame.to_dicts())
        lazy = polars.scan_parquet(path).filter(polars.col("namespace") == "news").select(polars.len())
        assert lazy.collect().item() == 11
    else:
        check(polars.read_ndjson(path, infer_schema_length=None).to_dicts(), metadata_as_json=False)


def test_duckdb(path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect() as connection:
        reader = "read_parquet" if path.suffix == ".parquet" else "read_json"
        fields = "id: 'VARCHAR', namespace: 'VARCHAR', vector: 'FLOAT[]', text: 'VARCHAR', metadata: 'JSON'"
        extra = "" if path.suffix == ".parquet" else f", columns = {{{fields}}}"
        table = connection.sql(f"SELECT * FROM {reader}('{path}'{extra})")
        check([dict(zip(table.columns, row, strict=True)) for row in table.fetchall()])
        found = connection.sql(
            f"SELECT id FROM {reader}('{path}'{extra}) WHERE CAST(metadata->>'n' AS INTEGER) = 7 AND namespace = ''"
        ).fetchall()
        assert found == [("d7",)]


@pytest.mark.filterwarnings("ignore")
def test_datasets(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    datasets = pytest.importorskip("datasets")
    kind = "parquet" if path.suffix == ".parquet" else "json"
    loaded = datasets.load_dataset(kind, data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"))
    check(loaded.to_list(), metadata_as_json=kind == "parquet")
    if kind == "parquet":
        assert loaded.features["vector"].length == 3


async def test_what_the_file_says_of_the_index(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from export_helpers import source_info

    await write_file(tmp_path / "out.parquet", {"": DOCUMENTS}, source_info())
    schema = pq.read_schema(tmp_path / "out.parquet")
    assert [(field.name, str(field.type), field.nullable) for field in schema] == [
        ("id", "string", False),
        ("namespace", "string", False),
        ("vector", "fixed_size_list<element: float>[3]", False),
        ("text", "large_string", True),
        ("metadata", "large_string", False),
    ]
    facts = {"metric": "euclidean", "dimension": 3, "embedding_model": "words/3", "documents": 31}
    assert json.loads(schema.metadata[b"ia_vectors"]) == {"format": "ia-vectors-parquet", "version": 1} | facts
    assert pa.types.is_fixed_size_list(schema.field("vector").type)

    await write_file(tmp_path / "out.jsonl", {"": DOCUMENTS}, source_info())
    beside = json.loads((tmp_path / "out.jsonl.meta.json").read_text())
    assert beside == {"format": "ia-vectors-jsonl", "version": 1} | facts
    line = (tmp_path / "out.jsonl").read_bytes().splitlines()[-1].decode()
    assert line == (
        '{"id":"ü\'\\"","namespace":"","vector":[0.1,-0.0,1e-20],"text":"line\\nbreak","metadata":{"é":[1,2],"f":0.5}}'
    )
