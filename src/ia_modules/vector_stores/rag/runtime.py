"""The step class and the errors of the pipeline that is installed; our own where there is none."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from ia_modules.vector_stores.rag import standalone

if TYPE_CHECKING:
    from ia_modules.vector_stores.rag.standalone import (
        ConfigurationError,
        DependencyError,
        LogicError,
        NetworkError,
        PipelineError,
        ResourceError,
        Step,
        TimeoutError,
        ValidationError,
    )

__all__ = [
    "IN_PIPELINE",
    "ConfigurationError",
    "DependencyError",
    "LogicError",
    "NetworkError",
    "PipelineError",
    "ResourceError",
    "Step",
    "StepConfigurationError",
    "TimeoutError",
    "ValidationError",
]


def _theirs(name: str) -> ModuleType | None:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        # A pipeline that is there but lacks a package of its own is another problem, and must look like one.
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        return None


_core = _theirs("ia_modules.pipeline.core")

IN_PIPELINE = _core is not None
"""Whether ``ia_modules`` with its pipeline is installed."""

if not TYPE_CHECKING:
    _errors = standalone if _core is None else import_module("ia_modules.pipeline.errors")
    Step = (standalone if _core is None else _core).Step
    ConfigurationError = _errors.ConfigurationError
    DependencyError = _errors.DependencyError
    LogicError = _errors.LogicError
    NetworkError = _errors.NetworkError
    PipelineError = _errors.PipelineError
    ResourceError = _errors.ResourceError
    TimeoutError = _errors.TimeoutError  # noqa: A001 - the name that the pipeline gives it
    ValidationError = _errors.ValidationError


class StepConfigurationError(ConfigurationError, ValueError):
    """A step's config that makes no sense; a ``ValueError`` as well, as everywhere in this library."""
