"""What counts as the same document."""

from __future__ import annotations

from typing import Any

import pytest

from ia_modules.vector_stores import VectorDocument
from ia_modules.vector_stores.migration.contents import same_content


def made(vector: list[float] | None = None, text: str | None = "t", **metadata: Any) -> VectorDocument:
    return VectorDocument(id="x", vector=vector or [1.0, 1000.0], text=text, metadata=metadata)


def test_the_same_is_the_same() -> None:
    assert same_content(made(), made())
    assert same_content(made(a=[1, {"b": None}], c=2), made(c=2, a=[1, {"b": None}]))
    assert same_content(made([1.0, 1000.0]), made([1.0000005, 1000.0005]))  # each within a millionth of itself
    assert not same_content(made([1e-3, 1000.0]), made([1.001e-3, 1000.0]))
    assert same_content(made([0.0, 0.0]), made([0.0, 0.0]))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (made(text=None), made(text="")),
        (made(n=1), made(n=1.0)),
        (made(n=1), made(n=True)),
        (made(n=[0]), made(n=[False])),
        (made(n=0.0), made(n=-0.0)),
        (made(n=None), made()),
        (made(a={}), made(a=[])),
        (made([1.0, 1000.0]), made([1.1, 1000.0])),
        (made([1.0, 2.0]), made([1.0, 2.0, 3.0])),
        (made([0.0, 0.0]), made([0.0, 1e-30])),
    ],
)
def test_what_differs_is_noticed(one: VectorDocument, other: VectorDocument) -> None:
    assert not same_content(one, other)
    assert not same_content(other, one) or one.vector == [0.0, 0.0]


def test_vectors_may_be_left_out() -> None:
    assert same_content(made([1.0]), made([2.0, 3.0]), vectors=False)
    assert not same_content(made(text="a"), made(text="b"), vectors=False)
