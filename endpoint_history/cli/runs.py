"""The commands `endpoint-history runs …`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from endpoint_history.terminal import show

if TYPE_CHECKING:
    from endpoint_history.loading.run_list import ListedRun

runs = typer.Typer(invoke_without_command=True, help="List runs, withdraw bad ones, and restore them.")

Names = Annotated[list[str], typer.Argument(metavar="RUN...", help="Names of runs; a walk stands for all its shards.")]
_COUNTED = ("kB read", "observations")
_HEAD = ("run", "state", "source", "finished", "ok", "gone", "failed", "observed")


@runs.callback()
def show_runs(
    context: typer.Context,
    *,
    limit: Annotated[int, typer.Option(help="Only the newest; 0: all of them.", min=0)] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as one JSON object.")] = False,
) -> None:
    """List runs, newest first: what each brought, and whether it is stored, not loaded, or withdrawn and why."""
    if context.invoked_subcommand:
        return
    from endpoint_history.archive.bundles import Archive
    from endpoint_history.database.engine import opened, translated_errors
    from endpoint_history.loading.run_list import list_runs
    from endpoint_history.settings import Settings

    settings = Settings.read()
    with opened(settings.database_url.get_secret_value()) as engine, translated_errors(engine):
        listed, total = list_runs(engine, Archive(settings.archive_url.get_secret_value()), limit or None)
    if as_json:
        show(json.dumps({"runs": [_json(run) for run in listed], "total": total}))
        return
    for line in _table(listed):
        show(line)
    show(f"{len(listed)} of {total} runs")


@runs.command(name="withdraw")
def withdraw_runs(
    names: Names,
    *,
    reason: Annotated[str, typer.Option(help="Why; it is kept beside the bundle and shown in the list.")],
) -> None:
    """Leave the history as if these runs had never happened: set their bundles aside and rebuild from the others.

    Nothing is deleted: `runs restore` undoes it. What a run alone observed goes, what another also observed stays.
    """
    from endpoint_history.archive.bundles import Archive
    from endpoint_history.database.engine import location, opened
    from endpoint_history.loading.withdrawal import withdraw
    from endpoint_history.progress import shown_progress
    from endpoint_history.reporting.collect_report import cut
    from endpoint_history.settings import Settings

    settings = Settings.read()
    with opened(settings.database_url.get_secret_value()) as engine, shown_progress(*_COUNTED) as progress:
        archive = Archive(settings.archive_url.get_secret_value())
        done = withdraw(engine, archive, names, reason, at=datetime.now(UTC), progress=progress)
    for name in done.names:
        show(f"Withdrawn  {name}")
    if done.loaded:
        rest = f"{done.loaded.read} observations of {done.loaded.bundles} bundles"
        show(f"Database   {location(engine)}, rebuilt from the other runs: {rest}")
    else:
        show(f"Database   {location(engine)}, unchanged: it held none of these runs")
    if done.later_backfills:
        show("Backfills  these skipped what the withdrawn runs had brought before; to fill that in, run them again:")
        for line in cut(f"  {name}" for name in done.later_backfills):
            show(line)
    show(f"Undo       endpoint-history runs restore {' '.join(names)}")


@runs.command(name="restore")
def restore_runs(names: Names) -> None:
    """Undo `runs withdraw`: load these runs again. Exit code 3 if something of them can't be read."""
    from endpoint_history.archive.bundles import Archive
    from endpoint_history.database.engine import opened
    from endpoint_history.loading.withdrawal import restore
    from endpoint_history.progress import shown_progress
    from endpoint_history.reporting.collect_report import cut
    from endpoint_history.settings import Settings

    settings = Settings.read()
    with opened(settings.database_url.get_secret_value()) as engine, shown_progress(*_COUNTED) as progress:
        archive = Archive(settings.archive_url.get_secret_value())
        restored, loaded = restore(engine, archive, names, progress)
    for line in cut(f"Damaged    {damage}" for damage in loaded.damaged.values()):
        show(line)
    for name in restored:
        show(f"Restored   {name}")
    if not restored:
        show("Restored   nothing: the database holds all of these runs")
        return
    show(f"Read       {loaded.read} observations: {loaded.new} new, {loaded.read - loaded.new} known")
    raise typer.Exit(3 if loaded.damaged else 0)


def _table(listed: Sequence[ListedRun]) -> Iterator[str]:
    rows = [_HEAD, *(_cells(run) for run in listed)]
    widths = [max(len(row[index]) for row in rows) for index in range(len(_HEAD))]
    for row, run in zip(rows, [None, *listed], strict=True):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield f"{line}  {run.reason}" if run and run.reason else line.rstrip()


def _cells(run: ListedRun) -> tuple[str, ...]:
    counts = ("" if count is None else str(count) for count in (run.ok, run.gone, run.failed))
    observed = f"{_minute(run.first_observed_at)} to {_minute(run.last_observed_at)}" if run.first_observed_at else ""
    return (run.name, run.state, run.source or "", _minute(run.finished_at), *counts, observed)


def _minute(at: datetime | None) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M}" if at else ""


def _json(run: ListedRun) -> dict[str, Any]:
    return {
        name: value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value
        for name, value in dataclasses.asdict(run).items()
    }
