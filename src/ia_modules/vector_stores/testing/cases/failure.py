"""Section 7: failure. Faults are put between the base class and the provider's primitives."""

from __future__ import annotations

import asyncio
import builtins
import inspect
import logging
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator
from importlib import import_module
from typing import Any

from ia_modules.vector_stores.base import VectorStoreBase
from ia_modules.vector_stores.errors import (
    AuthenticationError,
    ConnectionError,
    IndexAlreadyExistsError,
    IndexNotFoundError,
    InvalidDocumentError,
    OperationTimeoutError,
    PartialFailureError,
    RateLimitError,
    UnsupportedOperationError,
    VectorStoreError,
)
from ia_modules.vector_stores.filters import Condition
from ia_modules.vector_stores.models import VectorDocument
from ia_modules.vector_stores.testing.case import Context, case, doc
from ia_modules.vector_stores.testing.cases.identity import everything
from ia_modules.vector_stores.testing.cases.validation import drained
from ia_modules.vector_stores.testing.compare import (
    ConformanceError,
    holds,
    raises,
    same,
    same_document,
    same_documents,
    same_ids,
)
from ia_modules.vector_stores.testing.faults import DATA, Primitive, failing, wrapped

__all__: list[str] = []

Call = Callable[[VectorStoreBase], Awaitable[Any]]

CALLS: dict[str, Call] = {
    "_upsert": lambda s: s.upsert([doc("new", metadata={"secret": "words that must not show"})]),
    "_update_metadata": lambda s: s.update_metadata("a", {"x": 1}),
    "_delete_ids": lambda s: s.delete(ids=["a"]),
    "_delete_where": lambda s: s.delete(filters=Condition("n", "eq", 1)),
    "_empty_namespace": lambda s: s.delete(delete_all=True),
    "_search": lambda s: s.search([1, 0, 0]),
    "_fetch": lambda s: s.fetch(["a"]),
    "_count": lambda s: s.count(),
    "_scan_page": drained,
    "_stats": lambda s: s.get_stats(),
    "_namespaces": lambda s: s.list_namespaces(),
}
"""A public call for each primitive on data."""


@case("7.1")
async def what_a_retry_can_cure(ctx: Context) -> None:
    """Transient errors are retried, up to max_retries; others are raised at once; a spent error says so."""
    for name in DATA:
        store = await ctx.store([doc("a", metadata={"n": 1})], retry_delay=0.001, max_retries=2)
        for error in (ConnectionError("lost"), RateLimitError("slow down"), VectorStoreError("5xx", retryable=True)):
            with failing(store, name, error, type(error)("again", retryable=True)) as calls:
                await CALLS[name](store)
            same(len(calls), 3, f"attempts of {name} after two errors {type(error).__name__}")
            await store.upsert([doc("a", metadata={"n": 1})])
        with failing(store, name, *(ConnectionError(f"lost {i}") for i in range(5))) as calls:
            error = await raises(CALLS[name](store), ConnectionError, f"{name} that fails for good")
        same(len(calls), 3, f"attempts of {name} with max_retries=2")
        same(error.retryable, False, "retryable of an error whose retries are spent")
        for final in (
            AuthenticationError("no"),
            InvalidDocumentError("no"),
            UnsupportedOperationError("no"),
            VectorStoreError("no"),
        ):
            with failing(store, name, final) as calls:
                await raises(CALLS[name](store), type(final), f"{name} with {type(final).__name__}")
            same(len(calls), 1, f"attempts of {name} after {type(final).__name__}")
        with failing(store, name, IndexNotFoundError("no")) as calls:
            await raises(CALLS[name](store), IndexNotFoundError, f"{name} with IndexNotFoundError")
        same(len(calls), 1, f"attempts of {name} after IndexNotFoundError")


