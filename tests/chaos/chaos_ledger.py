"""What is known of each document, from what was sent and what was acknowledged."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ia_modules.vector_stores import VectorDocument

__all__ = ["DIMENSION", "Ledger", "State", "document", "state_of", "vector_of"]

DIMENSION = 16


class State(NamedTuple):
    """What a document may be like: how often it was written whole, and how often a part of it was changed since."""

    version: int
    touched: int = 0


Key = tuple[str, str]
"""Namespace and id."""


def vector_of(namespace: str, document_id: str, version: int) -> NDArray[np.float32]:
    """A unit vector of its own for each version of each document."""
    seed = zlib.crc32(f"{namespace}/{document_id}/{version}".encode())
    vector = np.random.default_rng(seed).standard_normal(DIMENSION).astype(np.float32)
    return vector / np.linalg.norm(vector)


def document(namespace: str, document_id: str, version: int) -> VectorDocument:
    """A version of a document; each part of it tells which one it is."""
    return VectorDocument(
        id=document_id,
        vector=vector_of(namespace, document_id, version),
        metadata={"own": namespace, "version": version, "touched": 0, f"only {version % 5}": True},
        text=f"{namespace}/{document_id}/{version}",
    )


def state_of(namespace: str, found: VectorDocument) -> State:
    """Which version was read; its parts must all be of that one."""
    state = State(found.metadata["version"], found.metadata["touched"])
    whole = document(namespace, found.id, state.version)
    assert found.metadata == whole.metadata | {"touched": state.touched}, f"mixed metadata in {found.id}"
    assert found.text == whole.text, f"the text of another version in {found.id}: {found.text} and {state}"
    assert np.allclose(found.vector.array, whole.vector.array, atol=1e-5), f"another version's vector in {found.id}"
    return state


class Ledger:
    """All documents, each with the states that it may be in; None is that it does not exist.

    What was acknowledged leaves one state; what failed may have happened, and adds one.
    """

    def __init__(self) -> None:
        self.states: dict[Key, set[State | None]] = {}
        self.sent: dict[Key, int] = {}

    def of(self, key: Key) -> set[State | None]:
        """States that are possible now."""
        return self.states.get(key, {None})

    def sending(self, namespace: str, ids: Iterable[str], version: int) -> None:
        """From now on others may see this version."""
        for document_id in ids:
            self.sent[namespace, document_id] = version

    def done(self, namespace: str, ids: Iterable[str], state: State | None) -> None:
        """It was acknowledged."""
        for document_id in ids:
            self.states[namespace, document_id] = {state}

    def unsure(self, namespace: str, ids: Iterable[str], state: State | None) -> None:
        """It failed, which does not mean that it did not happen."""
        for document_id in ids:
            key = (namespace, document_id)
            self.states[key] = self.of(key) | {state}

    def touched(self, namespace: str, document_id: str, count: int, *, acknowledged: bool) -> None:
        """A part was changed, or may have been."""
        key = (namespace, document_id)
        changed = {None if state is None else State(state.version, count) for state in self.of(key)}
        self.states[key] = changed - {None} if acknowledged else self.of(key) | changed

    def settled(self) -> dict[Key, State | None]:
        """What is known exactly."""
        return {key: next(iter(states)) for key, states in self.states.items() if len(states) == 1}
