"""The everyday calls, on every provider that can run here."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ia_modules.vector_stores import (
    DistanceMetric,
    IndexAlreadyExistsError,
    IndexMismatchError,
    IndexNotFoundError,
    InvalidDimensionError,
    InvalidDocumentError,
    SearchFilter,
    UnsupportedOperationError,
    VectorDocument,
    VectorStoreBase,
    create_vector_store,
)

DOCUMENTS = [
    VectorDocument(id="doc1", vector=[1.0, 0.0, 0.0], metadata={"category": "tech", "year": 2020}, text="Computers"),
    VectorDocument(id="doc2", vector=[0.8, 0.6, 0.0], metadata={"category": "tech", "year": 2023}, text="Networks"),
    VectorDocument(id="doc3", vector=[0.0, 0.0, 1.0], metadata={"category": "food", "year": 2021}, text="Bread"),
]


@pytest.fixture
async def filled(store: VectorStoreBase) -> VectorStoreBase:
    result = await store.upsert(DOCUMENTS)
    assert result == {"upserted": 3, "namespace": ""}
    return store


async def test_upsert_and_search(filled: VectorStoreBase) -> None:
    response = await filled.search(query_vector=[1.0, 0.0, 0.0], top_k=2)

    assert response.total == 2
    assert response.query_time_ms > 0
    assert [result.id for result in response.results] == ["doc1", "doc2"]
    assert [result.score for result in response.results] == pytest.approx([1.0, 0.8], abs=1e-6)
    assert response.results[0].metadata == {"category": "tech", "year": 2020}
    assert response.results[0].text == "Computers"
    assert response.results[0].vector is None


async def test_filtered_search(filled: VectorStoreBase) -> None:
    tech = SearchFilter(field="category", operator="eq", value="tech")
    recent = SearchFilter(field="year", operator="gte", value=2021)

    response = await filled.search(query_vector=[1.0, 0.0, 0.0], top_k=10, filters=[tech])
    assert [result.id for result in response.results] == ["doc1", "doc2"]
    response = await filled.search(query_vector=[1.0, 0.0, 0.0], top_k=10, filters=[tech, recent])
    assert [result.id for result in response.results] == ["doc2"]
    response = await filled.search(query_vector=[1.0, 0.0, 0.0], top_k=10, filters=~tech | ~recent)
    assert [result.id for result in response.results] == ["doc1", "doc3"]
    response = await filled.search(
        query_vector=[1.0, 0.0, 0.0], filters=[SearchFilter(field="year", operator="in", value=[])]
    )
    assert response.total == 0
    assert response.results == []


async def test_fetch_by_ids(filled: VectorStoreBase) -> None:
    documents = await filled.fetch(ids=["doc3", "missing", "doc1"])

    assert documents == [DOCUMENTS[2], DOCUMENTS[0]]


async def test_delete(filled: VectorStoreBase) -> None:
    assert await filled.delete(ids=["doc1", "missing"]) == {"deleted": 1, "namespace": ""}
    assert await filled.delete(ids=["doc1"]) == {"deleted": 0, "namespace": ""}
    food = SearchFilter(field="category", operator="eq", value="food")
    assert await filled.delete(filters=[food]) == {"deleted": 1, "namespace": ""}
    assert [document.id async for document in filled.scan()] == ["doc2"]
    assert await filled.delete(delete_all=True) == {"deleted": 1, "namespace": ""}
    assert await filled.count() == 0
    assert await filled.index_exists()


async def test_delete_refuses_what_could_be_a_mistake(filled: VectorStoreBase) -> None:
    for arguments in ({}, {"ids": ["doc1"], "delete_all": True}, {"filters": []}, {"ids": []}, {"ids": "doc1"}):
        with pytest.raises(ValueError, match=r"delete|ids"):
            await filled.delete(**arguments)  # type: ignore[arg-type]
    nothing = SearchFilter(field="category", operator="in", value=[])
    assert await filled.delete(filters=[nothing]) == {"deleted": 0, "namespace": ""}
    assert await filled.count() == 3


async def test_namespaces_are_apart(filled: VectorStoreBase) -> None:
    other = VectorDocument(id="doc1", vector=[0.0, 1.0, 0.0], metadata={"category": "other"})
    assert await filled.upsert([other], namespace="zweite") == {"upserted": 1, "namespace": "zweite"}

    assert await filled.list_namespaces() == ["", "zweite"]
    assert await filled.fetch(["doc1"], namespace="zweite") == [other]
    assert await filled.fetch(["doc1"]) == [DOCUMENTS[0]]
    response = await filled.search([0.0, 1.0, 0.0], namespace="zweite")
    assert [result.id for result in response.results] == ["doc1"]
    assert (await filled.search([0.0, 1.0, 0.0], namespace="empty")).results == []
    stats = await filled.get_stats()
    assert (stats.total_vectors, stats.dimension, stats.namespace_count) == (4, 3, 2)
    assert await filled.delete_namespace("zweite") == {"deleted": 1, "namespace": "zweite"}
    assert await filled.list_namespaces() == [""]


async def test_config_namespace_is_the_default(
    store: VectorStoreBase, make_store: Callable[..., VectorStoreBase]
) -> None:
    tenant = make_store(dimension=3, namespace="tenant")
    assert (await tenant.upsert(DOCUMENTS))["namespace"] == "tenant"
    assert await store.count() == 0
    assert await tenant.count() == 3
    assert await tenant.count(namespace="") == 0


async def test_upsert_replaces_the_whole_document(store: VectorStoreBase) -> None:
    await store.upsert([VectorDocument(id="a", vector=[1, 0, 0], metadata={"old": 1, "kept": "x"}, text="old")])
    replaced = VectorDocument(id="a", vector=[0, 1, 0], metadata={"kept": 2})
    await store.upsert([replaced])

    assert await store.fetch(["a"]) == [replaced]
    assert await store.count([SearchFilter(field="old", operator="ne", value=1)]) == 1
    assert (await store.search([0, 1, 0])).results[0].text is None
    again = VectorDocument(id="a", vector=[0, 1, 0], metadata={}, text="")
    await store.upsert([again])
    assert await store.fetch(["a"]) == [again]


async def test_of_equal_ids_the_last_one_wins(store: VectorStoreBase) -> None:
    twins = [VectorDocument(id="a", vector=[1, 0, 0], metadata={"n": n}) for n in range(3)]
    assert (await store.upsert(twins, batch_size=1))["upserted"] == 1
    assert await store.fetch(["a"]) == [twins[-1]]


async def test_update_metadata_leaves_the_rest(filled: VectorStoreBase) -> None:
    changes = {"year": 2024, "tags": ["new"], "nothing": None}
    assert await filled.update_metadata("doc1", changes) == {"updated": 1, "namespace": ""}
    assert await filled.update_metadata("missing", changes) == {"updated": 0, "namespace": ""}
    (document,) = await filled.fetch(["doc1"])
    assert document.metadata == {"category": "tech", **changes}
    assert (document.text, document.vector) == ("Computers", [1.0, 0.0, 0.0])
    assert await filled.count([SearchFilter(field="tags", operator="contains", value="new")]) == 1


async def test_include_flags(filled: VectorStoreBase) -> None:
    (result,) = (await filled.search([1, 0, 0], top_k=1, include_metadata=False, include_vectors=True)).results
    assert (result.metadata, result.text) == ({}, None)
    assert result.vector == [1.0, 0.0, 0.0]
    filters = [SearchFilter(field="category", operator="eq", value="food")]
    (result,) = (await filled.search([1, 0, 0], filters=filters, include_metadata=False)).results
    assert (result.id, result.metadata, result.text, result.vector) == ("doc3", {}, None, None)


async def test_search_many_answers_in_order(filled: VectorStoreBase) -> None:
    responses = await filled.search_many([[0, 0, 1], [1, 0, 0]], top_k=1)
    assert [response.results[0].id for response in responses] == ["doc3", "doc1"]
    filters = [SearchFilter(field="category", operator="eq", value="tech")]
    responses = await filled.search_many([[0, 0, 1], [1, 0, 0]], top_k=5, filters=filters)
    assert [response.total for response in responses] == [2, 2]


async def test_score_threshold(filled: VectorStoreBase) -> None:
    response = await filled.search([1, 0, 0], score_threshold=0.5)
    assert [result.id for result in response.results] == ["doc1", "doc2"]


async def test_scan_gives_every_document_once(store: VectorStoreBase) -> None:
    documents = [VectorDocument(id=f"d{i:03}", vector=[1, i, 0], metadata={"n": i}, text=str(i)) for i in range(137)]
    await store.upsert(documents)
    scanned = sorted([document async for document in store.scan(batch_size=10)], key=lambda document: document.id)
    assert [document.model_dump(exclude={"vector"}) for document in scanned] == [
        document.model_dump(exclude={"vector"}) for document in documents
    ]
    for document, original in zip(scanned, documents, strict=True):
        assert document.vector.tolist() == pytest.approx(original.vector.tolist(), rel=1e-6)
    some = SearchFilter(field="n", operator="lt", value=20)
    light = [document async for document in store.scan(filters=some, batch_size=7, include_vectors=False)]
    assert sorted(document.id for document in light) == [f"d{i:03}" for i in range(20)]
    assert {len(document.vector) for document in light} == {0}


async def test_scan_while_documents_are_deleted(store: VectorStoreBase) -> None:
    await store.upsert([VectorDocument(id=f"d{i:03}", vector=[1, i, 0]) for i in range(100)])
    seen = []
    async for document in store.scan(batch_size=10):
        seen.append(document.id)
        if len(seen) == 10:
            await store.delete(ids=[f"d{i:03}" for i in range(30)])
    assert len(seen) == len(set(seen))
    assert {f"d{i:03}" for i in range(30, 100)} <= set(seen)


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (DistanceMetric.COSINE, {"same": 1.0, "near": 0.8, "across": 0.0, "opposite": -1.0, "zero": 0.0}),
        (DistanceMetric.DOT_PRODUCT, {"same": 4.0, "near": 3.2, "across": 0.0, "opposite": -2.0, "zero": 0.0}),
        (DistanceMetric.EUCLIDEAN, {"same": 1.0, "near": 1 / (1 + 1.6**0.5), "across": 1 / (1 + 13**0.5)}),
        (DistanceMetric.MANHATTAN, {"same": 1.0, "near": 1 / 2.6, "across": 1 / 6, "opposite": 0.25, "zero": 1 / 3}),
    ],
)
async def test_scores(
    make_store: Callable[..., VectorStoreBase], metric: DistanceMetric, expected: dict[str, float]
) -> None:
    store = make_store()
    if metric not in store.capabilities.metrics:
        with pytest.raises(UnsupportedOperationError, match="manhattan"):
            await store.create_index(3, metric)
        assert not await store.index_exists()
        return
    await store.create_index(3, metric)
    vectors = {"same": [2, 0, 0], "near": [1.6, 1.2, 0], "across": [0, 0, 3], "opposite": [-1, 0, 0], "zero": [0, 0, 0]}
    if not store.capabilities.zero_vectors:
        with pytest.raises(InvalidDocumentError, match="'zero' has a zero vector"):
            await store.upsert([VectorDocument(id="zero", vector=vectors.pop("zero"))])
        expected = {name: score for name, score in expected.items() if name in vectors}
    await store.upsert([VectorDocument(id=name, vector=vector) for name, vector in vectors.items()])
    found = {result.id: result.score for result in (await store.search([2, 0, 0])).results}
    assert set(found) == set(vectors)
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-4)


async def test_equal_scores_come_by_id(store: VectorStoreBase) -> None:
    await store.upsert([VectorDocument(id=name, vector=[1, 1, 0]) for name in ("b", "é", "a", "Z", "10", "9")])
    assert [result.id for result in (await store.search([1, 1, 0])).results] == ["10", "9", "Z", "a", "b", "é"]


async def test_a_selective_filter_loses_nothing(store: VectorStoreBase) -> None:
    documents = [VectorDocument(id=f"d{i}", vector=[1, i % 7, i % 11], metadata={"n": i}) for i in range(2000)]
    await store.upsert(documents, batch_size=500)
    rare = SearchFilter(field="n", operator="in", value=[7, 777, 1777])
    for _ in range(3):  # what was learned from the first search must not change the next
        response = await store.search([0, 0, 1], top_k=10, filters=[rare])
        assert {result.id for result in response.results} == {"d7", "d777", "d1777"}
    present = SearchFilter(field="n", operator="exists", value=True)
    assert (await store.search([0, 0, 1], top_k=300, filters=[present])).total == 300
    assert await store.count([present]) == 2000


async def test_index_life(make_store: Callable[..., VectorStoreBase]) -> None:
    store = make_store()
    assert not await store.index_exists()
    for call in (
        store.search([1, 0, 0]),
        store.upsert(DOCUMENTS),
        store.fetch(["a"]),
        store.delete(ids=["a"]),
        store.delete(delete_all=True),
        store.count(),
        store.get_stats(),
        store.list_namespaces(),
        store.update_metadata("a", {}),
        store.search_many([[1, 0, 0]]),
        store.delete_index(),
    ):
        with pytest.raises(IndexNotFoundError):
            await call
    with pytest.raises(IndexNotFoundError):
        _ = [document async for document in store.scan()]
    await store.create_index(3)
    with pytest.raises(IndexAlreadyExistsError):
        await store.create_index(3)
    await store.upsert(DOCUMENTS)
    await store.upsert(DOCUMENTS, namespace="other")
    await store.delete_index()
    assert not await store.index_exists()
    await store.create_index(2, DistanceMetric.EUCLIDEAN)
    assert await store.list_namespaces() == []
    assert (await store.get_stats()).dimension == 2
    with pytest.raises(InvalidDimensionError):
        await store.upsert(DOCUMENTS)


async def test_an_index_deleted_and_made_again_elsewhere(
    filled: VectorStoreBase, make_store: Callable[..., VectorStoreBase]
) -> None:
    other = make_store()
    await filled.upsert(DOCUMENTS, namespace="n")
    await filled.settle()
    assert await other.count() == 3
    await other.delete_index()
    with pytest.raises(IndexNotFoundError):
        await filled.search([1, 0, 0])
    await other.create_index(3)
    assert await filled.count() == 0
    assert (await filled.search([1, 0, 0], namespace="n")).total == 0
    await filled.upsert(DOCUMENTS)
    await filled.settle()
    assert await other.count() == 3


async def test_reconnect(filled: VectorStoreBase) -> None:
    await filled.disconnect()
    await filled.disconnect()
    assert await filled.count() == 3
    await filled.connect()
    await filled.connect()
    assert (await filled.search([1, 0, 0])).total == 3


async def test_opening_an_index_that_is_another_kind(
    store: VectorStoreBase, make_store: Callable[..., VectorStoreBase]
) -> None:
    with pytest.raises(InvalidDimensionError, match=r"3 dimensions.*4"):
        await make_store(dimension=4).search([1, 0, 0, 0])
    with pytest.raises(IndexMismatchError, match=r"cosine.*euclidean"):
        await make_store(dimension=3, metric="euclidean").count()


async def test_embedding_model_is_kept_with_the_index(make_store: Callable[..., VectorStoreBase]) -> None:
    store = make_store()
    await store.create_index(3, embedding_model="model-a")
    assert await make_store().get_embedding_model() == "model-a"
    assert await make_store(embedding_model="model-a").count() == 0
    with pytest.raises(IndexMismatchError, match=r"model-a.*model-b"):
        await make_store(embedding_model="model-b").search([1, 0, 0])


async def test_dimension_can_be_left_to_the_index(
    filled: VectorStoreBase, make_store: Callable[..., VectorStoreBase]
) -> None:
    await filled.settle()
    other = make_store()
    assert (await other.search([1, 0, 0])).total == 3
    with pytest.raises(InvalidDimensionError, match="4 numbers; the index has 3"):
        await other.search([1, 0, 0, 0])


@pytest.mark.targets("memory")
async def test_create_if_missing() -> None:
    store = await create_vector_store("memory:///x?dimension=3", create_if_missing=True)
    assert await store.index_exists()
    bare = await create_vector_store(provider="memory", index_name="x", dimension=3)
    assert not await bare.index_exists()


async def test_ping(store: VectorStoreBase) -> None:
    assert await store.ping() > 0