@case("7.1")
async def waiting_and_deadlines(ctx: Context) -> None:
    """Not before Retry-After, and all within config.timeout."""
    store = await ctx.store([doc("a")], retry_delay=0.0)
    await store.count()
    with failing(store, "_count", RateLimitError("slow down", retry_after=0.15)):
        started = time.monotonic()
        await store.count()
        waited = time.monotonic() - started
    holds(waited >= 0.15, f"the retry came after {waited:.3f} s, Retry-After said 0.15 s")
    await store.settle()
    hasty = ctx.again(store, timeout=0.2, retry_delay=0.0)
    try:
        await hasty.count()
    except OperationTimeoutError:
        return  # a database that is too slow for this to say anything
    started = time.monotonic()
    with wrapped(hasty, ("_count",), lambda _, inner: _hanging(inner)):
        await raises(hasty.count(), OperationTimeoutError, "a call that hangs, with timeout=0.2")
    holds(time.monotonic() - started < 5, "a call that hangs must end with config.timeout")
    same(await hasty.count(), 1, "count after a call that ran out of time")


def _hanging(inner: Primitive) -> Primitive:
    async def hanging(*arguments: Any) -> Any:
        await asyncio.sleep(30)
        return await inner(*arguments)

    return hanging


@case("7.2")
async def lost_answers(ctx: Context) -> None:
    """Each write is done, its answer lost, and the call repeated by the retry; the state is that of one write."""
    given = {name: doc(name, (1, i, 0), {"n": i, "kept": True}, text=name) for i, name in enumerate("abcd")}
    new = doc("new", (0, 0, 1), {"list": [1]}, text="new")
    writes: dict[str, tuple[Call, Callable[[dict[str, VectorDocument]], Any]]] = {
        "_upsert": (
            lambda s: s.upsert([new, doc("a", (0, 1, 0))]),
            lambda d: d.update({"new": new, "a": doc("a", (0, 1, 0))}),
        ),
        "_update_metadata": (
            lambda s: s.update_metadata("b", {"n": None, "more": 1}),
            lambda d: d["b"].metadata.update({"n": None, "more": 1}),
        ),
        "_delete_ids": (lambda s: s.delete(ids=["a", "b"]), lambda d: (d.pop("a"), d.pop("b"))),
        "_delete_where": (lambda s: s.delete(filters=Condition("n", "in", [1, 2])), lambda d: (d.pop("b"), d.pop("c"))),
        "_empty_namespace": (lambda s: s.delete(delete_all=True), lambda d: d.clear()),
    }
    for name, (call, change) in writes.items():
        store = await ctx.store(given.values(), retry_delay=0.0)
        await store.upsert([given["a"]], namespace="other")
        with failing(store, name, ConnectionError("the answer was lost"), lost_answer=True) as calls:
            result = await call(store)
        same(len(calls), 2, f"attempts of {name}")
        if name == "_upsert":
            same(result["upserted"], 2, "upserted, after a lost answer")
        elif name != "_update_metadata":
            same(result["deleted"], None, f"deleted, after a lost answer of {name}: what can't be known")
        expected = {key: value.model_copy(deep=True) for key, value in given.items()}
        change(expected)
        same_documents((await everything(store)).values(), expected, f"after a lost answer of {name}")
        same(await store.count(), len(expected), f"count after a lost answer of {name}")
        same_ids(await everything(store, "other"), ["a"], f"the other namespace after a lost answer of {name}")
    with failing(store, "_drop_index", ConnectionError("the answer was lost"), lost_answer=True):
        await store.delete_index()
    same(await store.index_exists(), False, "index_exists after a lost answer of _drop_index")
    with failing(store, "_create_index", ConnectionError("the answer was lost"), lost_answer=True):
        await store.create_index(3, ctx.metric(), **ctx.target.options)
    same_ids(await everything(store), [], "what is stored after a lost answer of _create_index")
    await raises(store.create_index(3, ctx.metric()), IndexAlreadyExistsError, "creating what a lost answer left")
    store = await ctx.store(given.values(), retry_delay=0.0)
    for name in ("_search", "_fetch", "_count", "_scan_page"):
        with failing(store, name, ConnectionError("the answer was lost"), lost_answer=True):
            await CALLS[name](store)
        with failing(store, "_scan_page", ConnectionError("the answer was lost"), lost_answer=True):
            same_ids([one.id async for one in store.scan(batch_size=1)], given, "a scan one of whose answers was lost")


