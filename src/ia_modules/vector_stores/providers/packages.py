"""A provider's packages: imported when it is first used, and named with the line that installs a missing one."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import Any

from ia_modules.vector_stores.errors import MissingDependencyError, UnsupportedOperationError

__all__ = ["imported", "require"]


def imported(module: str, *, provider: str, package: str | None = None) -> Any:
    """A module of a package that the provider's extra brings.

    Args:
        module: its name.
        provider: name of the provider and of its extra.
        package: what pip calls it, if not the module's name with dashes.

    Raises:
        MissingDependencyError: it is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            package or module.replace("_", "-"),
            extra=provider,
            needed_for=f"The {provider} provider",
            provider=provider,
        ) from error


def require(package: str, oldest: tuple[int, int], *, provider: str) -> None:
    """Refuse a package that is too old.

    Raises:
        UnsupportedOperationError: its version is below ``oldest``, a major and a minor number.
    """
    installed = version(package)
    if tuple(int(part) for part in installed.split(".")[:2]) < oldest:
        raise UnsupportedOperationError(
            f"{package} {installed} is too old; "
            f'pip install --upgrade "ia-modules-vector-stores[{provider}]" brings a newer one'
        )
