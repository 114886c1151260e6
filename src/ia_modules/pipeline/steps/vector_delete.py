"""The pipeline step that deletes documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ia_modules.vector_stores.base import VectorStoreBase
from ia_modules.vector_stores.filters import MATCH_ALL, normalize
from ia_modules.vector_stores.rag import close_shared_stores
from ia_modules.vector_stores.rag.options import Options, kind_of
from ia_modules.vector_stores.rag.step import StoreStep

__all__ = ["VectorDeleteStep", "close_shared_stores"]


class VectorDeleteStep(StoreStep):
    """Deletes the documents whose ids come in as ``ids``, those that pass a filter, or all of a namespace.

    Which of the three it is, is said by the config alone: what comes in can't widen it. The result is everything that
    came in, and ``deleted``: how many documents are gone, or null where the database can't say.

    Config keys:
        store, vector_store, pool, api_key_env, namespace: as for ``VectorSearchStep``.
        filters: delete what passes, in JSON form; one that everything passes is refused.
        delete_all: false; true empties the namespace.
        settle: true waits until other connections see it, where the database is late.
        ids_key, output_key: where they are in the data, if not in ``ids`` and ``deleted``.
        error_handling: the pipeline's own settings; there is no fallback.

    Raises:
        StepConfigurationError: a config that makes no sense.
    """

    default_name: ClassVar[str] = "vector_delete"

    def __init__(
        self,
        name: str | None = None,
        config: Mapping[str, Any] | None = None,
        *,
        vector_store: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(name, config, vector_store=vector_store, **options)

    def _read(self, options: Options) -> None:
        self._filters = options.filters("filters")
        self._all = options.flag("delete_all", False)
        if self._filters is not None and self._all:
            options.fail("delete_all", "give filters or delete_all, not both")
        if self._filters is not None and normalize(self._filters) == MATCH_ALL:
            options.fail("filters", "filters: everything would pass; say delete_all if that is meant")
        self._settle = options.flag("settle", True)
        self._ids_key = options.text("ids_key", "ids")
        self._output_key = options.output("output_key", "deleted")

    async def _work(self, data: Mapping[str, Any]) -> dict[str, Any]:
        ids = None
        if self._filters is None and not self._all:
            ids = data.get(self._ids_key)
            if not isinstance(ids, list | tuple):
                raise ValueError(f"{self._ids_key!r} must come in as a list of ids, not {kind_of(ids)}")
            if not ids:
                return {self._output_key: 0}
        async with self.store() as store:
            done = await store.delete(ids, self._filters, self.source.namespace, self._all)
            if self._settle and isinstance(store, VectorStoreBase):
                await store.settle()
        return {self._output_key: done["deleted"]}
