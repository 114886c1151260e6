"""Section 8: random programs of calls, with every answer compared after every step."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any

from hypothesis import seed
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from ia_modules.vector_stores.base import VectorStoreBase
from ia_modules.vector_stores.filters import Node
from ia_modules.vector_stores.models import VectorDocument
from ia_modules.vector_stores.tasks import together
from ia_modules.vector_stores.testing import strategies
from ia_modules.vector_stores.testing.case import Context, case
from ia_modules.vector_stores.testing.cases.filters import refused
from ia_modules.vector_stores.testing.cases.identity import deleted
from ia_modules.vector_stores.testing.compare import same, same_documents, same_ranking
from ia_modules.vector_stores.testing.generate import generation_settings
from ia_modules.vector_stores.testing.model import Model

__all__: list[str] = []

_NAMESPACES = ("", "n", "ñ/.")
_IDS = ("a", "b", "A", "ä", "1")
_STEPS = 10

namespaces = st.sampled_from(_NAMESPACES)
some_ids = st.sampled_from(_IDS)


def machine(ctx: Context, store: VectorStoreBase) -> type[RuleBasedStateMachine]:
    """A state machine whose programs run on one store."""
    zero = ctx.capabilities.zero_vectors

    # Composites, because hypothesis writes out the strategies of every rule, and these are long.
    @st.composite
    def filters(draw: st.DrawFn) -> Node:
        return draw(strategies.filters(depth=2).filter(lambda node: not refused(ctx, node)))

    @st.composite
    def metadata(draw: st.DrawFn) -> Mapping[str, Any]:
        return draw(strategies.metadata())

    @st.composite
    def documents(draw: st.DrawFn) -> list[VectorDocument]:
        one = strategies.documents(keys=some_ids)
        return draw(st.lists(one.filter(lambda document: zero or any(document.vector)), max_size=4))

    class Programs(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.model = Model(ctx.metric())
            self.query = [1.0, 0.0, 0.0]
            self.node: Node | None = None
            self.run(self.begin())

        @staticmethod
        def run(work: Coroutine[Any, Any, Any]) -> Any:
            return ctx.run(work)

        async def begin(self) -> None:
            if await store.index_exists():
                await store.delete_index()
            await store.create_index(3, ctx.metric(), **ctx.target.options)

        @rule(given=documents(), namespace=namespaces, size=st.integers(1, 3))
        def upsert(self, given: list[VectorDocument], namespace: str, size: int) -> None:
            result = self.run(store.upsert(given, namespace, batch_size=size))
            same(result["upserted"], self.model.upsert(given, namespace), "upserted")

        @rule(given=documents(), spaces=st.permutations(_NAMESPACES))
        def upsert_at_once(self, given: list[VectorDocument], spaces: list[str]) -> None:
            """Disjoint ids at the same time: to one namespace, and the same to another."""
            apart = {one.id: one for one in given}
            places = [([one], spaces[i % 2]) for i, one in enumerate(apart.values())]
            places += [(list(apart.values()), spaces[2])] if apart else []

            async def together() -> None:
                await asyncio.gather(*(store.upsert(batch, place) for batch, place in places))

            self.run(together())
            for batch, place in places:
                self.model.upsert(batch, place)

        @rule(name=some_ids, changes=metadata(), namespace=namespaces)
        def update_metadata(self, name: str, changes: Mapping[str, Any], namespace: str) -> None:
            result = self.run(store.update_metadata(name, changes, namespace))
            same(result["updated"], self.model.update_metadata(name, changes, namespace), "updated")

        @rule(names=st.lists(some_ids, min_size=1, max_size=4), namespace=namespaces)
        def delete_ids(self, names: list[str], namespace: str) -> None:
            result = self.run(store.delete(ids=names, namespace=namespace))
            deleted(ctx, result["deleted"], self.model.delete(names, namespace), "delete by ids")

        @rule(node=filters(), namespace=namespaces)
        def delete_where(self, node: Node, namespace: str) -> None:
            result = self.run(store.delete(filters=node, namespace=namespace))
            gone = self.model.delete(self.model.documents(namespace, node), namespace)
            deleted(ctx, result["deleted"], gone, f"delete by {node!r}")

        @rule(namespace=namespaces)
        def delete_all(self, namespace: str) -> None:
            result = self.run(store.delete(delete_all=True, namespace=namespace))
            gone = self.model.delete(self.model.documents(namespace), namespace)
            deleted(ctx, result["deleted"], gone, "delete_all")

        @rule()
        def delete_index_and_make_it_again(self) -> None:
            self.run(self.begin())
            self.model = Model(ctx.metric())

        @rule()
        def reconnect(self) -> None:
            self.run(store.disconnect())
            self.run(store.connect())

        @rule(query=strategies.vectors(zero=zero), node=st.none() | filters())
        def look_otherwise(self, query: list[float], node: Node | None) -> None:
            """Compare with another query and filter from here on."""
            self.query, self.node = query, node

        @invariant()
        def everything_agrees(self) -> None:
            self.run(self.compare())

        async def compare(self) -> None:
            model = self.model
            same(await store.list_namespaces(), model.names(), "list_namespaces")
            stats = await store.get_stats()
            same((stats.total_vectors, stats.dimension), (model.total(), 3), "total_vectors and dimension")
            await together(self.compare_namespace(namespace) for namespace in _NAMESPACES)

        async def compare_namespace(self, namespace: str) -> None:
            model, node = self.model, self.node
            known, where = model.documents(namespace), f"namespace {namespace!r}"
            same_documents(await store.fetch(list(_IDS), namespace), known, f"fetch, {where}")
            scanned = [one async for one in store.scan(namespace, node, batch_size=2)]
            same_documents(scanned, model.documents(namespace, node), f"scan with {node!r}, {where}")
            same(await store.count(namespace=namespace), len(known), f"count, {where}")
            found = (await store.search(self.query, 3, node, namespace)).results
            ranking = model.ranking(self.query, namespace, node)
            same_ranking(found, ranking, 3, f"search with {node!r}, {where}")

    return Programs


@case("8.4")
def generated_programs(ctx: Context) -> None:
    """Upserts, updates, deletes, reconnects and new indexes, in any order."""
    store = ctx.open(retry_delay=0.0)
    programs = machine(ctx, store)
    if ctx.scale.seed is not None:
        programs = seed(ctx.scale.seed)(programs)
    settings = generation_settings(ctx.scale, ctx.scale.programs, steps=_STEPS)
    run_state_machine_as_test(programs, settings=settings)
