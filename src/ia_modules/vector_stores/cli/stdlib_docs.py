"""The documentation of Python's standard library, taken from the modules installed on this machine.

Modules written in Python are read, not imported; those written in C have their documentation only inside, and
importing them runs no Python code.
"""

from __future__ import annotations

import ast
import importlib
import importlib.machinery
import inspect
import json
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ia_modules.vector_stores.ingest.python_source import parse_python

__all__ = ["stdlib_records", "write_stdlib_docs"]

# Test suites, an editor, toys that open a browser or print a poem, generated tables, what was removed since, and the
# double of `os`.
_LEFT_OUT = frozenset(
    {"antigravity", "distutils", "idlelib", "lib2to3", "posix", "pydoc_data", "test", "tests", "this", "turtledemo"}
)
_SHORTEST = 30
_EXTENSIONS = tuple(importlib.machinery.EXTENSION_SUFFIXES)


def write_stdlib_docs(path: Path) -> None:
    """Write one record for each documented public module, class and function, as JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("w", encoding="utf-8") as stream:
        for record in stdlib_records():
            stream.write(json.dumps(record, ensure_ascii=False) + "\n")
    part.replace(path)


def stdlib_records() -> Iterator[dict[str, Any]]:
    """Records with ``id`` (the qualified name), ``text``, ``kind`` and ``module``, sorted by module."""
    seen: set[str] = set()
    for name, path in _modules():
        for symbol, kind, signature, doc in _from_source(name, path) if path else _from_import(name):
            if len(doc) >= _SHORTEST and symbol not in seen:
                seen.add(symbol)
                yield {"id": symbol, "text": f"{symbol}\n\n{doc}", "signature": signature, "kind": kind, "module": name}


def _modules() -> Iterator[tuple[str, Path | None]]:
    """Public modules and their source files; None for those written in C."""
    root = Path(sysconfig.get_path("stdlib"))
    compiled = {file.name.partition(".")[0] for file in root.glob("lib-dynload/*") if file.name.endswith(_EXTENSIONS)}
    for name in sorted(sys.stdlib_module_names):
        if name.startswith("_") or name in _LEFT_OUT:
            continue
        if (root / f"{name}.py").is_file():
            yield name, root / f"{name}.py"
        elif (root / name).is_dir():
            for file in sorted((root / name).rglob("*.py")):
                parts = file.relative_to(root).with_suffix("").parts
                inner = parts[:-1] if parts[-1] == "__init__" else parts
                if not any(part.startswith("_") or part in _LEFT_OUT or part == "site-packages" for part in inner):
                    yield ".".join(inner), file
        elif name in sys.builtin_module_names or name in compiled:
            yield name, None


def _from_source(module: str, path: Path) -> Iterator[tuple[str, str, str, str]]:
    tree = parse_python(path.read_text(encoding="utf-8", errors="replace"))
    if not isinstance(tree, ast.Module):
        return
    stack: list[tuple[str, str, Any]] = [(module, "module", tree)]
    while stack:
        name, kind, node = stack.pop()
        signature = f"({ast.unparse(node.args)})" if kind == "function" else ""
        yield name, kind, signature, ast.get_docstring(node) or ""
        if kind == "function":
            continue
        for child in reversed(node.body):
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and child.name[0] != "_":
                child_kind = "class" if isinstance(child, ast.ClassDef) else "function"
                stack.append((f"{name}.{child.name}", child_kind, child))


def _from_import(module: str) -> Iterator[tuple[str, str, str, str]]:
    try:
        with warnings.catch_warnings():
            # That a module is about to leave the library is no news here.
            warnings.simplefilter("ignore", DeprecationWarning)
            root = importlib.import_module(module)
    except ImportError:
        return
    stack: list[tuple[str, str, Any]] = [(module, "module", root)]
    while stack:
        name, kind, value = stack.pop()
        yield name, kind, _signature(value) if kind == "function" else "", inspect.getdoc(value) or ""
        if kind == "function":
            continue
        for child_name, child in sorted(vars(value).items(), reverse=True):
            if child_name.startswith("_") or (kind == "module" and getattr(child, "__module__", module) != module):
                continue
            if inspect.isclass(child) and kind == "module":
                stack.append((f"{name}.{child_name}", "class", child))
            elif inspect.isroutine(child):
                stack.append((f"{name}.{child_name}", "function", child))


def _signature(value: Any) -> str:
    try:
        return str(inspect.signature(value))
    except (ValueError, TypeError):
        return ""  # many C functions don't tell
