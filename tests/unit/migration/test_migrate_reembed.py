"""The same documents with vectors of another model, and a switch that only happens when all are there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ia_modules.vector_stores import ConnectionError, IndexMismatchError, VectorDocument
from ia_modules.vector_stores.embedders.base import Vectors, check_texts
from ia_modules.vector_stores.errors import InvalidDocumentError
from ia_modules.vector_stores.migration import plan, reembed
from ia_modules.vector_stores.migration.reembedding import EmbeddingTarget
from migrating import DIMENSION, memory_store


class Lengths:
    """An embedder whose vectors say how long a text is."""

    model = "test/lengths"
    dimension = 2

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.fail_after: int | None = None

    async def get_dimension(self) -> int:
        return 2

    async def embed_documents(self, texts: Sequence[str]) -> Vectors:
        if self.fail_after is not None and len(self.texts) >= self.fail_after:
            raise ConnectionError("the model is gone")
        if "too long" in texts:
            raise InvalidDocumentError("the text is too long for the model")
        self.texts += check_texts(texts)
        return np.array([[len(text), 1.0] for text in texts], dtype=np.float32)

    async def embed_query(self, text: str) -> Vectors:
        return (await self.embed_documents([text]))[0]

    async def aclose(self) -> None:
        pass


async def texts(count: int = 50, **more: str | None) -> Any:
    store = memory_store(embedding_model="test/old")
    await store.create_index(DIMENSION, "euclidean")
    given: dict[str, str | None] = {f"document {n}": "x" * (n + 1) for n in range(count)}
    for namespace in ("", "b"):
        await store.upsert(
            [
                VectorDocument(id=key, vector=[1.0] * DIMENSION, text=text, metadata={"n": number})
                for number, (key, text) in enumerate((given | more).items())
            ],
            namespace,
        )
    return store


class Switch:
    def __init__(self) -> None:
        self.calls = 0

    async def __call__(self) -> None:
        self.calls += 1


async def test_all_documents_get_new_vectors_and_the_switch_happens() -> None:
    source, target, switch, embedder = await texts(), memory_store(), Switch(), Lengths()
    report = await reembed(source, target, embedder, switch=switch, batch_size=7)
    assert report.complete
    assert (report.verified, report.switched, switch.calls) == (True, True, 1)
    assert len(embedder.texts) == 100  # the second pass compares, and embeds nothing again
    assert await target.get_embedding_model() == "test/lengths"
    for namespace in ("", "b"):
        found = {document.id: document async for document in target.scan(namespace)}
        assert len(found) == 50
        for document in await source.fetch(list(found), namespace):
            other = found[document.id]
            assert (other.text, other.metadata) == (document.text, document.metadata)
            assert other.vector == [len(document.text), 1.0]
    assert (await target.search([1.0, 1.0], 1)).results[0].score == 1.0  # euclidean, as before
    assert json.loads(report.to_json())["migration"]["written"] == 100


async def test_documents_that_can_not_be_embedded_are_reported_and_nothing_is_switched() -> None:
    source = await texts(5, silent=None, empty="", blank=" \n", long="too long")
    target, switch = memory_store(), Switch()
    report = await reembed(source, target, Lengths(), switch=switch, namespaces={"": ""})
    assert report.migration.refused == {
        "silent": "it has no text to embed",
        "empty": "its text is blank",
        "blank": "its text is blank",
        "long": "the text is too long for the model",
    }
    assert not report.complete
    assert (report.verified, report.switched, switch.calls) == (False, False, 0)
    assert await target.count() == 5
    again = await reembed(source, memory_store(), Lengths(), switch=switch, namespaces={"": ""}, verify=False)
    assert (again.verified, switch.calls) == (None, 0)


async def test_what_is_verified_is_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    source, target, switch = await texts(), memory_store(), Switch()

    async def finish(self: Any) -> None:  # after the second pass
        await target.delete(["document 3"], namespace="b")
        await target.update_metadata("document 4", {"n": 4.0}, namespace="")
        await target.upsert([VectorDocument(id="stray", vector=[1.0, 2.0], text="x")], "b")

    monkeypatch.setattr(EmbeddingTarget, "finish", finish)
    report = await reembed(source, target, Lengths(), switch=switch)
    assert report.migration.complete
    assert (report.verified, report.complete, switch.calls) == (False, False, 0)
    assert [problem[:44] for problem in report.problems] == [
        "the document 'document 4' of the namespace '",
        "the document 'document 3' of the namespace '",
    ]


async def test_documents_beyond_those_of_the_source_are_noticed() -> None:
    source, target = await texts(), memory_store()
    await target.create_index(2, "euclidean", embedding_model="test/lengths")
    await target.upsert([VectorDocument(id="stray", vector=[1.0, 2.0], text="x")], "b")
    report = await reembed(source, target, Lengths())
    assert report.problems == ("the namespace 'b' has 51 documents; the source has 50 for it",)
    assert report.verified is False


async def test_vectors_of_two_models_are_not_mixed() -> None:
    source, named, unnamed = await texts(), memory_store(), memory_store()
    await named.create_index(2, embedding_model="test/other")
    await unnamed.create_index(2)
    for target in (named, unnamed):
        with pytest.raises(IndexMismatchError, match=r"can't be compared|embed into a new index"):
            await reembed(source, target, Lengths())
        assert await target.count() == 0
    assert not (await plan(source, EmbeddingTarget(unnamed, Lengths()))).possible


async def test_an_interrupted_run_embeds_only_what_is_missing(tmp_path: Path) -> None:
    source, target, embedder, switch = await texts(), memory_store(), Lengths(), Switch()
    embedder.fail_after = 60
    with pytest.raises(ConnectionError):
        await reembed(source, target, embedder, batch_size=10, checkpoint=tmp_path / "mark", switch=switch)
    embedder.fail_after = None
    report = await reembed(
        source, target, embedder, batch_size=10, checkpoint=tmp_path / "mark", resume=True, switch=switch
    )
    assert report.complete
    assert len(embedder.texts) == 100
    assert switch.calls == 1
