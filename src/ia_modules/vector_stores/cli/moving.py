"""What ``migrate``, ``export``, ``import`` and ``verify`` do, once it is known from where to where."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ia_modules.vector_stores.cli.moving_progress import duration, migration_progress, verification_progress
from ia_modules.vector_stores.cli.output import as_json, namespace_label
from ia_modules.vector_stores.cli.places import Columns, Place, checkpoint_for, opened_source, opened_target
from ia_modules.vector_stores.cli.session import FAILED, INPUT_ERRORS, INTERRUPTED, UsageError, note
from ia_modules.vector_stores.errors import IndexNotFoundError, VectorStoreError

if TYPE_CHECKING:
    from ia_modules.vector_stores.migration import MigrationReport, Plan, VerificationReport

__all__ = ["Move", "compare", "move"]

_SHOWN = 50
_OPTIONS = (
    (re.compile(r"\(?\b(?:change_metric)=True\)?"), "--change-metric"),
    (re.compile(r"\bresume=True\b"), "--resume"),
    (re.compile(r"\bexclude_columns=?"), "--exclude-column"),
    (re.compile(r"\b(table|dimension|rejects|(?:id|vector|text|metadata|namespace)_column|vector_format)="), None),
)


@dataclass(frozen=True, slots=True)
class Move:
    """A migration as it was asked for.

    Attributes:
        source: from where.
        target: to where.
        columns: what is where in the source.
        namespaces: which become which; None takes all as they are.
        batch_size: documents per page.
        checkpoint: the file; None for the usual one.
        resume: whether to go on where it says.
        dry_run: whether only to tell what would happen.
        second_pass: whether to look for what was written meanwhile.
        verify: whether to compare both sides afterwards.
        sample: searches of the verification.
        overwrite: whether a file may be replaced.
        metric: of an index to be created.
        change_metric: whether it may be another one than the source's.
        rejects: file that gets all that did not arrive.
        report: HTML file of the verification.
        as_json: whether to print JSON.
    """

    source: Place
    target: Place
    columns: Columns = field(default_factory=Columns)
    namespaces: Mapping[str, str] | None = None
    batch_size: int = 500
    checkpoint: Path | None = None
    resume: bool = False
    dry_run: bool = False
    second_pass: bool = True
    verify: bool = False
    sample: int = 100
    overwrite: bool = False
    metric: str | None = None
    change_metric: bool = False
    rejects: Path | None = None
    report: Path | None = None
    as_json: bool = False


async def move(job: Move) -> int:
    """Carry out a migration; returns the exit code, which is 0 only if all has arrived."""
    if job.report is not None and not job.verify:
        raise UsageError("--report shows what --verify finds; give both")
    if job.report is not None:
        _check_folder(job.report)
    named = job.checkpoint or checkpoint_for(job.source, job.target, job.columns, job.namespaces)
    try:
        with _in_terms_of_options():
            if job.dry_run:
                return await _planned(job)
            report = await _migrated(job, named)
            if job.checkpoint is None and report.complete:
                await asyncio.to_thread(_remove, named)
            _show_problems(report)
            if not job.as_json:
                _show(report)
            # Namespaces that the target has for itself are none of this migration's affair.
            moved = {one.source: one.target for one in report.namespaces}
            verification = await _verified(job, moved) if job.verify else None
    except asyncio.CancelledError:
        if job.dry_run:
            note("interrupted; nothing was written")
        else:
            note(f"interrupted; what was written is kept, and the same command with --resume goes on ({named})")
        return INTERRUPTED
    if job.as_json:
        found = None if verification is None else verification.to_dict()
        as_json({"migration": json.loads(report.to_json()), "verification": found})
    elif verification is not None:
        verification.render()
    if verification is not None and not verification.ok:
        return FAILED
    return 0 if report.complete else INPUT_ERRORS


async def compare(job: Move) -> int:
    """Verify only; returns the exit code, which is 0 only if both sides are the same."""
    if job.report is not None:
        _check_folder(job.report)
    with _in_terms_of_options():
        verification = await _verified(job, job.namespaces)
    as_json(verification.to_dict()) if job.as_json else verification.render()
    return 0 if verification.ok else FAILED


async def _migrated(job: Move, checkpoint: Path) -> MigrationReport:
    from ia_modules.vector_stores.migration import migrate

    if job.target.config is not None and job.target.config.provider == "memory":
        note("note: a memory store is gone when this command ends")
    async with (
        opened_source(job.source, job.columns) as source,
        opened_target(
            job.target, overwrite=job.overwrite, metric=job.metric, change_metric=job.change_metric
        ) as target,
    ):
        if job.resume and not await asyncio.to_thread(checkpoint.exists):
            note(f"note: there is no checkpoint {checkpoint}, so this begins at the start")
        with migration_progress() as progress:
            return await migrate(
                source, target, namespaces=job.namespaces, batch_size=job.batch_size, checkpoint=checkpoint,
                resume=job.resume, second_pass=job.second_pass, rejects=job.rejects, progress=progress,
            )  # fmt: skip


async def _verified(job: Move, namespaces: Mapping[str, str] | None) -> VerificationReport:
    from ia_modules.vector_stores.migration import verify

    async with opened_source(job.source, job.columns) as source, opened_source(job.target, Columns()) as target:
        with verification_progress() as progress:
            report = await verify(
                source, target, namespaces=namespaces, batch_size=job.batch_size, sample=job.sample,
                progress=progress,
            )  # fmt: skip
    if job.report is not None:
        await asyncio.to_thread(report.write_html, job.report)
        note(f"the report is in {job.report}")
    return report


async def _planned(job: Move) -> int:
    from ia_modules.vector_stores.migration import plan

    async with (
        opened_source(job.source, job.columns) as source,
        opened_target(
            job.target, overwrite=job.overwrite, metric=job.metric, change_metric=job.change_metric
        ) as target,
    ):
        found = await plan(
            source, target, namespaces=job.namespaces, batch_size=job.batch_size, second_pass=job.second_pass
        )
    path = job.target.path
    if path is not None and path.exists() and not job.overwrite and not job.resume:
        found = replace(found, problems=(*found.problems, f"{path} exists; --overwrite replaces it"))
    if job.as_json:
        typer.echo(found.to_json())
    else:
        _show_plan(found)
    if not found.possible:
        return FAILED
    return INPUT_ERRORS if found.refused or found.unreadable else 0


def _show_plan(found: Plan) -> None:
    for text in found.notes:
        note(f"note: {_with_options(text)}")
    count = "an unknown number of" if found.documents is None else f"{found.documents:,}"
    typer.echo(f"{count} documents would go from {found.source} to {found.target}")
    for one in found.namespaces:
        there = f", {one.already_there:,} there already" if one.already_there else ""
        number = "unknown" if one.documents is None else f"{one.documents:,}"
        typer.echo(f"  {namespace_label(one.source)} -> {namespace_label(one.target)}: {number}{there}")
    if found.dimension is not None:
        metric = "" if found.metric is None else f", metric {found.metric.value}"
        typer.echo(f"{found.dimension} dimensions{metric}")
    typer.echo(f"about {duration(found.seconds)} ({found.estimate})" if found.seconds is not None else found.estimate)
    bad = len(found.refused) + len(found.unreadable)
    typer.echo(f"{found.sampled:,} documents were looked at, and {bad:,} can't be carried" if found.sampled else "")
    _show_list("can't be stored", dict(found.refused).items())
    _show_list("can't be read", [(one.key, one.cause) for one in found.unreadable])
    for problem in found.problems:
        note(f"problem: {_with_options(problem)}")
    typer.echo("nothing was written" if found.possible else "this is not possible; nothing was written")


def _show_problems(report: MigrationReport) -> None:
    for text in report.notes:
        note(f"note: {_with_options(text)}")
    _show_list("not stored", dict(report.refused).items(), report.refused_count)
    _show_list("not read", [(one.key, one.cause) for one in report.unreadable], report.unreadable_count)


def _show_list(what: str, found: Any, total: int | None = None) -> None:
    entries = list(found)
    for key, cause in entries[:_SHOWN]:
        note(f"{what}: {key}: {cause}")
    more = (len(entries) if total is None else total) - len(entries[:_SHOWN])
    if more > 0:
        note(f"... and {more:,} more")


def _show(report: MigrationReport) -> None:
    if report.complete:
        head = "complete"
    else:
        lost = report.refused_count + report.unreadable_count
        head = f"NOT complete: {lost:,} did not arrive, as told above"
    parts = [f"{report.read:,} read", f"{report.written:,} written"]
    for name in ("unchanged", "caught_up", "removed"):
        number = getattr(report, name)
        if number:
            parts.append(f"{number:,} {'written meanwhile' if name == 'caught_up' else name}")
    rate = f", {report.read / report.seconds:,.0f}/s" if report.seconds and not report.resumed else ""
    typer.echo(f"{head}: {', '.join(parts)} ({report.seconds:.1f} s{rate})")
    for one in report.namespaces:
        typer.echo(f"  {namespace_label(one.source)} -> {namespace_label(one.target)}: {one.read:,}")


def _remove(checkpoint: Path) -> None:
    """What a migration that is complete leaves behind for the next one is kept only where somebody named the file."""
    for name in ("", ".ids", ".ids-wal", ".ids-shm"):
        checkpoint.with_name(checkpoint.name + name).unlink(missing_ok=True)


def _check_folder(path: Path) -> None:
    if not path.parent.is_dir():
        raise FileNotFoundError(2, "no such folder", str(path.parent))


def _with_options(text: str) -> str:
    """A message of the library, which names arguments, in the words of the command line."""
    for pattern, option in _OPTIONS:
        text = pattern.sub(option or (lambda found: f"--{found[1].replace('_', '-')}"), text)
    return text


@contextmanager
def _in_terms_of_options() -> Iterator[None]:
    try:
        yield
    except FileExistsError as error:
        raise UsageError(f"{error.filename} exists; --overwrite replaces it") from error
    except IndexNotFoundError as error:
        # Without the hint that another command creates it.
        raise VectorStoreError(error.message, provider=error.provider) from error
    except (VectorStoreError, ValueError) as error:
        for text in getattr(error, "__notes__", ()):
            note(_with_options(text))
        if isinstance(error, VectorStoreError):
            error.message = _with_options(error.message)
        elif len(error.args) == 1 and isinstance(error.args[0], str):
            error.args = (_with_options(error.args[0]),)
        raise
