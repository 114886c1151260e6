"""Section 1: identity and isolation."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from urllib.parse import quote

from ia_modules.vector_stores.base import VectorStoreBase
from ia_modules.vector_stores.errors import InvalidDocumentError, UnsupportedOperationError
from ia_modules.vector_stores.filters import Condition
from ia_modules.vector_stores.models import VectorDocument
from ia_modules.vector_stores.testing.case import Context, case, doc
from ia_modules.vector_stores.testing.compare import holds, raises, same, same_document, same_documents, same_ids

__all__ = ["IDS", "NAMESPACES"]

_IDS = (
    *("1", "01", "1.0", "12", "-1", "0x1", str(2**64)),
    *(
        "a",
        "A",
        "á",
        "a\u0301",
        "\u00e5",
        "\u212b",
        "\ufb01",
        "fi",
        "\u00df",
        "ss",
        "\u0130",
        "\u0131",
        "\u03a9",
        "\u2126",
    ),
    *(" ", " a", "a ", "a b", "\t", "\n", "a\nb", "\x00", "a\x00", "a\x00b", "\x7f", "\u200b", "\ufeff", "\u2028"),
    *("None", "null", "true", "", "undefined", "[]", "{}", "$", "$eq", "_", "_id", "id", "*", "%", "?", "#", "&"),
    *("a/b", "a\\b", "../a", "./a", "a:b", "a|b", "a,b", "a;b", '"', "'", "`", "a'b", 'a"b', "--", "/*", "<a>", "${a}"),
    *("123e4567-e89b-12d3-a456-426614174000", "123E4567-E89B-12D3-A456-426614174000"),
    *("123e4567e89b12d3a456426614174000", "{123e4567-e89b-12d3-a456-426614174000}"),
    *("\U0001f600", "\U0001f468\u200d\U0001f469", "日本語", "русский", "עברית", "العربية", "\U0010ffff", "\ue000"),
    *("x" * 512, "x" * 511, "é" * 256, "\U0001f600" * 128),
)
IDS: tuple[str, ...] = tuple(dict.fromkeys(name for name in _IDS if name))

NAMESPACES = (
    *("", "a", "A", "á", "a\u0301", "default", "__default__", "_default", "None", "null", "*", "%", " ", " a", "a "),
    *("a.b", "a/b", "../a", "a\\b", "a:b", "a|b", "a-b", "a_b", "--", "'", '"', "{}", "[]", "$", "#", "?", "&x=1"),
    *("日本語", "\U0001f600", "\u200b", "\ufeff", "русский", "x" * 64, "é" * 32, "\U0001f600" * 16, "1", "01"),
)


async def everything(store: VectorStoreBase, namespace: str | None = None) -> dict[str, VectorDocument]:
    """All documents of a namespace, as a scan gives them."""
    return {document.id: document async for document in store.scan(namespace)}


@case("1.1")
async def same_id_in_two_namespaces(ctx: Context) -> None:
    """Every call on one of two documents with the same id leaves the other alone."""
    one, two = doc("x", (1, 0, 0), {"in": "one"}, text="1"), doc("x", (0, 1, 0), {"in": "two"}, text="2")
    store = await ctx.store()
    same((await store.upsert([one], namespace="one"))["namespace"], "one", "the namespace that upsert names")
    await store.upsert([two], namespace="two")

    async def unharmed(what: str) -> None:
        (found,) = await store.fetch(["x"], namespace="two")
        same_document(found, two, f"after {what} in the other namespace")
        same_documents((await everything(store, "two")).values(), {"x": two}, f"scan after {what}")
        same(await store.count(namespace="two"), 1, f"count after {what}")

    await unharmed("upsert")
    (result,) = (await store.search([0, 1, 0], namespace="one")).results
    same(result.metadata, {"in": "one"}, "what a search in namespace one finds")
    await store.update_metadata("x", {"in": "changed"}, namespace="one")
    await unharmed("update_metadata")
    await store.upsert([doc("x", (0, 0, 1))], namespace="one")
    await unharmed("a replacing upsert")
    same((await store.delete(ids=["x"], namespace="one"))["namespace"], "one", "the namespace that delete names")
    await unharmed("delete by id")
    same(await store.fetch(["x"], namespace="one"), [], "fetch of what was deleted")
    for arguments in ({"filters": Condition("in", "exists", True)}, {"delete_all": True}):
        await store.upsert([one], namespace="one")
        await store.delete(namespace="one", **arguments)
        same(await store.count(namespace="one"), 0, f"count after delete by {next(iter(arguments))}")
        await unharmed(f"delete by {next(iter(arguments))}")
    await store.upsert([one], namespace="one")
    await store.delete_namespace("one")
    await unharmed("delete_namespace")


@case("1.1")
async def indexes_with_similar_names(ctx: Context) -> None:
    """An index neither shows nor deletes what belongs to one whose name only looks alike."""
    first = await ctx.store([doc("x", metadata={"in": "first"})])
    await first.upsert([doc("x", metadata={"in": "first"})], namespace="b.c")
    name = first.config.index_name
    for other in (f"{name}-b", f"{name}.b", f"{name}_b", name.upper(), name.capitalize(), name[:-1], f"{name}b"):
        try:
            second = ctx.open(other)
            await second.create_index(3, min(ctx.capabilities.metrics))
        except (ValueError, UnsupportedOperationError):
            continue  # a name that the database has no way to keep
        await second.upsert([doc("x", metadata={"in": "second"}), doc("y")])
        await second.upsert([doc("z")], namespace="c")
        same(await first.list_namespaces(), ["", "b.c"], f"namespaces beside an index {other!r}")
        same((await first.get_stats()).total_vectors, 2, f"total_vectors beside an index {other!r}")
        await second.delete_index()
        holds(await first.index_exists(), f"deleting {other!r} deleted {name!r} as well")
        for namespace in ("", "b.c"):
            (found,) = await first.fetch(["x"], namespace=namespace)
            same(found.metadata, {"in": "first"}, f"after an index {other!r} came and went, namespace {namespace!r}")


@case("1.2")
async def the_default_namespace(ctx: Context) -> None:
    """None means the config's namespace, or else the default one."""
    plain = await ctx.store([doc("x", metadata={"in": "default"})])
    tenant = ctx.again(plain, namespace="tenant")
    same((await tenant.upsert([doc("x", metadata={"in": "tenant"})]))["namespace"], "tenant", "where upsert writes")
    await plain.settle()
    await tenant.settle()
    for store, namespace, expected in (
        (plain, None, "default"),
        (plain, "", "default"),
        (plain, "tenant", "tenant"),
        (tenant, None, "tenant"),
        (tenant, "", "default"),
    ):
        what = f"config.namespace={store.config.namespace!r}, namespace={namespace!r}"
        (found,) = await store.fetch(["x"], namespace=namespace)
        same(found.metadata, {"in": expected}, f"fetch, {what}")
        (result,) = (await store.search([1, 0, 0], namespace=namespace)).results
        same(result.metadata, {"in": expected}, f"search, {what}")
        same(await store.count(Condition("in", "eq", expected), namespace), 1, f"count, {what}")
        same([one.metadata async for one in store.scan(namespace)], [{"in": expected}], f"scan, {what}")
    same((await tenant.delete(delete_all=True))["namespace"], "tenant", "what delete_all empties")
    await tenant.settle()
    same(await plain.list_namespaces(), [""], "namespaces after the tenant emptied its own")


