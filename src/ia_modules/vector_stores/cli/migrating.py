"""The commands that move documents between stores, SQL databases and files, and compare both ends."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ia_modules.vector_stores.cli.session import UsageError, run, store_config

__all__ = ["add_migration_commands"]

_PANEL = "Migration"

From = Annotated[
    str,
    typer.Option(
        "--from",
        help="Store URL, SQL URL (sqlite:///file.db, postgresql://..., mysql://...), or file (.parquet, .jsonl).",
        envvar="IA_VECTORS_FROM",
        show_envvar=True,
        metavar="URL",
    ),
]
To = Annotated[
    str,
    typer.Option(
        "--to", help="Store URL, or file (.parquet, .jsonl, .jsonl.gz).", envvar="IA_VECTORS_TO", metavar="URL"
    ),
]
Store = Annotated[
    str | None, typer.Option("--store", "-s", envvar="IA_VECTORS_STORE", help="Store URL.", metavar="URL")
]
Namespaces = Annotated[
    list[str] | None,
    typer.Option(
        "--namespace",
        "-n",
        help='Take this namespace only, and call it otherwise: a=b, or a; "=b" for the default one. Repeatable.',
        metavar="A=B",
    ),
]
Checkpoint = Annotated[
    Path | None,
    typer.Option(help="File that says how far it is; by default .ia-vectors-migration-….json in the current folder."),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on where an interrupted run was.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Documents read and written together.")]
Verify = Annotated[bool, typer.Option("--verify", help="Compare both ends afterwards, and fail if they differ.")]
Sample = Annotated[int, typer.Option(min=0, help="Searches that a verification runs on both ends.")]
Report = Annotated[Path | None, typer.Option(help="HTML page for what a verification finds.", metavar="FILE.html")]
Rejects = Annotated[Path | None, typer.Option(help="JSON-lines file for ids and causes of all that did not arrive.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a file that exists.")]
Metric = Annotated[str | None, typer.Option(help="Metric of an index that is created; else that of the source.")]
ChangeMetric = Annotated[
    bool, typer.Option("--change-metric", help="Let the target have another metric than the source.")
]
NoSecondPass = Annotated[
    bool, typer.Option("--no-second-pass", help="Don't look for what was written to the source meanwhile.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only tell what would happen; nothing is written.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Table = Annotated[str | None, typer.Option(help="SQL: the table, if it is not found by itself.")]
IdColumn = Annotated[str | None, typer.Option(help="SQL and files: column of the ids.")]
VectorColumn = Annotated[str | None, typer.Option(help="SQL and files: column of the vectors.")]
TextColumn = Annotated[str | None, typer.Option(help='SQL and files: column of the texts; "" for none.')]
MetadataColumn = Annotated[str | None, typer.Option(help='SQL and files: column of JSON objects; "" for none.')]
NamespaceColumn = Annotated[str | None, typer.Option(help="SQL and files: column of the namespaces.")]
ExcludeColumn = Annotated[
    list[str] | None, typer.Option(help="SQL and files: column that is not to become metadata. Repeatable.")
]
VectorFormat = Annotated[str | None, typer.Option(help="SQL: how vectors are written, if that can't be seen.")]
Dimension = Annotated[int | None, typer.Option(min=1, help="SQL: numbers per vector.")]


def add_migration_commands(app: typer.Typer) -> None:
    """Add ``migrate``, ``export``, ``import`` and ``verify``."""
    app.command(rich_help_panel=_PANEL)(migrate)
    app.command(rich_help_panel=_PANEL)(export)
    app.command("import", rich_help_panel=_PANEL)(import_)
    app.command(rich_help_panel=_PANEL)(verify)


def migrate(
    context: typer.Context,
    source: From,
    target: To,
    dry_run: DryRun = False,
    resume: Resume = False,
    verify: Verify = False,
    namespace: Namespaces = None,
    checkpoint: Checkpoint = None,
    batch_size: BatchSize = 500,
    no_second_pass: NoSecondPass = False,
    metric: Metric = None,
    change_metric: ChangeMetric = False,
    overwrite: Overwrite = False,
    sample: Sample = 100,
    report: Report = None,
    rejects: Rejects = None,
    table: Table = None,
    id_column: IdColumn = None,
    vector_column: VectorColumn = None,
    text_column: TextColumn = None,
    metadata_column: MetadataColumn = None,
    namespace_column: NamespaceColumn = None,
    exclude_column: ExcludeColumn = None,
    vector_format: VectorFormat = None,
    dimension: Dimension = None,
    json_output: Json = False,
) -> None:
    """Bring all documents from a store, an SQL database or a file to a store or a file.

    A missing index is created. Exit code 0 means that everything has arrived; 3 that the rest is listed above.
    Keys of two stores come from IA_VECTORS_FROM_API_KEY and IA_VECTORS_TO_API_KEY.
    """

    async def command() -> int:
        from ia_modules.vector_stores.cli.moving import Move, move
        from ia_modules.vector_stores.cli.places import Columns, both_places, parsed_namespaces

        columns = Columns(
            table, id_column, vector_column, text_column, metadata_column, namespace_column,
            tuple(exclude_column or ()), vector_format, dimension,
        )  # fmt: skip
        job = Move(
            *both_places(source, target),
            columns=columns,
            namespaces=parsed_namespaces(namespace),
            batch_size=batch_size,
            checkpoint=checkpoint,
            resume=resume,
            dry_run=dry_run,
            second_pass=not no_second_pass,
            verify=verify,
            sample=sample,
            overwrite=overwrite,
            metric=metric,
            change_metric=change_metric,
            rejects=rejects,
            report=report,
            as_json=json_output,
        )
        return await move(job)

    run(context, command)


def export(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="Where to: .parquet, .jsonl or .jsonl.gz.")],
    store: Store = None,
    namespace: Namespaces = None,
    overwrite: Overwrite = False,
    resume: Resume = False,
    verify: Verify = False,
    checkpoint: Checkpoint = None,
    batch_size: BatchSize = 500,
    json_output: Json = False,
) -> None:
    """Write a store's documents into a Parquet or JSON-lines file that pandas, polars and DuckDB can read."""

    async def command() -> int:
        from ia_modules.vector_stores.cli.moving import Move, move
        from ia_modules.vector_stores.cli.places import parsed_namespaces, place, store_place

        target = place(str(file), "FILE")
        if target.kind != "file":
            raise UsageError("FILE is a path, such as articles.parquet; `ia-vectors migrate` goes from store to store")
        job = Move(
            store_place(store_config(store)),
            target,
            namespaces=parsed_namespaces(namespace),
            batch_size=batch_size,
            checkpoint=checkpoint,
            resume=resume,
            verify=verify,
            overwrite=overwrite,
            as_json=json_output,
        )
        return await move(job)

    run(context, command)