@case("7.3")
async def a_later_batch_fails(ctx: Context) -> None:
    """The error says which documents are stored and which are not, and that is so; sending them again works."""
    documents = [doc(f"d{i:02}", (1, i, 0), {"n": i}) for i in range(40)]
    ids = [one.id for one in documents]
    store = await ctx.store(max_retries=0)

    def third_fails(_: str, inner: Primitive) -> Primitive:
        async def upsert(batch: Any, namespace: str) -> None:
            if "d06" in batch.ids:
                raise ConnectionError("lost")
            await inner(batch, namespace)

        return upsert

    with wrapped(store, ("_upsert",), third_fails):
        call = store.upsert(documents, batch_size=3)
        error = await raises(call, PartialFailureError, "an upsert whose third batch fails")
    same_ids([*error.succeeded, *error.failed], ids, "succeeded and failed together")
    same(error.succeeded, [one for one in ids if one not in error.failed], "succeeded, in the order given")
    holds({"d06", "d07", "d08"} <= set(error.failed), "the batch that failed must be among the failed")
    if ctx.capabilities.parallel_batches == 1:
        same(error.succeeded, ids[:6], "succeeded")
    holds(all(isinstance(cause, VectorStoreError) for cause in error.failed.values()), "failed must map to errors")
    same_ids(await everything(store), error.succeeded, "what is stored")
    await store.upsert([one for one in documents if one.id in error.failed])
    same_documents(
        (await everything(store)).values(), {one.id: one for one in documents}, "after sending the rest again"
    )


@case("7.3")
async def cancelled_half_way(ctx: Context) -> None:
    """Every call, cancelled at many moments: it ends, the store works on, and no document is half written."""
    old = {f"d{i}": doc(f"d{i}", (1, i, 0), {"n": 1, "old": i, "list": [i]}, text="old") for i in range(60)}
    new = {f"d{i}": doc(f"d{i}", (0, 1, i + 1), {"n": 2, "new": [i]}) for i in range(60)}
    changed = {name: one.model_copy(update={"metadata": one.metadata | {"n": 3}}) for name, one in old.items()}
    calls: dict[str, Call] = {
        "upsert": lambda s: s.upsert(list(new.values()), batch_size=20),
        "update_metadata": lambda s: s.update_metadata("d7", {"n": 3}),
        "delete by ids": lambda s: s.delete(ids=list(old)),
        "delete by filter": lambda s: s.delete(filters=Condition("n", "eq", 1)),
        "delete_all": lambda s: s.delete(delete_all=True),
        "delete_all of another namespace": lambda s: s.delete(delete_all=True, namespace="other"),
        "search": lambda s: s.search([1, 0, 0]),
        "filtered search": lambda s: s.search([1, 0, 0], filters=Condition("n", "ne", 7)),
        "search_many": lambda s: s.search_many([[1, 0, 0]] * 5),
        "fetch": lambda s: s.fetch(list(old)),
        "count": lambda s: s.count(Condition("n", "eq", 1)),
        "scan": lambda s: drained(s, batch_size=10),
        "get_stats": lambda s: s.get_stats(),
        "list_namespaces": lambda s: s.list_namespaces(),
        "reconnect": _reconnected,
    }
    store = await ctx.store(old.values())
    for name, call in calls.items():
        await _restored(store, old)
        started = time.monotonic()
        await call(store)
        duration = time.monotonic() - started
        for moment in (0, 1, 2, 5, 0.2 * duration, 0.5 * duration, 0.8 * duration):
            await _restored(store, old)
            what = f"{name}, cancelled"
            task = asyncio.ensure_future(call(store))
            if isinstance(moment, int):
                for _ in range(moment):
                    await asyncio.sleep(0)
            else:
                await asyncio.sleep(moment)
            asked = task.cancel()
            await asyncio.wait([task], timeout=30)
            holds(task.done(), f"{what}: the call did not end within 30 s")
            if asked and not task.cancelled():
                error = task.exception()
                how = "went on to its end" if error is None else f"raised {type(error).__name__} ({error})"
                holds(False, f"{what}: the call {how}, instead of CancelledError")
            elif not task.cancelled():
                task.result()
            await _all_whole(store, (old, new, changed), what)
            holds((await store.search([1, 0, 0])).total <= 10, f"{what}: search afterwards")
            await store.upsert([doc("after", metadata={"n": 9})])
            same([one.metadata for one in await store.fetch(["after"])], [{"n": 9}], f"{what}: upsert afterwards")
            await store.delete(ids=["after"])


