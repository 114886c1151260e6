"""Generated documents, filters and searches: every provider must answer as the memory provider does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ia_modules.vector_stores import DistanceMetric, VectorDocument, VectorStoreBase, VectorStoreConfig
from ia_modules.vector_stores.factory import provider_class
from ia_modules.vector_stores.filters import Node, matches
from ia_modules.vector_stores.providers.memory import MemoryVectorStore
from ia_modules.vector_stores.testing.strategies import filters, metadata

pytestmark = pytest.mark.targets("chroma-memory", "chroma-server")

SMALL = st.integers(-3, 3).map(float)
VECTORS = st.lists(SMALL, min_size=3, max_size=3)
TEXTS = st.none() | st.just("") | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


class Pair:
    """A provider and the reference, given the same."""

    def __init__(self, config: VectorStoreConfig, metric: DistanceMetric) -> None:
        self.runner = asyncio.Runner()
        self.store: VectorStoreBase = provider_class(config.provider)(config)
        self.reference = MemoryVectorStore(VectorStoreConfig(provider="memory", index_name="x"))
        self.run(self.store.create_index(3, metric))
        self.run(self.reference.create_index(3, metric))

    def run(self, call: Any) -> Any:
        return self.runner.run(call)

    def both(self, call: Callable[[VectorStoreBase], Any]) -> tuple[Any, Any]:
        return self.run(call(self.store)), self.run(call(self.reference))

    def close(self) -> None:
        self.run(self.store.disconnect())
        self.runner.close()


@pytest.fixture(params=["cosine", "euclidean", "dot_product"])
def pair(request: pytest.FixtureRequest, store_config: Callable[..., VectorStoreConfig]) -> Any:
    made = Pair(store_config(), DistanceMetric(request.param))
    yield made
    made.close()


def as_data(document: VectorDocument) -> tuple[Any, ...]:
    """Comparable, with types: 1, 1.0 and True differ."""
    vector = tuple(round(x, 4) for x in document.vector)
    return (document.id, vector, repr(_sorted(document.metadata)), document.text)


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_sorted(item) for item in value]
    return 0.0 if isinstance(value, float) and value == 0 else value  # the sign of zero may get lost


def assert_same_ranking(found: Any, expected: Any) -> None:
    """Same scores in the same order; where scores tie at the end of the list, either document may be there."""
    scores = [result.score for result in found.results]
    assert scores == pytest.approx([result.score for result in expected.results], abs=1e-4)
    last = scores[-1] if scores else 0.0

    def certain(response: Any) -> set[str]:
        return {result.id for result in response.results if result.score > last + 1e-4}

    assert certain(found) == certain(expected)


@settings(max_examples=60)
@given(data=st.data())
def test_same_answers(pair: Pair, data: st.DataObject) -> None:
    node: Node = data.draw(filters(depth=3))
    metadatas = data.draw(st.lists(metadata(), min_size=1, max_size=8))
    documents = [
        VectorDocument(id=f"d{i}", vector=data.draw(VECTORS), metadata=m, text=data.draw(TEXTS))
        for i, m in enumerate(metadatas)
    ]
    pair.both(lambda store: store.delete(delete_all=True))
    assert pair.both(lambda store: store.upsert(documents)) == ({"upserted": len(documents), "namespace": ""},) * 2
    expected = {document.id for document in documents if matches(node, document.metadata)}
    assert pair.both(lambda store: store.count(node)) == (len(expected),) * 2
    query, top_k = data.draw(VECTORS), data.draw(st.integers(1, 8))
    found, wanted = pair.both(lambda store: store.search(query, top_k, node))
    assert {result.id for result in found.results} <= expected
    assert_same_ranking(found, wanted)
    assert_same_ranking(*pair.both(lambda store: store.search(query, top_k)))

    async def scanned(store: VectorStoreBase) -> list[VectorDocument]:
        return [document async for document in store.scan(filters=node, batch_size=2)]

    mine, theirs = pair.both(scanned)
    assert sorted(map(as_data, mine)) == sorted(map(as_data, theirs))
    assert pair.both(lambda store: store.delete(filters=node)) == ({"deleted": len(expected), "namespace": ""},) * 2
    assert pair.both(lambda store: store.count()) == (len(documents) - len(expected),) * 2


@settings(max_examples=60)
@given(data=st.data())
def test_replacing_leaves_nothing_behind(pair: Pair, data: st.DataObject) -> None:
    pair.both(lambda store: store.delete(delete_all=True))
    document_id = data.draw(IDS)
    for _ in range(data.draw(st.integers(2, 4))):
        document = VectorDocument(
            id=document_id, vector=data.draw(VECTORS), metadata=data.draw(metadata()), text=data.draw(TEXTS)
        )
        pair.both(lambda store, document=document: store.upsert([document]))
        if data.draw(st.booleans()):
            changes = data.draw(metadata())
            pair.both(lambda store, changes=changes: store.update_metadata(document_id, changes))
        (mine,), (theirs,) = pair.both(lambda store: store.fetch([document_id]))
        assert as_data(mine) == as_data(theirs)
        node = data.draw(filters(depth=1))
        assert len({*pair.both(lambda store, node=node: store.count(node))}) == 1