def import_(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="Where from: .parquet (or a folder of them), .jsonl or .jsonl.gz.")],
    store: Store = None,
    namespace: Namespaces = None,
    resume: Resume = False,
    verify: Verify = False,
    checkpoint: Checkpoint = None,
    batch_size: BatchSize = 500,
    metric: Metric = None,
    change_metric: ChangeMetric = False,
    rejects: Rejects = None,
    id_column: IdColumn = None,
    vector_column: VectorColumn = None,
    text_column: TextColumn = None,
    metadata_column: MetadataColumn = None,
    namespace_column: NamespaceColumn = None,
    exclude_column: ExcludeColumn = None,
    json_output: Json = False,
) -> None:
    """Read a Parquet or JSON-lines file into a store, whose index is created if it is missing."""

    async def command() -> int:
        from ia_modules.vector_stores.cli.moving import Move, move
        from ia_modules.vector_stores.cli.places import Columns, parsed_namespaces, place, store_place

        file.stat()  # a misspelt path should be the first thing to hear of
        source = place(str(file), "FILE")
        if source.kind != "file":
            raise UsageError("FILE is a path, such as articles.parquet; `ia-vectors migrate` goes from store to store")
        columns = Columns(
            None, id_column, vector_column, text_column, metadata_column, namespace_column, tuple(exclude_column or ())
        )
        job = Move(
            source,
            store_place(store_config(store)),
            columns=columns,
            namespaces=parsed_namespaces(namespace),
            batch_size=batch_size,
            checkpoint=checkpoint,
            resume=resume,
            verify=verify,
            metric=metric,
            change_metric=change_metric,
            rejects=rejects,
            as_json=json_output,
        )
        return await move(job)

    run(context, command)


def verify(
    context: typer.Context,
    source: From,
    target: To,
    namespace: Namespaces = None,
    batch_size: BatchSize = 500,
    sample: Sample = 100,
    report: Report = None,
    table: Table = None,
    id_column: IdColumn = None,
    vector_column: VectorColumn = None,
    text_column: TextColumn = None,
    metadata_column: MetadataColumn = None,
    namespace_column: NamespaceColumn = None,
    exclude_column: ExcludeColumn = None,
    vector_format: VectorFormat = None,
    dimension: Dimension = None,
    json_output: Json = False,
) -> None:
    """Compare each document of one place with another, and run searches on both; exit code 0 if all is the same."""

    async def command() -> int:
        from ia_modules.vector_stores.cli.moving import Move, compare
        from ia_modules.vector_stores.cli.places import Columns, both_places, parsed_namespaces

        columns = Columns(
            table, id_column, vector_column, text_column, metadata_column, namespace_column,
            tuple(exclude_column or ()), vector_format, dimension,
        )  # fmt: skip
        job = Move(
            *both_places(source, target),
            columns=columns,
            namespaces=parsed_namespaces(namespace),
            batch_size=batch_size,
            sample=sample,
            report=report,
            as_json=json_output,
        )
        return await compare(job)

    run(context, command)
