"""The fields of metadata that a filter can name."""

from __future__ import annotations

from typing import Any

from hypothesis import given

from ia_modules.vector_stores.filters.evaluate import resolve
from ia_modules.vector_stores.providers.fields import named_values
from ia_modules.vector_stores.testing.strategies import metadata as metadatas


@given(metadatas())
def test_the_first_value_of_a_path_is_the_one_that_a_filter_sees(metadata: dict[str, Any]) -> None:
    first: dict[str, Any] = {}
    for path, value in named_values(metadata):
        first.setdefault(path, value)
    for path, value in first.items():
        assert resolve(metadata, path) is value
