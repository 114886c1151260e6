"""A store that does as it is told, sources that note how they are read, and an event loop whose clock only jumps."""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from typing import Any, TypeVar

from ia_modules.vector_stores import PartialFailureError, SearchResponse, SearchResult, VectorDocument

T = TypeVar("T")

Answer = Callable[[int, list[VectorDocument]], "Exception | None"]


class ScriptedStore:
    """No ``VectorStoreBase``, but all that a batch needs; it keeps documents in ``data``.

    Args:
        answer: called with the number of the call, from 1, and its documents; returns the error to raise, or None. A
            ``PartialFailureError`` writes what it says has succeeded, any other error nothing.
        delay: seconds that a call takes.

    Attributes:
        data: namespace -> id -> document.
        calls: ids of each call, in the order they were begun.
        running, peak: calls under way now, and most at once.
        begun: when each call was begun, by the clock of the event loop.
    """

    def __init__(self, answer: Answer | None = None, delay: float = 0.0) -> None:
        self.answer = answer
        self.delay = delay
        self.data: dict[str | None, dict[str, VectorDocument]] = {}
        self.calls: list[list[str]] = []
        self.begun: list[float] = []
        self.running = self.peak = 0

    async def upsert(
        self, documents: Sequence[VectorDocument], namespace: str | None = None, batch_size: int = 100
    ) -> dict[str, Any]:
        given = list(documents)
        self.calls.append([document.id for document in given])
        self.begun.append(asyncio.get_running_loop().time())
        number = len(self.calls)
        self.running += 1
        self.peak = max(self.peak, self.running)
        try:
            await asyncio.sleep(self.delay)
            error = None if self.answer is None else self.answer(number, given)
            if error is None:
                self._write(given, namespace)
                return {"upserted": len(given), "namespace": namespace}
            if isinstance(error, PartialFailureError):
                self._write([one for one in given if one.id in error.succeeded], namespace)
            raise error
        finally:
            self.running -= 1

    def _write(self, documents: list[VectorDocument], namespace: str | None) -> None:
        self.data.setdefault(namespace, {}).update({document.id: document for document in documents})

    async def search(self, query_vector: Any, top_k: int = 10, **options: Any) -> SearchResponse:
        await asyncio.sleep(self.delay)
        found = SearchResult(id=f"{float(query_vector[0]):g}", score=1.0)
        return SearchResponse(results=[found] * top_k, total=top_k, query_time_ms=0.1)

    def stored(self, namespace: str | None = None) -> dict[str, float]:
        """Id -> first number of the vector, which tells versions of a document apart."""
        return {name: document.vector[0] for name, document in self.data.get(namespace, {}).items()}


def document(name: str | int, version: float = 0.0, **given: Any) -> VectorDocument:
    return VectorDocument(id=name if isinstance(name, str) else f"d{name}", vector=[version, 1.0, 0.0], **given)


def documents(count: int) -> list[VectorDocument]:
    return [document(i, i) for i in range(count)]


class Tape:
    """An iterator over items that notes how far it was read, and whether it was closed."""

    def __init__(self, items: Any) -> None:
        self._items = iter(items)
        self.read = 0
        self.closed = False

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        item = next(self._items)
        self.read += 1
        return item

    def close(self) -> None:
        self.closed = True


class AsyncTape(Tape):
    """The same, asynchronous; it lets go of the event loop before every item if ``delay`` is given."""

    def __init__(self, items: Any, delay: float | None = None) -> None:
        super().__init__(items)
        self._delay = delay

    def __aiter__(self) -> AsyncIterator[Any]:
        return self  # type: ignore[return-value]

    async def __anext__(self) -> Any:
        if self._delay is not None:
            await asyncio.sleep(self._delay)
        try:
            return next(self)
        except StopIteration:
            raise StopAsyncIteration from None

    async def aclose(self) -> None:
        await asyncio.sleep(0)
        self.closed = True


class _JumpingSelector(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    """Instead of waiting for the next timer, it puts the clock forward to it, unless a thread is at work."""

    now = 0.0
    threads = 0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None or self.threads:
            return super().select(timeout)
        ready = super().select(0)
        if not ready and timeout > 0:
            self.now += timeout
        return ready


class _JumpingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now

    def run_in_executor(self, *given: Any) -> Any:
        self._jumping.threads += 1
        future = super().run_in_executor(*given)
        future.add_done_callback(self._thread_ended)
        return future

    def _thread_ended(self, _: Any) -> None:
        self._jumping.threads -= 1


def run_jumping(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end on an event loop in which sleeping takes no time, and check that no task is left over.

    ``loop.time()`` begins at 0 and moves by sleeps alone. Random delays are the same every time.
    """
    random.seed(7)

    async def checked() -> T:
        result = await main
        assert asyncio.all_tasks() == {asyncio.current_task()}, "tasks are left over"
        return result

    with asyncio.Runner(loop_factory=_JumpingLoop) as runner:
        return runner.run(checked())
