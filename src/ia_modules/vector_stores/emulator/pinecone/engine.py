"""All indexes, what they hold, and how late writes are seen.

Nothing here knows HTTP. Everything runs in one thread, that of the event loop.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ia_modules.vector_stores.emulator.pinecone.definitions import Definition
from ia_modules.vector_stores.emulator.pinecone.lag import Lag
from ia_modules.vector_stores.emulator.pinecone.namespaces import Change, Namespace
from ia_modules.vector_stores.emulator.pinecone.storage import Storage
from ia_modules.vector_stores.emulator.pinecone.wire import RefusedError

__all__ = ["Engine", "Index"]


class Index:
    """An index and its namespaces.

    Attributes:
        ready_at: from then on it can be used, on the clock of ``time.monotonic``.
    """

    def __init__(self, definition: Definition, ready_at: float = 0.0) -> None:
        self.definition = definition
        self.ready_at = ready_at
        self.namespaces: dict[str, Namespace] = {}

    @property
    def ready(self) -> bool:
        """It can be used."""
        return time.monotonic() >= self.ready_at

    def namespace(self, name: str) -> Namespace:
        """The namespace, which need not exist; this is no read of it."""
        found = self.namespaces.get(name)
        if found is None:
            found = self.namespaces[name] = self._empty(name)
        return found

    def read(self, name: str) -> Namespace:
        """The namespace as a read sees it; an unknown one is empty."""
        found = self.namespaces.get(name)
        return self._empty(name) if found is None else found.read()

    def writable(self, name: str) -> bool:
        """The namespace is there for a write that needs one."""
        return self.namespaces[name].writable if name in self.namespaces else self.definition.permanent(name)

    def visible(self) -> list[Namespace]:
        """All namespaces that a read sees, by name. The default one is among them once it was written to."""
        seen = [one.read() for one in list(self.namespaces.values())]
        return sorted((one for one in seen if one.exists), key=lambda one: one.name)

    def _empty(self, name: str) -> Namespace:
        return Namespace(name, self.definition.dimension, permanent=self.definition.permanent(name))


class Engine:
    """What is stored.

    Args:
        folder: where everything is kept; None for nowhere.

    Attributes:
        lag: how late writes are seen.
        ready_after: seconds until a new index can be used.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.lag: Lag = 0.0
        self.ready_after = 0.0
        self.indexes: dict[str, Index] = {}
        self._storage = None if folder is None else Storage(folder)
        if self._storage is not None:
            for definition, namespaces in self._storage.load():
                self.indexes[definition.name] = index = Index(definition)
                index.namespaces = {one.name: one for one in namespaces}

    def close(self) -> None:
        """Give up the folder."""
        if self._storage is not None:
            self._storage.close()

    def reset(self) -> None:
        """Forget everything."""
        self.indexes.clear()
        if self._storage is not None:
            self._storage.clear()

    def index(self, name: str) -> Index:
        """The index of that name.

        Raises:
            RefusedError: there is none.
        """
        found = self.indexes.get(name)
        if found is None:
            raise RefusedError(f"Index {name} not found.", 404)
        return found

    def create(self, definition: Definition) -> Index:
        """Make an index.

        Raises:
            RefusedError: there is one of that name.
        """
        if definition.name in self.indexes:
            raise RefusedError("Resource already exists.", 409)
        if self._storage is not None:
            self._storage.save_index(definition)
        index = self.indexes[definition.name] = Index(definition, time.monotonic() + self.ready_after)
        return index

    def configure(self, name: str, body: dict[str, Any]) -> Index:
        """Change an index; see ``Definition.configure``."""
        index = self.index(name)
        index.definition.configure(body)
        if self._storage is not None:
            self._storage.save_index(index.definition)
        return index

    def delete(self, name: str) -> None:
        """Delete an index with all records.

        Raises:
            RefusedError: it is protected, or there is none.
        """
        if self.index(name).definition.deletion_protection == "enabled":
            raise RefusedError(
                "Deletion protection is enabled for this index. Disable deletion protection before retrying.", 403
            )
        if self._storage is not None:
            self._storage.drop_index(name)
        del self.indexes[name]

    def write(self, index: Index, namespace: str, change: Change) -> int:
        """Accept a change of a namespace.

        Returns:
            Its log sequence number.
        """
        target = index.namespace(namespace)
        if self._storage is not None:
            self._storage.write(index.definition.name, namespace, target.lsn + 1, change)
        return target.write(change, self.lag)
