"""What is wrong with a copy is found, and nothing else is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ia_modules.vector_stores import IndexNotFoundError, VectorDocument, VectorStoreBase
from ia_modules.vector_stores.migration.verification import verify
from ia_modules.vector_stores.migration.verification_report import Finding
from verification_helpers import ListSource, changed, documents, filled, found, memory_store

DOCUMENTS = documents()
CONTENTS = {"": DOCUMENTS, "other": DOCUMENTS[:5]}


async def pair(metric: str = "cosine") -> tuple[VectorStoreBase, VectorStoreBase]:
    return await filled(memory_store("old"), CONTENTS, metric), await filled(memory_store("new"), CONTENTS, metric)


async def test_a_faithful_copy_is_one() -> None:
    source, target = await pair()
    report = await verify(source, target)
    assert report.ok
    assert found(report) == []
    assert (report.compared, report.max_deviation, report.notes) == (17, 0.0, ())
    assert [(one.source, one.target, one.source_count, one.target_count) for one in report.namespaces] == [
        (("",), "", 12, 12),
        (("other",), "other", 5, 5),
    ]
    assert all(one.source_hash == one.target_hash != "0" * 32 for one in report.namespaces)
    assert report.searches is not None
    assert (report.searches.queries, report.searches.mean_recall, report.searches.how) == (17, 1.0, "both sides")


Tamper = Callable[[VectorStoreBase, VectorDocument], Awaitable[Any]]


def rewritten(**changes: Callable[[Any], Any]) -> Tamper:
    async def tamper(store: VectorStoreBase, document: VectorDocument) -> None:
        fields = {name: change(getattr(document, name)) for name, change in changes.items()}
        await store.upsert([changed(document, **fields)])

    return tamper


def scaled(vector: Any, place: int, factor: float) -> Any:
    numbers = np.array(vector.array)
    numbers[place] *= np.float32(factor)
    return numbers


def metadata(**changes: Any) -> Tamper:
    return rewritten(metadata=lambda now: {**now, **changes})


async def missing(store: VectorStoreBase, document: VectorDocument) -> None:
    await store.delete(ids=[document.id])


TYPICAL = VectorDocument(
    id="typical",
    vector=[0.5, -2.0, 1e-6, 3.0],
    metadata={"n": 3, "yes": True, "x": 0.0, "list": [1, 2], "in": {"side": [{"deep": 7}]}, "none": None, "s": "a"},
    text="",
)
CASES: dict[str, tuple[Tamper, str, str]] = {
    "missing": (missing, "missing", "not in the target"),
    "vector": (
        rewritten(vector=lambda v: scaled(v, 1, 1.001)),
        "vector",
        "1 of 4 numbers differ, number 1 most, by 1.",
    ),
    "small number": (rewritten(vector=lambda v: scaled(v, 2, 0.999)), "vector", "number 2 most, by 1."),
    "length": (rewritten(vector=lambda v: v.array / np.float32(3)), "vector", "same direction, length times 0.333"),
    "sign": (rewritten(vector=lambda v: scaled(v, 0, -1)), "vector", "by 2.0e+00 of it"),
    "int to float": (metadata(n=3.0), "metadata_type", "'n': int in the source, float in the target"),
    "bool to int": (metadata(yes=1), "metadata_type", "'yes': bool in the source, int in the target"),
    "int to string": (metadata(n="3"), "metadata_type", "'n': int in the source, string in the target"),
    "null to empty": (metadata(none=""), "metadata_type", "'none': null in the source, string in the target"),
    "type inside": (
        metadata(**{"in": {"side": [{"deep": 7.0}]}}),
        "metadata_type",
        "'in.side[0].deep': int in the source, float in the target",
    ),
    "value": (metadata(s="b"), "metadata", "'s': another string"),
    "sign of zero": (metadata(x=-0.0), "metadata", "'x': another float"),
    "key added": (metadata(more=None), "metadata", "'more': in the target only"),
    "key gone": (
        rewritten(metadata=lambda now: {key: now[key] for key in now if key != "none"}),
        "metadata",
        "'none': missing in the target",
    ),
    "list": (metadata(list=[1]), "metadata", "'list': 2 elements in the source, 1 in the target"),
    "order of a list": (metadata(list=[2, 1]), "metadata", "'list[0]': another int; 'list[1]': another int"),
    "no text": (rewritten(text=lambda _: None), "text", "an empty text in the source, no text in the target"),
    "text": (rewritten(text=lambda _: "abc"), "text", "an empty text in the source, a text of length 3 in the target"),
}


@pytest.mark.parametrize("case", CASES)
async def test_one_change_is_found_and_nothing_else(case: str) -> None:
    source, target = await pair("euclidean")
    for store in (source, target):
        await store.upsert([TYPICAL])
    tamper, kind, description = CASES[case]
    await tamper(target, TYPICAL)
    report = await verify(source, target, batch_size=5)
    assert found(report) == [(kind, "", "typical")]
    assert description in report.findings[0].description
    whole = next(one for one in report.namespaces if one.target == "")
    assert (whole.matched, whole.altered, whole.missing) == (12, kind != "missing", kind == "missing")
    assert (whole.source_hash == whole.target_hash) == (kind == "vector")
    other = next(one for one in report.namespaces if one.target == "other")
    assert other.source_hash == other.target_hash


async def test_an_extra_document_is_found_though_a_missing_one_keeps_the_count() -> None:
    source, target = await pair()
    await target.delete(ids=["plain"])
    await target.upsert([changed(DOCUMENTS[0], id="stranger")])
    report = await verify(source, target)
    assert found(report) == [("missing", "", "plain"), ("extra", "", "stranger")]
    assert (report.namespaces[0].source_count, report.namespaces[0].target_count) == (12, 12)


async def test_a_renamed_id_is_a_missing_and_an_extra_one() -> None:
    source, target = await pair()
    await target.delete(ids=["plain"], namespace="other")
    await target.upsert([changed(DOCUMENTS[0], id="Plain")], namespace="other")
    assert found(await verify(source, target)) == [("missing", "other", "plain"), ("extra", "other", "Plain")]


async def test_what_is_in_another_namespace_is_missing_here_and_extra_there() -> None:
    source, target = await pair()
    await target.delete(delete_all=True, namespace="other")
    await target.upsert(CONTENTS["other"], namespace="new")
    assert set(found(await verify(source, target))) == {
        *(("missing", "other", one.id) for one in CONTENTS["other"]),
        *(("extra", "new", one.id) for one in CONTENTS["other"]),
    }
    assert (await verify(source, target, namespaces={"": "", "other": "new"})).ok
    assert (await verify(source, target, namespaces={"": ""})).ok


@pytest.mark.parametrize("metric", ["euclidean", "dot_product", "manhattan"])
async def test_another_metric_is_the_only_finding(metric: str) -> None:
    source = await filled(memory_store("old"), CONTENTS)
    target = await filled(memory_store("new"), CONTENTS, metric)
    report = await verify(source, target)
    assert report.findings == (Finding("metric", None, None, f"cosine in the source, {metric} in the target"),)
    assert report.searches is not None
    assert (report.searches.how, report.searches.mean_recall) == ("exact", 1.0)


async def test_another_dimension_is_found_for_the_index_and_for_each_vector() -> None:
    source = await filled(memory_store("old"), {"": DOCUMENTS[:3]})
    longer = [changed(one, vector=[*one.vector, 1.0]) for one in DOCUMENTS[:3]]
    target = await filled(memory_store("new"), {"": longer}, dimension=5)
    report = await verify(source, target)
    assert set(found(report)) == {("dimension", None, None), *(("dimension", "", one.id) for one in longer)}
    assert report.findings[0].description == "4 numbers in the source's vectors, 5 in the target's"
    assert report.searches is None


async def test_the_last_bit_of_a_number_is_no_finding() -> None:
    source, target = await pair()
    for towards in (-np.inf, np.inf):
        await target.upsert([changed(one, vector=np.nextafter(one.vector.array, towards)) for one in DOCUMENTS])
        report = await verify(source, target)
        assert report.ok
        assert 0 < report.max_deviation < 2e-7
        assert (await verify(source, target, tolerance=1e-9)).counts == {"vector": 12}


async def test_many_findings_are_all_counted_and_some_are_listed() -> None:
    source, target = await pair()
    await target.delete(delete_all=True)
    report = await verify(source, target, max_findings=3)
    assert report.counts == {"missing": 12}
    assert len(report.findings) == 3
    assert report.searches is not None
    assert report.searches.queries == 5


async def test_two_empty_stores_are_the_same_and_one_full_one_is_not() -> None:
    source, target = await filled(memory_store(), {}), await filled(memory_store(), {})
    report = await verify(source, target)
    assert report.ok
    assert (report.compared, report.namespaces) == (0, ())
    await target.upsert(DOCUMENTS[:1])
    assert found(await verify(source, target)) == [("extra", "", "plain")]
    assert found(await verify(target, source)) == [("missing", "", "plain")]


async def test_some_ids_only() -> None:
    source, target = await pair()
    await target.delete(ids=["a/b"])
    await target.upsert([changed(DOCUMENTS[0], text="x"), changed(DOCUMENTS[0], id="stranger")])
    assert (await verify(source, target, ids=["../x", "nowhere"])).ok
    report = await verify(source, target, ids=["../x", "a/b", "stranger", "plain", "plain"], batch_size=2)
    expected = [("missing", "", "a/b"), ("extra", "", "stranger"), ("text", "", "plain")]
    assert sorted(found(report)) == sorted(expected)
    assert report.searches is None
    listed = ListSource(CONTENTS)
    report = await verify(listed, target, ids=["../x", "a/b", "stranger", "plain"], batch_size=2)
    assert sorted(found(report)) == sorted(expected)
    with pytest.raises(ValueError, match="ids is a list"):
        await verify(source, target, ids=[])
    with pytest.raises(ValueError, match="ids is a list"):
        await verify(source, target, ids="plain")


async def test_arguments_that_make_no_sense() -> None:
    source, target = await pair()
    for wrong in ({"batch_size": 0}, {"top_k": 0}, {"sample": -1}, {"max_findings": 0}, {"batch_size": True}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            await verify(source, target, **wrong)  # type: ignore[arg-type]
    for wrong in ({"tolerance": -1.0}, {"tolerance": float("nan")}, {"min_recall": 1.5}):
        with pytest.raises(ValueError, match="tolerance is a number"):
            await verify(source, target, **wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no namespace 'typo'; it has '', 'other'"):
        await verify(source, target, namespaces={"typo": ""})
    with pytest.raises(ValueError, match="control characters"):
        await verify(source, target, namespaces={"": "\n"})
    with pytest.raises(ValueError, match="a side is a store"):
        await verify(source, object())  # type: ignore[arg-type]
    with pytest.raises(IndexNotFoundError):
        await verify(source, memory_store())


async def test_progress_is_told() -> None:
    source, target = await pair()
    told: list[tuple[int, int | None]] = []

    async def progress(done: int, total: int | None) -> None:
        told.append((done, total))

    await verify(source, target, batch_size=5, progress=progress)
    assert [done for done, _ in told] == [5, 10, 12, 17]
    assert {total for _, total in told} == {17}


SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text(max_size=3)
VALUES = st.recursive(SCALARS, lambda one: st.lists(one, max_size=3) | st.dictionaries(st.text(max_size=2), one))
NUMBERS = st.floats(-100, 100, width=32).map(lambda x: x if abs(x) > 1e-20 else 1.0)
METADATA = st.dictionaries(st.text(max_size=3), VALUES, max_size=4)
KINDS = ["missing", "extra", "vector", "metadata", "metadata_type", "text"]
OTHER_TYPE: dict[type, Callable[[Any], Any]] = {
    bool: int,
    int: float,
    float: lambda x: str(x),
    str: lambda s: [s],
    type(None): lambda _: False,
    list: lambda _: {},
    dict: lambda _: [],
}


@st.composite
def tampered(draw: st.DrawFn) -> tuple[list[VectorDocument], list[VectorDocument], str, str]:
    """Documents, the same with one thing done to them, what was done, and to whom."""
    ids = draw(st.lists(st.text(min_size=1, max_size=4), min_size=1, max_size=6, unique=True))
    vectors = st.lists(NUMBERS, min_size=3, max_size=3)
    them = [
        VectorDocument(
            id=one, vector=draw(vectors), metadata=draw(METADATA), text=draw(st.none() | st.text(max_size=3))
        )
        for one in ids
    ]
    place = draw(st.integers(0, len(them) - 1))
    victim = them[place]
    kind = draw(st.sampled_from(KINDS))
    others = list(them)
    if kind == "missing":
        del others[place]
    elif kind == "extra":
        name = draw(st.text(min_size=1, max_size=4).filter(lambda one: one not in ids))
        others.append(changed(victim, id=name))
        return them, others, kind, name
    elif kind == "vector":
        factor = 1 + draw(st.sampled_from([-1e-3, 1e-3, -2.0, 1e-5]))
        others[place] = changed(victim, vector=scaled(victim.vector, draw(st.integers(0, 2)), factor))
    elif kind == "text":
        text = draw((st.none() | st.just("") | st.text(max_size=3)).filter(lambda one: one != victim.text))
        others[place] = changed(victim, text=text)
    elif kind == "metadata" or not victim.metadata:
        kind = "metadata"
        key = draw(st.text(max_size=3).filter(lambda one: one not in victim.metadata))
        others[place] = changed(victim, metadata=victim.metadata | {key: draw(VALUES)})
    else:
        key = draw(st.sampled_from(sorted(victim.metadata)))
        value = victim.metadata[key]
        others[place] = changed(victim, metadata=victim.metadata | {key: OTHER_TYPE[type(value)](value)})
    return them, others, kind, victim.id


@given(tampered())
@settings(max_examples=150)
async def test_whatever_is_done_to_one_document_is_all_that_is_found(
    case: tuple[list[VectorDocument], list[VectorDocument], str, str],
) -> None:
    them, others, kind, victim = case
    source = await filled(memory_store(), {"n": them}, "euclidean", 3)
    target = await filled(memory_store(), {"n": others}, "euclidean", 3)
    report = await verify(source, target, batch_size=2, sample=3, top_k=3)
    assert found(report) == [(kind, "n", victim)]
    assert (await verify(source, source, batch_size=2, sample=3)).ok
    swapped = await verify(target, source, batch_size=3, sample=3)
    mirrored = {"missing": "extra", "extra": "missing"}.get(kind, kind)
    assert found(swapped) == [(mirrored, "n", victim)]
