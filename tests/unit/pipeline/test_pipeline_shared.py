"""Stores are opened once, kept open by those who use them, and closed at the latest with the event loop."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from ia_modules.pipeline.steps.vector_delete import VectorDeleteStep
from ia_modules.pipeline.steps.vector_search import VectorSearchStep, close_shared_stores
from ia_modules.pipeline.steps.vector_upsert import VectorUpsertStep
from ia_modules.vector_stores import ConnectionError
from ia_modules.vector_stores.rag import shared
from ia_modules.vector_stores.rag.runtime import Step
from pipeline_helpers import DOCUMENTS, Registry, WatchedStore, WordEmbedder, watch

URL = "watched:///area/articles"
QUERY = {"query": "Who paid for the bridge?"}


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> type[WatchedStore]:
    return watch(monkeypatch)


def steps(services: Any = None, **more: Any) -> list[Step]:
    made = [
        VectorUpsertStep("ingest", {"store": URL, "embedding_model": "words", "create_if_missing": True, **more}),
        VectorSearchStep("search", {"store": URL, "embedding_model": "words", **more}),
        VectorDeleteStep("delete", {"store": URL, **more}),
    ]
    for step in made:
        step.services = services
    return made


async def run_all(made: list[Step]) -> None:
    data: dict[str, Any] = {"documents": DOCUMENTS, "ids": ["tower"], **QUERY}
    for step in made:
        data = await step.run(data)
    assert data["results"][0]["id"] == "bridge"
    assert data["deleted"] == 1


def opened(kind: type[WatchedStore]) -> tuple[int, int, int]:
    """Stores made, opened and closed."""
    return len(kind.made), sum(one.opened for one in kind.made), sum(one.closed for one in kind.made)


async def test_steps_of_one_url_share_one_connection(watched: type[WatchedStore]) -> None:
    services = Registry(words=WordEmbedder())
    for _ in range(3):  # as a runner makes new steps for every run
        await run_all(steps(services))
    assert opened(watched) == (1, 1, 0)
    await services.cleanup_all()
    assert opened(watched) == (1, 1, 1)
    await run_all(steps(services))
    assert opened(watched) == (2, 2, 1)
    await services.cleanup_all()
    assert opened(watched) == (2, 2, 2)
    assert shared.shared_resources().size == 0


async def test_steps_on_several_namespaces_share_it_too(watched: type[WatchedStore]) -> None:
    services = Registry(words=WordEmbedder())
    await run_all(steps(services))
    await run_all(steps(services, namespace="news"))
    step = VectorSearchStep("s", {"store": f"{URL}?namespace=news", "embedding_model": "words"})
    step.services = services
    assert {one["id"] for one in (await step.run(QUERY))["results"]} == {"bridge", "tunnel"}
    other = VectorSearchStep("s", {"store": f"{URL}?namespace=empty", "embedding_model": "words"})
    other.services = services
    assert (await other.run(QUERY))["results"] == []
    assert opened(watched) == (1, 1, 0)


async def test_what_another_pipeline_uses_stays_open(watched: type[WatchedStore]) -> None:
    one, other = Registry(words=WordEmbedder()), Registry(words=WordEmbedder())
    await run_all(steps(one))
    await run_all(steps(other))
    await one.cleanup_all()
    assert opened(watched) == (1, 1, 0)
    await other.cleanup_all()
    assert opened(watched) == (1, 1, 1)


async def test_a_pipeline_that_was_dropped_keeps_nothing_open(watched: type[WatchedStore]) -> None:
    await run_all(steps(Registry(words=WordEmbedder())))
    gc.collect()
    services = Registry(words=WordEmbedder())
    await run_all(steps(services))
    assert opened(watched) == (1, 1, 0)
    await services.cleanup_all()
    assert opened(watched) == (1, 1, 1)


async def test_a_step_by_itself_is_closed_by_itself(watched: type[WatchedStore]) -> None:
    ingest, search, delete = steps({"words": WordEmbedder()})
    async with search:
        await run_all([ingest, search, delete])
    assert opened(watched) == (1, 1, 0), "the others have it still"
    await ingest.aclose()  # type: ignore[attr-defined]
    await delete.aclose()  # type: ignore[attr-defined]
    assert opened(watched) == (1, 1, 1)


async def test_a_store_that_was_handed_in_is_not_closed(watched: type[WatchedStore]) -> None:
    from ia_modules.vector_stores import VectorStoreConfig

    store = watched(VectorStoreConfig(provider="watched", index_name="i"))
    await store.create_index(1)
    step = VectorSearchStep(vector_store=store)
    async with step:
        await step.run({"query_vector": [1.0]})
    await close_shared_stores()
    assert store.closed == 0


def test_everything_is_closed_with_the_event_loop(watched: type[WatchedStore]) -> None:
    async def main() -> None:
        await run_all(steps(Registry(words=WordEmbedder())))
        await run_all(steps(Registry(words=WordEmbedder()), pool={"max_size": 2, "min_size": 2}))
        assert opened(watched) == (3, 3, 0)

    asyncio.run(main())
    assert opened(watched) == (3, 3, 3)
    assert shared._of_loops == {}
    asyncio.run(main_again(watched))


async def main_again(watched: type[WatchedStore]) -> None:
    await run_all(steps(Registry(words=WordEmbedder())))
    assert opened(watched) == (4, 4, 3), "another loop has a connection of its own"


def test_a_loop_that_was_closed_by_force_is_forgotten(watched: type[WatchedStore]) -> None:
    loop = asyncio.new_event_loop()
    loop.run_until_complete(run_all(steps(Registry(words=WordEmbedder()))))
    loop.close()
    assert loop in shared._of_loops
    asyncio.run(main_forgets(loop))


async def main_forgets(loop: asyncio.AbstractEventLoop) -> None:
    await close_shared_stores()
    assert loop not in shared._of_loops


async def test_all_can_be_closed_at_once(watched: type[WatchedStore]) -> None:
    await run_all(steps(Registry(words=WordEmbedder())))
    await run_all(steps(Registry(words=WordEmbedder()), pool=True))
    await close_shared_stores()
    assert len({opened(watched)[1], opened(watched)[2]}) == 1
    await close_shared_stores()


async def test_an_error_of_closing_is_told_and_the_rest_closed(watched: type[WatchedStore]) -> None:
    await run_all(steps(Registry(words=WordEmbedder())))
    other = VectorUpsertStep("o", {"store": "watched:///area/other", "create_if_missing": True})
    await other.run({"documents": [{"id": "a", "vector": [1.0]}]})
    watched.failures["close"] = [ConnectionError("gone", retryable=False)]
    with pytest.raises(ConnectionError, match="gone"):
        await close_shared_stores()
    assert opened(watched) == (2, 2, 2)
    assert shared.shared_resources().size == 0


async def test_several_errors_of_closing(watched: type[WatchedStore]) -> None:
    for index in ("a", "b"):
        step = VectorUpsertStep("o", {"store": f"watched:///area/{index}", "create_if_missing": True})
        await step.run({"documents": [{"id": "a", "vector": [1.0]}]})
    watched.failures["close"] = [ConnectionError("gone", retryable=False), ConnectionError("too", retryable=False)]
    with pytest.raises(ExceptionGroup) as caught:
        await close_shared_stores()
    assert {str(error) for error in caught.value.exceptions} == {"watched.disconnect: gone", "watched.disconnect: too"}


async def test_who_comes_while_it_closes_waits_for_a_new_one() -> None:
    resources = shared.SharedResources()
    order: list[str] = []
    may_close = asyncio.Event()

    async def close(value: str) -> None:
        await may_close.wait()
        order.append(f"closed {value}")

    def make() -> str:
        order.append("made")
        return f"number {order.count('made')}"

    owner, other = Registry(), Registry()
    assert await resources.use(owner, "key", make, close) == "number 1"
    closing = asyncio.create_task(resources.release(owner))
    await asyncio.sleep(0)
    coming = asyncio.create_task(resources.use(other, "key", make, close))
    await asyncio.sleep(0)
    closing.cancel()  # leaves nothing half closed
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert not coming.done()
    may_close.set()
    assert await coming == "number 2"
    assert order == ["made", "closed number 1", "made"]
    await resources.close_all()
    assert order[-1] == "closed number 2"


async def test_what_could_not_be_made_is_not_kept() -> None:
    resources = shared.SharedResources()

    def make() -> str:
        raise ValueError("no")

    async def close(value: str) -> None: ...

    with pytest.raises(ValueError, match="no"):
        await resources.use(Registry(), "key", make, close)
    assert resources.size == 0


async def test_a_run_that_is_cancelled_gives_its_store_back(watched: type[WatchedStore]) -> None:
    services = Registry(words=WordEmbedder())
    pool = {"max_size": 1, "min_size": 1}
    await run_all(steps(services, pool=pool))
    watched.delay = 10.0
    task = asyncio.create_task(steps(services, pool=pool)[1].run(dict(QUERY)))
    for _ in range(20):
        await asyncio.sleep(0)
    assert watched.running == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    watched.delay = 0.0
    async with asyncio.timeout(1):
        await steps(services, pool=pool)[1].run(dict(QUERY))


async def test_a_hundred_runs_over_a_pool_of_ten(watched: type[WatchedStore]) -> None:
    services = Registry(words=WordEmbedder())
    pool = {"max_size": 10, "min_size": 1}
    await run_all(steps(services, pool=pool))
    watched.delay, watched.peak = 0.005, 0

    async def one(number: int) -> dict[str, Any]:
        step = VectorSearchStep("search", {"store": URL, "embedding_model": "words", "pool": pool})
        step.services = services
        return await step.run({**QUERY, "number": number})

    results = await asyncio.gather(*(one(number) for number in range(100)))
    assert [result["number"] for result in results] == list(range(100))
    assert {result["results"][0]["id"] for result in results} == {"bridge"}
    assert watched.peak == 10
    assert len([one for one in watched.made if one.opened]) == 10