@case("1.2")
async def emptying_a_namespace_keeps_the_index(ctx: Context) -> None:
    """delete_all empties one namespace, and the index stays, with its dimension and metric."""
    store = await ctx.store([doc("a"), doc("b")])
    await store.upsert([doc("a")], namespace="other")
    deleted(ctx, (await store.delete(delete_all=True))["deleted"], 2, "delete_all")
    same(await store.list_namespaces(), ["other"], "namespaces after delete_all of the default one")
    deleted(ctx, (await store.delete(delete_all=True, namespace="other"))["deleted"], 1, "delete_all of the other")
    holds(await ctx.again(store).index_exists(), "the index is gone after its last namespace was emptied")
    stats = await store.get_stats()
    same((stats.total_vectors, stats.dimension), (0, 3), "total_vectors and dimension of the emptied index")
    await store.upsert([doc("a", metadata={"new": True})])
    same((await everything(store))["a"].metadata, {"new": True}, "what was written after delete_all")


@case("1.3")
async def namespaces_come_and_go(ctx: Context) -> None:
    """A namespace is listed from its first document to its last, however that one goes."""
    store = await ctx.store()
    same(await store.list_namespaces(), [], "namespaces of an empty index")
    for name in ("b", "", "a", "é", "Z", "10", "9"):
        await store.upsert([doc("x", metadata={"n": 1}), doc("y", metadata={"n": 2})], namespace=name)
    names = ["", "10", "9", "Z", "a", "b", "é"]
    same(await store.list_namespaces(), names, "namespaces")
    stats = await store.get_stats()
    same(stats.total_vectors, 14, "total_vectors")
    holds(stats.namespace_count in (7, None), f"namespace_count is {stats.namespace_count}, with 7 namespaces")
    await store.delete(ids=["x", "y"], namespace="9")
    await store.delete(filters=Condition("n", "gt", 0), namespace="b")
    await store.delete(delete_all=True, namespace="é")
    await store.delete(ids=["x", "y"])
    await store.delete(ids=["x"], namespace="a")
    same(await store.list_namespaces(), ["10", "Z", "a"], "namespaces after some were emptied")
    same((await store.get_stats()).total_vectors, 5, "total_vectors after some were emptied")
    await store.settle()
    same(await ctx.again(store).list_namespaces(), ["10", "Z", "a"], "namespaces as a second store sees them")
    await store.search([1, 0, 0], namespace="never written")
    await store.fetch(["x"], namespace="never written")
    await store.upsert([], namespace="nothing written")
    same(await store.list_namespaces(), ["10", "Z", "a"], "namespaces after reading from others")


