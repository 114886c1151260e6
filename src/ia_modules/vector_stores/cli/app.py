"""The commands; each is a thin layer over the library, and loads only what it uses."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ia_modules.vector_stores.cli.migrating import add_migration_commands
from ia_modules.vector_stores.cli.output import as_json, namespace_label, show_document, show_fields, show_results
from ia_modules.vector_stores.cli.session import (
    DEBUG,
    INPUT_ERRORS,
    NOTHING_FOUND,
    UsageError,
    note,
    open_store,
    parsed_where,
    run,
    run_plain,
    store_config,
)

__all__ = ["app"]

app = typer.Typer(
    name="ia-vectors",
    help="Put documents into a vector database and find them again.",
    epilog="Exit codes: 0 ok, 1 failed, 2 wrong usage, 3 not all read or arrived, 4 nothing found, 130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Store = Annotated[
    str | None,
    typer.Option("--store", "-s", envvar="IA_VECTORS_STORE", help="Store URL, such as chroma:///path/to/dir/articles."),
]
EmbedderName = Annotated[
    str | None,
    typer.Option(
        "--embedder",
        "-e",
        envvar="IA_VECTORS_EMBEDDER",
        help="wordllama (default, offline), openai:MODEL, sentence-transformers:MODEL.",
    ),
]
Cache = Annotated[
    Path | None, typer.Option("--cache", envvar="IA_VECTORS_CACHE", help="SQLite file that keeps embeddings.")
]
Namespace = Annotated[str | None, typer.Option("--namespace", "-n", help="Namespace; the store's default if left out.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Where = Annotated[str | None, typer.Option("--where", "-w", help="""Filter: 'year >= 2020 and lang in ["en"]'.""")]


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("ia-modules-vector-stores"))
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[  # noqa: ARG001 - the callback does the work
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Put documents into a vector database and find them again."""
    context.obj = {DEBUG: debug}


@app.command()
def ingest(
    context: typer.Context,
    paths: Annotated[list[Path], typer.Argument(help="Files and folders.", metavar="PATH...")],
    store: Store = None,
    embedder: EmbedderName = None,
    namespace: Namespace = None,
    root: Annotated[
        Path | None, typer.Option(help="Name sources relative to this folder, not the current one.")
    ] = None,
    prune: Annotated[bool, typer.Option("--prune", help="Remove passages of files that are gone.")] = False,
    max_chars: Annotated[int, typer.Option(min=50, help="Longest passage, in characters.")] = 1200,
    batch_size: Annotated[int, typer.Option(min=1, help="Passages embedded and written together.")] = 128,
    text_field: Annotated[str, typer.Option(help="Field of a record that holds its text.")] = "text",
    id_field: Annotated[str, typer.Option(help="Field of a record that holds its id.")] = "id",
    encoding: Annotated[str | None, typer.Option(help="Encoding of text files, if it is not UTF-8.")] = None,
    cache: Cache = None,
    json_output: Json = False,
) -> None:
    """Read files and folders, split them into passages, embed and store them. Doing it again changes nothing."""

    async def command() -> int:
        from ia_modules.vector_stores.cli.ingesting import ingest_paths
        from ia_modules.vector_stores.ingest import LoadOptions

        chosen = LoadOptions(text_field, id_field, encoding, max_chars=max_chars)
        report = await ingest_paths(
            list(paths), store, embedder, cache, namespace=namespace, root=root, options=chosen,
            batch_size=batch_size, prune=prune, as_json=json_output,
        )  # fmt: skip
        return INPUT_ERRORS if report.error_count else 0

    run(context, command)


@app.command()
def search(
    context: typer.Context,
    question: Annotated[str, typer.Argument(help="What to look for.")],
    store: Store = None,
    embedder: EmbedderName = None,
    namespace: Namespace = None,
    top_k: Annotated[int, typer.Option("--top-k", "-k", min=1, help="Number of results.")] = 10,
    where: Where = None,
    cache: Cache = None,
    json_output: Json = False,
) -> None:
    """Find the passages that come nearest to a question."""

    async def command() -> int:
        from ia_modules.vector_stores.cli.searching import search_text

        filters = parsed_where(where)
        if not question.strip():
            raise UsageError("the question is blank")
        response, model = await search_text(question, store, embedder, cache, top_k, filters, namespace)
        if json_output:
            answer = response.model_dump(mode="json", exclude={"results": {"__all__": {"vector"}}})
            as_json({"query": question, "embedding_model": model, **answer})
        else:
            show_results(response.results)
        if not response.results:
            note("nothing found")
        return 0 if response.results else NOTHING_FOUND

    run(context, command)


@app.command()
def fetch(
    context: typer.Context,
    ids: Annotated[list[str], typer.Argument(help="Ids of documents.", metavar="ID...")],
    store: Store = None,
    namespace: Namespace = None,
    vectors: Annotated[bool, typer.Option("--vectors", help="Include the vectors (with --json).")] = False,
    json_output: Json = False,
) -> None:
    """Show documents by id."""

    async def command() -> int:
        async with open_store(store_config(store)) as opened:
            documents = await opened.fetch(ids, namespace=namespace)
        if json_output:
            exclude = None if vectors else {"vector"}
            as_json([document.model_dump(mode="json", exclude=exclude) for document in documents])
        else:
            for document in documents:
                show_document(document)
        found = {document.id for document in documents}
        missing = [document_id for document_id in dict.fromkeys(ids) if document_id not in found]
        for document_id in missing:
            note(f"not found: {document_id}")
        return NOTHING_FOUND if missing else 0

    run(context, command)


