"""How answers look, for people and for programs."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from ia_modules.vector_stores.models import SearchResult, VectorDocument

__all__ = ["as_json", "namespace_label", "show_document", "show_fields", "show_results"]


def as_json(value: Any) -> None:
    """Write one JSON value to standard output."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False))


def namespace_label(name: str) -> str:
    """A namespace's name; quotes for the default one, which has no letters."""
    return name or '""'


def show_results(results: Iterable[SearchResult], lines: int = 3) -> None:
    """Write search results, each with its first lines."""
    width = min(shutil.get_terminal_size((100, 20)).columns, 120)
    for number, result in enumerate(results, 1):
        place = result.metadata.get("heading") or result.metadata.get("title")
        head = typer.style(result.id, bold=True) + (f"  {place}" if isinstance(place, str) else "")
        typer.echo(f"{number:2}. {result.score:.3f}  {head}")
        text = " ".join((result.text or "").split())
        for line in textwrap.wrap(text, width - 4, max_lines=lines, placeholder=" …"):
            typer.echo(f"    {line}")


def show_document(document: VectorDocument) -> None:
    """Write a document as people read it."""
    typer.echo(typer.style(document.id, bold=True))
    for name, value in document.metadata.items():
        typer.echo(f"  {name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}")
    if document.text is not None:
        typer.echo(f"\n{document.text}\n")


def show_fields(fields: dict[str, Any]) -> None:
    """Write names and values in two columns."""
    width = max(map(len, fields))
    for name, value in fields.items():
        typer.echo(f"{name:{width}}  {value}")
