"""The pytest option ``--verify-against-service``, for one command; users' runs don't know it.

    PYTHONPATH=tests/service pytest -p pinecone_verifying tests/service --verify-against-service

It says the same as PINECONE_VERIFY=1 in the environment.
"""

from __future__ import annotations

import os

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--verify-against-service", action="store_true", help="ask Pinecone's service too: PINECONE_API_KEY"
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--verify-against-service"):
        os.environ["PINECONE_VERIFY"] = "1"
