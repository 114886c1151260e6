"""What every command needs: a store, an embedder, and one place where errors become a line and an exit code."""

from __future__ import annotations

import asyncio
import os
import sys
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NoReturn

import typer

from ia_modules.vector_stores.errors import IndexNotFoundError, MissingDependencyError, VectorStoreError

if TYPE_CHECKING:
    from ia_modules.vector_stores.base import VectorStoreBase
    from ia_modules.vector_stores.config import VectorStoreConfig
    from ia_modules.vector_stores.embedders import Embedder
    from ia_modules.vector_stores.filters import Node

__all__ = ["DEBUG", "UsageError", "note", "open_store", "parsed_where", "run", "run_plain", "store_config"]

FAILED, USAGE, INPUT_ERRORS, NOTHING_FOUND, INTERRUPTED = 1, 2, 3, 4, 130

DEBUG = "ia_vectors_debug"


class UsageError(Exception):
    """The command can't be carried out as it was given."""


def note(message: str) -> None:
    """Write a message to standard error."""
    typer.echo(message, err=True)


def run(context: typer.Context, command: Callable[[], Awaitable[int]]) -> NoReturn:
    """Run a command's coroutine to its exit code; whatever goes wrong becomes one line on standard error."""
    run_plain(context, lambda: asyncio.run(_as_coroutine(command)))


def run_plain(context: typer.Context, command: Callable[[], int]) -> NoReturn:
    """The same for a command that is no coroutine."""
    debug = bool((context.obj or {}).get(DEBUG))
    try:
        code = command()
        sys.stdout.flush()
    except KeyboardInterrupt:
        note("interrupted; what was written is kept, and running the same command again continues from there")
        code = INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has had enough. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = FAILED
    except Exception as error:  # noqa: BLE001 - the last place that can turn it into a readable line
        if debug:
            traceback.print_exception(error)
        message, code = _explained(error)
        note(message)
    raise typer.Exit(code)


async def _as_coroutine(command: Callable[[], Awaitable[int]]) -> int:
    return await command()


def _explained(error: Exception) -> tuple[str, int]:
    """One line about an error, and the exit code for it."""
    if isinstance(error, IndexNotFoundError):
        return f"error: {error.message}; `ia-vectors ingest` creates it", FAILED
    if isinstance(error, MissingDependencyError):
        return f"error: {error.message}", FAILED
    if isinstance(error, VectorStoreError):
        return f"error: {error}", FAILED
    if isinstance(error, FileNotFoundError):
        return f"error: no such file or folder: {error.filename}", USAGE
    if isinstance(error, OSError):
        named = f": {error.filename}" if error.filename else ""
        return f"error: {error.strerror or error}{named}", FAILED
    if isinstance(error, UsageError | ValueError):
        return f"error: {_sentence(error)}", USAGE
    return f"internal error, please report it: {type(error).__name__}: {error} (--debug shows where)", FAILED


def _sentence(error: Exception) -> str:
    """The message; that of a pydantic validation error is a page, so only its findings are taken."""
    details = getattr(error, "errors", None)
    if not callable(details):
        return str(error)
    found = []
    for detail in details(include_url=False, include_input=False):
        place = ".".join(map(str, detail["loc"]))
        found.append(f"{place}: {detail['msg']}" if place else str(detail["msg"]))
    return "; ".join(found)


def store_config(url: str | None, embedder: Embedder | None = None) -> VectorStoreConfig:
    """The store that ``--store`` or the environment names, bound to the embedder's model.

    Raises:
        UsageError: no store was named, or its URL names another model than the embedder's.
        ValueError: the URL can't be understood.
    """
    from ia_modules.vector_stores.config import VectorStoreConfig

    others = [name for name in os.environ if name.startswith("IA_VECTORS_") and name not in _OWN_VARIABLES]
    if url is None and "IA_VECTORS_PROVIDER" not in others:
        raise UsageError(
            "no store: give --store URL or set IA_VECTORS_STORE, for example chroma:///var/lib/vectors/docs"
        )
    # Reading the environment takes a package that takes its time to load, so only if there is something to read.
    config = VectorStoreConfig.from_env(store=url) if url is None or others else VectorStoreConfig.from_url(url)
    if embedder is None:
        return config
    if config.embedding_model not in (None, embedder.model):
        raise UsageError(f"the store asks for the model {config.embedding_model!r}, the embedder is {embedder.model!r}")
    return config.model_copy(update={"embedding_model": embedder.model})


_OWN_VARIABLES = frozenset({"IA_VECTORS_STORE", "IA_VECTORS_EMBEDDER", "IA_VECTORS_CACHE"})


@asynccontextmanager
async def open_store(config: VectorStoreConfig) -> AsyncIterator[VectorStoreBase]:
    """The connected store; closed at the end."""
    from ia_modules.vector_stores.factory import create_vector_store

    store = await create_vector_store(config)
    try:
        yield store
    finally:
        await store.disconnect()


def parsed_where(text: str | None) -> Node | None:
    """The filter that ``--where`` stands for.

    Raises:
        ValueError: it can't be understood; the message points at the place.
    """
    if text is None:
        return None
    from ia_modules.vector_stores.filters import parse_where

    return parse_where(text)
