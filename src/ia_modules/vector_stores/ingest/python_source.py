"""Python files: one section for the module, each class and each function, together all of the file."""

from __future__ import annotations

import ast
import io
import textwrap
import tokenize
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ia_modules.vector_stores.ingest.text import decode, read_bytes
from ia_modules.vector_stores.ingest.types import IngestIssue, LoadOptions, Section, SourceFile

__all__ = ["load_python", "module_name", "parse_python"]

Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def load_python(file: SourceFile, options: LoadOptions) -> Iterator[Section | IngestIssue]:
    """Split a module into its definitions, each under its qualified name.

    A class is its head, docstring and attributes; its methods are sections of their own; a function holds what is
    defined inside it. A file that doesn't parse is reported, and taken in as plain text so that nothing is lost.
    """
    data = read_bytes(file, options)
    if isinstance(data, IngestIssue):
        yield data
        return
    text = _decoded(data, file, options)
    if isinstance(text, IngestIssue):
        yield text
        return
    tree = parse_python(text)
    if isinstance(tree, tuple):
        yield IngestIssue(file.source, tree[0], f"not valid Python ({tree[1]}); taken in as plain text", lost=False)
        yield Section(text)
        return
    module = module_name(file.path)
    lines = text.split("\n")
    for name, kind, node, numbers in _definitions(tree, module, len(lines)):
        code = textwrap.dedent("\n".join(lines[number - 1] for number in numbers)).strip("\n")
        if code.strip():
            metadata: dict[str, Any] = {"heading": name, "symbol": name, "kind": kind, "line": numbers[0]}
            summary = (ast.get_docstring(node) or "").partition("\n")[0]
            # The name stands in the text as well: the code of a method rarely says whose it is.
            yield Section(f"# {name}\n{code}", metadata | ({"title": summary} if summary else {}))


def parse_python(text: str) -> ast.Module | tuple[int | None, str]:
    """The syntax tree, or line and reason why there is none."""
    try:
        with warnings.catch_warnings():
            # Invalid escapes in someone else's file are no news to our user.
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except SyntaxError as error:
        return error.lineno, error.msg
    except (ValueError, RecursionError, MemoryError) as error:
        return None, str(error) or "nested too deeply"


def module_name(path: Path) -> str:
    """Dotted name of a module, found from the packages that it lies in."""
    parts = [] if path.stem == "__init__" else [path.stem]
    folder = path.absolute().parent
    while (folder / "__init__.py").is_file() and folder != folder.parent:
        parts.insert(0, folder.name)
        folder = folder.parent
    return ".".join(parts) or path.stem


def _decoded(data: bytes, file: SourceFile, options: LoadOptions) -> str | IngestIssue:
    if options.encoding is None:
        try:
            encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
            return data.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")
        except (SyntaxError, UnicodeDecodeError):
            pass  # the declaration is wrong: decide as for any other text
    decoded = decode(data, file, options)
    return decoded if isinstance(decoded, IngestIssue) else decoded[0].replace("\r\n", "\n").replace("\r", "\n")


def _definitions(tree: ast.Module, module: str, length: int) -> Iterator[tuple[str, str, Any, list[int]]]:
    """Name, kind, node and line numbers of every section; each line belongs to exactly one of them."""
    stack: list[tuple[str, str, Any, int, int]] = [(module, "module", tree, 1, length)]
    while stack:
        name, kind, node, first, last = stack.pop()
        children = [] if kind == "function" else [*_children(node)]
        taken: set[int] = set()
        below = []
        for child in children:
            start = min([child.lineno, *(decorator.lineno for decorator in child.decorator_list)])
            end = child.end_lineno or child.lineno
            if taken.intersection(range(start, end + 1)):
                continue  # two definitions on one line: the first one has it
            taken.update(range(start, end + 1))
            child_kind = "class" if isinstance(child, ast.ClassDef) else "function"
            below.append((f"{name}.{child.name}", child_kind, child, start, end))
        numbers = [number for number in range(first, last + 1) if number not in taken]
        if numbers:
            yield name, kind, node, numbers
        stack.extend(reversed(below))


def _children(node: ast.AST) -> Iterator[Definition]:
    """Definitions in a body, also those below ``if`` and ``try``, but not those inside functions or classes."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Definition):
            yield child
        elif isinstance(child, ast.If | ast.Try | ast.With | ast.ExceptHandler):
            yield from _children(child)
