"""Programs of operations on the emulator, against a model of dictionaries."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator_wire import Wire
from ia_modules.vector_stores.emulator.pinecone import PineconeEmulator, Reads, serving

NAMES = [f"r{number}" for number in range(6)]
SPACES = ["", "one", "two"]
VECTORS = st.sampled_from([(1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (-1.0, 0.5), (1.0, 0.25)])
METADATA = st.dictionaries(st.sampled_from("xy"), st.sampled_from([1.0, 2.0, "a", True]), max_size=2)
RECORDS = st.lists(st.tuples(st.sampled_from(NAMES), VECTORS, METADATA), min_size=1, max_size=4)
FILTERS = st.sampled_from([{"x": 1}, {"x": {"$gt": 1}}, {"y": {"$in": ["a", 2]}}, {"x": {"$ne": "a"}}, {"y": True}])
OPERATIONS = st.one_of(
    st.tuples(st.just("upsert"), RECORDS),
    st.tuples(st.just("values"), st.tuples(st.sampled_from(NAMES), VECTORS)),
    st.tuples(st.just("metadata"), st.tuples(st.sampled_from(NAMES), METADATA)),
    st.tuples(st.just("metadata by filter"), st.tuples(FILTERS, METADATA)),
    st.tuples(st.just("delete"), st.lists(st.sampled_from(NAMES), min_size=1, max_size=3)),
    st.tuples(st.just("delete by filter"), FILTERS),
    st.tuples(st.just("delete all"), st.none()),
    st.tuples(st.just("drop"), st.none()),
)
PROGRAMS = st.lists(st.tuples(st.sampled_from(SPACES), OPERATIONS), max_size=25)

Model = dict[str, dict[str, tuple[tuple[float, float], dict[str, Any]]]]


@pytest.fixture(scope="module")
def server() -> Iterator[PineconeEmulator]:
    with serving() as emulator:
        yield emulator


def matches(filter: dict[str, Any], record: dict[str, Any]) -> bool:
    ((name, wanted),) = filter.items()
    stored = record.get(name)
    match wanted:
        case {"$gt": bound}:
            return type(stored) is float and stored > bound
        case {"$in": values}:
            return type(stored) is not bool and stored in values
        case {"$ne": value}:
            return stored != value
    return type(stored) is bool if wanted is True else type(stored) is float and stored == wanted


def run(wire: Wire, model: Model, space: str, operation: tuple[str, Any]) -> None:
    what, given = operation
    path, body = "/vectors/delete", {"namespace": space}
    records = model.get(space)
    # The default namespace is always there; of others, a delete needs to know.
    known = records is not None or not space
    status = 200 if known or not what.startswith(("delete", "drop")) else 404
    records = {} if records is None else records
    match what:
        case "upsert":
            path = "/vectors/upsert"
            body |= {"vectors": [{"id": name, "values": v, "metadata": m} for name, v, m in given]}
            model.setdefault(space, records).update({name: (v, m) for name, v, m in given})
        case "values":
            path, body = "/vectors/update", body | {"id": given[0], "values": given[1]}
            if given[0] in records:
                records[given[0]] = given[1], records[given[0]][1]
        case "metadata":
            path, body = "/vectors/update", body | {"id": given[0], "setMetadata": given[1]}
            if given[0] in records:
                records[given[0]] = records[given[0]][0], records[given[0]][1] | given[1]
        case "metadata by filter":
            path, body = "/vectors/update", body | {"filter": given[0], "setMetadata": given[1]}
            for name, (v, m) in records.items():
                if matches(given[0], m):
                    records[name] = v, m | given[1]
        case "delete":
            body |= {"ids": given}
            for name in given:
                records.pop(name, None)
        case "delete by filter":
            body |= {"filter": given}
            for name in [name for name, (_, m) in records.items() if matches(given, m)]:
                del records[name]
        case "delete all":
            body |= {"deleteAll": True}
            records.clear()
        case "drop":
            model.pop(space, None)
            answer = wire.send("DELETE", f"/namespaces/{space or '__default__'}")
            assert answer.status_code == status
            return
    answer = wire.send("POST", path, body)
    assert answer.status_code == status, answer.text


def check(wire: Wire, model: Model) -> None:
    for space in SPACES:
        records = model.get(space, {})
        assert wire.listed(space) == sorted(records)
        fetched = wire.fetched(*NAMES, namespace=space)
        assert {name: (tuple(one["values"]), one.get("metadata", {})) for name, one in fetched.items()} == records
        assert sorted(wire.ids(namespace=space, vector=(1.0, 0.0))) == sorted(records)
        wanted = sorted(name for name, (_, m) in records.items() if matches({"x": {"$ne": "a"}}, m))
        assert sorted(wire.ids({"x": {"$ne": "a"}}, space, (1.0, 0.0))) == wanted
        products = {name: v[0] * 2 - v[1] for name, (v, _) in records.items()}
        found = wire.ids(namespace=space, vector=(2.0, -1.0), top_k=3)
        assert found == sorted(products, key=lambda name: (-products[name], name))[:3]
    counts = {name or "__default__": len(records) for name, records in model.items()}
    seen = {name: count for name, count in wire.counts().items() if name in counts or count}
    assert seen == counts


@settings(max_examples=60)
@given(PROGRAMS)
def test_it_is_a_dictionary(server: PineconeEmulator, program: list[tuple[str, tuple[str, Any]]]) -> None:
    server.reset()
    model: Model = {}
    with Wire(server).create(2, "dotproduct") as wire:
        for space, operation in program:
            run(wire, model, space, operation)
        check(wire, model)


@settings(max_examples=15)
@given(PROGRAMS)
def test_a_restart_changes_nothing(program: list[tuple[str, tuple[str, Any]]]) -> None:
    model: Model = {}
    with tempfile.TemporaryDirectory() as folder:
        with serving(folder=Path(folder)) as emulator, Wire(emulator).create(2, "dotproduct") as wire:
            for space, operation in program:
                run(wire, model, space, operation)
        with serving(folder=Path(folder)) as emulator, Wire(emulator) as wire:
            check(wire, model)


@settings(max_examples=30)
@given(PROGRAMS)
def test_with_lag_it_comes_to_the_same(server: PineconeEmulator, program: list[tuple[str, tuple[str, Any]]]) -> None:
    """But for filters, which look at what can be seen: their operations are left out."""
    server.reset()
    server.lag = Reads(2)
    model: Model = {}
    with Wire(server).create(2, "dotproduct") as wire:
        for space, operation in program:
            if "filter" not in operation[0]:
                run(wire, model, space, operation)
        for _ in range(2):
            wire.counts()
        check(wire, model)