async def _all_whole(store: VectorStoreBase, versions: tuple[dict[str, VectorDocument], ...], what: str) -> None:
    """Every document is as one of the versions has it.

    A request that was cancelled here may go on at the server, and be read half done, for a little while.
    """
    patience = time.monotonic() + 5
    while True:
        try:
            for document in (await everything(store)).values():
                known = [version[document.id] for version in versions]
                same_document(document, min(known, key=lambda one: one.metadata != document.metadata), what)
        except ConformanceError:
            if time.monotonic() > patience:
                raise
            await asyncio.sleep(0.05)
        else:
            return


async def _restored(store: VectorStoreBase, documents: dict[str, VectorDocument]) -> None:
    await store.upsert(list(documents.values()))
    await store.upsert([doc("x")], namespace="other")


async def _reconnected(store: VectorStoreBase) -> None:
    await store.disconnect()
    await store.connect()


class _Records(logging.Handler):
    """Keeps everything that is logged, as text and with its arguments."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(f"{record.getMessage()} {record.args!r}")
        if record.exc_info:
            self.texts.append("".join(traceback.format_exception(*record.exc_info)))


SECRET = "kit-secret-5f2c9a"
PRIVATE = "words that must not show"


@case("7.4")
async def secrets_stay_secret(ctx: Context) -> None:
    """The API key is in no repr, error, traceback or log record at any level; nor is what documents contain."""
    given = ctx.target.config.secret
    key = given or SECRET
    root, handler = logging.getLogger(), _Records()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    shown: list[str] = []
    extra: dict[str, Any] = {}
    if not given:  # a key would turn TLS on where the server may have none
        extra = {"api_key": SECRET, "tls": bool(ctx.target.config.tls)}
    try:
        given_documents = [doc("a", metadata={"k": PRIVATE}, text=PRIVATE)]
        try:
            store = await ctx.store(given_documents, max_retries=1, retry_delay=0.0, **extra)
        except AuthenticationError as refused:  # by a server without keys: then it is a header that must stay secret
            holds(not given, "the server takes the key of the target")
            shown += [str(refused), repr(refused), *traceback.format_exception(refused)]
            headers = {"headers": {"x-kit-secret": SECRET}}
            options = {**ctx.target.config.options, **headers}
            store = await ctx.store(given_documents, max_retries=1, retry_delay=0.0, options=options)
        shown += [repr(store), str(store), repr(store.config), str(store.config), store.config.to_url()]
        for call in CALLS.values():
            await call(store)
        await store.upsert([doc("a", metadata={"k": PRIVATE}, text=PRIVATE)])
        for name, call in CALLS.items():
            for error in (RuntimeError(f"refused for {key}"), ConnectionError(f"lost with {key}")):
                error.__cause__ = ValueError(f"header x-api-key: {key}")
                with failing(store, name, error, error):
                    try:
                        await call(store)
                    except VectorStoreError as raised:
                        shown += [str(raised), repr(raised), *traceback.format_exception(raised)]
                        shown += [str(raised.__cause__), repr(raised.__cause__), str(vars(raised))]
        shown += [repr(store), *handler.texts]
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    for text in shown:
        if key in text:
            holds(False, f"the API key shows in: {text.replace(key, '<KEY>')[:300]}")
    for text in (one for one in shown if PRIVATE in one and "Traceback" not in one):
        holds(False, f"a document's contents show in: {text[:300]}")


def exception_classes(package: str) -> Iterator[type[Exception]]:
    """Every exception class that a package defines, in the modules of it that are loaded."""
    found: dict[str, type[Exception]] = {}
    for module in list(sys.modules.values()):
        if getattr(module, "__name__", "").partition(".")[0] != package:
            continue
        for value in list(vars(module).values()):
            if (
                inspect.isclass(value)
                and issubclass(value, Exception)
                and value.__module__.partition(".")[0] == package
                and not issubclass(value, Warning)
            ):
                found.setdefault(f"{value.__module__}.{value.__qualname__}", value)
    yield from found.values()


def instance(kind: type[Exception]) -> Exception:
    """An exception of a class, whatever its constructor wants."""
    for arguments in ((), *(("it failed", *[None] * more) for more in range(5)), (2, "it failed", None, None)):
        try:
            return kind(*arguments)
        except Exception:  # noqa: BLE001 - any constructor may want anything
            continue
    made = kind.__new__(kind)
    made.args = ("it failed",)
    return made


@case("7.5")
async def every_exception_of_the_client(ctx: Context) -> None:
    """Each class is known to the provider's table, and comes out of a call as one of ours."""
    store = await ctx.store([doc("a")], max_retries=0)
    packages = store.client_packages
    holds(packages or not ctx.capabilities.remote, "a provider with a client must name its packages (client_packages)")
    for package in packages:
        import_module(package)
        kinds = list(exception_classes(package))
        holds(kinds, f"the package {package} defines no exceptions")
        for kind in kinds:
            error = instance(kind)
            mapped = store._map_error(error)  # noqa: SLF001
            holds(isinstance(mapped, VectorStoreError), f"{kind.__module__}.{kind.__qualname__} is not mapped")
            with failing(store, "_count", error):
                raised = await raises(store.count(), VectorStoreError, f"a call in which {kind.__qualname__} is raised")
            holds(raised.__cause__ is error, f"{kind.__qualname__} must be the __cause__ of what is raised")