@case("1.4")
async def any_string_is_an_id(ctx: Context) -> None:
    """Ids come back exactly, and no two of them meet."""
    documents = {name: doc(name, (1, i % 7, i % 11), {"n": i}) for i, name in enumerate(IDS)}
    store = await ctx.store()
    same((await store.upsert(list(documents.values())))["upserted"], len(IDS), "upserted")
    same(await store.count(), len(IDS), "count")
    same([found.id for found in await store.fetch(list(IDS))], list(IDS), "ids that fetch gives")
    same_documents((await everything(store)).values(), documents, "scan")
    results = (await store.search([1, 0, 0], top_k=len(IDS))).results
    same_ids((result.id for result in results), IDS, "search")
    for name, document in documents.items():
        (found,) = await store.fetch([name])
        same(found.metadata, document.metadata, f"fetch of {name!r}")
    for i, name in enumerate(IDS[::4]):
        same((await store.update_metadata(name, {"changed": True}))["updated"], 1, f"update_metadata of {name!r}")
        deleted(ctx, (await store.delete(ids=[name]))["deleted"], 1, f"delete of {name!r}")
        same(await store.count(), len(IDS) - i - 1, f"count after delete of {name!r}")
    same_ids(await everything(store), set(IDS) - set(IDS[::4]), "what is left")


@case("1.4")
async def what_is_no_id(ctx: Context) -> None:
    """An id that can't be kept everywhere is refused by every call."""
    store = await ctx.store([doc("a")])
    for bad in ("x" * 513, "é" * 257, "\ud800", "a\udfff"):
        if len(bad) > 1 and bad.isprintable():  # the others can't even be put into a document
            await raises(store.upsert([doc("b"), doc(bad)]), InvalidDocumentError, f"upsert of the id {bad[:9]!a}")
        await raises(store.fetch([bad]), InvalidDocumentError, f"fetch of the id {bad[:9]!a}")
        await raises(store.delete(ids=[bad]), InvalidDocumentError, f"delete of the id {bad[:9]!a}")
        await raises(store.update_metadata(bad, {}), InvalidDocumentError, f"update_metadata of the id {bad[:9]!a}")
    await raises(store.fetch([""]), InvalidDocumentError, "fetch of the empty id")
    await raises(store.fetch([1]), InvalidDocumentError, "fetch of a number")  # type: ignore[list-item]
    same_ids(await everything(store), ["a"], "what is stored after all that was refused")


@case("1.5")
async def any_string_is_a_namespace(ctx: Context) -> None:
    """Namespaces come back exactly, and no two of them meet."""
    store = await ctx.store()
    for i, name in enumerate(NAMESPACES):
        await store.upsert([doc("x", metadata={"n": i}), doc(f"only {i}")], namespace=name)
    same(await store.list_namespaces(), sorted(NAMESPACES), "namespaces")
    for i, name in enumerate(NAMESPACES):
        found = await everything(store, name)
        same_ids(found, ["x", f"only {i}"], f"namespace {name!r}")
        same(found["x"].metadata, {"n": i}, f"namespace {name!r}")
    for bad in ("x" * 65, "é" * 33, "a\nb", "\x00", "\x7f", "\x85", "\ud800"):
        await raises(store.upsert([doc("x")], namespace=bad), ValueError, f"upsert into {bad[:9]!a}", "namespace")
        await raises(store.search([1, 0, 0], namespace=bad), ValueError, f"search in {bad[:9]!a}", "namespace")
    for i, name in enumerate(NAMESPACES[::3]):
        await store.delete_namespace(name)
        same((await store.get_stats()).total_vectors, 2 * (len(NAMESPACES) - i - 1), f"total without {name!r}")
    same(await store.list_namespaces(), sorted(set(NAMESPACES) - set(NAMESPACES[::3])), "namespaces that are left")


VICTIM = "victim-ns"


