"""Requests of a primitive that are tried again by themselves."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import pytest

from fakes import FakeStore
from ia_modules.vector_stores import (
    AuthenticationError,
    ConnectionError,
    OperationEvent,
    OperationTimeoutError,
    RateLimitError,
    VectorStoreError,
)
from ia_modules.vector_stores.execution import Call, Execution
from ia_modules.vector_stores.metrics import DistanceMetric
from ia_modules.vector_stores.parts import CURRENT, part
from ia_modules.vector_stores.requests import IndexInfo


class ClientError(Exception):
    """What some client raises."""

    def __init__(self, text: str, *, passing: bool) -> None:
        super().__init__(text)
        self.passing = passing


def map_error(error: Exception) -> VectorStoreError | None:
    return VectorStoreError(str(error), retryable=error.passing) if isinstance(error, ClientError) else None


def execution(**given: Any) -> Execution:
    fields: dict[str, Any] = {"provider": "fake", "index_name": "articles", "map_error": map_error, "timeout": 20.0}
    return Execution(**fields | {"max_retries": 3, "retry_delay": 0.0} | given)


class Requests:
    """A primitive of ten requests; ``faults`` are those of each, in turn."""

    def __init__(self, **faults: list[Exception]) -> None:
        self.faults = faults
        self.made: list[str] = []
        self.begun = 0

    async def __call__(self) -> list[str]:
        self.begun += 1
        return [await part(lambda n=name: self.request(n)) for name in "abcdefghij"]  # type: ignore[misc]

    async def request(self, name: str) -> str:
        self.made.append(name)
        if self.faults.get(name):
            raise self.faults[name].pop(0)
        return name


async def test_only_the_request_that_failed_is_made_again() -> None:
    primitive = Requests(c=[ConnectionError("lost")] * 3, h=[ClientError("lost", passing=True)] * 3)
    assert await execution().run("fetch", primitive) == list("abcdefghij")
    assert primitive.begun == 1
    assert "".join(primitive.made) == "abccccdefghhhhij"


async def test_spent_retries_of_a_request_are_those_of_the_call() -> None:
    primitive = Requests(c=[ConnectionError(f"lost {i}") for i in range(99)])
    with pytest.raises(ConnectionError, match="lost 3") as caught:
        await execution().run("fetch", primitive)
    assert (primitive.begun, "".join(primitive.made)) == (1, "abcccc")
    assert not caught.value.retryable
    assert caught.value.__notes__ == ["given up after 4 attempts"]


@pytest.mark.parametrize("before", [[], [ConnectionError("lost")]], ids=["at once", "after a retry"])
async def test_what_a_retry_can_t_cure_reaches_the_primitive_as_it_is(before: list[Exception]) -> None:
    lasting = ClientError("no such thing", passing=False)

    faults = [*before, lasting]

    async def request() -> None:
        raise faults.pop(0)

    async def asking() -> str:
        with pytest.raises(ClientError) as caught:
            await part(request)
        assert caught.value is lasting
        return "known"

    assert await execution().run("fetch", asking) == "known"


async def test_without_retries_a_request_is_made_once() -> None:
    primitive = Requests(b=[ConnectionError("lost")])
    with pytest.raises(ConnectionError) as caught:
        await execution(max_retries=0).run("fetch", primitive)
    assert "".join(primitive.made) == "ab"
    assert caught.value.retryable


async def test_outside_of_a_call_there_is_no_retry() -> None:
    assert CURRENT.get() is None
    with pytest.raises(ConnectionError):
        await Requests(a=[ConnectionError("lost")])()


async def test_the_deadline_is_that_of_the_call() -> None:
    primitive = Requests(**{name: [RateLimitError("slow down", retry_after=0.2)] for name in "abcdefghij"})
    with pytest.raises((OperationTimeoutError, RateLimitError)):
        await execution(timeout=0.5).run("fetch", primitive)
    assert primitive.made.count("c") <= 1


async def test_attempts_and_rate_limits_are_in_the_event() -> None:
    runner = execution()
    events: list[OperationEvent] = []
    runner.hooks = (events.append,)
    await runner.run("fetch", Requests(c=[RateLimitError("slow")] * 2, d=[ConnectionError("lost")]))
    assert [(event.attempts, event.throttled, event.error) for event in events] == [(4, 2, None)]


async def test_requests_at_the_same_time_are_tried_again_each() -> None:
    primitive = Requests(**{name: [ConnectionError("lost")] for name in "abcde"})

    async def together() -> list[str]:
        return await asyncio.gather(*(part(lambda n=name: primitive.request(n)) for name in "abcde"))  # type: ignore[misc]

    assert await execution(max_retries=1).run("fetch", together) == list("abcde")
    assert len(primitive.made) == 10


async def test_a_task_that_outlives_its_call_is_on_its_own() -> None:
    late: list[asyncio.Task[str]] = []
    go = asyncio.Event()
    faults: list[Exception] = [ConnectionError("lost")]

    async def request() -> str:
        await go.wait()
        if faults:
            raise faults.pop()
        return "never"

    async def primitive() -> None:
        late.append(asyncio.create_task(part(request)))

    await execution().run("fetch", primitive)
    go.set()
    with pytest.raises(ConnectionError):
        await late[0]


async def test_a_finished_call_keeps_no_store_alive() -> None:
    """Timers that a primitive made and cancelled keep their context until they would have rung."""
    runner = execution()

    async def primitive() -> None:
        async with asyncio.timeout(3600):
            await asyncio.sleep(0)

    await runner.run("fetch", primitive)
    gone = weakref.ref(runner)
    del runner
    gc.collect()
    assert gone() is None


async def test_a_call_can_be_asked_whether_it_is_in_doubt() -> None:
    for errors, doubt in (
        ([], False),
        ([ConnectionError("lost")], True),
        ([RateLimitError("slow")], False),
        ([RateLimitError("slow"), OperationTimeoutError("late")], True),
        ([OperationTimeoutError("late"), RateLimitError("slow")], True),
    ):
        runner, left = execution(), list(errors)
        call = Call(runner, "delete")

        async def primitive(left: list[Exception] = left) -> None:
            if left:
                raise left.pop(0)

        await runner.run("delete", primitive, call)
        assert call.in_doubt is doubt, errors


async def test_a_request_that_is_made_again_raises_no_doubt() -> None:
    runner = execution()
    call = Call(runner, "delete")
    await runner.run("delete", Requests(a=[ConnectionError("lost")]), call)
    assert not call.in_doubt


async def test_searches_without_a_batch_call_are_tried_again_each() -> None:
    store = FakeStore(info=IndexInfo(2, DistanceMetric.DOT_PRODUCT), max_retries=1)
    await store.count()
    store.failures["search"] = [ConnectionError("lost")] * 8  # the first eight, which run at the same time
    store.calls.clear()
    found = await store.search_many([[1.0, float(i)] for i in range(30)])
    assert len(found) == 30
    assert store.calls.count("search") == 38


async def test_an_authentication_error_ends_it() -> None:
    primitive = Requests(c=[AuthenticationError("no")])
    with pytest.raises(AuthenticationError):
        await execution().run("fetch", primitive)
    assert "".join(primitive.made) == "abc"


async def test_of_searches_at_the_same_time_the_client_s_exception_is_the_cause() -> None:
    store = FakeStore(info=IndexInfo(2, DistanceMetric.DOT_PRODUCT), max_retries=1)
    await store.count()
    behind = OSError("the client's own")
    lost = ConnectionError("lost")
    lost.__cause__ = behind
    store.failures["search"] = [lost] * 99
    with pytest.raises(ConnectionError) as caught:
        await store.search_many([[1.0, float(i)] for i in range(3)])
    assert caught.value.__cause__ is behind
