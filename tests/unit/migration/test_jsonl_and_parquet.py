"""What both formats must keep: every document as it is, and a file that is whole or not there."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export_helpers import NAMES, exact, read_file, some_documents, source_info, source_of, target_of, write_file
from ia_modules.vector_stores.errors import StoreLockedError
from ia_modules.vector_stores.migration import CorrectableTarget
from ia_modules.vector_stores.migration.formats import FileFormatError
from ia_modules.vector_stores.models import VectorDocument
from ia_modules.vector_stores.testing.strategies import ids, metadata, texts

pytest.importorskip("pyarrow")
pytest.importorskip("orjson")

every_format = pytest.mark.parametrize("name", NAMES)
float32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
namespaces = st.sampled_from(["", "news", "ключ", "a/b"])
whole_documents = st.builds(
    VectorDocument,
    id=ids() | st.sampled_from(['"', "\0", "\u2028", '","vector":[', "\\"]),
    vector=st.lists(float32, min_size=3, max_size=3),
    metadata=metadata() | st.dictionaries(st.sampled_from(["namespace", "id", ',"vector":[']), texts()),
    text=texts() | st.sampled_from(["a\nb", '"', ',"vector":[', "\r", "\u2028"]),
)


def names_in(folder: Path) -> set[str]:
    return {one.name for one in folder.iterdir()}


def open_in(folder: Path) -> list[str]:
    """Files of a folder that this process has open."""
    names = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # that of the listing itself
            names.append(str(descriptor.readlink()))
    return [name for name in names if name.startswith(str(folder))]


@every_format
@settings(max_examples=60, deadline=None)
@given(written=st.lists(st.tuples(namespaces, whole_documents), min_size=1, max_size=12), size=st.integers(1, 5))
def test_every_document_comes_back_to_the_bit(name: str, written: list[tuple[str, VectorDocument]], size: int) -> None:
    """Of equal ids the last one is kept, in the place of the first."""
    kept: dict[str, dict[str, VectorDocument]] = {}
    for namespace, document in written:
        kept.setdefault(namespace, {})[document.id] = document

    async def there_and_back(path: Path) -> None:
        target = target_of(path)
        await target.prepare(source_info(), {name: name for name in kept}, resumed=False)
        for namespace, document in written:
            assert await target.write([document], namespace) == {}
        await target.finish()
        await target.close()
        info, found, unreadable = await read_file(path, size)
        assert unreadable == []
        assert {one: [exact(d) for d in them] for one, them in found.items()} == {
            one: [exact(d) for d in them.values()] for one, them in kept.items()
        }
        assert info.namespaces == {one: len(them) for one, them in kept.items()}
        assert (info.dimension, info.metric, info.embedding_model) == (3, source_info().metric, "words/3")

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(there_and_back(Path(folder) / name))


@every_format
async def test_odd_numbers_keep_each_bit(name: str, tmp_path: Path) -> None:
    bits = np.random.default_rng(5).integers(0, 2**32, size=60_000, dtype=np.uint32)
    numbers = bits.view(np.float32)
    special = np.array([0.0, -0.0, 1e-45, 3.4028235e38, 16777216, 0.1], np.float32)
    ties = np.array([0x15AE43FD, 0x95AE43FD], np.uint32).view(np.float32)
    numbers = np.concatenate([numbers[np.isfinite(numbers)], special, ties])
    document = VectorDocument(id="x", vector=numbers)
    await write_file(tmp_path / name, {"": [document]}, source_info(None))
    _, found, _ = await read_file(tmp_path / name)
    assert found[""][0].vector.array.tobytes() == numbers.tobytes()


@every_format
async def test_reading_goes_on_at_every_cursor_in_another_process(name: str, tmp_path: Path) -> None:
    documents = some_documents(23)
    await write_file(tmp_path / name, {"a": documents[:9], "": documents[9:20], "b": documents[20:]})
    for namespace, them in (("a", documents[:9]), ("", documents[9:20]), ("b", documents[20:])):
        seen: list[VectorDocument] = []
        async for page in source_of(tmp_path / name).pages(namespace, 2):
            seen += page.documents
            cursor = json.loads(json.dumps(page.cursor))
            rest = [d async for p in source_of(tmp_path / name).pages(namespace, 2, cursor) for d in p.documents]
            assert [d.id for d in seen + rest] == [d.id for d in them]


@every_format
async def test_nothing_that_looks_whole_before_the_end(name: str, tmp_path: Path) -> None:
    target, documents = target_of(tmp_path / name), some_documents(10)
    await target.prepare(source_info(), {"": ""}, resumed=False)
    await target.write(documents[:6], "")
    await target.close()
    assert names_in(tmp_path) == {f"{name}.partial"}

    again = target_of(tmp_path / name)
    await again.prepare(source_info(), {"": ""}, resumed=True)
    await again.write(documents[4:], "")
    await again.finish()
    await again.finish()
    await again.close()
    assert names_in(tmp_path) - {f"{name}.meta.json"} == {name}
    _, found, _ = await read_file(tmp_path / name)
    assert [exact(d) for d in found[""]] == [exact(d) for d in documents]


@every_format
async def test_a_finished_file_can_be_corrected(name: str, tmp_path: Path) -> None:
    documents = some_documents(6)
    await write_file(tmp_path / name, {"": documents})
    target = target_of(tmp_path / name)
    assert isinstance(target, CorrectableTarget)
    await target.prepare(source_info(), {"": ""}, resumed=True)
    changed = documents[2].model_copy(update={"metadata": documents[2].metadata | {"n": 2.0}})
    new = VectorDocument(id="new", vector=[1, 2, 3])
    broken = VectorDocument.model_construct(id="\ud800", vector=new.vector, metadata={}, text=None)
    assert await target.differing([*documents[:2], changed, new, broken], "") == [changed, new, broken]
    reordered = documents[1].model_copy(update={"metadata": dict(reversed(documents[1].metadata.items()))})
    assert await target.differing([reordered], "") == []
    assert await target.differing(documents[:1], "other") == documents[:1]
    await target.write([changed, new], "")
    await target.remove([documents[0].id, "nobody", "\ud800"], "")
    await target.finish()
    await target.close()
    _, found, _ = await read_file(tmp_path / name)
    assert [exact(d) for d in found[""]] == [exact(d) for d in [documents[1], changed, *documents[3:], new]]


@every_format
async def test_what_can_not_be_kept_is_refused_by_itself(name: str, tmp_path: Path) -> None:
    good = VectorDocument(id="good", vector=[1, 2, 3])
    bad = [
        VectorDocument(id="long", vector=[1, 2, 3, 4]),
        VectorDocument(id="x" * 513, vector=[1, 2, 3]),
        VectorDocument(id="nan", vector=[1, 2, 3], metadata={"a": float("nan")}),
        VectorDocument(id="big", vector=[1, 2, 3], metadata={"a": 2**63}),
        VectorDocument(id="set", vector=[1, 2, 3], metadata={"a": {1}}),
    ]
    refused = await write_file(tmp_path / name, {"": [good, *bad]})
    assert list(refused) == [document.id for document in bad]
    assert refused["long"] == "a vector of 4 numbers, where the others have 3"
    assert "NaN" in refused["nan"]
    _, found, _ = await read_file(tmp_path / name)
    assert [document.id for document in found[""]] == ["good"]


@every_format
async def test_files_are_not_replaced_unless_asked(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    await write_file(path, {"": some_documents(2)})
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match="exists already"):
        await target_of(path).prepare(source_info(), {"": ""}, resumed=False)
    target = target_of(path, overwrite=True)
    await target.prepare(source_info(), {"": ""}, resumed=False)
    assert path.read_bytes() == before
    await target.write(some_documents(1), "")
    await target.finish()
    await target.close()
    assert (await read_file(path))[0].namespaces == {"": 1}


@every_format
async def test_empty_exports_are_files_too(name: str, tmp_path: Path) -> None:
    assert await write_file(tmp_path / name, {}, source_info(5)) == {}
    info, found, unreadable = await read_file(tmp_path / name)
    assert (info.dimension, dict(info.namespaces), found, unreadable) == (5, {}, {}, [])
    await write_file(tmp_path / f"b{name}", {}, source_info(None))
    assert (await read_file(tmp_path / f"b{name}"))[0].dimension is None


@every_format
async def test_what_forbids_an_export_is_told_before_it(name: str, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such folder"):
        await target_of(tmp_path / "nowhere" / name).prepare(source_info(), {"": ""}, resumed=False)
    with pytest.raises(FileFormatError, match="nothing to go on with"):
        await target_of(tmp_path / name).prepare(source_info(), {"": ""}, resumed=True)
    with pytest.raises(ValueError, match="control characters"):
        await target_of(tmp_path / name).prepare(source_info(), {"": "a\nb"}, resumed=False)
    with pytest.raises(ValueError, match="prepare"):
        await target_of(tmp_path / name).write(some_documents(1), "")
    first = target_of(tmp_path / name)
    await first.prepare(source_info(), {"": ""}, resumed=False)
    for resumed in (True, False):
        with pytest.raises(StoreLockedError, match="another process"):
            await target_of(tmp_path / name).prepare(source_info(), {"": ""}, resumed=resumed)
    await first.close()
    with pytest.raises(FileFormatError, match="begun with the dimension 3, the source has 4"):
        await target_of(tmp_path / name).prepare(source_info(4), {"": ""}, resumed=True)
    (tmp_path / f"{name}.partial").write_bytes(b"something else, and long enough to be looked at" * 100)
    with pytest.raises(FileFormatError, match="no unfinished export"):
        await target_of(tmp_path / name).prepare(source_info(), {"": ""}, resumed=True)


@every_format
async def test_files_that_are_cut_off_say_so(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    await write_file(path, {"": some_documents(50, 40)})
    content = path.read_bytes()
    for length in (0, 1, len(content) // 2 - 3, len(content) - 1):
        path.write_bytes(content[:length])
        if name == "out.jsonl" and length > 1:  # lines are readable up to the cut
            path.with_name(f"{name}.meta.json").unlink(missing_ok=True)
            _, found, unreadable = await read_file(path)
            whole = length == len(content) - 1  # but for the end of the last line
            assert [one.cause.partition(":")[0] for one in unreadable] == ([] if whole else ["not valid JSON"])
            assert (len(found[""]) == 50) == whole
            continue
        with pytest.raises(FileFormatError, match=name):
            await read_file(path)
    with pytest.raises(FileNotFoundError) as missing:
        await source_of(tmp_path / f"no{name}").describe()
    assert missing.value.filename.endswith(f"no{name}")


@pytest.mark.parametrize("name", ["out.parquet", "out.jsonl.gz"])
async def test_a_flipped_bit_is_found(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    await write_file(path, {"": some_documents(50, 40)})
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=name):
        await read_file(path)


async def test_a_cursor_of_another_file_is_refused(tmp_path: Path) -> None:
    for name in NAMES:
        path = tmp_path / name
        await write_file(path, {"": some_documents(9)})
        pages = [page async for page in source_of(path).pages("", 4)]
        for one in (path, path.with_name(f"{name}.meta.json")):
            one.unlink(missing_ok=True)
        await write_file(path, {"": [d.model_copy(update={"id": f"longer {d.id}"}) for d in some_documents(9)]})
        with pytest.raises(FileFormatError, match="has changed"):
            await anext(aiter(source_of(path).pages("", 4, pages[0].cursor)))
        with pytest.raises(FileFormatError, match="no such place"):
            await anext(aiter(source_of(path).pages("", 4, {"other": 1})))


async def test_a_page_is_read_to_its_end_and_the_file_closed_when_reading_is_cancelled(tmp_path: Path) -> None:
    for name in NAMES:
        await write_file(tmp_path / name, {"": some_documents(2000, 100)})

        async def read(path: Path) -> None:
            async for _ in source_of(path).pages("", 1):
                await asyncio.sleep(0)

        task = asyncio.create_task(read(tmp_path / name))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert open_in(tmp_path) == []


KILLED = """
import asyncio, sys
from pathlib import Path
from export_helpers import some_documents, source_info, target_of
async def main():
    target = target_of(Path(sys.argv[1]))
    await target.prepare(source_info(64), {"": ""}, resumed=sys.argv[2] == "yes")
    print("ready", flush=True)
    documents = some_documents(3000, 64)
    for at in range(0, 3000, 50):
        await target.write(documents[at:at + 50], "")
        print(at + 50, flush=True)
    await target.finish()
    await target.close()
    print("finished", flush=True)
