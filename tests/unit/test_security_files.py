"""What lies on disk: nobody else can look into what we make, and no name leads out of it."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ia_modules.vector_stores import VectorDocument, VectorStoreConfig, VectorStoreError
from ia_modules.vector_stores.embedders.cache import CachedEmbedder
from ia_modules.vector_stores.emulator.pinecone.storage import Storage
from ia_modules.vector_stores.factory import provider_class

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="modes and links are those of POSIX")
LOCKS = {"chroma": ".ia-vectors.lock", "qdrant": ".lock"}


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()] if folder.exists() else []


async def fill(provider: str, folder: Path, index_name: str = "i") -> None:
    config = VectorStoreConfig(provider=provider, path=str(folder), index_name=index_name)
    store = provider_class(provider)(config)
    try:
        await store.create_index(2)
        await store.upsert([VectorDocument(id="../../x", vector=[1, 2], text="words")], namespace="../../n")
        assert await store.count(namespace="../../n") == 1
    finally:
        await store.disconnect()


@pytest.mark.parametrize("provider", LOCKS)
async def test_a_folder_that_is_made_is_its_owners_alone(provider: str, tmp_path: Path) -> None:
    folder = tmp_path / "above" / "folder"
    await fill(provider, folder)
    assert mode(folder) == 0o700
    if provider == "chroma":  # the file is ours; the others are the databases', behind the folder's mode
        assert mode(folder / LOCKS[provider]) == 0o600


@pytest.mark.parametrize("provider", LOCKS)
async def test_a_folder_that_is_there_is_left_as_it_is(provider: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o750)
    await fill(provider, folder)
    assert mode(folder) == 0o750


@pytest.mark.parametrize("provider", LOCKS)
@pytest.mark.parametrize("there", [True, False], ids=["to a file", "to nowhere"])
async def test_a_lock_that_is_a_link_is_not_followed(provider: str, there: bool, tmp_path: Path) -> None:
    folder, other = tmp_path / "folder", tmp_path / "other"
    folder.mkdir()
    if there:
        other.write_text("precious")
    (folder / LOCKS[provider]).symlink_to(other)
    with pytest.raises(VectorStoreError, match="is a symbolic link"):
        await fill(provider, folder)
    assert (other.read_text() == "precious") if there else not other.exists()


@pytest.mark.parametrize("provider", LOCKS)
async def test_the_folder_itself_may_be_a_link(provider: str, tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    (tmp_path / "link").symlink_to(real)
    await fill(provider, tmp_path / "link")
    assert (real / LOCKS[provider]).exists()


@pytest.mark.parametrize("provider", LOCKS)
@pytest.mark.parametrize("name", ["..", ".", "../../out", "/tmp/out", "a/../../../out", "%2e%2e", "..\\out", "\0"])
async def test_an_index_name_does_not_lead_out(provider: str, name: str, tmp_path: Path) -> None:
    folder = tmp_path / "a" / "folder"
    await fill(provider, folder, name)
    assert (names(tmp_path), names(tmp_path / "a"), names(Path("/tmp/out"))) == (["a"], ["folder"], [])
    if provider == "qdrant":  # which has a folder for each index
        assert len(names(folder / "collection")) == 1


class Embedder:
    model, dimension = "m", 2

    async def embed_documents(self, texts: list[str]) -> np.ndarray:
        return np.ones((len(texts), 2), np.float32)

    async def aclose(self) -> None:
        return None


async def test_the_cache_of_embeddings(tmp_path: Path) -> None:
    path = tmp_path / "made" / "cache.sqlite3"
    embedder = CachedEmbedder(Embedder(), path)  # type: ignore[arg-type]
    await embedder.embed_documents(["a"])
    assert mode(path.parent) == 0o700
    assert {mode(one) for one in path.parent.iterdir()} == {0o600}
    await embedder.aclose()


def test_the_emulators_folder(tmp_path: Path) -> None:
    storage = Storage(tmp_path / "made")
    assert mode(tmp_path / "made") == 0o700
    assert {mode(one) for one in (tmp_path / "made").iterdir()} == {0o600}
    storage.close()
