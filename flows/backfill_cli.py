"""The commands `endpoint-history backfill …`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from flows.archive import Archive
from flows.backfilling import Job, Origin, run_job
from flows.database import location, opened, told
from flows.loading import load_bundles, unloaded
from flows.progress import shown_progress
from flows.rebuild import rebuild, verify
from flows.report import imported_lines, printable
from flows.settings import Settings

_SOME_REFUSED = 3

backfill = typer.Typer(no_args_is_help=True, help="Load older observations; twice is as good as once.")

Since = Annotated[
    str | None,
    typer.Option(help="Only what was seen from then on: 2026-05-16 or 2026-05-16T09:00+02:00; UTC without a zone."),
]
Until = Annotated[str | None, typer.Option(help="Only what was seen before then.")]
Only = Annotated[list[str] | None, typer.Option("--only", help="Only these: author/slug, or patterns; repeatable.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Tell what would be read and change, and write nothing.")]
Patterns = Annotated[
    list[str], typer.Argument(metavar="PATH...", help="Files, folders, or globs such as 'a/**/*.json'.")
]


@backfill.command(name="files")
def backfill_files(
    patterns: Patterns,
    *,
    time: Annotated[
        str | None, typer.Option(help="Where the time stands: field, field:NAME, name:%Y%m%dT%H%M%SZ, or mtime.")
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="Whose bodies: body, author/slug, or name:{author}__{slug}__.")
    ] = None,
    since: Since = None,
    until: Until = None,
    only: Only = None,
    dry_run: DryRun = False,
) -> None:
    """Load saved bodies from files, folders, .zip, .tar.*, .gz and JSON Lines."""
    origin = Origin("files", tuple(patterns), time=time, target=target)
    _run(Job.checked(origin, since=since, until=until, only=only), dry_run=dry_run)


@backfill.command(name="git")
def backfill_git(
    repository: Annotated[str, typer.Argument(help="A folder with a git repository, bare or not.")],
    patterns: Patterns,
    *,
    time: Annotated[
        str | None,
        typer.Option(help="Which time: commit (a field's, else the author's), author, committer, field."),
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="Whose bodies: body, author/slug, or path:data/{author}/{slug}.json.")
    ] = None,
    since: Since = None,
    until: Until = None,
    only: Only = None,
    dry_run: DryRun = False,
) -> None:
    """Load bodies that a git repository saved, one look for every commit that touched a file."""
    origin = Origin("git", tuple(patterns), repository=repository, time=time, target=target)
    _run(Job.checked(origin, since=since, until=until, only=only), dry_run=dry_run)


@backfill.command(name="wayback")
def backfill_wayback(
    targets: Annotated[list[str], typer.Argument(metavar="TARGET...", help="author/slug pairs.")],
    *,
    base_url: Annotated[str, typer.Option(help="Another archive of the same kind.")] = "https://web.archive.org",
    since: Since = None,
    until: Until = None,
    dry_run: DryRun = False,
) -> None:
    """Load what the Wayback Machine captured of each target, politely."""
    origin = Origin("wayback", tuple(targets), base_url=base_url)
    _run(Job.checked(origin, since=since, until=until, only=None), dry_run=dry_run)


def _run(job: Job, *, dry_run: bool) -> None:
    settings = Settings.read()
    with shown_progress("items read") as progress:
        imported = run_job(settings, job, dry_run=dry_run, at=datetime.now(UTC), progress=progress)
    for line in imported_lines(imported, dry_run=dry_run):
        print(line)
    nothing = not imported.new and not imported.known and not imported.unwanted
    raise typer.Exit(1 if nothing else _SOME_REFUSED if imported.refusals else 0)


@backfill.command(name="archive")
def backfill_archive(
    everything: Annotated[bool, typer.Option("--all", help="Read bundles again that were loaded whole.")] = False,
    build_anew: Annotated[
        bool, typer.Option("--rebuild", help="Build all history anew from the archive, and put it in place at once.")
    ] = False,
    compare: Annotated[
        bool, typer.Option("--verify", help="Build all history anew aside, and tell where the database differs.")
    ] = False,
) -> None:
    """Load the bundles of the own archive that the database does not hold yet.

    Exit code 3 where something of the archive can't be read, or --verify finds a difference.
    """
    settings = Settings.read()
    if build_anew or compare:
        raise typer.Exit(_rebuild(settings, compare=compare))
    damaged: list[str] = []
    read = new = 0
    with opened(settings.database_url.get_secret_value()) as engine:
        archive = Archive(settings.archive_url.get_secret_value())
        archive.recover()
        with told(engine):
            names = archive.bundles() if everything else unloaded(engine, archive)
        with shown_progress("bundles read") as progress:
            for number, loaded in enumerate(load_bundles(engine, archive, names), 1):
                progress(number, len(names))
                read, new, damaged = loaded.read, loaded.new, loaded.damaged
    for line in damaged:
        print(f"damaged: {line}", file=sys.stderr)
    print(f"{len(names)} bundles: {read} observations read, {new} new, {read - new} known already")
    raise typer.Exit(3 if damaged else 0)


def _rebuild(settings: Settings, *, compare: bool) -> int:
    archive = Archive(settings.archive_url.get_secret_value())
    with opened(settings.database_url.get_secret_value()) as engine, told(engine):
        with shown_progress("bundles read") as progress:
            loaded, found = verify(engine, archive, progress) if compare else (rebuild(engine, archive, progress), [])
        done = "compared" if compare else "built anew"
        print(f"{location(engine)} {done} from {loaded.bundles} bundles, {loaded.read} observations")
    for line in loaded.damaged:
        print(f"damaged: {line}", file=sys.stderr)
    for difference in found:
        print(f"{difference.table}: {difference.only_database} rows only in the database,", end=" ")
        print(f"{difference.only_archive} only by the archive")
        for example in difference.examples:
            print(f"  {printable(example)}")
    return 3 if loaded.damaged or found else 0