asyncio.run(main())
"""


async def missing(path: Path, documents: list[VectorDocument]) -> int:
    """How many documents an unfinished export does not have."""
    target = target_of(path)
    await target.prepare(source_info(64), {"": ""}, resumed=True)
    found = await target.differing(documents, "")
    await target.close()
    return len(found)


@every_format
def test_killed_at_any_moment_and_resumed_it_is_whole(name: str, tmp_path: Path) -> None:
    """Whatever the moment, what was acknowledged is there, and the file is either missing or complete."""
    path = tmp_path / name
    begun, acknowledged = False, 0
    for delay in (0.0, 0.05, 0.25, None):
        arguments = [sys.executable, "-c", KILLED, str(path), "yes" if begun else "no"]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            begun = True
            if delay is not None:
                time.sleep(delay)
                process.send_signal(signal.SIGKILL)
            lines = process.stdout.read().split()
        if path.exists():
            assert (lines[-1:] == ["finished"]) or delay is not None
            assert asyncio.run(read_file(path))[0].namespaces == {"": 3000}
        else:
            numbers = [int(line) for line in lines if line != "finished"]
            acknowledged = max([acknowledged, *numbers])
            assert asyncio.run(missing(path, some_documents(3000, 64)[:acknowledged])) == 0
    _, found, _ = asyncio.run(read_file(path))
    assert [exact(d) for d in found[""]] == [exact(d) for d in some_documents(3000, 64)]
    assert not path.with_name(f"{name}.partial").exists()


async def test_a_gzip_file_is_one(tmp_path: Path) -> None:
    await write_file(tmp_path / "out.jsonl.gz", {"": some_documents(3)})
    await write_file(tmp_path / "out.jsonl", {"": some_documents(3)})
    assert gzip.decompress((tmp_path / "out.jsonl.gz").read_bytes()) == (tmp_path / "out.jsonl").read_bytes()
