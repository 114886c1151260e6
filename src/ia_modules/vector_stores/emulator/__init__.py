"""Databases to test against that run on this machine, in this process, without an account.

``ia_modules.vector_stores.emulator.pinecone`` speaks Pinecone's HTTP API. Nothing is loaded before it is asked for:
the pytest plugin beside this file is part of every test run where this package is installed.
"""

from __future__ import annotations

__all__: list[str] = []
