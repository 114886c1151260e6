"""A store that nobody disconnects, or that goes with the program."""

from __future__ import annotations

from pathlib import Path

import pytest

from processes import run_python

CODE = """
import asyncio, sys
from ia_modules.vector_stores import VectorDocument, create_vector_store

async def main(disconnects):
    store = await create_vector_store(sys.argv[1], dimension=3)
    await store.create_index(3)
    await store.upsert([VectorDocument(id="a", vector=[1, 0, 0], text="cats")])
    assert len((await store.hybrid_search([1, 0, 0], "cat")).results) == 1
    if disconnects:
        await store.disconnect()

asyncio.run(main(sys.argv[2] == "yes"))
print("done")
"""


@pytest.mark.parametrize("disconnects", ["yes", "no"])
@pytest.mark.parametrize("provider", ["chroma", "qdrant"])
@pytest.mark.parametrize("place", [":memory:", "folder"])
def test_the_program_ends_well(provider: str, place: str, disconnects: str, tmp_path: Path) -> None:
    where = tmp_path.as_posix() if place == "folder" else "/:memory:"
    for attempt in range(2):  # native code that goes on while the interpreter ends crashes it most of the time
        assert run_python(CODE, f"{provider}://{where}/index{attempt}", disconnects) == "done"