@case("7.5")
async def every_other_exception(ctx: Context) -> None:
    """Whatever a primitive raises, the call raises one of ours, located and with its cause."""
    store = await ctx.store([doc("a", metadata={"n": 1})], max_retries=0)
    for name, call in CALLS.items():
        for error in (
            RuntimeError("x"),
            KeyError("x"),
            OSError(5, "x"),
            builtins.ConnectionResetError("x"),
            TimeoutError("x"),
            AssertionError("x"),
            UnicodeDecodeError("utf-8", b"x", 0, 1, "x"),
            ExceptionGroup("x", [ValueError("x")]),
        ):
            what = f"{name} in which {type(error).__name__} is raised"
            with failing(store, name, error):
                raised = await raises(call(store), VectorStoreError, what)
            same(raised.provider, store.provider, f"provider of the error, {what}")
            holds(raised.operation, f"{what}: the error must name the operation")
            holds(raised.__cause__ is error, f"{what}: the exception must be the __cause__ of the error")
        await store.upsert([doc("a", metadata={"n": 1})])
    with failing(store, "_count", builtins.ConnectionResetError("x")):
        await raises(store.count(), ConnectionError, "a lost connection")
    with failing(store, "_count", TimeoutError("x")):
        await raises(store.count(), OperationTimeoutError, "a time-out")
