"""Migrates an SQLite database to an embedded store; ``test_migration_killed.py`` runs this, and kills what it starts.

Arguments: database, provider, folder, checkpoint. For every line that it reads it starts a process that goes on with
the migration, so that the packages are imported once only, and prints its number. That process prints a line after
every page; at its end comes ``over``.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
import traceback
import warnings
from pathlib import Path

from ia_modules.vector_stores import VectorStoreConfig
from ia_modules.vector_stores.factory import provider_class
from ia_modules.vector_stores.migration import SqlSource, migrate

PAGE = 20
_CLIENTS = {"chroma": "chromadb", "qdrant": "qdrant_client"}


def config_of(provider: str, folder: str) -> VectorStoreConfig:
    """The config of the store in a folder."""
    return VectorStoreConfig(provider=provider, path=folder, index_name="migrated")


def source_of(database: str) -> SqlSource:
    """The table that is migrated."""
    return SqlSource(f"sqlite:///{database}", table="documents", id_column="name", namespace_column="tenant")


def say(*words: object) -> None:
    print(*words, flush=True)


async def run(database: str, provider: str, folder: str, checkpoint: str, *, resume: bool) -> None:
    """Migrate, going on where the last process was killed."""
    async with provider_class(provider)(config_of(provider, folder)) as store:
        report = await migrate(
            source_of(database),
            store,
            batch_size=PAGE,
            checkpoint=checkpoint,
            resume=resume,
            progress=lambda progress: say(progress.phase, progress.done),
        )
    say("end", report.complete, report.read, report.written, report.removed, *report.notes)


def migrate_once(arguments: list[str]) -> None:
    """What the process does that may be killed."""
    try:
        asyncio.run(run(*arguments, resume=Path(arguments[-1]).exists()))
    except BaseException:  # noqa: BLE001 - the test shows it
        say("failed", *traceback.format_exc().splitlines())
    sys.stdout.flush()
    os._exit(0)


def main(arguments: list[str]) -> None:
    """Start a process for every line."""
    warnings.simplefilter("ignore")  # numpy has threads, which do nothing at this time
    for name in (_CLIENTS[arguments[1]], "sqlalchemy.ext.asyncio", "aiosqlite", "greenlet"):
        importlib.import_module(name)
    say("ready")
    for _ in sys.stdin:
        child = os.fork()
        if not child:
            migrate_once(arguments)
        say(child)
        os.waitpid(child, 0)
        say("over")


if __name__ == "__main__":
    main(sys.argv[1:])