@app.command()
def delete(
    context: typer.Context,
    ids: Annotated[list[str] | None, typer.Argument(help="Ids of documents.", metavar="[ID]...")] = None,
    store: Store = None,
    namespace: Namespace = None,
    where: Where = None,
    everything: Annotated[bool, typer.Option("--all", help="Delete all documents of the namespace.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    json_output: Json = False,
) -> None:
    """Delete documents: by id, those that match a filter, or all of a namespace."""

    async def command() -> int:
        if sum((bool(ids), where is not None, everything)) != 1:
            raise UsageError("give ids, or --where, or --all")
        filters = parsed_where(where)
        config = store_config(store)
        if everything and not yes:
            name = namespace_label(namespace if namespace is not None else config.namespace or "")
            question = f"Delete all documents of the namespace {name} of {config.index_name}?"
            if not sys.stdin.isatty():
                raise UsageError("--all needs --yes where nobody can be asked")
            if not typer.confirm(question, err=True):
                note("nothing was deleted")
                return 0
        async with open_store(config) as opened:
            result = await opened.delete(ids or None, filters, namespace, delete_all=everything)
        if json_output:
            as_json(dict(result))
        else:
            typer.echo(f"deleted {'an unknown number' if result['deleted'] is None else result['deleted']}")
        return 0

    run(context, command)


@app.command()
def stats(context: typer.Context, store: Store = None, json_output: Json = False) -> None:
    """Show the size of the index and the model it was made with."""

    async def command() -> int:
        async with open_store(store_config(store)) as opened:
            counted = await opened.get_stats()
            fields: dict[str, Any] = {
                "index": opened.config.index_name,
                "provider": opened.config.provider,
                **counted.model_dump(mode="json"),
                "embedding_model": await opened.get_embedding_model(),
            }
        as_json(fields) if json_output else show_fields(fields)
        return 0

    run(context, command)


@app.command()
def namespaces(context: typer.Context, store: Store = None, json_output: Json = False) -> None:
    """List the namespaces that hold documents; the default one is shown as ""."""

    async def command() -> int:
        async with open_store(store_config(store)) as opened:
            names = await opened.list_namespaces()
        if json_output:
            as_json(names)
        else:
            for name in names:
                typer.echo(namespace_label(name))
        return 0

    run(context, command)


@app.command()
def doctor(
    context: typer.Context, store: Store = None, embedder: EmbedderName = None, json_output: Json = False
) -> None:
    """Show what is installed, what can be reached, and what each provider can do."""

    async def command() -> int:
        from ia_modules.vector_stores.cli.doctor import examine, show

        findings = await examine(store, embedder)
        as_json(findings) if json_output else show(findings)
        return 0 if findings["healthy"] else 1

    run(context, command)


@app.command()
def conformance(
    context: typer.Context,
    store: Store = None,
    rules: Annotated[
        list[str] | None, typer.Option("--rule", "-r", help="A rule or section, such as 4.3 or 4; repeatable.")
    ] = None,
    scale: Annotated[float, typer.Option(min=0.001, help="Factor on 2,000 generated filters and 200 programs.")] = 1.0,
    seed: Annotated[int | None, typer.Option(help="Generate others than the fixed ones.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Don't name each case as it is done.")] = False,
    json_output: Json = False,
) -> None:
    """Check a store against every rule of the portable semantics.

    Creates indexes of its own there, whose names begin with the index of the URL, and deletes them.
    """

    def command() -> int:
        from ia_modules.vector_stores.cli.conforming import conformance_report, show_report

        report = conformance_report(store_config(store), rules or [], scale, seed, live=not quiet)
        as_json(report.to_json()) if json_output else show_report(report)
        return 0 if report.conforms else 1

    run_plain(context, command)


add_migration_commands(app)

emulate = typer.Typer(name="emulate", help="Run a database's emulator, to test against.", no_args_is_help=True)
app.add_typer(emulate)


@emulate.command()
def pinecone(
    context: typer.Context,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where it listens; 0 for a free port.")] = 5080,
    host: Annotated[str, typer.Option(help="Address it listens at. Nothing is encrypted.")] = "127.0.0.1",
    folder: Annotated[Path | None, typer.Option(help="Where everything is kept; memory only if left out.")] = None,
    api_key: Annotated[str | None, typer.Option(help="The only key it takes; any if left out.")] = None,
    lag: Annotated[str, typer.Option(help="How late writes are seen: 200ms, 1.5s, or 3reads.")] = "0",
    rate_limit: Annotated[
        float | None, typer.Option(help="Requests per second to each namespace; no limit if left out.")
    ] = None,
) -> None:
    """Run a Pinecone on this machine, until it is interrupted."""

    def command() -> int:
        from ia_modules.vector_stores.cli.emulating import emulate_pinecone

        return emulate_pinecone(port, host, folder, api_key, lag, rate_limit)

    run_plain(context, command)


@app.command()
def demo(
    context: typer.Context,
    folder: Annotated[Path, typer.Option(help="Where to keep the index.")] = Path(".demo"),
    store: Annotated[str | None, typer.Option("--store", "-s", help="Another store than embedded Chroma.")] = None,
) -> None:
    """Index the documentation of Python's standard library and ask it five questions."""

    async def command() -> int:
        from urllib.parse import quote

        from ia_modules.vector_stores.cli.demo import run_demo

        return await run_demo(store or f"chroma://{quote(folder.absolute().as_posix())}/stdlib", folder)

    run(context, command)
