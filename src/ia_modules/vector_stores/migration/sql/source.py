"""The source of a migration that is a table of an SQL database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from pydantic import SecretStr

from ia_modules.vector_stores.errors import MissingDependencyError
from ia_modules.vector_stores.migration.records import Cursor, Page, SourceInfo
from ia_modules.vector_stores.migration.sql.vectors import VECTOR_FORMATS, VectorFormat

if TYPE_CHECKING:
    from ia_modules.vector_stores.migration.sql.database import Database
    from ia_modules.vector_stores.migration.sql.layout import Layout
    from ia_modules.vector_stores.migration.sql.reading import Reader

__all__ = ["SqlSource"]


class SqlSource:
    """Embeddings in a table of SQLite, PostgreSQL, MySQL or MariaDB; it is only read, never written.

    What is not named is found by inspection, and :meth:`describe` tells in its notes what was found. Every row becomes
    a document of a page, or is listed in :attr:`Page.unreadable` with its key and the cause.

    - **Vectors** are JSON text, database arrays, float32 or float64 bytes (little-endian), numpy files, or of
      pgvector's types ``vector`` and ``halfvec``; see :data:`VectorFormat` for each. They become float32 of shape
      ``(dimension,)``. NULL, another dimension than most, NaN and infinity make a row unreadable.
    - **Ids** are the primary key, or a unique column without NULL, or SQLite's row number. Numbers are written in
      decimals, bytes in lower-case hexadecimals, dates in ISO 8601. Of several columns, the parts are joined with
      ``:``; a backslash stands before each colon and each backslash of a part.
    - **Metadata** are the keys of a JSON object in one column, and every further column under its name. Dates and
      times become ISO 8601 text, UUIDs text, decimals an integer or a float that has the same digits and else text,
      JSON columns what they hold. Columns of bytes, and further ones of vector types, are left out, and the notes say
      so.
    - **Order**: by the primary key or a unique key, as the database compares it. Each page is one query
      ``WHERE key > last ORDER BY key LIMIT size``; there is no OFFSET and no open cursor, so what is written meanwhile
      behind the last key is read too, and what is written before it is not.

    Args:
        url: of SQLAlchemy: ``sqlite:///embeddings.db``, ``postgresql://user:password@host/database``, ``mysql://...``.
            Without a driver it gets aiosqlite, asyncpg or aiomysql; a driver that is not asynchronous runs in threads.
        table: name of the table or view; ``schema.name`` where several have the name.
        id_column: whose values become ids.
        vector_column: with the vectors.
        text_column: with the texts; False for none; None for one that is called text, content, body, document, chunk,
            passage, page_content, chunk_text or sentence.
        metadata_column: with JSON objects; False for none; None for one that is called metadata, meta, metadata_,
            cmetadata, metadatas, metadata_json, meta_json or payload and has nothing but objects.
        namespace_column: whose values become namespaces, NULL the default one; None for one namespace ``""``.
        exclude_columns: that shall not become metadata.
        vector_format: how vectors are written; None to find out.
        dimension: numbers per vector; None for what most rows have.

    Raises:
        ValueError: an unknown format, or a dimension below 1.
    """

    def __init__(
        self,
        url: str,
        *,
        table: str | None = None,
        id_column: str | None = None,
        vector_column: str | None = None,
        text_column: str | Literal[False] | None = None,
        metadata_column: str | Literal[False] | None = None,
        namespace_column: str | None = None,
        exclude_columns: Sequence[str] = (),
        vector_format: VectorFormat | None = None,
        dimension: int | None = None,
    ) -> None:
        if vector_format is not None and vector_format not in VECTOR_FORMATS:
            raise ValueError(f"vector_format is one of {', '.join(VECTOR_FORMATS)}, not {vector_format!r}")
        if dimension is not None and dimension < 1:
            raise ValueError("dimension must be at least 1")
        if isinstance(exclude_columns, str):
            raise ValueError("exclude_columns is a list of names, not one name")
        self._url = SecretStr(url)
        self._named: dict[str, Any] = {
            "table": table,
            "id_column": id_column,
            "vector_column": vector_column,
            "text_column": text_column,
            "metadata_column": metadata_column,
            "namespace_column": namespace_column,
            "exclude_columns": tuple(exclude_columns),
            "vector_format": vector_format,
            "dimension": dimension,
        }
        self._database: Database | None = None
        self._opened: tuple[SourceInfo, Reader] | None = None
        self._opening = asyncio.Lock()

    def __repr__(self) -> str:
        named = {name: value for name, value in self._named.items() if value not in (None, ())}
        where = self._database.name if self._database else "…"
        return f"SqlSource({', '.join([repr(where), *(f'{name}={value!r}' for name, value in named.items())])})"

    async def __aenter__(self) -> SqlSource:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def describe(self) -> SourceInfo:
        """Open the database, choose table and columns, and count the rows of each namespace.

        Everything that was chosen is in the notes.

        Raises:
            ValueError: no such table or column, none that holds vectors, or several; it lists them. The same for a URL
                that is none, ids that are not unique, and bytes that may be float32 as well as float64.
            UnsupportedOperationError: another kind of database, sparse vectors, or a table without any unique key.
            ConnectionError: no such SQLite file, or the server can't be reached or refused a query.
            AuthenticationError: user or password were refused.
            MissingDependencyError: SQLAlchemy or the driver is not installed.
        """
        return (await self._open())[0]

    async def pages(self, namespace: str, size: int, after: Cursor = None) -> AsyncIterator[Page]:
        """The documents of a namespace in the order of the key.

        Args:
            namespace: as in ``describe().namespaces``; any other has none.
            size: rows per page, at least 1.
            after: a :attr:`Page.cursor` of this table, from this or another process; None for the beginning.

        Yields:
            Pages with one query each. A cursor holds the last key, exactly and with its type.

        Raises:
            ValueError: ``size`` below 1, or a cursor that is none of this table; and what :meth:`describe` raises.
        """
        if size < 1:
            raise ValueError("size must be at least 1")
        _, reader = await self._open()
        async for page in reader.pages(namespace, size, after):
            yield page

    async def close(self) -> None:
        """Close the connections. May be called twice; using the source again opens it again."""
        database, self._database, self._opened = self._database, None, None
        if database is not None:
            await database.close()

    async def _open(self) -> tuple[SourceInfo, Reader]:
        async with self._opening:
            if self._opened is None:
                self._opened = await self._described()
            return self._opened

    async def _described(self) -> tuple[SourceInfo, Reader]:
        try:
            from ia_modules.vector_stores.migration.sql.choosing import chosen
            from ia_modules.vector_stores.migration.sql.database import Database
            from ia_modules.vector_stores.migration.sql.layout import Wanted
            from ia_modules.vector_stores.migration.sql.reading import Reader
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != "sqlalchemy":
                raise
            raise MissingDependencyError("sqlalchemy", extra="migration", needed_for="Reading SQL databases") from error
        if self._database is None:
            self._database = Database(self._url)
        database = self._database
        try:
            layout = await chosen(database, Wanted(**self._named))
            counts, values = await _namespaces(database, layout)
        except BaseException:
            await self.close()
            raise
        info = SourceInfo(
            name=f"{database.name}, table {layout.table.title}",
            kind="sql",
            dimension=layout.dimension,
            metric=None,
            namespaces=counts,
            notes=layout.notes,
        )
        return info, Reader(database, layout, values)


async def _namespaces(database: Database, layout: Layout) -> tuple[dict[str, int | None], dict[str, list[Any]] | None]:
    """How many rows each namespace has, and which values of the column it is; None without such a column."""
    rows = await database.rows(layout.counts())
    if layout.namespace is None:
        return {"": rows[0][0]}, None
    counts: dict[str, int | None] = {}
    values: dict[str, list[Any]] = {}
    for value, count in rows:
        name = _namespace(value, layout)
        counts[name] = (counts.get(name) or 0) + count
        values.setdefault(name, []).append(value)
    return dict(sorted(counts.items())), values


def _namespace(value: Any, layout: Layout) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes) and layout.backend == "mysql":
        value = value.decode()
    name = layout.namespace.name if layout.namespace else ""
    if isinstance(value, bytes | bytearray | memoryview | list | dict):
        raise ValueError(f"namespace_column {name!r} has values that are no names: {type(value).__name__}")
    return str(value)
