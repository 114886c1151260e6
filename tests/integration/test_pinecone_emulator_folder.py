"""What the emulator keeps in a folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from emulator_wire import Wire
from ia_modules.vector_stores.emulator.pinecone import FolderInUseError, serving
from processes import environment


def everything(wire: Wire, *namespaces: str) -> dict[str, Any]:
    """All that can be asked about an index."""
    return {
        "index": wire.http.get("/indexes/docs").json() | {"host": None},
        "counts": wire.counts(),
        "namespaces": wire.ask("GET", "/namespaces")["namespaces"],
        "records": {name: wire.fetched(*(wire.listed(name) or ["x"]), namespace=name) for name in namespaces},
        "found": {name: wire.ids(namespace=name) for name in namespaces},
    }


def test_everything_comes_back(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "data"
    with serving(folder=folder) as emulator, Wire(emulator).create(3, "dotproduct", sparse=True) as wire:
        wire.http.patch("/indexes/docs", json={"tags": {"a": "b"}, "deletion_protection": "enabled"})
        sparse = {"indices": [4_294_967_295, 2], "values": [0.1, 2]}
        wire.upsert({"id": "a", "values": [0.1, 0.2, 0.3], "metadata": {"x": 1, "l": ["é"]}, "sparseValues": sparse})
        wire.upsert(*({"id": f"r{number}", "metadata": {"n": number}} for number in range(50)))
        wire.upsert({"id": "a", "values": None, "sparseValues": sparse}, {"id": "b"}, namespace="other")
        wire.ask("POST", "/vectors/update", {"id": "r1", "values": [0, 0, 1], "setMetadata": {"m": True}})
        wire.ask("POST", "/vectors/update", {"filter": {"n": {"$gt": 40}}, "setMetadata": {"big": True}})
        wire.ask("POST", "/vectors/delete", {"ids": ["r2", "nowhere"]})
        wire.ask("POST", "/vectors/delete", {"filter": {"n": {"$lt": 2}}})
        wire.ask("POST", "/namespaces", {"name": "made", "schema": {"fields": {"a": {"filterable": True}}}})
        wire.upsert({"id": "a"}, namespace="cleared")
        wire.ask("POST", "/vectors/delete", {"deleteAll": True, "namespace": "cleared"})
        wire.upsert({"id": "a"}, namespace="dropped")
        wire.ask("DELETE", "/namespaces/dropped")
        with Wire(emulator, "gone") as gone:
            gone.create().upsert({"id": "a"})
        wire.http.delete("/indexes/gone")
        before = everything(wire, "", "other", "made", "cleared", "dropped")
    with serving(folder=folder) as emulator, Wire(emulator) as wire:
        assert everything(wire, "", "other", "made", "cleared", "dropped") == before
        assert [one["name"] for one in wire.http.get("/indexes").json()["indexes"]] == ["docs"]
        assert wire.http.delete("/indexes/docs").status_code == 403
        assert wire.upsert({"id": "z"}).headers["x-pinecone-request-lsn"] == "7"
        assert wire.upsert({"id": "z"}, namespace="dropped").headers["x-pinecone-request-lsn"] == "3"
        with Wire(emulator, "gone") as gone:
            assert gone.create().counts() == {}
        emulator.reset()
    with serving(folder=folder) as emulator, Wire(emulator) as wire:
        assert wire.http.get("/indexes").json() == {"indexes": []}


def test_writes_that_are_not_seen_yet_are_kept(tmp_path: Path) -> None:
    with serving(folder=tmp_path, lag=3600) as emulator, Wire(emulator).create() as wire:
        wire.upsert({"id": "a", "metadata": {"x": 1}}, {"id": "b"})
        wire.ask("POST", "/vectors/update", {"id": "a", "setMetadata": {"y": 2}})
        wire.ask("POST", "/vectors/delete", {"ids": ["b"]})
        assert wire.listed() == []
    with serving(folder=tmp_path) as emulator, Wire(emulator) as wire:
        assert wire.fetched("a", "b")["a"]["metadata"] == {"x": 1.0, "y": 2.0}
        assert wire.listed() == ["a"]


def test_one_emulator_at_a_time(tmp_path: Path) -> None:
    with (
        serving(folder=tmp_path),
        pytest.raises(FolderInUseError, match="another Pinecone emulator"),
        serving(folder=tmp_path),
    ):
        pass
    with serving(folder=tmp_path):
        pass


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"), serving(folder=tmp_path / "file"):
        pass
    (tmp_path / "pinecone.sqlite3").write_text("This is no database, and long enough to be seen as none. " * 20)
    with pytest.raises(OSError, match="not a database"), serving(folder=tmp_path):
        pass


CODE = """
import sys
from ia_modules.vector_stores.emulator.pinecone import serving
with serving(folder=sys.argv[1]) as emulator:
    print(emulator.url, flush=True)
    sys.stdin.read()
"""


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    acknowledged = 0
    for turn in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", CODE, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        with process:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            with httpx.Client(base_url=url, headers={"api-key": "x"}) as http:
                if not turn:
                    field = {"type": "dense_vector", "dimension": 2, "metric": "cosine"}
                    http.post("/indexes", json={"name": "docs", "schema": {"fields": {"_values": field}}})
                stats = http.post("/i/docs/describe_index_stats", json={}).json()
                assert stats["totalVectorCount"] == acknowledged
                for _ in range(5):
                    vectors = [{"id": f"r{acknowledged + n:04}", "values": [1, 2]} for n in range(20)]
                    assert http.post("/i/docs/vectors/upsert", json={"vectors": vectors}).status_code == 200
                    acknowledged += 20
            process.kill()
