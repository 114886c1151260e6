"""What ``--from`` and ``--to`` name: a store, an SQL database, or a file."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from ia_modules.vector_stores.cli.session import UsageError, note, open_store
from ia_modules.vector_stores.migration.formats import file_format

if TYPE_CHECKING:
    from ia_modules.vector_stores.base import VectorStoreBase
    from ia_modules.vector_stores.config import VectorStoreConfig
    from ia_modules.vector_stores.migration.exporting import FileTarget
    from ia_modules.vector_stores.migration.records import Source
    from ia_modules.vector_stores.migration.stores import StoreTarget

__all__ = [
    "Columns",
    "Place",
    "both_places",
    "checkpoint_for",
    "opened_source",
    "opened_target",
    "parsed_namespaces",
    "place",
    "store_place",
]

Kind: TypeAlias = Literal["store", "sql", "file"]

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9._-]+)(\+[A-Za-z0-9._-]+)?:")
_SQL = {"sqlite", "postgresql", "postgres", "mysql", "mariadb"}
_SQL_ONLY = ("table", "vector_format", "dimension")


@dataclass(frozen=True, slots=True)
class Columns:
    """Where things are in an SQL table or in a file that others have made; None is found out, ``""`` means none."""

    table: str | None = None
    id_column: str | None = None
    vector_column: str | None = None
    text_column: str | None = None
    metadata_column: str | None = None
    namespace_column: str | None = None
    exclude_columns: tuple[str, ...] = ()
    vector_format: str | None = None
    dimension: int | None = None

    def arguments(self, kind: Kind, option: str) -> dict[str, Any]:
        """What was named, as arguments of a source.

        Raises:
            UsageError: something that this kind of source does not have.
        """
        given = {name: value for name, value in asdict(self).items() if value not in (None, ())}
        wrong = [name for name in given if kind == "store" or (kind == "file" and name in _SQL_ONLY)]
        if wrong:
            named = ", ".join(f"--{name.removesuffix('s').replace('_', '-')}" for name in wrong)
            raise UsageError(f"{option} is a {kind}, for which there is no {named}")
        for name in ("text_column", "metadata_column"):
            if given.get(name) == "":
                given[name] = False
        return given


@dataclass(frozen=True, slots=True)
class Place:
    """One end of a migration.

    Attributes:
        kind: what it is.
        option: what names it on the command line.
        url: as it was given; an SQL database's may have a password in it, so don't show it.
        config: of a store.
        path: of a file.
    """

    kind: Kind
    option: str
    url: str
    config: VectorStoreConfig | None = None
    path: Path | None = None

    @property
    def identity(self) -> str:
        """What tells it from others; without secrets and settings."""
        if self.config is not None:
            from ia_modules.vector_stores.config import VectorStoreConfig

            where = {name: getattr(self.config, name) for name in ("provider", "host", "port", "path", "index_name")}
            return VectorStoreConfig(**where).to_url()
        if self.path is not None:
            return str(self.path.absolute())
        return re.sub(r"(?<=//)[^/]*@", "", self.url.partition("?")[0])


def place(url: str, option: str, api_key: str | None = None) -> Place:
    """Find out what a URL or path names.

    Args:
        url: of a store or an SQL database, or the path of a file.
        option: where it was given, for messages.
        api_key: of the store.

    Raises:
        UsageError: it is none of them.
        ValueError: a store URL that can't be understood.
    """
    path = Path(url.removeprefix("file://"))
    scheme = _SCHEME.match(url)
    if scheme is not None and scheme[1].lower() in _SQL:
        return Place("sql", option, re.sub(r"^postgres(?=[+:])", "postgresql", url))
    if scheme is None or scheme[1].lower() == "file":
        if file_format(path) is None:
            raise UsageError(
                f"{option} is neither a store URL, nor an SQL URL (sqlite:///file.db, postgresql://..., mysql://...), "
                f"nor a file named .parquet, .jsonl or .jsonl.gz"
            )
        return Place("file", option, url, path=path)
    from ia_modules.vector_stores.config import VectorStoreConfig

    config = VectorStoreConfig.from_url(url, api_key=api_key)
    _without_namespace(config, option)
    return Place("store", option, url, config=config)


def _without_namespace(config: VectorStoreConfig, option: str) -> None:
    if config.namespace is not None:
        raise UsageError(f"{option} names a namespace; all are taken, or those of --namespace (news, or news=archive)")


def store_place(config: VectorStoreConfig) -> Place:
    """The place of a ``--store``."""
    _without_namespace(config, "--store")
    return Place("store", "--store", config.to_url(), config=config)


def both_places(source: str, target: str) -> tuple[Place, Place]:
    """The places of ``--from`` and ``--to``, each with a key of its own.

    A key must not go to the other database, so ``IA_VECTORS_API_KEY`` counts only where one end alone is a store.
    """
    environment = os.environ
    keys = [environment.get("IA_VECTORS_FROM_API_KEY"), environment.get("IA_VECTORS_TO_API_KEY")]
    places = [place(source, "--from", keys[0]), place(target, "--to", keys[1])]
    shared = environment.get("IA_VECTORS_API_KEY")
    if shared is not None:
        stores = [number for number, one in enumerate(places) if one.kind == "store"]
        if len(stores) == 1 and keys[stores[0]] is None:
            number = stores[0]
            places[number] = place(places[number].url, places[number].option, shared)
        elif len(stores) == 2 and None in keys:
            note(
                "note: IA_VECTORS_API_KEY is not used, as both ends are stores: set IA_VECTORS_FROM_API_KEY and "
                "IA_VECTORS_TO_API_KEY"
            )
    return places[0], places[1]


@asynccontextmanager
async def opened_source(where: Place, columns: Columns) -> AsyncIterator[Source | VectorStoreBase]:
    """The source; a store is connected, and closed at the end.

    Raises:
        UsageError: columns were named that this kind of source does not have.
    """
    arguments = columns.arguments(where.kind, where.option)
    if where.config is not None:
        async with open_store(where.config) as store:
            yield store
        return
    source: Source
    if where.path is None:
        from ia_modules.vector_stores.migration import SqlSource

        source = SqlSource(where.url, **arguments)
    elif file_format(where.path) == "parquet":
        from ia_modules.vector_stores.migration import ParquetSource

        source = ParquetSource(where.path, **arguments)
    else:
        from ia_modules.vector_stores.migration import JsonLinesSource

        source = JsonLinesSource(where.path, **arguments)
    try:
        yield source
    finally:
        await source.close()


@asynccontextmanager
async def opened_target(
    where: Place, *, overwrite: bool, metric: str | None, change_metric: bool
) -> AsyncIterator[StoreTarget | FileTarget]:
    """The target; a store is connected, and closed at the end.

    Raises:
        UsageError: something that can't be written to, or options that it does not have.
    """
    if where.kind == "sql":
        raise UsageError("an SQL database can be read, but not written to")
    if where.config is not None:
        if overwrite:
            raise UsageError("--overwrite is for files; documents of a store are replaced if their ids are the same")
        from ia_modules.vector_stores.migration import StoreTarget

        async with open_store(where.config) as store:
            yield StoreTarget(store, metric=metric, change_metric=change_metric)
        return
    assert where.path is not None
    if metric is not None or change_metric:
        raise UsageError("a file keeps the metric of the source; --metric and --change-metric are for stores")
    target: FileTarget
    if file_format(where.path) == "parquet":
        from ia_modules.vector_stores.migration import ParquetTarget

        target = ParquetTarget(where.path, overwrite=overwrite)
    else:
        from ia_modules.vector_stores.migration import JsonLinesTarget

        target = JsonLinesTarget(where.path, overwrite=overwrite)
    try:
        yield target
    finally:
        await target.close()


def parsed_namespaces(given: list[str] | None) -> dict[str, str] | None:
    r"""Which namespaces become which: ``a=b``, or ``a`` alone; ``=b`` begins with the default one, ``\=`` is no sign.

    Raises:
        UsageError: a namespace that is given twice.
    """
    if not given:
        return None
    mapping: dict[str, str] = {}
    for one in given:
        parts = [part.replace("\\=", "=") for part in re.split(r"(?<!\\)=", one, maxsplit=1)]
        if parts[0] in mapping:
            raise UsageError(f"--namespace names {parts[0]!r} twice")
        mapping[parts[0]] = parts[-1]
    return mapping


def checkpoint_for(source: Place, target: Place, columns: Columns, namespaces: Mapping[str, str] | None) -> Path:
    """Where this migration's checkpoint is if nobody names one: in the current folder, by what tells it from others."""
    job = [source.identity, target.identity, columns.table, None if namespaces is None else sorted(namespaces.items())]
    name = hashlib.sha256(json.dumps(job).encode()).hexdigest()[:10]
    return Path(f".ia-vectors-migration-{name}.json")
