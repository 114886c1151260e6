"""Writes to an embedded store and says so on standard output; ``test_killed_writers.py`` runs and kills it.

Arguments: provider, folder, version of the documents, number of batches.
"""

from __future__ import annotations

import asyncio
import sys
import traceback

from chaos_ledger import DIMENSION, document

from ia_modules.vector_stores import VectorStoreConfig
from ia_modules.vector_stores.factory import provider_class

BATCH = 50
NAMESPACES = ("", "tenant/ü")


def batch_of(number: int) -> tuple[str, list[str]]:
    """Namespace and ids of a batch."""
    return NAMESPACES[number % len(NAMESPACES)], [f"document {number:03}-{row:02}" for row in range(BATCH)]


def config_of(provider: str, folder: str) -> VectorStoreConfig:
    """The config of the store in a folder."""
    return VectorStoreConfig(provider=provider, path=folder, index_name="killed", dimension=DIMENSION)


def say(*words: object) -> None:
    print(*words, flush=True)


async def write(provider: str, folder: str, version: int, batches: int) -> None:
    """Write all batches in a version, and delete the first documents of every third one."""
    config = config_of(provider, folder)
    async with provider_class(provider)(config) as store:
        if not await store.index_exists():
            await store.create_index(DIMENSION)
        say("open")
        for number in range(batches):
            namespace, ids = batch_of(number)
            say("sending", number)
            await store.upsert([document(namespace, one, version) for one in ids], namespace)
            say("sent", number)
            if number % 3 == 0:
                say("deleting", number)
                await store.delete(ids[:5], namespace=namespace)
                say("deleted", number)
    say("end")


if __name__ == "__main__":
    try:
        asyncio.run(write(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
    except Exception:  # noqa: BLE001 - the test shows it
        say(traceback.format_exc())
        sys.exit(1)