def crafted(index: str, namespace: str) -> Iterable[str]:
    """Strings that would reach a namespace if names were glued together, matched loosely or left unescaped."""
    code = namespace.encode()
    for text in (
        namespace,
        base64.b16encode(code).decode().lower(),
        base64.b32encode(code).decode().rstrip("=").lower(),
        base64.urlsafe_b64encode(code).decode().rstrip("="),
        quote(namespace, safe=""),
        "".join(f"%{byte:02x}" for byte in code),
    ):
        yield from (text.upper(), f"{text}*", f"{text}%", f"%{text}", f"*{text}", f"{text}.", f"{text}/", f"./{text}")
        yield from (f"../{text}", f"x/../{text}", f"{text}#", f"{text}?", f"{text}&", f" {text}", f"{text} ")
        if text != namespace:
            yield text
        for glue in ("", ".", "-", "_", "/", ":", "|", "#", "\x1f", "\x00", "::", "__"):
            yield from (f"{index}{glue}{text}", f"{glue}{text}", f"x{glue}{text}")
    yield from (f"{namespace}' or '1'='1", f'{namespace}" or "1"=="1', "' or 1=1 --", '"}) { id } #', "x'; drop table")
    yield from ('{"$ne": ""}', '{"$exists": true}', "$ne", "$or", '["' + namespace + '"]', f'"{namespace}"', "*", "%")
    yield from ("__default__", "_default_", "default", "None", "null", "true", ".*", "[^x]*", "?", "\\", "\\'", '\\"')


@case("1.5")
async def crafted_names_reach_only_themselves(ctx: Context) -> None:
    """Names, ids and values made to reach a foreign namespace, through every call."""
    secret = {name: doc(name, (1, i, 0), {"owner": "victim", "n": i}) for i, name in enumerate(("x", "y", VICTIM))}
    store = await ctx.store([doc("bystander", metadata={"owner": "nobody"})])
    await store.upsert(list(secret.values()), namespace=VICTIM)
    index = store.config.index_name
    names = dict.fromkeys([*crafted(index, VICTIM), *(ctx.target.crafted(index, VICTIM) if ctx.target.crafted else ())])
    tried = [name for name in names if name != VICTIM and len(name.encode()) <= 64 and name.isprintable()]

    async def untouched(what: str) -> None:
        same_documents((await everything(store, VICTIM)).values(), secret, f"the victim after {what}")

    await store.upsert([doc("mine", metadata={"owner": "attacker"})], namespace="attacker")
    for name in tried:
        what = f"the namespace {name!r}"
        same((await store.search([1, 0, 0], namespace=name)).results, [], f"search in {what}")
        same(await store.fetch(["x", VICTIM], namespace=name), [], f"fetch in {what}")
        same(await store.count(namespace=name), 0, f"count in {what}")
        same([one.id async for one in store.scan(name)], [], f"scan of {what}")
        same((await store.update_metadata("x", {"owner": "?"}, namespace=name))["updated"], 0, f"update in {what}")
        await store.delete(ids=["x"], namespace=name)
        await store.delete(filters=Condition("owner", "eq", "victim"), namespace=name)
        await store.delete(delete_all=True, namespace=name)
    await untouched("reads and deletes in crafted namespaces")
    for name in tried[::7]:
        await store.upsert([doc("x", metadata={"owner": "attacker"})], namespace=name)
        await store.update_metadata("x", {"owner": "attacker", "n": 7}, namespace=name)
        await store.delete_namespace(name)
    await untouched("writes in crafted namespaces")
    everyone = dict.fromkeys([*names, "attacker", '") || true || ("', "victim"])
    for name in everyone:
        if len(name.encode()) > 512:
            continue
        await store.delete(ids=[name], namespace="attacker")
        same([one.id for one in await store.fetch([name], namespace="attacker")], [], f"fetch of the id {name!r}")
        node = Condition("owner", "eq", name) | Condition(name, "eq", "victim")
        expected = 1 if name == "attacker" else 0
        same(await store.count(node, namespace="attacker"), expected, f"count with {name!r} as value and field")
        results = (await store.search([1, 0, 0], filters=node, namespace="attacker")).results
        same(len(results), expected, f"search with {name!r} as value and field")
        await store.delete(filters=Condition(name, "eq", "victim"), namespace="attacker")
    same_ids(await everything(store, "attacker"), ["mine"], "the attacker's own")
    same_ids(await everything(store), ["bystander"], "the default namespace")
    await untouched("crafted ids and filters")


def deleted(ctx: Context, found: int | None, expected: int, what: str) -> None:
    """Check a count of deleted documents, or that it is None where the provider declares that it can't count."""
    if ctx.capabilities.deletes_counted:
        same(found, expected, f"deleted, by {what}")
    else:
        same(found, None, f"deleted, by {what}, which the provider declares that it can't count")
        ctx.gap("delete says None, as the provider can't count")
