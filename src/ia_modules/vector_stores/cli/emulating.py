"""The ``emulate`` commands: a database's emulator in the foreground."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import typer

from ia_modules.vector_stores.errors import MissingDependencyError

__all__ = ["emulate_pinecone"]


def emulate_pinecone(
    port: int, host: str, folder: Path | None, api_key: str | None, lag: str, rate_limit: float | None
) -> int:
    """Serve until SIGINT or SIGTERM, the usual end: the exit code is 0.

    Raises:
        MissingDependencyError: the packages of the extra are not installed.
        ValueError: an option is out of its range.
        OSError: the port is in use, or another emulator has the folder.
    """
    try:
        from ia_modules.vector_stores.emulator.pinecone import serving
    except ModuleNotFoundError as error:
        package = error.name or "uvicorn"
        raise MissingDependencyError(package, extra="emulator", needed_for="The Pinecone emulator") from error

    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with serving(port=port, host=host, folder=folder, api_key=api_key, lag=lag, rate_limit=rate_limit) as emulator:
        key = "the key that was given" if api_key else "any key"
        typer.echo(emulator.url)
        typer.echo(
            f"The SDK finds it with PINECONE_CONTROLLER_HOST={emulator.url} or host={emulator.url!r}, and {key}."
        )
        typer.echo("Kept in memory only." if folder is None else f"Kept in {folder}.")
        typer.echo("Ctrl-C stops it.")
        # In short waits: a long one can't be interrupted everywhere.
        while not ended.wait(0.5):
            pass
    return 0
