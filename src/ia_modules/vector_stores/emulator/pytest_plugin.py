"""The pytest fixture ``pinecone_emulator``.

pytest finds this file by itself where the package is installed. It loads the emulator when a test first asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ia_modules.vector_stores.emulator.pinecone import PineconeEmulator

__all__ = ["pinecone_emulator"]


@pytest.fixture(scope="session")
def _pinecone_emulator_server() -> Iterator[PineconeEmulator]:
    from ia_modules.vector_stores.emulator.pinecone import serving

    with serving() as emulator:
        yield emulator


@pytest.fixture
def pinecone_emulator(_pinecone_emulator_server: PineconeEmulator) -> PineconeEmulator:
    """A Pinecone on this machine, empty at the start of each test: no indexes, no faults, no lag.

    One server serves the whole test run. ``AsyncPinecone(host=pinecone_emulator.url, api_key="any")`` connects to it.
    """
    _pinecone_emulator_server.reset()
    return _pinecone_emulator_server
