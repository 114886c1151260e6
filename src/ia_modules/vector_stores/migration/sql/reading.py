"""Rows into documents, a page at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from ia_modules.vector_stores.documents import MAX_ID_BYTES, checked_id, checked_metadata
from ia_modules.vector_stores.errors import InvalidDocumentError
from ia_modules.vector_stores.migration.records import Cursor, Page, Unreadable
from ia_modules.vector_stores.migration.sql.database import Database
from ia_modules.vector_stores.migration.sql.keys import decoded, encoded, id_text, joined_id, plain
from ia_modules.vector_stores.migration.sql.layout import Layout
from ia_modules.vector_stores.migration.sql.values import converter, is_sound, json_object, text_value
from ia_modules.vector_stores.migration.sql.vectors import matrix
from ia_modules.vector_stores.models import VectorDocument
from ia_modules.vector_stores.vectors import Vector

__all__ = ["Reader"]

_SHOWN = 80


class Reader:
    """Reads the documents of one table.

    Args:
        database: where it is.
        layout: what its rows become.
        namespaces: per namespace the values of its column; None if there is no such column.
    """

    def __init__(self, database: Database, layout: Layout, namespaces: dict[str, list[Any]] | None) -> None:
        self._database = database
        self._layout = layout
        self._namespaces = namespaces
        names = layout.key_names()
        self._order = len(layout.order)
        self._ids = [names.index(name) for name in layout.ids]
        self._start = len(names)
        self._extra: list[tuple[str, Callable[[Any], Any]]] = [
            (column.name, converter(column, layout.backend)) for column in layout.extra
        ]

    async def pages(self, namespace: str, size: int, after: Cursor) -> AsyncIterator[Page]:
        """See :meth:`SqlSource.pages`."""
        values = self._values(namespace)
        if values == []:
            return
        key, seen = _position(after, self._order)
        if seen is None:
            while True:
                rows = await self._database.rows(self._layout.page(values, key and [decoded(one) for one in key], size))
                if rows:
                    page = await asyncio.to_thread(self.page, rows, namespace)
                    key = page.cursor["key"]
                    yield page
                if len(rows) < size:
                    break
        if not self._layout.loose:
            return
        ((count,),) = await self._database.rows(self._layout.without_key(values))
        for start in range(seen or 0, count, size):
            end = min(start + size, count)
            lost = [self._keyless(number, count, namespace) for number in range(start + 1, end + 1)]
            yield Page([], {"key": key, "without_key": end}, lost)

    def page(self, rows: Sequence[Any], namespace: str) -> Page:
        """A page of rows, of which there is at least one."""
        layout = self._layout
        columns = list(zip(*rows, strict=True))
        start = self._start
        if layout.dimension is None and any(cell is not None for cell in columns[start]):
            raise ValueError("the table had no vectors when it was opened; now it has, so open it again")
        vectors, causes = matrix(columns[start], layout.form or "json", layout.dimension or 1)
        texts = columns[start + 1] if layout.text else None
        place = start + 1 + bool(layout.text)
        metadatas = columns[place] if layout.metadata else None
        extra = columns[place + bool(layout.metadata) :]
        documents: list[VectorDocument] = []
        unreadable: list[Unreadable] = []
        for number, cause in enumerate(causes):
            try:
                if cause is not None:
                    raise ValueError(cause)
                document_id = self._id(rows[number])
                text = None if texts is None else self._text(texts[number])
                metadata = self._metadata(number, metadatas, extra)
                if not is_sound(metadata):
                    metadata = checked_metadata(metadata, document_id)  # which says what is wrong
                document = VectorDocument(
                    id=document_id,
                    vector=Vector.wrap(vectors[number]),
                    metadata=metadata,
                    text=text,
                )
            except ValueError as error:
                told = error.message if isinstance(error, InvalidDocumentError) else str(error)
                unreadable.append(Unreadable(self._shown(rows[number]), told, namespace))
            else:
                documents.append(document)
        last = [encoded(value) for value in rows[-1][: self._order]]
        return Page(documents, {"key": last}, unreadable)

    def _values(self, namespace: str) -> list[Any] | None:
        """The values of the namespace column; None for every row, and none for no row."""
        if self._namespaces is None:
            return None if namespace == "" else []
        return self._namespaces.get(namespace, [])

    def _id(self, row: Any) -> str:
        if len(self._ids) == 1:
            value = row[self._ids[0]]
            if type(value) is int:
                return str(value)
            if type(value) is str and value.isascii() and 0 < len(value) <= MAX_ID_BYTES:
                return value
            return checked_id(id_text(value))
        return checked_id(joined_id([id_text(row[place]) for place in self._ids]))

    def _text(self, value: Any) -> str | None:
        if value is None or (type(value) is str and value.isascii()):
            return value
        try:
            return text_value(value)
        except ValueError as error:
            raise self._in(self._layout.text.name if self._layout.text else "", error) from None

    def _metadata(self, number: int, objects: Any, extra: Sequence[Any]) -> dict[str, Any]:
        column = self._layout.metadata
        metadata: dict[str, Any] = {}
        name = ""
        try:
            if column is not None:
                name = column.name
                metadata = json_object(objects[number])
            both = metadata.keys()
            for (name, convert), cells in zip(self._extra, extra, strict=True):
                value = convert(cells[number])
                if name in both and (metadata[name] != value or type(metadata[name]) is not type(value)):
                    raise ValueError("is also a key of the metadata, with another value")
                metadata[name] = value
        except ValueError as error:
            raise self._in(name, error) from None
        return metadata

    @staticmethod
    def _in(column: str, error: ValueError) -> ValueError:
        return ValueError(f"column {column!r} {error}")

    def _shown(self, row: Any) -> str:
        """What tells a row apart for people: its id, or else its key."""
        for places in (self._ids, range(self._order)):
            parts = [plain(row[place]) for place in places]
            if all(part is not None and part != "" for part in parts):
                shown = joined_id([id_text(part) for part in parts]) if len(parts) > 1 else id_text(parts[0])
                shown = shown.encode("utf-8", "backslashreplace").decode()
                return shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "…"
        return "''"

    def _keyless(self, number: int, count: int, namespace: str) -> Unreadable:
        names = ", ".join(map(repr, self._layout.loose))
        return Unreadable(f"NULL ({number} of {count})", f"the row has NULL in {names} and no other key", namespace)


def _position(after: Cursor, parts: int) -> tuple[list[Any] | None, int | None]:
    """The key to go on behind, and how many rows without a key were told of; None before they are reached.

    Raises:
        ValueError: it is not a cursor of a table with such a key.
    """
    if after is None:
        return None, None
    key = after.get("key") if isinstance(after, dict) else after
    seen = after.get("without_key") if isinstance(after, dict) else None
    if (seen is None and key is None) or (key is not None and not (isinstance(key, list) and len(key) == parts)):
        raise ValueError("this is no cursor of this table: was it made with another table or another key?")
    for one in key or []:
        decoded(one)
    return key, seen
