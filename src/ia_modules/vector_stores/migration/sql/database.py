"""A read-only connection to an SQL database, asynchronous where its driver is, in threads where it is not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar
from urllib.parse import unquote

import sqlalchemy as sa
from pydantic import SecretStr
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from ia_modules.vector_stores.errors import (
    AuthenticationError,
    ConnectionError,
    MissingDependencyError,
    UnsupportedOperationError,
    VectorStoreError,
)
from ia_modules.vector_stores.providers.threads import finished

__all__ = ["Database", "undecoded"]

T = TypeVar("T")

_DRIVERS = {"sqlite": "aiosqlite", "postgresql": "asyncpg", "mysql": "aiomysql", "mariadb": "aiomysql"}
_EXTRAS = {"aiosqlite": "migration", "greenlet": "migration", "asyncpg": "postgresql", "aiomysql": "mysql"}
_FOREIGN = {"sqlalchemy", "sqlite3", "aiosqlite", "asyncpg", "aiomysql", "pymysql", "psycopg", "psycopg2", "pg8000"}
"""Packages whose exceptions come from the database; any other exception is a mistake of ours."""
_SHOWN = 300
_NOT_UTF8 = "Could not decode to UTF-8"


def undecoded(raw: bytes) -> str:
    """Text of SQLite, where anything may lie in a text column: bytes that are not UTF-8 become lone surrogates."""
    return raw.decode("utf-8", "surrogateescape")


class Database:
    """One SQL database, which is only read.

    SQLite files are opened with ``mode=ro``; PostgreSQL runs read-only transactions; MySQL and MariaDB read-only
    sessions. Time zones are UTC.

    Args:
        url: of SQLAlchemy; without a driver it gets an asynchronous one.

    Attributes:
        name: the URL without user, password and options.
        backend: ``"sqlite"``, ``"postgresql"`` or ``"mysql"``.

    Raises:
        ValueError: no such URL.
        UnsupportedOperationError: another kind of database.
        ConnectionError: there is no such SQLite file.
        MissingDependencyError: the driver is not installed.
    """

    def __init__(self, url: SecretStr) -> None:
        parsed = _parsed(url)
        backend = parsed.get_backend_name()
        if backend not in _DRIVERS:
            raise UnsupportedOperationError(
                f"embeddings are read from SQLite, PostgreSQL, MySQL and MariaDB, not from {backend!r}"
            )
        self.backend = "mysql" if backend == "mariadb" else backend
        self._lenient = False
        self._secrets = [secret for secret in (parsed.password, *_texts(parsed.query)) if secret]
        if parsed.drivername == backend:
            parsed = parsed.set(drivername=f"{backend}+{_DRIVERS[backend]}")
        if self.backend == "sqlite":
            path, parsed = _file(parsed)
            self.name = f"sqlite:///{path}"
        else:
            port = f":{parsed.port}" if parsed.port else ""
            self.name = f"{backend}://{parsed.host or ''}{port}/{parsed.database or ''}"
        self._engine = self._made(parsed)

    async def run(self, work: Callable[[sa.Connection], T]) -> T:
        """Do work with a connection; nothing it does lasts.

        Raises:
            ConnectionError: the database can't be reached, or refused a statement.
            AuthenticationError: it refused user or password.
        """
        try:
            return await self._run(work)
        except Exception as error:
            if _NOT_UTF8 in str(error) and not self._lenient:
                # One text that is not UTF-8 fails the whole page, so from here on each is decoded with care.
                self._lenient = True
                await self.close()
                return await self.run(work)
            if isinstance(error, VectorStoreError) or not _is_foreign(error):
                raise
            self._raise(error)

    async def _run(self, work: Callable[[sa.Connection], T]) -> T:
        if isinstance(self._engine, AsyncEngine):
            async with self._engine.connect() as connection:
                return await connection.run_sync(work)
        return await finished(asyncio.to_thread(self._in_thread, self._engine, work))

    async def rows(self, statement: sa.Select[Any], values: Mapping[str, Any] | None = None) -> list[Any]:
        """All rows of a query."""
        return await self.run(lambda connection: list(connection.execute(statement, values or {})))

    async def close(self) -> None:
        """Close every connection."""
        if isinstance(self._engine, AsyncEngine):
            await self._engine.dispose()
        else:
            await finished(asyncio.to_thread(self._engine.dispose))

    @staticmethod
    def _in_thread(engine: sa.Engine, work: Callable[[sa.Connection], T]) -> T:
        with engine.connect() as connection:
            return work(connection)

    def _made(self, url: sa.URL) -> AsyncEngine | sa.Engine:
        settings: dict[str, Any] = {"hide_parameters": True}
        if self.backend == "postgresql":
            settings["execution_options"] = {"postgresql_readonly": True}
        engine: AsyncEngine | sa.Engine
        try:
            try:
                engine = create_async_engine(url, **settings)
            except sa.exc.InvalidRequestError:  # the driver is not asynchronous
                engine = sa.create_engine(url, **settings)
        except sa.exc.NoSuchModuleError:
            raise ValueError(f"SQLAlchemy knows no driver {url.drivername!r}") from None
        except ModuleNotFoundError as error:
            raise _missing(error, url.drivername) from error
        plain = engine.sync_engine if isinstance(engine, AsyncEngine) else engine
        event.listen(plain, "connect", {"sqlite": self._decode, "postgresql": _utc, "mysql": _read_only}[self.backend])
        return engine

    def _decode(self, connection: Any, record: Any) -> None:  # noqa: ARG002 - the event's own arguments
        if self._lenient:
            getattr(connection, "driver_connection", connection).text_factory = undecoded

    def _raise(self, error: Exception) -> NoReturn:
        """Raise as one of ours, without secrets."""
        origin = getattr(error, "orig", None) or error
        message = f"{self.name}: {str(origin).strip().partition(chr(10))[0][:_SHOWN] or type(origin).__name__}"
        told = str(error) + str(origin)
        leaks = [secret for secret in self._secrets if secret in told]
        for secret in leaks:
            message = message.replace(secret, "***")
        kind: type[VectorStoreError] = AuthenticationError if _is_refusal(origin) else ConnectionError
        retryable = kind is ConnectionError and not isinstance(error, sa.exc.ProgrammingError)
        raise kind(message, retryable=retryable) from (None if leaks else error)


def _parsed(url: SecretStr) -> sa.URL:
    try:
        return sa.make_url(url.get_secret_value())
    except (sa.exc.ArgumentError, ValueError):
        # SQLAlchemy shows the URL, and a password may be in it.
        raise ValueError(
            "this is no database URL; write sqlite:///file.db, postgresql://user:password@host/database or "
            "mysql://user:password@host/database"
        ) from None


def _texts(query: Mapping[str, Any]) -> list[str]:
    """Values of options that may be secrets."""
    return [str(value) for key, value in query.items() if "pass" in key.lower() or "secret" in key.lower()]


def _file(url: sa.URL) -> tuple[Path, sa.URL]:
    """The file of an SQLite URL, and the URL that opens it for reading."""
    database = url.database or ""
    if database.startswith("file:"):
        database = unquote(database.removeprefix("file:"))
        database = "/" + database.lstrip("/") if database.startswith("//") else database
    if database in {"", ":memory:"}:
        raise ValueError("an SQLite database in memory has nothing to be read; write sqlite:///file.db")
    path = Path(database)
    if not path.is_file():
        raise ConnectionError(f"there is no file {path}", retryable=False)
    options = {**url.query, "mode": "ro", "uri": "true"}
    return path, url.set(database=path.absolute().as_uri(), query=options)


def _missing(error: ModuleNotFoundError, driver: str) -> Exception:
    package = (error.name or "").partition(".")[0]
    if package in _EXTRAS:
        return MissingDependencyError(package, extra=_EXTRAS[package], needed_for=f"Reading with {driver}")
    return VectorStoreError(f"the driver {driver} needs the package {package!r}, which is not installed")


def _utc(connection: Any, record: Any) -> None:  # noqa: ARG001 - the event's own arguments
    # A timestamp must read the same in every session, or verifying finds differences.
    _execute(connection, "SET TIME ZONE 'UTC'")


def _read_only(connection: Any, record: Any) -> None:  # noqa: ARG001
    _execute(connection, "SET SESSION TRANSACTION READ ONLY")
    _execute(connection, "SET SESSION time_zone = '+00:00'")


def _execute(connection: Any, statement: str) -> None:
    cursor = connection.cursor()
    try:
        cursor.execute(statement)
    finally:
        cursor.close()
    connection.commit()  # a setting made in a transaction that is rolled back is undone with it


def _is_foreign(error: Exception) -> bool:
    return isinstance(error, OSError) or type(error).__module__.partition(".")[0] in _FOREIGN


def _is_refusal(error: BaseException) -> bool:
    """Whether user or password were refused: SQLSTATE class 28 of PostgreSQL, error 1044 and 1045 of MySQL."""
    if str(getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or "").startswith("28"):
        return True
    return bool(error.args) and error.args[0] in (1044, 1045)
