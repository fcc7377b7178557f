"""The commands `endpoint-history backfill …`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from endpoint_history.errors import ConfigurationError
from endpoint_history.sources.wayback import WAYBACK_URL
from endpoint_history.terminal import show

if TYPE_CHECKING:
    from endpoint_history.backfilling.job import Mode, SourceName

backfill = typer.Typer(no_args_is_help=True, help="Load older observations; twice is as good as once.")

Since = Annotated[
    str | None,
    typer.Option(help="Only what was seen from then on: 2026-05-16 or 2026-05-16T09:00+02:00; UTC without a zone."),
]
Until = Annotated[str | None, typer.Option(help="Only what was seen before then.")]
Only = Annotated[list[str] | None, typer.Option("--only", help="Only these: author/slug, or patterns; repeatable.")]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Say what would be read, how it is dated and what would change, and write nothing."),
]
Zone = Annotated[
    str | None, typer.Option(help="The zone of times that name none: UTC, +02:00, or a name such as Europe/Berlin.")
]
Patterns = Annotated[
    list[str], typer.Argument(metavar="PATH...", help="Files, folders, or globs such as 'a/**/*.json'.")
]


@backfill.command(name="files")
def backfill_files(
    patterns: Patterns,
    *,
    time: Annotated[
        str | None,
        typer.Option(
            help="Where the time is: field, field:NAME, name:%Y%m%dT%H%M%SZ, path:dt=%Y-%m-%d/hour=%H, or mtime; "
            "%s and %ms are unix time."
        ),
    ] = None,
    zone: Zone = None,
    target: Annotated[
        str | None,
        typer.Option(help="Whose bodies: body, author/slug, name:{author}__{slug}__, or path:{author}/{slug}.json."),
    ] = None,
    since: Since = None,
    until: Until = None,
    only: Only = None,
    dry_run: DryRun = False,
) -> None:
    """Load saved bodies from files, folders, .zip, .tar.*, .gz, .bz2, .xz and JSON Lines; `-` reads stdin."""
    options = {"paths": tuple(patterns), "time": time, "zone": zone, "target": target}
    _run("files", options, (since, until), only, "dry-run" if dry_run else "load")


@backfill.command(name="git")
def backfill_git(
    repository: Annotated[str, typer.Argument(help="A folder with a git repository, bare or not.")],
    patterns: Patterns,
    *,
    time: Annotated[
        str | None,
        typer.Option(
            help="Which time: commit (a field's, else the author's), author, committer, or as for files: field, "
            "field:NAME, name:%Y%m%dT%H%M%SZ, path:%Y-%m-%d."
        ),
    ] = None,
    zone: Zone = None,
    target: Annotated[
        str | None,
        typer.Option(
            help="Whose bodies: body, author/slug, name:{author}__{slug}__, or path:data/{author}/{slug}.json."
        ),
    ] = None,
    since: Since = None,
    until: Until = None,
    only: Only = None,
    dry_run: DryRun = False,
) -> None:
    """Load bodies that a git repository saved: each new version of a file, dated by its commit or by --time.

    Bodies that have only one commit time, several different ones of a target, are refused: --time says what dates them.
    """
    options = {"paths": tuple(patterns), "repository": repository, "time": time, "zone": zone, "target": target}
    _run("git", options, (since, until), only, "dry-run" if dry_run else "load")


@backfill.command(name="wayback")
def backfill_wayback(
    targets: Annotated[list[str], typer.Argument(metavar="TARGET...", help="author/slug pairs.")],
    *,
    base_url: Annotated[str, typer.Option(help="Another archive of the same kind.")] = WAYBACK_URL,
    since: Since = None,
    until: Until = None,
    dry_run: DryRun = False,
) -> None:
    """Load what the Wayback Machine captured of each target, politely."""
    options = {"paths": tuple(targets), "base_url": base_url}
    _run("wayback", options, (since, until), None, "dry-run" if dry_run else "load")


@backfill.command(name="archive")
def backfill_archive(
    *,
    everything: Annotated[bool, typer.Option("--all", help="Read bundles again that were loaded whole.")] = False,
    since: Since = None,
    until: Until = None,
    only: Only = None,
    dry_run: DryRun = False,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Build all history anew from the archive, and put it in place at once.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Build all history anew aside, and tell where the database differs.")
    ] = False,
) -> None:
    """Load the bundles of the own archive that the database does not hold whole, also those of others copied into it.

    Exit code 3 where something of the archive can't be read, or --verify finds a difference.
    """
    modes: dict[Mode, bool] = {"dry-run": dry_run, "rebuild": rebuild, "verify": verify}
    given = [mode for mode, is_given in modes.items() if is_given] or ["load"]
    if len(given) > 1:
        raise ConfigurationError(f"--{given[0]} and --{given[1]} can't go together")
    _run("archive", {"everything": everything}, (since, until), only, given[0])


def _run(
    source: SourceName,
    options: dict[str, Any],
    bounds: tuple[str | None, str | None],
    only: list[str] | None,
    mode: Mode,
) -> None:
    from endpoint_history.backfilling.job import Job, Origin, run_job
    from endpoint_history.progress import shown_progress
    from endpoint_history.reporting.backfill_report import backfill_lines
    from endpoint_history.settings import Settings

    since, until = bounds
    job = Job.checked(Origin(source, **options), since=since, until=until, only=only, mode=mode)
    settings = Settings.read()
    with shown_progress(*job.counted) as progress:
        ended = run_job(settings, job, at=datetime.now(UTC), progress=progress)
    for line in backfill_lines(ended):
        show(line)
    raise typer.Exit(ended.exit_code)
