"""What the steps have in common."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, ClassVar, Self

from ia_modules.vector_stores.base import VectorStoreBase
from ia_modules.vector_stores.rag.failures import EXPECTED, as_pipeline_error
from ia_modules.vector_stores.rag.options import Options
from ia_modules.vector_stores.rag.runtime import PipelineError, Step, StepConfigurationError
from ia_modules.vector_stores.rag.shared import shared_resources
from ia_modules.vector_stores.rag.sources import StoreSource

__all__ = ["StoreStep"]


class StoreStep(Step):
    """A pipeline step that works on a store.

    Args:
        name: what the pipeline calls it.
        config: its settings, as they stand in a pipeline's JSON.
        **options: the same as keywords; those that are None count as left out.

    Raises:
        StepConfigurationError: (a ``ConfigurationError`` of the pipeline, and a ``ValueError``) for an unknown key, or
            a value that makes no sense.
    """

    default_name: ClassVar[str] = "vector_store"

    def __init__(self, name: str | None = None, config: Mapping[str, Any] | None = None, **options: Any) -> None:
        name = self.default_name if name is None else name
        config = {} if config is None else config
        if not isinstance(config, Mapping):
            raise StepConfigurationError(f"a step's config is an object, not {type(config).__name__}", step_id=name)
        given = {key: value for key, value in options.items() if value is not None}
        if twice := sorted(given.keys() & config.keys()):
            raise StepConfigurationError(f"{twice[0]} is given twice", config_key=twice[0], step_id=name)
        merged = {**config, **given}
        try:
            super().__init__(name, merged)
        except (AttributeError, TypeError, ValueError) as error:  # what the pipeline makes of it
            raise StepConfigurationError(
                f"error_handling: {error}", config_key="error_handling", step_id=name
            ) from error
        read = Options(name, merged)
        self.source = StoreSource(read)
        if self.source.config is not None:
            # Instead of what was given: it does not show its key.
            key = "store" if "store" in merged else "vector_store"
            merged[key] = self.source.config
        self._read(read)
        read.done()

    def _read(self, options: Options) -> None:
        """Take the step's own keys."""
        raise NotImplementedError

    async def _work(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Do what the step is for; returns what it adds to the data."""
        raise NotImplementedError

    async def run(self, data: dict[str, Any]) -> dict[str, Any]:
        """Do it; everything that came in is in the result as well.

        Raises:
            PipelineError: it failed; its class says how, so that the pipeline's retry and fallback know.
        """
        try:
            added = await self._work(data)
        except PipelineError:
            raise
        except EXPECTED as error:
            raise as_pipeline_error(error, self.name, timeout=self.source.timeout_of(error)) from error
        return {**data, **added}

    async def aclose(self) -> None:
        """Let go of the store, if the step has opened it by itself; in a pipeline its services do.

        The store is closed unless another step or pipeline uses it.
        """
        await shared_resources().release(self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def store(self) -> AbstractAsyncContextManager[VectorStoreBase]:
        """The store, for the length of an ``async with``."""
        return self.source.lease(self)
